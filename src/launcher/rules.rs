//! The Landlock rules of a launch: the profile's grants and the plugin's own
//! files, opened. What a plugin wrote in an earlier launch may not widen them.

use std::fmt::Display;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use secure_exec_core::escape::Escaped;
use secure_exec_core::plan::{Grant, GrantKind, LandlockPlan};
use secure_exec_core::policy::Policy;
use secure_exec_sys::Error;
use secure_exec_sys::landlock::Rule;
use secure_exec_sys::open;

use crate::examined::Examined;
use crate::failure::Failure;
use crate::interpreter::Trusted;
use crate::namespaces;
use crate::trust;

/// Opens the profile's grants and the plugin's own files.
///
/// # Errors
/// A path does not exist, or the plugin could have led it elsewhere.
pub(crate) fn open(
    plan: &LandlockPlan,
    examined: &Examined,
    user: u32,
    absent: &mut Vec<String>,
    exposes_key: &mut bool,
    warn: &dyn Fn(&str),
) -> Result<Vec<Rule>, Failure> {
    let policy = examined.listed.policy;
    let mut opened = Vec::with_capacity(plan.grants.len());
    let opened_now = |grant: &&Grant| !namespaces::waits(examined, grant);
    for grant in plan.grants.iter().filter(opened_now) {
        let file = open::open_path(Path::new(&grant.path));
        match file.and_then(|file| Rule::new(file, grant.kind)) {
            Ok(rule) => opened.push((grant, rule)),
            Err(_) if grant.optional => {}
            Err(error) => {
                unopened(grant, &error, policy, warn)?;
                absent.push(grant.path.clone());
            }
        }
    }
    let writable = Reach::of(opened.iter().map(|(_, rule)| rule), WRITING)?;
    if let Some(kept) = writable.holds(&kept(examined), user) {
        let what = format!(
            "profile '{}' lets the plugin write '{}', by which launches go or are recorded",
            Escaped(&examined.listed.profile.name),
            Escaped(&kept.to_string_lossy())
        );
        if policy == Policy::Strict {
            let cure = "Keep it outside of the folders that plugins may write.";
            return Err(Failure::own(format!("{what}\n{cure}")));
        }
        warn(&what);
    }
    if let Some(key) = examined.listed.signing_key.as_deref() {
        let readable = Reach::of(opened.iter().map(|(_, rule)| rule), READING)?;
        if readable.holds(&[key], user).is_some() {
            let what = format!(
                "profile '{}' lets the plugin read '{}', which signs the audit log",
                Escaped(&examined.listed.profile.name),
                Escaped(&key.to_string_lossy())
            );
            if policy == Policy::Strict {
                let cure = "Keep it outside of the folders that plugins may read.";
                return Err(Failure::own(format!("{what}\n{cure}")));
            }
            *exposes_key = true;
            warn(&what);
        }
    }
    let mut rules = Vec::with_capacity(opened.len());
    for (grant, rule) in opened {
        match writable.leads_astray(Path::new(&grant.path), &rule.file) {
            Ok(None) => rules.push(rule),
            Ok(Some(why)) => {
                let cure = "Remove the link, or name the path that it leads to in the profile.";
                ungranted(grant, &why, cure, policy, warn)?;
                absent.push(grant.path.clone());
            }
            Err(error) => return Err(Failure::own(error)),
        }
    }
    rules.extend(own_files(examined)?);
    Ok(rules)
}

/// What the plugin must not write: what launches go by, and its secrets.
fn kept(examined: &Examined) -> Vec<&Path> {
    let listed = &examined.listed;
    let secrets = listed.profile.environment.secrets.values();
    let secrets = secrets.filter_map(|source| source.strip_prefix("file:").map(Path::new));
    let kept = listed.keeps.iter().map(PathBuf::as_path);
    kept.chain(secrets).collect()
}

/// A path that does not exist, or can't be opened, and must.
pub(crate) fn unopened(
    grant: &Grant,
    error: &Error,
    policy: Policy,
    warn: &dyn Fn(&str),
) -> Result<(), Failure> {
    let shown = Escaped(&grant.path);
    let cure = format!("Create it, or write '-{shown}' if it may be missing.");
    ungranted(grant, error, &cure, policy, warn)
}

/// A grant that can't be made: an error under strict, else a warning.
fn ungranted(
    grant: &Grant,
    why: &dyn Display,
    cure: &str,
    policy: Policy,
    warn: &dyn Fn(&str),
) -> Result<(), Failure> {
    let what = format!(
        "the path '{}' of the profile ({}): {why}",
        Escaped(&grant.path),
        grant.kind.name()
    );
    if policy == Policy::Strict {
        return Err(Failure::own(format!("{what}\n{cure}")));
    }
    warn(&what);
    Ok(())
}

/// What the plugin itself consists of: the program as far as it lies in a
/// folder, its loader, its libraries. Each rule is for that inode alone.
fn own_files(examined: &Examined) -> Result<Vec<Rule>, Failure> {
    let mut rules = Vec::new();
    let mut add = |file: &OwnedFd, kind: GrantKind| -> Result<(), Failure> {
        let file = open::duplicate(&file.as_fd()).map_err(Failure::own)?;
        rules.push(Rule::new(file, kind).map_err(Failure::own)?);
        Ok(())
    };
    match &examined.interpreter {
        Some(interpreter) if interpreter.file.has_path() => {
            let file: &Trusted = &interpreter.file;
            add(file.file(), GrantKind::Execute)?;
        }
        Some(_) => {}
        None if examined.image.has_path() => add(examined.image.file(), GrantKind::Execute)?,
        None => {}
    }
    if let Some(loader) = &examined.loader {
        add(loader, GrantKind::Execute)?;
    }
    for (_, library) in &examined.libraries {
        add(library, GrantKind::Read)?;
    }
    Ok(rules)
}

const WRITING: &[GrantKind] = &[GrantKind::Write];
const READING: &[GrantKind] = &[
    GrantKind::Read,
    GrantKind::Apart,
    GrantKind::Write,
    GrantKind::Execute,
];

/// The folders and files that the plugin has such a right to, by the paths
/// that they really have.
struct Reach(Vec<PathBuf>);

impl Reach {
    fn of<'a>(rules: impl Iterator<Item = &'a Rule>, kinds: &[GrantKind]) -> Result<Self, Failure> {
        rules
            .filter(|rule| kinds.contains(&rule.kind))
            .map(|rule| open::real_path(rule.file.as_fd()))
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(Failure::own)
    }

    /// The first of these files and folders that lies in one of the folders
    /// and that this user could change, replace or read there.
    fn holds<'a>(&self, kept: &[&'a Path], user: u32) -> Option<&'a Path> {
        if self.0.is_empty() {
            return None;
        }
        let owns = |path: &Path| open::stat_path(path, false).is_ok_and(|stat| stat.uid == user);
        let is_in_reach = |path: &Path| {
            let folders = self.0.iter();
            let mut above = folders.filter(|folder| path.starts_with(folder));
            above.any(|folder| {
                let mut steps = path.ancestors().take_while(|step| step.starts_with(folder));
                steps.any(owns)
            })
        };
        let is_held = |path: &&&Path| {
            let way = trust::links(path);
            way.is_ok_and(|way| {
                way.links
                    .iter()
                    .chain([&way.end])
                    .any(|step| is_in_reach(step))
            })
        };
        kept.iter().find(is_held).copied()
    }

    /// Whether the path led out of a writable folder, by a link that may be
    /// the plugin's own; if so, how, as a phrase.
    fn leads_astray(&self, path: &Path, file: &OwnedFd) -> Result<Option<String>, Error> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let real = open::real_path(file.as_fd())?;
        if real == path {
            return Ok(None);
        }
        let way = trust::links(path)?;
        if way.end != real {
            return Ok(Some("it was changed while it was opened".into()));
        }
        let out = |link: &PathBuf| {
            let folders = self.0.iter();
            let above = folders.filter(|folder| link.starts_with(folder) && link != *folder);
            above.max().is_some_and(|folder| !real.starts_with(folder))
        };
        Ok(way.links.iter().find(|link| out(link)).map(|link| {
            let link = link.to_string_lossy();
            format!(
                "the link '{}' lies in a folder that the plugin may write, and leads out of it",
                Escaped(&link)
            )
        }))
    }
}
