//! Bytes that nobody can change any more: sealed memory files
//! (man 2 memfd_create, "File sealing" in man 2 fcntl).

use std::ffi::CStr;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::Error;

/// The seals without which a memory file is not immutable.
const SEALS: SealFlag = SealFlag::F_SEAL_WRITE
    .union(SealFlag::F_SEAL_SHRINK)
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_SEAL);

/// `MFD_EXEC`, Linux 6.3: the file is meant to be executed.
const MFD_EXEC: libc::c_uint = 0x10;
/// `MFD_NOEXEC_SEAL`, Linux 6.3: no execute bit, for good.
const MFD_NOEXEC_SEAL: libc::c_uint = 0x8;
/// `F_SEAL_EXEC`, Linux 6.3: the mode's execute bits can't change. Sealing the
/// mode is a bonus; the bytes are fixed without it.
const SEAL_EXEC: libc::c_int = 0x20;

/// What a memory file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It will be executed.
    Execute,
    /// It will only be read, so it can't be executed where the kernel can see
    /// to that.
    Read,
}

/// Creates an empty memory file that may be sealed.
///
/// # Errors
/// As memfd_create(2); `EACCES` where `vm.memfd_noexec=2` forbids executable
/// memory files.
pub fn create(name: &CStr, purpose: Use) -> Result<OwnedFd, Error> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mode = match purpose {
        Use::Execute => MFD_EXEC,
        Use::Read => MFD_NOEXEC_SEAL,
    };
    match memfd_create(name, flags | MFdFlags::from_bits_retain(mode)) {
        // Linux before 6.3 knows neither, and executes without being told.
        Err(Errno::EINVAL) => memfd_create(name, flags),
        other => other,
    }
    .map_err(Error::call("create a memory file"))
}

/// How filling ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// The whole source was copied: so many bytes.
    Complete(u64),
    /// The source is larger than the limit.
    TooLarge,
}

/// Copies `source` from its start into the memory file, at most `limit` bytes
/// and one more, however long the source says it is or becomes.
///
/// # Errors
/// As sendfile(2).
pub fn fill(memfd: BorrowedFd<'_>, source: BorrowedFd<'_>, limit: u64) -> Result<Filled, Error> {
    const STEP: u64 = 64 << 20;
    let mut copied: u64 = 0;
    let mut offset: libc::off_t = 0;
    loop {
        let left = limit.saturating_add(1).saturating_sub(copied);
        if left == 0 {
            return Ok(Filled::TooLarge);
        }
        let step = usize::try_from(left.min(STEP)).unwrap_or(1);
        match nix::sys::sendfile::sendfile(memfd, source, Some(&mut offset), step) {
            Ok(0) => return Ok(Filled::Complete(copied)),
            Ok(count) => copied = copied.saturating_add(count as u64),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::call("copy the plugin into memory")(errno)),
        }
    }
}

/// Seals the file against writing, shrinking, growing and unsealing, and makes
/// sure that it is sealed.
///
/// # Errors
/// As fcntl(2); `EBUSY` where somebody maps the file writable.
pub fn seal(memfd: BorrowedFd<'_>) -> Result<(), Error> {
    let failed = Error::call("seal the memory file");
    let with_mode = SEALS.union(SealFlag::from_bits_retain(SEAL_EXEC));
    match fcntl(memfd, FcntlArg::F_ADD_SEALS(with_mode)) {
        Err(Errno::EINVAL) => fcntl(memfd, FcntlArg::F_ADD_SEALS(SEALS)),
        other => other,
    }
    .map_err(&failed)?;
    if is_sealed(memfd)? {
        Ok(())
    } else {
        Err(failed(Errno::EPERM))
    }
}

/// Whether nobody can change the file's bytes any more.
///
/// # Errors
/// As fcntl(2); `EINVAL` for what is not a memory file.
pub fn is_sealed(memfd: BorrowedFd<'_>) -> Result<bool, Error> {
    let bits = fcntl(memfd, FcntlArg::F_GET_SEALS).map_err(Error::call("read the seals"))?;
    Ok(SealFlag::from_bits_retain(bits).contains(SEALS))
}

/// The bytes of a sealed memory file.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<u8>,
    length: usize,
}

impl Mapping {
    /// Maps a sealed memory file for reading.
    ///
    /// # Errors
    /// The file is not sealed, or mmap(2) failed.
    pub fn new(memfd: BorrowedFd<'_>) -> Result<Self, Error> {
        let failed = Error::call("map the plugin");
        if !is_sealed(memfd)? {
            return Err(failed(Errno::EPERM));
        }
        let size = crate::open::stat(memfd)?.size;
        let length = usize::try_from(size).map_err(|_| failed(Errno::EFBIG))?;
        if length == 0 {
            return Ok(Self {
                address: NonNull::dangling(),
                length,
            });
        }
        // SAFETY: a new mapping at an address of the kernel's choice disturbs
        // no other memory.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_POPULATE,
                memfd.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(failed(Errno::last()));
        }
        let address = NonNull::new(address.cast::<u8>()).ok_or_else(|| failed(Errno::EFAULT))?;
        Ok(Self { address, length })
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `length` bytes are mapped for reading as long as `self`
        // lives, and the seals that the constructor saw keep everyone from
        // changing or truncating them.
        unsafe { std::slice::from_raw_parts(self.address.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: the range was mapped by the constructor, and no slice of
            // it outlives `self`.
            unsafe { libc::munmap(self.address.as_ptr().cast(), self.length) };
        }
    }
}

/// A sealed copy of `source`, made and filled in one go.
///
/// # Errors
/// As [`create`], [`fill`] and [`seal`]; `None` where the source is larger
/// than `limit`.
pub fn sealed_copy(
    name: &CStr,
    purpose: Use,
    source: BorrowedFd<'_>,
    limit: u64,
) -> Result<Option<OwnedFd>, Error> {
    let memfd = create(name, purpose)?;
    match fill(memfd.as_fd(), source, limit)? {
        Filled::TooLarge => Ok(None),
        Filled::Complete(_) => {
            seal(memfd.as_fd())?;
            Ok(Some(memfd))
        }
    }
}

/// A sealed memory file of these bytes, for another program. It has the four
/// seals of [`seal`] and no more: systemd before version 254 takes a file with
/// any other seal for an unsealed one, and that of the execute bits comes
/// with a file that can't be executed.
///
/// # Errors
/// As memfd_create(2), write(2), fcntl(2).
pub fn sealed_bytes(name: &CStr, bytes: &[u8]) -> Result<OwnedFd, Error> {
    let memfd = match create(name, Use::Execute) {
        Err(error) if error.is_access_denied() => create(name, Use::Read)?,
        other => other?,
    };
    crate::stream::write_all(&memfd, bytes, 0).map_err(Error::call("fill the memory file"))?;
    fcntl(&memfd, FcntlArg::F_ADD_SEALS(SEALS)).map_err(Error::call("seal the memory file"))?;
    Ok(memfd)
}
