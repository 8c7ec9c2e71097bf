//! What lies within a plugin's reach: told by device and inode of the folders
//! above it, and by where it lies in its file system, so that neither links nor
//! mounts hide it.

use std::cell::OnceCell;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use secure_exec_core::mounts::{self, Spot};
use secure_exec_core::profile::Profile;
use secure_exec_sys::Error;
use secure_exec_sys::landlock::Rule;
use secure_exec_sys::open::{self, Kind, Stat};

use crate::sight::{Sight, Way};
use crate::trail::Kept;

/// Who reaches for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Whom {
    /// User id.
    pub(crate) user: u32,
    /// Capabilities may stand in for the ownership of files.
    pub(crate) privileged: bool,
}

/// Folders and files with all that lies beneath them.
#[derive(Debug)]
pub(crate) struct Reach<'a> {
    sight: &'a Sight,
    tops: Vec<Top>,
}

/// One of them.
#[derive(Debug)]
struct Top {
    /// Where it really is.
    path: PathBuf,
    /// `None` where this user may not look: only mounts can tell then.
    stat: Option<Stat>,
    /// Its place in its file system, and those of what is mounted beneath it;
    /// `None` where that can't be told.
    spots: OnceCell<Option<Vec<Spot>>>,
}

impl<'a> Reach<'a> {
    /// Of nothing.
    #[must_use]
    pub(crate) const fn new(sight: &'a Sight) -> Self {
        Self {
            sight,
            tops: Vec::new(),
        }
    }

    /// Of what these rules are for.
    ///
    /// # Errors
    /// A path or the table of mounts can't be read.
    pub(crate) fn of_rules<'r>(
        sight: &'a Sight,
        rules: impl Iterator<Item = &'r Rule>,
    ) -> Result<Self, Error> {
        let mut reach = Self::new(sight);
        for rule in rules {
            let path = open::real_path(rule.file.as_fd())?;
            reach.add(path, Some(rule.stat));
        }
        Ok(reach)
    }

    /// Adds what a path leads to, if anything.
    ///
    /// # Errors
    /// It can't be examined.
    pub(crate) fn add_path(&mut self, path: &Path) -> Result<(), Error> {
        let way = self.sight.follow(path)?;
        match way.unseen {
            None => {
                let stat = self.sight.stat(&way.end)?;
                self.add(way.end, Some(stat));
            }
            Some(error) if error.is_not_found() => {}
            Some(_) => self.add(way.end, None),
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, stat: Option<Stat>) {
        let spots = OnceCell::new();
        self.tops.push(Top { path, stat, spots });
    }

    /// Whether nothing is in reach.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.tops.is_empty()
    }

    /// Whether a path without links lies in it: one of these folders is above
    /// it or is it, or shows it by another mount. What can't be told does.
    ///
    /// # Errors
    /// The path can't be examined.
    pub(crate) fn covers(&self, path: &Path) -> Result<bool, Error> {
        if self.is_empty() {
            return Ok(false);
        }
        for step in path.ancestors() {
            match self.sight.stat(step) {
                Ok(stat) if self.is_top(&stat) => return Ok(true),
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        for top in &self.tops {
            if self.shows(top, path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a path without links, which lies in it, leaves the innermost of
    /// these folders on the way to its end.
    ///
    /// # Errors
    /// As [`Reach::covers`].
    pub(crate) fn is_left(&self, path: &Path, end: &Path) -> Result<bool, Error> {
        for step in path.ancestors().skip(1) {
            let step = self.sight.stat(step)?;
            if self.is_top(&step) {
                let mut above = end.ancestors().map(|above| self.sight.stat(above));
                return Ok(!above.any(|above| above.is_ok_and(|above| same(&above, &step))));
            }
        }
        // It lies there by another mount.
        Ok(true)
    }

    /// Whether somebody who may do there what the file system lets him could
    /// change or replace something that launches go by, or make it.
    ///
    /// # Errors
    /// It can't be looked for.
    pub(crate) fn holds(&self, kept: &Kept, whom: Whom) -> Result<bool, Error> {
        if self.is_empty() {
            return Ok(false);
        }
        let mut way = self.sight.follow(kept.path())?;
        let root = PathBuf::from("/");
        let stat = self.sight.stat(&root)?;
        way.steps.insert(0, (root, stat));
        if self.holds_beside(kept, &way) {
            return Ok(true);
        }
        let mut inner = None;
        for top in &self.tops {
            let mut steps = way.steps.iter();
            let from = match steps.position(|(_, stat)| top.is(stat)) {
                // By another mount, anything on the way may be within reach.
                None => self.shows_any(top, &way)?.then_some(0),
                found => found,
            };
            inner = inner.into_iter().chain(from).min();
        }
        let Some(inner) = inner else {
            return Ok(false);
        };
        let steps = way.steps.get(inner..).unwrap_or_default();
        let nexts = steps.iter().skip(1).map(Some).chain([None]);
        let mut pairs = steps.iter().zip(nexts);
        Ok(pairs.any(|((_, step), next)| {
            let is_last = next.is_none();
            // In a folder of which every file counts, any name may be made.
            let is_made = way.unseen.is_some() || matches!(kept, Kept::Folder(_));
            whom.could_change(step, is_last && is_made)
        }))
    }

    /// The same of a folder of which every file counts: of the folder, what
    /// its links lead to, and, if the folder is in reach, each of its files.
    ///
    /// # Errors
    /// It can't be looked for, or not be listed.
    pub(crate) fn holds_folder(&self, folder: &Path, whom: Whom) -> Result<bool, Error> {
        if self.is_empty() {
            return Ok(false);
        }
        if self.holds(&Kept::Folder(folder.into()), whom)? {
            return Ok(true);
        }
        let way = self.sight.follow(folder)?;
        // Nor may this user's plugin look where he may not; mounts were asked.
        let is_shut = |error: Error| error.is_not_found() || error.is_access_denied();
        if way.unseen.is_some_and(is_shut) {
            return Ok(false);
        }
        let is_within = self.covers(&way.end)?;
        let entries = match open::entries(&way.end) {
            Err(error) if error.is_access_denied() && !is_within => return Ok(false),
            entries => entries?,
        };
        for (name, may_be_link) in entries {
            if !(is_within || may_be_link) {
                continue;
            }
            if self.holds(&Kept::File(way.end.join(name)), whom)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A single file is in reach that is named after this one.
    fn holds_beside(&self, kept: &Kept, way: &Way) -> bool {
        let folder = match kept {
            Kept::Folder(_) => Some(way.end.as_path()),
            Kept::File(_) | Kept::Program(_) | Kept::Library(_) => way.end.parent(),
        };
        let Some(Ok(folder)) = folder.map(|folder| self.sight.stat(folder)) else {
            return false;
        };
        let is_file = |stat: Stat| stat.kind != Kind::Directory;
        let tops = self.tops.iter();
        let mut files = tops.filter(|top| top.stat.is_some_and(is_file));
        files.any(|top| {
            let name = top.path.file_name().unwrap_or_default().to_string_lossy();
            let above = top.path.parent().map(|above| self.sight.stat(above));
            kept.names(&name) && matches!(above, Some(Ok(above)) if same(&above, &folder))
        })
    }

    /// Whether something in it lies on the file system with this device.
    ///
    /// # Errors
    /// A mount can't be examined.
    pub(crate) fn has_device(&self, device: u64) -> Result<bool, Error> {
        let is_there = |top: &Top| top.stat.is_none_or(|stat| stat.dev == device);
        let own = self.tops.iter().any(is_there);
        if own || self.is_empty() {
            return Ok(own);
        }
        for mount in self.sight.mounts()? {
            let point = Path::new(&mount.point);
            if self.tops.iter().any(|top| point.starts_with(&top.path)) {
                match self.sight.stat(point) {
                    Ok(stat) if stat.dev == device => return Ok(true),
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(false)
    }

    fn is_top(&self, stat: &Stat) -> bool {
        self.tops.iter().any(|top| top.is(stat))
    }

    fn shows_any(&self, top: &Top, way: &Way) -> Result<bool, Error> {
        let links = way.links().map(|(path, _)| path.as_path());
        for path in links.chain([way.end.as_path()]) {
            if self.shows(top, path)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// By another mount, too.
    fn shows(&self, top: &Top, path: &Path) -> Result<bool, Error> {
        let mounts = self.sight.mounts()?;
        let Some(places) = mounts::spots(mounts, path) else {
            return Ok(true);
        };
        let spots = top.spots.get_or_init(|| mounts::beneath(mounts, &top.path));
        Ok(spots.as_ref().is_none_or(|spots| {
            let holds = |spot: &Spot| places.iter().any(|place| spot.holds(place));
            spots.iter().any(holds)
        }))
    }
}

impl Top {
    fn is(&self, stat: &Stat) -> bool {
        self.stat.is_some_and(|own| same(&own, stat))
    }
}

impl Whom {
    /// A plugin that this user runs.
    pub(crate) const fn plugin(profile: &Profile, user: u32) -> Self {
        Self {
            user,
            privileged: !profile.capabilities.is_empty(),
        }
    }

    /// Whether it is a loss if he changes something that launches go by. What
    /// others than root could change is not executed where it lies, so they can
    /// only bring about that it is refused.
    pub(crate) const fn matters_to(self, kept: &Kept) -> bool {
        !matches!(kept, Kept::Program(_)) || self.user == 0 || self.privileged
    }

    /// Whether he may change its mode and owner.
    pub(crate) const fn owns(self, stat: &Stat) -> bool {
        self.privileged || stat.uid == self.user
    }

    /// Whether he may write a file, exchange names in a folder, or, if
    /// something is `missing` there, make it. What others may write is taken
    /// for writable: groups and access lists are not looked at.
    fn could_change(self, stat: &Stat, missing: bool) -> bool {
        if self.owns(stat) {
            return true;
        }
        let others = stat.kind != Kind::Symlink && stat.mode & 0o022 != 0;
        // Others' names stay in a sticky folder.
        let sticky = stat.kind == Kind::Directory && stat.mode & 0o1000 != 0;
        others && (missing || !sticky)
    }
}

fn same(one: &Stat, other: &Stat) -> bool {
    (one.dev, one.ino) == (other.dev, other.ino)
}
