//! systemd's journal as a sink.

use serde_json::Value;

use super::collectors::Journal;
use super::sinks::{HOSTILE, host, lines};
use crate::kit::namespace::private;
use crate::kit::{EVERYONE, ORDINARY, User, program, run};

#[test]
fn the_journal_has_every_record_with_its_fields() {
    for user in EVERYONE {
        let mut host = host(user, &["type: journald"]);
        host.install_sh("changed", "exit 0");
        host.list("changed", &[]);
        host.install_sh("changed", "exit 1");
        let entries = private(|| {
            let mut journal = Journal::start();
            host.launch("p").run().succeeded().prints("ran\n");
            host.launch("changed").run().refused(126);
            journal.entries()
        });
        let records = host.records();
        let lines = lines(&host);
        assert_eq!(entries.len(), 3, "{entries:#?}");
        assert_eq!(records.len(), 3, "{records:#?}");
        for (entry, (record, line)) in entries.iter().zip(records.iter().zip(&lines)) {
            assert_eq!(entry["SECURE_EXEC_RECORD"], line.as_str());
            for name in [
                "timestamp",
                "event_type",
                "plugin_name",
                "plugin_path",
                "hash_expected",
                "hash_actual",
                "policy",
                "result",
                "violation_type",
                "severity",
                "reason",
                "launch_id",
                "host",
                "profile",
                "prev",
                "record_hash",
                "whitelist_digest",
            ] {
                let field = format!("SECURE_EXEC_{}", name.to_uppercase());
                assert_eq!(entry[&field], record[name], "{name}: {entry:#?}");
            }
            for name in ["seq", "pid", "uid", "ppid"] {
                let field = format!("SECURE_EXEC_{}", name.to_uppercase());
                assert_eq!(
                    entry[&field],
                    record[name].to_string(),
                    "{name}: {entry:#?}"
                );
            }
            // What the journal itself knows of the sender.
            assert_eq!(entry["_TRANSPORT"], "journal");
            assert_eq!(entry["_PID"], record["pid"].to_string());
            let uid = if user == User::Root { 0 } else { ORDINARY };
            assert_eq!(entry["_UID"], uid.to_string());
            assert_eq!(entry["SYSLOG_FACILITY"], "10");
        }
        let column = |name: &str| {
            entries
                .iter()
                .map(|entry| entry[name].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(column("PRIORITY"), ["6", "6", "2"]);
        assert_eq!(
            column("MESSAGE"),
            [
                "Allowed, verified: plugin 'p'",
                "Allowed, sandbox in force: plugin 'p'",
                "Blocked, hash_mismatch: plugin 'changed': the plugin's bytes are not the whitelisted ones"
            ]
        );
        assert_eq!(
            column("MESSAGE_ID"),
            [
                "dbbd357a8160428fb1425a4b6dce0b50",
                "4e32ae7a61394657a76f2462f2e48936",
                "3b3d3425cc9048d6b008f5c7a8632b98"
            ]
        );
        assert_eq!(entries[1]["SECURE_EXEC_SANDBOX_ENFORCEMENT"], "full");
    }
}

#[test]
fn the_journal_is_reached_from_namespaces_of_the_plugins_own() {
    for user in EVERYONE {
        let mut host = host(user, &["type: journald"]);
        host.profile("apart", "extends: no-sockets\nisolation: namespaces");
        host.install_copy("apart", program::static_c("int main() { return 0; }"));
        host.list("apart", &["profile: apart"]);
        let entries = private(|| {
            let mut journal = Journal::start();
            host.launch("apart").run().succeeded();
            journal.entries()
        });
        let [_, applied] = &entries[..] else {
            panic!("{entries:#?}");
        };
        assert_eq!(applied["SECURE_EXEC_EVENT_TYPE"], "sandbox_applied");
        // The plugin's process, which the launcher waits for.
        assert_ne!(applied["_PID"], applied["SECURE_EXEC_PID"]);
    }
}

#[test]
fn no_name_forges_anything_in_the_journal() {
    let host = host(User::Root, &["type: journald"]);
    let entries = private(|| {
        let mut journal = Journal::start();
        for name in HOSTILE {
            host.launch(name).run().refused(126);
        }
        journal.entries()
    });
    assert_eq!(entries.len(), HOSTILE.len());
    for (entry, (record, name)) in entries.iter().zip(host.records().iter().zip(HOSTILE)) {
        assert_eq!(&record["plugin_name"], name);
        // Text, and none of several lines: the journal's tools show others as
        // lists of bytes.
        let own = entry.as_object().unwrap().iter();
        let own = own.filter(|(field, _)| !field.starts_with('_'));
        for (field, value) in own {
            let value = value.as_str().unwrap_or_else(|| panic!("{field}: {value}"));
            assert!(!value.chars().any(char::is_control), "{field}: {value}");
        }
        let message = entry["MESSAGE"].as_str().unwrap();
        assert!(
            message.starts_with("Blocked, plugin_not_whitelisted: plugin 'x")
                || name.starts_with("Gru"),
            "{message}"
        );
        assert_eq!(entry["PRIORITY"], "3");
        assert_eq!(entry["SECURE_EXEC_RESULT"], "blocked");
        let kept = entry["SECURE_EXEC_RECORD"].as_str().unwrap();
        let kept: Value = serde_json::from_str(kept).unwrap();
        assert_eq!(&kept, record);
    }
}

#[test]
fn the_journal_takes_what_no_datagram_holds() {
    for user in EVERYONE {
        let host = host(user, &["type: journald"]);
        // Six bytes each in the record, twice.
        let name = "\u{1}".repeat(100_000);
        let entries = private(|| {
            let mut journal = Journal::start();
            host.launch(&name).run().refused(126);
            journal.entries()
        });
        let [entry] = &entries[..] else {
            panic!("{} entries", entries.len());
        };
        let line = lines(&host).remove(0);
        assert!(line.len() > 600_000);
        assert!(entry["SECURE_EXEC_RECORD"] == line.as_str());
    }
}

#[test]
fn the_journal_hears_what_happened_to_the_file() {
    let host = host(User::Root, &["type: journald"]);
    let entries = private(|| {
        let mut journal = Journal::start();
        host.launch("p").run().succeeded();
        std::fs::rename(host.audit_log(), host.path("state/elsewhere")).unwrap();
        host.launch("p").run().succeeded();
        journal.entries()
    });
    let [_, _, rotated, after, _] = &entries[..] else {
        panic!("{entries:#?}");
    };
    let message = "Audit log: goes on in a new file: renamed";
    assert_eq!(rotated["MESSAGE"], message);
    assert_eq!(rotated["PRIORITY"], "6");
    assert_eq!(rotated["SECURE_EXEC_AUDIT_CAUSE"], "renamed");
    let lines = lines(&host);
    assert_eq!(rotated["SECURE_EXEC_RECORD"], lines[0].as_str());
    assert_eq!(
        after["SECURE_EXEC_PREV"],
        rotated["SECURE_EXEC_RECORD_HASH"]
    );
}

#[test]
fn the_journal_can_be_the_only_sink() {
    // Where a file that nobody asked for would lie in the host's folder.
    let host = host(User::Ordinary, &[]);
    host.audit("{ sinks: [{ type: journald, on_failure: refuse }] }");
    let entries = private(|| {
        let mut journal = Journal::start();
        let mut command = host.command(host.launcher());
        command.arg("--config").arg(host.path("config.yaml"));
        command.arg("--whitelist").arg(host.whitelist()).arg("p");
        run(command, b"").succeeded().prints("ran\n");
        journal.entries()
    });
    assert_eq!(entries.len(), 2, "{entries:#?}");
    for entry in &entries {
        assert!(entry.get("SECURE_EXEC_SEQ").is_none());
        let record = entry["SECURE_EXEC_RECORD"].as_str().unwrap();
        let record: Value = serde_json::from_str(record).unwrap();
        assert_eq!(record["plugin_name"], "p");
        assert_eq!(record["event_type"], entry["SECURE_EXEC_EVENT_TYPE"]);
    }
    assert!(!host.path("state/secure-exec").exists());
}

#[test]
fn the_plugin_has_none_of_the_sockets() {
    for user in EVERYONE {
        let mut host = host(user, &["type: journald"]);
        host.install_sh("lists", "ls -l /proc/self/fd/ 2>&1; true");
        host.list("lists", &[]);
        let outcome = private(|| {
            let _journal = Journal::start();
            host.launch("lists").policy("audit-only").run().succeeded()
        });
        assert!(outcome.stdout.contains("/proc/"), "{outcome:#?}");
        assert!(!outcome.stdout.contains("socket:"), "{outcome:#?}");
    }
}
