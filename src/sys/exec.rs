//! The launch's one exec, and the ticket by which the filter knows it.
//!
//! A seccomp filter sees the numbers that a system call is made with, not the
//! memory behind them. So the call's pointer arguments lie at addresses that
//! are drawn at random for this launch: the filter admits these and no
//! others. After exec the memory is gone, nothing of it is left in the new
//! program, and the addresses can't be guessed (three of them, of more than
//! 40 random bits each).

use std::ffi::{CString, c_char};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

use nix::errno::Errno;
use secure_exec_core::filter::ExecTicket;

use crate::process::random_bytes;
use crate::{Error, lease, probe};

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

/// `AT_EXECVE_CHECK`, Linux 6.14: say whether execveat(2) could, and don't.
const CHECK: libc::c_int = 0x10000;
/// From this release on execve opens the program before it reads the arguments.
const OPENS_FIRST: (u32, u32, u32) = (6, 8, 0);

/// Whether somebody has a program open, or mapped, for writing: the kernel does
/// not execute such (`ETXTBSY` in man 2 execve). Nothing is executed here.
/// `None` if this kernel can't be asked.
///
/// # Errors
/// As execveat(2): this process may not execute the file.
pub fn is_written(file: BorrowedFd<'_>) -> Result<Option<bool>, Error> {
    let release = probe::kernel_release();
    if !lease::running_executables_are_kept(&release) {
        return Ok(None);
    }
    let arguments = [c"".as_ptr(), std::ptr::null()];
    let checked = execute_nothing(file, arguments.as_ptr(), CHECK);
    let answer = match checked {
        // The kernel does not know the flag.
        Err(Errno::EINVAL) if probe::version(&release) >= Some(OPENS_FIRST) => {
            // No argument list lies there, so exec fails once the file is open.
            match execute_nothing(file, std::ptr::without_provenance(1), 0) {
                Err(Errno::EFAULT) => Ok(()),
                other => other,
            }
        }
        Err(Errno::EINVAL) => return Ok(None),
        answer => answer,
    };
    match answer {
        Ok(()) => Ok(Some(false)),
        Err(Errno::ETXTBSY) => Ok(Some(true)),
        Err(errno) => Err(Error::call("ask whether it may be executed")(errno)),
    }
}

fn execute_nothing(
    file: BorrowedFd<'_>,
    arguments: *const *const c_char,
    flag: libc::c_int,
) -> Result<(), Errno> {
    let environment: [*const c_char; 1] = [std::ptr::null()];
    // SAFETY: path and environment are terminated. The caller gives a list that
    // is, with a flag by which nothing is executed, or one that can't be read.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            arguments,
            environment.as_ptr(),
            libc::AT_EMPTY_PATH | flag,
        )
    };
    Errno::result(answer).map(drop)
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
