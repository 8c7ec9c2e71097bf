//! What a launch may find around itself: a bare root, links that lead nowhere,
//! names that mean something elsewhere.

use std::os::unix::fs::symlink;

use crate::kit::{EVERYONE, Host};

/// A shell that hides `/proc`, in a mount namespace of its own, and becomes
/// what follows.
const WITHOUT_PROC: [&str; 7] = [
    "unshare",
    "--mount",
    "--",
    "sh",
    "-c",
    "mount -t tmpfs none /proc && exec \"$@\"",
    "sh",
];

#[test]
fn without_proc_nothing_runs_and_nothing_is_taken_for_absent() {
    let mut host = Host::new();
    let plugin = host.install_sh("p", "echo ran");
    host.list("p", &[]);
    let entry = std::fs::read_to_string(host.whitelist()).unwrap();
    let folder = host.folder("whitelist.d");
    let entry = entry.replace("./plugins/p", plugin.to_str().unwrap());
    host.write("whitelist.d/p.yaml", &entry);
    for whitelist in [host.whitelist(), folder] {
        let launch = || host.launch("p").whitelist(&whitelist);
        launch().run().succeeded().prints("ran\n");
        for policy in ["strict", "audit-only"] {
            let bare = launch().under(WITHOUT_PROC).policy(policy);
            bare.run().refused(125).says("/proc is not mounted");
        }
    }
}

#[test]
fn a_link_that_leads_nowhere_is_no_file_that_is_absent() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "echo ran");
        host.list("p", &[]);
        host.launch("p").run().succeeded().prints("ran\n");
        // Were it absent, the built-in profile would take its place.
        symlink("nowhere.yaml", host.path("profiles.d/default.yaml")).unwrap();
        let launch = host.launch("p").run().refused(125);
        launch.says("profiles.d/default.yaml' can't be read");
        let folder = host.folder("whitelist.d");
        symlink("nowhere.yaml", folder.join("p.yaml")).unwrap();
        let launch = host.launch("p").whitelist(folder).run();
        launch
            .refused(125)
            .says("whitelist.d/p.yaml' can't be read");
    }
}

#[test]
fn a_plugin_may_be_named_as_the_kernel_marks_deleted_files() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p (deleted)", "echo ran");
        host.list("p (deleted)", &[]);
        let launch = host.launch("p (deleted)").run();
        launch.succeeded().prints("ran\n");
    }
}
