//! The end of a log's file: its last record, and what stands after it without
//! an end.

use secure_exec_core::audit::chain::Ends;
use secure_exec_sys::Errno;
use secure_exec_sys::log_file::LogFile;

/// What the end of a file holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    /// The last whole record of a chain.
    pub(super) last: Option<Ends>,
    /// Bytes after the last line feed.
    pub(super) torn: u64,
}

/// Bytes that are read first.
const STEP: usize = 16 << 10;

/// Reads the end of a file of `size` bytes, backwards until there is a record,
/// but no more than `limit` bytes. Allocates nothing where `window` has the
/// room.
///
/// # Errors
/// As pread(2).
pub(super) fn read(
    file: &LogFile,
    size: u64,
    window: &mut Vec<u8>,
    limit: usize,
) -> Result<Tail, Errno> {
    let mut length = STEP.min(limit);
    loop {
        let start = size.saturating_sub(length as u64);
        let wanted = usize::try_from(size - start).unwrap_or(limit);
        window.clear();
        window.resize(wanted, 0);
        let count = file.read_at(window, start)?;
        window.truncate(count);
        let whole = window
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |place| place + 1);
        let torn = (window.len() - whole) as u64;
        let last = Ends::last_in(window.get(..whole).unwrap_or_default(), start == 0);
        if last.is_some() || start == 0 || length >= limit {
            return Ok(Tail { last, torn });
        }
        length = length.saturating_mul(2).min(limit);
    }
}
