//! A launch that is confined can open nothing, and its last record lands in
//! the chain all the same.

use secure_exec::audit::file::FileLog;
use secure_exec_core::audit::chain::Format;
use secure_exec_core::audit::line::Line;
use secure_exec_core::audit::{Event, Launch, Record};
use secure_exec_core::config::AuditConfig;
use serde_json::Value;

use super::chain;

fn launch() -> Launch {
    Launch {
        user_agent: "secure-exec/test".into(),
        source_ip: "127.0.0.1".into(),
        launch_id: "0".repeat(32),
        pid: 1,
        ppid: 1,
        uid: 0,
        host: "host".into(),
    }
}

fn line(name: &str) -> Line {
    let launch = launch();
    let record = Record {
        plugin_name: Some(name),
        ..Record::new(
            "2026-01-01T00:00:00Z".into(),
            Event::SandboxApplied,
            "strict",
            &launch,
        )
    };
    Line::new(&record, Format::Json).unwrap()
}

fn render(event: Event, audit: Value) -> Result<Line, serde_json::Error> {
    let launch = launch();
    let record = Record {
        audit: Some(audit),
        ..Record::new("2026-01-01T00:00:00Z".into(), event, "strict", &launch)
    };
    Line::new(&record, Format::Json)
}

#[test]
fn whoever_begins_a_new_file_waits_for_those_who_hold_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let config = AuditConfig::default();
    let held = FileLog::open(&path, &config).unwrap();
    held.append(&mut line("first"), true, &render).unwrap();
    held.hold(&render).unwrap();
    // Another program takes the file away, and another launch needs one.
    std::fs::rename(&path, path.with_extension("log.1")).unwrap();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let log = FileLog::open(&path, &config).unwrap();
            log.append(&mut line("third"), true, &render).unwrap();
        });
        held.append_held(&mut line("second")).unwrap();
        // What exec does.
        drop(held);
        other.join().unwrap();
    });
    let old = std::fs::read(path.with_extension("log.1")).unwrap();
    let new = std::fs::read(&path).unwrap();
    std::fs::write(&path, [old, new].concat()).unwrap();
    let names: Vec<_> = chain::records(&path)
        .iter()
        .map(|record| record.get("plugin_name").cloned())
        .collect();
    let named = |name: &str| Some(Value::from(name));
    assert_eq!(
        names,
        [named("first"), named("second"), None, named("third")]
    );
}

#[test]
fn one_that_is_stopped_keeps_the_log_from_rotating_and_nobody_from_writing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let config = AuditConfig {
        max_size: 1,
        ..AuditConfig::default()
    };
    let stopped = FileLog::open(&path, &config).unwrap();
    stopped.append(&mut line("first"), true, &render).unwrap();
    stopped.hold(&render).unwrap();
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
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let config = AuditConfig::default();
    let held = FileLog::open(&path, &config).unwrap();
    held.append(&mut line("first"), true, &render).unwrap();
    held.hold(&render).unwrap();
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
