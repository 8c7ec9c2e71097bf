//! Read leases: a file that nobody has open for writing, and that nobody can
//! open for writing without the kernel asking first ("Leases" in man 2 fcntl).

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::statfs::{self, FsType, fstatfs};

use crate::{Error, probe};

/// File systems on which a lease means what it says: local, with every write
/// going through this kernel.
const KEEPS_LEASES: &[FsType] = &[
    // The same number as that of ext2 and ext3.
    statfs::EXT4_SUPER_MAGIC,
    XFS_SUPER_MAGIC,
    statfs::BTRFS_SUPER_MAGIC,
    statfs::TMPFS_MAGIC,
    statfs::F2FS_SUPER_MAGIC,
];
/// `linux/magic.h`; nix has it for one C library alone.
const XFS_SUPER_MAGIC: FsType = FsType(0x5846_5342);

/// Takes a read lease on an open file. It lasts until the last descriptor of
/// this open file is closed, so through exec of a close-on-exec descriptor.
///
/// # Errors
/// `EAGAIN`: somebody has the file open for writing; `EACCES`: the caller is
/// neither owner nor has `CAP_LEASE`.
pub fn take(file: BorrowedFd<'_>) -> Result<(), Error> {
    ignore_break_signal()?;
    // SAFETY: F_SETLEASE takes a plain integer and touches no memory.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) };
    Errno::result(answer).map_err(Error::call("take a read lease"))?;
    // From here to exec nobody is to be told of a break: the signal would be
    // the plugin's, or end the launcher once its signals are restored.
    // SAFETY: F_SETOWN takes a plain integer and touches no memory.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETOWN, 0) };
    Errno::result(answer)
        .map(drop)
        .map_err(Error::call("silence the read lease"))
}

/// Whether the lease is whole: nobody has asked to write since it was taken.
/// While it is being broken, the kernel already names the type it will have.
///
/// # Errors
/// As fcntl(2).
pub fn is_held(file: BorrowedFd<'_>) -> Result<bool, Error> {
    // SAFETY: F_GETLEASE takes no argument and touches no memory.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) };
    Errno::result(answer)
        .map(|kind| kind == libc::F_RDLCK)
        .map_err(Error::call("check the read lease"))
}

/// Why a lease on a file would not mean what it says, as a sentence.
///
/// # Errors
/// As fstatfs(2).
pub fn why_not_trusted(file: BorrowedFd<'_>) -> Result<Option<&'static str>, Error> {
    Ok(if !is_trustworthy_here(file)? {
        Some("leases can't be trusted on this file system")
    } else if !running_executables_are_kept(&probe::kernel_release()) {
        Some("this kernel lets running programs be written")
    } else {
        None
    })
}

/// Whether the file lies on a file system whose leases can be trusted: a
/// network or user-space file system changes bytes without asking.
///
/// # Errors
/// As fstatfs(2).
fn is_trustworthy_here(file: BorrowedFd<'_>) -> Result<bool, Error> {
    let file_system = fstatfs(file).map_err(Error::call("examine the file system"))?;
    Ok(KEEPS_LEASES.contains(&file_system.filesystem_type()))
}

/// Whether a kernel of this release refuses writing to a running executable.
/// Linux 6.11 to 6.12.1 did not, so there a lease guards the file only until
/// exec; nor may it be taken for granted where the release is no number.
#[must_use]
pub fn running_executables_are_kept(release: &str) -> bool {
    let version = probe::version(release);
    version.is_some_and(|version| !((6, 11, 0)..(6, 12, 2)).contains(&version))
}

/// The kernel reports a break with SIGIO, which would end the launcher; the
/// launcher looks at the lease instead.
fn ignore_break_signal() -> Result<(), Error> {
    crate::process::ignore_signal(libc::SIGIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_that_let_running_programs_be_written() {
        for release in [
            "6.11.0",
            "6.11.9-arch1",
            "6.12.0",
            "6.12-rc1",
            "6.12.1-generic",
            "",
            "6",
            "unknown",
            "99999999999.1",
        ] {
            assert!(!running_executables_are_kept(release), "{release}");
        }
        for release in [
            "6.1.0-18-amd64",
            "6.10.14",
            "6.12.2",
            "6.12.43+deb13",
            "6.18.44",
            "7.0",
        ] {
            assert!(running_executables_are_kept(release), "{release}");
        }
    }
}
