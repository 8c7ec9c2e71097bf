//! Files that are executed where they lie, because nobody but root could change
//! them or lead their path elsewhere: there is nothing that a copy would protect
//! from. Root is the user of that id in the first user namespace; a plugin that
//! root runs is kept off such files by [`mod@crate::keeping`].

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use secure_exec_core::mounts::{self, Mounted};
use secure_exec_sys::open::{self, Kind, Stat};
use secure_exec_sys::{Errno, Error, exec, lease, process};

use crate::immutable::is_unchangeable_here;
use crate::mutation::leaves_out;
use crate::owner::Owners;
use crate::sight::Sight;
use crate::trust;

/// A file that is guarded.
#[derive(Debug)]
pub(crate) struct Guard {
    /// A path that leads to it for good, absolute: the one by which it was
    /// named, or its own if links on that could be led elsewhere.
    pub(crate) place: PathBuf,
    /// A read lease on it is held as well.
    pub(crate) is_leased: bool,
}

/// Looks whether an open file is guarded.
///
/// # Errors
/// `Ok(Err(why))` if it is not; a phrase.
pub(crate) fn look(
    named: &Path,
    file: &OwnedFd,
    stat: &Stat,
    for_others: bool,
    sight: &Sight,
) -> Result<Result<Guard, String>, Error> {
    let real = open::real_path(file.as_fd())?;
    if !process::has_every_id()? && !is_unchangeable_here(sight, &real)? {
        return Ok(Err("this user namespace does not map every user id".into()));
    }
    let named = plain(named)?;
    let mut place = named.as_path();
    let mut flaw = flaw(place, &real, stat, sight)?;
    if flaw.is_some() && named != real {
        place = &real;
        flaw = self::flaw(place, &real, stat, sight)?;
    }
    if let Some(flaw) = flaw
        && !leaves_out("guarded")
    {
        return Ok(Err(flaw));
    }
    if for_others && let Some(why) = closed_to_others(place, stat, sight)? {
        return Ok(Err(why));
    }
    let place = place.to_path_buf();
    Ok(unwritten(file)?.map(|is_leased| Guard { place, is_leased }))
}

/// The absolute path without `.`, which scripts would find in their names.
///
/// # Errors
/// The working directory can't be told.
pub(crate) fn plain(path: &Path) -> Result<PathBuf, Error> {
    Ok(open::absolute(path)?.components().collect())
}

/// Who else than root could change the file, or what a path to it leads to.
fn flaw(path: &Path, real: &Path, stat: &Stat, sight: &Sight) -> Result<Option<String>, Error> {
    if let Some(finding) = trust::examine(path, real, stat, Owners::Root, sight)? {
        return Ok(Some(finding.to_string()));
    }
    let way = sight.follow(path)?;
    // By its path it must be this file, whatever is mounted on the way.
    let end = sight.stat(&way.end)?;
    if (end.dev, end.ino) != (stat.dev, stat.ino) {
        return Ok(Some("its path leads to another file by now".into()));
    }
    let mounts = match sight.mounts() {
        Ok(mounts) => mounts,
        Err(error) => return Ok(Some(error.to_string())),
    };
    let links = way.links().map(|(link, _)| link.as_path());
    let flaws = links.chain([real]);
    Ok(flaws.filter_map(|path| mounted_badly(mounts, path)).next())
}

/// File systems of this machine's own that keep owners and modes. An overlay
/// shows those of its layers.
const KEEPS_OWNERS: &[&str] = &[
    "bcachefs", "btrfs", "erofs", "ext2", "ext3", "ext4", "f2fs", "iso9660", "overlay", "ramfs",
    "squashfs", "tmpfs", "xfs", "zfs",
];

/// What is wrong with the mounts on the way to a path without links.
fn mounted_badly(mounts: &[Mounted], path: &Path) -> Option<String> {
    let way = mounts::way(mounts, path);
    if way.first().is_none_or(|mount| mount.point != "/") {
        return Some("the root folder is no mount of its own".into());
    }
    let nexts = way.iter().skip(1).map(Some).chain([None]);
    // Of mounts at one place the last is seen.
    let mut seen = way
        .iter()
        .zip(nexts)
        .filter(|(mount, next)| next.is_none_or(|next| next.point != mount.point))
        .map(|(mount, _)| mount);
    seen.find_map(|mount| {
        let is_idmapped = mount.own_options.split(',').any(|word| word == "idmapped");
        if is_idmapped {
            Some(format!("the mount at '{}' maps user ids", mount.point))
        } else if KEEPS_OWNERS.contains(&&*mount.kind) {
            None
        } else {
            let (point, kind) = (&mount.point, &mount.kind);
            Some(format!(
                "the file system at '{point}' ({kind}) may not keep owners"
            ))
        }
    })
}

/// Another user than the launcher's, whose groups are not known here, may not
/// be able to open it by its path.
fn closed_to_others(path: &Path, stat: &Stat, sight: &Sight) -> Result<Option<String>, Error> {
    let way = sight.follow(path)?;
    let folders = way.steps.iter().map(|(path, stat)| (path.as_path(), stat));
    let folders = folders.filter(|(_, stat)| stat.kind == Kind::Directory);
    let closed = folders
        .filter(|(_, stat)| stat.mode & 0o001 == 0)
        .map(|(path, _)| path)
        .chain((stat.mode & 0o005 != 0o005).then_some(path))
        .next();
    Ok(closed.map(|path| {
        format!(
            "the profile's user may not get at '{}' by its mode",
            path.display()
        )
    }))
}

/// Nobody holds the file open for writing from a time when he might. Says
/// whether a lease sees to that.
fn unwritten(file: &OwnedFd) -> Result<Result<bool, String>, Error> {
    let written = || Ok(Err("somebody has it open for writing".into()));
    if lease::why_not_trusted(file.as_fd())?.is_none() {
        match lease::take(file.as_fd()) {
            Ok(()) => return Ok(Ok(true)),
            Err(error) if error.errno() == Some(Errno::EAGAIN) => return written(),
            // Root's file is another user's launch.
            Err(_) => {}
        }
    }
    match exec::is_written(file.as_fd()) {
        Ok(Some(false)) => Ok(Ok(false)),
        Ok(Some(true)) => written(),
        Ok(None) => Ok(Err(
            "this kernel does not tell whether somebody has it open for writing (Linux 6.8 does)"
                .into(),
        )),
        Err(error) if error.is_access_denied() => Ok(Err(
            "it can't be executed, so the kernel does not tell whether somebody has it open for writing".into(),
        )),
        Err(error) => Ok(Err(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw_of(table: &str, path: &str) -> Option<String> {
        mounted_badly(&mounts::parse(table), Path::new(path))
    }

    #[test]
    fn mounts_on_the_way_keep_owners_and_map_none() {
        let root = "20 1 8:1 / / rw - ext4 /dev/a rw\n";
        assert_eq!(flaw_of(root, "/srv/p"), None);
        for (mount, path, expected) in [
            (
                "30 20 8:2 / /srv rw,idmapped - ext4 /dev/b rw",
                "/srv/p",
                Some("maps user ids"),
            ),
            (
                "30 20 8:2 / /srv rw,noidmapped - ext4 /dev/b rw",
                "/srv/p",
                None,
            ),
            (
                "30 20 0:9 / /srv rw - fuse.sshfs x rw",
                "/srv/p",
                Some("/srv' (fuse.sshfs)"),
            ),
            (
                "30 20 0:9 / /srv rw - nfs4 x rw",
                "/srv/in/p",
                Some("may not keep owners"),
            ),
            (
                "30 20 0:9 / /srv rw - 9p x rw",
                "/srv/in/p",
                Some("may not keep owners"),
            ),
            ("30 20 0:9 / /srv rw - overlay x rw", "/srv/in/p", None),
            ("30 20 0:9 / /other rw - nfs4 x rw", "/srv/p", None),
            // What lies under another mount is not seen.
            (
                "30 20 0:9 / /srv rw - autofs x rw\n31 30 8:2 / /srv rw - ext4 /dev/b rw",
                "/srv/p",
                None,
            ),
            (
                "30 20 0:9 / /srv rw - nfs4 x rw\n31 30 8:2 / /srv/in rw - ext4 /dev/b rw",
                "/srv/in/p",
                Some("'/srv' (nfs4)"),
            ),
        ] {
            let found = flaw_of(&format!("{root}{mount}\n"), path);
            match expected {
                None => assert_eq!(found, None, "{mount}"),
                Some(text) => assert!(found.is_some_and(|why| why.contains(text)), "{mount}"),
            }
        }
        let chroot = "30 20 8:2 / /srv rw - ext4 /dev/b rw\n";
        assert!(flaw_of(chroot, "/srv/p").is_some_and(|why| why.contains("root folder")));
    }
}
