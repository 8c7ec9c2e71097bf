//! What a launch may find around itself: a bare root, links that lead nowhere,
//! names that mean something elsewhere.

use std::os::unix::fs::symlink;

use crate::kit::{EVERYONE, Host, ORDINARY, User, program, run};

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
        launch.says("profiles.d/default.yaml: can't be read");
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

#[test]
fn without_a_place_for_the_log_only_strict_refuses() {
    let mut host = Host::of(User::Ordinary);
    host.install_sh("p", "echo ran");
    host.list("p", &[]);
    let launch = |options: &[&str]| {
        let mut command = host.command(host.launcher());
        command.env_clear().arg("--config");
        command.arg(host.path("config.yaml")).arg("--whitelist");
        command.arg(host.whitelist()).args(options).arg("p");
        run(command, b"")
    };
    let why = "the audit log can't be written: no place for it is known, without HOME";
    launch(&[])
        .refused(125)
        .says(why)
        .says("SECURE_EXEC_AUDIT_LOG");
    assert_eq!(launch(&["--dry-run"]).says(why).status, 125);
    for policy in ["permissive", "audit-only"] {
        let launch = launch(&["--policy", policy]).succeeded();
        launch.prints("ran\n").says(&format!("WARNING: {why}\n"));
    }
    // Nor is there one for a serial, which no policy does without.
    host.set("serial: 1");
    let mut command = host.launch("p").command();
    command.env_remove("HOME").env_remove("XDG_STATE_HOME");
    run(command, b"")
        .refused(125)
        .says("no place to keep the highest is known\nSet HOME or XDG_STATE_HOME");
    assert_eq!(host.record("plugin_exited")["result"], "blocked");
    assert_eq!(host.records().len(), 1);
    host.launch("p").run().succeeded();
}

#[test]
fn a_file_that_is_not_there_can_be_named_and_one_that_is_can_be_put_right() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "echo ran");
        host.list("p", &[]);
        let (none, folder) = (host.path("none"), host.path("plugins"));
        let launch = |option: &str, path: &std::path::Path| {
            host.launch("p")
                .option(option)
                .option(path)
                .run()
                .refused(125)
        };
        let absent = launch("--config", &none);
        absent
            .says("ERROR: the configuration '")
            .says("SECURE_EXEC_CONFIG");
        let strange = launch("--config", &folder);
        strange
            .says("it is a folder")
            .says("Make it a regular file");
        let absent = launch("--profile", &none);
        absent.says("ERROR: the profile '").says("Name another");
        let absent = host.launch("p").whitelist(&none).run().refused(125);
        absent.says("SECURE_EXEC_WHITELIST");
    }
}

#[test]
fn a_stream_that_is_closed_is_closed_for_the_plugin_too() {
    let source = r#"
        #include <errno.h>
        #include <stdio.h>
        #include <string.h>
        #include <unistd.h>
        int main(void) {
            char text[100];
            for (int stream = 0; stream < 2; stream++) {
                long done = stream ? write(1, "x", 1) : read(0, text, 1);
                dprintf(2, "%d: %s\n", stream, done < 0 ? strerror(errno) : "open");
            }
        }"#;
    for user in EVERYONE {
        let mut host = Host::of(user);
        let plugin = host.install_copy("p", program::c(source));
        host.list("p", &[]);
        host.profile("apart", "isolation: namespaces");
        for (closing, texts) in [
            (
                "exec \"$@\" <&- >&-",
                "0: Bad file descriptor\n1: Bad file descriptor\n",
            ),
            ("exec \"$@\" >&-", "0: open\n1: Bad file descriptor\n"),
            ("exec \"$@\" <&-", "0: Bad file descriptor\n1: open\n"),
        ] {
            let under = ["sh", "-c", closing, "sh"];
            let mut bare = host.command(under[0]);
            bare.args(&under[1..]).arg(&plugin);
            assert_eq!(run(bare, b"").succeeded().stderr, texts);
            for profile in ["default", "apart"] {
                let launch = host.launch("p").profile(profile).under(under).run();
                assert_eq!(launch.succeeded().stderr, texts, "{user:?} {profile}");
            }
        }
    }
}

#[test]
fn a_plugin_of_another_user_still_ends_with_its_parent() {
    let source = r#"
        #include <stdio.h>
        #include <sys/prctl.h>
        int main(void) {
            int signal = 0;
            prctl(PR_GET_PDEATHSIG, &signal);
            printf("%d\n", signal);
        }"#;
    let mut host = Host::new();
    host.install_copy("p", program::c(source));
    host.list("p", &[]);
    host.profile("other", &format!("user: {ORDINARY}"));
    for profile in ["default", "other"] {
        let launch = || host.launch("p").profile(profile);
        launch().run().succeeded().prints("0\n");
        let bound = launch().under(["setpriv", "--pdeathsig", "TERM", "--"]);
        bound.run().succeeded().prints("15\n");
    }
}
