//! One test a sentence of the guide that this project rebuilds, as far as it
//! can be tested from outside: hot reload, authentication and the gateway are
//! other programs' work.

use std::process::Command;

use serde_json::Value;

use crate::kit::{Host, digest, run};

/// The guide's sample of a whitelist, but for its prose: the hash of the second
/// plugin has 62 digits, that of the third 65.
const SAMPLE: &str = include_str!("spec/plugins.whitelist");

/// The guide's sample with the plugins that it names, none of them signed.
fn sample() -> Host {
    let host = Host::new();
    for name in ["auth-service", "payment-service", "logging-service"] {
        host.install_sh(name, "echo ran");
    }
    host.write("plugins.whitelist", SAMPLE);
    host
}

/// A host with the plugin `auth-service`.
fn listed() -> Host {
    let mut host = Host::new();
    host.install_sh("auth-service", "echo ran");
    host.list("auth-service", &["algorithm: sha256", "enabled: true"]);
    host
}

// Plugin whitelist

#[test]
fn the_sample_whitelist_loads_and_reports_its_two_malformed_hashes() {
    let host = sample();
    let outcome = host.launch("auth-service").run().refused(126);
    let warnings: Vec<&str> = outcome
        .stderr
        .lines()
        .filter(|l| l.starts_with("WARNING"))
        .collect();
    assert_eq!(warnings.len(), 2, "{outcome:#?}");
    assert!(warnings[0].contains("'payment-service': the hash has 62 hexadecimal digits"));
    assert!(warnings[1].contains("'logging-service': the hash has 65 hexadecimal digits"));
}

#[test]
fn each_plugin_of_the_sample_is_refused_for_its_own_reason() {
    let host = sample();
    // What is installed here is not what the sample was made from.
    for (name, violation) in [
        ("auth-service", "hash_mismatch"),
        ("payment-service", "malformed_hash"),
        ("logging-service", "plugin_disabled"),
    ] {
        host.launch(name).run().refused(126);
        let record = host.record("security_violation");
        assert_eq!(record["violation_type"], violation, "{name}");
        assert_eq!(record["plugin_name"], name);
    }
}

#[test]
fn the_sample_enforces_signatures() {
    let host = sample();
    let hash = digest(&host.path("plugins/auth-service"));
    let line = SAMPLE
        .lines()
        .find(|line| line.contains("a1b2c3d4"))
        .unwrap();
    let corrected = SAMPLE.replace(line, &format!("    hash: {hash:?}"));
    host.write("plugins.whitelist", &corrected);
    host.launch("auth-service")
        .run()
        .refused(126)
        .says("signature_missing");
    host.write(
        "plugins.whitelist",
        &corrected.replace("enforce_signatures: true", "enforce_signatures: false"),
    );
    host.launch("auth-service")
        .run()
        .succeeded()
        .prints("ran\n");
}

#[test]
fn relative_paths_begin_at_the_whitelist() {
    let host = listed();
    let mut command = host.launch("auth-service").command();
    command.current_dir("/");
    run(command, b"").succeeded().prints("ran\n");
}

// Generating hashes

#[test]
fn the_hash_tool_prints_what_the_whitelist_takes() {
    let mut host = listed();
    let mut command = Command::new(env!("CARGO_BIN_EXE_plugin-hash"));
    command
        .args(["--algorithm", "sha256", "--file"])
        .arg(host.path("plugins/auth-service"));
    let printed = run(command, b"").succeeded().stdout;
    let hash = printed.strip_suffix('\n').unwrap();
    assert_eq!(hash, digest(&host.path("plugins/auth-service")));
    host.list_path("again", "./plugins/auth-service", hash, &[]);
    host.launch("again").run().succeeded().prints("ran\n");
}

// Security policies

#[test]
fn strict_loads_only_whitelisted_plugins_with_valid_hashes() {
    let host = listed();
    host.launch("auth-service")
        .run()
        .succeeded()
        .prints("ran\n");
    host.launch("other").run().refused(126);
    host.install_sh("auth-service", "echo changed");
    host.launch("auth-service").run().refused(126);
}

#[test]
fn strict_stops_execution_at_any_violation() {
    let host = listed();
    let ran = host.path("home/ran");
    let body = format!("echo >{}", ran.display());
    let plugin = host.install_sh("auth-service", &body);
    host.launch("auth-service").run().refused(126);
    assert!(!ran.exists());
    // It would have.
    host.bare(plugin, &[]).succeeded();
    assert!(ran.exists());
}

#[test]
fn strict_logs_every_event() {
    let host = listed();
    host.launch("auth-service").run().succeeded();
    host.launch("other").run().refused(126);
    host.launch("..").run().refused(126);
    let events = |records: Vec<Value>| -> Vec<String> {
        records
            .iter()
            .map(|r| r["event_type"].as_str().unwrap().to_string())
            .collect()
    };
    assert_eq!(
        events(host.records()),
        [
            "plugin_validation_success",
            "sandbox_applied",
            "security_violation",
            "security_violation"
        ]
    );
}

#[test]
fn strict_knows_no_exceptions_and_no_overrides() {
    let mut host = listed();
    host.set("policy: strict");
    host.install_sh("auth-service", "echo changed");
    let launch = || host.launch("auth-service");
    launch().policy("audit-only").run().refused(126);
    launch()
        .env("SECURE_EXEC_POLICY", "permissive")
        .run()
        .refused(126);
    launch().option("--quiet").run().refused(126);
    launch().profile("unconfined").run().refused(125);
}

#[test]
fn permissive_warns_of_plugins_that_are_not_whitelisted_and_runs_them() {
    let host = listed();
    let other = host.install_sh("other", "echo other ran");
    let outcome = host.launch(&other).policy("permissive").run().succeeded();
    outcome
        .prints("other ran\n")
        .says("WARNING: plugin_not_whitelisted");
}

#[test]
fn permissive_warns_of_hash_mismatches_and_does_not_block() {
    let host = listed();
    host.install_sh("auth-service", "echo changed");
    let outcome = host
        .launch("auth-service")
        .policy("permissive")
        .run()
        .succeeded();
    outcome.prints("changed\n").says("WARNING: hash_mismatch");
}

#[test]
fn permissive_still_logs_all_events() {
    let host = listed();
    host.install_sh("auth-service", "echo changed");
    host.launch("auth-service")
        .policy("permissive")
        .run()
        .succeeded();
    let record = host.record("security_violation");
    assert_eq!(record["violation_type"], "hash_mismatch");
    assert_eq!(
        (&record["policy"], &record["result"]),
        (&"permissive".into(), &"allowed".into())
    );
}

#[test]
fn audit_logs_every_operation_and_enforces_nothing() {
    let host = listed();
    let ran = host.path("home/ran");
    host.install_sh(
        "auth-service",
        &format!("echo >{}; echo changed", ran.display()),
    );
    let outcome = host
        .launch("auth-service")
        .policy("audit-only")
        .run()
        .succeeded();
    assert_eq!((&*outcome.stdout, &*outcome.stderr), ("changed\n", ""));
    assert!(ran.exists(), "no sandbox");
    let records = host.records();
    assert!(
        records.iter().all(|record| record["result"] == "observed"),
        "{records:#?}"
    );
    assert_eq!(
        host.record("security_violation")["violation_type"],
        "hash_mismatch"
    );
}

// Audit logging

/// The fields of the guide's two sample entries.
const SUCCESS: [&str; 10] = [
    "timestamp",
    "event_type",
    "plugin_name",
    "plugin_path",
    "hash_expected",
    "hash_actual",
    "policy",
    "result",
    "user_agent",
    "source_ip",
];
const VIOLATION: [&str; 11] = [
    "timestamp",
    "event_type",
    "violation_type",
    "plugin_name",
    "plugin_path",
    "hash_expected",
    "hash_actual",
    "policy",
    "result",
    "severity",
    "action_taken",
];

#[test]
fn a_successful_validation_has_the_fields_of_the_sample() {
    let host = listed();
    host.launch("auth-service").run().succeeded();
    let record = host.record("plugin_validation_success");
    for field in SUCCESS {
        assert!(
            record[field]
                .as_str()
                .is_some_and(|value| !value.is_empty()),
            "{field}"
        );
    }
    assert_eq!(record["hash_expected"], record["hash_actual"]);
    assert_eq!(
        (&record["policy"], &record["result"]),
        (&"strict".into(), &"allowed".into())
    );
    assert_eq!(record["source_ip"], "127.0.0.1");
}

#[test]
fn a_violation_has_the_fields_of_the_sample() {
    let host = listed();
    host.install_sh("auth-service", "echo changed");
    host.launch("auth-service").run().refused(126);
    let record = host.record("security_violation");
    for field in VIOLATION {
        assert!(
            record[field]
                .as_str()
                .is_some_and(|value| !value.is_empty()),
            "{field}"
        );
    }
    assert_ne!(record["hash_expected"], record["hash_actual"]);
    for (field, value) in [
        ("violation_type", "hash_mismatch"),
        ("result", "blocked"),
        ("severity", "high"),
        ("action_taken", "plugin_execution_blocked"),
    ] {
        assert_eq!(record[field], value, "{field}");
    }
}

// Troubleshooting

#[test]
fn a_hash_mismatch_shows_both_hashes_and_the_cure() {
    let host = listed();
    let expected = digest(&host.path("plugins/auth-service"));
    host.install_sh("auth-service", "echo changed");
    let actual = digest(&host.path("plugins/auth-service"));
    let outcome = host.launch("auth-service").run().refused(126);
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(lines[0], "ERROR: Plugin hash mismatch for 'auth-service'");
    assert_eq!(lines[1], format!("Expected: {expected}"));
    assert_eq!(lines[2], format!("Actual:   {actual}"));
    assert!(lines[3].contains("plugin-hash --file") && lines[3].contains("update the whitelist"));
    assert_eq!(lines.len(), 4, "{outcome:#?}");
}

#[test]
fn regenerating_the_hash_and_updating_the_whitelist_cures_it() {
    let host = listed();
    let before = digest(&host.path("plugins/auth-service"));
    host.install_sh("auth-service", "echo updated");
    host.launch("auth-service").run().refused(126);
    let whitelist = std::fs::read_to_string(host.whitelist()).unwrap();
    let now = digest(&host.path("plugins/auth-service"));
    host.write("plugins.whitelist", &whitelist.replace(&before, &now));
    host.launch("auth-service")
        .run()
        .succeeded()
        .prints("updated\n");
}

#[test]
fn a_plugin_that_is_not_whitelisted_is_named_with_the_cure() {
    let mut host = listed();
    host.install_sh("new-service", "echo new");
    let outcome = host.launch("new-service").run().refused(126);
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(
        lines[0],
        "ERROR: Plugin 'new-service' not found in whitelist"
    );
    assert!(lines[1].contains("whitelist add"));
    assert_eq!(lines.len(), 2, "{outcome:#?}");
    host.list("new-service", &[]);
    host.launch("new-service").run().succeeded().prints("new\n");
}

// Overview

#[test]
fn manipulated_paths_are_refused() {
    let mut host = listed();
    let hash = digest(&host.path("plugins/auth-service"));
    for (name, path) in [
        ("up", "../outside"),
        ("around", "plugins/../../outside"),
        ("dots", "./plugins/../plugins/auth-service"),
    ] {
        host.list_path(name, path, &hash, &[]);
        host.launch(name)
            .run()
            .refused(126)
            .says("refused (path_traversal): ");
        assert_eq!(
            host.record("security_violation")["violation_type"],
            "path_traversal"
        );
    }
}

#[test]
fn a_plugin_runs_in_a_process_of_its_own() {
    let mut host = listed();
    host.install_sh("who", "echo $$ $PPID");
    host.list("who", &[]);
    let outcome = host.launch("who").run().succeeded();
    let record = host.record("plugin_validation_success");
    let expected = format!("{} {}\n", record["pid"], std::process::id());
    outcome.prints(&expected);
}
