//! `explain`: the launcher's own answer, in words.

use serde_json::json as value;

use crate::kit::{EVERYONE, Host, digest};
use crate::{ctl, json, text};

#[test]
fn an_allowed_plugin_is_explained_as_it_runs() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.folder("data");
        let data = host.write("data/file", "content\n");
        let folder = data.parent().unwrap().to_str().unwrap();
        host.profile(
            "reader",
            &format!(
                "filesystem: {{ read: [{folder:?}] }}\nnetwork: {{ tcp: {{ connect: [8443] }} }}\n\
                 limits: {{ open_files: 77 }}\nenvironment: {{ set: {{ A: b }}, secrets: {{ KEY: \"env:OUTER\" }} }}"
            ),
        );
        host.install_sh(
            "p",
            &format!("read x < {}; echo $x; ulimit -n", data.display()),
        );
        host.list("p", &["profile: reader"]);
        let found = json(&host, ["explain", "p"]);
        assert_eq!(found["decision"], "allowed");
        assert_eq!(found["hash_actual"], digest(&host.path("plugins/p")));
        assert!(
            found["files"]["read"]
                .as_array()
                .unwrap()
                .contains(&value!(folder))
        );
        assert_eq!(found["files"]["write"], value!([]));
        assert_eq!(found["network"]["tcp_connect"], value!([8443]));
        assert_eq!(found["limits"]["open_files"], 77);
        assert!(
            found["environment"]["names"]
                .as_array()
                .unwrap()
                .contains(&value!("A"))
        );
        assert_eq!(
            found["environment"]["secrets"],
            value!(["KEY from env:OUTER"])
        );
        assert!(
            found["system_calls"]["refused"]
                .as_array()
                .unwrap()
                .contains(&value!("@mount"))
        );
        assert_eq!(found["protections"]["missing"], value!([]));
        host.launch("p")
            .env("OUTER", "s")
            .run()
            .succeeded()
            .prints("content\n77\n");

        let said = ctl(&host, ["explain", "p"]).succeeded().stdout;
        assert!(said.starts_with("p: allowed\n"), "{said}");
        assert!(said.contains("TCP to        port 8443"), "{said}");
        assert!(!said.contains("\u{1b}"), "{said}");
    }
}

#[test]
fn what_is_blocked_is_explained_with_its_cure() {
    let mut host = Host::new();
    host.install_sh("p", "");
    host.list("p", &[]);
    host.install_sh("p", "echo changed");
    let outcome = ctl(&host, ["explain", "p"]);
    assert_eq!(outcome.status, 126);
    let said = outcome.stdout;
    assert!(said.starts_with("p: blocked (hash_mismatch)\n"), "{said}");
    assert!(said.contains(&digest(&host.path("plugins/p"))), "{said}");
    assert!(said.contains("tampered"), "{said}");
    let found = json(&host, ["explain", "p"]);
    assert_eq!(found["violation_type"], "hash_mismatch");
    assert!(found["cure"].as_str().unwrap().contains("plugin-hash"));
    // Under a weaker policy it runs, and that is said.
    let found = json(&host, ["explain", "p", "--policy", "permissive"]);
    assert_eq!(found["decision"], "allowed");
    assert!(
        found["notes"][0]
            .as_str()
            .unwrap()
            .contains("hash_mismatch")
    );
    let found = json(&host, ["explain", "p", "--policy", "audit-only"]);
    assert_eq!(found["files"], value!({ "confined": false }));
    // Not under the whitelist's floor.
    host.set("policy: strict");
    assert_eq!(
        ctl(&host, ["explain", "p", "--policy", "permissive"]).status,
        126
    );
}

#[test]
fn an_unlisted_plugin_is_explained_too() {
    let mut host = Host::new();
    host.install_sh("p", "");
    host.set("policy: strict");
    let outcome = ctl(&host, ["explain", "p"]);
    assert_eq!(outcome.status, 126);
    assert!(
        outcome
            .stdout
            .starts_with("p: blocked (plugin_not_whitelisted)\n"),
        "{outcome:?}"
    );
    assert!(outcome.stdout.contains("whitelist add"), "{outcome:?}");
    assert_eq!(json(&host, ["explain", "p"])["profile"], "default");
}

#[test]
fn the_status_is_the_launchers() {
    let mut host = Host::new();
    let hash = digest(&host.install_sh("p", ""));
    host.install_sh("strange", "");
    host.list("p", &[]).list("strange", &["profile: nosuch"]);
    host.list_path("absent", "./plugins/absent", &hash, &[]);
    for plugin in ["p", "absent", "nosuch", "strange"] {
        let launched = host.launch(plugin).run().status;
        let explained = ctl(&host, ["explain", plugin]);
        assert_eq!(explained.status, launched, "{plugin}: {explained:?}");
    }
    host.write("plugins.whitelist", &format!("{}nosuch: 1\n", text(&host)));
    ctl(&host, ["explain", "p"])
        .refused(125)
        .says("plugins.whitelist:");
}

#[test]
fn the_decision_is_that_of_a_dry_run() {
    let mut host = Host::new();
    host.install_sh("p", "");
    host.list("p", &[]);
    let launch = host.launch("p").option("--dry-run").option("--json").run();
    let dry: serde_json::Value = serde_json::from_str(&launch.stdout).unwrap();
    let explained = json(&host, ["explain", "p"]);
    for (key, value) in dry.as_object().unwrap() {
        if key != "plan" {
            assert_eq!(&explained[key], value, "{key}");
        }
    }
}

#[test]
fn a_path_that_is_missing_is_said_before_the_launch_fails_of_it() {
    let mut host = Host::new();
    host.install_sh("p", "");
    host.profile("nowhere", "filesystem: { read: [/nonexistent/place] }");
    host.list("p", &["profile: nowhere"]);
    host.launch("p").run().refused(125);
    let found = json(&host, ["explain", "p"]);
    assert!(
        found["notes"][0]
            .as_str()
            .unwrap()
            .contains("'/nonexistent/place' does not exist: the launch fails")
    );
    let said = ctl(&host, ["explain", "p"]);
    assert_eq!(said.status, 125);
    assert!(
        said.stdout
            .starts_with("p: allowed, but the launch fails\n")
    );
    assert!(
        said.stdout.contains("write '-/nonexistent/place'"),
        "{said:?}"
    );
}

#[test]
fn what_else_the_launch_fails_of_is_said_too() {
    let mut host = Host::new();
    host.install_sh("p", "");
    host.install_sh("q", "");
    host.list("p", &["profile: { working_directory: /nonexistent }"]);
    host.list("q", &["profile: { syscalls: { deny: [write] } }"]);
    for (name, why) in [("p", "the working directory"), ("q", "does not admit")] {
        host.launch(name).run().refused(125).says(why);
        let explained = ctl(&host, ["explain", name]);
        assert_eq!(explained.status, 125);
        let found = json(&host, ["explain", name]);
        assert!(found["because"].as_str().unwrap().contains(why), "{found}");
    }
    let verified = ctl(&host, ["whitelist", "verify"]);
    assert_eq!(verified.status, 1);
    assert!(
        verified
            .stdout
            .contains("p: mistake: the working directory")
    );
    assert!(
        verified
            .stdout
            .contains("q: mistake: profile 'inline' does not admit")
    );
    let added = host.install_sh("r", "");
    host.profile("nobodys", "user: nobodyknows");
    let words = ["whitelist", "add", "--profile", "nobodys"].map(String::from);
    let added = ctl(
        &host,
        words.into_iter().chain([added.display().to_string()]),
    );
    added
        .succeeded()
        .says("'r' would not run: user 'nobodyknows'");
}

#[test]
fn explaining_leaves_no_trace() {
    let mut host = Host::new();
    host.install_sh("p", "");
    host.list("p", &[]);
    ctl(&host, ["explain", "p"]).succeeded();
    ctl(&host, ["whitelist", "verify"]).succeeded();
    assert!(!host.audit_log().exists());
}
