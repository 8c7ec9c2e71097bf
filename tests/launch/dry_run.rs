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
    launch.env("XDG_RUNTIME_DIR", host.path("home"))
}

fn dry(host: &Host, more: &[&str]) -> Outcome {
    let launch = launch_writer(host).option("--dry-run");
    more.iter().fold(launch, Launch::option).run()
}

/// Uses all that a launch could leave traces of.
fn list_writer(host: &mut Host) {
    let home = host.path("home");
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
        assert_eq!(shown["image"], "sealed");
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
                User::Ordinary => host.path("home/secure-exec/p"),
            };
            assert!(made.is_dir());
        });
    }
}
