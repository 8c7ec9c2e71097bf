//! Folders shown through an overlay (overlayfs): a file system of its own,
//! whose inodes are not those beneath. Nothing that is done to the inodes
//! themselves, such as a lock, gets through.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd as _;

use nix::errno::Errno;
use secure_exec_core::plan::namespaces::Attributes;

use crate::Error;
use crate::mount::{self, Tree};

/// Where folders lie while overlays of them are made: an overlay finds what it
/// shows by a path. The process's working folder until it ends.
#[derive(Debug)]
pub struct Workbench {
    tree: Tree,
    made: usize,
}

/// An overlay that is never written wants two folders.
const EMPTY: &str = "empty";

impl Workbench {
    /// Begins one, in this process's mount namespace.
    ///
    /// # Errors
    /// As fsopen(2), move_mount(2) and mkdirat(2).
    pub fn begin() -> Result<Self, Error> {
        let options = [(c"mode", c"0700"), (c"size", c"1m")];
        let writable = Attributes {
            writable: true,
            ..Attributes::default()
        };
        let tree = Tree::new(c"tmpfs", &options, writable)?;
        tree.attach_on_root()?;
        nix::unistd::fchdir(&tree).map_err(Error::call("change into the workbench"))?;
        mount::make_place(tree.as_fd(), EMPTY, true)?;
        Ok(Self { tree, made: 0 })
    }

    /// The folder at the top of a tree, through an overlay. What is mounted
    /// below it is not followed.
    ///
    /// # Errors
    /// As fsopen(2) and fsconfig(2): something is mounted below it and must
    /// stay hidden (man 7 mount_namespaces), or its file system can't be shown
    /// so.
    pub fn show(&mut self, folder: &Tree) -> Result<Tree, Error> {
        let name = self.place()?;
        folder.attach(mount::open_in(&self.tree, &name)?.as_fd())?;
        self.overlay(&name)
    }

    /// Whether overlays can be made at all.
    ///
    /// # Errors
    /// As fsopen(2) and fsconfig(2); `ENODEV` where the kernel has none.
    pub fn try_one(&mut self) -> Result<(), Error> {
        let name = self.place()?;
        self.overlay(&name).map(drop)
    }

    /// Ends it. The overlays stay.
    ///
    /// # Errors
    /// As umount2(2).
    pub fn end(self) -> Result<(), Error> {
        nix::unistd::fchdir(&self.tree).map_err(Error::call("change into the workbench"))?;
        mount::detach_here()
    }

    fn place(&mut self) -> Result<String, Error> {
        let name = self.made.to_string();
        self.made = self.made.saturating_add(1);
        mount::make_place(self.tree.as_fd(), &name, true)?;
        Ok(name)
    }

    fn overlay(&self, name: &str) -> Result<Tree, Error> {
        let folders = CString::new(format!("{name}:{EMPTY}"))
            .map_err(|_| Error::call("make an overlay")(Errno::EINVAL))?;
        let options: [(&CStr, &CStr); 3] = [
            (c"lowerdir", &folders),
            // Attributes of files that lead elsewhere are not followed.
            (c"redirect_dir", c"nofollow"),
            (c"metacopy", c"off"),
        ];
        Tree::new(c"overlay", &options, Attributes::default())
    }
}
