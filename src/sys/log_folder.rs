//! The folder of a log and the files in it, reached through descriptors: the
//! names stay good when the process changes its root or working directory.

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::Mode;
use nix::unistd::UnlinkatFlags;

use crate::Error;
use crate::log_file::LogFile;
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
    /// Locking alone, which takes the right to write; made if it is missing.
    Lock,
    /// Reading alone.
    Read,
}

impl Purpose {
    const fn flags(self) -> OFlag {
        match self {
            // Reading: its end tells a writer where the chain has got to.
            Self::Append | Self::Create => OFlag::O_RDWR.union(OFlag::O_APPEND),
            Self::Update => OFlag::O_RDWR,
            Self::Lock => OFlag::O_WRONLY,
            Self::Read => OFlag::O_RDONLY,
        }
    }

    /// Of a new file.
    const fn mode(self) -> Mode {
        match self {
            Self::Lock => Mode::S_IWUSR,
            _ => Mode::S_IRUSR.union(Mode::S_IWUSR),
        }
    }
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
                format!(
                    "everybody can exchange files in this folder (mode {mode:04o}); name a log in a folder of its own beneath \
                     it, which the launch makes, or make this one sticky (chmod +t)"
                ),
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

    /// Opens a file of the folder. New ones have mode 0600, and one for locks
    /// 0200, whatever the umask. The file must be a regular one with a single
    /// name, which belongs to root, this user or the folder's owner, and
    /// neither can be executed nor written by others: anything else is not a
    /// log but a trap. One for locks nobody may read (see
    /// [`lock`](mod@crate::lock)). A file that has lost its name since it was
    /// opened was rotated and packed: there is another by then.
    ///
    /// # Errors
    /// As open(2); the file is not a plain one.
    pub fn open_file(&self, name: &str, purpose: Purpose) -> Result<(LogFile, Stat), Error> {
        for _ in 1..open::LOOKS {
            match self.open_once(name, purpose) {
                Err(Error::Replaced { .. }) => {}
                opened => return opened,
            }
        }
        self.open_once(name, purpose)
    }

    fn open_once(&self, name: &str, purpose: Purpose) -> Result<(LogFile, Stat), Error> {
        let path = self.path.join(name);
        let opened = match purpose {
            Purpose::Create => self.make_file(name, purpose),
            Purpose::Append | Purpose::Read => self.open_there(name, purpose, OFlag::empty()),
            Purpose::Update | Purpose::Lock => {
                match self.open_there(name, purpose, OFlag::empty()) {
                    Err(Errno::ENOENT) => match self.make_file(name, purpose) {
                        // Another launch made it.
                        Err(Errno::EEXIST) => self.open_there(name, purpose, OFlag::empty()),
                        made => made,
                    },
                    opened => opened,
                }
            }
        };
        let file = opened.map_err(|errno| match self.stat_file(name) {
            Ok(Some(stat)) if stat.kind == Kind::Symlink => {
                trap(&path, "it is a symbolic link, not a plain file")
            }
            _ => Error::at("open for appending", &path)(errno),
        })?;
        let stat = open::stat(file.as_fd())?;
        if stat.kind == Kind::Regular && stat.nlink == 0 {
            let operation = "open the audit log";
            return Err(Error::Replaced { operation });
        }
        let flaw = flaw(&stat, self.owner).or_else(|| match purpose {
            Purpose::Lock => readable(&stat),
            _ => None,
        });
        match flaw {
            Some(what) => Err(trap(&path, what)),
            None => Ok((LogFile(file), stat)),
        }
    }

    fn make_file(&self, name: &str, purpose: Purpose) -> Result<OwnedFd, Errno> {
        let file = self.open_there(name, purpose, OFlag::O_CREAT | OFlag::O_EXCL)?;
        // A umask may take its own owner's rights away. Who need not change the
        // mode may be one who must not.
        if nix::sys::stat::fstat(&file)?.st_mode & 0o7777 != purpose.mode().bits() {
            nix::sys::stat::fchmod(&file, purpose.mode())?;
        }
        Ok(file)
    }

    fn open_there(&self, name: &str, purpose: Purpose, more: OFlag) -> Result<OwnedFd, Errno> {
        let flags = purpose.flags()
            | more
            | OFlag::O_CLOEXEC
            | OFlag::O_NOFOLLOW
            // Opening a FIFO must not wait for its other end. A regular file
            // does not know the flag.
            | OFlag::O_NONBLOCK
            | OFlag::O_NOCTTY;
        nix::fcntl::openat(self.folder.as_fd(), name, flags, purpose.mode())
    }

    /// Whether a file of that name could be one of the log's: another user may
    /// have put one there, in a folder for all.
    #[must_use]
    pub fn owns(&self, name: &str) -> bool {
        matches!(self.stat_file(name), Ok(Some(stat)) if stat.kind == Kind::Regular
            && owners(self.owner).contains(&stat.uid))
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

    /// Renames a file within the folder; never onto another.
    ///
    /// # Errors
    /// As rename(2), `EEXIST` where the new name is taken.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let path = self.path.join(from);
        let failed = Error::at("rename", &path);
        match self.rename_to_free(from, to) {
            // Not every file system knows the flag: NFS, 9p, FUSE, some of
            // ZFS.
            Err(Errno::EINVAL | Errno::ENOSYS) => self.rename_to_reserved(from, to),
            renamed => renamed,
        }
        .map_err(failed)
    }

    /// By a file that has the new name first, which nobody else can take
    /// then.
    fn rename_to_reserved(&self, from: &str, to: &str) -> Result<(), Errno> {
        let folder = self.folder.as_fd();
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        drop(nix::fcntl::openat(folder, to, flags, Mode::S_IWUSR)?);
        nix::fcntl::renameat(folder, from, folder, to).inspect_err(|_| {
            let _left = nix::unistd::unlinkat(folder, to, UnlinkatFlags::NoRemoveDir);
        })
    }

    /// By renameat2(2), Linux 3.15.
    fn rename_to_free(&self, from: &str, to: &str) -> Result<(), Errno> {
        let text = |name: &str| CString::new(name).map_err(|_| Errno::EINVAL);
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
        Errno::result(answer).map(drop)
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

/// Whom a file of a log may belong to, in a folder of this owner's.
fn owners(owner: u32) -> [u32; 3] {
    [0, process::effective_user(), owner]
}

fn flaw(stat: &Stat, owner: u32) -> Option<String> {
    if stat.kind != Kind::Regular {
        Some(format!("it is {}, not a plain file", stat.kind))
    } else if stat.nlink != 1 {
        Some(format!("it has {} names, not one", stat.nlink))
    } else if !owners(owner).contains(&stat.uid) {
        let stranger = crate::namespaces::stranger(stat.uid);
        Some(format!(
            "it belongs to another user ({}){stranger}",
            stat.uid
        ))
    } else if stat.mode & 0o022 != 0 {
        Some(format!(
            "others than its owner can write it (mode {:04o}): a log has one writer; for several users name it '.../{{user}}.log', \
             which is one for each",
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

fn readable(stat: &Stat) -> Option<String> {
    (stat.mode & 0o444 != 0).then(|| {
        format!(
            "it can be read (mode {:04o}), so that a plugin could lock it; make that 0200",
            stat.mode
        )
    })
}

/// The folder and the name of a log's path; `None` where it names no file, as
/// with a slash at its end, or the name is not UTF-8.
#[must_use]
pub fn split(path: &Path) -> Option<(&Path, &str)> {
    let name = path.file_name()?.to_str()?;
    if !path.as_os_str().as_bytes().ends_with(name.as_bytes()) {
        return None;
    }
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    Some((folder.unwrap_or(Path::new(".")), name))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_path_that_ends_like_a_folders_names_no_log() {
        for (path, folder, name) in [
            ("audit.log", ".", "audit.log"),
            ("a//b/audit.log", "a//b", "audit.log"),
            ("/audit.log", "/", "audit.log"),
            ("a/...", "a", "..."),
        ] {
            assert_eq!(split(path.as_ref()), Some((folder.as_ref(), name)));
        }
        for path in ["", ".", "..", "/", "a/", "a//", "a/.", "a/./", "a/.."] {
            assert_eq!(split(path.as_ref()), None, "{path}");
        }
        assert_eq!(split(OsStr::from_bytes(b"a/\xff").as_ref()), None);
    }
}
