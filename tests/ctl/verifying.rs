//! `whitelist verify` and `list`, and what reaches a terminal.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::kit::{EVERYONE, Host, digest, run};
use crate::{command, ctl, json, text};

#[test]
fn a_changed_byte_is_found() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("good", "");
        host.install_sh("bad", "echo a");
        host.list("good", &[]).list("bad", &[]);
        ctl(&host, ["whitelist", "verify"])
            .succeeded()
            .prints("good: OK\nbad: OK\n");
        host.install_sh("bad", "echo b");
        let outcome = ctl(&host, ["whitelist", "verify"]);
        assert_eq!(outcome.status, 1);
        assert_eq!(
            outcome.stdout,
            "good: OK\nbad: hash_mismatch: the plugin's bytes are not the whitelisted ones\n"
        );
        ctl(&host, ["whitelist", "verify", "good"])
            .succeeded()
            .prints("good: OK\n");
        let found = json(&host, ["whitelist", "verify", "bad"]);
        assert_eq!(found["failed"], 1);
        assert_eq!(found["entries"][0]["violation_type"], "hash_mismatch");
    }
}

#[test]
fn each_way_to_be_wrong_is_told_from_the_others_and_is_the_launchers() {
    let mut host = Host::new();
    let hash = digest(&host.install_sh("p", ""));
    for name in [
        "disabled", "setid", "world", "modeless", "profile", "place", "fine",
    ] {
        host.install_sh(name, "");
    }
    let mode = |name: &str, mode: u32| {
        let path = host.path("plugins").join(name);
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    };
    mode("setid", 0o4755);
    mode("world", 0o757);
    mode("modeless", 0o644);
    host.profile("nowhere", "filesystem: { read: [/nonexistent/place] }");
    host.list("disabled", &["enabled: false"]);
    for name in ["setid", "world", "modeless", "fine"] {
        host.list(name, &[]);
    }
    host.list("profile", &["profile: nosuch"]);
    host.list("place", &["profile: nowhere"]);
    host.list_path("short", "./plugins/p", &hash[..60], &[]);
    host.list_path("up", "../p", &hash, &[]);
    host.list_path("absent", "./plugins/absent", &hash, &[]);
    host.list_path("folder", "./plugins", &hash, &[]);
    let expected = [
        ("disabled", Some("plugin_disabled")),
        ("setid", Some("insecure_permissions")),
        ("world", Some("insecure_permissions")),
        ("modeless", Some("insecure_permissions")),
        ("fine", None),
        ("profile", Some("mistake")),
        ("place", Some("absent_path")),
        ("short", Some("malformed_hash")),
        ("up", Some("path_traversal")),
        ("absent", Some("no_such_plugin")),
        ("folder", Some("not_a_regular_file")),
    ];
    let found = json(&host, ["whitelist", "verify"]);
    for ((name, code), found) in expected.iter().zip(found["entries"].as_array().unwrap()) {
        assert_eq!(
            (found["name"].as_str(), found["violation_type"].as_str()),
            (Some(*name), *code)
        );
        let launch = host.launch(name).run();
        assert_eq!(launch.status == 0, code.is_none(), "{name}: {launch:?}");
    }
    assert_eq!(found["failed"], expected.len() - 1);
    ctl(&host, ["whitelist", "verify", "nosuch"])
        .prints("nosuch: plugin_not_whitelisted: no entry of this name in the whitelist\n");
}

#[test]
fn a_whitelist_that_anyone_can_write_verifies_nothing() {
    let mut host = Host::new();
    host.install_sh("p", "");
    host.list("p", &[]);
    std::fs::set_permissions(host.whitelist(), PermissionsExt::from_mode(0o666)).unwrap();
    let outcome = ctl(&host, ["whitelist", "verify"]);
    assert_eq!(outcome.status, 1);
    assert!(
        outcome.stdout.starts_with("p: insecure_permissions: "),
        "{outcome:?}"
    );
}

#[test]
fn a_callers_environment_changes_no_verdict() {
    let mut host = Host::new();
    host.install_sh("off", "");
    host.install_sh("own", "");
    host.list("off", &["enabled: false"]);
    host.list("own", &["profile: python"]);
    let mut command = command(&host, ["whitelist", "verify"]);
    command.env("SECURE_EXEC_POLICY", "permissive");
    command.env("SECURE_EXEC_PROFILE", "node");
    let outcome = run(command, b"");
    assert_eq!(outcome.status, 1);
    outcome.prints("off: plugin_disabled: the whitelist entry is disabled\nown: OK\n");
}

#[test]
fn ten_thousand_entries_are_checked_from_one_reading() {
    let mut host = Host::new();
    let hash = digest(&host.install_sh("p", ""));
    let entries: String = (0..10_000)
        .map(|number| format!("  - {{name: p{number}, path: ./plugins/p, hash: \"{hash}\"}}\n"))
        .collect();
    host.set("policy: strict");
    host.write(
        "plugins.whitelist",
        &format!("{}plugins:\n{entries}", text(&host)),
    );
    // Read once an entry, it would take far more processor time than this,
    // and the kernel would end the program.
    let mut limited = host.command("/bin/sh");
    limited.args(["-c", "ulimit -t 60; exec \"$@\"", "sh"]);
    let tool = command(&host, ["whitelist", "verify"]);
    limited.arg(tool.get_program()).args(tool.get_args());
    let said = run(limited, b"").succeeded().stdout;
    let good = said.lines().filter(|line| line.ends_with(": OK"));
    assert_eq!(good.count(), 10_000);
}

#[test]
fn the_list_has_every_entry() {
    let mut host = Host::new();
    let hash = digest(&host.install_sh("p", ""));
    host.list("p", &["profile: python"]);
    host.list_path("off", "/opt/off", "blake3:00", &["enabled: false"]);
    let listed = ctl(&host, ["whitelist", "list"]).succeeded().says("off");
    let short = &hash["sha256:".len()..][..12];
    assert_eq!(
        listed.stdout,
        format!(
            "NAME  ENABLED  ALGORITHM  DIGEST         PROFILE  PATH\n\
             p     yes      sha256     {short}…  python   ./plugins/p\n\
             off   no                  malformed               /opt/off\n"
        )
    );
    let list = json(&host, ["whitelist", "list"]);
    assert_eq!(list["plugins"][0]["hash"], hash);
    assert_eq!(list["plugins"][1]["hash"], "blake3:00");
}

#[test]
fn no_control_character_of_a_file_reaches_the_terminal() {
    let mut host = Host::new();
    let hash = digest(&host.install_sh("p", ""));
    let evil = "\u{1b}[2J\u{202e}";
    let note = r#"metadata: { note: "\x1b[2J\x9b31m\u202e" }"#;
    host.list_path("p", &format!("./plugins/{evil}"), &hash, &[note]);
    host.profile("evil", "description: \"\\x1b[2J\\u202e\" # \u{202e}");
    let words: &[&[&str]] = &[
        &["whitelist", "list"],
        &["whitelist", "verify"],
        &["whitelist", "update", "p"],
        &["explain", "p"],
        &["explain", evil],
        &["profile", "list"],
        &["profile", "show", "evil"],
        &["profile", "show", "evil", "--resolved"],
        &["profile", "check", "evil"],
        &["profile", "check", evil],
        &["whitelist", "remove", evil],
        &[evil],
    ];
    for words in words {
        for form in [None, Some("--json")] {
            let outcome = ctl(&host, words.iter().copied().chain(form));
            let said = format!("{}{}", outcome.stdout, outcome.stderr);
            assert!(!said.is_empty());
            assert!(
                !said.contains(['\u{1b}', '\u{202e}', '\u{9b}']),
                "{words:?}: {said:?}"
            );
        }
    }
    // The path is there, unharmed, for machines.
    let list = json(&host, ["whitelist", "list"]);
    assert_eq!(list["plugins"][0]["path"], format!("./plugins/{evil}"));
}

#[test]
fn colour_is_for_terminals_of_those_who_like_it() {
    let mut host = Host::new();
    host.install_sh("p", "");
    host.list("p", &[]);
    let on_terminal = |variable: Option<&str>| {
        let tool = command(&host, ["whitelist", "verify"]);
        let words: Vec<String> = std::iter::once(tool.get_program())
            .chain(tool.get_args())
            .map(|word| format!("'{}'", word.to_str().unwrap()))
            .collect();
        // script(1) gives a program a terminal.
        let mut script = Command::new("script");
        script.args(["-qec", &words.join(" "), "/dev/null"]);
        script.env_remove("NO_COLOR");
        if let Some(value) = variable {
            script.env("NO_COLOR", value);
        }
        run(script, b"").succeeded().stdout
    };
    assert_eq!(on_terminal(None), "p: \u{1b}[32mOK\u{1b}[0m\r\n");
    assert_eq!(on_terminal(Some("1")), "p: OK\r\n");
    ctl(&host, ["whitelist", "verify"]).prints("p: OK\n");
}
