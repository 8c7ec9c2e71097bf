//! Which isolation a launch takes: the profile's, or, where that leaves it open,
//! the one that the profile needs.

use super::KernelFacts;
use super::enforcement::only_in_namespaces;
use super::namespaces::{is_in_proc, of_process, withheld};
use crate::profile::{Isolation, IsolationChoice, Profile};

/// The isolation of a launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which it is.
    pub isolation: Isolation,
    /// Why, where the profile leaves it open.
    pub because: Option<String>,
}

/// Why a profile is better off in namespaces.
struct Need {
    why: String,
    /// Without them the profile is not enforced.
    is_strict: bool,
}

/// Settles what a profile leaves open. Where it can't do without namespaces
/// they are taken, whether or not they can be had: then the launch says what is
/// missing.
#[must_use]
pub fn settle(profile: &Profile, kernel: KernelFacts) -> Settled {
    let of_profile = |isolation| Settled {
        isolation,
        because: None,
    };
    match profile.isolation {
        IsolationChoice::Process => return of_profile(Isolation::Process),
        IsolationChoice::Namespaces => return of_profile(Isolation::Namespaces),
        IsolationChoice::None => return of_profile(Isolation::None),
        IsolationChoice::Auto => {}
    }
    let Some(Need { why, is_strict }) = need(profile, kernel) else {
        return Settled {
            isolation: Isolation::Process,
            because: Some("the profile grants nothing that needs namespaces".into()),
        };
    };
    let obstacle = match kernel.namespaces {
        Err(obstacle) => Some(format!("this system lacks {}", obstacle.missing())),
        Ok(means) => {
            withheld(profile, means).map(|key| format!("a user namespace can't have '{key}'"))
        }
    };
    match obstacle.filter(|_| !is_strict) {
        None => Settled {
            isolation: Isolation::Namespaces,
            because: Some(why),
        },
        Some(obstacle) => Settled {
            isolation: Isolation::Process,
            because: Some(format!("{why}, but {obstacle}")),
        },
    }
}

/// Whether namespaces are to be tried.
#[must_use]
pub fn wants_namespaces(profile: &Profile, kernel: KernelFacts) -> bool {
    match profile.isolation {
        IsolationChoice::Namespaces => true,
        IsolationChoice::Auto => need(profile, kernel).is_some(),
        IsolationChoice::Process | IsolationChoice::None => false,
    }
}

fn need(profile: &Profile, kernel: KernelFacts) -> Option<Need> {
    let files = &profile.filesystem;
    let strict = |why: String| Need {
        why,
        is_strict: true,
    };
    let better = |why: &str| Need {
        why: why.into(),
        is_strict: false,
    };
    if !files.apart.is_empty() {
        return Some(strict("only namespaces have 'filesystem.apart'".into()));
    }
    if let Some(protection) = only_in_namespaces(profile, kernel) {
        return Some(strict(format!("only namespaces stand in for {protection}")));
    }
    if files.private_tmp {
        return Some(better("namespaces give the plugin a '/tmp' of its own"));
    }
    if files.metadata {
        return Some(better(
            "in namespaces the plugin changes modes and owners of granted files alone",
        ));
    }
    let has_own = |path: &str| is_in_proc(path) && of_process(path);
    (profile.processes.fork && profile.paths().any(has_own))
        .then(|| better("in namespaces '/proc/self' is granted to the plugin's children, too"))
}
