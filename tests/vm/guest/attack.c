/* Tries one thing that a plugin may not do, and says how it went: "NAME: done"
 * and status 0, or "NAME: ERROR" and status 1. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static const char *error_name(void) {
    switch (errno) {
    case EACCES: return "EACCES";
    case EPERM: return "EPERM";
    case EBADF: return "EBADF";
    case ENOENT: return "ENOENT";
    default: return strerror(errno);
    }
}

static int connect_unix(const char *name, int abstract) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path + abstract, name);
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return fd < 0 ? -1 : connect(fd, (void *)&address, length);
}

static int connect_tcp(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? -1 : connect(fd, (void *)&address, sizeof address);
}

static int attempt(const char *what, const char *argument) {
    if (!strcmp(what, "open")) return open(argument, O_RDONLY);
    if (!strcmp(what, "truncate")) return truncate(argument, 0);
    if (!strcmp(what, "truncate-reading")) return open(argument, O_RDONLY | O_TRUNC);
    /* Access mode 3 neither reads nor writes. */
    if (!strcmp(what, "truncate-neither")) return open(argument, 3 | O_TRUNC);
    /* Ignored by default, and checked like any other signal. */
    if (!strcmp(what, "kill")) return kill(atoi(argument), SIGURG);
    if (!strcmp(what, "raise")) return kill(getpid(), SIGURG);
    if (!strcmp(what, "tcp")) return connect_tcp(atoi(argument));
    if (!strcmp(what, "abstract")) return connect_unix(argument, 1);
    if (!strcmp(what, "unix")) return connect_unix(argument, 0);
    if (!strcmp(what, "descriptor")) return fcntl(atoi(argument), F_GETFD);
    if (!strcmp(what, "memfd")) return syscall(SYS_memfd_create, "x", 0x10 /* MFD_EXEC */);
    if (!strcmp(what, "ioctl")) {
        unsigned number;
        int fd = open(argument, O_RDWR | O_NOCTTY);
        return fd < 0 ? -1 : ioctl(fd, TIOCGPTN, &number);
    }
    if (!strcmp(what, "exec")) {
        char *words[] = {"echo", "exec: done", NULL};
        char *none[] = {NULL};
        return execve(argument, words, none);
    }
    errno = EINVAL;
    return -1;
}

int main(int count, char **words) {
    int done = count == 3 && attempt(words[1], words[2]) >= 0;
    printf("%s: %s\n", words[1], done ? "done" : error_name());
    return !done;
}
