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
#[allow(
    clippy::indexing_slicing,
    reason = "within what the loops compare with"
)]
pub const fn number(arch: Arch, name: &str) -> Option<u32> {
    let (table, keys) = match arch {
        Arch::X86_64 => (table::X86_64, X86_64_KEYS),
        Arch::Aarch64 => (table::AARCH64, AARCH64_KEYS),
    };
    let key = key(name);
    let (mut first, mut end) = (0, keys.len());
    while first < end {
        let middle = usize::midpoint(first, end);
        if keys[middle] < key {
            first = middle.saturating_add(1);
        } else {
            end = middle;
        }
    }
    while first < keys.len() && keys[first] == key {
        let (known, number) = table[first];
        if is_same(known.as_bytes(), name.as_bytes()) {
            return Some(number);
        }
        first = first.saturating_add(1);
    }
    None
}

const fn is_same(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([first, more @ ..], [second, others @ ..]) = (one, other) {
        if *first != *second {
            return false;
        }
        (one, other) = (more, others);
    }
    one.is_empty() && other.is_empty()
}

/// The first eight bytes of each name, as a number that sorts alike: a filter
/// asks for hundreds of names, and comparing text is what that would cost.
const X86_64_KEYS: &[u64] = &keys::<{ table::X86_64.len() }>(table::X86_64);
const AARCH64_KEYS: &[u64] = &keys::<{ table::AARCH64.len() }>(table::AARCH64);

#[allow(clippy::indexing_slicing, reason = "at compile time")]
const fn keys<const N: usize>(table: &[(&str, u32)]) -> [u64; N] {
    let mut keys = [0; N];
    let mut at = 0;
    while at < N {
        keys[at] = key(table[at].0);
        at += 1;
    }
    keys
}

const fn key(name: &str) -> u64 {
    let mut bytes = name.as_bytes();
    let mut key = 0;
    let mut left = 8;
    while left > 0 {
        key <<= 8;
        if let [first, rest @ ..] = bytes {
            key |= *first as u64;
            bytes = rest;
        }
        left -= 1;
    }
    key
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

/// All calls of `arch` with their numbers, sorted by name.
#[must_use]
pub fn table(arch: Arch) -> &'static [(&'static str, u32)] {
    match arch {
        Arch::X86_64 => table::X86_64,
        Arch::Aarch64 => table::AARCH64,
    }
}
