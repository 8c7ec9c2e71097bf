//! Composition: a profile on top of what it extends, down to `default`.

use std::collections::BTreeMap;
use std::fmt;

use super::adding::{Composed, ports};
use super::raw::RawProfile;
use super::{
    Descriptors, Environment, Filesystem, IsolationChoice, Limits, Network, OnViolation, PathGrant,
    Processes, Profile, Signals, SyscallLayer, Syscalls, variables,
};
use crate::escape::Escaped;
use crate::located::LocatedError;
use crate::syscall;

/// As deep as `extends` may go.
const DEEPEST: usize = 8;
/// What every profile ends in.
const ROOT: &str = "default";

/// Why a profile can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileError {
    /// There is no profile of this name.
    Unknown(String),
    /// Its text has a mistake.
    Located(LocatedError),
    /// It says something that can't be; the profile and a sentence.
    Invalid(String, String),
}

impl std::error::Error for ProfileError {}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(
                f,
                "there is no profile '{}'\nList the known ones with 'secure-execctl profile list'.",
                Escaped(name)
            ),
            Self::Located(error) => error.fmt(f),
            Self::Invalid(name, why) => write!(f, "profile '{}': {why}", Escaped(name)),
        }
    }
}

/// Resolves a profile: the grants of all profiles that it extends together, and
/// of each single value the one that is set nearest to the profile.
///
/// # Errors
/// An unknown or faulty profile among them, a circle, a wrong value, or two
/// that say different things of a single value.
pub fn resolve(
    raw: &RawProfile,
    name: &str,
    lookup: &dyn Fn(&str) -> Option<Result<RawProfile, LocatedError>>,
) -> Result<Profile, ProfileError> {
    let mut composition = Composition {
        lookup,
        found: BTreeMap::new(),
    };
    let profile = composition.compose(name, raw, &mut Vec::new())?.profile;
    coherent(&profile).map_err(|why| ProfileError::Invalid(name.to_string(), why))?;
    Ok(profile)
}

/// Bases, each composed once, however many extend it.
struct Composition<'a> {
    lookup: &'a dyn Fn(&str) -> Option<Result<RawProfile, LocatedError>>,
    found: BTreeMap<String, Composed>,
}

impl Composition<'_> {
    /// `above` are the profiles that extend this one, the first of them first.
    fn compose(
        &mut self,
        name: &str,
        raw: &RawProfile,
        above: &mut Vec<String>,
    ) -> Result<Composed, ProfileError> {
        let invalid = |why| ProfileError::Invalid(name.to_string(), why);
        above.push(name.to_string());
        let mut composed: Option<Composed> = None;
        for base in bases_of(name, raw).map_err(invalid)? {
            let more = self.base(base, above)?;
            composed = Some(match composed {
                None => more,
                Some(composed) => composed.add(more, raw).map_err(invalid)?,
            });
        }
        above.pop();
        let mut composed = composed.unwrap_or_else(|| Composed::new(nothing(name)));
        let profile = &mut composed.profile;
        profile.name = name.to_string();
        apply(profile, raw).map_err(invalid)?;
        profile.chain.push(name.to_string());
        composed.note(name, raw);
        Ok(composed)
    }

    fn base(&mut self, name: &str, above: &mut Vec<String>) -> Result<Composed, ProfileError> {
        if above.iter().any(|known| known == name) || above.len() >= DEEPEST {
            let why = format!("'extends: {}' goes in a circle or too deep", Escaped(name));
            let first = above.first().cloned().unwrap_or_default();
            return Err(ProfileError::Invalid(first, why));
        }
        if let Some(known) = self.found.get(name) {
            return Ok(known.clone());
        }
        let raw = (self.lookup)(name).ok_or_else(|| ProfileError::Unknown(name.to_string()))?;
        let raw = raw.map_err(ProfileError::Located)?;
        let composed = self.compose(name, &raw, above)?;
        self.found.insert(name.to_string(), composed.clone());
        Ok(composed)
    }
}

fn bases_of<'a>(name: &str, raw: &'a RawProfile) -> Result<Vec<&'a str>, String> {
    let Some(extends) = &raw.extends else {
        return Ok(if name == ROOT { Vec::new() } else { vec![ROOT] });
    };
    let bases: Vec<&str> = extends.0.iter().map(String::as_str).collect();
    if bases.is_empty() {
        return Err("'extends' names nothing; leave it away, or name a profile".into());
    }
    if let Some(twice) = (1..bases.len()).find_map(|end| {
        let (before, rest) = bases.split_at(end);
        rest.first().filter(|base| before.contains(base))
    }) {
        return Err(format!("'{}' stands twice under 'extends'", Escaped(twice)));
    }
    Ok(bases)
}

/// What no part of a chain can tell alone: whether its grants go together.
fn coherent(profile: &Profile) -> Result<(), String> {
    let files = &profile.filesystem;
    if !files.apart.is_empty() && !profile.isolation.admits_namespaces() {
        return Err(
            "'filesystem.apart' needs 'isolation: namespaces': elsewhere files have no other inodes"
                .into(),
        );
    }
    if profile.terminal && profile.processes.new_session {
        return Err(
            "'terminal: true' needs 'processes: { new_session: false }': a session of its own has no terminal"
                .into(),
        );
    }
    if files.private_tmp && !profile.isolation.confines() {
        return Err(
            "'filesystem.private_tmp' needs a sandbox, and the profile says 'isolation: none'"
                .into(),
        );
    }
    if files.private_tmp
        && let Some(path) = profile.paths().find(|path| is_tmp(path))
    {
        let path = Escaped(path);
        return Err(format!(
            "'{path}' is granted, and 'filesystem.private_tmp' gives the plugin another one: take one of them out"
        ));
    }
    Ok(())
}

/// Whether a path is one of [`super::TEMPORARY`], as it is written.
fn is_tmp(path: &str) -> bool {
    let parts = |path| str::split(path, '/').filter(|part| !part.is_empty() && *part != ".");
    let mut places = super::TEMPORARY.iter();
    places.any(|place| parts(place).eq(parts(path)))
}

/// The profile that grants nothing.
fn nothing(name: &str) -> Profile {
    Profile {
        name: name.to_string(),
        description: String::new(),
        chain: Vec::new(),
        filesystem: Filesystem::default(),
        network: Network::default(),
        processes: Processes {
            fork: false,
            signals: Signals::Own,
            new_session: false,
        },
        syscalls: Syscalls {
            layers: Vec::new(),
            on_violation: OnViolation::Errno,
        },
        write_execute: false,
        shared_execute: false,
        limits: Limits::default(),
        environment: Environment::default(),
        capabilities: Vec::new(),
        descriptors: Descriptors::default(),
        terminal: false,
        user: None,
        working_directory: None,
        umask: 0o077,
        isolation: IsolationChoice::Process,
    }
}

fn apply(to: &mut Profile, raw: &RawProfile) -> Result<(), String> {
    if let Some(description) = &raw.description {
        to.description.clone_from(description);
    }
    filesystem(&mut to.filesystem, raw)?;
    network(&mut to.network, raw)?;
    set(&mut to.processes.fork, raw.processes.fork);
    set(&mut to.processes.signals, raw.processes.signals);
    set(&mut to.processes.new_session, raw.processes.new_session);
    syscalls(&mut to.syscalls, raw)?;
    set(&mut to.write_execute, raw.memory.write_execute);
    set(&mut to.shared_execute, raw.memory.shared_execute);
    let (limits, wanted) = (&mut to.limits, &raw.limits);
    set(
        &mut limits.memory,
        wanted.memory.map(|size| size.map(|size| size.0)),
    );
    set(&mut limits.processes, wanted.processes);
    set(&mut limits.open_files, wanted.open_files);
    set(
        &mut limits.file_size,
        wanted.file_size.map(|size| size.map(|size| size.0)),
    );
    set(&mut limits.cpu_seconds, wanted.cpu_seconds);
    set(
        &mut limits.core,
        wanted.core.map(|size| size.map(|size| size.0)),
    );
    environment(&mut to.environment, raw)?;
    for name in &raw.capabilities.keep {
        add(&mut to.capabilities, capability(name)?);
    }
    descriptors(&mut to.descriptors, raw)?;
    set(&mut to.terminal, raw.terminal);
    set(&mut to.user, raw.user.clone());
    if let Some(path) = &raw.working_directory {
        if let Some(path) = path {
            check_path(path)?;
        }
        to.working_directory.clone_from(path);
    }
    set(&mut to.umask, raw.umask.map(|umask| umask.0));
    set(&mut to.isolation, raw.isolation);
    Ok(())
}

fn set<T>(to: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *to = value;
    }
}

fn add<T: PartialEq>(to: &mut Vec<T>, value: T) {
    if !to.contains(&value) {
        to.push(value);
    }
}

fn filesystem(to: &mut Filesystem, raw: &RawProfile) -> Result<(), String> {
    paths(&mut to.code, &raw.filesystem.code)?;
    paths(&mut to.read, &raw.filesystem.read)?;
    paths(&mut to.apart, &raw.filesystem.apart)?;
    paths(&mut to.write, &raw.filesystem.write)?;
    paths(&mut to.execute, &raw.filesystem.execute)?;
    set(&mut to.metadata, raw.filesystem.metadata);
    set(&mut to.private_tmp, raw.filesystem.private_tmp);
    for name in &raw.filesystem.devices {
        let plain = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
        if !plain {
            return Err(format!(
                "the device '{}' must be a plain name in /dev",
                Escaped(name)
            ));
        }
        add(&mut to.devices, name.clone());
    }
    Ok(())
}

fn network(to: &mut Network, raw: &RawProfile) -> Result<(), String> {
    ports(&mut to.tcp_connect, raw.network.tcp.connect.0.clone());
    ports(&mut to.tcp_bind, raw.network.tcp.bind.0.clone());
    set(&mut to.udp, raw.network.udp);
    set(&mut to.icmp, raw.network.icmp);
    paths(&mut to.unix_connect, &raw.network.unix.connect)?;
    paths(&mut to.unix_bind, &raw.network.unix.bind)?;
    set(&mut to.unix_abstract, raw.network.unix.abstract_);
    set(&mut to.netlink, raw.network.netlink);
    Ok(())
}

fn syscalls(to: &mut Syscalls, raw: &RawProfile) -> Result<(), String> {
    for name in raw.syscalls.allow.iter().chain(&raw.syscalls.deny) {
        if syscall::group(name).is_none() && !syscall::is_known(name) {
            let name = Escaped(name);
            return Err(format!(
                "'{name}' is neither a system call nor a group of them"
            ));
        }
    }
    to.layers.push(SyscallLayer {
        allow: raw.syscalls.allow.clone(),
        deny: raw.syscalls.deny.clone(),
    });
    set(&mut to.on_violation, raw.syscalls.on_violation);
    Ok(())
}

fn environment(to: &mut Environment, raw: &RawProfile) -> Result<(), String> {
    let check = |name: &str, globs: bool| {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || (globs && c == '*');
        if name.is_empty() || !name.chars().all(good) {
            return Err(format!(
                "'{}' is no name of an environment variable",
                Escaped(name)
            ));
        }
        Ok(())
    };
    for name in &raw.environment.pass {
        check(name, true)?;
        if let Some(why) = variables::flaw(name) {
            return Err(why);
        }
        // The nearest profile decides: one that passes a variable by name does
        // not want the value that another set before it.
        to.set.remove(name);
        add(&mut to.pass, name.clone());
    }
    for (name, value) in &raw.environment.set {
        check(name, false)?;
        if value.contains('\0') {
            return Err(format!("the value of '{name}' contains NUL"));
        }
        to.set.insert(name.clone(), value.clone());
    }
    for (name, source) in &raw.environment.secrets {
        check(name, false)?;
        if !source.starts_with("env:") && !source.starts_with("file:/") {
            return Err(format!(
                "the secret '{name}' must come from 'env:NAME' or 'file:/PATH'"
            ));
        }
        to.secrets.insert(name.clone(), source.clone());
    }
    Ok(())
}

fn descriptors(to: &mut Descriptors, raw: &RawProfile) -> Result<(), String> {
    for number in &raw.descriptors.pass {
        if !(3..=LAST_DESCRIPTOR).contains(number) {
            return Err(format!(
                "the descriptor '{number}' must be from 3 to {LAST_DESCRIPTOR}; 0, 1 and 2 are the plugin's anyway"
            ));
        }
        add(&mut to.pass, *number);
    }
    set(&mut to.listen, raw.descriptors.listen_fds);
    Ok(())
}

/// The last number that can be had where no administrator raised `fs.nr_open`.
const LAST_DESCRIPTOR: u32 = (1 << 20) - 1;

fn paths(to: &mut Vec<PathGrant>, more: &[String]) -> Result<(), String> {
    for written in more {
        let (path, optional) = match written.strip_prefix('-') {
            Some(path) => (path, true),
            None => (written.as_str(), false),
        };
        check_path(path)?;
        add(
            to,
            PathGrant {
                path: path.to_string(),
                optional,
            },
        );
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), String> {
    let rooted = ["/", "${", "{plugin_dir}", "{runtime_dir}"]
        .iter()
        .any(|start| path.starts_with(start));
    if !rooted || path.contains('\0') || super::has_dotdot(path) {
        let path = Escaped(path);
        return Err(format!("the path '{path}' must be absolute, without '..'"));
    }
    Ok(())
}

/// The kernel's capabilities (`linux/capability.h`).
const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP \
    LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE \
    SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME \
    SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG \
    WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

fn capability(name: &str) -> Result<String, String> {
    let upper = name.to_uppercase();
    let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if CAPABILITIES.split_whitespace().any(|known| known == short) {
        Ok(format!("CAP_{short}"))
    } else {
        Err(format!("'{}' is no capability", Escaped(name)))
    }
}
