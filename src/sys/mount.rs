//! Mounts by the calls of Linux 5.12: trees are cloned or made detached,
//! given their attributes, and only then attached (man 2 open_tree, man 2
//! mount_setattr, man 2 move_mount).

use std::ffi::{CStr, CString};
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use secure_exec_core::plan::namespaces::Attributes;

use crate::Error;
use crate::open;
use crate::resolve::{Links, Purpose, Scope, resolve};

/// A tree of mounts that is not attached, or attached later.
#[derive(Debug)]
pub struct Tree(OwnedFd);

/// `linux/mount.h`.
const OPEN_TREE_CLONE: libc::c_long = 1;
const OPEN_TREE_CLOEXEC: libc::c_long = libc::O_CLOEXEC as libc::c_long;
const AT_RECURSIVE: libc::c_long = 0x8000;
const AT_EMPTY_PATH: libc::c_long = libc::AT_EMPTY_PATH as libc::c_long;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_long = 4;
const MOVE_MOUNT_T_EMPTY_PATH: libc::c_long = 0x40;
const FSOPEN_CLOEXEC: libc::c_long = 1;
const FSMOUNT_CLOEXEC: libc::c_long = 1;
const FSCONFIG_SET_STRING: libc::c_long = 1;
const FSCONFIG_CMD_CREATE: libc::c_long = 6;
const RDONLY: u64 = 1;
const NOSUID: u64 = 2;
const NODEV: u64 = 4;
const NOEXEC: u64 = 8;

/// `struct mount_attr`.
#[repr(C)]
struct Change {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// From now on no mount of this namespace shows elsewhere, nor the reverse.
///
/// # Errors
/// As mount_setattr(2); `ENOSYS` before Linux 5.12.
pub fn make_private() -> Result<(), Error> {
    let change = Change {
        set: 0,
        clear: 0,
        propagation: libc::MS_PRIVATE,
        user_namespace: 0,
    };
    change
        .apply(libc::AT_FDCWD, c"/", AT_RECURSIVE)
        .map_err(Error::call("make the mounts private"))
}

/// The table of this process's mounts (man 5 proc_pid_mountinfo).
///
/// # Errors
/// `/proc` is absent, or a name in it is not UTF-8: what is mounted there could
/// not be told.
pub fn table() -> Result<String, Error> {
    table_at("/proc/self/mountinfo")
}

/// That of the first process in sight: the container's own, or the host's.
///
/// # Errors
/// As [`table`].
pub fn first_table() -> Result<String, Error> {
    table_at("/proc/1/mountinfo")
}

fn table_at(path: &str) -> Result<String, Error> {
    const WHAT: &str = "read the table of mounts";
    let table = open::read_proc(path).map_err(Error::io(WHAT))?;
    String::from_utf8(table).map_err(|_| Error::unexpected(WHAT, "a name in it is not UTF-8"))
}

impl Tree {
    /// A copy of what is mounted at a path, with all that is mounted below
    /// it, in this process's mount namespace.
    ///
    /// # Errors
    /// As open_tree(2).
    pub fn copy(path: &Path) -> Result<Self, Error> {
        let failed = Error::at("copy the mount", path);
        let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| failed(Errno::EINVAL))?;
        let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
        // SAFETY: the path is NUL-terminated and lives through the call.
        let opened =
            unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, name.as_ptr(), flags) };
        owned(opened).map(Self).map_err(failed)
    }

    /// A new file system of a kind that needs no device, with these options.
    ///
    /// # Errors
    /// As fsopen(2), fsconfig(2) and fsmount(2).
    pub fn new(
        kind: &CStr,
        options: &[(&CStr, &CStr)],
        attributes: Attributes,
    ) -> Result<Self, Error> {
        let failed = Error::call("make a file system");
        // SAFETY: the name is NUL-terminated and lives through the call.
        let opened = unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) };
        let making = owned(opened).map_err(&failed)?;
        for (key, value) in options {
            // SAFETY: key and value are NUL-terminated and live through the
            // call.
            let answer = unsafe {
                libc::syscall(
                    libc::SYS_fsconfig,
                    making.as_raw_fd(),
                    FSCONFIG_SET_STRING,
                    key.as_ptr(),
                    value.as_ptr(),
                    0,
                )
            };
            Errno::result(answer).map_err(&failed)?;
        }
        // SAFETY: the command takes null pointers.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_fsconfig,
                making.as_raw_fd(),
                FSCONFIG_CMD_CREATE,
                std::ptr::null::<libc::c_char>(),
                std::ptr::null::<libc::c_void>(),
                0,
            )
        };
        Errno::result(answer).map_err(&failed)?;
        // SAFETY: the call takes plain integers and touches no memory.
        let mounted = unsafe {
            libc::syscall(
                libc::SYS_fsmount,
                making.as_raw_fd(),
                FSMOUNT_CLOEXEC,
                bits(attributes),
            )
        };
        owned(mounted).map(Self).map_err(failed)
    }

    /// Takes rights away from the tree and all that is mounted below it. What
    /// a mount lacks already it does not get.
    ///
    /// # Errors
    /// As mount_setattr(2).
    pub fn restrict(&self, attributes: Attributes) -> Result<(), Error> {
        self.change(attributes, AT_EMPTY_PATH | AT_RECURSIVE)
    }

    /// The same for its topmost mount alone.
    ///
    /// # Errors
    /// As mount_setattr(2).
    pub fn restrict_top(&self, attributes: Attributes) -> Result<(), Error> {
        self.change(attributes, AT_EMPTY_PATH)
    }

    fn change(&self, attributes: Attributes, flags: libc::c_long) -> Result<(), Error> {
        let change = Change {
            set: bits(attributes),
            clear: 0,
            propagation: 0,
            user_namespace: 0,
        };
        change
            .apply(self.0.as_raw_fd(), c"", flags)
            .map_err(Error::call("restrict a mount"))
    }

    /// Attaches the tree on top of an open folder or file.
    ///
    /// # Errors
    /// As move_mount(2).
    pub fn attach(&self, place: BorrowedFd<'_>) -> Result<(), Error> {
        self.attach_at(
            place.as_raw_fd(),
            c"",
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        )
    }

    /// Attaches the tree on top of the root folder, where no path of this
    /// process leads yet.
    ///
    /// # Errors
    /// As move_mount(2).
    pub fn attach_on_root(&self) -> Result<(), Error> {
        self.attach_at(libc::AT_FDCWD, c"/", MOVE_MOUNT_F_EMPTY_PATH)
    }

    /// Makes the attached tree the root folder of this process and its
    /// namespace, and detaches the old one: no path and no `..` leads there
    /// any more.
    ///
    /// # Errors
    /// As pivot_root(2) and umount2(2).
    pub fn become_root(&self) -> Result<(), Error> {
        let failed = Error::call("exchange the root folder");
        nix::unistd::fchdir(&self.0).map_err(&failed)?;
        // The old root ends up on top of the new one (man 2 pivot_root,
        // "pivot_root(".", ".")"), and is taken off it.
        // SAFETY: both paths are NUL-terminated literals.
        let answer = unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) };
        Errno::result(answer).map_err(&failed)?;
        detach_here()?;
        nix::unistd::chdir(c"/").map_err(failed)
    }

    fn attach_at(&self, folder: RawFd, path: &CStr, flags: libc::c_long) -> Result<(), Error> {
        // SAFETY: both paths are NUL-terminated and live through the call.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_move_mount,
                self.0.as_raw_fd(),
                c"".as_ptr(),
                folder,
                path.as_ptr(),
                flags,
            )
        };
        Errno::result(answer)
            .map(drop)
            .map_err(Error::call("attach a mount"))
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Detaches what is mounted at this process's working folder, with all that is
/// mounted below it.
///
/// # Errors
/// As umount2(2).
pub(crate) fn detach_here() -> Result<(), Error> {
    // SAFETY: the path is a NUL-terminated literal.
    let answer = unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) };
    Errno::result(answer)
        .map(drop)
        .map_err(Error::call("detach a mount"))
}

/// Opens a path as a mere reference within a tree, as a process would see it
/// whose root folder the tree is.
///
/// # Errors
/// As openat2(2).
pub fn open_in(root: &Tree, path: &str) -> Result<OwnedFd, Error> {
    resolve_in(root, path, Links::Symbolic)
}

/// The same, without symbolic links.
///
/// # Errors
/// As openat2(2).
pub fn open_plain_in(root: &Tree, path: &str) -> Result<OwnedFd, Error> {
    resolve_in(root, path, Links::None)
}

fn resolve_in(root: &Tree, path: &str, links: Links) -> Result<OwnedFd, Error> {
    let path = Path::new(path);
    resolve(root.0.as_fd(), path, Purpose::Reference, Scope::Root, links)
        .map_err(Error::at("open", path))
}

/// Makes an empty folder or file for something to be attached on.
///
/// # Errors
/// As mkdirat(2) and open(2).
pub fn make_place(folder: BorrowedFd<'_>, name: &str, is_folder: bool) -> Result<(), Error> {
    let failed = Error::at("make a place for a mount", Path::new(name));
    if is_folder {
        return nix::sys::stat::mkdirat(folder, name, Mode::from_bits_truncate(0o755))
            .map_err(failed);
    }
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    nix::fcntl::openat(folder, name, flags, Mode::from_bits_truncate(0o444))
        .map(drop)
        .map_err(failed)
}

/// Makes a symbolic link, unless something has the name.
///
/// # Errors
/// As symlinkat(2).
pub fn make_link(folder: BorrowedFd<'_>, name: &Path, target: &Path) -> Result<(), Error> {
    match nix::unistd::symlinkat(target, folder, name) {
        Err(Errno::EEXIST) => Ok(()),
        made => made.map_err(Error::at("make the link", name)),
    }
}

/// Makes a file that all may read and execute, and nobody write.
///
/// # Errors
/// As open(2) and write(2).
pub fn write_file(folder: BorrowedFd<'_>, name: &Path, bytes: &[u8]) -> Result<(), Error> {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(0o555);
    let file = nix::fcntl::openat(folder, name, flags, mode);
    let file = file.map_err(Error::at("make the file", name))?;
    nix::sys::stat::fchmod(&file, mode).map_err(Error::at("make the file", name))?;
    let written = std::fs::File::from(file).write_all(bytes);
    written.map_err(Error::io("write the file"))
}

/// Device and inode number of what a tree shows at its top.
///
/// # Errors
/// As fstat(2).
pub fn identity(file: &impl AsFd) -> Result<(u64, u64), Error> {
    open::stat(file.as_fd()).map(|stat| (stat.dev, stat.ino))
}

impl Change {
    fn apply(&self, folder: RawFd, path: &CStr, flags: libc::c_long) -> Result<(), Errno> {
        // SAFETY: the path is NUL-terminated, the kernel reads one `Change`,
        // whose size it is told; both live through the call.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_mount_setattr,
                folder,
                path.as_ptr(),
                flags,
                std::ptr::from_ref(self),
                size_of::<Self>(),
            )
        };
        Errno::result(answer).map(drop)
    }
}

fn bits(attributes: Attributes) -> u64 {
    let mut bits = NOSUID;
    for (granted, bit) in [
        (attributes.writable, RDONLY),
        (attributes.devices, NODEV),
        (attributes.executable, NOEXEC),
    ] {
        if !granted {
            bits |= bit;
        }
    }
    bits
}

fn owned(answer: libc::c_long) -> Result<OwnedFd, Errno> {
    let descriptor = Errno::result(answer)?;
    let descriptor = RawFd::try_from(descriptor).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel made the descriptor just now, and nobody else knows
    // it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
