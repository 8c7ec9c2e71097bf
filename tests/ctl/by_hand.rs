//! Interpreters that are given their program by hand, programs of npm, and lock
//! files: as the tool writes, checks and brings them up to date.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use secure_exec_core::digest::sha256;

use crate::kit::{EVERYONE, Host, User, digest};
use crate::{ctl, json, text};

const NODE: &str = "/usr/bin/node";

/// A host with a package as npm installs it, and its program's link.
fn package(user: User, more: usize) -> (Host, PathBuf) {
    let host = Host::of(user);
    for folder in [
        "lib",
        "lib/node_modules",
        "lib/node_modules/foo",
        "lib/node_modules/foo/node_modules",
        "lib/node_modules/foo/node_modules/dep",
        "plugins/bin",
    ] {
        host.folder(folder);
    }
    let place = "lib/node_modules/foo";
    host.write(
        format!("{place}/package.json"),
        r#"{ "name": "foo", "bin": "cli.js" }"#,
    );
    let many: String = (0..more)
        .map(|at| format!("require('./m{at}.js');\n"))
        .collect();
    for at in 0..more {
        host.write(format!("{place}/m{at}.js"), "");
    }
    let main = format!(
        "#!/usr/bin/env node\n{many}console.log(require('./near.js'), require('dep'));\n\
         for (const name of process.argv.slice(2)) {{\n\
           try {{ require(name); console.log('loaded'); }} catch (error) {{ console.log(error.code); }}\n}}\n"
    );
    let cli = host.write(format!("{place}/cli.js"), &main);
    std::fs::set_permissions(&cli, PermissionsExt::from_mode(0o755)).unwrap();
    host.write(format!("{place}/near.js"), "module.exports = 'near';\n");
    host.write(
        format!("{place}/node_modules/dep/package.json"),
        r#"{ "name": "dep", "main": "d.js" }"#,
    );
    host.write(
        format!("{place}/node_modules/dep/d.js"),
        "module.exports = 'dep';\n",
    );
    symlink(
        "../../lib/node_modules/foo/cli.js",
        host.path("plugins/bin/foo"),
    )
    .unwrap();
    let profile = format!(
        "extends: node\nfilesystem: {{ code: [{:?}] }}",
        host.path("lib")
    );
    host.profile("npm", &profile);
    (host, cli)
}

#[test]
fn a_script_that_is_added_by_hand_is_pinned() {
    for user in EVERYONE {
        let host = Host::of(user);
        let run = host.write("run.js", "console.log('genuine', process.argv[2])\n");
        let run = run.to_str().unwrap();
        ctl(
            &host,
            [
                "whitelist",
                "add",
                NODE,
                "--name",
                "p",
                "--profile",
                "node",
                "--script",
                run,
            ],
        )
        .succeeded();
        let entry = &json(&host, ["whitelist", "list"])["plugins"][0];
        assert_eq!(entry["script"]["path"], run);
        assert_eq!(entry["script"]["hash"], digest(run.as_ref()));
        assert_eq!(entry["args"][0], run);
        host.launch("p")
            .arg("a")
            .run()
            .succeeded()
            .prints("genuine a\n");
        ctl(&host, ["whitelist", "verify"])
            .succeeded()
            .prints("p: OK\n");
        assert_eq!(json(&host, ["explain", "p"])["script"]["path"], run);

        std::fs::write(run, "console.log('newer', process.argv[2])\n").unwrap();
        host.launch("p").run().refused(126).says("library_mismatch");
        let outcome = ctl(&host, ["whitelist", "verify"]);
        assert_eq!(outcome.status, 1, "{outcome:#?}");
        assert!(outcome.stdout.contains("library_mismatch"), "{outcome:#?}");
        let outcome = ctl(&host, ["whitelist", "update", "p"]).succeeded();
        assert!(outcome.stdout.contains("run.js:\n  before"), "{outcome:#?}");
        host.launch("p")
            .arg("b")
            .run()
            .succeeded()
            .prints("newer b\n");
    }
}

#[test]
fn an_interpreter_whose_program_nothing_pins_is_warned_of() {
    let host = Host::new();
    let run = host.write("run.js", "");
    let run = run.to_str().unwrap();
    let add = |name: &str, words: &[&str]| {
        let head = [
            "whitelist",
            "add",
            NODE,
            "--name",
            name,
            "--profile",
            "node",
        ];
        ctl(&host, head.iter().chain(words)).succeeded()
    };
    let outcome = add("args", &["--args", run]);
    assert!(
        outcome
            .stderr
            .contains("would be refused (library_mismatch)"),
        "{outcome:#?}"
    );
    assert!(outcome.stderr.contains("whitelist lock"), "{outcome:#?}");
    assert!(
        add("open", &[])
            .stderr
            .contains("what its caller gives it to run")
    );
    assert_eq!(add("text", &["--args", "-e", "1"]).stderr, "");
    assert_eq!(add("script", &["--script", run]).stderr, "");
    let outcome = ctl(&host, ["whitelist", "verify"]);
    assert_eq!(outcome.status, 1);
    assert!(
        outcome.stdout.contains("args: library_mismatch: "),
        "{outcome:#?}"
    );
    assert!(
        outcome
            .stderr
            .contains("plugin 'open': it is an interpreter"),
        "{outcome:#?}"
    );
    let entries = &json(&host, ["whitelist", "verify"])["entries"];
    assert!(
        entries[1]["remark"].is_string() && entries[2]["remark"].is_null(),
        "{entries:#}"
    );

    let python = [
        "whitelist",
        "add",
        "/usr/bin/python3",
        "--name",
        "module",
        "--profile",
        "python",
    ];
    let outcome = ctl(&host, python.iter().chain(&["--args", "-m", "json.tool"])).succeeded();
    assert!(
        outcome.stderr.contains("the module 'json.tool'"),
        "{outcome:#?}"
    );
    host.launch("module").stdin("[1]").run().succeeded();
    ctl(&host, ["whitelist", "lock", "module"]).succeeded();
    host.launch("module")
        .stdin("[1]")
        .run()
        .succeeded()
        .prints("[\n    1\n]\n");
    assert_eq!(
        ctl(&host, ["whitelist", "verify", "module"])
            .succeeded()
            .stderr,
        ""
    );
}

/// Lists node with a program of the package in its arguments.
fn add_program(host: &Host, cli: &Path) {
    let head = "whitelist add --name p --profile npm".split(' ');
    let words = [NODE, "--args", cli.to_str().unwrap()];
    ctl(host, head.chain(words)).succeeded();
}

#[test]
fn a_program_of_npm_is_locked_with_its_package() {
    for user in EVERYONE {
        let (host, cli) = package(user, 0);
        add_program(&host, &cli);
        host.launch("p")
            .run()
            .refused(126)
            .says("names code that nothing pins");
        ctl(&host, ["whitelist", "lock", "p"]).succeeded();
        host.launch("p").run().succeeded().prints("near dep\n");
        for file in ["cli.js", "near.js", "package.json", "node_modules/dep/d.js"] {
            assert!(
                text(&host).contains(&format!("node_modules/foo/{file}")),
                "{file}"
            );
        }
        let added = host.write("lib/node_modules/foo/added.js", "");
        let outcome = host.launch("p").arg(&added).run().succeeded();
        outcome.prints("near dep\nEACCES\n");
        for file in ["cli.js", "node_modules/dep/d.js"] {
            let path = host.path("lib/node_modules/foo").join(file);
            let before = std::fs::read(&path).unwrap();
            std::fs::write(&path, [&*before, b"\n"].concat()).unwrap();
            host.launch("p")
                .run()
                .refused(126)
                .says("library_mismatch")
                .says(file);
            std::fs::write(&path, before).unwrap();
        }
        host.launch("p").run().succeeded().prints("near dep\n");
    }
}

#[test]
fn a_link_to_a_program_of_npm_is_listed_as_the_link_and_locked_with_its_package() {
    let (host, cli) = package(User::Root, 0);
    ctl(
        &host,
        ["whitelist", "add", "plugins/bin/foo", "--profile", "npm"],
    );
    let entry = &json(&host, ["whitelist", "list"])["plugins"][0];
    assert_eq!(entry["hash"], digest(&cli));
    assert!(
        entry["path"].as_str().unwrap().ends_with("/bin/foo"),
        "{entry:#}"
    );
    let outcome = ctl(&host, ["whitelist", "lock", "foo"]);
    let outcome = outcome.succeeded();
    assert!(!outcome.stderr.contains("is not found"), "{outcome:#?}");
    for file in ["near.js", "package.json", "node_modules/dep/d.js"] {
        assert!(
            text(&host).contains(&format!("node_modules/foo/{file}")),
            "{file}"
        );
    }
}

#[test]
fn many_modules_are_pinned_in_a_lock_file() {
    for user in EVERYONE {
        let (host, cli) = package(user, 100);
        add_program(&host, &cli);
        ctl(&host, ["whitelist", "lock", "p"]).succeeded();
        let lock = host.path("p.lock");
        let pins = std::fs::read_to_string(&lock).unwrap();
        assert!(pins.lines().count() > 100, "{pins}");
        assert!(text(&host).lines().count() < 20, "{}", text(&host));
        let of = |pins: &str| sha256(pins.as_bytes()).to_string();
        assert_eq!(
            json(&host, ["whitelist", "list"])["plugins"][0]["lock"],
            of(&pins)
        );
        let (own, whitelist) = (
            std::fs::metadata(&lock).unwrap(),
            std::fs::metadata(host.whitelist()).unwrap(),
        );
        assert_eq!((own.uid(), own.mode()), (whitelist.uid(), whitelist.mode()));
        host.launch("p").run().succeeded().prints("near dep\n");
        ctl(&host, ["whitelist", "verify", "p"])
            .succeeded()
            .prints("p: OK\n");
        let settled = text(&host);
        let outcome = ctl(&host, ["whitelist", "lock", "p"]).succeeded();
        assert!(outcome.stdout.contains("unchanged"), "{outcome:#?}");
        assert_eq!(text(&host), settled);

        // An update takes over digests in both files.
        let near = host.write(
            "lib/node_modules/foo/near.js",
            "module.exports = 'nearer';\n",
        );
        host.launch("p").run().refused(126).says("near.js");
        let diff = ctl(&host, ["whitelist", "lock", "--diff", "p"]);
        assert_eq!(diff.status, 1);
        assert!(
            diff.stdout
                .contains(&format!("p changed {}\n", near.display())),
            "{diff:#?}"
        );
        let outcome = ctl(&host, ["whitelist", "update", "p"]).succeeded();
        assert!(
            outcome.stdout.contains("near.js:\n  before"),
            "{outcome:#?}"
        );
        host.launch("p").run().succeeded().prints("nearer dep\n");
        let now = std::fs::read_to_string(&lock).unwrap();
        assert!(now != pins && text(&host).contains(&of(&now)));

        // A lock file that is not the pinned one is neither used nor updated.
        std::fs::write(&lock, &pins).unwrap();
        let outcome = ctl(&host, ["whitelist", "verify", "p"]);
        assert_eq!(outcome.status, 1);
        assert!(outcome.stdout.contains("the lock file"), "{outcome:#?}");
        ctl(&host, ["whitelist", "update", "p"])
            .refused(125)
            .says("whitelist lock p");
        ctl(&host, ["whitelist", "lock", "p"]).succeeded();
        host.launch("p").run().succeeded().prints("nearer dep\n");
        // It stays a file, and goes with its entry.
        ctl(&host, ["whitelist", "lock", "--prune", "p"]).succeeded();
        assert!(lock.exists());
        ctl(&host, ["whitelist", "remove", "p"]).succeeded();
        assert!(!lock.exists());
    }
}

#[test]
fn a_whitelist_folder_has_lock_files_too() {
    let (host, cli) = package(User::Root, 100);
    let folder = host.folder("plugins.whitelist");
    let within = |words: &[&str]| ctl(&host, words);
    let cli = cli.to_str().unwrap();
    within(&[
        "whitelist",
        "add",
        NODE,
        "--name",
        "p",
        "--profile",
        "npm",
        "--script",
        cli,
    ])
    .succeeded();
    within(&["whitelist", "lock", "p"]).succeeded();
    assert!(folder.join("p.lock").exists());
    within(&["whitelist", "verify"])
        .succeeded()
        .prints("p: OK\n");
    within(&["whitelist", "remove", "p"]).succeeded();
    assert!(!folder.join("p.lock").exists());
}
