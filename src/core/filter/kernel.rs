//! Numbers of the kernel's interface that arguments are compared with, by the
//! names of its headers (`uapi/asm-generic`, `uapi/linux`). They are alike on
//! every processor that is built for.

// clone(2), unshare(2), setns(2): `linux/sched.h`.
/// `CLONE_NEWNS`, `NEWCGROUP`, `NEWUTS`, `NEWIPC`, `NEWUSER`, `NEWPID`, `NEWNET`.
pub(super) const CLONE_NAMESPACES: u64 = 0x7e02_0000;
/// With `CLONE_NEWTIME`, whose bit is part of a signal's number in clone(2).
pub(super) const NEW_NAMESPACES: u64 = CLONE_NAMESPACES | 0x80;
pub(super) const CLONE_PTRACE: u64 = 0x2000;
pub(super) const CLONE_PARENT: u64 = 0x8000;
pub(super) const CLONE_THREAD: u64 = 0x1_0000;
pub(super) const CLONE_UNTRACED: u64 = 0x0080_0000;
pub(super) const CLONE_NEWNET: u64 = 0x4000_0000;

// open(2), mknod(2), rename(2), fcntl(2): `asm-generic/fcntl.h`, `linux/fcntl.h`,
// `linux/stat.h`, `linux/fs.h`.
pub(super) const O_ACCMODE: u64 = 0o3;
pub(super) const O_WRONLY: u64 = 0o1;
pub(super) const O_RDWR: u64 = 0o2;
pub(super) const O_TRUNC: u64 = 0o1000;
/// `O_CREAT`, `__O_TMPFILE`.
pub(super) const CREATES: u64 = 0o20_000_100;
pub(super) const S_IFMT: u64 = 0o170_000;
pub(super) const S_IFREG: u64 = 0o100_000;
pub(super) const S_IFIFO: u64 = 0o010_000;
pub(super) const S_IFSOCK: u64 = 0o140_000;
/// `S_ISUID`, `S_ISGID`.
pub(super) const SET_ID_BITS: u64 = 0o6000;
pub(super) const F_SETOWN: u64 = 8;
pub(super) const F_SETSIG: u64 = 10;
pub(super) const F_SETOWN_EX: u64 = 15;
pub(super) const F_SETLEASE: u64 = 1024;
pub(super) const F_NOTIFY: u64 = 1026;
pub(super) const RENAME_WHITEOUT: u64 = 4;

// mmap(2), madvise(2), shmat(2), personality(2): `asm-generic/mman-common.h`,
// `linux/shm.h`, `linux/personality.h`.
pub(super) const PROT_WRITE: u64 = 2;
pub(super) const PROT_EXEC: u64 = 4;
pub(super) const MADV_HWPOISON: u64 = 100;
pub(super) const MADV_SOFT_OFFLINE: u64 = 101;
pub(super) const SHM_EXEC: u64 = 0o100_000;
pub(super) const PER_LINUX: u64 = 0;
/// Asks without setting.
pub(super) const PERSONALITY_QUERY: u64 = 0xffff_ffff;

// setpriority(2), ioprio_set(2): `linux/resource.h`, `linux/ioprio.h`.
pub(super) const PRIO_PROCESS: u64 = 0;
pub(super) const IOPRIO_WHO_PROCESS: u64 = 1;

// socket(2), send(2), tcp(7), netlink(7): `linux/socket.h`, `linux/net.h`,
// `linux/in.h`, `linux/tcp.h`, `linux/netlink.h`.
pub(super) const AF_UNIX: u64 = 1;
pub(super) const AF_INET: u64 = 2;
pub(super) const AF_INET6: u64 = 10;
pub(super) const AF_NETLINK: u64 = 16;
pub(super) const SOCK_STREAM: u64 = 1;
pub(super) const SOCK_DGRAM: u64 = 2;
pub(super) const SOCK_RAW: u64 = 3;
pub(super) const SOCK_SEQPACKET: u64 = 5;
/// The bits above are `SOCK_NONBLOCK` and `SOCK_CLOEXEC`.
pub(super) const SOCK_TYPE_MASK: u64 = 0xf;
pub(super) const IPPROTO_TCP: u64 = 6;
pub(super) const IPPROTO_UDP: u64 = 17;
pub(super) const NETLINK_ROUTE: u64 = 0;
pub(super) const MSG_FASTOPEN: u64 = 0x2000_0000;
pub(super) const SOL_TCP: u64 = 6;
pub(super) const TCP_REPAIR: u64 = 19;
pub(super) const TCP_ULP: u64 = 31;
