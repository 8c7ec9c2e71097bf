//! Variables that name certificates: whoever gets such a variable needs the
//! file. It is the caller's word, and no caller widens a profile by it: only
//! what everybody on this machine may read is granted, and for reading alone: a
//! file, or a folder that root alone fills. An entry that pins its libraries is
//! granted nothing, since what can be read can be loaded. A variable that names
//! anything else is not passed.

use std::os::fd::AsFd as _;
use std::path::Path;

use secure_exec_core::escape::Escaped;
use secure_exec_core::plan::namespaces::is_in_proc;
use secure_exec_core::profile::{PathGrant, Profile, has_dotdot, passes};
use secure_exec_core::whitelist::Entry;
use secure_exec_sys::Error;
use secure_exec_sys::open::{self, Kind};

use crate::links;
use crate::mutation::leaves_out;
use crate::owner::Owners;
use crate::sight::Sight;
use crate::trust;

/// What OpenSSL, curl, git, Node.js and the clients of Python and AWS take
/// certificates of authorities from.
const FILES: [&str; 8] = [
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
];
/// The same in folders; OpenSSL takes several of them.
const FOLDERS: [&str; 2] = ["SSL_CERT_DIR", "GIT_SSL_CAPATH"];

/// As many files as a folder of certificates has.
const MOST: usize = 4096;

/// Grants what these variables name, of those that the profile passes; returns
/// those that are not passed, each with a sentence. Where the `entry` pins what
/// the plugin loads, nothing is granted.
pub(crate) fn admit(profile: &mut Profile, entry: Option<&Entry>) -> Vec<(&'static str, String)> {
    let mut withheld = Vec::new();
    if !profile.isolation.confines() {
        return withheld;
    }
    let is_closed = entry.is_some_and(|entry| !entry.libraries.is_empty() || entry.lock.is_some());
    for name in FILES.into_iter().chain(FOLDERS) {
        let environment = &profile.environment;
        let is_passed = environment.pass.iter().any(|pattern| passes(pattern, name));
        if !is_passed || environment.set.contains_key(name) {
            continue;
        }
        let Some(value) = std::env::var_os(name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let value = value.to_string_lossy().into_owned();
        let paths: Vec<&str> = match FOLDERS.contains(&name) {
            true => value.split(':').filter(|path| !path.is_empty()).collect(),
            false => vec![&value],
        };
        let mut grants = Vec::new();
        let mut flaw = None;
        for path in paths {
            if is_granted(profile, path) {
                continue;
            }
            match examine(path, is_closed) {
                Found::Absent => {}
                Found::Public => grants.push(PathGrant {
                    path: path.to_string(),
                    optional: true,
                }),
                Found::Flawed(why) => {
                    flaw = Some((path, why));
                    break;
                }
            }
        }
        if let Some((path, why)) = flaw {
            let path = Escaped(path);
            let sentence = format!(
                "the variable '{name}' is not passed: '{path}' {why}. \
                 Grant it in the profile under 'filesystem.read', or unset the variable."
            );
            withheld.push((name, sentence));
            continue;
        }
        profile.filesystem.read.extend(grants);
    }
    withheld
}

/// The profile itself grants it.
fn is_granted(profile: &Profile, path: &str) -> bool {
    let mut grants = profile.filesystem.paths();
    !has_dotdot(path) && grants.any(|grant| Path::new(path).starts_with(grant))
}

/// What a variable names.
enum Found {
    /// Nothing. That harms nobody, and nothing is granted: by the time that the
    /// plugin looks, something else may be there.
    Absent,
    /// What everybody may read.
    Public,
    /// Why it is not granted, as a phrase.
    Flawed(String),
}

fn examine(path: &str, is_closed: bool) -> Found {
    if leaves_out("certificates") {
        return Found::Public;
    }
    if is_closed {
        return Found::Flawed(
            "is not granted, and the plugin's entry pins all that it loads".into(),
        );
    }
    // A profile's path would have variables.
    if !path.starts_with('/') || has_dotdot(path) || path.contains(['$', '{']) {
        return Found::Flawed("is not a plain absolute path".into());
    }
    match publicity(Path::new(path)) {
        Ok(None) => Found::Public,
        Ok(Some(why)) => Found::Flawed(why),
        Err(error) if error.is_not_found() => Found::Absent,
        Err(error) => Found::Flawed(format!("can't be examined: {error}")),
    }
}

fn publicity(path: &Path) -> Result<Option<String>, Error> {
    const CLOSED: &str = "is not readable by everybody";
    let sight = Sight::default();
    let file = open::open_path(path)?;
    let stat = open::stat(file.as_fd())?;
    let real = open::real_path(file.as_fd())?;
    if real.to_str().is_none_or(is_in_proc) {
        return Ok(Some("is no file of certificates".into()));
    }
    // Links that others lead elsewhere would refuse the launch.
    for (link, stat) in sight.follow(path)?.links() {
        let folder = link.parent().unwrap_or(link);
        if let Some(whose) = links::other_user(&sight, folder, stat)? {
            let link = link.to_string_lossy();
            return Ok(Some(format!(
                "is behind the link '{}', which {whose}",
                Escaped(&link)
            )));
        }
    }
    for folder in real.ancestors().skip(1) {
        if sight.stat(folder)?.mode & 0o001 == 0 {
            return Ok(Some(CLOSED.into()));
        }
    }
    match stat.kind {
        Kind::Regular if stat.mode & 0o004 != 0 => Ok(None),
        Kind::Directory if stat.mode & 0o005 == 0o005 => {
            // What is put there later is granted as well.
            match trust::examine(path, &real, &stat, Owners::Root, &sight)? {
                Some(found) => Ok(Some(format!("is no folder that root alone fills: {found}"))),
                None => Ok(of_folder(&real)?.map(String::from)),
            }
        }
        Kind::Regular | Kind::Directory => Ok(Some(CLOSED.into())),
        _ => Ok(Some("is no file or folder".into())),
    }
}

/// A grant holds for all that lies in a folder, so there may be nothing but
/// files that everybody may read, and links, which lead out of the grant. An
/// empty one says nothing of what will lie there.
fn of_folder(folder: &Path) -> Result<Option<&'static str>, Error> {
    let entries = open::entries(folder)?;
    if entries.is_empty() {
        return Ok(Some("is an empty folder"));
    }
    if entries.len() > MOST {
        return Ok(Some("is no folder of certificates: it has too many files"));
    }
    for (name, _) in entries {
        let stat = open::stat_path(&folder.join(name), false)?;
        let is_public = stat.kind == Kind::Regular && stat.mode & 0o004 != 0;
        if !is_public && stat.kind != Kind::Symlink {
            return Ok(Some(
                "holds something else than files that everybody may read",
            ));
        }
    }
    Ok(None)
}
