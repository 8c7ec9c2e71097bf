//! `audit keygen`.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::kit::{EVERYONE, Host, run};
use crate::{ctl, json};

#[test]
fn a_key_is_its_owners_alone_and_never_overwritten() {
    for user in EVERYONE {
        let host = Host::of(user);
        let key = host.path("home/log.key");
        let public = host.path("home/log.key.pub");
        host.own(&host.path("home"));
        let words = ["audit", "keygen", "--out", key.to_str().unwrap()];
        ctl(&host, words).succeeded();
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&key), mode(&public)), (0o600, 0o644));
        let before = std::fs::read(&key).unwrap();
        ctl(&host, words).refused(125).says("no key is overwritten");
        std::fs::remove_file(&public).unwrap();
        ctl(&host, words).refused(125).says("no key is overwritten");
        assert_eq!(std::fs::read(&key).unwrap(), before);
        assert!(!public.exists());
    }
}

#[test]
fn openssl_takes_the_key_and_its_own_keys_are_taken() {
    let host = Host::new();
    let ours = host.path("ours");
    let said = json(&host, ["audit", "keygen", "--out", ours.to_str().unwrap()]);
    let openssl = |words: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(words).current_dir(host.path("."));
        run(command, b"").succeeded()
    };
    let public = openssl(&["pkey", "-in", "ours", "-pubout"]).stdout;
    assert_eq!(
        public,
        std::fs::read_to_string(host.path("ours.pub")).unwrap()
    );
    assert_eq!(said["public_key"], host.path("ours.pub").to_str().unwrap());

    openssl(&["genpkey", "-algorithm", "ed25519", "-out", "theirs"]);
    openssl(&["pkey", "-in", "theirs", "-pubout", "-out", "theirs.pub"]);
    let key = host.path("theirs");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    let options = format!("{{ sign: {{ key: {}, interval: 0 }} }}", key.display());
    super::log::write(&host, &options, 2, 3);
    let public = host.path("theirs.pub");
    super::assert_whole(&host, &["--key", public.to_str().unwrap()]);
}
