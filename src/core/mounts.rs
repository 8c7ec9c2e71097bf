//! What is mounted where, as `/proc/self/mountinfo` has it (man 5
//! proc_pid_mountinfo), and by which other paths a file can be reached.

use std::path::{Path, PathBuf};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// Its number.
    pub id: String,
    /// The number of the mount that it lies in.
    pub parent: String,
    /// The file system's device, `major:minor`.
    pub device: String,
    /// What of its file system is at its top.
    pub root: String,
    /// Where it is.
    pub point: String,
    /// Options of the mount.
    pub own_options: String,
    /// Kind of file system.
    pub kind: String,
    /// Options of the file system.
    pub options: String,
}

impl Mounted {
    /// Nobody writes by this mount.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        has_option(&self.own_options, "ro") || self.is_system_read_only()
    }

    /// Nor by any other of its file system.
    #[must_use]
    pub fn is_system_read_only(&self) -> bool {
        has_option(&self.options, "ro")
    }
}

fn has_option(options: &str, wanted: &str) -> bool {
    options.split(',').any(|option| option == wanted)
}

/// Reads the table. A line that is none of it is passed over.
#[must_use]
pub fn parse(table: &str) -> Vec<Mounted> {
    table.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Mounted> {
    let (mount, system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ');
    let mut system = system.split(' ');
    Some(Mounted {
        id: mount.next()?.to_string(),
        parent: mount.next()?.to_string(),
        device: mount.next()?.to_string(),
        root: unescaped(mount.next()?),
        point: unescaped(mount.next()?),
        own_options: mount.next()?.to_string(),
        kind: system.next()?.to_string(),
        options: system.nth(1).unwrap_or_default().to_string(),
    })
}

/// Where something lies, whatever is mounted where: a file system and a path
/// from its top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    device: String,
    path: PathBuf,
}

impl Spot {
    /// The file system's device, as [`Mounted::device`].
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The path from the top of its file system.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the other one is this, or lies beneath it.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        self.device == other.device && other.path.starts_with(&self.path)
    }
}

/// The file system of a root folder that is no mount of its own.
const UNLISTED: &str = "";

/// Where a path lies, and every folder on the way on which something is
/// mounted. The path is absolute and has no symbolic links. `None` where that
/// can't be told: in a root folder that is no mount of its own, the table does
/// not say what else a bind mount shows.
#[must_use]
pub fn spots(mounts: &[Mounted], path: &Path) -> Option<Vec<Spot>> {
    let way = way(mounts, path);
    let is_whole = way.first().is_some_and(|mount| mount.point == "/");
    if !is_whole && way.iter().any(|mount| mount.root != "/") {
        return None;
    }
    let ends = way.iter().skip(1).map(|mount| Path::new(&mount.point));
    let ends = ends.chain([path]);
    let spots = way.iter().zip(ends).map(|(mount, end)| {
        let rest = end.strip_prefix(&mount.point).unwrap_or(Path::new(""));
        Spot {
            device: mount.device.clone(),
            path: below(Path::new(&mount.root), rest),
        }
    });
    let mut spots: Vec<Spot> = spots.collect();
    if !is_whole {
        let first = way.first().map_or(path, |mount| Path::new(&mount.point));
        let device = UNLISTED.into();
        spots.insert(
            0,
            Spot {
                device,
                path: first.into(),
            },
        );
    }
    Some(spots)
}

/// The mount that a path lies in. The path is as with [`spots`].
#[must_use]
pub fn innermost<'a>(mounts: &'a [Mounted], path: &Path) -> Option<&'a Mounted> {
    way(mounts, path).pop()
}

/// All that a plugin reaches from a folder on: the folder itself, and what is
/// mounted below it. `None` as with [`spots`].
#[must_use]
pub fn beneath(mounts: &[Mounted], path: &Path) -> Option<Vec<Spot>> {
    let own = spots(mounts, path)?;
    let is_whole = mounts.iter().any(|mount| mount.point == "/");
    let inner = mounts.iter().filter(|mount| {
        let point = Path::new(&mount.point);
        point.starts_with(path) && point != path
    });
    // What lies under a mount is not reached.
    let mut found: Vec<Spot> = own.last().cloned().into_iter().collect();
    for mount in inner {
        if !is_whole && mount.root != "/" {
            return None;
        }
        found.push(Spot {
            device: mount.device.clone(),
            path: mount.root.clone().into(),
        });
    }
    Some(found)
}

/// The paths at which what lies at a spot is to be seen, or a part of it.
#[must_use]
pub fn shown_at(mounts: &[Mounted], spot: &Spot) -> Vec<PathBuf> {
    let of_system = mounts.iter().filter(|mount| mount.device == spot.device);
    let shown = of_system.filter_map(|mount| {
        let root = Path::new(&mount.root);
        let point = Path::new(&mount.point);
        match spot.path.strip_prefix(root) {
            Ok(rest) => Some(below(point, rest)),
            Err(_) => root.starts_with(&spot.path).then(|| point.into()),
        }
    });
    shown.collect()
}

/// The mounts that a path leads through, from the root folder's on. The path is
/// absolute and has no symbolic links. Without the root folder's, as in a root
/// folder that is no mount of its own, the first is not at `/`.
#[must_use]
pub fn way<'a>(mounts: &'a [Mounted], path: &Path) -> Vec<&'a Mounted> {
    let is_listed = |id: &str| mounts.iter().any(|mount| mount.id == id);
    let mut way: Vec<&Mounted> = Vec::new();
    // Each mount is entered once at most.
    for _ in mounts {
        let inner = mounts.iter().filter(|mount| {
            path.starts_with(&mount.point)
                && match way.last() {
                    None => mount.parent == mount.id || !is_listed(&mount.parent),
                    Some(outer) => mount.parent == outer.id && mount.id != outer.id,
                }
        });
        // Of two in the same mount, the one nearer to its top hides the other.
        match inner.min_by_key(|mount| mount.point.len()) {
            Some(next) => way.push(next),
            None => break,
        }
    }
    way
}

/// Without a slash at the end.
fn below(folder: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() {
        folder.into()
    } else {
        folder.join(rest)
    }
}

/// Blank, tab, newline and backslash stand as `\040` and so on.
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (digits, rest) = part.split_at_checked(3).unwrap_or(("", part));
        match u8::from_str_radix(digits, 8) {
            Ok(byte) => plain.push(char::from(byte)),
            Err(_) => plain.extend(["\\", digits]),
        }
        plain.push_str(rest);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let table = "36 35 98:0 /of/it /mnt/a\\040b rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n\
                     nonsense\n\
                     39 31 0:36 / /sys/fs/cgroup/pids rw shared:2 master:3 - cgroup cgroup rw,pids\n";
        let found = parse(table);
        let [first, second] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!((&*first.root, &*first.point), ("/of/it", "/mnt/a b"));
        assert_eq!(
            (&*first.kind, &*first.options, &*first.own_options),
            ("ext3", "rw,errors=continue", "rw,noatime")
        );
        assert_eq!(
            (&*second.point, &*second.options),
            ("/sys/fs/cgroup/pids", "rw,pids")
        );
        assert_eq!(first.own_options, "rw,noatime");
    }

    /// A root folder, a bind mount of `/srv/work` at `/mnt/x`, a file system at
    /// `/data` that hides another at `/data/in`, and one stacked on `/data`.
    const TABLE: &str = "20 1 8:1 / / rw - ext4 a rw\n\
        21 20 8:1 /srv/work /mnt/x rw - ext4 a rw\n\
        22 20 8:2 / /data/in rw - ext4 b rw\n\
        23 20 8:3 /sub /data rw - ext4 c rw\n\
        24 23 8:4 / /data rw - ext4 d rw\n";

    fn spot(device: &str, path: &str) -> Spot {
        Spot {
            device: device.into(),
            path: path.into(),
        }
    }

    #[test]
    fn a_path_lies_where_its_mounts_say() {
        let mounts = parse(TABLE);
        let of = |path: &str| spots(&mounts, Path::new(path)).unwrap();
        assert_eq!(of("/srv/work/a"), [spot("8:1", "/srv/work/a")]);
        assert_eq!(
            of("/mnt/x/a"),
            [spot("8:1", "/mnt/x"), spot("8:1", "/srv/work/a")]
        );
        assert_eq!(of("/mnt/xy"), [spot("8:1", "/mnt/xy")]);
        assert_eq!(
            of("/data/in/a"),
            [
                spot("8:1", "/data"),
                spot("8:3", "/sub"),
                spot("8:4", "/in/a")
            ]
        );
        assert!(of("/srv")[0].holds(&of("/mnt/x/a")[1]));
        assert!(!of("/srv/work/b")[0].holds(&of("/mnt/x/a")[1]));
    }

    #[test]
    fn what_is_mounted_in_a_folder_is_reached_from_it() {
        let mounts = parse(TABLE);
        let reached = beneath(&mounts, Path::new("/mnt")).unwrap();
        assert_eq!(reached, [spot("8:1", "/mnt"), spot("8:1", "/srv/work")]);
        let shown = shown_at(&mounts, &spot("8:1", "/srv/work/a"));
        assert_eq!(shown, [Path::new("/srv/work/a"), Path::new("/mnt/x/a")]);
        let shown = shown_at(&mounts, &spot("8:1", "/srv"));
        assert_eq!(shown, [Path::new("/srv"), Path::new("/mnt/x")]);
    }

    #[test]
    fn in_a_root_folder_that_is_no_mount_bind_mounts_can_not_be_told() {
        let mounts =
            parse("30 20 8:2 / /data rw - ext4 b rw\n31 20 8:1 /s /mnt/x rw - ext4 a rw\n");
        let of = |path: &str| spots(&mounts, Path::new(path));
        assert_eq!(of("/srv/a").unwrap(), [spot(UNLISTED, "/srv/a")]);
        assert_eq!(
            of("/data/a").unwrap(),
            [spot(UNLISTED, "/data"), spot("8:2", "/a")]
        );
        assert_eq!(of("/mnt/x/a"), None);
        assert_eq!(beneath(&mounts, Path::new("/mnt")), None);
    }

    #[test]
    fn what_is_escaped_is_as_it_was() {
        for (written, meant) in [
            ("/a\\134b", "/a\\b"),
            ("/\\011\\012", "/\t\n"),
            ("/a\\9", "/a\\9"),
            ("/a\\", "/a\\"),
            ("/ä\\040ö", "/ä ö"),
        ] {
            assert_eq!(unescaped(written), meant);
        }
    }
}
