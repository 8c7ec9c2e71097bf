//! What the whitelist demands is not weakened by anything outside of it.

use crate::kit::{EVERYONE, Host, User};

fn host(user: User) -> Host {
    let host = Host::of(user);
    host.install_sh("p", "echo ran");
    host
}

#[test]
fn the_policy_of_the_whitelist_is_a_floor() {
    for user in EVERYONE {
        let mut host = host(user);
        host.set("policy: strict").list("p", &["enabled: false"]);
        host.launch("p").run().refused(126);
        let config = host.path("config.yaml");
        let before = std::fs::read_to_string(&config).unwrap();
        for weaker in ["permissive", "audit-only"] {
            host.launch("p").policy(weaker).run().refused(126);
            host.launch("p")
                .env("SECURE_EXEC_POLICY", weaker)
                .run()
                .refused(126);
            host.write("config.yaml", &format!("{before}policy: {weaker}\n"));
            host.launch("p").run().refused(126);
            host.write("config.yaml", &before);
            assert_eq!(host.record("security_violation")["policy"], "strict");
        }
    }
}

#[test]
fn a_floor_in_the_middle_lets_only_the_stronger_through() {
    for user in EVERYONE {
        let mut host = host(user);
        host.set("policy: permissive")
            .list("p", &["enabled: false"]);
        host.launch("p").run().refused(126);
        let outcome = host.launch("p").policy("audit-only").run().succeeded();
        outcome.prints("ran\n").says("WARNING: plugin_disabled");
        let record = host.record("sandbox_applied");
        assert_eq!(record["policy"], "permissive");
        assert_eq!(record["sandbox"]["enforcement"], "full");
    }
}

#[test]
fn the_command_line_comes_before_the_environment_and_that_before_the_file() {
    for user in EVERYONE {
        let mut host = host(user);
        host.list("p", &["enabled: false"]);
        let before = std::fs::read_to_string(host.path("config.yaml")).unwrap();
        host.write("config.yaml", &format!("{before}policy: audit-only\n"));
        let launch = || host.launch("p");
        launch().run().succeeded();
        launch()
            .env("SECURE_EXEC_POLICY", "strict")
            .run()
            .refused(126);
        let both = launch()
            .policy("permissive")
            .env("SECURE_EXEC_POLICY", "strict");
        both.run().succeeded().says("WARNING");
        // An empty variable counts as unset.
        launch().env("SECURE_EXEC_POLICY", "").run().succeeded();
    }
}

#[test]
fn strict_is_what_nobody_asks_for() {
    for user in EVERYONE {
        let mut host = host(user);
        host.list("p", &["enabled: false"]);
        host.launch("p").run().refused(126);
        assert_eq!(host.record("security_violation")["policy"], "strict");
    }
}

#[test]
fn the_profile_of_an_entry_is_not_replaced_under_strict() {
    for user in EVERYONE {
        let mut host = host(user);
        host.profile("wide", "filesystem: { read: [/etc] }");
        host.profile("narrow", "description: as default");
        host.set("allow_unconfined: true");
        host.list("p", &["profile: narrow"]);
        host.launch("p").run().succeeded();
        host.launch("p").profile("narrow").run().succeeded();
        let what = "under strict no other can replace it";
        for other in ["wide", "unconfined", "default"] {
            host.launch("p")
                .profile(other)
                .run()
                .refused(125)
                .says(what);
            let environment = host.launch("p").env("SECURE_EXEC_PROFILE", other);
            environment.run().refused(125).says(what);
        }
        let file = host.path("profiles.d/narrow.yaml");
        host.launch("p").profile(file).run().refused(125).says(what);
        let launch = host.launch("p").profile("wide").policy("permissive");
        launch.run().succeeded();
        assert_eq!(host.record("sandbox_applied")["profile"], "wide");
        // The configuration's is for entries without one.
        let before = std::fs::read_to_string(host.path("config.yaml")).unwrap();
        host.write("config.yaml", &format!("{before}profile: wide\n"));
        host.launch("p").run().succeeded();
        assert_eq!(host.record("sandbox_applied")["profile"], "narrow");
    }
}

#[test]
fn an_inline_profile_is_pinned_too() {
    for user in EVERYONE {
        let mut host = host(user);
        host.list(
            "p",
            &["profile: { name: own, filesystem: { read: [/etc] } }"],
        );
        host.launch("p").run().succeeded();
        assert_eq!(host.record("sandbox_applied")["profile"], "own");
        for other in ["default", "own"] {
            host.launch("p")
                .profile(other)
                .run()
                .refused(125)
                .says("can replace it");
        }
    }
}

#[test]
fn no_sandbox_at_all_needs_the_whitelists_word() {
    for user in EVERYONE {
        let mut host = host(user);
        host.list("p", &["profile: unconfined"]);
        host.install_sh("q", "echo ran");
        host.list("q", &[]);
        host.profile("sly", "isolation: none");
        let what = "has no sandbox, and the whitelist does not say 'allow_unconfined: true'";
        for policy in ["strict", "permissive"] {
            host.launch("p")
                .policy(policy)
                .run()
                .refused(125)
                .says(what);
            for name in ["unconfined", "sly"] {
                let launch = host.launch("q").policy(policy).profile(name);
                launch.run().refused(125).says(what);
            }
        }
        host.set("allow_unconfined: true");
        host.launch("p").run().succeeded().prints("ran\n");
        let record = host.record("sandbox_degraded");
        assert_eq!(record["sandbox"]["enforcement"], "none", "{record:#?}");
    }
}

#[test]
fn a_filter_that_only_logs_needs_it_under_strict() {
    for user in EVERYONE {
        let mut host = host(user);
        host.list("p", &[]);
        host.profile("learning", "syscalls: { on_violation: log }");
        let launch = || host.launch("p").profile("learning");
        let refused = launch().run().refused(125);
        refused.says("only logs refused calls");
        launch().policy("permissive").run().succeeded();
        host.set("allow_unconfined: true");
        let launch = host.launch("p").profile("learning");
        launch.run().succeeded().prints("ran\n");
        let record = host.record("sandbox_applied");
        assert_eq!(record["sandbox"]["seccomp"]["on_violation"], "log");
    }
}

#[test]
fn a_whitelists_root_is_not_moved_from_outside() {
    for user in EVERYONE {
        let mut host = host(user);
        host.folder("elsewhere");
        host.folder("elsewhere/plugins");
        let other = host.write("elsewhere/plugins/p", "#!/bin/sh\necho elsewhere\n");
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&other, PermissionsExt::from_mode(0o755)).unwrap();
        host.list("p", &[]);
        let moved = || {
            host.launch("p")
                .option("--plugin-root")
                .option(host.path("elsewhere"))
        };
        moved().run().refused(126).says("hash mismatch");
        host.set("plugin_root: .");
        let moved = host
            .launch("p")
            .option("--plugin-root")
            .option(host.path("elsewhere"));
        moved.run().succeeded().prints("ran\n");
    }
}

#[test]
fn a_whitelist_folder_has_a_floor_for_what_it_does_not_list() {
    for user in EVERYONE {
        let host = host(user);
        let folder = host.folder("list.d");
        let plugin = host.path("plugins/p");
        let launch = || {
            let launch = host.launch(&plugin).whitelist(&folder);
            launch.policy("permissive").run()
        };
        launch().succeeded().says("plugin_not_whitelisted");
        let settings = "version: 1\nsettings: { policy: strict }\n";
        host.write("list.d/.settings.yaml", settings);
        launch().refused(126).says("not found in whitelist");
        let listed = host.launch(".settings").whitelist(&folder).run();
        listed.refused(126).says("not found in whitelist");
        let entry = "plugins: [{ name: p, path: ../plugins/p }]\n";
        host.write("list.d/.settings.yaml", &format!("{settings}{entry}"));
        launch().refused(125).says(".settings.yaml:3:19: ");
    }
}

#[test]
fn a_configuration_of_the_callers_does_not_say_what_a_profiles_name_means() {
    for user in EVERYONE {
        let host = with(user, "profile: python");
        host.profile("python", "environment: { set: { WIDENED: \"yes\" } }");
        let refused = host.launch("p").run().refused(125);
        refused
            .says("profiles.d/python.yaml: ")
            .says("a name of its own");
        host.launch("p").policy("permissive").run().prints("yes\n");
        let host = with(user, "profile: own");
        host.profile("own", "environment: { set: { WIDENED: \"added\" } }");
        host.launch("p").run().succeeded().prints("added\n");
        host.profile("default", "environment: { set: { WIDENED: \"yes\" } }");
        host.launch("p")
            .run()
            .refused(125)
            .says("profiles.d/default.yaml: ");
    }
}

/// A host whose plugin prints a variable that no shipped profile sets.
fn with(user: User, entry: &str) -> Host {
    let mut host = Host::of(user);
    host.install_sh("p", "echo \"$WIDENED\"");
    host.list("p", &[entry]);
    host
}
