/* as ID PROGRAM [ARGUMENTS]: runs a program as this user and group alone. */
#define _GNU_SOURCE
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **words) {
    if (count < 3) return 111;
    int id = atoi(words[1]);
    if (setgroups(0, NULL) || setresgid(id, id, id) || setresuid(id, id, id)) {
        perror("as");
        return 111;
    }
    execvp(words[2], words + 2);
    perror(words[2]);
    return 111;
}
