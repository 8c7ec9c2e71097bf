//! Locks on bytes of a file (open file description locks, man 2 fcntl, Linux
//! 3.15): the kernel drops them when their holder ends, however it does.
//!
//! They exclude everybody else, for which the file must be open for writing.
//! To share a lock takes the right to read alone: whoever may read a file that
//! others lock could keep them out of it for ever.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// A row of bytes, which need not be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// The first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

impl Bytes {
    /// A single one.
    #[must_use]
    pub const fn one(first: u32) -> Self {
        Self { first, count: 1 }
    }
}

/// How long a lock is waited for, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience(u64);

impl Patience {
    /// Five seconds: longer than any writer needs that is not stopped.
    pub const LONG: Self = Self(5_000_000_000);
    /// A second.
    pub const SHORT: Self = Self(1_000_000_000);
    /// A hundredth of a second.
    pub const SHORTEST: Self = Self(10_000_000);
    /// Not at all.
    pub const NONE: Self = Self(0);
}

/// The first pause and the longest, in nanoseconds. The kernel adds its timer
/// slack of 50,000.
const FIRST_PAUSE: u64 = 10_000;
const LONGEST_PAUSE: u64 = 1_000_000;

/// Locks bytes of a file. By trying again: a lock that is waited for in the
/// kernel has no limit of time. Allocates nothing.
///
/// # Errors
/// As fcntl(2); `ETIMEDOUT` where another holds a lock on one of them for
/// longer than the patience.
pub fn lock(file: &impl AsFd, bytes: Bytes, patience: Patience) -> Result<(), Errno> {
    let mut pause = FIRST_PAUSE;
    let mut waited = 0;
    loop {
        match set(file, bytes, libc::F_WRLCK) {
            Err(Errno::EAGAIN | Errno::EACCES) if waited < patience.0 => {
                sleep(pause);
                waited = waited.saturating_add(pause);
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            }
            Err(Errno::EAGAIN | Errno::EACCES) => return Err(Errno::ETIMEDOUT),
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Gives the lock on bytes up. Allocates nothing.
pub fn unlock(file: &impl AsFd, bytes: Bytes) {
    // It can't fail for a lock that is held, and ends with the file at last.
    let _ends_later = set(file, bytes, libc::F_UNLCK);
}

fn set(file: &impl AsFd, bytes: Bytes, kind: libc::c_int) -> Result<(), Errno> {
    let region = libc::flock {
        l_type: i16::try_from(kind).map_err(|_| Errno::EINVAL)?,
        l_whence: 0,
        l_start: bytes.first.into(),
        l_len: bytes.count.into(),
        l_pid: 0,
    };
    fcntl(file, FcntlArg::F_OFD_SETLK(&region)).map(drop)
}

/// By nanosleep(2): behind nanosleep(3), C libraries make different calls. A
/// pause that a signal ends is one more try.
pub(crate) fn sleep(nanoseconds: u64) {
    let pause = libc::timespec {
        tv_sec: 0,
        // Less than a second.
        tv_nsec: i64::try_from(nanoseconds).unwrap_or_default(),
    };
    let rest = std::ptr::null_mut::<libc::timespec>();
    // SAFETY: the kernel reads one timespec, which lives through the call, and
    // writes nothing.
    unsafe { libc::syscall(libc::SYS_nanosleep, &raw const pause, rest) };
}
