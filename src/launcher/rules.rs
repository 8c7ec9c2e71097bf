//! The Landlock rules of a launch: the profile's grants and the plugin's own
//! files, opened. What a plugin wrote in an earlier launch may not widen them.

use std::fmt::Display;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use secure_exec_core::escape::Escaped;
use secure_exec_core::plan::namespaces::is_in_proc;
use secure_exec_core::plan::{Grant, GrantKind, LandlockPlan};
use secure_exec_core::policy::Policy;
use secure_exec_sys::landlock::Rule;
use secure_exec_sys::{Errno, Error, open};

use crate::examined::Examined;
use crate::failure::Failure;
use crate::interpreter::Trusted;
use crate::links::{Flaw, Links};
use crate::namespaces;
use crate::reach::{Reach, Whom};
use crate::sight::{Sight, Way};
use crate::trail::Kept;

/// Opens the profile's grants and the plugin's own files.
///
/// # Errors
/// A path does not exist, or somebody could have led it elsewhere; the plugin
/// could write what launches go by.
pub(crate) fn open(
    plan: &LandlockPlan,
    examined: &Examined,
    user: u32,
    absent: &mut Vec<String>,
    warn: &dyn Fn(&str),
) -> Result<Vec<Rule>, Failure> {
    let policy = examined.listed.policy;
    let sight = Sight::default();
    let mut opened = Vec::with_capacity(plan.grants.len());
    let opened_now = |grant: &&Grant| !namespaces::waits(examined, grant);
    for grant in plan.grants.iter().filter(opened_now) {
        match granted(&sight, grant) {
            Ok(Granted { rule, way }) => opened.push((grant, rule, way)),
            Err(_) if grant.optional => {}
            Err(error) => {
                unopened(grant, &error, policy, warn)?;
                absent.push(grant.path.clone());
            }
        }
    }
    let reach = |kind: fn(GrantKind) -> bool| {
        let rules = opened.iter().map(|(_, rule, _)| rule);
        let rules = rules.filter(|rule| kind(rule.kind));
        Reach::of_rules(&sight, rules).map_err(Failure::own)
    };
    let writable = reach(GrantKind::writes)?;
    let kept = kept(examined);
    let whom = Whom {
        user,
        privileged: !examined.listed.profile.capabilities.is_empty(),
    };
    keep_off(&writable, &kept, whom, examined, "write", warn)?;
    if let Some(key) = &examined.listed.signing_key {
        let key = [Kept::File(key.clone())];
        keep_off(
            &reach(GrantKind::reads)?,
            &key,
            whom,
            examined,
            "read",
            warn,
        )?;
    }
    let links = Links::new(&examined.listed, &sight, &kept);
    let mut astray = Vec::new();
    for (grant, _, way) in &opened {
        let flaw = match way {
            None => None,
            Some(way) => links.flaw(way, &writable)?,
        };
        if let Some(Flaw { why, cure }) = &flaw {
            ungranted(grant, why, cure, policy, warn)?;
            absent.push(grant.path.clone());
        }
        astray.push(flaw.is_some());
    }
    for secret in secrets(examined) {
        let way = sight.follow(secret).map_err(Failure::own)?;
        if let Some(Flaw { why, cure }) = links.flaw(&way, &writable)? {
            let shown = secret.to_string_lossy();
            let what = format!("the file '{}' of a secret: {why}", Escaped(&shown));
            refuse_or_warn(&what, &cure, policy, warn)?;
        }
    }
    let rules = opened.into_iter().zip(astray);
    let rules = rules.filter(|(_, is_astray)| !is_astray);
    let mut rules: Vec<Rule> = rules.map(|((_, rule, _), _)| rule).collect();
    rules.extend(own_files(examined)?);
    Ok(rules)
}

/// What a grant leads to.
struct Granted {
    rule: Rule,
    /// The way there, if symbolic links are on it.
    way: Option<Way>,
}

/// Opens what a grant leads to. Links are followed by hand, so that what was
/// judged is what was followed.
fn granted(sight: &Sight, grant: &Grant) -> Result<Granted, Error> {
    let path = Path::new(&grant.path);
    let (file, way) = match open::open_path_plain(path) {
        Err(error) if error.errno() == Some(Errno::ELOOP) => {
            let way = sight.follow(path)?;
            let file = match way.unseen {
                None => open::open_path_plain(&way.end)?,
                // A magic link leads to no path.
                Some(_) if is_in_proc(&grant.path) => open::open_path(path)?,
                Some(error) => return Err(error),
            };
            (file, Some(way))
        }
        file => (file?, None),
    };
    let rule = Rule::new(file, grant.kind)?;
    Ok(Granted { rule, way })
}

/// What the plugin must not write: what launches go by, its secrets among it,
/// the launcher itself, and what says who a user is.
fn kept(examined: &Examined) -> Vec<Kept> {
    let mut kept = examined.listed.trail.kept();
    kept.extend(secrets(examined).map(|path| Kept::File(path.into())));
    // Its own path is absent where it was started from memory.
    kept.extend(std::env::current_exe().ok().map(Kept::File));
    if examined.listed.profile.user.is_some() {
        kept.extend(["/etc/passwd", "/etc/group"].map(|path| Kept::File(path.into())));
    }
    kept
}

fn secrets(examined: &Examined) -> impl Iterator<Item = &Path> {
    let secrets = examined.listed.profile.environment.secrets.values();
    secrets.filter_map(|source| source.strip_prefix("file:").map(Path::new))
}

/// Sees to it that a plugin does not get at something that launches go by.
fn keep_off(
    reach: &Reach<'_>,
    kept: &[Kept],
    whom: Whom,
    examined: &Examined,
    verb: &str,
    warn: &dyn Fn(&str),
) -> Result<(), Failure> {
    for kept in kept {
        let held = reach.holds(kept, whom);
        let path = kept.path().to_string_lossy();
        let path = Escaped(&path);
        let profile = Escaped(&examined.listed.profile.name);
        let what = match held {
            Ok(false) => continue,
            Ok(true) if verb == "read" => {
                format!(
                    "profile '{profile}' lets the plugin read '{path}', which signs the audit log"
                )
            }
            Ok(true) => format!(
                "profile '{profile}' lets the plugin write '{path}', by which launches go or are recorded"
            ),
            Err(error) => format!(
                "profile '{profile}' may let the plugin {verb} '{path}', which can't be looked for: {error}"
            ),
        };
        let cure = format!("Keep it outside of the folders that plugins may {verb}.");
        return refuse_or_warn(&what, &cure, examined.listed.policy, warn);
    }
    Ok(())
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
    refuse_or_warn(&what, cure, policy, warn)
}

/// An error under strict, else a warning.
fn refuse_or_warn(
    what: &str,
    cure: &str,
    policy: Policy,
    warn: &dyn Fn(&str),
) -> Result<(), Failure> {
    if policy == Policy::Strict {
        return Err(Failure::own(format!("{what}\n{cure}")));
    }
    warn(what);
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
