//! Landlock's rights, each with the profiles that need it and who gives it on a
//! kernel without it.

use super::enforcement::{Coverage, KernelFacts, Missing, TakenOver};
use super::lower::sockets;
use super::namespaces::has_own_network;
use super::namespaces::mounts::parts;
use crate::filter::{Sockets, StandIn};
use crate::profile::{Isolation, OnViolation, PathGrant, Ports, Profile, Signals};

/// What the profile asks for, as Landlock and as the filter see it.
pub(super) struct Wanted<'a> {
    profile: &'a Profile,
    sockets: Sockets,
}

/// Folders in which, or below which, sockets of others lie.
const SOCKETS_OF_OTHERS: &[&[&str]] = &[
    &[],
    &["run"],
    &["run", "user"],
    &["run", "user", "*"],
    &["tmp"],
    &["var"],
    &["var", "run"],
    &["var", "run", "user"],
    &["var", "run", "user", "*"],
    &["var", "tmp"],
];

/// Where others' sockets lie, as the launcher looks for it: links and mounts may
/// show these folders under names that no profile tells.
pub const FOLDERS_OF_SOCKETS: [&str; 4] = ["/run", "/tmp", "/var/run", "/var/tmp"];

/// In which each user has a folder of sockets.
pub const USERS_FOLDERS_OF_SOCKETS: &str = "/run/user";

/// What gives the plugin no path to sockets of others.
pub(super) const OWN_ROOT: &str = "the plugin's own root folder";

impl<'a> Wanted<'a> {
    pub(super) fn of(profile: &'a Profile) -> Self {
        Self {
            profile,
            sockets: sockets(profile),
        }
    }
}

impl Wanted<'_> {
    /// A folder that is granted shows sockets that `unix.connect` does not
    /// name. Through what is apart none can be reached.
    fn shows_sockets_of_others(&self) -> bool {
        let (files, network) = (&self.profile.filesystem, &self.profile.network);
        let lists = [
            &files.code,
            &files.read,
            &files.write,
            &files.execute,
            &network.unix_bind,
        ];
        let mut paths = lists.into_iter().flatten();
        paths.any(|grant| {
            let path: Vec<&str> = parts(&grant.path).collect();
            let is = |place: &&[&str]| {
                let same = |(name, part): (&&str, &&str)| *name == "*" || name == part;
                place.len() == path.len() && place.iter().zip(&path).all(same)
            };
            // Where a variable alone leads, nobody knows here.
            let is_unknown = path.len() == 1 && grant.path.starts_with("${");
            is_unknown || SOCKETS_OF_OTHERS.iter().any(is)
        })
    }

    /// The filter lets calls pass that it would refuse.
    fn only_logs(&self) -> bool {
        self.profile.syscalls.on_violation == OnViolation::Log
    }

    fn limits_tcp(&self) -> bool {
        let network = &self.profile.network;
        !is_any(&network.tcp_connect) || !is_any(&network.tcp_bind)
    }

    /// UNIX sockets can be had and connected.
    fn reaches_unix(&self) -> bool {
        self.sockets.unix && self.sockets.may_connect()
    }

    /// A grant of the root folder leaves no path to keep a plugin from.
    fn may_connect_everywhere(&self) -> bool {
        let mut granted = self.profile.network.unix_connect.iter();
        granted.any(|grant| grant.path == "/")
    }

    fn reaches_devices(&self) -> bool {
        let harmless = ["null", "zero", "full", "random", "urandom"];
        let files = &self.profile.filesystem;
        let is_device = |grant: &PathGrant| grant.path == "/" || grant.path.starts_with("/dev");
        if self.profile.terminal {
            return true;
        }
        let mut named = files.devices.iter();
        let read = files.code.iter().chain(&files.read);
        let read = read.chain(&files.apart);
        let mut folders = read.chain(&files.write).chain(&files.execute);
        named.any(|name| !harmless.contains(&name.as_str())) || folders.any(is_device)
    }
}

const fn is_any(ports: &Ports) -> bool {
    matches!(ports, Ports::Any)
}

pub(super) struct Requirement {
    abi: u8,
    pub(super) missing: Missing,
    /// It narrows the file rules, which the first ABI has.
    pub(super) refines_files: bool,
    pub(super) required_by: fn(&Wanted<'_>) -> bool,
    /// What the filter does where Landlock can't, if it can.
    instead: fn(&Wanted<'_>) -> Option<(&'static str, StandIn)>,
    /// Which namespace gives it where the plugin has one, and how.
    namespace: fn(&Wanted<'_>) -> Option<(&'static str, &'static str)>,
}

impl Requirement {
    pub(super) fn coverage(
        &self,
        wanted: &Wanted<'_>,
        kernel: KernelFacts,
        isolation: Isolation,
    ) -> Coverage {
        if kernel.landlock_abi >= self.abi {
            return Coverage::Kernel;
        }
        let has_namespaces = isolation.has_namespaces() && kernel.namespaces.is_ok();
        if let Some((by, instead)) = (self.namespace)(wanted).filter(|_| has_namespaces) {
            return Coverage::Instead(TakenOver {
                protection: self.missing.protection,
                by,
                instead,
                stand_in: StandIn::NOTHING,
            });
        }
        match (self.instead)(wanted).filter(|_| kernel.seccomp) {
            None => Coverage::Nobody,
            Some((instead, stand_in)) => Coverage::Instead(TakenOver {
                protection: self.missing.protection,
                by: "the filter",
                instead,
                stand_in,
            }),
        }
    }
}

/// Each right that came after Landlock's first ABI, and when a profile can't
/// do without it. The right to link and rename across folders (ABI 2) is not
/// here: without it the kernel refuses them all.
pub(super) const REQUIREMENTS: &[Requirement] = &[
    Requirement {
        abi: 1,
        missing: Missing {
            protection: "Landlock file rules",
            since: "Linux 5.13 with landlock in the lsm= boot list",
        },
        refines_files: false,
        required_by: |_| true,
        instead: |_| None,
        namespace: |_| None,
    },
    Requirement {
        abi: 3,
        missing: Missing {
            protection: "Landlock's truncate right",
            since: "Linux 6.2, Landlock ABI 3",
        },
        refines_files: true,
        required_by: |_| true,
        instead: |_| {
            let instead = "refuses truncate(2), and O_TRUNC without the write that Landlock checks";
            Some((instead, StandIn::TRUNCATE))
        },
        namespace: |_| None,
    },
    Requirement {
        abi: 4,
        missing: Missing {
            protection: "Landlock's TCP port rules",
            since: "Linux 6.7, Landlock ABI 4",
        },
        refines_files: false,
        // A profile without TCP gets no TCP socket from the filter.
        required_by: |wanted| (wanted.sockets.tcp || wanted.only_logs()) && wanted.limits_tcp(),
        instead: |wanted| {
            // The filter sees no port, only whether there are any.
            let Wanted { profile, sockets } = wanted;
            let network = &profile.network;
            let connects = is_any(&network.tcp_connect) || !sockets.may_connect();
            let binds = is_any(&network.tcp_bind) || !sockets.may_bind();
            let instead = "refuses bind(2) or connect(2), of which the profile grants no port";
            (connects && binds && !wanted.only_logs()).then_some((instead, StandIn::NOTHING))
        },
        namespace: |_| None,
    },
    Requirement {
        abi: 5,
        missing: Missing {
            protection: "Landlock's device ioctl right",
            since: "Linux 6.10, Landlock ABI 5",
        },
        refines_files: true,
        required_by: |wanted| wanted.reaches_devices(),
        instead: |_| {
            let instead = "refuses every ioctl(2) but a few harmless ones, on all files";
            Some((instead, StandIn::DEVICE_IOCTLS))
        },
        namespace: |_| None,
    },
    Requirement {
        abi: 6,
        missing: Missing {
            protection: "Landlock's signal scope",
            since: "Linux 6.12, Landlock ABI 6",
        },
        refines_files: false,
        required_by: |wanted| wanted.profile.processes.signals == Signals::Own,
        instead: |wanted| {
            let instead = if wanted.profile.processes.fork {
                "refuses all signals"
            } else {
                "admits signals to the plugin's own process alone"
            };
            Some((instead, StandIn::SIGNALS))
        },
        namespace: |_| None,
    },
    Requirement {
        abi: 6,
        missing: Missing {
            protection: "Landlock's abstract UNIX socket scope",
            since: "Linux 6.12, Landlock ABI 6",
        },
        refines_files: false,
        required_by: |wanted| {
            (wanted.reaches_unix() || wanted.only_logs()) && !wanted.profile.network.unix_abstract
        },
        instead: |_| None,
        namespace: |wanted| {
            let words = "has no abstract sockets but the plugin's own";
            has_own_network(wanted.profile).then_some(("the network namespace", words))
        },
    },
    Requirement {
        abi: 9,
        missing: Missing {
            protection: "Landlock's right to connect to UNIX sockets by path",
            since: "Linux 7.1, Landlock ABI 9; or 'isolation: namespaces' in a profile that grants no folder of everybody's sockets, as '/run' and '/tmp' are",
        },
        refines_files: false,
        required_by: |wanted| wanted.reaches_unix() && !wanted.may_connect_everywhere(),
        instead: |_| None,
        namespace: |wanted| {
            let words = "shows no sockets but those in granted paths";
            (!wanted.shows_sockets_of_others()).then_some((OWN_ROOT, words))
        },
    },
];
