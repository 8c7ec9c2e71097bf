//! Adding up: what a profile has that extends several.
//!
//! Every key belongs to one of four kinds, and [`add_up`] takes each profile
//! apart without a rest, so that a new key does not compile until it has one:
//!
//! - **lists** (paths, devices, ports, names of variables, capabilities):
//!   what is in any of them;
//! - **switches** that grant something: on if one of them has it on; "off" is
//!   not granted, and denies nothing;
//! - **limits**: the largest;
//! - **single values** (a kind of isolation, a variable's value, whether a
//!   system call is allowed or denied): the one that says it decides. Where
//!   two say different things, and neither extends the other, the profile
//!   itself must say it; so nothing that one of them denies is lost unseen.

use std::collections::{BTreeMap, BTreeSet};

use super::raw::RawProfile;
use super::{
    Descriptors, Environment, Filesystem, Limits, Network, Ports, Processes, Profile, SyscallLayer,
    Syscalls,
};
use crate::escape::Escaped;
use crate::syscall;

/// A profile with those that said its single values.
#[derive(Clone, Debug)]
pub(super) struct Composed {
    pub(super) profile: Profile,
    /// By key; the one nearest to the profile.
    sayers: BTreeMap<String, String>,
    /// Those whose words are not in it yet, the nearest last. Most profiles
    /// extend one at a time, and nobody asks.
    heard: Vec<(String, RawProfile)>,
}

/// The single values that a profile itself says, by key.
type Said = BTreeSet<String>;

impl Composed {
    /// What nobody has said anything about yet.
    pub(super) const fn new(profile: Profile) -> Self {
        Self {
            profile,
            sayers: BTreeMap::new(),
            heard: Vec::new(),
        }
    }

    /// Notes what a profile said that was put on top.
    pub(super) fn note(&mut self, name: &str, raw: &RawProfile) {
        self.heard.push((name.to_string(), raw.clone()));
    }

    fn into_sayers(mut self) -> (Profile, BTreeMap<String, String>) {
        for (name, raw) in self.heard {
            let words = said(&raw).into_iter().map(|key| (key, name.clone()));
            self.sayers.extend(words);
        }
        (self.profile, self.sayers)
    }

    /// Takes in another base of a profile.
    ///
    /// # Errors
    /// A sentence: the two say different things of a key of which `own`, the
    /// profile that extends both, says nothing.
    pub(super) fn add(self, more: Self, own: &RawProfile) -> Result<Self, String> {
        let (mut profile, sayers) = self.into_sayers();
        let (other, others_sayers) = more.into_sayers();
        let mut judge = Judge {
            chain: profile.chain.clone(),
            sayers,
            others: other.chain.clone(),
            others_sayers,
            own: said(own),
        };
        add_up(&mut profile, other, &mut judge)?;
        Ok(Self {
            profile,
            sayers: judge.sayers,
            heard: Vec::new(),
        })
    }
}

/// The single values of a profile that it says itself. A key that is missing
/// here is never said by anybody, so that two that differ in it can't be
/// extended at once.
fn said(raw: &RawProfile) -> Said {
    let keys = [
        ("processes.signals", raw.processes.signals.is_some()),
        ("processes.new_session", raw.processes.new_session.is_some()),
        ("syscalls.on_violation", raw.syscalls.on_violation.is_some()),
        ("user", raw.user.is_some()),
        ("working_directory", raw.working_directory.is_some()),
        ("umask", raw.umask.is_some()),
        ("isolation", raw.isolation.is_some()),
    ];
    let keys = keys.iter().filter(|(_, is_said)| *is_said);
    let mut said: Said = keys.map(|(key, _)| (*key).to_string()).collect();
    let environment = &raw.environment;
    let names = environment.pass.iter().filter(|name| !name.contains('*'));
    let names = names.chain(environment.set.keys());
    said.extend(names.chain(environment.secrets.keys()).map(variable));
    let calls = raw.syscalls.allow.iter().chain(&raw.syscalls.deny);
    said.extend(calls.flat_map(|name| calls_of(name)).map(call));
    said
}

fn variable(name: &String) -> String {
    format!("environment variable {name}")
}

fn call(name: String) -> String {
    format!("system call {name}")
}

/// A call, or those of a group.
fn calls_of(name: &str) -> Vec<String> {
    match syscall::group(name) {
        None => vec![name.to_string()],
        Some(members) => members.iter().flat_map(|name| calls_of(name)).collect(),
    }
}

/// Whose word counts.
struct Judge {
    chain: Vec<String>,
    sayers: BTreeMap<String, String>,
    others: Vec<String>,
    others_sayers: BTreeMap<String, String>,
    own: Said,
}

impl Judge {
    /// Whether the other base's value takes the place of this one's.
    fn prefers_other(&mut self, key: &str, is_same: bool) -> Result<bool, String> {
        if self.own.contains(key) {
            return Ok(false);
        }
        let mine = self.sayers.get(key);
        let other = self.others_sayers.get(key);
        // Who extends the one that said it has had the last word.
        let is_others = match (mine, other) {
            (_, Some(other)) if self.chain.contains(other) => false,
            (Some(mine), Some(_)) if self.others.contains(mine) => true,
            (Some(_), None) => false,
            (None, Some(_)) => true,
            _ if is_same => false,
            (mine, other) => {
                let name = |sayer: Option<&String>| {
                    let sayer = sayer.map_or("default", String::as_str);
                    format!("'{}'", Escaped(sayer))
                };
                let (mine, other) = (name(mine), name(other));
                let key = Escaped(key);
                return Err(format!(
                    "{other} and {mine}, which it extends, say different things of the {key}; say here which counts"
                ));
            }
        };
        if is_others && let Some((key, sayer)) = self.others_sayers.remove_entry(key) {
            self.sayers.insert(key, sayer);
        }
        Ok(is_others)
    }

    fn single<T: PartialEq>(
        &mut self,
        key: &'static str,
        to: &mut T,
        more: T,
    ) -> Result<(), String> {
        if self.prefers_other(key, *to == more)? {
            *to = more;
        }
        Ok(())
    }
}

fn add_up(to: &mut Profile, more: Profile, judge: &mut Judge) -> Result<(), String> {
    let Profile {
        name: _,
        description,
        chain,
        filesystem,
        network,
        processes,
        syscalls,
        write_execute,
        shared_execute,
        limits,
        environment,
        capabilities,
        user,
        working_directory,
        umask,
        isolation,
        descriptors,
        terminal,
    } = more;
    to.description = format!("{}; {description}", to.description);
    let Filesystem {
        code,
        read,
        apart,
        write,
        execute,
        metadata,
        devices,
        private_tmp,
    } = filesystem;
    let files = &mut to.filesystem;
    list(&mut files.code, code);
    list(&mut files.read, read);
    list(&mut files.apart, apart);
    list(&mut files.write, write);
    list(&mut files.execute, execute);
    files.metadata |= metadata;
    files.private_tmp |= private_tmp;
    list(&mut files.devices, devices);
    let Network {
        tcp_connect,
        tcp_bind,
        udp,
        unix_connect,
        unix_bind,
        unix_abstract,
        netlink,
        icmp,
    } = network;
    let Descriptors { pass, listen } = descriptors;
    list(&mut to.descriptors.pass, pass);
    to.descriptors.listen |= listen;
    to.terminal |= terminal;
    let net = &mut to.network;
    ports(&mut net.tcp_connect, tcp_connect);
    ports(&mut net.tcp_bind, tcp_bind);
    net.udp |= udp;
    net.icmp |= icmp;
    list(&mut net.unix_connect, unix_connect);
    list(&mut net.unix_bind, unix_bind);
    net.unix_abstract |= unix_abstract;
    net.netlink |= netlink;
    let Processes {
        fork,
        signals,
        new_session,
    } = processes;
    to.processes.fork |= fork;
    judge.single("processes.signals", &mut to.processes.signals, signals)?;
    let session = &mut to.processes.new_session;
    judge.single("processes.new_session", session, new_session)?;
    let Syscalls {
        layers,
        on_violation,
    } = syscalls;
    calls(to, &chain, layers, judge)?;
    let violation = &mut to.syscalls.on_violation;
    judge.single("syscalls.on_violation", violation, on_violation)?;
    to.write_execute |= write_execute;
    to.shared_execute |= shared_execute;
    let Limits {
        memory,
        processes,
        open_files,
        file_size,
        cpu_seconds,
        core,
    } = limits;
    limit(&mut to.limits.memory, memory);
    limit(&mut to.limits.processes, processes);
    limit(&mut to.limits.open_files, open_files);
    limit(&mut to.limits.file_size, file_size);
    limit(&mut to.limits.cpu_seconds, cpu_seconds);
    limit(&mut to.limits.core, core);
    variables(&mut to.environment, environment, judge)?;
    list(&mut to.capabilities, capabilities);
    judge.single("user", &mut to.user, user)?;
    let folder = &mut to.working_directory;
    judge.single("working_directory", folder, working_directory)?;
    judge.single("umask", &mut to.umask, umask)?;
    judge.single("isolation", &mut to.isolation, isolation)
}

fn list<T: PartialEq>(to: &mut Vec<T>, more: Vec<T>) {
    for value in more {
        if !to.contains(&value) {
            to.push(value);
        }
    }
}

pub(super) fn ports(to: &mut Ports, more: Ports) {
    match (&mut *to, more) {
        (Ports::List(known), Ports::List(more)) => list(known, more),
        (_, Ports::Any) => *to = Ports::Any,
        (Ports::Any, Ports::List(_)) => {}
    }
}

/// `None` is unlimited.
fn limit(to: &mut Option<u64>, more: Option<u64>) {
    *to = to.zip(more).map(|(one, other)| one.max(other));
}

/// The layers of both, each once. A chain has each profile's bases before it,
/// and keeps them so. Of a call that is allowed here and denied there, the word
/// of the one that extends the other counts.
fn calls(
    to: &mut Profile,
    chain: &[String],
    layers: Vec<SyscallLayer>,
    judge: &mut Judge,
) -> Result<(), String> {
    let (mine, others) = (state(&to.syscalls.layers), state(&layers));
    let all: BTreeSet<&String> = mine.keys().chain(others.keys()).collect();
    for name in all {
        let is_same = mine.get(name) == others.get(name);
        judge.prefers_other(&call(name.clone()), is_same)?;
    }
    for (name, layer) in chain.iter().zip(layers) {
        if !to.chain.contains(name) {
            to.chain.push(name.clone());
            to.syscalls.layers.push(layer);
        }
    }
    Ok(())
}

/// Whether each call that somebody names is allowed in the end.
fn state(layers: &[SyscallLayer]) -> BTreeMap<String, bool> {
    let mut state = BTreeMap::new();
    for layer in layers {
        for (names, is_allowed) in [(&layer.allow, true), (&layer.deny, false)] {
            let names = names.iter().flat_map(|name| calls_of(name));
            state.extend(names.map(|name| (name, is_allowed)));
        }
    }
    state
}

/// What becomes of a variable is one value: it is passed, set, a secret, or
/// some of these.
fn variables(to: &mut Environment, more: Environment, judge: &mut Judge) -> Result<(), String> {
    let Environment { pass, set, secrets } = more;
    let (families, names): (Vec<_>, Vec<_>) = pass.into_iter().partition(|name| name.contains('*'));
    list(&mut to.pass, families);
    let known = names.iter().chain(set.keys()).chain(secrets.keys());
    let known: BTreeSet<String> = known.cloned().collect();
    let mine = to.pass.iter().chain(to.set.keys()).chain(to.secrets.keys());
    let all: BTreeSet<String> = known.iter().chain(mine).cloned().collect();
    for name in all {
        let other = (names.contains(&name), set.get(&name), secrets.get(&name));
        let mine = (
            to.pass.contains(&name),
            to.set.get(&name),
            to.secrets.get(&name),
        );
        if name.contains('*') || !judge.prefers_other(&variable(&name), mine == other)? {
            continue;
        }
        let (is_passed, value, secret) = other;
        if is_passed {
            list(&mut to.pass, vec![name.clone()]);
        }
        place(&mut to.set, &name, value);
        place(&mut to.secrets, &name, secret);
    }
    Ok(())
}

fn place(to: &mut BTreeMap<String, String>, name: &str, value: Option<&String>) {
    match value {
        Some(value) => drop(to.insert(name.to_string(), value.clone())),
        None => drop(to.remove(name)),
    }
}
