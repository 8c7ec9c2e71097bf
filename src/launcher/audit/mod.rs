//! Writing the audit log: what a launch says of itself, and what its failure
//! leads to. How the file is written is [`file`]'s.

mod error;
pub mod file;
mod place;
mod repair;
mod rotate;
mod sign;
pub mod sinks;
mod tail;

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use secure_exec_core::audit::chain::Format;
use secure_exec_core::audit::files;
use secure_exec_core::audit::line::Line;
use secure_exec_core::audit::{Event, Launch, Outcome, Record};
use secure_exec_core::config::{Include, SignConfig};
use secure_exec_core::escape::Escaped;
use secure_exec_core::policy::Policy;
use secure_exec_sys::process;
use serde_json::{Map, Value};

use crate::USER_AGENT;
use crate::examined::Examined;
use crate::failure::Failure;
use crate::listed::Listed;
use crate::settings::Settings;
pub use error::LogError;
use file::FileLog;

/// The audit log of one launch.
#[derive(Debug)]
pub struct AuditLog {
    file: Result<FileLog, String>,
    format: Format,
    include: Include,
    arguments: Option<Vec<String>>,
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

/// A record that was made ready before the process was confined.
#[derive(Debug)]
pub struct Ready(RefCell<Line>);

impl AuditLog {
    /// Opens the log for a launch with these arguments; a log that can't be
    /// opened is an error only when a record is to be written.
    ///
    /// # Errors
    /// The kernel gives no random bytes for the launch's id.
    pub fn open(
        settings: &Settings,
        listed: &Listed,
        arguments: &[OsString],
    ) -> Result<Self, Failure> {
        let config = &settings.audit;
        let path = settings.audit_log.as_deref();
        let file = match path.map(|path| (path, place::flaw(path, listed, settings))) {
            None => Err(NO_PLACE.into()),
            Some((_, Some(flaw))) => Err(flaw),
            Some((path, None)) => FileLog::open(path, config).map_err(|error| error.to_string()),
        };
        let random = process::random_bytes::<16>().map_err(Failure::own)?;
        Ok(Self {
            file,
            format: config.log_format,
            include: config.include.clone(),
            arguments: config.include.arguments.then(|| shortened(arguments)),
            launch: Launch {
                user_agent: USER_AGENT.to_string(),
                source_ip: "127.0.0.1".to_string(),
                launch_id: format!("{:032x}", u128::from_ne_bytes(random)),
                pid: process::id(),
                ppid: process::parent_id(),
                uid: process::user(),
                host: process::host_name(),
            },
            policy: listed.policy,
            shown: shown(path),
            warned: Cell::new(false),
        })
    }

    /// The facts that all records of this launch share.
    #[must_use]
    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// The plugin's arguments, where they are to be recorded.
    #[must_use]
    pub fn arguments(&self) -> Option<&[String]> {
        self.arguments.as_deref()
    }

    /// The variables of the plugin's environment that are to be recorded; a
    /// secret of its profile never is.
    #[must_use]
    pub fn environment(&self, examined: &Examined) -> Option<Map<String, Value>> {
        let secrets = &examined.listed.profile.environment.secrets;
        let mut named = Map::new();
        for (name, value) in examined.environment.iter() {
            let is_named = self.include.environment.iter().any(|known| known == name);
            if is_named && !secrets.contains_key(name) {
                let value = Escaped(&String::from_utf8_lossy(value)).to_string();
                named.insert(name.to_string(), value.into());
            }
        }
        (!self.include.environment.is_empty()).then_some(named)
    }

    /// Writes a record.
    ///
    /// # Errors
    /// Under strict, when it can't be written; otherwise that is a warning.
    pub fn write(&self, record: &Record<'_>, warn: &dyn Fn(&str)) -> Result<AuditReceipt, Failure> {
        let decides = matches!(
            record.event_type,
            Event::PluginValidationSuccess | Event::SecurityViolation
        );
        let written = match &self.file {
            Ok(file) => Line::new(record, self.format)
                .map_err(LogError::from)
                .and_then(|mut line| file.append(&mut line, decides, &self.own_records()))
                .map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        };
        match written {
            Ok(_) => Ok(AuditReceipt(())),
            Err(why) if self.policy == Policy::Strict => Err(self.failure(&why)),
            Err(_) if self.warned.replace(true) => Ok(AuditReceipt(())),
            Err(why) => {
                warn(&format!("{} can't be written: {why}", self.shown));
                Ok(AuditReceipt(()))
            }
        }
    }

    /// Makes a record ready for [`AuditLog::write_ready`].
    ///
    /// # Errors
    /// It is no JSON.
    pub fn ready(&self, record: &Record<'_>) -> Result<Ready, serde_json::Error> {
        Line::new(record, self.format).map(|line| Ready(RefCell::new(line)))
    }

    /// From here until the plugin runs nothing can be opened: the log's file
    /// is kept from being exchanged.
    ///
    /// # Errors
    /// Under strict, when that can't be had.
    pub fn hold(&self) -> Result<(), Failure> {
        let held = match &self.file {
            Ok(file) => file
                .hold(&self.own_records())
                .map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        };
        match held {
            Err(why) if self.policy == Policy::Strict => Err(self.failure(&why)),
            // The first record's warning said so already.
            _ => Ok(()),
        }
    }

    /// Writes a record that was made ready before the process was confined.
    /// Allocates nothing unless it fails.
    ///
    /// # Errors
    /// As [`AuditLog::write`].
    pub fn write_ready(&self, ready: &Ready) -> Result<AuditReceipt, Failure> {
        let written = match &self.file {
            Ok(file) => file.append_held(&mut ready.0.borrow_mut()),
            // The first record's warning said so already.
            Err(_) if self.policy != Policy::Strict => return Ok(AuditReceipt(())),
            Err(why) => return Err(self.failure(why)),
        };
        match written {
            Ok(_) => Ok(AuditReceipt(())),
            Err(_) if self.policy != Policy::Strict => Ok(AuditReceipt(())),
            Err(errno) => Err(self.failure(&LogError::from(errno).to_string())),
        }
    }

    /// Renders records of what happened to the log itself.
    fn own_records(&self) -> impl Fn(Event, Value) -> Result<Line, serde_json::Error> + '_ {
        |event_type, audit| {
            let record = Record {
                audit: Some(audit),
                result: Outcome::Observed,
                ..Record::new(timestamp(), event_type, self.policy.name(), &self.launch)
            };
            Line::new(&record, self.format)
        }
    }

    fn failure(&self, why: &str) -> Failure {
        unwritable(&self.shown, why)
    }
}

/// The files beside a log that writers go by and readers believe.
pub(crate) fn beside(log: &Path) -> Vec<PathBuf> {
    let name = log.file_name().map(|name| name.to_string_lossy());
    name.into_iter()
        .flat_map(|name| [files::state(&name), files::head(&name)])
        .map(|name| log.with_file_name(name))
        .collect()
}

/// The file with the key that signs heads, where the configuration names one.
pub(crate) fn key_path(config: &SignConfig) -> Option<PathBuf> {
    sign::place(config).ok()
}

/// Neither the caller nor the machine says where the log is.
const NO_PLACE: &str = "no place for it is known, without HOME";

/// What a launch under strict fails of where the log has no place, or none
/// that is good. Nothing is opened.
pub(crate) fn misplaced(settings: &Settings, listed: &Listed) -> Option<Failure> {
    let path = settings.audit_log.as_deref();
    let flaw = match path {
        None => NO_PLACE.to_string(),
        Some(path) => place::flaw(path, listed, settings)?,
    };
    Some(unwritable(&shown(path), &flaw))
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

/// So many arguments are recorded, each up to [`Escaped::LIMIT`].
const ARGUMENTS: usize = 64;

fn shortened(arguments: &[OsString]) -> Vec<String> {
    let texts = arguments.iter().map(|text| text.to_string_lossy());
    let mut kept: Vec<String> = texts
        .take(ARGUMENTS)
        .map(|text| Escaped(&text).to_string())
        .collect();
    if let Some(more) = arguments
        .len()
        .checked_sub(ARGUMENTS)
        .filter(|more| *more > 0)
    {
        kept.push(format!("… ({more} more)"));
    }
    kept
}

/// Seconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
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
