//! The signed head, with a key as OpenSSL makes it.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use secure_exec_core::audit::chain::Link;
use secure_exec_core::audit::head::{Head, VerifyingKey};
use serde_json::{Map, Value};

use super::chain;
use crate::kit::{EVERYONE, Host, User};

/// A host with a key, and the key's file.
fn host(user: User, more: &str) -> (Host, PathBuf, VerifyingKey) {
    let mut host = Host::of(user);
    host.install_sh("p", "exit 0");
    host.list("p", &[]);
    let key = host.path("home/audit.key");
    let openssl = |words: &[&str]| {
        let made = Command::new("openssl").args(words).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap()
    };
    let file = key.to_str().unwrap();
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", file]);
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    host.own(&key);
    let public = openssl(&["pkey", "-in", file, "-pubout"]);
    host.audit(&format!("{{ sign: {{ key: {key:?}{more} }} }}"));
    (host, key, VerifyingKey::from_pem(&public).unwrap())
}

fn head(host: &Host, key: &VerifyingKey) -> Link {
    let file = std::fs::read(host.path("state/audit.log.head")).unwrap();
    Head::verify(&file, key).unwrap().1
}

#[test]
fn each_record_is_signed_where_that_is_asked() {
    for user in EVERYONE {
        let (host, _, key) = host(user, ", interval: 0");
        for launches in 1..4 {
            host.launch("p").run().succeeded();
            let records = chain::records(&host.audit_log());
            assert_eq!(records.len(), 2 * launches);
            let last = records.last().unwrap();
            let head = head(&host, &key);
            assert_eq!(last["seq"], head.seq);
            assert_eq!(last["record_hash"], head.hash.to_string());
        }
        let mode = std::fs::metadata(host.path("state/audit.log.head")).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn or_at_an_interval() {
    let (host, _, key) = host(User::Root, ", interval: 100000");
    host.launch("p").run().succeeded();
    host.launch("p").run().succeeded();
    assert_eq!(head(&host, &key).seq, 1);
}

#[test]
fn and_wherever_a_rotation_may_have_removed_the_last_ones_record() {
    for user in EVERYONE {
        let (host, key, public) = host(user, ", interval: 100000");
        host.audit(&format!(
            "{{ max_size: 1, max_backups: 1, sign: {{ key: {key:?}, interval: 100000 }} }}"
        ));
        let long = "n".repeat(60_000);
        for _ in 0..20 {
            host.launch(&long).run().refused(126);
            // What the head vouches for is there, all the time.
            let head = head(&host, &public);
            let files = chain::files(&host.audit_log());
            let hash = format!("\"record_hash\":\"{}\"", head.hash);
            let holds = |file: &PathBuf| {
                let text = String::from_utf8(chain::content(file)).unwrap();
                text.contains(&hash)
            };
            assert!(files.iter().any(holds), "{}: {files:?}", head.seq);
        }
        let files = chain::files(&host.audit_log());
        assert!(files[0].ends_with("audit.log.000002"), "{files:?}");
        assert!(head(&host, &public).seq > 1);
    }
}

#[test]
fn a_head_vouches_for_no_record_that_was_taken_back() {
    for user in EVERYONE {
        for (interval, calls) in [(0, 3), (100_000, 1)] {
            let (host, _, key) = host(user, &format!(", interval: {interval}"));
            host.launch("p").run().succeeded();
            let before = host.records().len();
            // The state, the head, and the state that knows of it: the last
            // costs nothing but another head.
            for number in 1..=calls {
                let fault = format!("inject=pwrite64:error=EIO:when={number}");
                let words = ["strace", "-o", "/dev/null", "-e", &fault];
                let outcome = host.launch("none").under(words).run();
                let records = chain::records(&host.audit_log());
                let hash = head(&host, &key).hash.to_string();
                let is_known = |record: &Map<String, Value>| record["record_hash"] == hash;
                assert!(records.iter().any(is_known), "{number}: {outcome:?}");
                if number == 3 {
                    outcome.refused(126);
                } else {
                    outcome.refused(125).says("EIO");
                    assert_eq!(records.len(), before);
                }
            }
            host.launch("p").run().succeeded();
            let records = chain::records(&host.audit_log());
            assert_eq!(chain::of_event(&records, "audit_recovered").len(), 0);
        }
    }
}

#[test]
fn openssl_agrees() {
    let (host, private, key) = host(User::Root, "");
    host.launch("p").run().succeeded();
    let file = std::fs::read(host.path("state/audit.log.head")).unwrap();
    let (head, link) = Head::verify(&file, &key).unwrap();
    let message = host.write(
        "message",
        &format!(
            "secure-exec audit head 1\n{}\n{}\n{}\n",
            link.seq, link.hash, head.timestamp
        ),
    );
    let signature: Vec<u8> = (0..head.signature.len())
        .step_by(2)
        .map(|place| u8::from_str_radix(&head.signature[place..place + 2], 16).unwrap())
        .collect();
    let file = host.path("signature");
    std::fs::write(&file, signature).unwrap();
    let verified = Command::new("openssl")
        .args(["pkeyutl", "-verify", "-rawin", "-inkey"])
        .arg(private)
        .arg("-in")
        .arg(message)
        .arg("-sigfile")
        .arg(file)
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

#[test]
fn the_key_comes_as_a_credential() {
    let (host, key, public) = host(User::Root, "");
    host.audit("{ sign: { credential: audit-key } }");
    host.launch("p")
        .run()
        .refused(125)
        .says("no credential 'audit-key'");
    let folder = host.folder("credentials");
    std::fs::copy(&key, folder.join("audit-key")).unwrap();
    let launch = host.launch("p").env("CREDENTIALS_DIRECTORY", &folder);
    launch.run().succeeded();
    assert_eq!(head(&host, &public).seq, 1);
}

#[test]
fn a_key_that_is_none_or_not_the_launchers_alone() {
    for user in EVERYONE {
        let (host, key, _) = host(user, "");
        let may = |mode| std::fs::set_permissions(&key, PermissionsExt::from_mode(mode));
        may(0o644).unwrap();
        let refused = host.launch("p").run().refused(125);
        let what = "others than its owner can read it (mode 0644)";
        refused.says(what);
        for policy in ["permissive", "audit-only"] {
            let told = host.launch("p").policy(policy).run().succeeded();
            told.says("WARNING: ").says(what);
        }
        may(0o600).unwrap();
        std::fs::write(
            &key,
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        )
        .unwrap();
        host.launch("p")
            .run()
            .refused(125)
            .says("no Ed25519 private key");
        std::fs::remove_file(&key).unwrap();
        host.launch("p")
            .run()
            .refused(125)
            .says("signing key")
            .says("ENOENT");
        host.audit("{ sign: { interval: 1 } }");
        host.launch("p")
            .run()
            .refused(125)
            .says("'key: FILE' or 'credential: NAME'");
    }
}

#[test]
fn a_plugin_does_not_get_at_the_key() {
    for user in EVERYONE {
        let (mut host, key, _) = host(user, "");
        host.install_sh("reader", "read line < \"$1\" && echo \"$line\"");
        host.list("reader", &[]);
        let home = host.path("home");
        let launch = |policy: &str| {
            let launch = host.launch("reader").policy(policy).profile("home");
            launch.arg(&key).run()
        };
        for (isolation, grant) in [("process", "read"), ("namespaces", "apart")] {
            let files = format!("filesystem: {{ {grant}: [{home:?}] }}");
            host.profile("home", &format!("isolation: {isolation}\n{files}"));
            launch("strict").refused(125).says(SIGNS);
            // It could read it indeed.
            let read = launch("permissive").succeeded().says(SIGNS);
            assert!(read.stdout.starts_with("-----BEGIN"), "{read:?}");
            is_exposed(&host, "sandbox_applied");
        }
        let silent = launch("audit-only").succeeded();
        assert!(silent.stderr.is_empty(), "{silent:?}");
        is_exposed(&host, "sandbox_degraded");
        // Without a sandbox everything is in reach, which is said as well.
        host.set("allow_unconfined: true");
        for policy in ["strict", "permissive"] {
            let launch = host.launch("reader").policy(policy);
            let read = launch.profile("unconfined").arg(&key).run().succeeded();
            let read = read.says("so the plugin can read").says(SIGNS);
            assert!(read.stdout.starts_with("-----BEGIN"), "{read:?}");
            is_exposed(&host, "sandbox_degraded");
        }
        host.launch("p").run().succeeded();
        let record = host.record("sandbox_applied");
        assert!(record["sandbox"].get("signing_key_readable").is_none());
    }
}

const SIGNS: &str = "which signs the audit log";

/// What a verifier of heads has to know, whatever the policy was.
#[track_caller]
fn is_exposed(host: &Host, event: &str) {
    let record = host.record(event);
    assert_eq!(
        record["sandbox"]["signing_key_readable"], true,
        "{record:#?}"
    );
}
