//! Who made what a launch leaves behind. The maker's number and the time of its
//! start are in the name, so that a later launch can tell whether it lives.

use std::path::Path;

use secure_exec_core::cgroups::Owner;
use secure_exec_sys::{Errno, canary, open};

/// This process, by the table of processes that [`is_dead`] looks into.
///
/// # Errors
/// A sentence: `/proc` does not say.
pub(crate) fn own() -> Result<Owner, String> {
    let failed = |error: std::io::Error| format!("/proc/self/stat: {error}");
    let stat = std::fs::read("/proc/self/stat").map_err(failed)?;
    let namespace = open::stat_path(Path::new("/proc/self/ns/pid"), true);
    let inode = namespace.map_err(|error| error.to_string())?.ino;
    let stat = String::from_utf8_lossy(&stat);
    Owner::of(inode, &stat).ok_or_else(|| String::from("/proc/self/stat can't be read"))
}

/// Whether a maker has ended. Nothing is known of those of other PID
/// namespaces, nor where the table can't be read.
pub(crate) fn is_dead(maker: &Owner, own: &Owner) -> bool {
    if maker.namespace != own.namespace {
        return false;
    }
    match std::fs::read(format!("/proc/{}/stat", maker.process)) {
        Ok(stat) => {
            let stat = String::from_utf8_lossy(&stat);
            Owner::of(maker.namespace, &stat).is_some_and(|now| now != *maker)
        }
        // A table that hides processes (`hidepid` of man 5 proc) says the same of
        // those that it hides. kill(2) hides none: EPERM is an answer of a
        // living process.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let process = i32::try_from(maker.process);
            process.is_ok_and(|process| canary::signal(process) == Err(Errno::ESRCH))
        }
        Err(_) => false,
    }
}
