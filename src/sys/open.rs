//! Opening files so that nothing blocks and nothing escapes, and asking an
//! open file what it is.

use std::ffi::OsString;
use std::fmt;
use std::io::Read as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, SFlag};
use nix::unistd::AccessFlags;

use crate::Error;
use crate::resolve::{Links, Purpose, Scope, resolve};

/// A FIFO or device must not block the launcher, nor become its terminal.
pub(crate) const READ: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY);

/// Opens a file for reading, following symbolic links.
///
/// # Errors
/// As open(2).
pub fn open_file(path: &Path) -> Result<OwnedFd, Error> {
    open_with(path, READ, Mode::empty()).map_err(Error::at("open", path))
}

/// Opens a folder.
///
/// # Errors
/// As open(2).
pub fn open_dir(path: &Path) -> Result<OwnedFd, Error> {
    open_with(path, READ | OFlag::O_DIRECTORY, Mode::empty())
        .map_err(Error::at("open folder", path))
}

/// Opens a folder itself: no symbolic link in its place.
///
/// # Errors
/// As open(2).
pub fn open_dir_itself(path: &Path) -> Result<OwnedFd, Error> {
    open_dir_in(nix::fcntl::AT_FDCWD, path)
}

/// As [`open_dir_itself`], by its name in an open folder.
///
/// # Errors
/// As openat(2).
pub fn open_dir_in(folder: BorrowedFd<'_>, name: &Path) -> Result<OwnedFd, Error> {
    let flags = READ | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    nix::fcntl::openat(folder, name, flags, Mode::empty()).map_err(Error::at("open folder", name))
}

/// As [`open_dir_in`]; if nothing has the name, it is made for this user alone.
///
/// # Errors
/// As openat(2) and mkdirat(2).
pub fn make_dir_in(folder: BorrowedFd<'_>, name: &Path) -> Result<OwnedFd, Error> {
    match open_dir_in(folder, name) {
        Err(error) if error.errno() == Some(Errno::ENOENT) => {}
        opened => return opened,
    }
    match nix::sys::stat::mkdirat(folder, name, Mode::S_IRWXU) {
        // Another launch made it.
        Ok(()) | Err(Errno::EEXIST) => open_dir_in(folder, name),
        Err(errno) => Err(Error::at("make folder", name)(errno)),
    }
}

/// Whether nothing lies in an open folder.
///
/// # Errors
/// As getdents(2).
pub fn is_empty_dir(folder: BorrowedFd<'_>) -> Result<bool, Error> {
    let failed = Error::call("list a folder");
    let again = nix::fcntl::openat(folder, c".", READ | OFlag::O_DIRECTORY, Mode::empty());
    let mut again = again.and_then(nix::dir::Dir::from_fd).map_err(&failed)?;
    for entry in again.iter() {
        let entry = entry.map_err(&failed)?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Opens a path as a mere reference (`O_PATH`), for Landlock rules.
///
/// # Errors
/// As open(2).
pub fn open_path(path: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    open_with(path, flags, Mode::empty()).map_err(Error::at("open", path))
}

/// As [`open_path`], if no symbolic link is on the way; `ELOOP` otherwise
/// (openat2(2), Linux 5.6, as Landlock).
///
/// # Errors
/// As openat2(2).
pub fn open_path_plain(path: &Path) -> Result<OwnedFd, Error> {
    let from = nix::fcntl::AT_FDCWD;
    resolve(from, path, Purpose::Reference, Scope::Anywhere, Links::None)
        .map_err(Error::at("open", path))
}

/// By openat(2): behind open(2), musl sets close-on-exec once more.
pub(crate) fn open_with(path: &Path, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
    nix::fcntl::openat(nix::fcntl::AT_FDCWD, path, flags, mode)
}

/// Opens a file for reading below `root`; links that leave it and magic links
/// are refused with `EXDEV` and `ELOOP`.
///
/// # Errors
/// As openat2(2).
pub fn open_beneath(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Error> {
    resolve(root, path, Purpose::Read, Scope::Beneath, Links::Symbolic)
        .map_err(Error::at("open", path))
}

/// Opens an absolute path for reading, without magic links on the way.
///
/// # Errors
/// As openat2(2).
pub fn open_no_magic(path: &Path) -> Result<OwnedFd, Error> {
    let from = nix::fcntl::AT_FDCWD;
    resolve(from, path, Purpose::Read, Scope::Anywhere, Links::Symbolic)
        .map_err(Error::at("open", path))
}

/// What an open file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Device of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits with setuid, setgid and sticky (`0o7777`).
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Hard links.
    pub nlink: u64,
    /// When the content was last changed: seconds and nanoseconds.
    pub modified: (i64, i64),
    /// The device that it is, where it is one.
    pub rdev: u64,
    /// Type of file.
    pub kind: Kind,
}

/// Type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Regular file.
    Regular,
    /// Folder.
    Directory,
    /// Named pipe.
    Fifo,
    /// Character device.
    CharDevice,
    /// Block device.
    BlockDevice,
    /// Socket.
    Socket,
    /// Symbolic link.
    Symlink,
    /// Something else.
    Unknown,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regular => "a regular file",
            Self::Directory => "a folder",
            Self::Fifo => "a FIFO",
            Self::CharDevice => "a character device",
            Self::BlockDevice => "a block device",
            Self::Socket => "a socket",
            Self::Symlink => "a symbolic link",
            Self::Unknown => "no file that can be read",
        })
    }
}

impl From<FileStat> for Stat {
    fn from(raw: FileStat) -> Self {
        let kind = match SFlag::from_bits_truncate(raw.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFREG => Kind::Regular,
            SFlag::S_IFDIR => Kind::Directory,
            SFlag::S_IFIFO => Kind::Fifo,
            SFlag::S_IFCHR => Kind::CharDevice,
            SFlag::S_IFBLK => Kind::BlockDevice,
            SFlag::S_IFSOCK => Kind::Socket,
            SFlag::S_IFLNK => Kind::Symlink,
            _ => Kind::Unknown,
        };
        Self {
            dev: raw.st_dev,
            ino: raw.st_ino,
            uid: raw.st_uid,
            gid: raw.st_gid,
            mode: raw.st_mode & 0o7777,
            // The kernel has no negative sizes; one would count as too large.
            size: u64::try_from(raw.st_size).unwrap_or(u64::MAX),
            #[allow(clippy::useless_conversion, reason = "32 bits on aarch64")]
            nlink: raw.st_nlink.into(),
            modified: (raw.st_mtime, raw.st_mtime_nsec),
            rdev: raw.st_rdev,
            kind,
        }
    }
}

/// Examines an open file.
///
/// # Errors
/// As fstat(2).
pub fn stat(file: BorrowedFd<'_>) -> Result<Stat, Error> {
    nix::sys::stat::fstat(file)
        .map(Stat::from)
        .map_err(Error::call("examine the file"))
}

/// Examines a path, following a last symbolic link or not.
///
/// # Errors
/// As stat(2).
pub fn stat_path(path: &Path, follow: bool) -> Result<Stat, Error> {
    let raw = if follow {
        nix::sys::stat::stat(path)
    } else {
        nix::sys::stat::lstat(path)
    };
    raw.map(Stat::from).map_err(Error::at("examine", path))
}

/// Examines a path beneath an open folder, without following a last symbolic
/// link.
///
/// # Errors
/// As fstatat(2).
pub fn stat_in(folder: BorrowedFd<'_>, path: &Path) -> Result<Stat, Error> {
    nix::sys::stat::fstatat(folder, path, AtFlags::AT_SYMLINK_NOFOLLOW)
        .map(Stat::from)
        .map_err(Error::at("examine", path))
}

/// Whether the effective user may execute an open file: the permission bits,
/// access lists and a `noexec` mount all have their say (faccessat2(2) with
/// `AT_EMPTY_PATH`, Linux 5.8).
///
/// # Errors
/// As faccessat2(2), but for the answer no.
pub fn is_executable(file: BorrowedFd<'_>) -> Result<bool, Error> {
    let flags = AtFlags::AT_EMPTY_PATH | AtFlags::AT_EACCESS;
    // Through the system call: C libraries emulate the flags otherwise.
    let mode = AccessFlags::X_OK.bits();
    // SAFETY: the path is a NUL-terminated literal, and the kernel writes
    // nothing.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_faccessat2,
            file.as_raw_fd(),
            c"".as_ptr(),
            mode,
            flags.bits(),
        )
    };
    let answer = match Errno::result(answer) {
        // An older kernel, or a filter around the launcher.
        Err(Errno::ENOSYS | Errno::EPERM) => {
            let link = format!("/proc/self/fd/{}", file.as_raw_fd());
            nix::unistd::access(&*link, AccessFlags::X_OK)
        }
        other => other.map(drop),
    };
    match answer {
        Ok(()) => Ok(true),
        Err(Errno::EACCES) => Ok(false),
        Err(errno) => Err(Error::call("ask for execute permission")(errno)),
    }
}

/// The path of an open file, as the kernel knows it now.
///
/// # Errors
/// The file was deleted, or `/proc` is missing.
pub fn real_path(file: BorrowedFd<'_>) -> Result<PathBuf, Error> {
    let link = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let operation = "find the path of the file";
    let path = match nix::fcntl::readlink(&link) {
        Ok(target) => PathBuf::from(target),
        Err(Errno::ENOENT) => return Err(Error::unexpected(operation, "/proc is not mounted")),
        Err(errno) => return Err(Error::at(operation, &link)(errno)),
    };
    // The kernel marks a deleted file so; but a file may be named so.
    let marked = path.as_os_str().as_bytes().ends_with(b" (deleted)");
    if !path.is_absolute() || (marked && !is_at(file, &path)?) {
        return Err(Error::Replaced { operation });
    }
    Ok(path)
}

/// Looks at a file, from its name on, again as long as it is replaced
/// meanwhile, but for a bounded number of times.
///
/// # Errors
/// The last look's.
pub fn settled<T>(mut look: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    for _ in 1..LOOKS {
        match look() {
            Err(error) if error.is_replaced() => {}
            looked => return looked,
        }
    }
    look()
}

/// Reads a file of `/proc` in large pieces: it has no size, and the kernel makes
/// its text anew for each piece.
///
/// # Errors
/// As open(2) and read(2).
pub(crate) fn read_proc(path: &str) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(path)?;
    let mut text = vec![0; 8 << 10];
    let mut end = 0;
    loop {
        let room = text.get_mut(end..).unwrap_or_default();
        match file.read(room)? {
            0 => break,
            count => end = end.saturating_add(count),
        }
        if end == text.len() {
            text.resize(end.saturating_mul(2), 0);
        }
    }
    text.truncate(end);
    Ok(text)
}

/// Whoever replaces a file needs longer than one look.
pub const LOOKS: usize = 32;

fn is_at(file: BorrowedFd<'_>, path: &Path) -> Result<bool, Error> {
    let (own, there) = (stat(file)?, stat_path(path, false));
    Ok(there.is_ok_and(|there| (there.dev, there.ino) == (own.dev, own.ino)))
}

/// The target of a symbolic link.
///
/// # Errors
/// As readlink(2).
pub fn read_link(path: &Path) -> Result<PathBuf, Error> {
    nix::fcntl::readlink(path)
        .map(PathBuf::from)
        .map_err(Error::at("read the link", path))
}

/// The kernel's answer where a path has more links than it follows.
#[must_use]
pub fn too_many_links(path: &Path) -> Error {
    Error::at("follow", path)(Errno::ELOOP)
}

/// A path from the root on: a relative one begins in the working directory.
///
/// # Errors
/// As getcwd(2).
pub fn absolute(path: &Path) -> Result<PathBuf, Error> {
    if path.is_absolute() {
        return Ok(path.to_path_buf());
    }
    let here = std::env::current_dir().map_err(Error::io("find the working directory"))?;
    Ok(here.join(path))
}

/// The names in a folder, each with whether it may be a symbolic link
/// (`d_type` of man 3 readdir; where the file system does not tell, it may be).
///
/// # Errors
/// As open(2) and getdents(2).
pub fn entries(folder: &Path) -> Result<Vec<(OsString, bool)>, Error> {
    let failed = |error: std::io::Error| Error::io("list a folder")(error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type();
        let may_be_link = kind.map_or(true, |kind| !(kind.is_file() || kind.is_dir()));
        names.push((entry.file_name(), may_be_link));
    }
    Ok(names)
}

/// Whether a bounded read met the end of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounded {
    /// All of the file was read.
    Complete,
    /// The file is larger than the limit.
    TooLarge,
}

/// Reads a file to its end into `into`, in place of what is there, but no more
/// than `limit` bytes and one more, however large it claims to be or grows.
///
/// # Errors
/// As read(2).
pub fn read_bounded(
    file: BorrowedFd<'_>,
    into: &mut Vec<u8>,
    limit: u64,
) -> Result<Bounded, Error> {
    let size = stat(file)?.size;
    read_sized(file, size, into, limit)
}

/// As [`read_bounded`], of a file that claims this size.
///
/// # Errors
/// As read(2).
pub fn read_sized(
    file: BorrowedFd<'_>,
    size: u64,
    into: &mut Vec<u8>,
    limit: u64,
) -> Result<Bounded, Error> {
    if size > limit {
        return Ok(Bounded::TooLarge);
    }
    // One byte more, to find its end.
    let mut room = usize::try_from(size).unwrap_or(0).saturating_add(1);
    let mut filled = 0;
    loop {
        into.resize(room, 0);
        while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match nix::unistd::read(file, rest) {
                Ok(0) => {
                    into.truncate(filled);
                    return Ok(Bounded::Complete);
                }
                Ok(count) => filled = filled.saturating_add(count),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::call("read")(errno)),
            }
        }
        if filled as u64 > limit {
            return Ok(Bounded::TooLarge);
        }
        // It grows, or tells no size, as those of /proc.
        let more = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        room = room.saturating_mul(2).max(SMALLEST).min(more);
    }
}

/// Bytes that are read at once where a file's size says nothing.
const SMALLEST: usize = 1 << 12;

/// Reads from an offset until `into` is full or the file ends; returns how
/// much was read.
///
/// # Errors
/// As pread(2).
pub fn read_at(file: BorrowedFd<'_>, into: &mut [u8], offset: u64) -> Result<usize, Error> {
    let mut read = 0;
    while let Some(rest) = into.get_mut(read..).filter(|rest| !rest.is_empty()) {
        let at = i64::try_from(offset.saturating_add(read as u64))
            .map_err(|_| Error::call("read")(Errno::EOVERFLOW))?;
        match nix::sys::uio::pread(file, rest, at) {
            Ok(0) => break,
            Ok(count) => read = read.saturating_add(count),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::call("read")(errno)),
        }
    }
    Ok(read)
}

/// Takes over a descriptor that was inherited by number, or `None` where no
/// such descriptor is open, or it is a standard stream. It becomes
/// close-on-exec.
#[must_use]
pub fn adopt(number: RawFd) -> Option<OwnedFd> {
    if number <= libc::STDERR_FILENO {
        return None;
    }
    // SAFETY: F_SETFD takes a plain integer and touches no memory.
    let set = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    if set < 0 {
        return None;
    }
    // SAFETY: the descriptor is open, as fcntl just said; numbers above 2 that
    // the caller was given on its command line belong to nobody else in this
    // single-threaded process, and each is adopted once.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Whether a descriptor of this number is open, and a folder.
#[must_use]
pub fn is_folder(number: RawFd) -> bool {
    let mut raw = std::mem::MaybeUninit::<FileStat>::uninit();
    // SAFETY: the kernel fills in one `FileStat`, which lives through the call.
    if unsafe { libc::fstat(number, raw.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call filled it in.
    Stat::from(unsafe { raw.assume_init() }).kind == Kind::Directory
}

/// A second reference to the same open file, close-on-exec.
///
/// # Errors
/// No descriptors are left.
pub fn duplicate(file: &impl AsFd) -> Result<OwnedFd, Error> {
    // SAFETY: the command takes a plain integer and touches no memory. By the
    // system call: behind its own, musl sets close-on-exec once more.
    let copy = unsafe {
        libc::syscall(
            libc::SYS_fcntl,
            file.as_fd().as_raw_fd(),
            libc::F_DUPFD_CLOEXEC,
            libc::STDERR_FILENO + 1,
        )
    };
    let failed = Error::call("duplicate a descriptor");
    let number = Errno::result(copy).map_err(&failed)?;
    let number = RawFd::try_from(number).map_err(|_| failed(Errno::EBADF))?;
    // SAFETY: the kernel made the descriptor just now, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
