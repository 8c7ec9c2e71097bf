//! A record as the line it becomes: rendered once, and sealed into the chain
//! when its number is known, which allocates nothing.

use std::ops::Range;

use serde_json::{Map, Value};

use super::chain::{DIGITS, Format, Link, hash};
use super::{Record, logfmt};
use crate::escape;

/// Digits of the largest number.
const NUMBER: usize = 20;

/// A record that waits for its place in the chain.
#[derive(Clone, Debug)]
pub struct Line {
    format: Format,
    /// Room for the opening fields, the record's other fields, room for the
    /// hash.
    bytes: Box<[u8]>,
    /// Where the other fields begin and end.
    body: Range<usize>,
    /// Where the sealed line begins and ends.
    sealed: Range<usize>,
}

impl Line {
    /// Renders a record. Every control character is escaped, so a name can't
    /// start a line of its own, nor change how the log is shown.
    ///
    /// # Errors
    /// `sandbox` is no JSON: a record that lacks something is none.
    pub fn new(record: &Record<'_>, format: Format) -> Result<Self, serde_json::Error> {
        let text = match format {
            Format::Json => escape::json(&serde_json::to_string(record)?),
            Format::Logfmt => match serde_json::to_value(record)? {
                Value::Object(fields) => logfmt::from_fields(&fields),
                _ => String::new(),
            },
        };
        let body = match format {
            Format::Json => text
                .strip_prefix('{')
                .and_then(|text| text.strip_suffix('}')),
            Format::Logfmt => Some(text.as_str()),
        };
        Ok(Self::around(body.unwrap_or_default().as_bytes(), format))
    }

    fn around(body: &[u8], format: Format) -> Self {
        let marks = format.marks();
        let before = marks.seq.len() + NUMBER + marks.prev.len() + DIGITS + marks.body.len();
        let after = marks.hash.len() + DIGITS + marks.end.len();
        let mut bytes = Vec::with_capacity(before + body.len() + after);
        bytes.resize(before, 0);
        bytes.extend_from_slice(body);
        bytes.resize(before + body.len() + after, 0);
        Self {
            format,
            bytes: bytes.into(),
            body: before..before + body.len(),
            sealed: 0..0,
        }
    }

    /// The longest that the line can become, in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Makes it the record that follows `last`, and returns the link that it
    /// is. Can be done again with another link. Allocates nothing.
    pub fn seal(&mut self, last: Link) -> Link {
        let marks = self.format.marks();
        let seq = last.seq.saturating_add(1);
        let mut number = [0; NUMBER];
        let number = decimal(seq, &mut number);
        let mut start = self.body.start;
        for part in [
            marks.body,
            &last.hash.digits(),
            marks.prev,
            number,
            marks.seq,
        ] {
            start -= part.len();
            put(&mut self.bytes, start, part);
        }
        let hashed = self.bytes.get(start..self.body.end).unwrap_or_default();
        let link = Link {
            seq,
            hash: hash(hashed),
        };
        let mut end = self.body.end;
        for part in [marks.hash, &link.hash.digits(), marks.end] {
            put(&mut self.bytes, end, part);
            end += part.len();
        }
        self.sealed = start..end;
        link
    }

    /// The line as it was sealed last, with its line feed.
    #[must_use]
    pub fn sealed(&self) -> &[u8] {
        self.bytes.get(self.sealed.clone()).unwrap_or_default()
    }

    /// The line without a place in a chain, for a log that has none.
    #[must_use]
    pub fn unchained(&self) -> Vec<u8> {
        let body = self.bytes.get(self.body.clone()).unwrap_or_default();
        let (open, close): (&[u8], &[u8]) = match self.format {
            Format::Json => (b"{", b"}\n"),
            Format::Logfmt => (b"", b"\n"),
        };
        [open, body, close].concat()
    }
}

/// Both ranges fit: `around` made room for the longest parts.
fn put(bytes: &mut [u8], at: usize, part: &[u8]) {
    if let Some(room) = bytes.get_mut(at..at + part.len()) {
        room.copy_from_slice(part);
    }
}

/// The number's decimal digits, at the end of `room`.
fn decimal(mut number: u64, room: &mut [u8; NUMBER]) -> &[u8] {
    let mut used = 0;
    for place in room.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
        used += 1;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    room.get(NUMBER - used..).unwrap_or_default()
}

/// A line of a log as its fields, whichever format it is in. `None` where it
/// is in neither.
#[must_use]
pub fn fields(line: &[u8]) -> Option<Map<String, Value>> {
    match Format::of(line) {
        Format::Json => match serde_json::from_slice(line).ok()? {
            Value::Object(fields) => Some(fields),
            _ => None,
        },
        Format::Logfmt => logfmt::to_fields(std::str::from_utf8(line).ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::{Ends, Hash};
    use super::*;

    #[test]
    fn sealing_makes_a_chain_in_both_formats() {
        for (format, body) in [
            (Format::Json, r#""a":"x","b":[1]"#),
            (Format::Logfmt, "a=x b=\"y z\""),
        ] {
            let mut line = Line::around(body.as_bytes(), format);
            for seq in [0, 9, 12_345, u64::MAX - 1] {
                let last = Link {
                    seq,
                    hash: hash(b"before"),
                };
                let link = line.seal(last);
                let bytes = line.sealed();
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                assert!(text.ends_with('\n') && text.contains(body), "{text}");
                let ends = Ends::of(bytes).unwrap();
                assert_eq!((ends.seq, ends.prev), (seq + 1, last.hash));
                assert_eq!(ends.link(), link);
                assert!(ends.is_genuine(bytes));
                let mut changed = bytes.to_vec();
                changed[120] ^= 1;
                assert!(Ends::of(&changed).is_none_or(|ends| !ends.is_genuine(&changed)));
                let fields = fields(bytes).unwrap();
                assert_eq!(fields["a"], "x");
                assert_eq!(fields["seq"], seq + 1);
            }
        }
    }

    #[test]
    fn the_start_of_a_chain_names_no_record() {
        let mut line = Line::around(b"\"a\":1", Format::Json);
        assert_eq!(line.seal(Link::START).seq, 1);
        assert_eq!(Ends::of(line.sealed()).unwrap().prev, Hash::NONE);
        assert_eq!(line.unchained(), b"{\"a\":1}\n");
    }
}
