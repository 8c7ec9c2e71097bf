//! The policy of filters, in sentences: what no filter admits, what every
//! filter admits, and what refusals look like. Tests and the fuzzer hold
//! compiled filters to them. The sentences know nothing of the table that
//! filters are made from, and name calls, groups and numbers by themselves.

#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "the kernel takes the lower half of int arguments; there are six"
)]

mod always;
mod never;

use std::collections::{HashMap, HashSet};

use super::*;
use always::ALWAYS;
use never::{NEVER, NEVER_EVEN_LOGGED};

/// Everything of a request, owned.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// As [`Request::layers`].
    pub layers: Vec<(Vec<String>, Vec<String>)>,
    /// As [`Request::on_violation`].
    pub on_violation: OnViolation,
    /// As [`Request::sockets`].
    pub sockets: Sockets,
    /// The grants and stand-ins, in the order of [`Wanted::request`].
    pub switches: [bool; 10],
    /// exec is Landlock's to decide.
    pub landlock_exec: bool,
    /// As [`Request::arch`].
    pub arch: Arch,
}

/// The plugin's process id.
pub const OWN: u32 = 4242;
/// The launch's own exec.
pub const TICKET: ExecTicket = ExecTicket {
    fd: 7,
    path: 0x1111_2222_3000,
    argv: 0x3333_4444_5008,
    envp: 0x5555_6666_7010,
    flags: 0x1000,
};

impl Wanted {
    /// The request that a filter is compiled from.
    #[must_use]
    pub fn request(&self) -> Request<'_> {
        let [
            fork,
            metadata,
            owner,
            writes,
            write_execute,
            shared_execute,
            terminal,
            truncate,
            device_ioctls,
            signals,
        ] = self.switches;
        Request {
            arch: self.arch,
            layers: &self.layers,
            on_violation: self.on_violation,
            sockets: self.sockets,
            fork,
            metadata,
            descriptor_metadata: metadata || (writes && owner),
            writes,
            write_execute,
            shared_execute,
            terminal,
            stand_in: StandIn {
                truncate,
                device_ioctls,
                signals,
            },
            own_pid: OWN,
            exec: if self.landlock_exec {
                ExecRule::Landlock
            } else {
                ExecRule::Ticket(TICKET)
            },
        }
    }
}

fn members(name: &str, into: &mut HashSet<String>) {
    match syscall::group(name) {
        Some(group) => group.iter().for_each(|name| members(name, into)),
        None => drop(into.insert(name.to_string())),
    }
}

/// The calls that the layers allow, and those that they allow by name.
fn allowed(layers: &[(Vec<String>, Vec<String>)]) -> (HashSet<String>, HashSet<String>) {
    let (mut all, mut by_name) = (HashSet::new(), HashSet::new());
    for (allow, deny) in layers {
        for name in allow {
            members(name, &mut all);
            if !name.starts_with('@') {
                by_name.insert(name.clone());
            }
        }
        let mut gone = HashSet::new();
        deny.iter().for_each(|name| members(name, &mut gone));
        all.retain(|name| !gone.contains(name));
        by_name.retain(|name| !gone.contains(name));
    }
    (all, by_name)
}

/// What a request means, so far as it does not depend on the call.
pub struct Reference<'a> {
    request: Request<'a>,
    refused: Action,
    all: HashSet<String>,
    by_name: HashSet<String>,
    /// The groups of each call.
    groups: HashMap<String, Vec<&'static str>>,
}

/// One call under a request.
struct Case<'a> {
    request: &'a Request<'a>,
    name: &'a str,
    args: [u64; 6],
    /// The halves that the kernel takes of `int` arguments.
    low: [u32; 6],
    /// The layers admit it.
    is_admitted: bool,
    /// They name it.
    is_named: bool,
    /// The groups that it belongs to.
    groups: &'a [&'static str],
}

impl<'a> Reference<'a> {
    /// What the request means.
    #[must_use]
    pub fn of(request: Request<'a>) -> Self {
        let (all, by_name) = allowed(request.layers);
        let mut groups: HashMap<String, Vec<&'static str>> = HashMap::new();
        for (group, _, _) in syscall::groups() {
            let mut names = HashSet::new();
            members(group, &mut names);
            for name in names {
                groups.entry(name).or_default().push(group);
            }
        }
        Self {
            request,
            refused: match request.on_violation {
                OnViolation::Errno => Action::Errno(1),
                OnViolation::Kill => Action::KillProcess,
                OnViolation::Log => Action::Log,
            },
            all,
            by_name,
            groups,
        }
    }

    /// Compares what a filter does with a call with the policy.
    ///
    /// # Errors
    /// The sentence that is broken.
    pub fn judge(&self, name: &str, args: [u64; 6], action: Action) -> Result<(), &'static str> {
        let case = Case {
            request: &self.request,
            name,
            args,
            low: args.map(|argument| argument as u32),
            is_admitted: self.all.contains(name),
            is_named: self.by_name.contains(name),
            groups: self.groups.get(name).map_or(&[], Vec::as_slice),
        };
        let forbids = |(_, law): &&(&'static str, Law)| law(&case);
        match action {
            Action::Allow => match NEVER.iter().chain(NEVER_EVEN_LOGGED).find(forbids) {
                Some((sentence, _)) => Err(sentence),
                None => Ok(()),
            },
            Action::Log => match NEVER_EVEN_LOGGED.iter().find(forbids) {
                Some((sentence, _)) => Err(sentence),
                None if self.refused != Action::Log => {
                    Err("nothing is logged that is to be refused")
                }
                None => Ok(()),
            },
            refusal => {
                let is_due = ALWAYS
                    .iter()
                    .find(|(_, law)| case.is_admitted && law(&case));
                let is_law = NEVER
                    .iter()
                    .chain(NEVER_EVEN_LOGGED)
                    .any(|(_, law)| law(&case));
                match is_due {
                    Some((sentence, _)) if !is_law => return Err(sentence),
                    _ => {}
                }
                if refusal == self.refused || looks_different(&case, refusal) {
                    Ok(())
                } else {
                    Err("a refusal looks as the profile says")
                }
            }
        }
    }
}

type Law = fn(&Case<'_>) -> bool;

impl Case<'_> {
    fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name)
    }

    fn starts(&self, prefixes: &[&str]) -> bool {
        prefixes.iter().any(|prefix| self.name.starts_with(prefix))
    }

    fn is_in(&self, groups: &[&str]) -> bool {
        self.groups.iter().any(|of| groups.contains(of))
    }

    fn has(&self, argument: usize, bits: u32) -> bool {
        self.low[argument] & bits != 0
    }

    /// The plugin, by its number or by 0, the number that means the caller.
    fn is_own(&self, argument: usize) -> bool {
        let number = self.low[argument];
        number == 0 || (number == OWN && !self.request.fork)
    }

    fn flags_of_open(&self) -> Option<(u32, u32)> {
        match self.name {
            "open" => Some((self.low[1], self.low[2])),
            "openat" => Some((self.low[2], self.low[3])),
            _ => None,
        }
    }

    /// A clock of a process that is not the caller, or of a descriptor
    /// (`linux/posix-timers.h`).
    fn is_foreign_clock(&self) -> bool {
        let clock = self.low[0].cast_signed();
        let (number, of_thread, kind) = (!(clock >> 3), clock & 4 != 0, clock & 3);
        clock < 0 && !of_thread && (number != 0 || kind == 3)
    }

    fn mode_of(&self) -> Option<u32> {
        match self.name {
            "chmod" | "fchmod" | "creat" | "mkdir" | "mknod" => Some(self.low[1]),
            "fchmodat" | "fchmodat2" | "mkdirat" | "mknodat" => Some(self.low[2]),
            "open" | "openat" => {
                let (flags, mode) = self.flags_of_open()?;
                (flags & 0o20_000_100 != 0 && self.request.writes).then_some(mode)
            }
            _ => None,
        }
    }

    fn has_network(&self) -> bool {
        let sockets = self.request.sockets;
        sockets.tcp || sockets.udp || sockets.icmp || sockets.netlink
    }
}

fn is_deadly(c: &Case<'_>) -> bool {
    let groups = [
        "@module",
        "@mount",
        "@raw-io",
        "@reboot",
        "@swap",
        "@cpu-emulation",
    ];
    let calls = [
        "ptrace",
        "process_vm_readv",
        "process_vm_writev",
        "bpf",
        "create_module",
        "acct",
        "settimeofday",
        "clock_settime",
        "sethostname",
        "setdomainname",
        "vhangup",
        "open_by_handle_at",
        "uselib",
    ];
    (c.is(&calls) || (c.is_in(&groups) && c.name != "chroot")) && !c.is_named
}

/// Refusals that look otherwise than the profile says.
fn looks_different(c: &Case<'_>, refusal: Action) -> bool {
    let stand_in = c.request.stand_in;
    match refusal {
        Action::KillProcess => is_deadly(c),
        Action::Errno(38) => {
            c.starts(&["io_", "memfd_", "landlock_"])
                || c.is(&["clone3", "sched_getaffinity"])
                || (c.is(&["openat2"]) && (c.request.writes || stand_in.truncate))
        }
        Action::Errno(2) => c.is(&["execve", "execveat"]),
        Action::Errno(95) => c.name.contains("xattr") && !c.name.starts_with('f'),
        Action::Errno(1) => {
            (stand_in.truncate && c.is(&["truncate", "open", "openat"]))
                || (c.is(&["ioctl"]) && (stand_in.device_ioctls || stand_in.signals))
                || (stand_in.signals
                    && c.is(&[
                        "fcntl",
                        "kill",
                        "tkill",
                        "tgkill",
                        "rt_sigqueueinfo",
                        "rt_tgsigqueueinfo",
                        "pidfd_send_signal",
                    ]))
        }
        _ => false,
    }
}
