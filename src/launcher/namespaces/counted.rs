//! A group of processes that counts those of a plugin which the kernel does
//! not count against a limit of its user: root's.

use std::ffi::CStr;
use std::path::Path;

use secure_exec_core::cgroups::{self, Version};
use secure_exec_core::mounts;
use secure_exec_sys::cgroup::{Entrance, Group};
use secure_exec_sys::{Errno, Error, process};

use super::table;

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
    /// As long as it is claimed, nobody takes it for one that is left over.
    _claimed: Group,
}

/// The group in which such groups are. It can be changed by its owner, which
/// the uppermost group can't be without a capability.
const HALL: &str = "secure-exec";
/// The most that a group can be told (`PIDS_MAX` of the kernel, less one).
const MOST: u64 = 4 << 20;
/// Its file for that.
const LIMIT: &CStr = c"pids.max";
/// How often one is made anew.
const TRIES: u32 = 8;

/// Makes a group that admits so many processes and threads, below the one that
/// this process is in, and removes what launchers that were killed left there.
///
/// # Errors
/// A phrase: why there is none.
pub(super) fn make(limit: u64) -> Result<(Remains, WayIn), String> {
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
        return below(above, group.version, limit).map_err(|error| error.to_string());
    }
    Err(why)
}

impl Remains {
    /// The descriptor that it takes.
    pub(super) fn folder(&self) -> &Group {
        &self.above
    }

    /// Removes it, and the hall if that is empty then. Allocates nothing.
    pub(super) fn remove(&self) {
        self.above.remove(&self.name);
        self.above.remove(HALL);
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

fn below(above: Group, version: Version, limit: u64) -> Result<(Remains, WayIn), Error> {
    let mut tries = 0;
    // Another launch may be removing what this one needs or makes.
    loop {
        tries += 1;
        match attempt(&above, version, limit) {
            Err(_) if tries < TRIES => {}
            Err(error) => return Err(error),
            Ok((name, way_in)) => return Ok((Remains { above, name }, way_in)),
        }
    }
}

fn attempt(above: &Group, version: Version, limit: u64) -> Result<(String, WayIn), Error> {
    admit_groups(above, version)?;
    match above.make(HALL) {
        Err(error) if error.errno() != Some(Errno::EEXIST) => return Err(error),
        _ => {}
    }
    let hall = above.below(HALL)?;
    settle(&hall, version)?;
    admit_groups(&hall, version)?;
    sweep(&hall);
    let random = u64::from_ne_bytes(process::random_bytes()?);
    let name = format!("{random:016x}");
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

/// Removes what was left over: nobody claims it and, or the kernel would not,
/// nobody is in it.
fn sweep(hall: &Group) {
    for name in hall.names().unwrap_or_default() {
        if hall.below(&name).is_ok_and(|group| group.claim().is_ok()) {
            hall.remove(&name);
        }
    }
}

/// A new group, which the sweep of another launch may have had in hand, or
/// taken away, before.
fn claimed(hall: &Group, name: &str) -> Result<Group, Error> {
    let group = hall.below(name)?;
    group.claim()?;
    group.read(LIMIT)?;
    Ok(group)
}
