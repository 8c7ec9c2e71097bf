//! Which arguments are admitted of a call that the layers allow: of sockets,
//! processes, memory, files.

use seccompiler::{SeccompCmpArgLen, SeccompCmpOp};

use super::checks::Condition;
use super::kernel::*;
use super::{Request, ioctl};

/// What is admitted of a call that the layers allow.
pub(super) enum Narrowed {
    Any,
    Never,
    /// Alternatives of conditions that must all hold.
    When(Vec<Vec<Condition>>),
}

/// Narrows a call that the layers allow.
pub(super) fn narrow(request: &Request<'_>, name: &str, by_name: bool) -> Narrowed {
    use Narrowed::{Any, Never, When};
    let sockets = &request.sockets;
    let only_if = |granted: bool| if granted { Any } else { Never };
    let own_process = |argument: u8| {
        When(vec![
            vec![equals(argument, 0)],
            vec![equals(argument, u64::from(request.own_pid))],
        ])
    };
    match name {
        "socket" => socket(request),
        // A pair is connected to itself, but a datagram socket of a pair can
        // still send to any address.
        "socketpair" => When(vec![unix_type(SOCK_STREAM), unix_type(SOCK_SEQPACKET)]),
        "connect" => only_if(sockets.may_connect()),
        "bind" => only_if(sockets.may_bind()),
        // listen(2) on an unbound socket binds it to some port by itself.
        "listen" | "accept" | "accept4" => only_if(sockets.tcp_bind || sockets.unix_bind),
        "sendto" if sockets.is_none() => When(vec![vec![long(4, 0), bits_clear(3, MSG_FASTOPEN)]]),
        // Their addresses lie in memory: a datagram socket that was inherited
        // as a standard stream would send to anybody.
        "sendmsg" | "sendmmsg" if sockets.is_none() => Never,
        // TCP fast open connects without Landlock's hook.
        "sendto" | "sendmmsg" => When(vec![vec![bits_clear(3, MSG_FASTOPEN)]]),
        "sendmsg" => When(vec![vec![bits_clear(2, MSG_FASTOPEN)]]),
        // A connection's state set by hand, and code put on its way.
        "setsockopt" => When(vec![
            none_of(1, &[SOL_TCP]),
            none_of(2, &[TCP_REPAIR, TCP_ULP]),
        ]),
        "fork" | "vfork" => only_if(request.fork),
        "clone" => {
            let mut rule = vec![bits_clear(
                0,
                // Not as a child of the host's (CLONE_PARENT), who never made it.
                CLONE_NAMESPACES | CLONE_PTRACE | CLONE_UNTRACED | CLONE_PARENT,
            )];
            if !request.fork {
                rule.push(int(0, SeccompCmpOp::MaskedEq(CLONE_THREAD), CLONE_THREAD));
            }
            When(vec![rule])
        }
        "unshare" => When(vec![vec![bits_clear(0, NEW_NAMESPACES)]]),
        "setns" if by_name => When(vec![vec![equals(1, CLONE_NEWNET)]]),
        "setns" => Never,
        // Not both, so one of the two bits is clear.
        "mmap" if !request.write_execute => When(vec![
            vec![bits_clear(2, PROT_EXEC)],
            vec![bits_clear(2, PROT_WRITE)],
        ]),
        "mprotect" | "pkey_mprotect" if !request.write_execute => {
            When(vec![vec![bits_clear(2, PROT_EXEC)]])
        }
        // READ_IMPLIES_EXEC would make all memory executable.
        "personality" => When(vec![
            vec![equals(0, PER_LINUX)],
            vec![equals(0, PERSONALITY_QUERY)],
        ]),
        "ioctl" => ioctl::admitted(request, by_name),
        "fcntl" => fcntl(request),
        // They take pages of memory from everybody who shares them.
        "madvise" => When(vec![none_of(2, &[MADV_HWPOISON, MADV_SOFT_OFFLINE])]),
        "prctl" => When(PRCTL.iter().map(|(from, to)| within(*from, *to)).collect()),
        "pidfd_send_signal" if request.stand_in.signals => Never,
        // A child that outlives the plugin could wait until its process id
        // belongs to somebody else.
        name if SIGNALS.contains(&name) && request.stand_in.signals && request.fork => Never,
        name if SIGNALS.contains(&name) && request.stand_in.signals => {
            When(vec![vec![equals(0, u64::from(request.own_pid))]])
        }
        name if OWN_PROCESS.contains(&name) => own_process(0),
        "setpriority" => who(request, PRIO_PROCESS),
        "ioprio_set" => who(request, IOPRIO_WHO_PROCESS),
        name if METADATA_BY_PATH.contains(&name) && !request.metadata => Never,
        "fchmod" if !request.descriptor_metadata => Never,
        name if METADATA_BY_DESCRIPTOR.contains(&name) => only_if(request.metadata),
        // futimens(3) is utimensat(2) without a path.
        "utimensat" if !request.metadata => {
            if request.descriptor_metadata {
                When(vec![vec![long(1, 0)]])
            } else {
                Never
            }
        }
        "chmod" | "fchmod" => When(vec![vec![bits_clear(1, SET_ID_BITS)]]),
        "fchmodat" | "fchmodat2" => When(vec![vec![bits_clear(2, SET_ID_BITS)]]),
        "truncate" if request.stand_in.truncate => Never,
        "open" => opening(request, 1, 2),
        "openat" => opening(request, 2, 3),
        "creat" | "mkdir" => When(vec![vec![bits_clear(1, SET_ID_BITS)]]),
        "mkdirat" => When(vec![vec![bits_clear(2, SET_ID_BITS)]]),
        // What is left in the file's place is a device node.
        "renameat2" => When(vec![vec![bits_clear(4, RENAME_WHITEOUT)]]),
        "mknod" => node(1),
        "mknodat" => node(2),
        "shmat" if !request.write_execute => When(vec![vec![bits_clear(2, SHM_EXEC)]]),
        "shmat" if !by_name => Never,
        _ => Any,
    }
}

/// The mode counts only where a file may be created; elsewhere the register
/// holds anything.
fn creating(flags: u8, mode: u8) -> Narrowed {
    Narrowed::When(vec![
        vec![bits_clear(flags, CREATES)],
        vec![bits_clear(mode, SET_ID_BITS)],
    ])
}

/// Before its truncate right Landlock checks what a descriptor may do, not
/// that opening it truncates: `O_TRUNC` counts only beside an access mode that
/// writes. Mode 3 neither reads nor writes, and truncates all the same.
fn opening(request: &Request<'_>, flags: u8, mode: u8) -> Narrowed {
    let access = |value: u64| vec![int(flags, SeccompCmpOp::MaskedEq(O_ACCMODE), value)];
    let truncating = [
        vec![bits_clear(flags, O_TRUNC)],
        access(O_WRONLY),
        access(O_RDWR),
    ];
    match (request.writes, request.stand_in.truncate) {
        (false, false) => Narrowed::Any,
        (true, false) => creating(flags, mode),
        (false, true) => Narrowed::When(truncating.into()),
        (true, true) => match creating(flags, mode) {
            Narrowed::When(creating) => Narrowed::When(
                creating
                    .iter()
                    .flat_map(|one| truncating.iter().map(|two| [&one[..], two].concat()))
                    .collect(),
            ),
            other => other,
        },
    }
}

/// Regular files, FIFOs and sockets; no devices, no set-ID bits.
fn node(mode: u8) -> Narrowed {
    // 0 is a regular file too (man 2 mknod).
    let kinds = [0, S_IFREG, S_IFIFO, S_IFSOCK];
    let mask = SeccompCmpOp::MaskedEq(S_IFMT | SET_ID_BITS);
    let rule = |kind: u64| vec![int(mode, mask.clone(), kind)];
    Narrowed::When(kinds.into_iter().map(rule).collect())
}

fn who(request: &Request<'_>, process: u64) -> Narrowed {
    let rule = |id: u64| vec![equals(0, process), equals(1, id)];
    Narrowed::When(vec![rule(0), rule(u64::from(request.own_pid))])
}

/// A lease keeps everybody else from writing a file that the plugin may only
/// read, and F_NOTIFY is inotify's predecessor.
fn fcntl(request: &Request<'_>) -> Narrowed {
    let mut refused = vec![F_SETLEASE, F_NOTIFY];
    if request.stand_in.signals {
        refused.extend([F_SETOWN, F_SETOWN_EX, F_SETSIG]);
    }
    Narrowed::When(vec![none_of(1, &refused)])
}

/// None of these values.
pub(super) fn none_of(argument: u8, values: &[u64]) -> Vec<Condition> {
    values
        .iter()
        .map(|value| int(argument, SeccompCmpOp::Ne, *value))
        .collect()
}

fn unix_type(kind: u64) -> Vec<Condition> {
    vec![
        equals(0, AF_UNIX),
        int(1, SeccompCmpOp::MaskedEq(SOCK_TYPE_MASK), kind),
    ]
}

fn socket(request: &Request<'_>) -> Narrowed {
    let sockets = &request.sockets;
    let mut rules = Vec::new();
    let mut internet = |kind: u64, protocol: u64| {
        for family in [AF_INET, AF_INET6] {
            // 0 is the type's own protocol; named, MPTCP and SCTP would pass
            // by Landlock's TCP rules, ICMP would make a ping socket.
            for protocol in [0, protocol] {
                rules.push(vec![
                    equals(0, family),
                    int(1, SeccompCmpOp::MaskedEq(SOCK_TYPE_MASK), kind),
                    equals(2, protocol),
                ]);
            }
        }
    };
    if sockets.tcp {
        internet(SOCK_STREAM, IPPROTO_TCP);
    }
    if sockets.udp {
        internet(SOCK_DGRAM, IPPROTO_UDP);
    }
    if sockets.unix {
        rules.extend([unix_type(SOCK_STREAM), unix_type(SOCK_SEQPACKET)]);
    }
    if sockets.netlink {
        for kind in [SOCK_DGRAM, SOCK_RAW] {
            rules.push(vec![
                equals(0, AF_NETLINK),
                int(1, SeccompCmpOp::MaskedEq(SOCK_TYPE_MASK), kind),
                equals(2, NETLINK_ROUTE),
            ]);
        }
    }
    if rules.is_empty() {
        Narrowed::Never
    } else {
        Narrowed::When(rules)
    }
}

/// A condition on an `int` argument: the kernel ignores the upper half of the
/// register, and so must the filter.
pub(super) const fn int(argument: u8, operator: SeccompCmpOp, value: u64) -> Condition {
    Condition {
        argument,
        length: SeccompCmpArgLen::Dword,
        operator,
        value,
    }
}

/// Equality of a pointer or `long` argument.
pub(super) const fn long(argument: u8, value: u64) -> Condition {
    Condition {
        argument,
        length: SeccompCmpArgLen::Qword,
        operator: SeccompCmpOp::Eq,
        value,
    }
}

const fn bits_clear(argument: u8, bits: u64) -> Condition {
    int(argument, SeccompCmpOp::MaskedEq(bits), 0)
}

pub(super) const fn equals(argument: u8, value: u64) -> Condition {
    int(argument, SeccompCmpOp::Eq, value)
}

/// An `int` first argument in a range.
fn within(from: u64, to: u64) -> Vec<Condition> {
    if from == to {
        return vec![equals(0, from)];
    }
    vec![int(0, SeccompCmpOp::Ge, from), int(0, SeccompCmpOp::Le, to)]
}

/// Change a file's metadata by its path, which no Landlock right covers.
const METADATA_BY_PATH: &[&str] = &[
    "chmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "lchown",
    "fchownat",
    "utime",
    "utimes",
    "futimesat",
    "setxattr",
    "lsetxattr",
    "removexattr",
    "lremovexattr",
    "setxattrat",
    "removexattrat",
    "file_setattr",
];

/// Change it through a descriptor, to which the kernel demands that the caller
/// owns the file, not that he may write it. Modes and times, which copies and
/// archives restore, are not among them.
const METADATA_BY_DESCRIPTOR: &[&str] = &["fchown", "fsetxattr", "fremovexattr"];

/// Take a process id first, where 0 is the caller.
pub(super) const OWN_PROCESS: &[&str] = &[
    "prlimit64",
    "sched_setaffinity",
    "sched_setscheduler",
    "sched_setparam",
    "sched_setattr",
];

/// Take the receiver's process id first; tkill(2) a thread's, which for the
/// first thread is the same.
pub(super) const SIGNALS: &[&str] = &[
    "kill",
    "tkill",
    "tgkill",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
];

/// The harmless options of prctl(2), as ranges: the caller's own name, timers,
/// memory labels, and everything that only tightens.
const PRCTL: &[(u64, u64)] = &[
    (1, 4),                     // PDEATHSIG, DUMPABLE
    (7, 7),                     // GET_KEEPCAPS
    (15, 16),                   // NAME
    (21, 24),                   // SECCOMP, CAPBSET
    (27, 27),                   // GET_SECUREBITS
    (29, 30),                   // TIMERSLACK
    (36, 42),                   // CHILD_SUBREAPER, NO_NEW_PRIVS, GET_TID_ADDRESS, THP_DISABLE
    (47, 47),                   // CAP_AMBIENT
    (50, 56),                   // SVE, SPECULATION_CTRL, pointer authentication, tagged addresses
    (60, 61),                   // pointer authentication keys
    (63, 66),                   // SME, MDWE
    (0x5356_4d41, 0x5356_4d41), // SET_VMA
    (0x4155_5856, 0x4155_5856), // GET_AUXV
];
