//! What every filter admits: honest programs do it.

#![allow(
    clippy::indexing_slicing,
    reason = "the kernel takes the lower half of int arguments; there are six"
)]

use super::Law;

/// What every filter admits that admits the call, unless it breaks a sentence
/// above: honest programs do it.
pub(super) const ALWAYS: &[(&str, Law)] = &[
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
