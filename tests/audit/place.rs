//! Where a log may not lie.

use std::os::unix::fs::PermissionsExt;

use crate::kit::{EVERYONE, Host, User, digest};

fn host(user: User) -> Host {
    let mut host = Host::of(user);
    host.install_sh("p", "echo ran");
    host.list("p", &[]);
    host
}

#[test]
fn a_log_among_plugins_is_refused() {
    for user in EVERYONE {
        let mut host = host(user);
        let place = host.path("plugins/audit.log");
        let launch = |host: &Host| {
            let launch = host.launch("p");
            launch.option("--audit-log").option(&place).run()
        };
        let what = "it lies in the plugin folder";
        launch(&host).refused(125).says(what);
        assert!(!place.exists());
        for policy in ["permissive", "audit-only"] {
            let launch = host.launch("p").policy(policy);
            let outcome = launch.option("--audit-log").option(&place).run();
            outcome.succeeded().prints("ran\n").says(what);
        }
        assert!(!place.exists());
        // Also by way of a link, and below the folder that is said to be the
        // plugins'.
        let link = host.path("innocent");
        std::os::unix::fs::symlink(host.path("plugins"), &link).unwrap();
        let launch_to = |host: &Host, log: &str| {
            let launch = host.launch("p").option("--audit-log");
            launch.option(host.path(log)).run()
        };
        launch_to(&host, "innocent/audit.log")
            .refused(125)
            .says(what);
        launch_to(&host, "plugins-logs/audit.log").succeeded();
        launch_to(&host, "audit.log").succeeded();
        // Below a folder that is for plugins.
        let root = host.path("plugins");
        host.set(&format!("plugin_root: {root:?}"));
        host.list_path("q", "./p", &digest(&root.join("p")), &[]);
        let launch = host.launch("q").option("--audit-log");
        let launch = launch.option(host.path("plugins/logs/audit.log")).run();
        launch.refused(125).says(what);
        let launch = host.launch("q").option("--audit-log");
        launch.option(host.path("audit.log")).run().succeeded();
    }
}

#[test]
fn a_log_beside_the_file_that_a_listed_link_leads_to_is_refused() {
    for user in EVERYONE {
        let mut host = host(user);
        let real = host.folder("real");
        std::fs::rename(host.path("plugins/p"), real.join("p")).unwrap();
        std::os::unix::fs::symlink("../real/p", host.path("plugins/p")).unwrap();
        host.list_path("q", "./plugins/p", &digest(&real.join("p")), &[]);
        for folder in ["real", "plugins"] {
            let log = host.path(folder).join("audit.log");
            let launch = host.launch("q").option("--audit-log").option(&log);
            launch
                .run()
                .refused(125)
                .says("it lies in the plugin folder");
        }
        host.launch("q").run().succeeded();
    }
}

#[test]
fn where_paths_begin_by_default_is_no_plugin_folder() {
    for user in EVERYONE {
        let host = host(user);
        let beside = host.path("audit.log");
        let launch = host.launch("p").option("--audit-log").option(&beside);
        launch.run().succeeded();
        assert!(beside.exists());
    }
}

#[test]
fn who_is_not_listed_can_not_keep_his_refusal_out_of_the_log() {
    for user in EVERYONE {
        let host = host(user);
        let beside = host.audit_log().with_file_name("intruder");
        host.launch(&beside).run().refused(126);
        host.launch("./state/intruder").run().refused(126);
        assert_eq!(host.records().len(), 2);
    }
}

#[test]
fn a_dry_run_says_it_as_well() {
    let host = host(User::Root);
    let place = host.path("plugins/audit.log");
    let launch = host.launch("p").option("--dry-run");
    let outcome = launch.option("--audit-log").option(&place).run();
    assert_eq!(outcome.status, 125);
    outcome.says("it lies in the plugin folder");
}

#[test]
fn a_folder_in_which_anybody_can_exchange_it() {
    for user in EVERYONE {
        let host = host(user);
        let open = host.folder("open");
        let launch = || {
            let launch = host.launch("p").option("--audit-log");
            launch.option(open.join("audit.log")).run()
        };
        let may = |mode| std::fs::set_permissions(&open, PermissionsExt::from_mode(mode));
        may(0o777).unwrap();
        launch()
            .refused(125)
            .says("everybody can exchange files in this folder");
        // As /tmp: others' files stay theirs.
        may(0o1777).unwrap();
        launch().succeeded();
    }
}

#[test]
fn a_log_of_another_user_in_a_folder_for_all() {
    let host = host(User::Root);
    let open = host.folder("open");
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o1777)).unwrap();
    let log = open.join("audit.log");
    std::fs::write(&log, "").unwrap();
    std::os::unix::fs::chown(&log, Some(58_231), None).unwrap();
    let launch = host.launch("p").option("--audit-log").option(&log);
    // The kernel refuses it as well, where fs.protected_regular is on.
    let refused = launch.run().refused(125);
    let is_refused = refused
        .stderr
        .contains("it belongs to another user (58231)")
        || refused.stderr.contains("EACCES");
    assert!(is_refused, "{refused:?}");
    assert_eq!(std::fs::read(&log).unwrap(), b"");
}

#[test]
fn a_path_that_names_no_file() {
    for user in EVERYONE {
        let host = host(user);
        for path in ["", ".", "state", "state/", "logs/", "state/..", "logs/."] {
            for dry in [false, true] {
                let mut launch = host.launch("p").option("--audit-log").option(path);
                if dry {
                    launch = launch.option("--dry-run");
                }
                let outcome = launch.run();
                // What a path leads to is not looked at before it is opened.
                if path != "state" || !dry {
                    assert_eq!(outcome.status, 125, "{path}: {outcome:?}");
                    let why = if path == "state" {
                        "EISDIR"
                    } else {
                        "names no file"
                    };
                    outcome.says(why);
                }
            }
        }
        assert!(!host.path("logs").exists());
    }
}

#[test]
fn a_folder_that_can_not_be_made_is_said_to_be_so() {
    for user in EVERYONE {
        let host = host(user);
        let launch = host.launch("p").option("--audit-log");
        let refused = launch.option("/proc/none/such/audit.log").run();
        refused
            .refused(125)
            .says("its folder is missing and can't be made: No such file or directory (ENOENT)");
    }
}

#[test]
fn a_umask_that_takes_everything_away() {
    for user in EVERYONE {
        let host = host(user);
        host.audit("{ max_size: 1 }");
        let mask = |mask: &str| {
            let words = ["sh", "-c", "umask \"$0\"; exec \"$@\"", mask];
            let launch = host.launch("p").profile("masked").under(words);
            launch.run().succeeded();
        };
        // The plugin shall have a usual one.
        host.profile("masked", "umask: \"0022\"");
        mask("0777");
        mask("0022");
        assert_eq!(host.records().len(), 4);
        for (name, mode) in [
            ("audit.log", 0o600),
            (".audit.log.state", 0o600),
            (".audit.log.lock", 0o200),
        ] {
            let stat = std::fs::metadata(host.path("state").join(name)).unwrap();
            assert_eq!(stat.permissions().mode() & 0o777, mode, "{name}");
        }
    }
}
