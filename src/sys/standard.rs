//! What the three descriptors that a caller hands over are good for, asked of
//! the kernel.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::socket::{SockaddrStorage, getpeername};
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::Error;
use crate::open::{self, Stat};

/// The standard streams, in the order of their numbers.
pub const STREAMS: [Stream; 3] = [Stream::Input, Stream::Output, Stream::Error];

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 0.
    Input,
    /// Descriptor 1.
    Output,
    /// Descriptor 2.
    Error,
}

impl Stream {
    /// As messages call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "standard input",
            Self::Output => "standard output",
            Self::Error => "standard error",
        }
    }

    /// The descriptor. Not through the standard library's streams, which
    /// would make a buffer for each.
    #[must_use]
    pub const fn file(self) -> BorrowedFd<'static> {
        let number = match self {
            Self::Input => libc::STDIN_FILENO,
            Self::Output => libc::STDOUT_FILENO,
            Self::Error => libc::STDERR_FILENO,
        };
        // SAFETY: these three stay open as long as the process lives: Rust's
        // runtime opens `/dev/null` where a caller left none, and nothing here
        // closes them before the plugin has them.
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
    let failed = Error::call("examine a standard stream");
    let file = stream.file();
    let flags = OFlag::from_bits_retain(fcntl(file, FcntlArg::F_GETFL).map_err(&failed)?);
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

/// What kind of socket a stream is.
///
/// # Errors
/// As getsockopt(2).
pub fn socket(stream: Stream) -> Result<Socket, Error> {
    let file = stream.file();
    let kind = option(file, libc::SO_TYPE)?;
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
        .map_err(Error::call("examine a socket that is a standard stream"))
}
