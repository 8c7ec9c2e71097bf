//! What a plugin may execute after the launch, and what it is told of the rest.

use crate::kit::{EVERYONE, Host, open_to_all, program};

const ISOLATIONS: [&str; 2] = ["process", "namespaces"];

/// Executes what its arguments say, and prints why that failed.
const EXEC: &str = r#"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
int main(int count, char **words) {
    execv(words[1], words + 1);
    printf("%d\n", errno);
    return errno == ENOENT ? 127 : 126;
}
"#;

const ENOENT: &str = "2\n";
const EACCES: &str = "13\n";

fn profile(isolation: &str, execute: &str) -> String {
    format!("profile: {{ isolation: {isolation}, filesystem: {{ execute: [{execute}] }} }}")
}

#[test]
fn a_static_plugin_executes_a_dynamic_program_that_it_was_granted() {
    for (user, isolation) in EVERYONE
        .into_iter()
        .flat_map(|u| ISOLATIONS.map(|i| (u, i)))
    {
        let mut host = Host::of(user);
        let plugin = host.install_copy("p", program::static_c(EXEC));
        let bare = host.bare(&plugin, &["/bin/echo", "ran"]).succeeded();
        assert_eq!(bare.stdout, "ran\n");
        // By its own path, by a link's, and with all of its folder.
        for (at, execute) in ["/bin/echo", "/usr/bin/echo", "/usr/bin"]
            .iter()
            .enumerate()
        {
            let name = format!("p{at}");
            host.install_copy(&name, program::static_c(EXEC));
            host.list(&name, &[&profile(isolation, execute)]);
            let echo = if at == 0 {
                "/bin/echo"
            } else {
                "/usr/bin/echo"
            };
            let ran = host.launch(&name).args([echo, "ran"]).run();
            ran.succeeded().prints("ran\n");
            if at < 2 {
                // Nothing else came with it.
                let other = host.launch(&name).args(["/usr/bin/printf", "ran"]).run();
                let answer = if isolation == "process" {
                    EACCES
                } else {
                    ENOENT
                };
                other.prints(answer);
            }
        }
    }
}

/// A loader that others than root can change is none that comes by itself.
#[test]
fn a_loader_of_somebody_elses_does_not_come_with_a_grant() {
    let mut host = Host::new();
    let loader = host.install_copy("ld.so", "/lib64/ld-linux-x86-64.so.2");
    open_to_all(loader.parent().unwrap());
    let words = format!("-Wl,--dynamic-linker={}", loader.display());
    let source = host.write(
        "target.c",
        "#include <stdio.h>\nint main(void) { return puts(\"ran\") < 0; }\n",
    );
    let target = host.path("plugins/target");
    let mut gcc = host.command("gcc");
    gcc.arg(words).arg("-o").arg(&target).arg(source);
    crate::kit::run(gcc, b"").succeeded();
    host.install_copy("p", program::static_c(EXEC));
    let (target, loader) = (target.to_str().unwrap(), loader.to_str().unwrap());
    host.list("p", &[&profile("process", target)]);
    // Landlock's answer for the loader is the kernel's for the program.
    host.launch("p").arg(target).run().prints(EACCES);
    host.install_copy("q", program::static_c(EXEC));
    host.list("q", &[&profile("process", &format!("{target}, {loader}"))]);
    host.launch("q")
        .arg(target)
        .run()
        .succeeded()
        .prints("ran\n");
}

/// Without a grant no program is there, be it on the disk or not: so whoever
/// looks for a tool takes it for missing.
#[test]
fn what_is_not_granted_is_told_as_exec_tells_it() {
    for (user, isolation) in EVERYONE
        .into_iter()
        .flat_map(|u| ISOLATIONS.map(|i| (u, i)))
    {
        let mut host = Host::of(user);
        for (name, execute) in [("none", ""), ("one", "/usr/bin/true")] {
            host.install_copy(name, program::c(EXEC));
            host.list(name, &[&profile(isolation, execute)]);
        }
        let answer = |name: &str, target: &str| host.launch(name).arg(target).run().stdout;
        assert_eq!(answer("none", "/usr/bin/printf"), ENOENT);
        assert_eq!(answer("none", "/usr/bin/nosuch"), ENOENT);
        assert_eq!(answer("one", "/usr/bin/nosuch"), ENOENT);
        assert_eq!(answer("one", "/usr/bin/true"), "");
        let hidden = if isolation == "process" {
            EACCES
        } else {
            ENOENT
        };
        assert_eq!(answer("one", "/usr/bin/printf"), hidden);
    }
}

#[test]
fn a_program_that_falls_back_where_a_tool_is_missing_does_so() {
    const SHELL: &str = "git --version 2>/dev/null || echo \"fallback $?\"";
    const PYTHON: &str = r#"#!/usr/bin/python3
import subprocess
try:
    subprocess.run(["git", "--version"])
except FileNotFoundError:
    print("fallback")
"#;
    for (user, isolation) in EVERYONE
        .into_iter()
        .flat_map(|u| ISOLATIONS.map(|i| (u, i)))
    {
        let mut host = Host::of(user);
        host.install_sh("shell", SHELL);
        host.install("python", PYTHON);
        let of = |base: &str| {
            format!(
                "profile: {{ extends: {base}, isolation: {isolation}, processes: {{ fork: true }} }}"
            )
        };
        host.list("shell", &[&of("default")]);
        host.list("python", &[&of("python")]);
        host.launch("shell")
            .run()
            .succeeded()
            .prints("fallback 127\n");
        host.launch("python").run().succeeded().prints("fallback\n");
    }
}
