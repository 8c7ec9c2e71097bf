//! How a plugin's bytes are fixed between hashing and exec, and beyond.
//!
//! | strength | how | who keeps the bytes | cost |
//! |---|---|---|---|
//! | `leased` | read lease on the file itself | the kernel asks before anyone may open it for writing; right before exec the lease is looked at again, and from exec on the kernel refuses writers of a running program | none but reading |
//! | `sealed` | copy in a memory file with all seals | nobody can write it | a copy in memory |
//! | `verity` | fs-verity | the kernel checks each page as it is read | none |
//!
//! `auto` takes verity where the kernel measures the file, a lease for ELF
//! programs above 128 KiB where leases mean something (local file systems,
//! the caller owns the file or has `CAP_LEASE`, nobody has it open for
//! writing, a kernel that keeps running programs), and a copy everywhere else.
//! A program that finds libraries beside itself (`$ORIGIN`) is leased where
//! that is possible, since a copy lies in no folder. Scripts are always
//! copied: their interpreter reads them after exec, when a lease is gone.
//!
//! Where the kernel forbids executable memory files (`vm.memfd_noexec=2`) a
//! program that would have been copied is leased, or refused. The copy of a
//! script is never executable.
//!
//! A lease that breaks during a launch ends the launch: there is no second
//! try with weaker means.
