//! `--dry-run`: shows everything, does nothing.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Host, Launch, Outcome, User};

/// Every file of the host with its content.
fn everything(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.push((path.clone(), Vec::new()));
            found.extend(everything(&path));
        } else {
            found.push((path.clone(), std::fs::read(path).unwrap()));
        }
    }
    found.sort();
    found
}

fn launch_writer(host: &Host) -> Launch<'_> {
    let launch = host.launch("p").env("SECRET", "secret-value");
    launch.env("XDG_RUNTIME_DIR", host.path("runtime"))
}

fn dry(host: &Host, more: &[&str]) -> Outcome {
    let launch = launch_writer(host).option("--dry-run");
    more.iter().fold(launch, Launch::option).run()
}

/// Uses all that a launch could leave traces of.
fn list_writer(host: &mut Host) {
    let home = host.path("home");
    host.folder("runtime");
    host.install_sh("p", &format!("echo x > {}/ran", home.display()));
    let profile = format!(
        "profile:\n  extends: go-plugin\n  filesystem: {{ write: [{home:?}] }}\n  \
         network: {{ tcp: {{ connect: [443] }}, unix: {{ connect: [/] }} }}\n  umask: '027'\n  \
         environment: {{ set: {{ A: set-value }}, secrets: {{ B: 'env:SECRET' }} }}",
    );
    host.list("p", &[&profile]);
}

#[test]
fn a_dry_run_shows_decision_and_plan() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        list_writer(&mut host);
        let text = dry(&host, &[]).succeeded();
        for line in [
            "decision     allowed\n",
            "profile      default < go-plugin < inline\n",
            "umask: 027\n",
            "tcp connect    443\n",
            "capabilities: none\n",
            "no_new_privs\n",
        ] {
            assert!(text.stdout.contains(line), "{line}: {text:#?}");
        }
        let json = dry(&host, &["--json"]).succeeded().stdout;
        assert!(!json.contains("-value"), "{json}");
        let shown: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(shown["decision"], "allowed");
        let image = if user.is_root() { "guarded" } else { "sealed" };
        assert_eq!(shown["image"], image);
        assert_eq!(shown["interpreter"], "/bin/sh");
        let chain = serde_json::json!(["default", "go-plugin", "inline"]);
        assert_eq!(shown["profile_chain"], chain);
        assert_eq!(shown["hash_expected"], shown["hash_actual"]);
        let steps = shown["plan"].as_array().unwrap();
        assert_eq!(steps.first().unwrap()["step"], "environment");
        assert_eq!(steps.last().unwrap()["step"], "seccomp");

        host.install_sh("p", "echo changed");
        let text = dry(&host, &[]);
        assert_eq!(text.status, 126);
        assert!(
            text.stdout.contains("blocked (hash_mismatch)\n"),
            "{text:#?}"
        );
        let json = dry(&host, &["--json"]);
        let shown: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!((json.status, &shown["decision"]), (126, &"blocked".into()));
        assert_eq!(shown["violation_type"], "hash_mismatch");
        assert_ne!(shown["hash_expected"], shown["hash_actual"]);
    }
}

#[test]
fn a_dry_run_writes_nothing_and_runs_nothing() {
    for user in EVERYONE {
        // Root's runtime folder would lie in /run.
        private(|| {
            let mut host = Host::of(user);
            list_writer(&mut host);
            let all = || [everything(&host.path(".")), everything(Path::new("/run"))];
            let before = all();
            dry(&host, &[]).succeeded();
            dry(&host, &["--json"]).succeeded();
            assert_eq!(all(), before);
            launch_writer(&host).run().succeeded();
            let traces = ["home/ran", "state/audit.log"].map(|name| host.path(name));
            assert!(traces.iter().all(|path| path.exists()));
            let made = match user {
                User::Root => "/run/secure-exec/p".into(),
                User::Ordinary => host.path("runtime/secure-exec/p"),
            };
            assert!(made.is_dir());
        });
    }
}

/// Profiles of an allowed plugin whose launch fails.
const FAILING: &[(&str, &str)] = &[
    (
        "filesystem: { read: [/nonexistent] }",
        "the path '/nonexistent' of the profile (read)",
    ),
    (
        "filesystem: { write: ['{runtime_dir}/nonexistent'] }",
        "/p/nonexistent' of the profile (write)",
    ),
    (
        "working_directory: /nonexistent",
        "the working directory '/nonexistent' of the profile",
    ),
    (
        "working_directory: /etc/passwd",
        "the working directory '/etc/passwd' of the profile",
    ),
    ("user: nonexistent", "user 'nonexistent' of the profile"),
    (
        "syscalls: { deny: [write] }",
        "does not admit 'write', which the launch needs",
    ),
    (
        "environment: { secrets: { A: 'env:NONEXISTENT' } }",
        "secret 'A': the variable 'NONEXISTENT' is not set",
    ),
    (
        "environment: { secrets: { A: 'file:/nonexistent' } }",
        "secret 'A': '/nonexistent' can't be read",
    ),
];

/// What an ordinary user can't give.
const ROOTS: &[(&str, &str)] = &[
    (
        "capabilities: { keep: [CAP_NET_ADMIN] }",
        "CAP_NET_ADMIN is not held",
    ),
    ("user: nobody", "of the profile"),
];

#[test]
fn what_a_launch_fails_of_after_the_decision_fails_a_dry_run_too() {
    for user in EVERYONE {
        let roots = if user == User::Root { &[] } else { ROOTS };
        for (profile, why) in FAILING.iter().chain(roots) {
            private(|| {
                let mut host = Host::of(user);
                host.install_sh("p", "echo ran");
                host.list("p", &[&format!("profile: {{ {profile} }}")]);
                let text = dry(&host, &[]);
                assert_eq!(text.status, 125, "{profile}: {text:#?}");
                assert!(text.stdout.contains("decision     allowed\nfailure  "));
                assert!(text.stderr.contains(why), "{profile}: {text:#?}");
                let json = dry(&host, &["--json"]);
                let shown: Value = serde_json::from_str(&json.stdout).unwrap();
                assert_eq!((json.status, &shown["decision"]), (125, &"allowed".into()));
                assert!(shown["failure"].as_str().unwrap().contains(why));
                assert!(host.records().is_empty(), "{profile}");

                launch_writer(&host).run().refused(125).says(why);
                let records = host.records();
                let [decided, ended] = &records[..] else {
                    panic!("{profile}: {records:#?}");
                };
                assert_eq!(decided["event_type"], "plugin_validation_success");
                assert_eq!(ended["event_type"], "plugin_exited");
                assert_eq!(ended["result"], "blocked");
                assert_eq!(ended["launch_id"], decided["launch_id"]);
                let reason = ended["reason"].as_str().unwrap();
                assert!(
                    reason.contains(why) && !reason.contains("ERROR"),
                    "{reason}"
                );
            });
        }
    }
}
