//! What a filter means, said once more and plainly, for those who compare
//! compiled filters with it: the tests, and the fuzzer.

#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "the kernel takes the lower half of int arguments; there are six"
)]

use std::collections::HashSet;

use super::standing::{Rank, Standing};
use super::*;

/// Everything of a request, owned.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// As [`Request::layers`].
    pub layers: Vec<(Vec<String>, Vec<String>)>,
    /// As [`Request::on_violation`].
    pub on_violation: OnViolation,
    /// As [`Request::sockets`].
    pub sockets: Sockets,
    /// The grants and stand-ins, in the order of [`Wanted::request`].
    pub switches: [bool; 9],
    /// exec is Landlock's to decide.
    pub landlock_exec: bool,
    /// As [`Request::arch`].
    pub arch: Arch,
}

const OWN: u32 = 4242;
/// The launch's own exec.
pub const TICKET: ExecTicket = ExecTicket {
    fd: 7,
    path: 0x1111_2222_3000,
    argv: 0x3333_4444_5008,
    envp: 0x5555_6666_7010,
    flags: 0x1000,
};

impl Wanted {
    /// The request that a filter is compiled from.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        let [
            fork,
            metadata,
            owner,
            writes,
            write_execute,
            memory_files,
            truncate,
            device_ioctls,
            signals,
        ] = self.switches;
        Request {
            arch: self.arch,
            layers: &self.layers,
            on_violation: self.on_violation,
            sockets: self.sockets,
            fork,
            metadata,
            descriptor_metadata: metadata || (writes && owner),
            writes,
            write_execute,
            memory_files,
            stand_in: StandIn {
                truncate,
                device_ioctls,
                signals,
            },
            own_pid: OWN,
            exec: if self.landlock_exec {
                ExecRule::Landlock
            } else {
                ExecRule::Ticket(TICKET)
            },
        }
    }
}

fn members(name: &str, into: &mut HashSet<String>) {
    match syscall::group(name) {
        Some(group) => group.iter().for_each(|name| members(name, into)),
        None => drop(into.insert(name.to_string())),
    }
}

/// The calls that the layers allow, and those that they allow by name.
fn allowed(layers: &[(Vec<String>, Vec<String>)]) -> (HashSet<String>, HashSet<String>) {
    let (mut all, mut by_name) = (HashSet::new(), HashSet::new());
    for (allow, deny) in layers {
        for name in allow {
            members(name, &mut all);
            if !name.starts_with('@') {
                by_name.insert(name.clone());
            }
        }
        let mut gone = HashSet::new();
        deny.iter().for_each(|name| members(name, &mut gone));
        all.retain(|name| !gone.contains(name));
        by_name.retain(|name| !gone.contains(name));
    }
    (all, by_name)
}

/// What a request means, so far as it does not depend on the call.
pub struct Reference<'a> {
    request: Request<'a>,
    refused: Action,
    all: HashSet<String>,
    by_name: HashSet<String>,
    standing: Standing,
}

impl<'a> Reference<'a> {
    /// What the request means.
    #[must_use]
    pub fn of(request: Request<'a>) -> Self {
        let (all, by_name) = allowed(request.layers);
        Self {
            request,
            refused: match request.on_violation {
                OnViolation::Errno => Action::Errno(1),
                OnViolation::Kill => Action::KillProcess,
                OnViolation::Log => Action::Log,
            },
            all,
            by_name,
            standing: Standing::of(request.arch),
        }
    }
}

/// What is to happen with a call.
#[must_use]
pub fn action(reference: &Reference<'_>, name: &str, number: u32, args: [u64; 6]) -> Action {
    let (request, refused) = (&reference.request, reference.refused);
    let by_name = reference.by_name.contains(name);
    let rank = reference.standing.rank(number);
    if rank == Rank::Kill && !by_name {
        return Action::KillProcess;
    }
    let openat2 = name == "openat2" && (request.writes || request.stand_in.truncate);
    let in_memory = ["memfd_create", "memfd_secret"].contains(&name);
    let in_memory = in_memory && !request.memory_files && !by_name;
    if rank == Rank::Absent || openat2 || in_memory {
        return Action::Errno(38);
    }
    if let ("execve" | "execveat", ExecRule::Landlock) = (name, request.exec) {
        return Action::Allow;
    }
    if name == "execve" {
        return if refused == Action::KillProcess {
            refused
        } else {
            Action::Errno(1)
        };
    }
    if name == "execveat" {
        let [fd, path, argv, envp, flags, _] = args;
        let own = fd as u32 == TICKET.fd && flags as u32 == TICKET.flags;
        let own = own && (path, argv, envp) == (TICKET.path, TICKET.argv, TICKET.envp);
        return if own { Action::Allow } else { Action::Errno(1) };
    }
    let admitted = reference.all.contains(name) && (rank != Rank::OnlyByName || by_name);
    let attributes = [
        "getxattr",
        "lgetxattr",
        "listxattr",
        "llistxattr",
        "getxattrat",
        "listxattrat",
    ];
    if admitted && attributes.contains(&name) && !request.metadata {
        return match refused {
            Action::Log => refused,
            _ => Action::Errno(95),
        };
    }
    match admitted {
        true if narrowed(request, name, args, by_name) => Action::Allow,
        true if stands_in(request.stand_in, name) => Action::Errno(1),
        _ => refused,
    }
}

/// Calls that are narrowed in Landlock's place.
fn stands_in(stand_in: StandIn, name: &str) -> bool {
    match name {
        "truncate" | "open" | "openat" => stand_in.truncate,
        "ioctl" => stand_in.device_ioctls || stand_in.signals,
        "fcntl" | "kill" | "tkill" | "tgkill" => stand_in.signals,
        "rt_sigqueueinfo" | "rt_tgsigqueueinfo" | "pidfd_send_signal" => stand_in.signals,
        _ => false,
    }
}

/// Whether the arguments of an allowed call are admitted.
fn narrowed(request: &Request<'_>, name: &str, args: [u64; 6], by_name: bool) -> bool {
    let s = request.sockets;
    let low = args.map(|argument| argument as u32);
    let self_or_zero = |id: u32| id == 0 || id == OWN;
    let clear = |argument: usize, bits: u32| low[argument] & bits == 0;
    let creates = |flags: usize| !clear(flags, 0o20_000_100);
    let kind = low[1] & 0xf;
    match name {
        "socket" => match low[0] {
            2 | 10 => {
                (s.tcp && kind == 1 && [0, 6].contains(&low[2]))
                    || (s.udp && kind == 2 && [0, 17].contains(&low[2]))
            }
            1 => s.unix && (kind == 1 || kind == 5),
            16 => s.netlink && (kind == 2 || kind == 3) && low[2] == 0,
            _ => false,
        },
        "socketpair" => low[0] == 1 && (kind == 1 || kind == 5),
        "connect" => s.tcp_connect || s.udp || s.unix_connect || s.netlink,
        "bind" => s.tcp_bind || s.udp || s.unix_bind || s.netlink,
        "listen" | "accept" | "accept4" => s.tcp_bind || s.unix_bind,
        "sendto" => clear(3, 0x2000_0000) && (!s.is_none() || args[4] == 0),
        "sendmmsg" => !s.is_none() && clear(3, 0x2000_0000),
        "sendmsg" => !s.is_none() && clear(2, 0x2000_0000),
        "setsockopt" => low[1] != 6 || (low[2] != 19 && low[2] != 31),
        "fork" | "vfork" => request.fork,
        "clone" => clear(0, 0x7e82_a000) && (request.fork || !clear(0, 0x1_0000)),
        "unshare" => clear(0, 0x7e02_0080),
        "setns" => by_name && low[1] == 0x4000_0000,
        "mmap" => request.write_execute || low[2] & 6 != 6,
        "mprotect" | "pkey_mprotect" => request.write_execute || clear(2, 4),
        "personality" => low[0] == 0 || low[0] == u32::MAX,
        "ioctl" => {
            let harmless = [
                0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451, 0x5452, 0x5460, 2,
            ];
            if request.stand_in.device_ioctls {
                return harmless.contains(&low[1]);
            }
            let terminal =
                [0x540e, 0x5410, 0x5412, 0x541c, 0x541d, 0x5423, 0x5437].contains(&low[1]);
            let owner = [0x8901, 0x8902].contains(&low[1]) && request.stand_in.signals;
            let attributes = [
                0x4008_6602,
                0x4008_7602,
                0x4008_6604,
                0x401c_5820,
                0x4080_6685,
            ]
            .contains(&low[1]);
            let known = matches!(low[1] & 0xff80, 0x5400 | 0x8900)
                || matches!(
                    low[1],
                    0x2 | 0x4004_9409
                        | 0x4020_940d
                        | 0xc018_9436
                        | 0xc020_660b
                        | 0x8008_6601
                        | 0x8008_7601
                        | 0x801c_581f
                        | 0x8100_9431
                        | 0x8011_1500
                        | 0xc004_6686
                );
            let wanted = if attributes {
                request.metadata
            } else {
                known || by_name
            };
            wanted && !terminal && !owner
        }
        "madvise" => low[2] != 100 && low[2] != 101,
        "fcntl" => {
            ![1024, 1026].contains(&low[1])
                && (!request.stand_in.signals || ![8, 10, 15].contains(&low[1]))
        }
        "prctl" => matches!(
            low[0],
            1..=4 | 7 | 15 | 16 | 21..=24 | 27 | 29 | 30 | 36..=42 | 47 | 50..=56 | 60 | 61
                | 63..=66 | 0x5356_4d41 | 0x4155_5856
        ),
        "kill" | "tkill" | "tgkill" | "rt_sigqueueinfo" | "rt_tgsigqueueinfo" => {
            !request.stand_in.signals || (!request.fork && low[0] == OWN)
        }
        "pidfd_send_signal" => !request.stand_in.signals,
        "truncate" => !request.stand_in.truncate,
        "prlimit64" | "sched_setaffinity" | "sched_setscheduler" | "sched_setparam"
        | "sched_setattr" => self_or_zero(low[0]),
        "setpriority" => low[0] == 0 && self_or_zero(low[1]),
        "ioprio_set" => low[0] == 1 && self_or_zero(low[1]),
        "fchmod" => request.descriptor_metadata && clear(1, 0o6000),
        "fchown" | "fsetxattr" | "fremovexattr" => request.metadata,
        "renameat2" => clear(4, 4),
        "utimensat" => request.metadata || (request.descriptor_metadata && args[1] == 0),
        "chmod" => request.metadata && clear(1, 0o6000),
        "fchmodat" | "fchmodat2" => request.metadata && clear(2, 0o6000),
        "chown" | "lchown" | "fchownat" | "utime" | "utimes" | "futimesat" | "setxattr"
        | "lsetxattr" | "removexattr" | "lremovexattr" | "setxattrat" | "removexattrat"
        | "file_setattr" => request.metadata,
        "open" | "openat" => {
            let (flags, mode) = if name == "open" { (1, 2) } else { (2, 3) };
            let truncates = !clear(flags, 0o1000) && [0, 3].contains(&(low[flags] & 3));
            let set_id = creates(flags) && !clear(mode, 0o6000);
            !(request.stand_in.truncate && truncates || request.writes && set_id)
        }
        "creat" | "mkdir" => clear(1, 0o6000),
        "mkdirat" => clear(2, 0o6000),
        "mknod" => is_plain(low[1]),
        "mknodat" => is_plain(low[2]),
        "shmat" => {
            if request.write_execute {
                by_name
            } else {
                clear(2, 0o100_000)
            }
        }
        _ => true,
    }
}

/// Regular, FIFO or socket, without set-ID bits.
fn is_plain(mode: u32) -> bool {
    [0, 0o100_000, 0o010_000, 0o140_000].contains(&(mode & 0o170_000)) && mode & 0o6000 == 0
}
