//! A line of a log, as far as its place in the chain is concerned.

use serde_json::{Map, Value};

use super::super::chain::{Ends, Format, Hash, Link};
use super::super::line::fields;

/// Where a line stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Number of its file in the order of reading, from 0.
    pub(super) part: usize,
    /// Number of the line in its file, from 1.
    pub(super) line: u64,
}

/// What stands at a place.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) place: Place,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// A line that is no record.
    Other {
        /// It ends as a line does.
        is_whole: bool,
    },
    Record(Record),
    /// The file can't be read further.
    Damage(String),
}

/// The chain's fields of a record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) prev: Hash,
    pub(super) link: Link,
    /// Its bytes have the hash that it names.
    pub(super) is_genuine: bool,
    pub(super) is_whole: bool,
    pub(super) time: Time,
    pub(super) event: Option<Box<Event>>,
}

impl Item {
    pub(super) fn of(line: &[u8], place: Place, is_whole: bool) -> Self {
        let what = match Ends::of(line) {
            None => What::Other { is_whole },
            Some(ends) => What::Record(Record::of(line, &ends, is_whole)),
        };
        Self { place, what }
    }

    /// A record whose bytes are those that were written.
    pub(super) fn genuine(&self) -> Option<&Record> {
        match &self.what {
            What::Record(record) if record.is_genuine => Some(record),
            _ => None,
        }
    }

    /// The number that it names, be it true or not.
    pub(super) fn seq(&self) -> Option<u64> {
        match &self.what {
            What::Record(record) => Some(record.link.seq),
            _ => None,
        }
    }
}

impl Record {
    fn of(line: &[u8], ends: &Ends, is_whole: bool) -> Self {
        let is_genuine = ends.is_genuine(line);
        let body = line.get(ends.body..).unwrap_or_default();
        let (time, event) = head_of(body, Format::of(line));
        let event = if is_genuine && event.starts_with(b"audit_") {
            fields(line).as_ref().and_then(Event::of).map(Box::new)
        } else {
            None
        };
        Self {
            prev: ends.prev,
            link: ends.link(),
            is_genuine,
            is_whole,
            time,
            event,
        }
    }

    /// A writer that knew nothing of the records before began the chain anew.
    pub(super) fn is_restart(&self) -> bool {
        self.link.seq == 1 && self.prev == Hash::NONE && self.recovery().is_some()
    }

    pub(super) fn rotation(&self) -> Option<&Rotation> {
        match self.event.as_deref() {
            Some(Event::Rotated(rotation)) => Some(rotation),
            _ => None,
        }
    }

    pub(super) fn recovery(&self) -> Option<&Recovery> {
        match self.event.as_deref() {
            Some(Event::Recovered(recovery)) => Some(recovery),
            _ => None,
        }
    }
}

/// Timestamp and event type, which open every record, without reading the
/// rest of it. What has them elsewhere has none.
fn head_of<'a>(body: &'a [u8], format: Format) -> (Time, &'a [u8]) {
    let (before, between, after) = match format {
        Format::Json => (&b"\"timestamp\":\""[..], &b"\",\"event_type\":\""[..], b'"'),
        Format::Logfmt => (&b"timestamp="[..], &b" event_type="[..], b' '),
    };
    // Nothing of what stands here is longer.
    let head = body.get(..body.len().min(96)).unwrap_or_default();
    let word = |text: &'a [u8]| {
        let end = text.iter().position(|byte| *byte == after)?;
        text.split_at_checked(end)
    };
    let found = head
        .strip_prefix(before)
        .and_then(word)
        .and_then(|(time, rest)| Some((time, word(rest.strip_prefix(between)?)?.0)));
    match found {
        None => (Time::UNKNOWN, b""),
        Some((time, event)) => (Time::of(time).unwrap_or(Time::UNKNOWN), event),
    }
}

/// A timestamp as records have it. RFC 3339 in UTC with a fixed number of
/// digits has the order of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Time([u8; Self::LENGTH]);

impl Time {
    /// `2026-01-01T00:00:00.000000Z`
    const LENGTH: usize = 27;
    pub(super) const UNKNOWN: Self = Self([0; Self::LENGTH]);

    fn of(text: &[u8]) -> Option<Self> {
        let is_of = |byte: &u8| byte.is_ascii_digit() || b"-T:.Z".contains(byte);
        let is_utc = text.last() == Some(&b'Z');
        (is_utc && text.iter().all(is_of))
            .then(|| text.try_into().ok().map(Self))
            .flatten()
    }

    pub(super) fn text(&self) -> Option<&str> {
        match *self == Self::UNKNOWN {
            true => None,
            false => std::str::from_utf8(&self.0).ok(),
        }
    }

    /// Whole seconds that it is before another; 0 where it is not.
    pub(super) fn seconds_before(&self, later: &Self) -> u64 {
        // Up to the tens of seconds.
        const COARSE: usize = 18;
        if self >= later || self.0.get(..COARSE) == later.0.get(..COARSE) {
            return 0;
        }
        let parsed = |time: &Self| time.text()?.parse::<jiff::Timestamp>().ok();
        match (parsed(self), parsed(later)) {
            (Some(time), Some(later)) => {
                let seconds = later.as_second().saturating_sub(time.as_second());
                seconds.try_into().unwrap_or_default()
            }
            _ => 0,
        }
    }
}

/// What a record says of the log itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Rotated(Rotation),
    Recovered(Recovery),
}

/// `audit_rotated`: the first record of a file, on the file before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rotation {
    /// What the file before was called when this was written.
    pub(super) file: Option<String>,
    /// Number of the last record there.
    pub(super) last_seq: u64,
    /// Number of the rotation.
    pub(super) number: u64,
    /// Number of the oldest rotated file that is still kept; none where none
    /// is.
    pub(super) oldest: Option<u64>,
    /// The file before was removed on this occasion: it was too old itself.
    pub(super) is_removed: bool,
}

/// `audit_recovered`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recovery {
    pub(super) cause: String,
    /// Bytes that were cut off, since they were no whole record.
    pub(super) cut_bytes: Option<u64>,
    /// The last record that the writers knew of.
    pub(super) known: Option<u64>,
}

impl Event {
    fn of(fields: &Map<String, Value>) -> Option<Self> {
        let audit = fields.get("audit")?;
        let number = |name: &str| audit.get(name).and_then(Value::as_u64);
        let text = |name: &str| audit.get(name).and_then(Value::as_str).map(str::to_string);
        match fields.get("event_type")?.as_str()? {
            "audit_rotated" => {
                let file = text("file");
                let removed = audit.get("removed").map(list).unwrap_or_default();
                Some(Self::Rotated(Rotation {
                    is_removed: file.as_ref().is_some_and(|file| removed.contains(file)),
                    file,
                    last_seq: number("last_seq")?,
                    number: number("rotation")?,
                    oldest: number("oldest"),
                }))
            }
            "audit_recovered" => Some(Self::Recovered(Recovery {
                cause: text("cause")?,
                cut_bytes: number("cut_bytes"),
                known: number("known_seq"),
            })),
            _ => None,
        }
    }
}

/// A list of texts, which logfmt has as JSON in a text.
fn list(value: &Value) -> Vec<String> {
    let list = match value.as_str() {
        Some(text) => serde_json::from_str(text).ok(),
        None => serde_json::from_value(value.clone()).ok(),
    };
    list.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::of(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_step_back_is_measured() {
        let early = time("2026-01-01T00:59:59.999999Z");
        for (later, seconds) in [
            ("2026-01-01T00:59:59.999999Z", 0),
            ("2026-01-01T00:59:00.000000Z", 0),
            ("2026-01-01T01:00:00.000000Z", 1),
            ("2026-01-01T01:00:10.000000Z", 11),
            ("2026-01-02T00:59:59.999999Z", 86_400),
        ] {
            assert_eq!(early.seconds_before(&time(later)), seconds, "{later}");
        }
        assert_eq!(Time::UNKNOWN.text(), None);
        assert_eq!(Time::of(b"2026-01-01T00:59:59.999999+"), None);
    }

    #[test]
    fn what_opens_a_record_is_read_in_both_formats() {
        let full = "2026-01-01T00:00:00.000000Z";
        for (text, is_known) in [(full, true), ("2026-01-01T00:00:00Z", false)] {
            let json = format!("\"timestamp\":\"{text}\",\"event_type\":\"audit_rotated\",\"a\":1");
            let logfmt = format!("timestamp={text} event_type=audit_rotated a=1");
            for (body, format) in [(json, Format::Json), (logfmt, Format::Logfmt)] {
                let (time, event) = head_of(body.as_bytes(), format);
                assert_eq!(event, b"audit_rotated");
                assert_eq!(time.text(), is_known.then_some(text));
            }
        }
        for body in ["", "\"a\":1", "\"timestamp\":\"2026"] {
            assert_eq!(
                head_of(body.as_bytes(), Format::Json),
                (Time::UNKNOWN, &b""[..])
            );
        }
    }
}
