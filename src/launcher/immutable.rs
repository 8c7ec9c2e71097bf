//! What nobody can change here, whatever its mode says: it lies in a read-only
//! mount that this launch's user can't make writable, and no other mount shows
//! it writable. So kubelet mounts the files of a ConfigMap (0777) and container
//! runtimes whatever they are told to. Who may own it is
//! [`mod@crate::owner`]'s.
//!
//! Other mount namespaces matter where users are in them who could write there:
//! a service of the host sees read-only what others of the host write where it
//! always was. The first process that is in sight shows such a namespace: it is
//! the host's for a service, and the container's own in a container. Beyond
//! that, whoever mounted it answers for those outside.

use std::path::Path;

use secure_exec_core::mounts::{self, Mounted, Spot};
use secure_exec_sys::open::Kind;
use secure_exec_sys::{Error, capabilities, mount};

use crate::mutation::leaves_out;
use crate::sight::Sight;

/// File systems whose files change by their own mounts alone: not layers of
/// others, and not what another machine or a process serves.
const SELF_CONTAINED: [&str; 9] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "erofs", "squashfs", "tmpfs",
];

/// Whether nobody in this mount namespace can change a file or folder: its
/// content, its mode, or which names it holds. The path has no links. What
/// can't be told could be changed.
///
/// # Errors
/// The path or the process's capabilities can't be read.
pub(crate) fn is_unchangeable_here(sight: &Sight, path: &Path) -> Result<bool, Error> {
    if capabilities::could_administer()? {
        return Ok(false);
    }
    let stat = sight.stat(path)?;
    let is_linked = stat.kind != Kind::Directory && stat.nlink > 1;
    // What can't be told could be changed.
    let Ok(mounts) = sight.mounts() else {
        return Ok(false);
    };
    let Some(place) = ReadOnly::find(mounts, path) else {
        return Ok(false);
    };
    if place.is_everywhere || leaves_out("mounts") {
        return Ok(true);
    }
    let Ok(first) = mount::first_table() else {
        return Ok(false);
    };
    let tables = [mounts, &mounts::parse(&first)];
    Ok(!tables
        .iter()
        .any(|mounts| place.is_written_by(mounts, is_linked)))
}

/// What lies in a read-only mount.
#[derive(Debug)]
struct ReadOnly {
    spot: Spot,
    /// Its file system is read-only, by whatever mount.
    is_everywhere: bool,
}

impl ReadOnly {
    /// `None` if that is not so, or can't be told.
    fn find(mounts: &[Mounted], path: &Path) -> Option<Self> {
        let own = mounts::innermost(mounts, path)?;
        let spot = mounts::spots(mounts, path)?.pop()?;
        let is_told = SELF_CONTAINED.contains(&&*own.kind);
        (own.is_read_only() && is_told).then(|| Self {
            spot,
            is_everywhere: own.is_system_read_only(),
        })
    }

    /// Whether a mount of the table lets it be written. A file that `is_linked`
    /// has names that can be anywhere in its file system.
    fn is_written_by(&self, mounts: &[Mounted], is_linked: bool) -> bool {
        let mut writable = mounts.iter().filter(|mount| !mount.is_read_only());
        writable.any(|mount| {
            if mount.device == self.spot.device() {
                is_linked || self.is_seen_by(mounts, mount)
            } else {
                mount.kind == "overlay" && self.is_written_by_overlay(mount)
            }
        })
    }

    /// Whether a mount shows it, and nothing is mounted over it there.
    fn is_seen_by(&self, mounts: &[Mounted], mount: &Mounted) -> bool {
        let Ok(rest) = self.spot.path().strip_prefix(&mount.root) else {
            return false;
        };
        let shown = Path::new(&mount.point).join(rest);
        let seen = mounts::innermost(mounts, &shown);
        seen.is_none_or(|seen| seen.id == mount.id)
    }

    /// Whether what is written to an overlay could be written here: its upper
    /// folder is this, or above it. The overlay's options have that folder's
    /// path in the namespace of who made it, so only the ends of paths compare.
    /// It is never the top of a file system, since its work folder lies beside
    /// it.
    fn is_written_by_overlay(&self, overlay: &Mounted) -> bool {
        let mut options = overlay.options.split(',');
        let Some(upper) = options.find_map(|option| option.strip_prefix("upperdir=")) else {
            return true;
        };
        // What is escaped is not compared.
        if upper.contains('\\') {
            return true;
        }
        let upper = Path::new(upper);
        let mut above = self.spot.path().ancestors();
        above.any(|above| {
            let above = above.strip_prefix("/").unwrap_or(above);
            !above.as_os_str().is_empty() && (upper.ends_with(above) || above.ends_with(upper))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a pod has it: the root folder is an overlay, what kubelet writes to
    /// its own disk is mounted file by file.
    const POD: &str = "\
        50 40 0:60 / / rw - overlay overlay rw,lowerdir=/l,upperdir=/var/lib/c/snap/7/fs,workdir=/var/lib/c/snap/7/work\n\
        51 50 8:1 /lib/kubelet/pods/u/etc-hosts /etc/hosts rw - ext4 a rw\n\
        52 50 8:1 /lib/kubelet/pods/u/volumes/empty/log /var/log rw - ext4 a rw\n\
        53 50 8:1 /lib/kubelet/pods/u/volumes/config/wl /etc/wl ro - ext4 a rw\n\
        54 50 0:70 / /etc/secret ro - tmpfs tmpfs rw\n\
        55 50 0:71 / /srv ro - nfs4 other:/srv rw\n";

    fn is_unchangeable(own: &[Mounted], first: &[Mounted], path: &str, is_linked: bool) -> bool {
        ReadOnly::find(own, Path::new(path)).is_some_and(|place| {
            let is_written = |mounts| place.is_written_by(mounts, is_linked);
            place.is_everywhere || !(is_written(own) || is_written(first))
        })
    }

    #[track_caller]
    fn is(more: &str, path: &str, is_linked: bool) -> bool {
        let mounts = mounts::parse(&format!("{POD}{more}"));
        is_unchangeable(&mounts, &mounts, path, is_linked)
    }

    #[test]
    fn what_kubelet_mounts_read_only_is_unchangeable() {
        for path in ["/etc/wl", "/etc/wl/..data/wl.yaml", "/etc/secret/key"] {
            assert!(is("", path, false), "{path}");
        }
        for path in ["/", "/etc", "/etc/hosts", "/var/log/a", "/srv/a"] {
            assert!(!is("", path, false), "{path}");
        }
    }

    #[test]
    fn a_second_mount_that_shows_it_writable_counts() {
        for root in ["/lib/kubelet/pods/u/volumes/config/wl", "/lib", "/"] {
            let more = format!("60 50 8:1 {root} /mnt rw - ext4 a rw\n");
            assert!(!is(&more, "/etc/wl/a", false), "{root}");
        }
        let beside = "60 50 8:1 /lib/kubelet/pods/u/volumes/config/w /mnt rw - ext4 a rw\n";
        assert!(is(beside, "/etc/wl/a", false));
        let part = "60 50 8:1 /lib/kubelet/pods/u/volumes/config/wl/sub /mnt rw - ext4 a rw\n";
        assert!(is(part, "/etc/wl/a", false));
        assert!(!is(part, "/etc/wl/sub/a", false));
        let read_only = "60 50 8:1 /lib/kubelet/pods/u/volumes/config /mnt ro - ext4 a rw\n";
        assert!(is(read_only, "/etc/wl/a", false));
        // What is mounted over shows nothing.
        let covered = "60 50 8:1 /lib/kubelet/pods/u/volumes/config /mnt rw - ext4 a rw\n\
                       61 60 0:71 / /mnt/wl rw - tmpfs t rw\n";
        assert!(is(covered, "/etc/wl/a", false));
    }

    #[test]
    fn so_does_a_second_name_in_a_writable_mount() {
        assert!(!is("", "/etc/wl/a", true));
        assert!(is("", "/etc/secret/key", true));
    }

    #[test]
    fn what_is_read_only_for_a_service_alone_is_not() {
        let host = mounts::parse("20 1 8:1 / / rw - ext4 a rw\n23 20 8:2 / /data ro - xfs b ro\n");
        for service in [
            "30 1 8:1 / / rw - ext4 a rw\n31 30 8:1 /srv/wl /srv/wl ro - ext4 a rw\n\
             32 30 8:2 / /data ro - xfs b ro\n",
            "30 1 8:1 / / ro - ext4 a rw\n32 30 8:2 / /data ro - xfs b ro\n",
        ] {
            let service = mounts::parse(service);
            assert!(is_unchangeable(&service, &service, "/srv/wl/a", false));
            assert!(!is_unchangeable(&service, &host, "/srv/wl/a", false));
            // That one is read-only for everybody.
            assert!(is_unchangeable(&service, &host, "/data/a", true));
        }
    }

    #[test]
    fn an_overlay_that_writes_to_it_counts() {
        let overlay = |upper: &str| {
            format!("60 50 0:80 / /mnt rw - overlay o rw,lowerdir=/l,upperdir={upper},workdir=/w\n")
        };
        for upper in [
            "/var/lib/kubelet/pods/u/volumes/config/wl",
            "/var/lib/kubelet/pods/u/volumes/config",
            "config/wl",
            "wl",
            "/a\\134b",
        ] {
            assert!(!is(&overlay(upper), "/etc/wl/a", false), "{upper}");
        }
        for upper in ["/var/lib/kubelet/pods/u/volumes/config/other", "/x/config"] {
            assert!(is(&overlay(upper), "/etc/wl/a", false), "{upper}");
        }
        let untold = "60 50 0:80 / /mnt rw - overlay o rw,lowerdir=/l\n";
        assert!(!is(untold, "/etc/wl/a", false));
    }
}
