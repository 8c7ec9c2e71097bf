//! An open file of a log. What a confined writer does with it allocates
//! nothing.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, Whence};

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

    /// Gives the file the time of another's last change, and as many people
    /// rights as has that.
    ///
    /// # Errors
    /// As futimens(3) and [`LogFile::take_access`].
    pub fn take_after(&self, other: &Self) -> Result<(), Error> {
        let failed = Error::call("take over the time");
        let raw = nix::sys::stat::fstat(&other.0).map_err(&failed)?;
        let time = nix::sys::time::TimeSpec::new(raw.st_mtime, raw.st_mtime_nsec);
        nix::sys::stat::futimens(&self.0, &time, &time).map_err(&failed)?;
        self.take_access(other)
    }

    /// Gives the file another's owner, group, access list and mode.
    ///
    /// # Errors
    /// As fchown(2), fsetxattr(2) and fchmod(2). What can be taken over is.
    pub fn take_access(&self, other: &Self) -> Result<(), Error> {
        let (theirs, own) = (other.stat()?, self.stat()?);
        let mut all = Ok(());
        if (own.uid, own.gid) != (theirs.uid, theirs.gid) {
            let differs = |own, theirs| (own != theirs).then_some(theirs);
            let user = differs(own.uid, theirs.uid).map(Uid::from_raw);
            let group = differs(own.gid, theirs.gid).map(Gid::from_raw);
            all = nix::unistd::fchown(&self.0, user, group)
                .map_err(Error::call("take over the owner"));
        }
        let list = access_list(&other.0).and_then(|list| set_access_list(&self.0, &list));
        all = all.and(list.map_err(Error::call("take over the access list")));
        // The list's mask is part of it.
        let mode = Mode::from_bits_truncate(theirs.mode & 0o644 | 0o600);
        let mode = nix::sys::stat::fchmod(&self.0, mode);
        all.and(mode.map_err(Error::call("take over the mode")))
    }

    /// Copies all of the file behind the end of another.
    ///
    /// # Errors
    /// As read(2) and write(2), `ENOSPC` before anything is written where there
    /// is no room.
    pub fn copy_to(&self, other: &Self) -> Result<(), Error> {
        let failed = Error::call("copy");
        let size = self.stat()?.size;
        let system = nix::sys::statvfs::fstatvfs(&other.0).map_err(&failed)?;
        let room = system
            .blocks_available()
            .saturating_mul(system.fragment_size());
        if room < size {
            return Err(failed(Errno::ENOSPC));
        }
        let mut buffer = vec![0; 1 << 16];
        let mut offset = 0;
        loop {
            let count = self.read_at(&mut buffer, offset).map_err(&failed)?;
            let mut left = buffer.get(..count).unwrap_or_default();
            if left.is_empty() {
                return Ok(());
            }
            while !left.is_empty() {
                match nix::unistd::write(&other.0, left) {
                    Ok(written) => left = left.get(written..).unwrap_or_default(),
                    Err(Errno::EINTR) => {}
                    Err(errno) => return Err(failed(errno)),
                }
            }
            offset = offset.saturating_add(count as u64);
        }
    }

    /// What a failed [`LogFile::sync`] is.
    #[must_use]
    pub fn unsynced(errno: Errno) -> Error {
        Error::call("bring to the disk")(errno)
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

/// The attribute that holds a file's access list (man 5 acl).
const ACCESS_LIST: &CStr = c"system.posix_acl_access";

/// A file's access list; empty where it has none.
fn access_list(file: &OwnedFd) -> Result<Vec<u8>, Errno> {
    // As large as an attribute can be.
    let mut list = vec![0_u8; 1 << 16];
    // SAFETY: the name is NUL-terminated, and the kernel writes at most
    // `list.len()` bytes into `list`; both live through the call.
    let size = unsafe {
        libc::fgetxattr(
            file.as_raw_fd(),
            ACCESS_LIST.as_ptr(),
            list.as_mut_ptr().cast(),
            list.len(),
        )
    };
    match Errno::result(size) {
        Ok(size) => {
            list.truncate(size.unsigned_abs());
            Ok(list)
        }
        Err(Errno::ENODATA | Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(Vec::new()),
        Err(errno) => Err(errno),
    }
}

fn set_access_list(file: &OwnedFd, list: &[u8]) -> Result<(), Errno> {
    let (number, name) = (file.as_raw_fd(), ACCESS_LIST.as_ptr());
    if list.is_empty() {
        // A folder may give its files one.
        // SAFETY: the name is NUL-terminated and lives through the call.
        let removed = unsafe { libc::fremovexattr(number, name) };
        return match Errno::result(removed) {
            Err(Errno::ENODATA | Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
            other => other.map(drop),
        };
    }
    // SAFETY: the name is NUL-terminated, and the kernel reads `list.len()`
    // bytes of `list`; both live through the call.
    let set = unsafe { libc::fsetxattr(number, name, list.as_ptr().cast(), list.len(), 0) };
    Errno::result(set).map(drop)
}

impl AsFd for LogFile {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
