//! Canaries: what must work before and must fail after confinement.

use std::ffi::{CStr, CString};
use std::path::Path;

use secure_exec_core::arch::Arch;
use secure_exec_core::filter::{Action, Call, Filter};
use secure_exec_core::plan::GrantKind;
use secure_exec_core::syscall;
use secure_exec_sys::landlock::Rule;
use secure_exec_sys::{Errno, canary, children, open, process};

use crate::failure::Failure;
use crate::first::INIT;

/// The attempts that are made. A control that the profile does not use has
/// none.
#[derive(Debug, Default)]
pub(crate) struct Canaries {
    file: Option<CString>,
    socket: Option<(i32, i32, i32)>,
    exec: bool,
    signal: Option<Target>,
}

/// A process that the launcher may signal until the domain keeps it from that.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// Its parent, or the first process.
    Other(i32),
    /// A child that has ended and waits to be collected.
    Decoy(i32),
}

impl Target {
    const fn process(self) -> i32 {
        match self {
            Self::Other(process) | Self::Decoy(process) => process,
        }
    }
}

/// Places that exist everywhere; the first that no grant covers is tried.
const FILES: &[&str] = &["/", "/etc/passwd", "/proc/self/status", "/usr", "/etc"];

/// Family, type, protocol; the first that the filter refuses is tried. The
/// last is refused by every filter.
const SOCKETS: &[(i32, i32, i32)] = &[
    (canary::AF_INET, canary::SOCK_STREAM, 0),
    (canary::AF_UNIX, canary::SOCK_STREAM, 0),
    (canary::AF_INET, canary::SOCK_DGRAM, 0),
    (canary::AF_UNIX, canary::SOCK_DGRAM, 0),
];

impl Canaries {
    /// Chooses the attempts, and makes sure that each works now: one that
    /// fails anyway proves nothing.
    pub(crate) fn choose(
        landlock: Option<&Vec<Rule>>,
        filter: Option<&Filter>,
        signals_are_scoped: bool,
        becomes: Option<u32>,
    ) -> Result<Self, Failure> {
        let mut chosen = Self {
            signal: signals_are_scoped.then(|| target(becomes)).flatten(),
            ..Self::default()
        };
        if let Some(rules) = landlock {
            let mut candidates = FILES
                .iter()
                .filter(|path| !is_granted(rules, path))
                .peekable();
            let is_needed = candidates.peek().is_some();
            chosen.file = candidates
                .filter_map(|path| CString::new(*path).ok())
                .find(|path| canary::open(path).is_ok());
            if is_needed && chosen.file.is_none() {
                return Err(Failure::own(
                    "no file canary can be opened, so nothing would prove the file rules",
                ));
            }
        }
        if let Some(filter) = filter {
            chosen.exec = verdict(filter, "execveat", [0; 6]) == Action::ENOENT;
            let refused = SOCKETS.iter().filter(|socket| is_refused(filter, **socket));
            chosen.socket = refused
                .copied()
                .find(|(domain, kind, protocol)| canary::socket(*domain, *kind, *protocol).is_ok());
            let is_needed = SOCKETS.iter().any(|socket| is_refused(filter, *socket));
            // A filter around the launcher may refuse every socket: then none
            // is proof, but another call can be.
            let proves = || chosen.exec && canary::exec() != Errno::ENOENT;
            if is_needed && chosen.socket.is_none() && !proves() {
                return Err(Failure::own(
                    "neither a socket nor an exec can be tried here, so nothing would prove the filter\n\
                     A filter around the launcher refuses both; admit socket(2) or execveat(2) in it.",
                ));
            }
        }
        Ok(chosen)
    }

    /// Makes sure that the file can still be opened, in another root folder.
    pub(crate) fn recheck(&self) -> Result<(), Failure> {
        match &self.file {
            Some(path) if canary::open(path).is_err() => Err(Failure::own(
                "no file canary can be opened in the plugin's root folder, so nothing would prove the file rules",
            )),
            _ => Ok(()),
        }
    }

    /// The controls that are proved, for the record.
    pub(crate) fn proves(&self) -> Vec<&'static str> {
        [
            (self.file.is_some(), "files"),
            (self.socket.is_some(), "network"),
            (self.exec, "exec"),
        ]
        .into_iter()
        .filter_map(|(proved, name)| proved.then_some(name))
        .collect()
    }

    /// Tries the domain, before there is a filter: that could refuse the same
    /// call, or end the launcher for it. Allocates nothing.
    pub(crate) fn prove_domain(&self) -> Result<(), &'static str> {
        let path: Option<&CStr> = self.file.as_deref();
        match path.map(canary::open) {
            None | Some(Err(Errno::EACCES)) => Ok(()),
            Some(Ok(())) => Err("a file could be opened that no rule admits"),
            // Whatever else fails, such as a lack of descriptors, is no proof.
            Some(Err(_)) => Err("a file that no rule admits could not be tried"),
        }
    }

    /// Whether there is a process to try signals on.
    pub(crate) const fn tries_signals(&self) -> bool {
        self.signal.is_some()
    }

    /// Whether that process may be signalled, as whom this process is now: if
    /// not, a refusal would prove nothing. Allocates nothing.
    pub(crate) fn may_signal(&self) -> bool {
        let target = self.signal.map(Target::process);
        target.is_some_and(|process| canary::signal(process).is_ok())
    }

    /// Tries to signal a process outside of the domain that this process may
    /// have signalled before. `false` where nothing was proved: there was none
    /// to try, or it has ended since. Allocates nothing.
    pub(crate) fn prove_signals(&self, before: bool) -> Result<bool, &'static str> {
        let Some(target) = self.signal else {
            return Ok(false);
        };
        let answer = canary::signal(target.process());
        if let Target::Decoy(child) = target {
            let _ended_well = children::wait_for(child);
        }
        match answer {
            Ok(()) => Err("a process outside of the sandbox could be signalled"),
            Err(errno) => Ok(before && errno == Errno::EPERM),
        }
    }

    /// Tries the filter. Allocates nothing.
    pub(crate) fn prove_filter(&self) -> Result<(), &'static str> {
        if self
            .socket
            .is_some_and(|(domain, kind, protocol)| canary::socket(domain, kind, protocol).is_ok())
        {
            return Err("a socket could be made that the filter refuses");
        }
        if self.exec && canary::exec() != Errno::ENOENT {
            return Err("an exec got past the filter");
        }
        Ok(())
    }
}

/// A process outside of the domain to be: one that is there, else one that is
/// made for it, as whom this process becomes.
fn target(becomes: Option<u32>) -> Option<Target> {
    let decoy = || canary::decoy(becomes).ok().map(Target::Decoy);
    if becomes.is_some() {
        return decoy();
    }
    let own = process::id();
    // Not every caller may signal a process that is not its own, and to signal
    // itself is refused to nobody.
    [process::parent_id(), INIT]
        .into_iter()
        .filter(|process| *process != own)
        .filter_map(|process| i32::try_from(process).ok())
        .find(|process| *process > 0 && canary::signal(*process).is_ok())
        .map(Target::Other)
        .or_else(decoy)
}

/// A grant of the path itself or of a folder above it, however it is written.
fn is_granted(rules: &[Rule], path: &str) -> bool {
    Path::new(path)
        .ancestors()
        .filter_map(|above| open::stat_path(above, true).ok())
        .any(|above| {
            rules.iter().any(|rule| {
                let reads = matches!(
                    rule.kind,
                    GrantKind::Read | GrantKind::Apart | GrantKind::Write | GrantKind::Execute
                );
                reads && (rule.stat.dev, rule.stat.ino) == (above.dev, above.ino)
            })
        })
}

/// Refused with an error, so that trying it ends nothing.
fn is_refused(filter: &Filter, (domain, kind, protocol): (i32, i32, i32)) -> bool {
    let argument = |value: i32| u64::from(value.unsigned_abs());
    let args = [
        argument(domain),
        argument(kind),
        argument(protocol),
        0,
        0,
        0,
    ];
    matches!(verdict(filter, "socket", args), Action::Errno(_))
}

/// What the filter says of a call of this process.
pub(super) fn verdict(filter: &Filter, name: &str, args: [u64; 6]) -> Action {
    let number = syscall::number(Arch::NATIVE, name).unwrap_or(u32::MAX);
    filter.evaluate(&Call::native(Arch::NATIVE, number, args))
}
