// Starts threads until no more can be, and prints how many it then has.
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *waits(void *nothing) {
    pause();
    return nothing;
}

int main(void) {
    pthread_t thread;
    int threads = 1;
    while (threads < 1000 && !pthread_create(&thread, 0, waits, 0)) threads++;
    return printf("%d\n", threads) < 0;
}
