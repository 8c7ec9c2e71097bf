//! The arena of one attempt: namespaces of its own, in which listeners, shared
//! memory and other processes of the user wait for the attack, and a careless
//! host that starts the plugin, bare or in a sandbox. It says whether the
//! attack worked. With it, everything that an attack did is gone but files.
//!
//! `arena ATTACK UID BASE COMMAND...`: the command gets the scene as its last
//! arguments.
#define GROUP "none"
#include "suite.h"
#include <grp.h>
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/xattr.h>

enum { PORT = 4040, LIMIT_MS = 5000 };

static char secret[8] = "secret";
// Where the command's last arguments go.
static char **next_word;

static void need(long answer, const char *what) {
    if (answer >= 0) return;
    printf("error: the arena can't %s: %s\n", what, strerrorname_np(errno));
    exit(70);
}

// What the attack's own function of this kind says.
static long hook(const char *name, const char *kind, long otherwise) {
    for (const struct hook **at = __start_hooks; at < __stop_hooks; at++)
        if (!strcmp((*at)->name, name) && !strcmp((*at)->kind, kind)) return (*at)->call();
    return otherwise;
}

static void become_user(void) {
    if (geteuid() != scene.user) {
        need(setgroups(0, NULL), "drop groups");
        need(setresgid(scene.user, scene.user, scene.user), "change the group");
        need(setresuid(scene.user, scene.user, scene.user), "change the user");
        // As after an exec.
        prctl(PR_SET_DUMPABLE, 1);
    }
}

static void mounts(void) {
    need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make its mounts private");
    need(mount("proc", "/proc", "proc", 0, NULL), "mount /proc");
    // Empty, and gone with the arena.
    const char *empty[] = {"/run", "/dev/shm", "/var/tmp"};
    for (int i = 0; i < 3; i++)
        need(mount("none", empty[i], "tmpfs", 0, i ? "mode=1777" : "mode=755"), empty[i]);
    // Some sandboxes want their user to have an account.
    put("/run/passwd", "root:x:0:0::/root:/bin/sh\n", 0644);
    FILE *accounts = fopen("/run/passwd", "a");
    fprintf(accounts, "plugin:x:%u:%u::%s:/bin/sh\n", scene.user ? scene.user : 58231,
            scene.user ? scene.user : 58231, product("home"));
    fclose(accounts);
    need(mount("/run/passwd", "/etc/passwd", NULL, MS_BIND, NULL), "replace /etc/passwd");
}

static void network(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct ifreq loopback = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    need(ioctl(fd, SIOCSIFFLAGS, &loopback), "start loopback");
    close(fd);
    fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY);
    need(write(fd, "0 100000", 8), "admit ping sockets");
    close(fd);
}

static void serve(int type, const char *name) {
    struct sockaddr_un address;
    socklen_t length = unix_address(&address, name);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    need(bind(fd, (void *)&address, length), name);
    if (type != SOCK_DGRAM) need(listen(fd, 16), name);
    if (*name != '@') chmod(name, 0666);
}

// As the user: what it could reach, were it not confined.
static void lay_out(void) {
    need(setegid(scene.user), "act for the user");
    need(seteuid(scene.user), "act for the user");
    put(outside("secret"), "secret", 0644);
    put(readable("data"), "data", 0644);
    put(writable("file"), "file", 0644);
    need(mkdir(outside("folder"), 0755), "make a folder");
    need(symlink("secret", outside("link")), "make a link");
    need(mkfifo(outside("fifo"), 0644), "make a FIFO");
    setxattr(outside("secret"), "user.note", "secret", 6, 0);
    setxattr(readable("data"), "user.note", "data", 4, 0);
    copy("/proc/self/exe", readable("program"), 0755);

    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
    int tcp = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    scene.udp = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    need(bind(tcp, (void *)&any, sizeof any), "bind TCP");
    need(listen(tcp, 16), "listen");
    need(bind(scene.udp, (void *)&any, sizeof any), "bind UDP");
    serve(SOCK_STREAM, outside("stream"));
    serve(SOCK_DGRAM, outside("datagram"));
    serve(SOCK_SEQPACKET, outside("packet"));
    serve(SOCK_STREAM, "@stream");
    serve(SOCK_DGRAM, "@datagram");

    int segment = shmget(0x5ec0de, 4096, IPC_CREAT | 0600);
    need(segment, "make shared memory");
    strcpy(shmat(segment, NULL, 0), "secret");
    need(semget(0x5ec0de, 1, IPC_CREAT | 0600), "make a semaphore");
    struct { long type; char text[8]; } message = {1, "secret"};
    int queue = msgget(0x5ec0de, IPC_CREAT | 0600);
    need(msgsnd(queue, &message, 8, 0), "send a message");
    // A user's queues are limited in bytes, over all arenas that there are.
    struct mq_attr small = {.mq_maxmsg = 1, .mq_msgsize = 8};
    mqd_t posix = mq_open("/secret", O_RDWR | O_CREAT, 0600, &small);
    need(posix, "make a queue");
    need(mq_send(posix, "secret", 6, 0), "fill a queue");
    put("/dev/shm/secret", "secret", 0600);
    need(seteuid(0), "act for itself");
    need(setegid(0), "act for itself");
}

int received(void) {
    char byte;
    return recv(scene.udp, &byte, 1, MSG_DONTWAIT) >= 0;
}

// A process of the user that waits for the end of its life, which is that of
// the pipe.
static pid_t process(int life[2], const char *name, int own_group) {
    int ready[2];
    char byte;
    need(pipe2(ready, O_CLOEXEC), "make a pipe");
    pid_t pid = fork();
    need(pid, "fork");
    if (!pid) {
        signal(SIGTERM, SIG_DFL);
        if (own_group) setpgid(0, 0);
        become_user();
        prctl(PR_SET_NAME, name);
        dup2(open(outside("secret"), O_RDONLY), 9);
        close(life[1]);
        write(ready[1], "x", 1);
        while (read(life[0], &byte, 1) > 0);
        _exit(strcmp(secret, "secret") != 0);
    }
    close(ready[1]);
    need(read(ready[0], &byte, 1) - 1, "start a process");
    close(ready[0]);
    return pid;
}

// A signal that was sent by now arrives before the end of its life.
static int end_of(int life[2], pid_t pid) {
    int status;
    close(life[1]);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return -1;
    return status;
}

static int terminal(void) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    grantpt(master);
    unlockpt(master);
    const char *name = ptsname(master);
    if (scene.user) chown(name, scene.user, scene.user);
    // The session's leader gets it as its terminal by opening it.
    int slave = open(name, O_RDWR);
    // Bytes are read as they are typed, not by lines.
    struct { unsigned flags[4]; unsigned char line, characters[19]; } modes;
    ioctl(slave, TCGETS, &modes);
    modes.flags[3] &= ~(2 | 8);
    ioctl(slave, TCSETS, &modes);
    return slave;
}

static void caught(int signal) { scene.report.host = signal; }

// The plugin's host: leaks descriptors, and says in the end how it fared.
static void host(char **command, int output, int report) {
    setsid();
    int leaked = open(outside("secret"), O_RDWR), folder = open(outside(""), O_PATH | O_DIRECTORY);
    int to = socket(AF_INET, SOCK_STREAM, 0), mates_life[2];
    struct sockaddr_in address = {AF_INET, htons(PORT), {htonl(INADDR_LOOPBACK)}};
    need(connect(to, (void *)&address, sizeof address), "connect");
    int slave = scene.terminal ? terminal() : -1;
    become_user();
    signal(SIGTERM, caught);
    need(pipe2(mates_life, O_CLOEXEC), "make a pipe");
    scene.mate = process(mates_life, "mate", 0);
    char words[4][32];
    snprintf(words[0], 32, "%d", scene.port);
    snprintf(words[1], 32, "%d", scene.victim);
    snprintf(words[2], 32, "%d", scene.mate);
    snprintf(words[3], 32, "%lu", (unsigned long)scene.secret);
    for (int i = 0; i < 4; i++) *next_word++ = words[i];
    pid_t pid = fork();
    if (!pid) {
        int input = slave >= 0 ? slave : scene.input >= 0 ? scene.input : open("/dev/null", O_RDONLY);
        signal(SIGTERM, SIG_DFL);
        dup2(input, 0);
        dup2(output, 1);
        dup2(leaked, 20);
        dup2(folder, 21);
        dup2(to, 22);
        for (int fd = 3; fd < 20; fd++) close(fd);
        if (scene.mask >= 0) umask(scene.mask);
        if (chdir(scene.folder ? scene.folder : scene.base)) _exit(126);
        execv(command[0], command);
        _exit(127);
    }
    while (waitpid(pid, &scene.report.plugin, 0) < 0 && errno == EINTR);
    scene.report.mate = end_of(mates_life, scene.mate);
    write(report, &scene.report, sizeof scene.report);
    _exit(0);
}

// Whoever listens on TCP, or where a plugin might, gets a visit.
void visit_listeners(void) {
    char line[512];
    const char *tables[] = {"/proc/net/tcp", "/proc/net/tcp6"};
    for (int i = 0; i < 2; i++) {
        FILE *table = fopen(tables[i], "r");
        while (table && fgets(line, sizeof line, table)) {
            unsigned port, state;
            if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &port, &state) != 2) continue;
            if (state != 10 || port == PORT) continue;
            struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
            address.sin6_addr.s6_addr[15] = 1;
            struct sockaddr_in older = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}};
            int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            connect(fd, (void *)&address, sizeof address);
            fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            connect(fd, (void *)&older, sizeof older);
        }
        if (table) fclose(table);
    }
    const char *names[] = {writable("served"), "@served"};
    for (int i = 0; i < 2; i++) {
        struct sockaddr_un address;
        socklen_t length = unix_address(&address, names[i]);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (connect(fd, (void *)&address, length)) close(fd);
    }
}

// The command's standard output, up to its end or the limit.
static int listen_to(int output, char *text, size_t size) {
    size_t length = 0;
    struct pollfd polled = {output, POLLIN};
    for (int waited = 0; waited < LIMIT_MS;) {
        int tick = scene.visit ? 10 : LIMIT_MS - waited;
        int found = poll(&polled, 1, tick);
        if (found == 0) {
            waited += tick;
            if (scene.visit) scene.visit();
            continue;
        }
        ssize_t count = read(output, text + length, size - 1 - length);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            text[length] = 0;
            return 0;
        }
        length += count;
        text[length] = 0;
    }
    return -1;
}

static void judge(const char *name, const char *text, int report) {
    const char *refused = strstr(text, "refused: ");
    char error[64] = "without effect";
    if (refused) sscanf(refused, "refused: %63s", error);
    // Also where a sandbox waits for the plugin and says how it ended.
    int status = scene.report.plugin;
    int killed = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status) - 128;
    if (killed == SIGSYS) strcpy(error, "SIGSYS");
    int claims = strstr(text, "worked") != NULL;
    long seen = hook(name, "witness", claims);
    if (report || !(claims || refused || killed == SIGSYS))
        printf("error: status %x, output '%s'\n", status, text);
    else if (seen) puts("worked");
    else printf("refused: %s\n", error);
}

static int inside(char **words) {
    const char *name = words[0];
    int life[2], output[2], report[2];
    char text[4096] = "";
    umask(022);
    mounts();
    network();
    lay_out();
    need(hook(name, "prepare", 0), "prepare");
    need(pipe2(life, O_CLOEXEC), "make a pipe");
    // firejail takes a machine without kernel threads for a sandbox, and then
    // adds none.
    prctl(PR_SET_NAME, "kthreadd");
    // Numbers that nobody has in a namespace of the sandbox.
    int last = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
    need(write(last, "4000", 4), "choose process numbers");
    close(last);
    scene.victim = process(life, "victim", 1);
    need(pipe2(output, O_CLOEXEC), "make a pipe");
    need(pipe2(report, O_CLOEXEC), "make a pipe");
    pid_t pid = fork();
    need(pid, "fork");
    if (!pid) {
        close(life[1]);
        host(words + 3, output[1], report[1]);
    }
    close(output[1]);
    close(report[1]);
    int silent = listen_to(output[0], text, sizeof text);
    struct pollfd polled = {report[0], POLLIN};
    if (!silent && poll(&polled, 1, LIMIT_MS) == 1)
        silent = read(report[0], &scene.report, sizeof scene.report) != sizeof scene.report;
    else
        silent = 1;
    scene.report.victim = end_of(life, scene.victim);
    judge(name, text, silent);
    return 0;
}

int arena(int count, char **words) {
    char *command[count + 5];
    memcpy(command, words, count * sizeof *command);
    next_word = command + count;
    memset(next_word, 0, 5 * sizeof *command);
    scene.user = atoi(words[1]);
    scene.base = words[2];
    scene.port = PORT;
    scene.secret = secret;
    scene.input = scene.mask = -1;
    int namespaces = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID;
    need(unshare(namespaces), "unshare");
    pid_t pid = fork();
    need(pid, "fork");
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        // All that is left in the namespace ends with this process.
        exit(inside(command));
    }
    int status;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 71;
}
