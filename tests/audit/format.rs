//! How records are written, and what may stand in them.

use secure_exec_core::audit::line;
use serde_json::json;

use super::{chain, host};
use crate::kit::{EVERYONE, User};

#[test]
fn logfmt_says_what_json_says() {
    for user in EVERYONE {
        let host = host(user, "{}");
        let name = "a b\"=c\n\u{202e}d";
        host.launch(name).run().refused(126);
        host.launch("p").run().succeeded();
        host.audit("{ log_format: logfmt }");
        host.launch(name).run().refused(126);
        host.launch("p").run().succeeded();
        // One chain, in two formats.
        let records = chain::records(&host.audit_log());
        assert_eq!(records.len(), 6);
        let text = std::fs::read_to_string(host.audit_log()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 6);
        for (json, logfmt) in [(0, 3), (1, 4), (2, 5)] {
            assert!(lines[logfmt].starts_with("seq="), "{}", lines[logfmt]);
            let [mut json, mut logfmt] = [json, logfmt].map(|place| records[place].clone());
            for own in [
                "seq",
                "prev",
                "record_hash",
                "timestamp",
                "launch_id",
                "pid",
                "ppid",
            ] {
                assert!(
                    json.remove(own).is_some() && logfmt.remove(own).is_some(),
                    "{own}"
                );
            }
            // Lists are text there, and what is empty is left out.
            json.remove("sandbox");
            logfmt.remove("sandbox");
            assert_eq!(json, logfmt);
        }
        assert_eq!(records[5]["sandbox"]["enforcement"], "full");
    }
}

#[test]
fn arguments_and_variables_only_where_they_are_named() {
    for user in EVERYONE {
        let host = host(user, "{}");
        host.profile(
            "p",
            "environment: { pass: [GREETING, OTHER], secrets: { TOKEN: 'env:FROM' } }",
        );
        let launch = || {
            let launch = host.launch("p").profile("p").args(["--user", "mallory\n"]);
            let launch = launch.env("GREETING", "hel\u{1b}lo").env("OTHER", "unsaid");
            launch.env("FROM", "hidden").run().succeeded();
            std::fs::read_to_string(host.audit_log()).unwrap()
        };
        let text = launch();
        for secret in ["--user", "mallory", "lo\"", "unsaid", "hidden"] {
            assert!(!text.contains(secret), "{secret}");
        }
        host.audit("{ include: { arguments: true, environment: [GREETING, TOKEN, MISSING] } }");
        let text = launch();
        assert!(!text.contains("unsaid") && !text.contains("hidden"));
        let decision = host.record("plugin_validation_success");
        assert_eq!(decision["arguments"], json!(["--user", "mallory\\u{a}"]));
        let applied = host.record("sandbox_applied");
        assert_eq!(applied["arguments"], decision["arguments"]);
        assert_eq!(
            applied["environment"],
            json!({ "GREETING": "hel\\u{1b}lo" })
        );
    }
}

#[test]
fn many_arguments_do_not_flood_the_log() {
    let host = host(User::Root, "{ include: { arguments: true } }");
    let long = "x".repeat(10_000);
    let words = std::iter::repeat_n(long.as_str(), 100);
    host.launch("p").args(words).run().succeeded();
    let text = std::fs::read(host.audit_log()).unwrap();
    let first = text.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    assert!(first.len() < 40_000, "{} bytes", first.len());
    let arguments = &line::fields(first).unwrap()["arguments"];
    assert_eq!(arguments.as_array().unwrap().len(), 65);
    assert_eq!(arguments[64], "… (36 more)");
}
