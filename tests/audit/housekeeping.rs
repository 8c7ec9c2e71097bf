//! Rotation where it is not as easy as a rename: it is housekeeping, for which
//! no launch is refused.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;

use super::{chain, host};
use crate::kit::{EVERYONE, Host, ORDINARY, User, namespace, outer, run};

const RENAMES: [libc::c_long; 3] = [libc::SYS_rename, libc::SYS_renameat, libc::SYS_renameat2];

/// Launches with long names, of which eight fit into a megabyte and twelve do
/// not; each is refused for
/// its name alone. Returns what was warned of.
fn fill(host: &Host, launches: usize, under: &[std::ffi::OsString]) -> String {
    let long = "n".repeat(60_000);
    let launch = || {
        let launch = host.launch(&long).under(under).run().refused(126);
        let warnings = launch
            .stderr
            .lines()
            .filter(|line| line.starts_with("WARNING: "));
        warnings.collect::<String>()
    };
    (0..launches).map(|_| launch()).collect()
}

fn call(words: &[&str], path: &Path) -> String {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).arg(path);
    run(command, b"").succeeded().stdout
}

#[test]
fn a_log_that_is_mounted_as_a_file_is_copied_and_emptied() {
    for user in EVERYONE {
        namespace::private(|| {
            let host = host(user, "{ max_size: 1 }");
            let log = host.audit_log();
            let outside = host.write("outside.log", "");
            std::fs::set_permissions(&outside, PermissionsExt::from_mode(0o600)).unwrap();
            host.write("state/audit.log", "");
            call(&["mount", "--bind", outside.to_str().unwrap()], &log);
            let inode = std::fs::metadata(&log).unwrap().ino();
            assert_eq!(fill(&host, 24, &[]), "");
            host.launch("p").run().succeeded();
            assert_eq!(
                chain::names(&log),
                ["audit.log.000001", "audit.log.000002", "audit.log"]
            );
            let records = chain::records(&log);
            let rotated = chain::of_event(&records, "audit_rotated");
            assert_eq!(rotated.last().unwrap()["audit"]["file"], "audit.log.000002");
            assert_eq!(rotated.len(), 2);
            let there = std::fs::metadata(&log).unwrap();
            assert_eq!(there.ino(), inode);
            let aside = std::fs::metadata(log.with_file_name("audit.log.000002")).unwrap();
            assert_eq!((aside.mode(), aside.uid()), (there.mode(), there.uid()));
        });
    }
}

#[test]
fn a_copy_that_was_interrupted_counts_once() {
    namespace::private(|| {
        let host = host(User::Root, "{ max_size: 1 }");
        let log = host.audit_log();
        let outside = host.write("outside.log", "");
        std::fs::set_permissions(&outside, PermissionsExt::from_mode(0o600)).unwrap();
        host.write("state/audit.log", "");
        call(&["mount", "--bind", outside.to_str().unwrap()], &log);
        let copy = log.with_file_name("audit.log.000001");
        // Killed before the log was emptied.
        fill(&host, 3, &[]);
        call(&["cp", "--preserve=all", log.to_str().unwrap()], &copy);
        fill(&host, 9, &[]);
        assert_eq!(chain::names(&log), ["audit.log.000002", "audit.log"]);
        chain::records(&log);
        // And before that was told.
        let copy = log.with_file_name("audit.log.000003");
        call(&["cp", "--preserve=all", log.to_str().unwrap()], &copy);
        std::fs::File::options()
            .write(true)
            .truncate(true)
            .open(&log)
            .unwrap();
        host.launch("p").run().succeeded();
        assert_eq!(
            chain::names(&log),
            ["audit.log.000002", "audit.log.000003", "audit.log"]
        );
        let records = chain::records(&log);
        assert_eq!(chain::of_event(&records, "audit_recovered").len(), 0);
        assert_eq!(
            host.record("audit_rotated")["audit"]["cause"],
            "interrupted"
        );
    });
}

#[test]
fn where_a_rename_can_not_be_told_to_replace_nothing_it_replaces_nothing() {
    for user in EVERYONE {
        let host = host(user, "{ max_size: 1 }");
        let log = host.audit_log();
        let door = outer::filter(&host, Errno::EINVAL, &[libc::SYS_renameat2]);
        let strange = host.write("state/audit.log.000001", "somebody's\n");
        assert_eq!(fill(&host, 12, &door), "");
        assert_eq!(std::fs::read_to_string(&strange).unwrap(), "somebody's\n");
        std::fs::remove_file(strange).unwrap();
        assert_eq!(chain::names(&log), ["audit.log.000002", "audit.log"]);
        chain::records(&log);
    }
}

#[test]
fn a_log_that_can_not_be_rotated_grows_on_with_a_warning() {
    for user in EVERYONE {
        let host = host(user, "{ max_size: 1 }");
        let log = host.audit_log();
        let door = outer::filter(&host, Errno::EACCES, &RENAMES);
        assert_eq!(fill(&host, 8, &door), "");
        let warned = fill(&host, 4, &door);
        assert!(
            warned.contains("audit.log' grows on: rename: Permission denied (EACCES)"),
            "{warned}"
        );
        let launch = host.launch("p").under(&door).run().succeeded();
        launch.says("grows on").says("rename files");
        assert_eq!(chain::names(&log), ["audit.log"]);
        assert!(std::fs::metadata(&log).unwrap().len() > 1_000_000);
        chain::records(&log);
        host.launch("p").run().succeeded();
        assert_eq!(chain::names(&log), ["audit.log.000001", "audit.log"]);
        chain::records(&log);
    }
}

#[test]
fn the_new_file_is_for_the_same_people() {
    const READERS: u32 = 58_241;
    for user in EVERYONE {
        for is_reserved in [false, true] {
            let host = host(user, "{ max_size: 1, compress: true }");
            let log = host.audit_log();
            host.launch("p").run().succeeded();
            call(&["setfacl", "--modify", &format!("u:{READERS}:r")], &log);
            if user == User::Root {
                std::os::unix::fs::chown(&log, None, Some(READERS)).unwrap();
            }
            let of = |path: &Path| {
                let list = call(
                    &["getfacl", "--absolute-names", "--omit-header", "--numeric"],
                    path,
                );
                let stat = std::fs::metadata(path).unwrap();
                (list, stat.uid(), stat.gid(), stat.mode())
            };
            let before = of(&log);
            assert!(
                before.0.contains(&format!("user:{READERS}:r--")),
                "{before:?}"
            );
            let door = if is_reserved {
                outer::filter(&host, Errno::EINVAL, &[libc::SYS_renameat2])
            } else {
                Vec::new()
            };
            fill(&host, 12, &door);
            assert_eq!(chain::names(&log), ["audit.log.000001.gz", "audit.log"]);
            for file in chain::files(&log) {
                assert_eq!(
                    of(&file),
                    before,
                    "{user:?} {is_reserved} {}",
                    file.display()
                );
            }
            let owner = if user == User::Root { 0 } else { ORDINARY };
            assert_eq!(before.1, owner);
        }
    }
}
