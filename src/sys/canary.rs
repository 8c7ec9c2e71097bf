//! What the launcher tries in itself, once confined, to see that it is
//! refused. Allocates nothing.

use std::ffi::CStr;

use nix::errno::Errno;

pub use libc::{AF_INET, AF_UNIX, SOCK_DGRAM, SOCK_STREAM};

/// Opens a path for reading. Success means that the sandbox leaks.
///
/// # Errors
/// As open(2): what one hopes for.
pub fn open(path: &CStr) -> Result<(), Errno> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    // SAFETY: the path is NUL-terminated and lives through the call.
    close(unsafe { libc::open(path.as_ptr(), flags) })
}

/// Makes a socket.
///
/// # Errors
/// As socket(2).
pub fn socket(domain: i32, kind: i32, protocol: i32) -> Result<(), Errno> {
    // SAFETY: the call takes plain integers and touches no memory.
    close(unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) })
}

/// Asks whether a process may be signalled; sends nothing.
///
/// # Errors
/// As kill(2) with signal 0.
pub fn signal(process: i32) -> Result<(), Errno> {
    // SAFETY: the call takes plain integers and touches no memory.
    Errno::result(unsafe { libc::kill(process, 0) }).map(drop)
}

/// Makes a child that only ends, as this user, and returns its process id. It
/// may be signalled, without effect, until it is waited for
/// ([`crate::children::wait_for`]); its end is silent.
///
/// # Errors
/// As clone(2).
pub fn decoy(user: Option<u32>) -> Result<i32, Errno> {
    const FLAGS: libc::c_long = libc::CLONE_VFORK as libc::c_long;
    // SAFETY: without a stack of its own and without CLONE_VM the child goes
    // on with a copy of this process, as after fork(2); CLONE_VFORK has the
    // parent wait until it ends.
    let child = unsafe { libc::syscall(libc::SYS_clone, FLAGS, 0, 0, 0, 0) };
    if Errno::result(child)? != 0 {
        return i32::try_from(child).map_err(|_| Errno::EOVERFLOW);
    }
    if let Some(user) = user {
        // SAFETY: the call takes plain integers and touches no memory.
        unsafe { libc::syscall(libc::SYS_setresuid, user, user, user) };
    }
    crate::children::end(0)
}

/// Tries an exec that is not the launch's own: no descriptor, no arguments.
///
/// # Errors
/// As execveat(2).
pub fn exec() -> Errno {
    // SAFETY: the path is a NUL-terminated literal, the null arrays are read
    // as empty, and descriptor -1 can't be executed.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            -1,
            c"".as_ptr(),
            std::ptr::null::<*const libc::c_char>(),
            std::ptr::null::<*const libc::c_char>(),
            libc::AT_EMPTY_PATH,
        )
    };
    Errno::last()
}

fn close(opened: i32) -> Result<(), Errno> {
    let descriptor = Errno::result(opened)?;
    // SAFETY: the descriptor was opened by this module just now and is known
    // to nobody else.
    unsafe { libc::close(descriptor) };
    Ok(())
}
