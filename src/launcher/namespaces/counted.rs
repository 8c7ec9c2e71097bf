//! A group of processes that counts those of a plugin which the kernel does
//! not count against a limit of its user: root's.
//!
//! Launches at the same moment share a hall. A group's name says which process
//! made it, so that no other launch can take it for one that is left over
//! between two steps of its making; and nobody removes the hall.

use std::ffi::CStr;
use std::path::Path;

use secure_exec_core::cgroups::{self, Owner, Version};
use secure_exec_core::mounts;
use secure_exec_sys::cgroup::{Entrance, Group};
use secure_exec_sys::{Errno, Error, process};

use super::table;
use crate::makers;

/// What the launcher removes when the plugin has ended.
#[derive(Debug)]
pub(super) struct Remains {
    above: Group,
    name: String,
}

/// By which the plugin's process gets in.
#[derive(Debug)]
pub(super) struct WayIn {
    pub(super) version: Version,
    entrance: Entrance,
    /// Launches that can't tell whether this one lives see that it is claimed.
    _claimed: Group,
}

/// The group in which such groups are. It can be changed by its owner, which
/// the uppermost group can't be without a capability. It stays: another launch
/// may be about to make a group in it.
const HALL: &str = "secure-exec";
/// The most that a group can be told (`PIDS_MAX` of the kernel, less one).
const MOST: u64 = 4 << 20;
/// Its file for that.
const LIMIT: &CStr = c"pids.max";
/// How often one is made anew. Only a launch with a table of processes that
/// does not show this one, or an administrator, can take one away.
const TRIES: u32 = 8;

/// Makes a group that admits so many processes and threads, below the one that
/// this process is in, and removes what launchers that were killed left there.
///
/// # Errors
/// A phrase: why there is none.
pub(super) fn make(limit: u64) -> Result<(Remains, WayIn), String> {
    let owner = makers::own()?;
    let mounts = mounts::parse(&table("/proc/self/mountinfo")?);
    let own = cgroups::with_pids(&table("/proc/self/cgroup")?, &mounts);
    let mut why = String::from("no pids controller is mounted");
    for group in own {
        let above = match Group::open(Path::new(&group.folder)) {
            Ok(above) => above,
            Err(error) => {
                why = error.to_string();
                continue;
            }
        };
        if group.version == Version::Two && !lists_pids(&above, c"cgroup.controllers") {
            continue;
        }
        return below(above, group.version, &owner, limit).map_err(|error| error.to_string());
    }
    Err(why)
}

impl Remains {
    /// The descriptor that it takes.
    pub(super) fn folder(&self) -> &Group {
        &self.above
    }

    /// Removes it. Allocates nothing.
    pub(super) fn remove(&self) {
        self.above.remove(&self.name);
    }
}

impl WayIn {
    /// Moves this process in.
    ///
    /// # Errors
    /// As write(2).
    pub(super) fn enter(&self) -> Result<(), Error> {
        self.entrance.enter()
    }
}

fn lists_pids(group: &Group, file: &CStr) -> bool {
    let list = group.read(file).unwrap_or_default();
    list.split_whitespace().any(|name| name == "pids")
}

fn below(
    above: Group,
    version: Version,
    owner: &Owner,
    limit: u64,
) -> Result<(Remains, WayIn), Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt(&above, version, owner, limit) {
            Err(_) if tries < TRIES => {}
            Err(error) => return Err(error),
            Ok((name, way_in)) => return Ok((Remains { above, name }, way_in)),
        }
    }
}

fn attempt(
    above: &Group,
    version: Version,
    owner: &Owner,
    limit: u64,
) -> Result<(String, WayIn), Error> {
    admit_groups(above, version)?;
    match above.make(HALL) {
        Err(error) if error.errno() != Some(Errno::EEXIST) => return Err(error),
        _ => {}
    }
    let hall = above.below(HALL)?;
    settle(&hall, version)?;
    admit_groups(&hall, version)?;
    sweep(&hall, owner);
    let random = u64::from_ne_bytes(process::random_bytes()?);
    let name = owner.group(random);
    hall.make(&name)?;
    let made = claimed(&hall, &name).and_then(|group| {
        settle(&group, version)?;
        group.write(LIMIT, &limit.min(MOST).to_string())?;
        let way_in = WayIn {
            version,
            entrance: group.entrance()?,
            _claimed: group,
        };
        Ok((format!("{HALL}/{name}"), way_in))
    });
    if made.is_err() {
        hall.remove(&name);
    }
    made
}

/// Lets groups below this one have a pids controller.
fn admit_groups(group: &Group, version: Version) -> Result<(), Error> {
    if version == Version::One || lists_pids(group, c"cgroup.subtree_control") {
        return Ok(());
    }
    group.write(c"cgroup.subtree_control", "+pids")
}

/// Where processes are in a group above, those below it are for threads (man 7
/// cgroups, "Cgroups v2 thread mode"), which changes nothing for the count.
fn settle(group: &Group, version: Version) -> Result<(), Error> {
    let is_invalid = || {
        let kind = group.read(c"cgroup.type").unwrap_or_default();
        kind.trim_end() == "domain invalid"
    };
    if version == Version::Two && is_invalid() {
        group.write(c"cgroup.type", "threaded")?;
    }
    Ok(())
}

/// Removes what launchers left that were killed. The claim is held until the
/// group is gone: who made it, where its life can't be seen, then sees that it
/// is not his any more.
fn sweep(hall: &Group, own: &Owner) {
    for name in hall.names().unwrap_or_default() {
        let is_left = Owner::parse(&name).is_some_and(|owner| makers::is_dead(&owner, own));
        let Some(group) = is_left.then(|| hall.below(&name).ok()).flatten() else {
            continue;
        };
        if group.claim().is_ok() {
            hall.remove(&name);
        }
    }
}

/// A new group, claimed, and still there then.
fn claimed(hall: &Group, name: &str) -> Result<Group, Error> {
    let group = hall.below(name)?;
    group.claim()?;
    group.read(LIMIT)?;
    Ok(group)
}
