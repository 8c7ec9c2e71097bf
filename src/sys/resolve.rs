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
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// Device and inode, or the error.
    type Answer = Result<(u64, u64), Errno>;

    fn answer(opened: Result<OwnedFd, Errno>) -> Answer {
        let stat = nix::sys::stat::fstat(opened?)?;
        Ok((stat.st_dev, stat.st_ino))
    }

    /// A folder with links of every kind, and the paths that lead through it.
    fn maze() -> (tempfile::TempDir, Vec<String>) {
        let maze = tempfile::tempdir().unwrap();
        let at = |name: &str| maze.path().join(name);
        for folder in ["root", "root/a", "root/a/b", "outside", "root/sticky"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        for file in ["root/file", "root/a/file", "root/a/b/file", "outside/file"] {
            std::fs::write(at(file), file).unwrap();
        }
        std::fs::set_permissions(at("root/sticky"), PermissionsExt::from_mode(0o1777)).unwrap();
        let outside = at("outside/file");
        let inside = at("root/file");
        for (name, target) in [
            ("near", "file"),
            ("down", "a/b/file"),
            ("folder", "a/b"),
            ("up", "../outside/file"),
            ("upfolder", ".."),
            ("chain", "up"),
            ("loop", "loop"),
            ("a/back", "../file"),
            ("a/b/far", "../../../outside"),
            ("absolute", outside.to_str().unwrap()),
            ("home", inside.to_str().unwrap()),
            ("rooted", "/a/file"),
            ("magic", "/proc/self/exe"),
            ("magicfolder", "/proc/self/root"),
            ("dangling", "nothing"),
            ("slash", "a/"),
            ("fileslash", "file/"),
            ("sticky/strange", "../file"),
            ("sticky/own", "../file"),
        ] {
            symlink(target, at("root").join(name)).unwrap();
        }
        if nix::unistd::geteuid().is_root() {
            let strange = at("root/sticky/strange");
            std::os::unix::fs::lchown(strange, Some(58_232), None).unwrap();
        }
        // Links of forty steps are followed, more are not.
        for step in 0..42 {
            let target = match step {
                0 => "file".to_string(),
                _ => format!("step{}", step - 1),
            };
            symlink(target, at("root").join(format!("step{step}"))).unwrap();
        }
        let mut paths: Vec<String> = [
            "near",
            "down",
            "folder",
            "folder/file",
            "up",
            "upfolder",
            "chain",
            "loop",
            "a/back",
            "a/b/far",
            "a/b/far/file",
            "absolute",
            "home",
            "rooted",
            "magic",
            "magicfolder",
            "magicfolder/etc",
            "dangling",
            "slash",
            "slash/file",
            "fileslash",
            "step39",
            "step40",
            "step41",
            "file",
            "file/",
            "file/.",
            "file/..",
            "a",
            "a/",
            "a/.",
            "a/..",
            "a/../file",
            "a/../../root/file",
            "..",
            "../outside/file",
            "a/../../outside/file",
            ".",
            "./",
            "",
            "./file",
            "a//b///file",
            "nothing",
            "nothing/",
            "a/nothing/file",
            "file/nothing",
            "upfolder/root/file",
            "folder/../file",
            "sticky/own",
            "/",
            "/proc/self/exe",
            "/proc/self/fd/0",
            "/proc/self/cwd",
            "/proc/self/status",
            "/proc/self/ns/mnt",
            "/proc/thread-self/status",
            "/proc/mounts",
            "/proc/net/dev",
            "/proc/self",
            "/..",
            "/../../etc/passwd",
            "/etc/passwd",
            "/file",
            "/a/../file",
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        let absolute = [
            "root/near",
            "root/up",
            "root/chain",
            "root/magic",
            "root/a/b/far/file",
        ];
        paths.extend(absolute.map(|name| at(name).to_str().unwrap().to_string()));
        (maze, paths)
    }

    #[test]
    fn the_walk_answers_as_the_kernel_does() {
        let (maze, paths) = maze();
        let flags = REFERENCE | OFlag::O_DIRECTORY;
        let root = openat(AT_FDCWD, &maze.path().join("root"), flags, Mode::empty()).unwrap();
        let (mut opened, mut refused) = (0, 0);
        for path in &paths {
            for purpose in [Purpose::Read, Purpose::Reference] {
                for scope in [Scope::Anywhere, Scope::Beneath, Scope::Root] {
                    for links in [Links::Symbolic, Links::None] {
                        let of = (path, purpose, scope, links);
                        let path = Path::new(path);
                        let kernel = answer(resolve(root.as_fd(), path, purpose, scope, links));
                        let walked = answer(walk(root.as_fd(), path, purpose, scope, links));
                        assert_eq!(walked, kernel, "{of:?}");
                        match kernel {
                            Ok(_) => opened += 1,
                            Err(_) => refused += 1,
                        }
                    }
                }
            }
        }
        assert!(opened > 200 && refused > 200, "{opened} {refused}");
        // The kernel's answer is a setting's.
        if nix::unistd::geteuid().is_root() {
            let strange = Path::new("sticky/strange");
            let (from, links) = (root.as_fd(), Links::Symbolic);
            let walked = walk(from, strange, Purpose::Read, Scope::Beneath, links);
            assert_eq!(answer(walked), Err(Errno::EACCES));
        }
    }

    /// Somebody exchanges a folder, and what it holds, for links all the time.
    #[test]
    fn no_exchange_on_the_way_leads_out() {
        let maze = tempfile::tempdir().unwrap();
        let at = |name: &str| maze.path().join(name);
        for folder in ["root", "root/a", "out", "out/a"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        std::fs::write(at("root/a/file"), "inside").unwrap();
        std::fs::write(at("out/a/file"), "outside").unwrap();
        symlink("../out/a", at("root/link")).unwrap();
        symlink("../../out/a/file", at("root/a/link")).unwrap();
        let flags = REFERENCE | OFlag::O_DIRECTORY;
        let root = openat(AT_FDCWD, &at("root"), flags, Mode::empty()).unwrap();
        let exchange = |one: &str, other: &str| {
            let flags = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
            nix::fcntl::renameat2(AT_FDCWD, &at(one), AT_FDCWD, &at(other), flags)
        };
        let stop = std::sync::atomic::AtomicBool::new(false);
        let wanted = std::fs::metadata(at("root/a/file")).unwrap();
        let wanted = {
            use std::os::unix::fs::MetadataExt as _;
            (wanted.dev(), wanted.ino())
        };
        let (mut inside, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let _one = exchange("root/a", "root/link");
                    let _other = exchange("root/a/file", "root/a/link");
                }
            });
            while inside < 500 || refused < 500 {
                let from = root.as_fd();
                let path = Path::new("a/file");
                let found = walk(from, path, Purpose::Read, Scope::Beneath, Links::Symbolic);
                match answer(found) {
                    Ok(found) if found == wanted => inside += 1,
                    Ok(_) => {
                        stop.store(true, std::sync::atomic::Ordering::Relaxed);
                        panic!("a file outside was opened");
                    }
                    Err(_) => refused += 1,
                }
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
