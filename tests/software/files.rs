//! Programs that work on folders: search, copies, backups, versions.

use super::Software;
use crate::kit::{EVERYONE, Outcome, User};

fn tree(user: User, program: &str, profile: &str) -> Software {
    Software::new(user, program, profile)
        .file("tree/a.rs", "fn main() {\n    println!(\"needle\");\n}\n")
        .file("tree/b.txt", "hay\nneedle in it\nhay\n")
        .file("tree/c.log", "needle\n")
        .file("tree/.ignore", "*.log\n")
}

#[test]
fn ripgrep() {
    let profile = "extends: default\nfilesystem: { read: [WORK] }";
    for user in EVERYONE {
        let software = tree(user, "/usr/bin/rg", profile);
        let outcome = software.alike(&["--sort", "path", "-n", "needle", "tree"], "");
        let expected = "tree/a.rs:2:    println!(\"needle\");\ntree/b.txt:2:needle in it\n";
        outcome.succeeded().prints(expected);
        // Its threads find the same, in any order.
        for outcome in software.both(&["-j4", "-uuu", "-c", "needle", "tree"], "") {
            let mut lines: Vec<_> = outcome.stdout.lines().collect();
            lines.sort_unstable();
            assert_eq!(lines, ["tree/a.rs:1", "tree/b.txt:1", "tree/c.log:1"]);
        }
        let perl = software.alike(&["-Po", "(?<=print)\\w+", "tree/a.rs"], "");
        perl.succeeded().prints("ln\n");
    }
}

#[test]
fn fd() {
    let profile = "extends: default\nfilesystem: { read: [WORK] }";
    for user in EVERYONE {
        let software = tree(user, "/usr/bin/fdfind", profile).set("HOME", "/nonexistent");
        for outcome in software.both(&["-e", "rs", "-e", "log", ".", "tree"], "") {
            outcome.succeeded().prints("tree/a.rs\n");
        }
        let outcome = software.alike(&["-u", "-S", "+20b", "--color=always", "b", "tree"], "");
        assert!(outcome.succeeded().stdout.contains("b.txt"));
    }
}

#[test]
fn bat() {
    let profile = "extends: default\n\
        filesystem: { read: [WORK] }\n\
        environment: { set: { HOME: /nonexistent } }";
    for user in EVERYONE {
        let software = tree(user, "/usr/bin/batcat", profile).set("HOME", "/nonexistent");
        let outcome = software
            .alike(&["--color=always", "--paging=never", "-n", "tree/a.rs"], "")
            .succeeded();
        assert!(outcome.stdout.contains("\u{1b}[38;5;81mfn"), "{outcome:#?}");
    }
}

#[test]
fn gron() {
    for user in EVERYONE {
        let software = Software::new(user, "/usr/bin/gron", "default");
        let outcome = software
            .alike(&["-m"], r#"{"b":[1,{"c":null}],"a":"ä"}"#)
            .succeeded();
        assert!(
            outcome.stdout.contains("json.b[1].c = null;\n"),
            "{outcome:#?}"
        );
        let back = software.alike(&["-u"], &outcome.stdout).succeeded();
        assert!(back.stdout.contains("\"a\": \"ä\""), "{back:#?}");
    }
}

#[test]
fn rsync() {
    let profile = "extends: default\nisolation: auto\n\
        filesystem: { write: [WORK], metadata: true }\n\
        processes: { fork: true }";
    for user in EVERYONE {
        let software = tree(user, "/usr/bin/rsync", profile).file("copy/stale", "old");
        let outcome = software
            .alike(&["-a", "--delete", "-i", "tree/", "copy/"], "")
            .succeeded();
        assert!(
            outcome.stdout.contains("*deleting   stale\n"),
            "{outcome:#?}"
        );
        assert_eq!(software.read("copy/c.log"), b"needle\n");
        software
            .alike(&["-a", "-i", "tree/", "copy/"], "")
            .succeeded()
            .prints("");
    }
}

#[test]
fn restic() {
    let profile = "extends: default\nisolation: auto\n\
        filesystem: { write: [WORK], metadata: true }\n\
        environment: { set: { RESTIC_PASSWORD: secret, TMPDIR: WORK } }";
    let software = tree(User::Ordinary, "/usr/bin/restic", profile)
        .set("RESTIC_PASSWORD", "secret")
        .set("TMPDIR", "WORK");
    for command in [
        "init",
        "backup tree",
        "restore latest --target restored --include a.rs",
    ] {
        let mut words = vec!["--repo", "repository", "--no-cache", "--quiet"];
        words.extend(command.split(' '));
        let [bare, confined] = software.both(&words, "").map(Outcome::succeeded);
        assert_eq!(confined.stderr, bare.stderr, "{command}");
    }
    for folder in ["bare", "confined"] {
        let files = software.files(folder);
        let restored = files
            .iter()
            .find(|(name, _)| name.starts_with("restored") && name.ends_with("tree/a.rs"));
        assert_eq!(restored.unwrap().1, &software.read("tree/a.rs"));
    }
}

#[test]
fn git() {
    // It starts its own helpers, and keeps its configuration's mode.
    let profile = "extends: default\nisolation: auto\n\
        filesystem: { read: [/usr/share/git-core], write: [WORK], metadata: true, execute: [/usr/bin/git, /usr/lib/git-core, /bin/sh] }\n\
        processes: { fork: true }\n\
        environment: { set: { HOME: WORK, GIT_CONFIG_NOSYSTEM: '1', GIT_AUTHOR_DATE: '@0 +0000', GIT_COMMITTER_DATE: '@0 +0000' } }";
    let software = tree(User::Ordinary, "/usr/bin/git", profile)
        .file(
            ".gitconfig",
            "[user]\nname = A\nemail = a@example.org\n[init]\ndefaultBranch = main\n",
        )
        .set("HOME", "WORK")
        .set("GIT_CONFIG_NOSYSTEM", "1")
        .set("GIT_AUTHOR_DATE", "@0 +0000")
        .set("GIT_COMMITTER_DATE", "@0 +0000");
    for command in [
        "-C tree init --quiet",
        "-C tree add --all",
        "-C tree commit -m one",
        "clone --quiet --no-local tree clone",
        "-C clone mv a.rs d.rs",
        "-C clone commit --all -m two",
        "-C clone log --stat --format=%H:%an:%s",
        "-C tree pull --quiet --ff-only ../clone main",
        "-C tree gc --quiet",
        "-C tree fsck --strict",
        "-C tree status --short --branch",
        "-C tree grep --line-number -E need(le)+",
        "-C tree show no-such",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let [bare, confined] = software.both(&words, "");
        assert_eq!(confined.status, bare.status, "{command}: {confined:#?}");
        assert_eq!(confined.stdout, bare.stdout, "{command}");
        assert_eq!(confined.stderr, bare.stderr, "{command}");
        assert_eq!(bare.status == 0, !command.ends_with("no-such"), "{bare:#?}");
    }
    assert_eq!(software.read("tree/d.rs"), software.read("clone/d.rs"));
}
