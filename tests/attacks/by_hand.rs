//! An interpreter that is given its program by hand: between hash and run, and
//! by every name that leads to other code than the verified.

use super::identity::{BEFORE_EXEC, show};
use super::interloper::strike;
use crate::kit::{EVERYONE, Host, User, digest};

const SHELL: &str = "/bin/dash";

/// A shell as the plugin, with the program "run" in its arguments and "evil"
/// beside it.
fn host(user: User, isolation: &str, pinned: &str) -> Host {
    let mut host = Host::of(user);
    let run = host.write("plugins/run", "echo verified\n");
    host.write("plugins/evil", "echo evil\n");
    let hash = digest(&run);
    let pin = match pinned {
        "script" => format!("script: {{ path: {run:?}, hash: {hash:?} }}"),
        _ => {
            let system = [
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib64/ld-linux-x86-64.so.2",
            ];
            let mut pins = format!("libraries: [{{ path: {run:?}, hash: {hash:?} }}");
            for path in system {
                pins += &format!(", {{ path: {path:?}, hash: {:?} }}", digest(path.as_ref()));
            }
            pins + "]"
        }
    };
    let folder = host.path("plugins");
    let profile =
        format!("profile: {{ isolation: {isolation}, filesystem: {{ code: [{folder:?}] }} }}");
    let args = format!("args: [{run:?}]");
    host.list_path(
        "p",
        SHELL,
        &digest(SHELL.as_ref()),
        &[&args, &pin, &profile],
    );
    host
}

/// What the host does without secure-exec: it hashes, and runs by name.
fn naive(host: &Host, strike: &str) {
    let run = show(host, "run");
    let script = format!("sha256sum {run} >&2 && {{ {strike}; }} && exec {SHELL} {run}");
    host.bare("/bin/sh", &["-c", &script])
        .succeeded()
        .prints("evil\n");
}

fn strikes(host: &Host) -> [String; 3] {
    let (run, evil) = (show(host, "run"), show(host, "evil"));
    [
        format!("mv {evil} {run}"),
        format!("cat {evil} > {run}"),
        format!("rm {run}; ln -s {evil} {run}"),
    ]
}

#[test]
fn a_script_that_is_swapped_or_written_after_its_hash_runs_as_it_was_verified() {
    for user in EVERYONE {
        for isolation in ["process", "namespaces"] {
            for at in 0..3 {
                let bare = host(user, isolation, "script");
                naive(&bare, &strikes(&bare)[at]);

                let mut host = host(user, isolation, "script");
                // A guarded one is root's, who may do as he likes.
                host.set("image_minimum: leased");
                host.launch("p").run().succeeded().prints("verified\n");
                let strike_now = &strikes(&host)[at];
                let outcome = strike(&host, BEFORE_EXEC, strike_now, &host.launch("p"));
                outcome.succeeded().prints("verified\n");
                let outcome = host.launch("p").run().refused(126);
                outcome.says("library_mismatch");
            }
        }
    }
}

#[test]
fn a_pinned_argument_that_is_swapped_after_its_hash_is_not_run() {
    for user in EVERYONE {
        for isolation in ["process", "namespaces"] {
            for at in [0, 2] {
                let bare = host(user, isolation, "libraries");
                naive(&bare, &strikes(&bare)[at]);

                let host = host(user, isolation, "libraries");
                host.launch("p").run().succeeded().prints("verified\n");
                let strike_now = &strikes(&host)[at];
                let outcome = strike(&host, BEFORE_EXEC, strike_now, &host.launch("p"));
                assert!(!outcome.stdout.contains("evil"), "{outcome:#?}");
                host.launch("p").run().refused(126).says("library_mismatch");
            }
        }
    }
}

#[test]
fn code_by_other_names_than_the_pinned_one_is_refused() {
    for user in EVERYONE {
        let host = host(user, "process", "script");
        let (run, evil) = (host.path("plugins/run"), host.path("plugins/evil"));
        std::os::unix::fs::symlink(&evil, host.path("plugins/link")).unwrap();
        std::fs::hard_link(&evil, host.path("plugins/hard")).unwrap();
        let text = std::fs::read_to_string(host.whitelist()).unwrap();
        let old = format!("args: [{run:?}]");
        assert!(text.contains(&old));
        for name in ["link", "hard", "../plugins/evil", "run/../evil", "./evil"] {
            let path = host.path("plugins").join(name);
            let bare = host.bare(SHELL, &[path.to_str().unwrap()]);
            // A file is no folder, also on the way.
            if name != "run/../evil" {
                bare.succeeded().prints("evil\n");
            }
            for args in [
                format!("args: [{path:?}, {run:?}]"),
                format!("args: [-e, --, {path:?}, {run:?}]"),
            ] {
                host.write("plugins.whitelist", &text.replace(&old, &args));
                let outcome = host.launch("p").run().refused(126);
                outcome.says("library_mismatch");
            }
        }
    }
}

/// An interpreter within a command: it is another program's first word.
#[test]
fn a_command_within_a_command_runs_pinned_code_alone() {
    for user in EVERYONE {
        for (program, before) in [
            ("/bin/busybox", "sh"),
            ("/usr/bin/env", "/bin/dash"),
            ("/usr/bin/env", "-i, A=b, nice, -n, '1', sh"),
            ("/usr/bin/nice", "-n, '1', /bin/dash"),
        ] {
            let mut host = Host::of(user);
            let run = host.write("plugins/run", "echo verified\n");
            let words = before.replace(['\'', ','], "");
            let words: Vec<&str> = words.split(' ').chain(run.to_str()).collect();
            let bare = host.bare(program, &words).succeeded();
            bare.prints("verified\n");
            let args = format!("args: [{before}, {run:?}]");
            let folder = host.path("plugins");
            let grants = "execute: ['/bin', '/usr/bin']";
            let profile = format!("profile: {{ filesystem: {{ {grants}, code: [{folder:?}] }} }}");
            let pin = format!("script: {{ path: {run:?}, hash: {:?} }}", digest(&run));
            let hash = digest(program.as_ref());
            host.list_path("bare", program, &hash, &[&args, &profile]);
            host.list_path("pinned", program, &hash, &[&args, &profile, &pin]);
            let refused = host.launch("bare").run().refused(126);
            refused.says("library_mismatch").says("nothing pins");
            let ran = host.launch("pinned").run().succeeded();
            ran.prints("verified\n");
            host.write("plugins/run", "echo evil\n");
            host.launch("pinned").run().refused(126);
        }
    }
}

/// The host calls the launcher's link, and the plugin is told that name.
#[test]
fn one_of_many_by_its_links_name_runs_pinned_code_alone() {
    let mut host = Host::new();
    let run = host.write("plugins/run", "echo verified\n");
    let args = format!("args: [{run:?}]");
    let program = "/bin/busybox";
    host.list_path("sh", program, &digest(program.as_ref()), &[&args]);
    let mut command = host.command(host.shim("sh"));
    command.envs(host.shim_variables());
    run_refused(command);
}

fn run_refused(command: std::process::Command) {
    let refused = crate::kit::run(command, b"").refused(126);
    refused.says("library_mismatch").says("nothing pins");
}
