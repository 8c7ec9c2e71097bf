//! Scripts: the first line, the interpreter, arguments and standard input.

use std::path::Path;

use crate::kit::{EVERYONE, Host, digest, open_to_all};

const PYTHON: &str = "/usr/bin/python3";

/// Says what it was given.
const TELL: &str = "import sys
print(sys.argv[1:], sys.stdin.read(), sys.flags.ignore_environment)
sys.exit(3)
";

/// An entry's pin of an interpreter.
fn pin(path: &str, hash: &str) -> String {
    format!("interpreter: {{ path: {path:?}, hash: {hash:?} }}")
}

fn told(host: &Host, name: &str, expected: &str) {
    let outcome = host.launch(name).args(["a b", "-c", ""]).stdin("ä\n").run();
    assert_eq!(outcome.status, 3, "{outcome:#?}");
    assert_eq!(outcome.stdout, expected, "{outcome:#?}");
    assert_eq!(outcome.stderr, "");
}

#[test]
fn a_python_script_runs_with_a_pinned_or_a_root_owned_interpreter() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let hash = digest(Path::new(PYTHON));
        let pinned = pin(PYTHON, &hash);
        for (name, line, more) in [
            ("owned", "/usr/bin/python3", ""),
            ("env", "/usr/bin/env python3", ""),
            ("pinned", "/usr/bin/python3", &*pinned),
            ("replaced", "/nonexistent/python", &*pinned),
        ] {
            host.install(name, format!("#!{line}\n{TELL}"));
            host.list(name, &["profile: python", more]);
            told(&host, name, "['a b', '-c', ''] ä\n 0\n");
            let sandbox = &host.record("sandbox_applied")["sandbox"];
            let found = sandbox["interpreter"].as_str().unwrap();
            assert_eq!(found, "/usr/bin/python3");
        }
    }
}

#[test]
fn the_word_behind_the_interpreter_is_one_argument() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install("p", format!("#!/usr/bin/python3 -E\n{TELL}"));
        host.list("p", &["profile: python"]);
        told(&host, "p", "['a b', '-c', ''] ä\n 1\n");
        host.install(
            "sh",
            "#! /bin/sh -eu  \nprintf '%s|' \"$-\" \"$@\"\nfalse\necho no\n",
        );
        host.list("sh", &[]);
        let outcome = host.launch("sh").args(["x y", "$HOME"]).run();
        assert_eq!(outcome.status, 1, "{outcome:#?}");
        // The shell's own order.
        assert_eq!(outcome.stdout, "ue|x y|$HOME|");
    }
}

#[test]
fn a_script_reads_its_standard_input_and_not_the_terminal() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "while read -r line; do echo \"<$line>\"; done; exit 9");
        host.list("p", &[]);
        let outcome = host.launch("p").stdin("one\ntwo\n").run();
        assert_eq!((outcome.status, &*outcome.stdout), (9, "<one>\n<two>\n"));
    }
}

#[test]
fn an_interpreter_with_other_bytes_than_the_pinned_ones_is_refused() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install("p", format!("#!{PYTHON}\n{TELL}"));
        let other = format!("sha256:{}", "0".repeat(64));
        host.list("p", &["profile: python", &pin(PYTHON, &other)]);
        host.launch("p")
            .run()
            .refused(126)
            .says("interpreter_untrusted")
            .says(&other)
            .says(&digest(Path::new(PYTHON)));
        let record = host.record("security_violation");
        assert_eq!(record["violation_type"], "interpreter_untrusted");
    }
}

#[test]
fn an_interpreter_that_somebody_else_owns_needs_a_pin() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        // Even root's own: everyone can write its folder.
        let copy = host.path("bin/sh");
        std::fs::copy("/bin/sh", &copy).unwrap();
        host.own(&copy);
        open_to_all(copy.parent().unwrap());
        let line = format!("#!{}\necho ran\n", copy.display());
        host.install("bare", &line);
        host.bare(host.path("plugins/bare"), &[]).prints("ran\n");
        host.list("bare", &[]);
        host.launch("bare")
            .run()
            .refused(126)
            .says("interpreter_untrusted")
            .says("interpreter: {path, hash}");
        host.install("pinned", &line);
        let hash = digest(&copy);
        host.list("pinned", &[&pin(copy.to_str().unwrap(), &hash)]);
        host.launch("pinned").run().succeeded().prints("ran\n");
    }
}

#[test]
fn env_looks_for_the_interpreter_where_the_caller_has_no_say() {
    let mut host = Host::new();
    let fake = host.path("bin/python3");
    std::fs::copy("/bin/false", &fake).unwrap();
    host.install("p", "#!/usr/bin/env python3\nprint('real')\n");
    host.list("p", &["profile: python"]);
    let path = host.path("bin");
    let mut bare = host.command(host.path("plugins/p"));
    bare.env("PATH", &path);
    assert_eq!(crate::kit::run(bare, b"").status, 1);
    host.launch("p").env("PATH", &path).run().prints("real\n");
    host.install("missing", "#!/usr/bin/env no-such-interpreter\n");
    host.list("missing", &[]);
    host.launch("missing")
        .run()
        .refused(126)
        .says("no-such-interpreter");
}

#[test]
fn env_with_options_is_refused_but_for_a_pinned_interpreter() {
    let mut host = Host::new();
    let hash = digest(Path::new(PYTHON));
    for (name, line) in [
        ("assigned", "/usr/bin/env A=1 python3"),
        ("quoted", "/usr/bin/env -S python3 '-u'"),
        ("ignored", "/usr/bin/env -S -i python3"),
        ("none", "/usr/bin/env"),
    ] {
        host.install(name, format!("#!{line}\nprint('ran')\n"));
        host.list(name, &["profile: python"]);
        let outcome = host.launch(name).run().refused(126);
        outcome.says("'env' may only name a program");
        // The entry's interpreter replaces any line, and says what is lost.
        let replaced = format!("{name}-pinned");
        host.install(&replaced, format!("#!{line}\nprint('ran')\n"));
        host.list(&replaced, &["profile: python", &pin(PYTHON, &hash)]);
        let outcome = host.launch(&replaced).run().succeeded().prints("ran\n");
        let told = outcome.stderr.contains("is left out");
        assert_eq!(told, name != "none", "{outcome:#?}");
    }
}

#[test]
fn env_that_splits_words_gives_them_to_the_interpreter() {
    let hash = digest(Path::new(PYTHON));
    for user in EVERYONE {
        let mut host = Host::of(user);
        for (name, line, more) in [
            ("split", "/usr/bin/env -S python3 -u -E", ""),
            (
                "path",
                "/usr/bin/env --split-string=/usr/bin/python3 -E",
                "",
            ),
            (
                "pinned",
                "/usr/bin/env -S nosuch -u -E",
                &*pin(PYTHON, &hash),
            ),
        ] {
            host.install(name, format!("#!{line}\n{TELL}"));
            host.list(name, &["profile: python", more]);
            told(&host, name, "['a b', '-c', ''] ä\n 1\n");
        }
        let bare = host.bare(host.path("plugins/split"), &[]);
        assert_eq!((bare.status, &*bare.stdout), (3, "[]  1\n"), "{bare:#?}");
    }
}
