//! `audit stats`: the numbers, against those that jq counts.

use std::process::Command;

use secure_exec_core::audit::{Event, Outcome};
use serde_json::{Value, json};

use crate::kit::{EVERYONE, Host, run};
use crate::logs::{Log, Said, refusal, rotated, sandbox, success};
use crate::{ctl, json};

fn stats(host: &Host, log: &Log, more: &[&str]) -> Value {
    let words = ["audit", "stats", log.path().to_str().unwrap()];
    json(host, words.iter().chain(more))
}

/// Launches of every kind, by the real launcher.
pub(crate) fn launches_of_every_kind(host: &mut Host) {
    host.set("allow_dev_plugins: false");
    for name in ["good", "bad", "off", "gone", "odd"] {
        host.install_sh(name, "exit 0");
    }
    host.list("good", &[]).list("bad", &[]).list("gone", &[]);
    host.list("off", &["enabled: false"]);
    host.install_sh("bad", "exit 1");
    std::fs::remove_file(host.path("plugins/gone")).unwrap();
    for _ in 0..3 {
        host.launch("good").run().succeeded();
    }
    host.launch("good").policy("audit-only").run().succeeded();
    host.launch("bad").run().refused(126);
    // Two violations, one launch.
    host.install("loose", b"#!/bin/sh\nexit 0\n");
    let loose = host.path("plugins/loose");
    std::fs::set_permissions(&loose, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let ran = host.launch(&loose).policy("permissive").run();
    assert_eq!(ran.status, 0, "{ran:?}");
    host.launch("off").run().refused(126);
    host.launch("nobody").run().refused(126);
    host.launch("gone").run().refused(127);
    // A launch that ends before anything is known of its plugin.
    host.list("odd", &["profile: none-such"]);
    host.launch("odd").run().refused(125);
}

#[test]
fn the_numbers_are_those_of_the_launches() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        launches_of_every_kind(&mut host);
        let log = Log::of(&host);
        let found = stats(&host, &log, &[]);
        assert_eq!(
            found["launches"],
            json!({ "total": 10, "allowed": 4, "observed": 1, "refused": 3, "not_started": 2 })
        );
        assert_eq!(
            found["refusals"],
            json!({ "hash_mismatch": 1, "plugin_disabled": 1, "plugin_not_whitelisted": 1 })
        );
        assert_eq!(found["overlooked"]["insecure_permissions"], 1, "{found:#}");
        assert_eq!(
            found["overlooked"]["plugin_not_whitelisted"], 1,
            "{found:#}"
        );
        assert_eq!(
            found["sandboxes"],
            json!({ "full": 4, "partial": 0, "none": 1, "degraded": 1 })
        );
        let names = |list: &str| -> Vec<String> {
            let list = found[list].as_array().unwrap().iter();
            list.map(|plugin| plugin["name"].as_str().unwrap().to_string())
                .collect()
        };
        assert_eq!(names("plugins"), ["bad", "gone", "good", "off"]);
        let typed = host.path("plugins/loose").to_str().unwrap().to_string();
        assert_eq!(names("not_listed"), [typed, "nobody".into(), "odd".into()]);
        // Another program counts the same.
        let counted = |filter: &str| {
            let mut jq = Command::new("jq");
            jq.args(["-s", filter]).arg(log.path());
            let said = run(jq, b"").succeeded().stdout;
            said.trim().parse::<u64>().unwrap()
        };
        assert_eq!(found["records"], counted("length"));
        assert_eq!(
            found["launches"]["total"],
            counted("map(.launch_id) | unique | length")
        );
        let blocked = "map(select(.result == \"blocked\") | .launch_id) | unique | length";
        assert_eq!(counted(blocked), 5);
        let records = host.records();
        assert_eq!(found["first_record"], records[0]["timestamp"]);
        assert_eq!(found["last_decision"], records.last().unwrap()["timestamp"]);
        assert_eq!(found["bytes"], std::fs::metadata(log.path()).unwrap().len());
        let text = ctl(&host, ["audit", "stats", log.path().to_str().unwrap()])
            .succeeded()
            .stdout;
        assert!(
            text.contains("10: 4 allowed, 1 observed, 3 refused, 2 not started"),
            "{text}"
        );
    }
}

#[test]
fn a_launch_that_is_blocked_after_all_is_counted_once() {
    let host = Host::new();
    let mut log = Log::of(&host);
    log.write(&success("p", 1));
    log.write(&sandbox("p", 1, "full", 7));
    // The sandbox did not hold, and another time exec failed.
    log.write(&refusal("p", "sandbox_unavailable", 1));
    log.write(&success("q", 2));
    log.write(&Said {
        event: Event::PluginExited,
        result: Outcome::Blocked,
        ..success("q", 2)
    });
    log.write(&success("q", 3));
    let found = stats(&host, &log, &[]);
    assert_eq!(
        found["launches"],
        json!({ "total": 3, "allowed": 1, "observed": 0, "refused": 1, "not_started": 1 })
    );
    assert_eq!(found["plugins"][0]["launches"]["refused"], 1);
    assert_eq!(found["plugins"][1]["launches"]["total"], 2);
    assert_eq!(found["refusals"], json!({ "sandbox_unavailable": 1 }));
}

#[test]
fn rotations_and_repairs_are_counted_over_all_files() {
    let host = Host::new();
    let mut log = Log::of(&host);
    log.write(&success("p", 1));
    log.rotate();
    log.rotate();
    for cause in ["torn", "torn", "gone"] {
        let audit = Some(json!({ "cause": cause, "cut_bytes": 7 }));
        log.write(&Said {
            event: Event::AuditRecovered,
            audit,
            ..rotated("", "")
        });
    }
    log.append(b"words\n");
    let found = stats(&host, &log, &[]);
    assert_eq!(
        (&found["files"], &found["records"], &found["rotations"]),
        (&3.into(), &6.into(), &2.into())
    );
    assert_eq!(found["recoveries"], json!({ "torn": 2, "gone": 1 }));
    assert_eq!(found["lines_that_are_no_records"], 1);
    let said = ctl(&host, ["audit", "stats", log.path().to_str().unwrap()]).succeeded();
    assert!(said.stdout.contains("3: 1 gone, 2 torn"), "{said:?}");
    said.says("1 line of the log is no record");
}

#[test]
fn a_time_narrows_what_is_counted() {
    let host = Host::new();
    let mut log = Log::of(&host);
    for launch in 0..10 {
        log.write(&success("p", launch));
        log.wait(86_400);
    }
    let found = stats(
        &host,
        &log,
        &["--since", "2026-11-04", "--until", "2026-11-08"],
    );
    assert_eq!(found["launches"]["total"], 4);
    assert_eq!(found["first_record"], "2026-11-04T00:00:00.000000Z");
    assert_eq!(
        stats(&host, &log, &["--since", "2027-01-01"])["first_record"],
        Value::Null
    );
}

#[test]
fn callers_cannot_crowd_out_the_plugins_of_the_whitelist() {
    let host = Host::new();
    let mut log = Log::of(&host);
    let mut lines = Vec::new();
    for launch in 0..3_000_u128 {
        let typed = format!("/tmp/{launch}/{}", "x".repeat(3_000));
        lines.extend(log.line(&refusal(&typed, "plugin_not_whitelisted", launch)));
    }
    log.append(&lines);
    log.write(&refusal("auth", "hash_mismatch", 5_000));
    let found = stats(&host, &log, &[]);
    assert_eq!(found["launches"]["refused"], 3_001);
    assert_eq!(found["plugins"].as_array().unwrap().len(), 1);
    assert_eq!(found["plugins"][0]["name"], "auth");
    assert_eq!(found["not_listed"].as_array().unwrap().len(), 100);
    assert_eq!(found["other_not_listed"]["refused"], 2_900);
}
