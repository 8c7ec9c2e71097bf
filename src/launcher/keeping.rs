//! Keeps plugins off what launches go by: what this one opened, the places
//! where others look, the launcher itself.

use std::path::Path;

use secure_exec_core::escape::Escaped;
use secure_exec_core::policy::Policy;
use secure_exec_sys::{Error, process};

use crate::examined::Examined;
use crate::failure::Failure;
use crate::interpreter::PROGRAMS;
use crate::mutation::leaves_out;
use crate::reach::{Reach, Whom};
use crate::settings::{
    AUDIT_LOG, DEFAULT_CONFIG, DEFAULT_PROFILES, DEFAULT_WHITELIST, ROOT_AUDIT_LOG, ROOT_STATE,
    temporary_folders, user_state,
};
use crate::sight::Sight;
use crate::state;
use crate::trail::{Kept, Trail};

/// What the plugin must not write: what launches go by, its secrets among it,
/// the launcher itself, and what says who a user is.
///
/// # Errors
/// The whitelist's folder can't be listed.
pub(crate) fn kept(examined: &Examined) -> Result<Vec<Kept>, Failure> {
    let programs = examined.listed.all_programs()?;
    let mut kept = examined.listed.trail.kept();
    kept.extend(default_places().kept());
    kept.extend(secrets(examined).map(|path| Kept::File(path.into())));
    kept.extend(programs);
    // Its own path is absent where it was started from memory.
    kept.extend(std::env::current_exe().ok().map(Kept::File));
    // The link by which it was called is in the plugin's place.
    kept.extend(process::executed_path().map(Kept::File));
    if examined.listed.profile.user.is_some() {
        kept.extend(["/etc/passwd", "/etc/group"].map(|path| Kept::File(path.into())));
    }
    Ok(kept)
}

pub(crate) fn secrets(examined: &Examined) -> impl Iterator<Item = &Path> {
    let secrets = examined.listed.profile.environment.secrets.values();
    secrets.filter_map(|source| source.strip_prefix("file:").map(Path::new))
}

/// Sees to it that a plugin does not get at something that launches go by.
/// Returns whether it does, where the policy lets it.
pub(crate) fn keep_off(
    reach: &Reach<'_>,
    kept: &[Kept],
    whom: Whom,
    examined: &Examined,
    verb: &str,
    warn: &dyn Fn(&str),
) -> Result<bool, Failure> {
    if leaves_out("keeping") {
        return Ok(false);
    }
    for kept in kept.iter().filter(|kept| whom.matters_to(kept)) {
        let held = match kept {
            Kept::Folder(folder) if !PROGRAMS.iter().any(|place| folder == Path::new(place)) => {
                reach.holds_folder(folder, whom)
            }
            // Of the many files there a launch trusts those that are root's.
            Kept::Folder(_) | Kept::File(_) | Kept::Program(_) | Kept::Library(_) => {
                reach.holds(kept, whom)
            }
        };
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
        let cure = if user_state().is_some_and(|state| kept.path().starts_with(state)) {
            "Set XDG_STATE_HOME to a folder that plugins may not write.".to_string()
        } else {
            format!("Keep it outside of the folders that plugins may {verb}.")
        };
        refuse_or_warn(&what, &cure, examined.listed.policy, warn)?;
        return Ok(true);
    }
    Ok(false)
}

/// Sees to it that a plugin does not change modes and owners of what launches
/// go by. Landlock does not narrow these calls: by path they reach all that the
/// plugin's user owns, unless the paths are not there.
///
/// # Errors
/// It could, under strict; something can't be looked for.
pub(crate) fn keep_modes(
    examined: &Examined,
    user: u32,
    warn: &dyn Fn(&str),
) -> Result<(), Failure> {
    let changes = examined.plan.seccomp().is_some_and(|plan| plan.metadata);
    if !changes || examined.plan.namespaces().is_some() || leaves_out("keeping") {
        return Ok(());
    }
    let listed = &examined.listed;
    let whom = Whom::plugin(&listed.profile, user);
    let sight = Sight::default();
    let kept = kept(examined)?;
    for kept in kept.iter().filter(|kept| whom.matters_to(kept)) {
        let way = sight.follow(kept.path()).map_err(Failure::own)?;
        if !way.steps.iter().any(|(_, step)| whom.owns(step)) {
            continue;
        }
        let path = kept.path().to_string_lossy();
        let what = format!(
            "profile '{}' lets the plugin change modes and owners ('filesystem.metadata') of all that user {user} owns, \
             and '{}', by which launches go or are recorded, or a folder on the way to it is among that",
            Escaped(&listed.profile.name),
            Escaped(&path)
        );
        let cure = "Say 'isolation: namespaces' in the profile, in which there are granted paths alone, or have it change to another 'user'.";
        return refuse_or_warn(&what, cure, listed.policy, warn);
    }
    Ok(())
}

/// What a plugin does with what it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It makes, changes or removes files.
    Writes,
    /// It reads files.
    Reads,
}

/// Sees to it that a plugin does not get at the temporary files of other
/// launches, whoever may do what there by their modes. Its own folder lies
/// below, and is above none of theirs.
///
/// # Errors
/// It does, under strict, or that can't be told.
pub(crate) fn keep_temporary(
    reach: &Reach<'_>,
    sight: &Sight,
    by: Use,
    examined: &Examined,
    warn: &dyn Fn(&str),
) -> Result<(), Failure> {
    if reach.is_empty() || leaves_out("keeping") {
        return Ok(());
    }
    let folder = temporary_folders();
    let way = sight.follow(&folder).map_err(Failure::own)?;
    let is_absent = way.unseen.as_ref().is_some_and(Error::is_not_found);
    let is_shared = folder
        .parent()
        .is_some_and(|above| above == Path::new("/tmp"));
    // A profile that grants all of `/tmp` says nothing of folders that are not
    // there.
    if (is_absent && is_shared) || !reach.covers(&way.end).map_err(Failure::own)? {
        return Ok(());
    }
    let shown = folder.to_string_lossy();
    let verb = match by {
        Use::Writes => "write",
        Use::Reads => "read",
    };
    let what = format!(
        "profile '{}' lets the plugin {verb} '{}', where the temporary files of other launches lie",
        Escaped(&examined.listed.profile.name),
        Escaped(&shown)
    );
    // There all of the file system may be granted for reading.
    if by == Use::Reads && examined.plan.namespaces().is_some() {
        if !is_absent {
            warn(&what);
        }
        return Ok(());
    }
    let cure = if is_shared {
        "Set XDG_RUNTIME_DIR to a folder that plugins may not reach, or grant folders below '/tmp'."
    } else {
        "Grant the folders that it needs instead of one above that place."
    };
    refuse_or_warn(&what, cure, examined.listed.policy, warn)
}

/// The same for every launch of the machine, whatever it is told.
pub(crate) fn machine_places() -> Trail {
    let trail = Trail::default();
    trail.file(DEFAULT_CONFIG);
    trail.file(DEFAULT_WHITELIST);
    trail.folder(DEFAULT_PROFILES);
    PROGRAMS.iter().for_each(|folder| trail.folder(folder));
    state::leave(Path::new(ROOT_STATE), &trail);
    trail.file(ROOT_AUDIT_LOG);
    trail
}

/// Whoever can write where launches look by default decides what those do that
/// name nothing else.
fn default_places() -> Trail {
    let trail = machine_places();
    // Root has no other place than the machine's.
    if process::effective_user() != 0
        && let Some(state) = user_state()
    {
        state::leave(&state, &trail);
        trail.file(state.join(AUDIT_LOG));
    }
    trail
}

/// An error under strict, else a warning.
pub(crate) fn refuse_or_warn(
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
