//! `audit verify` and `audit keygen`: what they say of logs that the launcher
//! wrote, before and after somebody changed them.

mod going_on;
mod keys;
mod log;
mod mistakes;
mod mutations;
mod tampering;
mod witnesses;

use std::process::Command;

use crate::kit::{EVERYONE, Host};
use crate::{command, ctl};
use log::{assert_whole, verify};

#[test]
fn a_log_of_launches_is_whole() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "");
        host.list("p", &[]);
        let log = host.audit_log();
        let log = log.to_str().unwrap();
        for _ in 0..3 {
            host.launch("p").run().succeeded();
            host.launch("nosuch").run().refused(126);
            ctl(&host, ["audit", "rotate", log]).succeeded();
        }
        let said = assert_whole(&host, &[]);
        // Three records of launches and one of each rotation but the first.
        assert_eq!(said["records"], 12);
        assert_eq!(
            (&said["first_seq"], &said["last_seq"]),
            (&1.into(), &12.into())
        );
        let names: Vec<&str> = said["files"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "audit.log.000001",
                "audit.log.000002",
                "audit.log.000003",
                "audit.log"
            ]
        );
        // The log that a launch would write is the one that is verified.
        let mut command = command(&host, ["audit", "verify"]);
        command.env("SECURE_EXEC_AUDIT_LOG", log);
        crate::kit::run(command, b"").succeeded();
    }
}

#[test]
fn what_the_logs_own_rules_removed_and_packed_is_no_loss() {
    for options in [
        "{ max_backups: 2 }",
        "{ max_backups: 2, compress: true }",
        "{ max_backups: 1, log_format: logfmt, compress: true }",
    ] {
        let host = Host::new();
        log::write(&host, options, 6, 3);
        let said = assert_whole(&host, &[]);
        assert_eq!(said["last_seq"], 6 * 3 + 5);
        assert!(said["first_seq"].as_u64() > Some(1), "{said}");
    }
}

#[test]
fn a_log_that_logrotate_renames_is_whole() {
    let host = Host::new();
    let log = log::write(&host, "{ max_backups: 0 }", 2, 3);
    let state = host.path("logrotate.state");
    let config = host.write(
        "logrotate.conf",
        &format!(
            "{} {{\n rotate 5\n compress\n delaycompress\n}}\n",
            log.display()
        ),
    );
    for _ in 0..3 {
        let mut logrotate = Command::new("/usr/sbin/logrotate");
        logrotate
            .args(["--force", "--state"])
            .arg(&state)
            .arg(&config);
        crate::kit::run(logrotate, b"").succeeded();
        let writer = log::Writer::of(&log, "{}");
        writer.write("after");
        writer.rotate();
        writer.write("more");
    }
    for name in ["audit.log.1", "audit.log.2.gz", "audit.log.000001"] {
        assert!(host.path("state").join(name).exists(), "{name}");
    }
    assert_whole(&host, &[]);
    // One of those is gone, and nothing of the log's own explains that.
    std::fs::remove_file(host.path("state/audit.log.2.gz")).unwrap();
    let (kind, ..) = log::found(&host, &[]);
    assert_eq!(kind, "file_missing");
}

#[test]
fn a_repaired_log_is_whole_with_notes() {
    use std::io::Write as _;
    let host = Host::new();
    let log = log::write(&host, "{}", 1, 3);
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    file.write_all(b"{\"seq\":4,\"prev\":\"").unwrap();
    // As a writer leaves it that is killed.
    let (kind, file, seq) = log::found(&host, &[]);
    assert_eq!(
        (kind.as_str(), file.as_str(), seq),
        ("cut", "audit.log", Some(4))
    );
    log::Writer::of(&log, "{}").write("next");
    let said = assert_whole(&host, &[]);
    assert_eq!(said["notes"][0]["seq"], 4);
    let outcome = verify(&host, &[]).succeeded();
    assert!(
        outcome.stdout.contains("note: audit.log:4: record 4: "),
        "{outcome:#?}"
    );
    assert!(outcome.stdout.contains("torn"), "{outcome:#?}");
}

#[test]
fn what_is_not_proven_is_said() {
    let host = Host::new();
    log::write(&host, "{}", 1, 1);
    let outcome = verify(&host, &[]).succeeded();
    assert!(
        outcome.stdout.contains("show only with --key"),
        "{outcome:#?}"
    );
    assert_eq!(assert_whole(&host, &[])["end_is_witnessed"], false);
}

#[test]
fn no_name_of_a_file_reaches_the_terminal_as_it_is() {
    let host = Host::new();
    log::write(&host, "{}", 2, 2);
    std::fs::write(host.path("state/audit.log.\u{1b}[2J\u{202e}"), "x\n").unwrap();
    std::fs::remove_file(host.path("state/audit.log.000001")).unwrap();
    for more in [&[][..], &["--json"]] {
        let outcome = verify(&host, more);
        assert_eq!(outcome.status, 1, "{outcome:#?}");
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains("u{1b}") || said.contains("u001b"), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
    }
}
