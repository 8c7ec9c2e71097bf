//! Resource limits (man 2 setrlimit): lowered, never raised.

use nix::sys::resource::{Resource as Raw, getrlimit, setrlimit};
use secure_exec_core::plan::{Limit, Resource};

use crate::Error;

/// Lowers soft and hard limit to the given value; where the hard limit is
/// already lower, that one stands. Returns the value in force.
///
/// # Errors
/// As setrlimit(2).
pub fn lower(limit: Limit) -> Result<u64, Error> {
    let failed = Error::call("lower a resource limit");
    let raw = raw(limit.resource);
    let (_, hard) = getrlimit(raw).map_err(&failed)?;
    let value = limit.value.min(hard);
    setrlimit(raw, value, value).map_err(&failed)?;
    Ok(value)
}

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
