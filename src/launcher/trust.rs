//! Whom a configuration file is to be trusted from: who else could have
//! written it.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use secure_exec_core::escape::Escaped;
use secure_exec_sys::open::{self, Bounded, Kind, Stat};

/// Configuration files are read up to this many bytes.
const LIMIT: u64 = 64 << 20;

/// A configuration file's bytes.
pub struct Loaded {
    /// The content.
    pub bytes: Vec<u8>,
    /// Set where others than root and the owner could have written it.
    pub finding: Option<Finding>,
}

/// A file or folder that too many can write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file or folder.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u32,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' can be written by others than root and its owner (mode {:04o})",
            Escaped(&self.path.to_string_lossy()),
            self.mode & 0o7777
        )
    }
}

/// Why a configuration file could not be read.
#[derive(Debug)]
pub struct Unreadable {
    path: PathBuf,
    why: String,
    not_found: bool,
}

impl Unreadable {
    /// The file does not exist.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        self.not_found
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.to_string_lossy();
        write!(f, "'{}' can't be read: {}", Escaped(&path), self.why)
    }
}

/// Reads a configuration file through one descriptor, so that what was
/// checked is what was read.
///
/// # Errors
/// It is missing, not a regular file, unreadable or too large.
pub fn read(path: &Path) -> Result<Loaded, Unreadable> {
    let unreadable = |why: String, not_found: bool| Unreadable {
        path: path.to_path_buf(),
        why,
        not_found,
    };
    let failed = |error: secure_exec_sys::Error| {
        let not_found = error.errno() == Some(libc_enoent());
        unreadable(error.to_string(), not_found)
    };
    let file = open::open_file(path).map_err(failed)?;
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
    let finding = insecure(&file, &stat).map_err(failed)?;
    Ok(Loaded { bytes, finding })
}

/// Finds the file or folder on the way to `file` that others than root and
/// its owner can write. A sticky folder (`/tmp`) above the file's own folder
/// is no way in: what lies in it can't be renamed by others.
fn insecure(file: &OwnedFd, stat: &Stat) -> Result<Option<Finding>, secure_exec_sys::Error> {
    let path = open::real_path(file.as_fd())?;
    if others_can_write(stat) {
        return Ok(Some(Finding {
            path,
            mode: stat.mode,
        }));
    }
    for (level, folder) in path.ancestors().skip(1).enumerate() {
        let stat = open::stat_path(folder, false)?;
        let sticky = level > 0 && stat.mode & 0o1000 != 0;
        if others_can_write(&stat) && !sticky {
            return Ok(Some(Finding {
                path: folder.to_path_buf(),
                mode: stat.mode,
            }));
        }
    }
    Ok(None)
}

const fn others_can_write(stat: &Stat) -> bool {
    stat.mode & 0o022 != 0
}

/// Whether root alone can replace or change the file at its path: it and
/// every folder above it belong to root and nobody else can write them.
/// Returns the first thing that fails, as a phrase.
///
/// # Errors
/// The path can't be examined.
pub fn writable_by_root_alone(file: &OwnedFd) -> Result<Option<String>, secure_exec_sys::Error> {
    let path = open::real_path(file.as_fd())?;
    let stat = open::stat(file.as_fd())?;
    let complaint = |path: &Path, stat: &Stat| {
        let shown = path.to_string_lossy();
        let shown = Escaped(&shown);
        if stat.uid != 0 {
            Some(format!(
                "'{shown}' belongs to user {}, not to root",
                stat.uid
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
    if let Some(found) = complaint(&path, &stat) {
        return Ok(Some(found));
    }
    for folder in path.ancestors().skip(1) {
        if let Some(found) = complaint(folder, &open::stat_path(folder, false)?) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

const fn libc_enoent() -> i32 {
    2
}
