//! What the writers of a log tell each other: where the chain has got to, and
//! in which file. It spares them reading the log, and lets them see that
//! somebody else renamed, emptied or removed it.
//!
//! It is no proof: whoever may write the log may write this file.

use std::fmt::Write as _;

use super::chain::{Hash, Link};
use super::fixed::Fixed;

/// Bytes of the state: text, filled up with spaces, so that a new one covers
/// the old one in a single write within one page.
pub const SIZE: usize = 320;

const TITLE: &str = "secure-exec audit state 1";

/// The state after a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The last record.
    pub last: Link,
    /// Device of the log's file.
    pub device: u64,
    /// Inode of the log's file.
    pub inode: u64,
    /// Bytes of the log's file.
    pub end: u64,
    /// Seconds since 1970 when the file was begun.
    pub begun: i64,
    /// Number of the last rotation; 0 before the first.
    pub rotation: u64,
    /// Seconds since 1970 of the last signed head; 0 before the first, and
    /// where the next record is to be signed in any case.
    pub head: i64,
    /// Bytes of torn records that were cut off, and are not yet recorded.
    pub cut: u64,
}

impl State {
    /// The next record is signed, however young the last head is: its record
    /// may be in a file that a rotation removed.
    pub fn sign_next(&mut self) {
        self.head = 0;
    }

    /// The state as its file holds it. Allocates nothing.
    #[must_use]
    pub fn render(&self) -> [u8; SIZE] {
        let mut text = Fixed::<SIZE>::new();
        // Seven numbers of at most 20 digits, a hash, and 90 bytes of names.
        let _fits = write!(
            text,
            "{TITLE}\nseq {}\nhash {}\ndevice {}\ninode {}\nend {}\nbegun {}\nrotation {}\nhead {}\ncut {}\n",
            self.last.seq,
            self.last.hash,
            self.device,
            self.inode,
            self.end,
            self.begun,
            self.rotation,
            self.head,
            self.cut,
        );
        text.filled()
    }

    /// Reads what [`State::render`] writes; `None` where it is anything else.
    /// Allocates nothing.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != SIZE {
            return None;
        }
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.lines();
        if lines.next() != Some(TITLE) {
            return None;
        }
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let state = Self {
            last: Link {
                seq: value("seq")?.parse().ok()?,
                hash: Hash::parse(value("hash")?.as_bytes())?,
            },
            device: value("device")?.parse().ok()?,
            inode: value("inode")?.parse().ok()?,
            end: value("end")?.parse().ok()?,
            begun: value("begun")?.parse().ok()?,
            rotation: value("rotation")?.parse().ok()?,
            head: value("head")?.parse().ok()?,
            cut: value("cut")?.parse().ok()?,
        };
        let rest = lines.next().unwrap_or_default();
        rest.bytes().all(|byte| byte == b' ').then_some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_state_fits_and_is_read_again() {
        let largest = State {
            last: Link {
                seq: u64::MAX,
                hash: Hash([0xff; 32]),
            },
            device: u64::MAX,
            inode: u64::MAX,
            end: u64::MAX,
            begun: i64::MIN,
            rotation: u64::MAX,
            head: i64::MIN,
            cut: u64::MAX,
        };
        let smallest = State {
            last: Link::START,
            device: 0,
            inode: 0,
            end: 0,
            begun: 0,
            rotation: 0,
            head: 0,
            cut: 0,
        };
        for state in [largest, smallest] {
            let bytes = state.render();
            assert_eq!(bytes.last(), Some(&b'\n'));
            assert_eq!(State::parse(&bytes), Some(state));
            assert_eq!(State::parse(&bytes[1..]), None);
            for place in 0..SIZE - 1 {
                let mut broken = bytes;
                broken[place] = b'~';
                assert_eq!(State::parse(&broken), None, "{place}");
            }
        }
        assert_eq!(State::parse(&[0; SIZE]), None);
    }
}
