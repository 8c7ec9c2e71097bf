//! Writing the audit log: what a launch says of itself, and what its failure
//! leads to. How the file is written is [`mod@file`]'s.

mod aside;
mod error;
pub mod file;
mod held;
mod locks;
mod named;
mod own;
mod place;
mod repair;
mod rotate;
mod rules;
mod sign;
pub mod sinks;
mod tail;

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};

use secure_exec_core::audit::chain::{Format, Link};
use secure_exec_core::audit::line::Line;
use secure_exec_core::audit::packet::Packet;
use secure_exec_core::audit::{Event, Launch, Record};
use secure_exec_core::config::{Include, OnFailure, SignConfig};
use secure_exec_core::escape::Escaped;
use secure_exec_core::policy::Policy;
use secure_exec_sys::{process, stream};
use serde_json::{Map, Value};

use crate::USER_AGENT;
use crate::cli::Arguments;
use crate::examined::Examined;
use crate::failure::Failure;
use crate::listed::Listed;
use crate::settings::Settings;
pub use error::LogError;
use file::FileLog;
use own::OwnRecords;
use sinks::Sink;

/// The audit log of one launch.
#[derive(Debug)]
pub struct AuditLog {
    /// The log's file, unless the configuration has other sinks alone.
    file: Option<Result<FileLog, String>>,
    file_rule: OnFailure,
    sinks: Vec<(Sink, OnFailure)>,
    format: Format,
    include: Include,
    arguments: Option<Vec<String>>,
    launch: Launch,
    policy: Policy,
    /// As messages call the file.
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
pub struct Ready(RefCell<Prepared>);

#[derive(Debug)]
struct Prepared {
    line: Line,
    packets: Vec<Packet>,
}

impl AuditLog {
    /// Opens the log for a launch that was typed so, of a plugin that was looked
    /// up unless that failed; a log that can't be opened is an error only when
    /// a record is to be written.
    ///
    /// # Errors
    /// The kernel gives no random bytes for the launch's id; the configured
    /// sinks are none for this policy.
    pub fn open(
        settings: &Settings,
        listed: Option<&Listed>,
        typed: &Arguments,
    ) -> Result<Self, Failure> {
        let config = &settings.audit;
        let policy = listed.map_or(settings.policy, |listed| listed.policy);
        let file_rule = rules::of_file(config, policy)?;
        let path = settings.audit_log.as_deref();
        let trail = listed.map_or(&settings.trail, |listed| &listed.trail);
        let file = file_rule.map(|_| match path {
            None => Err(NO_PLACE.into()),
            Some(path) => match listed.and_then(|listed| place::flaw(path, listed)) {
                Some(flaw) => Err(flaw),
                None => FileLog::open(path, config)
                    .inspect(|log| trail.follow(&log.trail))
                    .map_err(|error| error.to_string()),
            },
        });
        let sinks = config.sinks.iter().filter_map(|sink| {
            let opened = Sink::open(sink, config.log_format)?;
            Some((opened, sink.on_failure.unwrap_or(OnFailure::Warn)))
        });
        Ok(Self {
            file,
            file_rule: file_rule.unwrap_or(OnFailure::Ignore),
            sinks: sinks.collect(),
            format: config.log_format,
            include: config.include.clone(),
            arguments: config
                .include
                .arguments
                .then(|| named::arguments(&typed.plugin_arguments)),
            launch: facts()?,
            policy,
            shown: shown(path),
            warned: Cell::new(typed.quiet),
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
        named::variables(&self.include.environment, examined)
    }

    /// Writes a record.
    ///
    /// # Errors
    /// It can't be written, and what it can't be written to refuses then, as
    /// the file does under strict; otherwise that is a warning.
    pub fn write(&self, record: &Record<'_>, warn: &dyn Fn(&str)) -> Result<AuditReceipt, Failure> {
        let decides = matches!(
            record.event_type,
            Event::PluginValidationSuccess | Event::SecurityViolation
        );
        let unusable = |error: serde_json::Error| self.failure(&LogError::from(error).to_string());
        let mut line = Line::new(record, self.format).map_err(unusable)?;
        let own = OwnRecords::new(self);
        let appended = match &self.file {
            None => Ok(None),
            Some(Err(why)) => Err(why.clone()),
            Some(Ok(file)) => file
                .append(&mut line, decides, &|event, audit| own.render(event, audit))
                .map(Some)
                .map_err(|error| error.to_string()),
        };
        let (link, kept) = match appended {
            Ok(link) => (link, Ok(())),
            Err(why) => {
                let kept = self.failed(self.file_rule, &self.shown, &why, unwritable, warn);
                (None, kept)
            }
        };
        let sealed = link.map_or(&[][..], |_| line.sealed());
        // What the file lacks is looked for elsewhere, so a failure waits.
        let told = own.send(warn);
        let sent = self.send(record, sealed, link, warn);
        self.keep_house(warn);
        kept.and(told).and(sent).map(|()| AuditReceipt(()))
    }

    /// The record is written by then: what fails here is no reason to refuse.
    fn keep_house(&self, warn: &dyn Fn(&str)) {
        let Some(Ok(file)) = &self.file else { return };
        let shown = &self.shown;
        if let Err(error) = file.compress() {
            warn(&format!(
                "a rotated file of {shown} stays uncompressed: {error}"
            ));
        }
        for undone in file.take_undone() {
            warn(&format!("{shown} {undone}"));
        }
    }

    /// Sends a record that became this line in the file to all other sinks.
    fn send(
        &self,
        record: &Record<'_>,
        line: &[u8],
        link: Option<Link>,
        warn: &dyn Fn(&str),
    ) -> Result<(), Failure> {
        let mut all = Ok(());
        for (sink, rule) in &self.sinks {
            let sent = match sink.prepare(record) {
                Ok(mut packet) => sink
                    .send(packet.complete(line, link))
                    .map_err(|unsent| unsent.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = sent {
                all = all.and(self.failed(*rule, &sink.to_string(), &why, unsent, warn));
            }
        }
        all
    }

    fn failed(
        &self,
        rule: OnFailure,
        shown: &str,
        why: &str,
        refusal: fn(&str, &str) -> Failure,
        warn: &dyn Fn(&str),
    ) -> Result<(), Failure> {
        match rule {
            OnFailure::Refuse => Err(refusal(shown, why)),
            OnFailure::Warn if !self.warned.replace(true) => {
                warn(&format!("{shown} can't be written: {why}"));
                Ok(())
            }
            OnFailure::Warn | OnFailure::Ignore => Ok(()),
        }
    }

    /// There is a sink beside the file: what failed at one may stand in
    /// another.
    #[must_use]
    pub fn has_other_sinks(&self) -> bool {
        !self.sinks.is_empty()
    }

    /// Makes a record ready for [`AuditLog::write_ready`].
    ///
    /// # Errors
    /// It is no JSON.
    pub fn ready(&self, record: &Record<'_>) -> Result<Ready, serde_json::Error> {
        let packets = self.sinks.iter().map(|(sink, _)| sink.prepare(record));
        Ok(Ready(RefCell::new(Prepared {
            line: Line::new(record, self.format)?,
            packets: packets.collect::<Result<_, _>>()?,
        })))
    }

    /// From here until the plugin runs nothing can be opened: the log's file
    /// is kept from being exchanged.
    ///
    /// # Errors
    /// That can't be had, and the file refuses then.
    pub fn hold(&self) -> Result<(), Failure> {
        let Some(Ok(file)) = &self.file else {
            // The record of the decision had to do without it as well.
            return Ok(());
        };
        let own = OwnRecords::new(self);
        match file.hold(&|event, audit| own.render(event, audit)) {
            Err(error) if self.file_rule == OnFailure::Refuse => {
                Err(self.failure(&error.to_string()))
            }
            _ => own.send(&|_| {}),
        }
    }

    /// Writes a record that was made ready before the process was confined.
    /// Allocates nothing unless it fails.
    ///
    /// # Errors
    /// As [`AuditLog::write`].
    pub fn write_ready(&self, ready: &Ready) -> Result<AuditReceipt, Failure> {
        let Prepared { line, packets } = &mut *ready.0.borrow_mut();
        let mut all = Ok(());
        let link = match &self.file {
            None | Some(Err(_)) => None,
            Some(Ok(file)) => match file.append_held(line) {
                Ok(link) => Some(link),
                Err(errno) if self.file_rule == OnFailure::Refuse => {
                    all = Err(self.failure(&LogError::from(errno).to_string()));
                    None
                }
                Err(_) => {
                    self.say_incomplete(self.file_rule);
                    None
                }
            },
        };
        let sealed = link.map_or(&[][..], |_| line.sealed());
        for ((sink, rule), packet) in self.sinks.iter().zip(packets) {
            match sink.send_confined(packet.complete(sealed, link)) {
                Ok(()) => {}
                Err(why) if *rule == OnFailure::Refuse => {
                    all = all.and_then(|()| Err(unsent(&sink.to_string(), &why.to_string())));
                }
                Err(_) => self.say_incomplete(*rule),
            }
        }
        all.map(|()| AuditReceipt(()))
    }

    /// A warning where none can be put together any more.
    fn say_incomplete(&self, rule: OnFailure) {
        const TEXT: &[u8] =
            b"WARNING: the audit record of what was enforced did not reach every sink\n";
        if rule == OnFailure::Warn && !self.warned.replace(true) {
            // A closed standard error has nobody to tell.
            let _unheard = stream::write_to_stderr(TEXT);
        }
    }

    fn failure(&self, why: &str) -> Failure {
        unwritable(&self.shown, why)
    }
}

/// What all records of this process share.
fn facts() -> Result<Launch, Failure> {
    let random = process::random_bytes::<16>().map_err(Failure::own)?;
    Ok(Launch {
        user_agent: USER_AGENT.to_string(),
        source_ip: "127.0.0.1".to_string(),
        launch_id: format!("{:032x}", u128::from_ne_bytes(random)),
        pid: process::id(),
        ppid: process::parent_id(),
        uid: process::user(),
        host: process::host_name(),
    })
}

/// Rotates the log that the settings name, as an administrator asks; returns
/// what its file is called now.
///
/// # Errors
/// There is no such log, or none with a record, or it can't be rotated.
pub fn rotate(settings: &Settings) -> Result<String, Failure> {
    let path = settings.audit_log.as_deref();
    let failed = |error: LogError| {
        Failure::own(format!(
            "{} can't be rotated: {error}\n\
             Make it and its folder writable for this user, or name another.",
            shown(path)
        ))
    };
    let path = path.ok_or_else(|| unwritable(&shown(None), NO_PLACE))?;
    secure_exec_sys::open::stat_path(path, false)
        .map_err(LogError::from)
        .map_err(failed)?;
    let file = FileLog::open(path, &settings.audit).map_err(failed)?;
    let launch = facts()?;
    let rotated = file.rotate(&|event, audit| {
        let policy = settings.policy.name();
        let record = Record::of_log(timestamp(), event, policy, &launch, audit);
        Line::new(&record, settings.audit.log_format)
    });
    rotated.map_err(failed)?.ok_or_else(|| {
        Failure::own(format!(
            "{} has no record, so there is nothing to rotate",
            shown(Some(path))
        ))
    })
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
    match rules::of_file(&settings.audit, listed.policy) {
        Err(failure) => return Some(failure),
        Ok(None) => return None,
        Ok(Some(_)) => {}
    }
    let path = settings.audit_log.as_deref();
    let flaw = match path {
        None => NO_PLACE.to_string(),
        Some(path) => place::flaw(path, listed)?,
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

/// As [`unwritable`], of another sink.
fn unsent(shown: &str, why: &str) -> Failure {
    Failure::own(format!(
        "{shown} can't be written: {why}\n\
         It is a sink with 'on_failure: refuse', so that nothing runs unrecorded there: start what reads it, or change 'audit.sinks' in the configuration."
    ))
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

/// Makes a folder that nobody else can read, with what is missing above it.
///
/// # Errors
/// As mkdir(2).
pub(crate) fn create_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}
