//! Variables that load code into what the plugin is: the loader's, those of
//! shells and of interpreters. Each hostile file works without the sandbox.

use super::hostile;
use crate::kit::{EVERYONE, Host, User, program, run};

/// Runs the plugin bare and launched, with the same variables.
#[track_caller]
fn variables_reach_the_bare_plugin_only(
    host: &Host,
    profile: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
    stdin: &str,
) {
    let mut bare = host.command(host.path("plugins/p"));
    bare.args(arguments).envs(variables.iter().copied());
    let bare = run(bare, stdin.as_bytes());
    assert!(bare.stdout.contains("hostile"), "{bare:#?}");
    assert!(bare.stdout.contains("plugin"), "{bare:#?}");

    let mut launch = host
        .launch("p")
        .profile(profile)
        .args(arguments)
        .stdin(stdin);
    for (name, value) in variables {
        launch = launch.env(name, value);
    }
    let launched = launch.run().succeeded();
    assert_eq!(launched.stdout, "plugin\n", "{launched:#?}");
}

#[test]
fn the_dynamic_loader_loads_nothing_of_the_callers() {
    for user in EVERYONE {
        let host = loader(user);
        let library = text(&host, "libhostile.so");
        let folder = text(&host, "");
        for variables in [
            [("LD_PRELOAD", &*library)],
            [("LD_AUDIT", &library)],
            [("LD_LIBRARY_PATH", &folder)],
        ] {
            variables_reach_the_bare_plugin_only(&host, "default", &["dlopen"], &variables, "");
        }
    }
}

#[test]
fn the_c_library_converts_with_no_module_of_the_callers() {
    for user in EVERYONE {
        let host = loader(user);
        host.write(
            "gconv-modules",
            "module HOSTILE// INTERNAL libhostile 1\nmodule INTERNAL HOSTILE// libhostile 1\n",
        );
        let folder = text(&host, "");
        let variables = [("GCONV_PATH", &*folder)];
        variables_reach_the_bare_plugin_only(&host, "default", &["iconv"], &variables, "");
    }
}

/// A plugin that gives the loader occasions, and a library that speaks up in
/// it: not in the launcher, which is its host's own.
fn loader(user: User) -> Host {
    let mut host = Host::of(user);
    host.install_copy("p", hostile(OCCASIONS));
    host.list("p", &[]);
    let library = host.path("libhostile.so");
    std::fs::copy(program::shared_c(LIBRARY), &library).unwrap();
    host.own(&library);
    host
}

const OCCASIONS: &str = r##"
#include <dlfcn.h>
#include <iconv.h>
int main(int n, char **a) {
    if (!strcmp(a[1], "dlopen")) dlopen("libhostile.so", RTLD_NOW);
    if (!strcmp(a[1], "iconv")) iconv_open("HOSTILE", "UTF-8");
    puts("plugin");
}
"##;

const LIBRARY: &str = r##"
#include <string.h>
#include <unistd.h>
__attribute__((constructor)) static void speak(int n, char **a) {
    const char *name = strrchr(a[0], '/');
    if (name && !strcmp(name, "/p")) write(1, "hostile\n", 8);
}
int gconv_init(void *step) { return 0; }
int gconv(void) { return 0; }
unsigned la_version(unsigned version) { return version; }
"##;

#[test]
fn a_shell_reads_no_start_file_of_the_callers() {
    for user in EVERYONE {
        let host = Host::of(user);
        let start = host.write("start", "echo hostile\n");
        let start = start.to_str().unwrap();
        for (head, name) in [("#!/bin/bash", "BASH_ENV"), ("#!/bin/sh -i", "ENV")] {
            let mut host = Host::of(user);
            host.install("p", format!("{head}\necho plugin\n"));
            host.list("p", &[]);
            variables_reach_the_bare_plugin_only(&host, "default", &[], &[(name, start)], "");
        }
        let mut host = Host::of(user);
        host.install("p", "#!/bin/bash\necho plugin\n");
        host.list("p", &[]);
        let function = [(
            "BASH_FUNC_echo%%",
            "() { builtin echo hostile; builtin echo plugin; }",
        )];
        variables_reach_the_bare_plugin_only(&host, "default", &[], &function, "");
    }
}

#[test]
fn an_interpreter_loads_no_module_of_the_callers() {
    for user in EVERYONE {
        for (profile, script, file, content, variables) in [
            (
                "python",
                "#!/usr/bin/python3\nprint('plugin')\n",
                "sitecustomize.py",
                "print('hostile')\n",
                &[("PYTHONPATH", "{folder}")][..],
            ),
            (
                "node",
                "#!/usr/bin/node\nconsole.log('plugin')\n",
                "hostile.js",
                "console.log('hostile')\n",
                &[("NODE_OPTIONS", "--require={folder}/hostile.js")],
            ),
            (
                "default",
                "#!/usr/bin/perl\nprint \"plugin\\n\";\n",
                "hostile.pm",
                "package hostile; print \"hostile\\n\"; 1;\n",
                &[("PERL5OPT", "-Mhostile"), ("PERL5LIB", "{folder}")],
            ),
        ] {
            let mut host = Host::of(user);
            host.install("p", script);
            host.list("p", &[]);
            host.write(file, content);
            let folder = text(&host, "");
            let variables: Vec<(&str, String)> = variables
                .iter()
                .map(|(name, value)| (*name, value.replace("{folder}", &folder)))
                .collect();
            let variables: Vec<(&str, &str)> = variables
                .iter()
                .map(|(name, value)| (*name, &**value))
                .collect();
            variables_reach_the_bare_plugin_only(&host, profile, &[], &variables, "");
        }
    }
}

#[test]
fn an_interactive_python_runs_no_start_file_of_the_callers() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let start = host.write("start.py", "print('hostile')\n");
        host.install_copy("p", "/usr/bin/python3");
        host.list("p", &[]);
        let variables = [("PYTHONSTARTUP", start.to_str().unwrap())];
        variables_reach_the_bare_plugin_only(
            &host,
            "python",
            &["-i"],
            &variables,
            "print('plugin')\n",
        );
    }
}

/// Variables that lead programs of some kind to code: by a search path, by
/// options, by the name of a module or a program.
const STEERING: [&str; 11] = [
    "TCLLIBPATH",
    "GEM_PATH",
    "ERL_FLAGS",
    "GTK_MODULES",
    "GIT_EXEC_PATH",
    "QT_PLUGIN_PATH",
    "PAGER",
    "KUBECONFIG",
    "NCCL_NET_PLUGIN",
    "MCP_MODULE_DIR",
    "PLUGIN_DIR",
];

#[test]
fn no_shipped_profile_passes_what_it_does_not_know() {
    let profiles = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", program::static_c(VARIABLES));
        host.set("allow_unconfined: true").list("p", &[]);
        let mut bare = host.command(host.path("plugins/p"));
        bare.envs(STEERING.map(|name| (name, "hostile")));
        let bare = run(bare, b"");
        assert_eq!(bare.stdout.matches("=hostile").count(), STEERING.len());
        for file in std::fs::read_dir(&profiles).unwrap() {
            let file = file.unwrap().path();
            let name = file.file_stem().unwrap().to_str().unwrap();
            if ["cni", "apt-method"].contains(&name) && user == User::Ordinary {
                // They keep capabilities of root's, and become another user.
                continue;
            }
            let mut launch = host.launch("p").profile(name).policy("permissive");
            for name in STEERING {
                launch = launch.env(name, "hostile");
            }
            let launched = launch.run().succeeded();
            assert!(launched.stdout.contains("PATH="), "{name}: {launched:#?}");
            assert!(
                !launched.stdout.contains("hostile"),
                "{name}: {launched:#?}"
            );
        }
    }
}

#[test]
fn a_pattern_that_could_take_them_is_no_profile() {
    let host = loader(User::Root);
    for pattern in ["*", "G*", "TCL*", "*_PATH", "GIT_*", "GTK_*", "*R"] {
        host.profile("wide", &format!("environment: {{ pass: [\"{pattern}\"] }}"));
        let refused = host.launch("p").profile("wide").run().refused(125);
        refused.says(&format!("'{pattern}'")).says("in full");
    }
    host.profile("full", "environment: { pass: [GIT_EXEC_PATH, \"APP_*\"] }");
    host.launch("p")
        .profile("full")
        .arg("none")
        .run()
        .succeeded();
}

const VARIABLES: &str = r##"
#include <stdio.h>
extern char **environ;
int main(void) {
    for (char **variable = environ; *variable; variable++) puts(*variable);
    return 0;
}
"##;

/// A path in the host's folder, as text.
fn text(host: &Host, name: &str) -> String {
    host.path(name)
        .to_str()
        .unwrap()
        .trim_end_matches('/')
        .into()
}
