//! Signatures, made by minisign.

use std::path::Path;

use super::table::Wrong;
use crate::kit::{EVERYONE, Host, User};

/// A key pair of minisign's in the host's folder; returns the public key.
fn key(host: &Host, name: &str) -> String {
    let public = host.path(format!("{name}.pub"));
    let secret = host.path(format!("{name}.key"));
    let words = [
        "-G",
        "-W",
        "-p",
        public.to_str().unwrap(),
        "-s",
        secret.to_str().unwrap(),
    ];
    host.bare("minisign", &words).succeeded();
    let text = std::fs::read_to_string(public).unwrap();
    text.lines().nth(1).unwrap().to_string()
}

/// The signature of a file, as lines of a whitelist entry.
fn signature(host: &Host, key: &str, file: &Path, more: &[&str]) -> String {
    let secret = host.path(format!("{key}.key"));
    let into = host.path(format!("{key}.minisig"));
    let mut words = vec!["-S", "-s", secret.to_str().unwrap()];
    words.extend(["-x", into.to_str().unwrap(), "-m", file.to_str().unwrap()]);
    words.extend(more);
    host.bare("minisign", &words).succeeded();
    let text = std::fs::read_to_string(into).unwrap();
    text.lines()
        .fold(String::from("signature: |"), |yaml, line| {
            format!("{yaml}\n  {line}")
        })
}

/// A host that trusts the key `good`, and knows another one.
fn case(user: User) -> Wrong {
    let mut case = Wrong::new(user);
    let good = key(&case.host, "good");
    key(&case.host, "other");
    case.host
        .set("enforce_signatures: true")
        .set(&format!("trusted_keys: [{good:?}]"));
    case
}

#[test]
fn a_good_signature_runs_under_strict() {
    for user in EVERYONE {
        let mut case = case(user);
        let plugin = case.host.path("plugins/p");
        for more in [&[][..], &["-l"]] {
            let signed = signature(&case.host, "good", &plugin, more);
            let name = format!("p{}", more.len());
            let hash = crate::kit::digest(&plugin);
            case.host.list_path(&name, "plugins/p", &hash, &[&signed]);
            case.host.launch(&name).run().succeeded().prints("ran\n");
        }
    }
}

#[test]
fn the_key_may_lie_in_a_file_that_nobody_else_writes() {
    for user in EVERYONE {
        let mut case = Wrong::new(user);
        key(&case.host, "good");
        let file = case.host.path("good.pub");
        case.host.set(&format!("trusted_keys: [{file:?}]"));
        let signed = signature(&case.host, "good", &case.host.path("plugins/p"), &[]);
        case.host.list("p", &[&signed]);
        case.host.launch("p").run().succeeded().prints("ran\n");
        use std::os::unix::fs::PermissionsExt;
        let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode));
        mode(0o666).unwrap();
        case.waivable("signature_untrusted");
        // A stranger keeps it to himself.
        mode(0o644).unwrap();
        std::os::unix::fs::chown(&file, Some(58_299), None).unwrap();
        case.waivable("signature_untrusted");
    }
}

#[test]
fn a_missing_signature() {
    for user in EVERYONE {
        let mut case = case(user);
        case.host.list("p", &[]);
        case.waivable("signature_missing");
    }
}

#[test]
fn a_signature_of_other_bytes() {
    for user in EVERYONE {
        let mut case = case(user);
        let signed = signature(&case.host, "good", &case.host.path("plugins/p"), &[]);
        case.host.install_sh("p", "echo ran # and more");
        case.host.list("p", &[&signed]);
        case.waivable("signature_invalid");
        assert_eq!(case.host.record("security_violation")["severity"], "high");
    }
}

#[test]
fn a_signature_that_is_no_signature_or_was_changed() {
    for user in EVERYONE {
        let mut case = case(user);
        let plugin = case.host.path("plugins/p");
        let signed = signature(&case.host, "good", &plugin, &["-t", "trusted comment"]);
        for (name, changed) in [
            ("none", "signature: \"\"".to_string()),
            ("text", "signature: not a signature".to_string()),
            (
                "comment",
                signed.replace("trusted comment: trusted", "trusted comment: changed"),
            ),
            ("cut", signed.lines().take(3).collect::<Vec<_>>().join("\n")),
        ] {
            assert_ne!(changed, signed);
            let hash = crate::kit::digest(&plugin);
            case.host.list_path(name, "plugins/p", &hash, &[&changed]);
            case.plugin = name.into();
            case.waivable("signature_invalid");
        }
    }
}

#[test]
fn a_signature_of_a_key_that_nobody_trusts() {
    for user in EVERYONE {
        let mut case = case(user);
        let signed = signature(&case.host, "other", &case.host.path("plugins/p"), &[]);
        case.host.list("p", &[&signed]);
        case.waivable("signature_untrusted");
    }
}

#[test]
fn a_signature_is_checked_even_where_none_is_demanded() {
    for user in EVERYONE {
        let mut case = Wrong::new(user);
        key(&case.host, "good");
        let signed = signature(&case.host, "good", &case.host.path("plugins/p"), &[]);
        case.host.list("p", &[&signed]);
        case.waivable("signature_untrusted");
        assert_eq!(
            case.host.record("security_violation")["reason"],
            "the whitelist trusts no key"
        );
    }
}
