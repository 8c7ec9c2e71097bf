//! Resource limits (man 2 setrlimit): the plugin's are lowered, never raised.

use nix::sys::resource::{Resource as Raw, getrlimit, setrlimit};
use secure_exec_core::plan::{Limit, Resource};

use crate::Error;

/// Lowers soft and hard limit to the given value; where the hard limit is
/// already lower, that one stands. Returns the value in force.
///
/// # Errors
/// As setrlimit(2).
pub fn lower(limit: Limit) -> Result<u64, Error> {
    let value = lowered(limit)?;
    setrlimit(raw(limit.resource), value, value).map_err(Error::call("lower a resource limit"))?;
    Ok(value)
}

/// The value that [`lower`] would bring into force.
///
/// # Errors
/// As getrlimit(2).
pub fn lowered(limit: Limit) -> Result<u64, Error> {
    let (_, hard) = getrlimit(raw(limit.resource)).map_err(Error::call("read a resource limit"))?;
    Ok(limit.value.min(hard))
}

/// The number by which prlimit64(2) knows a resource.
#[must_use]
pub const fn number(resource: Resource) -> u64 {
    raw(resource) as u64
}

/// Makes room for so many more open files, as far as the hard limit lets it.
/// A profile's own limit comes later, when these files are closed.
///
/// # Errors
/// As setrlimit(2).
pub fn make_room_for_files(count: usize) -> Result<(), Error> {
    let (soft, hard) =
        getrlimit(Raw::RLIMIT_NOFILE).map_err(Error::call("read a resource limit"))?;
    let wanted = u64::try_from(count)
        .unwrap_or(u64::MAX)
        .saturating_add(OWN_FILES);
    if count == 0 || wanted <= soft {
        return Ok(());
    }
    setrlimit(Raw::RLIMIT_NOFILE, wanted.min(hard), hard)
        .map_err(Error::call("raise the limit of open files"))
}

/// Files that a launch has open beside those of its plugin: more than it does.
const OWN_FILES: u64 = 256;

const fn raw(resource: Resource) -> Raw {
    match resource {
        Resource::Data => Raw::RLIMIT_DATA,
        Resource::AddressSpace => Raw::RLIMIT_AS,
        Resource::Processes => Raw::RLIMIT_NPROC,
        Resource::OpenFiles => Raw::RLIMIT_NOFILE,
        Resource::FileSize => Raw::RLIMIT_FSIZE,
        Resource::CpuSeconds => Raw::RLIMIT_CPU,
        Resource::Core => Raw::RLIMIT_CORE,
    }
}
