//! Opening a path under conditions: beneath a folder, without magic links. The
//! kernel does it in one call (man 2 openat2, Linux 5.6). Where that can't be
//! had, as an older kernel lacks it or a filter around the launcher hides it,
//! the path is walked here, name by name: no folder on the way is looked up
//! twice, and no link is followed but by its text.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::Mode;
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC};

use crate::open::{Kind, READ, Stat};

/// Where a path may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Anywhere; a relative one begins in the working directory.
    Anywhere,
    /// Nowhere but beneath the folder: else `EXDEV`.
    Beneath,
    /// The folder is the root: nothing leads out of it.
    Root,
}

/// What links may stand on the way: others are `ELOOP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// Symbolic links, but magic ones (man 7 symlink).
    Symbolic,
    /// None.
    None,
}

/// What is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A file for reading.
    Read,
    /// A mere reference (`O_PATH`).
    Reference,
}

impl Purpose {
    const fn flags(self) -> OFlag {
        match self {
            Self::Read => READ,
            Self::Reference => REFERENCE,
        }
    }
}

const REFERENCE: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

/// Opens a path from an open folder on, or from the working directory.
///
/// # Errors
/// As openat2(2).
pub(crate) fn resolve(
    from: BorrowedFd<'_>,
    path: &Path,
    purpose: Purpose,
    scope: Scope,
    links: Links,
) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new().flags(purpose.flags()).resolve(
        match scope {
            Scope::Anywhere => ResolveFlag::empty(),
            Scope::Beneath => ResolveFlag::RESOLVE_BENEATH,
            Scope::Root => ResolveFlag::RESOLVE_IN_ROOT,
        } | match links {
            Links::Symbolic => ResolveFlag::RESOLVE_NO_MAGICLINKS,
            Links::None => ResolveFlag::RESOLVE_NO_SYMLINKS,
        },
    );
    // EAGAIN: a rename elsewhere made the kernel unsure (man 2 openat2).
    for _ in 0..ATTEMPTS {
        match openat2(from, path, how) {
            Err(Errno::EAGAIN) => {}
            // What filters answer for a call that they do not admit. Where the
            // kernel meant the file, the walk meets the same answer.
            Err(Errno::ENOSYS | Errno::EPERM) => {
                return walk(from, path, purpose, scope, links);
            }
            other => return other,
        }
    }
    Err(Errno::EAGAIN)
}

const ATTEMPTS: usize = 32;
/// As many links as the kernel follows (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// The same by openat(2) and readlinkat(2).
pub(crate) fn walk(
    from: BorrowedFd<'_>,
    path: &Path,
    purpose: Purpose,
    scope: Scope,
    links: Links,
) -> Result<OwnedFd, Errno> {
    let text = path.as_os_str().as_bytes();
    if text.is_empty() {
        return Err(Errno::ENOENT);
    }
    let mut walk = Walk {
        scope,
        folders: vec![openat(
            from,
            ".",
            REFERENCE | OFlag::O_DIRECTORY,
            Mode::empty(),
        )?],
        names: Vec::new(),
    };
    walk.push(text)?;
    let mut followed = 0;
    let mut attempts = 0;
    while let Some(name) = walk.names.pop() {
        let is_last = walk.names.is_empty();
        let name = match &*name {
            // Of a path that ends in '/': a folder itself.
            b"" | b"." if !is_last => continue,
            b".." => {
                walk.up()?;
                if !is_last {
                    continue;
                }
                b".".to_vec()
            }
            b"" => b".".to_vec(),
            _ => name,
        };
        let folder = walk.folder()?;
        let found = openat(folder, &*name, REFERENCE | OFlag::O_NOFOLLOW, Mode::empty())?;
        let stat = nix::sys::stat::fstat(&found).map(Stat::from)?;
        if stat.kind == Kind::Symlink {
            followed += 1;
            if links == Links::None || followed > MOST_LINKS {
                return Err(Errno::ELOOP);
            }
            let target = follow(folder, &found, &stat, is_last)?;
            walk.push(&target)?;
            continue;
        }
        if !is_last {
            if stat.kind != Kind::Directory {
                return Err(Errno::ENOTDIR);
            }
            walk.folders.push(found);
            continue;
        }
        if purpose == Purpose::Reference {
            return Ok(found);
        }
        match openat(
            folder,
            &*name,
            purpose.flags() | OFlag::O_NOFOLLOW,
            Mode::empty(),
        ) {
            // A link has been put there since.
            Err(Errno::ELOOP) if attempts < ATTEMPTS => {
                attempts += 1;
                walk.names.push(name);
            }
            opened => return opened,
        }
    }
    Err(Errno::ENOENT)
}

/// How far a walk has come.
struct Walk {
    scope: Scope,
    /// From where it began to where it is.
    folders: Vec<OwnedFd>,
    /// The names that are left, the next one last.
    names: Vec<Vec<u8>>,
}

impl Walk {
    fn folder(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.folders
            .last()
            .map(|last| last.as_fd())
            .ok_or(Errno::ENOENT)
    }

    /// Puts a path before the names that are left.
    fn push(&mut self, path: &[u8]) -> Result<(), Errno> {
        if path.starts_with(b"/") {
            match self.scope {
                Scope::Beneath => return Err(Errno::EXDEV),
                Scope::Root => self.folders.truncate(1),
                Scope::Anywhere => {
                    let flags = REFERENCE | OFlag::O_DIRECTORY;
                    self.folders = vec![openat(AT_FDCWD, "/", flags, Mode::empty())?];
                }
            }
        }
        let names = path.split(|byte| *byte == b'/').map(<[u8]>::to_vec);
        self.names.extend(names.rev());
        Ok(())
    }

    /// To where it came from, not to where a rename has moved that since: so
    /// it never gets above its beginning.
    fn up(&mut self) -> Result<(), Errno> {
        if self.folders.len() > 1 {
            self.folders.pop();
            return Ok(());
        }
        match self.scope {
            Scope::Beneath => Err(Errno::EXDEV),
            Scope::Root => Ok(()),
            Scope::Anywhere => {
                let flags = REFERENCE | OFlag::O_DIRECTORY;
                let above = openat(self.folder()?, "..", flags, Mode::empty())?;
                self.folders = vec![above];
                Ok(())
            }
        }
    }
}

/// The text of a link that may be followed.
fn follow(
    folder: BorrowedFd<'_>,
    link: &OwnedFd,
    stat: &Stat,
    is_last: bool,
) -> Result<Vec<u8>, Errno> {
    let system = nix::sys::statfs::fstatfs(link)?.filesystem_type();
    let above = nix::sys::stat::fstat(folder).map(Stat::from)?;
    // All links of /proc are magic but those in its root folder, and so are
    // AppArmor's.
    let is_magic = match system {
        PROC_SUPER_MAGIC => above.ino != PROC_ROOT,
        APPARMOR => true,
        _ => false,
    };
    if is_magic || forbids_links(link.as_fd())? {
        return Err(Errno::ELOOP);
    }
    // As with the sysctl fs.protected_symlinks, whatever that says.
    let is_everybodys = above.mode & 0o1002 == 0o1002;
    let is_strange = stat.uid != above.uid && stat.uid != crate::process::effective_user();
    if is_last && is_everybodys && is_strange {
        return Err(Errno::EACCES);
    }
    let target = nix::fcntl::readlinkat(link, "")?;
    Ok(target.as_bytes().to_vec())
}

/// `PROC_ROOT_INO`.
const PROC_ROOT: u64 = 1;
/// `AAFS_MAGIC`.
const APPARMOR: FsType = FsType(0x5a3c_69f0);
/// `ST_NOSYMFOLLOW` (Linux 5.10).
const NO_LINKS: libc::c_ulong = 0x2000;

/// Whether the mount of a file forbids to follow links.
fn forbids_links(file: BorrowedFd<'_>) -> Result<bool, Errno> {
    let mut raw = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the call fills in one `statvfs`, which lives through it.
    Errno::result(unsafe { libc::fstatvfs(file.as_raw_fd(), raw.as_mut_ptr()) })?;
    // SAFETY: the call filled it in.
    let raw = unsafe { raw.assume_init() };
    Ok(raw.f_flag & NO_LINKS != 0)
}

#[cfg(test)]
mod tests;
