//! Arguments of an entry that name code which nothing pins: the interpreter
//! would be verified, and not what it runs.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use secure_exec_core::escape::Escaped;
use secure_exec_core::invocation::{self, Named, Program, Role};
use secure_exec_core::plan::SandboxPlan;
use secure_exec_core::violation::Violation;
use secure_exec_sys::open::{self, Kind, Stat};
use secure_exec_sys::{Errno, Error};

use crate::listed::Listed;
use crate::mutation::leaves_out;
use crate::reach::Reach;
use crate::script::{self, Script, identity};
use crate::sight::Sight;
use crate::trust;

/// What is pinned of a plugin.
pub(crate) struct Pinned<'a> {
    pub(crate) script: Option<&'a Script>,
    pub(crate) libraries: &'a [(String, OwnedFd)],
}

/// The arguments of the entry that name code which is not pinned, or pinned
/// where the plugin could read another file in its place.
pub(crate) fn unpinned(
    listed: &Listed,
    path: &Path,
    pinned: &Pinned<'_>,
    plan: &SandboxPlan,
) -> Vec<Violation> {
    let Some(entry) = &listed.entry else {
        return Vec::new();
    };
    if entry.args.is_empty() || leaves_out("code") {
        return Vec::new();
    }
    let names = script::of_names(listed, path);
    let reading = invocation::read(&names, &entry.args);
    let libraries = pinned.libraries.iter();
    let check = Check {
        listed,
        script: pinned.script,
        libraries: libraries
            .filter_map(|(_, file)| open::stat(file.as_fd()).ok())
            .map(|stat| identity(&stat))
            .collect(),
        folder: script::working_directory(plan),
        plan,
    };
    let mut found: Vec<Violation> = Vec::new();
    let mut last = None;
    for named in &reading.named {
        // One violation a word: its parts are other readings of it.
        if last == Some(named.word) {
            continue;
        }
        if let Some(why) = check.judge(named) {
            last = Some(named.word);
            let argument = Escaped(named.text);
            found.push(Violation::UnpinnedCode(format!(
                "the argument '{argument}' {why}"
            )));
        }
    }
    found
}

/// What an administrator should know of an interpreter whose program no hash
/// can be of: a sentence with its cure.
#[must_use]
pub fn remark(listed: &Listed, path: &Path) -> Option<String> {
    let entry = listed.entry.as_ref()?;
    let names = script::of_names(listed, path);
    let name = Escaped(entry.name.as_str());
    match invocation::read(&names, &entry.args).program {
        Program::Module(module) if entry.libraries.is_empty() => Some(format!(
            "its hash says nothing of the module '{}' that it runs\n\
             Pin that with 'secure-execctl whitelist lock {name}'.",
            Escaped(module)
        )),
        Program::Open if entry.script.is_none() => Some(
            "it is an interpreter, and its hash says nothing of what its caller gives it to run\n\
             Add 'script: {path, hash}' to the entry, and its path to 'args'."
                .into(),
        ),
        _ => None,
    }
}

struct Check<'a> {
    listed: &'a Listed,
    script: Option<&'a Script>,
    libraries: Vec<(u64, u64)>,
    folder: PathBuf,
    plan: &'a SandboxPlan,
}

impl Check<'_> {
    /// What is wrong with a file that an argument names, as a phrase.
    fn judge(&self, named: &Named<'_>) -> Option<String> {
        if self
            .script
            .is_some_and(|script| script.is_named(named, &self.folder))
        {
            return None;
        }
        let mut places = named.places(&self.folder);
        places.find_map(|place| self.judge_at(named, &place))
    }

    fn judge_at(&self, named: &Named<'_>, path: &Path) -> Option<String> {
        let stat = match open::stat_path(path, true) {
            Ok(stat) => stat,
            Err(error) => return unseen(named.role, &error),
        };
        if stat.kind == Kind::Regular && self.libraries.contains(&identity(&stat)) {
            return self.exchangeable(path);
        }
        match (named.role, stat.kind) {
            (Role::Run, Kind::Regular) => Some(NOT_PINNED.into()),
            (Role::Run, Kind::Directory) => {
                Some("is a folder of code to run: name the file in it that is run".into())
            }
            (Role::Unknown, Kind::Regular) => self.looks_like_code(named.text, path, &stat),
            // It holds nothing.
            (Role::Run, Kind::CharDevice) if path == Path::new("/dev/null") => None,
            (Role::Run, kind) => Some(format!(
                "is {kind}, and what its writer puts there would be run"
            )),
            // A terminal, a pipe or a socket holds data.
            (Role::Unknown, _) => None,
        }
    }

    fn looks_like_code(&self, text: &str, path: &Path, stat: &Stat) -> Option<String> {
        if invocation::is_code_name(text) {
            return Some(NOT_PINNED.into());
        }
        let file = match open::open_no_magic(path) {
            Ok(file) => file,
            // What this user can't read, its plugin can't either; but run.
            Err(error) if error.is_access_denied() && stat.mode & 0o111 == 0 => return None,
            Err(error) if error.is_traversal() || error.is_not_found() => return None,
            Err(error) => return Some(format!("can't be looked at: {error}")),
        };
        let mut head = [0; 4];
        let read = match open::read_at(file.as_fd(), &mut head, 0) {
            Ok(read) => read,
            Err(error) => return Some(format!("can't be looked at: {error}")),
        };
        if !invocation::is_code_head(head.get(..read).unwrap_or_default()) {
            return None;
        }
        // A program of the system's is trusted for its place, as an interpreter
        // and a dynamic loader are.
        match trust::writable_by_root_alone(path, &file, &self.listed.trail) {
            Ok(None) => None,
            Ok(Some(finding)) => Some(format!("{NOT_PINNED}, and {finding}")),
            Err(error) => Some(format!("can't be looked at: {error}")),
        }
    }

    /// The argument is a path, and Landlock's rule for the pinned file: where
    /// the profile lets the plugin read all that lies there, whoever can put
    /// another file in its place decides what runs.
    fn exchangeable(&self, path: &Path) -> Option<String> {
        let looked = self.grant_above(path).and_then(|grant| {
            let file = open::open_no_magic(path)?;
            let finding = trust::writable_by_root_alone(path, &file, &self.listed.trail)?;
            Ok(grant.zip(finding))
        });
        match looked {
            Ok(None) => None,
            Ok(Some((grant, finding))) => Some(format!(
                "is pinned, but the profile grants '{}', so that another file in its place could be read, and {finding}: \
                 name the folder under 'filesystem.code' instead",
                Escaped(&grant)
            )),
            Err(error) => Some(format!("can't be looked at: {error}")),
        }
    }

    /// The grant by which files beside a pinned one can be read.
    fn grant_above(&self, path: &Path) -> Result<Option<String>, Error> {
        let Some(landlock) = self.plan.landlock() else {
            return Ok(Some("/".into()));
        };
        let real = open::real_path(open::open_path(path)?.as_fd())?;
        let sight = Sight::default();
        let grants = landlock.grants.iter().filter(|grant| grant.kind.reads());
        for grant in grants {
            let place = Path::new(&grant.path);
            // The file itself, and nothing beside it.
            if open::stat_path(place, true).is_ok_and(|stat| stat.kind != Kind::Directory) {
                continue;
            }
            let mut reach = Reach::new(&sight);
            reach.add_path(place)?;
            if reach.covers(&real)? {
                return Ok(Some(grant.path.clone()));
            }
        }
        Ok(None)
    }
}

const NOT_PINNED: &str = "names code that nothing pins";

/// A word that names nothing is a word, but where a program is to be run.
fn unseen(role: Role, error: &Error) -> Option<String> {
    let is_no_path = error.is_not_found()
        || error.is_access_denied()
        || matches!(
            error.errno(),
            Some(Errno::ENOTDIR | Errno::ENAMETOOLONG | Errno::ELOOP)
        );
    match role {
        Role::Run => Some(format!(
            "is the program to run, and can't be looked at: {error}"
        )),
        Role::Unknown if is_no_path => None,
        Role::Unknown => Some(format!("can't be looked at: {error}")),
    }
}
