//! `audit rotate`.

use crate::kit::{EVERYONE, Host, namespace, run};
use crate::{ctl, json};

#[test]
fn the_log_gets_a_number_and_the_next_launch_a_new_file() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "exit 0");
        host.list("p", &[]);
        host.audit("{ compress: true, max_backups: 2 }");
        let log = host.audit_log();
        let name = log.to_str().unwrap();
        for number in 1..4 {
            host.launch("p").run().succeeded();
            let rotated = json(&host, ["audit", "rotate", name]);
            let expected = format!("audit.log.00000{number}.gz");
            assert_eq!(rotated["file"], expected.as_str());
            assert!(log.with_file_name(expected).exists());
            let record = host.record("audit_rotated");
            assert_eq!(record["audit"]["cause"], "request");
            assert_eq!(record["audit"]["last_seq"], number * 3 - 1);
        }
        assert!(!log.with_file_name("audit.log.000001.gz").exists());
        host.launch("p").run().succeeded();
        assert_eq!(host.records().len(), 3);
    }
}

#[test]
fn a_log_that_is_not_there_is_not_made() {
    for user in EVERYONE {
        let host = Host::of(user);
        let log = host.path("state/other.log");
        let refused = ctl(&host, ["audit", "rotate", log.to_str().unwrap()]);
        refused.refused(125).says("can't be rotated").says("ENOENT");
        assert_eq!(std::fs::read_dir(host.path("state")).unwrap().count(), 0);
        std::fs::write(&log, "").unwrap();
        host.own(&log);
        let refused = ctl(&host, ["audit", "rotate", log.to_str().unwrap()]);
        refused.refused(125).says("has no record");
    }
}

/// Its name is that of another inode than its folder's entry says.
#[test]
fn a_log_that_is_mounted_as_a_file_is_rotated_and_whole() {
    namespace::private(|| {
        let mut host = Host::new();
        host.install_sh("p", "exit 0");
        host.list("p", &[]);
        let log = host.audit_log();
        host.launch("p").run().succeeded();
        let outside = host.path("outside.log");
        std::fs::copy(&log, &outside).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.arg("--bind").arg(&outside).arg(&log);
        run(mount, b"").succeeded();
        host.launch("p").run().succeeded();
        let name = log.to_str().unwrap();
        let rotated = json(&host, ["audit", "rotate", name]);
        assert_eq!(rotated["file"], "audit.log.000001");
        host.launch("p").run().succeeded();
        ctl(&host, ["audit", "verify", name]).succeeded();
        assert!(log.with_file_name("audit.log.000001").exists());
    });
}
