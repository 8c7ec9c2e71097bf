//! Removing a folder that somebody else filled: no link in it is followed, no
//! depth of it costs more than one descriptor, and the work is bounded. Another
//! process may remove the same folder: what is gone is no error.

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
    let Some(folder) = found(open(above, name)).map_err(&failed)? else {
        return Ok(());
    };
    clear(&folder, left).map_err(&failed)?;
    let removed = found(unlinkat(above, name, UnlinkatFlags::RemoveDir));
    removed.map(drop).map_err(failed)
}

/// `None` if somebody else was there first.
fn found<T>(answer: Result<T, Errno>) -> Result<Option<T>, Errno> {
    match answer {
        Err(Errno::ENOENT) => Ok(None),
        answer => answer.map(Some),
    }
}

/// Folders in it that are not empty are emptied into it, so that none is ever
/// deeper than two.
fn clear(folder: &OwnedFd, left: &mut usize) -> Result<(), Errno> {
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
            let Some(inner) = found(open(folder, name.as_c_str()))? else {
                continue;
            };
            for name in self::names(&inner, *left)? {
                spend(left)?;
                if remove(&inner, &name)? {
                    continue;
                }
                // Moved, a folder is written itself: where it was.
                if let Some(opened) = found(open(&inner, name.as_c_str()))? {
                    drop(opened);
                    raise(folder, &inner, &name, left)?;
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

/// Moves a folder one up, by a name that whoever filled it could not foresee:
/// each name that is taken counts.
fn raise(to: &OwnedFd, from: &OwnedFd, name: &CString, left: &mut usize) -> Result<(), Errno> {
    loop {
        spend(left)?;
        let random = crate::process::random_bytes().map_err(|_| Errno::EIO)?;
        let other = format!(".{:016x}", u64::from_ne_bytes(random));
        let other = CString::new(other).map_err(|_| Errno::EINVAL)?;
        match nix::fcntl::renameat(from, name.as_c_str(), to, other.as_c_str()) {
            // Of what may lie there it replaces an empty folder alone.
            Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => {}
            moved => return found(moved).map(drop),
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

/// Some names in a folder: all, if they are no more than so many. A folder that
/// was removed since it was opened has none.
fn names(folder: &OwnedFd, most: usize) -> Result<Vec<CString>, Errno> {
    let kind = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let again = nix::fcntl::openat(folder, c".", kind | OFlag::O_RDONLY, Mode::empty());
    let mut names = Vec::new();
    let Some(again) = found(again)? else {
        return Ok(names);
    };
    for entry in Dir::from_fd(again)?.iter().take(most.saturating_add(3)) {
        let Some(entry) = found(entry)? else { break };
        let name = entry.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn above(path: &Path) -> OwnedFd {
        crate::open::open_path(path).unwrap()
    }

    #[test]
    fn what_is_moved_counts() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("top/a/b/c")).unwrap();
        let mut left = 100;
        folder_in(&above(place.path()), Path::new("top"), &mut left).unwrap();
        // `a`, `b` and that it was moved; `a` again, `b` by its new name, `c`;
        // and `b` again.
        assert_eq!(100 - left, 7);
        assert!(!place.path().join("top").exists());
    }

    #[test]
    fn what_others_remove_meanwhile_is_no_error() {
        let place = tempfile::tempdir().unwrap();
        let mut left = 10;
        folder_in(&above(place.path()), Path::new("gone"), &mut left).unwrap();
        let top = place.path().join("top");
        fs::create_dir(&top).unwrap();
        let opened = OwnedFd::from(fs::File::open(&top).unwrap());
        fs::remove_dir(&top).unwrap();
        clear(&opened, &mut left).unwrap();
        let to = above(place.path());
        raise(&to, &opened, &CString::from(c"gone"), &mut left).unwrap();
        assert_eq!(left, 9);
    }

    #[test]
    fn several_remove_the_same() {
        let place = tempfile::tempdir().unwrap();
        for round in 0..8 {
            let top = place.path().join("top");
            for number in 0..60 {
                fs::create_dir_all(top.join(format!("{number}/{round}/x/y"))).unwrap();
            }
            let start = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let above = above(place.path());
                        start.wait();
                        let mut left = usize::MAX;
                        folder_in(&above, Path::new("top"), &mut left).unwrap();
                    });
                }
            });
            assert!(!top.exists());
        }
    }
}
