//! The plugin's root folder: an empty one with what is granted mounted in it,
//! a fresh `/proc`, and nothing else.

use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use secure_exec_core::plan::namespaces::{
    Attributes, Means, NamespacePlan, Obstacle, Proc, SHARED_MEMORY, SharedMemory,
};
use secure_exec_core::profile::TEMPORARY;
use secure_exec_sys::mount::{self, Tree};
use secure_exec_sys::namespaces::{self, Identity};
use secure_exec_sys::overlay::Workbench;
use secure_exec_sys::{Errno, Error};

use super::copied;
use super::linked::Link;
use super::places::Place;
use crate::failure::Failure;
use crate::image::Image;

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
    copies: &[&Image],
    identity: Identity,
) -> Result<Vec<String>, Halted> {
    begin(plan, identity)?;
    let halted = |why: String| Halted {
        obstacle: Obstacle::Powerless,
        why,
    };
    let mut trees = Vec::with_capacity(places.len());
    for place in places {
        let tree = (!place.is_twin).then(|| place.copy()).transpose();
        trees.push((place, tree.map_err(halted)?));
    }
    let mut trees = trees.into_iter().peekable();
    let (mut root, mut made) = match trees.next_if(|(place, _)| place.path() == "/") {
        // A profile that grants all of the file system has it as its root.
        Some((place, Some(tree))) => {
            let own = Vec::new();
            (Root { tree, own }, vec![shown(place)])
        }
        _ => (Root::empty().map_err(mounting)?, Vec::new()),
    };
    let is_empty = !root.own.is_empty();
    root.tree.attach_on_root().map_err(mounting)?;
    let mut pending = Pending::of(plan);
    let mut workbench = plan.overlays.then(begin_overlays).transpose()?;
    for (place, tree) in trees {
        made.extend(pending.above(place, &mut root).map_err(mounting)?);
        for link in &place.links {
            root.link(link).map_err(mounting)?;
        }
        let Some(mut tree) = tree else {
            find_twin(&root, place).map_err(halted)?;
            continue;
        };
        let mut identity = place.identity;
        if let Some(workbench) = workbench.as_mut().filter(|_| place.mount.apart) {
            tree = place.overlay(&tree, workbench).map_err(halted)?;
            identity = mount::identity(&tree).map_err(mounting)?;
        }
        made.extend(put(&root, place, &tree, identity).map_err(halted)?);
    }
    made.extend(pending.rest(&mut root).map_err(mounting)?);
    if let Some(workbench) = workbench {
        workbench.end().map_err(mounting)?;
    }
    if let Some(memory) = plan.shared_memory {
        made.extend(put_shared_memory(&root, memory).map_err(mounting)?);
    }
    for image in copies {
        made.extend(copied::put(&root, image).map_err(halted)?);
    }
    made.push(put_proc(&root, plan.proc)?);
    name_descriptors(&root).map_err(mounting)?;
    root.tree.become_root().map_err(|error| Halted {
        obstacle: Obstacle::NoRoot,
        why: error.to_string(),
    })?;
    if is_empty {
        root.tree
            .restrict_top(Attributes::default())
            .map_err(mounting)?;
    }
    Ok(made)
}

/// The root folder that is being made.
pub(super) struct Root {
    tree: Tree,
    /// The devices of file systems of the plugin's own, which were empty.
    own: Vec<u64>,
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
            own: vec![device],
        })
    }

    /// A folder of it, made if it is missing.
    pub(super) fn folder(&self, path: &str) -> Result<OwnedFd, Error> {
        find_or_make(self, path, true)
    }

    /// Whether a folder lies in the root folder itself, which is read-only
    /// once it is made.
    pub(super) fn is_lasting(&self, folder: &OwnedFd) -> Result<bool, Error> {
        let device = mount::identity(folder)?.0;
        Ok(self.own.first() == Some(&device))
    }

    /// Makes a link where there is none. In what is mounted there is.
    fn link(&self, link: &Link) -> Result<(), Error> {
        let path = Path::new(&link.path);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(());
        };
        let folder = match find_or_make(self, &folder.to_string_lossy(), true) {
            // What a link in another folder leads to; that it does is seen to.
            Err(error) if error.is_not_found() => return Ok(()),
            folder => folder?,
        };
        if !self.owns(&folder)? {
            return Ok(());
        }
        mount::make_link(folder.as_fd(), Path::new(name), Path::new(&link.target))
    }

    /// Whether a file lies in the root folder itself or in another folder of the
    /// plugin's own, and so is not the host's.
    fn owns(&self, file: &OwnedFd) -> Result<bool, Error> {
        Ok(self.own.contains(&mount::identity(file)?.0))
    }
}

fn begin(plan: &NamespacePlan, identity: Identity) -> Result<(), Halted> {
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
    if plan.means == Means::UserNamespace {
        namespaces::keep_identity(identity).map_err(powerless)?;
    }
    mount::make_private().map_err(private)?;
    // In the host's network the name is one that programs look up there.
    if plan.own_network {
        namespaces::hide_host_name().map_err(powerless)?;
    }
    Ok(())
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
    memory_tree(memory)?.attach(place.as_fd())?;
    Ok(Some(format!("{SHARED_MEMORY} {}", memory.words())))
}

fn memory_tree(memory: SharedMemory) -> Result<Tree, Error> {
    // NUL-free: digits.
    let size = memory.size.map(|size| CString::new(size.to_string()));
    let size = size.transpose().unwrap_or_default();
    let files = CString::new(SharedMemory::FILES).unwrap_or_default();
    let mut options = vec![(c"mode", c"1777"), (c"nr_inodes", files.as_c_str())];
    options.extend(size.as_deref().map(|size| (c"size", size)));
    Tree::new(c"tmpfs", &options, SharedMemory::ATTRIBUTES)
}

/// Folders for temporary files that are still to be made: after what lies above
/// them, and before what lies in them.
struct Pending {
    memory: Option<SharedMemory>,
    folders: Vec<&'static str>,
}

impl Pending {
    fn of(plan: &NamespacePlan) -> Self {
        Self {
            memory: plan.temporary,
            folders: match plan.temporary {
                Some(_) => TEMPORARY.to_vec(),
                None => Vec::new(),
            },
        }
    }

    fn above(&mut self, place: &Place, root: &mut Root) -> Result<Vec<String>, Error> {
        let path = Path::new(place.at());
        self.put(root, &|folder| path.starts_with(folder))
    }

    fn rest(&mut self, root: &mut Root) -> Result<Vec<String>, Error> {
        self.put(root, &|_| true)
    }

    fn put(
        &mut self,
        root: &mut Root,
        is_next: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<String>, Error> {
        let Some(memory) = self.memory else {
            return Ok(Vec::new());
        };
        let mut made = Vec::new();
        let (next, later) = self.folders.iter().partition(|folder| is_next(folder));
        self.folders = later;
        let next: Vec<&str> = next;
        for folder in next {
            let tree = memory_tree(memory)?;
            let (device, _) = mount::identity(&tree)?;
            let place = find_or_make(root, folder, true)?;
            tree.attach(place.as_fd())?;
            root.own.push(device);
            made.push(format!("{folder} {}", memory.words()));
        }
        Ok(made)
    }
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
            let target = find_or_make(root, place.at(), place.is_folder)
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

/// What another place's mount shows is at this one's path as well.
fn find_twin(root: &Root, place: &Place) -> Result<(), String> {
    let failed = |error: Error| place.failed(error);
    let found = mount::open_in(&root.tree, place.path()).map_err(failed)?;
    // An overlay's inodes say nothing.
    if place.mount.is_in_apart || mount::identity(&found).map_err(failed)? == place.identity {
        return Ok(());
    }
    Err(place.failed("the plugin would see another file there"))
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
