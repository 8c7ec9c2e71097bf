//! The kernel's surface: calls that no plugin makes by mistake, other ABIs,
//! namespaces, terminals, memory that is written and then executed.

use super::hostile;
use crate::kit::{EVERYONE, Host, User};

/// `SIGSYS`, as a shell reports it.
const KILLED: i32 = 128 + 31;

#[test]
fn calls_that_rebuild_the_system_end_the_plugin() {
    for user in EVERYONE {
        let host = host(user);
        let count = host.bare(host.path("plugins/p"), &["count"]).stdout;
        let count: u32 = count.trim().parse().unwrap();
        assert!(count >= 30);
        for index in 0..count {
            let index = index.to_string();
            // With arguments that do no harm, the kernel answers.
            let bare = host.bare(host.path("plugins/p"), &["call", &index]);
            let answer = bare.succeeded().stdout;
            let outcome = host.launch("p").args(["call", &*index]).run();
            assert_eq!((outcome.status, &*outcome.stdout), (KILLED, ""), "{answer}");
        }
    }
}

#[test]
fn calls_of_other_abis_end_the_plugin() {
    for user in EVERYONE {
        let host = host(user);
        for abi in ["i386", "x32"] {
            let bare = host.bare(host.path("plugins/p"), &[abi]).succeeded();
            let answers = [format!("{abi}: ok\n"), format!("{abi}: ENOSYS\n")];
            assert!(answers.contains(&bare.stdout), "{bare:#?}");
            let outcome = host.launch("p").arg(abi).run();
            assert_eq!((outcome.status, &*outcome.stdout), (KILLED, ""), "{abi}");
        }
    }
}

#[test]
fn what_bypasses_a_filter_or_is_unknown_does_not_exist() {
    for user in EVERYONE {
        let host = host(user);
        let bare = host.bare(host.path("plugins/p"), &["absent"]).succeeded();
        for works in ["clone3: ok", "io_uring_setup: ok"] {
            assert!(bare.stdout.contains(works), "{}", bare.stdout);
        }
        let outcome = host.launch("p").arg("absent").run();
        outcome.all_refused("ENOSYS", &[]);
    }
}

#[test]
fn kernel_features_without_use_for_a_plugin_are_refused() {
    for user in EVERYONE {
        let host = host(user);
        let bare = host.bare(host.path("plugins/p"), &["refused"]).succeeded();
        // What only root may do without the sandbox.
        let roots = ["namespace of", "setns", "chroot", "syslog", "quotactl"];
        for line in bare.stdout.lines() {
            let of_root = roots.iter().any(|name| line.starts_with(name));
            let expected = user == User::Root || !of_root;
            assert!(line.ends_with(": ok") || !expected, "{user:?} {line}");
        }
        // Where a plugin may fork, namespaces are what is refused.
        host.profile("forking", "processes: { fork: true }");
        for profile in ["default", "forking"] {
            let outcome = host.launch("p").profile(profile).arg("refused").run();
            outcome.all_refused("EPERM", &[]);
        }
    }
}

#[test]
fn no_input_can_be_forged_on_the_terminal() {
    for user in EVERYONE {
        let mut host = host(user);
        let terminal = host.install_copy("terminal", hostile(TERMINAL));
        let terminal = terminal.to_str().unwrap();
        host.list("terminal", &[]);
        let bare = host.command(host.path("plugins/p"));
        let attack = ["terminal"];
        let mut bare = super::behind(&host, terminal, &[], &bare);
        bare.args(attack);
        let bare = crate::kit::run(bare, b"").succeeded();
        // TIOCLINUX and TIOCCONS want a console; the others work.
        for line in ["TIOCSTI: ok", "TIOCSTI with high bits: ok", "TIOCSETD: ok"] {
            assert!(bare.stdout.contains(line), "{bare:#?}");
        }
        assert!(bare.stdout.contains("typed: ab\n"), "{bare:#?}");
        let launch = host.launch("p").args(attack).command();
        let launched = super::behind(&host, terminal, &[], &launch);
        let launched = crate::kit::run(launched, b"");
        launched.all_refused("EPERM", &[("typed", "nothing"), ("window size", "ok")]);
    }
}

#[test]
fn memory_is_never_writable_and_executable() {
    for user in EVERYONE {
        let host = host(user);
        host.bare(host.path("plugins/p"), &["memory"]).all_work();
        host.launch("p")
            .arg("memory")
            .run()
            .all_refused("EPERM", &[]);
    }
}

fn host(user: User) -> Host {
    let mut host = Host::of(user);
    host.install_copy("p", hostile(PROGRAM));
    host.list("p", &[]);
    host
}

const PROGRAM: &str = r##"
#include <elf.h>
#include <asm/ldt.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/ptrace.h>

#define NOWHERE ((void *)1)
static const char *nothing = "/nonexistent";
static long calls(int index) {
    switch (index) {
    case 0: return syscall(SYS_ptrace, -1, 0, 0, 0);
    case 1: return syscall(SYS_process_vm_readv, 0, 0, 0, 0, 0, 1);
    case 2: return syscall(SYS_process_vm_writev, 0, 0, 0, 0, 0, 1);
    case 3: return syscall(SYS_bpf, -1, 0, 0);
    case 4: return syscall(SYS_kexec_load, 0, 0, 0, -1);
    case 5: return syscall(SYS_kexec_file_load, -1, -1, 0, 0, -1);
    case 6: return syscall(SYS_init_module, NOWHERE, 1, NOWHERE);
    case 7: return syscall(SYS_finit_module, -1, "", 0);
    case 8: return syscall(SYS_delete_module, NOWHERE, 0);
    case 9: return syscall(SYS_mount, nothing, nothing, nothing, 0, 0);
    case 10: return syscall(SYS_umount2, nothing, 0);
    case 11: return syscall(SYS_pivot_root, nothing, nothing);
    case 12: return syscall(SYS_move_mount, -1, "", -1, "", 0);
    case 13: return syscall(SYS_fsopen, NOWHERE, 0);
    case 14: return syscall(SYS_fsconfig, -1, 0, 0, 0, 0);
    case 15: return syscall(SYS_fsmount, -1, 0, 0);
    case 16: return syscall(SYS_fspick, -1, nothing, 0);
    case 17: return syscall(SYS_open_tree, -1, nothing, 0);
    case 18: return syscall(SYS_mount_setattr, -1, nothing, 0, 0, 0);
    case 19: return syscall(SYS_swapon, nothing, 0);
    case 20: return syscall(SYS_swapoff, nothing);
    case 21: return syscall(SYS_reboot, 0, 0, 0, 0);
    case 22: return syscall(SYS_iopl, 0);
    case 23: return syscall(SYS_ioperm, 0, 1, 0);
    case 24: return syscall(SYS_modify_ldt, 0, NOWHERE, 0);
    case 25: return syscall(SYS_acct, nothing);
    case 26: return syscall(SYS_settimeofday, NOWHERE, 0);
    case 27: return syscall(SYS_clock_settime, 0, NOWHERE);
    case 28: return syscall(SYS_sethostname, NOWHERE, 4);
    case 29: return syscall(SYS_setdomainname, NOWHERE, 4);
    case 30: return syscall(SYS_open_by_handle_at, -1, NOWHERE, 0);
    case 31: return syscall(SYS_uselib, nothing);
    default: return -2;
    }
}

static int new_namespace(int flag) {
    // In a child, or the process would stay there.
    pid_t child = fork();
    if (child < 0) return -1;
    if (!child) _exit(unshare(flag) ? errno : 0);
    int status;
    waitpid(child, &status, 0);
    errno = WEXITSTATUS(status);
    return errno ? -1 : 0;
}

int main(int n, char **a) {
#define IS(name) (!strcmp(a[1], name))
    if (IS("count")) printf("%d\n", 32);
    if (IS("call")) { TRY(a[2], calls(atoi(a[2]))); }
    if (IS("i386")) {
        // getpid in the table of 32 bits.
        long answer;
        __asm__ volatile("int $0x80" : "=a"(answer) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
        errno = answer < 0 ? -answer : 0;
        tell("i386", answer < 0 ? -1 : answer == getpid() ? 0 : -1);
    }
    if (IS("x32")) TRY("x32", syscall(SYS_getpid | 0x40000000));
    if (IS("absent")) {
        unsigned long arguments[11] = {0};
        unsigned parameters[30] = {0};
        arguments[4] = SIGCHLD;
        errno = 0;
        long child = syscall(SYS_clone3, arguments, sizeof arguments);
        if (child == 0) _exit(0);
        tell("clone3", child);
        TRY("io_uring_setup", syscall(SYS_io_uring_setup, 1, parameters));
        TRY("io_uring_enter", syscall(SYS_io_uring_enter, 0, 1, 0, 0, 0, 0));
        TRY("io_uring_register", syscall(SYS_io_uring_register, 0, 0, 0, 0));
        TRY("a call of the future", syscall(500));
        TRY("the last call there can be", syscall(0x3fffffff));
    }
    if (IS("refused")) {
        struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event,
                                        .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1};
        int namespaces[] = {CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP, 0x80};
        char name[40];
        long child;
        TRY("namespace", new_namespace(CLONE_NEWUSER));
        for (int i = 0; i < 7; i++) {
            sprintf(name, "namespace of %x", namespaces[i]);
            TRY(name, new_namespace(namespaces[i]));
            sprintf(name, "namespace of %x by clone", namespaces[i]);
            if (namespaces[i] == 0x80) continue;
            errno = 0;
            child = syscall(SYS_clone, namespaces[i] | SIGCHLD, 0, 0, 0, 0);
            if (child == 0) _exit(0);
            tell(name, child);
        }
        errno = 0;
        child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
        if (child == 0) _exit(0);
        tell("namespace by clone", child);
        int net = open("/proc/self/ns/net", O_RDONLY);
        TRY("setns", setns(net, CLONE_NEWNET));
        TRY("userfaultfd", syscall(SYS_userfaultfd, 1));
        TRY("perf_event_open", syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
        TRY("keyctl", syscall(SYS_keyctl, 0, -3, 1));
        TRY("add_key", syscall(SYS_add_key, "user", "secure-exec-test", "x", 1, -1));
        TRY("personality", personality(READ_IMPLIES_EXEC));
        TRY("personality of high bits", syscall(SYS_personality, 0xdead00000000 | ADDR_NO_RANDOMIZE));
        int shared = shmget(IPC_PRIVATE, 4096, 0600);
        tell("shared memory", shared);
        shmctl(shared, IPC_RMID, NULL);
        TRY("chroot", chroot("/"));
        TRY("syslog", syscall(SYS_syslog, 10, 0, 0));
        TRY("name_to_handle_at", syscall(SYS_name_to_handle_at, AT_FDCWD, "/etc", (int[40]){128}, name, 0));
    }
    if (IS("terminal")) {
        char typed[10];
        int line = 0, size[2];
        TRY("TIOCSTI", ioctl(0, TIOCSTI, "a"));
        TRY("TIOCSTI with high bits", syscall(SYS_ioctl, 0, 0xdead00005412, "b"));
        fcntl(0, F_SETFL, O_NONBLOCK);
        ssize_t count = read(0, typed, sizeof typed);
        printf("typed: %.*s\n", count < 0 ? 7 : (int)count, count < 0 ? "nothing" : typed);
        TRY("TIOCLINUX", ioctl(0, TIOCLINUX, "\2"));
        TRY("TIOCLINUX with high bits", syscall(SYS_ioctl, 0, 0xdead0000541c, "\2"));
        TRY("TIOCCONS", ioctl(0, TIOCCONS, 0));
        TRY("TIOCSETD", ioctl(0, TIOCSETD, &line));
        TRY("window size", ioctl(0, TIOCGWINSZ, size));
    }
    if (IS("memory")) {
        int all = PROT_READ | PROT_WRITE | PROT_EXEC, some = MAP_PRIVATE | MAP_ANONYMOUS;
        void *page = mmap(0, 4096, PROT_READ | PROT_WRITE, some, -1, 0);
        TRY("mmap", mmap(0, 4096, all, some, -1, 0) == MAP_FAILED ? -1 : 0);
        TRY("mmap without read", mmap(0, 4096, PROT_WRITE | PROT_EXEC, some, -1, 0) == MAP_FAILED ? -1 : 0);
        TRY("mprotect", mprotect(page, 4096, PROT_READ | PROT_EXEC));
        TRY("mprotect of all", mprotect(page, 4096, all));
        int wide = PROT_READ | PROT_EXEC;
        TRY("mmap of shared code", mmap(0, 4096, wide, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
        void *shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        TRY("mremap of nothing", mremap(shared, 0, 4096, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
        TRY("mremap of an overflow", mremap(shared, -1UL, 4096, MREMAP_MAYMOVE) == MAP_FAILED ? -1 : 0);
        TRY("mmap with high bits", syscall(SYS_mmap, 0, 4096, 0xdead00000000 | all, some, -1, 0));
        TRY("pkey_mprotect", syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1));
    }
    return 0;
}
"##;

/// Gives a program a terminal of its own as standard input.
const TERMINAL: &str = r##"
int main(int n, char **a) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    grantpt(master);
    unlockpt(master);
    pid_t child = fork();
    if (!child) {
        setsid();
        // Opening it makes it the session's terminal.
        int slave = open(ptsname(master), O_RDWR);
        // Bytes are read as they are typed, not by lines.
        struct { unsigned flags[4]; unsigned char line, characters[19]; } modes;
        ioctl(slave, TCGETS, &modes);
        modes.flags[3] &= ~(2 | 8);
        ioctl(slave, TCSETS, &modes);
        dup2(slave, 0);
        execv(a[1], a + 1);
        _exit(98);
    }
    int status;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
"##;
