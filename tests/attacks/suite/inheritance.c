//! What a careless host leaves to its plugins: descriptors, streams, the
//! working folder, variables, keys, capabilities, the terminal, the umask.
#define GROUP "inheritance"
#include "suite.h"
#include <dirent.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/personality.h>

ATTACK(leaked_file, BOTH, "read a leaked descriptor") {
    char byte;
    return pread(20, &byte, 1, 0);
}
ATTACK(leaked_file_write, BOTH, "write to a leaked descriptor") { return pwrite(20, "x", 1, 0); }
ATTACK(leaked_folder, BOTH, "open beneath a leaked folder") { return openat(21, "secret", O_RDONLY); }
ATTACK(leaked_folder_enter, BOTH, "change into a leaked folder") {
    return fchdir(21) ? -1 : opens("secret", O_RDONLY);
}
ATTACK(leaked_socket, BOTH, "send on a leaked connection") { return send(22, "x", 1, MSG_NOSIGNAL); }
ATTACK(leaked_any, BOTH, "find any descriptor but the standard streams") {
    for (int fd = 3; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0) return 0;
    return -1;
}
static long with_input(const char *path, int flags) {
    scene.input = open(path, flags | O_CLOEXEC);
    return scene.input;
}
ATTACK(stream_folder, BOTH, "open beneath a folder that is its standard input") {
    return openat(0, "secret", O_RDONLY);
}
PREPARE(stream_folder) { return with_input(outside(""), O_RDONLY | O_DIRECTORY); }
ATTACK(stream_write, BOTH, "open its standard input again, to write") {
    return opens("/proc/self/fd/0", O_WRONLY);
}
PREPARE(stream_write) { return with_input(outside("secret"), O_RDONLY); }
ATTACK(stream_datagrams, BOTH, "send to anybody from its standard input") {
    struct sockaddr_in to = {AF_INET, htons(scene.port), {htonl(INADDR_LOOPBACK)}};
    return sendto(0, "x", 1, 0, (void *)&to, sizeof to);
}
WITNESS(stream_datagrams) { return received(); }
PREPARE(stream_datagrams) { return scene.input = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }
ATTACK(stream_message, BOTH, "send a message to anybody from its standard input") {
    struct sockaddr_in to = {AF_INET, htons(scene.port), {htonl(INADDR_LOOPBACK)}};
    struct iovec bytes = {"x", 1};
    struct msghdr message = {&to, sizeof to, &bytes, 1};
    return sendmsg(0, &message, 0);
}
WITNESS(stream_message) { return received(); }
PREPARE(stream_message) { return scene.input = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }
ATTACK(stream_redirect, BOTH, "connect its standard input to somebody") {
    struct sockaddr_in to = {AF_INET, htons(scene.port), {htonl(INADDR_LOOPBACK)}};
    return connect(0, (void *)&to, sizeof to);
}
PREPARE(stream_redirect) { return scene.input = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); }
ATTACK(stream_code, BOTH, "run code in its standard input, and change it while it is mapped") {
    static char page[4096];
    memcpy(page, returns_42, sizeof returns_42);
    page[1] = 43;
    if (pwrite(0, page, sizeof page, 0) < 0) return -1;
    void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 0, 0);
    if (code == MAP_FAILED || runs(code) >= 0) return -1;
    return pwrite(0, returns_42, sizeof returns_42, 0) < 0 ? -1 : runs(code);
}
PREPARE(stream_code) { return with_input(outside("secret"), O_RDWR); }
ATTACK(inherited_layout, BOTH, "be loaded at addresses that everybody knows") {
    return personality(0xffffffff) & ADDR_NO_RANDOMIZE ? 0 : -1;
}
PREPARE(inherited_layout) { return personality(ADDR_NO_RANDOMIZE); }
ATTACK(inherited_ignored, BOTH, "ignore signals since its host does") {
    struct sigaction now;
    return sigaction(SIGUSR1, NULL, &now) || now.sa_handler != SIG_IGN ? -1 : 0;
}
PREPARE(inherited_ignored) { return signal(SIGUSR1, SIG_IGN) == SIG_ERR ? -1 : 0; }
ATTACK(inherited_blocked, BOTH, "block signals since its host does") {
    sigset_t now;
    return sigprocmask(SIG_BLOCK, NULL, &now) || !sigismember(&now, SIGUSR1) ? -1 : 0;
}
PREPARE(inherited_blocked) {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    return sigprocmask(SIG_BLOCK, &blocked, NULL);
}
// The arena is root's, and so it may.
ATTACK(inherited_class, BOTH, "run in real time, as its host") {
    return sched_getscheduler(0) == SCHED_RR ? 0 : -1;
}
PREPARE(inherited_class) {
    struct sched_param lowest = {1};
    return sched_setscheduler(0, SCHED_RR, &lowest);
}
ATTACK(inherited_nice, BOTH, "run before others, as its host") {
    return getpriority(PRIO_PROCESS, 0) < 0 ? 0 : -1;
}
PREPARE(inherited_nice) { return setpriority(PRIO_PROCESS, 0, -5); }
// Root has the right by a capability; others only where the arena may give it.
static long may(int resource, rlim_t most) {
    setrlimit(resource, &(struct rlimit){most, most});
    return 0;
}
ATTACK(inherited_class_right, BOTH, "begin to run in real time, as its host may") {
    struct sched_param lowest = {1};
    return sched_setscheduler(0, SCHED_RR, &lowest);
}
PREPARE(inherited_class_right) { return may(RLIMIT_RTPRIO, 1); }
ATTACK(inherited_nice_right, BOTH, "begin to run before others, as its host may") {
    return setpriority(PRIO_PROCESS, 0, -5);
}
PREPARE(inherited_nice_right) { return may(RLIMIT_NICE, 40); }
ATTACK(inherited_storage, BOTH, "be served before others by disks, as its host") {
    return syscall(SYS_ioprio_get, 1, 0) >> 13 == 1 ? 0 : -1;
}
PREPARE(inherited_storage) { return syscall(SYS_ioprio_set, 1, 0, 1 << 13 | 7); }
ATTACK(folder_read, BOTH, "read in the working folder that it was left") { return opens("secret", O_RDONLY); }
PREPARE(folder_read) { return scene.folder = outside(""), 0; }
ATTACK(folder_list, BOTH, "list it") {
    DIR *here = opendir(".");
    for (struct dirent *entry; here && (entry = readdir(here));)
        if (!strcmp(entry->d_name, "secret")) return 0;
    return -1;
}
PREPARE(folder_list) { return scene.folder = outside(""), 0; }
ATTACK(folder_write, BOTH, "write in it") { return opens("new", O_WRONLY | O_CREAT); }
WITNESS(folder_write) { return exists(outside("new")); }
PREPARE(folder_write) { return scene.folder = outside(""), 0; }
ATTACK(variable_secret, BOTH, "read a secret of the host's environment") { return getenv("SECRET") ? 0 : -1; }
ATTACK(variable_loader, BOTH, "be loaded with the host's library path") { return getenv("LD_LIBRARY_PATH") ? 0 : -1; }
PREPARE(variable_loader) { return setenv("LD_LIBRARY_PATH", "/nonexistent", 1); }
ATTACK(variable_tunables, BOTH, "be loaded with the host's tunables of the C library") {
    return getenv("GLIBC_TUNABLES") ? 0 : -1;
}
PREPARE(variable_tunables) { return setenv("GLIBC_TUNABLES", "glibc.malloc.check=0", 1); }
ATTACK(variable_shell, BOTH, "be started with the host's shell functions") { return getenv("BASH_FUNC_x%%") ? 0 : -1; }
PREPARE(variable_shell) { return setenv("BASH_FUNC_x%%", "() { :; }", 1); }
ATTACK(terminal_open, BOTH, "open its host's terminal") { return opens("/dev/tty", O_RDWR); }
PREPARE(terminal_open) { return scene.terminal = 1; }
ATTACK(umask_open, BOTH, "leave a file that everybody may write") {
    struct stat status;
    int fd = open(writable("new"), O_WRONLY | O_CREAT, 0666);
    return fd < 0 || fstat(fd, &status) ? -1 : status.st_mode & 022 ? 0 : fails_with(EACCES);
}
PREPARE(umask_open) { return scene.mask = 0; }
ATTACK(capability, ROOT, "have a capability") {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[2] = {0};
    if (syscall(SYS_capget, &header, held)) return -1;
    return held[0].effective || held[1].effective || held[0].permitted ? 0 : fails_with(EPERM);
}
ATTACK(capability_bounding, BOTH, "be able to gain one by exec") {
    return prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 1 && !prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) ? 0 : -1;
}
ATTACK(groups, ROOT, "change its groups") { return syscall(SYS_setgroups, 0, NULL); }
ATTACK(become_other, ROOT, "become another user") { return syscall(SYS_setresuid, 1234, 1234, 1234); }
