//! Syslog as a sink, for daemons that know RFC 5424 and one that does not.

use serde_json::Value;

use super::collectors::{Busybox, Message, Syslog};
use super::sinks::{HOSTILE, configure, host, lines};
use crate::kit::namespace::private;
use crate::kit::{EVERYONE, User};

/// Header and text of a message are the record's, whatever the daemon.
#[track_caller]
fn check(message: &Message, record: &Value, line: &str, priority: u8) {
    let header = &message.fields;
    assert_eq!(
        header["pri"].to_string().trim_matches('"'),
        priority.to_string()
    );
    assert_eq!(header["app-name"], "secure-exec");
    assert_eq!(header["hostname"], record["host"]);
    assert_eq!(header["procid"], record["pid"].to_string());
    assert_eq!(header["msgid"], record["event_type"]);
    let time = header["timereported"].as_str().unwrap();
    assert_eq!(time[..19], record["timestamp"].as_str().unwrap()[..19]);
    assert_eq!(message.text, line);
}

#[test]
fn rsyslog_understands_every_message() {
    for user in EVERYONE {
        let mut host = host(user, &[]);
        let mut syslog = Syslog::rsyslog(&host);
        configure(
            &host,
            &[&format!("type: syslog, socket: {:?}", syslog.socket)],
        );
        host.install_sh("changed", "exit 0");
        host.list("changed", &[]);
        host.install_sh("changed", "exit 1");
        host.launch("p").run().succeeded().prints("ran\n");
        host.launch("changed").run().refused(126);
        for name in HOSTILE {
            host.launch(name).run().refused(126);
        }
        let messages = syslog.messages(3 + HOSTILE.len());
        assert_eq!(messages.len(), 3 + HOSTILE.len());
        let (records, lines) = (host.records(), lines(&host));
        for (number, message) in messages.iter().enumerate() {
            let priority = *[86, 86, 82].get(number).unwrap_or(&83);
            check(message, &records[number], &lines[number], priority);
            let data = message.fields["structured-data"].as_str().unwrap();
            assert!(data.starts_with("[secure-exec@32473 result=\""), "{data}");
            let hash = records[number]["record_hash"].as_str().unwrap();
            assert!(
                data.ends_with(&format!(" record_hash=\"{hash}\"]")),
                "{data}"
            );
        }
    }
}

#[test]
fn syslog_ng_understands_every_message_as_datagram_and_on_a_stream() {
    for source in ["unix-dgram", "unix-stream"] {
        let host = host(User::Ordinary, &[]);
        let mut syslog = Syslog::syslog_ng(&host, source);
        configure(
            &host,
            &[&format!("type: syslog, socket: {:?}", syslog.socket)],
        );
        host.launch("p").run().succeeded().prints("ran\n");
        // Connections are read side by side, so one after the other.
        for (count, name) in HOSTILE.iter().enumerate() {
            syslog.messages(2 + count);
            host.launch(name).run().refused(126);
        }
        let messages = syslog.messages(2 + HOSTILE.len());
        assert_eq!(messages.len(), 2 + HOSTILE.len());
        let (records, lines) = (host.records(), lines(&host));
        for (number, message) in messages.iter().enumerate() {
            let record = &records[number];
            let priority = *[86, 86].get(number).unwrap_or(&83);
            check(message, record, &lines[number], priority);
            // What another's parser finds in the structured data.
            let data = &message.fields["_SDATA"]["secure-exec@32473"];
            for name in [
                "result",
                "policy",
                "profile",
                "launch_id",
                "prev",
                "record_hash",
            ] {
                assert_eq!(data[name], record[name], "{name}: {data:#}");
            }
            assert_eq!(data["seq"], record["seq"].to_string());
            let name = record["plugin_name"].as_str().unwrap();
            let shown: String = name
                .chars()
                .map(|c| match c {
                    c if c.is_control() || c == '\u{202e}' => format!("\\u{{{:x}}}", u32::from(c)),
                    c => c.to_string(),
                })
                .collect();
            assert_eq!(data["plugin_name"], shown);
        }
    }
}

#[test]
fn the_usual_socket_of_syslog_is_dev_log() {
    for user in EVERYONE {
        let host = host(user, &["type: syslog, format: logfmt"]);
        let messages = private(|| {
            let mut syslog = Busybox::start(&host);
            host.launch("p").run().succeeded().prints("ran\n");
            host.launch(HOSTILE[5]).run().refused(126);
            syslog.lines(3)
        });
        // One line each, as it was sent.
        assert_eq!(messages.len(), 3, "{messages:#?}");
        for (message, record) in messages.iter().zip(host.records()) {
            let (_, text) = message.split_once("\"] ").unwrap();
            let (seq, hash) = (&record["seq"], record["record_hash"].as_str().unwrap());
            assert!(
                text.starts_with(&format!("seq={seq} record_hash={hash} timestamp=")),
                "{text}"
            );
        }
    }
}
