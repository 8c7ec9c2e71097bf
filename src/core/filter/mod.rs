//! The seccomp filter of one plugin: system call groups and features in, one
//! classic BPF program out.
//!
//! The program checks the architecture, refuses the other ABIs of the same
//! processor, and finds the call's verdict by binary search over its number.
//! A call that is allowed whatever its arguments is reached by nothing but
//! loads of number and architecture and by jumps, so that the kernel answers
//! it from its bitmap of constant actions (`seccomp_cache_prepare_bitmap`,
//! Linux 5.11) and never runs the program. What each call may do stands in one
//! table (rank, rule and reason); `reference` states the policy that comes of it.

mod arguments;
mod assemble;
mod checks;
mod evaluate;
mod ioctl;
mod kernel;
mod rules;
mod sockets;
mod table;
mod void;
mod waiting;

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::arch::Arch;
use crate::profile::OnViolation;
use crate::syscall;

use assemble::Verdict;
use checks::{Own, Values};
pub use evaluate::{Action, Call};
use table::Rank;
pub use void::void;
pub use waiting::{Admitted as WaitingCall, waiting};

/// One instruction of classic BPF (`struct sock_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Jump distance if true.
    pub jt: u8,
    /// Jump distance if false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// The sockets that a profile grants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent grants")]
pub struct Sockets {
    /// TCP sockets, IPv4 and IPv6.
    pub tcp: bool,
    /// TCP to some port.
    pub tcp_connect: bool,
    /// TCP on some port.
    pub tcp_bind: bool,
    /// UDP sockets.
    pub udp: bool,
    /// Ping sockets.
    pub icmp: bool,
    /// Raw sockets of ICMP.
    pub icmp_raw: bool,
    /// UNIX stream and sequenced-packet sockets.
    pub unix: bool,
    /// Connect UNIX sockets, and send datagrams.
    pub unix_connect: bool,
    /// Bind UNIX sockets.
    pub unix_bind: bool,
    /// Netlink's route family.
    pub netlink: bool,
    /// Serve sockets that were handed over: no socket by itself.
    pub served: bool,
}

impl Sockets {
    /// Nothing is granted but pairs.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        !(self.tcp || self.udp || self.icmp || self.unix || self.netlink)
    }

    /// connect(2) is admitted, to whatever address: the filter sees none.
    #[must_use]
    pub const fn may_connect(&self) -> bool {
        self.tcp_connect || self.udp || self.icmp || self.unix_connect || self.netlink
    }

    /// bind(2) is admitted.
    #[must_use]
    pub const fn may_bind(&self) -> bool {
        self.tcp_bind || self.udp || self.icmp || self.unix_bind || self.netlink
    }

    /// listen(2) and accept(2) are admitted.
    #[must_use]
    pub const fn may_serve(&self) -> bool {
        self.tcp_bind || self.unix_bind || self.served
    }

    /// Sockets of the machine's network can be had.
    #[must_use]
    pub const fn has_network(&self) -> bool {
        self.tcp || self.udp || self.icmp || self.netlink
    }
}

/// What the filter refuses in Landlock's place, since the kernel's Landlock
/// can't yet. Whatever the profile says of violations, these get `EPERM`: a
/// newer kernel's Landlock would neither kill nor merely log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandIn {
    /// Truncating without the right to write.
    pub truncate: bool,
    /// Requests to devices.
    pub device_ioctls: bool,
    /// Signals to others.
    pub signals: bool,
}

impl StandIn {
    /// None of them.
    pub const NOTHING: Self = Self {
        truncate: false,
        device_ioctls: false,
        signals: false,
    };
    /// Truncating.
    pub const TRUNCATE: Self = Self {
        truncate: true,
        ..Self::NOTHING
    };
    /// Requests to devices.
    pub const DEVICE_IOCTLS: Self = Self {
        device_ioctls: true,
        ..Self::NOTHING
    };
    /// Signals.
    pub const SIGNALS: Self = Self {
        signals: true,
        ..Self::NOTHING
    };

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            truncate: self.truncate || other.truncate,
            device_ioctls: self.device_ioctls || other.device_ioctls,
            signals: self.signals || other.signals,
        }
    }
}

/// The launcher's one execveat(2): descriptor, the addresses of its pointer
/// arguments, flags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ExecTicket {
    /// Descriptor of the image.
    pub fd: u32,
    /// Address of the empty path.
    pub path: u64,
    /// Address of the argument array.
    pub argv: u64,
    /// Address of the environment array.
    pub envp: u64,
    /// `AT_EMPTY_PATH`.
    pub flags: u32,
}

// The addresses are the launch's secret.
impl fmt::Debug for ExecTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecTicket")
            .field("fd", &self.fd)
            .finish_non_exhaustive()
    }
}

impl ExecTicket {
    /// A ticket for plans that are only shown; no call can have it.
    pub const NONE: Self = Self {
        fd: u32::MAX,
        path: 0,
        argv: 0,
        envp: 0,
        flags: 0,
    };
}

/// Who may call exec after the launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecRule {
    /// Nobody: only the launch's own call passes.
    Ticket(ExecTicket),
    /// The plugin, within what Landlock's execute right admits.
    Landlock,
}

/// What a filter is compiled from.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent grants")]
pub struct Request<'a> {
    /// For which processor.
    pub arch: Arch,
    /// Allowed and denied calls and groups, base profile first: each layer
    /// adds what it allows, then takes away what it denies.
    pub layers: &'a [(Vec<String>, Vec<String>)],
    /// What a refused call gets.
    pub on_violation: OnViolation,
    /// Sockets.
    pub sockets: Sockets,
    /// New processes, not only threads.
    pub fork: bool,
    /// Change the metadata of files.
    pub metadata: bool,
    /// Change it through descriptors, if not at all.
    pub descriptor_metadata: bool,
    /// Some folder is writable.
    pub writes: bool,
    /// Memory may be writable and executable.
    pub write_execute: bool,
    /// Shared mappings may be executable.
    pub shared_execute: bool,
    /// Some terminal is granted, so its settings may be changed.
    pub terminal: bool,
    /// What Landlock leaves to the filter.
    pub stand_in: StandIn,
    /// The plugin's process id.
    pub own_pid: u32,
    /// Who may call exec.
    pub exec: ExecRule,
}

/// A compiled filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    arch: Arch,
    program: Vec<Instruction>,
    digest: [u8; 32],
}

/// Why no filter could be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// No system call or group has this name.
    UnknownName(String),
    /// The program has more instructions than the kernel takes (4096).
    TooLong(usize),
    /// A conditional jump would reach too far.
    TooFar,
}

impl std::error::Error for FilterError {}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName(name) => {
                let name = crate::escape::Escaped(name);
                write!(f, "'{name}' is neither a system call nor a group of them")
            }
            Self::TooLong(length) => {
                write!(f, "the filter has {length} instructions, 4096 are possible")
            }
            Self::TooFar => f.write_str("the filter has a jump that is too far"),
        }
    }
}

/// Compiles a filter.
///
/// # Errors
/// An unknown name in a layer, or a program that is too long.
pub fn compile(request: &Request<'_>) -> Result<Filter, FilterError> {
    let admitted = Admitted::collect(request.arch, request.layers)?;
    let verdicts = rules::verdicts(request, &admitted);
    let ticket = match request.exec {
        ExecRule::Ticket(ticket) => ticket,
        ExecRule::Landlock => ExecTicket::NONE,
    };
    let own = Own::new(request.own_pid, ticket);
    Ok(Filter {
        arch: request.arch,
        program: assemble::assemble(request.arch, &verdicts, &own)?,
        digest: digest(request.arch, &verdicts),
    })
}

/// The calls that no group brings in and that these layers name, each with the
/// reason why it has to be named.
///
/// # Errors
/// An unknown name in a layer.
pub fn named(
    arch: Arch,
    layers: &[(Vec<String>, Vec<String>)],
) -> Result<Vec<(&'static str, &'static str)>, FilterError> {
    let admitted = Admitted::collect(arch, layers)?;
    let rows = syscall::table(arch).iter().filter_map(|(name, number)| {
        let row = table::row(arch, *number)?;
        let is_held_back = matches!(row.rank, Rank::OnlyByName | Rank::Kill);
        (is_held_back && admitted.names(*number)).then_some((*name, row.why))
    });
    Ok(rows.collect())
}

impl Filter {
    /// The program.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.program
    }

    /// SHA-256 over the verdicts on all calls, with this launch's exec ticket and
    /// process id left out: equal for launches that are confined alike.
    #[must_use]
    pub fn digest(&self) -> String {
        use fmt::Write as _;
        self.digest
            .iter()
            .fold(String::from("sha256:"), |mut text, byte| {
                // Writing into a string has no way to fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
    }

    /// What the kernel would do with a call.
    #[must_use]
    pub fn evaluate(&self, call: &Call) -> Action {
        evaluate::run(&self.program, call)
    }

    /// Whether the kernel's bitmap answers this call with "allowed", without
    /// running the program.
    #[must_use]
    pub fn is_constant(&self, number: u32) -> bool {
        self.constant(number) == Some(Action::Allow)
    }

    /// What happens to a call whatever its arguments; `None` where these
    /// decide.
    #[must_use]
    pub fn constant(&self, number: u32) -> Option<Action> {
        evaluate::constant(&self.program, self.arch, number)
    }

    /// Names of calls that are allowed whatever their arguments, sorted.
    #[must_use]
    pub fn always_allowed(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = (0..=syscall::LAST_KNOWN)
            .filter(|number| self.is_constant(*number))
            .filter_map(|number| syscall::name(self.arch, number))
            .collect();
        names.sort_unstable();
        names
    }
}

/// The calls that the layers admit.
struct Admitted {
    calls: Vec<bool>,
    /// Calls that a layer names themselves, not through a group.
    explicit: Vec<bool>,
}

impl Admitted {
    fn collect(arch: Arch, layers: &[(Vec<String>, Vec<String>)]) -> Result<Self, FilterError> {
        let size = syscall::LAST_KNOWN as usize + 1;
        let mut admitted = Self {
            calls: vec![false; size],
            explicit: vec![false; size],
        };
        for (allow, deny) in layers {
            for name in allow {
                admitted.set(arch, name, true, true)?;
            }
            for name in deny {
                admitted.set(arch, name, false, true)?;
            }
        }
        Ok(admitted)
    }

    fn set(&mut self, arch: Arch, name: &str, to: bool, named: bool) -> Result<(), FilterError> {
        // Only a group's name begins so, and comparing with all of them for
        // each call would cost more than compiling the rest.
        let group = name.starts_with('@').then(|| syscall::group(name));
        if let Some(members) = group.flatten() {
            for member in members {
                self.set(arch, member, to, false)?;
            }
            return Ok(());
        }
        let Some(number) = syscall::number(arch, name) else {
            // The other architecture's calls are no mistake.
            return if syscall::is_known(name) {
                Ok(())
            } else {
                Err(FilterError::UnknownName(name.to_string()))
            };
        };
        let number = number as usize;
        if let Some(call) = self.calls.get_mut(number) {
            *call = to;
        }
        if let Some(explicit) = self.explicit.get_mut(number) {
            *explicit = to && (named || *explicit);
        }
        Ok(())
    }

    fn has(&self, number: u32) -> bool {
        self.calls.get(number as usize).copied().unwrap_or(false)
    }

    fn names(&self, number: u32) -> bool {
        self.explicit.get(number as usize).copied().unwrap_or(false)
    }
}

/// Hashes every verdict. The checks in them name this launch's own numbers
/// without their values.
fn digest(arch: Arch, verdicts: &[Verdict]) -> [u8; 32] {
    let mut text = Vec::with_capacity(16 << 10);
    text.extend(arch.name().as_bytes());
    let mut word = |value: u32| text.extend(value.to_le_bytes());
    for verdict in verdicts {
        match verdict {
            // No action is as small as what begins a check, an alternative or a test.
            Verdict::Return(action) => word(*action),
            Verdict::Check(check) => {
                [1, check.refused].into_iter().for_each(&mut word);
                for tests in &check.alternatives {
                    word(2);
                    for test in tests {
                        [3, test.offset, test.mask].into_iter().for_each(&mut word);
                        let one = |kind: u32, first: u32, last: u32| [kind, first, last];
                        match test.values {
                            Values::One(value) => {
                                one(4, value, value).into_iter().for_each(&mut word)
                            }
                            Values::Range(first, last) => {
                                one(4, first, last).into_iter().for_each(&mut word)
                            }
                            Values::OwnPid => one(5, 0, 0).into_iter().for_each(&mut word),
                            Values::Ticket(of) => {
                                one(6, of.into(), 0).into_iter().for_each(&mut word)
                            }
                            Values::In(ranges) => {
                                let ranges =
                                    ranges.iter().map(|(first, last)| one(4, *first, *last));
                                ranges.flatten().for_each(&mut word);
                            }
                        }
                    }
                }
            }
        }
    }
    Sha256::digest(&text).into()
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod compared;
#[cfg(any(test, fuzzing))]
pub mod reference;
#[cfg(test)]
mod tests;
