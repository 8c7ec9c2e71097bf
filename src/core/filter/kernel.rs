//! Numbers of the kernel's interface that arguments are compared with, by the
//! names of its headers (`uapi/asm-generic`, `uapi/linux`). Where processors
//! differ, both numbers stand here.

use super::checks::Ranges;

// clone(2), unshare(2), setns(2): `linux/sched.h`.
/// The exit signal, `CLONE_VM`, `FS`, `FILES`, `SIGHAND`, `PIDFD`, `VFORK`,
/// `THREAD`, `SYSVSEM`, `SETTLS`, `PARENT_SETTID`, `CHILD_CLEARTID`, `DETACHED`,
/// `CHILD_SETTID`, `IO`. Left out: namespaces, `PTRACE`, `UNTRACED`, and
/// `PARENT`, which would make a child of the host's, who never made it.
pub(super) const CLONE_ADMITTED: u32 = 0x817d_5fff;
pub(super) const CLONE_THREAD: u32 = 0x1_0000;
pub(super) const CLONE_NEWNET: u32 = 0x4000_0000;
/// `CLONE_FS`, `CLONE_FILES`, `CLONE_SYSVSEM`: what threads stop to share.
pub(super) const UNSHARE_ADMITTED: u32 = 0x4_0600;

// open(2), mknod(2), rename(2), fcntl(2), pipe(2): `asm-generic/fcntl.h`,
// `linux/fcntl.h`, `linux/stat.h`, `linux/fs.h`.
pub(super) const O_ACCMODE: u32 = 0o3;
pub(super) const O_WRONLY: u32 = 0o1;
pub(super) const O_RDWR: u32 = 0o2;
pub(super) const O_TRUNC: u32 = 0o1000;
/// `O_CREAT`, `__O_TMPFILE`.
pub(super) const CREATES: u32 = 0o20_000_100;
/// `O_NONBLOCK`, `O_CLOEXEC`, `O_DIRECT` (of `x86_64` and of `aarch64`); not
/// `O_NOTIFICATION_PIPE`.
pub(super) const PIPE_ADMITTED: u32 = 0x9_4800;
pub(super) const S_IFMT: u32 = 0o170_000;
/// Regular files (0 is one too, man 2 mknod), FIFOs and sockets.
pub(super) const PLAIN_FILES: Ranges = &[
    (0, 0),
    (0o010_000, 0o010_000),
    (0o100_000, 0o100_000),
    (0o140_000, 0o140_000),
];
/// `S_ISUID`, `S_ISGID`.
pub(super) const SET_ID_BITS: u32 = 0o6000;
/// `RENAME_NOREPLACE`, `RENAME_EXCHANGE`; not `WHITEOUT`.
pub(super) const RENAME_ADMITTED: u32 = 3;
/// Left out are leases and delegations, which keep everybody else from writing
/// a file that the plugin may only read; `F_NOTIFY`, inotify's predecessor;
/// `F_SETPIPE_SZ`, memory that nobody counts; hints about the file for all.
pub(super) const FCNTL: Ranges = &[
    (0, 7),       // DUPFD, GETFD, SETFD, GETFL, SETFL, GETLK, SETLK, SETLKW
    (9, 9),       // GETOWN
    (11, 11),     // GETSIG
    (16, 17),     // GETOWN_EX, GETOWNER_UIDS
    (36, 38),     // OFD_GETLK, OFD_SETLK, OFD_SETLKW
    (1025, 1025), // GETLEASE
    (1027, 1028), // DUPFD_QUERY, CREATED_QUERY
    (1030, 1030), // DUPFD_CLOEXEC
    (1032, 1035), // GETPIPE_SZ, ADD_SEALS, GET_SEALS, GET_RW_HINT
];
/// `F_SETOWN`, `F_SETSIG`, `F_SETOWN_EX`: signals by way of descriptors.
pub(super) const FCNTL_OWNERS: Ranges = &[(8, 8), (10, 10), (15, 15)];

// mmap(2), mprotect(2), mremap(2), madvise(2), memfd_create(2), shmat(2):
// `asm-generic/mman-common.h`, `linux/mman.h`, `linux/memfd.h`, `linux/shm.h`.
pub(super) const PROT_WRITE: u32 = 2;
pub(super) const PROT_EXEC: u32 = 4;
/// `PROT_READ`, `WRITE`, `SEM`, `BTI`, `MTE`, `GROWSDOWN`, `GROWSUP`.
pub(super) const PROT_NOT_EXEC: u32 = 0x0300_003b;
/// The mapping's type, `MAP_FIXED`, `ANONYMOUS`, `32BIT`, `ABOVE4G`,
/// `DENYWRITE`, `EXECUTABLE`, `LOCKED`, `NORESERVE`, `POPULATE`, `NONBLOCK`,
/// `STACK`, `FIXED_NOREPLACE`. Left out: `HUGETLB` and its sizes, pages of which
/// the machine has a fixed number; `GROWSDOWN`, `SYNC`.
pub(super) const MAP_ADMITTED: u32 = 0x13_f8ff;
pub(super) const MAP_TYPE: u32 = 0xf;
pub(super) const MAP_PRIVATE: u32 = 2;
/// `MREMAP_MAYMOVE`, `MREMAP_FIXED`. `DONTUNMAP` leaves a second mapping.
pub(super) const MREMAP_ADMITTED: u32 = 3;
/// The upper half of the largest length that rounding up to pages does not turn
/// into 0.
pub(super) const LENGTH_HIGH: u32 = 0x7fff_ffff;
/// Left out are those that take pages from everybody who shares them
/// (`HWPOISON`, `SOFT_OFFLINE`, `PAGEOUT`), and `MERGEABLE`, which tells what
/// others' pages hold.
pub(super) const MADVISE: Ranges = &[
    (0, 4),     // NORMAL, RANDOM, SEQUENTIAL, WILLNEED, DONTNEED
    (8, 11),    // FREE, REMOVE, DONTFORK, DOFORK
    (13, 20),   // UNMERGEABLE, HUGEPAGE, DUMP and FORK, COLD
    (22, 25),   // POPULATE_READ, POPULATE_WRITE, DONTNEED_LOCKED, COLLAPSE
    (102, 103), // GUARD_INSTALL, GUARD_REMOVE
];
/// `MFD_CLOEXEC`, `ALLOW_SEALING`, `NOEXEC_SEAL`, `EXEC`; not `HUGETLB`.
pub(super) const MEMFD_ADMITTED: u32 = 0x1b;
/// `SHM_RDONLY`, `SHM_RND`, `SHM_REMAP`; not `SHM_EXEC`.
pub(super) const SHM_ADMITTED: u32 = 0o70_000;

// personality(2), prctl(2), arch_prctl(2), membarrier(2): `linux/personality.h`,
// `linux/prctl.h`, `asm/prctl.h`, `linux/membarrier.h`.
/// `PER_LINUX`, and the value that asks without setting.
pub(super) const PERSONALITIES: Ranges = &[(0, 0), (u32::MAX, u32::MAX)];
pub(super) const PR_SET_KEEPCAPS: u32 = 8;
/// The harmless options: the caller's own name, timers, memory labels, and
/// everything that only tightens. Not `SET_SECCOMP`: see seccomp(2).
pub(super) const PRCTL: Ranges = &[
    (1, 4),                     // PDEATHSIG, DUMPABLE
    (7, 7),                     // GET_KEEPCAPS
    (15, 16),                   // NAME
    (21, 21),                   // GET_SECCOMP
    (23, 24),                   // CAPBSET
    (27, 27),                   // GET_SECUREBITS
    (29, 30),                   // TIMERSLACK
    (36, 42),                   // CHILD_SUBREAPER, NO_NEW_PRIVS, GET_TID_ADDRESS, THP_DISABLE
    (47, 47),                   // CAP_AMBIENT
    (50, 56),                   // SVE, SPECULATION_CTRL, pointer authentication, tagged addresses
    (60, 61),                   // pointer authentication keys
    (63, 66),                   // SME, MDWE
    (74, 76),                   // SHADOW_STACK
    (0x4155_5856, 0x4155_5856), // GET_AUXV
    (0x5356_4d41, 0x5356_4d41), // SET_VMA
];
/// Left out are `MAP_VDSO_*`, `SET_CPUID`, `XCOMP_GUEST`, and what sets tags.
pub(super) const ARCH_PRCTL: Ranges = &[
    (0x1001, 0x1004), // GS, FS
    (0x1011, 0x1011), // GET_CPUID
    (0x1021, 0x1023), // GET_XCOMP_SUPP, GET_XCOMP_PERM, REQ_XCOMP_PERM
    (0x3001, 0x3001), // CET_STATUS, of which kernels know nothing
    (0x4001, 0x4001), // GET_UNTAG_MASK
    (0x4003, 0x4003), // GET_MAX_TAG_BITS
    (0x5001, 0x5003), // SHSTK_ENABLE, SHSTK_DISABLE, SHSTK_LOCK
    (0x5005, 0x5005), // SHSTK_STATUS
];
/// `MEMBARRIER_CMD_GET_REGISTRATIONS`, the last there is.
pub(super) const MEMBARRIER_LAST: u32 = 0x200;

// setpriority(2), ioprio_set(2), clock_gettime(2), landlock_restrict_self(2):
// `linux/resource.h`, `linux/ioprio.h`, `linux/posix-timers.h`,
// `linux/landlock.h`.
pub(super) const PRIO_PROCESS: u32 = 0;
pub(super) const IOPRIO_WHO_PROCESS: u32 = 1;
/// The system's clocks, and the caller's own: below 0 a clock has the inverted
/// number of a process above its last three bits, which here is 0.
pub(super) const CLOCKS: Ranges = &[(0, 15), (0xffff_fff8, 0xffff_fffa)];
/// Clocks of threads, which the kernel only shows to the same process.
pub(super) const THREAD_CLOCK: u32 = 0x8000_0004;
/// `LOG_SAME_EXEC_OFF`, `LOG_SUBDOMAINS_OFF`; not `LOG_NEW_EXEC_ON`.
pub(super) const RESTRICT_ADMITTED: u32 = 5;

// socket(2), send(2), tcp(7), netlink(7): `linux/socket.h`, `linux/net.h`,
// `linux/in.h`, `linux/tcp.h`, `linux/netlink.h`.
pub(super) const AF_UNIX: u32 = 1;
pub(super) const AF_INET: u32 = 2;
pub(super) const AF_INET6: u32 = 10;
/// `AF_INET`, `AF_INET6`.
pub(super) const INTERNET: Ranges = &[(2, 2), (10, 10)];
pub(super) const AF_NETLINK: u32 = 16;
pub(super) const SOCK_STREAM: u32 = 1;
pub(super) const SOCK_DGRAM: u32 = 2;
/// `SOCK_DGRAM`, `SOCK_RAW`.
pub(super) const MESSAGES: Ranges = &[(2, 3)];
/// `SOCK_DGRAM` alone.
pub(super) const DATAGRAMS: Ranges = &[(SOCK_DGRAM, SOCK_DGRAM)];
/// `SOCK_STREAM`, `SOCK_DGRAM`, `SOCK_SEQPACKET`.
pub(super) const EVERY_UNIX: Ranges = &[(1, 2), (5, 5)];
/// `SOCK_STREAM`, `SOCK_SEQPACKET`.
pub(super) const CONNECTED: Ranges = &[(1, 1), (5, 5)];
/// The bits above are `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
pub(super) const SOCK_TYPE_MASK: u32 = 0xf;
/// 0 is the type's own protocol; named, MPTCP and SCTP would pass by Landlock's
/// TCP rules, ICMP would make a ping socket.
pub(super) const IPPROTO_TCP: Ranges = &[(0, 0), (6, 6)];
pub(super) const IPPROTO_ICMP: u32 = 1;
pub(super) const IPPROTO_ICMPV6: u32 = 58;
pub(super) const IPPROTO_UDP: Ranges = &[(0, 0), (17, 17)];
pub(super) const NETLINK_ROUTE: u32 = 0;
/// `MSG_DONTROUTE`, `DONTWAIT`, `EOR`, `CONFIRM`, `NOSIGNAL`, `MORE`. Left out:
/// `FASTOPEN`, `ZEROCOPY`.
pub(super) const MSG_ADMITTED: u32 = 0xc8c4;
/// Urgent bytes, which UNIX sockets know as well.
pub(super) const MSG_OOB: u32 = 1;
