//! What containers and service managers put around the launcher.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;

use super::{Host, Launch, ORDINARY, User, program};

/// The words of a program that puts a filter around what follows, in which
/// these calls fail so.
pub(crate) fn filter(host: &Host, error: Errno, calls: &[libc::c_long]) -> Vec<OsString> {
    let numbers = calls.iter().map(ToString::to_string);
    let numbers: Vec<String> = numbers.collect();
    let words = [(error as i32).to_string(), numbers.join(",")];
    let program = installed(host, "outer-filter", &program::c(FILTER));
    [program]
        .into_iter()
        .chain(words.map(OsString::from))
        .collect()
}

/// The words of a program that puts what follows into as many Landlock
/// domains, which all admit everything but signals to the outside.
pub(crate) fn domains(host: &Host, count: usize) -> Vec<OsString> {
    let program = installed(host, "outer-domains", &program::c(DOMAINS));
    vec![program, count.to_string().into()]
}

/// The ways in which openat2(2) and its like may be kept from the launcher, the
/// first of which is none.
pub(crate) fn doors(host: &Host) -> [Vec<OsString>; 3] {
    let calls = [libc::SYS_openat2, libc::SYS_faccessat2];
    let closed = |error| filter(host, error, &calls);
    [Vec::new(), closed(Errno::ENOSYS), closed(Errno::EPERM)]
}

/// The command as the first process of a PID namespace, or as a child of that,
/// as the host's user.
pub(crate) fn in_pid_namespace(host: &Host, launch: &Command, is_first: bool) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
    if !is_first {
        command.args(["sh", "-c", "\"$@\"; exit $?", "sh"]);
    }
    become_user(&mut command, host.user());
    command.arg(launch.get_program()).args(launch.get_args());
    let variables = launch.get_envs();
    command.env_clear();
    command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(host.path(""));
    command
}

/// The launch as the first process of a PID namespace.
pub(crate) fn as_first(host: &Host, launch: &Launch<'_>) -> Command {
    in_pid_namespace(host, &launch.command(), true)
}

/// The words that become a user without other groups.
pub(crate) fn words_of_user(user: u32) -> Vec<String> {
    let ids = format!("--reuid={user} --regid={user} --clear-groups --");
    let words = ["setpriv"].into_iter().chain(ids.split(' '));
    words.map(String::from).collect()
}

/// Adds the words that become the user.
pub(crate) fn become_user(command: &mut Command, user: User) {
    if user == User::Ordinary {
        command.args(words_of_user(ORDINARY));
    }
}

/// Copies a program to where every user of the host reaches it.
fn installed(host: &Host, name: &str, program: &Path) -> OsString {
    let path = host.path("bin").join(name);
    if !path.exists() {
        std::fs::copy(program, &path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    path.into()
}

const FILTER: &str = r#"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int count, char **words) {
    struct sock_filter program[64] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}};
    int length = 1;
    for (char *call = strtok(words[2], ","); call && length < 60; call = strtok(NULL, ",")) {
        program[length++] = (struct sock_filter){BPF_JMP | BPF_JEQ | BPF_K, 0, 1, atoi(call)};
        program[length++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | atoi(words[1])};
    }
    program[length++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    struct sock_fprog filter = {length, program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) {
        perror("outer filter");
        return 99;
    }
    execvp(words[3], words + 3);
    perror("outer filter");
    return 99;
}
"#;

const DOMAINS: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int count, char **words) {
    unsigned long scoped_signals[3] = {0, 0, 2};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 99;
    for (int left = atoi(words[1]); left > 0; left--) {
        int ruleset = syscall(SYS_landlock_create_ruleset, scoped_signals, sizeof scoped_signals, 0);
        if (ruleset < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0)) {
            perror("outer domain");
            return 99;
        }
        close(ruleset);
    }
    execvp(words[2], words + 2);
    perror("outer domain");
    return 99;
}
"#;
