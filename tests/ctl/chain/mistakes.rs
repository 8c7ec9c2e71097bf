//! What `audit verify` can't do: status 125, and nothing on standard output.

use super::log::{self, verify};
use crate::ctl;
use crate::kit::Host;

#[test]
fn what_is_no_log_is_not_verified() {
    let host = Host::new();
    let verify = |path: &str| ctl(&host, ["audit", "verify", path]);
    let missing = host.path("state/audit.log");
    verify(missing.to_str().unwrap())
        .refused(125)
        .says("there is none");
    verify(host.path("nosuch/audit.log").to_str().unwrap())
        .refused(125)
        .says("its folder does not exist");
    verify(host.path("state").to_str().unwrap())
        .refused(125)
        .says("is no audit log");
    std::os::unix::fs::symlink("/dev/zero", &missing).unwrap();
    verify(missing.to_str().unwrap())
        .refused(125)
        .says("symbolic link");
    std::fs::remove_file(&missing).unwrap();
    nix::unistd::mkfifo(&missing, nix::sys::stat::Mode::S_IRUSR).unwrap();
    verify(missing.to_str().unwrap())
        .refused(125)
        .says("not a plain file");
    std::fs::remove_file(&missing).unwrap();
    log::write(&host, "{ max_backups: 0 }", 2, 2);
    verify(log::rotated(&host, 1).to_str().unwrap())
        .refused(125)
        .says("it is a rotated file of 'audit.log'");
}

#[test]
fn a_witness_that_can_not_be_heard_is_no_success() {
    let host = Host::new();
    log::write(&host, "{}", 1, 3);
    let empty = host.write("empty", "");
    let other = host.write("other", "one\ntwo\n");
    for (option, path, says) in [
        ("--key", host.path("nosuch"), "No such file"),
        ("--key", other.clone(), "no Ed25519 public key"),
        ("--against", host.path("nosuch"), "No such file"),
        ("--against", empty, "no line of it"),
        ("--against", other, "no line of it"),
    ] {
        verify(&host, &[option, path.to_str().unwrap()])
            .refused(125)
            .says(says);
    }
    for (words, says) in [
        (["--from", "4"], "no record from 4 on"),
        (["--from", "0"], "0 is not in 1.."),
        (["--from", "x"], "invalid digit"),
    ] {
        verify(&host, &words).refused(125).says(says);
    }
}
