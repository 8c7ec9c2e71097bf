//! What is known of a system call before any profile is: which calls end the
//! process, which do not exist for a plugin, which no group brings in.

use crate::arch::Arch;
use crate::syscall;

/// What is known of a call before any profile is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Rank {
    /// The profile decides.
    #[default]
    Ordinary,
    /// Ends the process.
    Kill,
    /// Answered like a call that the kernel lacks.
    Absent,
    /// No group brings it in.
    OnlyByName,
}

/// The rank of each call by its number: comparing names would cost more than
/// all else here.
pub(super) struct Standing(Vec<Rank>);

impl Standing {
    pub(super) fn of(arch: Arch) -> Self {
        let mut ranks = vec![Rank::Ordinary; syscall::LAST_KNOWN as usize + 1];
        for (names, rank) in [
            (ONLY_BY_NAME, Rank::OnlyByName),
            (ABSENT, Rank::Absent),
            (KILL, Rank::Kill),
        ] {
            for number in names.iter().filter_map(|name| syscall::number(arch, name)) {
                if let Some(slot) = ranks.get_mut(number as usize) {
                    *slot = rank;
                }
            }
        }
        Self(ranks)
    }

    pub(super) fn rank(&self, number: u32) -> Rank {
        self.0.get(number as usize).copied().unwrap_or_default()
    }
}

/// No plugin calls these by mistake: they look into other processes, replace
/// the kernel or parts of it, or rebuild the file system. A profile that needs
/// one names it itself; a group does not bring it in.
const KILL: &[&str] = &[
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "bpf",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "create_module",
    "mount",
    "umount2",
    "pivot_root",
    "move_mount",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "open_tree",
    "open_tree_attr",
    "mount_setattr",
    "swapon",
    "swapoff",
    "reboot",
    "iopl",
    "ioperm",
    "modify_ldt",
    "acct",
    "settimeofday",
    "clock_settime",
    "sethostname",
    "setdomainname",
    "open_by_handle_at",
    "uselib",
    "vhangup",
];

/// Libraries and run times fall back when these are absent. Their arguments
/// lie in memory that a filter can't look into, or bypass the filter.
const ABSENT: &[&str] = &[
    "clone3",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
];

/// Shared between all processes of a user, outside of every folder and port
/// that a profile grants, so a group does not bring them in. The rest of the
/// list is kernel surface that programs probe and do without.
const ONLY_BY_NAME: &[&str] = &[
    "shmget",
    "shmctl",
    "shmdt",
    "semget",
    "semop",
    "semctl",
    "semtimedop",
    "msgget",
    "msgsnd",
    "msgrcv",
    "msgctl",
    "mq_open",
    "mq_unlink",
    "mq_timedsend",
    "mq_timedreceive",
    "mq_notify",
    "mq_getsetattr",
    "userfaultfd",
    "perf_event_open",
    "kcmp",
    "pidfd_getfd",
    "name_to_handle_at",
    "fanotify_init",
    "fanotify_mark",
    // Watches whatever its user may read: Landlock has no right for it.
    "inotify_init",
    "inotify_init1",
    "inotify_add_watch",
    "process_madvise",
    "process_mrelease",
    "migrate_pages",
    "move_pages",
    "mbind",
    "set_mempolicy",
    "set_mempolicy_home_node",
    "remap_file_pages",
    "vmsplice",
    "chroot",
    "quotactl",
    "quotactl_fd",
    "lookup_dcookie",
    "add_key",
    "request_key",
    "keyctl",
    "syslog",
    "statmount",
    "listmount",
    "listns",
    "lsm_set_self_attr",
];
