//! Who may own, and be able to write, what a launch goes by. All that the
//! launcher believes is asked here: whitelist, configuration, profiles, keys,
//! secrets, interpreters, libraries, and the folders on the way to them.
//!
//! "The file's owner" is nobody: a file of a stranger's is his, however private
//! he keeps it. Nor is the overflow id somebody (`/proc/sys/kernel/overflowuid`,
//! 65534): the kernel shows it in place of every owner that a user namespace
//! does not map (man 7 `user_namespaces`), so two files that have it may belong
//! to two users.

use std::fmt;
use std::path::{Path, PathBuf};

use secure_exec_core::escape::Escaped;
use secure_exec_sys::open::Stat;
use secure_exec_sys::{Error, process};

/// Whom a file is to be trusted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// Root alone: nothing else vouches for the file.
    Root,
    /// Root and the user that launches, who names the file.
    RootAndCaller,
}

/// A file or folder that somebody else owns or can write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    path: PathBuf,
    flaw: Flaw,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Its mode lets others write.
    Writable(Owners, u32),
    /// It belongs to this user.
    Stranger(Owners, u32),
    /// Its owner has no id here.
    Unmapped(u32),
    /// So has this launch's user.
    Nobody(u32),
}

impl Owners {
    /// What is wrong with a file or folder, if something is.
    ///
    /// # Errors
    /// The kernel's overflow id can't be read.
    pub(crate) fn check(self, path: &Path, stat: &Stat) -> Result<Option<Finding>, Error> {
        let flaw = match self.stranger(stat.uid)? {
            None if others_can_write(stat) => Some(Flaw::Writable(self, stat.mode)),
            flaw => flaw,
        };
        Ok(flaw.map(|flaw| Finding {
            path: path.to_path_buf(),
            flaw,
        }))
    }

    /// Whether it belongs to somebody else, whoever may write it.
    ///
    /// # Errors
    /// As [`Owners::check`].
    pub(crate) fn check_owner(self, path: &Path, stat: &Stat) -> Result<Option<Finding>, Error> {
        let path = path.to_path_buf();
        let flaw = self.stranger(stat.uid)?;
        Ok(flaw.map(|flaw| Finding { path, flaw }))
    }

    fn stranger(self, owner: u32) -> Result<Option<Flaw>, Error> {
        if owner == 0 {
            return Ok(None);
        }
        let is_caller = self == Self::RootAndCaller && owner == process::effective_user();
        let is_nobody = owner == process::overflow_user()?;
        Ok(match (is_caller, is_nobody) {
            (true, false) => None,
            (true, true) => Some(Flaw::Nobody(owner)),
            (false, true) => Some(Flaw::Unmapped(owner)),
            (false, false) => Some(Flaw::Stranger(self, owner)),
        })
    }
}

/// Whether its mode lets others than the owner write. With an access list the
/// group's bits are the most that anybody gets by it (man 5 acl).
pub(crate) const fn others_can_write(stat: &Stat) -> bool {
    stat.mode & 0o022 != 0
}

impl Finding {
    /// Its owner is trusted; its mode lets others write.
    pub(crate) const fn is_of_mode(&self) -> bool {
        matches!(self.flaw, Flaw::Writable(..))
    }

    /// What is wrong, as a phrase that follows the file's name.
    #[must_use]
    pub fn phrase(&self) -> String {
        match self.flaw {
            Flaw::Writable(Owners::Root, mode) => {
                format!("can be written by others than root (mode {mode:04o})")
            }
            Flaw::Writable(Owners::RootAndCaller, mode) => format!(
                "can be written by others than root and this launch's user (mode {mode:04o})"
            ),
            Flaw::Stranger(Owners::Root, owner) => format!("belongs to user {owner}, not to root"),
            Flaw::Stranger(Owners::RootAndCaller, owner) => {
                format!("belongs to user {owner}, who is neither root nor this launch's user")
            }
            Flaw::Unmapped(owner) => format!(
                "belongs to user {owner}, which stands for every owner that has no id in this user namespace: \
                 map the owner into it, or use a copy that belongs to this launch's user"
            ),
            Flaw::Nobody(owner) => format!(
                "belongs to user {owner}, as this launch does; that id stands for every owner that has none in this \
                 user namespace: launch as a user that has an id of its own"
            ),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.to_string_lossy();
        write!(f, "'{}' {}", Escaped(&path), self.phrase())
    }
}
