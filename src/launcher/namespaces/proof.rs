//! What shows that the plugin is where it should be: namespaces that are not
//! the launcher's, a process id of its own, and a path that is gone.

use std::path::Path;

use secure_exec_core::plan::namespaces::NamespacePlan;
use secure_exec_sys::{namespaces, open};

use super::is_plugin;
use super::places::Place;
use crate::failure::Failure;

/// How things are outside.
#[derive(Debug)]
pub(super) struct Outside {
    identities: Vec<(u64, u64)>,
    /// A path that exists here and may not exist inside.
    path: Option<&'static str>,
}

/// Places that exist on most systems; the first that no mount has to do with
/// is looked for.
const PATHS: &[&str] = &[
    "/boot",
    "/home",
    "/root",
    "/sbin",
    "/opt",
    "/var/log",
    "/usr/bin",
    "/etc/passwd",
];

impl Outside {
    pub(super) fn look(plan: &NamespacePlan, places: &[Place]) -> Result<Self, Failure> {
        let is_apart = |path: &&&str| {
            places.iter().all(|place| {
                let links = place.links.iter().map(|link| link.path.as_str());
                let mut made = links.chain([place.path(), place.at()]).map(Path::new);
                made.all(|made| !made.starts_with(path) && !Path::new(path).starts_with(made))
            })
        };
        let exists = |path: &&str| open::stat_path(Path::new(path), false).is_ok();
        Ok(Self {
            identities: namespaces::identities(plan.means, plan.own_network)
                .map_err(Failure::own)?,
            path: PATHS.iter().filter(is_apart).copied().find(exists),
        })
    }

    /// Compares with how things are inside, and says what that proves.
    pub(super) fn compare(&self, plan: &NamespacePlan) -> Result<Vec<&'static str>, Failure> {
        let leak = |what: &str| {
            Failure::own(format!(
                "the namespaces do not hold: {what}\nNothing was run. Report this with the kernel's version."
            ))
        };
        if !is_plugin() {
            return Err(leak("the plugin's process id is not its own namespace's"));
        }
        let inside = namespaces::identities(plan.means, plan.own_network).map_err(Failure::own)?;
        let is_shared = |(one, other): (&(u64, u64), &(u64, u64))| one == other;
        if inside.len() != self.identities.len()
            || inside.iter().zip(&self.identities).any(is_shared)
        {
            return Err(leak("a namespace is still the launcher's"));
        }
        let mut proves = vec!["namespaces"];
        if let Some(path) = self.path {
            match open::stat_path(Path::new(path), false) {
                Err(error) if error.is_not_found() => proves.push("root"),
                _ => return Err(leak("a path of the old root folder is still there")),
            }
        }
        Ok(proves)
    }
}
