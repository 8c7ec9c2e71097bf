/* Whom a plugin may not reach: listens on a TCP port, on an abstract and on a
 * named UNIX socket, and writes its process id into a file once it does. */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void need(int answer) {
    if (answer < 0) {
        perror("outsider");
        exit(1);
    }
}

static void listen_unix(const char *name, int abstract) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path + abstract, name);
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    need(fd);
    need(bind(fd, (void *)&address, length));
    need(listen(fd, 100));
}

int main(int count, char **words) {
    if (count != 5) return 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    need(fd);
    need(bind(fd, (void *)&address, sizeof address));
    need(listen(fd, 100));
    listen_unix(words[2], 1);
    umask(0);
    listen_unix(words[3], 0);
    FILE *out = fopen(words[4], "w");
    if (!out) return 1;
    fprintf(out, "%d\n", getpid());
    fclose(out);
    for (;;) pause();
}
