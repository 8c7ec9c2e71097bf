//! What a launch goes by: every path that it opens in order to decide, written
//! down where it is opened. Whoever could write one of them decides what the
//! next launch does.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A path that a launch went by, or would have gone by if it were there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A file, with those beside it that are named after it: a signature, what
    /// an audit log was rotated to.
    File(PathBuf),
    /// A file that launches execute, or read what to execute from. Files
    /// beside it are other programs, or its data.
    Program(PathBuf),
    /// A file that launches load code from where it lies, whoever could write
    /// it.
    Library(PathBuf),
    /// A folder of which every file counts.
    Folder(PathBuf),
}

impl Kept {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Program(path) | Self::Library(path) | Self::Folder(path) => {
                path
            }
        }
    }

    /// Whether a file of this name, in the same folder or in this one, is of
    /// it.
    #[must_use]
    pub fn names(&self, name: &str) -> bool {
        match self {
            Self::Folder(_) => true,
            Self::Program(path) | Self::Library(path) => {
                path.file_name().is_some_and(|own| own == name)
            }
            Self::File(path) => path.file_name().is_some_and(|own| {
                let own = own.to_string_lossy();
                let name = name.strip_prefix('.').unwrap_or(name);
                let own = own.strip_prefix('.').unwrap_or(&own);
                let rest = name.strip_prefix(own);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }),
        }
    }
}

/// Collects them. To open a configuration file takes one, so that none is
/// forgotten. A clone is the same trail.
#[derive(Clone, Debug, Default)]
pub struct Trail(Rc<RefCell<Vec<Kept>>>);

impl Trail {
    /// Adds a file.
    pub fn file(&self, path: impl Into<PathBuf>) {
        self.add(Kept::File(path.into()));
    }

    /// Adds a program.
    pub fn program(&self, path: impl Into<PathBuf>) {
        self.add(Kept::Program(path.into()));
    }

    /// Adds a library.
    pub fn library(&self, path: impl Into<PathBuf>) {
        self.add(Kept::Library(path.into()));
    }

    /// Adds a folder.
    pub fn folder(&self, path: impl Into<PathBuf>) {
        self.add(Kept::Folder(path.into()));
    }

    /// Another trail that begins with what this one collected.
    #[must_use]
    pub fn fork(&self) -> Self {
        let fork = Self::default();
        fork.follow(self);
        fork
    }

    /// Adds what another collected.
    pub fn follow(&self, other: &Self) {
        let other = other.kept();
        self.0.borrow_mut().extend(other);
    }

    /// Whether something that was collected is such.
    pub(crate) fn any(&self, is_such: impl Fn(&Kept) -> bool) -> bool {
        self.0.borrow().iter().any(is_such)
    }

    /// What was collected.
    #[must_use]
    pub fn kept(&self) -> Vec<Kept> {
        self.0.borrow().clone()
    }

    fn add(&self, kept: Kept) {
        self.0.borrow_mut().push(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_after_a_file_is_of_it() {
        let log = Kept::File("/var/log/audit.log".into());
        for name in [
            "audit.log",
            "audit.log.000001.gz",
            "audit.log.head",
            ".audit.log.state",
        ] {
            assert!(log.names(name), "{name}");
        }
        for name in ["audit", "audit.logs", "other.audit.log", "log"] {
            assert!(!log.names(name), "{name}");
        }
        assert!(Kept::Folder("/profiles.d".into()).names("any"));
    }
}
