//! Attack classes, each shown to work without the sandbox first.

mod identity;
mod interloper;
mod paths;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

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
}
