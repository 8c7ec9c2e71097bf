//! Attack classes, each shown to work without the sandbox first.

mod descriptors;
mod environment;
mod exec;
mod files;
mod identity;
mod interloper;
mod kernel;
mod legitimate;
mod paths;
mod processes;
mod sockets;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::kit::{Host, Outcome, program};

/// Head of the hostile programs: `TRY(name, call)` makes an attempt and prints
/// "name: ok", or the name of the error.
const PRELUDE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>

__attribute__((unused)) static void tell(const char *what, long answer) {
    printf("%s: %s\n", what, answer < 0 ? strerrorname_np(errno) : "ok");
    fflush(stdout);
}
#define TRY(what, call) do { errno = 0; tell(what, (long)(call)); } while (0)
"#;

/// Builds a hostile program.
fn hostile(body: &str) -> PathBuf {
    program::c(&format!("{PRELUDE}{body}"))
}

/// A command that has another program start the launcher.
fn behind(
    host: &Host,
    program: impl AsRef<OsStr>,
    arguments: &[&str],
    launch: &Command,
) -> Command {
    let mut command = host.command(program);
    command.args(arguments);
    command.arg(launch.get_program()).args(launch.get_args());
    for (name, value) in launch.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
}

/// A profile like `default` with the folder "in" to read and "out" to write.
fn boxed(host: &Host, name: &str, more: &str) {
    for folder in ["in", "out", "outside"] {
        if !host.path(folder).exists() {
            host.folder(folder);
        }
    }
    let (read, write) = (host.path("in"), host.path("out"));
    let files = format!("filesystem: {{ read: [{read:?}], write: [{write:?}] }}");
    host.profile(name, &format!("{files}\n{more}"));
}

/// A process of the same user that does nothing but wait for its end, in a
/// process group of its own.
struct Outsider {
    child: Child,
    /// Where in its memory a secret lies.
    secret: String,
}

impl Outsider {
    fn of(host: &Host) -> Self {
        let program = host.path("bin/outsider");
        if !program.exists() {
            std::fs::copy(hostile(OUTSIDER), &program).unwrap();
        }
        let mut command = host.command(program);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.process_group(0);
        let mut child = command.spawn().unwrap();
        let mut secret = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut secret).unwrap();
        let secret = secret.trim().to_string();
        Self { child, secret }
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Lets it end, and tells whether nothing else ended it: a signal that was
    /// sent by now arrives before the end of its input.
    fn was_left_alone(mut self) -> bool {
        drop(self.child.stdin.take());
        self.child.wait().unwrap().success()
    }
}

const OUTSIDER: &str = r#"
static char secret[8] = "secret";
int main(void) {
    char byte;
    printf("%lu\n", (unsigned long)secret);
    fflush(stdout);
    while (read(0, &byte, 1) > 0);
    return strcmp(secret, "secret");
}
"#;

impl Outcome {
    /// Every attempt worked: without the sandbox, the attack is one.
    #[track_caller]
    fn all_work(self) -> Self {
        let worked = |line: &str| line.ends_with(": ok");
        let outcome = self.succeeded();
        assert!(!outcome.stdout.is_empty(), "{outcome:#?}");
        assert!(outcome.stdout.lines().all(worked), "{}", outcome.stdout);
        outcome
    }

    /// Every attempt was answered with the usual error, but for the others.
    #[track_caller]
    fn all_refused(self, usual: &str, others: &[(&str, &str)]) -> Self {
        let outcome = self.succeeded();
        assert!(!outcome.stdout.is_empty(), "{outcome:#?}");
        for line in outcome.stdout.lines() {
            let (attempt, answer) = line.rsplit_once(": ").unwrap();
            let other = others.iter().find(|(name, _)| *name == attempt);
            assert_eq!(answer, other.map_or(usual, |other| other.1), "{attempt}");
        }
        outcome
    }
}
