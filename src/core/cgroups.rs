//! Where the kernel's groups of processes are that can count them (man 7
//! cgroups, "pids").

use crate::mounts::Mounted;

/// Both versions of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy of its own for each controller.
    One,
    /// One hierarchy for all controllers.
    Two,
}

impl Version {
    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "v1",
            Self::Two => "v2",
        }
    }
}

/// A group that a process is in, by its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Of which interface.
    pub version: Version,
    /// Its folder.
    pub folder: String,
}

/// The process that made a group, which the group's name says. The numbers of
/// processes are given anew, so the time of its start is part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Inode of its PID namespace (man 7 pid_namespaces).
    pub namespace: u64,
    /// Its number in there.
    pub process: u32,
    /// Its start, in clock ticks since boot (man 5 `proc_pid_stat`, field 22).
    pub start: u64,
}

impl Owner {
    /// A process, by what its `/proc/PID/stat` says.
    #[must_use]
    pub fn of(namespace: u64, stat: &str) -> Option<Self> {
        let (process, _) = stat.split_once(' ')?;
        // Its name, in parentheses, may have anything in it.
        let (_, fields) = stat.rsplit_once(") ")?;
        Some(Self {
            namespace,
            process: process.parse().ok()?,
            start: fields.split(' ').nth(19)?.parse().ok()?,
        })
    }

    /// The name of a group that it makes.
    #[must_use]
    pub fn group(&self, random: u64) -> String {
        let Self {
            namespace,
            process,
            start,
        } = self;
        format!("{namespace}-{process}-{start}-{random:016x}")
    }

    /// Who made the group of this name; `None` of another's groups.
    #[must_use]
    pub fn parse(group: &str) -> Option<Self> {
        let mut parts = group.split('-');
        let owner = Self {
            namespace: parts.next()?.parse().ok()?,
            process: parts.next()?.parse().ok()?,
            start: parts.next()?.parse().ok()?,
        };
        let random = u64::from_str_radix(parts.next()?, 16).ok()?;
        (owner.group(random) == group).then_some(owner)
    }
}

/// The groups of a process, as its `/proc/PID/cgroup` has them, in which a
/// pids controller may be; version 2 first, of which only its files tell
/// whether it has one.
#[must_use]
pub fn with_pids(groups: &str, mounts: &[Mounted]) -> Vec<Group> {
    let mut found: Vec<Group> = groups
        .lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let version = match (number, controllers) {
                ("0", "") => Version::Two,
                (_, controllers) if has(controllers, "pids") => Version::One,
                _ => return None,
            };
            let mut places = mounts.iter().filter_map(|mount| {
                let is_it = match version {
                    Version::One => mount.kind == "cgroup" && has(&mount.options, "pids"),
                    Version::Two => mount.kind == "cgroup2",
                };
                is_it.then(|| folder(mount, path)).flatten()
            });
            let folder = places.next()?;
            Some(Group { version, folder })
        })
        .collect();
    found.sort_by_key(|group| group.version == Version::One);
    found
}

fn has(list: &str, name: &str) -> bool {
    list.split(',').any(|one| one == name)
}

/// Where a group's path is to be seen, if the mount shows it.
fn folder(mount: &Mounted, path: &str) -> Option<String> {
    let below = match mount.root.as_str() {
        "/" => path,
        root => path.strip_prefix(root)?,
    };
    let is_whole = below.is_empty() || below.starts_with('/');
    // A group outside of the namespace's begins with "/..".
    let is_inside = below.split('/').all(|part| part != "..");
    let point = mount.point.trim_end_matches('/');
    (is_whole && is_inside).then(|| format!("{point}{}", below.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts::parse;

    const SEPARATE: &str = "\
        36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    fn found(groups: &str, table: &str) -> Vec<(Version, String)> {
        let groups = with_pids(groups, &parse(table)).into_iter();
        groups.map(|group| (group.version, group.folder)).collect()
    }

    #[test]
    fn the_second_version_comes_first_and_the_first_where_it_has_the_controller() {
        assert_eq!(
            found(
                "9:name=systemd:/\n8:pids:/a/b\n4:memory:/m\n0::/\n",
                SEPARATE
            ),
            [
                (Version::Two, "/sys/fs/cgroup/unified".into()),
                (Version::One, "/sys/fs/cgroup/pids/a/b".into()),
            ]
        );
    }

    #[test]
    fn a_mount_shows_what_lies_below_its_root() {
        let table = "30 1 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        let folder = |path: &str| {
            let groups = found(&format!("0::{path}\n"), table);
            groups.into_iter().next().map(|(_, folder)| folder)
        };
        assert_eq!(folder("/docker/abc").unwrap(), "/sys/fs/cgroup");
        assert_eq!(folder("/docker/abc/x").unwrap(), "/sys/fs/cgroup/x");
        assert_eq!(folder("/docker/abcd"), None);
        assert_eq!(folder("/other"), None);
        let own = "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n";
        assert_eq!(found("0::/../outside\n", own), []);
        assert_eq!(found("0::/a:b\n", own)[0].1, "/sys/fs/cgroup/a:b");
    }

    #[test]
    fn a_group_says_who_made_it() {
        let stat = "17 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21\n";
        let owner = Owner::of(42, stat).unwrap();
        assert_eq!((owner.process, owner.start), (17, 4711));
        let name = owner.group(0xab);
        assert_eq!(name, "42-17-4711-00000000000000ab");
        assert_eq!(Owner::parse(&name).as_ref(), Some(&owner));
        for other in [
            "",
            "00000000000000ab",
            "42-17-4711",
            "42-17-4711-ab",
            "+42-17-4711-00000000000000ab",
            "42-17-4711-00000000000000ab-0",
            "42-17-99999999999999999999-00000000000000ab",
        ] {
            assert_eq!(Owner::parse(other), None, "{other}");
        }
        assert_eq!(Owner::of(42, "17 (a) S 1"), None);
        assert_eq!(Owner::of(42, ""), None);
    }

    #[test]
    fn without_a_mount_there_is_none() {
        assert_eq!(found("8:pids:/\n0::/\n", ""), []);
        assert_eq!(found("", SEPARATE), []);
    }
}
