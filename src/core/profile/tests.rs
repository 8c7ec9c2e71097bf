//! Profiles, good and hostile.

use super::*;
use crate::located::LocatedError;

fn lookup(name: &str) -> Option<Result<RawProfile, LocatedError>> {
    builtin::source(name).map(|text| RawProfile::parse(text.as_bytes(), name))
}

fn resolved(text: &str) -> Result<Profile, ProfileError> {
    resolve(
        &RawProfile::parse(text.as_bytes(), "p").unwrap(),
        "p",
        &lookup,
    )
}

#[test]
fn every_shipped_profile_resolves_and_has_its_name() {
    for name in builtin::names() {
        let raw = lookup(name).unwrap().unwrap();
        assert_eq!(raw.name(), Some(name));
        let profile = resolve(&raw, name, &lookup).unwrap();
        assert_eq!(profile.chain.first().unwrap(), "default");
        assert!(!profile.description.is_empty());
    }
}

#[test]
fn the_contracts_example_loads() {
    let profile = resolved(
        r#"
version: 1
name: worker
description: one line
extends: default
filesystem: { read: [/srv/data], write: [/srv/out], execute: [], metadata: false, devices: [] }
network: { tcp: { connect: [443], bind: [] }, udp: false, unix: { connect: [], abstract: false } }
processes: { fork: true, signals: own }
syscalls: { allow: ["@system-service"], deny: [], on_violation: errno }   # errno | kill | log
memory: { write_execute: false }
limits: { memory: 4GiB, processes: 64, open_files: 1024, file_size: 1GiB, cpu_seconds: null, core: 0 }
environment: { pass: [LANG, "LC_*", TZ], set: {}, secrets: {} }
capabilities: { keep: [] }
user: null
working_directory: null
umask: "077"
"#,
    )
    .unwrap();
    assert_eq!(profile.limits.memory, Some(4 << 30));
    assert_eq!(profile.limits.cpu_seconds, None);
    assert_eq!(profile.umask, 0o077);
    assert!(profile.processes.fork);
    assert!(
        profile
            .filesystem
            .read
            .iter()
            .any(|grant| grant.path == "/srv/data")
    );
    assert!(
        profile
            .filesystem
            .code
            .iter()
            .any(|grant| grant.path == "/lib64"),
        "default's grants stay"
    );
}

#[test]
fn unset_is_not_null() {
    assert_eq!(
        resolved("description: x\n").unwrap().limits.memory,
        Some(4 << 30)
    );
    assert_eq!(
        resolved("limits: { memory: null }\n")
            .unwrap()
            .limits
            .memory,
        None
    );
}

#[test]
fn wrong_values_are_refused() {
    for text in [
        "filesystem: { read: [relative] }",
        "filesystem: { read: [/a/../b] }",
        "filesystem: { devices: [../sda] }",
        "syscalls: { allow: [\"@nothing\"] }",
        "syscalls: { deny: [opnat] }",
        "capabilities: { keep: [CAP_EVERYTHING] }",
        "environment: { pass: [\"A=B\"] }",
        "environment: { secrets: { A: plain } }",
        "extends: nowhere",
        "extends: p",
    ] {
        assert!(resolved(text).is_err(), "{text}");
    }
    for text in [
        "version: 2",
        "umask: 77",
        "umask: \"888\"",
        "network: { tcp: { connect: [0] } }",
        "network: { tcp: { connect: [70000] } }",
        "network: { tcp: { connect: any } }",
        "filesystm: {}",
        "processes: { signals: all }",
        "limits: { memory: lots }",
    ] {
        let parsed = RawProfile::parse(text.as_bytes(), "p");
        // A bare 77 is text to a reader that asks for text, and octal.
        assert!(parsed.is_err() || text == "umask: 77", "{text}");
    }
}

#[test]
fn ports_add_up() {
    let profile =
        resolved("extends: network-client\nnetwork: { tcp: { connect: [8443] } }\n").unwrap();
    assert_eq!(
        profile.network.tcp_connect,
        Ports::List(vec![53, 80, 443, 8443])
    );
    let profile =
        resolved("extends: network-client\nnetwork: { tcp: { connect: \"*\" } }\n").unwrap();
    assert_eq!(profile.network.tcp_connect, Ports::Any);
}

#[test]
fn variables_expand() {
    let variables = |name: &str| (name == "A").then(|| "/a".to_string());
    let expand = |text: &str| expand(text, &variables, "/plugins", "/run/x");
    assert_eq!(
        expand("${A}/b{plugin_dir}{runtime_dir}$x{y}").unwrap(),
        "/a/b/plugins/run/x$x{y}"
    );
    assert!(expand("${B}").unwrap_err().contains("'B'"));
    assert!(expand("${A").is_err());
}

#[test]
fn of_a_value_and_a_name_that_is_passed_the_nearest_profile_counts() {
    let path = |environment: &str| {
        let text = format!("version: 1\nextends: default\nenvironment: {environment}");
        resolved(&text).unwrap().environment.set.remove("PATH")
    };
    assert!(path("{}").is_some());
    assert_eq!(path("{ pass: [PATH] }"), None);
    assert!(path("{ pass: [\"APP_*\"] }").is_some());
    let both = "{ pass: [PATH], set: { PATH: /bin } }";
    assert_eq!(path(both).as_deref(), Some("/bin"));
}

#[test]
fn globs() {
    for (pattern, name, matches) in [
        ("LC_*", "LC_ALL", true),
        ("LC_*", "LC_", true),
        ("LC_*", "XLC_ALL", false),
        ("*", "", true),
        ("*_COOKIE", "A_MAGIC_COOKIE", true),
        ("A*B*C", "AxBxBxC", true),
        ("A*B*C", "AxC", false),
        ("A", "A", true),
        ("A", "AB", false),
    ] {
        assert_eq!(glob_matches(pattern, name), matches, "{pattern} {name}");
    }
}

#[test]
fn what_is_shown_apart_needs_namespaces() {
    let apart = "filesystem: { apart: [/srv, -/opt] }";
    let refused = resolved(apart).unwrap_err().to_string();
    assert!(
        refused.contains("'filesystem.apart' needs 'isolation: namespaces'"),
        "{refused}"
    );
    let profile = resolved(&format!("{apart}\nisolation: namespaces")).unwrap();
    let paths: Vec<(&str, bool)> = profile
        .filesystem
        .apart
        .iter()
        .map(|grant| (&*grant.path, grant.optional))
        .collect();
    assert_eq!(paths, [("/srv", false), ("/opt", true)]);
}

#[test]
fn a_tmp_of_its_own_and_the_hosts_do_not_go_together() {
    let own = "filesystem: { private_tmp: true }";
    assert!(resolved(own).unwrap().filesystem.private_tmp);
    for granted in ["/tmp", "/tmp/", "-/var/tmp", "//tmp/."] {
        let yaml = format!("filesystem: {{ private_tmp: true, read: [\"{granted}\"] }}");
        let refused = resolved(&yaml).unwrap_err().to_string();
        assert!(refused.contains("private_tmp"), "{granted}: {refused}");
    }
    for granted in ["/tmp/in", "/var", "/"] {
        let yaml = format!("filesystem: {{ private_tmp: true, read: [\"{granted}\"] }}");
        assert!(resolved(&yaml).is_ok(), "{granted}");
    }
    assert!(resolved(&format!("{own}\nisolation: none")).is_err());
}
