//! Whom a configuration file is to be trusted from: who else could have
//! written it.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use secure_exec_core::escape::Escaped;
use secure_exec_sys::namespaces::stranger;
use secure_exec_sys::open::{self, Bounded, Kind, Stat};
use secure_exec_sys::{Errno, lease, process};

/// Configuration files are read up to this many bytes.
const LIMIT: u64 = 64 << 20;

/// A configuration file's bytes.
pub struct Loaded {
    /// The content.
    pub bytes: Vec<u8>,
    /// Set where others than root and the owner could have written it.
    pub finding: Option<Finding>,
    /// Permission bits.
    pub mode: u32,
}

/// A file or folder that too many can write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file or folder.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner.
    pub owner: u32,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' can be written by others than root and the file's owner (mode {:04o}, user {}{})",
            Escaped(&self.path.to_string_lossy()),
            self.mode & 0o7777,
            self.owner,
            stranger(self.owner)
        )
    }
}

/// Why a configuration file could not be read.
#[derive(Debug)]
pub struct Unreadable {
    path: PathBuf,
    why: String,
    not_found: bool,
    /// Another file has its name by now.
    replaced: bool,
}

impl Unreadable {
    /// Nothing has this name. A link that leads nowhere has it.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        self.not_found
    }

    /// What is wrong, for those who name the file themselves.
    pub(crate) fn what(&self) -> String {
        format!("can't be read: {}", self.why)
    }

    /// What to do: another file can be named for one that is not there; one
    /// that is there is put right.
    pub(crate) fn cure(&self, name_another: &'static str) -> &'static str {
        if self.not_found {
            name_another
        } else {
            "Make it a regular file that this user can read."
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.to_string_lossy();
        write!(f, "'{}' {}", Escaped(&path), self.what())
    }
}

/// Reads a configuration file through one descriptor, so that what was
/// checked is what was read. One that is replaced meanwhile is read again.
///
/// # Errors
/// It is missing, not a regular file, unreadable or too large.
pub fn read(path: &Path) -> Result<Loaded, Unreadable> {
    for _ in 1..open::LOOKS {
        match read_once(path) {
            Err(error) if error.replaced => {}
            read => return read,
        }
    }
    read_once(path)
}

fn read_once(path: &Path) -> Result<Loaded, Unreadable> {
    let unreadable = |why: String, not_found: bool| Unreadable {
        path: path.to_path_buf(),
        why,
        not_found,
        replaced: false,
    };
    let failed = |error: secure_exec_sys::Error| Unreadable {
        replaced: error.is_replaced(),
        ..unreadable(error.to_string(), false)
    };
    let file = open::open_file(path).map_err(|error| {
        let is_absent = || open::stat_path(path, false).is_err_and(|error| error.is_not_found());
        if error.is_not_found() && is_absent() {
            unreadable(error.to_string(), true)
        } else {
            // A link that led somewhere else before it was followed to its end.
            failed(error)
        }
    })?;
    let stat = open::stat(file.as_fd()).map_err(failed)?;
    if stat.kind != Kind::Regular {
        return Err(unreadable(
            format!("it is {}, not a regular file", stat.kind),
            false,
        ));
    }
    let mut bytes = Vec::new();
    match open::read_bounded(file.as_fd(), &mut bytes, LIMIT).map_err(failed)? {
        Bounded::Complete => {}
        Bounded::TooLarge => return Err(unreadable("it is larger than 64 MiB".into(), false)),
    }
    let finding = insecure(path, &file, &stat).map_err(failed)?;
    Ok(Loaded {
        bytes,
        finding,
        mode: stat.mode,
    })
}

/// Finds the file, or the folder on the way to it, that others than root and
/// its owner can write. The caller counts as the owner: he names the file.
///
/// A sticky folder (`/tmp`) is no way in where a folder lies in it: others
/// can't rename that. What lies there itself, the file or a link to it, others
/// may have put there first.
fn insecure(
    path: &Path,
    file: &OwnedFd,
    stat: &Stat,
) -> Result<Option<Finding>, secure_exec_sys::Error> {
    let real = open::real_path(file.as_fd())?;
    let finding = |path: &Path, stat: &Stat| Finding {
        path: path.to_path_buf(),
        mode: stat.mode,
        owner: stat.uid,
    };
    if others_can_write(stat) {
        return Ok(Some(finding(&real, stat)));
    }
    let caller = process::effective_user();
    for step in way(path, &real)? {
        let folder = open::stat_path(&step.folder, false)?;
        let stranger = ![0, stat.uid, caller].contains(&folder.uid);
        let sticky = step.to_folder && folder.mode & 0o1000 != 0;
        if stranger || (others_can_write(&folder) && !sticky) {
            return Ok(Some(finding(&step.folder, &folder)));
        }
    }
    Ok(None)
}

/// A folder in which a name is looked up on the way to a file.
struct Looked {
    folder: PathBuf,
    /// The name is that of a folder, not of a file or link.
    to_folder: bool,
}

/// The folders above a file, and those above every link that leads to it by
/// the path that was named.
fn way(path: &Path, real: &Path) -> Result<Vec<Looked>, secure_exec_sys::Error> {
    let above = |path: &Path| -> Vec<Looked> {
        let folders = path.ancestors().skip(1).enumerate();
        let looked = folders.map(|(level, folder)| Looked {
            folder: folder.to_path_buf(),
            to_folder: level > 0,
        });
        looked.collect()
    };
    let mut steps = above(real);
    for link in links(path)?.links {
        steps.extend(above(&link));
    }
    Ok(steps)
}

/// Where a path leads.
pub(crate) struct Way {
    /// The symbolic links on it, each by a path without others.
    pub(crate) links: Vec<PathBuf>,
    /// Its end, without any.
    pub(crate) end: PathBuf,
}

/// Follows a path by hand. It was opened, so it leads somewhere; one that
/// changes all the time is cut.
pub(crate) fn links(path: &Path) -> Result<Way, secure_exec_sys::Error> {
    let mut left = open::absolute(path)?;
    let mut found = Vec::new();
    let mut at = PathBuf::from("/");
    while found.len() <= MOST_LINKS {
        let mut parts = left.components();
        let Some(part) = parts.next() else { break };
        let rest = parts.as_path().to_path_buf();
        let next = at.join(part);
        match part {
            Component::RootDir => at = next,
            Component::ParentDir => drop(at.pop()),
            Component::Normal(_) if open::stat_path(&next, false)?.kind == Kind::Symlink => {
                left = open::read_link(&next)?.join(rest);
                found.push(next);
                continue;
            }
            Component::Normal(_) => at = next,
            Component::CurDir | Component::Prefix(_) => {}
        }
        left = rest;
    }
    Ok(Way {
        links: found,
        end: at,
    })
}

/// As many as the kernel follows (man 7 path_resolution).
const MOST_LINKS: usize = 40;

const fn others_can_write(stat: &Stat) -> bool {
    stat.mode & 0o022 != 0
}

/// Whether root alone can replace or change the file at its path: it and
/// every folder on the way to it, by links too, belong to root and nobody else
/// can write them. Returns the first thing that fails, as a phrase.
///
/// # Errors
/// The path can't be examined.
pub fn writable_by_root_alone(
    path: &Path,
    file: &OwnedFd,
) -> Result<Option<String>, secure_exec_sys::Error> {
    let real = open::real_path(file.as_fd())?;
    let stat = open::stat(file.as_fd())?;
    let complaint = |path: &Path, stat: &Stat| {
        let shown = path.to_string_lossy();
        let shown = Escaped(&shown);
        if stat.uid != 0 {
            Some(format!(
                "'{shown}' belongs to user {}{}, not to root",
                stat.uid,
                stranger(stat.uid)
            ))
        } else if others_can_write(stat) {
            Some(format!(
                "'{shown}' can be written by others (mode {:04o})",
                stat.mode & 0o7777
            ))
        } else {
            None
        }
    };
    if let Some(found) = complaint(&real, &stat) {
        return Ok(Some(found));
    }
    for step in way(path, &real)? {
        if let Some(found) = complaint(&step.folder, &open::stat_path(&step.folder, false)?) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Whether others than root and the launcher's user can write an open file,
/// or somebody does. Returns how, as a phrase.
///
/// # Errors
/// The file can't be examined.
pub fn writer(file: &OwnedFd) -> Result<Option<String>, secure_exec_sys::Error> {
    let stat = open::stat(file.as_fd())?;
    let own = process::effective_user();
    if stat.uid != 0 && stat.uid != own {
        return Ok(Some(format!(
            "belongs to user {}{}",
            stat.uid,
            stranger(stat.uid)
        )));
    }
    if others_can_write(&stat) {
        return Ok(Some(format!(
            "can be written by others (mode {:04o})",
            stat.mode & 0o7777
        )));
    }
    // Where there are no leases, or none on root's files for other users,
    // the mode has to do.
    match lease::take(file.as_fd()) {
        Err(error) if error.errno() == Some(Errno::EAGAIN) => {
            Ok(Some("is open for writing".into()))
        }
        _ => Ok(None),
    }
}
