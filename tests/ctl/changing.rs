//! `whitelist update`, `remove`, `enable` and `disable`.

use crate::kit::{EVERYONE, Host, digest};
use crate::{ctl, json, text};

#[test]
fn a_rebuilt_plugin_runs_once_its_digest_is_taken_over() {
    for user in EVERYONE {
        let host = Host::of(user);
        let before = digest(&host.install_sh("p", "echo one"));
        host.install_sh("q", "echo q");
        ctl(&host, ["whitelist", "add", "plugins/p", "plugins/q"]).succeeded();
        let after = digest(&host.install_sh("p", "echo two"));
        host.launch("p").run().refused(126).says("hash mismatch");
        ctl(&host, ["whitelist", "update", "p"])
            .succeeded()
            .prints(&format!("p:\n  before {before}\n  after  {after}\n"));
        host.launch("p").run().succeeded().prints("two\n");
        let settled = text(&host);
        ctl(&host, ["whitelist", "update", "--all"])
            .succeeded()
            .prints("p: unchanged\nq: unchanged\n");
        assert_eq!(text(&host), settled);
    }
}

#[test]
fn pinned_interpreters_and_libraries_are_taken_over_too() {
    let host = Host::new();
    let shell = host.install_copy("dash", "/bin/dash");
    let library = host.install("lib.so", "one");
    host.install_sh("s", "echo ran");
    ctl(
        &host,
        [
            "whitelist",
            "add",
            "plugins/s",
            "--interpreter",
            "plugins/dash",
            "--library",
            "plugins/lib.so",
            "--library",
            "/lib64/ld-linux-x86-64.so.2",
            "--library",
            "/lib/x86_64-linux-gnu/libc.so.6",
        ],
    )
    .succeeded();
    host.launch("s").run().succeeded().prints("ran\n");
    let with_more = [std::fs::read(&shell).unwrap(), b"\0".to_vec()].concat();
    host.install("dash", with_more);
    host.launch("s")
        .run()
        .refused(126)
        .says("interpreter_untrusted");
    ctl(&host, ["whitelist", "update", "s"]).succeeded();
    host.install("lib.so", "two");
    host.launch("s").run().refused(126).says("library_mismatch");
    let updated = json(&host, ["whitelist", "update", "s"]);
    let changed: Vec<_> = updated["updated"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["changed"] == true)
        .collect();
    assert_eq!(changed.len(), 1, "{updated:#}");
    assert_eq!(changed[0]["file"], library.to_str().unwrap());
    assert_eq!(changed[0]["after"], digest(&library));
    host.launch("s").run().succeeded().prints("ran\n");
}

#[test]
fn a_malformed_and_a_missing_digest_are_put_right() {
    let host = Host::new();
    host.install_sh("p", "echo p");
    host.install_sh("q", "echo q");
    host.write(
        "plugins.whitelist",
        "version: 1\nplugins:\n- {name: p, path: plugins/p, hash: 'sha256:abc', algorithm: sha512}\n- path: plugins/q # c\n  name: q\n",
    );
    // Two answers to one question are none.
    ctl(&host, ["whitelist", "update", "--all"]).succeeded();
    for name in ["p", "q"] {
        host.launch(name)
            .run()
            .succeeded()
            .prints(&format!("{name}\n"));
    }
    assert!(text(&host).contains("hash: 'sha512:"), "{}", text(&host));
    assert!(
        text(&host).contains("- path: plugins/q # c\n  hash: sha256:"),
        "{}",
        text(&host)
    );
}

#[test]
fn a_plugin_that_was_disabled_does_not_run_until_it_is_enabled() {
    let host = Host::new();
    host.install_sh("p", "echo ran");
    ctl(&host, ["whitelist", "add", "plugins/p"]).succeeded();
    ctl(&host, ["whitelist", "disable", "p"])
        .succeeded()
        .prints("p: disabled\n");
    host.launch("p").run().refused(126).says("plugin_disabled");
    let settled = text(&host);
    ctl(&host, ["whitelist", "disable", "p"]).succeeded();
    assert_eq!(text(&host), settled);
    ctl(&host, ["whitelist", "enable", "p"])
        .succeeded()
        .prints("p: enabled\n");
    host.launch("p").run().succeeded().prints("ran\n");
}

#[test]
fn a_plugin_that_was_removed_does_not_run() {
    let host = Host::new();
    for name in ["p", "q", "r"] {
        host.install_sh(name, "echo ran");
    }
    ctl(
        &host,
        ["whitelist", "add", "plugins/p", "plugins/q", "plugins/r"],
    )
    .succeeded();
    ctl(&host, ["whitelist", "remove", "q", "p"])
        .succeeded()
        .prints("q: removed\np: removed\n");
    host.launch("p")
        .run()
        .refused(126)
        .says("not found in whitelist");
    host.launch("r").run().succeeded();
    ctl(&host, ["whitelist", "remove", "r"]).succeeded();
    assert!(text(&host).ends_with("plugins: []\n"), "{}", text(&host));
    ctl(&host, ["whitelist", "add", "plugins/p"]).succeeded();
    host.launch("p").run().succeeded().prints("ran\n");
}

#[test]
fn what_cannot_be_changed_stays_as_it_is() {
    let mut host = Host::new();
    host.install_sh("p", "");
    host.list("p", &[]);
    host.list_path(
        "absent",
        "./plugins/absent",
        &digest(&host.path("plugins/p")),
        &[],
    );
    host.list_path("out", "../out", &digest(&host.path("plugins/p")), &[]);
    host.install_sh("p", "echo changed");
    let before = text(&host);
    let cases: &[(&[&str], &str)] = &[
        (&["update", "nosuch"], "has no plugin 'nosuch'"),
        (&["update", "p", "nosuch"], "has no plugin 'nosuch'"),
        (&["remove", "p", "nosuch"], "has no plugin 'nosuch'"),
        (&["remove", "p", "p"], "named twice"),
        (&["disable", "nosuch"], "has no plugin 'nosuch'"),
        (&["update", "--all"], "does not exist"),
        (&["update", "p", "out"], "path_traversal"),
        (&["update"], "NAME"),
        (&["remove"], "NAME"),
    ];
    for (words, says) in cases {
        ctl(&host, ["whitelist"].iter().chain(*words))
            .refused(125)
            .says(says);
        assert_eq!(text(&host), before, "{words:?}");
    }
    std::fs::remove_file(host.whitelist()).unwrap();
    ctl(&host, ["whitelist", "remove", "p"])
        .refused(125)
        .says("does not exist");
    assert!(!host.whitelist().exists());
}

#[test]
fn a_layout_that_is_not_understood_is_left_to_its_author() {
    let host = Host::new();
    let hash = digest(&host.install_sh("p", ""));
    let block =
        format!("version: 1\nplugins:\n- name: p\n  path: ./plugins/p\n  hash: >-\n    {hash}\n");
    host.write("plugins.whitelist", &block);
    host.launch("p").run().succeeded();
    host.install_sh("p", "echo changed");
    ctl(&host, ["whitelist", "update", "p"])
        .refused(125)
        .says("its layout is not understood, and nothing was changed")
        .says("Edit it by hand");
    assert_eq!(text(&host), block);
}
