//! `isolation: namespaces`: what a plugin still sees, who waits for it, and
//! what happens where namespaces can't be made.

mod apart;
mod counted;
mod launch;
mod linked;
mod memory;
mod mounts;
mod processes;
mod refused;
mod sockets;
mod temporary;
mod view;

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::kit::{Host, Launch, Outcome, User, run};

/// Both kinds of isolation, the one without namespaces first.
const BOTH: [&str; 2] = ["process", "namespaces"];

/// Installs a program under both kinds of isolation, as the plugins `process`
/// and `namespaces`. `grants` is YAML of the profile.
fn install(user: User, program: PathBuf, grants: &str) -> Host {
    let mut host = Host::of(user);
    for isolation in BOTH {
        host.profile(isolation, &format!("isolation: {isolation}\n{grants}"));
        host.install_copy(isolation, &program);
        host.list(isolation, &[&format!("profile: {isolation}")]);
    }
    host
}

/// A launch that runs while the test looks at it.
struct Running {
    launcher: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(launch: Launch<'_>) -> Self {
        Self::of(launch.command())
    }

    fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut launcher = command.spawn().unwrap();
        Self {
            stdin: launcher.stdin.take(),
            stdout: BufReader::new(launcher.stdout.take().unwrap()),
            launcher,
        }
    }

    /// The next line of its standard output; empty at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_string()
    }

    /// Gives it something on its standard input.
    fn write(&mut self, bytes: &[u8]) {
        std::io::Write::write_all(self.stdin.as_mut().unwrap(), bytes).unwrap();
    }

    /// Launcher, first process of the namespaces, plugin.
    fn processes(&self) -> [u32; 3] {
        let launcher = self.launcher.id();
        let first = child_of(launcher);
        [launcher, first, child_of(first)]
    }

    /// Ends its standard input and waits.
    fn finish(mut self) -> i32 {
        drop(self.stdin.take());
        self.launcher.wait().unwrap().code().unwrap()
    }
}

fn child_of(parent: u32) -> u32 {
    let path = format!("/proc/{parent}/task/{parent}/children");
    std::fs::read_to_string(path)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

/// Runs a command of this host's machine.
fn tool(words: &[&str]) -> Outcome {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    run(command, b"")
}

/// Calls stat(2) on each argument and prints 0 or the error's number.
const STATS: &str = r#"#include <stdio.h>
#include <errno.h>
#include <sys/stat.h>
int main(int n, char **a) {
    struct stat found;
    for (int i = 1; i < n; i++)
        printf("%d ", stat(a[i], &found) ? errno : 0);
    return 0;
}"#;

/// Prints a word, and lives until its standard input ends.
const WAITS: &str = r#"#include <stdio.h>
#include <unistd.h>
int main(void) {
    char byte;
    puts("ready");
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {}
    return 7;
}"#;
