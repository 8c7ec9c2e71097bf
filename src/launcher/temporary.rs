//! `filesystem.private_tmp` without namespaces: a folder of the launch's own. The
//! launcher has become the plugin when that ends, so nobody is left to remove
//! it: a later launch does, when the process that the folder is named after has
//! ended.

use std::path::Path;

use secure_exec_core::cgroups::Owner;
use secure_exec_core::plan::SandboxPlan;
use secure_exec_core::profile::Profile;
use secure_exec_sys::process::{self, Account};
use secure_exec_sys::{open, remove};

use crate::failure::Failure;
use crate::makers;
use crate::prepared::make_private;
use crate::settings::temporary_folders;

/// Where this launch's temporary files are to lie, if the profile asks for a
/// place of their own. Empty where it does not.
///
/// # Errors
/// `/proc` does not say who this process is.
pub(crate) fn folder(profile: &Profile) -> Result<String, String> {
    if !profile.filesystem.private_tmp {
        return Ok(String::new());
    }
    let failed = |why: String| format!("'filesystem.private_tmp' of the profile: {why}");
    let random = process::random_bytes().map_err(|error| failed(error.to_string()))?;
    let name = makers::own()
        .map_err(failed)?
        .group(u64::from_ne_bytes(random));
    let folder = temporary_folders().join(name).into_os_string();
    folder
        .into_string()
        .map_err(|_| failed("the runtime folder is not UTF-8".into()))
}

/// Makes the folder where the plan has one, and removes those that launches
/// left which have ended.
///
/// # Errors
/// It can't be made, or others could write in it.
pub(crate) fn make(
    plan: &SandboxPlan,
    account: Option<&Account>,
    warn: &dyn Fn(&str),
) -> Result<(), Failure> {
    let Some(folder) = plan.temporary().filter(|_| plan.namespaces().is_none()) else {
        return Ok(());
    };
    let all = make_private(Path::new(folder), account)?;
    let own = makers::own().map_err(Failure::own)?;
    // Housekeeping: what can't be removed now may be later.
    let mut left = ENTRIES;
    for (name, _) in open::entries(&temporary_folders()).map_err(Failure::own)? {
        let maker = name.to_str().and_then(Owner::parse);
        if !maker.is_some_and(|maker| makers::is_dead(&maker, &own)) {
            continue;
        }
        if left == 0 {
            break;
        }
        // What one left keeps no other from its turn.
        let share = left.min(SHARE);
        let mut rest = share;
        let removed = remove::folder_in(&all, Path::new(&name), &mut rest);
        left = left.saturating_sub(share.saturating_sub(rest));
        match removed {
            Ok(()) => {}
            Err(_) if rest == 0 => {}
            Err(error) => warn(&format!(
                "temporary files of an earlier launch can't be removed: {error}"
            )),
        }
    }
    Ok(())
}

/// As many names one launch removes, so that none has to work long for what
/// another plugin left.
const ENTRIES: usize = 2 * SHARE;
/// As many of one plugin's.
const SHARE: usize = 4096;
