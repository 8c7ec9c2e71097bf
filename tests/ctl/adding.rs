//! `whitelist add`: to new files, to files of people's own, to folders, by
//! many at once.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};

use crate::kit::{EVERYONE, Host, ORDINARY, User, digest, run};
use crate::{command, ctl, json, text};

#[test]
fn a_plugin_that_was_added_to_a_new_whitelist_runs() {
    for user in EVERYONE {
        let host = Host::of(user);
        let plugin = host.install_sh("p", "echo \"$@\"");
        let hash = digest(&plugin);
        let outcome = ctl(
            &host,
            ["whitelist", "add", "plugins/p", "--args", "-x", "--y z"],
        );
        outcome.succeeded().prints(&format!("p  {hash}\n"));
        let stat = std::fs::metadata(host.whitelist()).unwrap();
        assert_eq!(stat.mode() & 0o7777, 0o644);
        assert!(
            text(&host).contains("path: ./plugins/p\n"),
            "{}",
            text(&host)
        );
        host.launch("p")
            .arg("w")
            .run()
            .succeeded()
            .prints("-x --y z w\n");
    }
}

#[test]
fn a_new_whitelist_is_readable_whatever_the_umask() {
    let host = Host::new();
    host.install_sh("p", "");
    let tool = command(&host, ["whitelist", "add", "plugins/p"]);
    let mut shell = host.command("/bin/sh");
    shell.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    shell.arg(tool.get_program()).args(tool.get_args());
    run(shell, b"").succeeded();
    let stat = std::fs::metadata(host.whitelist()).unwrap();
    assert_eq!(stat.mode() & 0o7777, 0o644);
}

/// A whitelist as people write them.
const BY_HAND: &str = r#"# Plugins of the billing host. Ask security before you add one.
version: "1.0"
updated_at: "2025-01-15T10:30:00Z"   # by hand

settings:
  policy: strict      # a floor

plugins:
  # The oldest one.
  - name:   'old'     # do not rename
    path: "./plugins/old"
    enabled: false
    metadata: { owner: "ünïcode",   team: billing }
    # hash: to come

  # That was all.
# End of file.
"#;

#[test]
fn every_byte_that_somebody_wrote_stays() {
    let host = Host::new();
    let hash = digest(&host.install_sh("p", ""));
    for ends in ["\n", "\r\n"] {
        host.write("plugins.whitelist", &BY_HAND.replace('\n', ends));
        ctl(&host, ["whitelist", "add", "plugins/p"]).succeeded();
        let time = text(&host);
        let time = time
            .split("updated_at: \"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert!(time > "2025-01-15T10:30:00Z", "{time}");
        let entry =
            format!("    # hash: to come\n  - name: p\n    path: ./plugins/p\n    hash: {hash}\n");
        let expected = BY_HAND
            .replace("2025-01-15T10:30:00Z", time)
            .replace("    # hash: to come\n", &entry)
            .replace('\n', ends);
        assert_eq!(text(&host), expected);
        ctl(&host, ["whitelist", "remove", "p"]).succeeded();
        let mut lines = 0;
        for (now, before) in text(&host)
            .split('\n')
            .zip(BY_HAND.replace('\n', ends).split('\n'))
        {
            assert!(now == before || now.starts_with("updated_at"), "{now}");
            lines += 1;
        }
        assert_eq!(lines, BY_HAND.split('\n').count());
    }
}

#[test]
fn a_whitelist_folder_gets_one_file_a_plugin() {
    let host = Host::new();
    let folder = host.folder("list.d");
    host.install_sh("p", "echo p");
    host.install_sh("q", "echo q");
    let on = |words: &[&str]| {
        let mut command = command(&host, ["whitelist"]);
        command.args(words).arg("--whitelist").arg(&folder);
        run(command, b"")
    };
    on(&["add", "plugins/p", "plugins/q"]).succeeded();
    host.launch("q")
        .whitelist(&folder)
        .run()
        .succeeded()
        .prints("q\n");
    on(&["verify"]).succeeded().prints("p: OK\nq: OK\n");
    on(&["add", "plugins/p"]).refused(125).says("already");
    on(&["remove", "p"]).succeeded();
    host.launch("p").whitelist(&folder).run().refused(126);
    on(&["remove", "../plugins.whitelist"]).refused(125);
}

#[test]
fn a_whitelist_folders_settings_hold_for_the_tool_too() {
    let host = Host::new();
    let folder = host.folder("list.d");
    host.install_sh("p", "");
    let hidden = host.folder("plugins/hidden");
    std::fs::copy(host.path("plugins/p"), hidden.join("q")).unwrap();
    let on = |words: &[&str]| {
        let mut command = command(&host, words);
        command.arg("--whitelist").arg(&folder);
        run(command, b"")
    };
    let floor = |more: &str| {
        let root = host.path("plugins");
        let text = format!("version: 1\nsettings: {{ plugin_root: {root:?}, {more} }}\n");
        host.write("list.d/.settings.yaml", &text)
    };
    floor("hash_algorithm: blake3");
    on(&["whitelist", "add", "plugins/p", "plugins/hidden/q"]).succeeded();
    let own = std::fs::read_to_string(folder.join("p.yaml")).unwrap();
    assert!(own.contains("path: ./p\n"), "{own}");
    assert!(own.contains("hash: blake3:"), "{own}");
    on(&["whitelist", "verify"])
        .succeeded()
        .prints("p: OK\nq: OK\n");
    floor(&format!("forbidden_paths: [{hidden:?}]"));
    let wrong = on(&["whitelist", "verify"]);
    assert_eq!(wrong.status, 1);
    assert!(wrong.stdout.contains("q: path_traversal: "), "{wrong:#?}");
    let explained = on(&["explain", "q", "--policy", "audit-only"]);
    let explained = explained.succeeded().stdout;
    assert!(explained.contains("the forbidden path"), "{explained}");
    floor(&format!("policy: strict, forbidden_paths: [{hidden:?}]"));
    let explained = on(&["explain", "q", "--policy", "audit-only"]);
    assert_eq!(explained.status, 126);
    // The same for a file of the folder.
    let mut named = command(&host, ["whitelist", "verify", "q"]);
    named.arg("--whitelist").arg(folder.join("q.yaml"));
    let named = run(named, b"");
    assert!(named.stdout.contains("q: path_traversal: "), "{named:#?}");
    // What would loosen them is told, and their file is no plugin's.
    let text = own.replacen("plugins:", "settings: { policy: permissive }\nplugins:", 1);
    host.write("list.d/p.yaml", &text);
    for words in [["whitelist", "list"], ["whitelist", "verify"]] {
        let told = on(&words);
        let what = "p.yaml: 'settings.policy' has no effect";
        assert!(told.stderr.contains(what), "{told:#?}");
    }
    for command in ["remove", "update", "enable", "lock"] {
        let refused = on(&["whitelist", command, ".settings"]).refused(125);
        refused.says("the folder's own settings");
    }
    on(&["whitelist", "add", "--name", ".settings", "plugins/p"]).refused(125);
    for words in [["whitelist", "list"], ["whitelist", "verify"]] {
        let empty = host.path(format!("empty-{}", words[1]));
        std::fs::create_dir(&empty).unwrap();
        std::fs::write(empty.join(".settings.yaml"), "settings: [").unwrap();
        let mut command = command(&host, words);
        command.arg("--whitelist").arg(&empty);
        run(command, b"").refused(125).says(".settings.yaml:");
    }
    std::fs::set_permissions(floor(""), PermissionsExt::from_mode(0o666)).unwrap();
    for words in [["whitelist", "list"], ["whitelist", "verify"]] {
        let told = on(&words);
        let all = format!("{}{}", told.stdout, told.stderr);
        assert!(all.contains(".settings.yaml"), "{all}");
    }
}

#[test]
fn many_who_add_at_once_lose_nothing() {
    let host = Host::new();
    let names: Vec<String> = (0..16).map(|number| format!("p{number:02}")).collect();
    let children: Vec<_> = names
        .iter()
        .map(|name| {
            host.install_sh(name, "");
            command(&host, ["whitelist", "add", &format!("plugins/{name}")])
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let list = json(&host, ["whitelist", "list"]);
    let mut found: Vec<_> = list["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    found.sort_unstable();
    assert_eq!(found, names);
    let left = std::fs::read_dir(host.path("")).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with(".plugins.whitelist")
    });
    assert_eq!(left.count(), 0, "new files are left behind");
}

#[test]
fn roots_help_leaves_file_and_lock_to_their_owner() {
    let mut host = Host::of(User::Ordinary);
    host.install_sh("p", "");
    host.install_sh("q", "");
    host.list("p", &[]);
    std::fs::set_permissions(host.whitelist(), PermissionsExt::from_mode(0o640)).unwrap();
    let mut as_root = std::process::Command::new(env!("CARGO_BIN_EXE_secure-execctl"));
    as_root.arg("--config").arg(host.path("config.yaml"));
    as_root.arg("--whitelist").arg(host.whitelist());
    as_root
        .args(["whitelist", "add"])
        .arg(host.path("plugins/q"));
    run(as_root, b"").succeeded();
    let stat = std::fs::metadata(host.whitelist()).unwrap();
    assert_eq!(
        (stat.uid(), stat.gid(), stat.mode() & 0o7777),
        (ORDINARY, ORDINARY, 0o640)
    );
    ctl(&host, ["whitelist", "remove", "q"]).succeeded();
}

#[test]
fn a_link_to_the_whitelist_stays_a_link() {
    let mut host = Host::new();
    host.install_sh("p", "echo ran");
    host.set("policy: strict");
    host.folder("real");
    std::fs::rename(host.whitelist(), host.path("real/list")).unwrap();
    symlink("real/list", host.whitelist()).unwrap();
    ctl(&host, ["whitelist", "add", "plugins/p"]).succeeded();
    assert!(host.whitelist().is_symlink());
    let real = std::fs::read_to_string(host.path("real/list")).unwrap();
    // Relative to where the launcher looks from: the link's folder.
    assert!(real.contains("path: ./plugins/p"), "{real}");
    host.launch("p").run().succeeded().prints("ran\n");
    std::fs::remove_file(host.path("real/list")).unwrap();
    ctl(&host, ["whitelist", "add", "plugins/p"])
        .refused(125)
        .says("link to nothing");
}

#[test]
fn what_lies_outside_of_the_root_is_named_in_full() {
    let host = Host::new();
    let elsewhere = host.folder("elsewhere");
    let outside = host.install_sh("o", "echo outside");
    std::fs::rename(outside, elsewhere.join("o")).unwrap();
    host.write(
        "plugins.whitelist",
        "version: 1\nsettings: { plugin_root: plugins }\n",
    );
    // A link within the root that leads out of it is not followed from there.
    symlink(elsewhere.join("o"), host.path("plugins/link")).unwrap();
    host.install_sh("inside", "echo inside");
    ctl(
        &host,
        [
            "whitelist",
            "add",
            "elsewhere/o",
            "plugins/link",
            "plugins/../plugins/inside",
        ],
    )
    .succeeded();
    let list = json(&host, ["whitelist", "list"]);
    let paths: Vec<_> = list["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["path"].as_str().unwrap())
        .collect();
    let folder = host.path("").canonicalize().unwrap();
    let full = |name: &str| folder.join(name).to_str().unwrap().to_string();
    assert_eq!(
        paths,
        [full("elsewhere/o"), full("plugins/link"), "./inside".into()]
    );
    for (name, said) in [
        ("o", "outside\n"),
        ("link", "outside\n"),
        ("inside", "inside\n"),
    ] {
        host.launch(name).run().succeeded().prints(said);
    }
}

#[test]
fn an_interpreter_that_anyone_could_replace_is_warned_of_until_it_is_pinned() {
    let host = Host::of(User::Ordinary);
    // Not root's: nobody vouches for it but its digest.
    let shell = host.install_copy("dash", "/bin/dash");
    let script = format!("#!{}\necho ran\n", shell.display());
    host.install("s", script);
    ctl(&host, ["whitelist", "add", "plugins/s"])
        .succeeded()
        .says("WARNING: plugin 's' would be refused (interpreter_untrusted)")
        .says("Pin the interpreter");
    host.launch("s").run().refused(126);
    ctl(&host, ["whitelist", "remove", "s"]).succeeded();
    let pinned = ctl(
        &host,
        [
            "whitelist",
            "add",
            "plugins/s",
            "--interpreter",
            "plugins/dash",
        ],
    )
    .succeeded();
    assert!(!pinned.stderr.contains("WARNING"), "{pinned:#?}");
    pinned.says("NOTE: plugin 's': its interpreter is given a copy ($0 is '/proc/self/fd/N')");
    // What explain says of it, it says with the reason.
    let explained = ctl(&host, ["explain", "s"]).stdout;
    assert!(
        explained.contains("\n  image         sealed: "),
        "{explained}"
    );
    assert!(explained.contains("\n  isolation     "), "{explained}");
    host.launch("s").run().succeeded().prints("ran\n");
}

#[test]
fn an_entry_carries_what_was_asked_for() {
    let host = Host::new();
    host.install_copy("p", "/bin/true");
    let library = "/lib64/ld-linux-x86-64.so.2";
    ctl(
        &host,
        [
            "whitelist",
            "add",
            "plugins/p",
            "--name",
            "n",
            "--algorithm",
            "blake3",
            "--profile",
            "python",
            "--disabled",
            "--library",
            library,
            "--metadata",
            "ticket=a: #b",
            "--metadata",
            "v=1.10",
        ],
    )
    .succeeded();
    let entry = &json(&host, ["whitelist", "list"])["plugins"][0];
    assert_eq!(entry["name"], "n");
    assert_eq!(entry["algorithm"], "blake3");
    assert!(entry["hash"].as_str().unwrap().starts_with("blake3:"));
    assert_eq!(entry["profile"], "python");
    assert_eq!(entry["enabled"], false);
    assert_eq!(entry["libraries"][0]["path"], library);
    assert_eq!(entry["metadata"]["ticket"], "a: #b");
    assert_eq!(entry["metadata"]["v"], "1.10");
    host.launch("n").run().refused(126).says("plugin_disabled");
}
