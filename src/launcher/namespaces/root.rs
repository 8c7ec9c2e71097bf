//! The plugin's root folder: an empty one with what is granted mounted in it,
//! a fresh `/proc`, and nothing else.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use secure_exec_core::plan::namespaces::{
    Attributes, Means, Mount, NamespacePlan, Obstacle, Proc, is_in_proc,
};
use secure_exec_sys::mount::{self, Tree};
use secure_exec_sys::namespaces::{self, Identity};
use secure_exec_sys::open::{self, Kind};
use secure_exec_sys::{Errno, Error};

use crate::examined::Examined;
use crate::failure::Failure;

/// One mount, of something that was looked at before.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: String,
    /// Where it really is, behind symbolic links.
    real: String,
    identity: (u64, u64),
    is_folder: bool,
    attributes: Attributes,
    covered: bool,
}

/// Making the root folder ended here.
pub(super) struct Halted {
    pub(super) obstacle: Obstacle,
    why: String,
}

impl Halted {
    pub(super) fn failure(&self) -> Failure {
        Failure::own(format!(
            "the plugin's root folder can't be made: {}",
            self.why
        ))
    }
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
    for mount in plan.mounts.iter().filter(is_there) {
        if let Ok(file) = open::open_path(Path::new(&mount.path)) {
            places.extend(Place::of(&file, mount)?);
        }
    }
    for (path, file) in own_files(examined) {
        let mount = Mount {
            path,
            optional: false,
            attributes: OWN,
            covered: false,
        };
        places.extend(Place::of(file, &mount)?);
    }
    Ok(places)
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
    let taken: Vec<String> = files.iter().map(|(path, _)| path.clone()).collect();
    let libraries = examined.libraries.iter();
    let libraries = libraries.filter(|(path, _)| !taken.contains(path));
    files.extend(libraries.map(|(path, file)| (path.clone(), file)));
    files
}

impl Place {
    /// `None` for what lies in `/proc`: the plugin has one of its own.
    fn of(file: &OwnedFd, mount: &Mount) -> Result<Option<Self>, Failure> {
        let real = open::real_path(file.as_fd()).map_err(Failure::own)?;
        let real = real.to_string_lossy().into_owned();
        if is_in_proc(&real) {
            return Ok(None);
        }
        let stat = open::stat(file.as_fd()).map_err(Failure::own)?;
        Ok(Some(Self {
            path: mount.path.clone(),
            real,
            identity: (stat.dev, stat.ino),
            is_folder: stat.kind == Kind::Directory,
            attributes: mount.attributes,
            covered: mount.covered,
        }))
    }

    fn copy(&self) -> Result<Tree, String> {
        let tree = Tree::copy(Path::new(&self.path)).map_err(|error| self.failed(error))?;
        let found = mount::identity(&tree).map_err(|error| self.failed(error))?;
        if found != self.identity {
            return Err(self.failed("it was exchanged during the launch"));
        }
        tree.restrict(self.attributes)
            .map_err(|error| self.failed(error))?;
        Ok(tree)
    }

    fn failed(&self, why: impl std::fmt::Display) -> String {
        format!("'{}': {why}", self.path)
    }
}

/// In new namespaces: makes the root folder, changes into it, and lists what
/// was mounted. The old one is gone.
pub(super) fn build(
    plan: &NamespacePlan,
    places: &[Place],
    identity: Identity,
) -> Result<Vec<String>, Halted> {
    begin(plan.means, identity)?;
    let halted = |why: String| Halted {
        obstacle: Obstacle::Powerless,
        why,
    };
    let mut trees = Vec::with_capacity(places.len());
    for place in places {
        trees.push((place, place.copy().map_err(halted)?));
    }
    let mut trees = trees.into_iter().peekable();
    let (root, mut made) = match trees.next_if(|(place, _)| place.path == "/") {
        // A profile that grants all of the file system has it as its root.
        Some((place, tree)) => (Root { tree, own: None }, vec![shown(place)]),
        None => (Root::empty().map_err(mounting)?, Vec::new()),
    };
    root.tree.attach_on_root().map_err(mounting)?;
    for (place, tree) in trees {
        made.extend(put(&root, place, &tree).map_err(halted)?);
    }
    made.push(put_proc(&root, plan.proc)?);
    root.tree.become_root().map_err(|error| Halted {
        obstacle: Obstacle::NoRoot,
        why: error.to_string(),
    })?;
    if root.own.is_some() {
        root.tree
            .restrict_top(Attributes::default())
            .map_err(mounting)?;
    }
    Ok(made)
}

/// The root folder that is being made.
struct Root {
    tree: Tree,
    /// The device of an empty file system of the plugin's own.
    own: Option<u64>,
}

impl Root {
    fn empty() -> Result<Self, Error> {
        let options = [(c"mode", c"0755"), (c"size", c"1m")];
        let writable = Attributes {
            writable: true,
            ..Attributes::default()
        };
        let tree = Tree::new(c"tmpfs", &options, writable)?;
        let (device, _) = mount::identity(&tree)?;
        Ok(Self {
            tree,
            own: Some(device),
        })
    }

    /// Whether a file lies in the root folder itself, and so is not the
    /// host's.
    fn owns(&self, file: &OwnedFd) -> Result<bool, Error> {
        Ok(self.own == Some(mount::identity(file)?.0))
    }
}

fn begin(means: Means, identity: Identity) -> Result<(), Halted> {
    let powerless = |error: Error| Halted {
        obstacle: Obstacle::Powerless,
        why: error.to_string(),
    };
    let private = |error: Error| match error.errno() {
        // The root folder is no mount of its own.
        Some(Errno::EINVAL) => Halted {
            obstacle: Obstacle::NoRoot,
            why: error.to_string(),
        },
        _ => mounting(error),
    };
    if means == Means::UserNamespace {
        namespaces::keep_identity(identity).map_err(powerless)?;
    }
    mount::make_private().map_err(private)?;
    namespaces::hide_host_name().map_err(powerless)
}

fn put_proc(root: &Root, proc: Proc) -> Result<String, Halted> {
    let halted = |error: Error| Halted {
        obstacle: Obstacle::NoProc,
        why: format!("a fresh /proc: {error}"),
    };
    let mut options = vec![(c"hidepid", c"ptraceable")];
    if proc.only_processes {
        options.push((c"subset", c"pid"));
    }
    let attributes = Attributes {
        writable: proc.writable,
        ..Attributes::default()
    };
    let tree = Tree::new(c"proc", &options, attributes).map_err(halted)?;
    let place = find_or_make(root, "/proc", true).map_err(mounting)?;
    tree.attach(place.as_fd()).map_err(mounting)?;
    Ok(format!("/proc {}", proc.words()))
}

/// Attaches a tree at its path; `None` where it is to be seen already.
fn put(root: &Root, place: &Place, tree: &Tree) -> Result<Option<String>, String> {
    let failed = |error: Error| place.failed(error);
    match mount::open_in(&root.tree, &place.path) {
        Ok(found) => {
            let identity = mount::identity(&found).map_err(failed)?;
            if identity == place.identity && place.covered {
                return Ok(None);
            }
            if identity != place.identity && !root.owns(&found).map_err(failed)? {
                return Err(place.failed("the plugin would see another file there"));
            }
            tree.attach(found.as_fd()).map_err(failed)?;
        }
        Err(error) if error.is_not_found() => {
            let target = find_or_make(root, &place.path, place.is_folder)
                // A symbolic link in what is mounted leads to where there is
                // nothing yet.
                .or_else(|_| find_or_make(root, &place.real, place.is_folder))
                .map_err(failed)?;
            tree.attach(target.as_fd()).map_err(failed)?;
            let seen = mount::open_in(&root.tree, &place.path).map_err(failed)?;
            if mount::identity(&seen).map_err(failed)? != place.identity {
                return Err(place.failed("the plugin would see another file there"));
            }
        }
        Err(error) => return Err(failed(error)),
    }
    Ok(Some(shown(place)))
}

/// Opens a path, and makes what is missing of it, but only in the root folder
/// itself: what is mounted there is the host's.
fn find_or_make(root: &Root, path: &str, is_folder: bool) -> Result<OwnedFd, Error> {
    let mut reached = String::new();
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    let mut folder = mount::open_in(&root.tree, "/")?;
    while let Some(part) = parts.next() {
        reached = format!("{reached}/{part}");
        folder = match mount::open_in(&root.tree, &reached) {
            Ok(found) => found,
            Err(error) if error.is_not_found() && root.owns(&folder)? => {
                let is_last = parts.peek().is_none();
                mount::make_place(folder.as_fd(), part, is_folder || !is_last)?;
                mount::open_in(&root.tree, &reached)?
            }
            Err(error) => return Err(error),
        };
    }
    Ok(folder)
}

fn shown(place: &Place) -> String {
    format!("{} {}", place.path, place.attributes.words())
}

fn mounting(error: Error) -> Halted {
    let is_missing = error.errno() == Some(Errno::ENOSYS);
    Halted {
        obstacle: if is_missing {
            Obstacle::NoMountCalls
        } else {
            Obstacle::Powerless
        },
        why: error.to_string(),
    }
}
