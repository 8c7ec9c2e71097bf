//! Rotation, by secure-exec itself and by others.

use std::path::Path;
use std::process::Command;

use secure_exec_core::audit::chain::{Ends, Link};
use secure_exec_core::audit::state::State;
use serde_json::{Value, json};

use super::{chain, host};
use crate::kit::{EVERYONE, Host, User};

/// Refused launches with long names: the name stands there three times, 180 KB.
fn fill(host: &Host, launches: usize) {
    let long = "n".repeat(60_000);
    for _ in 0..launches {
        host.launch(&long).run().refused(126);
    }
}

/// What is before the oldest record that is still there.
fn before(log: &Path) -> Link {
    let text = chain::content(&chain::files(log).remove(0));
    let first = text.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    let first = Ends::of(first).unwrap();
    Link {
        seq: first.seq - 1,
        hash: first.prev,
    }
}

#[test]
fn by_size_and_the_oldest_are_removed() {
    for user in EVERYONE {
        let host = host(user, "{ max_size: 1, max_backups: 2 }");
        let log = host.audit_log();
        fill(&host, 30);
        assert_eq!(
            chain::names(&log),
            ["audit.log.000002", "audit.log.000003", "audit.log"]
        );
        let records = chain::records_after(&log, before(&log));
        let rotated = chain::of_event(&records, "audit_rotated");
        let newest = rotated.last().unwrap();
        assert_eq!(newest["audit"]["file"], "audit.log.000003");
        assert_eq!(newest["audit"]["rotation"], 3);
        assert_eq!(newest["audit"]["cause"], "size");
        assert_eq!(newest["audit"]["removed"], json!(["audit.log.000001"]));
        assert_eq!(newest["audit"]["oldest"], 2);
        assert_eq!(
            newest["audit"]["last_seq"],
            newest["seq"].as_u64().unwrap() - 1
        );
        assert!(newest.get("plugin_name").is_none());
        for file in chain::files(&log) {
            let stat = std::fs::metadata(&file).unwrap();
            assert!(stat.len() <= 1_000_000, "{}", file.display());
            assert_eq!(
                std::os::unix::fs::PermissionsExt::mode(&stat.permissions()) & 0o777,
                0o600
            );
        }
    }
}

#[test]
fn none_where_nothing_is_asked() {
    let host = host(User::Root, "{ max_size: 0, max_age: 0 }");
    fill(&host, 20);
    assert_eq!(chain::names(&host.audit_log()), ["audit.log"]);
}

#[test]
fn by_age_and_what_is_outdated_is_removed() {
    let host = host(User::Root, "{ max_age: 2, max_backups: 0 }");
    let log = host.audit_log();
    let path = log.with_file_name(".audit.log.state");
    let grow_old = |days: i64| {
        let mut state = State::parse(&std::fs::read(&path).unwrap()).unwrap();
        state.begun -= days * 86_400;
        std::fs::write(&path, state.render()).unwrap();
    };
    host.launch("p").run().succeeded();
    grow_old(1);
    host.launch("p").run().succeeded();
    assert_eq!(chain::names(&log), ["audit.log"]);
    for _ in 0..2 {
        grow_old(3);
        host.launch("p").run().succeeded();
    }
    assert_eq!(
        chain::names(&log),
        ["audit.log.000001", "audit.log.000002", "audit.log"]
    );
    assert_eq!(host.record("audit_rotated")["audit"]["cause"], "age");
    chain::records(&log);
    // The older of the two is outdated when the third is made.
    let outdated = std::time::SystemTime::now() - std::time::Duration::from_secs(3 * 86_400);
    let oldest = std::fs::File::options()
        .write(true)
        .open(log.with_file_name("audit.log.000001"));
    oldest.unwrap().set_modified(outdated).unwrap();
    grow_old(3);
    host.launch("p").run().succeeded();
    assert_eq!(
        chain::names(&log),
        ["audit.log.000002", "audit.log.000003", "audit.log"]
    );
    let record = host.record("audit_rotated");
    assert_eq!(record["audit"]["removed"], json!(["audit.log.000001"]));
}

#[test]
fn compressed_and_a_compression_that_was_interrupted() {
    let host = host(
        User::Root,
        "{ max_size: 1, max_backups: 0, compress: true }",
    );
    let log = host.audit_log();
    let fill_until = |name: &str| {
        while !log.with_file_name(name).exists() {
            fill(&host, 1);
        }
    };
    fill_until("audit.log.000001.gz");
    assert_eq!(chain::names(&log), ["audit.log.000001.gz", "audit.log"]);
    let packed = log.with_file_name("audit.log.000001.gz");
    let plain = log.with_file_name("audit.log.000001");
    let modified = |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap();
    let before = modified(&packed);
    let unpacked = Command::new("gzip")
        .args(["-dk"])
        .arg(&packed)
        .status()
        .unwrap();
    assert!(unpacked.success());
    assert_eq!(modified(&plain), before, "it has the time of its records");
    // Half of a file, and the whole one beside it.
    std::fs::write(&packed, "half").unwrap();
    std::fs::set_permissions(&packed, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(log.with_file_name(".audit.log.000001.gz.new"), "half").unwrap();
    fill_until("audit.log.000002.gz");
    assert_eq!(
        chain::names(&log),
        ["audit.log.000001.gz", "audit.log.000002.gz", "audit.log"]
    );
    chain::records(&log);
    let left = std::fs::read_dir(log.parent().unwrap()).unwrap();
    let left = left.map(|file| file.unwrap().file_name()).filter(|name| {
        let name = name.to_str().unwrap();
        name.contains(".new") || name == "audit.log.000001"
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn what_another_user_put_beside_it_neither_counts_nor_stops_anything() {
    let host = host(
        User::Root,
        "{ max_size: 1, max_backups: 2, compress: true }",
    );
    let log = host.audit_log();
    let beside = |name: &str| log.with_file_name(name);
    std::fs::set_permissions(
        log.parent().unwrap(),
        std::os::unix::fs::PermissionsExt::from_mode(0o1777),
    )
    .unwrap();
    let own = |path: &Path| std::os::unix::fs::lchown(path, Some(58_231), Some(58_231)).unwrap();
    let files = [
        "audit.log.000002",
        "audit.log.000998",
        "audit.log.18446744073709551615",
    ];
    for name in files {
        std::fs::write(beside(name), "planted\n").unwrap();
        own(&beside(name));
    }
    std::fs::create_dir(beside("audit.log.000004")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", beside("audit.log.000005")).unwrap();
    nix::unistd::mkfifo(&beside("audit.log.000006"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    for name in ["audit.log.000004", "audit.log.000005", "audit.log.000006"] {
        own(&beside(name));
    }
    while !beside("audit.log.000008.gz").exists() {
        fill(&host, 1);
    }
    let planted = std::fs::read_to_string(beside("audit.log.000998")).unwrap();
    assert_eq!(planted, "planted\n");
    let record = host.record("audit_rotated");
    assert_eq!(record["audit"]["removed"], json!(["audit.log.000003.gz"]));
    assert_eq!(record["audit"]["not_removed"], json!([]));
    assert_eq!(record["audit"]["oldest"], 7);
    for name in files {
        std::fs::remove_file(beside(name)).unwrap();
    }
    std::fs::remove_dir(beside("audit.log.000004")).unwrap();
    std::fs::remove_file(beside("audit.log.000005")).unwrap();
    std::fs::remove_file(beside("audit.log.000006")).unwrap();
    chain::records_after(&log, before(&log));
}

#[test]
fn a_compression_that_fails_refuses_nothing() {
    let host = host(User::Root, "{ max_size: 1, compress: true }");
    let log = host.audit_log();
    let temporary = log.with_file_name(".audit.log.000001.gz.new");
    std::fs::create_dir(&temporary).unwrap();
    let long = "n".repeat(60_000);
    let mut warned = 0;
    while chain::files(&log).len() < 2 {
        let refused = host.launch(&long).run().refused(126);
        warned += usize::from(refused.stderr.contains("stays uncompressed"));
    }
    assert_eq!(warned, 1);
    assert_eq!(chain::names(&log), ["audit.log.000001", "audit.log"]);
    std::fs::remove_dir(temporary).unwrap();
    while chain::files(&log).len() < 3 {
        fill(&host, 1);
    }
    assert_eq!(
        chain::names(&log),
        ["audit.log.000001.gz", "audit.log.000002.gz", "audit.log"]
    );
    chain::records(&log);
}

/// Has the real logrotate(8) rotate the log, with these more words.
fn logrotate(host: &Host, more: &str) {
    let log = host.audit_log();
    let config = host.path("logrotate.conf");
    let text = format!("{:?} {{\n rotate 9\n su root root\n {more}\n}}\n", log);
    std::fs::write(&config, text).unwrap();
    std::fs::set_permissions(&config, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let done = Command::new("/usr/sbin/logrotate")
        .args(["--force", "--state"])
        .arg(host.path("logrotate.state"))
        .arg(&config)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// The records of these files, which make one chain.
fn chained(files: &[&Path]) -> Vec<Value> {
    let mut last = Link::START;
    let mut records = Vec::new();
    for file in files {
        let text = std::fs::read(file).unwrap();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let ends = Ends::of(line).unwrap();
            assert!(ends.is_genuine(line));
            assert_eq!(
                (ends.seq, ends.prev),
                (last.seq + 1, last.hash),
                "{}",
                file.display()
            );
            last = ends.link();
            records.push(serde_json::from_slice(line).unwrap());
        }
    }
    records
}

#[test]
fn logrotate_renames_it_and_the_chain_goes_on() {
    for more in ["nocreate", "create 0600 root root"] {
        let host = host(User::Root, "{}");
        let log = host.audit_log();
        for _ in 0..2 {
            host.launch("p").run().succeeded();
            logrotate(&host, more);
        }
        host.launch("p").run().succeeded();
        let [first, second] =
            [2, 1].map(|number| log.with_file_name(format!("audit.log.{number}")));
        let records = chained(&[&first, &second, &log]);
        assert_eq!(records.len(), 3 * 2 + 2, "{more}");
        // It had that name then.
        assert_eq!(records[2]["event_type"], "audit_rotated");
        assert_eq!(records[2]["audit"]["cause"], "renamed");
        assert_eq!(records[2]["audit"]["file"], "audit.log.1");
    }
}

#[test]
fn logrotate_copies_and_empties_it_and_the_log_says_so() {
    let host = host(User::Root, "{}");
    let log = host.audit_log();
    host.launch("p").run().succeeded();
    logrotate(&host, "copytruncate");
    host.launch("p").run().succeeded();
    // The copy and what follows are one chain all the same.
    let records = chained(&[&log.with_file_name("audit.log.1"), &log]);
    assert_eq!(records[2]["event_type"], "audit_recovered");
    assert_eq!(records[2]["audit"]["cause"], "emptied");
    assert_eq!(records.len(), 5);
}
