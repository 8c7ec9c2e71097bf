//! Whether namespaces can be made here: a process that is thrown away makes
//! them, with a root folder in which nothing is mounted.

use secure_exec_core::plan::namespaces::{Means, NamespacePlan, Obstacle, Proc, has_own_network};
use secure_exec_core::plan::{KernelFacts, wants_namespaces};
use secure_exec_core::profile::Profile;
use secure_exec_sys::namespaces::{self, Ending, Identity, Side};
use secure_exec_sys::{capabilities, children, probe};

use super::root;

/// The running kernel, with a trial of namespaces where the profile wants
/// them. The process that calls must have a single thread.
#[must_use]
pub fn kernel(profile: &Profile) -> KernelFacts {
    let untried = probe::kernel();
    if !wants_namespaces(profile, untried) {
        return untried;
    }
    KernelFacts {
        namespaces: trial(profile),
        ..untried
    }
}

fn trial(profile: &Profile) -> Result<Means, Obstacle> {
    let plan = NamespacePlan {
        means: means(),
        own_network: has_own_network(profile),
        proc: Proc {
            only_processes: true,
            writable: false,
        },
        shared_memory: None,
        temporary: None,
        overlays: !profile.filesystem.apart.is_empty(),
        mounts: Vec::new(),
    };
    let identity = Identity::own();
    match namespaces::divide(plan.means, plan.own_network, Ending::Silent) {
        Err(errno) => Err(namespaces::obstacle(errno)),
        Ok(Side::Child) => children::end(match root::build(&plan, &[], &[], identity) {
            Ok(_) => 0,
            Err(halted) => halted.obstacle as i32,
        }),
        Ok(Side::Parent(child)) => match children::wait_for(child) {
            Some(0) => Ok(plan.means),
            Some(status) => Err(obstacle(status, plan.means)),
            None => Err(Obstacle::Forbidden),
        },
    }
}

fn obstacle(status: i32, means: Means) -> Obstacle {
    let known = usize::try_from(status)
        .ok()
        .and_then(|number| Obstacle::ALL.get(number));
    match (known, means) {
        // There is no user namespace that would lack power.
        (Some(Obstacle::Powerless) | None, Means::Privilege) => Obstacle::Forbidden,
        (known, _) => known.copied().unwrap_or(Obstacle::Forbidden),
    }
}

fn means() -> Means {
    if capabilities::may_administer().unwrap_or(false) {
        Means::Privilege
    } else {
        Means::UserNamespace
    }
}
