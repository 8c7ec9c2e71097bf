//! Appending whole lines to a file that other processes append to as well.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::Whence;

use crate::Error;
use crate::open::{self, Kind};

/// A file for appending.
#[derive(Debug)]
pub struct AppendFile(OwnedFd);

/// How long a stuck holder of the lock is waited for: tries, and the pause
/// between them.
const TRIES: u32 = 5000;
static PAUSE: libc::timespec = libc::timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};

fn trap(what: &str) -> Error {
    Error::unexpected("open for appending", format!("{what}, not a plain file"))
}

impl AppendFile {
    /// Opens or creates (mode 0600) a file for appending. The last part of the
    /// path may not be a symbolic link, and the file must be a regular one
    /// with a single name: anything else is not a log but a trap; a file
    /// that everybody can write keeps no record.
    ///
    /// # Errors
    /// As open(2); the file is not a plain one.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let flags = OFlag::O_WRONLY
            | OFlag::O_APPEND
            | OFlag::O_CREAT
            | OFlag::O_CLOEXEC
            | OFlag::O_NOFOLLOW
            | OFlag::O_NONBLOCK
            | OFlag::O_NOCTTY;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let file = open::open_with(path, flags, mode).map_err(|errno| {
            match open::stat_path(path, false) {
                Ok(stat) if stat.kind == Kind::Symlink => trap("it is a symbolic link"),
                _ => Error::at("open for appending", path)(errno),
            }
        })?;
        let stat = open::stat(file.as_fd())?;
        if stat.kind != Kind::Regular {
            return Err(trap(&format!("it is {}", stat.kind)));
        }
        if stat.nlink != 1 {
            return Err(trap(&format!("it has {} names", stat.nlink)));
        }
        if stat.mode & 0o002 != 0 {
            let what = format!("everybody can write it (mode {:04o})", stat.mode);
            return Err(Error::unexpected("open for appending", what));
        }
        // Only a FIFO had to be kept from blocking.
        fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))
            .map_err(Error::at("open for appending", path))?;
        Ok(Self(file))
    }

    /// Appends a line in one write under the file's lock. Allocates nothing.
    ///
    /// # Errors
    /// As flock(2) and write(2); `ETIMEDOUT` where another process held the
    /// lock for five seconds, `ENOSPC` where the line did not fit whole. What
    /// was written of it is cut off again, so that the next line stands alone.
    pub fn append(&self, line: &[u8]) -> Result<(), Errno> {
        self.lock()?;
        let written = self.write(line);
        self.flock(libc::LOCK_UN)?;
        written
    }

    fn write(&self, line: &[u8]) -> Result<(), Errno> {
        // Not fstat(3), behind which C libraries make different calls.
        let before = nix::unistd::lseek(&self.0, 0, Whence::SeekEnd)?;
        loop {
            match nix::unistd::write(&self.0, line) {
                Ok(count) if count == line.len() => return Ok(()),
                Ok(_) => {
                    nix::unistd::ftruncate(&self.0, before)?;
                    return Err(Errno::ENOSPC);
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    fn lock(&self) -> Result<(), Errno> {
        for _ in 0..TRIES {
            match self.flock(libc::LOCK_EX | libc::LOCK_NB) {
                Err(Errno::EWOULDBLOCK) => {
                    pause();
                }
                Err(Errno::EINTR) => {}
                other => return other,
            }
        }
        Err(Errno::ETIMEDOUT)
    }

    fn flock(&self, operation: libc::c_int) -> Result<(), Errno> {
        // SAFETY: the call takes plain integers and touches no memory.
        Errno::result(unsafe { libc::flock(self.0.as_raw_fd(), operation) }).map(drop)
    }
}

/// By nanosleep(2): behind nanosleep(3), C libraries make different calls. A
/// pause that a signal ends is one more try.
fn pause() {
    let rest = std::ptr::null_mut::<libc::timespec>();
    // SAFETY: the kernel reads one timespec and writes nothing.
    unsafe { libc::syscall(libc::SYS_nanosleep, &raw const PAUSE, rest) };
}
