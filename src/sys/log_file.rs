//! An open file of a log. What a confined writer does with it allocates
//! nothing.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::Whence;

use crate::Error;
use crate::open::{self, Stat};

/// An open file of a log.
#[derive(Debug)]
pub struct LogFile(pub(crate) OwnedFd);

impl LogFile {
    /// What it is.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn stat(&self) -> Result<Stat, Error> {
        open::stat(self.0.as_fd())
    }

    /// Its size in bytes, without examining it: behind fstat(3), C libraries
    /// make different calls.
    ///
    /// # Errors
    /// As lseek(2).
    pub fn size(&self) -> Result<u64, Errno> {
        let end = nix::unistd::lseek(&self.0, 0, Whence::SeekEnd)?;
        Ok(u64::try_from(end).unwrap_or_default())
    }

    /// Appends a line that begins at `end`, in one write. Allocates nothing.
    ///
    /// # Errors
    /// As write(2), `ENOSPC` where the line did not fit whole. What was
    /// written of it is cut off again, so that the next line stands alone.
    pub fn append(&self, line: &[u8], end: u64) -> Result<(), Errno> {
        loop {
            match nix::unistd::write(&self.0, line) {
                Ok(count) if count == line.len() => return Ok(()),
                Ok(_) => {
                    self.cut(end)?;
                    return Err(Errno::ENOSPC);
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Cuts the file off.
    ///
    /// # Errors
    /// As ftruncate(2).
    pub fn cut(&self, size: u64) -> Result<(), Errno> {
        let size = i64::try_from(size).map_err(|_| Errno::EFBIG)?;
        nix::unistd::ftruncate(&self.0, size)
    }

    /// Reads from an offset until `into` is full or the file ends; returns how
    /// much was read. Allocates nothing.
    ///
    /// # Errors
    /// As pread(2).
    pub fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, Errno> {
        let mut read = 0;
        while let Some(rest) = into.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let at =
                i64::try_from(offset.saturating_add(read as u64)).map_err(|_| Errno::EOVERFLOW)?;
            match nix::sys::uio::pread(&self.0, rest, at) {
                Ok(0) => break,
                Ok(count) => read = read.saturating_add(count),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(read)
    }

    /// Overwrites the file's beginning. Allocates nothing.
    ///
    /// # Errors
    /// As pwrite(2), `ENOSPC` where not all was written.
    pub fn overwrite(&self, bytes: &[u8]) -> Result<(), Errno> {
        loop {
            match nix::sys::uio::pwrite(&self.0, bytes, 0) {
                Ok(count) if count == bytes.len() => return Ok(()),
                Ok(_) => return Err(Errno::ENOSPC),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Brings the file's bytes to the disk.
    ///
    /// # Errors
    /// As fdatasync(2).
    pub fn sync(&self) -> Result<(), Errno> {
        nix::unistd::fdatasync(&self.0)
    }

    /// Gives the file the time of another's last change, and its mode.
    ///
    /// # Errors
    /// As futimens(3) and fchmod(2).
    pub fn take_after(&self, other: &Self) -> Result<(), Error> {
        let failed = Error::call("take over time and mode");
        let raw = nix::sys::stat::fstat(&other.0).map_err(&failed)?;
        let time = nix::sys::time::TimeSpec::new(raw.st_mtime, raw.st_mtime_nsec);
        nix::sys::stat::futimens(&self.0, &time, &time).map_err(&failed)?;
        let mode = Mode::from_bits_truncate(raw.st_mode & 0o644);
        nix::sys::stat::fchmod(&self.0, mode).map_err(&failed)
    }

    /// Seconds since 1970 of the last change.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn changed(&self) -> Result<i64, Errno> {
        nix::sys::stat::fstat(&self.0).map(|raw| raw.st_mtime)
    }

    /// The file for reading and writing with the standard library.
    #[must_use]
    pub fn into_file(self) -> std::fs::File {
        self.0.into()
    }
}

impl AsFd for LogFile {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
