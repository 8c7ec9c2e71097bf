//! Capabilities: every set of the process reduced to what is kept
//! (man 7 capabilities).

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
/// each with its lock, and the lock of `SECBIT_KEEP_CAPS`
/// (`linux/securebits.h`).
const SECURE_BITS: libc::c_ulong = 0b1110_1111;

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
    Ok(read(CapSet::Effective)?.contains(&Capability::CAP_SYS_ADMIN))
}

/// Reduces the bounding, inheritable, permitted, effective and ambient sets to
/// `keep`; what is kept survives exec. Secure bits are set and locked.
///
/// # Errors
/// A capability to be kept is not held, or a call failed.
pub fn reduce_to(keep: &CapsHashSet) -> Result<Reduced, Error> {
    let held = Sets::read()?;
    let kept = keep.iter().fold(0, |mask, one| mask | one.bitmask());
    if kept & !held.permitted != 0 {
        check_held(keep)?;
    }
    let may_set = held.effective & Capability::CAP_SETPCAP.bitmask() != 0;
    caps::clear(None, CapSet::Ambient).map_err(failed)?;
    if may_set {
        drop_bounding(keep)?;
    }
    if kept != 0 {
        // Only what is inheritable can be raised in the ambient set.
        let inheritable = kept;
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
        set_secure_bits()?;
    }
    let reduced = Sets::of(kept);
    reduced.write()?;
    // The kernel keeps the ambient set within the permitted one.
    if Sets::read()? != reduced {
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

/// Three sets of this process as masks, read and written in one call each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sets {
    effective: u64,
    permitted: u64,
    inheritable: u64,
}

/// `struct __user_cap_header_struct`: `_LINUX_CAPABILITY_VERSION_3`, and this
/// process.
const HEADER: [u32; 2] = [0x2008_0522, 0];

impl Sets {
    const fn of(mask: u64) -> Self {
        Self {
            effective: mask,
            permitted: mask,
            inheritable: mask,
        }
    }

    fn read() -> Result<Self, Error> {
        let mut header = HEADER;
        // `struct __user_cap_data_struct` twice: the lower halves of the three
        // sets, then the upper ones.
        let mut halves = [0_u32; 6];
        // SAFETY: the kernel reads the header, may write to it, and fills in
        // two structures of three words; all live through the call.
        let answer =
            unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), halves.as_mut_ptr()) };
        Errno::result(answer).map_err(Error::call("read the capabilities"))?;
        let [effective, permitted, inheritable, upper @ ..] = halves.map(u64::from);
        let [upper_effective, upper_permitted, upper_inheritable] = upper.map(|half| half << 32);
        Ok(Self {
            effective: effective | upper_effective,
            permitted: permitted | upper_permitted,
            inheritable: inheritable | upper_inheritable,
        })
    }

    fn write(self) -> Result<(), Error> {
        let mut header = HEADER;
        let lower = |mask: u64| u32::try_from(mask & u64::from(u32::MAX)).unwrap_or(0);
        let upper = |mask: u64| u32::try_from(mask >> 32).unwrap_or(0);
        let sets = [self.effective, self.permitted, self.inheritable];
        let halves = [sets.map(lower), sets.map(upper)];
        // SAFETY: the kernel reads the header, may write to it, and reads two
        // structures of three words; all live through the call.
        let answer =
            unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), halves.as_ptr()) };
        Errno::result(answer)
            .map(drop)
            .map_err(Error::call("reduce capabilities"))
    }
}

/// Whether this process holds capabilities.
///
/// # Errors
/// It lacks one, which is named.
pub fn check_held(wanted: &CapsHashSet) -> Result<(), Error> {
    match wanted.difference(&read(CapSet::Permitted)?).next() {
        None => Ok(()),
        Some(lacking) => Err(Error::unexpected(
            "keep capabilities",
            format!("{lacking} is not held"),
        )),
    }
}

/// Makes everything that is permitted effective, which a change of user id
/// took back.
///
/// # Errors
/// As capset(2).
pub(crate) fn raise_permitted() -> Result<(), Error> {
    let permitted = read(CapSet::Permitted)?;
    caps::set(None, CapSet::Effective, &permitted).map_err(failed)
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

fn set_secure_bits() -> Result<(), Error> {
    // SAFETY: the option takes a plain integer and touches no memory.
    let answer = unsafe { libc::prctl(libc::PR_SET_SECUREBITS, SECURE_BITS) };
    Errno::result(answer)
        .map(drop)
        .map_err(Error::call("lock the secure bits"))
}

fn read(set: CapSet) -> Result<CapsHashSet, Error> {
    caps::read(None, set).map_err(failed)
}

fn failed(error: caps::errors::CapsError) -> Error {
    Error::unexpected("reduce capabilities", error)
}
