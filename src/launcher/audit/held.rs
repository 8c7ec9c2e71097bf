//! How a launch writes from confinement on, when it can open nothing: to the
//! file that it has open then, which nobody exchanges until it has executed the
//! plugin. It may have become another user by then.

use secure_exec_core::audit::chain::Link;
use secure_exec_core::audit::line::Line;
use secure_exec_core::config::Sync;
use secure_exec_sys::Errno;
use secure_exec_sys::lock::Patience;

use super::error::LogError;
use super::file::{FileLog, Render};
use super::locks::{APPEND, GATE};
use super::tail;

/// Bytes that a confined writer may have to read again, if another was killed
/// in the middle of a record. Longer records than half of it are cut shorter
/// by nobody, but only a writer that is not confined repairs them.
const WINDOW: usize = 256 << 10;

/// What is needed then.
#[derive(Debug)]
pub(super) struct Held {
    window: Vec<u8>,
}

impl FileLog {
    /// Keeps the file from being exchanged, until the process executes
    /// another program or ends. From here on records are only appended.
    ///
    /// # Errors
    /// A lock can't be had, the log not be repaired.
    pub fn hold(&self, render: &Render<'_>) -> Result<(), LogError> {
        // Once is enough, unless others rename the log again and again.
        for _ in 0..3 {
            let kept = {
                let _gate = self.locks.lock(GATE, Patience::LONG)?;
                self.locks.keep_one()?
            };
            // Should it have another name by now, the chain goes on all the
            // same: the next writer follows it there.
            let state = self.state()?;
            let current = self.current.borrow();
            let both = current.as_ref().zip(state);
            if both.is_some_and(|(current, state)| current.is_of(&state)) {
                let window = Vec::with_capacity(WINDOW);
                self.held.replace(Some(Held { window }));
                return Ok(());
            }
            drop(current);
            self.locks.give_up(kept);
            self.append_with_care(None, None, render)?;
        }
        Err(LogError::Exchanged)
    }

    /// Appends a record to the log that is held. Allocates nothing.
    ///
    /// # Errors
    /// As [`FileLog::append`]; `EBADMSG` and `ESTALE` where another program
    /// changed the file.
    pub fn append_held(&self, line: &mut Line) -> Result<Link, Errno> {
        let link = {
            let mut held = self.held.borrow_mut();
            let held = held.as_mut().ok_or(Errno::ENOLCK)?;
            let _append = self.locks.lock(APPEND, Patience::LONG)?;
            let current = self.current.borrow();
            let current = current.as_ref().ok_or(Errno::EBADF)?;
            let mut state = self.state()?.ok_or(Errno::EBADMSG)?;
            if !current.is_of(&state) {
                return Err(Errno::ESTALE);
            }
            let size = current.file.size()?;
            if size != state.end {
                let tail = tail::read(&current.file, size, &mut held.window, WINDOW)?;
                let last = tail.last.ok_or(Errno::EBADMSG)?;
                if last.seq < state.last.seq {
                    // More was lost than a record can say here.
                    return Err(Errno::EBADMSG);
                }
                if tail.torn > 0 {
                    current.file.cut(size - tail.torn)?;
                }
                state.last = last.link();
                state.end = size - tail.torn;
                state.cut = state.cut.saturating_add(tail.torn);
            }
            self.put(&current.file, &mut state, line)?
        };
        if self.sync == Sync::Always {
            self.sync()?;
        }
        Ok(link)
    }
}
