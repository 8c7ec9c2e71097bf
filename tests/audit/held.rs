//! A launch that is confined can open nothing, and its last record lands in
//! the chain all the same.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use secure_exec::audit::LogError;
use secure_exec::audit::file::FileLog;
use secure_exec_core::audit::Event;
use secure_exec_core::audit::line::Line;
use secure_exec_core::config::AuditConfig;
use serde_json::Value;

use super::chain;
use crate::kit::Host;
use crate::kit::record::{self, render};

fn line(name: &str) -> Line {
    record::line(Event::SandboxApplied, name)
}

/// A log of one record in a folder of its own, and a launch that holds it.
fn held(config: &AuditConfig, first: &str) -> (tempfile::TempDir, PathBuf, FileLog) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let held = FileLog::open(&path, config).unwrap();
    held.append(&mut line(first), true, &render).unwrap();
    held.hold(&render).unwrap();
    (folder, path, held)
}

fn names(records: &[serde_json::Map<String, Value>]) -> Vec<&str> {
    let names = records.iter().map(|record| record.get("plugin_name"));
    names
        .map(|name| name.map_or("of the log", |name| name.as_str().unwrap()))
        .collect()
}

#[test]
fn nobody_begins_a_new_file_while_the_old_one_is_held() {
    let config = AuditConfig::default();
    let (_folder, path, held) = held(&config, "first");
    // Another program renames the file, and may make one in its place.
    let renamed = path.with_extension("log.1");
    std::fs::rename(&path, &renamed).unwrap();
    for (name, of_the_held) in [("second", "third"), ("fourth", "fifth")] {
        let log = FileLog::open(&path, &config).unwrap();
        log.append(&mut line(name), true, &render).unwrap();
        // Nor does one that starts meanwhile wait for it.
        log.hold(&render).unwrap();
        held.append_held(&mut line(of_the_held)).unwrap();
        create(&path);
    }
    // What exec does.
    drop(held);
    let log = FileLog::open(&path, &config).unwrap();
    log.append(&mut line("last"), true, &render).unwrap();
    let old = std::fs::read(&renamed).unwrap();
    let new = std::fs::read(&path).unwrap();
    std::fs::write(&path, [old, new].concat()).unwrap();
    assert_eq!(
        names(&chain::records(&path)),
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "of the log",
            "last"
        ]
    );
}

/// An empty log, as logrotate(8) makes it.
fn create(path: &std::path::Path) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.create(true).truncate(true).write(true);
    options.mode(0o600).open(path).unwrap();
}

#[test]
fn where_the_held_file_is_gone_a_new_one_waits_for_those_who_hold_it() {
    let config = AuditConfig::default();
    let (_folder, path, held) = held(&config, "first");
    std::fs::remove_file(&path).unwrap();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let log = FileLog::open(&path, &config).unwrap();
            log.append(&mut line("third"), true, &render).unwrap();
        });
        held.append_held(&mut line("second")).unwrap();
        drop(held);
        other.join().unwrap();
    });
    let text = std::fs::read_to_string(&path).unwrap();
    let gone: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(gone["audit"]["cause"], "gone");
    assert_eq!(gone["audit"]["known_seq"], 2);
    assert_eq!(gone["seq"], 3);
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn many_may_hold_it_at_once_and_one_of_them_keeps_nobody_waiting() {
    // One is stopped while the log is to be rotated: each writer tries that.
    const WRITERS: usize = 120;
    let config = AuditConfig {
        max_size: 1,
        ..AuditConfig::default()
    };
    let (_folder, path, _stopped) = held(&config, &"n".repeat(999_900));
    let all = std::sync::Barrier::new(WRITERS);
    let write = || -> Result<(), LogError> {
        let log = FileLog::open(&path, &config);
        all.wait();
        let log = log?;
        log.append(&mut line("decision"), true, &render)?;
        log.hold(&render)?;
        log.append_held(&mut line("enforced"))?;
        Ok(())
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS).map(|_| scope.spawn(write)).collect();
        for writer in writers {
            writer.join().unwrap().unwrap();
        }
    });
    assert_eq!(chain::records(&path).len(), 1 + 2 * WRITERS);
    assert_eq!(chain::files(&path).len(), 1);
}

#[test]
fn a_plugin_of_a_user_who_does_not_reach_the_log() {
    let mut host = Host::new();
    host.install_sh("p", "echo ran");
    host.list("p", &[]);
    let state = host.path("state");
    std::fs::set_permissions(&state, PermissionsExt::from_mode(0o700)).unwrap();
    host.profile("other", "user: nobody");
    for _ in 0..2 {
        let launch = host.launch("p").profile("other").run();
        launch.succeeded().prints("ran\n");
    }
    assert_eq!(host.records().len(), 4);
    // Also what fails after the change of user.
    host.profile(
        "other",
        "user: nobody\nworking_directory: /nonexistent\numask: \"0077\"",
    );
    let launch = host.launch("p").profile("other").run();
    launch.refused(125).says("/nonexistent");
    let records = chain::records(&host.audit_log());
    assert_eq!(records.len(), 6);
    assert_eq!(records[5]["event_type"], "plugin_exited");
    let files = std::fs::read_dir(state).unwrap().map(Result::unwrap);
    for file in files {
        let owner = MetadataExt::uid(&file.metadata().unwrap());
        assert_eq!(owner, 0, "{}", file.path().display());
    }
}

#[test]
fn one_that_is_stopped_keeps_the_log_from_rotating_and_nobody_from_writing() {
    let config = AuditConfig {
        max_size: 1,
        ..AuditConfig::default()
    };
    let (_folder, path, stopped) = held(&config, "first");
    let log = FileLog::open(&path, &config).unwrap();
    let long = "n".repeat(600_000);
    for _ in 0..3 {
        log.append(&mut line(&long), true, &render).unwrap();
    }
    assert_eq!(chain::files(&path).len(), 1);
    drop(stopped);
    log.append(&mut line("last"), true, &render).unwrap();
    assert_eq!(chain::files(&path).len(), 2);
    assert_eq!(chain::records(&path).len(), 6);
}

#[test]
fn what_another_left_half_written_is_repaired_and_told_later() {
    use std::io::Write as _;
    let config = AuditConfig::default();
    let (_folder, path, held) = held(&config, "first");
    let mut other = std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap();
    other.write_all(b"{\"seq\":2,\"pre").unwrap();
    held.append_held(&mut line("second")).unwrap();
    drop(held);
    let log = FileLog::open(&path, &config).unwrap();
    log.append(&mut line("third"), true, &render).unwrap();
    let records = chain::records(&path);
    assert_eq!(records.len(), 4);
    assert_eq!(records[1]["plugin_name"], "second");
    assert_eq!(records[2]["audit"]["cause"], "torn");
    assert_eq!(records[2]["audit"]["cut_bytes"], 13);
}
