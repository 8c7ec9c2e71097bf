//! `audit stats`.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use secure_exec::failure::Failure;
use secure_exec_core::escape::Escaped;
use serde_json::{Map, Value, json};

use super::counted;
use super::filter::{Chosen, Filter};
use super::launches::Launches;
use super::logs::{self, Logs};
use super::scan::Unread;
use super::tally::{Counts, Plugin, Plugins, Tally};
use super::time::Range;
use crate::cli::Common;
use crate::screen::{Screen, Tone};
use crate::table::Table;

/// `audit stats`.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// The log (default: the launcher's)
    #[arg(value_name = "LOG")]
    log: Option<PathBuf>,
    #[command(flatten)]
    range: Range,
}

/// A log that was counted.
pub(crate) struct Counted {
    /// The log or logs, as they were named.
    pub(crate) shown: String,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) unread: Unread,
    pub(crate) tally: Tally,
}

impl Counted {
    /// Counts the records of a time.
    pub(crate) fn of(logs: &Logs, range: Range, screen: Screen) -> Result<Self, Failure> {
        let filter = Filter::new(Chosen::all(range))?;
        let found = logs.existing()?;
        for note in found.iter().flat_map(|(_, pieces)| &pieces.notes) {
            screen.warn(note);
        }
        let pieces = || found.iter().flat_map(|(_, pieces)| &pieces.list);
        let mut counted = Self {
            shown: logs.shown.clone(),
            files: pieces().count() as u64,
            bytes: pieces().map(|piece| piece.bytes).sum(),
            unread: Unread::default(),
            tally: Tally::default(),
        };
        let (tally, unread) = (&mut counted.tally, &mut counted.unread);
        let _never_breaks = logs::matching(&found, &filter, unread, &mut |_, entry| {
            tally.add(entry);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(counted)
    }
}

/// Counts, and prints what it came to.
pub(crate) fn run(common: &Common, stats: Stats, screen: Screen) -> Result<ExitCode, Failure> {
    let logs = Logs::of(common, stats.log.as_deref())?;
    let counted = Counted::of(&logs, stats.range, screen)?;
    if screen.json {
        screen.print_json(&as_json(&counted))?;
    } else {
        screen.print(&as_text(&counted, screen))?;
    }
    counted.unread.report(screen);
    Ok(ExitCode::SUCCESS)
}

fn as_text(of: &Counted, screen: Screen) -> String {
    let tally = &of.tally;
    let span = |first: Option<Timestamp>, last: Option<Timestamp>| match first.zip(last) {
        Some((first, last)) => format!(", from {first:.0} to {last:.0}"),
        None => String::new(),
    };
    let mut facts = vec![
        ("log", Escaped(&of.shown).to_string()),
        (
            "files",
            format!("{}, {}", of.files, counted(of.bytes, "byte", "bytes")),
        ),
        (
            "records",
            format!("{}{}", tally.records, span(tally.first, tally.last)),
        ),
        (
            "launches",
            format!(
                "{}{}",
                launches(tally.launches),
                span(tally.first_decision, tally.last_decision)
            ),
        ),
        ("sandboxes", sandboxes(tally)),
        ("rotations", tally.rotations.to_string()),
        ("recoveries", kinds(&tally.recoveries)),
    ];
    if of.unread.count > 0 {
        facts.push(("no records", counted(of.unread.count, "line", "lines")));
    }
    let width = facts
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for (name, fact) in facts {
        let name = format!("{name:width$}");
        text += &format!("{}  {fact}\n", screen.tone(Tone::Head, &name));
    }
    if tally
        .refusals
        .total()
        .saturating_add(tally.overlooked.total())
        > 0
    {
        text += &format!("\n{}", violations(tally).text(screen));
    }
    for (title, plugins) in [("PLUGIN", &tally.listed), ("NOT LISTED", &tally.unlisted)] {
        if !plugins.by_name.is_empty() {
            text += &format!("\n{}", of_plugins(title, plugins).text(screen));
        }
    }
    text
}

fn launches(launches: Launches) -> String {
    let Launches {
        allowed,
        observed,
        refused,
        failed,
    } = launches;
    format!(
        "{}: {allowed} allowed, {observed} observed, {refused} refused, {failed} not started",
        launches.total()
    )
}

fn sandboxes(tally: &Tally) -> String {
    let of = &tally.sandboxes;
    format!(
        "{}: {} full, {} partial, {} none; {} weaker than the profile asks",
        of.total(),
        of.full,
        of.partial,
        of.none,
        of.degraded
    )
}

fn kinds(counts: &Counts) -> String {
    let kinds: Vec<String> = counts
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    match kinds.is_empty() {
        true => "0".into(),
        false => format!("{}: {}", counts.total(), kinds.join(", ")),
    }
}

fn violations(tally: &Tally) -> Table {
    let mut table = Table::new(&["VIOLATION", "REFUSED", "OVERLOOKED"]);
    for name in tally.violations() {
        let (refused, overlooked) = (tally.refusals.of(name), tally.overlooked.of(name));
        table.row([
            (Tone::Plain, name),
            (bad(refused), &refused.to_string()),
            (bad(overlooked), &overlooked.to_string()),
        ]);
    }
    table
}

const fn bad(count: u64) -> Tone {
    match count {
        0 => Tone::Plain,
        _ => Tone::Bad,
    }
}

fn of_plugins(title: &str, plugins: &Plugins) -> Table {
    let titles = [
        title,
        "LAUNCHES",
        "ALLOWED",
        "OBSERVED",
        "REFUSED",
        "NOT STARTED",
        "DEGRADED",
        "LAST",
    ];
    let mut table = Table::new(&titles);
    let mut row = |name: &str, of: &Launches, degraded: u64, last: Option<Timestamp>| {
        table.row([
            (Tone::Plain, name),
            (Tone::Plain, &of.total().to_string()),
            (Tone::Plain, &of.allowed.to_string()),
            (Tone::Plain, &of.observed.to_string()),
            (bad(of.refused), &of.refused.to_string()),
            (bad(of.failed), &of.failed.to_string()),
            (bad(degraded), &degraded.to_string()),
            (
                Tone::Plain,
                &last.map(|last| format!("{last:.0}")).unwrap_or_default(),
            ),
        ]);
    };
    for (name, plugin) in &plugins.by_name {
        row(name, &plugin.launches, plugin.degraded, plugin.last);
    }
    if plugins.others.total() > 0 {
        row("(others)", &plugins.others, 0, None);
    }
    table
}

fn as_json(of: &Counted) -> Value {
    let tally = &of.tally;
    let time = |time: Option<Timestamp>| time.map(|time| format!("{time:.6}"));
    let counts = |counts: &Counts| -> Map<String, Value> {
        counts
            .iter()
            .map(|(kind, count)| (kind.to_string(), count.into()))
            .collect()
    };
    json!({
        "log": of.shown,
        "files": of.files,
        "bytes": of.bytes,
        "records": tally.records,
        "lines_that_are_no_records": of.unread.count,
        "first_record": time(tally.first),
        "last_record": time(tally.last),
        "first_decision": time(tally.first_decision),
        "last_decision": time(tally.last_decision),
        "launches": launches_as_json(&tally.launches),
        "refusals": counts(&tally.refusals),
        "overlooked": counts(&tally.overlooked),
        "sandboxes": {
            "full": tally.sandboxes.full,
            "partial": tally.sandboxes.partial,
            "none": tally.sandboxes.none,
            "degraded": tally.sandboxes.degraded,
        },
        "rotations": tally.rotations,
        "recoveries": counts(&tally.recoveries),
        "plugins": plugins_as_json(&tally.listed),
        "other_plugins": launches_as_json(&tally.listed.others),
        "not_listed": plugins_as_json(&tally.unlisted),
        "other_not_listed": launches_as_json(&tally.unlisted.others),
    })
}

fn launches_as_json(of: &Launches) -> Value {
    json!({
        "total": of.total(),
        "allowed": of.allowed,
        "observed": of.observed,
        "refused": of.refused,
        "not_started": of.failed,
    })
}

fn plugins_as_json(plugins: &Plugins) -> Vec<Value> {
    let one = |(name, plugin): (&std::rc::Rc<str>, &Plugin)| {
        json!({
            "name": **name,
            "launches": launches_as_json(&plugin.launches),
            "degraded": plugin.degraded,
            "last_decision": plugin.last.map(|last| format!("{last:.6}")),
        })
    };
    plugins.by_name.iter().map(one).collect()
}
