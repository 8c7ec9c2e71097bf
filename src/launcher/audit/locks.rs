//! The locks of a log's writers.
//!
//! A writer locks [`APPEND`] for one record. Whoever begins a new file first
//! locks [`GATE`], then [`HOLD`], which confined launches share: from
//! confinement on they can open nothing, and must still be able to write.

use secure_exec_sys::Errno;
use secure_exec_sys::lock::{self, Patience, Share};
use secure_exec_sys::log_folder::LogFile;

/// Held for one record.
pub(super) const APPEND: u8 = 0;
/// Held by whoever wants `HOLD`: exclusively to keep others from sharing it
/// anew, so that there is an end to waiting for them.
pub(super) const GATE: u8 = 1;
/// Shared from right before confinement to exec; exclusive while a new file is
/// begun.
pub(super) const HOLD: u8 = 2;
/// Held while files are compressed.
pub(super) const COMPRESS: u8 = 3;

/// The file whose bytes are locked; it also holds the writers' state.
#[derive(Debug)]
pub(super) struct Locks(pub(super) LogFile);

impl Locks {
    /// Locks until the result is dropped. Allocates nothing.
    ///
    /// # Errors
    /// As [`lock::lock`].
    pub(super) fn lock(
        &self,
        byte: u8,
        share: Share,
        patience: Patience,
    ) -> Result<Locked<'_>, Errno> {
        lock::lock(&self.0, byte, share, patience)?;
        Ok(Locked {
            file: &self.0,
            byte,
        })
    }

    /// Locks until the process ends or executes another program, or gives the
    /// lock up.
    ///
    /// # Errors
    /// As [`lock::lock`].
    pub(super) fn keep(&self, byte: u8, share: Share) -> Result<(), Errno> {
        lock::lock(&self.0, byte, share, Patience::LONG)
    }

    /// Ends what [`Locks::keep`] began.
    pub(super) fn give_up(&self, byte: u8) {
        lock::unlock(&self.0, byte);
    }
}

/// A lock that is given up when this is dropped.
pub(super) struct Locked<'a> {
    file: &'a LogFile,
    byte: u8,
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        lock::unlock(self.file, self.byte);
    }
}
