//! The verdict on each system call: what kills, what does not exist, what is
//! refused, and which arguments are admitted of the rest.

use seccompiler::{SeccompCmpArgLen, SeccompCmpOp};

use super::assemble::{ALLOW, ENOSYS, EOPNOTSUPP, EPERM, KILL_PROCESS, LOG, Verdict};
use super::checks::{Checks, Condition};
use super::standing::{Rank, Standing};
use super::{Admitted, ExecRule, ExecTicket, FilterError, Request, StandIn, ioctl};
use crate::profile::OnViolation;
use crate::syscall;

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

/// Read extended attributes by path: content, which no Landlock right covers.
const ATTRIBUTES_BY_PATH: &[&str] = &[
    "getxattr",
    "lgetxattr",
    "listxattr",
    "llistxattr",
    "getxattrat",
    "listxattrat",
];

/// Change it through a descriptor, to which the kernel demands that the caller
/// owns the file, not that he may write it. Modes and times, which copies and
/// archives restore, are not among them.
const METADATA_BY_DESCRIPTOR: &[&str] = &["fchown", "fsetxattr", "fremovexattr"];

/// Take a process id first, where 0 is the caller.
const OWN_PROCESS: &[&str] = &[
    "prlimit64",
    "sched_setaffinity",
    "sched_setscheduler",
    "sched_setparam",
    "sched_setattr",
];

/// Take the receiver's process id first; tkill(2) a thread's, which for the
/// first thread is the same.
const SIGNALS: &[&str] = &[
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

const NEW_NAMESPACES: u64 = 0x7e02_0080;
const CLONE_NAMESPACES: u64 = 0x7e02_0000;
const CLONE_PTRACE: u64 = 0x2000;
const CLONE_PARENT: u64 = 0x8000;
const CLONE_UNTRACED: u64 = 0x0080_0000;
const CLONE_THREAD: u64 = 0x1_0000;
const CLONE_NEWNET: u64 = 0x4000_0000;
const SET_ID_BITS: u64 = 0o6000;
const CREATES: u64 = 0o20_000_100;
const O_TRUNC: u64 = 0o1000;
const O_ACCMODE: u64 = 3;
const MSG_FASTOPEN: u64 = 0x2000_0000;
const F_SETLEASE: u64 = 1024;
const F_NOTIFY: u64 = 1026;
const RENAME_WHITEOUT: u64 = 4;
/// Take pages of memory from everybody who shares them.
const MADV_HWPOISON: u64 = 100;
const MADV_SOFT_OFFLINE: u64 = 101;
const PROT_EXEC: u64 = 4;
const PROT_WRITE: u64 = 2;

/// One verdict a number, from 0 to the last known one.
pub(super) fn verdicts(
    request: &Request<'_>,
    admitted: &Admitted,
) -> Result<Vec<Verdict>, FilterError> {
    let mut verdicts = vec![Verdict::Return(ENOSYS); syscall::LAST_KNOWN as usize + 1];
    let standing = Standing::of(request.arch);
    let mut checks = Checks::new(request.arch);
    for (name, number) in syscall::table(request.arch) {
        if let Some(verdict) = verdicts.get_mut(*number as usize) {
            *verdict = verdict_of(request, admitted, &standing, &mut checks, name, *number)?;
        }
    }
    Ok(verdicts)
}

/// The verdicts that contain numbers of this launch alone.
pub(super) fn launch_specific(
    request: &Request<'_>,
    admitted: &Admitted,
) -> Result<Vec<(u32, Verdict)>, FilterError> {
    let standing = Standing::of(request.arch);
    let mut checks = Checks::new(request.arch);
    OWN_PROCESS
        .iter()
        .chain(SIGNALS)
        .chain(&["execveat", "setpriority", "ioprio_set"])
        .filter_map(|name| Some((*name, syscall::number(request.arch, name)?)))
        .map(|(name, number)| {
            let verdict = verdict_of(request, admitted, &standing, &mut checks, name, number)?;
            Ok((number, verdict))
        })
        .collect()
}

/// The launch's own execveat and no other.
fn ticket(ticket: ExecTicket) -> Vec<Condition> {
    vec![
        equals(0, u64::from(ticket.fd)),
        long(1, ticket.path),
        long(2, ticket.argv),
        long(3, ticket.envp),
        equals(4, u64::from(ticket.flags)),
    ]
}

fn verdict_of(
    request: &Request<'_>,
    admitted: &Admitted,
    standing: &Standing,
    checks: &mut Checks,
    name: &str,
    number: u32,
) -> Result<Verdict, FilterError> {
    let refused = match request.on_violation {
        OnViolation::Errno => EPERM,
        OnViolation::Kill => KILL_PROCESS,
        OnViolation::Log => LOG,
    };
    let by_name = admitted.names(number);
    let rank = standing.rank(number);
    if rank == Rank::Kill && !by_name {
        return Ok(Verdict::Return(KILL_PROCESS));
    }
    // Its flags and mode lie in memory.
    let openat2 = name == "openat2" && (request.writes || request.stand_in.truncate);
    if rank == Rank::Absent || openat2 {
        return Ok(Verdict::Return(ENOSYS));
    }
    match (name, request.exec) {
        // Learning what a plugin needs must not mean to let it exec.
        ("execve", ExecRule::Ticket(_)) => {
            let hard = if refused == KILL_PROCESS {
                KILL_PROCESS
            } else {
                EPERM
            };
            return Ok(Verdict::Return(hard));
        }
        ("execveat", ExecRule::Ticket(one)) => {
            return checks.block(vec![ticket(one)], EPERM).map(Verdict::Check);
        }
        ("execve" | "execveat", ExecRule::Landlock) => return Ok(Verdict::Return(ALLOW)),
        _ => {}
    }
    if !admitted.has(number) || (rank == Rank::OnlyByName && !by_name) {
        return Ok(Verdict::Return(refused));
    }
    if ATTRIBUTES_BY_PATH.contains(&name) && !request.metadata {
        // As where a file system has none, which programs expect.
        let none = if refused == LOG { LOG } else { EOPNOTSUPP };
        return Ok(Verdict::Return(none));
    }
    let refused = if stands_in(request, name) {
        EPERM
    } else {
        refused
    };
    match narrow(request, name, by_name) {
        Narrowed::Any => Ok(Verdict::Return(ALLOW)),
        Narrowed::Never => Ok(Verdict::Return(refused)),
        Narrowed::When(alternatives) => checks.block(alternatives, refused).map(Verdict::Check),
    }
}

/// Calls that are narrowed in Landlock's place.
fn stands_in(request: &Request<'_>, name: &str) -> bool {
    let StandIn {
        truncate,
        device_ioctls,
        signals,
    } = request.stand_in;
    match name {
        "truncate" | "open" | "openat" => truncate,
        "ioctl" => device_ioctls || signals,
        "fcntl" | "pidfd_send_signal" => signals,
        name => signals && SIGNALS.contains(&name),
    }
}

/// What is admitted of a call that the layers allow.
pub(super) enum Narrowed {
    Any,
    Never,
    /// Alternatives of conditions that must all hold.
    When(Vec<Vec<Condition>>),
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
const fn long(argument: u8, value: u64) -> Condition {
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

fn narrow(request: &Request<'_>, name: &str, by_name: bool) -> Narrowed {
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
        "socketpair" => When(vec![unix_type(1), unix_type(5)]),
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
        // SOL_TCP: TCP_REPAIR, TCP_ULP.
        "setsockopt" => When(vec![
            vec![int(1, SeccompCmpOp::Ne, 6)],
            vec![int(2, SeccompCmpOp::Ne, 19), int(2, SeccompCmpOp::Ne, 31)],
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
        "personality" => When(vec![vec![equals(0, 0)], vec![equals(0, 0xffff_ffff)]]),
        "ioctl" => ioctl::admitted(request, by_name),
        "fcntl" => fcntl(request),
        "madvise" => When(vec![vec![
            int(2, SeccompCmpOp::Ne, MADV_HWPOISON),
            int(2, SeccompCmpOp::Ne, MADV_SOFT_OFFLINE),
        ]]),
        "prctl" => When(PRCTL.iter().map(|(from, to)| within(*from, *to)).collect()),
        "pidfd_send_signal" if request.stand_in.signals => Never,
        // A child that outlives the plugin could wait until its process id
        // belongs to somebody else.
        name if SIGNALS.contains(&name) && request.stand_in.signals && request.fork => Never,
        name if SIGNALS.contains(&name) && request.stand_in.signals => {
            When(vec![vec![equals(0, u64::from(request.own_pid))]])
        }
        name if OWN_PROCESS.contains(&name) => own_process(0),
        // PRIO_PROCESS, IOPRIO_WHO_PROCESS.
        "setpriority" => who(request, 0),
        "ioprio_set" => who(request, 1),
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
        "shmat" if !request.write_execute => When(vec![vec![bits_clear(2, 0o100_000)]]),
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
    let truncating = [vec![bits_clear(flags, O_TRUNC)], access(1), access(2)];
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
    let kinds = [0, 0o100_000, 0o010_000, 0o140_000];
    let rule = |kind: u64| vec![int(mode, SeccompCmpOp::MaskedEq(0o176_000), kind)];
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
        // F_SETOWN, F_SETOWN_EX, F_SETSIG.
        refused.extend([8, 15, 10]);
    }
    Narrowed::When(vec![none_of(1, &refused)])
}

pub(super) fn none_of(argument: u8, values: &[u64]) -> Vec<Condition> {
    values
        .iter()
        .map(|value| int(argument, SeccompCmpOp::Ne, *value))
        .collect()
}

const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const AF_NETLINK: u64 = 16;
/// `SOCK_TYPE_MASK`; the bits above are `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
const TYPE_MASK: u64 = 0xf;

fn unix_type(kind: u64) -> Vec<Condition> {
    vec![
        equals(0, AF_UNIX),
        int(1, SeccompCmpOp::MaskedEq(TYPE_MASK), kind),
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
                    int(1, SeccompCmpOp::MaskedEq(TYPE_MASK), kind),
                    equals(2, protocol),
                ]);
            }
        }
    };
    if sockets.tcp {
        internet(1, 6);
    }
    if sockets.udp {
        internet(2, 17);
    }
    if sockets.unix {
        rules.extend([unix_type(1), unix_type(5)]);
    }
    if sockets.netlink {
        for kind in [2, 3] {
            rules.push(vec![
                equals(0, AF_NETLINK),
                int(1, SeccompCmpOp::MaskedEq(TYPE_MASK), kind),
                equals(2, 0),
            ]);
        }
    }
    if rules.is_empty() {
        Narrowed::Never
    } else {
        Narrowed::When(rules)
    }
}
