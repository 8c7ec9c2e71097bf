//! The suite's program: lists attacks, makes one attempt, or sets the scene
//! for one (`arena.c`).
#define GROUP "none"
#include "suite.h"
#include <setjmp.h>

struct scene scene;
const unsigned char returns_42[6] = {0xb8, 42, 0, 0, 0, 0xc3};

char *at(const char *folder, const char *name) {
    static char paths[8][PATH_MAX];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, PATH_MAX, "%s/%s%s%s", scene.base, folder, *folder ? "/" : "", name);
    return path;
}

char *of_process(pid_t pid, const char *name) {
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    return path;
}

long fails_with(int error) {
    errno = error;
    return -1;
}

long answered(long answer, int expected) {
    return answer >= 0 || errno == expected ? 0 : -1;
}

long opens(const char *path, int flags) {
    int fd = open(path, flags, 0600);
    if (fd >= 0) close(fd);
    return fd < 0 ? -1 : 0;
}

int exists(const char *path) {
    struct stat status;
    return !lstat(path, &status);
}

static sigjmp_buf back;
static void fault(int signal) { siglongjmp(back, signal); }

long runs(const void *code) {
    if (code == MAP_FAILED || !code) return -1;
    signal(SIGSEGV, fault);
    signal(SIGBUS, fault);
    if (sigsetjmp(back, 1)) return fails_with(EFAULT);
    int (*function)(void) = (int (*)(void))code;
    return function() == 42 ? 0 : fails_with(EILSEQ);
}

void put(const char *path, const char *text, int mode) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
    write(fd, text, strlen(text));
    fchmod(fd, mode);
    close(fd);
}

void copy(const char *from, const char *to, int mode) {
    int source = open(from, O_RDONLY), target = open(to, O_WRONLY | O_CREAT | O_TRUNC, mode);
    char bytes[65536];
    ssize_t count;
    while ((count = read(source, bytes, sizeof bytes)) > 0) write(target, bytes, count);
    fchmod(target, mode);
    close(source);
    close(target);
}

socklen_t unix_address(struct sockaddr_un *address, const char *name) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    strncpy(address->sun_path, name, sizeof address->sun_path - 1);
    if (*name != '@') return sizeof *address;
    address->sun_path[0] = 0;
    return offsetof(struct sockaddr_un, sun_path) + strlen(name);
}

static int list(void) {
    for (const struct attack **at = __start_attacks; at < __stop_attacks; at++)
        printf("%s\t%s\t%d\t%s\n", (*at)->name, (*at)->group, (*at)->whom, (*at)->line);
    return 0;
}

static int attempt(const char *name) {
    for (const struct attack **at = __start_attacks; at < __stop_attacks; at++) {
        if (strcmp((*at)->name, name)) continue;
        signal(SIGTERM, SIG_IGN);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN);
        errno = 0;
        long answer = (*at)->attempt();
        if (answer == SPOKEN) return 0;
        if (answer >= 0) puts("worked");
        else printf("refused: %s\n", strerrorname_np(errno));
        return 0;
    }
    return 64;
}

int main(int count, char **words) {
    if (count == 2 && !strcmp(words[1], "list")) return list();
    // What an attack executes.
    if (count == 2 && !strcmp(words[1], "executed")) return puts("worked") < 0;
    if (count == 2 && !strcmp(words[1], "privileged"))
        return puts(geteuid() ? "refused: EPERM" : "worked") < 0;
    if (count > 5 && !strcmp(words[1], "arena")) return arena(count - 2, words + 2);
    if (count == 8 && !strcmp(words[1], "try")) {
        scene.base = words[3];
        scene.port = atoi(words[4]);
        scene.victim = atoi(words[5]);
        scene.mate = atoi(words[6]);
        scene.secret = (void *)strtoul(words[7], NULL, 10);
        return attempt(words[2]);
    }
    return 64;
}
