//! Namespaces: processes that start in new ones, and what is set there
//! before anything else (man 7 namespaces).

use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use secure_exec_core::plan::namespaces::{Means, Obstacle};

use crate::Error;
use crate::open;

/// Who a process is after it was cloned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that called; the other's process id.
    Parent(i32),
    /// The new one.
    Child,
}

/// Whether the parent hears of the child's end by `SIGCHLD`. A child that is
/// only tried leaves no trace in how the caller treats that signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By the signal.
    Signalled,
    /// Only who waits for it hears of it.
    Silent,
}

/// The kinds, by their names in `/proc/self/ns`.
const KINDS: &[(&str, libc::c_int)] = &[
    ("user", libc::CLONE_NEWUSER),
    ("mnt", libc::CLONE_NEWNS),
    ("pid", libc::CLONE_NEWPID),
    ("ipc", libc::CLONE_NEWIPC),
    ("uts", libc::CLONE_NEWUTS),
    ("cgroup", libc::CLONE_NEWCGROUP),
    ("net", libc::CLONE_NEWNET),
];

/// Copies this process into new namespaces, of which the child is the first
/// process.
///
/// # Errors
/// As clone(2).
pub fn divide(means: Means, own_network: bool, ending: Ending) -> Result<Side, Errno> {
    let mut flags = match ending {
        Ending::Signalled => libc::SIGCHLD,
        Ending::Silent => 0,
    };
    for (name, flag) in KINDS {
        if is_wanted(name, means, own_network) {
            flags |= flag;
        }
    }
    // SAFETY: without a stack of its own and without CLONE_VM the child goes
    // on with a copy of this process, as after fork(2). The process has a
    // single thread, so no lock is held by another.
    let answer = unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0, 0, 0, 0) };
    side(Errno::result(answer)?)
}

/// Copies this process.
///
/// # Errors
/// As fork(2).
pub fn fork() -> Result<Side, Error> {
    // SAFETY: the process has a single thread, so the child may go on with all
    // that the parent could do.
    let answer = unsafe { libc::fork() };
    Errno::result(answer)
        .and_then(|id| side(id.into()))
        .map_err(Error::call("make a process"))
}

fn side(answer: libc::c_long) -> Result<Side, Errno> {
    match i32::try_from(answer) {
        Ok(0) => Ok(Side::Child),
        Ok(id) => Ok(Side::Parent(id)),
        Err(_) => Err(Errno::EOVERFLOW),
    }
}

/// Effective user and group. In a new user namespace nobody has a name yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    user: u32,
    group: u32,
}

impl Identity {
    /// This process's.
    #[must_use]
    pub fn own() -> Self {
        Self {
            user: crate::process::effective_user(),
            group: crate::process::effective_group(),
        }
    }
}

/// In a new user namespace: the caller stays who it was, alone.
///
/// # Errors
/// As open(2) and write(2) for the files of man 7 user_namespaces.
pub fn keep_identity(identity: Identity) -> Result<(), Error> {
    let Identity { user, group } = identity;
    // The maps of an undumpable process are root's. Nothing of the plugin's
    // runs yet, and who may trace this process now could trace the launcher
    // before it became undumpable.
    crate::process::set_dumpable(true)?;
    let written = [
        ("/proc/self/setgroups", "deny".to_string()),
        ("/proc/self/uid_map", format!("{user} {user} 1\n")),
        ("/proc/self/gid_map", format!("{group} {group} 1\n")),
    ]
    .iter()
    .try_for_each(|(path, text)| write_once(Path::new(path), text));
    crate::process::set_dumpable(false)?;
    written
}

fn write_once(path: &Path, text: &str) -> Result<(), Error> {
    let failed = Error::at("map the user's id", path);
    let file = open::open_with(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(&failed)?;
    match nix::unistd::write(&file, text.as_bytes()) {
        Ok(count) if count == text.len() => Ok(()),
        Ok(_) => Err(failed(Errno::EIO)),
        Err(errno) => Err(failed(errno)),
    }
}

/// The host name that a plugin sees.
pub const HOST_NAME: &str = "plugin";

/// In a new UTS namespace: names that tell nothing of the host.
///
/// # Errors
/// As sethostname(2) and setdomainname(2).
pub fn hide_host_name() -> Result<(), Error> {
    let failed = Error::call("set the host name");
    // SAFETY: the kernel reads as many bytes as it is told.
    let answer = unsafe { libc::sethostname(HOST_NAME.as_ptr().cast(), HOST_NAME.len()) };
    Errno::result(answer).map_err(&failed)?;
    // SAFETY: the kernel reads no byte.
    let answer = unsafe { libc::setdomainname(c"".as_ptr(), 0) };
    Errno::result(answer).map(drop).map_err(failed)
}

/// The identities of the wanted namespaces of this process, for comparison.
///
/// # Errors
/// As stat(2).
pub fn identities(means: Means, own_network: bool) -> Result<Vec<(u64, u64)>, Error> {
    KINDS
        .iter()
        .filter(|(name, _)| is_wanted(name, means, own_network))
        .map(|(name, _)| {
            let path = format!("/proc/self/ns/{name}");
            open::stat_path(Path::new(&path), true).map(|stat| (stat.dev, stat.ino))
        })
        .collect()
}

fn is_wanted(name: &str, means: Means, own_network: bool) -> bool {
    match name {
        "user" => means == Means::UserNamespace,
        "net" => own_network,
        _ => true,
    }
}

/// Why clone(2) or unshare(2) made no namespace.
#[must_use]
pub fn obstacle(errno: Errno) -> Obstacle {
    match errno {
        // EUSERS is ENOSPC of kernels before 4.9.
        Errno::ENOSPC | Errno::EUSERS => Obstacle::NoRoom,
        Errno::EINVAL | Errno::ENOSYS => Obstacle::NoSuchKind,
        _ => Obstacle::Forbidden,
    }
}

/// What a user id stands for here, to follow its number in a message: in a user
/// namespace all whom it does not map are shown as one (man 7
/// user_namespaces), root of the host among them. Empty for the others.
#[must_use]
pub fn stranger(user: u32) -> &'static str {
    let is_mapped = user != OVERFLOW
        || std::fs::read_to_string("/proc/self/uid_map")
            .is_ok_and(|maps| maps.lines().any(|map| maps_user(map, user)));
    if is_mapped {
        ""
    } else {
        " (as which this user namespace shows everybody whom it does not map, the host's root too: map root into it, or launch outside of it)"
    }
}

/// `/proc/sys/kernel/overflowuid`, where nobody has set it.
const OVERFLOW: u32 = 65_534;

/// Whether a line of a map holds a user: the first one inside, the first one
/// outside, how many.
fn maps_user(map: &str, user: u32) -> bool {
    let mut numbers = map.split_whitespace().map(str::parse::<u64>);
    let (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) =
        (numbers.next(), numbers.next(), numbers.next())
    else {
        return false;
    };
    u64::from(user)
        .checked_sub(first)
        .is_some_and(|place| place < count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_holds_what_is_in_its_range() {
        for (map, user, held) in [
            ("         0          0 4294967295", 65_534, true),
            ("         0     100000      65536", 65_534, true),
            ("0 1000 1", 65_534, false),
            ("65534 1000 1", 65_534, true),
            ("65535 1000 1", 65_534, false),
            ("", 0, false),
        ] {
            assert_eq!(maps_user(map, user), held, "{map}");
        }
    }
}
