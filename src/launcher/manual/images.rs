//! How a plugin's bytes are fixed between hashing and exec, and beyond.
//!
//! | strength | how | who keeps the bytes | cost |
//! |---|---|---|---|
//! | `guarded` | the file itself, at its path | nobody but root could change it, or lead its path elsewhere | none but reading |
//! | `leased` | read lease on the file itself | the kernel asks before anyone may open it for writing; right before exec the lease is looked at again, and from exec on the kernel refuses writers of a running program | none but reading |
//! | `sealed` | copy in a memory file with all seals | nobody can write it | a copy in memory |
//! | `verity` | fs-verity | the kernel checks each page as it is read | none |
//!
//! The table has the weakest first. `auto` takes the first of `verity`,
//! `guarded`, `leased`, `sealed` that is sound for the file; the record has its
//! name, and `image_reason` says why it is none before it. The first three leave
//! the program where it is, so that it finds what lies beside it (`$ORIGIN`,
//! `/proc/self/exe`); a copy lies in no folder.
//!
//! A file is **guarded** if all of this holds:
//!
//! - It, every folder above it, and every link that leads to it belong to root,
//!   and nobody else can write them by mode or access list. A sticky folder of
//!   root's will do: others can't exchange what is root's there.
//! - The mounts on the way are of file systems of this machine that keep owners,
//!   and none of them maps user ids.
//! - This user namespace maps every user id to itself: elsewhere user 0 may be
//!   anybody.
//! - Nobody holds it open for writing from an earlier time. The launcher takes a
//!   read lease where it may; else it asks execveat(2), which refuses a file
//!   that somebody writes (`AT_EXECVE_CHECK`, Linux 6.14; from 6.8 on by a call
//!   that fails for its arguments). Older kernels can't be asked: there an
//!   ordinary user's launch has a copy.
//! - The user that the profile changes to can open it by its mode.
//!
//! Root is trusted with everything, so there is nothing left that a copy would
//! protect from, and the file may be opened again by its path: the interpreter
//! of a guarded **script** gets that path, and Landlock admits the inode that was
//! verified. If root replaces the script in the moment between, the interpreter
//! can't open it, unless the profile grants its folder. A plugin that root runs is not root
//! in this sense: a profile that lets it write a file that the whitelist pins, or
//! a folder above one, is refused under strict.
//!
//! A script that is not guarded is copied, since its interpreter reads it after
//! exec, when a lease is gone; the copy is never executable. Its interpreter
//! reads it through a descriptor, and `$0` is `/proc/self/fd/N`. In `isolation:
//! namespaces` the copy lies at the script's path, in the root folder that is the
//! plugin's own, unless a granted folder is mounted there: who may exchange names
//! in that one could put another script in its place. Without namespaces nothing
//! is mounted, for root neither: what such a plugin mounts is to be the system's.
//!
//! A process is named after the file that is executed: after the program itself,
//! `memfd:NAME` for a copy (Linux 6.14; a number before), and after its
//! interpreter for a script.
//!
//! A **lease** is taken on local file systems, by the owner of the file or with
//! `CAP_LEASE`, on files that root and the launcher's user alone can write, if nobody has it open for writing and this kernel keeps running
//! programs from being written.
//!
//! A copy is memory of the launch's control group: under a limit that is smaller
//! than the plugin the kernel ends the launcher.
//!
//! A program whose file has capabilities is copied: in its place the kernel would
//! not execute it without them.
//!
//! Where the kernel forbids executable memory files (`vm.memfd_noexec=2`) a
//! program that would have been copied is refused.
//!
//! A lease that breaks during a launch ends the launch: there is no second
//! try with weaker means.
