//! How much of a profile a kernel can enforce, as a value; and what the filter
//! does where the kernel's Landlock can't yet.

use std::fmt;

use super::isolation::settle;
use super::lower::sockets;
use super::namespaces::mounts::parts;
use super::namespaces::{Means, Obstacle, has_own_network};
use crate::filter::{Sockets, StandIn};
use crate::profile::{Isolation, OnViolation, PathGrant, Ports, Profile, Signals};

/// What matters of the running kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelFacts {
    /// Landlock ABI; 0 where Landlock is absent or switched off.
    pub landlock_abi: u8,
    /// Filters can be installed.
    pub seccomp: bool,
    /// What the kernel may well have, and a filter around the launcher keeps
    /// from it: a container's, or a service manager's.
    pub withheld: Withheld,
    /// What a trial of namespaces led to, where the profile wants them.
    pub namespaces: Result<Means, Obstacle>,
}

/// Calls that a filter around the launcher refuses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Withheld {
    /// Landlock's.
    pub landlock: bool,
    /// seccomp(2).
    pub seccomp: bool,
}

/// A protection that the profile requires and the kernel lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is missing.
    pub protection: &'static str,
    /// What has it: the first kernel, or a setting.
    pub since: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (needs {})", self.protection, self.since)
    }
}

/// A protection that the kernel's Landlock lacks and something else gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// What Landlock lacks.
    pub protection: &'static str,
    /// Who gives it.
    pub by: &'static str,
    /// What that does instead: at least as much.
    pub instead: &'static str,
    /// What the filter is told to refuse for that.
    pub stand_in: StandIn,
}

impl fmt::Display for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.protection, self.by, self.instead)
    }
}

/// How much of the profile is enforced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// All of it.
    Full,
    /// All but these.
    Partial(Vec<Missing>),
    /// Nothing, since profile or policy asks for no sandbox.
    None,
}

impl Enforcement {
    /// `full`, `partial` or `none`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Partial(_) => "partial",
            Self::None => "none",
        }
    }

    /// What is missing.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        match self {
            Self::Partial(missing) => missing,
            Self::Full | Self::None => &[],
        }
    }
}

/// Who gives a protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// The kernel.
    Kernel,
    /// The filter or a namespace, in Landlock's place.
    Instead(TakenOver),
    /// Nobody.
    Nobody,
}

/// The kernel's protections that a profile requires, each with who gives it
/// here.
pub fn requirements(
    profile: &Profile,
    kernel: KernelFacts,
) -> impl Iterator<Item = (Missing, Coverage)> {
    let filters = Missing {
        since: if kernel.withheld.seccomp {
            "seccomp(2) admitted by the filter around the launcher: a container's seccomp profile, or systemd's SystemCallFilter="
        } else {
            SECCOMP.since
        },
        ..SECCOMP
    };
    let filters = (!kernel.seccomp).then_some((filters, Coverage::Nobody));
    let wanted = Wanted::of(profile);
    let isolation = settle(profile, kernel).isolation;
    let rules = REQUIREMENTS.iter().filter_map(move |rule| {
        // Without file rules a right of theirs is no loss of its own.
        let is_void = rule.refines_files && kernel.landlock_abi == 0;
        let is_required = !is_void && (rule.required_by)(&wanted);
        let missing = Missing {
            since: if kernel.withheld.landlock {
                "landlock_*(2) admitted by the filter around the launcher: a container's seccomp profile, or systemd's SystemCallFilter="
            } else {
                rule.missing.since
            },
            ..rule.missing
        };
        is_required.then(|| (missing, rule.coverage(&wanted, kernel, isolation)))
    });
    let namespaces = isolation.has_namespaces().then(|| {
        let coverage = match kernel.namespaces {
            Ok(_) => Coverage::Kernel,
            Err(_) => Coverage::Nobody,
        };
        let obstacle = kernel.namespaces.err();
        (obstacle.unwrap_or(Obstacle::Untried).missing(), coverage)
    });
    filters.into_iter().chain(rules).chain(namespaces)
}

/// Who enforces what of a profile.
pub(super) struct Shares {
    pub(super) enforcement: Enforcement,
    pub(super) taken_over: Vec<TakenOver>,
    pub(super) stand_in: StandIn,
}

pub(super) fn share(profile: &Profile, kernel: KernelFacts) -> Shares {
    let mut missing = Vec::new();
    let mut taken_over = Vec::new();
    let mut stand_in = StandIn::default();
    for (protection, coverage) in requirements(profile, kernel) {
        match coverage {
            Coverage::Kernel => {}
            Coverage::Nobody => missing.push(protection),
            Coverage::Instead(one) => {
                stand_in = stand_in.and(one.stand_in);
                taken_over.push(one);
            }
        }
    }
    Shares {
        enforcement: if missing.is_empty() {
            Enforcement::Full
        } else {
            Enforcement::Partial(missing)
        },
        taken_over,
        stand_in,
    }
}

/// What of a profile neither this kernel's Landlock nor the filter gives, and
/// namespaces do.
pub(super) fn only_in_namespaces(profile: &Profile, kernel: KernelFacts) -> Option<&'static str> {
    let wanted = Wanted::of(profile);
    let kernel = KernelFacts {
        namespaces: Ok(Means::Privilege),
        ..kernel
    };
    let covers = |rule: &Requirement, isolation| {
        let coverage = rule.coverage(&wanted, kernel, isolation);
        coverage != Coverage::Nobody
    };
    let mut required = REQUIREMENTS.iter();
    let found = required.find(|rule| {
        (rule.required_by)(&wanted)
            && !covers(rule, Isolation::Process)
            && covers(rule, Isolation::Namespaces)
    });
    found.map(|rule| rule.missing.protection)
}

/// What the profile asks for, as Landlock and as the filter see it.
struct Wanted<'a> {
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

impl<'a> Wanted<'a> {
    fn of(profile: &'a Profile) -> Self {
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

struct Requirement {
    abi: u8,
    missing: Missing,
    /// It narrows the file rules, which the first ABI has.
    refines_files: bool,
    required_by: fn(&Wanted<'_>) -> bool,
    /// What the filter does where Landlock can't, if it can.
    instead: fn(&Wanted<'_>) -> Option<(&'static str, StandIn)>,
    /// Which namespace gives it where the plugin has one, and how.
    namespace: fn(&Wanted<'_>) -> Option<(&'static str, &'static str)>,
}

impl Requirement {
    fn coverage(&self, wanted: &Wanted<'_>, kernel: KernelFacts, isolation: Isolation) -> Coverage {
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

const SECCOMP: Missing = Missing {
    protection: "seccomp filters",
    since: "CONFIG_SECCOMP_FILTER in the kernel",
};

/// Each right that came after Landlock's first ABI, and when a profile can't
/// do without it. The right to link and rename across folders (ABI 2) is not
/// here: without it the kernel refuses them all.
const REQUIREMENTS: &[Requirement] = &[
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
            (!wanted.shows_sockets_of_others()).then_some(("the plugin's own root folder", words))
        },
    },
];
