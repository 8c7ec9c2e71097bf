//! `isolation: namespaces`, lowered: which namespaces a plugin gets and what
//! its root folder is made of.

pub(super) mod mounts;

use super::enforcement::Missing;
use super::{Grant, GrantKind};
use crate::escape::Escaped;
use crate::profile::{Profile, TEMPORARY};
use mounts::{check_apart, is_above, mounts, parts};

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
    /// The kernel shows no folder through another file system.
    NoOverlay,
}

impl Obstacle {
    /// All, for a trial that can only answer with a number.
    pub const ALL: [Self; 9] = [
        Self::Untried,
        Self::NoRoom,
        Self::Forbidden,
        Self::NoSuchKind,
        Self::Powerless,
        Self::NoMountCalls,
        Self::NoProc,
        Self::NoRoot,
        Self::NoOverlay,
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
                "power to mount within a user namespace",
                "mount_setattr(2) and its like admitted by what watches over the launcher: a container's seccomp profile, or AppArmor (sysctl kernel.apparmor_restrict_unprivileged_userns=0)",
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
            Self::NoOverlay => (
                "overlays for 'filesystem.apart'",
                "a kernel with CONFIG_OVERLAY_FS, built in or as the module overlay, loaded",
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
    /// Its own `/dev/shm`, unless the profile grants something of the host's.
    pub shared_memory: Option<SharedMemory>,
    /// Its own `/tmp` and `/var/tmp`, where the profile asks for them.
    pub temporary: Option<SharedMemory>,
    /// Some folder is shown through an overlay.
    pub overlays: bool,
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

/// Where programs make memory that processes share (shm_open(3)).
pub const SHARED_MEMORY: &str = "/dev/shm";

/// A file system in memory that nobody else sees: at `/dev/shm`, and of its own
/// at each of [`TEMPORARY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedMemory {
    /// The most that it holds, in bytes; `None`: what the kernel gives, half
    /// of the machine's memory.
    pub size: Option<u64>,
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
    /// A folder that is shown through an overlay: its inodes are the plugin's
    /// own.
    pub apart: bool,
    /// What lies above is.
    pub is_in_apart: bool,
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
    /// Whether a granted path is one at which the plugin has something of its
    /// own, and nothing of the host's.
    #[must_use]
    pub fn has_own(&self, path: &str) -> bool {
        is_in_proc(path)
            || (self.shared_memory.is_some() && path == SHARED_MEMORY)
            || (self.temporary.is_some() && TEMPORARY.contains(&path))
    }

    /// The path whose rule lets the plugin do what one in `/proc` grants. A rule
    /// for `/proc/self` is for the process that asks; where there are none but
    /// the plugin's own, it is for all of them, as children have a `/proc/self` of
    /// their own.
    #[must_use]
    pub fn ruled_path<'a>(&self, path: &'a str) -> &'a str {
        let place: Vec<&str> = parts(path).collect();
        match place.as_slice() {
            ["proc", "self" | "thread-self"] if self.proc.only_processes => "/proc",
            _ => path,
        }
    }

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

impl Mount {
    /// As mount(8) writes its attributes and, of an overlay, its kind.
    #[must_use]
    pub fn words(&self) -> String {
        let kind = if self.apart { ",overlay" } else { "" };
        format!("{}{kind}", self.attributes.words())
    }
}

impl SharedMemory {
    /// What is written there can't be executed.
    pub const ATTRIBUTES: Attributes = Attributes {
        writable: true,
        executable: false,
        devices: false,
    };
    /// Files and folders that it holds, each of which takes a kilobyte of the
    /// kernel's memory.
    pub const FILES: &str = "16384";

    /// As mount(8) writes its options.
    #[must_use]
    pub fn words(self) -> String {
        let size = self.size.map(|size| format!(",size={size}"));
        format!("{}{}", Self::ATTRIBUTES.words(), size.unwrap_or_default())
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
/// ICMP, no netlink, no abstract sockets, which belong to a network namespace too.
#[must_use]
pub fn has_own_network(profile: &Profile) -> bool {
    let network = &profile.network;
    network.tcp_connect.is_empty()
        && network.tcp_bind.is_empty()
        && !(network.udp || network.icmp || network.netlink || network.unix_abstract)
}

/// Whether a path lies in `/proc`, which is the plugin's own: it is no mount
/// of the host's, and rules for it hold for the fresh one.
#[must_use]
pub fn is_in_proc(path: &str) -> bool {
    parts(path).next() == Some("proc")
}

/// Whether what a path in `/proc` leads to belongs to a single process.
pub(super) fn of_process(path: &str) -> bool {
    let of = parts(path).nth(1).unwrap_or_default();
    of == "self" || of == "thread-self" || of.parse::<u32>().is_ok()
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
    if let Some(key) = withheld(profile, means) {
        return Err(format!(
            "'{key}' with 'isolation: namespaces' needs a launcher with CAP_SYS_ADMIN: \
             a user namespace has no capabilities over the system and no other user"
        ));
    }
    if profile.filesystem.private_tmp {
        check_temporary(grants)?;
    }
    check_apart(grants)?;
    let mounts = mounts(grants);
    let is_shared = |grant: &Grant| {
        let place: Vec<&str> = parts(&grant.path).collect();
        is_above(SHARED_MEMORY, &place)
    };
    Ok(NamespacePlan {
        means,
        own_network: has_own_network(profile),
        proc: proc(grants),
        shared_memory: (!grants.iter().any(is_shared)).then_some(SharedMemory {
            size: profile.limits.memory,
        }),
        temporary: profile.filesystem.private_tmp.then_some(SharedMemory {
            size: profile.limits.memory,
        }),
        overlays: mounts.iter().any(|mount| mount.apart),
        mounts,
    })
}

/// The key that asks for what namespaces of this kind can't give.
pub(super) fn withheld(profile: &Profile, means: Means) -> Option<&'static str> {
    let asked = [
        (!profile.capabilities.is_empty()).then_some("capabilities.keep"),
        profile.user.is_some().then_some("user"),
    ];
    let mut asked = asked.into_iter().flatten();
    asked.next().filter(|_| means == Means::UserNamespace)
}

/// Landlock's rule for the plugin's own `/tmp` holds for what is mounted in it,
/// too. Mounts take writing away from what is only read, and nothing else.
fn check_temporary(grants: &[Grant]) -> Result<(), String> {
    let is_less = |grant: &&Grant| match grant.kind {
        GrantKind::List | GrantKind::BindSocket | GrantKind::OwnSocket => true,
        GrantKind::Read
        | GrantKind::Apart
        | GrantKind::Write
        | GrantKind::Execute
        | GrantKind::Device
        | GrantKind::Terminal
        | GrantKind::ConnectSocket => false,
    };
    for grant in grants.iter().filter(is_less) {
        let place: Vec<&str> = parts(&grant.path).collect();
        let is_within = TEMPORARY.iter().any(|folder| is_above(folder, &place));
        let is_written = grants
            .iter()
            .any(|other| other.kind == GrantKind::Write && is_above(&other.path, &place));
        if is_within && !is_written {
            return Err(format!(
                "'{}' lies in a folder of 'filesystem.private_tmp', in which it can't be granted as '{}' alone: choose another folder, or grant it for writing",
                Escaped(&grant.path),
                grant.kind.name()
            ));
        }
    }
    Ok(())
}

fn proc(grants: &[Grant]) -> Proc {
    let touches = |grant: &&Grant| is_in_proc(&grant.path) || parts(&grant.path).next().is_none();
    let mut touching = grants.iter().filter(touches);
    Proc {
        only_processes: touching.clone().all(|grant| of_process(&grant.path)),
        writable: touching.any(|grant| grant.kind == GrantKind::Write),
    }
}

#[cfg(test)]
mod tests;
