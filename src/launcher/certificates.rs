//! Variables that name certificates: whoever gets such a variable needs the
//! file. It is the caller's word, and no caller widens a profile by it: only
//! what everybody on this machine may read is granted, and for reading alone.
//! A variable that names anything else is not passed.

use std::os::fd::AsFd as _;
use std::path::Path;

use secure_exec_core::escape::Escaped;
use secure_exec_core::plan::namespaces::is_in_proc;
use secure_exec_core::profile::{PathGrant, Profile, has_dotdot, passes};
use secure_exec_sys::Error;
use secure_exec_sys::open::{self, Kind};

use crate::mutation::leaves_out;

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
/// those that are not passed, each with a sentence.
pub(crate) fn admit(profile: &mut Profile) -> Vec<(&'static str, String)> {
    let mut withheld = Vec::new();
    if !profile.isolation.confines() {
        return withheld;
    }
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
        let flaws = paths.iter().filter(|path| !is_granted(profile, path));
        let flaw = flaws
            .filter_map(|path| flaw(path).map(|why| (path, why)))
            .next();
        if let Some((path, why)) = flaw {
            let path = Escaped(path);
            let sentence = format!(
                "the variable '{name}' is not passed: '{path}' {why}\n\
                 Grant it in the profile under 'filesystem.read', or unset the variable."
            );
            withheld.push((name, sentence));
            continue;
        }
        for path in paths {
            let grant = PathGrant {
                path: path.to_string(),
                optional: true,
            };
            if !is_granted(profile, path) {
                profile.filesystem.read.push(grant);
            }
        }
    }
    withheld
}

/// The profile itself grants it.
fn is_granted(profile: &Profile, path: &str) -> bool {
    let files = &profile.filesystem;
    let lists = [
        &files.code,
        &files.read,
        &files.apart,
        &files.write,
        &files.execute,
    ];
    let mut grants = lists.into_iter().flatten();
    !has_dotdot(path) && grants.any(|grant| Path::new(path).starts_with(&grant.path))
}

/// Why not everybody may read it, as a phrase. What is not there can't be read
/// by anybody, and harms nobody.
fn flaw(path: &str) -> Option<String> {
    if leaves_out("certificates") {
        return None;
    }
    // A profile's path would have variables.
    if !path.starts_with('/') || has_dotdot(path) || path.contains(['$', '{']) {
        return Some("is not a plain absolute path".into());
    }
    match publicity(Path::new(path)) {
        Ok(found) => found.map(String::from),
        Err(error) if error.is_not_found() => None,
        Err(error) => Some(format!("can't be examined: {error}")),
    }
}

fn publicity(path: &Path) -> Result<Option<&'static str>, Error> {
    const CLOSED: &str = "is not readable by everybody";
    let file = open::open_path(path)?;
    let stat = open::stat(file.as_fd())?;
    let real = open::real_path(file.as_fd())?;
    if real.to_str().is_none_or(is_in_proc) {
        return Ok(Some("is no file of certificates"));
    }
    for folder in real.ancestors().skip(1) {
        if open::stat_path(folder, false)?.mode & 0o001 == 0 {
            return Ok(Some(CLOSED));
        }
    }
    match stat.kind {
        Kind::Regular if stat.mode & 0o004 != 0 => Ok(None),
        Kind::Directory if stat.mode & 0o005 == 0o005 => of_folder(&real),
        Kind::Regular | Kind::Directory => Ok(Some(CLOSED)),
        _ => Ok(Some("is no file or folder")),
    }
}

/// A grant holds for all that lies in a folder, so there may be nothing but
/// files that everybody may read, and links, which lead out of the grant.
fn of_folder(folder: &Path) -> Result<Option<&'static str>, Error> {
    let entries = open::entries(folder)?;
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
