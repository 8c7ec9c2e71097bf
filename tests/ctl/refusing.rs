//! `whitelist add` where names, files or the whitelist mean harm or are wrong.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, symlink};

use crate::kit::Host;
use crate::{ctl, text};

#[test]
fn hostile_names_run_under_their_name_or_are_refused() {
    let good: &[&str] = &[
        "-rf",
        "--",
        "a b",
        "a: b",
        "a #b",
        "#c",
        "'",
        "\"",
        "\\",
        "{x",
        "[y",
        "*z",
        "&w",
        "!v",
        "%u",
        "@t",
        "`s`",
        "$(id)",
        "true",
        "null",
        "~",
        "1.0",
        "0x1f",
        "ünïcode",
        "\u{1f980}",
        "...",
        "---",
        "- a",
        "? b",
        "a,b",
        " pad ",
    ];
    let host = Host::new();
    for name in good {
        host.install_sh(name, "echo ran");
        ctl(
            &host,
            ["whitelist", "add", "--", &format!("plugins/{name}")],
        )
        .succeeded();
    }
    for name in good {
        host.launch(name)
            .option("--")
            .run()
            .succeeded()
            .prints("ran\n");
    }
    let before = text(&host);
    for name in [
        b"new\nline".as_slice(),
        b"\x1b[2Jclear",
        b"rtl\xe2\x80\xaeelf",
        b"not\xffutf8",
    ] {
        let name = OsStr::from_bytes(name);
        let path = host.path("plugins").join(name);
        std::fs::copy(host.path("plugins/true"), &path).unwrap();
        let refused = ctl(
            &host,
            [OsStr::new("whitelist"), OsStr::new("add"), path.as_os_str()],
        )
        .refused(125);
        assert!(
            !refused.stderr.contains(['\x1b', '\u{202e}']),
            "{refused:?}"
        );
        assert_eq!(text(&host), before);
    }
    // A path may hold what a name may not.
    for (number, file) in [
        "new\nline",
        "\x1b[2Jclear",
        "rtl\u{202e}elf",
        "nel\u{85}\u{2028}\u{feff}",
    ]
    .iter()
    .enumerate()
    {
        let name = format!("odd{number}");
        host.install_sh(file, "echo odd");
        let outcome = ctl(
            &host,
            [
                "whitelist",
                "add",
                &format!("plugins/{file}"),
                "--name",
                &name,
            ],
        );
        assert!(!outcome.succeeded().stderr.contains('\x1b'));
        host.launch(&name).run().succeeded().prints("odd\n");
    }
}

#[test]
fn what_cannot_be_added_changes_nothing() {
    let mut host = Host::new();
    host.install_sh("p", "");
    host.install_sh("q", "");
    host.list("p", &[]);
    host.folder("plugins/folder");
    let before = text(&host);
    let cases: &[(&[&str], &str)] = &[
        (&["plugins/p"], "use 'secure-execctl whitelist update'"),
        (&["plugins/q", "plugins/p"], "already"),
        (&["plugins/q", "plugins/absent"], "absent"),
        (
            &["plugins/q", "./plugins/q"],
            "a second file has the name 'q'",
        ),
        (&["plugins/folder"], "it is a folder"),
        (&["/dev/null"], "it is a character device"),
        (
            &["plugins/q", "--profile", "nosuch"],
            "there is no profile 'nosuch'",
        ),
        (
            &["plugins/q", "plugins/p", "--name", "x"],
            "--name is for one file",
        ),
        (&["plugins/q", "--name", "a/b"], "contains '/'"),
        (&["plugins/q", "--algorithm", "md5"], "md5"),
        (&["plugins/q", "--library", "plugins/absent"], "absent"),
        (
            &["plugins/q", "--metadata", "a=b", "--metadata", "a=c"],
            "a key twice",
        ),
        (&["plugins/q", "--metadata", "ab"], "KEY=VALUE"),
    ];
    for (words, says) in cases {
        let words = ["whitelist", "add"].iter().chain(*words);
        ctl(&host, words).refused(125).says(says);
        assert_eq!(text(&host), before);
    }
}

#[test]
fn a_mistake_in_the_whitelist_is_shown_where_it_is() {
    let host = Host::new();
    host.install_sh("p", "");
    let broken = "version: \"1.0\"\nplugins:\n  - name: a\n    paht: b\n";
    host.write("plugins.whitelist", broken);
    let place = format!("{}:4:5: ", host.whitelist().display());
    for words in [
        &["add", "plugins/p"][..],
        &["remove", "a"],
        &["update", "--all"],
        &["verify"],
        &["list"],
    ] {
        ctl(&host, ["whitelist"].iter().chain(words))
            .refused(125)
            .says(&place);
        assert_eq!(text(&host), broken);
    }
}

#[test]
fn nobody_else_can_hold_the_lock() {
    let host = Host::new();
    host.install_sh("p", "");
    ctl(&host, ["whitelist", "add", "plugins/p"]).succeeded();
    let lock = host.path(".secure-execctl.lock");
    assert_eq!(std::fs::metadata(&lock).unwrap().mode() & 0o7777, 0o600);
    // A lock that leads elsewhere is none.
    std::fs::remove_file(&lock).unwrap();
    let victim = host.write("victim", "");
    symlink(&victim, &lock).unwrap();
    ctl(&host, ["whitelist", "remove", "p"]).refused(125);
}

#[test]
fn a_tool_with_more_rights_than_its_caller_takes_no_orders() {
    crate::kit::privileges::take_no_orders(
        std::path::Path::new(env!("CARGO_BIN_EXE_secure-execctl")),
        &[
            &["--config", "{SECRET}", "whitelist", "list"],
            &["--whitelist", "{SECRET}", "whitelist", "list"],
            &["profile", "show", "{SECRET}"],
            &["audit", "verify", "{SECRET}"],
        ],
    );
}
