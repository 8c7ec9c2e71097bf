//! The folder of a log and the files in it, reached through descriptors: the
//! names stay good when the process changes its root or working directory.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, Whence};

use crate::Error;
use crate::open::{self, Kind, Stat};
use crate::process;

/// A folder with a log in it.
#[derive(Debug)]
pub struct LogFolder {
    folder: OwnedFd,
    path: PathBuf,
    /// Owner of the folder.
    owner: u32,
}

/// What opening a file of the log is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Appending records. The file is there.
    Append,
    /// Appending records to a new file. It is not there yet.
    Create,
    /// Reading and overwriting; made if it is missing.
    Update,
    /// Reading alone.
    Read,
}

/// Why a file is no log.
fn trap(path: &Path, what: impl std::fmt::Display) -> Error {
    let shown = secure_exec_core::escape::Escaped(&path.to_string_lossy()).to_string();
    Error::unexpected("open for appending", format!("'{shown}': {what}"))
}

impl LogFolder {
    /// Opens a folder, following symbolic links.
    ///
    /// # Errors
    /// As open(2); or everybody can write the folder, so that anybody could
    /// put another log in the place of this one.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let folder = open::open_dir(path)?;
        let stat = open::stat(folder.as_fd())?;
        if stat.mode & 0o002 != 0 && stat.mode & 0o1000 == 0 {
            let mode = stat.mode;
            return Err(trap(
                path,
                format!("everybody can exchange files in this folder (mode {mode:04o})"),
            ));
        }
        Ok(Self {
            folder,
            path: path.to_path_buf(),
            owner: stat.uid,
        })
    }

    /// What the folder is.
    ///
    /// # Errors
    /// As fstat(2).
    pub fn stat(&self) -> Result<Stat, Error> {
        open::stat(self.folder.as_fd())
    }

    /// Opens a file of the folder. New ones have mode 0600. The file must be a
    /// regular one with a single name, which belongs to root, this user
    /// or the folder's owner, and neither can be executed nor written by
    /// others: anything else is not a log but a trap.
    ///
    /// # Errors
    /// As open(2); the file is not a plain one.
    pub fn open_file(&self, name: &str, purpose: Purpose) -> Result<(LogFile, Stat), Error> {
        let path = self.path.join(name);
        let purpose_flags = match purpose {
            // Reading: its end tells a writer where the chain has got to.
            Purpose::Append => OFlag::O_RDWR | OFlag::O_APPEND,
            Purpose::Create => OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_EXCL,
            Purpose::Update => OFlag::O_RDWR | OFlag::O_CREAT,
            Purpose::Read => OFlag::O_RDONLY,
        };
        let flags = purpose_flags
            | OFlag::O_CLOEXEC
            | OFlag::O_NOFOLLOW
            // Opening a FIFO must not wait for its other end. A regular file
            // does not know the flag.
            | OFlag::O_NONBLOCK
            | OFlag::O_NOCTTY;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let file =
            nix::fcntl::openat(self.folder.as_fd(), name, flags, mode).map_err(
                |errno| match self.stat_file(name) {
                    Ok(Some(stat)) if stat.kind == Kind::Symlink => {
                        trap(&path, "it is a symbolic link, not a plain file")
                    }
                    _ => Error::at("open for appending", &path)(errno),
                },
            )?;
        let stat = open::stat(file.as_fd())?;
        if let Some(what) = flaw(&stat, self.owner) {
            return Err(trap(&path, what));
        }
        Ok((LogFile(file), stat))
    }

    /// What a file of the folder is, without following a link; `None` where
    /// there is none.
    ///
    /// # Errors
    /// As fstatat(2).
    pub fn stat_file(&self, name: &str) -> Result<Option<Stat>, Errno> {
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        match nix::sys::stat::fstatat(self.folder.as_fd(), name, flags) {
            Ok(raw) => Ok(Some(raw.into())),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Renames a file within the folder; never onto another (renameat2(2),
    /// Linux 3.15).
    ///
    /// # Errors
    /// As renameat2(2), `EEXIST` where the new name is taken.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let path = self.path.join(from);
        let failed = Error::at("rename", &path);
        let text = |name: &str| CString::new(name).map_err(|_| failed(Errno::EINVAL));
        let (from, to) = (text(from)?, text(to)?);
        let folder = self.folder.as_raw_fd();
        // Not every C library has a function for it.
        // SAFETY: both names are NUL-terminated and live through the call, and
        // the kernel writes no memory.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_renameat2,
                folder,
                from.as_ptr(),
                folder,
                to.as_ptr(),
                libc::RENAME_NOREPLACE,
            )
        };
        Errno::result(answer).map(drop).map_err(&failed)
    }

    /// Removes a file of the folder.
    ///
    /// # Errors
    /// As unlinkat(2).
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        nix::unistd::unlinkat(self.folder.as_fd(), name, UnlinkatFlags::NoRemoveDir)
            .map_err(Error::at("remove", &self.path.join(name)))
    }

    /// The names in the folder that are text.
    ///
    /// # Errors
    /// As getdents(2).
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let failed = Error::at("list", &self.path);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut listing =
            Dir::openat(self.folder.as_fd(), ".", flags, Mode::empty()).map_err(&failed)?;
        let mut names = Vec::new();
        for entry in listing.iter() {
            let entry = entry.map_err(&failed)?;
            if let Ok(name) = entry.file_name().to_str() {
                names.push(name.to_string());
            }
        }
        Ok(names)
    }

    /// Brings the folder's entries to the disk.
    ///
    /// # Errors
    /// As fsync(2).
    pub fn sync(&self) -> Result<(), Error> {
        nix::unistd::fsync(self.folder.as_fd()).map_err(Error::at("sync", &self.path))
    }
}

fn flaw(stat: &Stat, owner: u32) -> Option<String> {
    let owners = [0, process::effective_user(), owner];
    if stat.kind != Kind::Regular {
        Some(format!("it is {}, not a plain file", stat.kind))
    } else if stat.nlink != 1 {
        Some(format!("it has {} names, not one", stat.nlink))
    } else if !owners.contains(&stat.uid) {
        Some(format!("it belongs to another user ({})", stat.uid))
    } else if stat.mode & 0o022 != 0 {
        Some(format!(
            "others than its owner can write it (mode {:04o})",
            stat.mode
        ))
    } else if stat.mode & 0o7111 != 0 {
        Some(format!(
            "it can be executed, and a log never is a program (mode {:04o})",
            stat.mode
        ))
    } else {
        None
    }
}

/// An open file of a log.
#[derive(Debug)]
pub struct LogFile(OwnedFd);

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

/// The folder and the name of a path; `None` where it names no file.
#[must_use]
pub fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    let name = path.file_name()?;
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    Some((folder.unwrap_or(Path::new(".")), name))
}
