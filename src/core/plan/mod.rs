//! The sandbox plan: a profile lowered for one kernel and one policy, as an
//! ordered list of steps that can be printed before any of it is done.

mod enforcement;
mod environment;
mod isolation;
mod lower;
pub mod namespaces;
mod rights;

pub use enforcement::{
    Coverage, Enforcement, KernelFacts, Missing, TakenOver, Withheld, requirements,
};
pub use environment::Environment;
pub use isolation::{Settled, settle, wants_namespaces};
pub use lower::{Inputs, lower};
pub use rights::{FOLDERS_OF_SOCKETS, USERS_FOLDERS_OF_SOCKETS};

use namespaces::NamespacePlan;

use crate::filter::{Sockets, StandIn};
use crate::profile::OnViolation;

/// The variable that says where programs make temporary files.
pub const TMPDIR: &str = "TMPDIR";

/// What will be done to the process before the plugin's first instruction,
/// in this order. Never empty; a seccomp step is always the last.
#[derive(Clone, Debug)]
pub struct SandboxPlan {
    steps: Vec<Step>,
    enforcement: Enforcement,
    taken_over: Vec<TakenOver>,
    settled: Settled,
    temporary: Option<String>,
}

impl SandboxPlan {
    /// The isolation, and why it was taken where the profile leaves it open.
    #[must_use]
    pub fn settled(&self) -> &Settled {
        &self.settled
    }

    /// The folder for temporary files that is the plugin's own, if it has one.
    #[must_use]
    pub fn temporary(&self) -> Option<&str> {
        self.temporary.as_deref()
    }

    /// The steps in the order in which they are carried out.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How much of the profile this kernel can enforce.
    #[must_use]
    pub fn enforcement(&self) -> &Enforcement {
        &self.enforcement
    }

    /// What others do because this kernel's Landlock can't.
    #[must_use]
    pub fn taken_over(&self) -> &[TakenOver] {
        &self.taken_over
    }

    /// The namespaces step, where there is one.
    #[must_use]
    pub fn namespaces(&self) -> Option<&NamespacePlan> {
        self.steps.iter().find_map(|step| match step {
            Step::Namespaces(plan) => Some(plan),
            _ => None,
        })
    }

    /// The Landlock step, where there is one.
    #[must_use]
    pub fn landlock(&self) -> Option<&LandlockPlan> {
        self.steps.iter().find_map(|step| match step {
            Step::Landlock(plan) => Some(plan),
            _ => None,
        })
    }

    /// The seccomp step, where there is one.
    #[must_use]
    pub fn seccomp(&self) -> Option<&SeccompPlan> {
        self.steps.iter().find_map(|step| match step {
            Step::Seccomp(plan) => Some(plan),
            _ => None,
        })
    }
}

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Replace the environment; the names that the plugin will see.
    Environment(Vec<String>),
    /// Set back what exec leaves as the caller had it.
    Inherited,
    /// Enter namespaces with a root folder of what is granted; the launcher
    /// stays outside and waits.
    Namespaces(NamespacePlan),
    /// Change the working directory.
    WorkingDirectory(String),
    /// Start a session of the plugin's own, without a controlling terminal.
    NewSession,
    /// Set the file mode creation mask.
    Umask(u32),
    /// Lower resource limits.
    Limits(Vec<Limit>),
    /// Change user, group and supplementary groups.
    User(String),
    /// Reduce every capability set to these.
    Capabilities(Vec<String>),
    /// Close every descriptor above 2 at exec.
    Descriptors,
    /// Set `no_new_privs`.
    NoNewPrivileges,
    /// Enter a Landlock domain.
    Landlock(LandlockPlan),
    /// Install the seccomp filter.
    Seccomp(SeccompPlan),
}

impl Step {
    /// The name of the step, as a dry run's JSON has it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Environment(_) => "environment",
            Self::Inherited => "inherited",
            Self::Namespaces(_) => "namespaces",
            Self::WorkingDirectory(_) => "working_directory",
            Self::NewSession => "new_session",
            Self::Umask(_) => "umask",
            Self::Limits(_) => "limits",
            Self::User(_) => "user",
            Self::Capabilities(_) => "capabilities",
            Self::Descriptors => "descriptors",
            Self::NoNewPrivileges => "no_new_privs",
            Self::Landlock(_) => "landlock",
            Self::Seccomp(_) => "seccomp",
        }
    }
}

/// One resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Which resource.
    pub resource: Resource,
    /// Bytes, seconds or a count, as the resource has it.
    pub value: u64,
}

/// The resources of `setrlimit(2)` that profiles limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `RLIMIT_DATA`: private writable memory, in bytes.
    Data,
    /// `RLIMIT_AS`: address space, in bytes.
    AddressSpace,
    /// `RLIMIT_NPROC`: processes and threads of the user; root is exempt.
    Processes,
    /// `RLIMIT_NOFILE`: descriptors.
    OpenFiles,
    /// `RLIMIT_FSIZE`: size of a written file, in bytes.
    FileSize,
    /// `RLIMIT_CPU`: seconds.
    CpuSeconds,
    /// `RLIMIT_CORE`: bytes.
    Core,
}

impl Resource {
    /// The name of the profile's key.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "memory",
            Self::AddressSpace => "address_space",
            Self::Processes => "processes",
            Self::OpenFiles => "open_files",
            Self::FileSize => "file_size",
            Self::CpuSeconds => "cpu_seconds",
            Self::Core => "core",
        }
    }
}

/// What Landlock will admit; all else that the kernel's ABI knows is refused.
#[derive(Clone, Debug)]
pub struct LandlockPlan {
    /// The kernel's Landlock ABI.
    pub abi: u8,
    /// Paths and what is admitted beneath them.
    pub grants: Vec<Grant>,
    /// TCP ports for `connect(2)`; `None`: every port.
    pub tcp_connect: Option<Vec<u16>>,
    /// TCP ports for `bind(2)`; `None`: every port.
    pub tcp_bind: Option<Vec<u16>>,
    /// Signals reach only processes of the same domain.
    pub scope_signals: bool,
    /// Abstract UNIX sockets of outsiders can't be connected to.
    pub scope_abstract: bool,
}

impl LandlockPlan {
    /// Landlock itself keeps signals within the domain (ABI 6).
    #[must_use]
    pub const fn keeps_signals(&self) -> bool {
        self.scope_signals && self.abi >= 6
    }
}

/// One path of a Landlock plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Absolute path, variables expanded.
    pub path: String,
    /// A path that does not exist is no error.
    pub optional: bool,
    /// What is admitted beneath it.
    pub kind: GrantKind,
}

/// What a grant admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantKind {
    /// List folders.
    List,
    /// Read files, list folders.
    Read,
    /// The same, through inodes of the plugin's own.
    Apart,
    /// Read, and create, change, rename and remove files, folders, symbolic
    /// links and FIFOs; no device nodes, no sockets.
    Write,
    /// Read and execute.
    Execute,
    /// Read and write a device node, without its ioctls.
    Device,
    /// Read and write a terminal, with the ioctls that the filter admits: those
    /// of its settings.
    Terminal,
    /// Create UNIX sockets.
    BindSocket,
    /// Create UNIX sockets, and remove files, as an old socket of the same name:
    /// in the plugin's own runtime folder alone.
    OwnSocket,
    /// Connect to UNIX sockets.
    ConnectSocket,
}

impl GrantKind {
    /// Whether something is made, changed or removed beneath it, be it a name.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::BindSocket | Self::OwnSocket)
    }

    /// Whether the content of files beneath it is read.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::Apart | Self::Write | Self::Execute)
    }

    /// A word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Read => "read",
            Self::Apart => "apart",
            Self::Write => "write",
            Self::Execute => "execute",
            Self::Device => "device",
            Self::Terminal => "terminal",
            Self::BindSocket => "bind-socket",
            Self::OwnSocket => "own-socket",
            Self::ConnectSocket => "connect-socket",
        }
    }
}

/// What the filter is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeccompPlan {
    /// Allowed and denied calls and groups, base profile first.
    pub layers: Vec<(Vec<String>, Vec<String>)>,
    /// What a refused call gets.
    pub on_violation: OnViolation,
    /// Socket families and types.
    pub sockets: Sockets,
    /// New processes, not only threads.
    pub fork: bool,
    /// Change the metadata of files.
    pub metadata: bool,
    /// Change it through descriptors: some folder is writable, and the plugin
    /// is not the superuser, who owns what the profile only lets it read.
    pub descriptor_metadata: bool,
    /// Some folder is writable.
    pub writes: bool,
    /// Memory may be writable and executable.
    pub write_execute: bool,
    /// Shared mappings may be executable.
    pub shared_execute: bool,
    /// Some terminal is granted.
    pub terminal: bool,
    /// What Landlock leaves to the filter.
    pub stand_in: StandIn,
    /// exec is left to Landlock's execute right, since the profile grants it.
    pub execute: bool,
    /// The plugin's process id, where it is not the launcher's.
    pub own_pid: Option<u32>,
}

#[cfg(test)]
mod tests;
