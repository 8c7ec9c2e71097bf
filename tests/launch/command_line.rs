//! The command line, exit statuses, messages, and the ready descriptor.

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::kit::{EVERYONE, Host, User, digest, program, run, with_ready};

const TELL: &str = "printf '<%s>' \"$@\"";

fn teller(user: User) -> Host {
    let mut host = Host::of(user);
    host.install_sh("p", TELL);
    host.list("p", &[]);
    host
}

#[test]
fn all_after_the_plugin_is_the_plugins() {
    for user in EVERYONE {
        let host = teller(user);
        let words = ["--policy", "nonsense", "--", "-v", "--help", "", "ä\n"];
        let all = words.map(|word| format!("<{word}>")).concat();
        host.launch("p").args(words).run().succeeded().prints(&all);
        let launch = host.launch("p").option("--").args(words);
        launch.run().succeeded().prints(&all);
        let launch = host.launch("p").option("--quiet").option("-v").args(["--"]);
        launch.run().succeeded().prints("<-->");
    }
}

#[test]
fn a_link_to_the_launcher_is_the_plugin_of_its_name() {
    for user in EVERYONE {
        let host = teller(user);
        let call = |shim: PathBuf, words: &[&str]| {
            let mut command = host.command(shim);
            command.envs(host.shim_variables()).args(words);
            run(command, b"")
        };
        let words = ["--dry-run", "--policy", "nonsense", "-h"];
        let all = words.map(|word| format!("<{word}>")).concat();
        call(host.shim("p"), &words).succeeded().prints(&all);
        let missing = call(host.shim("q"), &["--help"]).refused(126);
        missing.says("ERROR: Plugin 'q' not found in whitelist");
        // The whitelist's location may stand in the configuration alone.
        let (whitelist, log) = (host.whitelist(), host.audit_log());
        host.write(
            "config.yaml",
            &format!("whitelist: {whitelist:?}\naudit: {{ log_file: {log:?} }}\n"),
        );
        let mut command = host.command(host.path("bin/p"));
        command.env("SECURE_EXEC_CONFIG", host.path("config.yaml"));
        command.arg("x");
        run(command, b"").succeeded().prints("<x>");
    }
}

/// Prints the name that it was called by, and where its file is.
const NAMED: &str = r#"#include <stdio.h>
#include <stdlib.h>
int main(int n, char **a) { return printf("%s %s", a[0], getenv("SECURE_EXEC_PLUGIN_PATH")) < 0; }"#;

#[test]
fn a_plugin_is_told_the_name_that_the_host_used() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("multi", program::c(NAMED));
        host.list("multi", &[]);
        let link = host.path("plugins/check_imap");
        std::os::unix::fs::symlink("multi", &link).unwrap();
        let hash = digest(&link);
        host.list_path("check_imap", &link.to_string_lossy(), &hash, &[]);
        host.list_path("relative", "plugins/check_imap", &hash, &[]);
        let named = ["argv0: busybox"];
        host.list_path("named", "plugins/multi", &hash, &named);
        let real = host.path("plugins/multi").display().to_string();
        let link = link.display().to_string();
        for (plugin, name) in [
            ("multi", &*real),
            ("check_imap", &link),
            ("relative", &link),
            ("named", "busybox"),
        ] {
            let told = format!("{name} {real}");
            host.launch(plugin).run().succeeded().prints(&told);
        }
        // By the path of a shim, and by its name alone.
        for plugin in ["check_imap", "named"] {
            let shim = host.shim(plugin);
            let mut command = host.command(&shim);
            command.envs(host.shim_variables());
            let told = format!("{} {real}", shim.display());
            run(command, b"").succeeded().prints(&told);
        }
        let unlisted = host.launch(&real).policy("permissive").run();
        unlisted.prints(&format!("{real} {real}"));
    }
}

#[test]
fn the_plugins_status_is_the_launchers_also_by_signal() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "[ \"$1\" = kill ] && kill -s \"$2\" $$; exit \"$2\"");
        host.list("p", &[]);
        let status = |words: [&str; 2]| {
            let mut command = host.launch("p").args(words).command();
            command.stdin(Stdio::null()).status().unwrap()
        };
        for code in ["0", "1", "125", "126", "127", "255"] {
            let number = code.parse().unwrap();
            assert_eq!(status(["exit", code]).code(), Some(number));
        }
        for (name, number) in [("TERM", 15), ("KILL", 9), ("PIPE", 13), ("SEGV", 11)] {
            assert_eq!(status(["kill", name]).signal(), Some(number), "{name}");
        }
    }
}

#[test]
fn standard_streams_go_through_untouched() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("cat", "/bin/cat");
        host.list("cat", &[]);
        let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let outcome = host.launch("cat").stdin(&bytes).run().succeeded();
        assert!(outcome.raw == bytes, "other bytes came back");
        assert_eq!(outcome.stderr, "");
        host.install_sh("both", "echo out; echo err >&2");
        host.list("both", &[]);
        let outcome = host.launch("both").run().succeeded();
        assert_eq!((&*outcome.stdout, &*outcome.stderr), ("out\n", "err\n"));
    }
}

#[test]
fn what_is_wrong_with_the_launcher_itself_is_125() {
    for user in EVERYONE {
        let host = teller(user);
        let launch = || host.launch("p");
        let broken = host.write("broken.yaml", "policy: strict\nno_such_key: 1\n");
        let folder = host.folder("state/log");
        for (outcome, message) in [
            (launch().option("--nonsense").run(), "--nonsense"),
            (launch().policy("Strict").run(), "'Strict' is no policy"),
            (
                launch().env("SECURE_EXEC_POLICY", "off").run(),
                "'off' is no policy",
            ),
            (
                launch().option("--json").run(),
                "--json goes with --dry-run",
            ),
            (
                launch().option("--supervise").run(),
                "not part of this version",
            ),
            (launch().profile("none").run(), "there is no profile 'none'"),
            (
                launch().option("--config").option(&broken).run(),
                "broken.yaml:2:1",
            ),
            (
                launch().whitelist("/nonexistent/whitelist").run(),
                "Name another with --whitelist",
            ),
            (
                launch().option("--audit-log").option(&folder).run(),
                "audit log",
            ),
            (
                launch().option("--ready-fd").option("1").run(),
                "no descriptor above 2",
            ),
            (
                launch().option("--ready-fd").option("77").run(),
                "77 is not open",
            ),
            (host.bare(host.launcher(), &[]), "no PLUGIN given"),
        ] {
            outcome.refused(125).says(message);
        }
    }
}

#[test]
fn a_plugin_that_is_refused_or_can_t_be_executed_is_126() {
    for user in EVERYONE {
        let mut host = teller(user);
        host.launch("new-service")
            .run()
            .refused(126)
            .says("ERROR: Plugin 'new-service' not found in whitelist\n");
        host.install("text", "no program\n");
        // The same program, said to be for another machine, or no program.
        let with = |offset: usize, byte: u8| {
            let mut bytes = std::fs::read("/bin/true").unwrap();
            bytes[offset] = byte;
            bytes
        };
        host.install("machine", with(18, 0x08));
        host.install("core", with(16, 4));
        host.list("text", &[])
            .list("machine", &[])
            .list("core", &[]);
        for (name, message) in [
            ("text", "it is neither an ELF program nor a script"),
            ("machine", "the plugin is no 64-bit program for"),
            ("core", "'core'"),
        ] {
            host.launch(name).run().refused(126).says(message);
        }
        let hash = digest(&host.path("plugins/p"));
        let changed = host.install_sh("p", "echo changed");
        host.launch("p").run().refused(126).says(&format!(
            "ERROR: Plugin hash mismatch for 'p'\nExpected: {hash}\nActual:   {}\nIf you updated",
            digest(&changed)
        ));
    }
}

#[test]
fn a_plugin_that_does_not_exist_is_127() {
    for user in EVERYONE {
        let mut host = teller(user);
        let hash = digest(&host.path("plugins/p"));
        host.list_path("gone", "./plugins/gone", &hash, &[]);
        host.launch("gone").run().refused(127).says(&format!(
            "ERROR: Plugin 'gone' does not exist at '{}'\nPut the plugin there",
            host.path("./plugins/gone").display()
        ));
        assert_eq!(host.record("plugin_exited")["result"], "blocked");
    }
}

#[test]
fn the_ready_descriptor_ends_when_the_plugin_runs() {
    let mut host = Host::new();
    host.install_copy(
        "cat",
        program::c(
            "#include <unistd.h>\nint main(void) { char c; return read(0, &c, 1) == 1 ? c : 1; }",
        ),
    );
    host.list("cat", &[]);
    let ready = host.path("ready");
    assert!(
        Command::new("mkfifo")
            .arg(&ready)
            .status()
            .unwrap()
            .success()
    );
    let launch = host
        .launch("cat")
        .option("--ready-fd")
        .option("9")
        .command();
    let mut child = with_ready(&host, &launch, &ready)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    // Reading ends though the plugin still runs: it waits for its input.
    let mut told = String::new();
    let mut pipe = std::fs::File::open(&ready).unwrap();
    pipe.read_to_string(&mut told).unwrap();
    assert_eq!(told, "");
    assert!(child.try_wait().unwrap().is_none());
    child.stdin.take().unwrap().write_all(b"*").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(i32::from(b'*')));
}

#[test]
fn the_ready_descriptor_gets_one_json_line_when_the_plugin_does_not_run() {
    let mut host = teller(User::Root);
    let hash = digest(&host.path("plugins/p"));
    host.list_path("gone", "./plugins/gone", &hash, &[]);
    host.list_path("other", "./plugins/p", &"0".repeat(64), &[]);
    let ready = host.path("ready");
    let option = |name: &str| host.launch(name).option("--ready-fd").option("9");
    for (launch, status, violation) in [
        (option("other"), 126, Value::from("hash_mismatch")),
        (option("absent"), 126, Value::from("plugin_not_whitelisted")),
        (option("gone"), 127, Value::Null),
        (
            option("p").whitelist("/nonexistent/whitelist"),
            125,
            Value::Null,
        ),
        (option("p").policy("nonsense"), 125, Value::Null),
        (option("p").option("--dry-run"), 125, Value::Null),
    ] {
        let outcome = run(with_ready(&host, &launch.command(), &ready), b"").refused(status);
        let told = std::fs::read_to_string(&ready).unwrap();
        assert_eq!(told.matches('\n').count(), 1, "{told}");
        let line: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(line["result"], "blocked");
        assert_eq!(line["exit_status"], status);
        assert_eq!(line["violation_type"], violation);
        assert_eq!(line["message"], outcome.stderr.trim_end());
    }
    // One that is not open is a mistake, whatever opens under its number.
    let records = host.records().len();
    let launch = host.launch("other").option("--ready-fd").option("3");
    launch.run().refused(125).says("descriptor 3 is not open");
    assert_eq!(host.records().len(), records);
}

#[test]
fn quiet_says_no_warning_and_verbose_says_what_is_done() {
    for user in EVERYONE {
        let host = teller(user);
        host.install_sh("p", "echo changed");
        let permissive = || host.launch("p").policy("permissive");
        let outcome = permissive()
            .run()
            .succeeded()
            .says("WARNING: hash_mismatch");
        assert_eq!(outcome.stdout, "changed\n");
        let outcome = permissive().option("--quiet").run().succeeded();
        assert_eq!((&*outcome.stdout, &*outcome.stderr), ("changed\n", ""));
        let outcome = permissive().option("-v").run().succeeded();
        outcome
            .says("secure-exec: policy permissive, profile default\n")
            .says("secure-exec: confining and executing\n")
            .prints("changed\n");
        // An error is no warning.
        host.launch("p").option("--quiet").run().refused(126);
    }
}
