//! Who waits for a plugin, and who ends with it.

use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{BOTH, Running, WAITS, install};
use crate::kit::{EVERYONE, Host, User, program};

fn send(process: u32, signal: Signal) {
    kill(Pid::from_raw(process.try_into().unwrap()), signal).unwrap();
}

#[test]
fn a_status_is_passed_on_and_a_signal_is_128_more() {
    let source = r#"#include <stdlib.h>
    #include <signal.h>
    #include <unistd.h>
    int main(int n, char **a) {
        int number = atoi(a[1]);
        if (number == 0) abort();
        if (number < 0) kill(getpid(), -number);
        return number;
    }"#;
    for user in EVERYONE {
        let host = install(user, program::static_c(source), "");
        for (argument, status) in [
            ("7", 7),
            ("200", 200),
            ("-9", 137),
            ("-11", 139),
            ("-15", 143),
            ("0", 134),
        ] {
            let outcome = host.launch("namespaces").arg(argument).run();
            assert_eq!(outcome.status, status, "{argument}: {outcome:?}");
        }
    }
}

/// Prints the number of each signal that comes; SIGTERM ends it.
const PRINTS_SIGNALS: &str = r#"#include <stdio.h>
#include <signal.h>
int main(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, 0);
    puts("ready");
    fflush(stdout);
    for (int number; !sigwait(&all, &number);) {
        printf("%d\n", number);
        fflush(stdout);
        if (number == SIGTERM) return 3;
    }
    return 1;
}"#;

#[test]
fn signals_to_the_launcher_reach_the_plugin() {
    for user in EVERYONE {
        let host = install(user, program::static_c(PRINTS_SIGNALS), "");
        let mut running = Running::start(host.launch("namespaces"));
        assert_eq!(running.line(), "ready");
        let launcher = running.launcher.id();
        for signal in [
            Signal::SIGHUP,
            Signal::SIGINT,
            Signal::SIGQUIT,
            Signal::SIGUSR1,
            Signal::SIGUSR2,
            Signal::SIGWINCH,
            Signal::SIGCONT,
            Signal::SIGTERM,
        ] {
            send(launcher, signal);
            assert_eq!(running.line(), (signal as i32).to_string());
        }
        assert_eq!(running.finish(), 3);
    }
}

#[test]
fn signals_reach_a_plugin_of_another_user_too() {
    let mut host = Host::of(User::Root);
    host.profile("p", "isolation: namespaces\nuser: nobody");
    host.install_copy("p", program::static_c(PRINTS_SIGNALS));
    host.list("p", &["profile: p"]);
    let mut running = Running::start(host.launch("p"));
    assert_eq!(running.line(), "ready");
    let [launcher, first, plugin] = running.processes();
    for process in [first, plugin] {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        assert!(
            status.contains("\nUid:\t65534\t65534\t65534\t65534\n"),
            "{status}"
        );
    }
    send(launcher, Signal::SIGTERM);
    assert_eq!(running.line(), "15");
    assert_eq!(running.finish(), 3);
}

#[test]
fn a_key_of_the_terminal_reaches_the_plugin_once() {
    let host = install(User::Ordinary, program::static_c(PRINTS_SIGNALS), "");
    let launch = host.launch("namespaces").command();
    let words = std::iter::once(launch.get_program()).chain(launch.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    // script(1) runs it on a terminal of its own.
    let mut command = host.command("script");
    command.args([
        "-q",
        "-e",
        "-c",
        // The echo of the key may come before or after what the plugin prints.
        &format!("stty -echo; exec {}", words.join(" ")),
        "/dev/null",
    ]);
    let mut running = Running::of(command);
    assert_eq!(running.line(), "ready");
    let launcher = super::child_of(running.launcher.id());
    let keys = running.stdin.as_mut().unwrap();
    std::io::Write::write_all(keys, b"\x03").unwrap();
    assert_eq!(running.line(), "2");
    send(launcher, Signal::SIGUSR1);
    assert_eq!(running.line(), "10");
    send(launcher, Signal::SIGTERM);
    assert_eq!(running.line(), "15");
    assert_eq!(running.finish(), 3);
}

#[test]
fn a_launcher_that_is_asked_to_stop_stops_and_goes_on_with_its_plugin() {
    let host = install(User::Ordinary, program::static_c(PRINTS_SIGNALS), "");
    let mut running = Running::start(host.launch("namespaces"));
    assert_eq!(running.line(), "ready");
    let launcher = Pid::from_raw(running.launcher.id().try_into().unwrap());
    kill(launcher, Signal::SIGTSTP).unwrap();
    assert_eq!(running.line(), "20");
    let stopped = waitpid(launcher, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(stopped, WaitStatus::Stopped(launcher, Signal::SIGSTOP));
    kill(launcher, Signal::SIGCONT).unwrap();
    assert_eq!(running.line(), "18");
    kill(launcher, Signal::SIGTERM).unwrap();
    assert_eq!(running.line(), "15");
    assert_eq!(running.finish(), 3);
}

/// Leaves a process behind that answers the end of its input. With an argument
/// it stays itself, too.
const LEAVES_ONE: &str = r#"#include <stdio.h>
#include <unistd.h>
int main(int n, char **a) {
    char byte;
    int begun[2];
    if (pipe(begun)) return 1;
    if (fork()) {
        read(begun[0], &byte, 1);
        while (n > 1 && read(0, &byte, 1) > 0) {}
        return 0;
    }
    setsid();
    if (fork()) _exit(0);
    puts("ready");
    fflush(stdout);
    write(begun[1], "x", 1);
    while (read(0, &byte, 1) > 0) {}
    puts("still here");
    return 0;
}"#;

#[test]
fn what_a_plugin_leaves_behind_ends_with_it() {
    for user in EVERYONE {
        let grants = "processes: { fork: true }";
        let host = install(user, program::static_c(LEAVES_ONE), grants);
        let seen = BOTH.map(|plugin| {
            let mut running = Running::start(host.launch(plugin));
            assert_eq!(running.line(), "ready");
            assert_eq!(running.launcher.wait().unwrap().code(), Some(0));
            drop(running.stdin.take());
            running.line()
        });
        assert_eq!(seen, ["still here", ""]);
    }
}

#[test]
fn a_plugin_and_its_children_end_with_a_launcher_that_is_killed() {
    for user in EVERYONE {
        let grants = "processes: { fork: true }";
        let host = install(user, program::static_c(LEAVES_ONE), grants);
        let mut running = Running::start(host.launch("namespaces").arg("stay"));
        assert_eq!(running.line(), "ready");
        send(running.launcher.id(), Signal::SIGKILL);
        // Its end comes when nobody has it open any more, while the standard
        // input is still open.
        assert_eq!(running.line(), "");
        let status = running.launcher.wait().unwrap();
        assert_eq!(status.signal(), Some(9));
    }
}

#[test]
fn those_who_wait_hold_nothing() {
    for user in EVERYONE {
        let host = install(user, program::static_c(WAITS), "");
        let mut running = Running::start(host.launch("namespaces"));
        assert_eq!(running.line(), "ready");
        let [launcher, first, _] = running.processes();
        // The folder from which root's launcher removes a group of processes.
        let folder = usize::from(user == User::Root);
        for (process, descriptors) in [(launcher, 1 + folder), (first, 2)] {
            let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
            let has = |line: &str| assert!(status.contains(&format!("\n{line}\n")), "{status}");
            has("CapPrm:\t0000000000000000");
            has("CapEff:\t0000000000000000");
            has("CapAmb:\t0000000000000000");
            has("NoNewPrivs:\t1");
            has("Seccomp:\t2");
            let open = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
            assert_eq!(open.count(), descriptors, "of {process}");
        }
        assert_eq!(running.finish(), 7);
    }
}

#[test]
fn a_caller_that_ignores_its_children_gets_the_status_too() {
    let host = install(User::Ordinary, program::static_c(WAITS), "");
    let ignores = ["env", "--ignore-signal=CHLD"];
    let outcome = host.launch("namespaces").under(ignores).run();
    assert_eq!(
        (outcome.status, &*outcome.stdout),
        (7, "ready\n"),
        "{outcome:?}"
    );
}

#[test]
fn calls_that_leave_namespaces_are_refused_as_ever() {
    let source = r#"#include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <errno.h>
    #include <unistd.h>
    #include <sys/syscall.h>
    static const struct { const char *name; long number; } calls[] = {
        { "mount", SYS_mount }, { "umount2", SYS_umount2 }, { "pivot_root", SYS_pivot_root },
        { "open_tree", 428 }, { "move_mount", 429 }, { "fsopen", 430 }, { "mount_setattr", 442 },
        { "unshare", SYS_unshare }, { "setns", SYS_setns },
    };
    int main(int n, char **a) {
        for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
            if (strcmp(a[1], calls[i].name)) continue;
            long answer = syscall(calls[i].number, strtol(a[2], 0, 0), 0, 0, 0, 0, 0);
            printf("%d", answer < 0 ? errno : 0);
            return 0;
        }
        return 1;
    }"#;
    let kills = [
        "mount",
        "umount2",
        "pivot_root",
        "open_tree",
        "move_mount",
        "fsopen",
        "mount_setattr",
    ];
    for user in EVERYONE {
        let host = install(user, program::static_c(source), "");
        for call in kills {
            let outcome = host.launch("namespaces").args([call, "0"]).run();
            assert_eq!(
                outcome.status,
                128 + Signal::SIGSYS as i32,
                "{call}: {outcome:?}"
            );
        }
        // CLONE_NEWUSER, CLONE_NEWNS.
        for (call, flags) in [
            ("unshare", "0x10000000"),
            ("unshare", "0x20000"),
            ("setns", "0"),
        ] {
            let launch = host.launch("namespaces").args([call, flags]);
            launch.run().succeeded().prints("1");
        }
    }
}
