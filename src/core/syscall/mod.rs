//! System calls: their numbers by architecture, and the named groups.

mod groups;
mod table;

use crate::arch::Arch;

/// The newest system call number that any table knows. A call above it is
/// answered with `ENOSYS`, as an older kernel would, so that libraries fall
/// back.
pub use table::LAST_KNOWN;

/// The number of a system call on `arch`, or `None` where that architecture
/// lacks the call.
#[must_use]
pub fn number(arch: Arch, name: &str) -> Option<u32> {
    let table = table(arch);
    let at = table
        .binary_search_by(|(known, _)| (*known).cmp(name))
        .ok()?;
    table.get(at).map(|(_, number)| *number)
}

/// The name of a system call number on `arch`.
#[must_use]
pub fn name(arch: Arch, number: u32) -> Option<&'static str> {
    table(arch)
        .iter()
        .find(|(_, known)| *known == number)
        .map(|(name, _)| *name)
}

/// Whether any supported architecture has a call of this name: a profile may
/// name a call that the running architecture lacks.
#[must_use]
pub fn is_known(name: &str) -> bool {
    [Arch::X86_64, Arch::Aarch64]
        .into_iter()
        .any(|arch| number(arch, name).is_some())
}

/// The members of a group (`@file-system`), themselves calls or groups, or
/// `None` for an unknown group.
#[must_use]
pub fn group(name: &str) -> Option<&'static [&'static str]> {
    groups::GROUPS
        .iter()
        .find(|(known, _, _)| *known == name)
        .map(|(_, _, members)| *members)
}

/// All groups: name, one-line description, members.
pub fn groups() -> impl Iterator<Item = (&'static str, &'static str, &'static [&'static str])> {
    groups::GROUPS.iter().copied()
}

pub(crate) fn table(arch: Arch) -> &'static [(&'static str, u32)] {
    match arch {
        Arch::X86_64 => table::X86_64,
        Arch::Aarch64 => table::AARCH64,
    }
}
