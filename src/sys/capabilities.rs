//! Capabilities: every set of the process reduced to what is kept
//! (man 7 capabilities).

use std::os::fd::{AsRawFd as _, BorrowedFd};

use caps::{CapSet, Capability, CapsHashSet};

use nix::errno::Errno;

use crate::Error;

/// A set of capabilities.
pub type Set = CapsHashSet;

/// What could be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reduced {
    /// The bounding set was emptied, but for what is kept. Needs
    /// `CAP_SETPCAP`; without it `no_new_privs` keeps the set from mattering.
    pub bounding: bool,
    /// User id 0 gives no capabilities any more, and that is locked. Needs
    /// `CAP_SETPCAP`.
    pub secure_bits: bool,
}

/// `SECBIT_NOROOT`, `SECBIT_NO_SETUID_FIXUP`, `SECBIT_NO_CAP_AMBIENT_RAISE`,
/// each with its lock (`linux/securebits.h`).
const SECURE_BITS: libc::c_ulong = 0b1100_1111;
/// The lock of `SECBIT_KEEP_CAPS`. That bit changes nothing where
/// `SECBIT_NO_SETUID_FIXUP` is set.
const KEEP_CAPS_LOCKED: libc::c_ulong = 0b0010_0000;

/// Whether a file has capabilities of its own (`security.capability` in man 7
/// xattr). The kernel does not execute it where it can't give them all, as
/// without them in the bounding set (`EPERM` in man 2 execve).
///
/// # Errors
/// As fgetxattr(2).
pub fn has_own(file: BorrowedFd<'_>) -> Result<bool, Error> {
    // SAFETY: the name is NUL-terminated, and of no buffer nothing is written.
    let answer = unsafe {
        libc::fgetxattr(
            file.as_raw_fd(),
            c"security.capability".as_ptr(),
            std::ptr::null_mut(),
            0,
        )
    };
    match Errno::result(answer) {
        Ok(_) => Ok(true),
        Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(false),
        Err(errno) => Err(Error::call("look for capabilities of the file")(errno)),
    }
}

/// Capabilities by name, checked and ready to be kept.
///
/// # Errors
/// An unknown name.
pub fn parse(names: &[String]) -> Result<CapsHashSet, Error> {
    names
        .iter()
        .map(|name| {
            name.parse::<Capability>()
                .map_err(|_| Error::unexpected("read capabilities", format!("'{name}' is unknown")))
        })
        .collect()
}

/// Whether this process may rebuild what it sees of the system.
///
/// # Errors
/// As capget(2).
pub fn may_administer() -> Result<bool, Error> {
    Ok(Sets::read()?.effective & Capability::CAP_SYS_ADMIN.bitmask() != 0)
}

/// Whether this process's user may do so, or could after another exec.
///
/// # Errors
/// As capget(2) and prctl(2).
pub fn could_administer() -> Result<bool, Error> {
    let held = Sets::read()?;
    if (held.effective | held.permitted) & Capability::CAP_SYS_ADMIN.bitmask() != 0 {
        return Ok(true);
    }
    let users = nix::unistd::getresuid().map_err(Error::call("read the user ids"))?;
    let is_root = [users.real, users.effective, users.saved]
        .iter()
        .any(|user| user.is_root());
    // Exec gives root what the bounding set lets him have.
    Ok(is_root
        && caps::has_cap(None, CapSet::Bounding, Capability::CAP_SYS_ADMIN).map_err(failed)?)
}

/// Reduces the bounding, inheritable, permitted, effective and ambient sets to
/// `keep`; what is kept survives exec. Secure bits are set and locked, but for
/// `PR_SET_KEEPCAPS` where the plugin `may_ask_to_keep` what a change of its
/// user takes away (which is nothing): some programs end where they may not.
///
/// # Errors
/// A capability to be kept is not held, or a call failed.
pub fn reduce_to(keep: &CapsHashSet, may_ask_to_keep: bool) -> Result<Reduced, Error> {
    let held = Sets::read()?;
    held.check(keep)?;
    let may_set = held.effective & Capability::CAP_SETPCAP.bitmask() != 0;
    caps::clear(None, CapSet::Ambient).map_err(failed)?;
    if may_set {
        drop_bounding(keep)?;
    }
    let wanted = Sets::of(keep);
    if !keep.is_empty() {
        // Nothing else can be raised to the ambient set.
        let inheritable = wanted.inheritable;
        Sets {
            inheritable,
            ..held
        }
        .write()?;
    }
    for capability in keep {
        caps::raise(None, CapSet::Ambient, *capability).map_err(failed)?;
    }
    if may_set {
        set_secure_bits(if may_ask_to_keep {
            SECURE_BITS
        } else {
            SECURE_BITS | KEEP_CAPS_LOCKED
        })?;
    }
    // Who holds nothing may be one whom a filter refuses to set anything.
    if held != wanted {
        wanted.write()?;
    }
    // The kernel keeps the ambient set within the permitted one.
    if Sets::read()? != wanted {
        return Err(Error::unexpected(
            "reduce capabilities",
            "the kernel kept others",
        ));
    }
    for capability in keep {
        let lives_on = caps::has_cap(None, CapSet::Ambient, *capability).map_err(failed)?;
        if !lives_on {
            return Err(Error::unexpected(
                "keep capabilities",
                format!("{capability} would not survive exec"),
            ));
        }
    }
    Ok(Reduced {
        bounding: may_set,
        secure_bits: may_set,
    })
}

/// Whether this process holds capabilities.
///
/// # Errors
/// It lacks one, which is named.
pub fn check_held(wanted: &CapsHashSet) -> Result<(), Error> {
    if wanted.is_empty() {
        return Ok(());
    }
    Sets::read()?.check(wanted)
}

/// The sets that one call reads and writes, a bit a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sets {
    effective: u64,
    permitted: u64,
    inheritable: u64,
}

/// `struct __user_cap_header_struct`, version 3, of this process.
#[repr(C)]
struct Header {
    version: u32,
    process: libc::c_int,
}

/// `struct __user_cap_data_struct`: 32 capabilities.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

impl Header {
    const OWN: Self = Self {
        version: 0x2008_0522,
        process: 0,
    };
}

impl Sets {
    /// The same three times.
    fn of(set: &CapsHashSet) -> Self {
        let bits = set.iter().fold(0, |bits, one| bits | one.bitmask());
        Self {
            effective: bits,
            permitted: bits,
            inheritable: bits,
        }
    }

    fn read() -> Result<Self, Error> {
        let header = Header::OWN;
        let mut halves = [Half::default(); 2];
        // SAFETY: the kernel reads the header and fills in two halves; all
        // live through the call.
        let answer =
            unsafe { libc::syscall(libc::SYS_capget, &raw const header, halves.as_mut_ptr()) };
        Errno::result(answer).map_err(Error::call("read the capabilities"))?;
        let whole = |of: fn(&Half) -> u32| {
            let [low, high] = halves.each_ref().map(|half| u64::from(of(half)));
            low | high << 32
        };
        Ok(Self {
            effective: whole(|half| half.effective),
            permitted: whole(|half| half.permitted),
            inheritable: whole(|half| half.inheritable),
        })
    }

    fn write(self) -> Result<(), Error> {
        let header = Header::OWN;
        let half = |shift: u32| {
            let part = |bits: u64| u32::try_from(bits >> shift & u64::from(u32::MAX));
            Ok(Half {
                effective: part(self.effective)?,
                permitted: part(self.permitted)?,
                inheritable: part(self.inheritable)?,
            })
        };
        let overflow =
            |_: std::num::TryFromIntError| Error::call("reduce the capabilities")(Errno::EOVERFLOW);
        let halves = [half(0).map_err(overflow)?, half(32).map_err(overflow)?];
        // SAFETY: the kernel reads the header and two halves, which live
        // through the call.
        let answer = unsafe { libc::syscall(libc::SYS_capset, &raw const header, halves.as_ptr()) };
        Errno::result(answer)
            .map(drop)
            .map_err(Error::call("reduce the capabilities"))
    }

    fn check(self, wanted: &CapsHashSet) -> Result<(), Error> {
        let is_lacking = |one: &&Capability| self.permitted & one.bitmask() == 0;
        match wanted.iter().find(is_lacking) {
            None => Ok(()),
            Some(lacking) => Err(Error::unexpected(
                "keep capabilities",
                format!("{lacking} is not held"),
            )),
        }
    }
}

/// Makes everything that is permitted effective, which a change of user id
/// took back.
///
/// # Errors
/// As capset(2).
pub(crate) fn raise_permitted() -> Result<(), Error> {
    let held = Sets::read()?;
    let effective = held.permitted;
    Sets { effective, ..held }.write()
}

/// By number up to the kernel's last, so that a capability that is newer than
/// this program goes too.
fn drop_bounding(keep: &CapsHashSet) -> Result<(), Error> {
    for number in 0..64_u8 {
        if keep.iter().any(|kept| kept.index() == number) {
            continue;
        }
        // SAFETY: the option takes a plain integer and touches no memory.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number)) };
        match Errno::result(dropped) {
            Ok(_) => {}
            // The kernel knows no capability from this number on.
            Err(Errno::EINVAL) if number > 0 => break,
            Err(errno) => {
                return Err(Error::call("drop a capability from the bounding set")(
                    errno,
                ));
            }
        }
    }
    Ok(())
}

fn set_secure_bits(bits: libc::c_ulong) -> Result<(), Error> {
    // SAFETY: the option takes a plain integer and touches no memory.
    let answer = unsafe { libc::prctl(libc::PR_SET_SECUREBITS, bits) };
    Errno::result(answer)
        .map(drop)
        .map_err(Error::call("lock the secure bits"))
}

fn failed(error: caps::errors::CapsError) -> Error {
    Error::unexpected("reduce capabilities", error)
}
