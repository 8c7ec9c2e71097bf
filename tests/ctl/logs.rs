//! Audit logs as the launcher writes them, made record by record: for volume,
//! for days that are past, and for what a launcher of today does not record.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use secure_exec_core::audit::chain::{Format, Link};
use secure_exec_core::audit::files;
use secure_exec_core::audit::line::Line;
use secure_exec_core::audit::{Event, Launch, Outcome, Record};
use serde_json::{Value, json};

use crate::kit::{Host, User, record};

/// What one record says; the rest is as usual.
#[derive(Clone, Debug)]
pub(crate) struct Said<'a> {
    pub(crate) event: Event,
    pub(crate) plugin: Option<&'a str>,
    pub(crate) result: Outcome,
    pub(crate) violation: Option<&'a str>,
    pub(crate) launch: u128,
    pub(crate) reason: Option<&'a str>,
    pub(crate) sandbox: Option<Value>,
    pub(crate) audit: Option<Value>,
    pub(crate) policy: &'a str,
}

/// A host with a plugin that runs and one whose bytes were changed.
pub(crate) fn good_and_bad(user: User) -> Host {
    let mut host = Host::of(user);
    host.install_sh("good", "exit 0");
    host.install_sh("bad", "exit 0");
    host.list("good", &[]).list("bad", &[]);
    host.install_sh("bad", "exit 1");
    host
}

/// A plugin may run.
pub(crate) fn success(plugin: &str, launch: u128) -> Said<'_> {
    Said {
        event: Event::PluginValidationSuccess,
        plugin: Some(plugin),
        result: Outcome::Allowed,
        violation: None,
        launch,
        reason: None,
        sandbox: None,
        audit: None,
        policy: "strict",
    }
}

/// A plugin is refused.
pub(crate) fn refusal<'a>(plugin: &'a str, violation: &'a str, launch: u128) -> Said<'a> {
    Said {
        event: Event::SecurityViolation,
        result: Outcome::Blocked,
        violation: Some(violation),
        reason: Some("something is wrong with it"),
        ..success(plugin, launch)
    }
}

/// A sandbox is in force.
pub(crate) fn sandbox<'a>(plugin: &'a str, launch: u128, enforcement: &str, abi: u64) -> Said<'a> {
    let is_full = enforcement == "full";
    let control = |required, achieved, proven| json!({ "required": required, "achieved": achieved, "proven": proven });
    Said {
        event: if is_full {
            Event::SandboxApplied
        } else {
            Event::SandboxDegraded
        },
        sandbox: Some(json!({
            "enforcement": enforcement,
            "missing": if is_full { vec![] } else { vec!["Landlock's TCP port rules (needs Linux 6.7, Landlock ABI 4)"] },
            "landlock": { "abi": abi, "rules": 19 },
            "controls": {
                "files": control(true, true, true),
                "exec": control(true, true, is_full),
                "namespaces": control(false, false, false),
            },
        })),
        ..success(plugin, launch)
    }
}

/// The log goes on in a new file.
pub(crate) fn rotated(before: &str, cause: &str) -> Said<'static> {
    Said {
        event: Event::AuditRotated,
        plugin: None,
        result: Outcome::Observed,
        audit: Some(json!({ "file": before, "cause": cause, "removed": [] })),
        ..success("", 0)
    }
}

/// A log that is being written.
pub(crate) struct Log {
    path: PathBuf,
    pub(crate) last: Link,
    pub(crate) format: Format,
    /// When the next record is written.
    pub(crate) time: Timestamp,
    rotation: u64,
}

impl Log {
    /// An empty log, in the host's place.
    pub(crate) fn of(host: &Host) -> Self {
        Self::at(host.audit_log())
    }

    /// An empty log.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self {
            path,
            last: Link::START,
            format: Format::Json,
            time: "2026-11-01T00:00:00Z".parse().unwrap(),
            rotation: 0,
        }
    }

    /// The active file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file beside it.
    pub(crate) fn beside(&self, extension: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(extension);
        path.into()
    }

    /// The next record's line, which is not written yet.
    pub(crate) fn line(&mut self, said: &Said<'_>) -> Vec<u8> {
        let launch = Launch {
            launch_id: format!("{:032x}", said.launch),
            ..record::launch()
        };
        let time = format!("{:.6}", self.time);
        let record = Record {
            violation_type: said.violation,
            plugin_name: said.plugin,
            plugin_path: said.plugin.map(|_| "/opt/plugins/it"),
            result: said.result,
            severity: said.violation.map(|_| "high"),
            reason: said.reason.map(String::from),
            profile: said.plugin.map(|_| "default"),
            image: said.plugin.map(|_| "sealed"),
            sandbox: said.sandbox.clone(),
            audit: said.audit.clone(),
            ..Record::new(time, said.event, said.policy, &launch)
        };
        let mut line = Line::new(&record, self.format).unwrap();
        self.last = line.seal(self.last);
        line.sealed().to_vec()
    }

    /// Lets time go by.
    pub(crate) fn wait(&mut self, seconds: i64) {
        self.time += SignedDuration::from_secs(seconds);
    }

    /// Appends bytes to the active file, in one write.
    pub(crate) fn append(&self, bytes: &[u8]) {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(&self.path).unwrap();
        file.write_all(bytes).unwrap();
    }

    /// Writes a record.
    pub(crate) fn write(&mut self, said: &Said<'_>) {
        let line = self.line(said);
        self.append(&line);
    }

    /// Goes on in a new file, as the launcher does.
    pub(crate) fn rotate(&mut self) {
        self.rotation += 1;
        let name = self.path.file_name().unwrap().to_str().unwrap();
        let before = files::rotated(name, self.rotation);
        std::fs::rename(&self.path, self.path.with_file_name(&before)).unwrap();
        self.write(&rotated(&before, "size"));
    }
}

/// Compresses a file as gzip(1) does.
pub(crate) fn gzip(path: &Path) {
    let status = std::process::Command::new("gzip").arg(path).status();
    assert!(status.unwrap().success());
}
