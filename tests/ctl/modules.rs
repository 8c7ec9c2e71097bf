//! `whitelist lock` of scripts: their modules are found without running them,
//! and no others are loaded.

use std::path::Path;

use crate::kit::{EVERYONE, Host, Outcome, User, digest};
use crate::{ctl, json, text};

/// A host with the script "p" and modules in `plugins/lib`, which its profile
/// has as a folder of code.
fn host(user: User, script: &str, profile: &str, modules: &[(&str, &str)]) -> Host {
    let host = Host::of(user);
    host.install("p", script);
    host.folder("plugins/lib");
    for (path, module) in modules {
        let folder = Path::new(path).parent().unwrap();
        let folder = host.path("plugins/lib").join(folder);
        if !folder.exists() {
            host.folder(folder);
        }
        host.write(format!("plugins/lib/{path}"), module);
    }
    host.profile("own", profile);
    ctl(&host, ["whitelist", "add", "plugins/p", "--profile", "own"]).succeeded();
    host
}

fn lock(host: &Host, words: &[&str]) -> Outcome {
    ctl(host, ["whitelist", "lock", "p"].iter().chain(words)).succeeded()
}

/// Changes a module by one byte, which the language passes over.
fn change(host: &Host, path: &str) {
    let path = host.path("plugins/lib").join(path);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.push(b'\n');
    std::fs::write(path, bytes).unwrap();
}

const PYTHON: &str = r#"#!/usr/bin/python3
import json, sqlite3, ssl, sys
import greet
print(json.loads("[1]"), sqlite3.connect(":memory:").execute("select 2").fetchone())
print(ssl.create_default_context().verify_mode, greet.word())
for name in sys.argv[1:]:
    try:
        __import__(name)
        print(name, "works")
    except ImportError as error:
        print(name, type(error).__name__)
    except OSError as error:
        print(name, type(error).__name__)
"#;

const PYTHON_PROFILE: &str = "extends: python
filesystem: { code: ['{plugin_dir}/lib'] }
environment: { set: { PYTHONPATH: '{plugin_dir}/lib' } }";

const GREET: &[(&str, &str)] = &[
    ("greet/__init__.py", "from .words import word\n"),
    (
        "greet/words.py",
        "def word():\n    import greet.late as late\n    return late.WORD\n",
    ),
    ("greet/late.py", "WORD = 'verified'\n"),
];

#[test]
fn a_locked_python_script_imports_what_was_pinned_and_nothing_else() {
    let ran = "[1] (2,)\n2 verified\n";
    for user in EVERYONE {
        let host = host(user, PYTHON, PYTHON_PROFILE, GREET);
        host.write("plugins/lib/planted.py", "print('planted')\n");
        let all = ["wave", "planted"];
        let free = host.launch("p").args(all).run().succeeded();
        assert_eq!(
            free.stdout,
            format!("{ran}wave works\nplanted\nplanted works\n")
        );
        let told = lock(&host, &[]);
        assert_eq!(
            told.stderr.matches("computes the name").count(),
            1,
            "{told:#?}"
        );
        let locked = host.launch("p").args(all).run().succeeded();
        assert_eq!(
            locked.stdout,
            format!("{ran}wave PermissionError\nplanted PermissionError\n")
        );
        assert_eq!(locked.stderr, "");
        ctl(&host, ["whitelist", "lock", "--diff", "p"]).succeeded();

        // A module that is found before one that was pinned ends the script.
        host.write("plugins/lib/json.py", "print('planted')\n");
        let outcome = host.launch("p").run();
        assert_eq!((outcome.status, &*outcome.stdout), (1, ""), "{outcome:#?}");
        assert!(outcome.stderr.contains("PermissionError"), "{outcome:#?}");
        let diff = ctl(&host, ["whitelist", "lock", "--diff", "p"]);
        assert!(diff.stdout.contains("lib/json.py\n"), "{diff:#?}");
        std::fs::remove_file(host.path("plugins/lib/json.py")).unwrap();

        change(&host, "greet/late.py");
        host.launch("p").run().refused(126).says("library_mismatch");
        ctl(&host, ["whitelist", "update", "p"]).succeeded();
        host.launch("p").run().succeeded().prints(ran);
    }
}

#[test]
fn a_module_with_a_computed_name_is_named_with_all_that_it_imports() {
    let modules = [
        GREET,
        &[("planted.py", "import wave\nprint(wave.__name__)\n")],
    ]
    .concat();
    let host = host(User::Root, PYTHON, PYTHON_PROFILE, &modules);
    lock(&host, &[]);
    host.launch("p")
        .arg("planted")
        .run()
        .says("")
        .prints("[1] (2,)\n2 verified\nplanted PermissionError\n");
    lock(&host, &["--with", "plugins/lib/planted.py"]);
    let outcome = host.launch("p").arg("planted").run().succeeded();
    outcome.prints("[1] (2,)\n2 verified\nwave\nplanted works\n");
    let settled = text(&host);
    lock(&host, &[]);
    assert_eq!(text(&host), settled);
    // Hundreds of files, of which each is open until the kernel has its rule.
    let few = |limit: &str| {
        let launch = host.launch("p").under(["prlimit", limit]);
        launch.run()
    };
    few("--nofile=64:4096").succeeded();
    few("--nofile=64:64")
        .refused(126)
        .says("Too many open files");
}

#[test]
fn a_locked_script_in_namespaces_finds_its_modules_there_and_no_others() {
    let profile = format!("{PYTHON_PROFILE}\nisolation: namespaces");
    for user in EVERYONE {
        let host = host(user, PYTHON, &profile, GREET);
        host.write("plugins/lib/planted.py", "print('planted')\n");
        let free = host.launch("p").arg("planted").run().succeeded();
        assert_eq!(
            free.stdout,
            "[1] (2,)\n2 verified\nplanted\nplanted works\n"
        );
        lock(&host, &[]);
        let locked = host.launch("p").arg("planted").run().succeeded();
        assert_eq!(
            locked.stdout,
            "[1] (2,)\n2 verified\nplanted PermissionError\n"
        );
        change(&host, "greet/late.py");
        host.launch("p").run().refused(126).says("library_mismatch");
    }
}

const NODE: &str = r#"#!/usr/bin/node
const { word } = require('greet');
console.log(require('node:path').basename('/a/b'), word());
for (const name of process.argv.slice(2)) {
  try { require(name); console.log(name, 'works'); } catch (error) { console.log(name, error.code); }
}
"#;

#[test]
fn a_locked_node_script_requires_what_was_pinned_and_nothing_else() {
    let profile = "extends: node
filesystem: { code: ['{plugin_dir}/lib'] }
environment: { set: { NODE_PATH: '{plugin_dir}/lib' } }";
    let modules = &[
        (
            "greet/package.json",
            r#"{ "name": "greet", "exports": { ".": { "require": "./main.cjs" } } }"#,
        ),
        (
            "greet/main.cjs",
            "exports.word = () => require('./late').word;\n",
        ),
        (
            "greet/late/index.js",
            "module.exports = require('./data.json');\n",
        ),
        ("greet/late/data.json", r#"{ "word": "verified" }"#),
        ("planted.js", "console.log('planted');\n"),
    ];
    for user in EVERYONE {
        let host = host(user, NODE, profile, modules);
        let free = host.launch("p").arg("planted").run().succeeded();
        assert_eq!(free.stdout, "b verified\nplanted\nplanted works\n");
        let told = lock(&host, &[]);
        assert_eq!(
            told.stderr.matches("computes the name").count(),
            1,
            "{told:#?}"
        );
        for module in &modules[..4] {
            assert!(text(&host).contains(module.0), "{}", text(&host));
        }
        let locked = host.launch("p").arg("planted").run().succeeded();
        assert_eq!(locked.stdout, "b verified\nplanted EACCES\n");
        change(&host, "greet/late/data.json");
        host.launch("p").run().refused(126).says("library_mismatch");
        lock(&host, &["--with", "plugins/lib/planted.js"]);
        let outcome = host.launch("p").arg("planted").run().succeeded();
        outcome.prints("b verified\nplanted\nplanted works\n");
    }
}

const PERL: &str = r#"#!/usr/bin/perl
use strict;
use warnings;
use POSIX qw(floor);
use Greet;
print floor(2.5), ' ', Greet::word(), "\n";
for my $name (@ARGV) {
    print $name, ' ', (eval { require $name } ? 'works' : $@ =~ /Permission denied/ ? 'denied' : $@), "\n";
}
"#;

#[test]
fn a_locked_perl_script_uses_what_was_pinned_and_nothing_else() {
    let profile = "filesystem: { code: ['{plugin_dir}/lib', -/usr/share/perl] }
environment: { set: { PERL5LIB: '{plugin_dir}/lib' } }";
    let modules = &[
        (
            "Greet.pm",
            "package Greet;\nuse parent -norequire, 'Exporter';\nsub word { require Greet::Late; Greet::Late::word() }\n1;\n",
        ),
        (
            "Greet/Late.pm",
            "package Greet::Late;\nuse List::Util 'first';\nsub word { first { $_ } 'verified' }\n1;\n",
        ),
        ("Planted.pm", "print \"planted\\n\";\n1;\n"),
    ];
    for user in EVERYONE {
        let host = host(user, PERL, profile, modules);
        let all = ["Planted.pm", "Text/Abbrev.pm"];
        let free = host.launch("p").args(all).run().succeeded();
        assert_eq!(
            free.stdout,
            "2 verified\nplanted\nPlanted.pm works\nText/Abbrev.pm works\n"
        );
        lock(&host, &[]);
        let locked = host.launch("p").args(all).run().succeeded();
        assert_eq!(
            locked.stdout,
            "2 verified\nPlanted.pm denied\nText/Abbrev.pm denied\n"
        );
        assert_eq!(locked.stderr, "");
        change(&host, "Greet/Late.pm");
        host.launch("p").run().refused(126).says("library_mismatch");
        lock(&host, &[]);
        host.launch("p").run().succeeded().prints("2 verified\n");
    }
}

#[test]
fn a_script_in_another_language_is_locked_with_what_is_named() {
    for user in EVERYONE {
        let shell = "#!/bin/sh\n. \"$1\"\nword\n";
        let host = host(
            user,
            shell,
            "filesystem: { code: ['{plugin_dir}/lib'] }",
            &[("words.sh", "word() { echo verified; }\n")],
        );
        let words = host.path("plugins/lib/words.sh");
        host.launch("p")
            .arg(&words)
            .run()
            .succeeded()
            .prints("verified\n");
        lock(&host, &[]).says("name it with --with");
        let outcome = host.launch("p").arg(&words).run();
        assert!(outcome.stderr.contains("Permission denied"), "{outcome:#?}");
        lock(&host, &["--with", words.to_str().unwrap()]);
        host.launch("p")
            .arg(&words)
            .run()
            .succeeded()
            .prints("verified\n");
        let entry = &json(&host, ["whitelist", "list"])["plugins"][0];
        assert_eq!(entry["interpreter"]["path"], "/bin/sh");
        assert_eq!(entry["interpreter"]["hash"], digest(Path::new("/bin/sh")));
        change(&host, "words.sh");
        host.launch("p")
            .arg(&words)
            .run()
            .refused(126)
            .says("library_mismatch");
    }
}

#[test]
fn a_java_program_is_locked_with_the_machine_that_it_names() {
    let mut host = Host::new();
    let java = std::fs::canonicalize("/usr/bin/java").unwrap();
    let machine = java.ancestors().nth(2).unwrap();
    let source =
        "class Hi { public static void main(String[] a) { System.out.println(\"ran\"); } }";
    host.write("Hi.java", source);
    host.bare("/usr/bin/javac", &["Hi.java"]).succeeded();
    let classes = host.path("");
    let profile = format!("profile: {{ extends: jvm, filesystem: {{ read: [{classes:?}] }} }}");
    let args = format!("args: [-cp, {classes:?}, Hi]");
    host.list_path(
        "p",
        java.to_str().unwrap(),
        &digest(&java),
        &[&profile, &args],
    );
    host.launch("p").run().succeeded().prints("ran\n");
    lock(&host, &[]);
    // It opens the rest of itself by name.
    assert_ne!(host.launch("p").run().status, 0);
    let told = lock(&host, &["--with", machine.to_str().unwrap()]);
    assert_eq!(told.stderr, "");
    host.launch("p").run().succeeded().prints("ran\n");
    let files = &json(&host, ["explain", "p"])["files"];
    assert!(files["pinned"].as_array().unwrap().len() > 100, "{files:#}");
    assert!(
        files["list"].to_string().contains("/usr/lib/jvm"),
        "{files:#}"
    );
    assert!(
        !files["read"].to_string().contains("/usr/lib/jvm"),
        "{files:#}"
    );
}

#[test]
fn an_interpreter_that_somebody_else_owns_is_pinned() {
    let host = Host::of(User::Ordinary);
    let shell = host.install_copy("dash", "/bin/dash");
    host.install("p", format!("#!{}\necho ran\n", shell.display()));
    ctl(&host, ["whitelist", "add", "plugins/p"]).says("interpreter_untrusted");
    lock(&host, &[]);
    host.launch("p").run().succeeded().prints("ran\n");
    std::fs::write(&shell, "other").unwrap();
    host.launch("p")
        .run()
        .refused(126)
        .says("interpreter_untrusted");
}

/// Each would leave a file behind if it were run, or could have a file opened
/// to the plugin that is no code.
#[test]
fn a_script_is_not_run_to_be_locked_and_can_not_ask_for_files() {
    let secret = "/etc/shadow";
    for (line, profile, body) in [
        (
            "/usr/bin/python3",
            "python",
            "open('MARK', 'w')\nimport sys\n__import__('SECRET')\n",
        ),
        (
            "/usr/bin/node",
            "node",
            "require('fs').writeFileSync('MARK', '');\nrequire('SECRET'); import('SECRET');\n",
        ),
        (
            "/usr/bin/perl",
            "default",
            "BEGIN { open my $f, '>', 'MARK' }\nopen my $f, '>', 'MARK';\nrequire 'SECRET';\ndo \"SECRET\";\n",
        ),
    ] {
        let mut host = Host::new();
        let mark = host.path("home/mark");
        let body = body
            .replace("MARK", mark.to_str().unwrap())
            .replace("SECRET", secret);
        host.install("p", format!("#!{line}\n{body}"));
        host.list("p", &[&format!("profile: {profile}")]);
        lock(&host, &[]);
        assert!(!mark.exists(), "{line}");
        // Many files are in the lock file.
        let lock = std::fs::read_to_string(host.path("p.lock")).unwrap_or_default();
        let pins = text(&host) + &lock;
        assert!(!pins.contains("shadow"), "{pins}");
        assert!(pins.contains("/libc.so.6"), "{pins}");
        // Without the sandbox, the mark is made.
        host.bare(host.path("plugins/p"), &[]);
        assert!(mark.exists(), "{line}");
    }
}

#[test]
fn without_the_launcher_no_script_is_searched() {
    let host = host(User::Root, PYTHON, PYTHON_PROFILE, GREET);
    let before = text(&host);
    let aside = host.path("bin/aside");
    std::fs::rename(host.launcher(), &aside).unwrap();
    ctl(&host, ["whitelist", "lock", "p"])
        .refused(125)
        .says("Install secure-exec");
    assert_eq!(text(&host), before);
    std::fs::rename(aside, host.launcher()).unwrap();
    // What can't be read as Python is no reason to fail, but to say so.
    host.install("p", "#!/usr/bin/python3\nimport (\n");
    ctl(&host, ["whitelist", "update", "p"]).succeeded();
    lock(&host, &[]).says("can't be parsed");
}
