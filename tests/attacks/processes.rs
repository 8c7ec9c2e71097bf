//! Other processes of the same user: signals, tracing, limits, descriptors.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::{Outsider, boxed, hostile};
use crate::kit::{EVERYONE, Host, ORDINARY, Outcome, User, run};

/// Each sends SIGTERM to the outsider, and the answer that it gets confined.
/// Owners of descriptors are set by fcntl(2) without an error; the signal is what
/// fails.
const SIGNALS: &[(&str, &str)] = &[
    ("kill", "EPERM"),
    ("group", "EPERM"),
    ("own group", "ok"),
    ("tkill", "EPERM"),
    ("tgkill", "EPERM"),
    ("sigqueue", "EPERM"),
    ("tgsigqueue", "EPERM"),
    // There is no pidfd to send it by.
    ("pidfd", "EBADF"),
    ("pidfd group", "EBADF"),
    ("owner", "ok"),
    ("owner group", "ok"),
    ("owner thread", "ok"),
    ("owner of a socket", "EPERM"),
];

#[test]
fn no_signal_reaches_an_outsider() {
    for user in EVERYONE {
        let host = host(user, &[]);
        for (attempt, answer) in SIGNALS {
            let outsider = Outsider::of(&host);
            let mut bare = host.command(host.path("plugins/p"));
            bare.args([attempt, &*outsider.pid()]);
            let outcome = beside(&outsider, attempt, bare);
            assert_eq!(outcome.stdout, format!("{attempt}: ok\n"));
            assert!(!outsider.was_left_alone(), "{attempt} bare");

            for profile in ["default", "boxed"] {
                let outsider = Outsider::of(&host);
                let launch = host.launch("p").profile(profile);
                let launch = launch.args([attempt, &*outsider.pid()]).command();
                let outcome = beside(&outsider, attempt, launch);
                assert_eq!(outcome.stdout, format!("{attempt}: {answer}\n"));
                assert!(outsider.was_left_alone(), "{attempt} under {profile}");
            }
        }
    }
}

/// Runs a command, in the outsider's process group where the attempt needs it.
fn beside(outsider: &Outsider, attempt: &str, mut command: Command) -> Outcome {
    if attempt == "own group" {
        command.process_group(outsider.child.id().try_into().unwrap());
    }
    run(command, b"").succeeded()
}

#[test]
fn a_signal_to_everybody_reaches_nobody() {
    for user in EVERYONE {
        let host = host(user, &[]);
        // In a world of its own: this would end every process of the user.
        let id = if user == User::Root { 0 } else { ORDINARY };
        let script = format!(
            "become='setpriv --reuid {id} --regid {id} --clear-groups'
            mkfifo \"$0\" \"$0.ready\"; exec 9<>\"$0\" 8<>\"$0.ready\"
            $become sh -c 'echo ready >&8; read line' <&9 & victim=$!
            read ready <&8; $become \"$@\"; echo line >&9; wait $victim && echo alive"
        );
        let world = |name: &str, command: &Command| {
            let fifo = host.path(name);
            let mut unshare = Command::new("unshare");
            unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
            unshare.args(["sh", "-c", &script]).arg(fifo);
            unshare.arg(command.get_program()).args(command.get_args());
            unshare.current_dir(host.path(""));
            run(unshare, b"")
        };
        let mut bare = Command::new(host.path("plugins/p"));
        bare.args(["everybody", "1"]);
        let bare = world("bare", &bare);
        assert_eq!(bare.stdout, "everybody: ok\n", "{bare:#?}");
        let launch = host.launch("p").args(["everybody", "1"]).command();
        let launched = world("launched", &launch);
        // The kernel counts no refusals here.
        assert_eq!(launched.stdout, "everybody: ok\nalive\n", "{launched:#?}");
    }
}

#[test]
fn looking_into_another_process_ends_the_plugin() {
    for user in EVERYONE {
        let host = host(user, &[]);
        for attempt in ["attach", "seize", "traceme", "read memory", "write memory"] {
            let outsider = Outsider::of(&host);
            let (pid, secret) = (outsider.pid(), outsider.secret.clone());
            let arguments = [attempt, &*pid, &*secret];
            let bare = host.bare(host.path("plugins/p"), &arguments).succeeded();
            bare.prints(&format!("{attempt}: ok\n"));
            let is_whole = outsider.was_left_alone();
            assert_eq!(is_whole, attempt != "write memory", "{attempt} bare");

            let outsider = Outsider::of(&host);
            let (pid, secret) = (outsider.pid(), outsider.secret.clone());
            let outcome = host.launch("p").args([attempt, &*pid, &*secret]).run();
            assert_eq!(
                (outcome.status, &*outcome.stdout),
                (128 + 31, ""),
                "{attempt}"
            );
            assert!(outsider.was_left_alone());
        }
    }
}

#[test]
fn no_attribute_of_an_outsider_can_be_changed_or_asked_for() {
    for user in EVERYONE {
        let host = host(user, &[]);
        let outsider = Outsider::of(&host);
        let pid = outsider.pid();
        host.bare(host.path("plugins/p"), &["attributes", &pid])
            .all_work();
        let outcome = host.launch("p").args(["attributes", &*pid]).run();
        outcome.all_refused("EPERM", &[]);
        assert!(outsider.was_left_alone());
    }
}

/// A child that outlives the plugin may meet a stranger by the plugin's old
/// number. So where a plugin may fork, a number is not its own.
#[test]
fn no_child_reaches_whoever_has_the_plugins_number_by_now() {
    for user in EVERYONE {
        let host = host(user, &[]);
        let fork = "processes: { fork: true }";
        boxed(&host, "forking", fork);
        boxed(&host, "apart", &format!("{fork}\nisolation: namespaces"));
        let words = ["old number", "0"];
        host.bare(host.path("plugins/p"), &words).all_work();
        for profile in ["forking", "apart"] {
            let outcome = host.launch("p").profile(profile).args(words).run();
            outcome.all_refused("EPERM", &[("itself", "ok")]);
        }
    }
}

#[test]
fn no_child_is_planted_on_the_host() {
    for user in EVERYONE {
        let host = host(user, &["profile: forking"]);
        boxed(&host, "forking", "processes: { fork: true }");
        let words = ["sibling", "0"];
        host.bare(host.path("plugins/p"), &words).all_work();
        let outcome = host.launch("p").args(words).run();
        outcome.all_refused("EPERM", &[]);
    }
}

#[test]
fn own_children_and_threads_still_get_signals() {
    for user in EVERYONE {
        let host = host(user, &["profile: forking"]);
        boxed(&host, "forking", "processes: { fork: true }");
        host.launch("p").args(["own", "0"]).run().all_work();
    }
}

fn host(user: User, more: &[&str]) -> Host {
    let mut host = Host::of(user);
    boxed(&host, "boxed", "");
    host.install_copy("p", hostile(PROGRAM));
    host.list("p", more);
    host
}

const PROGRAM: &str = r##"
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <asm/sockios.h>

static volatile sig_atomic_t caught;
static void on(int signal) { caught = signal; }

static int by_owner(int kind, int who) {
    int ends[2];
    if (kind == 's' ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends)) return -1;
    struct f_owner_ex thread = {F_OWNER_TID, who};
    int on = 1;
    if (kind == 's' ? ioctl(ends[0], FIOSETOWN, &who)
        : kind == 't' ? fcntl(ends[0], F_SETOWN_EX, &thread)
                      : fcntl(ends[0], F_SETOWN, who)) return -1;
    if (fcntl(ends[0], F_SETSIG, SIGTERM)) return -1;
    if (ioctl(ends[0], FIOASYNC, &on)) return -1;
    return write(ends[1], "x", 1);
}

static void *waits(void *_) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    int got;
    sigwait(&set, &got);
    return NULL;
}

int main(int n, char **a) {
    pid_t pid = atoi(a[2]);
    siginfo_t info = {.si_signo = SIGTERM, .si_code = SI_QUEUE};
    struct rlimit limit = {100, 100};
    char bytes[8] = "hostile";
    struct iovec local = {bytes, 8}, remote = {n > 3 ? (void *)strtoul(a[3], NULL, 10) : NULL, 8};
    info.si_pid = getpid();
    info.si_uid = getuid();
#define IS(name) (!strcmp(a[1], name))
    if (IS("sibling")) {
        errno = 0;
        long child = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
        if (child == 0) _exit(0);
        tell(a[1], child);
    }
    if (IS("kill")) TRY(a[1], kill(pid, SIGTERM));
    if (IS("group")) TRY(a[1], kill(-pid, SIGTERM));
    if (IS("own group")) { signal(SIGTERM, SIG_IGN); TRY(a[1], kill(0, SIGTERM)); }
    if (IS("everybody")) TRY(a[1], kill(-1, SIGKILL));
    if (IS("tkill")) TRY(a[1], syscall(SYS_tkill, pid, SIGTERM));
    if (IS("tgkill")) TRY(a[1], syscall(SYS_tgkill, pid, pid, SIGTERM));
    if (IS("sigqueue")) TRY(a[1], syscall(SYS_rt_sigqueueinfo, pid, SIGTERM, &info));
    if (IS("tgsigqueue")) TRY(a[1], syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGTERM, &info));
    if (IS("pidfd") || IS("pidfd group")) {
        int fd = syscall(SYS_pidfd_open, pid, 0);
        TRY(a[1], syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, IS("pidfd") ? 0 : 4));
    }
    if (IS("owner")) TRY(a[1], by_owner('p', pid));
    if (IS("owner group")) TRY(a[1], by_owner('p', -pid));
    if (IS("owner thread")) TRY(a[1], by_owner('t', pid));
    if (IS("owner of a socket")) TRY(a[1], by_owner('s', pid));

    if (IS("attach")) {
        TRY(a[1], ptrace(PTRACE_ATTACH, pid, 0, 0));
        waitpid(pid, NULL, 0);
        ptrace(PTRACE_DETACH, pid, 0, 0);
    }
    if (IS("seize")) TRY(a[1], ptrace(PTRACE_SEIZE, pid, 0, 0));
    if (IS("traceme")) TRY(a[1], ptrace(PTRACE_TRACEME, 0, 0, 0));
    if (IS("read memory")) TRY(a[1], process_vm_readv(pid, &local, 1, &remote, 1, 0));
    if (IS("write memory")) TRY(a[1], process_vm_writev(pid, &local, 1, &remote, 1, 0));

    if (IS("attributes")) {
        cpu_set_t set;
        struct sched_param parameter = {0};
        unsigned attributes[12] = {sizeof attributes, 0, 0, 0, 7};
        sched_getaffinity(0, sizeof set, &set);
        TRY("prlimit", prlimit(pid, RLIMIT_NOFILE, &limit, NULL));
        TRY("prlimit to ask", prlimit(pid, RLIMIT_NOFILE, NULL, &limit));
        TRY("setpriority", setpriority(PRIO_PROCESS, pid, 5));
        TRY("setpriority of a group", setpriority(PRIO_PGRP, pid, 6));
        TRY("setpriority with high bits", syscall(SYS_setpriority, 0xdead00000000, pid, 7));
        TRY("sched_setaffinity", sched_setaffinity(pid, sizeof set, &set));
        TRY("sched_setscheduler", sched_setscheduler(pid, SCHED_BATCH, &parameter));
        TRY("sched_setparam", sched_setparam(pid, &parameter));
        TRY("sched_setattr", syscall(SYS_sched_setattr, pid, attributes, 0));
        TRY("ioprio_set", syscall(SYS_ioprio_set, 1, pid, 2 << 13 | 7));
        TRY("ioprio_set of a group", syscall(SYS_ioprio_set, 2, pid, 2 << 13 | 7));
        TRY("kcmp", syscall(SYS_kcmp, getpid(), pid, 0, 0, 0));
        int fd = syscall(SYS_pidfd_open, pid, 0);
        TRY("pidfd_getfd", syscall(SYS_pidfd_getfd, fd, 0, 0));
        TRY("get_robust_list", syscall(SYS_get_robust_list, pid, bytes, bytes));
    }

    if (IS("old number")) {
        int own = getpid();
        pid_t child = fork();
        if (!child) {
            cpu_set_t set;
            struct sched_param parameter = {0};
            unsigned attributes[12] = {sizeof attributes, 0, 0, 0, 7};
            sched_getaffinity(0, sizeof set, &set);
            TRY("itself", prlimit(0, RLIMIT_NOFILE, NULL, &limit));
            TRY("prlimit", prlimit(own, RLIMIT_NOFILE, &limit, NULL));
            TRY("prlimit to ask", prlimit(own, RLIMIT_NOFILE, NULL, &limit));
            TRY("setpriority", setpriority(PRIO_PROCESS, own, 5));
            TRY("sched_setaffinity", sched_setaffinity(own, sizeof set, &set));
            TRY("sched_setscheduler", sched_setscheduler(own, SCHED_BATCH, &parameter));
            TRY("sched_setparam", sched_setparam(own, &parameter));
            TRY("sched_setattr", syscall(SYS_sched_setattr, own, attributes, 0));
            TRY("ioprio_set", syscall(SYS_ioprio_set, 1, own, 2 << 13 | 7));
            TRY("ioprio_get", syscall(SYS_ioprio_get, 1, own));
            TRY("get_robust_list", syscall(SYS_get_robust_list, own, bytes, bytes));
            exit(0);
        }
        waitpid(child, NULL, 0);
    }
    if (IS("own")) {
        sigset_t set;
        pthread_t thread;
        int status;
        signal(SIGUSR2, on);
        TRY("raise", raise(SIGUSR2));
        TRY("kill itself", kill(getpid(), SIGUSR2));
        TRY("caught", caught == SIGUSR2 ? 0 : -1);
        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        pthread_sigmask(SIG_BLOCK, &set, NULL);
        pthread_create(&thread, NULL, waits, NULL);
        TRY("a thread", pthread_kill(thread, SIGUSR1) ? -1 : 0);
        pthread_join(thread, NULL);
        pid_t child = fork();
        if (!child) { pause(); _exit(0); }
        TRY("a child", kill(child, SIGTERM));
        TRY("the child's end", waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGTERM ? 0 : -1);
        signal(SIGTERM, on);
        TRY("itself as owner", by_owner('p', getpid()));
        TRY("caught", caught == SIGTERM ? 0 : -1);
    }
    return 0;
}
"##;
