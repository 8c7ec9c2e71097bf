//! What a root folder is made of: the grants of a profile as mounts.

use std::collections::BTreeMap;

use super::{Attributes, Mount, is_in_proc};
use crate::escape::Escaped;
use crate::plan::{Grant, GrantKind};

/// A folder of which the plugin sees other inodes is one that it only reads.
pub(super) fn check_apart(grants: &[Grant]) -> Result<(), String> {
    let is_apart = |grant: &&Grant| grant.kind == GrantKind::Apart;
    for apart in grants.iter().filter(is_apart) {
        let path = Escaped(&apart.path);
        let place: Vec<&str> = parts(&apart.path).collect();
        if place.is_empty() || is_in_proc(&apart.path) {
            return Err(format!("'{path}' can't be 'apart'"));
        }
        let other = grants.iter().find(|grant| {
            let only_reads = [GrantKind::Apart, GrantKind::Read, GrantKind::List];
            !only_reads.contains(&grant.kind) && parts(&grant.path).eq(place.iter().copied())
        });
        if let Some(other) = other {
            return Err(format!(
                "'{path}' is granted twice, 'apart' and as '{}'; it can't be both",
                other.kind.name()
            ));
        }
    }
    Ok(())
}

/// Under these lies nothing that is mapped to be executed (File System
/// Hierarchy Standard).
const DATA: &[&str] = &[
    "/etc",
    "/sys",
    "/usr/lib/locale",
    "/usr/local/share",
    "/usr/share",
];

pub(super) fn mounts(grants: &[Grant]) -> Vec<Mount> {
    let mut wanted: BTreeMap<Vec<&str>, bool> = BTreeMap::new();
    for grant in grants.iter().filter(|grant| !is_in_proc(&grant.path)) {
        let optional = wanted.entry(parts(&grant.path).collect()).or_insert(true);
        *optional &= grant.optional;
    }
    let is_apart = |place: &[&str]| {
        let mut here = grants.iter();
        here.any(|grant| {
            grant.kind == GrantKind::Apart && parts(&grant.path).eq(place.iter().copied())
        })
    };
    let attributes = |place: &[&str]| {
        let above = |grant: &&Grant| is_above(&grant.path, place);
        if is_apart(place) {
            // Data, whatever else is granted above it.
            return Attributes::default();
        }
        attributes(&joined(place), grants.iter().filter(above))
    };
    let places: Vec<_> = wanted.keys().cloned().collect();
    wanted
        .into_iter()
        .map(|(place, optional)| {
            let own = attributes(&place);
            let apart = is_apart(&place);
            let parent = places
                .iter()
                .rev()
                .find(|other| other.len() < place.len() && place.starts_with(other));
            let is_in_apart = parent.is_some_and(|parent| is_apart(parent));
            Mount {
                path: joined(&place),
                optional,
                attributes: own,
                covered: !apart
                    && !is_in_apart
                    && parent.is_some_and(|parent| attributes(parent) == own),
                apart,
                is_in_apart,
            }
        })
        .collect()
}

/// What all grants of a path and of the folders above it come to.
fn attributes<'a>(path: &str, grants: impl Iterator<Item = &'a Grant>) -> Attributes {
    let kinds: Vec<GrantKind> = grants.map(|grant| grant.kind).collect();
    let has = |kind: GrantKind| kinds.contains(&kind);
    let writable = kinds.iter().any(|kind| kind.writes());
    let place: Vec<&str> = parts(path).collect();
    let is_data = DATA.iter().any(|data| is_above(data, &place));
    // Of a folder that is listed, files that are pinned are read and mapped.
    let reads = has(GrantKind::Read) || has(GrantKind::List);
    Attributes {
        writable,
        executable: has(GrantKind::Execute) || (reads && !writable && !is_data),
        devices: has(GrantKind::Device) || has(GrantKind::Terminal),
    }
}

pub(in crate::plan) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter(|part| !part.is_empty() && *part != ".")
}

fn joined(place: &[&str]) -> String {
    format!("/{}", place.join("/"))
}

/// Whether a path is this place or a folder above it.
pub(super) fn is_above(path: &str, place: &[&str]) -> bool {
    let mut place = place.iter();
    parts(path).all(|part| place.next() == Some(&part))
}
