//! What the launcher remembers between launches: the highest serial of each
//! whitelist, so that an older one can't come back.

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use secure_exec_core::digest;
use secure_exec_core::escape::Escaped;
use secure_exec_core::violation::Violation;
use secure_exec_sys::lock::{self, Bytes, Patience};
use secure_exec_sys::log_folder::{LogFolder, Purpose};
use secure_exec_sys::open;

use crate::audit::create_private;
use crate::failure::Failure;
use crate::listed::folder_of;
use crate::sight::Sight;
use crate::trail::Trail;
use crate::trust;

/// Compares the serials of whitelist files with the highest that were seen. One
/// without a serial, or one that is gone, is older than any that had one.
///
/// # Errors
/// What was seen of a file with a serial can't be read. That of one without is
/// a violation: a check that can't run is a failed one.
pub fn check_serials(
    state: Option<&Path>,
    files: &[(&Path, Option<u64>)],
    trail: &Trail,
) -> Result<Vec<Violation>, Failure> {
    let mut found = Vec::new();
    let needs_none = files.iter().all(|(_, serial)| serial.is_some());
    let remembers = needs_none || state.is_some_and(may_remember);
    for (whitelist, serial) in files {
        if serial.is_none() && !remembers {
            continue;
        }
        let seen = match Places::of(state, whitelist).and_then(|places| places.seen(trail)) {
            Ok(seen) => seen,
            // The file itself asks for nothing, so the policy decides.
            Err(failure) if serial.is_none() => {
                let why = failure.reason();
                found.push(Violation::WhitelistRollback(format!(
                    "nobody knows whether the whitelist had a serial: {why}; \
                     set HOME or XDG_STATE_HOME to a folder of this user's"
                )));
                break;
            }
            Err(failure) => return Err(failure),
        };
        let what = match serial {
            Some(serial) if *serial < seen => format!("the whitelist's serial is {serial}"),
            None if seen > 0 => "the whitelist has no serial".to_string(),
            _ => continue,
        };
        found.push(Violation::WhitelistRollback(format!(
            "{what}, but {seen} was seen already"
        )));
    }
    Ok(found)
}

/// Whether anything can have been remembered. Nothing was where there is no
/// folder for it, as nearly everywhere, nor in another user's, to which HOME
/// leads after setpriv(1) and its like: this user's launches write nothing there.
fn may_remember(state: &Path) -> bool {
    let is_none = |error: secure_exec_sys::Error| error.is_not_found() || error.is_access_denied();
    !open::stat_path(&serials(state), true).is_err_and(is_none)
}

/// Remembers a whitelist's serial, if it is the highest.
///
/// # Errors
/// The state can't be read or written.
pub fn remember_serial(
    state: Option<&Path>,
    whitelist: &Path,
    serial: u64,
    trail: &Trail,
) -> Result<(), Failure> {
    let places = Places::of(state, whitelist)?;
    if serial <= seen(&places.own, trail)? {
        return Ok(());
    }
    let path = &places.own;
    let folder = folder_of(path);
    create_private(folder).map_err(|error| failure(path, &error))?;
    // Two launches may have read two versions of the whitelist: the higher
    // number stays, whoever comes last. A plugin that may read the folder can't
    // take this lock, as it could one of the folder itself.
    let folder = LogFolder::open(folder_of(folder)).map_err(|error| failure(path, &error))?;
    let (locks, _) = folder
        .open_file(LOCKS, Purpose::Lock)
        .map_err(|error| failure(path, &error))?;
    lock::lock(&locks, Bytes::one(0), Patience::LONG).map_err(|errno| failure(path, &errno))?;
    if serial > seen(path, trail)? {
        write(path, serial).map_err(|error| failure(path, &error))?;
    }
    Ok(())
}

/// The file that those lock who write, beside the folder of the serials.
const LOCKS: &str = ".serials.lock";

/// Leaves a trail to all that is remembered in a state folder.
pub(crate) fn leave(state: &Path, trail: &Trail) {
    trail.folder(serials(state));
    trail.file(state.join(LOCKS));
}

fn serials(state: &Path) -> PathBuf {
    state.join("serials")
}

/// Each whitelist has a file of its own, whatever links lead to it.
struct Places {
    own: PathBuf,
    /// As it was found by the path that was spelled.
    spelled: PathBuf,
}

impl Places {
    fn of(state: Option<&Path>, whitelist: &Path) -> Result<Self, Failure> {
        let state = state.ok_or_else(|| {
            Failure::own(
                "the whitelist has a serial, and no place to keep the highest is known\n\
                 Set HOME or XDG_STATE_HOME to a folder of this user's.",
            )
        })?;
        let place = |path: &Path| {
            let name = digest::sha256(path.as_os_str().as_bytes()).hex();
            serials(state).join(name)
        };
        let spelled = std::path::absolute(whitelist).map_err(|error| failure(state, &error))?;
        let way = Sight::default().follow(whitelist);
        let way = way.map_err(|error| failure(state, &error))?;
        Ok(Self {
            own: place(&way.end),
            spelled: place(&spelled),
        })
    }

    fn seen(&self, trail: &Trail) -> Result<u64, Failure> {
        let own = seen(&self.own, trail)?;
        if self.spelled == self.own {
            return Ok(own);
        }
        Ok(own.max(seen(&self.spelled, trail)?))
    }
}

fn seen(path: &Path, trail: &Trail) -> Result<u64, Failure> {
    match trust::read(path, trail) {
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
