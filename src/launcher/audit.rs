//! Writing the audit log.

use std::cell::Cell;
use std::path::Path;

use secure_exec_core::audit::chain::Format;
use secure_exec_core::audit::line::Line;
use secure_exec_core::audit::{Launch, Record};
use secure_exec_core::escape::Escaped;
use secure_exec_core::policy::Policy;
use secure_exec_sys::append::AppendFile;
use secure_exec_sys::process;

use crate::USER_AGENT;
use crate::failure::Failure;

/// The audit log of one launch.
#[derive(Debug)]
pub struct AuditLog {
    file: Result<AppendFile, String>,
    launch: Launch,
    policy: Policy,
    /// As messages call it.
    shown: String,
    /// Once is enough: a launch has several records.
    warned: Cell<bool>,
}

/// Proof that a record was written, or that the policy lets a launch go on
/// without. Only [`AuditLog`] makes one.
#[derive(Debug)]
pub struct AuditReceipt(());

impl AuditLog {
    /// Opens the log; a log that can't be opened is an error only when a
    /// record is to be written.
    ///
    /// # Errors
    /// The kernel gives no random bytes for the launch's id.
    pub fn open(path: Option<&Path>, policy: Policy) -> Result<Self, Failure> {
        let file = match path.map(|path| (path, AppendFile::open(path))) {
            None => Err(NO_PLACE.into()),
            Some((path, Err(error))) if error.is_not_found() => {
                path.parent().into_iter().for_each(create_private);
                AppendFile::open(path).map_err(|error| error.to_string())
            }
            Some((_, opened)) => opened.map_err(|error| error.to_string()),
        };
        let random = process::random_bytes::<16>().map_err(Failure::own)?;
        Ok(Self {
            file,
            launch: Launch {
                user_agent: USER_AGENT.to_string(),
                source_ip: "127.0.0.1".to_string(),
                launch_id: format!("{:032x}", u128::from_ne_bytes(random)),
                pid: process::id(),
                ppid: process::parent_id(),
                uid: process::user(),
                host: process::host_name(),
            },
            policy,
            shown: shown(path),
            warned: Cell::new(false),
        })
    }

    /// The facts that all records of this launch share.
    #[must_use]
    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// Writes a record.
    ///
    /// # Errors
    /// Under strict, when it can't be written; otherwise that is a warning.
    pub fn write(&self, record: &Record<'_>, warn: &dyn Fn(&str)) -> Result<AuditReceipt, Failure> {
        let written = match &self.file {
            Ok(file) => Line::new(record, Format::Json)
                .map_err(|error| error.to_string())
                .and_then(|line| {
                    let appended = file.append(&line.unchained());
                    appended.map_err(|errno| errno.to_string())
                }),
            Err(why) => Err(why.clone()),
        };
        match written {
            Ok(()) => Ok(AuditReceipt(())),
            Err(why) if self.policy == Policy::Strict => Err(self.failure(&why)),
            Err(_) if self.warned.replace(true) => Ok(AuditReceipt(())),
            Err(why) => {
                warn(&format!("{} can't be written: {why}", self.shown));
                Ok(AuditReceipt(()))
            }
        }
    }

    /// Writes a line that was made ready before the process was confined.
    /// Allocates nothing unless it fails.
    ///
    /// # Errors
    /// As [`AuditLog::write`].
    pub fn write_ready(&self, line: &[u8]) -> Result<AuditReceipt, Failure> {
        let written = match &self.file {
            Ok(file) => file.append(line),
            // The first record's warning said so already.
            Err(_) if self.policy != Policy::Strict => Ok(()),
            Err(why) => return Err(self.failure(why)),
        };
        match written {
            Ok(()) => Ok(AuditReceipt(())),
            Err(_) if self.policy != Policy::Strict => Ok(AuditReceipt(())),
            Err(errno) => Err(self.failure(errno.desc())),
        }
    }

    fn failure(&self, why: &str) -> Failure {
        unwritable(&self.shown, why)
    }
}

/// Neither the caller nor the machine says where the log is.
const NO_PLACE: &str = "no place for it is known, without HOME";

/// What a launch under strict fails of where the log has no place.
pub(crate) fn no_place() -> Failure {
    unwritable(&shown(None), NO_PLACE)
}

fn shown(path: Option<&Path>) -> String {
    path.map_or_else(
        || "the audit log".into(),
        |path| format!("the audit log '{}'", Escaped(&path.to_string_lossy())),
    )
}

fn unwritable(shown: &str, why: &str) -> Failure {
    Failure::own(format!(
        "{shown} can't be written: {why}\n\
         Under strict nothing runs unrecorded: make the log writable, or name another with --audit-log or SECURE_EXEC_AUDIT_LOG."
    ))
}

/// The current time as the audit log has it: RFC 3339, UTC, microseconds.
#[must_use]
pub fn timestamp() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}

/// Makes a folder that nobody else can read, with what is missing above it. A
/// failure shows when the file in it is opened.
pub(crate) fn create_private(folder: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    let _shows_later = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
}
