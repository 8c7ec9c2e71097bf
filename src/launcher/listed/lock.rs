//! The lock file of an entry, beside the whitelist: the pins that the entry
//! has only the digest of.

use std::path::{Path, PathBuf};

use secure_exec_core::digest::{Digest, Hasher};
use secure_exec_core::escape::Escaped;
use secure_exec_core::violation::Violation;
use secure_exec_core::whitelist::{LARGEST_LOCK, Pin, parse_lock};

use crate::owner::Finding;
use crate::trail::Trail;
use crate::trust;

/// What a lock file says.
#[derive(Debug)]
pub struct Locked {
    /// The files that it pins.
    pub pins: Vec<Pin>,
    /// Who else could have written it.
    pub finding: Option<Finding>,
}

/// Where the lock file of an entry lies.
#[must_use]
pub fn path(beside: &Path, name: &str) -> PathBuf {
    beside.join(format!("{name}.lock"))
}

/// Reads the lock file of an entry. Nothing of it is looked at before its
/// digest is the expected one.
///
/// # Errors
/// [`Violation::LockFile`]: it is missing, not the one that was pinned,
/// or has a mistake.
pub fn read(
    beside: &Path,
    name: &str,
    expected: &Digest,
    trail: &Trail,
) -> Result<Locked, Violation> {
    let path = path(beside, name);
    let shown = path.to_string_lossy();
    let mismatch = |why: String| {
        let shown = Escaped(&shown);
        Violation::LockFile(format!("the lock file '{shown}': {why}"))
    };
    let loaded = trust::read(&path, trail).map_err(|error| mismatch(error.what()))?;
    if loaded.bytes.len() > LARGEST_LOCK {
        return Err(mismatch("it is larger than 16 MiB".into()));
    }
    let mut hasher = Hasher::new(expected.algorithm())
        .ok_or_else(|| mismatch("fs-verity digests are for plugins alone".into()))?;
    hasher.update(&loaded.bytes);
    let actual = hasher.finish();
    if !actual.matches(expected) {
        return Err(mismatch(format!("expected {expected}, actual {actual}")));
    }
    let pins = parse_lock(&loaded.bytes, &shown);
    Ok(Locked {
        pins: pins.map_err(|error| Violation::LockFile(error.sentence()))?,
        finding: loaded.finding,
    })
}
