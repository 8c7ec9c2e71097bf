//! How much of a profile a kernel can enforce, as a value.

use std::fmt;

use crate::profile::{Ports, Profile, Signals};

/// What matters of the running kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelFacts {
    /// Landlock ABI; 0 where Landlock is absent or switched off.
    pub landlock_abi: u8,
}

/// A protection that the profile requires and the kernel lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is missing.
    pub protection: &'static str,
    /// The first kernel that has it.
    pub since: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (needs {})", self.protection, self.since)
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

/// The kernel's protections that a profile requires, each with whether this
/// kernel has it.
pub fn requirements(
    profile: &Profile,
    kernel: KernelFacts,
) -> impl Iterator<Item = (Missing, bool)> {
    REQUIREMENTS
        .iter()
        .filter(|rule| (rule.required_by)(profile))
        .map(move |rule| (rule.missing, kernel.landlock_abi >= rule.abi))
}

pub(super) fn enforcement(profile: &Profile, kernel: KernelFacts) -> Enforcement {
    let missing: Vec<Missing> = requirements(profile, kernel)
        .filter(|(_, present)| !present)
        .map(|(missing, _)| missing)
        .collect();
    if missing.is_empty() {
        Enforcement::Full
    } else {
        Enforcement::Partial(missing)
    }
}

struct Requirement {
    abi: u8,
    missing: Missing,
    required_by: fn(&Profile) -> bool,
}

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
        required_by: |_| true,
    },
    Requirement {
        abi: 3,
        missing: Missing {
            protection: "Landlock's truncate right",
            since: "Linux 6.2, Landlock ABI 3",
        },
        required_by: |_| true,
    },
    Requirement {
        abi: 4,
        missing: Missing {
            protection: "Landlock's TCP port rules",
            since: "Linux 6.7, Landlock ABI 4",
        },
        // A profile without TCP gets no TCP socket from the filter.
        required_by: |profile| {
            let limited = |ports: &Ports| !matches!(ports, Ports::Any);
            let tcp = &profile.network;
            let any = !tcp.tcp_connect.is_empty() || !tcp.tcp_bind.is_empty();
            any && (limited(&tcp.tcp_connect) || limited(&tcp.tcp_bind))
        },
    },
    Requirement {
        abi: 5,
        missing: Missing {
            protection: "Landlock's device ioctl right",
            since: "Linux 6.10, Landlock ABI 5",
        },
        required_by: |profile| {
            let harmless = ["null", "zero", "full", "random", "urandom"];
            let files = &profile.filesystem;
            files
                .devices
                .iter()
                .any(|name| !harmless.contains(&name.as_str()))
                || files
                    .read
                    .iter()
                    .chain(&files.write)
                    .any(|grant| grant.path == "/" || grant.path.starts_with("/dev"))
        },
    },
    Requirement {
        abi: 6,
        missing: Missing {
            protection: "Landlock's signal scope",
            since: "Linux 6.12, Landlock ABI 6",
        },
        required_by: |profile| profile.processes.signals == Signals::Own,
    },
    Requirement {
        abi: 6,
        missing: Missing {
            protection: "Landlock's abstract UNIX socket scope",
            since: "Linux 6.12, Landlock ABI 6",
        },
        required_by: |profile| {
            !profile.network.unix_connect.is_empty() && !profile.network.unix_abstract
        },
    },
    Requirement {
        abi: 9,
        missing: Missing {
            protection: "Landlock's right to connect to UNIX sockets by path",
            since: "Linux 7.1, Landlock ABI 9",
        },
        required_by: |profile| !profile.network.unix_connect.is_empty(),
    },
];
