//! Groups of system calls that admit nothing, since all of their calls have to
//! be named one by one.

use super::Admitted;
use super::table::{self, Rank};
use crate::arch::Arch;
use crate::syscall;

/// The first such group that a layer allows and of which none names a call, with
/// the calls that take effect once they are named.
#[must_use]
pub fn void(
    arch: Arch,
    layers: &[(Vec<String>, Vec<String>)],
) -> Option<(&str, Vec<&'static str>)> {
    let allowed = layers.iter().flat_map(|(allow, _)| allow);
    let groups = allowed.filter(|name| name.starts_with('@'));
    let mut void =
        groups.filter(|group| members(group).all(|name| rank(arch, name) != Some(Rank::Ordinary)));
    let group = void.find(|group| {
        let Ok(admitted) = Admitted::collect(arch, layers) else {
            return false;
        };
        let numbers: Vec<u32> = members(group)
            .filter_map(|name| syscall::number(arch, name))
            .collect();
        // What a layer denies again it does not want.
        numbers.iter().any(|number| admitted.has(*number))
            && !numbers.iter().any(|number| admitted.names(*number))
    })?;
    let by_name = |name: &&str| matches!(rank(arch, name), Some(Rank::OnlyByName | Rank::Kill));
    let calls: Vec<_> = members(group).filter(by_name).collect();
    (!calls.is_empty()).then_some((group.as_str(), calls))
}

fn rank(arch: Arch, name: &str) -> Option<Rank> {
    let (_, decision) = table::decision(arch, syscall::number(arch, name)?)?;
    Some(decision.rank)
}

/// The calls of a group and of the groups in it. An unknown group has none.
fn members(group: &str) -> Box<dyn Iterator<Item = &'static str>> {
    let names = syscall::group(group).unwrap_or_default().iter();
    Box::new(names.flat_map(|member| match member.strip_prefix('@') {
        Some(_) => members(member),
        None => Box::new(std::iter::once(*member)),
    }))
}
