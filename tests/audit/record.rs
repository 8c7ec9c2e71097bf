//! What a record says.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::kit::{EVERYONE, Host, ORDINARY, User, digest};

fn host(user: User) -> Host {
    let mut host = Host::of(user);
    host.install_sh("p", "echo ran");
    host.list("p", &[]);
    host
}

/// RFC 3339, UTC, microseconds.
fn is_timestamp(value: &Value) -> bool {
    let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let text: String = value.as_str().unwrap().chars().map(shape).collect();
    text == "0000-00-00T00:00:00.000000Z"
}

fn is_hex(value: &Value, start: &str, digits: usize) -> bool {
    let rest = value.as_str().and_then(|text| text.strip_prefix(start));
    rest.is_some_and(|rest| rest.len() == digits && rest.chars().all(|c| c.is_ascii_hexdigit()))
}

#[test]
fn a_launch_has_two_records_of_one_launch() {
    for user in EVERYONE {
        let host = host(user);
        host.launch("p").run().succeeded();
        let records = host.records();
        let [decided, applied] = &records[..] else {
            panic!("{records:#?}");
        };
        assert_eq!(decided["event_type"], "plugin_validation_success");
        assert_eq!(applied["event_type"], "sandbox_applied");
        for record in &records {
            assert!(is_timestamp(&record["timestamp"]), "{record:#?}");
            assert_eq!(record["plugin_name"], "p");
            assert_eq!(record["policy"], "strict");
            assert_eq!(record["result"], "allowed");
            assert_eq!(
                record["user_agent"],
                concat!("secure-exec/", env!("CARGO_PKG_VERSION"))
            );
            assert_eq!(record["source_ip"], "127.0.0.1");
            assert_eq!(record["hash_expected"], digest(&host.path("plugins/p")));
            assert_eq!(record["hash_actual"], digest(&host.path("plugins/p")));
            assert_eq!(record["whitelist_digest"], digest(&host.whitelist()));
            assert_eq!(record["profile"], "default");
            let image = if user.is_root() { "guarded" } else { "sealed" };
            assert_eq!(record["image"], image);
            let path = host.path("plugins/p").canonicalize().unwrap();
            assert_eq!(record["plugin_path"], path.to_str().unwrap());
            assert!(is_hex(&record["launch_id"], "", 32), "{record:#?}");
            assert_eq!(record["launch_id"], decided["launch_id"]);
            assert!(record["pid"].as_u64().unwrap() > 1);
            assert_eq!(record["ppid"], u64::from(std::process::id()));
            let uid = if user == User::Root { 0 } else { ORDINARY };
            assert_eq!(record["uid"], uid);
            assert_eq!(
                record["host"],
                nix::sys::utsname::uname()
                    .unwrap()
                    .nodename()
                    .to_str()
                    .unwrap()
            );
        }
        host.launch("p").run().succeeded();
        let again = host.record("sandbox_applied");
        assert_ne!(again["launch_id"], applied["launch_id"]);
    }
}

#[test]
fn the_sandbox_is_recorded_as_it_was_applied() {
    for user in EVERYONE {
        let host = host(user);
        host.profile(
            "own",
            "limits: { memory: 1GiB, open_files: 77, file_size: 5MiB, cpu_seconds: 9 }\n\
             network: { tcp: { connect: [443] } }",
        );
        host.launch("p").profile("own").run().succeeded();
        let sandbox = &host.record("sandbox_applied")["sandbox"];
        assert_eq!(sandbox["enforcement"], "full");
        assert_eq!(sandbox["missing"], Value::Array(Vec::new()));
        let abi = sandbox["landlock"]["abi"].as_u64().unwrap();
        assert!(abi >= 4, "{sandbox:#?}");
        let handled = sandbox["landlock"]["handled"].to_string();
        for right in ["read", "write", "execute", "truncate"] {
            assert!(
                handled.to_lowercase().contains(right),
                "no {right} in {handled}"
            );
        }
        assert_eq!(sandbox["landlock"]["tcp_connect"], serde_json::json!([443]));
        assert!(
            is_hex(&sandbox["seccomp"]["filter"], "sha256:", 64),
            "{sandbox:#?}"
        );
        assert!(sandbox["seccomp"]["instructions"].as_u64().unwrap() > 100);
        let limits = &sandbox["limits"];
        assert_eq!(limits["open_files"], 77);
        assert_eq!(limits["file_size"], 5 << 20);
        assert_eq!(limits["cpu_seconds"], 9);
        assert_eq!(limits["core"], 1);
        assert!(
            limits.to_string().contains(&(1_u64 << 30).to_string()),
            "{limits}"
        );
        assert_eq!(sandbox["no_new_privs"], true);
        assert_eq!(sandbox["capabilities"]["kept"], Value::Array(Vec::new()));
        // The same confinement has the same filter digest, another another.
        host.launch("p").profile("own").run().succeeded();
        let again = &host.record("sandbox_applied")["sandbox"];
        assert_eq!(again["seccomp"]["filter"], sandbox["seccomp"]["filter"]);
        host.launch("p").run().succeeded();
        let other = &host.record("sandbox_applied")["sandbox"];
        assert_ne!(other["seccomp"]["filter"], sandbox["seccomp"]["filter"]);
    }
}

#[test]
fn a_lower_limit_of_the_callers_is_the_one_in_force_and_in_the_record() {
    for user in EVERYONE {
        let host = host(user);
        let launch =
            host.launch("p")
                .under(["prlimit", "--nofile=60:60", "--fsize=1000000:1000000"]);
        launch.run().succeeded();
        let limits = &host.record("sandbox_applied")["sandbox"]["limits"];
        assert_eq!(
            (&limits["open_files"], &limits["file_size"]),
            (&60.into(), &1_000_000.into())
        );
    }
}

#[test]
fn the_limits_of_a_record_are_those_of_the_process() {
    let source = r#"#include <stdio.h>
        #include <sys/resource.h>
        int main(void) {
            int all[] = {RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_CORE};
            for (int i = 0; i < 3; i++) {
                struct rlimit r;
                getrlimit(all[i], &r);
                printf("%lu %lu\n", (unsigned long) r.rlim_cur, (unsigned long) r.rlim_max);
            }
            return 0;
        }"#;
    for user in EVERYONE {
        let mut host = host(user);
        host.install_copy("q", crate::kit::program::c(source));
        host.list("q", &[]);
        host.profile("own", "limits: { file_size: 12345, open_files: 77 }");
        host.profile("closed", "extends: own\nsyscalls: { deny: [prlimit64] }");
        let launch = host.launch("q").profile("own").run().succeeded();
        launch.prints("12345 12345\n77 77\n1 1\n");
        // Where nobody may lower it later, it is lowered before.
        host.launch("p").profile("closed").run().succeeded();
        assert_eq!(
            host.record("sandbox_applied")["sandbox"]["limits"]["file_size"],
            12345
        );
    }
}

#[test]
fn a_violation_has_the_guides_fields() {
    for user in EVERYONE {
        let host = host(user);
        let expected = digest(&host.path("plugins/p"));
        host.install_sh("p", "echo other");
        host.launch("p").run().refused(126);
        let records = host.records();
        assert_eq!(records.len(), 1);
        let record = &records[0];
        for (name, value) in [
            ("event_type", "security_violation"),
            ("violation_type", "hash_mismatch"),
            ("plugin_name", "p"),
            ("hash_expected", &expected),
            ("hash_actual", &digest(&host.path("plugins/p"))),
            ("policy", "strict"),
            ("result", "blocked"),
            ("severity", "high"),
            ("action_taken", "plugin_execution_blocked"),
        ] {
            assert_eq!(record[name], value, "{name}");
        }
        assert!(is_timestamp(&record["timestamp"]));
        assert!(
            record["plugin_path"]
                .as_str()
                .unwrap()
                .ends_with("plugins/p")
        );
    }
}

#[test]
fn nothing_secret_is_in_the_log() {
    for user in EVERYONE {
        let host = host(user);
        let file = host.write("key", "secret-of-a-file\n");
        let profile = format!(
            "environment:\n  pass: [LANG, TOKEN]\n  set: {{ MODE: value-of-profile }}\n  \
             secrets: {{ KEY: \"env:HOST_KEY\", OTHER: \"file:{}\" }}",
            file.display()
        );
        host.profile("own", &profile);
        host.install_sh("q", "echo $KEY $OTHER $TOKEN $MODE $1");
        let mut host = host;
        host.list("q", &["profile: own", "args: [argument-of-entry]"]);
        let launch = |host: &Host, policy: &str| {
            let launch = host.launch("q").policy(policy).arg("argument-of-caller");
            let launch = launch
                .env("HOST_KEY", "secret-of-host")
                .env("TOKEN", "passed-on");
            launch
                .env("AWS_SECRET_ACCESS_KEY", "not-passed")
                .stdin("read-by-nobody")
                .run()
        };
        let ran = launch(&host, "strict").succeeded();
        ran.prints(
            "secret-of-host secret-of-a-file passed-on value-of-profile argument-of-entry\n",
        );
        launch(&host, "audit-only").succeeded();
        host.install_sh("q", "echo changed");
        launch(&host, "strict").refused(126);
        launch(&host, "permissive").succeeded();
        // A plugin that fails in exec, and one whose secret is not there.
        host.install("bad", b"#!/bin/false\n");
        host.list("bad", &["profile: own"]);
        host.launch("bad")
            .arg("argument-of-caller")
            .run()
            .refused(125);
        let log = std::fs::read_to_string(host.audit_log()).unwrap();
        assert_eq!(log.lines().count(), 9);
        for secret in [
            "secret-of",
            "passed-on",
            "not-passed",
            "value-of",
            "argument-of",
            "read-by",
            "AWS_",
        ] {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
    }
}

#[test]
fn the_log_is_its_owners_alone() {
    for user in EVERYONE {
        let host = host(user);
        let log = host.path("state/new/deep/audit.log");
        let launch = || host.launch("p").option("--audit-log").option(&log);
        launch().run().succeeded();
        let mode =
            |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&log), 0o600);
        for folder in log.ancestors().skip(1).take(2) {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
        // What the administrator chose stays.
        std::fs::set_permissions(&log, PermissionsExt::from_mode(0o640)).unwrap();
        launch().run().succeeded();
        assert_eq!(mode(&log), 0o640);
    }
}

#[test]
fn an_ordinary_users_log_lies_in_his_state_folder() {
    let host = host(User::Ordinary);
    let mut command = host.command(host.launcher());
    command.args(["--config"]).arg(host.path("config.yaml"));
    command.arg("--whitelist").arg(host.whitelist()).arg("p");
    crate::kit::run(command, b"").succeeded().prints("ran\n");
    let log = std::fs::read_to_string(host.path("state/secure-exec/audit.log")).unwrap();
    assert_eq!(log.lines().count(), 2);
}
