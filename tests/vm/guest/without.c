/* without NUMBER... -- PROGRAM [ARGUMENTS]: runs a program for which these
 * system calls do not exist, as under a container runtime that hides them. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int count, char **words) {
    struct sock_filter program[64] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    unsigned short length = 1;
    int at = 1;
    for (; at < count && strcmp(words[at], "--") && length < 60; at++) {
        struct sock_filter is = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, atoi(words[at]), 0, 1);
        struct sock_filter hide = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
        program[length++] = is;
        program[length++] = hide;
    }
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[length++] = allow;
    struct sock_fprog filter = {.len = length, .filter = program};
    if (at + 1 >= count || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) {
        perror("without");
        return 111;
    }
    execvp(words[at + 1], words + at + 1);
    perror(words[at + 1]);
    return 111;
}
