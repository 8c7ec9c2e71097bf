//! One violation of an entry or whitelist a test, under each policy.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::kit::{EVERYONE, Host, Launch, User, digest, open_to_all, program};

/// A host that a plugin is wrong on, and the launch of it.
pub(super) struct Wrong {
    pub(super) host: Host,
    /// What PLUGIN is.
    pub(super) plugin: String,
}

impl Wrong {
    /// A plugin `p` that says that it ran.
    pub(super) fn new(user: User) -> Self {
        let host = Host::of(user);
        host.install_sh("p", "echo ran");
        Self {
            host,
            plugin: "p".into(),
        }
    }

    pub(super) fn launch(&self, policy: &str) -> Launch<'_> {
        self.host.launch(&self.plugin).policy(policy)
    }

    /// Strict refuses; permissive warns, runs it in its sandbox and records
    /// it; audit-only runs it in silence without one, and records it.
    #[track_caller]
    pub(super) fn waivable(&self, violation: &str) {
        self.refused("strict", violation);
        let outcome = self.launch("permissive").run().succeeded().prints("ran\n");
        let outcome = outcome.says(&format!("WARNING: {violation}: "));
        assert!(!outcome.stderr.contains("ERROR"), "{outcome:#?}");
        self.recorded(
            "permissive",
            violation,
            "allowed",
            "plugin_execution_allowed",
        );
        let record = self.host.record("sandbox_applied");
        assert_eq!(record["policy"], "permissive");
        assert_eq!(record["sandbox"]["enforcement"], "full", "{record:#?}");

        let outcome = self.launch("audit-only").run().succeeded().prints("ran\n");
        assert_eq!(outcome.stderr, "");
        self.recorded(
            "audit-only",
            violation,
            "observed",
            "plugin_execution_allowed",
        );
        let record = self.host.record("sandbox_degraded");
        assert_eq!(record["policy"], "audit-only");
        assert_eq!(record["sandbox"]["enforcement"], "none", "{record:#?}");
    }

    /// No policy runs it.
    #[track_caller]
    pub(super) fn never(&self, violation: &str) {
        for policy in ["strict", "permissive", "audit-only"] {
            self.refused(policy, violation);
        }
    }

    #[track_caller]
    pub(super) fn refused(&self, policy: &str, violation: &str) {
        let outcome = self.launch(policy).run().refused(126);
        match violation {
            "plugin_not_whitelisted" => outcome.says("not found in whitelist"),
            "hash_mismatch" => outcome.says("ERROR: Plugin hash mismatch for 'p'\nExpected: "),
            other => outcome.says(&format!("refused ({other}): ")),
        };
        self.recorded(policy, violation, "blocked", "plugin_execution_blocked");
    }

    #[track_caller]
    fn recorded(&self, policy: &str, violation: &str, result: &str, action: &str) {
        let records = self.host.records();
        let launch = &records.last().unwrap()["launch_id"];
        let found = records
            .iter()
            .find(|record| record["launch_id"] == *launch && record["violation_type"] == violation);
        let found = found.unwrap_or_else(|| panic!("no {violation} in {records:#?}"));
        assert_eq!(found["event_type"], "security_violation");
        assert_eq!(found["policy"], policy);
        assert_eq!(found["result"], result);
        assert_eq!(found["action_taken"], action);
        assert!(found["severity"].is_string() && found["reason"].is_string());
    }
}

pub(super) fn each(test: impl Fn(&mut Wrong)) {
    for user in EVERYONE {
        test(&mut Wrong::new(user));
    }
}

#[test]
fn a_sound_plugin_is_sound_under_every_policy() {
    each(|case| {
        case.host.list("p", &[]);
        for policy in ["strict", "permissive", "audit-only"] {
            let outcome = case.launch(policy).run().succeeded().prints("ran\n");
            assert_eq!(outcome.stderr, "");
            let record = case.host.record("plugin_validation_success");
            assert_eq!(record["policy"], policy);
            let result = if policy == "audit-only" {
                "observed"
            } else {
                "allowed"
            };
            assert_eq!(record["result"], result);
        }
        let records = case.host.records();
        assert!(
            records
                .iter()
                .all(|r| r["event_type"] != "security_violation")
        );
    });
}

#[test]
fn an_unlisted_plugin_is_named_by_a_path() {
    each(|case| {
        case.host.list("p", &[]);
        let path = case.host.install_sh("unlisted", "echo ran");
        case.plugin = path.to_str().unwrap().into();
        case.waivable("plugin_not_whitelisted");
        assert_eq!(case.host.record("sandbox_applied")["profile"], "default");
        case.plugin = "./plugins/unlisted".into();
        case.waivable("plugin_not_whitelisted");
        // A name alone is no path: there is no search.
        case.plugin = "sh".into();
        case.refused("strict", "plugin_not_whitelisted");
        for policy in ["permissive", "audit-only"] {
            case.launch(policy)
                .run()
                .refused(127)
                .says("no name of the whitelist's, and no path\nName it as");
            case.plugin = "./plugins/nonexistent".into();
            let launch = case.launch(policy).run().refused(127);
            launch.says("Put the plugin there, or name it as the whitelist does.");
            case.plugin = "sh".into();
        }
    });
}

#[test]
fn a_disabled_plugin() {
    each(|case| {
        case.host.list("p", &["enabled: false"]);
        case.waivable("plugin_disabled");
    });
}

#[test]
fn other_bytes_than_the_listed_ones() {
    each(|case| {
        case.host.list("p", &[]);
        let old = digest(&case.host.path("plugins/p"));
        case.host.install_sh("p", "echo ran # and more");
        case.waivable("hash_mismatch");
        let record = case.host.record("security_violation");
        assert_eq!(record["hash_expected"], old);
        assert_eq!(record["hash_actual"], digest(&case.host.path("plugins/p")));
        assert_eq!(record["severity"], "high");
    });
}

#[test]
fn a_malformed_hash() {
    each(|case| {
        case.host
            .list_path("p", "./plugins/p", &"a".repeat(62), &[]);
        case.waivable("malformed_hash");
    });
}

/// Lists the plugin without a hash.
fn unhashed(case: &Wrong, settings: &str, metadata: &str) {
    case.host.write(
        "plugins.whitelist",
        &format!(
            "version: \"1.0\"\nsettings: {{{settings}}}\nplugins:\n  \
             - {{name: p, path: ./plugins/p, metadata: {{{metadata}}}}}\n"
        ),
    );
}

#[test]
fn a_missing_hash() {
    each(|case| {
        unhashed(case, "", "");
        case.waivable("malformed_hash");
        assert_eq!(
            case.host.record("security_violation")["reason"],
            "the whitelist entry has no hash"
        );
    });
}

#[test]
fn a_development_plugin_never_runs_under_strict() {
    each(|case| {
        unhashed(case, "allow_dev_plugins: true", "dev: true");
        case.waivable("malformed_hash");
        let warned = case.launch("permissive").run().succeeded();
        warned.says("WARNING: plugin 'p' is under development and has no hash");
    });
}

#[test]
fn an_interpreter_that_is_not_trusted_never_runs() {
    each(|case| {
        let shell = case.host.path("bin/sh");
        std::fs::copy("/bin/sh", &shell).unwrap();
        open_to_all(shell.parent().unwrap());
        case.host
            .install("p", format!("#!{}\necho ran\n", shell.display()));
        case.host.list("p", &[]);
        case.never("interpreter_untrusted");
    });
}

#[test]
fn a_library_that_is_not_the_pinned_one() {
    let source = r#"#include <stdio.h>
        int main(void) { puts("ran"); return 0; }"#;
    each(|case| {
        case.host.install_copy("p", program::c(source));
        let loaded = case
            .host
            .bare("ldd", &[case.host.path("plugins/p").to_str().unwrap()]);
        let loaded = loaded.succeeded().stdout;
        let library = loaded
            .split_whitespace()
            .find(|word| word.contains("/libc.so"))
            .unwrap();
        let right = digest(Path::new(library));
        let pin = |hash: &str| format!("libraries: [{{path: {library}, hash: \"{hash}\"}}]");
        case.host.list("p", &[&pin(&right)]);
        case.launch("strict").run().succeeded().prints("ran\n");
        let wrong = format!("sha512:{}", "0".repeat(128));
        case.host.list_path(
            "q",
            "./plugins/p",
            &digest(&case.host.path("plugins/p")),
            &[&pin(&wrong)],
        );
        case.plugin = "q".into();
        // Both digests are shown whole, however long.
        case.launch("strict").run().refused(126).says(&wrong);
        case.waivable("library_mismatch");
    });
}

#[test]
fn an_expired_whitelist() {
    each(|case| {
        case.host
            .set("expires_at: 2020-01-31T00:00:00Z")
            .list("p", &[]);
        case.waivable("whitelist_expired");
    });
    each(|case| {
        case.host
            .set("expires_at: 9000-01-31T00:00:00Z")
            .list("p", &[]);
        case.launch("strict").run().succeeded();
    });
}

#[test]
fn a_serial_that_went_back() {
    // An ordinary user's state lies in his folder.
    let mut case = Wrong::new(User::Ordinary);
    case.host.list("p", &[]);
    let with = |serial: u64| {
        let text = std::fs::read_to_string(case.host.whitelist()).unwrap();
        let text: String = text
            .lines()
            .filter(|l| !l.contains("settings"))
            .map(|l| format!("{l}\n"))
            .collect();
        let text = text.replace(
            "plugins:",
            &format!("settings: {{serial: {serial}}}\nplugins:"),
        );
        case.host.write("plugins.whitelist", &text);
    };
    with(4);
    case.launch("strict").run().succeeded();
    with(5);
    case.launch("strict").option("--dry-run").run().succeeded();
    with(4);
    case.launch("strict").run().succeeded();
    with(u64::MAX);
    case.launch("strict").run().succeeded();
    case.launch("strict").run().succeeded();
    with(5);
    case.waivable("whitelist_rollback");
    // Without any it is older than all that had one.
    let text = std::fs::read_to_string(case.host.whitelist()).unwrap();
    let text = text.replace("settings: {serial: 5}\n", "");
    case.host.write("plugins.whitelist", &text);
    case.waivable("whitelist_rollback");
    let refused = case.launch("strict").run().refused(126);
    refused.says("the whitelist has no serial, but 18446744073709551615 was seen");
    with(5);
    // What was remembered can't be read: nobody knows, so nothing runs.
    let state = case.host.path("state/secure-exec/serials");
    let file = std::fs::read_dir(&state)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::write(&file, "x").unwrap();
    for policy in ["strict", "permissive", "audit-only"] {
        case.launch(policy)
            .run()
            .refused(125)
            .says("it holds no number");
    }
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::write(&state, "").unwrap();
    case.launch("strict")
        .run()
        .refused(125)
        .says("can't be kept");
}

#[test]
fn serials_of_a_folders_files_are_their_own() {
    let case = Wrong::new(User::Ordinary);
    let folder = case.host.folder("whitelist.d");
    let hash = digest(&case.host.path("plugins/p"));
    for (name, serial) in [("p", 9), ("q", 3)] {
        let path = case.host.path("plugins/p");
        let text = format!(
            "version: 1\nsettings: {{serial: {serial}}}\nplugins:\n  \
             - {{name: {name}, path: {path:?}, hash: \"{hash}\"}}\n"
        );
        case.host.write(format!("whitelist.d/{name}.yaml"), &text);
        let launch = case.host.launch(name).whitelist(&folder);
        launch.run().succeeded().prints("ran\n");
    }
}

#[test]
fn where_nothing_was_seen_no_serial_is_missed() {
    let mut case = Wrong::new(User::Ordinary);
    case.host.list("p", &[]);
    let launch = |policy: &str, state: &str| {
        let launch = case.launch(policy);
        launch.env("XDG_STATE_HOME", case.host.path(state)).run()
    };
    // A place that is none, and one that is not there.
    for state in ["plugins.whitelist", "nowhere"] {
        launch("strict", state).succeeded().prints("ran\n");
        assert!(!case.host.path("nowhere").exists());
    }
    // Another user's, where no launch of this one's can have left a number.
    let closed = case.host.path("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
    launch("strict", "closed").succeeded().prints("ran\n");
    // His own that can't be read may have one.
    case.host.own(&closed);
    case.host.folder("closed/secure-exec");
    let serials = case.host.folder("closed/secure-exec/serials");
    std::fs::set_permissions(serials, std::fs::Permissions::from_mode(0o000)).unwrap();
    let why = "nobody knows whether the whitelist had a serial";
    let refused = launch("strict", "closed").refused(126);
    refused.says("whitelist_rollback").says(why).says("EACCES");
    launch("permissive", "closed").succeeded().says(why);
}
