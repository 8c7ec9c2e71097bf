//! What the descriptors that a caller hands over are good for, asked of the
//! kernel: the three standard streams, and others that it leaves open.

use std::fmt;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::socket::{SockaddrStorage, getpeername};
use nix::sys::statfs::{self, FsType, fstatfs};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::Error;
use crate::open::{self, Kind, Stat};

/// The standard streams, in the order of their numbers.
pub const STREAMS: [Stream; 3] = [Stream::Input, Stream::Output, Stream::Error];

/// A standard stream, or another descriptor that the caller hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 0.
    Input,
    /// Descriptor 1.
    Output,
    /// Descriptor 2.
    Error,
    /// One above 2.
    Passed(Passed),
}

/// A descriptor above 2 that the caller left open for its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed(RawFd);

impl Passed {
    /// The descriptor of this number, if the caller left it open. What the
    /// launcher opens is close-on-exec from the first, and nothing of that kind
    /// came through its own exec: a number that it took since is not the
    /// caller's.
    #[must_use]
    pub fn find(number: u32) -> Option<Self> {
        let number = RawFd::try_from(number).ok()?;
        if number <= libc::STDERR_FILENO {
            return None;
        }
        // SAFETY: the command takes nothing and touches no memory.
        let flags = unsafe { libc::syscall(libc::SYS_fcntl, number, libc::F_GETFD) };
        let is_left_open = flags >= 0 && flags & i64::from(libc::FD_CLOEXEC) == 0;
        is_left_open.then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0.unsigned_abs()
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("standard input"),
            Self::Output => f.write_str("standard output"),
            Self::Error => f.write_str("standard error"),
            Self::Passed(Passed(number)) => write!(f, "descriptor {number}"),
        }
    }
}

impl Stream {
    /// The descriptor. Not through the standard library's streams, which
    /// would make a buffer for each.
    #[must_use]
    pub const fn file(self) -> BorrowedFd<'static> {
        let number = match self {
            Self::Input => libc::STDIN_FILENO,
            Self::Output => libc::STDOUT_FILENO,
            Self::Error => libc::STDERR_FILENO,
            Self::Passed(Passed(number)) => number,
        };
        // SAFETY: the three stay open as long as the process lives: Rust's
        // runtime opens `/dev/null` where a caller left none. Another was open
        // and nobody's in this process when it was found. Nothing here closes
        // what it did not open before the plugin has it.
        unsafe { BorrowedFd::borrow_raw(number) }
    }

    /// What it is.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn stat(self) -> Result<Stat, Error> {
        open::stat(self.file())
    }
}

/// What can be done with a file through its descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Its bytes can be read, or mapped.
    pub reads: bool,
    /// Its bytes can be changed.
    pub writes: bool,
}

/// What can be done with a regular file that a stream is.
///
/// # Errors
/// As fcntl(2).
pub fn access(stream: Stream, stat: &Stat) -> Result<Access, Error> {
    let file = stream.file();
    let flags = flags(stream)?;
    let mode = flags & OFlag::O_ACCMODE;
    let is_reference = flags.contains(OFlag::O_PATH);
    let access = Access {
        reads: !is_reference && mode != OFlag::O_WRONLY,
        writes: !is_reference && mode != OFlag::O_RDONLY,
    };
    if stat.nlink > 0 {
        return Ok(access);
    }
    // Only files in memory have seals (man 2 F_GET_SEALS). One that has no name
    // can be opened again through /proc for whatever its mode lets, since
    // Landlock asks nothing where a file lies in no folder.
    Ok(match fcntl(file, FcntlArg::F_GET_SEALS) {
        Err(_) => access,
        Ok(bits) => Access {
            reads: true,
            writes: !SealFlag::from_bits_retain(bits)
                .intersects(SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_FUTURE_WRITE),
        },
    })
}

fn flags(stream: Stream) -> Result<OFlag, Error> {
    let flags = fcntl(stream.file(), FcntlArg::F_GETFL);
    let flags = flags.map_err(Error::call("examine a descriptor's flags"))?;
    Ok(OFlag::from_bits_retain(flags))
}

/// Whether a descriptor only names a file (`O_PATH`).
///
/// # Errors
/// As fcntl(2).
pub fn is_reference(stream: Stream) -> Result<bool, Error> {
    Ok(flags(stream)?.contains(OFlag::O_PATH))
}

/// Whether a regular file is bytes that somebody stored, and not one by which
/// the kernel is asked, told or held: files of processes, settings, groups,
/// namespaces. A file system of a disk is known by its device; of the others
/// those in the list count.
///
/// # Errors
/// As fstatfs(2).
pub fn is_stored(stream: Stream, stat: &Stat) -> Result<bool, Error> {
    #[allow(clippy::useless_conversion, reason = "32 bits elsewhere")]
    if libc::major(stat.dev.into()) != 0 {
        return Ok(true);
    }
    let found = fstatfs(stream.file());
    let found = found.map_err(Error::call("examine a descriptor's file system"))?;
    Ok(STORES.contains(&found.filesystem_type()))
}

/// File systems without a device of their own (`linux/magic.h`, and of those
/// that are not in the kernel's tree or have no name there their own headers).
const STORES: &[FsType] = &[
    statfs::TMPFS_MAGIC,
    statfs::OVERLAYFS_SUPER_MAGIC,
    statfs::BTRFS_SUPER_MAGIC,
    statfs::NFS_SUPER_MAGIC,
    statfs::FUSE_SUPER_MAGIC,
    FsType(0x8584_58f6), // ramfs
    FsType(0x0102_1997), // 9p
    FsType(0xff53_4d42), // cifs
    FsType(0xfe53_4d42), // smb2
    FsType(0x00c3_6400), // ceph
    FsType(0x2fc1_2fc1), // zfs
    FsType(0xca45_1a4e), // bcachefs
    FsType(0x5346_414f), // afs
    FsType(0x0000_f15f), // ecryptfs
    FsType(0x2405_1905), // ubifs
    FsType(0x0000_72b6), // jffs2
    FsType(0x786f_4256), // vboxsf
];

/// Whether a descriptor is a terminal.
#[must_use]
pub fn is_terminal(stream: Stream) -> bool {
    nix::unistd::isatty(stream.file()) == Ok(true)
}

/// Whether a device is the side of a pseudo-terminal that stands for its user
/// (man 7 pty): what is written there counts as typed. Told by the numbers of
/// the kernel's `devices.txt`: 5:2 (`ptmx`), 128 to 135, and BSD's 2.
#[must_use]
pub fn is_terminal_master(stat: &Stat) -> bool {
    #[allow(clippy::useless_conversion, reason = "32 bits elsewhere")]
    let device = stat.rdev.into();
    let numbers = (libc::major(device), libc::minor(device));
    stat.kind == Kind::CharDevice && matches!(numbers, (5, 2) | (2 | 128..=135, _))
}

/// What the kernel calls an object that lies in no file system, such as
/// `eventfd`; `None` where there is another name.
///
/// # Errors
/// `/proc` is not there.
pub fn anonymous_kind(stream: Stream) -> Result<Option<String>, Error> {
    let link = format!("/proc/self/fd/{}", stream.file().as_raw_fd());
    let name = std::fs::read_link(&link).map_err(Error::io("examine a descriptor by its name"))?;
    let name = name.to_string_lossy();
    let kind = name.strip_prefix("anon_inode:");
    Ok(kind.map(|kind| kind.trim_matches(['[', ']']).to_string()))
}

/// The number by which the kernel knows a device node.
///
/// # Errors
/// As stat(2).
pub fn device(path: &std::path::Path) -> Result<(Kind, u64), Error> {
    let stat = open::stat_path(path, true)?;
    Ok((stat.kind, stat.rdev))
}

/// Whether a stream's file lies where none can be mapped executable: on a
/// `noexec` mount.
///
/// # Errors
/// As fstatvfs(3).
pub fn is_on_noexec(stream: Stream) -> Result<bool, Error> {
    let found = fstatvfs(stream.file());
    let found = found.map_err(Error::call("examine a standard stream's mount"))?;
    Ok(found.flags().contains(FsFlags::ST_NOEXEC))
}

/// What a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// What addresses it has.
    pub family: Family,
    /// Bytes to one peer, in order: `SOCK_STREAM` or `SOCK_SEQPACKET`.
    pub is_stream: bool,
    /// It has a peer.
    pub is_connected: bool,
    /// It serves others.
    pub listens: bool,
}

/// What addresses a socket has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// UNIX sockets.
    Unix,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Netlink.
    Netlink,
    /// Anything else.
    Other,
}

impl Family {
    /// A word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unix => "UNIX",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Netlink => "netlink",
            Self::Other => "other",
        }
    }
}

/// What kind of socket a stream is.
///
/// # Errors
/// As getsockopt(2).
pub fn socket(stream: Stream) -> Result<Socket, Error> {
    let file = stream.file();
    let kind = option(file, libc::SO_TYPE)?;
    let listens = option(file, libc::SO_ACCEPTCONN)? != 0;
    let family = match option(file, libc::SO_DOMAIN)? {
        libc::AF_UNIX => Family::Unix,
        libc::AF_NETLINK => Family::Netlink,
        libc::AF_INET | libc::AF_INET6 => match option(file, libc::SO_PROTOCOL)? {
            libc::IPPROTO_TCP => Family::Tcp,
            libc::IPPROTO_UDP => Family::Udp,
            _ => Family::Other,
        },
        _ => Family::Other,
    };
    let peer = getpeername::<SockaddrStorage>(file.as_raw_fd());
    Ok(Socket {
        family,
        is_stream: matches!(kind, libc::SOCK_STREAM | libc::SOCK_SEQPACKET),
        is_connected: peer.is_ok(),
        listens,
    })
}

fn option(file: BorrowedFd<'_>, name: libc::c_int) -> Result<libc::c_int, Error> {
    let mut value: libc::c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of_val(&value)).unwrap_or(0);
    // SAFETY: the kernel writes at most `length` bytes into `value`, and the
    // length; both live through the call.
    let answer = unsafe {
        libc::getsockopt(
            file.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    Errno::result(answer)
        .map(|_| value)
        .map_err(Error::call("examine a socket that was handed over"))
}
