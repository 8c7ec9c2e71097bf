//! A record as an entry of systemd's journal, in the journal's native protocol
//! (systemd.io/JOURNAL_NATIVE_PROTOCOL).
//!
//! Every field of the record that is no list becomes one of the entry:
//! `plugin_name` is `SECURE_EXEC_PLUGIN_NAME`. Those of `sandbox` and `audit`
//! have these words in front (`SECURE_EXEC_SANDBOX_ENFORCEMENT`). The whole
//! record is in `SECURE_EXEC_RECORD`. The journal adds who sent it (`_UID`,
//! `_PID`), which no sender can choose.

use serde_json::{Map, Value};

use super::packet::{Frame, scalar, severity};
use super::syslog::FACILITY;
use super::{Event, Outcome, Record};
use crate::escape::{Escaped, Whole};

/// What the launch adds when the record has its place.
pub(super) const FRAME: Frame = Frame {
    chain: Some([
        ("SECURE_EXEC_SEQ=", "\n"),
        ("SECURE_EXEC_PREV=", "\n"),
        ("SECURE_EXEC_RECORD_HASH=", "\n"),
    ]),
    // A record is one line, so the form for values of one line will do.
    text: ("SECURE_EXEC_RECORD=", "\n"),
};

/// The entry's fields up to the chain's.
pub(super) fn head(record: &Record<'_>, fields: &Map<String, Value>) -> Vec<u8> {
    let mut entry = Vec::new();
    let mut add = |name: &str, value: &str| field(&mut entry, name, value);
    add("MESSAGE", &message(record));
    add("MESSAGE_ID", message_id(record.event_type));
    add("PRIORITY", &severity(record).to_string());
    add("SYSLOG_FACILITY", &FACILITY.to_string());
    add("SYSLOG_IDENTIFIER", "secure-exec");
    for (name, value) in fields {
        match value {
            Value::Object(inner) if name == "sandbox" || name == "audit" => {
                for (inner_name, value) in inner {
                    add_scalar(&mut add, &format!("{name}_{inner_name}"), value);
                }
            }
            value => add_scalar(&mut add, name, value),
        }
    }
    entry
}

/// Values are shown by tools that escape nothing, so they are escaped here;
/// as they were, they stand in the record.
fn add_scalar(add: &mut impl FnMut(&str, &str), name: &str, value: &Value) {
    if let Some(text) = scalar(value) {
        let name = format!("SECURE_EXEC_{}", name.to_ascii_uppercase());
        add(&name, &Whole(&text).to_string());
    }
}

/// One field: `NAME=value`, or with the value's length where it has several
/// lines, so that none of them can be taken for a field.
fn field(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

/// A sentence for people. What was decided stands before every word that a
/// stranger chose, so that no name can say something else first.
fn message(record: &Record<'_>) -> String {
    let outcome = match record.result {
        Outcome::Allowed => "Allowed",
        Outcome::Blocked => "Blocked",
        Outcome::Observed => "Observed",
    };
    let what = match record.event_type {
        Event::PluginValidationSuccess => "verified",
        Event::SecurityViolation => record.violation_type.unwrap_or("security violation"),
        Event::SandboxApplied => "sandbox in force",
        Event::SandboxDegraded => "sandbox weaker than the profile asks",
        Event::PluginExited if record.result == Outcome::Blocked => "not started",
        Event::PluginExited => "ended",
        Event::AuditRotated => "goes on in a new file",
        Event::AuditRecovered => "was found damaged",
    };
    let mut message = match record.plugin_name {
        Some(name) => format!("{outcome}, {what}: plugin '{}'", Escaped(name)),
        None => format!("Audit log: {what}"),
    };
    let audit = record.audit.as_ref();
    let cause = audit.and_then(|audit| audit.get("cause")?.as_str());
    if let Some(why) = record.reason.as_deref().or(cause) {
        message.push_str(": ");
        message.push_str(&Whole(why).to_string());
    }
    message
}

/// The identifier of all entries of an event (`journalctl MESSAGE_ID=…`, man 7
/// systemd.journal-fields). They stand in secure-exec-audit(5) and never
/// change.
const fn message_id(event: Event) -> &'static str {
    match event {
        Event::PluginValidationSuccess => "dbbd357a8160428fb1425a4b6dce0b50",
        Event::SecurityViolation => "3b3d3425cc9048d6b008f5c7a8632b98",
        Event::SandboxApplied => "4e32ae7a61394657a76f2462f2e48936",
        Event::SandboxDegraded => "78103b1bf3be4554917f3f477e3f5eee",
        Event::PluginExited => "2fa6ee07501245b38bb24a7fc09b548f",
        Event::AuditRotated => "6b58461e3b4c4dceb1f368bf3b9ecde3",
        Event::AuditRecovered => "522f4596fc464602b70fcce94c1d1c39",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_several_lines_has_its_length_before_it() {
        let mut entry = Vec::new();
        field(&mut entry, "FOO", "BAR");
        field(&mut entry, "LINES", "a\nFOO=forged\n");
        assert_eq!(
            entry,
            b"FOO=BAR\nLINES\n\x0d\0\0\0\0\0\0\0a\nFOO=forged\n\n"
        );
    }
}
