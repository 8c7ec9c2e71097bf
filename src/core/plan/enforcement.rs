//! How much of a profile a kernel can enforce, as a value; and what the filter
//! does where the kernel's Landlock can't yet.

use std::fmt;

use super::isolation::settle;
use super::namespaces::{Means, Obstacle};
use super::rights::{OWN_ROOT, REQUIREMENTS, Requirement, Wanted};
use crate::filter::StandIn;
use crate::profile::{Isolation, Profile};

/// What matters of the running kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelFacts {
    /// Landlock ABI; 0 where Landlock is absent or switched off.
    pub landlock_abi: u8,
    /// Filters can be installed.
    pub seccomp: bool,
    /// What the kernel may well have, and a filter around the launcher keeps
    /// from it: a container's, or a service manager's.
    pub withheld: Withheld,
    /// What a trial of namespaces led to, where the profile wants them.
    pub namespaces: Result<Means, Obstacle>,
}

/// Calls that a filter around the launcher refuses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    /// Landlock's.
    pub landlock: bool,
    /// seccomp(2).
    pub seccomp: bool,
}

/// A protection that the profile requires and the kernel lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is missing.
    pub protection: &'static str,
    /// What has it: the first kernel, or a setting.
    pub since: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (needs {})", self.protection, self.since)
    }
}

/// A protection that the kernel's Landlock lacks and something else gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// What Landlock lacks.
    pub protection: &'static str,
    /// Who gives it.
    pub by: &'static str,
    /// What that does instead: at least as much.
    pub instead: &'static str,
    /// What the filter is told to refuse for that.
    pub stand_in: StandIn,
}

impl TakenOver {
    /// It holds as long as no granted folder shows sockets of others.
    #[must_use]
    pub fn is_of_own_root(&self) -> bool {
        self.by == OWN_ROOT
    }
}

impl fmt::Display for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.protection, self.by, self.instead)
    }
}

/// How much of the profile is enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// All of it.
    Full,
    /// All but these.
    Partial(Vec<Missing>),
    /// Nothing, since profile or policy asks for no sandbox.
    None,
}

impl Enforcement {
    /// `full`, `partial` or `none`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial(_) => "partial",
            Self::None => "none",
        }
    }

    /// What is missing.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        match self {
            Self::Partial(missing) => missing,
            Self::Full | Self::None => &[],
        }
    }
}

/// Who gives a protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// The kernel.
    Kernel,
    /// The filter or a namespace, in Landlock's place.
    Instead(TakenOver),
    /// Nobody.
    Nobody,
}

/// The kernel's protections that a profile requires, each with who gives it
/// here.
pub fn requirements(
    profile: &Profile,
    kernel: KernelFacts,
) -> impl Iterator<Item = (Missing, Coverage)> {
    let filters = Missing {
        since: if kernel.withheld.seccomp {
            "seccomp(2) admitted by the filter around the launcher: a container's seccomp profile, or systemd's SystemCallFilter="
        } else {
            SECCOMP.since
        },
        ..SECCOMP
    };
    let filters = (!kernel.seccomp).then_some((filters, Coverage::Nobody));
    let wanted = Wanted::of(profile);
    let isolation = settle(profile, kernel).isolation;
    let rules = REQUIREMENTS.iter().filter_map(move |rule| {
        // Without file rules a right of theirs is no loss of its own.
        let is_void = rule.refines_files && kernel.landlock_abi == 0;
        let is_required = !is_void && (rule.required_by)(&wanted);
        let missing = Missing {
            since: if kernel.withheld.landlock {
                "landlock_*(2) admitted by the filter around the launcher: a container's seccomp profile, or systemd's SystemCallFilter="
            } else {
                rule.missing.since
            },
            ..rule.missing
        };
        is_required.then(|| (missing, rule.coverage(&wanted, kernel, isolation)))
    });
    let namespaces = isolation.has_namespaces().then(|| {
        let coverage = match kernel.namespaces {
            Ok(_) => Coverage::Kernel,
            Err(_) => Coverage::Nobody,
        };
        let obstacle = kernel.namespaces.err();
        (obstacle.unwrap_or(Obstacle::Untried).missing(), coverage)
    });
    filters.into_iter().chain(rules).chain(namespaces)
}

/// Who enforces what of a profile.
pub(super) struct Shares {
    pub(super) enforcement: Enforcement,
    pub(super) taken_over: Vec<TakenOver>,
    pub(super) stand_in: StandIn,
}

pub(super) fn share(profile: &Profile, kernel: KernelFacts) -> Shares {
    let mut missing = Vec::new();
    let mut taken_over = Vec::new();
    let mut stand_in = StandIn::default();
    for (protection, coverage) in requirements(profile, kernel) {
        match coverage {
            Coverage::Kernel => {}
            Coverage::Nobody => missing.push(protection),
            Coverage::Instead(one) => {
                stand_in = stand_in.and(one.stand_in);
                taken_over.push(one);
            }
        }
    }
    Shares {
        enforcement: if missing.is_empty() {
            Enforcement::Full
        } else {
            Enforcement::Partial(missing)
        },
        taken_over,
        stand_in,
    }
}

/// What of a profile neither this kernel's Landlock nor the filter gives, and
/// namespaces do.
pub(super) fn only_in_namespaces(profile: &Profile, kernel: KernelFacts) -> Option<&'static str> {
    let wanted = Wanted::of(profile);
    let kernel = KernelFacts {
        namespaces: Ok(Means::Privilege),
        ..kernel
    };
    let covers = |rule: &Requirement, isolation| {
        let coverage = rule.coverage(&wanted, kernel, isolation);
        coverage != Coverage::Nobody
    };
    let mut required = REQUIREMENTS.iter();
    let found = required.find(|rule| {
        (rule.required_by)(&wanted)
            && !covers(rule, Isolation::Process)
            && covers(rule, Isolation::Namespaces)
    });
    found.map(|rule| rule.missing.protection)
}

const SECCOMP: Missing = Missing {
    protection: "seccomp filters",
    since: "CONFIG_SECCOMP_FILTER in the kernel",
};
