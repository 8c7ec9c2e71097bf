//! One launch's look at the file system: where paths lead, what lies on the
//! way, and what is mounted there. Everything is looked at once.

use std::cell::{OnceCell, RefCell};
use std::path::{Component, Path, PathBuf};

use secure_exec_core::mounts::{self, Mounted};
use secure_exec_sys::open::{self, Kind, Stat};
use secure_exec_sys::{Errno, Error, mount};

/// What was seen so far.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// By paths as text, which is the same for all of one folder: none has
    /// links.
    seen: RefCell<Vec<(PathBuf, Stat)>>,
    mounts: OnceCell<Vec<Mounted>>,
}

/// Where a path leads.
#[derive(Debug)]
pub(crate) struct Way {
    /// Folders and symbolic links in which the path was looked up, but for the
    /// root folder, and its end if it was looked at. Each by a path without
    /// links.
    pub(crate) steps: Vec<(PathBuf, Stat)>,
    /// Its end, as far as that can be seen without links.
    pub(crate) end: PathBuf,
    /// Why the end was not seen: it is absent, or this user may not look.
    pub(crate) unseen: Option<Error>,
}

impl Way {
    /// The symbolic links on it.
    pub(crate) fn links(&self) -> impl Iterator<Item = &(PathBuf, Stat)> {
        let links = |step: &&(PathBuf, Stat)| step.1.kind == Kind::Symlink;
        self.steps.iter().filter(links)
    }
}

/// As many links as the kernel follows (man 7 path_resolution).
const MOST_LINKS: usize = 40;

impl Sight {
    /// Follows a path by hand, as far as it exists and this user may look.
    ///
    /// # Errors
    /// It has too many links, or a folder on the way can't be examined for
    /// another reason than that it is absent or closed.
    pub(crate) fn follow(&self, path: &Path) -> Result<Way, Error> {
        self.follow_until(path, &mut |_| Ok(false))
    }

    /// The same, but only until somebody has `arrived` at what a link leads to.
    ///
    /// # Errors
    /// As [`Sight::follow`], and those of `arrived`.
    pub(crate) fn follow_until(
        &self,
        path: &Path,
        arrived: &mut dyn FnMut(&Path) -> Result<bool, Error>,
    ) -> Result<Way, Error> {
        let mut left = open::absolute(path)?;
        let mut at = PathBuf::from("/");
        let mut steps = Vec::with_capacity(8);
        let mut links = 0_usize;
        loop {
            let mut parts = left.components();
            let mut led = None;
            while let Some(part) = parts.next() {
                match part {
                    Component::RootDir => at = PathBuf::from("/"),
                    Component::ParentDir => drop(at.pop()),
                    Component::CurDir | Component::Prefix(_) => {}
                    Component::Normal(name) => {
                        at.push(name);
                        let stat = match self.stat(&at) {
                            Ok(stat) => stat,
                            Err(error) if is_unseen(&error) => {
                                at.extend(parts);
                                return Ok(Way {
                                    steps,
                                    end: at,
                                    unseen: Some(error),
                                });
                            }
                            Err(error) => return Err(error),
                        };
                        steps.push((at.clone(), stat));
                        if stat.kind == Kind::Symlink {
                            led = Some(open::read_link(&at)?.join(parts.as_path()));
                            at.pop();
                            break;
                        }
                    }
                }
            }
            let Some(next) = led else { break };
            links = links.saturating_add(1);
            if links > MOST_LINKS {
                return Err(open::too_many_links(path));
            }
            left = next;
            if let Some(end) = plain(&at, &left)
                && arrived(&end)?
            {
                return Ok(Way {
                    steps,
                    end,
                    unseen: None,
                });
            }
        }
        Ok(Way {
            steps,
            end: at,
            unseen: None,
        })
    }

    /// Examines a path without following a link at its end.
    ///
    /// # Errors
    /// As lstat(2).
    pub(crate) fn stat(&self, path: &Path) -> Result<Stat, Error> {
        let is_it = |seen: &&(PathBuf, Stat)| seen.0.as_os_str() == path.as_os_str();
        if let Some((_, stat)) = self.seen.borrow().iter().find(is_it) {
            return Ok(*stat);
        }
        let stat = open::stat_path(path, false)?;
        self.seen.borrow_mut().push((path.to_path_buf(), stat));
        Ok(stat)
    }

    /// Whether two paths without links are of the same file or folder. One that
    /// is absent is the same as none.
    ///
    /// # Errors
    /// One of them can't be examined.
    pub(crate) fn is_same(&self, one: &Path, other: &Path) -> Result<bool, Error> {
        if one == other {
            return Ok(true);
        }
        match (self.stat(one), self.stat(other)) {
            (Ok(one), Ok(other)) => Ok((one.dev, one.ino) == (other.dev, other.ino)),
            (Err(error), _) | (_, Err(error)) if !error.is_not_found() => Err(error),
            _ => Ok(false),
        }
    }

    /// The table of mounts.
    ///
    /// # Errors
    /// It can't be read.
    pub(crate) fn mounts(&self) -> Result<&[Mounted], Error> {
        if let Some(mounts) = self.mounts.get() {
            return Ok(mounts);
        }
        let mounts = mounts::parse(&mount::table()?);
        Ok(self.mounts.get_or_init(|| mounts))
    }
}

/// What is left of a way, from a folder that no links lead to; `None` where
/// only links tell what `..` means in it.
fn plain(at: &Path, left: &Path) -> Option<PathBuf> {
    let mut end = at.to_path_buf();
    let mut begun = false;
    for part in left.components() {
        match part {
            Component::RootDir => end = PathBuf::from("/"),
            Component::ParentDir if begun => return None,
            Component::ParentDir => drop(end.pop()),
            Component::CurDir | Component::Prefix(_) => {}
            Component::Normal(name) => {
                begun = true;
                end.push(name);
            }
        }
    }
    Some(end)
}

/// Nothing is there, or this user may not look.
fn is_unseen(error: &Error) -> bool {
    error.is_not_found() || error.errno() == Some(Errno::EACCES)
}
