//! The walk against the kernel, and against somebody who exchanges what it
//! walks on.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

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
