//! What will be mounted in a plugin's root folder, looked at before anything is.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use secure_exec_core::escape::Escaped;
use secure_exec_core::mounts;
use secure_exec_core::plan::namespaces::{Attributes, Mount, NamespacePlan, is_in_proc};
use secure_exec_sys::mount::{self, Tree};
use secure_exec_sys::open::{self, Kind};
use secure_exec_sys::overlay::Workbench;

use super::linked::{self, Link};
use super::{aliases, table};
use crate::examined::Examined;
use crate::failure::Failure;
use crate::sight::Sight;

/// One mount, of something that was looked at before.
#[derive(Debug)]
pub(super) struct Place {
    /// Where it really is, behind symbolic links.
    pub(super) real: String,
    pub(super) identity: (u64, u64),
    pub(super) is_folder: bool,
    pub(super) mount: Mount,
    /// The links by which its path leads there.
    pub(super) links: Vec<Link>,
    /// Another place's mount shows it, and only its links are to be made.
    pub(super) is_twin: bool,
}

/// Programs and libraries are read and mapped.
const OWN: Attributes = Attributes {
    writable: false,
    executable: true,
    devices: false,
};

/// Looks at the plan's mounts and the plugin's own files. What is absent and
/// may not be was complained of when its rule was made.
pub(super) fn places(
    plan: &NamespacePlan,
    examined: &Examined,
    absent: &[String],
) -> Result<Vec<Place>, Failure> {
    let mut places = Vec::with_capacity(plan.mounts.len());
    let is_there = |mount: &&Mount| {
        absent
            .iter()
            .all(|path| Path::new(path) != Path::new(&mount.path))
    };
    let sight = Sight::default();
    for mount in plan.mounts.iter().filter(is_there) {
        if let Ok(file) = open::open_path(Path::new(&mount.path)) {
            places.extend(Place::of(&file, mount, &sight)?);
        }
    }
    aliases::take_execution_away(&mut places)?;
    linked::add_up(&mut places)?;
    for (path, file) in own_files(examined) {
        let nearest = places.iter().filter(|place: &&Place| {
            path.strip_prefix(place.path())
                .is_some_and(|rest| rest.starts_with('/'))
        });
        let nearest = nearest.max_by_key(|place| place.path().len());
        let mount = Mount {
            optional: false,
            attributes: OWN,
            covered: false,
            apart: false,
            is_in_apart: nearest.is_some_and(|place| place.mount.apart),
            path,
        };
        places.extend(Place::of(file, &mount, &sight)?);
    }
    if plan.overlays {
        follow(&places)?;
    }
    Ok(places)
}

/// An overlay does not show what is mounted in a folder, but what lies there
/// beneath.
fn follow(places: &[Place]) -> Result<(), Failure> {
    let mounts = mounts::parse(&table("/proc/self/mountinfo").map_err(Failure::own)?);
    let is_below = |path: &str, above: &Place| {
        let rest = path.strip_prefix(&above.real);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    for place in places.iter().filter(|place| place.mount.apart) {
        let is_hidden = |point: &str| {
            let mut others = places.iter().filter(|other| is_below(&other.real, place));
            others.any(|other| other.real == point || is_below(point, other))
        };
        let lost = mounts
            .iter()
            .find(|mounted| is_below(&mounted.point, place) && !is_hidden(&mounted.point));
        if let Some(lost) = lost {
            let (path, lost) = (Escaped(place.path()), Escaped(&lost.point));
            return Err(Failure::own(format!(
                "the path '{path}' of the profile (apart): something is mounted in it, at '{lost}', which it would not show\n                 Name '{lost}' under 'read' or 'apart', too, or '{path}' under 'read'."
            )));
        }
    }
    Ok(())
}

/// The program and what it needs to start, by the paths at which it is looked
/// for.
fn own_files(examined: &Examined) -> Vec<(String, &OwnedFd)> {
    let mut files = Vec::new();
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let program = match &examined.interpreter {
        Some(interpreter) => {
            if interpreter.file.has_path() {
                files.push((text(&interpreter.path), interpreter.file.file()));
            }
            Some(interpreter.program.clone())
        }
        None => {
            if examined.image.has_path() {
                files.push((text(&examined.path), examined.image.file()));
            }
            examined.image.program().ok()
        }
    };
    if let Some(loader) = &examined.loader
        && let Some(path) = program.and_then(|program| program.interpreter)
    {
        files.push((path, loader));
    }
    let loaders = examined.loaders.iter();
    files.extend(loaders.map(|(path, file)| (path.clone(), file)));
    for script in examined.read_in_place() {
        files.extend(script.place().map(|place| (text(place), script.file())));
    }
    if examined.interpreter.is_some() && examined.image.has_path() {
        // What the plugin is told is its real path leads to it as well.
        files.push((text(&examined.path), examined.image.file()));
    }
    let taken: Vec<String> = files.iter().map(|(path, _)| path.clone()).collect();
    let libraries = examined.libraries.iter();
    let libraries = libraries.filter(|(path, _)| !taken.contains(path));
    files.extend(libraries.map(|(path, file)| (path.clone(), file)));
    files
}

impl Place {
    /// `None` for what lies in `/proc`: the plugin has one of its own.
    fn of(file: &OwnedFd, mount: &Mount, sight: &Sight) -> Result<Option<Self>, Failure> {
        let real = open::real_path(file.as_fd()).map_err(Failure::own)?;
        let real = real.to_string_lossy().into_owned();
        if is_in_proc(&real) {
            return Ok(None);
        }
        let stat = open::stat(file.as_fd()).map_err(Failure::own)?;
        let is_folder = stat.kind == Kind::Directory;
        if mount.apart && !is_folder {
            let path = Escaped(&mount.path);
            return Err(Failure::own(format!(
                "the path '{path}' of the profile (apart) is no folder\nName its folder, or name it under 'read'."
            )));
        }
        Ok(Some(Self {
            links: linked::links(sight, &mount.path, &real)?,
            is_twin: false,
            real,
            identity: (stat.dev, stat.ino),
            is_folder,
            mount: mount.clone(),
        }))
    }

    pub(super) fn path(&self) -> &str {
        &self.mount.path
    }

    /// Where it is mounted: where it really is, if its links are known.
    pub(super) fn at(&self) -> &str {
        if self.links.is_empty() {
            self.path()
        } else {
            &self.real
        }
    }

    /// A copy of it, restricted.
    ///
    /// # Errors
    /// A sentence: why there is none.
    pub(super) fn copy(&self) -> Result<Tree, String> {
        let tree = Tree::copy(Path::new(self.path())).map_err(|error| self.failed(error))?;
        let found = mount::identity(&tree).map_err(|error| self.failed(error))?;
        if found != self.identity {
            return Err(self.failed("it was exchanged during the launch"));
        }
        tree.restrict(self.mount.attributes)
            .map_err(|error| self.failed(error))?;
        Ok(tree)
    }

    /// An overlay of its copy.
    ///
    /// # Errors
    /// A sentence: why there is none.
    pub(super) fn overlay(&self, tree: &Tree, workbench: &mut Workbench) -> Result<Tree, String> {
        let shown = workbench.show(tree);
        shown.map_err(|error| {
            self.failed(format_args!(
                "{error}\nIts file system can't be shown apart, or something is mounted in it. Name it under 'read'."
            ))
        })
    }

    /// What went wrong with it, as a sentence.
    pub(super) fn failed(&self, why: impl std::fmt::Display) -> String {
        format!("'{}': {why}", Escaped(self.path()))
    }
}
