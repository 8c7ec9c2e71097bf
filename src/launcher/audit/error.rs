//! Why a record could not be written.

use std::fmt;

use secure_exec_sys::{Errno, Error};

/// A log's failure, as a phrase that follows "can't be written: ".
#[derive(Debug)]
pub enum LogError {
    /// The path names no file, or the name is not UTF-8.
    NoName,
    /// A file of the log, or its folder.
    File(Error),
    /// A write, or a lock.
    System(Errno),
    /// Compressing.
    Compress(std::io::Error),
    /// Other programs exchange the file faster than records are written.
    Exchanged,
    /// The file holds something else than records.
    NoLog,
    /// The folder is missing and can't be made.
    Folder(Errno),
    /// A record that is no JSON.
    Render(serde_json::Error),
    /// The key for signing.
    Key {
        /// Its file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The credential with the key: systemd gave none of that name.
    Credential(String),
}

impl LogError {
    /// The folder can't be made.
    pub(super) fn folder(error: std::io::Error) -> Self {
        Self::Folder(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }
}

impl std::error::Error for LogError {}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoName => f.write_str("its path names no file, or one that is not UTF-8"),
            Self::File(error) => error.fmt(f),
            Self::System(Errno::ETIMEDOUT) => f.write_str(
                "another process keeps the log's lock for too long; lslocks(8) shows which, by the file that ends in '.lock'",
            ),
            Self::System(Errno::EBADMSG | Errno::ESTALE) => {
                f.write_str("another program changed it in the middle of a launch; try again")
            }
            Self::System(errno) => write!(f, "{} ({errno:?})", errno.desc()),
            Self::Compress(error) => write!(f, "compressing a rotated file: {error}"),
            Self::Exchanged => f.write_str("another program exchanges the file all the time"),
            Self::NoLog => f.write_str("the file holds something else than records"),
            Self::Folder(errno) => write!(
                f,
                "its folder is missing and can't be made: {} ({errno:?})",
                errno.desc()
            ),
            Self::Render(error) => write!(f, "the record is no JSON: {error}"),
            Self::Key { path, why } => write!(f, "its signing key '{path}': {why}"),
            Self::Credential(name) => write!(
                f,
                "its signing key: there is no credential '{name}' in $CREDENTIALS_DIRECTORY"
            ),
        }
    }
}

impl From<Error> for LogError {
    fn from(error: Error) -> Self {
        Self::File(error)
    }
}

impl From<Errno> for LogError {
    fn from(errno: Errno) -> Self {
        Self::System(errno)
    }
}

impl From<serde_json::Error> for LogError {
    fn from(error: serde_json::Error) -> Self {
        Self::Render(error)
    }
}

impl From<std::io::Error> for LogError {
    fn from(error: std::io::Error) -> Self {
        Self::Compress(error)
    }
}
