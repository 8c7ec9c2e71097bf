//! The chain through all records of a log: each carries its number (`seq`),
//! the hash of the record before it (`prev`) and its own (`record_hash`).
//!
//! `record_hash` is the SHA-256 of every byte of the line that stands before
//! it, so that it covers all other fields, and anybody can check it:
//!
//! ```sh
//! printf %s "${line%,\"record_hash\"*}" | sha256sum
//! ```
//!
//! This file neither reads nor writes a log.

use sha2::{Digest as _, Sha256};

/// How the lines of a log are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line (RFC 8259).
    #[default]
    Json,
    /// `key=value` pairs, as Heroku's and Grafana's tools read them.
    Logfmt,
}

/// What stands around the three fields of the chain. The first two open a
/// line, the third ends it.
pub(super) struct Marks {
    pub(super) seq: &'static [u8],
    pub(super) prev: &'static [u8],
    /// After `prev`, before the other fields.
    pub(super) body: &'static [u8],
    pub(super) hash: &'static [u8],
    /// After the hash, with the line feed.
    pub(super) end: &'static [u8],
}

const JSON: Marks = Marks {
    seq: b"{\"seq\":",
    prev: b",\"prev\":\"",
    body: b"\",",
    hash: b",\"record_hash\":\"",
    end: b"\"}\n",
};

const LOGFMT: Marks = Marks {
    seq: b"seq=",
    prev: b" prev=",
    body: b" ",
    hash: b" record_hash=",
    end: b"\n",
};

impl Format {
    pub(super) const fn marks(self) -> &'static Marks {
        match self {
            Self::Json => &JSON,
            Self::Logfmt => &LOGFMT,
        }
    }

    /// The format that a line is in.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        match line.first() {
            Some(b'{') => Self::Json,
            _ => Self::Logfmt,
        }
    }
}

/// Hexadecimal digits of a SHA-256 hash.
pub const DIGITS: usize = 64;

/// A hash of the chain.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What the first record of a log has as `prev`.
    pub const NONE: Self = Self([0; 32]);

    /// Lower-case hexadecimal digits. Allocates nothing.
    #[must_use]
    pub fn digits(&self) -> [u8; DIGITS] {
        let mut digits = [0; DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            if let [high, low] = pair {
                *high = digit(byte >> 4);
                *low = digit(byte & 15);
            }
        }
        digits
    }

    /// Reads what [`Hash::digits`] writes, and nothing else.
    #[must_use]
    pub fn parse(digits: &[u8]) -> Option<Self> {
        if digits.len() != DIGITS {
            return None;
        }
        let mut bytes = [0; 32];
        // Decided once and not for each digit: whoever verifies a log reads
        // many hashes.
        let mut all = 0;
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let &[high, low] = pair else { return None };
            let (high, low) = (value(high), value(low));
            all |= high | low;
            *byte = high << 4 | low;
        }
        (all < 16).then_some(Self(bytes))
    }
}

const fn digit(value: u8) -> u8 {
    match value {
        0..=9 => b'0' + value,
        _ => b'a' + (value - 10),
    }
}

/// More than 15 for what is no digit.
const fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => u8::MAX,
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// Where a chain has got to: the number and hash of its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Number of the last record; 0 where there is none.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Link {
    /// Before the first record.
    pub const START: Self = Self {
        seq: 0,
        hash: Hash::NONE,
    };
}

/// The chain's fields of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Number of the record.
    pub seq: u64,
    /// Hash that it names as that of the record before.
    pub prev: Hash,
    /// Hash that it names as its own.
    pub record_hash: Hash,
    /// Where the record's other fields begin.
    pub body: usize,
    /// Bytes that `record_hash` is the hash of, from the start of the line.
    pub hashed: usize,
}

impl Ends {
    /// Reads the chain's fields of a line with or without its line feed;
    /// `None` where it has none, so that it is no record of a chain.
    #[must_use]
    pub fn of(line: &[u8]) -> Option<Self> {
        let marks = Format::of(line).marks();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let rest = line.strip_prefix(marks.seq)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = rest.split_at_checked(digits)?;
        let rest = rest.strip_prefix(marks.prev)?;
        let (prev, rest) = rest.split_at_checked(DIGITS)?;
        let rest = rest.strip_prefix(marks.body)?;
        let body = line.len().checked_sub(rest.len())?;
        let rest = rest.strip_suffix(marks.end.strip_suffix(b"\n")?)?;
        let (rest, own) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
        rest.strip_suffix(marks.hash)?;
        let tail = marks.hash.len() + DIGITS + marks.end.len() - 1;
        Some(Self {
            seq: seq(number)?,
            prev: Hash::parse(prev)?,
            record_hash: Hash::parse(own)?,
            body,
            hashed: line.len().checked_sub(tail)?,
        })
    }

    /// The last record in the end of a file. Unless all of the file is there,
    /// it may begin within a line, and what a plugin is called could look like
    /// a record from there.
    #[must_use]
    pub fn last_in(end: &[u8], is_all: bool) -> Option<Self> {
        let lines = match is_all {
            true => end,
            false => {
                let first = end.iter().position(|byte| *byte == b'\n')?;
                end.get(first + 1..)?
            }
        };
        lines.rsplit(|byte| *byte == b'\n').find_map(Self::of)
    }

    /// Whether these bytes are the beginning of a chain's first record, as far
    /// as they go.
    #[must_use]
    pub fn begin(bytes: &[u8]) -> bool {
        [Format::Json, Format::Logfmt].iter().any(|format| {
            let marks = format.marks();
            let first = [marks.seq, b"1", marks.prev].concat();
            let length = first.len().min(bytes.len());
            first.get(..length) == bytes.get(..length)
        })
    }

    /// Whether the line's bytes have the hash that it names.
    #[must_use]
    pub fn is_genuine(&self, line: &[u8]) -> bool {
        line.get(..self.hashed)
            .is_some_and(|hashed| hash(hashed) == self.record_hash)
    }

    /// The link that the next record has to name.
    #[must_use]
    pub const fn link(&self) -> Link {
        Link {
            seq: self.seq,
            hash: self.record_hash,
        }
    }
}

/// Without a leading zero: a number has one text.
fn seq(digits: &[u8]) -> Option<u64> {
    if digits.first() == Some(&b'0') {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// SHA-256. Allocates nothing.
#[must_use]
pub fn hash(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_one_text() {
        let hash = hash(b"x");
        assert_eq!(Hash::parse(&hash.digits()), Some(hash));
        assert_eq!(hash.to_string().as_bytes(), hash.digits());
        let upper = hash.to_string().to_uppercase();
        assert_eq!(Hash::parse(upper.as_bytes()), None);
        assert_eq!(Hash::parse(&hash.digits()[1..]), None);
    }

    #[test]
    fn a_first_record_is_known_by_its_beginning() {
        for bytes in ["{\"seq\":1,\"prev\":\"000", "seq=1 prev=0", "{\"se", "s"] {
            assert!(Ends::begin(bytes.as_bytes()), "{bytes}");
        }
        for bytes in ["{\"seq\":2,\"prev\"", "{\"a\":1", "\0", "#!/bin/sh"] {
            assert!(!Ends::begin(bytes.as_bytes()), "{bytes}");
        }
    }

    #[test]
    fn the_last_record_is_none_that_begins_within_a_line() {
        let zeros = "0".repeat(64);
        let line = |seq: u64| format!("seq={seq} prev={zeros} a=b record_hash={zeros}\n");
        let seq = |text: &str, is_all| Ends::last_in(text.as_bytes(), is_all).map(|ends| ends.seq);
        let text = [line(7), line(8)].concat();
        assert_eq!(seq(&text, true), Some(8));
        assert_eq!(seq(&text, false), Some(8));
        assert_eq!(seq(text.trim_end(), false), Some(8));
        assert_eq!(seq(&line(7), true), Some(7));
        assert_eq!(seq(&line(7), false), None);
        assert_eq!(seq(&[&line(7), "torn"].concat(), true), Some(7));
        assert_eq!(seq("torn", true), None);
        assert_eq!(seq("", false), None);
    }

    #[test]
    fn a_line_without_chain_is_none_of_it() {
        let zeros = "0".repeat(64);
        let line = format!(r#"{{"seq":7,"prev":"{zeros}","a":1,"record_hash":"{zeros}"}}"#);
        let ends = Ends::of(line.as_bytes()).unwrap();
        assert_eq!((ends.seq, ends.prev), (7, Hash::NONE));
        assert_eq!(&line[ends.body..ends.hashed], "\"a\":1");
        assert!(!ends.is_genuine(line.as_bytes()));
        for broken in [
            "",
            "{}",
            "{\"seq\":",
            &line[..line.len() - 1],
            &line[1..],
            &line.replace("\"seq\":7", "\"seq\":07"),
            &line.replace("\"seq\":7", "\"seq\":"),
            &line.replace("\"seq\":7", "\"seq\":99999999999999999999"),
            &line.replace("record_hash", "record_hush"),
        ] {
            assert_eq!(Ends::of(broken.as_bytes()), None, "{broken}");
        }
    }
}
