//! How much of a profile a kernel can enforce, as a value; and what the filter
//! does where the kernel's Landlock can't yet.

use std::fmt;

use super::lower::sockets;
use super::namespaces::{Means, Obstacle};
use crate::filter::{Sockets, StandIn};
use crate::profile::{OnViolation, PathGrant, Ports, Profile, Signals};

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

/// A protection that the kernel's Landlock lacks and the filter gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// What Landlock lacks.
    pub protection: &'static str,
    /// What the filter does instead: at least as much.
    pub instead: &'static str,
    /// What it is told to refuse for that.
    pub stand_in: StandIn,
}

impl fmt::Display for TakenOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: the filter {}", self.protection, self.instead)
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
    /// The filter, in Landlock's place.
    Filter(TakenOver),
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
    let wanted = Wanted {
        profile,
        sockets: sockets(profile),
    };
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
        is_required.then(|| (missing, rule.coverage(&wanted, kernel)))
    });
    let namespaces = profile.isolation.has_namespaces().then(|| {
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
            Coverage::Filter(one) => {
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

/// What the profile asks for, as Landlock and as the filter see it.
struct Wanted<'a> {
    profile: &'a Profile,
    sockets: Sockets,
}

impl Wanted<'_> {
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

struct Requirement {
    abi: u8,
    missing: Missing,
    /// It narrows the file rules, which the first ABI has.
    refines_files: bool,
    required_by: fn(&Wanted<'_>) -> bool,
    /// What the filter does where Landlock can't, if it can.
    instead: fn(&Wanted<'_>) -> Option<(&'static str, StandIn)>,
}

impl Requirement {
    fn coverage(&self, wanted: &Wanted<'_>, kernel: KernelFacts) -> Coverage {
        if kernel.landlock_abi >= self.abi {
            return Coverage::Kernel;
        }
        match (self.instead)(wanted).filter(|_| kernel.seccomp) {
            None => Coverage::Nobody,
            Some((instead, stand_in)) => Coverage::Filter(TakenOver {
                protection: self.missing.protection,
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
    },
    Requirement {
        abi: 9,
        missing: Missing {
            protection: "Landlock's right to connect to UNIX sockets by path",
            since: "Linux 7.1, Landlock ABI 9",
        },
        refines_files: false,
        required_by: |wanted| wanted.reaches_unix() && !wanted.may_connect_everywhere(),
        instead: |_| None,
    },
];
