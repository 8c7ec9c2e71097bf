//! What comes with a grant to execute: the dynamic loader of a granted program.
//! A plugin that is itself dynamic has it anyway; a static one would be granted
//! a program that can't start.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use secure_exec_core::plan::namespaces::is_in_proc;
use secure_exec_core::plan::{GrantKind, SandboxPlan};
use secure_exec_sys::open::{self, Kind};

use crate::image;
use crate::interpreter;
use crate::trail::Trail;

/// The loaders of programs that lie in a granted folder.
#[cfg(target_arch = "x86_64")]
const OF_SYSTEM: [&str; 2] = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"];
#[cfg(target_arch = "aarch64")]
const OF_SYSTEM: [&str; 2] = ["/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-aarch64.so.1"];

/// The loaders that the plan's programs name, but for the plugin's `own`, each
/// by its path. Only root may be able to change one: any other has to be
/// granted by its own path. So has the interpreter of a script, which takes
/// orders from whoever starts it.
pub(crate) fn loaders(
    plan: &SandboxPlan,
    own: Option<&str>,
    pinned: &[(String, OwnedFd)],
    trail: &Trail,
) -> Vec<(String, OwnedFd)> {
    let grants = plan.landlock().map(|plan| plan.grants.as_slice());
    let grants = grants.unwrap_or_default().iter();
    let mut paths: Vec<String> = Vec::new();
    for grant in grants.filter(|grant| grant.kind == GrantKind::Execute && !is_in_proc(&grant.path))
    {
        // What is absent is complained of where its rule is made.
        let Ok(file) = open::open_no_magic(Path::new(&grant.path)) else {
            continue;
        };
        match open::stat(file.as_fd()).map(|stat| stat.kind) {
            Ok(Kind::Directory) => paths.extend(OF_SYSTEM.map(String::from)),
            Ok(Kind::Regular) => {
                let program = image::program(file.as_fd()).ok();
                paths.extend(program.and_then(|program| program.interpreter));
            }
            _ => {}
        }
    }
    paths.retain(|path| Some(path.as_str()) != own);
    paths.sort();
    paths.dedup();
    let trusted = |path: String| {
        let found = interpreter::loader(Path::new(&path), pinned, trail).ok()?;
        found.violation.is_none().then_some((path, found.file))
    };
    paths.into_iter().filter_map(trusted).collect()
}
