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

/// Resolves the last of some profiles, each written as `NAME: TEXT`.
fn among(profiles: &[(&str, &str)]) -> Result<Profile, ProfileError> {
    let own = |name: &str| {
        let found = profiles.iter().find(|(known, _)| *known == name);
        found.map(|(name, text)| RawProfile::parse(text.as_bytes(), name))
    };
    let (name, text) = profiles.last().unwrap();
    let raw = RawProfile::parse(text.as_bytes(), name).unwrap();
    resolve(&raw, name, &|name| own(name).or_else(|| lookup(name)))
}

#[track_caller]
fn refused(profiles: &[(&str, &str)], why: &str) {
    let error = among(profiles).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn several_bases_add_up() {
    let both = resolved("extends: [mcp-stdio, network-client]").unwrap();
    assert_eq!(both.chain, ["default", "mcp-stdio", "network-client", "p"]);
    for one in ["mcp-stdio", "network-client"] {
        let one = resolved(&format!("extends: {one}")).unwrap();
        let files = &one.filesystem;
        assert!(
            files
                .read
                .iter()
                .all(|path| both.filesystem.read.contains(path))
        );
        assert!(
            files
                .code
                .iter()
                .all(|path| both.filesystem.code.contains(path))
        );
        let passed = &one.environment.pass;
        assert!(
            passed
                .iter()
                .all(|name| both.environment.pass.contains(name))
        );
    }
    assert_eq!(both.network.tcp_connect, Ports::List(vec![53, 80, 443]));
    assert!(both.network.udp && both.write_execute);
    // In either order.
    let other = resolved("extends: [network-client, mcp-stdio]").unwrap();
    assert_eq!(other.environment.set, both.environment.set);
    assert!(other.network.udp && other.write_execute);
}

#[test]
fn any_two_shipped_profiles_can_be_extended_at_once() {
    // But for the one that takes everything from the caller.
    let names = || builtin::names().filter(|name| *name != "unconfined");
    for one in names() {
        for other in names().filter(|other| *other != one) {
            let both = resolved(&format!("extends: [{one}, {other}]"));
            assert!(both.is_ok(), "{one}, {other}: {}", both.unwrap_err());
        }
    }
}

#[test]
fn a_switch_is_on_if_one_base_has_it_on_and_the_largest_limit_counts() {
    let bases = [
        (
            "a",
            "processes: { fork: true }\nlimits: { memory: 1GiB, open_files: 5000, cpu_seconds: 3 }",
        ),
        (
            "b",
            "processes: { fork: false }\nlimits: { memory: 2GiB, open_files: null, core: 7 }",
        ),
    ];
    for order in ["[a, b]", "[b, a]"] {
        let text = format!("extends: {order}");
        let both = among(&[bases[0], bases[1], ("p", &text)]).unwrap();
        assert!(both.processes.fork);
        assert_eq!(both.limits.memory, Some(2 << 30));
        assert_eq!(
            (both.limits.open_files, both.limits.cpu_seconds),
            (None, None)
        );
        assert_eq!(both.limits.core, Some(7));
        // The profile itself has the last word.
        let text =
            format!("extends: {order}\nprocesses: {{ fork: false }}\nlimits: {{ memory: 1MiB }}");
        let narrow = among(&[bases[0], bases[1], ("p", &text)]).unwrap();
        assert!(!narrow.processes.fork);
        assert_eq!(narrow.limits.memory, Some(1 << 20));
    }
}

#[test]
fn two_bases_that_disagree_need_the_profiles_own_word() {
    for (key, one, other) in [
        ("umask", "umask: \"022\"", "umask: \"027\""),
        ("user", "user: alice", "user: bob"),
        ("user", "user: alice", "user: null"),
        (
            "working_directory",
            "working_directory: /a",
            "working_directory: /b",
        ),
        ("isolation", "isolation: namespaces", "isolation: process"),
        (
            "processes.signals",
            "processes: { signals: any }",
            "processes: { signals: own }",
        ),
        (
            "processes.new_session",
            "processes: { new_session: true }",
            "processes: { new_session: false }",
        ),
        (
            "syscalls.on_violation",
            "syscalls: { on_violation: kill }",
            "syscalls: { on_violation: errno }",
        ),
        (
            "environment variable A",
            "environment: { set: { A: b } }",
            "environment: { set: { A: c } }",
        ),
        (
            "environment variable A",
            "environment: { set: { A: b } }",
            "environment: { pass: [A] }",
        ),
        (
            "environment variable A",
            "environment: { secrets: { A: \"env:B\" } }",
            "environment: { pass: [A] }",
        ),
        (
            "system call mbind",
            "syscalls: { deny: [mbind] }",
            "syscalls: { allow: [mbind] }",
        ),
        (
            "system call setuid",
            "syscalls: { deny: [setuid] }",
            "syscalls: { allow: [\"@setuid\"] }",
        ),
    ] {
        for (one, other) in [(one, other), (other, one)] {
            let bases = [("a", one), ("b", other)];
            let both = [bases[0], bases[1], ("p", "extends: [a, b]")];
            refused(&both, &format!("of the {key}; say here"));
            refused(&both, "'b' and 'a', which it extends");
            // It says it.
            let text = format!("extends: [a, b]\n{one}");
            let own = among(&[bases[0], bases[1], ("p", &text)]).unwrap();
            let alone = among(&[("p", one)]).unwrap();
            assert_eq!(own.umask, alone.umask);
            assert_eq!(own.isolation, alone.isolation);
            assert_eq!(own.environment.set, alone.environment.set);
            // Where only one of them says something, or both the same, it holds.
            let alone =
                among(&[bases[0], ("b", "description: x"), ("p", "extends: [b, a]")]).unwrap();
            assert_eq!(alone.umask, among(&[("p", one)]).unwrap().umask);
            among(&[bases[0], ("b", one), ("p", "extends: [b, a]")]).unwrap();
            // Who extends the other knew what he changed.
            let below = format!("extends: a\n{other}");
            let side = ("c", "extends: a");
            for order in ["extends: [b, c]", "extends: [c, b]"] {
                let diamond = among(&[bases[0], ("b", &below), side, ("p", order)]).unwrap();
                let alone = among(&[bases[0], ("b", &below)]).unwrap();
                assert_eq!(diamond.umask, alone.umask);
                assert_eq!(diamond.user, alone.user);
                assert_eq!(diamond.environment.set, alone.environment.set);
                assert_eq!(diamond.processes.signals, alone.processes.signals);
            }
        }
    }
}

#[test]
fn the_same_word_of_two_bases_counts_against_a_third() {
    let bases = [
        ("a", "description: x"),
        ("b", "umask: \"077\""),
        ("c", "umask: \"022\""),
    ];
    let three = ("p", "extends: [a, b, c]");
    refused(&[bases[0], bases[1], bases[2], three], "of the umask");
}

#[test]
fn what_a_base_denies_is_not_lost() {
    let is_denied = |profile: &Profile| {
        let mut is_denied = None;
        for layer in &profile.syscalls.layers {
            for (names, denies) in [(&layer.allow, false), (&layer.deny, true)] {
                let named = names.iter().any(|name| {
                    name == "mbind"
                        || crate::syscall::group(name).is_some_and(|all| all.contains(&"mbind"))
                });
                is_denied = if named { Some(denies) } else { is_denied };
            }
        }
        is_denied.unwrap()
    };
    // Allowed by nobody but 'default', which both extend.
    let denies = ("a", "syscalls: { deny: [mbind] }");
    for order in ["extends: [a, python]", "extends: [python, a]"] {
        assert!(is_denied(&among(&[denies, ("p", order)]).unwrap()));
    }
    let again = ("b", "extends: a\nsyscalls: { allow: [mbind] }");
    for order in ["extends: [a, b]", "extends: [b, a]"] {
        assert!(!is_denied(&among(&[denies, again, ("p", order)]).unwrap()));
    }
}

#[test]
fn a_list_of_bases_may_not_be_empty_circular_deep_or_double() {
    refused(&[("p", "extends: []")], "names nothing");
    refused(
        &[("p", "extends: [python, python]")],
        "'python' stands twice",
    );
    refused(
        &[("p", "extends: [python, p]")],
        "'extends: p' goes in a circle",
    );
    refused(&[("p", "extends: [python, nosuch]")], "no profile 'nosuch'");
    refused(
        &[
            ("a", "extends: [default, b]"),
            ("b", "extends: [python, a]"),
            ("p", "extends: [a]"),
        ],
        "'extends: a' goes in a circle",
    );
    refused(
        &[("a", "extends: []"), ("p", "extends: [python, a]")],
        "profile 'a': 'extends' names nothing",
    );
    let chain: Vec<(String, String)> = (1..8)
        .map(|n| (format!("n{n}"), format!("extends: [n{}, python]", n - 1)))
        .collect();
    let chain: Vec<(&str, &str)> = chain
        .iter()
        .map(|(name, text)| (&**name, &**text))
        .collect();
    let from = |base| {
        let mut all = vec![("n0", base)];
        all.extend(&chain);
        among(&all)
    };
    assert_eq!(
        from("extends: default")
            .unwrap_err()
            .to_string()
            .matches("too deep")
            .count(),
        1
    );
    for text in ["extends: { a: b }", "extends: [[a]]"] {
        assert!(RawProfile::parse(text.as_bytes(), "p").is_err(), "{text}");
    }
}

/// Each base is composed once, however many ways lead to it.
#[test]
fn many_diamonds_are_not_many_profiles() {
    let mut all: Vec<(String, String)> = vec![("n0".into(), "network: { udp: true }".into())];
    for level in 1..7 {
        let below = level - 1;
        for side in ["", "x", "y", "z"] {
            let text = if below == 0 {
                "extends: [n0, default]".into()
            } else {
                format!("extends: [n{below}, n{below}x, n{below}y, n{below}z]")
            };
            all.push((format!("n{level}{side}"), text));
        }
    }
    let all: Vec<(&str, &str)> = all.iter().map(|(name, text)| (&**name, &**text)).collect();
    let profile = among(&all).unwrap();
    assert!(profile.network.udp);
    assert_eq!(profile.chain.iter().filter(|name| *name == "n0").count(), 1);
    assert_eq!(profile.chain.len(), profile.syscalls.layers.len());
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
