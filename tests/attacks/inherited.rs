//! What exec leaves as the caller had it, and the launcher sets back: what the
//! suite's attacks on it can't look at from inside.

use std::process::Command;

use super::{behind, hostile};
use crate::kit::{EVERYONE, Host, Outcome, User, run};

const ISOLATIONS: [&str; 2] = ["process", "namespaces"];

fn host(user: User) -> Host {
    let mut host = Host::of(user);
    host.install_copy("p", hostile(SIGNALS));
    host.list("p", &[]);
    for isolation in ISOLATIONS {
        host.profile(isolation, &format!("isolation: {isolation}"));
    }
    host
}

/// Behind a caller that ignores and blocks every signal, in a session of its
/// own.
fn careless(host: &Host, terminal: &str, command: &Command) -> Outcome {
    let caller = host.install_copy("caller", hostile(CARELESS));
    run(behind(host, caller, &[terminal], command), b"").succeeded()
}

#[test]
fn no_signal_is_ignored_or_blocked_but_what_a_terminal_sends() {
    for user in EVERYONE {
        let host = host(user);
        let bare = host.command(host.path("plugins/p"));
        for terminal in ["none", "terminal"] {
            let all = careless(&host, terminal, &bare);
            assert!(all.stdout.lines().count() > 110, "{all:#?}");
        }
        for isolation in ISOLATIONS {
            let launch = host.launch("p").profile(isolation).command();
            careless(&host, "none", &launch).prints("");
            let kept = "1 ignored\n2 ignored\n3 ignored\n";
            careless(&host, "terminal", &launch).prints(kept);
            let sandbox = host.record("sandbox_applied")["sandbox"].clone();
            let found = serde_json::json!(["blocked signals", "ignored signals"]);
            assert_eq!(sandbox["inherited_set_back"], found);
        }
    }
}

#[test]
fn no_plugin_is_kept_from_being_killed_where_memory_is_short() {
    let mut host = Host::new();
    host.install_sh("p", "cat /proc/self/oom_score_adj");
    host.list("p", &[]);
    let reads = "processes: { fork: true }\nfilesystem: { read: [/proc], execute: [/bin, /usr/bin, /lib, /lib64] }";
    for isolation in ISOLATIONS {
        host.profile("reads", &format!("isolation: {isolation}\n{reads}"));
        for (own, plugins) in [("-100", "0\n"), ("0", "0\n"), ("200", "200\n")] {
            let script = format!("echo {own} > /proc/self/oom_score_adj && exec \"$@\"");
            let words = ["sh", "-c", &*script, "sh"];
            let bare = host.command("cat");
            let mut bare = behind(&host, "sh", &["-c", &script, "sh"], &bare);
            bare.arg("/proc/self/oom_score_adj");
            let bare = run(bare, b"");
            if bare.status != 0 && own.starts_with('-') {
                // Without CAP_SYS_RESOURCE nobody is kept from it.
                continue;
            }
            bare.prints(&format!("{own}\n"));
            let launch = host.launch("p").profile("reads").under(words);
            launch.run().succeeded().prints(plugins);
        }
    }
}

#[test]
fn a_stack_that_is_too_small_is_named() {
    for user in EVERYONE {
        let host = host(user);
        for size in ["16", "64", "256"] {
            let script = format!("ulimit -s {size} && exec \"$@\"");
            let launch = host.launch("p").under(["sh", "-c", &*script, "sh"]);
            let refused = launch.run().refused(125);
            refused.says(&format!("the limit of the stack is {size} KiB"));
        }
        let enough = ["sh", "-c", "ulimit -s 512 && exec \"$@\"", "sh"];
        host.launch("p").under(enough).run().succeeded();
    }
}

#[test]
fn a_plugin_does_not_write_to_the_kernels_audit_unless_that_is_asked_for() {
    let host = host(User::Root);
    let trace = host.path("trace");
    let flags = || {
        let file = trace.to_str().unwrap();
        let words = ["strace", "-f", "-e", "landlock_restrict_self", "-o", file];
        host.launch("p").under(words).run().succeeded();
        let text = std::fs::read_to_string(&trace).unwrap();
        let call = text.lines().find(|line| line.contains("landlock"));
        let (_, flags) = call.unwrap().split_once(", ").unwrap();
        flags.split(')').next().unwrap().to_string()
    };
    // Of the launcher's own canaries nothing, and nothing of domains that the
    // plugin makes; or of the plugin.
    assert_eq!(flags(), "0x5");
    host.audit("{ kernel_denials: true }");
    assert_eq!(flags(), "0x3");
}

/// Prints what of each signal is not as after a start of the system.
const SIGNALS: &str = r##"
int main(void) {
    sigset_t blocked;
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (int signal = 1; signal <= 64; signal++) {
        unsigned long action[4] = {0};
        syscall(SYS_rt_sigaction, signal, NULL, action, 8);
        if (action[0]) printf("%d ignored\n", signal);
        if (((unsigned long *)&blocked)[0] >> (signal - 1) & 1) printf("%d blocked\n", signal);
    }
    return 0;
}
"##;

const CARELESS: &str = r##"
int main(int n, char **a) {
    int output = dup(1);
    pid_t child = fork();
    if (!child) {
        setsid();
        if (!strcmp(a[1], "terminal")) {
            int master = posix_openpt(O_RDWR | O_NOCTTY);
            grantpt(master);
            unlockpt(master);
            // Opening it makes it the session's terminal.
            open(ptsname(master), O_RDWR);
            fcntl(master, F_SETFD, 0);
        }
        unsigned long ignore[4] = {1}, all = ~0UL;
        for (int signal = 1; signal <= 64; signal++) syscall(SYS_rt_sigaction, signal, ignore, NULL, 8);
        syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, 8);
        execv(a[2], a + 2);
        _exit(98);
    }
    close(output);
    int status;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
"##;
