//! `profile list`, `show` and `check`, and completions.

use crate::kit::{Host, run};
use crate::{command, ctl, json};

#[test]
fn the_machines_profiles_stand_beside_the_built_in_ones() {
    let host = Host::new();
    host.profile(
        "mine",
        "description: of this machine\nextends: network-client",
    );
    host.profile("python", "description: replaced");
    host.write("profiles.d/broken.yaml", "umask: 999\n");
    let folder = host.path("profiles.d");
    let list = json(
        &host,
        ["--profile-dir", folder.to_str().unwrap(), "profile", "list"],
    );
    let of = |name: &str| {
        let found = list["profiles"]
            .as_array()
            .unwrap()
            .iter()
            .find(|p| p["name"] == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {list:#}"))
            .clone()
    };
    assert_eq!(
        of("mine")["extends"],
        serde_json::json!(["default", "network-client"])
    );
    assert_eq!(
        of("mine")["source"],
        host.path("profiles.d/mine.yaml").to_str().unwrap()
    );
    assert_eq!(of("python")["description"], "replaced");
    // A folder that the caller's configuration names replaces none.
    let restricted = json(&host, ["profile", "list"]);
    let listed = restricted["profiles"].as_array().unwrap();
    let python = listed.iter().find(|p| p["name"] == "python").unwrap();
    let mistake = python["mistake"].as_str().unwrap();
    assert!(mistake.contains("a name of its own"), "{restricted:#}");
    assert_eq!(of("node")["source"], "built-in");
    assert!(
        of("broken")["mistake"]
            .as_str()
            .unwrap()
            .contains("broken.yaml:1:8: "),
        "{list:#}"
    );
    let text = ctl(&host, ["profile", "list"]).succeeded().stdout;
    assert!(text.starts_with("NAME "), "{text}");
    assert_eq!(
        text.lines().count(),
        1 + list["profiles"].as_array().unwrap().len()
    );
}

#[test]
fn a_profile_is_shown_as_it_stands() {
    let host = Host::new();
    for name in ["default", "jvm", "cni"] {
        let shipped = format!("{}/../../profiles/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let shipped = std::fs::read_to_string(shipped).unwrap();
        ctl(&host, ["profile", "show", name])
            .succeeded()
            .prints(&shipped);
    }
    host.write("own.yaml", "# mine\nname: own\n");
    ctl(&host, ["profile", "show", "./own.yaml"])
        .succeeded()
        .prints("# mine\nname: own\n");
    ctl(&host, ["profile", "show", "nosuch"])
        .refused(125)
        .says("there is no profile 'nosuch'");
    ctl(&host, ["profile", "show", "../own"])
        .refused(125)
        .says("can't be read");
}

#[test]
fn a_resolved_profile_has_every_value_in_force() {
    let host = Host::new();
    host.profile(
        "mine",
        "extends: network-client\nfilesystem: { write: [/srv/out, -/srv/more] }\nlimits: { memory: 1GiB, core: null }\n\
         network: { tcp: { connect: \"*\" } }\nenvironment: { set: { A: \"b: #c\" } }\numask: \"027\"",
    );
    let found = json(&host, ["profile", "show", "mine", "--resolved"]);
    assert_eq!(
        found["chain"],
        serde_json::json!(["default", "network-client", "mine"])
    );
    assert_eq!(
        found["filesystem"]["write"],
        serde_json::json!(["/srv/out", "-/srv/more"])
    );
    assert_eq!(found["limits"]["memory"], 1_u64 << 30);
    assert_eq!(found["limits"]["core"], serde_json::Value::Null);
    assert_eq!(found["limits"]["open_files"], 1024);
    assert_eq!(found["network"]["tcp"]["connect"], "*");
    assert_eq!(found["network"]["udp"], true);
    assert_eq!(found["umask"], "027");
    let text = ctl(&host, ["profile", "show", "mine", "--resolved"])
        .succeeded()
        .stdout;
    // Another reader of YAML understands the same.
    let mut python = host.command("/usr/bin/python3");
    python.args([
        "-c",
        "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))",
    ]);
    let read = run(python, text.as_bytes()).succeeded().stdout;
    let read: serde_json::Value = serde_json::from_str(&read).unwrap();
    assert_eq!(read, found);
}

#[test]
fn every_shipped_profile_is_sound() {
    let host = Host::new();
    let list = json(&host, ["profile", "list"]);
    let names = list["profiles"].as_array().unwrap().iter();
    let names: Vec<_> = names
        .map(|profile| profile["name"].as_str().unwrap())
        .collect();
    let words = ["profile", "check"]
        .into_iter()
        .chain(names.iter().copied());
    let expected: String = names.iter().map(|name| format!("{name}: OK\n")).collect();
    ctl(&host, words).succeeded().prints(&expected);
}

#[test]
fn a_mistake_is_shown_where_it_is() {
    let host = Host::new();
    let cases = [
        ("version: 2\n", ":1:10: version '2'"),
        ("umask: 999\n", ":1:8: "),
        ("nosuch: 1\n", ":1:1: "),
        ("extends: nosuch\n", ":1:10: there is no profile 'nosuch'"),
        ("extends: bad\n", ":1:10: "),
        (
            "extends: [python, nosuch]\n",
            ":1:19: there is no profile 'nosuch'",
        ),
        (
            "extends: [python, python]\n",
            ":1:11: 'python' stands twice",
        ),
        (
            "extends: [go-plugin, unconfined]\n",
            ":1:11: 'unconfined' and 'go-plugin'",
        ),
        (
            "name: rel\nfilesystem:\n  read: [/a, -rel]\n",
            ":3:14: the path 'rel' must be absolute",
        ),
        ("filesystem: { read: [/a/../b] }\n", ":1:22: "),
        ("filesystem: { read: [\"${A\"] }\n", ":1:22: "),
        ("filesystem: { devices: [\"../sda\"] }\n", ":1:25: "),
        (
            "name: nope\nsyscalls: { allow: [read, nope] }\n",
            ":2:27: 'nope' is neither",
        ),
        ("capabilities: { keep: [CAP_ALL] }\n", ":1:24: "),
        (
            "environment: { secrets: { KEY: plain } }\n",
            ":1:27: the secret 'KEY'",
        ),
        ("environment: { pass: [\"A B\"] }\n", ":1:23: "),
        ("network: { tcp: { connect: [0] } }\n", ":1:28: "),
    ];
    for (text, says) in cases {
        let path = host.write("profiles.d/bad.yaml", text);
        for name in ["bad", path.to_str().unwrap()] {
            let outcome = ctl(&host, ["profile", "check", name]);
            assert_eq!(outcome.status, 1, "{text}{outcome:#?}");
            if name == "bad" || !text.contains("extends: bad") {
                assert!(outcome.stdout.contains(says), "{text}{outcome:#?}");
            }
            let found = json(&host, ["profile", "check", name]);
            assert_eq!(found["profiles"][0]["result"], "failed");
        }
    }
    ctl(&host, ["profile", "check", "nosuch"])
        .refused(125)
        .says("there is no profile");
    ctl(&host, ["profile", "check", "./nosuch.yaml"])
        .refused(125)
        .says("can't be read");
}

#[test]
fn paths_that_are_not_here_are_warned_of() {
    let host = Host::new();
    let here = host.path("plugins");
    let text = format!(
        "filesystem: {{ read: [{here:?}, /nonexistent/a, -/nonexistent/b, \"${{NOPE}}/c\", \"{{plugin_dir}}/d\"] }}\n"
    );
    host.write("p.yaml", &text);
    let outcome = ctl(&host, ["profile", "check", "p.yaml"])
        .succeeded()
        .prints("./p.yaml: OK\n");
    let warnings: Vec<_> = outcome.stderr.lines().collect();
    assert_eq!(warnings.len(), 2, "{outcome:#?}");
    assert!(warnings[0].contains("'/nonexistent/a' does not exist"));
    assert!(warnings[1].contains("'${NOPE}/c' has a variable that is not set"));
}

#[test]
fn another_profile_folder_can_be_named() {
    let host = Host::new();
    host.folder("other");
    host.write("other/special.yaml", "description: of another folder\n");
    let words = ["--profile-dir", "other", "profile", "check", "special"];
    ctl(&host, words).succeeded().prints("special: OK\n");
    ctl(&host, ["profile", "check", "special"]).refused(125);
}

#[test]
fn completions_are_what_the_shell_reads() {
    let host = Host::new();
    let script = ctl(&host, ["completions", "bash"]).succeeded().stdout;
    host.write("completions", &script);
    let ask = "source ./completions; COMP_WORDS=(secure-execctl whitelist ver); COMP_CWORD=2; \
               _secure__execctl secure-execctl ver whitelist; echo \"${COMPREPLY[@]}\"";
    host.bare("/bin/bash", &["-c", ask])
        .succeeded()
        .prints("verify\n");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(
            ctl(&host, ["completions", shell])
                .succeeded()
                .stdout
                .contains("verify")
        );
    }
}

#[test]
fn help_is_an_answer_and_a_mistake_is_one_error() {
    let host = Host::new();
    assert!(
        ctl(&host, ["--help"])
            .succeeded()
            .stdout
            .contains("whitelist")
    );
    assert!(
        ctl(&host, ["--version"])
            .succeeded()
            .stdout
            .starts_with("secure-execctl ")
    );
    for words in [
        &[][..],
        &["nosuch"],
        &["whitelist"],
        &["whitelist", "sign"],
        &["learn"],
        &["--nosuch"],
        &["explain"],
    ] {
        ctl(&host, words).refused(125);
    }
    let mut command = command(&host, ["profile", "list"]);
    command
        .env("SECURE_EXEC_CONFIG", "/nonexistent")
        .arg("--config")
        .arg("/nonexistent/config");
    run(command, b"").refused(125);
}

/// Accepted, it would say that the plugin has what it has not.
#[test]
fn a_group_that_admits_nothing_is_a_mistake_that_lists_its_calls() {
    let host = Host::new();
    let check = |calls: &str| {
        let text = format!("version: 1\nname: p\nextends: default\nsyscalls: {{ {calls} }}\n");
        let file = host.write("p.yaml", &text);
        ctl(&host, ["profile", "check", file.to_str().unwrap()])
    };
    for (group, calls) in [
        ("@keyring", "write [add_key, keyctl, request_key] instead"),
        ("@debug", "ptrace"),
        ("@module", "init_module"),
        ("@mount", "umount2"),
        ("@raw-io", "ioperm"),
        ("@swap", "swapon"),
    ] {
        let found = check(&format!("allow: [\"@file-system\", \"{group}\"]"));
        assert_eq!(found.status, 1, "{found:#?}");
        let wrong = format!("p.yaml:4:37: the group '{group}' admits nothing");
        assert!(found.stdout.contains(&wrong), "{found:#?}");
        assert!(found.stdout.contains(calls), "{found:#?}");
    }
    check("allow: [add_key, keyctl, request_key]").succeeded();
    check("allow: [\"@system-service\", \"@keyring\", keyctl]").succeeded();
    check("allow: [\"@keyring\"], deny: [\"@keyring\"]").succeeded();
}

#[test]
fn single_files_that_are_replaced_are_warned_of() {
    let host = Host::new();
    let warnings = |body: &str| {
        host.profile("p", body);
        let folder = host.path("profiles.d");
        let folder = folder.to_str().unwrap();
        let found = json(&host, ["--profile-dir", folder, "profile", "check", "p"]);
        let warnings = found["profiles"][0]["warnings"].as_array().unwrap().clone();
        let of = |warning: &serde_json::Value| {
            let text = warning.as_str().unwrap();
            text.contains("is replaced by").then(|| text.to_string())
        };
        warnings.iter().filter_map(of).collect::<Vec<_>>()
    };
    let found = warnings("filesystem: { read: [-/etc/resolv.conf, /etc/passwd, -/etc/mine.conf] }");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("'/etc/resolv.conf' is replaced by DHCP clients"));
    assert!(found[1].contains("'/etc/passwd' is replaced by useradd(8)"));
    // What a base grants is not this profile's to change.
    assert_eq!(warnings("extends: network-client"), [""; 0]);
    // In a folder that is granted a new one is seen.
    let with = "filesystem: { read: [-/run/systemd/resolve, -/run/systemd/resolve/resolv.conf] }";
    assert_eq!(warnings(with), [""; 0]);
}
