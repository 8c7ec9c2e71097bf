//! Attack classes, each shown to work without the sandbox first, then refused:
//! to root's plugin and to an ordinary user's.
//!
//! | attack | known as | test |
//! |---|---|---|
//! | rename over a verified path | CVE-2015-8239 (sudo) | `identity::a_rename_over_the_path_after_verification_changes_nothing` |
//! | write a verified file | CVE-2015-8239 (sudo) | `identity::writing_the_same_inode_*`, `identity::a_writer_*` |
//! | swap or write script, interpreter, library | | `identity::a_script_*`, `identity::*_pinned_interpreter_*`, `closure` |
//! | swap or write the program that an interpreter is given by hand; code under another name | | `by_hand` |
//! | grow while being read; endless and huge files | | `identity::a_file_that_grows_*`, `paths::what_is_no_regular_file_*`, `paths::a_file_of_a_hundred_gigabytes_*` |
//! | symbolic and magic links, `..` | CVE-2019-5736 (runc) | `paths::a_link_out_of_the_plugin_root_*`, `paths::a_magic_link_*` |
//! | exec after the launch | | `exec` |
//! | files outside, by detours and through /proc | | `files::nothing_outside_of_the_folders_*` |
//! | links planted for the next launch, one's own or another plugin's | | `planted` |
//! | writing what launches go by: by path, mount, default place, before it exists | | `goes_by` |
//! | removing files by the right to make sockets | | `sockets::who_may_make_sockets_*` |
//! | metadata through a descriptor that only reads | | `files::metadata_can_not_be_changed` |
//! | extended attributes, leases | | `files::extended_attributes_*`, `files::nobody_is_kept_*` |
//! | set-ID bits | | `files::no_form_of_set_id_bit_can_be_made` |
//! | sockets of every family; MPTCP, fast open | | `sockets` |
//! | leaked descriptors | CVE-2024-21626 (runc) | `descriptors::leaked_descriptors_*`, `descriptors::a_standard_stream_*` |
//! | any UNIX socket by way of one's own | | `sockets::a_socket_of_its_own_*` |
//! | an inherited datagram socket | | `descriptors::a_datagram_socket_*`, `streams::a_socket_*` |
//! | what is passed on purpose: folders, devices, queues of calls, processes, sockets | CVE-2024-21626 (runc) | `passed` |
//! | code in a file that is a standard stream | | `streams::a_file_*`, `streams::in_namespaces_*` |
//! | inherited signals, scheduling, address layout | | `inherited` |
//! | loader variables | CVE-2010-3856 (glibc) | `environment::the_dynamic_loader_*` |
//! | conversion modules | CVE-2021-4034 (polkit) | `environment::the_c_library_*` |
//! | a program that is set-ID or has file capabilities | CVE-2021-4034 (polkit) | `privileges` |
//! | shell functions and start files | CVE-2014-6271 (bash) | `environment::a_shell_*` |
//! | interpreters' modules | | `environment::an_inter*` |
//! | signals, also by way of descriptors | | `processes::no_signal_*`, `processes::a_signal_to_everybody_*` |
//! | tracing and memory of others | CVE-2022-30594 (Linux) | `processes::looking_into_another_process_*` |
//! | children planted on the host | | `processes::no_child_*` |
//! | limits, priorities, descriptors of others | | `processes::no_attribute_*` |
//! | forged terminal input | CVE-2017-5226 (bubblewrap), CVE-2019-10063, CVE-2023-28100 (Flatpak) | `kernel::no_input_can_be_forged_*` |
//! | new mount calls, clone3 | CVE-2021-41133 (Flatpak), CVE-2022-0185 (Linux) | `kernel::calls_that_rebuild_*`, `kernel::what_bypasses_a_filter_*` |
//! | calls of i386 and x32 | | `kernel::calls_of_other_abis_*` |
//! | namespaces, keys, shared memory | CVE-2024-42318 (Landlock) | `kernel::kernel_features_*` |
//! | memory written, then executed | | `kernel::memory_is_never_*`, `headers::*` |
//!
//! `suite` tries some 410 of them one by one, each in a process and an arena
//! of its own.

mod by_hand;
mod closure;
mod descriptors;
mod environment;
mod exec;
mod files;
mod goes_by;
mod guarded;
mod headers;
mod identity;
mod inherited;
mod interloper;
mod kernel;
mod legitimate;
mod passed;
mod paths;
mod planted;
mod privileges;
mod processes;
mod sockets;
mod streams;
mod suite;

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

/// Runs a command whose standard input is set already.
fn ended(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        status: output.status.code().unwrap(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        raw: output.stdout,
    }
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
