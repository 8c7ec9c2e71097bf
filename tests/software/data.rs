//! Filters and converters: bytes in, bytes out.

use super::Software;
use crate::kit::{EVERYONE, run};

/// Text that packs well and does not repeat.
fn text() -> String {
    (0..5_000_u32)
        .map(|n| format!("{} line {}\n", n.wrapping_mul(2_654_435_761), n % 97))
        .collect()
}

#[test]
fn jq() {
    let input = r#"{"items":[{"n":2,"s":"ä"},{"n":1,"s":"b"}],"at":0}"#;
    let program = r#"[.items | sort_by(.n)[] | .s | ascii_upcase | test("(?<x>B)")], (.at | todate), ([limit(3; range(10))] | add)"#;
    for user in EVERYONE {
        let software = Software::new(user, "/usr/bin/jq", "default");
        let outcome = software.alike(&["-c", program], input).succeeded();
        outcome.prints("[true,false]\n\"1970-01-01T00:00:00Z\"\n3\n");
        let wrong = software.alike(&["."], "{");
        assert_ne!(wrong.status, 0);
    }
}

#[test]
fn sed_and_grep() {
    for user in EVERYONE {
        let sed = Software::new(user, "/usr/bin/sed", "default");
        sed.alike(&["-nE", r"s/^([0-9]+)7 line (.*)$/\2 \1/p"], text());
        // Regular expressions of Perl's kind are compiled at run time where
        // that is possible; where it is not, they are interpreted.
        let grep = Software::new(user, "/usr/bin/grep", "default");
        let outcome = grep.alike(&["-cP", r"(?<=line )\d7$"], text()).succeeded();
        let found = (0..5_000).filter(|n| n % 97 > 9 && n % 97 % 10 == 7);
        assert_eq!(outcome.stdout, format!("{}\n", found.count()));
        assert_eq!(grep.alike(&["-q", "no such"], text()).status, 1);
    }
}

#[test]
fn busybox() {
    for user in EVERYONE {
        let busybox = Software::new(user, "/usr/bin/busybox", "default");
        for applet in [
            &["awk", "{ s += $1 } END { print s }"][..],
            &["sort", "-k3,3n", "-k1,1n"],
            &["sha256sum"],
            &[
                "sh",
                "-c",
                "while read -r a b c; do t=$((a % 10 + ${t:-0})); done; echo $t",
            ],
        ] {
            let outcome = busybox.alike(applet, text()).succeeded();
            assert_ne!(outcome.stdout, "");
        }
    }
}

#[test]
fn gzip_bzip2_xz_and_zstd() {
    for (program, options) in [
        ("/usr/bin/gzip", &["-9n"][..]),
        ("/usr/bin/bzip2", &["-9"]),
        ("/usr/bin/xz", &["-T2", "--block-size=65536"]),
        ("/usr/bin/zstd", &["-T2", "-q"]),
    ] {
        for user in EVERYONE {
            let software = Software::new(user, program, "default");
            let mut pack = options.to_vec();
            pack.push("-c");
            let packed = software.alike(&pack, text()).succeeded();
            assert!(packed.raw.len() < text().len() / 2, "{program}");
            let unpacked = software.alike(&["-dc"], &packed.raw).succeeded();
            assert!(unpacked.stdout == text(), "{program}");
        }
    }
}

#[test]
fn tar() {
    let profile =
        "extends: default\nisolation: auto\nfilesystem: { write: [WORK], metadata: true }";
    for user in EVERYONE {
        let software = Software::new(user, "/usr/bin/tar", profile)
            .file("from/a", "a")
            .file("from/b", text());
        let create = [
            "--create",
            "--file=a.tar",
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--mode=u=rwX",
            "--format=ustar",
            "from",
        ];
        software.alike(&create, "").succeeded();
        let software = software.file("to/nothing", "");
        software
            .alike(&["-xvf", "a.tar", "-C", "to"], "")
            .succeeded();
        assert!(software.read("to/from/b") == text().as_bytes());
    }
}

#[test]
fn sqlite() {
    let script = "pragma journal_mode = wal;
create table if not exists t (name text, n integer);
begin; insert into t values ('pear', 3), ('apple', 10), ('apple', 5); commit;
create virtual table f using fts5(body); insert into f values ('some words');
select name, sum(n) from t group by name order by 1;
select json_group_array(n) from t; select count(*) from f where f match 'words';
pragma integrity_check;
vacuum;
";
    let profile = "extends: default\n\
        filesystem: { write: [WORK] }\n\
        environment: { set: { HOME: WORK } }";
    for user in EVERYONE {
        let software = Software::new(user, "/usr/bin/sqlite3", profile).set("HOME", "WORK");
        let outcome = software.alike(&["-batch", "base.db"], script).succeeded();
        outcome.prints("wal\napple|15\npear|3\n[3,10,5]\n1\nok\n");
        let again = software.alike(&["-csv", "base.db", "select * from t"], "");
        assert_eq!(again.succeeded().stdout, "pear,3\napple,10\napple,5\n");
    }
}

#[test]
fn openssl() {
    let profile = "extends: default\n\
        filesystem: { read: [/etc/ssl/openssl.cnf], write: [WORK] }";
    for user in EVERYONE {
        let software = Software::new(user, "/usr/bin/openssl", profile);
        let digest = software.alike(&["dgst", "-sha3-256", "-r"], text());
        assert_eq!(digest.succeeded().stdout.len(), 64 + " *stdin\n".len());
        let encrypt = "enc -aes-256-ctr -pbkdf2 -k secret -S 0011223344556677";
        let words: Vec<&str> = encrypt.split(' ').collect();
        software.alike(&words, text()).succeeded();
        // A key that one made is the other's, and what it signed holds.
        let words = |line: &'static str| line.split(' ').collect::<Vec<_>>();
        let made = software.both(&words("genpkey -algorithm ed25519 -out key.pem"), "");
        let signs = "pkeyutl -sign -rawin -inkey key.pem -in text -out signature";
        let software = software.file("text", text());
        let signed = software.both(&words(signs), "");
        for outcome in made.into_iter().chain(signed) {
            outcome.succeeded();
        }
        let verifies = "pkeyutl -verify -rawin -inkey key.pem -in text -sigfile signature";
        for outcome in software.both(&words(verifies), "") {
            let outcome = outcome.succeeded();
            assert_eq!(outcome.stdout, "Signature Verified Successfully\n");
        }
    }
}

/// An Ed25519 key and what it signed, made with GnuPG.
const KEY: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEXg0ygBYJKwYBBAHaRw8BAQdAxDULqP8qWSmfLg3QWA3QsFiieZpcExWpCxEl
LxgwgAS0IHBsdWdpbiB0ZXN0IDxwbHVnaW5AZXhhbXBsZS5vcmc+iJAEExYIADgW
IQSlVxo7UCxw/g+tSJ/onu9TjunB+AUCXg0ygAIbAwULCQgHAgYVCgkICwIEFgID
AQIeAQIXgAAKCRDonu9TjunB+DXkAP4v2kQ8FolRVz2oR2yMsRQxdw6uWPpMhWSA
s/wryh0UcQEAxCCgOqh0POvRJT84xX3bIRFYdVrshqISl4ZUmRRBdww=
=My3U
-----END PGP PUBLIC KEY BLOCK-----
";
const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

an honest text
-----BEGIN PGP SIGNATURE-----

iHUEARYIAB0WIQSlVxo7UCxw/g+tSJ/onu9TjunB+AUCXg0ygAAKCRDonu9TjunB
+BQhAP9HAaKrsfhPmV7dpYqL3/CQJ9bZzCjFmrUceKQqiv816wEAvQaWa6Y57n/t
FdkgpV1z1fkKWnmNhtJpY4oZoB0jSwE=
=sK+o
-----END PGP SIGNATURE-----
";

#[test]
fn gpgv() {
    let profile = "extends: default\nfilesystem: { read: [WORK] }";
    for user in EVERYONE {
        let software = Software::new(user, "/usr/bin/gpgv", profile);
        let mut bytes = software.host.command("gpg");
        bytes.arg("--dearmor");
        let bytes = run(bytes, KEY.as_bytes()).succeeded().raw;
        let software = software.file("keys.gpg", bytes);
        let arguments = ["--keyring", "WORK/keys.gpg", "--status-fd", "1"];
        let outcome = software.alike(&arguments, SIGNED).succeeded();
        assert!(
            outcome.stdout.contains("[GNUPG:] VALIDSIG "),
            "{outcome:#?}"
        );
        let other = software.alike(&arguments, SIGNED.replace("honest", "forged"));
        assert_ne!(other.status, 0);
        assert!(other.stdout.contains("[GNUPG:] BADSIG "), "{other:#?}");
    }
}
