use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::audit::Launch;
use crate::audit::chain::Hash;
use crate::audit::line::fields as fields_of;

const FORMATS: [Format; 2] = [Format::Json, Format::Logfmt];

fn launch(host: &str) -> Launch {
    Launch {
        launch_id: "0123456789abcdef0123456789abcdef".into(),
        pid: 77,
        ppid: 1,
        uid: 1000,
        host: host.into(),
        ..Launch::sample()
    }
}

fn record<'a>(launch: &'a Launch, name: &'a str) -> Record<'a> {
    Record {
        violation_type: Some("hash_mismatch"),
        plugin_name: Some(name),
        plugin_path: Some(name),
        hash_expected: Some("sha256:00".into()),
        result: Outcome::Blocked,
        severity: Some("high"),
        reason: Some("the plugin's bytes are not the whitelisted ones".into()),
        profile: Some("worker"),
        sandbox: Some(json!({ "enforcement": "full", "proven": ["files"] })),
        ..Record::new(
            "2026-11-24T23:00:00.123456Z".into(),
            Event::SecurityViolation,
            "strict",
            launch,
        )
    }
}

/// The packet, and the line and link that it was completed with.
fn completed(
    kind: SinkKind,
    record: &Record<'_>,
    format: Format,
    of_line: Format,
) -> (Vec<u8>, Vec<u8>, Link) {
    let last = Link {
        seq: u64::MAX - 1,
        hash: Hash([7; 32]),
    };
    let mut line = Line::new(record, of_line).unwrap();
    let link = line.seal(last);
    let mut packet = Packet::new(kind, record, format).unwrap();
    packet.complete(b"", None);
    let bytes = packet.complete(line.sealed(), Some(link)).to_vec();
    (bytes, line.sealed().to_vec(), link)
}

/// Decodes a journal entry by the letter of the protocol.
fn entry(mut bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut fields = BTreeMap::new();
    while !bytes.is_empty() {
        let is_name =
            |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        let length = bytes.iter().take_while(|byte| is_name(byte)).count();
        let (name, rest) = bytes.split_at(length);
        assert!((1..=64).contains(&length) && name[0].is_ascii_uppercase());
        let length = match rest[0] {
            b'=' => rest[1..].iter().position(|byte| *byte == b'\n').unwrap(),
            b'\n' => usize::try_from(u64::from_le_bytes(rest[1..9].try_into().unwrap())).unwrap(),
            other => panic!("{other} after a name"),
        };
        let rest = if rest[0] == b'=' {
            &rest[1..]
        } else {
            &rest[9..]
        };
        let (value, rest) = rest.split_at(length);
        bytes = rest.strip_prefix(b"\n").unwrap();
        let name = String::from_utf8(name.to_vec()).unwrap();
        assert_eq!(fields.insert(name, value.to_vec()), None, "twice");
    }
    fields
}

/// Decodes a message by the grammar of RFC 5424: header, parameters, text.
fn message(text: &str) -> (Vec<&str>, BTreeMap<String, String>, &str) {
    let (header, mut rest) = text.split_once(" [secure-exec@32473").unwrap();
    let mut parameters = BTreeMap::new();
    while let Some(after) = rest.strip_prefix(' ') {
        let (name, after) = after.split_once("=\"").unwrap();
        assert!(name.len() <= 32 && name.bytes().all(|b| b.is_ascii_graphic()));
        assert!(!name.contains(['=', ']', '"']));
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().unwrap() {
                (end, '"') => break end,
                (_, '\\') => {
                    let (_, escaped) = characters.next().unwrap();
                    assert!(matches!(escaped, '"' | '\\' | ']'));
                    value.push(escaped);
                }
                (_, ']') => panic!("an unescaped bracket"),
                (_, character) => value.push(character),
            }
        };
        assert_eq!(parameters.insert(name.to_string(), value), None, "twice");
        rest = &after[end + 1..];
    }
    (
        header.split(' ').collect(),
        parameters,
        rest.strip_prefix("] ").unwrap(),
    )
}

#[test]
fn a_journal_entry_has_the_record_and_its_fields() {
    let launch = launch("h");
    let record = record(&launch, "auth-service");
    for format in FORMATS {
        let (bytes, line, link) = completed(SinkKind::Journald, &record, format, format);
        let fields = entry(&bytes);
        let text = |name: &str| std::str::from_utf8(&fields[name]).unwrap();
        assert_eq!(
            text("MESSAGE"),
            "Blocked, hash_mismatch: plugin 'auth-service': the plugin's bytes are not the whitelisted ones"
        );
        assert_eq!(text("PRIORITY"), "2");
        assert_eq!(text("SYSLOG_IDENTIFIER"), "secure-exec");
        assert_eq!(text("SYSLOG_FACILITY"), "10");
        assert_eq!(text("MESSAGE_ID").len(), 32);
        assert_eq!(text("SECURE_EXEC_EVENT_TYPE"), "security_violation");
        assert_eq!(text("SECURE_EXEC_PLUGIN_NAME"), "auth-service");
        assert_eq!(text("SECURE_EXEC_UID"), "1000");
        assert_eq!(text("SECURE_EXEC_SANDBOX_ENFORCEMENT"), "full");
        assert_eq!(text("SECURE_EXEC_SEQ"), u64::MAX.to_string());
        assert_eq!(text("SECURE_EXEC_PREV"), Hash([7; 32]).to_string());
        assert_eq!(text("SECURE_EXEC_RECORD_HASH"), link.hash.to_string());
        assert_eq!([text("SECURE_EXEC_RECORD"), "\n"].concat().as_bytes(), line);
    }
}

#[test]
fn a_syslog_message_has_the_record_and_its_fields() {
    let launch = launch("h");
    let record = record(&launch, "auth-service");
    for format in FORMATS {
        let (bytes, line, link) = completed(SinkKind::Syslog, &record, format, format);
        let (header, parameters, text) = message(std::str::from_utf8(&bytes).unwrap());
        assert_eq!(
            header,
            [
                "<82>1",
                "2026-11-24T23:00:00.123456Z",
                "h",
                "secure-exec",
                "77",
                "security_violation"
            ]
        );
        assert_eq!(parameters["result"], "blocked");
        assert_eq!(parameters["plugin_name"], "auth-service");
        assert_eq!(parameters["seq"], u64::MAX.to_string());
        assert_eq!(parameters["prev"], Hash([7; 32]).to_string());
        assert_eq!(parameters["record_hash"], link.hash.to_string());
        assert_eq!([text, "\n"].concat().as_bytes(), line);
    }
}

#[test]
fn a_host_without_a_proper_name_has_none() {
    let long = "h".repeat(256);
    for host in ["", "a b", "a\nb", "hôte", &long] {
        let launch = launch(host);
        let record = record(&launch, "p");
        let (bytes, ..) = completed(SinkKind::Syslog, &record, Format::Json, Format::Json);
        let (header, ..) = message(std::str::from_utf8(&bytes).unwrap());
        assert_eq!(header[2], "-", "{host}");
    }
}

#[test]
fn standard_error_gets_the_line() {
    let launch = launch("h");
    let record = record(&launch, "p");
    for format in FORMATS {
        let (bytes, line, _) = completed(SinkKind::Stderr, &record, format, format);
        assert_eq!(bytes, line);
    }
}

#[test]
fn another_format_keeps_number_and_hash_and_is_no_line_of_a_chain() {
    let launch = launch("h");
    let record = record(&launch, "p");
    for [format, of_line] in [FORMATS, [Format::Logfmt, Format::Json]] {
        let (bytes, _, link) = completed(SinkKind::Stderr, &record, format, of_line);
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(Format::of(&bytes), format);
        assert_eq!(Ends::of(&bytes), None);
        let fields = fields_of(&bytes).unwrap();
        assert_eq!(fields["seq"], link.seq);
        assert_eq!(fields["record_hash"], link.hash.to_string());
        assert_eq!(fields["result"], "blocked");
    }
}

#[test]
fn without_a_file_there_is_no_chain() {
    let launch = launch("h");
    let record = record(&launch, "p");
    for format in FORMATS {
        let unchained = Line::new(&record, format).unwrap().unchained();
        for kind in [SinkKind::Stderr, SinkKind::Journald, SinkKind::Syslog] {
            let mut packet = Packet::new(kind, &record, format).unwrap();
            packet.complete(&unchained, Some(Link::START));
            let with_line = packet.complete(&unchained, None).to_vec();
            assert_eq!(packet.complete(b"", None), with_line);
            let text = match kind {
                SinkKind::Syslog => unchained.strip_suffix(b"\n").unwrap(),
                _ => &unchained,
            };
            assert!(with_line.ends_with(text));
            let all = String::from_utf8(with_line).unwrap().to_lowercase();
            assert!(
                !all.contains("record_hash") && !all.contains("seq="),
                "{all}"
            );
        }
    }
}

#[test]
fn a_line_of_another_record_is_not_taken_where_it_does_not_fit() {
    let launch = launch("h");
    let other = "x".repeat(1000);
    let mut line = Line::new(&record(&launch, &other), Format::Json).unwrap();
    let link = line.seal(Link::START);
    let record = record(&launch, "p");
    let mut packet = Packet::new(SinkKind::Stderr, &record, Format::Json).unwrap();
    let bytes = packet.complete(line.sealed(), Some(link));
    assert_eq!(fields_of(bytes).unwrap()["plugin_name"], "p");
}

/// Names that are made to look like what is around them.
fn hostile() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "\n",
        "\nMESSAGE=forged\n",
        "\nPRIORITY\n",
        "\0",
        "\x1b[2J",
        "\"",
        "\\",
        "]",
        "[",
        "=",
        " ",
        "] {}",
        "\" result=\"allowed",
        "<85>1 ",
        "\u{2028}",
        "\u{feff}",
        "é",
        "'",
        ": allowed",
    ];
    let piece = prop_oneof![
        prop::sample::select(PIECES).prop_map(String::from),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_name_forges_a_field(name in hostile()) {
        let launch = launch("h");
        let harmless = record(&launch, "p");
        let record = record(&launch, &name);
        for format in FORMATS {
            let (expected, ..) = completed(SinkKind::Journald, &harmless, format, format);
            let (bytes, line, _) = completed(SinkKind::Journald, &record, format, format);
            let (expected, fields) = (entry(&expected), entry(&bytes));
            prop_assert!(fields.keys().eq(expected.keys()));
            for (field, value) in &fields {
                let from_outside = ["MESSAGE", "SECURE_EXEC_PLUGIN_NAME", "SECURE_EXEC_PLUGIN_PATH"];
                let of_record = ["SECURE_EXEC_RECORD", "SECURE_EXEC_RECORD_HASH"];
                let text = std::str::from_utf8(value).unwrap();
                prop_assert!(!text.chars().any(crate::escape::is_unsafe));
                if !from_outside.contains(&field.as_str()) && !of_record.contains(&field.as_str()) {
                    prop_assert_eq!(value, &expected[field]);
                }
            }
            prop_assert!(fields["MESSAGE"].starts_with(b"Blocked, hash_mismatch: plugin '"));
            prop_assert_eq!(&fields["SECURE_EXEC_RECORD"][..], line.strip_suffix(b"\n").unwrap());

            let (expected, ..) = completed(SinkKind::Syslog, &harmless, format, format);
            let (bytes, line, _) = completed(SinkKind::Syslog, &record, format, format);
            let (bytes, expected) = (String::from_utf8(bytes).unwrap(), String::from_utf8(expected).unwrap());
            prop_assert!(!bytes.chars().any(crate::escape::is_unsafe));
            let (header, parameters, text) = message(&bytes);
            let (harmless_header, harmless_parameters, _) = message(&expected);
            prop_assert_eq!(header, harmless_header);
            prop_assert!(parameters.keys().eq(harmless_parameters.keys()));
            let shown = crate::escape::Escaped(&name).to_string();
            prop_assert_eq!(&parameters["plugin_name"], &shown);
            prop_assert_eq!(text.as_bytes(), line.strip_suffix(b"\n").unwrap());
        }
    }
}
