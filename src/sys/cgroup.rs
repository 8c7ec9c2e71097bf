//! Groups of processes, by the files of their folders (man 7 cgroups).

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::UnlinkatFlags;

use crate::Error;
use crate::open;

/// The folder of a group.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    folder: OwnedFd,
}

/// Its file to move processes with.
#[derive(Debug)]
pub struct Entrance(OwnedFd);

/// A file of a group is a few lines.
const MOST: u64 = 64 << 10;

impl Group {
    /// Opens one by its path.
    ///
    /// # Errors
    /// As open(2).
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self {
            path: path.to_path_buf(),
            folder: open::open_dir(path)?,
        })
    }

    /// Opens one below this one.
    ///
    /// # Errors
    /// As openat(2).
    pub fn below(&self, name: &str) -> Result<Self, Error> {
        Ok(Self {
            path: self.path.join(name),
            folder: open::open_dir_in(self.as_fd(), Path::new(name))?,
        })
    }

    /// Makes one below this one, which its owner alone may open: whoever can
    /// open it can claim it.
    ///
    /// # Errors
    /// As mkdirat(2).
    pub fn make(&self, name: &str) -> Result<(), Error> {
        nix::sys::stat::mkdirat(self, name, Mode::S_IRWXU)
            .map_err(Error::at("make a cgroup", &self.path))
    }

    /// Removes one below this one, if no process is in it. Allocates nothing.
    pub fn remove(&self, name: &str) {
        // Where one still is, it is removed by whoever comes next.
        let _populated = nix::unistd::unlinkat(self, name, UnlinkatFlags::RemoveDir);
    }

    /// The names of those below this one.
    ///
    /// # Errors
    /// As open(2) and getdents(2).
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let failed = Error::io("list cgroups");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path).map_err(&failed)? {
            let entry = entry.map_err(&failed)?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                names.extend(entry.file_name().into_string());
            }
        }
        Ok(names)
    }

    /// What a file of it says.
    ///
    /// # Errors
    /// As open(2) and read(2).
    pub fn read(&self, file: &CStr) -> Result<String, Error> {
        let failed = Error::at("read a file of a cgroup", &self.path);
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let file = nix::fcntl::openat(self, file, flags, Mode::empty()).map_err(&failed)?;
        let mut bytes = Vec::new();
        open::read_bounded(file.as_fd(), &mut bytes, MOST)?;
        String::from_utf8(bytes).map_err(|_| failed(Errno::EILSEQ))
    }

    /// Writes a file of it.
    ///
    /// # Errors
    /// As open(2) and write(2).
    pub fn write(&self, file: &CStr, text: &str) -> Result<(), Error> {
        let failed = Error::at("write a file of a cgroup", &self.path);
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let file = nix::fcntl::openat(self, file, flags, Mode::empty()).map_err(&failed)?;
        written(&file, text).map_err(failed)
    }

    /// Claims it, until the last copy of this descriptor is closed.
    ///
    /// # Errors
    /// As flock(2): `EWOULDBLOCK` where somebody else claims it.
    pub fn claim(&self) -> Result<(), Error> {
        let own = self.folder.as_raw_fd();
        // SAFETY: the call takes two plain integers and touches no memory.
        let answer = unsafe { libc::flock(own, libc::LOCK_EX | libc::LOCK_NB) };
        Errno::result(answer)
            .map(drop)
            .map_err(Error::call("claim a cgroup"))
    }

    /// Opens its entrance.
    ///
    /// # Errors
    /// As open(2).
    pub fn entrance(&self) -> Result<Entrance, Error> {
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        nix::fcntl::openat(self, c"cgroup.procs", flags, Mode::empty())
            .map(Entrance)
            .map_err(Error::at(
                "open the list of processes of a cgroup",
                &self.path,
            ))
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

impl Entrance {
    /// Moves this process in.
    ///
    /// # Errors
    /// As write(2).
    pub fn enter(&self) -> Result<(), Error> {
        // 0 is the process that writes.
        written(&self.0, "0\n").map_err(Error::call("enter a cgroup"))
    }
}

fn written(file: &OwnedFd, text: &str) -> Result<(), Errno> {
    match nix::unistd::write(file, text.as_bytes())? {
        count if count == text.len() => Ok(()),
        _ => Err(Errno::EIO),
    }
}
