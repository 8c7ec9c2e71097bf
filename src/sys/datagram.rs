//! Sockets of the programs that collect a machine's records (man 7 unix):
//! datagrams, or a stream where an older program has that.
//!
//! What is sent is waited for in the kernel, but not for ever (`SO_SNDTIMEO`,
//! man 7 socket). So a full queue can't hang a launch, and write(2) is all
//! that a confined process needs.

use std::cell::Cell;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use crate::Error;
use crate::memfd;
use crate::stream;

/// How long one system call waits for room in the receiver's queue, in
/// seconds.
const PATIENCE: i64 = 1;

/// A connected socket.
#[derive(Debug)]
pub struct LogSocket {
    socket: OwnedFd,
    kind: SockType,
    /// A message was cut, so the next one would become a part of it.
    is_cut: Cell<bool>,
}

impl LogSocket {
    /// Connects to a socket for datagrams. Close-on-exec.
    ///
    /// # Errors
    /// As socket(2) and connect(2); `EPROTOTYPE` where it is for something
    /// else.
    pub fn datagram(path: &Path) -> Result<Self, Error> {
        Self::connect(path, SockType::Datagram).map_err(Error::at("connect", path))
    }

    /// Connects to a socket for datagrams, or for a stream, where messages end
    /// with a line feed (RFC 6587 section 3.4.2). Close-on-exec.
    ///
    /// # Errors
    /// As [`LogSocket::datagram`]; `EAGAIN` where nobody accepts the stream in
    /// time.
    pub fn datagram_or_stream(path: &Path) -> Result<Self, Error> {
        match Self::connect(path, SockType::Datagram) {
            Err(Errno::EPROTOTYPE) => Self::connect(path, SockType::Stream),
            other => other,
        }
        .map_err(Error::at("connect", path))
    }

    fn connect(path: &Path, kind: SockType) -> Result<Self, Errno> {
        let address = UnixAddr::new(path)?;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
        // connect(2) waits, too.
        setsockopt(&socket, sockopt::SendTimeout, &TimeVal::seconds(PATIENCE))?;
        connect(socket.as_raw_fd(), &address)?;
        Ok(Self {
            socket,
            kind,
            is_cut: Cell::new(false),
        })
    }

    /// Sends one message with write(2) alone. Allocates nothing. On a stream
    /// that the other side has closed it takes a process that ignores SIGPIPE.
    ///
    /// # Errors
    /// As write(2); `EMSGSIZE` for a datagram that is too large, `ETIMEDOUT`
    /// where the receiver's queue stayed full, `EPIPE` on a stream on which a
    /// message before was cut.
    pub fn send(&self, message: &[u8]) -> Result<(), Errno> {
        if self.kind == SockType::Datagram {
            // Whole or not at all.
            return stream::write_all(&self.socket, message, 0);
        }
        if self.is_cut.replace(true) {
            return Err(Errno::EPIPE);
        }
        stream::write_all(&self.socket, message, 0)?;
        stream::write_all(&self.socket, b"\n", 0)?;
        self.is_cut.set(false);
        Ok(())
    }

    /// Sends one message as a sealed memory file, as the journal takes those
    /// that are too large for a datagram.
    ///
    /// # Errors
    /// As memfd_create(2), write(2), fcntl(2), sendmsg(2).
    pub fn send_as_file(&self, message: &[u8]) -> Result<(), Error> {
        let failed = Error::call("send a record as a file");
        let file = memfd::sealed_bytes(c"record", message)?;
        let files = [file.as_raw_fd()];
        let control = [ControlMessage::ScmRights(&files)];
        let nothing: [IoSlice<'_>; 0] = [];
        loop {
            let fd = self.socket.as_fd().as_raw_fd();
            match sendmsg::<()>(fd, &nothing, &control, MsgFlags::MSG_NOSIGNAL, None) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Err(failed(Errno::ETIMEDOUT)),
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    #[test]
    fn a_datagram_arrives_whole_and_a_full_queue_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let sender = LogSocket::datagram(&path).unwrap();
        sender.send(b"one\ntwo").unwrap();
        let mut buffer = [0; 100];
        let length = receiver.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"one\ntwo");
        // However many the queue takes, it takes no million.
        let full = (0..1_000_000).find_map(|_| sender.send(b"x").err());
        assert_eq!(full, Some(Errno::ETIMEDOUT));
        receiver.recv(&mut buffer).unwrap();
        sender.send(b"room again").unwrap();
    }

    #[test]
    fn what_is_too_large_for_a_datagram_is_an_error_and_fits_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _receiver = UnixDatagram::bind(&path).unwrap();
        let sender = LogSocket::datagram(&path).unwrap();
        let large = vec![b'x'; 1 << 20];
        assert_eq!(sender.send(&large), Err(Errno::EMSGSIZE));
        sender.send_as_file(&large).unwrap();
    }

    #[test]
    fn a_stream_has_a_message_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let wrong = LogSocket::datagram(&path).unwrap_err();
        assert_eq!(wrong.errno(), Some(Errno::EPROTOTYPE));
        let sender = LogSocket::datagram_or_stream(&path).unwrap();
        sender.send(b"one").unwrap();
        sender.send(b"two").unwrap();
        let (mut receiver, _) = listener.accept().unwrap();
        drop(sender);
        let mut text = String::new();
        receiver.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");
    }

    #[test]
    fn a_cut_message_is_the_last_of_its_stream() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let sender = LogSocket::datagram_or_stream(&path).unwrap();
        let large = vec![b'x'; 16 << 20];
        assert_eq!(sender.send(&large), Err(Errno::ETIMEDOUT));
        let (receiver, _) = listener.accept().unwrap();
        assert_eq!(sender.send(b"short"), Err(Errno::EPIPE));
        drop(receiver);
    }

    #[test]
    fn a_receiver_that_is_gone_is_an_error_and_ends_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let [datagram, stream] = ["datagram", "stream"].map(|name| folder.path().join(name));
        let receiver = UnixDatagram::bind(&datagram).unwrap();
        let listener = UnixListener::bind(&stream).unwrap();
        let to_datagram = LogSocket::datagram_or_stream(&datagram).unwrap();
        let to_stream = LogSocket::datagram_or_stream(&stream).unwrap();
        drop(receiver);
        drop(listener);
        assert_eq!(to_datagram.send(b"x"), Err(Errno::ECONNREFUSED));
        assert_eq!(to_stream.send(b"x"), Err(Errno::EPIPE));
        let absent = LogSocket::datagram_or_stream(&folder.path().join("absent"));
        assert!(absent.unwrap_err().is_not_found());
    }
}
