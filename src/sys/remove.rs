//! Removing a folder that somebody else filled: no link in it is followed, no
//! depth of it costs more than one descriptor, and the work is bounded.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::Error;

/// Removes a folder with all that lies in it, as far as `left` names go, which
/// it counts down.
///
/// # Errors
/// As unlinkat(2) and renameat(2); `left` is used up.
pub fn folder_in(above: &impl AsFd, name: &Path, left: &mut usize) -> Result<(), Error> {
    let failed = Error::at("remove folder", name);
    let folder = open(above, name).map_err(&failed)?;
    clear(&folder, left).map_err(&failed)?;
    unlinkat(above, name, UnlinkatFlags::RemoveDir).map_err(failed)
}

/// Folders in it that are not empty are emptied into it, so that none is ever
/// deeper than two.
fn clear(folder: &OwnedFd, left: &mut usize) -> Result<(), Errno> {
    let mut number = 0_u64;
    loop {
        let names = names(folder, *left)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            spend(left)?;
            if remove(folder, &name)? {
                continue;
            }
            let inner = open(folder, name.as_c_str())?;
            for name in self::names(&inner, *left)? {
                spend(left)?;
                if !remove(&inner, &name)? {
                    // Moved, a folder is written itself: where it was.
                    drop(open(&inner, name.as_c_str())?);
                    raise(folder, &inner, &name, &mut number)?;
                }
            }
        }
    }
}

fn spend(left: &mut usize) -> Result<(), Errno> {
    *left = left.checked_sub(1).ok_or(Errno::E2BIG)?;
    Ok(())
}

/// Whether there is nothing of this name any more: not where it is a folder
/// with something in it.
fn remove(folder: &OwnedFd, name: &CString) -> Result<bool, Errno> {
    match unlinkat(folder, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(true),
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(errno) => return Err(errno),
    }
    match unlinkat(folder, name.as_c_str(), UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(true),
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Moves a folder one up, by a name that nothing else needs.
fn raise(to: &OwnedFd, from: &OwnedFd, name: &CString, number: &mut u64) -> Result<(), Errno> {
    loop {
        *number = number.wrapping_add(1);
        let other = CString::new(format!(".{number}")).map_err(|_| Errno::EINVAL)?;
        match nix::fcntl::renameat(from, name.as_c_str(), to, other.as_c_str()) {
            // Of what may lie there it replaces an empty folder alone.
            Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => {}
            moved => return moved,
        }
    }
}

/// Opens a folder itself, and takes back the right to change it, which its
/// owner may have given up.
fn open(above: &impl AsFd, name: &(impl nix::NixPath + ?Sized)) -> Result<OwnedFd, Errno> {
    let kind = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let reference = nix::fcntl::openat(above, name, kind | OFlag::O_PATH, Mode::empty())?;
    let mode = nix::sys::stat::fstat(&reference)?.st_mode;
    if mode & Mode::S_IRWXU.bits() != Mode::S_IRWXU.bits() {
        let itself = format!("/proc/self/fd/{}", reference.as_raw_fd());
        let flags = nix::sys::stat::FchmodatFlags::FollowSymlink;
        nix::sys::stat::fchmodat(nix::fcntl::AT_FDCWD, &*itself, Mode::S_IRWXU, flags)?;
    }
    nix::fcntl::openat(&reference, c".", kind | OFlag::O_RDONLY, Mode::empty())
}

/// Some names in a folder: all, if they are no more than so many.
fn names(folder: &OwnedFd, most: usize) -> Result<Vec<CString>, Errno> {
    let kind = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let again = nix::fcntl::openat(folder, c".", kind | OFlag::O_RDONLY, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::from_fd(again)?.iter().take(most.saturating_add(3)) {
        let name = entry?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            names.push(name);
        }
    }
    Ok(names)
}
