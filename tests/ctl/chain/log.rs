//! Logs that the launcher's own writer wrote, and what a test changes of them.

use std::path::{Path, PathBuf};

use secure_exec::audit::file::FileLog;
use secure_exec::audit::timestamp;
use secure_exec_core::audit::chain::{Ends, Format, Hash, Link, hash};
use secure_exec_core::audit::line::Line;
use secure_exec_core::audit::{Event, Launch, Outcome, Record};
use secure_exec_core::config::{AuditConfig, Config};
use serde_json::Value;

use crate::kit::{Host, Outcome as Ended, record};
use crate::{ctl, json};

/// A writer of a log.
pub(super) struct Writer {
    log: FileLog,
    launch: Launch,
    format: Format,
}

/// The configuration of a log: `{ max_backups: 3 }`.
pub(super) fn config(options: &str) -> AuditConfig {
    let text = format!("audit: {options}");
    Config::parse(text.as_bytes(), "config").unwrap().audit
}

impl Writer {
    pub(super) fn of(log: &Path, options: &str) -> Self {
        let config = config(options);
        Self {
            log: FileLog::open(log, &config).unwrap(),
            launch: record::launch(),
            format: config.log_format,
        }
    }

    fn render(&self) -> impl Fn(Event, Value) -> Result<Line, serde_json::Error> + '_ {
        |event, audit| {
            let record = Record::of_log(timestamp(), event, "strict", &self.launch, audit);
            Line::new(&record, self.format)
        }
    }

    pub(super) fn write(&self, plugin: &str) -> Link {
        let record = Record {
            plugin_name: Some(plugin),
            result: Outcome::Allowed,
            ..Record::new(
                timestamp(),
                Event::PluginValidationSuccess,
                "strict",
                &self.launch,
            )
        };
        let mut line = Line::new(&record, self.format).unwrap();
        self.log.append(&mut line, true, &self.render()).unwrap()
    }

    /// As a launch does before it is confined, and until it ends.
    pub(super) fn hold(&self) {
        self.log.hold(&self.render()).unwrap();
    }

    pub(super) fn rotate(&self) {
        self.log.rotate(&self.render()).unwrap();
    }
}

/// Writes a log of so many files, each with so many records; the last one is
/// the active file. Nothing is left of an earlier one.
pub(super) fn write(host: &Host, options: &str, files: usize, records: usize) -> PathBuf {
    let log = host.audit_log();
    for file in std::fs::read_dir(host.path("state")).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    let writer = Writer::of(&log, options);
    for file in 0..files {
        if file > 0 {
            writer.rotate();
        }
        for record in 0..records {
            writer.write(&format!("plugin-{file}-{record}"));
        }
    }
    log
}

/// The log's file that was rotated first, second, …
pub(super) fn rotated(host: &Host, number: u64) -> PathBuf {
    host.path(format!("state/audit.log.{number:06}"))
}

/// A file's lines, with their line feeds.
pub(super) fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    text.split_inclusive('\n').map(str::to_string).collect()
}

/// Changes a file's lines.
pub(super) fn change(file: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let mut lines = lines(file);
    change(&mut lines);
    std::fs::write(file, lines.concat()).unwrap();
}

/// What a line is in the chain.
pub(super) fn ends(line: &str) -> Ends {
    Ends::of(line.as_bytes()).unwrap()
}

/// A line with the hash that its bytes have.
pub(super) fn rehashed(line: &str) -> String {
    let ends = ends(line);
    let own = hash(&line.as_bytes()[..ends.hashed]);
    line.replace(&ends.record_hash.to_string(), &own.to_string())
}

/// Writes the chain of a file anew from a line on.
pub(super) fn rechain(file: &Path, from: usize) {
    change(file, |lines| {
        let mut prev: Option<Hash> = None;
        for line in &mut lines[from..] {
            let mut text = line.replace("plugin-", "forged-");
            if let Some(prev) = prev {
                text = text.replacen(&ends(line).prev.to_string(), &prev.to_string(), 1);
            }
            *line = rehashed(&text);
            prev = Some(ends(line).record_hash);
        }
    });
}

/// `audit verify` of the host's log.
pub(super) fn verify(host: &Host, more: &[&str]) -> Ended {
    ctl(host, words(host, more))
}

fn words(host: &Host, more: &[&str]) -> Vec<String> {
    let log = host.audit_log();
    let mut words = vec!["audit", "verify", log.to_str().unwrap()];
    words.extend(more);
    words.into_iter().map(str::to_string).collect()
}

/// What is wrong first: kind, file and record. The log must not be whole.
#[track_caller]
pub(super) fn found(host: &Host, more: &[&str]) -> (String, String, Option<u64>) {
    let outcome = verify(host, more);
    assert_eq!(outcome.status, 1, "{outcome:#?}");
    let said = json(host, words(host, more));
    assert_eq!(said["result"], "not_whole");
    let finding = &said["finding"];
    let text = |name: &str| finding[name].as_str().unwrap_or_default().to_string();
    for part in ["kind", "reason", "cure"] {
        let part = text(part);
        assert!(
            !part.is_empty() && outcome.stdout.contains(&part),
            "{outcome:#?}"
        );
    }
    (text("kind"), text("file"), finding["seq"].as_u64())
}

/// Nothing is wrong.
#[track_caller]
pub(super) fn assert_whole(host: &Host, more: &[&str]) -> Value {
    let outcome = verify(host, more).succeeded();
    assert!(
        outcome.stdout.starts_with("audit.log: whole: "),
        "{outcome:#?}"
    );
    let said = json(host, words(host, more));
    assert_eq!(
        (&said["result"], &said["finding"]),
        (&"whole".into(), &Value::Null)
    );
    said
}
