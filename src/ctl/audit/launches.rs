//! Launches by how they ended.

use super::entry::Entry;

/// Launches by how they ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Launches {
    pub(crate) allowed: u64,
    pub(crate) observed: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
}

/// How a launch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The plugin was let run.
    Allowed,
    /// It was let run under a policy that only looks on.
    Observed,
    /// It was refused.
    Refused,
    /// It could not be started.
    Failed,
}

impl End {
    /// What a record decides; `None` where it decides nothing.
    pub(crate) fn decided(entry: &Entry) -> Option<Self> {
        let let_run = match entry.result.as_deref() {
            Some("observed") => Self::Observed,
            _ => Self::Allowed,
        };
        match (entry.event_type.as_str(), entry.is_blocked()) {
            ("plugin_validation_success" | "security_violation", false) => Some(let_run),
            ("security_violation", true) => Some(Self::Refused),
            ("plugin_exited", true) => Some(Self::Failed),
            _ => None,
        }
    }

    /// Whether a launch that ended so ended otherwise in truth.
    pub(crate) const fn is_worse_than(self, other: Self) -> bool {
        matches!(self, Self::Refused | Self::Failed)
            && matches!(other, Self::Allowed | Self::Observed)
    }

    /// As reports call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Observed => "observed",
            Self::Refused => "refused",
            Self::Failed => "not started",
        }
    }
}

impl Launches {
    /// Counts a launch, or counts it otherwise than before.
    pub(crate) const fn change(&mut self, before: Option<End>, now: End) {
        if let Some(before) = before {
            let count = self.of_mut(before);
            *count = count.saturating_sub(1);
        }
        let count = self.of_mut(now);
        *count = count.saturating_add(1);
    }

    /// Those that ended so.
    pub(crate) const fn of(&self, end: End) -> u64 {
        match end {
            End::Allowed => self.allowed,
            End::Observed => self.observed,
            End::Refused => self.refused,
            End::Failed => self.failed,
        }
    }

    const fn of_mut(&mut self, end: End) -> &mut u64 {
        match end {
            End::Allowed => &mut self.allowed,
            End::Observed => &mut self.observed,
            End::Refused => &mut self.refused,
            End::Failed => &mut self.failed,
        }
    }

    /// All.
    pub(crate) const fn total(&self) -> u64 {
        self.allowed
            .saturating_add(self.observed)
            .saturating_add(self.refused)
            .saturating_add(self.failed)
    }

    /// With others.
    pub(crate) const fn plus(self, more: Self) -> Self {
        Self {
            allowed: self.allowed.saturating_add(more.allowed),
            observed: self.observed.saturating_add(more.observed),
            refused: self.refused.saturating_add(more.refused),
            failed: self.failed.saturating_add(more.failed),
        }
    }
}
