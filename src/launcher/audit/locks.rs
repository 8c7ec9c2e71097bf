//! The locks of a log's writers.
//!
//! A writer locks [`APPEND`] for one record. Whoever begins a new file first
//! locks [`GATE`], then all of [`HOLDS`], of which each confined launch keeps
//! one byte: from confinement on they can open nothing, and must still be able
//! to write.

use secure_exec_sys::lock::{self, Bytes, Patience};
use secure_exec_sys::log_file::LogFile;
use secure_exec_sys::{Errno, process};

/// Held for one record.
pub(super) const APPEND: Bytes = Bytes::one(0);
/// Held by whoever wants some of [`HOLDS`], so that there is an end to waiting
/// for all of them.
pub(super) const GATE: Bytes = Bytes::one(1);
/// Held while files are compressed.
pub(super) const COMPRESS: Bytes = Bytes::one(2);
/// One is kept from right before confinement to exec, all while a new file is
/// begun. More than there are process ids (man 5 `proc_sys_kernel`).
pub(super) const HOLDS: Bytes = Bytes {
    first: 1 << 10,
    count: 1 << 23,
};

/// Other namespaces and machines may use the same process ids.
const TRIES: u32 = 1 << 10;

/// The file whose bytes are locked. It is empty, and nobody can read it: see
/// [`mod@lock`].
#[derive(Debug)]
pub(super) struct Locks(pub(super) LogFile);

impl Locks {
    /// Locks until the result is dropped. Allocates nothing.
    ///
    /// # Errors
    /// As [`lock::lock`].
    pub(super) fn lock(&self, bytes: Bytes, patience: Patience) -> Result<Locked<'_>, Errno> {
        lock::lock(&self.0, bytes, patience)?;
        Ok(Locked {
            file: &self.0,
            bytes,
        })
    }

    /// Locks one of [`HOLDS`] until the process ends or executes another
    /// program, or gives it up. The caller has the [`GATE`], so that nobody
    /// has all of them.
    ///
    /// # Errors
    /// As [`lock::lock`].
    pub(super) fn keep_one(&self) -> Result<Bytes, Errno> {
        let own = process::id();
        for step in 0..TRIES {
            let place = own.wrapping_add(step) % HOLDS.count;
            let byte = Bytes::one(HOLDS.first + place);
            match lock::lock(&self.0, byte, Patience::NONE) {
                Err(Errno::ETIMEDOUT) => {}
                locked => return locked.map(|()| byte),
            }
        }
        Err(Errno::ETIMEDOUT)
    }

    /// Ends what [`Locks::keep_one`] began.
    pub(super) fn give_up(&self, byte: Bytes) {
        lock::unlock(&self.0, byte);
    }
}

/// A lock that is given up when this is dropped.
pub(super) struct Locked<'a> {
    file: &'a LogFile,
    bytes: Bytes,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        lock::unlock(self.file, self.bytes);
    }
}
