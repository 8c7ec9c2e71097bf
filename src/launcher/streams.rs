//! The standard streams, and the descriptors that a profile passes on, which a
//! caller opened and the plugin keeps: they may be what they are, and no way
//! around the sandbox. A launch with one that is is refused; what is asked of a
//! stream here no filter and no rule sees.

use std::os::fd::AsFd as _;
use std::path::Path;

use secure_exec_core::escape::Escaped;
use secure_exec_core::filter::Sockets;
use secure_exec_core::plan::{Grant, GrantKind, SandboxPlan};
use secure_exec_core::policy::Policy;
use secure_exec_core::profile::Isolation;
use secure_exec_core::violation::Violation;
use secure_exec_sys::Error;
use secure_exec_sys::landlock::Rule;
use secure_exec_sys::open::{self, Kind, Stat};
use secure_exec_sys::standard::{self, Family, Passed, STREAMS, Socket, Stream};

use crate::failure::Failure;
use crate::listed::Listed;
use crate::mutation::leaves_out;
use crate::passed::{self, Given};

/// A regular file that the plugin can write through a stream, and could map
/// executable if it could read it.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    stream: Stream,
    stat: Stat,
}

/// What the streams are, as far as it matters.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    written: Vec<Written>,
    /// Those above 2 that are passed on.
    pub(crate) passed: Vec<Given>,
    /// The numbers of those that the host did not leave open.
    pub(crate) absent: Vec<u32>,
}

/// Which streams the plugin is to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handed {
    /// This process's.
    Own,
    /// Those of whoever launches it some day.
    #[default]
    Unknown,
}

/// Examines the streams.
///
/// # Errors
/// A system call failed: what can't be examined can't be handed over.
pub(crate) fn examine(
    handed: Handed,
    listed: &Listed,
    plan: &SandboxPlan,
) -> Result<(Streams, Vec<Violation>), Error> {
    let confines = listed.policy != Policy::AuditOnly && listed.profile.isolation.confines();
    if handed == Handed::Unknown {
        return Ok((Streams::default(), Vec::new()));
    }
    let mut found = Streams::default();
    for number in passed::wanted(&listed.profile) {
        match Passed::find(number) {
            Some(passed) => found.passed.push(Given::look(passed)?),
            None => found.absent.push(number),
        }
    }
    if !confines || leaves_out("streams") {
        return Ok((found, Vec::new()));
    }
    let sockets = plan.seccomp().map(|plan| &plan.sockets);
    let mut files = Vec::new();
    let mut violations = Vec::new();
    for given in &found.passed {
        let stream = Stream::Passed(given.passed);
        let flaw = given.flaw(&listed.profile, sockets.unwrap_or(&Sockets::default()))?;
        violations.extend(flaw.map(|why| Violation::StandardStream(format!("{stream} {why}"))));
    }
    let mut streams = Vec::new();
    for stream in STREAMS {
        streams.push((stream, stream.stat()?));
    }
    let of_passed = |given: &Given| (Stream::Passed(given.passed), given.stat);
    streams.extend(found.passed.iter().map(of_passed));
    for (stream, stat) in streams {
        let why = match stat.kind {
            Kind::Regular => {
                files.push((stream, stat, standard::access(stream, &stat)?));
                None
            }
            Kind::Socket => reaches_others(stream, plan)?,
            // One that is passed was looked at.
            Kind::CharDevice if !matches!(stream, Stream::Passed(_)) => {
                passed::master_flaw(&stat, &listed.profile)
            }
            Kind::Unknown if !matches!(stream, Stream::Passed(_)) => {
                passed::anonymous_flaw(stream)?
            }
            _ => None,
        };
        violations.extend(why.map(|why| Violation::StandardStream(format!("{stream} {why}"))));
    }
    if !guards_code(listed, plan) {
        return Ok((found, violations));
    }
    for (stream, stat, access) in &files {
        if !access.writes || standard::is_on_noexec(*stream)? {
            continue;
        }
        // Two descriptors may be one file.
        let same = |other: &Stat| is_one(other, stat);
        let reader = files
            .iter()
            .find(|(_, other, access)| access.reads && same(other));
        match reader {
            None => found.written.push(Written {
                stream: *stream,
                stat: *stat,
            }),
            Some((reader, ..)) => violations.push(Violation::StandardStream(format!(
                "{stream} is a file that the plugin could write and, through {}, map as code that it changes while it runs",
                if reader == stream { "the same descriptor".into() } else { reader.to_string() },
            ))),
        }
    }
    Ok((found, violations))
}

impl Streams {
    /// No rule for files makes a difference.
    pub(crate) fn is_harmless(&self, isolation: Isolation) -> bool {
        self.written.is_empty() || !isolation.has_namespaces()
    }

    /// The same, of a file that the plugin writes through a stream and reads by
    /// its path. Only in namespaces is no file of the plugin's own mapped
    /// executable otherwise.
    ///
    /// # Errors
    /// The file lies where the plugin may read, under strict.
    pub(crate) fn check_rules(
        &self,
        rules: &[Rule],
        isolation: Isolation,
        listed: &Listed,
        warn: &dyn Fn(&str),
    ) -> Result<(), Failure> {
        if self.is_harmless(isolation) {
            return Ok(());
        }
        for written in &self.written {
            let found = written.mapped_through(rules).map_err(|error| {
                let name = written.stream;
                Failure::own(format!(
                    "{name} is a file of which nobody knows whether the plugin may read it: {error}\n{CURE}"
                ))
            })?;
            let Some(path) = found else {
                continue;
            };
            let what = format!(
                "{} is a file in '{}', which the plugin may read: it could map the file as code that it changes while it runs",
                written.stream,
                Escaped(&path)
            );
            if listed.policy == Policy::Strict {
                return Err(Failure::own(format!("{what}\n{CURE}")));
            }
            warn(&what);
        }
        Ok(())
    }
}

/// What to do about a file that the plugin may read as well.
const CURE: &str = "Redirect it to a pipe, or to a file elsewhere.";

impl Written {
    /// The rule that lets the plugin read it, by the path of the rule's file.
    fn mapped_through(&self, rules: &[Rule]) -> Result<Option<String>, Error> {
        let path = match open::real_path(self.stream.file()) {
            Ok(path) => path,
            // A file without a name is in no folder.
            Err(error) if error.is_replaced() => return Ok(None),
            Err(error) => return Err(error),
        };
        for step in path.ancestors() {
            let looked = if step == path {
                Ok(self.stat)
            } else {
                open::stat_path(step, true)
            };
            let stat = match looked {
                Ok(stat) => Some(stat),
                // The caller opened it where this user can't follow.
                Err(error) if error.is_not_found() || error.is_access_denied() => None,
                Err(error) => return Err(error),
            };
            for rule in rules.iter().filter(|rule| lets_map(rule.kind)) {
                let reads = match &stat {
                    Some(stat) => is_one(&rule.stat, stat),
                    None => self.is_beneath(rule, step, &path),
                };
                if reads {
                    let place = open::real_path(rule.file.as_fd());
                    let place = place.unwrap_or_else(|_| step.to_path_buf());
                    return Ok(Some(place.to_string_lossy().into_owned()));
                }
            }
        }
        Ok(None)
    }

    /// Whether a rule is for a folder that can't be looked at by its path: it
    /// is called the same, or the file is found beneath it.
    fn is_beneath(&self, rule: &Rule, folder: &Path, path: &Path) -> bool {
        if open::real_path(rule.file.as_fd()).is_ok_and(|place| place == folder) {
            return true;
        }
        let Ok(rest) = path.strip_prefix(folder) else {
            return false;
        };
        let found = open::stat_in(rule.file.as_fd(), rest);
        found.is_ok_and(|found| is_one(&found, &self.stat))
    }
}

fn is_one(one: &Stat, other: &Stat) -> bool {
    (one.dev, one.ino) == (other.dev, other.ino)
}

/// Files that the plugin can map executable. Folders that it may write, or that
/// it is shown apart, are mounted `noexec`.
const fn lets_map(kind: GrantKind) -> bool {
    match kind {
        GrantKind::Read | GrantKind::Execute => true,
        GrantKind::List
        | GrantKind::Apart
        | GrantKind::Write
        | GrantKind::Device
        | GrantKind::Terminal
        | GrantKind::BindSocket
        | GrantKind::OwnSocket
        | GrantKind::ConnectSocket => false,
    }
}

/// Whether nothing else lets the plugin map what it wrote. Without namespaces
/// a folder that it may write does.
fn guards_code(listed: &Listed, plan: &SandboxPlan) -> bool {
    let profile = &listed.profile;
    let writes = |grant: &Grant| grant.kind == GrantKind::Write;
    let makes_files = plan
        .landlock()
        .is_some_and(|plan| plan.grants.iter().any(writes));
    !profile.write_execute && (plan.settled().isolation.has_namespaces() || !makes_files)
}

/// With sockets of some kind the filter admits calls that name an address, and
/// can't tell for which socket: one that was handed over would reach whom the
/// profile's own can't. Some send to others without an address.
fn reaches_others(stream: Stream, plan: &SandboxPlan) -> Result<Option<String>, Error> {
    let Some(seccomp) = plan.seccomp() else {
        return Ok(None);
    };
    let sockets = &seccomp.sockets;
    let Socket {
        family,
        is_stream,
        is_connected,
        listens,
    } = standard::socket(stream)?;
    let has_ports = plan.landlock().is_some_and(|plan| plan.abi >= TCP_PORTS);
    let names_nobody = sockets.is_none();
    let knows_its_peers = is_stream && (is_connected || listens);
    let is_harmless = match family {
        Family::Unix if is_stream => names_nobody || knows_its_peers || sockets.unix,
        Family::Unix => names_nobody || sockets.unix_connect,
        // Landlock's rules are for whatever it is connected to next.
        Family::Tcp => names_nobody || sockets.tcp || has_ports,
        Family::Udp => names_nobody || sockets.udp,
        // What is written there goes to the kernel.
        Family::Netlink => sockets.netlink,
        Family::Other => names_nobody && knows_its_peers,
    };
    Ok((!is_harmless).then(|| {
        "is a socket that could send to others, of a kind that the profile does not grant".into()
    }))
}

/// The first ABI of Landlock with rules for TCP ports.
const TCP_PORTS: u8 = 4;
