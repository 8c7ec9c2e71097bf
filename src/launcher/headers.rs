//! What the kernel would map of a program and its dynamic loader, judged by
//! their headers before exec: afterwards no filter sees it.

use std::os::fd::{AsFd as _, OwnedFd};

use secure_exec_core::arch::Arch;
use secure_exec_core::elf::{Program, WriteExecute};
use secure_exec_core::escape::Escaped;
use secure_exec_core::policy::Policy;
use secure_exec_core::violation::Violation;

use crate::image;
use crate::listed::Listed;
use crate::mutation::leaves_out;

/// Headers that ask for memory which the profile refuses, or that can't be
/// read.
pub(crate) fn check(
    program: &Program,
    loader: Option<&OwnedFd>,
    listed: &Listed,
) -> Vec<Violation> {
    let confines = listed.policy != Policy::AuditOnly && listed.profile.isolation.confines();
    if !confines || listed.profile.write_execute || leaves_out("headers") {
        return Vec::new();
    }
    let of_loader = loader.map_or(Ok(None), |file| Ok(read_loader(file)?.write_execute));
    [
        ("program", Ok(program.write_execute)),
        ("dynamic loader", of_loader),
    ]
    .into_iter()
    .filter_map(|(role, asks)| judge(role, asks, listed))
    .collect()
}

/// The kernel takes a loader of the program's machine, whatever else the file
/// claims to be.
fn read_loader(file: &OwnedFd) -> Result<Program, String> {
    let loader = image::program(file.as_fd())?;
    if loader.arch == Some(Arch::NATIVE) {
        Ok(loader)
    } else {
        Err("it is not for this machine".into())
    }
}

fn judge(
    role: &str,
    asks: Result<Option<WriteExecute>, String>,
    listed: &Listed,
) -> Option<Violation> {
    let why = match asks {
        Ok(None) => return None,
        Ok(Some(what)) => format!(
            "the {role}'s headers ask for {what}; profile '{}' admits no memory that is writable and executable",
            Escaped(&listed.profile.name)
        ),
        Err(why) => format!("the {role}'s headers say nothing of the memory it asks for: {why}"),
    };
    Some(Violation::SandboxUnavailable(why))
}
