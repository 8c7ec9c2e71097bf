//! Descriptors above 2 that a profile passes on: which of them the host left
//! open, what may be one, and what the host is told of those that it meant to
//! hand over and that no plugin gets. All others are closed at exec.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use secure_exec_core::escape::Escaped;
use secure_exec_core::filter::Sockets;
use secure_exec_core::plan::Environment;
use secure_exec_core::policy::Policy;
use secure_exec_core::profile::Profile;
use secure_exec_sys::Error;
use secure_exec_sys::open::{self, Kind, Stat};
use secure_exec_sys::process;
use secure_exec_sys::standard::{self, Passed, Stream};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::first;
use crate::listed::Listed;

/// The first descriptor of those that a host announces.
const FIRST: u32 = 3;
/// The most that are looked for.
const MOST: u32 = 1 << 16;
/// How many they are, for which process, and their names (man 3 sd_listen_fds).
/// `LISTEN_PIDFDID` names the process once more, by a number that is another in
/// namespaces; programs do without.
const COUNT: &str = "LISTEN_FDS";
const PROCESS: &str = "LISTEN_PID";
const NAMES: &str = "LISTEN_FDNAMES";

/// Duplicates a descriptor for the plugin. A number that its profile passes and
/// the host left closed stays closed.
///
/// # Errors
/// As fcntl(2).
pub(crate) fn duplicate(file: &OwnedFd, absent: &[u32]) -> Result<OwnedFd, Error> {
    let mut others = Vec::new();
    loop {
        let copy = open::duplicate(file)?;
        if !absent.contains(&process::number(&copy).unsigned_abs()) {
            return Ok(copy);
        }
        others.push(copy);
    }
}

/// A descriptor that the plugin gets.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) passed: Passed,
    pub(crate) stat: Stat,
    what: String,
}

impl Given {
    pub(crate) fn look(passed: Passed) -> Result<Self, Error> {
        let stream = Stream::Passed(passed);
        let stat = stream.stat()?;
        let what = match stat.kind {
            Kind::Regular => "file".into(),
            Kind::Fifo => "pipe".into(),
            Kind::Directory => "folder".into(),
            Kind::Symlink => "link".into(),
            Kind::CharDevice if standard::is_terminal_master(&stat) => "terminal's master".into(),
            Kind::CharDevice if standard::is_terminal(stream) => "terminal".into(),
            Kind::CharDevice | Kind::BlockDevice => "device".into(),
            Kind::Socket => {
                let socket = standard::socket(stream)?;
                let serves = if socket.listens { ", listening" } else { "" };
                format!("{} socket{serves}", socket.family.name())
            }
            Kind::Unknown => standard::anonymous_kind(stream)?.unwrap_or_else(|| "unknown".into()),
        };
        Ok(Self { passed, stat, what })
    }

    /// For records: its number and what it is.
    pub(crate) fn json(&self) -> Value {
        json!({ "number": self.passed.number(), "what": self.what })
    }

    /// For messages.
    pub(crate) fn shown(&self) -> String {
        format!("{} ({})", self.passed.number(), Escaped(&self.what))
    }

    /// Why it would be a way around the profile, whatever it is good for. Files
    /// and sockets are looked at more closely, as those of standard streams are.
    pub(crate) fn flaw(
        &self,
        profile: &Profile,
        sockets: &Sockets,
    ) -> Result<Option<String>, Error> {
        let stream = Stream::Passed(self.passed);
        if standard::is_reference(stream)? {
            return Ok(Some("only names a file, for others to open".into()));
        }
        Ok(match self.stat.kind {
            Kind::Fifo => None,
            Kind::Regular if standard::is_stored(stream, &self.stat)? => None,
            Kind::Regular => Some("is a file by which the kernel is asked or told".into()),
            Kind::Socket if standard::socket(stream)?.listens && !sockets.may_serve() => Some(
                "is a socket that listens, and the profile does not say 'descriptors: { listen_fds: true }'".into(),
            ),
            Kind::Socket => None,
            Kind::CharDevice | Kind::BlockDevice if is_granted(stream, &self.stat, profile) => None,
            Kind::CharDevice if standard::is_terminal_master(&self.stat) => {
                master_flaw(&self.stat, profile)
            }
            Kind::CharDevice | Kind::BlockDevice => {
                Some("is a device that 'filesystem.devices' of the profile does not name".into())
            }
            Kind::Directory => Some("is a folder, from which paths lead anywhere".into()),
            Kind::Symlink => Some("is a symbolic link".into()),
            Kind::Unknown => anonymous_flaw(stream)?,
        })
    }
}

/// Why an object of the kernel's that lies nowhere is no descriptor for a
/// plugin: it may be a queue of calls that no filter sees, another process,
/// memory, or a filter.
pub(crate) fn anonymous_flaw(stream: Stream) -> Result<Option<String>, Error> {
    let kind = standard::anonymous_kind(stream)?.unwrap_or_default();
    Ok(match &*kind {
        "eventfd" => None,
        other => Some(format!(
            "is an object of the kernel's ('{}')",
            Escaped(other)
        )),
    })
}

fn is_granted(stream: Stream, stat: &Stat, profile: &Profile) -> bool {
    let is_granted_terminal =
        || profile.terminal && standard::is_terminal(stream) && !standard::is_terminal_master(stat);
    is_granted_terminal() || is_named(stat, profile)
}

fn is_named(stat: &Stat, profile: &Profile) -> bool {
    let node = |name: &String| standard::device(&Path::new("/dev").join(name));
    let mut named = profile.filesystem.devices.iter().flat_map(node);
    named.any(|device| device == (stat.kind, stat.rdev))
}

/// Why a terminal's master is not for the plugin, standard stream or not: it
/// would type into whatever runs on the other side.
pub(crate) fn master_flaw(stat: &Stat, profile: &Profile) -> Option<String> {
    let is_master = standard::is_terminal_master(stat);
    (is_master && !is_named(stat, profile)).then(|| {
        "is a terminal's master (ptmx), which types for others, a device that 'filesystem.devices' of the profile does not name".into()
    })
}

/// The numbers that the profile passes on.
pub(crate) fn wanted(profile: &Profile) -> Vec<u32> {
    let announced = announced().filter(|_| profile.descriptors.listen);
    let served = FIRST..FIRST.saturating_add(announced.unwrap_or(0));
    let mut numbers = profile.descriptors.pass.clone();
    numbers.extend(served.filter(|number| !profile.descriptors.pass.contains(number)));
    numbers
}

/// How many descriptors the host says that it hands over to this process.
fn announced() -> Option<u32> {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let count = number(COUNT).filter(|count| (1..=MOST).contains(count))?;
    (number(PROCESS)? == first::id_of_launch()).then_some(count)
}

/// Announces them to the plugin, which will have this process id.
pub(crate) fn announce(environment: &mut Environment, profile: &Profile, id: fn() -> u32) {
    let Some(count) = announced().filter(|_| profile.descriptors.listen) else {
        return;
    };
    environment.insert(COUNT.into(), count.to_string().into_bytes());
    environment.insert(PROCESS.into(), id().to_string().into_bytes());
    if let Some(names) = std::env::var_os(NAMES) {
        environment.insert(NAMES.into(), names.into_vec());
    }
}

/// Says what the host meant to hand over and the plugin will not have.
///
/// # Errors
/// An argument names a descriptor that will be closed, under strict: whoever
/// wrote it has no other way to what it is.
pub(crate) fn tell(
    listed: &Listed,
    absent: &[u32],
    words: &[OsString],
    warn: &dyn Fn(&str),
) -> Result<(), Failure> {
    if listed.policy == Policy::AuditOnly {
        return Ok(());
    }
    let name = Escaped(&listed.profile.name);
    if !absent.is_empty() {
        let what = match absent {
            [_] => "descriptor",
            _ => "descriptors",
        };
        warn(&format!(
            "profile '{name}' passes {what} {}, which the host did not leave open",
            ranges(absent)
        ));
    }
    let passed = wanted(&listed.profile);
    let is_closed = |number: &u32| !passed.contains(number) && Passed::find(*number).is_some();
    if !listed.profile.descriptors.listen
        && let Some(count) = announced()
        && (FIRST..FIRST.saturating_add(count)).any(|number| is_closed(&number))
    {
        warn(&format!(
            "the host hands over {count} sockets ({COUNT}), which are closed when the plugin runs\n\
             To pass them, add 'descriptors: {{ listen_fds: true }}' to profile '{name}'."
        ));
    }
    let of_entry = listed.entry.iter().flat_map(|entry| &entry.args);
    let words = words.iter().map(OsString::as_os_str);
    for word in of_entry.map(OsStr::new).chain(words) {
        let Some(number) = named(word).filter(is_closed) else {
            continue;
        };
        let word = word.to_string_lossy();
        let what = format!(
            "the argument '{}' names descriptor {number}, which is closed when the plugin runs\n\
             To pass it, add 'descriptors: {{ pass: [{number}] }}' to profile '{name}'; a shell's '<(…)' has a name as well in a FIFO or a file.",
            Escaped(&word)
        );
        if listed.policy == Policy::Strict {
            return Err(Failure::NotExecuted {
                plugin: listed.name.clone(),
                message: what,
            });
        }
        warn(&what);
    }
    Ok(())
}

/// Numbers for messages: those that follow each other as one.
fn ranges(numbers: &[u32]) -> String {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    let follow = |one: &u32, next: &u32| one.checked_add(1) == Some(*next);
    let shown = numbers.chunk_by(follow).map(|range| match range {
        [first, .., last] => format!("{first}-{last}"),
        one => one.iter().map(u32::to_string).collect(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// The descriptor that a word names by a path, also behind the `=` of an option.
fn named(word: &OsStr) -> Option<u32> {
    let text = std::str::from_utf8(word.as_bytes()).ok()?;
    let text = text.rsplit_once('=').map_or(text, |(_, value)| value);
    let number = ["/dev/fd/", "/proc/self/fd/"]
        .iter()
        .find_map(|folder| text.strip_prefix(folder))?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_one_range() {
        for (numbers, shown) in [
            (vec![9], "9"),
            (vec![4, 3], "3-4"),
            (vec![9, 3, 4, 5, 65538], "3-5, 9, 65538"),
            ((3..65539).collect(), "3-65538"),
        ] {
            assert_eq!(ranges(&numbers), shown);
        }
    }

    #[test]
    fn words_that_name_descriptors() {
        for (word, number) in [
            ("/dev/fd/63", Some(63)),
            ("/proc/self/fd/3", Some(3)),
            ("--config=/dev/fd/9", Some(9)),
            ("/dev/fd/", None),
            ("/dev/fd/3/x", None),
            ("/dev/fd/-1", None),
            ("x/dev/fd/3", None),
            ("/dev/stdin", None),
        ] {
            assert_eq!(named(OsStr::new(word)), number, "{word}");
        }
    }
}
