//! Exec after the launch: the launch's own was the last.

use super::{boxed, hostile};
use crate::kit::{EVERYONE, Host};

const ATTEMPTS: &[(&str, &str)] = &[
    ("execve", "execve: ENOENT"),
    ("execveat", "execveat: ENOENT"),
    ("descriptor", "descriptor: ENOENT"),
    ("ticket", "ticket: ENOENT"),
    ("fexecve", "fexecve: ENOENT"),
    ("memfd", "memfd: ENOSYS"),
    ("memfd-script", "memfd-script: ENOSYS"),
    ("self", "self: ENOENT"),
    ("loader", "loader: ENOENT"),
    ("script", "script: ENOENT"),
    ("own-file", "own-file: ENOENT"),
    ("thread", "thread: ENOENT"),
    ("spawn", "spawn: EPERM"),
    // The C library's own words for a shell that could not be started.
    ("system", "system: 7f00"),
    ("popen", "popen: ENOMEM"),
    ("fork", "fork: EPERM"),
    ("vfork", "vfork: EPERM"),
];

#[test]
fn no_form_of_exec_is_left_to_the_plugin() {
    for user in EVERYONE {
        let host = armed(user);
        for profile in ["default", "boxed"] {
            for (attempt, answer) in ATTEMPTS {
                let outcome = host.launch("p").profile(profile).args([
                    *attempt,
                    host.path("in/target").to_str().unwrap(),
                    host.path("out").to_str().unwrap(),
                ]);
                let outcome = outcome.run().succeeded();
                assert_eq!(outcome.stdout, format!("{answer}\n"), "{profile}");
            }
        }
    }
}

#[test]
fn each_of_these_execs_works_without_the_sandbox() {
    for user in EVERYONE {
        let host = armed(user);
        for (attempt, _) in ATTEMPTS {
            let (target, out) = (host.path("in/target"), host.path("out"));
            let arguments = [attempt, target.to_str().unwrap(), out.to_str().unwrap()];
            let outcome = host.bare(host.path("plugins/p"), &arguments);
            assert_eq!(outcome.stdout, "executed\n", "{attempt}: {outcome:#?}");
        }
    }
}

#[test]
fn a_child_of_a_plugin_that_may_fork_has_no_exec_either() {
    for user in EVERYONE {
        let host = armed(user);
        boxed(&host, "forking", "processes: { fork: true }");
        for (attempt, answer) in [
            ("fork", "execve: ENOENT\nended: ok\n"),
            ("vfork", "execve: ENOENT\nended: ok\n"),
            ("thread", "thread: ENOENT\n"),
            ("spawn", "spawn: ENOENT\n"),
            ("system", "system: 7f00\n"),
            ("popen", "popen: ENOMEM\n"),
        ] {
            let outcome = host.launch("p").profile("forking").args([
                attempt,
                host.path("in/target").to_str().unwrap(),
                host.path("out").to_str().unwrap(),
            ]);
            outcome.run().succeeded().prints(answer);
        }
    }
}

/// Landlock has no rule for a file without a path, so there is none where exec
/// is left to Landlock, whatever else the profile grants.
#[test]
fn a_profile_that_grants_executing_grants_no_file_in_memory() {
    for user in EVERYONE {
        let host = armed(user);
        let (target, out) = (host.path("in/target"), host.path("out"));
        for (name, memory) in [("plain", false), ("compiles", true)] {
            for isolation in ["process", "namespaces"] {
                let profile = format!(
                    "filesystem: {{ read: [{:?}], execute: [{target:?}] }}\n\
                     syscalls: {{ allow: [memfd_create, memfd_secret] }}\n\
                     memory: {{ write_execute: {memory} }}\nisolation: {isolation}",
                    host.path("in"),
                );
                host.profile(name, &profile);
                for (attempt, answer) in [
                    ("memfd", "memfd: ENOSYS\n"),
                    ("memfd-script", "memfd-script: ENOSYS\n"),
                    ("execve", "executed\n"),
                ] {
                    let words = [attempt, target.to_str().unwrap(), out.to_str().unwrap()];
                    let outcome = host.launch("p").profile(name).args(words).run();
                    assert_eq!(outcome.stdout, answer, "{name} {isolation}: {outcome:#?}");
                }
            }
        }
    }
}

fn armed(user: crate::kit::User) -> Host {
    let mut host = Host::of(user);
    boxed(&host, "boxed", "");
    host.install_copy("p", hostile(PROGRAM));
    std::fs::copy(host.path("plugins/p"), host.path("in/target")).unwrap();
    host.own(&host.path("in/target"));
    host.list("p", &[]);
    host
}

const PROGRAM: &str = r##"
#include <pthread.h>
#include <spawn.h>

static char *target, *args[] = {"target", "again", NULL}, *environment[] = {NULL};

static int memory_file(const char *text) {
    int fd = syscall(SYS_memfd_create, "m", 0);
    if (fd < 0) return -1;
    int from = text ? -1 : open(target, O_RDONLY);
    char bytes[65536];
    ssize_t n;
    if (text) write(fd, text, strlen(text));
    else while ((n = read(from, bytes, sizeof bytes)) > 0) write(fd, bytes, n);
    if (from >= 0) close(from);
    return fd;
}

static void *in_thread(void *_) {
    TRY("thread", execve(target, args, environment));
    return _;
}

int main(int n, char **a) {
    const char *what = a[1];
    if (!strcmp(what, "again")) return puts("executed") < 0;
    target = a[2];
    char path[4096], command[5000];
    snprintf(path, sizeof path, "%s/script", a[3]);
    snprintf(command, sizeof command, "%s again", target);
#define IS(name) (!strcmp(what, name))
    if (IS("execve")) TRY(what, execve(target, args, environment));
    if (IS("execveat")) TRY(what, syscall(SYS_execveat, AT_FDCWD, target, args, environment, 0));
    if (IS("descriptor")) {
        int fd = open(target, O_PATH);
        TRY(what, syscall(SYS_execveat, fd, "", args, environment, AT_EMPTY_PATH));
    }
    if (IS("ticket")) {
        // The launch's own call had one of these numbers, and these flags.
        int fd = memory_file(NULL), saved = dup2(1, 900);
        if (fd < 0) fd = open(target, O_RDONLY);
        for (int number = 3; number < 256; number++) {
            if (number != fd) dup2(fd, number);
            if (syscall(SYS_execveat, number, "", args, environment, AT_EMPTY_PATH) < 0 &&
                (errno != ENOENT || saved < 0)) { TRY("another answer", -1); return 1; }
        }
        errno = ENOENT;
        tell(what, -1);
    }
    if (IS("fexecve")) { int fd = open(target, O_RDONLY); TRY(what, fexecve(fd < 0 ? 0 : fd, args, environment)); }
    if (IS("memfd")) {
        int fd = memory_file(NULL);
        if (fd < 0) tell(what, -1);
        else TRY(what, fexecve(fd, args, environment));
    }
    if (IS("memfd-script")) {
        int fd = memory_file("#!/bin/sh\necho executed\n");
        if (fd < 0) tell(what, -1);
        else TRY(what, fexecve(fd, args, environment));
    }
    if (IS("self")) TRY(what, execve("/proc/self/exe", args, environment));
    if (IS("loader")) {
        char *loader[] = {"ld.so", target, "again", NULL};
        TRY(what, execve("/lib64/ld-linux-x86-64.so.2", loader, environment));
    }
    if (IS("script") || IS("own-file")) {
        int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0700);
        if (IS("script")) {
            write(fd, "#!/bin/sh\necho executed\n", 24);
        } else {
            char bytes[65536];
            int from = open(target, O_RDONLY);
            ssize_t count;
            while ((count = read(from, bytes, sizeof bytes)) > 0) write(fd, bytes, count);
        }
        close(fd);
        TRY(what, execve(path, args, environment));
    }
    if (IS("thread")) {
        pthread_t thread;
        pthread_create(&thread, NULL, in_thread, NULL);
        pthread_join(thread, NULL);
    }
    if (IS("spawn")) {
        pid_t pid;
        int status;
        errno = posix_spawn(&pid, target, NULL, NULL, args, environment);
        if (errno) tell(what, -1);
        else waitpid(pid, &status, 0);
    }
    if (IS("system")) {
        errno = 0;
        int status = system(command);
        if (status < 0) tell(what, -1);
        else if (status) printf("%s: %x\n", what, status);
    }
    if (IS("popen")) {
        errno = 0;
        FILE *stream = popen(command, "r");
        char line[100] = "";
        if (!stream) { tell(what, -1); return 0; }
        if (fgets(line, sizeof line, stream)) fputs(line, stdout);
        int status = pclose(stream);
        if (status) printf("%s: %x\n", what, status);
    }
    if (IS("fork") || IS("vfork")) {
        errno = 0;
        pid_t pid = IS("fork") ? fork() : vfork();
        int status = 0;
        if (pid < 0) { tell(what, -1); return 0; }
        if (pid == 0) {
            execve(target, args, environment);
            dprintf(1, "execve: %s\n", strerrorname_np(errno));
            _exit(5);
        }
        waitpid(pid, &status, 0);
        if (WEXITSTATUS(status) == 5) TRY("ended", 0);
    }
    return 0;
}
"##;
