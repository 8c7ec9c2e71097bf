//! Somebody who strikes at the worst moment: the launcher is stopped at the
//! entry of a system call, the strike runs to its end, the launcher goes on.

use std::process::Command;

use super::{behind, hostile};
use crate::kit::{Host, Launch, Outcome, run};

/// Runs a launch, with a shell command before its `count`th call of a system
/// call; with 0 before each. A call that is never made fails the test.
#[track_caller]
pub(super) fn strike(
    host: &Host,
    (call, count): (&str, u32),
    strike: &str,
    launch: &Launch<'_>,
) -> Outcome {
    let command = launch.command();
    let outcome = run(interposed(host, (call, count), strike, &command), b"");
    assert_ne!(outcome.status, 99, "{outcome:#?}");
    outcome
}

fn interposed(host: &Host, (call, count): (&str, u32), strike: &str, launch: &Command) -> Command {
    let interloper = host.path("bin/interloper");
    if !interloper.exists() {
        std::fs::copy(hostile(INTERLOPER), &interloper).unwrap();
    }
    let count = count.to_string();
    behind(host, interloper, &[call, &count, strike], launch)
}

const INTERLOPER: &str = r#"
#include <sys/ptrace.h>
#include <linux/ptrace.h>

static const struct { const char *name; long number; } CALLS[] = {
    {"execveat", SYS_execveat}, {"landlock_restrict_self", SYS_landlock_restrict_self},
    {"sendfile", SYS_sendfile}, {"openat2", SYS_openat2},
};

int main(int n, char **a) {
    long call = -1, count = atol(a[2]), seen = 0;
    for (unsigned i = 0; i < sizeof CALLS / sizeof *CALLS; i++)
        if (!strcmp(a[1], CALLS[i].name)) call = CALLS[i].number;
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execv(a[4], a + 4);
        _exit(98);
    }
    int status, signal = 0;
    waitpid(child, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child, 0,
           PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL |
           PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK);
    // A launch may divide: whichever of its processes makes the call.
    pid_t stopped = child;
    for (;;) {
        ptrace(PTRACE_SYSCALL, stopped, 0, signal);
        signal = 0;
        if ((stopped = waitpid(-1, &status, __WALL)) < 0) return 97;
        if (!WIFSTOPPED(status)) {
            if (stopped == child) break;
            continue;
        }
        if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
            struct ptrace_syscall_info info = {0};
            ptrace(PTRACE_GET_SYSCALL_INFO, stopped, sizeof info, &info);
            if (info.op != PTRACE_SYSCALL_INFO_ENTRY || (long)info.entry.nr != call) continue;
            seen++;
            if (count && seen != count) continue;
            pid_t shell = fork();
            if (shell == 0) {
                dup2(2, 1);
                execl("/bin/sh", "sh", "-ec", a[3], NULL);
                _exit(127);
            }
            int how;
            waitpid(shell, &how, 0);
            if (how) { fprintf(stderr, "the strike failed: %x\n", how); kill(child, SIGKILL); return 99; }
            if (count) {
                ptrace(PTRACE_DETACH, stopped, 0, 0);
                call = -1;
                if (stopped != child) continue;
                waitpid(child, &status, 0);
                break;
            }
        } else if (status >> 16 == 0 && WSTOPSIG(status) != SIGSTOP) {
            signal = WSTOPSIG(status);
        }
    }
    if (!seen || (count && seen < count)) { fprintf(stderr, "no such call\n"); return 99; }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
"#;
