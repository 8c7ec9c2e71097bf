//! Groups of system calls that a profile admits to no effect, as all of their
//! calls must be named one by one.

use secure_exec_core::arch::Arch;
use secure_exec_core::filter::{Action, Call, Filter};
use secure_exec_core::policy::Policy;
use secure_exec_core::profile::Profile;
use secure_exec_core::syscall;

use crate::plan;

/// The first such group that the profile itself admits, with the calls that
/// take effect once they are named. `filter` is the profile's.
pub(super) fn group(profile: &Profile, filter: &Filter) -> Option<(String, Vec<&'static str>)> {
    let own = profile.syscalls.layers.last()?;
    let groups = own.allow.iter().filter(|name| name.starts_with('@'));
    groups.cloned().find_map(|group| {
        let calls = calls(&group);
        if calls.iter().any(|name| admits(filter, name)) {
            return None;
        }
        let mut named = profile.clone();
        let layer = named.syscalls.layers.last_mut()?;
        layer.allow.extend(calls.iter().map(ToString::to_string));
        let plan = plan::lower(&named, false, Policy::Strict).ok()?;
        let filter = plan::filter(&plan)?.ok()?;
        let effective: Vec<&str> = calls
            .into_iter()
            .filter(|name| admits(&filter, name))
            .collect();
        (!effective.is_empty()).then_some((group, effective))
    })
}

/// The calls of a group and of the groups in it.
fn calls(group: &str) -> Vec<&'static str> {
    let members = syscall::group(group).unwrap_or_default();
    let each = members
        .iter()
        .flat_map(|member| match member.strip_prefix('@') {
            Some(_) => calls(member),
            None => vec![*member],
        });
    each.collect()
}

fn admits(filter: &Filter, name: &str) -> bool {
    let Some(number) = syscall::number(Arch::NATIVE, name) else {
        return false;
    };
    let call = Call::native(Arch::NATIVE, number, [0; 6]);
    matches!(filter.evaluate(&call), Action::Allow | Action::Log)
}
