/* A plugin whose last bytes lie pages away from its first. */
#include <stdio.h>

static const char text[3 * 4096 + 32] __attribute__((aligned(4096))) = {
    [2 * 4096] = 'h', 'e', 'l', 'l', 'o', ' ', 'f', 'r', 'o', 'm', ' ', 'f', 'a', 'r', '\n',
};

int main(int count, char **words) {
    volatile int far = 2 * 4096;
    (void)words;
    printf("%s", count > 1 ? "hello\n" : &text[far]);
    return 0;
}
