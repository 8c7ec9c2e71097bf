//! What the running kernel can do, asked of it rather than guessed from its
//! version.

use nix::errno::Errno;
use secure_exec_core::plan::namespaces::Obstacle;
use secure_exec_core::plan::{KernelFacts, Withheld};

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION: libc::c_uint = 1;

/// The running kernel, as plans are made for it.
#[must_use]
pub fn kernel() -> KernelFacts {
    let landlock = landlock();
    let seccomp = seccomp();
    KernelFacts {
        landlock_abi: abi(landlock),
        seccomp: seccomp.is_ok(),
        withheld: Withheld {
            landlock: landlock.is_err_and(|errno| is_withheld(errno, LANDLOCK_SINCE)),
            seccomp: seccomp.is_err_and(|errno| is_withheld(errno, SECCOMP_SINCE)),
        },
        // Only a trial of them tells, for who needs it.
        namespaces: Err(Obstacle::Untried),
    }
}

/// Kernels that have the calls.
const LANDLOCK_SINCE: (u32, u32) = (5, 13);
const SECCOMP_SINCE: (u32, u32) = (3, 17);

/// Whether a filter around the launcher gave this answer, not the kernel: that
/// never says `EPERM` to a question, nor `ENOSYS` if it has the call.
fn is_withheld(errno: Errno, since: (u32, u32)) -> bool {
    match errno {
        Errno::EPERM | Errno::EACCES => true,
        Errno::ENOSYS => is_filtered() && release() >= since,
        _ => false,
    }
}

/// Whether this process is under a filter (man 2 PR_GET_SECCOMP). One that
/// refuses the question is one.
fn is_filtered() -> bool {
    // SAFETY: the option takes no argument and touches no memory.
    let answer = unsafe { libc::prctl(libc::PR_GET_SECCOMP) };
    answer != 0
}

/// The kernel's version; nothing that can be read is an old one.
fn release() -> (u32, u32) {
    let text = kernel_release();
    let mut numbers = text
        .split(|letter: char| !letter.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Landlock's ABI version, 0 where Landlock is absent or switched off at boot
/// (man 2 landlock_create_ruleset).
#[must_use]
pub fn landlock_abi() -> u8 {
    abi(landlock())
}

fn abi(answer: Result<libc::c_long, Errno>) -> u8 {
    answer.map_or(0, |version| u8::try_from(version).unwrap_or(u8::MAX))
}

fn landlock() -> Result<libc::c_long, Errno> {
    // SAFETY: with the version flag the kernel takes a null pointer and size 0
    // and touches no memory.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0_usize,
            VERSION,
        )
    };
    Errno::result(answer)
}

/// `SECCOMP_GET_ACTION_AVAIL`.
const ACTION_AVAILABLE: libc::c_uint = 2;

/// Whether filters can be installed.
#[must_use]
pub fn can_filter() -> bool {
    seccomp().is_ok()
}

/// Asks for filters that can kill (man 2 seccomp).
fn seccomp() -> Result<(), Errno> {
    let action = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the kernel reads the action, which lives through the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, ACTION_AVAILABLE, 0, &raw const action) };
    Errno::result(answer).map(drop)
}

/// The numbers that a kernel's release begins with; `None` if it does not.
#[must_use]
pub fn version(release: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse::<u32>().ok());
    let mut next = || numbers.next().flatten();
    Some((next()?, next()?, next().unwrap_or(0)))
}

/// The kernel's release, as `uname -r` prints it; empty where it has none.
#[must_use]
pub fn kernel_release() -> String {
    nix::sys::utsname::uname()
        .map(|names| names.release().to_string_lossy().into_owned())
        .unwrap_or_default()
}
