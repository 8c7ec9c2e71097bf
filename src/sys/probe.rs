//! What the running kernel can do, asked of it rather than guessed from its
//! version.

use nix::errno::Errno;
use secure_exec_core::plan::KernelFacts;
use secure_exec_core::plan::namespaces::Obstacle;

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION: libc::c_uint = 1;

/// The running kernel, as plans are made for it.
#[must_use]
pub fn kernel() -> KernelFacts {
    KernelFacts {
        landlock_abi: landlock_abi(),
        seccomp: seccomp(),
        // Only a trial of them tells, for who needs it.
        namespaces: Err(Obstacle::Untried),
    }
}

/// Landlock's ABI version, 0 where Landlock is absent or switched off at boot
/// (man 2 landlock_create_ruleset).
#[must_use]
pub fn landlock_abi() -> u8 {
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
    Errno::result(answer).map_or(0, |version| u8::try_from(version).unwrap_or(u8::MAX))
}

/// `SECCOMP_GET_ACTION_AVAIL`.
const ACTION_AVAILABLE: libc::c_uint = 2;

/// Whether filters can be installed, and can kill (man 2 seccomp). A kernel
/// without them, or a filter around the launcher that hides the call, says no.
#[must_use]
pub fn seccomp() -> bool {
    let action = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the kernel reads the action, which lives through the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, ACTION_AVAILABLE, 0, &raw const action) };
    Errno::result(answer).is_ok()
}

/// The kernel's release, as `uname -r` prints it; empty where it has none.
#[must_use]
pub fn kernel_release() -> String {
    nix::sys::utsname::uname()
        .map(|names| names.release().to_string_lossy().into_owned())
        .unwrap_or_default()
}
