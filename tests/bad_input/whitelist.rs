//! What is wrong in a whitelist: its entries, its settings, a folder of them.

use super::{assert_clean, place_in, refused};
use crate::kit::{Host, Outcome, digest};

/// A host with a plugin `p` that a test's whitelist lists.
fn host() -> (Host, String) {
    let host = Host::new();
    let path = host.install_sh("p", "echo ran");
    let hash = digest(&path);
    (host, hash)
}

/// A whitelist of the plugin, with more lines at the end of its entry.
fn entry(hash: &str, more: &str) -> String {
    format!(
        "version: \"1.0\"\nplugins:\n  - name: p\n    path: ./plugins/p\n    hash: {hash}\n{more}"
    )
}

#[track_caller]
fn refuses(host: &Host, text: &str) -> Outcome {
    host.write("plugins.whitelist", text);
    let outcome = refused(host.launch("p"), 125);
    let again = refused(host.launch("p").policy("audit-only"), 125);
    assert_eq!(outcome.stderr, again.stderr, "no policy reads past it");
    outcome
}

#[test]
fn a_mistake_in_an_entry_refuses_the_file() {
    let (host, hash) = host();
    host.write("plugins.whitelist", &entry(&hash, ""));
    host.launch("p").run().succeeded().prints("ran\n");
    std::fs::remove_file(host.audit_log()).unwrap();
    for (lines, place, what) in [
        ("    nonsense: 1\n", (6, 5), "unknown field `nonsense`"),
        ("    hash: x\n", (6, 5), "duplicate key 'hash'"),
        ("    enabled: yes\n", (6, 14), "boolean"),
        ("    enabled: 1\n", (6, 14), "boolean"),
        ("    image: Sealed\n", (6, 12), "unknown variant"),
        ("    args: one\n", (6, 11), "expected a list"),
        ("    args: [{a: b}]\n", (6, 12), "expected text"),
        (
            "    args: [a, \"b\\0\"]\n",
            (3, 11),
            "an argument of plugin 'p' contains NUL",
        ),
        (
            "    type: t\n",
            (6, 11),
            "does nothing about this key; leave it out",
        ),
        ("    endpoint: e\n", (6, 15), "does nothing about this key"),
        (
            "    allowed_endpoints: [e]\n",
            (6, 24),
            "does nothing about this key",
        ),
        ("    metadata: x\n", (6, 15), "expected a mapping"),
        ("    metadata: {a: [b]}\n", (6, 16), "expected text"),
        ("    metadata: {a: 1, a: 2}\n", (6, 22), "duplicate key 'a'"),
        ("    max_file_size: -1\n", (6, 20), "negative"),
        ("    max_file_size: 1e3\n", (6, 5), "size"),
        ("    max_file_size: 4G\n", (6, 20), "'4G' is no size"),
        ("    max_file_size: 99999999TiB\n", (6, 20), "is no size"),
        ("    max_file_size: 18446744073709551616\n", (6, 5), "size"),
        ("    algorithm: md5\n", (6, 16), "unknown algorithm 'md5'"),
        ("    algorithm: SHA256\n", (6, 16), "unknown algorithm"),
        ("    interpreter: {path: sh}\n", (6, 25), "must be absolute"),
        (
            "    interpreter: {path: /bin/sh, hash: x}\n",
            (6, 40),
            "no hexadecimal",
        ),
        (
            "    libraries: [{path: /a}]\n",
            (6, 24),
            "a library needs a hash",
        ),
        (
            "    profile: {filesystm: {}}\n",
            (6, 15),
            "unknown field `filesystm`",
        ),
        (
            "    profile: {version: 2}\n",
            (6, 24),
            "version '2' is not supported",
        ),
        ("    profile: 7.5.1e\n", (0, 0), "there is no profile"),
        (
            "  - name: p\n    path: q\n",
            (6, 11),
            "a second plugin has the name 'p'",
        ),
        ("  - name: q\n", (6, 5), "path"),
        ("  - path: q\n", (6, 5), "name"),
        (
            "  - name: q\n    path: \"\"\n",
            (6, 11),
            "empty or contains NUL",
        ),
        (
            "  - name: q\n    path: \"a\\0\"\n",
            (6, 11),
            "empty or contains NUL",
        ),
        ("  - q\n", (6, 5), "expected a mapping"),
        ("\t- q\n", (5, 11), "tab"),
        (
            "settings: {policy: Strict}\n",
            (6, 20),
            "unknown variant `Strict`",
        ),
        ("settings: {policy: lenient}\n", (6, 20), "strict"),
        (
            "settings: {serial: -1}\n",
            (6, 20),
            "expected a whole number",
        ),
        (
            "settings: {serial: 18446744073709551616}\n",
            (6, 20),
            "expected a whole number",
        ),
        (
            "settings: {serial: 1e400}\n",
            (6, 20),
            "expected a whole number",
        ),
        (
            "settings: {expires_at: tomorrow}\n",
            (6, 24),
            "'tomorrow' is no time",
        ),
        (
            "settings: {forbidden_paths: /x}\n",
            (6, 29),
            "expected a list",
        ),
        (
            "settings: {forbidden_paths: [/x, srv/x]}\n",
            (6, 34),
            "must be absolute and without '..'",
        ),
        (
            "settings: {forbidden_paths: [/x/../y]}\n",
            (6, 30),
            "the forbidden path '/x/../y' must be",
        ),
        (
            "settings: {forbidden_paths: [/x//y]}\n",
            (6, 30),
            "such as /srv/incoming",
        ),
        (
            "settings: {forbidden_paths: [\"\"]}\n",
            (6, 30),
            "must be absolute",
        ),
        ("settings: {enforce_signatures: on}\n", (6, 32), "boolean"),
        ("plugins: []\n", (6, 1), "duplicate key 'plugins'"),
    ] {
        let outcome = refuses(&host, &entry(&hash, lines)).says(what);
        if place.0 > 0 {
            let found = place_in(&outcome, &host.whitelist());
            assert_eq!(found, place, "{lines:?}: {outcome:#?}");
        }
    }
    // Nothing was decided; that it failed is recorded.
    for record in host.records() {
        let event = record["event_type"].as_str().unwrap();
        // The host's first log was removed.
        let is_expected = ["plugin_exited", "audit_recovered"].contains(&event);
        assert!(is_expected, "{record:#}");
    }
}

#[test]
fn a_hostile_name_is_refused_with_its_place_and_shown_escaped() {
    let (host, _) = host();
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "../../etc/passwd",
        "a\\0",
        "a\\nforged",
        "\\e[2J",
        "\\x7f",
        "\\u009b2J",
        "\\u202egnol",
        "\\u2066x\\u2069",
        "\\u2028x",
        &"x".repeat(256),
        &"x".repeat(1 << 20),
    ] {
        let text = format!("version: 1\nplugins:\n  - name: \"{name}\"\n    path: p\n");
        let outcome = refuses(&host, &text).says("the plugin name '");
        assert_eq!(place_in(&outcome, &host.whitelist()), (3, 11));
    }
}

#[test]
fn only_the_entry_with_a_malformed_hash_is_refused() {
    for (hash, why) in [
        (
            "a".repeat(62),
            "the hash has 62 hexadecimal digits, sha256 needs 64",
        ),
        (
            format!("sha256:{}", "b".repeat(65)),
            "the hash has 65 hexadecimal digits, sha256 needs 64",
        ),
        (
            format!("sha512:{}", "c".repeat(64)),
            "the hash has 64 hexadecimal digits, sha512 needs 128",
        ),
        (
            format!("sha256:{}", "d".repeat(1 << 20)),
            "the hash has 1048576 hexadecimal digits",
        ),
        (String::new(), "the hash has 0 hexadecimal digits"),
        ("sha256:".into(), "the hash has 0 hexadecimal digits"),
        (
            format!("SHA256:{}", "e".repeat(64)),
            "'SHA256' is not a known algorithm",
        ),
        (
            format!("md5:{}", "f".repeat(32)),
            "'md5' is not a known algorithm",
        ),
        (
            format!("sha256: {}", "a".repeat(64)),
            "' ' is no hexadecimal digit",
        ),
        (
            format!("sha256:{}\u{202e}", "a".repeat(64)),
            "'\\u{202e}' is no hexadecimal digit",
        ),
        (
            format!("sha256:{}\\n", "a".repeat(64)),
            "'\\u{a}' is no hexadecimal digit",
        ),
        (
            format!("sha256:{}g", "a".repeat(63)),
            "'g' is no hexadecimal digit",
        ),
    ] {
        let (mut host, good) = host();
        host.list_path("p", "./plugins/p", &good, &[]);
        host.install_sh("q", "echo q ran");
        let listed = format!(
            "version: 1\nplugins:\n  - name: p\n    path: ./plugins/p\n    hash: {good}\n  \
             - name: q\n    path: ./plugins/q\n    hash: \"{hash}\"\n"
        );
        host.write("plugins.whitelist", &listed);
        let other = host.launch("p").run().succeeded().prints("ran\n");
        let told = format!(
            "WARNING: {}:8:11: plugin 'q': {why}",
            host.whitelist().display()
        );
        let other = other.says(&told);
        assert_clean(&other.stderr);
        assert_eq!(other.stderr.lines().count(), 1, "{other:#?}");

        // Its own launch says it twice: as the file's mistake and as the reason.
        let outcome = host.launch("q").run().refused(126);
        assert_clean(&outcome.stderr);
        outcome
            .says("ERROR: Plugin 'q' refused (malformed_hash): ")
            .says(why)
            .says("plugin-hash --file");
        let record = host.record("security_violation");
        assert_eq!(record["violation_type"], "malformed_hash");
        assert!(record["reason"].as_str().unwrap().contains(&why[..10]));
    }
}

#[test]
fn a_digest_is_read_in_either_case_and_only_with_one_algorithm() {
    let (host, good) = host();
    let upper = format!("sha256:{}", good[7..].to_uppercase());
    for hash in [&good[7..], &upper, &upper[7..]] {
        // A hash of digits alone must not become a number.
        host.write(
            "plugins.whitelist",
            &entry(&format!("'{hash}'"), "    algorithm: sha256\n"),
        );
        host.launch("p").run().succeeded().prints("ran\n");
    }
    for algorithm in ["blake3", "sha512", "fs-verity-sha256"] {
        host.write(
            "plugins.whitelist",
            &entry(&good, &format!("    algorithm: {algorithm}\n")),
        );
        let why = format!("the hash is of sha256, 'algorithm' says {algorithm}");
        host.launch("p").run().refused(126).says(&why);
        assert_eq!(
            host.record("security_violation")["violation_type"],
            "malformed_hash"
        );
    }
}

#[test]
fn sixty_four_mebibytes_of_entries_are_read_within_the_bounds() {
    let (host, hash) = host();
    let mut text = entry(&hash, "");
    let filler = "x".repeat(1 << 20);
    for number in 0..60 {
        text.push_str(&format!(
            "  - {{name: n{number}, path: q, args: [{filler}]}}\n"
        ));
    }
    host.write("plugins.whitelist", &text);
    let launch = host.launch("p").under(super::BOUNDS);
    launch.run().succeeded().prints("ran\n");
    text.push_str("  - {name: p, path: q}\n");
    host.write("plugins.whitelist", &text);
    let outcome = refused(host.launch("p"), 125).says("a second plugin has the name 'p'");
    assert_eq!(place_in(&outcome, &host.whitelist()), (66, 12));
}

#[test]
fn a_file_of_a_folder_has_one_plugin_of_its_own_name() {
    let (host, hash) = host();
    let folder = host.folder("whitelist.d");
    let launch = |plugin: &str| host.launch(plugin).whitelist(&folder);
    let text = |name: &str| {
        let plugin = host.path("plugins/p");
        format!(
            "version: 1\nplugins:\n  - name: {name}\n    path: {}\n    hash: {hash}\n",
            plugin.display()
        )
    };
    host.write("whitelist.d/p.yaml", &text("p"));
    host.write("whitelist.d/broken.yaml", "[");
    launch("p").run().succeeded().prints("ran\n");

    host.write("whitelist.d/q.yaml", &text("p"));
    let outcome = refused(launch("q"), 125).says("must be that of the file, 'q'");
    assert_eq!(place_in(&outcome, &folder.join("q.yaml")), (3, 11));
    host.write(
        "whitelist.d/two.yaml",
        &(text("two") + "  - {name: p, path: p}\n"),
    );
    refused(launch("two"), 125).says("this has 2");
    host.write("whitelist.d/none.yaml", "version: 1\n");
    refused(launch("none"), 125).says("this has 0");
    refused(launch("broken"), 125).says("broken.yaml:1:1");

    // No name leads out of the folder: these are all read, were it so.
    host.write("secret.yaml", &text("secret"));
    std::fs::create_dir(folder.join("sub")).unwrap();
    host.write("whitelist.d/sub/p.yaml", &text("p"));
    let absolute = folder.join("p");
    for name in [
        "../secret",
        "sub/p",
        "./p",
        "..",
        ".",
        "p\n",
        absolute.to_str().unwrap(),
    ] {
        refused(launch(name), 126).says("not found in whitelist");
    }
}
