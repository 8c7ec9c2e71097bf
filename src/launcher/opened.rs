//! Second stage: the plugin is opened, once. Everything after uses this
//! descriptor.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use secure_exec_core::escape::Escaped;
use secure_exec_core::profile::has_dotdot;
use secure_exec_core::violation::Violation;
use secure_exec_sys::Errno;
use secure_exec_sys::open::{self, Kind, Stat};

use crate::failure::Failure;
use crate::listed::Listed;
use crate::reach::Reach;
use crate::sight::Sight;

/// Plugins are at most this large unless the whitelist says otherwise.
pub const DEFAULT_LIMIT: u64 = 512 << 20;

/// An open plugin.
#[derive(Debug)]
pub struct Opened {
    /// The stage before.
    pub listed: Listed,
    /// The plugin's file.
    pub file: OwnedFd,
    /// What it is.
    pub stat: Stat,
    /// Where it really is.
    pub path: PathBuf,
    /// Largest size in bytes.
    pub limit: u64,
}

/// What opening led to.
#[derive(Debug)]
pub enum Opening {
    /// The plugin is open.
    Open(Box<Opened>),
    /// It can't be opened, for this reason.
    Violated(Box<Listed>, Violation),
}

/// Opens the plugin: below the plugin root if its path is relative, without
/// magic links in any case, and finds what its type, size and mode violate.
///
/// # Errors
/// There is no such plugin, or it can't be read.
pub fn open(mut listed: Listed) -> Result<Opening, Failure> {
    let written = listed.written_path().to_string();
    if written.contains('\0') {
        let violation = Violation::PathTraversal("the path contains NUL".into());
        return Ok(Opening::Violated(Box::new(listed), violation));
    }
    // An unlisted plugin is a path of the caller's, from where he is.
    let is_unlisted = listed.entry.is_none();
    if has_dotdot(&written) && !is_unlisted {
        let violation = Violation::PathTraversal("the path contains '..'".into());
        if listed.policy.waive(&violation).is_none() {
            return Ok(Opening::Violated(Box::new(listed), violation));
        }
        listed.violations.push(violation);
    }
    if is_unlisted && !written.contains('/') {
        return Err(Failure::NoSuchPlugin {
            path: None,
            plugin: listed.name,
            is_listed: false,
        });
    }
    let known = listed.violations.len();
    // An update may replace it in this moment.
    let found = open::settled(|| {
        listed.violations.truncate(known);
        let file = resolve(&mut listed, &written, is_unlisted)?;
        let path = open::real_path(file.as_fd())?;
        Ok((file, path))
    });
    let (file, path) = match found {
        Ok(found) => found,
        Err(error) if error.is_not_found() => {
            let path = listed.place().to_string_lossy().into_owned();
            return Err(Failure::NoSuchPlugin {
                path: Some(path),
                plugin: listed.name,
                is_listed: !is_unlisted,
            });
        }
        Err(error) if error.is_traversal() => {
            let violation = Violation::PathTraversal(
                "the path leaves the plugin root or goes through a magic link".into(),
            );
            return Ok(Opening::Violated(Box::new(listed), violation));
        }
        // A socket can't be opened at all.
        Err(error) if error.errno() == Some(Errno::ENXIO) => {
            let violation = Violation::NotARegularFile("it is a socket or a device".into());
            return Ok(Opening::Violated(Box::new(listed), violation));
        }
        Err(error) if error.errno().is_none() => {
            return Err(Failure::NotExecuted {
                plugin: listed.name,
                message: error.to_string(),
            });
        }
        Err(error) => {
            return Err(Failure::NotExecuted {
                plugin: listed.name,
                message: format!("{error}\nThe launcher must be able to read it."),
            });
        }
    };
    examine_file(listed, file, path)
}

fn resolve(
    listed: &mut Listed,
    written: &str,
    is_unlisted: bool,
) -> Result<OwnedFd, secure_exec_sys::Error> {
    let path = Path::new(written);
    if path.is_absolute() || is_unlisted {
        return open::open_no_magic(path);
    }
    let root = open::open_dir(&listed.plugin_root)?;
    match open::open_beneath(root.as_fd(), path) {
        Err(error) if error.is_traversal() => {
            let violation = Violation::PathTraversal("the path leaves the plugin root".into());
            if listed.policy.waive(&violation).is_none() {
                return Err(error);
            }
            listed.violations.push(violation);
            open::open_no_magic(&listed.plugin_root.join(path))
        }
        other => other,
    }
}

fn examine_file(mut listed: Listed, file: OwnedFd, path: PathBuf) -> Result<Opening, Failure> {
    let failed = |plugin: &str| {
        let plugin = plugin.to_string();
        move |error: secure_exec_sys::Error| Failure::NotExecuted {
            plugin,
            message: error.to_string(),
        }
    };
    let stat = open::stat(file.as_fd()).map_err(failed(&listed.name))?;
    if stat.kind != Kind::Regular {
        let violation = Violation::NotARegularFile(format!("it is {}", stat.kind));
        return Ok(Opening::Violated(Box::new(listed), violation));
    }
    let executable = open::is_executable(file.as_fd()).map_err(failed(&listed.name))?;
    let limit = limit(&listed);
    let forbidden =
        forbidden(&listed, &listed.place(), &stat, &path).map_err(failed(&listed.name))?;
    let of_file = file_violations(&stat, executable, limit);
    for violation in forbidden.into_iter().chain(of_file) {
        if listed.policy.waive(&violation).is_none() {
            return Ok(Opening::Violated(Box::new(listed), violation));
        }
        listed.violations.push(violation);
    }
    Ok(Opening::Open(Box::new(Opened {
        listed,
        file,
        stat,
        path,
        limit,
    })))
}

fn limit(listed: &Listed) -> u64 {
    let of_entry = listed.entry.as_ref().and_then(|entry| entry.max_file_size);
    match (of_entry, listed.whitelist.max_file_size) {
        (Some(entry), Some(all)) => entry.min(all),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => DEFAULT_LIMIT,
    }
}

/// Whether the plugin or its script, written so, or a link on the way to it,
/// lies in a forbidden path, by whatever other path that is reached.
pub(crate) fn forbidden(
    listed: &Listed,
    written: &Path,
    stat: &Stat,
    path: &Path,
) -> Result<Option<Violation>, secure_exec_sys::Error> {
    if listed.whitelist.forbidden_paths.is_empty() {
        return Ok(None);
    }
    let sight = Sight::default();
    let way = sight.follow(written)?;
    let links = way.links().map(|(link, _)| link.as_path());
    let places: Vec<&Path> = links.chain([path]).collect();
    for forbidden in &listed.whitelist.forbidden_paths {
        let shown = Escaped(forbidden);
        let violation = |why: String| Ok(Some(Violation::PathTraversal(why)));
        let mut reach = Reach::new(&sight);
        reach.add_path(Path::new(forbidden))?;
        for place in &places {
            if reach.covers(place)? {
                return violation(format!(
                    "the plugin lies in the forbidden path '{shown}', or a link to it does"
                ));
            }
        }
        // Nobody can say where a file's other names are.
        if stat.nlink > 1 && reach.has_device(stat.dev)? {
            return violation(format!(
                "the plugin's file has {} names, of which one may lie in the forbidden path '{shown}': make it a copy",
                stat.nlink
            ));
        }
    }
    Ok(None)
}

fn file_violations(stat: &Stat, executable: bool, limit: u64) -> Vec<Violation> {
    let mut found = Vec::new();
    if stat.size > limit {
        found.push(Violation::FileSizeExceeded {
            limit,
            found: format!("the plugin has {} bytes", stat.size),
        });
    }
    if stat.mode & 0o6000 != 0 {
        found.push(Violation::InsecurePermissions(format!(
            "the plugin has a set-ID bit (mode {:04o})",
            stat.mode
        )));
    }
    if stat.mode & 0o002 != 0 {
        found.push(Violation::InsecurePermissions(format!(
            "everyone can write the plugin (mode {:04o})",
            stat.mode
        )));
    }
    if !executable {
        found.push(Violation::NotExecutable(format!(
            "the plugin has no execute permission here (mode {:04o})",
            stat.mode
        )));
    }
    found
}
