//! A record as a sink beside the log's file takes it: rendered once, and
//! completed when its place in the chain is known, which allocates nothing.
//!
//! What is completed depends on the file's line, so that all sinks speak of
//! the same record: its number, the hash before it and its own.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};

use super::chain::{DIGITS, Ends, Format, Link};
use super::line::Line;
use super::{Event, Outcome, Record, journald, syslog};
use crate::config::SinkKind;

/// Digits of the largest number.
const NUMBER: usize = 20;

/// What stands before and after something that is put in.
pub(super) type Around = (&'static str, &'static str);

/// The part of a packet that is not known before the record has its place.
pub(super) struct Frame {
    /// Around number, hash before and own hash; left out where the record has
    /// no place in a chain.
    pub(super) chain: Option<[Around; 3]>,
    /// Around the record's text, which has no line feed.
    pub(super) text: Around,
}

/// Standard error has lines alone.
const LINE: Frame = Frame {
    chain: None,
    text: ("", "\n"),
};

/// A record that waits for its place in the chain.
#[derive(Clone, Debug)]
pub struct Packet {
    kind: SinkKind,
    format: Format,
    /// The record without a place in a chain and without line feed.
    own: Box<[u8]>,
    /// The opening part, and room for the rest.
    bytes: Box<[u8]>,
    /// Length of the opening part.
    head: usize,
}

impl Packet {
    /// Renders a record for a sink. Within the packet, its text is in
    /// `format`.
    ///
    /// # Errors
    /// As [`Line::new`].
    pub fn new(
        kind: SinkKind,
        record: &Record<'_>,
        format: Format,
    ) -> Result<Self, serde_json::Error> {
        let line = Line::new(record, format)?;
        let mut own = line.unchained();
        own.pop();
        let mut bytes = match kind {
            SinkKind::File | SinkKind::Stderr => Vec::new(),
            SinkKind::Journald => journald::head(record, &fields(record)?),
            SinkKind::Syslog => syslog::head(record, &fields(record)?),
        };
        let head = bytes.len();
        bytes.resize(head + frame(kind).room() + line.capacity(), 0);
        Ok(Self {
            kind,
            format,
            own: own.into(),
            bytes: bytes.into(),
            head,
        })
    }

    /// The packet of the record that became `line` in the log's file, and
    /// `link` in its chain. Where there is no such file, an empty line and
    /// no link. Can be done again with another line. Allocates nothing.
    ///
    /// The text is the line itself if it is in the packet's format. Otherwise
    /// it is the record in that format, with the line's number and hash, but
    /// without the one before: it is no line of a chain.
    pub fn complete(&mut self, line: &[u8], link: Option<Link>) -> &[u8] {
        let frame = frame(self.kind);
        let mut room = Room {
            bytes: &mut self.bytes,
            used: self.head,
        };
        if let (Some(link), Some([seq, prev, hash])) = (link, frame.chain) {
            room.around(seq, |room| room.number(link.seq));
            if let Some(ends) = Ends::of(line) {
                room.around(prev, |room| room.put(&ends.prev.digits()));
            }
            room.around(hash, |room| room.put(&link.hash.digits()));
        }
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let is_own_format = !text.is_empty() && Format::of(line) == self.format;
        room.around(frame.text, |room| {
            if is_own_format && room.fits(text.len() + frame.text.1.len()) {
                room.put(text);
            } else {
                room.text(self.format, &self.own, link);
            }
        });
        let used = room.used;
        self.bytes.get(..used).unwrap_or_default()
    }
}

fn frame(kind: SinkKind) -> &'static Frame {
    match kind {
        SinkKind::File | SinkKind::Stderr => &LINE,
        SinkKind::Journald => &journald::FRAME,
        SinkKind::Syslog => &syslog::FRAME,
    }
}

impl Frame {
    /// The longest it can become without the text.
    fn room(&self) -> usize {
        let marks = self.chain.iter().flatten().chain([&self.text]);
        let marks = marks.map(|(before, after)| before.len() + after.len());
        marks.sum::<usize>() + NUMBER + 2 * DIGITS
    }
}

/// Room that was made beforehand, for the longest packet of a record.
struct Room<'a> {
    bytes: &'a mut [u8],
    used: usize,
}

impl Room<'_> {
    fn fits(&self, more: usize) -> bool {
        self.bytes.len() - self.used >= more
    }

    fn put(&mut self, part: &[u8]) {
        let end = self.used + part.len();
        if let Some(room) = self.bytes.get_mut(self.used..end) {
            room.copy_from_slice(part);
            self.used = end;
        }
    }

    fn around(&mut self, (before, after): Around, put: impl FnOnce(&mut Self)) {
        self.put(before.as_bytes());
        put(self);
        self.put(after.as_bytes());
    }

    fn number(&mut self, number: u64) {
        // Writing into this room has no way to fail.
        let _ = write!(self, "{number}");
    }

    /// The record itself, with number and hash if it has them.
    fn text(&mut self, format: Format, own: &[u8], link: Option<Link>) {
        let (open, seq, hash, body): (&[u8], &[u8], Around, &[u8]) = match format {
            Format::Json => (
                b"{",
                b"\"seq\":",
                (",\"record_hash\":\"", "\","),
                own.strip_prefix(b"{").unwrap_or(own),
            ),
            Format::Logfmt => (b"", b"seq=", (" record_hash=", " "), own),
        };
        self.put(open);
        if let Some(link) = link {
            self.put(seq);
            self.number(link.seq);
            self.around(hash, |room| room.put(&link.hash.digits()));
        }
        self.put(body);
    }
}

impl fmt::Write for Room<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

/// The record's fields by the names that they have in the log.
fn fields(record: &Record<'_>) -> Result<Map<String, Value>, serde_json::Error> {
    match serde_json::to_value(record)? {
        Value::Object(fields) => Ok(fields),
        _ => Ok(Map::new()),
    }
}

/// A field that is neither a list nor an object, as text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// How urgent a record is: the severities of syslog (RFC 5424 section 6.2.1),
/// which the journal has too.
pub(super) fn severity(record: &Record<'_>) -> u8 {
    const CRITICAL: u8 = 2;
    const ERROR: u8 = 3;
    const WARNING: u8 = 4;
    const INFORMATIONAL: u8 = 6;
    match record.event_type {
        Event::SecurityViolation => match record.severity {
            Some("high") => CRITICAL,
            Some("low") => WARNING,
            _ => ERROR,
        },
        Event::AuditRecovered => ERROR,
        Event::SandboxDegraded => WARNING,
        Event::PluginExited if record.result == Outcome::Blocked => WARNING,
        Event::PluginExited
        | Event::PluginValidationSuccess
        | Event::SandboxApplied
        | Event::AuditRotated => INFORMATIONAL,
    }
}

#[cfg(test)]
mod tests;
