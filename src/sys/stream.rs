//! Writing whole messages where a write may end early: standard error, and
//! sockets.

use std::os::fd::AsFd;

use nix::errno::Errno;

use crate::lock::sleep;

/// How often standard error is tried again where it has no room, and the
/// pause before each, in nanoseconds: a second in all.
const TRIES: u32 = 1000;
const PAUSE: u64 = 1_000_000;

/// Writes to standard error. Waits as long as its reader takes; but a file
/// that does not block, as a caller may have made it, for a second. Allocates
/// nothing.
///
/// # Errors
/// As write(2); `ETIMEDOUT` where there was no room. A part may be written.
pub fn write_to_stderr(bytes: &[u8]) -> Result<(), Errno> {
    write_all(&std::io::stderr(), bytes, TRIES)
}

/// Writes all. Allocates nothing.
pub(crate) fn write_all(file: &impl AsFd, mut bytes: &[u8], tries: u32) -> Result<(), Errno> {
    let mut left = tries;
    while !bytes.is_empty() {
        match nix::unistd::write(file, bytes) {
            Ok(0) => return Err(Errno::EIO),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) if left > 0 => {
                left -= 1;
                sleep(PAUSE);
            }
            Err(Errno::EAGAIN) => return Err(Errno::ETIMEDOUT),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn more_than_a_pipe_holds_is_written_whole_as_it_is_read() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let flags = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
        nix::fcntl::fcntl(&writer, flags).unwrap();
        let large = vec![b'x'; 1 << 20];
        let read = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            all
        });
        write_all(&writer, &large, TRIES).unwrap();
        drop(writer);
        assert!(read.join().unwrap() == large);
    }

    #[test]
    fn nobody_who_reads_is_not_waited_for_for_ever() {
        let (reader, writer) = std::io::pipe().unwrap();
        let flags = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
        nix::fcntl::fcntl(&writer, flags).unwrap();
        let large = vec![b'x'; 1 << 20];
        assert_eq!(write_all(&writer, &large, 2), Err(Errno::ETIMEDOUT));
        drop(reader);
        assert_eq!(write_all(&writer, &large, 2), Err(Errno::EPIPE));
    }
}
