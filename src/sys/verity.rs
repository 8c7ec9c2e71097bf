//! fs-verity: files whose bytes the kernel itself keeps, and whose digest it
//! measures (Documentation/filesystems/fsverity.rst, Linux 5.4).

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

use crate::Error;

/// `FS_IOC_MEASURE_VERITY`, `_IOWR('f', 134, struct fsverity_digest)`.
const MEASURE: libc::c_ulong = 0xc004_6686;
/// `FS_VERITY_HASH_ALG_SHA256`.
const SHA256: u16 = 1;

/// `struct fsverity_digest` with room for the largest digest.
#[repr(C)]
struct RawDigest {
    algorithm: u16,
    size: u16,
    digest: [u8; 64],
}

/// Asks the kernel for the SHA-256 verity digest of an open file, or `None`
/// where the file has no verity, its file system can't, or the digest is of
/// another kind.
///
/// # Errors
/// Any other answer of ioctl(2).
pub fn measure(file: BorrowedFd<'_>) -> Result<Option<[u8; 32]>, Error> {
    let mut raw = RawDigest {
        algorithm: 0,
        size: 64,
        digest: [0; 64],
    };
    // SAFETY: the kernel writes at most `size` bytes behind the header, and
    // that much room is there.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_ioctl,
            file.as_raw_fd(),
            // By the system call: ioctl(3) takes another type in each C library.
            MEASURE,
            &raw mut raw,
        )
    };
    match Errno::result(answer) {
        Ok(_) if raw.algorithm == SHA256 && raw.size == 32 => {
            Ok(raw.digest.first_chunk::<32>().copied())
        }
        Ok(_) | Err(Errno::ENODATA | Errno::EOPNOTSUPP | Errno::ENOTTY | Errno::ENOSYS) => Ok(None),
        Err(errno) => Err(Error::call("measure the file's verity digest")(errno)),
    }
}
