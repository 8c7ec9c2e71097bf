//! The launch's one exec, and the ticket by which the filter knows it.
//!
//! A seccomp filter sees the numbers that a system call is made with, not the
//! memory behind them. So the call's pointer arguments lie at addresses that
//! are drawn at random for this launch: the filter admits these and no
//! others. After exec the memory is gone, nothing of it is left in the new
//! program, and the addresses can't be guessed (three of them, of more than
//! 40 random bits each).

use std::ffi::{CString, c_char};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::NonNull;

use nix::errno::Errno;
use secure_exec_core::filter::ExecTicket;

use crate::Error;
use crate::process::random_bytes;

/// One execveat(2), prepared to its last argument.
pub struct Call {
    file: OwnedFd,
    path: Region,
    arguments: Region,
    environment: Region,
    // The strings that the two arrays point to.
    _strings: Vec<CString>,
}

// Addresses are the launch's secret.
impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Call {
    /// Prepares the execution of an open, close-on-exec file.
    ///
    /// # Errors
    /// No memory at a random address could be had.
    pub fn prepare(
        file: OwnedFd,
        arguments: Vec<CString>,
        environment: Vec<CString>,
    ) -> Result<Self, Error> {
        let argument_array = pointers(&arguments);
        let environment_array = pointers(&environment);
        let path = Region::with(&[0_usize])?;
        let argument_region = Region::with(&argument_array)?;
        let environment_region = Region::with(&environment_array)?;
        let mut strings = arguments;
        strings.extend(environment);
        Ok(Self {
            file,
            path,
            arguments: argument_region,
            environment: environment_region,
            _strings: strings,
        })
    }

    /// The numbers that the filter admits.
    #[must_use]
    pub fn ticket(&self) -> ExecTicket {
        ExecTicket {
            fd: self.file.as_raw_fd().unsigned_abs(),
            path: self.path.address(),
            argv: self.arguments.address(),
            envp: self.environment.address(),
            flags: libc::AT_EMPTY_PATH.unsigned_abs(),
        }
    }

    /// Executes. Returns only if that failed. Allocates nothing.
    #[must_use]
    pub fn execute(&self) -> Errno {
        // SAFETY: the path is a NUL byte, the arrays are null-terminated and
        // point to strings that `self` keeps alive.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                self.file.as_raw_fd(),
                self.path.start.as_ptr(),
                self.arguments.start.as_ptr(),
                self.environment.start.as_ptr(),
                libc::AT_EMPTY_PATH,
            )
        };
        Errno::last()
    }
}

fn pointers(strings: &[CString]) -> Vec<usize> {
    strings
        .iter()
        .map(|string| string.as_ptr().cast::<c_char>().addr())
        .chain([0])
        .collect()
}

/// Read-only words at a random address.
struct Region {
    start: NonNull<usize>,
    mapping: NonNull<libc::c_void>,
    length: usize,
}

impl Region {
    /// The largest page of any kernel (64 KiB, on aarch64), and so a multiple
    /// of every other.
    const PAGE: usize = 1 << 16;
    /// User space has 47 bits of address, less those within a page.
    const PAGES: usize = 1 << (47 - 16);
    const SLOTS: usize = Self::PAGE / size_of::<usize>();
    /// Pages below this one are left alone: the lowest are forbidden
    /// (`vm.mmap_min_addr`), and a null pointer stays far from any mapping.
    const FIRST_PAGE: usize = 1 << 8;
    const ATTEMPTS: usize = 64;

    fn with(words: &[usize]) -> Result<Self, Error> {
        let failed = Error::call("draw an address");
        // Room to start at any word of the first page.
        let size = size_of_val(words).saturating_add(Self::PAGE);
        let length = size.next_multiple_of(Self::PAGE);
        for _ in 0..Self::ATTEMPTS {
            let random = usize::from_ne_bytes(random_bytes()?);
            let page = random % Self::PAGES;
            let slot = (random / Self::PAGES) % Self::SLOTS;
            let base = (page + Self::FIRST_PAGE) * Self::PAGE;
            match map(base, length) {
                Ok(mapping) => return Self::fill(mapping, length, slot, words),
                // EEXIST: taken. EPERM, ENOMEM: not for user space here.
                Err(Errno::EEXIST | Errno::EPERM | Errno::ENOMEM) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Err(failed(Errno::ENOMEM))
    }

    fn fill(
        mapping: NonNull<libc::c_void>,
        length: usize,
        slot: usize,
        words: &[usize],
    ) -> Result<Self, Error> {
        // SAFETY: `slot` words are less than a page, and the mapping is a page
        // longer than the words.
        let start = unsafe { mapping.cast::<usize>().add(slot) };
        // SAFETY: the mapping was made just now, is writable, is known to
        // nobody else, and has room for the words behind `start`.
        unsafe { start.copy_from_nonoverlapping(NonNull::from(words).cast(), words.len()) };
        // SAFETY: the range is this mapping's own, and nothing writes to it
        // any more.
        let sealed = unsafe { libc::mprotect(mapping.as_ptr(), length, libc::PROT_READ) };
        Errno::result(sealed).map_err(Error::call("protect the exec arguments"))?;
        Ok(Self {
            start,
            mapping,
            length,
        })
    }

    fn address(&self) -> u64 {
        self.start.addr().get() as u64
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping's own, and no reference into it is
        // ever given out.
        unsafe { libc::munmap(self.mapping.as_ptr(), self.length) };
    }
}

fn map(base: usize, length: usize) -> Result<NonNull<libc::c_void>, Errno> {
    // SAFETY: MAP_FIXED_NOREPLACE disturbs no memory that is in use.
    let address = unsafe {
        libc::mmap(
            std::ptr::without_provenance_mut(base),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE,
            -1,
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    NonNull::new(address).ok_or(Errno::EFAULT)
}
