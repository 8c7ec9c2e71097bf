//! What the kernel refused, and during which operation.

use std::fmt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// A failed operation of this package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A system call failed.
    System {
        /// What was being done, as a phrase ("open", "seal the image").
        operation: &'static str,
        /// The path it was done to.
        path: Option<PathBuf>,
        /// The kernel's answer.
        errno: Errno,
    },
    /// An open file has no name any more, or another file has it.
    Replaced {
        /// What was being done.
        operation: &'static str,
    },
    /// The kernel answered something that can't be worked with.
    Unexpected {
        /// What was being done.
        operation: &'static str,
        /// What is wrong, as a phrase.
        what: String,
    },
}

impl Error {
    pub(crate) fn call(operation: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::System {
            operation,
            path: None,
            errno,
        }
    }

    pub(crate) fn at(operation: &'static str, path: &Path) -> impl Fn(Errno) -> Self {
        move |errno| Self::System {
            operation,
            path: Some(path.to_path_buf()),
            errno,
        }
    }

    /// For the standard library's wrappers, whose errors have a number where
    /// the kernel gave the answer.
    pub(crate) fn io(operation: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |error| match error.raw_os_error() {
            Some(number) => Self::call(operation)(Errno::from_raw(number)),
            None => Self::unexpected(operation, error),
        }
    }

    pub(crate) fn unexpected(operation: &'static str, what: impl fmt::Display) -> Self {
        Self::Unexpected {
            operation,
            what: what.to_string(),
        }
    }

    /// The kernel's answer, where a system call failed (man 3 errno).
    #[must_use]
    pub const fn errno(&self) -> Option<Errno> {
        match self {
            Self::System { errno, .. } => Some(*errno),
            Self::Replaced { .. } | Self::Unexpected { .. } => None,
        }
    }

    /// The thing is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::System {
                errno: Errno::ENOENT | Errno::ENOTDIR,
                ..
            }
        )
    }

    /// What was open was replaced meanwhile, or a folder on the way to it.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        matches!(self, Self::Replaced { .. }) || self.is_not_found()
    }

    /// The caller may not.
    #[must_use]
    pub fn is_access_denied(&self) -> bool {
        self.errno() == Some(Errno::EACCES)
    }

    /// Path resolution left its root, or met a magic link or a loop.
    #[must_use]
    pub fn is_traversal(&self) -> bool {
        matches!(
            self,
            Self::System {
                errno: Errno::EXDEV | Errno::ELOOP,
                ..
            }
        )
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System {
                operation, errno, ..
            } => {
                write!(f, "{operation}: {} ({errno:?})", errno.desc())?;
                match errno {
                    // Linux 5.8 has every call that there is no way around.
                    Errno::ENOSYS => f.write_str(
                        "; use Linux 5.8 or newer, and a container runtime whose filter lets the call through",
                    ),
                    _ => Ok(()),
                }
            }
            Self::Replaced { operation } => write!(
                f,
                "{operation}: it was deleted or replaced meanwhile; try again once its update is done"
            ),
            Self::Unexpected { operation, what } => write!(f, "{operation}: {what}"),
        }
    }
}
