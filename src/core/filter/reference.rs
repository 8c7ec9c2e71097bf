//! The policy of filters, in sentences: what no filter admits, what every
//! filter admits, and what refusals look like. Tests and the fuzzer hold
//! compiled filters to them. The sentences know nothing of the table that
//! filters are made from, and name calls, groups and numbers by themselves.

#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "the kernel takes the lower half of int arguments; there are six"
)]

use std::collections::{HashMap, HashSet};

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

/// The plugin's process id.
pub const OWN: u32 = 4242;
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
            shared_execute,
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
            shared_execute,
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
    /// The groups of each call.
    groups: HashMap<String, Vec<&'static str>>,
}

/// One call under a request.
struct Case<'a> {
    request: &'a Request<'a>,
    name: &'a str,
    args: [u64; 6],
    /// The halves that the kernel takes of `int` arguments.
    low: [u32; 6],
    /// The layers admit it.
    is_admitted: bool,
    /// They name it.
    is_named: bool,
    /// The groups that it belongs to.
    groups: &'a [&'static str],
}

impl<'a> Reference<'a> {
    /// What the request means.
    #[must_use]
    pub fn of(request: Request<'a>) -> Self {
        let (all, by_name) = allowed(request.layers);
        let mut groups: HashMap<String, Vec<&'static str>> = HashMap::new();
        for (group, _, _) in syscall::groups() {
            let mut names = HashSet::new();
            members(group, &mut names);
            for name in names {
                groups.entry(name).or_default().push(group);
            }
        }
        Self {
            request,
            refused: match request.on_violation {
                OnViolation::Errno => Action::Errno(1),
                OnViolation::Kill => Action::KillProcess,
                OnViolation::Log => Action::Log,
            },
            all,
            by_name,
            groups,
        }
    }

    /// Compares what a filter does with a call with the policy.
    ///
    /// # Errors
    /// The sentence that is broken.
    pub fn judge(&self, name: &str, args: [u64; 6], action: Action) -> Result<(), &'static str> {
        let case = Case {
            request: &self.request,
            name,
            args,
            low: args.map(|argument| argument as u32),
            is_admitted: self.all.contains(name),
            is_named: self.by_name.contains(name),
            groups: self.groups.get(name).map_or(&[], Vec::as_slice),
        };
        let forbids = |(_, law): &&(&'static str, Law)| law(&case);
        match action {
            Action::Allow => match NEVER.iter().chain(NEVER_EVEN_LOGGED).find(forbids) {
                Some((sentence, _)) => Err(sentence),
                None => Ok(()),
            },
            Action::Log => match NEVER_EVEN_LOGGED.iter().find(forbids) {
                Some((sentence, _)) => Err(sentence),
                None if self.refused != Action::Log => {
                    Err("nothing is logged that is to be refused")
                }
                None => Ok(()),
            },
            refusal => {
                let is_due = ALWAYS
                    .iter()
                    .find(|(_, law)| case.is_admitted && law(&case));
                let is_law = NEVER
                    .iter()
                    .chain(NEVER_EVEN_LOGGED)
                    .any(|(_, law)| law(&case));
                match is_due {
                    Some((sentence, _)) if !is_law => return Err(sentence),
                    _ => {}
                }
                if refusal == self.refused || looks_different(&case, refusal) {
                    Ok(())
                } else {
                    Err("a refusal looks as the profile says")
                }
            }
        }
    }
}

type Law = fn(&Case<'_>) -> bool;

impl Case<'_> {
    fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name)
    }

    fn starts(&self, prefixes: &[&str]) -> bool {
        prefixes.iter().any(|prefix| self.name.starts_with(prefix))
    }

    fn is_in(&self, groups: &[&str]) -> bool {
        self.groups.iter().any(|of| groups.contains(of))
    }

    fn has(&self, argument: usize, bits: u32) -> bool {
        self.low[argument] & bits != 0
    }

    /// The plugin, by its number or by 0, the number that means the caller.
    fn is_own(&self, argument: usize) -> bool {
        let number = self.low[argument];
        number == 0 || (number == OWN && !self.request.fork)
    }

    fn flags_of_open(&self) -> Option<(u32, u32)> {
        match self.name {
            "open" => Some((self.low[1], self.low[2])),
            "openat" => Some((self.low[2], self.low[3])),
            _ => None,
        }
    }

    /// A clock of a process that is not the caller, or of a descriptor
    /// (`linux/posix-timers.h`).
    fn is_foreign_clock(&self) -> bool {
        let clock = self.low[0] as i32;
        let (number, of_thread, kind) = (!(clock >> 3), clock & 4 != 0, clock & 3);
        clock < 0 && !of_thread && (number != 0 || kind == 3)
    }

    fn mode_of(&self) -> Option<u32> {
        match self.name {
            "chmod" | "fchmod" | "creat" | "mkdir" | "mknod" => Some(self.low[1]),
            "fchmodat" | "fchmodat2" | "mkdirat" | "mknodat" => Some(self.low[2]),
            "open" | "openat" => {
                let (flags, mode) = self.flags_of_open()?;
                (flags & 0o20_000_100 != 0 && self.request.writes).then_some(mode)
            }
            _ => None,
        }
    }

    fn has_network(&self) -> bool {
        let sockets = self.request.sockets;
        sockets.tcp || sockets.udp || sockets.netlink
    }
}

/// What no filter admits, but where refused calls are only logged.
const NEVER: &[(&str, Law)] = &[
    ("nothing that the layers do not admit", |c| {
        !c.is_admitted && !c.is(&["execve", "execveat"])
    }),
    (
        "no System V memory, semaphore or queue, and no POSIX queue, whatever the arguments, unless named",
        |c| (c.starts(&["shm", "sem", "msg", "mq_"]) && c.name != "msync") && !c.is_named,
    ),
    (
        "no key, no tracing, no mount, no module, no swap, no port, no queue of asynchronous calls, unless named",
        |c| {
            let groups = [
                "@keyring",
                "@debug",
                "@mount",
                "@module",
                "@swap",
                "@raw-io",
                "@reboot",
                "@cpu-emulation",
                "@aio",
            ];
            c.is_in(&groups) && !c.is_named
        },
    ),
    (
        "no watch on files, no handle of a file, no policy of memory, no event of a processor, unless named",
        |c| {
            (c.starts(&["inotify_init", "inotify_add", "fanotify_"])
                || c.is(&[
                    "name_to_handle_at",
                    "open_by_handle_at",
                    "mbind",
                    "set_mempolicy",
                    "set_mempolicy_home_node",
                    "perf_event_open",
                    "userfaultfd",
                    "bpf",
                    "acct",
                    "quotactl",
                    "quotactl_fd",
                    "syslog",
                    "seccomp",
                    "remap_file_pages",
                    "vmsplice",
                    "statmount",
                    "listmount",
                    "listns",
                ]))
                && !c.is_named
        },
    ),
    ("no file in memory that nobody counts, unless named", |c| {
        c.starts(&["memfd_"]) && !c.is_named
    }),
    (
        "no call takes another process's memory or descriptors, unless named",
        |c| {
            let calls = [
                "ptrace",
                "process_vm_readv",
                "process_vm_writev",
                "process_madvise",
                "process_mrelease",
                "migrate_pages",
                "move_pages",
                "kcmp",
                "pidfd_getfd",
            ];
            c.is(&calls) && !c.is_named
        },
    ),
    (
        "no call reaches another process by its number, nor a number that may be another's by now",
        |c| {
            let first = [
                "prlimit64",
                "sched_setaffinity",
                "sched_setscheduler",
                "sched_setparam",
                "sched_setattr",
                "getpgid",
                "getsid",
                "get_robust_list",
            ];
            (c.is(&first) && !c.is_own(0))
                || (c.is(&["setpriority"]) && (c.low[0] != 0 || !c.is_own(1)))
                || (c.is(&["ioprio_set", "ioprio_get"]) && (c.low[0] != 1 || !c.is_own(1)))
                || (c.is(&["getpriority"]) && c.low[0] != 0)
                || (c.is(&["pidfd_open"]) && !c.request.fork && c.low[0] != OWN)
        },
    ),
    ("no clock of another process, nor of a device", |c| {
        let calls = [
            "clock_gettime",
            "clock_getres",
            "clock_nanosleep",
            "timer_create",
        ];
        c.is(&calls) && c.is_foreign_clock()
    }),
    ("no namespace is made", |c| {
        (c.is(&["clone"]) && c.has(0, 0x7e02_0000))
            || (c.is(&["unshare"]) && c.args[0] & !0x4_0600 != 0)
    }),
    (
        "no namespace is entered, but a network's where the call is named",
        |c| c.is(&["setns"]) && !(c.is_named && c.low[1] == 0x4000_0000),
    ),
    ("no process is made unless the profile grants it", |c| {
        !c.request.fork && (c.is(&["fork", "vfork"]) || (c.is(&["clone"]) && !c.has(0, 0x1_0000)))
    }),
    (
        "no child is traced, hidden from tracing, or the host's",
        |c| c.is(&["clone"]) && c.has(0, 0x80_a000),
    ),
    (
        "no memory is writable and executable, or becomes executable",
        |c| {
            !c.request.write_execute
                && ((c.is(&["mmap"]) && c.low[2] & 6 == 6)
                    || (c.is(&["mprotect", "pkey_mprotect"]) && c.has(2, 4)))
        },
    ),
    ("no shared memory is executable", |c| {
        let request = c.request;
        (c.is(&["mmap"])
            && c.has(2, 4)
            && c.low[3] & 0xf != 2
            && !request.shared_execute
            && !request.write_execute)
            || (c.is(&["shmat"]) && c.has(2, 0o100_000) && !request.write_execute)
    }),
    ("no page gets a second mapping", |c| {
        let rounded = c.args[1].wrapping_add(4095) & !4095;
        c.is(&["mremap"]) && ((rounded == 0 && !c.request.write_execute) || c.has(3, 4))
    }),
    (
        "no mapping of the vdso, and no layout but the kernel's",
        |c| {
            (c.is(&["arch_prctl"]) && (0x2001..=0x2003).contains(&c.low[0]))
                || (c.is(&["prctl"]) && c.low[0] == 35)
        },
    ),
    ("no personality", |c| {
        c.is(&["personality"]) && ![0, u32::MAX].contains(&c.low[0])
    }),
    (
        "no page of the machine's few large ones, and no stack that grows into others",
        |c| (c.is(&["mmap"]) && c.has(3, 0x4_0100)) || (c.is(&["memfd_create"]) && c.has(1, 4)),
    ),
    (
        "no page is taken from others or compared with theirs",
        |c| c.is(&["madvise"]) && ([12, 21, 100, 101].contains(&c.low[2]) || c.low[2] > 103),
    ),
    (
        "no option of a process that widens, or acts on others",
        |c| {
            let harm = [
                8,
                14,
                20,
                22,
                26,
                28,
                31,
                32,
                33,
                43,
                44,
                46,
                57,
                59,
                62,
                67,
                69,
                72,
                0x5961_6d61,
            ];
            c.is(&["prctl"]) && (harm.contains(&c.low[0]) || (77..0x4000_0000).contains(&c.low[0]))
        },
    ),
    ("no set-ID bit", |c| {
        c.mode_of().is_some_and(|mode| mode & 0o6000 != 0)
    }),
    ("no device", |c| {
        let kind = c.mode_of().unwrap_or(0) & 0o170_000;
        (c.is(&["mknod", "mknodat"]) && ![0, 0o100_000, 0o010_000, 0o140_000].contains(&kind))
            || (c.is(&["renameat2"]) && c.has(4, 4))
    }),
    ("no metadata is changed by path unless granted", |c| {
        let calls = [
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
            "setxattrat",
            "removexattr",
            "lremovexattr",
            "removexattrat",
            "file_setattr",
        ];
        !c.request.metadata && (c.is(&calls) || (c.is(&["utimensat"]) && c.args[1] != 0))
    }),
    ("no metadata is changed by descriptor unless granted", |c| {
        let request = c.request;
        (!request.metadata && c.is(&["fchown", "fsetxattr", "fremovexattr"]))
            || (!request.metadata
                && c.is(&["ioctl"])
                && [
                    0x4008_6602,
                    0x4008_7602,
                    0x4008_6604,
                    0x401c_5820,
                    0x4080_6685,
                ]
                .contains(&c.low[1]))
            || (!request.metadata && !request.descriptor_metadata && c.is(&["fchmod", "utimensat"]))
    }),
    (
        "no extended attribute is read by path unless granted",
        |c| {
            let calls = [
                "getxattr",
                "lgetxattr",
                "listxattr",
                "llistxattr",
                "getxattrat",
                "listxattrat",
            ];
            !c.request.metadata && c.is(&calls)
        },
    ),
    (
        "nobody is kept from a file, nothing is watched, no pipe grows",
        |c| {
            c.is(&["fcntl"])
                && ([1024, 1026, 1031, 1036, 1038].contains(&c.low[1]) || c.low[1] > 1038)
        },
    ),
    ("no pipe of notices", |c| c.is(&["pipe2"]) && c.has(1, 0x80)),
    (
        "no terminal is typed on, hung up, taken, reserved or made a console",
        |c| {
            let requests = [
                0x540a, 0x540c, 0x540e, 0x5410, 0x5412, 0x541c, 0x541d, 0x541f, 0x5422, 0x5423,
                0x5437, 0x5457,
            ];
            c.is(&["ioctl"]) && requests.contains(&c.low[1])
        },
    ),
    ("no owner of a descriptor by ioctl", |c| {
        c.is(&["ioctl"]) && [0x8901, 0x8902].contains(&c.low[1])
    }),
    (
        "no interface is asked for without network, none is changed without netlink",
        |c| {
            let request = c.low[1];
            let reads = [
                0x8910, 0x8912, 0x8913, 0x8915, 0x8917, 0x8919, 0x891b, 0x891d, 0x8921, 0x8927,
                0x8933, 0x8942,
            ];
            let may = if reads.contains(&request) {
                c.has_network()
            } else {
                c.is_named && c.request.sockets.netlink
            };
            c.is(&["ioctl"]) && (0x8906..=0x89ff).contains(&request) && !may
        },
    ),
    (
        "no file system is frozen, resized, shut down, encrypted or divided",
        |c| {
            let requests = [
                0xc004_5877,
                0xc004_5878,
                0xc018_5879,
                0x8004_587d,
                0xc050_6617,
                0x800c_6613,
                0x5000_940e,
                0x5000_9403,
                0x4008_6610,
                0x6609,
            ];
            c.is(&["ioctl"]) && requests.contains(&c.low[1])
        },
    ),
    ("no request to a device unless the call is named", |c| {
        let kinds = [0x12, 0x15, 0x41, 0x4b, 0x53, 0x56, 0x64, 0xae, 0xaf, 0xff];
        let is_file = [0x8011_1500].contains(&c.low[1]);
        c.is(&["ioctl"]) && kinds.contains(&(c.low[1] >> 8 & 0xff)) && !c.is_named && !is_file
    }),
    (
        "no socket but of the families, types and protocols that are granted",
        |c| {
            let (s, kind, protocol) = (c.request.sockets, c.low[1] & 0xf, c.low[2]);
            let is_granted = match c.low[0] {
                1 => s.unix && [1, 5].contains(&kind),
                2 | 10 => {
                    (s.tcp && kind == 1 && [0, 6].contains(&protocol))
                        || (s.udp && kind == 2 && [0, 17].contains(&protocol))
                }
                16 => s.netlink && [2, 3].contains(&kind) && protocol == 0,
                _ => false,
            };
            (c.is(&["socket"]) && !is_granted)
                || (c.is(&["socketpair"]) && (c.low[0] != 1 || ![1, 5].contains(&kind)))
        },
    ),
    (
        "nothing is connected, bound or served without a grant",
        |c| {
            let s = c.request.sockets;
            (c.is(&["connect"]) && !(s.tcp_connect || s.udp || s.unix_connect || s.netlink))
                || (c.is(&["bind"]) && !(s.tcp_bind || s.udp || s.unix_bind || s.netlink))
                || (c.is(&["listen", "accept", "accept4"]) && !(s.tcp_bind || s.unix_bind))
        },
    ),
    (
        "nothing is sent to an address without a socket that was granted",
        |c| {
            let s = c.request.sockets;
            let has_none = !(s.tcp || s.udp || s.unix || s.netlink);
            has_none && ((c.is(&["sendto"]) && c.args[4] != 0) || c.is(&["sendmsg", "sendmmsg"]))
        },
    ),
    ("no fast open, no urgent byte without TCP", |c| {
        let flags = match c.name {
            "sendto" | "sendmmsg" => c.low[3],
            "sendmsg" => c.low[2],
            _ => 0,
        };
        flags & 0x2000_0000 != 0 || (flags & 1 != 0 && !c.request.sockets.tcp)
    }),
    (
        "no code on a socket's way, no state by hand, no device, no mark, no table of the packet filter",
        |c| {
            let is_harmful = match c.low[1] {
                0 => c.low[2] >= 64 || [19, 20].contains(&c.low[2]),
                1 => {
                    [1, 11, 25, 26, 27, 32, 33, 36, 44, 50, 51, 52, 61, 68, 77].contains(&c.low[2])
                        || c.low[2] > 77
                }
                6 => [13, 14, 19, 23, 30, 31, 33].contains(&c.low[2]) || c.low[2] > 30,
                17 => [100, 102].contains(&c.low[2]),
                41 => [1, 64, 65, 68, 69].contains(&c.low[2]) || c.low[2] > 70,
                270 => !c.request.sockets.netlink,
                _ => true,
            };
            c.is(&["setsockopt"]) && is_harmful
        },
    ),
    ("no process and no memory out of a socket's options", |c| {
        let is_harmful = match c.low[1] {
            0 => c.low[2] >= 64,
            1 => [26, 77].contains(&c.low[2]),
            6 => c.low[2] == 35,
            41 => [64, 65, 68, 69].contains(&c.low[2]),
            17 => false,
            270 => !c.request.sockets.netlink,
            _ => true,
        };
        c.is(&["getsockopt"]) && is_harmful
    }),
    ("the kernel's log is not filled", |c| {
        c.is(&["landlock_restrict_self"]) && c.has(1, 2)
    }),
];

/// What no filter admits, also where refused calls are only logged.
const NEVER_EVEN_LOGGED: &[(&str, Law)] = &[
    ("nothing is executed but by the launch's own call", |c| {
        let [fd, path, argv, envp, flags, _] = c.args;
        let is_ticket = (fd as u32, flags as u32) == (TICKET.fd, TICKET.flags)
            && (path, argv, envp) == (TICKET.path, TICKET.argv, TICKET.envp);
        let is_closed = matches!(c.request.exec, ExecRule::Ticket(_));
        is_closed && (c.is(&["execve"]) || (c.is(&["execveat"]) && !is_ticket))
    }),
    ("nothing passes the filter by", |c| {
        c.starts(&["io_uring_"]) || c.is(&["clone3"])
    }),
    (
        "no file is made in memory, and no queue of asynchronous calls, unless named",
        |c| c.starts(&["memfd_", "io_"]) && !c.starts(&["io_uring_"]) && !c.is_named,
    ),
    ("no set-ID bit and no truncation by flags in memory", |c| {
        c.is(&["openat2"]) && c.is_admitted && (c.request.writes || c.request.stand_in.truncate)
    }),
    (
        "what no plugin calls by mistake ends it, unless named",
        |c| is_deadly(c),
    ),
    (
        "no signal leaves the plugin where Landlock can't hold it",
        |c| {
            let calls = [
                "kill",
                "tkill",
                "tgkill",
                "rt_sigqueueinfo",
                "rt_tgsigqueueinfo",
            ];
            let is_foreign = (c.is(&calls) && (c.request.fork || c.low[0] != OWN))
                || c.is(&["pidfd_send_signal"])
                || (c.is(&["fcntl"]) && [8, 10, 15].contains(&c.low[1]));
            c.request.stand_in.signals && c.is_admitted && is_foreign
        },
    ),
    ("nothing is truncated where Landlock can't hold it", |c| {
        let truncates = c
            .flags_of_open()
            .is_some_and(|(flags, _)| flags & 0o1000 != 0 && [0, 3].contains(&(flags & 3)));
        c.request.stand_in.truncate && c.is_admitted && (truncates || c.is(&["truncate"]))
    }),
    (
        "devices get no requests where Landlock can't hold them",
        |c| {
            let harmless = [
                2, 0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451, 0x5452, 0x5460,
            ];
            c.request.stand_in.device_ioctls
                && c.is_admitted
                && c.is(&["ioctl"])
                && !harmless.contains(&c.low[1])
        },
    ),
];

/// What every filter admits that admits the call, unless it breaks a sentence
/// above: honest programs do it.
const ALWAYS: &[(&str, Law)] = &[
    ("bytes are moved, time is asked for, threads wait", |c| {
        c.is_in(&["@basic-io", "@io-event", "@sync", "@signal", "@memlock"])
            || c.starts(&["futex"])
            || c.is(&[
                "brk",
                "munmap",
                "exit",
                "exit_group",
                "getpid",
                "gettid",
                "nanosleep",
                "sched_yield",
                "rseq",
            ])
            || (c.starts(&["clock_"]) && c.low[0] < 12 && !c.is_in(&["@clock"]))
    }),
    ("the layers' word is enough for what a profile names", |c| {
        c.is_named
            && c.is_in(&[
                "@mount", "@module", "@swap", "@raw-io", "@debug", "@keyring", "@aio",
            ])
            && !c.starts(&["io_uring_"])
    }),
    (
        "memory is mapped, protected, moved and given back",
        |c| match c.name {
            "mmap" => {
                // Data, and a library's code.
                let data = c.low[2] & 4 == 0
                    && [1, 2, 0x21, 0x22, 0x4022, 0x2_0022, 0x12, 0x32].contains(&c.low[3]);
                data || (c.low[2] == 5 && [2, 0x802, 0x812].contains(&c.low[3]))
            }
            "mprotect" | "pkey_mprotect" => c.low[2] < 4,
            "mremap" => (1..1 << 40).contains(&c.args[1]) && c.low[3] < 4,
            "madvise" => [0, 1, 2, 3, 4, 8, 9, 10, 14, 15, 16, 25, 102].contains(&c.low[2]),
            _ => false,
        },
    ),
    ("threads are started, and processes where granted", |c| {
        c.is(&["clone"])
            && ([0x3d_0f00, 0x7d_0f00, 0x5_0f00].contains(&c.low[0])
                || (c.request.fork && [0x120_0011, 0x4111, 0x11].contains(&c.low[0])))
    }),
    ("a process asks for its own limits and processors", |c| {
        c.is(&[
            "prlimit64",
            "sched_getaffinity",
            "sched_setaffinity",
            "getpgid",
            "getsid",
        ]) && c.low[0] == 0
    }),
    ("descriptors are duplicated, locked and set", |c| {
        c.is(&["fcntl"])
            && [0, 1, 2, 3, 4, 5, 6, 7, 9, 37, 38, 1030, 1033, 1034].contains(&c.low[1])
    }),
    (
        "terminals are asked and set, bytes are counted, files are copied",
        |c| {
            let requests = [
                0x5401,
                0x5402,
                0x5403,
                0x5404,
                0x5413,
                0x541b,
                0x5421,
                0x5450,
                0x5451,
                0x4004_9409,
                0x8008_6601,
            ];
            c.is(&["ioctl"]) && requests.contains(&c.low[1])
        },
    ),
    ("pairs of sockets speak", |c| match c.name {
        "socketpair" => c.low[0] == 1 && c.low[1] & 0xf == 1,
        "sendto" => c.args[4] == 0 && [0, 0x40, 0x4000, 0x4040, 0x8000].contains(&c.low[3]),
        "recvfrom" | "recvmsg" | "shutdown" | "getsockname" => true,
        "setsockopt" => {
            (c.low[1] == 1 && [2, 7, 8, 9, 13, 15, 20, 21].contains(&c.low[2]))
                || (c.low[1] == 6 && [1, 4, 5, 6, 18].contains(&c.low[2]))
                || (c.low[1] == 41 && c.low[2] == 26)
        }
        "getsockopt" => c.low[1] == 1 && [3, 4, 7, 8, 9, 17, 30, 38, 39].contains(&c.low[2]),
        _ => false,
    }),
    (
        "a thread has a name and a signal for its parent's end",
        |c| c.is(&["prctl"]) && [1, 3, 4, 15, 16, 38, 39, 0x5356_4d41].contains(&c.low[0]),
    ),
    ("files are opened and made", |c| {
        c.flags_of_open().is_some()
            || c.is(&[
                "mkdir", "mkdirat", "creat", "rename", "renameat", "unlink", "unlinkat", "link",
            ])
    }),
];

fn is_deadly(c: &Case<'_>) -> bool {
    let groups = [
        "@module",
        "@mount",
        "@raw-io",
        "@reboot",
        "@swap",
        "@cpu-emulation",
    ];
    let calls = [
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "bpf",
        "create_module",
        "acct",
        "settimeofday",
        "clock_settime",
        "sethostname",
        "setdomainname",
        "vhangup",
        "open_by_handle_at",
        "uselib",
    ];
    (c.is(&calls) || (c.is_in(&groups) && c.name != "chroot")) && !c.is_named
}

/// Refusals that look otherwise than the profile says.
fn looks_different(c: &Case<'_>, refusal: Action) -> bool {
    let stand_in = c.request.stand_in;
    match refusal {
        Action::KillProcess => is_deadly(c),
        Action::Errno(38) => {
            c.starts(&["io_", "memfd_"])
                || c.is(&["clone3"])
                || (c.is(&["openat2"]) && (c.request.writes || stand_in.truncate))
        }
        Action::Errno(95) => c.name.contains("xattr") && !c.name.starts_with('f'),
        Action::Errno(1) => {
            c.is(&["execve", "execveat"])
                || (stand_in.truncate && c.is(&["truncate", "open", "openat"]))
                || (c.is(&["ioctl"]) && (stand_in.device_ioctls || stand_in.signals))
                || (stand_in.signals
                    && c.is(&[
                        "fcntl",
                        "kill",
                        "tkill",
                        "tgkill",
                        "rt_sigqueueinfo",
                        "rt_tgsigqueueinfo",
                        "pidfd_send_signal",
                    ]))
        }
        _ => false,
    }
}
