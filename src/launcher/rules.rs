//! The Landlock rules of a launch: the profile's grants and the plugin's own
//! files, opened. What a plugin wrote in an earlier launch may not widen them.

use std::fmt::Display;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use secure_exec_core::escape::Escaped;
use secure_exec_core::plan::namespaces::is_in_proc;
use secure_exec_core::plan::{
    FOLDERS_OF_SOCKETS, Grant, GrantKind, LandlockPlan, TakenOver, USERS_FOLDERS_OF_SOCKETS,
};
use secure_exec_core::policy::Policy;
use secure_exec_sys::landlock::Rule;
use secure_exec_sys::open::Kind;
use secure_exec_sys::{Errno, Error, open};

use crate::examined::Examined;
use crate::failure::Failure;
use crate::interpreter::Trusted;
use crate::keeping::{Use, keep_off, keep_temporary, kept, refuse_or_warn, secrets};
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
    exposes_key: &mut bool,
    warn: &dyn Fn(&str),
) -> Result<Vec<Rule>, Failure> {
    let policy = examined.listed.policy;
    let sight = Sight::default();
    let mut opened: Vec<Granted<'_>> = Vec::with_capacity(plan.grants.len());
    let mut missing = |grant: &Grant, error: Error| match error {
        _ if grant.optional => Ok(()),
        error => {
            absent.push(grant.path.clone());
            unopened(grant, &error, policy, warn)
        }
    };
    let mut linked = Vec::new();
    let opened_now = |grant: &&Grant| !namespaces::waits(examined, grant);
    for grant in plan.grants.iter().filter(opened_now) {
        match open::open_path_plain(Path::new(&grant.path)) {
            Ok(file) => opened.push(Granted::new(grant, file, None)?),
            Err(error) if error.errno() == Some(Errno::ELOOP) => linked.push(grant),
            Err(error) => missing(grant, error)?,
        }
    }
    for grant in linked {
        match follow(&sight, grant, &opened) {
            Ok(Some((file, way))) => opened.push(Granted::new(grant, file, way)?),
            Ok(None) => {}
            Err(error) => missing(grant, error)?,
        }
    }
    let reach = |kind: fn(GrantKind) -> bool| {
        let rules = opened.iter().map(|granted| &granted.rule);
        Reach::of_rules(&sight, rules.filter(|rule| kind(rule.kind))).map_err(Failure::own)
    };
    let writable = reach(GrantKind::writes)?;
    let whom = Whom::plugin(&examined.listed.profile, user);
    if !writable.is_empty() {
        keep_off(&writable, &kept(examined)?, whom, examined, "write", warn)?;
    }
    keep_temporary(&writable, &sight, Use::Writes, examined, warn)?;
    let elsewhere = opened.iter().filter(|granted| granted.may_show_others());
    let elsewhere = elsewhere.map(|granted| &granted.rule);
    let elsewhere = Reach::of_rules(&sight, elsewhere).map_err(Failure::own)?;
    keep_temporary(&elsewhere, &sight, Use::Reads, examined, warn)?;
    if let Some(key) = &examined.listed.signing_key {
        let key = [Kept::File(key.clone())];
        let readable = reach(GrantKind::reads)?;
        *exposes_key = keep_off(&readable, &key, whom, examined, "read", warn)?;
    }
    if examined
        .plan
        .taken_over()
        .iter()
        .any(TakenOver::is_of_own_root)
    {
        for granted in &opened {
            keep_apart(&sight, granted, policy, warn)?;
        }
    }
    let links = Links::new(examined, &sight);
    let mut rules = Vec::with_capacity(opened.len());
    for granted in opened {
        let way = granted.way.as_ref();
        let flaw = way.map(|way| links.flaw(way, &writable)).transpose()?;
        match flaw.flatten() {
            None => rules.push(granted.rule),
            Some(Flaw { why, cure }) => {
                ungranted(granted.grant, &why, &cure, policy, warn)?;
                absent.push(granted.grant.path.clone());
            }
        }
    }
    for secret in secrets(examined) {
        let way = sight.follow(secret).map_err(Failure::own)?;
        if let Some(Flaw { why, cure }) = links.flaw(&way, &writable)? {
            let shown = secret.to_string_lossy();
            let what = format!("the file '{}' of a secret: {why}", Escaped(&shown));
            refuse_or_warn(&what, &cure, policy, warn)?;
        }
    }
    rules.extend(own_files(examined)?);
    Ok(rules)
}

/// The profile's words show no sockets of others; nor may what links and mounts
/// make of them.
fn keep_apart(
    sight: &Sight,
    granted: &Granted<'_>,
    policy: Policy,
    warn: &dyn Fn(&str),
) -> Result<(), Failure> {
    let kind = granted.rule.kind;
    if matches!(
        kind,
        GrantKind::Apart | GrantKind::Device | GrantKind::Terminal | GrantKind::ConnectSocket
    ) {
        return Ok(());
    }
    let reach = Reach::of_rules(sight, [&granted.rule].into_iter()).map_err(Failure::own)?;
    let users = match open::entries(Path::new(USERS_FOLDERS_OF_SOCKETS)) {
        Err(error) if error.is_not_found() => Vec::new(),
        entries => entries.map_err(Failure::own)?,
    };
    let users = users
        .iter()
        .map(|(name, _)| Path::new(USERS_FOLDERS_OF_SOCKETS).join(name));
    let places = FOLDERS_OF_SOCKETS.iter().map(PathBuf::from).chain(users);
    for place in places {
        let way = sight.follow(&place).map_err(Failure::own)?;
        let shows = match way.unseen {
            Some(error) if error.is_not_found() => false,
            _ => reach.covers(&way.end).map_err(Failure::own)?,
        };
        if shows {
            let why = format!(
                "it shows the sockets in '{}', from which only Landlock of Linux 7.1 (ABI 9) keeps a plugin that has TCP as well",
                Escaped(&place.to_string_lossy())
            );
            let cure =
                "Grant what the plugin needs there by its own path, or under 'filesystem.apart'.";
            return ungranted(granted.grant, &why, cure, policy, warn);
        }
    }
    Ok(())
}

/// Folders of the system, in which no plugin has temporary files.
const SYSTEMS: [&str; 9] = [
    "/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr",
];

/// What a grant leads to.
struct Granted<'a> {
    grant: &'a Grant,
    rule: Rule,
    /// The way there, if symbolic links are on it.
    way: Option<Way>,
}

impl<'a> Granted<'a> {
    fn new(grant: &'a Grant, file: OwnedFd, way: Option<Way>) -> Result<Self, Failure> {
        let rule = Rule::new(file, grant.kind).map_err(Failure::own)?;
        Ok(Self { grant, rule, way })
    }

    /// Whether files of other plugins may be beneath it, for the plugin to read:
    /// not in the system's own folders, which
    /// nearly every launch is granted something of.
    fn may_show_others(&self) -> bool {
        let path = match &self.way {
            Some(way) => &way.end,
            None => Path::new(&self.grant.path),
        };
        let kind = self.rule.kind;
        let reads = kind.reads() && !kind.writes();
        let is_plain = !path.components().any(|part| part == Component::ParentDir);
        let is_systems = SYSTEMS.iter().any(|system| path.starts_with(system));
        reads && !(is_plain && is_systems) && self.rule.stat.kind == Kind::Directory
    }
}

/// Opens what a grant leads to by links. They are followed by hand, so that
/// what is judged is what was followed. `None` if it is granted without them as
/// well.
fn follow(
    sight: &Sight,
    grant: &Grant,
    opened: &[Granted<'_>],
) -> Result<Option<(OwnedFd, Option<Way>)>, Error> {
    let path = Path::new(&grant.path);
    let mut found = None;
    let mut is_known = false;
    let way = sight.follow_until(path, &mut |end| {
        is_known = opened.iter().any(|other| {
            other.way.is_none()
                && other.grant.kind == grant.kind
                && Path::new(&other.grant.path) == end
        });
        if is_known {
            return Ok(true);
        }
        match open::open_path_plain(end) {
            Err(error) if error.errno() == Some(Errno::ELOOP) => Ok(false),
            file => {
                found = Some(file?);
                Ok(true)
            }
        }
    });
    match (way, found) {
        (Ok(_), None) if is_known => Ok(None),
        (Ok(way), Some(file)) => Ok(Some((file, Some(way)))),
        // A magic link leads to no path.
        (
            Ok(Way {
                unseen: Some(_), ..
            })
            | Err(_),
            _,
        ) if is_in_proc(&grant.path) => Ok(Some((open::open_path(path)?, None))),
        (
            Ok(Way {
                unseen: Some(error),
                ..
            })
            | Err(error),
            _,
        ) => Err(error),
        // A link to `..` of a folder that a link leads to.
        (Ok(way), None) => Ok(Some((open::open_path_plain(&way.end)?, Some(way)))),
    }
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

/// What the plugin itself consists of: the program as far as it lies in a
/// folder, its loader, its libraries. Each rule is for that inode alone.
fn own_files(examined: &Examined) -> Result<Vec<Rule>, Failure> {
    let mut rules = Vec::new();
    let mut add = |file: &OwnedFd, kind: GrantKind| -> Result<(), Failure> {
        let file = open::duplicate(&file.as_fd()).map_err(Failure::own)?;
        rules.push(Rule::new(file, kind).map_err(Failure::own)?);
        Ok(())
    };
    for script in examined.read_in_place() {
        add(script.file(), GrantKind::Read)?;
    }
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
    for (_, loader) in &examined.loaders {
        add(loader, GrantKind::Execute)?;
    }
    for (_, library) in &examined.libraries {
        add(library, GrantKind::Read)?;
    }
    Ok(rules)
}
