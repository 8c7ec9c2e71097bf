//! What is known of each system call before any profile is: its rank, the rule
//! for its arguments, what a refusal looks like, and the reason. Filters, their
//! explanation and the manual's lists are made from these rows; a call without
//! a row does not exist for a plugin.

use super::arguments::Rule;
use crate::arch::Arch;
use crate::syscall::{self, LAST_KNOWN};

/// What is known of some calls.
pub(super) struct Row {
    pub(super) calls: &'static [&'static str],
    pub(super) rank: Rank,
    /// What is admitted once rank and layers admit the call.
    pub(super) rule: Rule,
    /// The same where the profile names the call itself.
    pub(super) named: Rule,
    pub(super) answer: Answer,
    pub(super) why: &'static str,
}

/// Who decides of a call. It is looked at before the profile's layers and
/// before any rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// The profile's layers, by call or by group.
    Ordinary,
    /// The profile has to name the call itself: no group brings it in.
    OnlyByName,
    /// As before, and the call ends the process where no profile names it.
    Kill,
    /// Nobody: it is answered like a call that the kernel lacks.
    Absent,
    /// The launch, of which it is a part, whatever the layers say.
    Launch,
}

/// What a refusal looks like.
#[derive(Clone, Copy)]
pub(super) enum Answer {
    /// As `syscalls.on_violation`.
    AsTheProfileSays,
    /// `ENOSYS`: programs have another way then.
    Absent,
    /// `EOPNOTSUPP`.
    Unsupported,
    /// `ENOENT`, as of a program that is not there, also where the profile only
    /// wants refused calls logged: shells and libraries look for another.
    NoProgram,
    /// The same, whatever the profile wants.
    NoProgramEver,
    /// The same, where the filter refuses what this kernel's Landlock can't.
    InLandlocksPlace(Place),
}

/// What the filter may have to refuse in Landlock's place.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Truncates,
    Requests,
    Signals,
}

/// What a launch needs of a row. Names and reasons stay out of the program that
/// launches.
#[derive(Clone, Copy)]
pub(super) struct Decision {
    pub(super) rank: Rank,
    pub(super) rule: Rule,
    pub(super) named: Rule,
    pub(super) answer: Answer,
}

/// What is decided of a call, and by which row.
pub(super) fn decision(arch: Arch, number: u32) -> Option<(usize, Decision)> {
    let at = place(arch, number)?;
    Some((at, *DECISIONS.get(at)?))
}

/// The row of a call.
pub(super) fn row(arch: Arch, number: u32) -> Option<&'static Row> {
    ROWS.get(place(arch, number)?)
}

fn place(arch: Arch, number: u32) -> Option<usize> {
    let index = match arch {
        Arch::X86_64 => &X86_64,
        Arch::Aarch64 => &AARCH64,
    };
    index.get(number as usize).map(|at| usize::from(*at))
}

/// How many rows there are.
pub(super) const COUNT: usize = ROWS.len();

static DECISIONS: [Decision; COUNT] = decisions();

#[allow(
    clippy::indexing_slicing,
    reason = "at compile time, where it is an error"
)]
const fn decisions() -> [Decision; COUNT] {
    let mut decisions = [ROWS[0].decision(); COUNT];
    let mut at = 0;
    while at < ROWS.len() {
        decisions[at] = ROWS[at].decision();
        at += 1;
    }
    decisions
}

static X86_64: [u8; LAST_KNOWN as usize + 1] = index(Arch::X86_64);
static AARCH64: [u8; LAST_KNOWN as usize + 1] = index(Arch::Aarch64);

/// The row of each number; comparing names is too slow for a launch.
#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "at compile time, where both are errors"
)]
const fn index(arch: Arch) -> [u8; LAST_KNOWN as usize + 1] {
    assert!(ROWS.len() < u8::MAX as usize);
    let mut index = [u8::MAX; LAST_KNOWN as usize + 1];
    let mut at = 0;
    while at < ROWS.len() {
        let mut call = 0;
        while call < ROWS[at].calls.len() {
            if let Some(number) = syscall::number(arch, ROWS[at].calls[call]) {
                assert!(index[number as usize] == u8::MAX, "a call has two rows");
                index[number as usize] = at as u8;
            }
            call += 1;
        }
        at += 1;
    }
    index
}

const fn free(calls: &'static [&'static str], why: &'static str) -> Row {
    with(calls, Rule::Any, why)
}

const fn with(calls: &'static [&'static str], rule: Rule, why: &'static str) -> Row {
    Row {
        calls,
        rank: Rank::Ordinary,
        rule,
        named: rule,
        answer: Answer::AsTheProfileSays,
        why,
    }
}

impl Row {
    const fn decision(&self) -> Decision {
        let Self {
            rank,
            rule,
            named,
            answer,
            ..
        } = *self;
        Decision {
            rank,
            rule,
            named,
            answer,
        }
    }

    const fn rank(self, rank: Rank) -> Self {
        Self { rank, ..self }
    }

    const fn answer(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }

    const fn named(self, named: Rule) -> Self {
        Self { named, ..self }
    }

    const fn by_name(self) -> Self {
        self.rank(Rank::OnlyByName)
    }

    const fn kills(self) -> Self {
        self.rank(Rank::Kill)
    }
}

/// Each call of both architectures has one row.
#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    // The launch.
    with(&["execve"], Rule::Exec, "nothing is executed after the launch, unless Landlock is to say what")
        .rank(Rank::Launch).answer(Answer::NoProgram),
    with(&["execveat"], Rule::ExecTicket, "the launch's own exec has addresses that nobody else knows")
        .rank(Rank::Launch).answer(Answer::NoProgramEver),

    // What no plugin calls by mistake.
    free(&["ptrace", "process_vm_readv", "process_vm_writev"], "another process's memory").kills(),
    free(&["bpf", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "create_module",
        "reboot"], "the kernel, replaced or in part").kills(),
    free(&["mount", "umount2", "pivot_root", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree",
        "open_tree_attr", "mount_setattr", "swapon", "swapoff", "acct"], "the file system, rebuilt").kills(),
    free(&["iopl", "ioperm", "modify_ldt"], "the processor, beneath the kernel").kills(),
    free(&["settimeofday", "clock_settime", "sethostname", "setdomainname", "vhangup"], "what the whole machine has one of").kills(),
    free(&["open_by_handle_at", "uselib"], "files past every path").kills(),

    // What a filter can't look into.
    free(&["clone3"], "its flags lie in memory; libraries turn to clone").rank(Rank::Absent),
    free(&["io_uring_setup", "io_uring_enter", "io_uring_register"], "its calls pass no filter").rank(Rank::Absent),

    // Shared by all processes of a user or of the machine, outside of every
    // folder and port that a profile grants.
    with(&["shmget"], Rule::Segment, "System V IPC, and the machine's pool of large pages").by_name(),
    free(&["shmctl", "shmdt", "semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv",
        "msgctl"], "System V IPC: small numbers that anybody can guess").by_name(),
    with(&["shmat"], Rule::Attach, "System V IPC: small numbers that anybody can guess").by_name(),
    free(&["mq_open", "mq_unlink", "mq_timedsend", "mq_timedreceive", "mq_notify", "mq_getsetattr"],
        "POSIX queues: one name space for all").by_name(),
    free(&["add_key", "request_key", "keyctl"], "keys of others").by_name(),
    free(&["io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents", "io_pgetevents"],
        "all processes share fs.aio-max-nr; programs turn to threads").by_name().answer(Answer::Absent),
    with(&["memfd_create"], Rule::MemoryFile, "memory that limits.memory does not count, and that can be mapped executable")
        .by_name().answer(Answer::Absent),
    free(&["memfd_secret"], "memory that limits.memory does not count").by_name().answer(Answer::Absent),
    free(&["seccomp"], "filters take memory that all processes share (net.core.bpf_jit_limit)").by_name(),
    free(&["process_madvise", "process_mrelease", "migrate_pages", "move_pages", "kcmp", "pidfd_getfd"],
        "another process's memory and descriptors").by_name(),
    with(&["setns"], Rule::Setns, "another's namespaces, of which the network's alone is admitted").by_name(),
    free(&["chroot", "quotactl", "quotactl_fd", "statmount", "listmount", "listns", "lookup_dcookie"], "the machine's mounts").by_name(),
    free(&["name_to_handle_at"], "names for files past every path").by_name(),
    free(&["inotify_init", "inotify_init1", "inotify_add_watch", "fanotify_init", "fanotify_mark"],
        "watches whatever its user may read: Landlock has no right for it").by_name(),
    free(&["userfaultfd", "perf_event_open", "vmsplice", "remap_file_pages", "lsm_set_self_attr", "syslog", "mbind",
        "set_mempolicy", "set_mempolicy_home_node", "set_thread_area", "get_thread_area"],
        "the kernel's surface, which programs probe and do without").by_name(),

    // Processes: by their numbers, of which the plugin has one.
    with(&["fork", "vfork"], Rule::Forks, "processes.fork"),
    with(&["clone"], Rule::Clone, "threads, and processes where processes.fork is; no namespaces"),
    with(&["unshare"], Rule::Unshare, "no namespaces"),
    with(&["kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"], Rule::Signal, "Landlock's scope keeps signals within")
        .answer(Answer::InLandlocksPlace(Place::Signals)),
    with(&["pidfd_send_signal"], Rule::SignalByDescriptor, "Landlock's scope keeps signals within")
        .answer(Answer::InLandlocksPlace(Place::Signals)),
    with(&["prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr",
        "get_robust_list"], Rule::OwnProcess, "another process's limits, place and scheduling"),
    with(&["setpriority"], Rule::OwnPriority, "another process's priority"),
    with(&["ioprio_set", "ioprio_get"], Rule::OwnIoPriority, "another process's priority"),
    with(&["getpriority"], Rule::APriority, "the priorities of a user or a group"),
    with(&["pidfd_open"], Rule::Pidfd, "another process, to be watched"),
    with(&["clock_gettime", "clock_getres", "clock_nanosleep", "timer_create"], Rule::Clock, "the clock of another process, or of a device"),
    with(&["getpgid", "getsid"], Rule::OwnGroup, "the groups of others, where it has no children to ask for"),
    // The C library takes this answer for a kernel without it.
    with(&["sched_getaffinity"], Rule::AskOwn, "the processors of other processes").answer(Answer::Absent),
    free(&["sched_getscheduler", "sched_getparam", "sched_getattr", "sched_rr_get_interval"],
        "threads are asked for by their numbers; others can be as well"),
    free(&["capget"], "the number lies in memory"),
    free(&["wait4", "waitid", "getrusage", "times", "setpgid", "setsid", "getpgrp", "getpid", "getppid", "gettid", "exit",
        "exit_group", "set_tid_address", "set_robust_list", "rseq", "restart_syscall", "sched_yield", "getcpu",
        "sched_get_priority_max", "sched_get_priority_min", "pause", "setrlimit", "getrlimit"],
        "the kernel asks whether it is the caller or its child"),
    with(&["membarrier"], Rule::Barrier, "the barriers that there are"),
    with(&["prctl"], Rule::Prctl, "the options that concern the caller alone, or only tighten"),
    with(&["arch_prctl"], Rule::ArchPrctl, "registers, extensions and shadow stacks; no second vdso"),
    with(&["personality"], Rule::Personality, "READ_IMPLIES_EXEC would make all memory executable"),

    // Memory.
    with(&["mmap"], Rule::Map, "never writable and executable, never shared and executable"),
    with(&["mprotect", "pkey_mprotect"], Rule::Protect, "memory does not become executable"),
    with(&["mremap"], Rule::Remap, "no second mapping of the same pages"),
    with(&["madvise"], Rule::Advise, "nothing is taken from who shares the pages, or compared with others'"),
    free(&["brk", "munmap", "msync", "mincore", "mlock", "mlock2", "mlockall", "munlock", "munlockall", "mseal",
        "map_shadow_stack", "pkey_alloc", "pkey_free", "get_mempolicy"], "its own memory"),

    // Files: Landlock decides of paths.
    with(&["open"], Rule::Open, "no set-ID bits").answer(Answer::InLandlocksPlace(Place::Truncates)),
    with(&["openat"], Rule::Openat, "no set-ID bits").answer(Answer::InLandlocksPlace(Place::Truncates)),
    with(&["openat2"], Rule::Openat2, "its flags and mode lie in memory").answer(Answer::Absent),
    with(&["truncate"], Rule::Truncate, "Landlock's right to truncate").answer(Answer::InLandlocksPlace(Place::Truncates)),
    with(&["creat", "mkdir"], Rule::Makes, "no set-ID bits"),
    with(&["mkdirat"], Rule::MakesAt, "no set-ID bits"),
    with(&["mknod"], Rule::Node, "no devices, no set-ID bits"),
    with(&["mknodat"], Rule::NodeAt, "no devices, no set-ID bits"),
    with(&["renameat2"], Rule::Rename, "what is left in the file's place would be a device"),
    with(&["chmod"], Rule::Mode, "filesystem.metadata; no set-ID bits"),
    with(&["fchmodat", "fchmodat2"], Rule::ModeAt, "filesystem.metadata; no set-ID bits"),
    with(&["fchmod"], Rule::ModeOfDescriptor, "filesystem.metadata, or the owner's folder; no set-ID bits"),
    with(&["chown", "lchown", "fchownat", "utime", "utimes", "futimesat", "setxattr", "lsetxattr", "removexattr",
        "lremovexattr", "setxattrat", "removexattrat", "file_setattr"], Rule::Metadata, "filesystem.metadata: no right of Landlock's covers it"),
    with(&["fchown", "fsetxattr", "fremovexattr"], Rule::Metadata,
        "filesystem.metadata: the kernel asks who owns the file, not who may write it"),
    with(&["utimensat"], Rule::Times, "filesystem.metadata, or a descriptor of the owner's folder"),
    with(&["getxattr", "lgetxattr", "listxattr", "llistxattr", "getxattrat", "listxattrat"], Rule::Metadata,
        "content that no right of Landlock's covers").answer(Answer::Unsupported),
    with(&["ioctl"], Rule::Request, "the requests that are known to concern the descriptor alone")
        .named(Rule::NamedRequest).answer(Answer::InLandlocksPlace(Place::Requests)),
    with(&["fcntl"], Rule::Fcntl, "no leases, no notices, no larger pipes").answer(Answer::InLandlocksPlace(Place::Signals)),
    with(&["pipe2"], Rule::Pipe, "no pipes of notices"),
    free(&["access", "faccessat", "faccessat2", "chdir", "fchdir", "getcwd", "link", "linkat", "symlink", "symlinkat",
        "unlink", "unlinkat", "rename", "renameat", "rmdir", "readlink", "readlinkat", "stat", "lstat", "fstat",
        "newfstatat", "statx", "statfs", "fstatfs", "umask", "file_getattr"], "paths: Landlock decides, or it is metadata"),
    free(&["read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev", "pwritev2", "lseek",
        "close", "close_range", "dup", "dup2", "dup3", "fallocate", "ftruncate", "flock", "fadvise64", "readahead",
        "getdents", "getdents64", "fgetxattr", "flistxattr", "inotify_rm_watch", "cachestat", "copy_file_range", "sendfile",
        "splice", "tee", "fsync", "fdatasync", "sync_file_range", "pipe"], "descriptors that it has"),
    free(&["sync", "syncfs"], "what is written gets to the disk"),

    // Sockets.
    with(&["socket"], Rule::Socket, "the families that network grants"),
    with(&["socketpair"], Rule::Pair, "a pair is connected to itself; one of datagrams sends to any address where some are admitted"),
    with(&["connect"], Rule::Connect, "network"),
    with(&["bind"], Rule::Bind, "network"),
    with(&["listen", "accept", "accept4"], Rule::Listen, "an unbound socket that listens gets some port"),
    with(&["sendto"], Rule::Send, "addresses need a grant; fast open passes Landlock by"),
    with(&["sendmsg"], Rule::SendMessage, "its address lies in memory; fast open passes Landlock by"),
    with(&["sendmmsg"], Rule::SendMessages, "its addresses lie in memory; fast open passes Landlock by"),
    with(&["setsockopt"], Rule::SetOption, "the options that concern the socket alone"),
    with(&["getsockopt"], Rule::GetOption, "no memory mapped, no pidfd of a peer, no tables of the packet filter"),
    free(&["recvfrom", "recvmsg", "recvmmsg", "shutdown", "getsockname", "getpeername"], "descriptors that it has"),

    // Waiting, time, signals to itself.
    free(&["epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
        "epoll_wait_old", "eventfd", "eventfd2", "poll", "ppoll", "pselect6", "select", "futex", "futex_requeue", "futex_wait",
        "futex_waitv", "futex_wake"], "waiting for what it has"),
    free(&["alarm", "getitimer", "setitimer", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime",
        "timerfd_create", "timerfd_gettime", "timerfd_settime", "time", "gettimeofday", "nanosleep"], "its own timers"),
    free(&["rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
        "sigaltstack", "signalfd", "signalfd4", "uretprobe", "uprobe"], "signals that it gets"),

    // Who it is: the kernel asks for its privileges.
    free(&["getegid", "geteuid", "getgid", "getgroups", "getresgid", "getresuid", "getuid", "setgid", "setgroups", "setregid",
        "setresgid", "setresuid", "setreuid", "setuid", "setfsgid", "setfsuid", "capset"], "itself"),
    free(&["landlock_add_rule", "landlock_create_ruleset"], "rulesets are memory of the kernel's that no limit counts")
        .by_name().answer(Answer::Absent),
    with(&["landlock_restrict_self"], Rule::Restrict, "it may confine itself further, and not flood the kernel's log")
        .by_name().answer(Answer::Absent),
    free(&["getrandom", "sysinfo", "uname", "lsm_get_self_attr", "lsm_list_modules"], "what everybody may know"),
    free(&["adjtimex", "clock_adjtime", "nfsservctl", "_sysctl", "afs_syscall", "get_kernel_syms", "getpmsg", "putpmsg",
        "query_module", "security", "sysfs", "tuxcall", "ustat", "vserver"], "in no group of an ordinary service"),
];
