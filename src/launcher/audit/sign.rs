//! Signing of the log's head.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use secure_exec_core::audit::files;
use secure_exec_core::audit::fixed::Fixed;
use secure_exec_core::audit::head::{self, SigningKey};
use secure_exec_core::audit::state::State;
use secure_exec_core::config::{KeyPlace, SignConfig};
use secure_exec_core::escape::Escaped;
use secure_exec_sys::Errno;
use secure_exec_sys::log_file::LogFile;
use secure_exec_sys::log_folder::{LogFolder, Purpose};

use super::error::LogError;
use crate::trail::Trail;
use crate::trust;

/// A key, and the file that it signs heads into.
#[derive(Debug)]
pub(super) struct Signer {
    key: SigningKey,
    name: String,
    /// Seconds.
    interval: i64,
    file: LogFile,
}

/// Whether the last record has a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signed {
    /// It was signed.
    Now,
    /// The last head is not old enough.
    Already,
}

impl Signer {
    pub(super) fn open(
        config: &SignConfig,
        folder: &LogFolder,
        log: &str,
        trail: &Trail,
    ) -> Result<Self, LogError> {
        let path = place(config)?;
        let key = read(&path, trail).map_err(|why| LogError::Key {
            path: Escaped(&path.to_string_lossy()).to_string(),
            why,
        })?;
        let (file, _) = folder.open_file(&files::head(log), Purpose::Update)?;
        Ok(Self {
            name: key.verifying_key().name(),
            key,
            interval: i64::try_from(config.interval).unwrap_or(i64::MAX),
            file,
        })
    }

    /// Signs the state's last record, if there is no head yet or the last is
    /// old enough. One of the future is: the clock was set back. Allocates
    /// nothing.
    pub(super) fn sign_if_due(&self, state: &mut State) -> Result<Signed, Errno> {
        let now = jiff::Timestamp::now();
        let age = now.as_second().saturating_sub(state.head);
        if state.head != 0 && (0..self.interval).contains(&age) {
            return Ok(Signed::Already);
        }
        let mut timestamp = Fixed::<40>::new();
        write!(timestamp, "{now:.6}").map_err(|_| Errno::EOVERFLOW)?;
        let head = head::sign(&self.key, &self.name, state.last, timestamp.as_str());
        self.file.overwrite(&head)?;
        state.head = now.as_second();
        Ok(Signed::Now)
    }
}

/// The file with the key.
pub(super) fn place(config: &SignConfig) -> Result<PathBuf, LogError> {
    match &config.key {
        KeyPlace::File(path) => Ok(path.into()),
        KeyPlace::Credential(name) => std::env::var_os("CREDENTIALS_DIRECTORY")
            .map(|folder| Path::new(&folder).join(name))
            .ok_or_else(|| LogError::Credential(Escaped(name).to_string())),
    }
}

/// Only its owner may know the key.
fn read(path: &Path, trail: &Trail) -> Result<SigningKey, String> {
    let loaded = trust::read(path, trail).map_err(|error| error.to_string())?;
    if let Some(finding) = &loaded.finding {
        return Err(finding.to_string());
    }
    if loaded.mode & 0o077 != 0 {
        return Err(format!(
            "others than its owner can read it (mode {:04o})",
            loaded.mode
        ));
    }
    SigningKey::from_pem(&String::from_utf8_lossy(&loaded.bytes)).map_err(|error| error.to_string())
}
