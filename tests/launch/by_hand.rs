//! Interpreters that are the plugin and run a script by their arguments: what
//! is verified is what runs.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::kit::{EVERYONE, Host, User, digest, open_to_all};

const SHELL: &str = "/bin/sh";
const NODE: &str = "/usr/bin/node";

/// Lists an interpreter of the system as "p".
fn listed(host: &mut Host, interpreter: &str, more: &[&str]) {
    let real = std::fs::canonicalize(interpreter).unwrap();
    host.list_path("p", interpreter, &digest(&real), more);
}

fn script(path: &Path) -> String {
    format!("script: {{ path: {path:?}, hash: {:?} }}", digest(path))
}

/// A host with the shell "p", which runs `run` with these words before the
/// caller's. `RUN` is the script's path, `DIR` its folder.
fn shell(user: User, words: &str, profile: &str) -> Host {
    let mut host = Host::of(user);
    let run = host.write("plugins/run", "echo genuine \"$0\" \"$@\"\n");
    let words = words.replace("RUN", run.to_str().unwrap());
    let pin = script(&run);
    let profile = &profile.replace("DIR", host.path("plugins").to_str().unwrap());
    listed(
        &mut host,
        SHELL,
        &[&format!("args: {words}"), &pin, profile],
    );
    host
}

#[test]
fn a_pinned_script_is_read_from_the_verified_bytes() {
    for user in EVERYONE {
        for isolation in ["process", "namespaces"] {
            let profile = format!("profile: {{ isolation: {isolation} }}");
            for words in ["[RUN]", "[-eu, --, RUN, a]", "[plugins/run]", "[-e]"] {
                let host = shell(user, words, &profile);
                let launch = host.launch("p");
                let run = host.path("plugins/run");
                // Where no argument names it, the caller's first one does.
                let launch = if words == "[-e]" {
                    launch.arg(&run)
                } else {
                    launch
                };
                let outcome = launch.arg("b").run().succeeded();
                let told: Vec<&str> = outcome.stdout.split_whitespace().collect();
                assert_eq!(told[0], "genuine");
                let is_root = user.is_root();
                let place = if is_root || isolation == "namespaces" {
                    run.to_str().unwrap()
                } else {
                    "/proc/self/fd/"
                };
                assert!(told[1].starts_with(place), "{told:?}");
                assert_eq!(told[2..].last(), Some(&"b"));
                let record = &host.record("sandbox_applied")["sandbox"]["script"];
                assert_eq!(record["path"], run.to_str().unwrap());
                assert_eq!(record["hash"], digest(&run));
                let image = if is_root { "guarded" } else { "sealed" };
                assert_eq!(record["image"], image);

                // It is the plugin's own: any other byte refuses the launch.
                std::fs::write(&run, "echo tampered\n").unwrap();
                let outcome = host.launch("p").arg(&run).run().refused(126);
                outcome.says("library_mismatch").says("the script");
                let record = host.record("security_violation");
                assert_eq!(record["violation_type"], "library_mismatch");
                assert_eq!(record["severity"], "high");
                let bare = host.bare(SHELL, &[run.to_str().unwrap()]);
                bare.succeeded().prints("tampered\n");
            }
        }
    }
}

#[test]
fn a_script_within_a_word_is_replaced_there() {
    let mut host = Host::new();
    let run = host.write("plugins/run.mjs", "console.log('hooked');\n");
    let main = host.write("plugins/main.cjs", "console.log('main');\n");
    let word = format!("--import={}", run.display());
    let args = format!("args: [{word:?}, {main:?}]");
    listed(&mut host, NODE, &["profile: node", &args, &script(&run)]);
    // The other file is code as well, and one script is all that is pinned.
    let outcome = host.launch("p").run().refused(126);
    outcome
        .says("main.cjs")
        .says("names code that nothing pins");

    let mut host = Host::new();
    let run = host.write("plugins/run.awk", "{ print \"<\" $1 \">\" }\n");
    let args = format!("args: ['--file={}']", run.display());
    listed(&mut host, "/usr/bin/gawk", &[&args, &script(&run)]);
    host.launch("p")
        .stdin("a b\n")
        .run()
        .succeeded()
        .prints("<a>\n");
}

#[test]
fn a_script_that_no_argument_names_is_not_left_to_chance() {
    for user in EVERYONE {
        let host = shell(user, "[-e]", "profile: default");
        let run = host.path("plugins/run");
        let other = host.write("plugins/other", "echo other\n");
        for words in [
            &[][..],
            &[other.as_path(), run.as_path()],
            &[Path::new("-c"), Path::new("echo other"), run.as_path()],
        ] {
            let outcome = host.launch("p").args(words).run().refused(126);
            outcome.says("no argument names its script").says("args: [");
        }
        // By a link it is the same file.
        symlink(&run, host.path("plugins/link")).unwrap();
        let outcome = host.launch("p").arg("plugins/link").run().succeeded();
        assert!(outcome.stdout.starts_with("genuine"), "{outcome:#?}");
    }
}

#[test]
fn a_script_is_opened_as_carefully_as_a_plugin() {
    for user in EVERYONE {
        let host = shell(user, "[RUN]", "profile: default");
        let run = host.path("plugins/run");
        std::fs::set_permissions(&run, PermissionsExt::from_mode(0o666)).unwrap();
        host.launch("p")
            .run()
            .refused(126)
            .says("insecure_permissions");
        std::fs::remove_file(&run).unwrap();
        host.launch("p").run().refused(126).says("library_mismatch");
        nix::unistd::mkfifo(&run, nix::sys::stat::Mode::S_IRWXU).unwrap();
        host.own(&run);
        host.launch("p")
            .run()
            .refused(126)
            .says("not_a_regular_file");

        let mut host = shell(user, "[RUN]", "profile: default");
        let folder = host.path("plugins");
        host.set(&format!("forbidden_paths: [{folder:?}]"));
        host.launch("p").run().refused(126).says("path_traversal");

        let mut host = shell(user, "[RUN]", "max_file_size: 1MiB");
        host.launch("p").run().succeeded();
        let run = host.path("plugins/run");
        std::fs::write(&run, vec![b'\n'; 2 << 20]).unwrap();
        host.launch("p")
            .run()
            .refused(126)
            .says("file_size_exceeded");
        host.set("image_minimum: verity");
        host.launch("p").run().refused(126);

        // A plugin that root runs may not write what another launch reads where
        // it lies.
        let host = shell(user, "[RUN]", "profile: { filesystem: { write: [DIR] } }");
        let outcome = host.launch("p").run();
        if user.is_root() {
            outcome.refused(125).says("plugins/run");
        } else {
            outcome.succeeded();
        }
    }
}

#[test]
fn weaker_policies_run_another_script_and_say_so() {
    let host = shell(User::Root, "[RUN]", "profile: default");
    host.write("plugins/run", "echo tampered\n");
    let outcome = host.launch("p").policy("permissive").run().succeeded();
    assert_eq!(outcome.stdout, "tampered\n");
    assert!(outcome.stderr.contains("library_mismatch"), "{outcome:#?}");
    let outcome = host.launch("p").policy("audit-only").run().succeeded();
    assert_eq!((&*outcome.stdout, &*outcome.stderr), ("tampered\n", ""));
}

/// What an argument names that nothing pins.
#[test]
fn code_in_arguments_that_nothing_pins_is_refused() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        {
            for (name, text) in [
                ("index.js", "console.log('ran')\n"),
                ("run", "echo ran\n"),
                ("tool", "#!/bin/sh\necho ran\n"),
                ("run.py", "print('ran')\n"),
                ("prog", "BEGIN { print \"ran\" }\n"),
            ] {
                host.write(format!("plugins/{name}"), text);
            }
            host.write("plugins/X.java", "class X {}\n");
            host.install_copy("native", "/bin/true");
            let fifo = host.path("plugins/fifo");
            nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
            host.own(&fifo);
            // What root alone can write needs no pin.
            open_to_all(&host.path("plugins"));
        }
        let folder = host.path("plugins").display().to_string();
        let profile = format!("profile: {{ filesystem: {{ code: [{folder:?}] }} }}");
        let cases = [
            (NODE, "[DIR/index.js]"),
            (NODE, "['--require=DIR/index.js', '-e', '1']"),
            (NODE, "[plugins/index.js]"),
            (NODE, "[DIR/index]"),
            (NODE, "[DIR]"),
            (SHELL, "[-eu, DIR/run]"),
            (SHELL, "[nosuch]"),
            ("/usr/bin/python3", "[-I, DIR/run.py]"),
            ("/usr/bin/gawk", "[-f, DIR/prog]"),
            // What comes from there is its writer's.
            (SHELL, "[DIR/fifo]"),
            ("/usr/bin/gawk", "[-f, DIR/fifo]"),
            // Words that lead to the program.
            ("/usr/bin/mawk", "[-W, exec, DIR/prog]"),
            ("/bin/sed", "[--fil, DIR/prog]"),
            ("/usr/bin/make", "[-C, DIR]"),
            ("/usr/bin/php", "[-d, auto_prepend_file=DIR/run]"),
            ("/usr/bin/java", "[DIR/X.java]"),
            ("/usr/bin/ruby", "[-C, DIR, run]"),
            // No interpreter that is known.
            ("/bin/echo", "[DIR/run.py]"),
            ("/bin/echo", "['--hook=DIR/tool']"),
            ("/bin/echo", "['-IDIR/native']"),
            ("/bin/echo", "['a:DIR/tool']"),
        ];
        for (interpreter, words) in cases {
            let words = words.replace("DIR", &folder);
            let real = digest(&std::fs::canonicalize(interpreter).unwrap());
            let args = format!("args: {words}");
            host.list_path(
                &words.replace('/', "_"),
                interpreter,
                &real,
                &[&args, &profile],
            );
        }
        for (_, words) in cases {
            let name = words.replace("DIR", &folder).replace('/', "_");
            let outcome = host.launch(&name).run().refused(126);
            outcome
                .says("library_mismatch")
                .says("whitelist lock")
                .says("script: {path, hash}");
            let record = host.record("security_violation");
            assert_eq!(record["violation_type"], "library_mismatch");
            assert_eq!(record["severity"], "medium");
        }
        let name = format!("[{folder}/run.py]").replace('/', "_");
        let outcome = host.launch(&name).policy("permissive").run().succeeded();
        assert!(outcome.stderr.contains("nothing pins"), "{outcome:#?}");
    }
}

/// A program that the interpreter finds in another folder is the pinned one.
#[test]
fn a_script_is_looked_up_where_its_interpreter_goes() {
    let ruby = "/usr/bin/ruby";
    for user in EVERYONE {
        let mut host = Host::of(user);
        let run = host.write("plugins/ok", "puts 'genuine'\n");
        let folder = host.path("plugins");
        open_to_all(&folder);
        let profile = format!("profile: {{ filesystem: {{ read: [{folder:?}] }} }}");
        let args = format!("args: [-C, {folder:?}, ok]");
        listed(&mut host, ruby, &[&args, &script(&run), &profile]);
        host.launch("p").run().succeeded().prints("genuine\n");
        std::fs::write(&run, "puts 'tampered'\n").unwrap();
        host.launch("p").run().refused(126).says("library_mismatch");
    }
}

/// What only looks like a program that nothing pins.
#[test]
fn options_that_name_no_program_are_let_through() {
    for (interpreter, words, printed) in [
        ("/bin/sed", "[-i.foo, -n, p, /dev/null]", None),
        ("/bin/sed", "[-f, /dev/null]", Some("")),
        (
            "/bin/bash",
            "[-oe, pipefail, -c, 'echo $-']",
            Some("ehBc\n"),
        ),
        (
            NODE,
            "[--import, 'data:text/javascript,1', -p, '2']",
            Some("2\n"),
        ),
    ] {
        let mut host = Host::new();
        let args = format!("args: {words}");
        let profile = if interpreter == NODE {
            "profile: node"
        } else {
            "profile: default"
        };
        listed(&mut host, interpreter, &[&args, profile]);
        let outcome = host.launch("p").run();
        match printed {
            Some(printed) => {
                outcome.succeeded().prints(printed);
            }
            // It reached sed, which edits no device.
            None => assert!(
                outcome.stderr.contains("not a regular file"),
                "{outcome:#?}"
            ),
        }
    }
}

#[test]
fn data_in_arguments_is_not_taken_for_code() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        for (name, text) in [
            ("config.yaml", "a: 1\n"),
            ("a.log", "x\n"),
            ("empty", ""),
            ("data.js.json", "{}\n"),
        ] {
            host.write(format!("plugins/{name}"), text);
        }
        let _socket = std::os::unix::net::UnixListener::bind(host.path("plugins/s.sock")).unwrap();
        let fifo = host.path("plugins/f.sh");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let folder = host.path("plugins").display().to_string();
        let words = [
            "DIR/config.yaml",
            "--log=DIR/a.log",
            "DIR/empty",
            "DIR/data.js.json",
            "DIR/s.sock",
            "DIR/f.sh",
            "DIR",
            "/etc/hosts",
            "/dev/null",
            "/dev/stdin",
            "/bin/sh",
            "/nonexistent.js",
            "http://localhost/x.js",
            "DIR/config.yaml/x.py",
            "--shell=/bin/bash",
            "-",
            "--",
            "",
        ];
        let words: Vec<String> = words
            .iter()
            .map(|word| word.replace("DIR", &folder))
            .collect();
        listed(&mut host, "/bin/echo", &[&format!("args: {words:?}")]);
        let outcome = host.launch("p").run().succeeded();
        assert_eq!(outcome.stdout.trim_end_matches('\n'), words.join(" "));
        // The caller's own words are his, and an interpreter's text is the entry's.
        let mut host = Host::of(user);
        host.write("plugins/run.sh", "echo ran\n");
        listed(&mut host, SHELL, &["args: [-euc, 'echo \"$@\"', name]"]);
        let outcome = host.launch("p").arg("plugins/run.sh").run().succeeded();
        outcome.prints("plugins/run.sh\n");
    }
}

#[test]
fn a_pinned_argument_stays_a_path_where_no_other_file_can_take_it() {
    for user in EVERYONE {
        for (grant, runs) in [("code", true), ("read", false)] {
            let mut host = Host::of(user);
            let run = host.write("plugins/run", "echo genuine\n");
            let mut pins = String::from("libraries:\n");
            let system = [
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib64/ld-linux-x86-64.so.2",
            ];
            for path in system.iter().map(Path::new).chain([run.as_path()]) {
                pins += &format!("  - {{ path: {path:?}, hash: {:?} }}\n", digest(path));
            }
            let folder = host.path("plugins");
            open_to_all(&folder);
            let profile = format!("profile: {{ filesystem: {{ {grant}: [{folder:?}] }} }}");
            listed(
                &mut host,
                SHELL,
                &[&format!("args: [{run:?}]"), &pins, &profile],
            );
            if runs {
                host.launch("p").run().succeeded().prints("genuine\n");
                std::fs::write(&run, "echo tampered\n").unwrap();
                host.launch("p").run().refused(126).says("library_mismatch");
            } else {
                let outcome = host.launch("p").run().refused(126);
                outcome
                    .says("another file in its place")
                    .says("filesystem.code");
            }
        }
    }
}
