//! Profiles: what one plugin may do. Written in YAML, composed by `extends`,
//! resolved to a value without gaps.

mod adding;
pub mod builtin;
mod expand;
mod raw;
mod resolve;
mod variables;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use expand::{expand, glob_matches, has_dotdot};
pub use raw::RawProfile;
pub use resolve::{ProfileError, resolve};
pub use variables::passes;

/// A resolved profile: every key has a value.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Name.
    pub name: String,
    /// One line.
    pub description: String,
    /// The profiles it is made of, each after those that it extends.
    pub chain: Vec<String>,
    /// Files.
    pub filesystem: Filesystem,
    /// Network.
    pub network: Network,
    /// Other processes.
    pub processes: Processes,
    /// System calls.
    pub syscalls: Syscalls,
    /// Memory may be writable and executable.
    pub write_execute: bool,
    /// Memory that is mapped shared may be executable.
    pub shared_execute: bool,
    /// Resource limits.
    pub limits: Limits,
    /// Environment.
    pub environment: Environment,
    /// Capabilities that are kept, by their full names.
    pub capabilities: Vec<String>,
    /// Descriptors above 2.
    pub descriptors: Descriptors,
    /// The caller's terminal may be opened, and its settings changed.
    pub terminal: bool,
    /// User to become.
    pub user: Option<String>,
    /// Working directory.
    pub working_directory: Option<String>,
    /// File mode creation mask.
    pub umask: u32,
    /// Kind of confinement, as it is asked for.
    pub isolation: IsolationChoice,
}

impl Profile {
    /// All paths that it grants, as they are written.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let (files, network) = (&self.filesystem, &self.network);
        let sockets = network.unix_connect.iter().chain(&network.unix_bind);
        let sockets = sockets.map(|grant| grant.path.as_str());
        files.paths().chain(sockets)
    }
}

impl Filesystem {
    /// All paths that it grants, but for devices, as they are written.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let lists = [
            &self.code,
            &self.read,
            &self.apart,
            &self.write,
            &self.execute,
        ];
        let grants = lists.into_iter().flatten();
        grants.map(|grant| grant.path.as_str())
    }
}

/// Where programs make temporary files unless they are told otherwise (man 7
/// hier).
pub const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// Files of a profile.
#[derive(Clone, Debug, Default)]
pub struct Filesystem {
    /// Holds code that plugins load: may be read, and no more than listed
    /// where an entry pins the files that its plugin loads.
    pub code: Vec<PathGrant>,
    /// May be read.
    pub read: Vec<PathGrant>,
    /// Folders that may be read through inodes of the plugin's own.
    pub apart: Vec<PathGrant>,
    /// May be read and changed.
    pub write: Vec<PathGrant>,
    /// May be executed.
    pub execute: Vec<PathGrant>,
    /// Metadata may be changed.
    pub metadata: bool,
    /// Nodes of `/dev`.
    pub devices: Vec<String>,
    /// `/tmp` and `/var/tmp` are the plugin's own.
    pub private_tmp: bool,
}

/// A path of a profile, variables not yet expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathGrant {
    /// The path.
    pub path: String,
    /// Written with a leading `-`: it may be missing.
    pub optional: bool,
}

/// Network of a profile.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// TCP ports of other hosts.
    pub tcp_connect: Ports,
    /// TCP ports of this host.
    pub tcp_bind: Ports,
    /// UDP.
    pub udp: bool,
    /// Echoes of ICMP; with CAP_NET_RAW all of ICMP.
    pub icmp: bool,
    /// UNIX sockets to connect to.
    pub unix_connect: Vec<PathGrant>,
    /// Folders for UNIX sockets of the plugin's own.
    pub unix_bind: Vec<PathGrant>,
    /// Abstract UNIX sockets of outsiders.
    pub unix_abstract: bool,
    /// Netlink's route family.
    pub netlink: bool,
}

/// TCP ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// These.
    List(Vec<u16>),
    /// Every port.
    Any,
}

impl Default for Ports {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Ports {
    /// No port at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::List(list) if list.is_empty())
    }
}

/// Other processes, of a profile.
#[derive(Clone, Copy, Debug)]
pub struct Processes {
    /// New processes, not only threads.
    pub fork: bool,
    /// Who may be signalled.
    pub signals: Signals,
    /// Start a session of its own.
    pub new_session: bool,
}

/// Who may be signalled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signals {
    /// The plugin's own processes.
    Own,
    /// Anyone that the user may signal.
    Any,
}

impl Signals {
    /// The name in profiles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Any => "any",
        }
    }
}

/// System calls of a profile.
#[derive(Clone, Debug)]
pub struct Syscalls {
    /// One layer a profile of the chain.
    pub layers: Vec<SyscallLayer>,
    /// What a refused call gets.
    pub on_violation: OnViolation,
}

/// What one profile says of system calls.
#[derive(Clone, Debug, Default)]
pub struct SyscallLayer {
    /// Added calls and groups.
    pub allow: Vec<String>,
    /// Calls and groups taken away.
    pub deny: Vec<String>,
}

/// What a refused call gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnViolation {
    /// `EPERM`.
    Errno,
    /// The end of the process.
    Kill,
    /// An entry in the kernel's log, and the call is made: for learning what a
    /// plugin needs, no protection.
    Log,
}

impl OnViolation {
    /// The name in profiles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Errno => "errno",
            Self::Kill => "kill",
            Self::Log => "log",
        }
    }
}

/// Resource limits; `None` is unlimited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Descriptors.
    pub open_files: Option<u64>,
    /// Size of a written file in bytes.
    pub file_size: Option<u64>,
    /// Processor time in seconds.
    pub cpu_seconds: Option<u64>,
    /// Size of a core dump in bytes.
    pub core: Option<u64>,
}

/// Environment of a profile.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Names and globs that are passed on.
    pub pass: Vec<String>,
    /// Values that are set.
    pub set: BTreeMap<String, String>,
    /// Names with the source of a secret: `env:NAME` or `file:/PATH`.
    pub secrets: BTreeMap<String, String>,
}

/// The confinement that a profile asks for. Which one it gets a plan says
/// ([`crate::plan::settle`]): whether there are namespaces is no question that a
/// profile alone could answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IsolationChoice {
    /// [`Isolation::Process`].
    Process,
    /// [`Isolation::Namespaces`].
    Namespaces,
    /// [`Isolation::None`].
    None,
    /// Namespaces where the profile needs them, else none.
    Auto,
}

impl IsolationChoice {
    /// Whether there is a sandbox at all, whatever is chosen.
    #[must_use]
    pub const fn confines(self) -> bool {
        match self {
            Self::Process | Self::Namespaces | Self::Auto => true,
            Self::None => false,
        }
    }

    /// Whether namespaces may be chosen.
    #[must_use]
    pub const fn admits_namespaces(self) -> bool {
        match self {
            Self::Namespaces | Self::Auto => true,
            Self::Process | Self::None => false,
        }
    }

    /// The name in profiles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => Isolation::Process.name(),
            Self::Namespaces => Isolation::Namespaces.name(),
            Self::None => Isolation::None.name(),
            Self::Auto => "auto",
        }
    }
}

/// Descriptors above 2 that the plugin gets from its host.
#[derive(Clone, Debug, Default)]
pub struct Descriptors {
    /// Their numbers.
    pub pass: Vec<u32>,
    /// Those that the host says are sockets to serve (man 3 sd_listen_fds).
    pub listen: bool,
}

/// Kind of confinement. What a kind means is asked by name
/// ([`Isolation::confines`], [`Isolation::has_namespaces`]), not by comparing,
/// so that no question forgets one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Landlock and seccomp.
    Process,
    /// The same, in namespaces of its own with a root folder of what is
    /// granted.
    Namespaces,
    /// Neither.
    None,
}

impl Isolation {
    /// Whether there is a sandbox at all.
    #[must_use]
    pub const fn confines(self) -> bool {
        match self {
            Self::Process | Self::Namespaces => true,
            Self::None => false,
        }
    }

    /// Whether the plugin gets namespaces of its own.
    #[must_use]
    pub const fn has_namespaces(self) -> bool {
        match self {
            Self::Namespaces => true,
            Self::Process | Self::None => false,
        }
    }

    /// The name in profiles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Namespaces => "namespaces",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests;
