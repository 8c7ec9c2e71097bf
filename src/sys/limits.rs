//! Resource limits (man 2 setrlimit): the plugin's are lowered, never raised.

use nix::errno::Errno;
use nix::sys::resource::{Resource as Raw, getrlimit, setrlimit};
use secure_exec_core::plan::{Limit, Resource};

use crate::Error;

/// Lowers soft and hard limit to the given value; where the hard limit is
/// already lower, that one stands. Returns the value in force.
///
/// # Errors
/// As prlimit(2).
pub fn lower(limit: Limit) -> Result<u64, Error> {
    let failed = Error::call("lower a resource limit");
    let wanted = wanted(limit);
    // In one call, which tells what was.
    let hard = match exchange(limit.resource, wanted) {
        Ok(hard) => hard,
        // Only CAP_SYS_RESOURCE raises a hard limit.
        Err(Errno::EPERM) => hard(limit.resource)?,
        Err(errno) => return Err(failed(errno)),
    };
    let value = match limit.resource {
        Resource::Core if hard == 0 && is_in_force(limit.resource, wanted)? => wanted,
        _ => wanted.min(hard),
    };
    if value < wanted {
        exchange(limit.resource, value).map_err(failed)?;
    }
    Ok(value)
}

/// The value that [`lower`] would bring into force.
///
/// # Errors
/// As getrlimit(2).
pub fn lowered(limit: Limit) -> Result<u64, Error> {
    Ok(wanted(limit).min(hard(limit.resource)?))
}

fn hard(resource: Resource) -> Result<u64, Error> {
    getrlimit(raw(resource))
        .map(|(_, hard)| hard)
        .map_err(Error::call("read a resource limit"))
}

fn is_in_force(resource: Resource, value: u64) -> Result<bool, Error> {
    hard(resource).map(|hard| hard == value)
}

/// Sets soft and hard limit; returns what the hard one was.
fn exchange(resource: Resource, value: u64) -> Result<u64, Errno> {
    let new = [value; 2];
    let mut old = [0_u64; 2];
    // SAFETY: the kernel reads one `struct rlimit64`, two numbers, and writes
    // another; both live through the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            raw(resource) as libc::c_int,
            new.as_ptr(),
            old.as_mut_ptr(),
        )
    };
    let [_, hard] = old;
    Errno::result(answer).map(|_| hard)
}

/// No core dump is a limit of 1 byte: with 0 the kernel still starts the
/// program that core_pattern(5) names behind a `|`, with root's rights, and
/// hands it the plugin's memory. 1 it takes for that program's own, and no file
/// is so small (man 5 core, "Piping core dumps to a program").
fn wanted(limit: Limit) -> u64 {
    match limit.resource {
        Resource::Core if limit.value == 0 => 1,
        _ => limit.value,
    }
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

/// How far the stack may grow, in bytes.
///
/// # Errors
/// As getrlimit(2).
pub fn stack() -> Result<u64, Error> {
    getrlimit(Raw::RLIMIT_STACK)
        .map(|(soft, _)| soft)
        .map_err(Error::call("read a resource limit"))
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
