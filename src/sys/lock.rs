//! Locks on single bytes of a file (open file description locks, man 2 fcntl,
//! Linux 3.15): the kernel drops them when their holder ends, however it does.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// Who else may hold the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Others that share it.
    Shared,
    /// Nobody.
    Exclusive,
}

/// How long a lock is waited for, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience(u64);

impl Patience {
    /// Five seconds: longer than any writer needs that is not stopped.
    pub const LONG: Self = Self(5_000_000_000);
    /// A tenth of a second.
    pub const SHORT: Self = Self(100_000_000);
    /// Not at all.
    pub const NONE: Self = Self(0);
}

/// The first pause and the longest, in nanoseconds. The kernel adds its timer
/// slack of 50,000.
const FIRST_PAUSE: u64 = 10_000;
const LONGEST_PAUSE: u64 = 1_000_000;

/// Locks a byte of a file. By trying again: a lock that is waited for in the
/// kernel has no limit of time. Allocates nothing.
///
/// # Errors
/// As fcntl(2); `ETIMEDOUT` where another holds the lock for longer than the
/// patience.
pub fn lock(file: &impl AsFd, byte: u8, share: Share, patience: Patience) -> Result<(), Errno> {
    let kind = match share {
        Share::Shared => libc::F_RDLCK,
        Share::Exclusive => libc::F_WRLCK,
    };
    let mut pause = FIRST_PAUSE;
    let mut waited = 0;
    loop {
        match set(file, byte, kind) {
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

/// Gives a byte's lock up. Allocates nothing.
pub fn unlock(file: &impl AsFd, byte: u8) {
    // It can't fail for a lock that is held, and ends with the file at last.
    let _ends_later = set(file, byte, libc::F_UNLCK);
}

fn set(file: &impl AsFd, byte: u8, kind: libc::c_int) -> Result<(), Errno> {
    let region = libc::flock {
        l_type: i16::try_from(kind).map_err(|_| Errno::EINVAL)?,
        l_whence: 0,
        l_start: byte.into(),
        l_len: 1,
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
