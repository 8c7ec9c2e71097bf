//! A record as a syslog message (RFC 5424).
//!
//! ```text
//! <82>1 TIMESTAMP HOST secure-exec PID EVENT [secure-exec@32473 result="blocked" …] {"seq":…}
//! ```
//!
//! The structured data has the fields that are looked for, the message the
//! whole record. It has no byte order mark: JSON forbids one (RFC 8259 section
//! 8.1), and the grammar of syslog admits messages without (`MSG-ANY`).

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Record;
use super::packet::{Frame, scalar, severity};
use crate::escape::Escaped;

/// Security and authorization messages, not for everybody to read
/// (`LOG_AUTHPRIV`, RFC 5424 section 6.2.1).
pub(super) const FACILITY: u8 = 10;

/// Names of structured data outside of the registered ones need a private
/// enterprise number. secure-exec has none; 32473 is that of no enterprise,
/// kept for documentation (RFC 5612).
const STRUCTURED_DATA: &str = "secure-exec@32473";

/// Fields of the record that are structured data.
const PARAMETERS: &[&str] = &[
    "result",
    "violation_type",
    "severity",
    "plugin_name",
    "plugin_path",
    "policy",
    "profile",
    "launch_id",
    "uid",
    "hash_expected",
    "hash_actual",
];

/// What the launch adds when the record has its place.
pub(super) const FRAME: Frame = Frame {
    chain: Some([
        (" seq=\"", "\""),
        (" prev=\"", "\""),
        (" record_hash=\"", "\""),
    ]),
    text: ("] ", ""),
};

/// The message's header, and its structured data up to the chain's.
pub(super) fn head(record: &Record<'_>, fields: &Map<String, Value>) -> Vec<u8> {
    let event = fields.get("event_type").and_then(Value::as_str);
    let mut head = format!(
        "<{}>1 {} {} secure-exec {} {} [{STRUCTURED_DATA}",
        FACILITY * 8 + severity(record),
        record.timestamp,
        word(&record.launch.host, 255),
        record.launch.pid,
        word(event.unwrap_or_default(), 32),
    );
    for name in PARAMETERS {
        if let Some(text) = fields.get(*name).and_then(scalar) {
            parameter(&mut head, name, &text);
        }
    }
    head.into_bytes()
}

/// A word of the header: printable ASCII without spaces, and not too long;
/// else `-`, which says that there is none.
fn word(text: &str, longest: usize) -> &str {
    let is_word = text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_word && !text.is_empty() && text.len() <= longest {
        text
    } else {
        "-"
    }
}

/// ` name="value"` with the escapes of RFC 5424 section 6.3.3. Control
/// characters are made visible, and a long value cut, so that what reads only
/// a message's beginning finds more there than one name.
fn parameter(head: &mut String, name: &str, value: &str) {
    // Writing into a string has no way to fail.
    let _ = write!(head, " {name}=\"");
    for character in Escaped(value).to_string().chars() {
        if matches!(character, '"' | '\\' | ']') {
            head.push('\\');
        }
        head.push(character);
    }
    head.push('"');
}
