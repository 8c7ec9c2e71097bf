//! `isolation: namespaces`, lowered: which namespaces a plugin gets and what
//! its root folder is made of.

use std::collections::BTreeMap;

use super::enforcement::Missing;
use super::{Grant, GrantKind};
use crate::profile::Profile;

/// The plugin's process id in its namespace; the first is its reaper's.
pub const PLUGIN_PID: u32 = 2;

/// How the running kernel lets this launcher make namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// With its own `CAP_SYS_ADMIN`.
    Privilege,
    /// With the capabilities that a user namespace of its own gives it.
    UserNamespace,
}

/// Why this launcher can't make them here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// It was not tried.
    Untried,
    /// The kernel's limits leave no room for more.
    NoRoom,
    /// The kernel, or what watches over it, says no.
    Forbidden,
    /// The kernel lacks a kind of namespace.
    NoSuchKind,
    /// A user namespace was made, and gives no capabilities.
    Powerless,
    /// The kernel lacks the calls that mounts are put together with.
    NoMountCalls,
    /// The launcher's own `/proc` is absent or masked, so there is no fresh one.
    NoProc,
    /// The root folder can't be exchanged for another.
    NoRoot,
}

impl Obstacle {
    /// All, for a trial that can only answer with a number.
    pub const ALL: [Self; 8] = [
        Self::Untried,
        Self::NoRoom,
        Self::Forbidden,
        Self::NoSuchKind,
        Self::Powerless,
        Self::NoMountCalls,
        Self::NoProc,
        Self::NoRoot,
    ];

    /// What is missing, and what would bring it.
    #[must_use]
    pub const fn missing(self) -> Missing {
        let (protection, since) = match self {
            Self::Untried => ("namespaces", "a launcher that tries them"),
            Self::NoRoom => (
                "room for new namespaces",
                "a higher sysctl user.max_user_namespaces, or user.max_*_namespaces of the kind that is full",
            ),
            Self::Forbidden => (
                "leave to make namespaces",
                "sysctl kernel.unprivileged_userns_clone=1, and no container or security module that forbids them",
            ),
            Self::NoSuchKind => (
                "namespaces of every kind",
                "a kernel with CONFIG_USER_NS, CONFIG_PID_NS, CONFIG_NET_NS and the like",
            ),
            Self::Powerless => (
                "power within a user namespace",
                "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a security policy that admits secure-exec",
            ),
            Self::NoMountCalls => ("the calls open_tree and mount_setattr", "Linux 5.12"),
            Self::NoProc => (
                "a fresh /proc",
                "a launcher whose own /proc is whole, not masked as in a container",
            ),
            Self::NoRoot => (
                "a root folder that can be exchanged",
                "a launcher that runs neither in a chroot nor from the initial RAM disk",
            ),
        };
        Missing { protection, since }
    }
}

/// What a plugin gets for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespacePlan {
    /// How they are made.
    pub means: Means,
    /// A network of its own, without an interface that is up. Otherwise it
    /// shares the host's, since the profile grants something of it.
    pub own_network: bool,
    /// What its `/proc` shows.
    pub proc: Proc,
    /// What its root folder is made of: parents stand before their children.
    pub mounts: Vec<Mount>,
}

/// What a fresh `/proc` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proc {
    /// The plugin's processes and nothing of the system.
    pub only_processes: bool,
    /// Files in it may be written, as far as Landlock admits.
    pub writable: bool,
}

/// A granted path and how it is mounted. Set-ID bits count nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Absolute, without `..`, `.` and empty parts.
    pub path: String,
    /// A path that does not exist is no error.
    pub optional: bool,
    /// How.
    pub attributes: Attributes,
    /// What lies above is mounted in the same way, so there is nothing to do
    /// unless a symbolic link leads elsewhere.
    pub covered: bool,
}

/// Attributes of a mount, and of all that is mounted below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Not read-only.
    pub writable: bool,
    /// Not `noexec`: programs and libraries may be mapped.
    pub executable: bool,
    /// Not `nodev`: nodes are devices.
    pub devices: bool,
}

impl NamespacePlan {
    /// The namespaces' names.
    #[must_use]
    pub fn kinds(&self) -> Vec<&'static str> {
        let user = (self.means == Means::UserNamespace).then_some("user");
        let network = self.own_network.then_some("network");
        let always = ["mount", "pid", "ipc", "uts", "cgroup"];
        user.into_iter().chain(always).chain(network).collect()
    }
}

impl NamespacePlan {
    /// Whose network the plugin has: `own` or `host`.
    #[must_use]
    pub const fn network_name(&self) -> &'static str {
        if self.own_network { "own" } else { "host" }
    }
}

impl Attributes {
    /// As mount(8) writes them.
    #[must_use]
    pub fn words(self) -> String {
        let mut words = vec![if self.writable { "rw" } else { "ro" }, "nosuid"];
        if !self.devices {
            words.push("nodev");
        }
        if !self.executable {
            words.push("noexec");
        }
        words.join(",")
    }
}

impl Proc {
    /// As mount(8) writes its options.
    #[must_use]
    pub fn words(self) -> String {
        let subset = if self.only_processes {
            ",subset=pid"
        } else {
            ""
        };
        let attributes = Attributes {
            writable: self.writable,
            ..Attributes::default()
        };
        format!("{},hidepid=ptraceable{subset}", attributes.words())
    }
}

/// Whether a profile does without the host's network: no TCP, no UDP, no
/// netlink, no abstract sockets, which belong to a network namespace too.
#[must_use]
pub fn has_own_network(profile: &Profile) -> bool {
    let network = &profile.network;
    network.tcp_connect.is_empty()
        && network.tcp_bind.is_empty()
        && !(network.udp || network.netlink || network.unix_abstract)
}

/// Whether a path lies in `/proc`, which is the plugin's own: it is no mount
/// of the host's, and rules for it hold for the fresh one.
#[must_use]
pub fn is_in_proc(path: &str) -> bool {
    parts(path).next() == Some("proc")
}

/// Lowers what a profile grants.
///
/// # Errors
/// A sentence: the profile asks for what a user namespace can't give.
pub(super) fn lower(
    profile: &Profile,
    means: Means,
    grants: &[Grant],
) -> Result<NamespacePlan, String> {
    if means == Means::UserNamespace {
        let asked = [
            (!profile.capabilities.is_empty()).then_some("capabilities.keep"),
            profile.user.is_some().then_some("user"),
        ];
        if let Some(key) = asked.into_iter().flatten().next() {
            return Err(format!(
                "'{key}' with 'isolation: namespaces' needs a launcher with CAP_SYS_ADMIN: \
                 a user namespace has no capabilities over the system and no other user"
            ));
        }
    }
    Ok(NamespacePlan {
        means,
        own_network: has_own_network(profile),
        proc: proc(grants),
        mounts: mounts(grants),
    })
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

fn mounts(grants: &[Grant]) -> Vec<Mount> {
    let mut wanted: BTreeMap<Vec<&str>, bool> = BTreeMap::new();
    for grant in grants.iter().filter(|grant| !is_in_proc(&grant.path)) {
        let optional = wanted.entry(parts(&grant.path).collect()).or_insert(true);
        *optional &= grant.optional;
    }
    let attributes = |place: &[&str]| {
        let above = |grant: &&Grant| is_above(&grant.path, place);
        attributes(&joined(place), grants.iter().filter(above))
    };
    let places: Vec<_> = wanted.keys().cloned().collect();
    wanted
        .into_iter()
        .map(|(place, optional)| {
            let own = attributes(&place);
            let parent = places
                .iter()
                .rev()
                .find(|other| other.len() < place.len() && place.starts_with(other));
            Mount {
                path: joined(&place),
                optional,
                attributes: own,
                covered: parent.is_some_and(|parent| attributes(parent) == own),
            }
        })
        .collect()
}

/// What all grants of a path and of the folders above it come to.
fn attributes<'a>(path: &str, grants: impl Iterator<Item = &'a Grant>) -> Attributes {
    let kinds: Vec<GrantKind> = grants.map(|grant| grant.kind).collect();
    let has = |kind: GrantKind| kinds.contains(&kind);
    let writable = has(GrantKind::Write) || has(GrantKind::BindSocket);
    let place: Vec<&str> = parts(path).collect();
    let is_data = DATA.iter().any(|data| is_above(data, &place));
    // Of a folder that is listed, files that are pinned are read and mapped.
    let reads = has(GrantKind::Read) || has(GrantKind::List);
    Attributes {
        writable,
        executable: has(GrantKind::Execute) || (reads && !writable && !is_data),
        devices: has(GrantKind::Device),
    }
}

fn proc(grants: &[Grant]) -> Proc {
    let is_of_process = |path: &str| {
        let of = parts(path).nth(1).unwrap_or_default();
        of == "self" || of == "thread-self" || of.parse::<u32>().is_ok()
    };
    let touches = |grant: &&Grant| is_in_proc(&grant.path) || parts(&grant.path).next().is_none();
    let mut touching = grants.iter().filter(touches);
    Proc {
        only_processes: touching.clone().all(|grant| is_of_process(&grant.path)),
        writable: touching.any(|grant| grant.kind == GrantKind::Write),
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter(|part| !part.is_empty() && *part != ".")
}

fn joined(place: &[&str]) -> String {
    format!("/{}", place.join("/"))
}

/// Whether a path is this place or a folder above it.
fn is_above(path: &str, place: &[&str]) -> bool {
    let mut place = place.iter();
    parts(path).all(|part| place.next() == Some(&part))
}

#[cfg(test)]
mod tests;
