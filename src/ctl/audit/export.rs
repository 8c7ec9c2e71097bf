//! `audit export`: figures for machines.
//!
//! Counters must not go back, and a log forgets: so what a file of figures
//! says is where the next one begins, and only records that came since are
//! read. Which these are stands in a comment of the file.

use std::collections::{HashSet, VecDeque};
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use secure_exec::failure::Failure;
use secure_exec_core::audit::chain::{Ends, Link};
use secure_exec_core::escape::Escaped;
use secure_exec_core::violation::Violation;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::chain::{self, Verdict};
use super::entry::Entry;
use super::launches::End;
use super::log::{Log, Pieces};
use super::prometheus::{Gauge, Metrics, Name};
use super::scan::{self, Unread};
use super::{install, piece};
use crate::cli::Common;
use crate::screen::Screen;

/// Whoever collects figures is another user.
const MODE: u32 = 0o644;

/// What a file of figures may have in bytes.
const LARGEST: u64 = 16 << 20;

/// Plugins that have figures of their own.
const PLUGINS: usize = 1000;

/// In the place of a plugin's name: what no whitelist lists, and those beyond
/// the limit. No plugin of a whitelist has a name with a slash.
const OTHERS: &str = "n/a";

/// Launches that are remembered, so that the records of one are not counted as
/// two, and how many of them from one file to the next.
const RECENT: usize = 1 << 16;
const REMEMBERED: usize = 64;

/// `audit export`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The log (default: the launcher's)
    #[arg(value_name = "LOG")]
    log: Option<PathBuf>,
    /// For the textfile collector of Prometheus' node_exporter; a name that ends in .prom
    #[arg(long, value_name = "FILE")]
    prometheus: PathBuf,
    /// Public key of the signed head
    #[arg(long, value_name = "PUBLIC.pem")]
    key: Option<PathBuf>,
}

/// Where a file of figures has got to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// Number of the last record that is counted.
    seq: u64,
    /// Its hash, by which another chain is told from this one.
    record_hash: String,
    /// When the last decision was, in microseconds since 1970.
    last_decision: Option<i64>,
    /// The last launches.
    launches: VecDeque<String>,
}

/// Counts what came since, and writes the file.
pub(crate) fn run(common: &Common, export: Export, screen: Screen) -> Result<ExitCode, Failure> {
    let log = super::log(common, export.log.as_deref())?;
    let pieces = log.existing()?;
    for note in &pieces.notes {
        screen.warn(note);
    }
    let mut unread = Unread::default();
    let mut counter = before(&export.prometheus)?;
    if !counter.go_on(&log, &pieces, &mut unread)? {
        // The log is another one now, or was begun anew.
        counter = Counter::new();
        unread = Unread::default();
        let _all_of_it = counter.go_on(&log, &pieces, &mut unread)?;
    }
    unread.report(screen);
    let text = counter.text(&log, &pieces, export.key.as_deref())?;
    install::install(&export.prometheus, &text, MODE)?;
    if screen.json {
        screen.print_json(&json!({
            "prometheus": export.prometheus.to_string_lossy(),
            "counted": counter.counted,
            "last_record": counter.progress.seq,
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Counts until now.
struct Counter {
    metrics: Metrics,
    progress: Progress,
    recent: HashSet<String>,
    /// Records that are counted for this file.
    counted: u64,
}

/// What the file says that is there.
fn before(path: &Path) -> Result<Counter, Failure> {
    let shown = path.to_string_lossy();
    let failed = |why: &dyn std::fmt::Display| {
        Failure::own(format!("'{}' can't be read: {why}", Escaped(&shown)))
    };
    let file = match piece::open(path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Counter::new()),
        Err(error) => return Err(failed(&error)),
    };
    let mut text = String::new();
    file.take(LARGEST)
        .read_to_string(&mut text)
        .map_err(|error| failed(&error))?;
    let (metrics, progress) = Metrics::parse(&text).ok_or_else(|| {
        failed(
            &"it is not what 'secure-execctl audit export' writes\nRemove it, or name another file.",
        )
    })?;
    let progress: Progress = serde_json::from_str(progress).map_err(|error| failed(&error))?;
    Ok(Counter {
        metrics,
        recent: progress.launches.iter().cloned().collect(),
        progress,
        counted: 0,
    })
}

impl Counter {
    fn new() -> Self {
        let mut metrics = Metrics::default();
        // A series that is there from the beginning shows its first increase.
        for name in [
            Name::Failures,
            Name::Revocations,
            Name::Degraded,
            Name::Rotations,
            Name::Recoveries,
        ] {
            metrics.add(name, &[], 0);
        }
        for violation in Violation::CODES {
            metrics.add(Name::Refusals, &[("violation", violation)], 0);
            metrics.add(Name::Overlooked, &[("violation", violation)], 0);
        }
        for enforcement in ["full", "partial", "none"] {
            metrics.add(Name::Sandboxes, &[("enforcement", enforcement)], 0);
        }
        Self {
            metrics,
            progress: Progress::default(),
            recent: HashSet::new(),
            counted: 0,
        }
    }

    /// Counts the records after the last one that is counted. `false`: the log
    /// is not the one that it is of.
    fn go_on(&mut self, log: &Log, pieces: &Pieces, unread: &mut Unread) -> Result<bool, Failure> {
        let from = self.progress.seq;
        let hash = self.progress.record_hash.clone();
        let begins_before = |first: u64| first <= from;
        let first = pieces.list.iter().rposition(|piece| {
            let seq = piece.beginning.as_ref().and_then(piece::Beginning::seq);
            seq.is_some_and(begins_before)
        });
        let mut newest = None;
        let mut is_another = false;
        for piece in pieces.list.iter().skip(first.unwrap_or_default()) {
            let each = &mut |line: &[u8], unread: &mut Unread, number| {
                let Some(ends) = Ends::of(line) else {
                    unread.note(&piece.name, number);
                    return Ok(ControlFlow::Continue(()));
                };
                let link = ends.link();
                if link.seq == from && link.hash.to_string() != hash {
                    is_another = true;
                    return Ok(ControlFlow::Break(()));
                }
                newest = Some(link.seq);
                if link.seq > from {
                    match Entry::parse(line) {
                        Some(entry) => self.count(&entry, link),
                        None => unread.note(&piece.name, number),
                    }
                }
                Ok(ControlFlow::Continue(()))
            };
            if scan::lines(log, piece, unread, each)?.is_break() {
                break;
            }
        }
        // Where all records were removed, the chain may still go on.
        Ok(!is_another && newest.is_none_or(|newest| newest >= from))
    }

    fn count(&mut self, entry: &Entry, link: Link) {
        self.counted = self.counted.saturating_add(1);
        self.progress.seq = link.seq;
        self.progress.record_hash = link.hash.to_string();
        if let Some(end) = End::decided(entry) {
            let time = entry.time.as_microsecond();
            let last = self.progress.last_decision.unwrap_or(time);
            self.progress.last_decision = Some(last.max(time));
            self.count_launch(entry, end);
        }
        let violation = entry.violation_type.as_deref().unwrap_or("unknown");
        let violation = Escaped(violation).to_string();
        let violation = &[("violation", violation.as_str())];
        match (entry.event_type.as_str(), entry.is_blocked()) {
            ("security_violation", true) => self.metrics.add(Name::Refusals, violation, 1),
            ("security_violation", false) => self.metrics.add(Name::Overlooked, violation, 1),
            ("plugin_exited", true) => self.metrics.add(Name::Failures, &[], 1),
            ("plugin_revoked", _) => self.metrics.add(Name::Revocations, &[], 1),
            ("audit_rotated", _) => self.metrics.add(Name::Rotations, &[], 1),
            ("audit_recovered", _) => self.metrics.add(Name::Recoveries, &[], 1),
            (event @ ("sandbox_applied" | "sandbox_degraded"), _) => {
                let enforcement = entry.sandbox.as_ref().map(|s| s.enforcement.as_str());
                let known = enforcement.filter(|name| matches!(*name, "full" | "partial"));
                let enforcement = known.unwrap_or("none");
                self.metrics
                    .add(Name::Sandboxes, &[("enforcement", enforcement)], 1);
                let degraded = u64::from(event == "sandbox_degraded");
                self.metrics.add(Name::Degraded, &[], degraded);
            }
            _ => {}
        }
    }

    /// Of a launch, the first decision counts.
    fn count_launch(&mut self, entry: &Entry, end: End) {
        if let Some(id) = entry.launch_id.as_ref().filter(|id| id.len() <= 64) {
            if !self.recent.insert(id.clone()) {
                return;
            }
            self.progress.launches.push_back(id.clone());
            if self.progress.launches.len() > RECENT
                && let Some(oldest) = self.progress.launches.pop_front()
            {
                self.recent.remove(&oldest);
            }
        }
        let plugin = entry.plugin_name.as_deref().unwrap_or_default();
        let plugin = match entry.is_listed() {
            true => Escaped(plugin).to_string(),
            false => OTHERS.into(),
        };
        let result = match end {
            End::Allowed => "allowed",
            End::Observed => "observed",
            End::Refused | End::Failed => "blocked",
        };
        let labels = |plugin| [("plugin", plugin), ("result", result)];
        let is_known = self.metrics.has(Name::Launches, &labels(&plugin));
        // Three results a plugin at most.
        let is_one_too_many = !is_known && self.metrics.count(Name::Launches) >= 3 * PLUGINS;
        let plugin = if is_one_too_many { OTHERS } else { &plugin };
        self.metrics.add(Name::Launches, &labels(plugin), 1);
    }

    /// The file.
    fn text(&mut self, log: &Log, pieces: &Pieces, key: Option<&Path>) -> Result<String, Failure> {
        let launches = &mut self.progress.launches;
        let surplus = launches.len().saturating_sub(REMEMBERED);
        launches.drain(..surplus);
        let progress = serde_json::to_string(&self.progress).map_err(Failure::own)?;
        let bytes = pieces.list.iter().map(|piece| piece.bytes);
        let bytes = bytes.fold(0_u64, u64::saturating_add);
        let last = self.progress.last_decision.and_then(seconds);
        let chain_ok = match chain::of(log, key)?.verdict {
            Verdict::Unknown => None,
            Verdict::Whole => Some("1"),
            Verdict::Broken => Some("0"),
        };
        let gauges = [
            (Gauge::Files, Some(pieces.list.len().to_string())),
            (Gauge::Bytes, Some(bytes.to_string())),
            (Gauge::LastDecision, last),
            (Gauge::ChainOk, chain_ok.map(String::from)),
        ];
        let records = self.progress.seq;
        Ok(self.metrics.render(records, &gauges, &progress))
    }
}

/// Microseconds as seconds. Before 1970 there was no log.
fn seconds(micro: i64) -> Option<String> {
    let micro = u64::try_from(micro).ok()?;
    let whole = micro.checked_div(1_000_000)?;
    let rest = micro.checked_rem(1_000_000)?;
    Some(format!("{whole}.{rest:06}"))
}
