//! The three policies of the guide, and what each may overlook.

use serde::Deserialize;

use crate::violation::Violation;

/// How a violation is treated. The order is that of strength, so that the
/// stronger of two policies is their maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Record, enforce nothing.
    AuditOnly,
    /// Warn and run; the sandbox is enforced as far as the kernel can.
    Permissive,
    /// Refuse.
    #[default]
    Strict,
}

impl Policy {
    /// The names, as the outside writes them.
    pub const NAMES: [&'static str; 3] = ["strict", "permissive", "audit-only"];

    /// The policy of that name; an unknown name is never a fallback.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "strict" => Some(Self::Strict),
            "permissive" => Some(Self::Permissive),
            "audit-only" => Some(Self::AuditOnly),
            _ => None,
        }
    }

    /// The policy's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Permissive => "permissive",
            Self::AuditOnly => "audit-only",
        }
    }

    /// The stronger of this policy and a floor that may not be weakened.
    #[must_use]
    pub fn at_least(self, floor: Option<Self>) -> Self {
        floor.map_or(self, |floor| self.max(floor))
    }

    /// Waives a violation, where this policy may: the only place that makes a
    /// [`Waiver`]. Strict waives nothing, and no policy waives what leaves
    /// nothing sound to run.
    #[must_use]
    pub fn waive(self, violation: &Violation) -> Option<Waiver> {
        let waivable = self != Self::Strict && violation.is_waivable();
        waivable.then(|| Waiver {
            policy: self,
            code: violation.code(),
        })
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Proof that a policy overlooked a violation. It can't be made outside this
/// module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    policy: Policy,
    code: &'static str,
}

impl Waiver {
    /// The policy that waived.
    #[must_use]
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// The code of the violation that was waived.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }
}
