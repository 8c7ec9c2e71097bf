//! Symbolic links on the way to what a profile grants. The launcher follows
//! those that no plugin can have put there.

use std::cell::OnceCell;
use std::path::Path;

use secure_exec_core::escape::Escaped;
use secure_exec_core::plan::namespaces::is_in_proc;
use secure_exec_core::profile::{Profile, expand, has_dotdot};
use secure_exec_sys::open::Stat;
use secure_exec_sys::{Error, process};

use crate::examined::Examined;
use crate::failure::Failure;
use crate::keeping::machine_places;
use crate::listed::{self, Listed};
use crate::mutation::leaves_out;
use crate::profiles::{Folders, names_in};
use crate::reach::Reach;
use crate::settings::runtime_folders;
use crate::sight::{Sight, Way};
use crate::trail::Kept;

/// Judges the links of one launch.
pub(crate) struct Links<'a> {
    listed: &'a Listed,
    sight: &'a Sight,
    /// What other plugins may write, by the names of their profiles.
    others: OnceCell<Result<Vec<(String, Reach<'a>)>, String>>,
}

/// Why a link is not followed, and what to do.
pub(crate) struct Flaw {
    pub(crate) why: String,
    pub(crate) cure: String,
}

impl<'a> Links<'a> {
    pub(crate) fn new(examined: &'a Examined, sight: &'a Sight) -> Self {
        Self {
            listed: &examined.listed,
            sight,
            others: OnceCell::new(),
        }
    }

    /// The first link on a way that somebody could have put there whom the
    /// profile does not mean: this plugin itself, which may write in `own`,
    /// another one, or another user.
    pub(crate) fn flaw(&self, way: &Way, own: &Reach<'_>) -> Result<Option<Flaw>, Failure> {
        if leaves_out("links") {
            return Ok(None);
        }
        for (link, stat) in way.links() {
            let Some(folder) = link.parent() else {
                continue;
            };
            let shown = link.to_string_lossy();
            let shown = Escaped(&shown);
            let why = if is_in_proc(&folder.to_string_lossy()) {
                // Nobody plants links there.
                None
            } else if own.covers(folder).map_err(Failure::own)? {
                own.is_left(link, &way.end).map_err(Failure::own)?.then(|| {
                    format!(
                        "the link '{shown}' lies in a folder that the plugin may write, and leads out of it"
                    )
                })
            } else if folder == Path::new("/") {
                // Who may write there leads every path.
                None
            } else {
                let who = match other_user(self.sight, folder, stat).map_err(Failure::own)? {
                    None if self.leads_to_machine_places(folder)? => None,
                    None => self.other_plugin(folder)?,
                    found => found,
                };
                who.map(|who| format!("the link '{shown}' {who}"))
            };
            if let Some(why) = why {
                let end = way.end.to_string_lossy();
                let cure = format!(
                    "Remove the link, or name the path that it leads to in the profile: '{}'.",
                    Escaped(&end)
                );
                return Ok(Some(Flaw { why, cure }));
            }
        }
        Ok(None)
    }

    /// Every launch keeps plugins off these places, whatever it is told, so
    /// none starts a plugin that may write in a folder above them. In a sticky
    /// one it might still make names of its own.
    fn leads_to_machine_places(&self, folder: &Path) -> Result<bool, Failure> {
        let leads = |kept: &Kept| {
            let own = usize::from(!matches!(kept, Kept::Folder(_)));
            kept.path()
                .ancestors()
                .skip(own)
                .any(|above| above == folder)
        };
        if !machine_places().any(leads) {
            return Ok(false);
        }
        let stat = self.sight.stat(folder).map_err(Failure::own)?;
        Ok(stat.mode & 0o1000 == 0)
    }

    /// Which profile lets a plugin write in the link's folder.
    fn other_plugin(&self, folder: &Path) -> Result<Option<String>, Failure> {
        let others = self.others.get_or_init(|| {
            self.find_others()
                .map_err(|failure| failure.reason().to_string())
        });
        let others = match others {
            Ok(others) => others,
            Err(why) => {
                return Ok(Some(format!(
                    "lies where a plugin may write, for all that is known: {why}"
                )));
            }
        };
        for (name, reach) in others {
            if reach.covers(folder).map_err(Failure::own)? {
                let name = Escaped(name);
                return Ok(Some(format!(
                    "lies in a folder that plugins of profile '{name}' may write"
                )));
            }
        }
        Ok(None)
    }

    /// All profiles that this launch can know: built-in ones, those of its
    /// folders and the machine's, those in the whitelist's entries.
    fn find_others(&self) -> Result<Vec<(String, Reach<'a>)>, Failure> {
        let mut found = Vec::new();
        let mut add = |profile: Result<Profile, Failure>| -> Result<(), Failure> {
            found.extend(self.writes(&profile?)?);
            Ok(())
        };
        let profiles = self.listed.profiles.profiles();
        let machine = Folders::of_machine();
        for profiles in [&profiles, &machine.profiles()] {
            for name in profiles.names()? {
                add(profiles.by_name(&name))?;
            }
        }
        let mut inline = self.listed.inline.to_vec();
        if let Some(folder) = &self.listed.whitelist_folder {
            for name in names_in(folder)? {
                let other = listed::load(folder, &name)?;
                inline.extend(other.inline.iter().cloned());
            }
        }
        for (name, raw) in &inline {
            add(profiles.resolve(raw, name).map_err(Failure::own))?;
        }
        Ok(found)
    }

    fn writes(&self, profile: &Profile) -> Result<Option<(String, Reach<'a>)>, Failure> {
        let mut reach = Reach::new(self.sight);
        let (plugins, runtime) = (&self.listed.plugin_root, runtime_folders());
        let written = profile.filesystem.write.iter();
        for grant in written.chain(&profile.network.unix_bind) {
            let variable = |name: &str| std::env::var(name).ok();
            let (plugins, runtime) = (plugins.to_string_lossy(), runtime.to_string_lossy());
            // What this launch can't expand means nothing to it.
            let Ok(path) = expand(&grant.path, &variable, &plugins, &runtime) else {
                continue;
            };
            if path.starts_with('/') && !has_dotdot(&path) {
                reach.add_path(Path::new(&path)).map_err(Failure::own)?;
            }
        }
        Ok((!reach.is_empty()).then(|| (profile.name.clone(), reach)))
    }
}

/// Who else than root and the launcher's user could have made the link or
/// led the way to it elsewhere.
pub(crate) fn other_user(
    sight: &Sight,
    folder: &Path,
    link: &Stat,
) -> Result<Option<String>, Error> {
    let trusted = [0, process::effective_user()];
    let trusted = |stat: &Stat| trusted.contains(&stat.uid);
    if !trusted(link) {
        return Ok(Some(format!("belongs to another user ({})", link.uid)));
    }
    for above in folder.ancestors() {
        let stat = sight.stat(above)?;
        let path = above.to_string_lossy();
        let path = Escaped(&path);
        if !trusted(&stat) {
            let uid = stat.uid;
            return Ok(Some(format!(
                "lies in '{path}', which belongs to another user ({uid})"
            )));
        }
        // In a sticky folder the owner of the link or folder tells.
        if stat.mode & 0o022 != 0 && stat.mode & 0o1000 == 0 {
            let mode = stat.mode;
            return Ok(Some(format!(
                "lies in '{path}', which others can write (mode {mode:04o})"
            )));
        }
    }
    Ok(None)
}
