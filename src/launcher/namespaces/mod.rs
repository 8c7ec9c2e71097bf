//! `isolation: namespaces`: the launch divides into the launcher, which waits
//! outside, the first process of the namespaces, which waits inside, and the
//! one that becomes the plugin. [`crate::manual::namespaces`] says why.

mod aliases;
pub(crate) mod copied;
mod counted;
mod linked;
mod places;
mod proof;
mod root;
mod trial;
pub(crate) mod waiting;

use std::path::PathBuf;

use secure_exec_core::cgroups::Version;
use secure_exec_core::plan::namespaces::{Means, NamespacePlan, PLUGIN_PID};
use secure_exec_core::plan::{Grant, GrantKind, Resource, Step};
use secure_exec_sys::children::{self, Held, Line};
use secure_exec_sys::landlock::Rule;
use secure_exec_sys::namespaces::{self, Ending, Identity, Side};
use secure_exec_sys::{open, process};

use crate::examined::Examined;
use crate::failure::Failure;
use crate::image::Image;
use crate::mutation::leaves_out;
use crate::prepared::Prepared;
use counted::{Remains, WayIn};
use places::Place;
use proof::Outside;

pub use trial::kernel;

/// Everything that entering needs.
#[derive(Debug)]
pub(crate) struct Ready {
    plan: NamespacePlan,
    places: Vec<Place>,
    outside: Outside,
    /// Where the caller is, which is kept where the plugin has it too.
    folder: Option<PathBuf>,
    /// The plugin hears of its terminal's keys by itself.
    same_session: bool,
    /// As many processes and threads, where the kernel does not count the
    /// user's.
    uncounted: Option<u64>,
}

/// What was made.
#[derive(Debug)]
pub(crate) struct Entered {
    /// Each mount with its attributes.
    pub(crate) mounts: Vec<String>,
    /// What is known to hold.
    pub(crate) proves: Vec<&'static str>,
    /// The group that counts its processes, or why there is none, where the
    /// kernel does not count the user's.
    pub(crate) counted: Option<Result<Version, String>>,
}

/// Looks at what will be mounted, as far as the plan has namespaces; what has
/// no rule, being `absent`, is not.
///
/// # Errors
/// A standard stream is a folder; a path can't be examined.
pub(crate) fn prepare(
    examined: &Examined,
    user: u32,
    absent: &[String],
) -> Result<Option<Ready>, Failure> {
    let Some(plan) = examined.plan.namespaces() else {
        return Ok(None);
    };
    refuse_folders()?;
    let places = places::places(plan, examined, absent)?;
    let steps = examined.plan.steps();
    Ok(Some(Ready {
        outside: Outside::look(plan, &places)?,
        plan: plan.clone(),
        places,
        folder: std::env::current_dir().ok(),
        same_session: !steps.iter().any(|step| matches!(step, Step::NewSession)),
        uncounted: uncounted(steps, user),
    }))
}

/// The limit on processes of a user whom the kernel exempts (man 2 setrlimit).
fn uncounted(steps: &[Step], user: u32) -> Option<u64> {
    if user != 0 || leaves_out("limits") {
        return None;
    }
    steps.iter().find_map(|step| match step {
        Step::Limits(limits) => {
            let mut limits = limits.iter();
            let found = limits.find(|limit| limit.resource == Resource::Processes);
            found.map(|limit| limit.value)
        }
        _ => None,
    })
}

/// Enters the namespaces. It returns in the process that becomes the plugin,
/// and, with an error, in the one that failed.
///
/// # Errors
/// A call failed, or what was made is not what was planned.
pub(crate) fn enter(mut prepared: Prepared) -> Result<Prepared, Failure> {
    let Some(ready) = prepared.namespaces.take() else {
        return Ok(prepared);
    };
    let identity = Identity::own();
    let filtered = prepared.filter.is_some();
    let held = Held::hold().map_err(Failure::own)?;
    let line = Line::new().map_err(Failure::own)?;
    let (remains, way_in) = match ready.uncounted.map(counted::make) {
        None => (None, None),
        Some(Ok((remains, way_in))) => (Some(remains), Some(Ok(way_in))),
        Some(Err(why)) => (None, Some(Err(why))),
    };
    let (means, own_network) = (ready.plan.means, ready.plan.own_network);
    let remove = || remains.iter().for_each(Remains::remove);
    let divided = namespaces::divide(means, own_network, Ending::Signalled).map_err(|errno| {
        remove();
        let missing = namespaces::obstacle(errno).missing();
        Failure::own(format!("the namespaces can't be made ({errno}): {missing}"))
    })?;
    if let Side::Parent(first) = divided {
        // Its copies of image, secrets and exec call.
        drop(prepared);
        drop(way_in);
        let (line, same_session) = (line.parent(), ready.same_session);
        let Err(failure) = waiting::outside(
            &held,
            &line,
            first,
            same_session,
            filtered,
            remains.as_ref(),
        );
        remove();
        return Err(failure);
    }
    drop(remains);
    children::end_with_parent().map_err(Failure::own)?;
    let parent = line.child();
    if parent.hear().is_none() {
        // It has said why.
        children::end(125);
    }
    let copies: Vec<&Image> = prepared.examined.copies_in_place().collect();
    let mounts = root::build(&ready.plan, &ready.places, &copies, identity)
        .map_err(|halted| halted.failure())?;
    let gate = Line::new().map_err(Failure::own)?;
    if let Side::Parent(plugin) = namespaces::fork().map_err(Failure::own)? {
        let account = prepared.account.take();
        drop(prepared);
        drop(way_in);
        let never = waiting::inside(parent, gate.parent(), plugin, account.as_ref(), filtered)?;
        match never {}
    }
    drop(parent);
    if gate.child().hear_last().is_none() {
        children::end(125);
    }
    held.release().map_err(Failure::own)?;
    let counted = way_in.map(enter_group).transpose()?;
    if let Some(folder) = &ready.folder {
        // Where the plugin lacks it, it begins in the root folder.
        let _absent = process::change_directory(folder);
    }
    let proves = ready.outside.compare(&ready.plan)?;
    prepared.canaries.recheck()?;
    admit_own(&mut prepared)?;
    prepared.entered = Some(Entered {
        mounts,
        proves,
        counted,
    });
    Ok(prepared)
}

/// Moves this process into its group, if there is one.
fn enter_group(way_in: Result<WayIn, String>) -> Result<Result<Version, String>, Failure> {
    match way_in {
        Ok(way_in) => {
            way_in.enter().map_err(Failure::own)?;
            Ok(Ok(way_in.version))
        }
        Err(why) => Ok(Err(why)),
    }
}

/// What a table of the kernel's says. Names that are no text are in it as far
/// as they are.
fn table(path: &str) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether the Landlock rule for a path has to wait until what is the plugin's
/// own is there: `/proc`, `/dev/shm`.
pub(crate) fn waits(examined: &Examined, grant: &Grant) -> bool {
    let plan = examined.plan.namespaces();
    plan.is_some_and(|plan| plan.has_own(&grant.path))
}

/// Makes the rules for what is the plugin's own. Of a folder that is shown
/// apart there is a rule already, for inodes that the plugin does not see.
fn admit_own(prepared: &mut Prepared) -> Result<(), Failure> {
    let (Some(plan), Some(domain)) = (prepared.examined.plan.landlock(), &prepared.domain) else {
        return Ok(());
    };
    for copy in prepared.examined.copies_in_place() {
        let opened = copy.place().map(open::open_path_plain).transpose();
        let file = opened.map_err(Failure::own)?;
        let rule = file
            .map(|file| Rule::new(file, GrantKind::Read))
            .transpose();
        if let Some(rule) = rule.map_err(Failure::own)? {
            domain.admit(&rule).map_err(Failure::own)?;
        }
    }
    let waiting = |grant: &&Grant| {
        let is_apart = grant.kind == GrantKind::Apart && !prepared.absent.contains(&grant.path);
        is_apart || waits(&prepared.examined, grant)
    };
    let waiting: Vec<&Grant> = plan.grants.iter().filter(waiting).collect();
    for grant in waiting {
        let path = prepared.examined.plan.namespaces();
        let path = path.map_or(&*grant.path, |plan| plan.ruled_path(&grant.path));
        let opened = open::open_path(path.as_ref());
        match opened.and_then(|file| Rule::new(file, grant.kind)) {
            Ok(rule) => domain.admit(&rule).map_err(Failure::own)?,
            Err(_) if grant.optional => {}
            Err(error) => {
                crate::rules::unopened(
                    grant,
                    &error,
                    prepared.examined.listed.policy,
                    &|_: &str| {},
                )?;
                prepared.absent.push(grant.path.clone());
            }
        }
    }
    Ok(())
}

/// Through an open folder of the host's a plugin would walk past its root.
fn refuse_folders() -> Result<(), Failure> {
    for (number, name) in [(0, "input"), (1, "output"), (2, "error")] {
        if open::is_folder(number) {
            return Err(Failure::own(format!(
                "standard {name} is a folder, through which the plugin would leave its root\n\
                 Redirect it from or to a file, or use 'isolation: process'."
            )));
        }
    }
    Ok(())
}

/// The plugin is who it should be.
fn is_plugin() -> bool {
    process::id() == PLUGIN_PID && process::parent_id() == 1
}

/// How the namespaces are made, for records.
pub(crate) const fn means_name(means: Means) -> &'static str {
    match means {
        Means::Privilege => "with the launcher's CAP_SYS_ADMIN",
        Means::UserNamespace => "in a user namespace",
    }
}
