//! What exec(2) leaves as the caller had it, and a plugin must not get from
//! him (man 2 execve, "Effect on process attributes").
//!
//! | attribute | in the plugin |
//! |---|---|
//! | execution domain (personality(2)): no random addresses, other limits | `PER_LINUX` |
//! | blocked signals | none |
//! | ignored signals | none; with a terminal HUP, INT and QUIT stay ignored: nohup(1) and shells ask for that on behalf of what runs in the background |
//! | scheduling: real time, deadline | `SCHED_OTHER` |
//! | a nice value below 0, real time for input and output | 0, none |
//! | the right to take these (`RLIMIT_RTPRIO`, `RLIMIT_NICE`) | none |
//! | protection from being killed where memory is short | none |
//! | a nice value above 0, `SCHED_BATCH`, `SCHED_IDLE`, affinity, memory policy, cgroup, a greater wish to be killed | the caller's: they take away |
//! | alarm(2) and interval timers, the parent-death signal | the caller's: they end a plugin in time |
//! | the place of a reaper of orphans, same-page merging, huge pages, speculation controls | the caller's: they reach nobody else, or decide on timing alone |
//! | user, groups, session, terminal, folder, umask, limits, capabilities, descriptors, filters and Landlock domains | steps of the plan, or the caller's, within these |

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::stat::Mode;

use crate::Error;
use crate::process::set_dumpable;

/// Sets back what a plugin must not get from its caller, and tells what that
/// was.
///
/// # Errors
/// A call failed, or `/proc` is not there.
pub fn reset() -> Result<Vec<&'static str>, Error> {
    let mut found = Vec::new();
    if reset_domain()? {
        found.push("execution domain");
    }
    if reset_mask()? {
        found.push("blocked signals");
    }
    if reset_ignored()? {
        found.push("ignored signals");
    }
    if reset_scheduling()? {
        found.push("scheduling");
    }
    if reset_input_output()? {
        found.push("scheduling of input and output");
    }
    for resource in [libc::RLIMIT_RTPRIO, libc::RLIMIT_NICE] {
        take_right(resource)?;
    }
    if reset_oom()? {
        found.push("protection from the OOM killer");
    }
    Ok(found)
}

/// `READ_IMPLIES_EXEC` the kernel takes back itself for programs of 64 bits.
fn reset_domain() -> Result<bool, Error> {
    // SAFETY: the call takes a plain integer and touches no memory.
    let before = unsafe { libc::personality(0) };
    Errno::result(before)
        .map(|before| before != 0)
        .map_err(Error::call("reset the execution domain"))
}

fn reset_mask() -> Result<bool, Error> {
    let mut before = SigSet::empty();
    sigprocmask(
        SigmaskHow::SIG_SETMASK,
        Some(&SigSet::empty()),
        Some(&mut before),
    )
    .map_err(Error::call("unblock signals"))?;
    Ok(before.iter().next().is_some())
}

/// What a terminal sends.
const OF_TERMINALS: u64 = bit(libc::SIGHUP) | bit(libc::SIGINT) | bit(libc::SIGQUIT);
/// Ignored by the launcher itself, until exec
/// ([`crate::process::restore_signals`]).
const OWN: u64 = bit(libc::SIGPIPE) | bit(libc::SIGXFSZ);

const fn bit(signal: libc::c_int) -> u64 {
    1 << (signal - 1)
}

fn reset_ignored() -> Result<bool, Error> {
    let mut ignored = ignored()? & !OWN;
    if ignored & OF_TERMINALS != 0 && has_terminal() {
        ignored &= !OF_TERMINALS;
    }
    for signal in 1..=64 {
        if ignored & bit(signal) != 0 {
            reset_action(signal)?;
        }
    }
    Ok(ignored != 0)
}

/// The set of ignored signals, as a mask.
fn ignored() -> Result<u64, Error> {
    let operation = "list ignored signals";
    let mut text = [0_u8; 4096];
    let text = read(c"/proc/self/status", &mut text).map_err(Error::call(operation))?;
    text.lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .ok_or_else(|| Error::unexpected(operation, "/proc/self/status does not say"))
}

fn has_terminal() -> bool {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    openat(AT_FDCWD, c"/dev/tty", flags, Mode::empty()).is_ok()
}

/// By the system call: C libraries keep the first real-time signals to
/// themselves.
fn reset_action(signal: libc::c_int) -> Result<(), Error> {
    // `struct sigaction` of the kernel: `SIG_DFL`, no flags, no restorer, an
    // empty mask.
    let default = [0_u64; 4];
    // SAFETY: the kernel reads the four words, which live through the call;
    // SIG_DFL is no handler.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            default.as_ptr(),
            std::ptr::null_mut::<u64>(),
            size_of::<u64>(),
        )
    };
    Errno::result(answer)
        .map(drop)
        .map_err(Error::call("reset a signal"))
}

/// `struct sched_attr` (man 2 sched_setattr).
#[repr(C)]
#[derive(Default)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    times: [u64; 3],
}

/// `SCHED_FLAG_RESET_ON_FORK`, and the same beside a class.
const FLAG_RESET_ON_FORK: u64 = 1;
const SCHED_RESET_ON_FORK: libc::c_int = 0x4000_0000;

/// Classes that take no more than their share.
const FAIR: [libc::c_int; 3] = [libc::SCHED_OTHER, libc::SCHED_BATCH, libc::SCHED_IDLE];

fn reset_scheduling() -> Result<bool, Error> {
    let failed = Error::call("reset the scheduling");
    let mut found = Attributes::default();
    // SAFETY: the kernel writes at most as many bytes as it is told that the
    // structure has.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_sched_getattr,
            0,
            &raw mut found,
            size_of::<Attributes>(),
            0,
        )
    };
    Errno::result(answer).map_err(&failed)?;
    let is_fair = FAIR
        .iter()
        .any(|class| u32::try_from(*class) == Ok(found.policy));
    if is_fair && found.nice >= 0 {
        return Ok(false);
    }
    if !is_fair {
        // One field, the priority, which is 0 in this class. By the system
        // call: musl has no such function.
        let none: libc::c_int = 0;
        // Only a privilege takes this flag away (man 7 sched).
        let class = match found.flags & FLAG_RESET_ON_FORK {
            0 => libc::SCHED_OTHER,
            _ => libc::SCHED_OTHER | SCHED_RESET_ON_FORK,
        };
        // SAFETY: the kernel reads the priority, which lives through the call.
        let answer =
            unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, class, &raw const none) };
        Errno::result(answer).map_err(&failed)?;
    }
    // The kernel's answer is 20 less the nice value.
    // SAFETY: the call takes plain integers and touches no memory.
    let nice = unsafe { libc::syscall(libc::SYS_getpriority, libc::PRIO_PROCESS, 0) };
    if Errno::result(nice).map_err(&failed)? > 20 {
        // SAFETY: the call takes plain integers and touches no memory.
        let answer = unsafe { libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, 0) };
        Errno::result(answer).map_err(&failed)?;
    }
    Ok(true)
}

/// `IOPRIO_WHO_PROCESS`, the class in the upper bits, and the one that is
/// served before all others (`linux/ioprio.h`).
const WHO_PROCESS: libc::c_int = 1;
const CLASS_SHIFT: libc::c_long = 13;
const CLASS_REAL_TIME: libc::c_long = 1;

fn reset_input_output() -> Result<bool, Error> {
    let failed = Error::call("reset the scheduling of input and output");
    // SAFETY: the call takes plain integers and touches no memory.
    let priority = unsafe { libc::syscall(libc::SYS_ioprio_get, WHO_PROCESS, 0) };
    match Errno::result(priority) {
        Ok(priority) if priority >> CLASS_SHIFT == CLASS_REAL_TIME => {}
        // A kernel without block devices has none of it.
        Ok(_) | Err(Errno::ENOSYS) => return Ok(false),
        Err(errno) => return Err(failed(errno)),
    }
    // SAFETY: the call takes plain integers and touches no memory.
    let answer = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, 0) };
    Errno::result(answer).map(|_| true).map_err(failed)
}

type Resource = std::ffi::c_uint;

/// Lowers a limit to nothing, which is always admitted.
fn take_right(resource: impl TryInto<Resource>) -> Result<(), Error> {
    let failed = Error::call("take the right to another scheduling");
    let resource = resource.try_into().map_err(|_| failed(Errno::EINVAL))?;
    let none = [0_u64; 2];
    // SAFETY: the kernel reads soft and hard limit, which live through the
    // call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            none.as_ptr(),
            std::ptr::null_mut::<u64>(),
        )
    };
    Errno::result(answer).map(drop).map_err(failed)
}

fn reset_oom() -> Result<bool, Error> {
    let failed = Error::io("write /proc/self/oom_score_adj");
    let mut text = [0_u8; 16];
    let text = read(c"/proc/self/oom_score_adj", &mut text);
    let text = text.map_err(Error::call("read /proc/self/oom_score_adj"))?;
    if !text.starts_with('-') {
        return Ok(false);
    }
    let write = || std::fs::write("/proc/self/oom_score_adj", "0");
    if write().is_err() {
        // The files of a process that is not dumpable belong to root.
        set_dumpable(true)?;
        let written = write();
        set_dumpable(false)?;
        written.map_err(failed)?;
    }
    Ok(true)
}

/// The start of a file of the kernel's, which it renders in one read; empty
/// where it is no text.
fn read<'a>(path: &std::ffi::CStr, into: &'a mut [u8]) -> Result<&'a str, Errno> {
    let file = openat(
        AT_FDCWD,
        path,
        OFlag::O_RDONLY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    let count = nix::unistd::read(&file, into)?;
    Ok(std::str::from_utf8(into.get(..count).unwrap_or_default()).unwrap_or_default())
}
