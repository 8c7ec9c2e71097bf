//! An audit log that can't be written, under each policy.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::kit::{EVERYONE, Host, User};

/// Strict runs nothing; the others warn once and run.
#[track_caller]
fn unwritable(host: &Host, what: &str) {
    let log = host.audit_log();
    let start = format!("the audit log '{}' can't be written: ", log.display());
    let refused = host.launch("p").run().refused(125);
    refused
        .says(&format!("ERROR: {start}"))
        .says(what)
        .says("--audit-log");
    for policy in ["permissive", "audit-only"] {
        let outcome = host
            .launch("p")
            .policy(policy)
            .run()
            .succeeded()
            .prints("ran\n");
        let outcome = outcome.says(&format!("WARNING: {start}")).says(what);
        assert_eq!(
            outcome.stderr.matches("the audit log").count(),
            1,
            "{outcome:#?}"
        );
        let quiet = host.launch("p").policy(policy).option("--quiet").run();
        assert_eq!(quiet.succeeded().prints("ran\n").stderr, "");
    }
}

fn each(test: impl Fn(&Host, &Path)) {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "echo ran");
        host.list("p", &[]);
        test(&host, &host.audit_log());
    }
}

#[test]
fn a_folder_in_its_place() {
    each(|host, log| {
        std::fs::create_dir(log).unwrap();
        unwritable(host, "EISDIR");
    });
}

#[test]
fn a_link_in_its_place() {
    each(|host, log| {
        let target = host.write("target", "");
        symlink(&target, log).unwrap();
        host.own(log);
        unwritable(host, "it is a symbolic link");
        assert_eq!(std::fs::read(&target).unwrap(), b"");
        std::fs::remove_file(&target).unwrap();
        unwritable(host, "it is a symbolic link");
        assert!(!target.exists(), "nothing was created through it");
    });
}

#[test]
fn a_second_name_of_another_file() {
    each(|host, log| {
        let target = host.write("target", "precious\n");
        std::fs::hard_link(&target, log).unwrap();
        unwritable(host, "it has 2 names");
        assert_eq!(std::fs::read(target).unwrap(), b"precious\n");
    });
}

#[test]
fn a_fifo_that_nobody_reads_and_one_that_somebody_does() {
    each(|host, log| {
        nix::unistd::mkfifo(log, nix::sys::stat::Mode::S_IRWXU).unwrap();
        host.own(log);
        unwritable(host, "it is a FIFO");
        let open = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(log)
            .unwrap();
        unwritable(host, "it is a FIFO");
        drop(open);
    });
}

#[test]
fn a_device_in_its_place() {
    each(|host, _| {
        let launch = || host.launch("p").option("--audit-log").option("/dev/null");
        launch().run().refused(125).says("it is a character device");
        let full = host.launch("p").option("--audit-log").option("/dev/full");
        full.run().refused(125).says("it is a character device");
    });
}

#[test]
fn a_folder_that_is_none() {
    each(|host, _| {
        let below = host.path("config.yaml/audit.log");
        let launch = host.launch("p").option("--audit-log").option(below);
        launch.run().refused(125).says("ENOTDIR");
    });
}

#[test]
fn a_log_of_somebody_elses() {
    let mut host = Host::of(User::Ordinary);
    host.install_sh("p", "echo ran");
    host.list("p", &[]);
    let log = host.audit_log();
    std::fs::write(&log, "").unwrap();
    std::fs::set_permissions(&log, PermissionsExt::from_mode(0o644)).unwrap();
    unwritable(&host, "EACCES");
}

#[test]
fn a_log_that_others_can_write_or_anybody_execute() {
    each(|host, log| {
        std::fs::write(log, "").unwrap();
        host.own(log);
        let may_write = |mode| std::fs::set_permissions(log, PermissionsExt::from_mode(mode));
        for mode in [0o646, 0o664] {
            may_write(mode).unwrap();
            unwritable(
                host,
                &format!("others than its owner can write it (mode {mode:04o})"),
            );
        }
        for mode in [0o700, 0o610, 0o601, 0o4600] {
            may_write(mode).unwrap();
            unwritable(host, "it can be executed, and a log never is a program");
        }
        may_write(0o644).unwrap();
        host.launch("p").run().succeeded().prints("ran\n");
    });
}

#[test]
fn a_full_file_system() {
    // In a mount namespace of the launch's own.
    let script = r#"mount -t tmpfs -o size=16384,mode=0755,uid=USER none "$1" && shift &&
        head -c 16384 /dev/zero > "$0/filler" && FREE && exec "$@""#;
    each(|host, log| {
        let full = host.folder("full");
        let words = |run: &str| {
            let full = full.to_str().unwrap().to_string();
            let user = if host.user() == User::Root {
                "0"
            } else {
                "58231"
            };
            let back =
                format!("exec setpriv --reuid={user} --regid={user} --clear-groups -- \"$@\"");
            let script = script.replace("FREE", run).replace("exec \"$@\"", &back);
            let script = script.replace("USER", user);
            ["unshare", "--mount", "sh", "-c", &script, &full, &full].map(String::from)
        };
        assert!(log.parent().unwrap().exists());
        let place = full.join("audit.log");
        let launch = |policy: &str, run: &str| {
            let launch = host.launch("p").policy(policy).under(words(run));
            crate::kit::run(
                as_root(launch.option("--audit-log").option(&place).command()),
                b"",
            )
        };
        launch("strict", "true").refused(125).says("ENOSPC");
        for policy in ["permissive", "audit-only"] {
            launch(policy, "true")
                .succeeded()
                .prints("ran\n")
                .says("WARNING: the audit log");
        }
        // It is the space: with some, it runs.
        launch("strict", "rm \"$0/filler\"")
            .succeeded()
            .prints("ran\n");
    });
}

#[test]
fn a_file_system_that_became_read_only() {
    each(|host, _| {
        let folder = host.folder("disk");
        let user = if host.user() == User::Root {
            "0"
        } else {
            "58231"
        };
        // Two launches on one disk, which is remounted between them.
        let script = r#"mount -t tmpfs -o mode=0755,uid=USER none "$0" &&
            setpriv --reuid=USER --regid=USER --clear-groups -- "$@" &&
            mount -o remount,ro "$0" &&
            exec setpriv --reuid=USER --regid=USER --clear-groups -- "$@""#;
        let script = script.replace("USER", user);
        let words = ["unshare", "--mount", "sh", "-c", &script];
        let words = words.into_iter().map(std::ffi::OsStr::new);
        let place = folder.join("audit.log");
        let launch = |policy: &str| {
            let launch = host.launch("p").policy(policy);
            let launch = launch.under(words.clone().chain([folder.as_os_str()]));
            let command = launch.option("--audit-log").option(&place).command();
            crate::kit::run(as_root(command), b"")
        };
        let strict = launch("strict");
        assert_eq!(strict.status, 125, "{strict:?}");
        strict
            .prints("ran\n")
            .says("can't be written")
            .says("EROFS");
        let permissive = launch("permissive").succeeded().prints("ran\nran\n");
        permissive.says("WARNING: the audit log").says("EROFS");
    });
}

/// Only root mounts; the script becomes the host's user after it.
fn as_root(mut command: std::process::Command) -> std::process::Command {
    use std::os::unix::process::CommandExt as _;
    command.uid(0).gid(0);
    command
}

#[test]
fn a_limit_on_the_size_of_files() {
    each(|host, _| {
        let launch = host.launch("p").under(["prlimit", "--fsize=100"]);
        launch.run().refused(125).says("can't be written");
        let launch = host
            .launch("p")
            .policy("permissive")
            .under(["prlimit", "--fsize=100"]);
        launch
            .run()
            .succeeded()
            .prints("ran\n")
            .says("WARNING: the audit log");
        // What fits not whole is not written in part.
        let log = std::fs::read_to_string(host.audit_log()).unwrap();
        assert_eq!(log, "");
    });
}

#[test]
fn a_limit_that_is_the_plugins_does_not_stop_the_log() {
    each(|host, log| {
        host.profile("no-files", "limits: { file_size: 0 }");
        host.launch("p")
            .profile("no-files")
            .run()
            .succeeded()
            .prints("ran\n");
        assert_eq!(
            host.record("sandbox_applied")["sandbox"]["limits"]["file_size"],
            0
        );
        assert!(log.exists());
    });
}
