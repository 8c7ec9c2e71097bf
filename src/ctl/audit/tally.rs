//! What a log comes to, counted in one pass with bounded memory: whoever may
//! start launches can write any number of records, of any names.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

use jiff::Timestamp;
use secure_exec_core::escape::Escaped;

use super::entry::Entry;
use super::history::History;
use super::launches::{End, Launches};
use super::timeline::Timeline;

/// Plugins that are counted each for itself. Those that no whitelist lists
/// have a share of their own, since their names are what callers typed.
const LISTED: usize = 1000;
const UNLISTED: usize = 100;

/// Kinds of one thing that are counted each for itself.
const KINDS: usize = 64;

/// Launches whose later records are still counted to them.
const RECENT: usize = 1 << 16;

/// All counts.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) records: u64,
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
    pub(crate) first_decision: Option<Timestamp>,
    pub(crate) last_decision: Option<Timestamp>,
    pub(crate) launches: Launches,
    /// Violations of plugins that did not run for it.
    pub(crate) refusals: Counts,
    /// Violations of plugins that ran in spite of it.
    pub(crate) overlooked: Counts,
    pub(crate) sandboxes: Sandboxes,
    /// Sandboxes by Landlock's ABI; "none" without Landlock.
    pub(crate) abis: Counts,
    /// What sandboxes had of each control.
    pub(crate) controls: BTreeMap<String, Controls>,
    pub(crate) rotations: u64,
    /// Repairs of the log, by cause.
    pub(crate) recoveries: Counts,
    pub(crate) listed: Plugins,
    pub(crate) unlisted: Plugins,
    pub(crate) timeline: Timeline,
    recent: Recent,
}

/// Sandboxes by how much of the profile they enforce.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sandboxes {
    pub(crate) full: u64,
    pub(crate) partial: u64,
    pub(crate) none: u64,
    /// Of all these, the ones that are weaker than the profile asks.
    pub(crate) degraded: u64,
}

/// Of how many sandboxes a control was required, in force and proven.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Controls {
    pub(crate) required: u64,
    pub(crate) achieved: u64,
    pub(crate) proven: u64,
    /// Required and not in force.
    pub(crate) lacking: u64,
}

/// Counts by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(BTreeMap<String, u64>);

/// Plugins by name.
#[derive(Default)]
pub(crate) struct Plugins {
    pub(crate) by_name: BTreeMap<Rc<str>, Plugin>,
    /// Launches of those beyond the limit.
    pub(crate) others: Launches,
}

/// What is known of one plugin.
#[derive(Default)]
pub(crate) struct Plugin {
    pub(crate) launches: Launches,
    pub(crate) degraded: u64,
    pub(crate) last: Option<Timestamp>,
    pub(crate) history: History,
}

/// Launches that were seen lately.
#[derive(Default)]
struct Recent {
    by_id: HashMap<Rc<str>, Seen>,
    order: VecDeque<Rc<str>>,
}

#[derive(Clone)]
struct Seen {
    end: End,
    time: Timestamp,
    is_listed: bool,
}

impl Tally {
    /// The violations for which something was refused or overlooked, by name.
    pub(crate) fn violations(&self) -> Vec<&str> {
        let both = self.refusals.iter().chain(self.overlooked.iter());
        let mut names: Vec<&str> = both.map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Counts a record.
    pub(crate) fn add(&mut self, entry: &Entry) {
        increment(&mut self.records);
        earliest(&mut self.first, entry.time);
        latest(&mut self.last, entry.time);
        if let Some(end) = End::decided(entry) {
            self.decide(entry, end);
        }
        let violation = entry.violation_type.as_deref().unwrap_or("unknown");
        match (entry.event_type.as_str(), entry.is_blocked()) {
            ("security_violation", true) => self.refusals.add(violation),
            ("security_violation", false) => self.overlooked.add(violation),
            ("audit_rotated", _) => increment(&mut self.rotations),
            ("audit_recovered", _) => {
                let cause = entry
                    .audit
                    .as_ref()
                    .and_then(|audit| audit.cause.as_deref());
                self.recoveries.add(cause.unwrap_or("unknown"));
            }
            (event @ ("sandbox_applied" | "sandbox_degraded"), _) => {
                self.confine(entry, event == "sandbox_degraded");
            }
            _ => {}
        }
    }

    fn decide(&mut self, entry: &Entry, end: End) {
        earliest(&mut self.first_decision, entry.time);
        latest(&mut self.last_decision, entry.time);
        let seen = self.recent.get(entry);
        let is_listed = match &seen {
            Some(seen) => seen.is_listed,
            None => entry.is_listed(),
        };
        let (before, time) = match &seen {
            // One launch may have several violations; the worst end counts.
            Some(seen) if !end.is_worse_than(seen.end) => {
                self.plugin(entry, is_listed, |plugin| {
                    plugin.history.add(entry, seen.end)
                });
                return;
            }
            Some(seen) => (Some(seen.end), seen.time),
            None => (None, entry.time),
        };
        self.launches.change(before, end);
        self.timeline.change(time, before, end);
        let name = self.plugin(entry, is_listed, |plugin| {
            plugin.launches.change(before, end);
            latest(&mut plugin.last, entry.time);
            plugin.history.add(entry, end);
        });
        if name.is_none() {
            self.plugins(is_listed).others.change(before, end);
        }
        self.recent.put(
            entry,
            Seen {
                end,
                time,
                is_listed,
            },
        );
    }

    fn confine(&mut self, entry: &Entry, is_degraded: bool) {
        self.count_sandbox(entry);
        let seen = self.recent.get(entry);
        let is_listed = seen.map_or_else(|| entry.is_listed(), |seen| seen.is_listed);
        if is_degraded {
            increment(&mut self.sandboxes.degraded);
        }
        self.plugin(entry, is_listed, |plugin| {
            if is_degraded {
                increment(&mut plugin.degraded);
            }
            plugin.history.confine(entry);
        });
    }

    fn count_sandbox(&mut self, entry: &Entry) {
        let Some(sandbox) = &entry.sandbox else {
            return increment(&mut self.sandboxes.none);
        };
        match sandbox.enforcement.as_str() {
            "full" => increment(&mut self.sandboxes.full),
            "partial" => increment(&mut self.sandboxes.partial),
            _ => increment(&mut self.sandboxes.none),
        }
        match sandbox.abi() {
            Some(abi) => self.abis.add(&abi.to_string()),
            None => self.abis.add("none"),
        }
        for (name, control) in &sandbox.controls {
            let name = Escaped(name).to_string();
            if self.controls.len() >= KINDS && !self.controls.contains_key(&name) {
                continue;
            }
            let counts = self.controls.entry(name).or_default();
            counts.required = counts.required.saturating_add(control.required.into());
            counts.achieved = counts.achieved.saturating_add(control.achieved.into());
            counts.proven = counts.proven.saturating_add(control.proven.into());
            let lacks = control.required && !control.achieved;
            counts.lacking = counts.lacking.saturating_add(lacks.into());
        }
    }

    const fn plugins(&mut self, is_listed: bool) -> &mut Plugins {
        if is_listed {
            &mut self.listed
        } else {
            &mut self.unlisted
        }
    }

    /// Changes what is known of the record's plugin; `None` where it is one of
    /// too many.
    fn plugin(
        &mut self,
        entry: &Entry,
        is_listed: bool,
        change: impl FnOnce(&mut Plugin),
    ) -> Option<()> {
        let name = entry.plugin_name.as_deref().unwrap_or_default();
        let name = Escaped(name).to_string();
        let plugins = self.plugins(is_listed);
        let limit = if is_listed { LISTED } else { UNLISTED };
        if !plugins.by_name.contains_key(name.as_str()) && plugins.by_name.len() >= limit {
            return None;
        }
        change(plugins.by_name.entry(name.into()).or_default());
        Some(())
    }
}

impl Sandboxes {
    /// All.
    pub(crate) const fn total(&self) -> u64 {
        self.full
            .saturating_add(self.partial)
            .saturating_add(self.none)
    }
}

impl Counts {
    fn add(&mut self, kind: &str) {
        let kind = Escaped(kind).to_string();
        let is_one_more = !self.0.contains_key(&kind) && self.0.len() >= KINDS;
        let kind = if is_one_more { "others".into() } else { kind };
        increment(self.0.entry(kind).or_default());
    }

    /// Kinds and their numbers, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(kind, count)| (kind.as_str(), *count))
    }

    /// How many of a kind.
    pub(crate) fn of(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or_default()
    }

    /// How many in all.
    pub(crate) fn total(&self) -> u64 {
        self.0
            .values()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }
}

impl Recent {
    fn get(&self, entry: &Entry) -> Option<Seen> {
        self.by_id.get(entry.launch_id.as_deref()?).cloned()
    }

    fn put(&mut self, entry: &Entry, seen: Seen) {
        // What is longer is no id of the launcher's.
        let Some(id) = entry.launch_id.as_deref().filter(|id| id.len() <= 64) else {
            return;
        };
        let id: Rc<str> = id.into();
        if self.by_id.insert(Rc::clone(&id), seen).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > RECENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
    }
}

const fn increment(count: &mut u64) {
    *count = count.saturating_add(1);
}

fn earliest(time: &mut Option<Timestamp>, other: Timestamp) {
    *time = Some(time.map_or(other, |time| time.min(other)));
}

fn latest(time: &mut Option<Timestamp>, other: Timestamp) {
    *time = Some(time.map_or(other, |time| time.max(other)));
}
