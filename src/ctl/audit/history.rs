//! The last launches of one plugin, each put together from its records.

use std::collections::VecDeque;

use jiff::Timestamp;
use secure_exec_core::escape::Escaped;

use super::entry::{Control, Entry};
use super::launches::End;

/// Launches of one plugin that are kept.
pub(crate) const KEPT: usize = 10;

/// Launches before these that are kept since the plugin did not run.
pub(crate) const TROUBLED: usize = 5;

/// Controls of one launch that are kept; the launcher has six.
const CONTROLS: usize = 12;

/// Reasons of one launch that are kept.
const REASONS: usize = 4;

/// The last launches, oldest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Those before `launches` of which the plugin did not run.
    troubled: VecDeque<Launched>,
    launches: VecDeque<Launched>,
}

/// One launch. Its texts are escaped already.
#[derive(Debug)]
pub(crate) struct Launched {
    id: Option<String>,
    pub(crate) time: Timestamp,
    pub(crate) end: End,
    pub(crate) policy: String,
    pub(crate) profile: String,
    pub(crate) image: String,
    /// Violations and their reasons.
    pub(crate) why: Vec<(String, String)>,
    pub(crate) severity: Option<String>,
    pub(crate) sandbox: Option<Confined>,
}

/// The sandbox of a launch.
#[derive(Debug)]
pub(crate) struct Confined {
    /// `full`, `partial` or `none`.
    pub(crate) enforcement: String,
    /// Landlock's ABI, where Landlock was used.
    pub(crate) abi: Option<u64>,
    pub(crate) controls: Vec<(String, Control)>,
    pub(crate) missing: Vec<String>,
}

impl History {
    /// Takes in a decision.
    pub(crate) fn add(&mut self, entry: &Entry, end: End) {
        self.change(entry, |launched| {
            launched.end = end;
            launched.severity = launched.severity.take().or(entry.severity.clone());
            if launched.why.len() < REASONS {
                launched.why.extend(why(entry));
            }
        });
    }

    /// Takes in the sandbox of a launch.
    pub(crate) fn confine(&mut self, entry: &Entry) {
        let Some(sandbox) = &entry.sandbox else {
            return;
        };
        let controls = sandbox.controls.iter().take(CONTROLS);
        let controls = controls.map(|(name, control)| (shown(name), *control));
        let missing = sandbox.missing();
        let confined = Confined {
            enforcement: shown(&sandbox.enforcement),
            abi: sandbox.abi(),
            controls: controls.collect(),
            missing: missing
                .iter()
                .take(REASONS)
                .map(|text| shown(text))
                .collect(),
        };
        self.change(entry, |launched| launched.sandbox = Some(confined));
    }

    /// The last launches, newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Launched> {
        self.launches.iter().rev().chain(self.troubled.iter().rev())
    }

    fn change(&mut self, entry: &Entry, change: impl FnOnce(&mut Launched)) {
        let id = entry.launch_id.as_deref();
        let mut known = self.launches.iter_mut().rev();
        if let Some(launched) = known.find(|one| id.is_some() && one.id.as_deref() == id) {
            return change(launched);
        }
        let mut launched = Launched {
            id: id.map(shown),
            time: entry.time,
            end: End::Allowed,
            policy: shown(entry.policy.as_deref().unwrap_or_default()),
            profile: shown(entry.profile.as_deref().unwrap_or_default()),
            image: shown(entry.image.as_deref().unwrap_or_default()),
            why: Vec::new(),
            severity: None,
            sandbox: None,
        };
        change(&mut launched);
        self.launches.push_back(launched);
        if self.launches.len() > KEPT {
            let before = self.launches.pop_front();
            let is_troubled = |one: &Launched| matches!(one.end, End::Refused | End::Failed);
            self.troubled.extend(before.filter(is_troubled));
        }
        if self.troubled.len() > TROUBLED {
            self.troubled.pop_front();
        }
    }
}

/// What was wrong, and the sentence on it.
fn why(entry: &Entry) -> Option<(String, String)> {
    let reason = entry.reason.as_deref().map(shown);
    let what = match &entry.violation_type {
        Some(violation) => shown(violation),
        None if reason.is_some() => "not started".into(),
        None => return None,
    };
    Some((what, reason.unwrap_or_default()))
}

fn shown(text: &str) -> String {
    Escaped(text).to_string()
}
