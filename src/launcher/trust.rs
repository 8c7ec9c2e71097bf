//! Reading a configuration file, and who else could have written it: the file
//! itself and every folder on the way to it. Whom it may belong to is
//! [`mod@crate::owner`]'s.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use secure_exec_core::escape::Escaped;
use secure_exec_sys::open::{self, Bounded, Kind, Stat};
use secure_exec_sys::{Errno, lease};

use crate::immutable::is_unchangeable_here;
use crate::owner::{Finding, Owners};
use crate::sight::Sight;
use crate::trail::Trail;

/// Configuration files are read up to this many bytes.
const LIMIT: u64 = 64 << 20;

/// A configuration file's bytes.
pub struct Loaded {
    /// The content.
    pub bytes: Vec<u8>,
    /// Set where others than root and the caller could have written it.
    pub finding: Option<Finding>,
    /// Permission bits.
    pub mode: u32,
    /// Where it lies, links followed.
    pub real: PathBuf,
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
/// Whoever goes by it leaves a trail, also to one that is not there: it may be
/// tomorrow.
///
/// # Errors
/// It is missing, not a regular file, unreadable or too large.
pub fn read(path: &Path, trail: &Trail) -> Result<Loaded, Unreadable> {
    trail.file(path);
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
    match open::read_sized(file.as_fd(), stat.size, &mut bytes, LIMIT).map_err(failed)? {
        Bounded::Complete => {}
        Bounded::TooLarge => return Err(unreadable("it is larger than 64 MiB".into(), false)),
    }
    let real = open::real_path(file.as_fd()).map_err(failed)?;
    let sight = Sight::default();
    let finding = examine(path, &real, &stat, Owners::RootAndCaller, &sight).map_err(failed)?;
    Ok(Loaded {
        bytes,
        finding,
        mode: stat.mode,
        real,
    })
}

/// Finds the file, or the folder on the way to it, that somebody else owns or
/// can write.
///
/// A sticky folder (`/tmp`) is no way in to the caller's own files where a
/// folder lies in it: others can't rename that. What lies there itself, the
/// file or a link to it, others may have put there first. What is root's, they
/// can't have put there, but for another name of some file of root's.
pub(crate) fn examine(
    path: &Path,
    real: &Path,
    stat: &Stat,
    owners: Owners,
    sight: &Sight,
) -> Result<Option<Finding>, secure_exec_sys::Error> {
    if let Some(found) = found(sight, owners, real, stat)? {
        return Ok(Some(found));
    }
    let way = sight.follow(path)?;
    if let Some(unseen) = way.unseen {
        // It was opened, so it led somewhere a moment ago.
        return Err(unseen);
    }
    // Every folder in which a name is looked up: on the way, those that `..`
    // leaves again among them, and above the file.
    let steps = way.steps.iter().map(|(path, stat)| (path.as_path(), *stat));
    let mut entries: Vec<(&Path, Stat)> = vec![(real, *stat)];
    for above in real.ancestors().skip(1) {
        entries.push((above, sight.stat(above)?));
    }
    for (path, entry) in entries.into_iter().chain(steps) {
        if owners == Owners::Root
            && let Some(found) = owners.check_owner(path, &entry)?
        {
            return Ok(Some(found));
        }
        let Some(folder) = path.parent() else {
            continue;
        };
        let mut stat = sight.stat(folder)?;
        // Others can't rename a folder there, nor a file or link of root's, but
        // for another name of it.
        let stays = entry.kind == Kind::Directory || (owners == Owners::Root && entry.nlink == 1);
        if stays && stat.mode & 0o1000 != 0 {
            stat.mode &= !0o022;
        }
        if let Some(found) = found(sight, owners, folder, &stat)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// What is wrong with a file or folder, if something is. A mode lets nobody
/// write what is mounted read-only for good.
fn found(
    sight: &Sight,
    owners: Owners,
    path: &Path,
    stat: &Stat,
) -> Result<Option<Finding>, secure_exec_sys::Error> {
    match owners.check(path, stat)? {
        Some(found) if found.is_of_mode() && is_unchangeable_here(sight, path)? => Ok(None),
        found => Ok(found),
    }
}

/// Whether root alone can replace or change the file at its path: it and
/// every folder on the way to it, by links too, belong to root and nobody else
/// can write them. Returns the first thing that fails. Who trusts a file for
/// its place leaves a trail to it.
///
/// # Errors
/// The path can't be examined.
pub fn writable_by_root_alone(
    path: &Path,
    file: &OwnedFd,
    trail: &Trail,
) -> Result<Option<Finding>, secure_exec_sys::Error> {
    trail.file(path);
    let stat = open::stat(file.as_fd())?;
    let real = open::real_path(file.as_fd())?;
    examine(path, &real, &stat, Owners::Root, &Sight::default())
}

/// Whether others than root and the launcher's user own or can write an open
/// file, or somebody does. Returns how, as a phrase.
///
/// # Errors
/// The file can't be examined.
pub fn writer(file: &OwnedFd) -> Result<Option<String>, secure_exec_sys::Error> {
    let stat = open::stat(file.as_fd())?;
    // By its descriptor: its path plays no part.
    if let Some(found) = Owners::RootAndCaller.check(Path::new(""), &stat)? {
        return Ok(Some(found.phrase()));
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
