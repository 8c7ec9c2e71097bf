//! What is mounted where, as `/proc/self/mountinfo` has it (man 5
//! proc_pid_mountinfo).

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// What of its file system is at its top.
    pub root: String,
    /// Where it is.
    pub point: String,
    /// Kind of file system.
    pub kind: String,
    /// Options of the file system.
    pub options: String,
}

/// Reads the table. A line that is none of it is passed over.
#[must_use]
pub fn parse(table: &str) -> Vec<Mounted> {
    table.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Mounted> {
    let (mount, system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(3);
    let mut system = system.split(' ');
    Some(Mounted {
        root: unescaped(mount.next()?),
        point: unescaped(mount.next()?),
        kind: system.next()?.to_string(),
        options: system.nth(1).unwrap_or_default().to_string(),
    })
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
            (&*first.kind, &*first.options),
            ("ext3", "rw,errors=continue")
        );
        assert_eq!(
            (&*second.point, &*second.options),
            ("/sys/fs/cgroup/pids", "rw,pids")
        );
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
