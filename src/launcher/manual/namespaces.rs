//! How `isolation: namespaces` is made, and why in this way.
//!
//! ```text
//! launcher ──clone──▶ first process (pid 1) ──fork──▶ plugin (pid 2)
//!  outside             inside: makes the root          inside: carries out the
//!  waits, passes       folder, then waits and          rest of the plan, and
//!  signals on          collects what ends              becomes the plugin
//! ```
//!
//! **Trial.** Whether namespaces can be made is asked of the kernel: a process
//! that is thrown away makes them all, with an empty root folder
//! (`namespaces::trial`). So strict refuses before the decision
//! is recorded, permissive knows that it has to do without, and a limit, a
//! security module, a masked `/proc` and a chroot each have their own sentence.
//! It costs about a millisecond, and only where a profile asks for it.
//!
//! **Order.** Namespaces, id maps, private mounts, host name (where the network is the plugin's own); the granted paths
//! cloned, restricted and placed in an empty file system; `/proc`; the exchange of
//! roots, after which the old one is detached; fork; then the plan's other steps
//! in the order they always have: folder, session, umask, limits, user,
//! descriptors, capabilities, `no_new_privs`, Landlock, filter, exec. Limits and
//! the filter are the plugin's alone.
//!
//! **User namespace.** Only for a launcher without `CAP_SYS_ADMIN`. There the
//! caller stays who it is and is the only user; the capabilities that the namespace
//! brings are dropped before exec, with the bounding set. A launcher that has
//! `CAP_SYS_ADMIN` makes the others with it and drops it likewise: a user namespace
//! would take nothing more from the plugin, since user id 0 owns root's files in it
//! too, and `user` and `capabilities.keep` would mean something else.
//!
//! **First process.** The plugin is never process 1: the kernel ignores signals
//! without a handler to that one, so that `SIGTERM` and `abort` would do nothing. The
//! launcher's own code is, until the plugin ends; with it ends all that the plugin left
//! behind. It runs as the plugin's user, cannot be traced or looked at (not
//! dumpable, outside of the plugin's Landlock domain, hidden by `hidepid`), has two
//! descriptors, no capability, and a filter of ten calls. The plugin does not go
//! on before that is so.
//!
//! **Launcher.** It keeps one descriptor, the pipe on which it passes signals on; it
//! closes the standard streams too, since a copy of them would keep a reader waiting
//! after the plugin closed its own. Its filter has seven calls, of which `kill` is
//! for itself alone. It gives up both before the first process begins. Where there is
//! a cgroup to be removed it keeps the folder above that one, and an eighth call,
//! which removes empty folders.
//! The pipe also tells the first process that the launcher is gone; the kernel's
//! parent-death signal does so where it can't read.
//!
//! **Signals.** TERM, INT, HUP, QUIT, USR1, USR2, WINCH, CONT and TSTP are passed on. What
//! a terminal sends goes to the whole group, in which the plugin is, unless the
//! profile has `new_session`: it is not passed on a second time. With TSTP the
//! launcher stops itself, too. A signal that a host sends to the whole group reaches
//! the plugin twice.
//!
//! **Mounts.** `open_tree`, `mount_setattr` and `move_mount` restrict a copy with all
//! that is mounted below it before anybody can reach it. A descriptor that was
//! opened outside can't be mounted inside, so paths are opened again and compared
//! by device and inode with what was opened before. Landlock's rules are for inodes,
//! so those made outside hold inside; rules for `/proc` are made when the plugin's own
//! is there.
//!
//! **Links.** What lies behind symbolic links is mounted where it really is, and the
//! links on the way are made, unless what is mounted shows them. So programs that
//! read a link (`/etc/localtime` names the zone) or look beside their real path (an
//! interpreter of a virtual environment) see what they see outside, and a new file
//! in a granted folder is seen through its link. Two paths to one place are one
//! mount, with what both grant. A file that is granted by its own path is a mount on
//! an empty file of the root folder: whoever stays outside could put a new mount on
//! it, but for Landlock, whose rule is for the first file's inode. A rule for the
//! folder in the root folder instead would hold for both, and for all that lies there.
//!
//! **Temporary files.** A rule for a `/tmp` of the plugin's own is, for Landlock, also one
//! for what is mounted in it. What is only read there is kept so by its mount. What
//! may be listed alone, or have sockets made in it, is refused.
//!
//! **Files in memory.** Their mount can't be restricted: it is the kernel's own. The
//! filter says that there are none, as for a kernel that lacks the call, unless the
//! profile names it, and the plugin turns to the file system in memory that it has at
//! `/dev/shm`. libffi makes its closures in such a file and has nothing in its place; a
//! profile for it names the call, and `memory.shared_execute`.
//!
//! **Apart.** A lock belongs to an inode, and whoever may read a file may lock it; no
//! filter sees which file a descriptor is for. An overlay has inodes of its own, so the
//! plugin's locks are its own too. It is made of the restricted copy of the
//! folder, on a workbench beside the root folder, and Landlock's rule for it is made
//! when it is there. It is not how every folder is read: an overlay takes what it has
//! seen for granted (Documentation/filesystems/overlayfs, "Changes to underlying
//! filesystems"), so that a file which is replaced stays the old one, and within a user
//! namespace it can't be made of a folder in which something is mounted.
//!
//! **Count.** `RLIMIT_NPROC` does not count root's processes. A pids cgroup does: it is
//! made before the launch divides, entered by the plugin's process before anything else
//! there, and removed by the launcher at the end. It lies in a group `secure-exec`
//! below the launcher's own: the uppermost one can't be changed without a capability,
//! and the launcher has none left by then. What a killed launcher left there the next
//! one removes. The name of each group says which process made it (PID namespace, number,
//! time of its start), so a launch leaves alone what a living one has just made. A group
//! of another PID namespace is never removed: nothing tells whether its maker lives.
//! `secure-exec` itself stays, since another launch may be about to make a group in it.
//! In version 2 groups beside processes are for threads, which the pids controller does
//! not mind.
//!
//! **Network.** A network namespace is made exactly where the profile grants neither TCP,
//! UDP, ICMP nor netlink, nor abstract sockets, which belong to one too. Otherwise the
//! network is the host's, within what Landlock and the filter admit.
//!
//! **Proof.** Before Landlock: the plugin's process id and its parent's, each namespace
//! compared with the launcher's, a path that has to be gone. Afterwards the same
//! canaries as ever.
