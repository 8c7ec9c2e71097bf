//! Whitelists, good and hostile.

use super::*;

/// The guide's sample: two of its three hashes are malformed.
const SAMPLE: &str = r#"
version: "1.0"
created_at: "2025-01-01T00:00:00Z"
updated_at: "2025-01-15T10:30:00Z"
settings:
  hash_algorithm: "sha256"
  enforce_signatures: true
  allow_dev_plugins: false
plugins:
  - name: "auth-service"
    path: "./plugins/auth-service"
    hash: "sha256:a1b2c3d4e5f6789012345678901234567890abcdef1234567890abcdef123456"
    algorithm: "sha256"
    enabled: true
    metadata:
      version: "1.2.3"
      author: "security-team@company.com"
  - name: "payment-service"
    path: "./plugins/payment-service"
    hash: "sha256:fedcba0987654321098765432109876543210fedcba0987654321098765432"
    algorithm: "sha256"
    enabled: true
  - name: "logging-service"
    path: "./plugins/logging-service"
    hash: "sha256:123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01"
    algorithm: "sha256"
    enabled: false  # Temporarily disabled
"#;

fn refused(text: &str) -> LocatedError {
    Whitelist::parse(text.as_bytes(), "w").unwrap_err()
}

fn with_plugin(lines: &str) -> String {
    format!("version: \"1.0\"\nplugins:\n  - name: a\n    path: p\n{lines}")
}

#[test]
fn the_guides_sample_loads() {
    let whitelist = Whitelist::parse(SAMPLE.as_bytes(), "w").unwrap();
    assert_eq!(whitelist.entries.len(), 3);
    assert!(whitelist.settings.enforce_signatures);
    assert!(matches!(whitelist.entries[0].hash, Expected::Pinned(_)));
    assert_eq!(
        whitelist.warnings,
        [
            "w:20:11: plugin 'payment-service': the hash has 62 hexadecimal digits, sha256 needs 64",
            "w:25:11: plugin 'logging-service': the hash has 65 hexadecimal digits, sha256 needs 64",
        ]
    );
    assert!(!whitelist.entries[2].enabled);
}

#[test]
fn mistakes_have_a_place() {
    let place = |text: &str| {
        let error = refused(text);
        (error.line, error.column)
    };
    assert_eq!(place("version: \"2.0\"\n"), (1, 10));
    assert_eq!(place(&with_plugin("    pth: x\n")), (5, 5));
    assert_eq!(place(&with_plugin("    path: x\n")), (5, 5));
    assert_eq!(place(&with_plugin("  - name: a\n    path: q\n")).0, 5);
    assert_eq!(place("version: '1'\nsettings: {policy: Strict}\n").0, 2);
    assert_eq!(
        place("version: '1'\nsettings:\n  expires_at: soon\n"),
        (3, 15)
    );
    assert_eq!(place("version: '1'\nx: &a [1]\n").0, 2);
    assert_eq!(
        place("version: '1'\nplugins:\n  - name: \"a/b\"\n    path: p\n"),
        (3, 11)
    );
    assert_eq!(place(&with_plugin("    enabled: yes\n")).0, 5);
    assert_eq!(place("version: '1'\n---\nversion: '1'\n").0, 2);
}

#[test]
fn invalid_utf8_has_a_place() {
    let error = Whitelist::parse(b"version: '1'\nab\xff", "w").unwrap_err();
    assert_eq!((error.line, error.column), (2, 3));
}

#[test]
fn bombs_are_refused_at_once() {
    let mut bomb = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
    for (one, other) in ('a'..'j').zip('b'..'k') {
        bomb.push_str(&format!(
            "{other}: &{other} [*{one},*{one},*{one},*{one},*{one},*{one},*{one},*{one}]\n"
        ));
    }
    assert!(refused(&bomb).line > 0);
    assert!(refused(&"[".repeat(400_000)).line > 0);
    assert!(refused(&"{a: ".repeat(100_000)).line > 0);
    assert!(
        refused(&format!(
            "version: '1'\nplugins:\n  - name: {}\n    path: p\n",
            "x".repeat(1 << 20)
        ))
        .to_string()
        .len()
            < 1000
    );
}

#[test]
fn no_control_character_reaches_the_terminal() {
    for text in [
        "version: '1'\nplugins:\n  - name: \"a\\e[2J\"\n    path: p\n",
        "version: '1'\n\"\\e[2J\": 1\n",
        "version: '1'\n\u{202e}: 1\n",
        "version: \"\\e[2J\"\n",
    ] {
        let shown = refused(text).to_string();
        assert!(
            !shown
                .chars()
                .any(|c| c != '\n' && crate::escape::is_unsafe(c)),
            "{shown:?}"
        );
    }
}

#[test]
fn two_answers_about_the_algorithm_are_none() {
    let text = with_plugin(&format!(
        "    hash: sha256:{}\n    algorithm: blake3\n",
        "0".repeat(64)
    ));
    let whitelist = Whitelist::parse(text.as_bytes(), "w").unwrap();
    assert!(matches!(whitelist.entries[0].hash, Expected::Malformed(_)));
}

#[test]
fn a_profile_may_stand_in_the_entry() {
    let text =
        with_plugin("    profile:\n      extends: python\n      filesystem: { read: [/srv] }\n");
    let whitelist = Whitelist::parse(text.as_bytes(), "w").unwrap();
    assert!(matches!(
        whitelist.entries[0].profile,
        Some(ProfileRef::Inline(_))
    ));
    assert_eq!(
        refused(&with_plugin("    profile:\n      filesystm: {}\n")).line,
        6
    );
}

#[test]
fn a_folders_file_has_one_plugin_of_its_name() {
    let text = with_plugin("");
    assert!(Whitelist::parse_entry_file(text.as_bytes(), "a.yaml", "a").is_ok());
    assert!(Whitelist::parse_entry_file(text.as_bytes(), "b.yaml", "b").is_err());
    assert!(Whitelist::parse_entry_file(b"version: '1'\n", "b.yaml", "b").is_err());
}

#[test]
fn a_key_that_would_do_nothing_is_a_mistake() {
    for key in ["allowed_endpoints: [e]", "endpoint: e", "type: t"] {
        let error = refused(&with_plugin(&format!("    {key}\n")));
        assert_eq!(error.line, 5, "{error}");
        assert!(error.message.contains("does nothing"), "{error}");
    }
    for value in ["[c]", "[]", "~", "{ a: b }"] {
        let error = refused(&format!(
            "version: 1\nsettings:\n  trusted_certs: {value}\n"
        ));
        assert_eq!(error.line, 3, "{error}");
        assert!(error.column > 1, "{error}");
        assert!(error.message.contains("leave it out"), "{error}");
    }
}

#[test]
fn an_algorithm_is_of_a_hash() {
    let error = refused(&with_plugin("    algorithm: blake3\n"));
    assert_eq!((error.line, error.column), (3, 11));
    assert!(error.message.contains("no 'hash'"), "{error}");
}
