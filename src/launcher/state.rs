//! What the launcher remembers between launches: the highest serial of each
//! whitelist, so that an older one can't come back.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use secure_exec_core::digest;
use secure_exec_core::escape::Escaped;
use secure_exec_core::violation::Violation;

use crate::audit::create_private;
use crate::failure::Failure;
use crate::listed::folder_of;
use crate::trust;

/// Compares a whitelist's serial with the highest that was seen.
///
/// # Errors
/// The state can't be read: a check that can't run is a failed one.
pub fn check_serial(
    state: Option<&Path>,
    whitelist: &Path,
    serial: u64,
) -> Result<Option<Violation>, Failure> {
    let seen = seen(&place(state, whitelist)?)?;
    Ok((serial < seen).then(|| {
        Violation::WhitelistRollback(format!(
            "the whitelist's serial is {serial}, but {seen} was seen already"
        ))
    }))
}

/// Remembers a whitelist's serial, if it is the highest.
///
/// # Errors
/// The state can't be read or written.
pub fn remember_serial(state: Option<&Path>, whitelist: &Path, serial: u64) -> Result<(), Failure> {
    let path = place(state, whitelist)?;
    if serial <= seen(&path)? {
        return Ok(());
    }
    let folder = folder_of(&path);
    create_private(folder).map_err(|error| failure(&path, &error))?;
    // Two launches may have read two versions of the whitelist: the higher
    // number stays, whoever comes last.
    let lock = std::fs::File::open(folder).map_err(|error| failure(&path, &error))?;
    lock.lock().map_err(|error| failure(&path, &error))?;
    if serial > seen(&path)? {
        write(&path, serial).map_err(|error| failure(&path, &error))?;
    }
    Ok(())
}

/// Each whitelist has a file of its own.
fn place(state: Option<&Path>, whitelist: &Path) -> Result<PathBuf, Failure> {
    let state = state.ok_or_else(|| {
        Failure::own(
            "the whitelist has a serial, and no place to keep the highest is known\n\
             Set HOME or XDG_STATE_HOME to a folder of this user's.",
        )
    })?;
    let absolute = std::path::absolute(whitelist).map_err(|error| failure(state, &error))?;
    let name = digest::sha256(absolute.as_os_str().as_bytes()).hex();
    Ok(state.join("serials").join(name))
}

fn seen(path: &Path) -> Result<u64, Failure> {
    match trust::read(path) {
        Ok(loaded) => String::from_utf8_lossy(&loaded.bytes)
            .trim()
            .parse::<u64>()
            .map_err(|_| failure(path, &"it holds no number")),
        Err(error) if error.is_not_found() => Ok(0),
        Err(error) => Err(failure(path, &error)),
    }
}

/// Through a new file and a rename, so that a crash leaves the old number.
fn write(path: &Path, serial: u64) -> std::io::Result<()> {
    let new = path.with_extension(std::process::id().to_string());
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    writeln!(file, "{serial}")?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

fn failure(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::own(format!(
        "the highest serial can't be kept at '{}': {why}\n\
         A whitelist with a serial needs that file: make it one that this user can read and replace.",
        Escaped(&path.to_string_lossy())
    ))
}
