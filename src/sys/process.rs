//! The process's own attributes.

use std::ffi::{CStr, OsStr, c_char};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, User};

use crate::{Error, open};

/// Real user id.
#[must_use]
pub fn user() -> u32 {
    Uid::current().as_raw()
}

/// Effective user id.
#[must_use]
pub fn effective_user() -> u32 {
    Uid::effective().as_raw()
}

/// Whether exec(2) gave this program rights that its caller lacks: by a
/// set-user-ID or set-group-ID bit, by capabilities of its file, or by a
/// transition of a security module (man 3 getauxval, `AT_SECURE`). The kernel
/// wrote the answer beside the environment; asking costs no system call.
#[must_use]
pub fn has_more_rights_than_its_caller() -> bool {
    auxiliary(libc::AT_SECURE) != 0
        || auxiliary(libc::AT_UID) != auxiliary(libc::AT_EUID)
        || auxiliary(libc::AT_GID) != auxiliary(libc::AT_EGID)
}

/// The path by which this program was executed (`AT_EXECFN` of man 3
/// getauxval), from the root on; `None` where it was executed through a
/// descriptor.
#[must_use]
pub fn executed_path() -> Option<PathBuf> {
    let address = std::ptr::with_exposed_provenance::<c_char>(
        usize::try_from(auxiliary(libc::AT_EXECFN)).ok()?,
    );
    if address.is_null() {
        return None;
    }
    // SAFETY: the kernel put a NUL-terminated string there at exec, above the
    // stack, which nothing in this program writes.
    let path = unsafe { CStr::from_ptr(address) };
    let path = Path::new(OsStr::from_bytes(path.to_bytes()));
    let is_descriptor = path.starts_with("/dev/fd") || path.starts_with("/proc");
    (!is_descriptor)
        .then(|| std::path::absolute(path).ok())
        .flatten()
}

fn auxiliary(key: libc::c_ulong) -> libc::c_ulong {
    // SAFETY: takes a number and reads the vector that the kernel made, which
    // the C library keeps.
    unsafe { libc::getauxval(key) }
}

/// The user id by which the kernel shows users and owners that have none in
/// this user namespace (`/proc/sys/kernel/overflowuid`). It is read once.
///
/// # Errors
/// The kernel does not tell.
pub fn overflow_user() -> Result<u32, Error> {
    const FILE: &str = "/proc/sys/kernel/overflowuid";
    static KNOWN: OnceLock<u32> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(*known);
    }
    let text = std::fs::read_to_string(FILE).map_err(Error::io("read the overflow user id"))?;
    let id = text.trim().parse();
    let id = id.map_err(|_| Error::unexpected("read the overflow user id", "it is no number"))?;
    Ok(*KNOWN.get_or_init(|| id))
}

/// Whether every user id has a meaning in this user namespace, and its own: such
/// a map can be written only where that holds outside, too, up to the first one
/// (man 7 `user_namespaces`).
///
/// # Errors
/// The kernel does not tell.
pub fn has_every_id() -> Result<bool, Error> {
    let map =
        open::read_proc("/proc/self/uid_map").map_err(Error::io("read the map of user ids"))?;
    let words = map
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    Ok(words.eq([&b"0"[..], b"0", b"4294967295"]))
}

/// Effective group id.
#[must_use]
pub fn effective_group() -> u32 {
    Gid::effective().as_raw()
}

/// Process id.
#[must_use]
pub fn id() -> u32 {
    std::process::id()
}

/// Process id of the parent; 0 where it lies outside of the PID namespace.
#[must_use]
pub fn parent_id() -> u32 {
    std::os::unix::process::parent_id()
}

/// The host's name; empty where the kernel has none.
#[must_use]
pub fn host_name() -> String {
    nix::sys::utsname::uname()
        .map(|names| names.nodename().to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Random bytes from the kernel (man 2 getrandom).
///
/// # Errors
/// As getrandom(2).
pub fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0_u8; N];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // SAFETY: the kernel writes at most `rest.len()` bytes into `rest`.
        let count = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match Errno::result(count) {
            Ok(count) => filled = filled.saturating_add(count.unsigned_abs()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::call("draw random bytes")(errno)),
        }
    }
    Ok(bytes)
}

/// Makes the process undumpable: processes of the same user can no longer
/// trace it, read its memory or open its descriptors (man 2
/// PR_SET_DUMPABLE). The kernel makes it dumpable again at exec.
///
/// # Errors
/// As prctl(2).
pub fn harden() -> Result<(), Error> {
    set_dumpable(false)
}

pub(crate) fn set_dumpable(to: bool) -> Result<(), Error> {
    nix::sys::prctl::set_dumpable(to).map_err(Error::call("become undumpable"))
}

/// From now on exec grants nothing (man 2 PR_SET_NO_NEW_PRIVS).
///
/// # Errors
/// As prctl(2).
pub fn set_no_new_privileges() -> Result<(), Error> {
    nix::sys::prctl::set_no_new_privs().map_err(Error::call("set no_new_privs"))
}

/// Sets the file mode creation mask.
pub fn set_umask(mask: u32) {
    nix::sys::stat::umask(Mode::from_bits_truncate(mask));
}

/// Starts a new session. A process that leads a group already can't, unless
/// the group is its own session's, which is what was asked for.
///
/// # Errors
/// As setsid(2).
pub fn start_session() -> Result<(), Error> {
    match nix::unistd::setsid() {
        Ok(_) => Ok(()),
        Err(Errno::EPERM) if nix::unistd::getsid(None) == Ok(nix::unistd::getpid()) => Ok(()),
        Err(errno) => Err(Error::call("start a session")(errno)),
    }
}

/// Whether another process is of this one's session: its terminal signals both.
/// Allocates nothing.
#[must_use]
pub fn shares_session(other: i32) -> bool {
    let other = nix::unistd::getsid(Some(nix::unistd::Pid::from_raw(other)));
    other.is_ok() && other == nix::unistd::getsid(None)
}

/// Changes the working directory.
///
/// # Errors
/// As chdir(2).
pub fn change_directory(path: &Path) -> Result<(), Error> {
    nix::unistd::chdir(path).map_err(Error::at("change the working directory", path))
}

/// A user with group and supplementary groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Account {
    /// The user's number.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid.as_raw()
    }
}

/// The name that the effective user has in the path of a file, and nobody
/// else: that of his account, or his number if he has none, or one that is no
/// part of a path or looks like a number.
///
/// # Errors
/// The accounts can't be read.
pub fn plain_user() -> Result<String, Error> {
    let own = nix::unistd::geteuid();
    let account = match User::from_uid(own) {
        Ok(account) => account,
        // There is no /etc/passwd.
        Err(Errno::ENOENT) => None,
        Err(errno) => return Err(Error::call("look the user up")(errno)),
    };
    let name = account.map(|account| account.name);
    let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let name = name.filter(|name| is_plain_user(name) && !is_number(name));
    Ok(name.unwrap_or_else(|| own.to_string()))
}

/// Whether a user's name is one part of a path, and leads nowhere else.
#[must_use]
pub fn is_plain_user(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@".contains(&byte);
    !name.is_empty() && !name.starts_with('.') && name.len() <= 64 && name.bytes().all(is_plain)
}

/// Looks a user up with its groups, by name or number, while the files that
/// list them can still be read. A number without an account, as in many
/// containers, has the group of that number and no other.
///
/// # Errors
/// There is no such user, or no account can be looked up.
pub fn find_user(name: &str) -> Result<Account, Error> {
    let failed = Error::call("look the user up");
    let number = name
        .parse::<u32>()
        .ok()
        .filter(|number| *number != u32::MAX);
    let found = match number {
        Some(number) => User::from_uid(Uid::from_raw(number)),
        None => User::from_name(name),
    };
    let user = match (found, number) {
        (Ok(Some(user)), _) => user,
        // There is no /etc/passwd, or no such line in it.
        (Ok(None) | Err(Errno::ENOENT), Some(number)) => {
            return Ok(Account {
                uid: Uid::from_raw(number),
                gid: Gid::from_raw(number),
                groups: Vec::new(),
            });
        }
        (Ok(None) | Err(Errno::ENOENT), None) => {
            let what = "there is no such user; a number needs no account";
            return Err(Error::unexpected("look the user up", what));
        }
        (Err(errno), _) => return Err(failed(errno)),
    };
    let name = std::ffi::CString::new(user.name).map_err(|_| failed(Errno::EINVAL))?;
    let groups = nix::unistd::getgrouplist(&name, user.gid).map_err(&failed)?;
    Ok(Account {
        uid: user.uid,
        gid: user.gid,
        groups,
    })
}

/// Becomes that user for good, and still ends with its parent where the caller
/// had that: groups first, since afterwards that right is
/// gone. Permitted capabilities stay until they are reduced.
///
/// # Errors
/// As setgroups(2), setresgid(2), setresuid(2).
pub fn become_user(account: &Account) -> Result<(), Error> {
    let failed = Error::call("change the user");
    // The kernel forgets it as the user changes (man 2 PR_SET_PDEATHSIG).
    let with_parent = nix::sys::prctl::get_pdeathsig().map_err(&failed)?;
    let parent = parent_id();
    nix::sys::prctl::set_keepcaps(true).map_err(&failed)?;
    nix::unistd::setgroups(&account.groups).map_err(&failed)?;
    nix::unistd::setresgid(account.gid, account.gid, account.gid).map_err(&failed)?;
    nix::unistd::setresuid(account.uid, account.uid, account.uid).map_err(&failed)?;
    // Changing ids resets this to what fs.suid_dumpable says.
    harden()?;
    if let Some(signal) = with_parent {
        nix::sys::prctl::set_pdeathsig(signal).map_err(&failed)?;
        if parent_id() != parent {
            // It ended in between, and no signal will come of that.
            nix::sys::signal::raise(signal).map_err(&failed)?;
        }
    }
    crate::capabilities::raise_permitted()
}

/// Gives an open folder to that user, and lets everyone pass through the one
/// above it, which lists nothing to them.
///
/// # Errors
/// As fchown(2), fchmod(2).
pub fn give_folder(folder: &impl AsFd, above: &impl AsFd, account: &Account) -> Result<(), Error> {
    nix::unistd::fchown(folder, Some(account.uid), Some(account.gid))
        .map_err(Error::call("give the folder to the user"))?;
    nix::sys::stat::fchmod(above, Mode::from_bits_truncate(0o711))
        .map_err(Error::call("let the user pass through the folder above"))
}

/// Ignores a signal until [`restore_signals`].
///
/// # Errors
/// As signal(2).
pub(crate) fn ignore_signal(signal: libc::c_int) -> Result<(), Error> {
    // SAFETY: SIG_IGN is no handler, so no code of ours runs in a signal's
    // context.
    let before = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if before == libc::SIG_ERR {
        return Err(Error::call("ignore a signal")(Errno::last()));
    }
    Ok(())
}

/// Undoes what the launcher and its runtime changed: an ignored signal stays
/// ignored after exec. SIGPIPE is ignored by Rust's runtime.
pub fn restore_signals() {
    for signal in [libc::SIGPIPE, libc::SIGIO, libc::SIGXFSZ] {
        // SAFETY: SIG_DFL is no handler. The numbers are valid, so the call
        // can't fail.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// From now on a write that can't be done is an error to whoever writes a
/// record, and does not end the launcher: over a file-size limit, of the
/// profile or of the caller's (`EFBIG`), or to somebody who is gone (`EPIPE`).
/// Until [`restore_signals`].
///
/// # Errors
/// As signal(2).
pub fn ignore_signals_of_writes() -> Result<(), Error> {
    ignore_signal(libc::SIGXFSZ)?;
    ignore_signal(libc::SIGPIPE)
}

/// Marks every descriptor from `first` on close-on-exec (man 2 close_range,
/// `CLOSE_RANGE_CLOEXEC` is of Linux 5.11; before it, one by one).
///
/// # Errors
/// As close_range(2); the descriptors can't be listed in `/proc` either.
pub fn close_on_exec_from(first: u32) -> Result<(), Error> {
    // SAFETY: marking descriptors invalidates none of them.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    match Errno::result(answer) {
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EPERM) => close_each_on_exec_from(first),
        other => other
            .map(drop)
            .map_err(Error::call("mark descriptors close-on-exec")),
    }
}

/// The list is complete: this process has one thread.
fn close_each_on_exec_from(first: u32) -> Result<(), Error> {
    let failed = Error::io("list the descriptors in /proc/self/fd");
    for entry in std::fs::read_dir("/proc/self/fd").map_err(&failed)? {
        let name = entry.map_err(&failed)?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<u32>().ok());
        let number = number.ok_or_else(|| {
            Error::unexpected("mark descriptors close-on-exec", "one has no number")
        })?;
        if number >= first {
            mark_close_on_exec(number)?;
        }
    }
    Ok(())
}

/// Marks one descriptor close-on-exec.
///
/// # Errors
/// As fcntl(2).
pub fn mark_close_on_exec(number: u32) -> Result<(), Error> {
    // SAFETY: marking a descriptor does not invalidate it.
    let answer = unsafe { libc::syscall(libc::SYS_fcntl, number, libc::F_SETFD, libc::FD_CLOEXEC) };
    Errno::result(answer)
        .map(drop)
        .map_err(Error::call("mark descriptors close-on-exec"))
}

/// Lets one descriptor live through exec.
///
/// # Errors
/// As fcntl(2).
pub fn keep_across_exec(file: &impl AsFd) -> Result<(), Error> {
    fcntl(file, FcntlArg::F_SETFD(FdFlag::empty()))
        .map(drop)
        .map_err(Error::call("keep a descriptor"))
}

/// The number of a descriptor, for a path in `/proc/self/fd`.
#[must_use]
pub fn number(file: &impl AsFd) -> i32 {
    file.as_fd().as_raw_fd()
}
