//! That every kind of plugin runs, and what is told of it.

use serde_json::Value;

use super::{WAITS, install};
use crate::kit::{EVERYONE, Host, User, digest, program, with_ready};

const SAYS_HELLO: &str = r#"#include <stdio.h>
int main(void) { puts("hello"); return 7; }"#;

/// More than a megabyte.
const LARGE: &str = r#"#include <stdio.h>
static volatile char much[1 << 20] = { 1 };
int main(void) { printf("hello%.0d\n", much[1]); return 7; }"#;

#[test]
fn programs_run_copied_and_leased_dynamic_and_static() {
    for user in EVERYONE {
        let in_place = if user.is_root() { "guarded" } else { "leased" };
        for (source, image, strength) in [
            (SAYS_HELLO, "sealed", "sealed"),
            (LARGE, "in-place", "leased"),
            (SAYS_HELLO, "auto", in_place),
        ] {
            for program in [program::c(source), program::static_c(source)] {
                let mut host = install(user, program, "");
                let image = format!("image: {image}");
                again(&mut host, &image);
                let outcome = host.launch("again").run();
                assert_eq!((outcome.status, &*outcome.stderr), (7, ""), "{outcome:?}");
                assert!(outcome.stdout.starts_with("hello"), "{outcome:?}");
                let record = host.record("sandbox_applied");
                assert_eq!(record["image"], strength, "{record}");
            }
        }
    }
}

#[test]
fn the_record_says_what_was_made_and_what_is_proved() {
    for user in EVERYONE {
        let host = install(user, program::c(SAYS_HELLO), "");
        host.launch("namespaces").run();
        let sandbox = host.record("sandbox_applied")["sandbox"].clone();
        assert_eq!(sandbox["enforcement"], "full");
        let mut kinds = vec!["mount", "pid", "ipc", "uts", "cgroup", "network"];
        if user == User::Ordinary {
            kinds.insert(0, "user");
        }
        assert_eq!(sandbox["namespaces"], serde_json::json!(kinds));
        assert_eq!(sandbox["network"], "own");
        let list = |key: &str| -> Vec<String> {
            let values = sandbox[key].as_array().unwrap().iter();
            values
                .map(|value| value.as_str().unwrap().to_string())
                .collect()
        };
        let has =
            |key: &str, text: &str| assert!(list(key).iter().any(|one| one == text), "{sandbox}");
        has(
            "mounts",
            "/proc ro,nosuid,nodev,noexec,hidepid=ptraceable,subset=pid",
        );
        has("mounts", "/dev/null ro,nosuid,noexec");
        has("mounts", "/lib64 ro,nosuid,nodev");
        for control in ["files", "network", "exec", "namespaces", "root"] {
            has("proven", control);
        }
        host.launch("process").run();
        assert_eq!(
            host.record("sandbox_applied")["sandbox"]["namespaces"],
            Value::Null
        );
    }
}

#[test]
fn the_plan_shows_the_namespaces_before_all_that_is_done_in_them() {
    let host = install(User::Ordinary, program::c(SAYS_HELLO), "");
    let shown = host
        .launch("namespaces")
        .option("--dry-run")
        .option("--json")
        .run()
        .succeeded();
    let plan: Value = serde_json::from_str(&shown.stdout).unwrap();
    let steps = plan["plan"].as_array().unwrap();
    assert_eq!(steps[1]["step"], "inherited");
    assert_eq!(steps[2]["step"], "namespaces");
    assert_eq!(steps[2]["kinds"][0], "user");
    let mounts = steps[2]["mounts"].as_array().unwrap();
    assert!(mounts.contains(&serde_json::json!({
        "path": "/dev/null", "attributes": "ro,nosuid,noexec", "optional": true,
    })));
    let text = host
        .launch("namespaces")
        .option("--dry-run")
        .run()
        .succeeded();
    assert!(
        text.stdout
            .contains("namespaces, in a user namespace: user mount pid"),
        "{text:?}"
    );
}

#[test]
fn scripts_run_with_their_interpreter() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.profile("p", "isolation: namespaces");
        host.install_sh(
            "p",
            "echo \"$1 $$\"; echo lost > /dev/null || exit 6; exit 5",
        );
        host.list("p", &["profile: p"]);
        let outcome = host.launch("p").arg("hello").run();
        assert_eq!(
            (outcome.status, &*outcome.stdout),
            (5, "hello 2\n"),
            "{outcome:?}"
        );
    }
}

#[test]
fn python_runs_with_its_standard_library() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.profile("p", "extends: python\nisolation: namespaces");
        host.install(
            "p",
            "#!/usr/bin/python3\nimport json, os, ssl, subprocess, decimal\n\
             child = os.fork()\n\
             if child == 0: os._exit(4)\n\
             status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n\
             print(json.dumps([os.getpid(), status, os.path.exists('/etc/passwd')]))\n",
        );
        host.list("p", &["profile: p"]);
        host.launch("p").run().succeeded().prints("[2, 4, false]\n");
    }
}

#[test]
fn a_profile_that_grants_execute_executes_within_its_root() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.profile(
            "p",
            "isolation: namespaces\nfilesystem: { execute: [/usr/bin/id] }\nprocesses: { fork: true }",
        );
        host.install_sh("p", "/usr/bin/id -u; /usr/bin/env");
        host.list("p", &["profile: p"]);
        let outcome = host.launch("p").run();
        let id = if user == User::Root {
            0
        } else {
            crate::kit::ORDINARY
        };
        assert_eq!(outcome.stdout, format!("{id}\n"), "{outcome:?}");
        assert_eq!(outcome.status, 127, "{outcome:?}");
    }
}

#[test]
fn of_libraries_the_pinned_ones_alone_can_be_read() {
    // It runs bare with another status: there the file can be opened.
    let source = r#"#include <errno.h>
    #include <fcntl.h>
    int main(void) {
        int file = open("/lib/x86_64-linux-gnu/libm.so.6", O_RDONLY);
        return file < 0 && errno == EACCES ? 7 : 1;
    }"#;
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.profile("p", "isolation: namespaces");
        let plugin = host.install_copy("p", program::c(source));
        assert_eq!(host.bare(plugin, &[]).status, 1);
        let libraries = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        let mut lines = String::from("profile: p\nlibraries:\n");
        for path in libraries {
            let hash = crate::kit::digest(path.as_ref());
            lines.push_str(&format!("  - path: {path}\n    hash: {hash}\n"));
        }
        host.list("p", &[&lines]);
        let outcome = host.launch("p").run();
        assert_eq!(outcome.status, 7, "{outcome:?}");
        let sandbox = host.record("sandbox_applied")["sandbox"].clone();
        let mounts = sandbox["mounts"].to_string();
        for path in libraries {
            assert!(
                mounts.contains(&format!("\"{path} ro,nosuid,nodev\"")),
                "{mounts}"
            );
        }
    }
}

#[test]
fn the_callers_folder_is_kept_where_the_plugin_has_it() {
    let source = r#"#include <stdio.h>
    #include <unistd.h>
    int main(void) { char path[4096]; puts(getcwd(path, sizeof path)); return 0; }"#;
    for user in EVERYONE {
        let mut host = install(user, program::static_c(source), "");
        again(&mut host, "image: sealed");
        host.launch("again").run().succeeded().prints("/\n");
        let folder = host.path("plugins");
        let grants = format!("isolation: namespaces\nfilesystem: {{ read: [{folder:?}] }}");
        host.profile("namespaces", &grants);
        let mut command = host.launch("namespaces").command();
        command.current_dir(&folder);
        let shown = format!("{}\n", folder.display());
        crate::kit::run(command, b"").succeeded().prints(&shown);
    }
}

#[test]
fn the_ready_descriptor_ends_when_the_plugin_runs_not_when_it_ends() {
    for user in EVERYONE {
        let host = install(user, program::static_c(WAITS), "");
        let fifo = host.path("ready");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        host.own(&fifo);
        let launch = host.launch("namespaces").option("--ready-fd").option("9");
        let mut command = with_ready(&host, &launch.command(), &fifo);
        let mut child = command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Reading it ends while the plugin waits for the end of its input.
        assert_eq!(std::fs::read_to_string(&fifo).unwrap(), "");
        drop(child.stdin.take());
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }
}

#[test]
fn the_ready_descriptor_tells_of_a_failure_inside() {
    for user in EVERYONE {
        let host = install(user, program::static_c(WAITS), "");
        host.profile(
            "namespaces",
            "isolation: namespaces\nworking_directory: /absent",
        );
        let ready = host.write("ready", "");
        let launch = host.launch("namespaces").option("--ready-fd").option("9");
        let outcome = crate::kit::run(with_ready(&host, &launch.command(), &ready), b"");
        outcome.refused(125).says("/absent");
        let told = std::fs::read_to_string(&ready).unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(
            (&told["result"], &told["exit_status"]),
            (&"blocked".into(), &125.into())
        );
    }
}

#[test]
fn a_capability_that_is_kept_is_one_of_the_system() {
    let source = r#"#include <stdio.h>
    #include <string.h>
    int main(void) {
        char line[256];
        FILE *status = fopen("/proc/self/status", "r");
        while (status && fgets(line, sizeof line, status))
            if (!strncmp(line, "CapEff:", 7)) fputs(line, stdout);
        return !status;
    }"#;
    let grants =
        "filesystem: { read: [/proc/self] }\ncapabilities: { keep: [CAP_NET_BIND_SERVICE] }";
    let host = install(User::Root, program::static_c(source), grants);
    host.launch("namespaces")
        .run()
        .succeeded()
        .prints("CapEff:\t0000000000000400\n");
}

#[test]
fn a_program_that_the_kernel_refuses_is_reported_from_inside() {
    for user in EVERYONE {
        let mut host = install(user, program::static_c(WAITS), "");
        let mut bytes = std::fs::read(program::static_c(WAITS)).unwrap();
        // No program headers (`e_phnum`): the kernel finds nothing to load.
        bytes[56..58].fill(0);
        host.install("broken", bytes);
        host.list("broken", &["profile: namespaces"]);
        let ready = host.write("ready", "");
        let launch = host.launch("broken").option("--ready-fd").option("9");
        let outcome = crate::kit::run(with_ready(&host, &launch.command(), &ready), b"");
        outcome.refused(126).says("could not be executed");
        let told: Value = serde_json::from_str(&std::fs::read_to_string(&ready).unwrap()).unwrap();
        assert_eq!(told["exit_status"], 126);
        assert_eq!(host.record("plugin_exited")["result"], "blocked");
    }
}

/// Lists the same program once more, with another line in its entry.
fn again(host: &mut Host, line: &str) {
    let hash = digest(&host.path("plugins/namespaces"));
    let more = [line, "profile: namespaces"];
    host.list_path("again", "./plugins/namespaces", &hash, &more);
}
