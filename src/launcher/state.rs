//! What the launcher remembers between launches: the highest serial of each
//! whitelist, so that an older one can't come back.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use secure_exec_core::digest;
use secure_exec_core::escape::Escaped;
use secure_exec_core::violation::Violation;

use crate::audit::create_private;
use crate::failure::Failure;
use crate::trust;

/// Compares a whitelist's serial with the highest that was seen, and remembers
/// it.
///
/// # Errors
/// The state can't be read or written: a check that can't run is a failed one.
pub fn check_serial(
    state: &Path,
    whitelist: &Path,
    serial: u64,
) -> Result<Option<Violation>, Failure> {
    let absolute = std::path::absolute(whitelist).map_err(|error| failure(state, &error))?;
    let name = digest::sha256(absolute.as_os_str().as_bytes()).hex();
    let folder = state.join("serials");
    let path = folder.join(&name);
    let seen = match trust::read(&path) {
        Ok(loaded) => String::from_utf8_lossy(&loaded.bytes)
            .trim()
            .parse::<u64>()
            .map_err(|_| failure(&path, &"it holds no number"))?,
        Err(error) if error.is_not_found() => 0,
        Err(error) => return Err(failure(&path, &error)),
    };
    if serial < seen {
        return Ok(Some(Violation::WhitelistRollback(format!(
            "the whitelist's serial is {serial}, but {seen} was seen already"
        ))));
    }
    if serial > seen {
        create_private(&folder);
        remember(&folder, &name, serial).map_err(|error| failure(&path, &error))?;
    }
    Ok(None)
}

/// Through a new file and a rename, so that a crash leaves the old number.
fn remember(folder: &Path, name: &str, serial: u64) -> std::io::Result<()> {
    let new = folder.join(format!("{name}.{}", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    writeln!(file, "{serial}")?;
    file.sync_all()?;
    std::fs::rename(&new, folder.join(name))
}

fn failure(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::own(format!(
        "the highest serial can't be kept at '{}': {why}",
        Escaped(&path.to_string_lossy())
    ))
}
