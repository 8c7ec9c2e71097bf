//! The plugin's root folder: an empty one with what is granted mounted in it,
//! a fresh `/proc`, and nothing else.

use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use secure_exec_core::plan::namespaces::{
    Attributes, Means, NamespacePlan, Obstacle, Proc, SHARED_MEMORY, SharedMemory,
};
use secure_exec_sys::mount::{self, Tree};
use secure_exec_sys::namespaces::{self, Identity};
use secure_exec_sys::overlay::Workbench;
use secure_exec_sys::{Errno, Error};

use super::places::Place;
use crate::failure::Failure;

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
    let (root, mut made) = match trees.next_if(|(place, _)| place.path() == "/") {
        // A profile that grants all of the file system has it as its root.
        Some((place, tree)) => (Root { tree, own: None }, vec![shown(place)]),
        None => (Root::empty().map_err(mounting)?, Vec::new()),
    };
    root.tree.attach_on_root().map_err(mounting)?;
    let mut workbench = plan.overlays.then(begin_overlays).transpose()?;
    for (place, mut tree) in trees {
        let mut identity = place.identity;
        if let Some(workbench) = workbench.as_mut().filter(|_| place.mount.apart) {
            tree = place.overlay(&tree, workbench).map_err(halted)?;
            identity = mount::identity(&tree).map_err(mounting)?;
        }
        made.extend(put(&root, place, &tree, identity).map_err(halted)?);
    }
    if let Some(workbench) = workbench {
        workbench.end().map_err(mounting)?;
    }
    if let Some(memory) = plan.shared_memory {
        made.extend(put_shared_memory(&root, memory).map_err(mounting)?);
    }
    made.push(put_proc(&root, plan.proc)?);
    name_descriptors(&root).map_err(mounting)?;
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

/// The names by which programs open the descriptors that they have. Where the
/// plugin sees the host's `/dev` they are there.
fn name_descriptors(root: &Root) -> Result<(), Error> {
    let folder = find_or_make(root, "/dev", true)?;
    if !root.owns(&folder)? {
        return Ok(());
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        mount::make_link(folder.as_fd(), Path::new(name), Path::new(target))?;
    }
    Ok(())
}

/// Where there is none of the host's either it is left out: `/dev` is the
/// host's then.
fn put_shared_memory(root: &Root, memory: SharedMemory) -> Result<Option<String>, Error> {
    let Ok(place) = find_or_make(root, SHARED_MEMORY, true) else {
        return Ok(None);
    };
    // NUL-free: digits.
    let size = memory.size.map(|size| CString::new(size.to_string()));
    let size = size.transpose().unwrap_or_default();
    let files = CString::new(SharedMemory::FILES).unwrap_or_default();
    let mut options = vec![(c"mode", c"1777"), (c"nr_inodes", files.as_c_str())];
    options.extend(size.as_deref().map(|size| (c"size", size)));
    let tree = Tree::new(c"tmpfs", &options, SharedMemory::ATTRIBUTES)?;
    tree.attach(place.as_fd())?;
    Ok(Some(format!("{SHARED_MEMORY} {}", memory.words())))
}

fn begin_overlays() -> Result<Workbench, Halted> {
    let halted = |error: Error| Halted {
        obstacle: Obstacle::NoOverlay,
        why: error.to_string(),
    };
    let mut workbench = Workbench::begin().map_err(mounting)?;
    workbench.try_one().map_err(halted)?;
    Ok(workbench)
}

/// Attaches a tree at its path, where this is to be seen then; `None` where it
/// is already.
fn put(root: &Root, place: &Place, tree: &Tree, top: (u64, u64)) -> Result<Option<String>, String> {
    let failed = |error: Error| place.failed(error);
    match mount::open_in(&root.tree, place.path()) {
        Ok(found) => {
            let identity = mount::identity(&found).map_err(failed)?;
            if identity == place.identity && place.mount.covered {
                return Ok(None);
            }
            // Of an overlay's inodes the identity says nothing. Without links
            // on the way it is the one that stands for what is at that path.
            let stands_for_it =
                place.mount.is_in_apart && mount::open_plain_in(&root.tree, place.path()).is_ok();
            if identity != place.identity && !stands_for_it && !root.owns(&found).map_err(failed)? {
                return Err(place.failed("the plugin would see another file there"));
            }
            tree.attach(found.as_fd()).map_err(failed)?;
        }
        Err(error) if error.is_not_found() => {
            let target = find_or_make(root, place.path(), place.is_folder)
                // A symbolic link in what is mounted leads to where there is
                // nothing yet.
                .or_else(|_| find_or_make(root, &place.real, place.is_folder))
                .map_err(failed)?;
            tree.attach(target.as_fd()).map_err(failed)?;
            let seen = mount::open_in(&root.tree, place.path()).map_err(failed)?;
            if mount::identity(&seen).map_err(failed)? != top {
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
    format!("{} {}", place.path(), place.mount.words())
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
