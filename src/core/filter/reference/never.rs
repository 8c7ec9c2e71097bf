//! What no filter admits, sentence by sentence.

#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "the kernel takes the lower half of int arguments; there are six"
)]

use super::{Law, OWN, TICKET, is_deadly};
use crate::filter::ExecRule;

/// What no filter admits, but where refused calls are only logged.
pub(super) const NEVER: &[(&str, Law)] = &[
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
    (
        "no file or ruleset in memory that nobody counts, unless named",
        |c| c.starts(&["memfd_", "landlock_"]) && !c.is_named,
    ),
    ("no segment of the machine's pool of large pages", |c| {
        c.is(&["shmget"]) && c.has(2, !0o13_777)
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
                "get_robust_list",
            ];
            (c.is(&first) && !c.is_own(0))
                || (c.is(&["sched_getaffinity"]) && ![0, OWN].contains(&c.low[0]))
                || (c.is(&["getpgid", "getsid"]) && !c.request.fork && !c.is_own(0))
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
            let keeps = c.low[0] == 8 && !c.request.sockets.icmp;
            c.is(&["prctl"])
                && (keeps || harm.contains(&c.low[0]) || (77..0x4000_0000).contains(&c.low[0]))
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
                1 => s.unix && ([1, 5].contains(&kind) || (s.unix_connect && kind == 2)),
                2 | 10 => {
                    let echo = if c.low[0] == 2 { 1 } else { 58 };
                    let is_icmp = protocol == echo && (kind == 2 || (s.icmp_raw && kind == 3));
                    (s.icmp && is_icmp)
                        || (s.tcp && kind == 1 && [0, 6].contains(&protocol))
                        || (s.udp && kind == 2 && [0, 17].contains(&protocol))
                }
                16 => s.netlink && [2, 3].contains(&kind) && protocol == 0,
                _ => false,
            };
            (c.is(&["socket"]) && !is_granted)
                || (c.is(&["socketpair"]) && (c.low[0] != 1 || ![1, 2, 5].contains(&kind)))
        },
    ),
    (
        "no pair of datagrams where one could send to an address",
        |c| {
            let s = c.request.sockets;
            let has_none = !(s.tcp || s.udp || s.icmp || s.unix || s.netlink);
            c.is(&["socketpair"]) && c.low[1] & 0xf == 2 && !has_none && !s.unix_connect
        },
    ),
    (
        "nothing is connected, bound or served without a grant",
        |c| {
            let s = c.request.sockets;
            (c.is(&["connect"])
                && !(s.tcp_connect || s.udp || s.icmp || s.unix_connect || s.netlink))
                || (c.is(&["bind"]) && !(s.tcp_bind || s.udp || s.icmp || s.unix_bind || s.netlink))
                || (c.is(&["listen", "accept", "accept4"])
                    && !(s.tcp_bind || s.unix_bind || s.served))
        },
    ),
    (
        "nothing is sent to an address without a socket that was granted",
        |c| {
            let s = c.request.sockets;
            let has_none = !(s.tcp || s.udp || s.icmp || s.unix || s.netlink);
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
                0 => c.low[2] >= 64 || [3, 19, 20].contains(&c.low[2]),
                1 => {
                    [1, 11, 25, 26, 27, 32, 33, 36, 44, 50, 51, 52, 61, 68, 77].contains(&c.low[2])
                        || c.low[2] > 77
                }
                6 => [13, 14, 19, 23, 30, 31, 33].contains(&c.low[2]) || c.low[2] > 30,
                17 => [100, 102].contains(&c.low[2]),
                41 => [1, 36, 64, 65, 68, 69].contains(&c.low[2]) || c.low[2] > 70,
                58 | 255 => !c.request.sockets.icmp || c.low[2] != 1,
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
            58 | 255 => !c.request.sockets.icmp || c.low[2] != 1,
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
pub(super) const NEVER_EVEN_LOGGED: &[(&str, Law)] = &[
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
            let settings = [
                0x5402,
                0x5403,
                0x5404,
                0x5409,
                0x540b,
                0x802c_542a,
                0x402c_542b,
                0x402c_542c,
                0x402c_542d,
            ];
            c.request.stand_in.device_ioctls
                && c.is_admitted
                && c.is(&["ioctl"])
                && !harmless.contains(&c.low[1])
                && !(c.request.terminal && settings.contains(&c.low[1]))
        },
    ),
];
