//! Limits: more than the profile `default` grants, and never much more.
#define GROUP "limits"
#include "suite.h"
#include <pthread.h>

static void at_most(int resource) {
    struct rlimit limit;
    getrlimit(resource, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(resource, &limit);
}
// 4 GiB are granted.
ATTACK(memory_map, BOTH, "map 5 GiB") {
    at_most(RLIMIT_AS);
    void *much = mmap(NULL, 5UL << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return much == MAP_FAILED ? -1 : 0;
}
ATTACK(memory_pieces, BOTH, "map 5 GiB in pieces") {
    for (int piece = 0; piece < 320; piece++)
        if (mmap(NULL, 16 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
            return -1;
    return 0;
}
ATTACK(memory_children, BOTH, "have memory of several processes") {
    int status;
    for (int child = 0; child < 3; child++) {
        pid_t pid = fork();
        if (pid < 0) return -1;
        if (!pid) _exit(mmap(NULL, 2UL << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED);
        if (waitpid(pid, &status, 0) != pid || status) return fails_with(ENOMEM);
    }
    return 0;
}
// 1 byte: none, into a program (core_pattern with "|") neither.
ATTACK(core_piped, BOTH, "leave its memory to the program that takes core dumps") {
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    return limit.rlim_cur == 1 ? -1 : 0;
}
ATTACK(memory_uncounted, BOTH, "make a file in memory, which no limit counts") {
    int fd = syscall(SYS_memfd_create, "m", 0);
    return fd < 0 ? -1 : write(fd, "x", 1);
}
ATTACK(pipe_large, BOTH, "make a pipe larger, in memory that no limit counts") {
    int ends[2];
    return pipe(ends) ? -1 : fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
}
ATTACK(queues_of_all, BOTH, "take some of the asynchronous calls that all share") {
    unsigned long context = 0;
    return syscall(SYS_io_setup, 64, &context);
}
ATTACK(processes_fork, BOTH, "fork") {
    pid_t pid = fork();
    if (!pid) _exit(0);
    return pid;
}
ATTACK(processes_many, BOTH, "fork a hundred") {
    for (int child = 0; child < 100; child++) {
        pid_t pid = fork();
        if (pid < 0) return -1;
        if (!pid) _exit(0);
    }
    return 0;
}
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static void *waits(void *_) {
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    return _;
}
// 4096 are granted.
ATTACK(processes_threads, BOTH, "start 4200 threads") {
    pthread_attr_t small;
    pthread_t thread;
    int error = 0;
    at_most(RLIMIT_NPROC);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    pthread_mutex_lock(&gate);
    for (int count = 0; count < 4200 && !error; count++) error = pthread_create(&thread, &small, waits, NULL);
    return error ? fails_with(error) : 0;
}
// 1024 are granted.
ATTACK(descriptors_many, BOTH, "open 1100 descriptors") {
    at_most(RLIMIT_NOFILE);
    for (int count = 0; count < 1100; count++)
        if (dup(1) < 0) return -1;
    return 0;
}
ATTACK(descriptors_high, BOTH, "use a high descriptor") {
    at_most(RLIMIT_NOFILE);
    return dup2(1, 2000);
}
// 1 GiB is granted.
ATTACK(file_truncate, BOTH, "make a file of 2 GiB") {
    at_most(RLIMIT_FSIZE);
    return ftruncate(open(writable("large"), O_WRONLY | O_CREAT, 0600), 2L << 30);
}
ATTACK(file_write, BOTH, "write at 2 GiB") {
    at_most(RLIMIT_FSIZE);
    return pwrite(open(writable("large"), O_WRONLY | O_CREAT, 0600), "x", 1, 2L << 30);
}
ATTACK(file_allocate, BOTH, "allocate beyond 1 GiB") {
    at_most(RLIMIT_FSIZE);
    return fallocate(open(writable("large"), O_WRONLY | O_CREAT, 0600), 0, 1L << 30, 4096);
}
ATTACK(core_dump, BOTH, "leave its memory as a core dump") {
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY}, now;
    if (setrlimit(RLIMIT_CORE, &all)) return -1;
    return getrlimit(RLIMIT_CORE, &now) || !now.rlim_cur ? -1 : 0;
}
ATTACK(limit_raise, ROOT, "raise a hard limit") {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_max += 10;
    return setrlimit(RLIMIT_NOFILE, &limit);
}
ATTACK(priority_raise, ROOT, "raise its priority") { return setpriority(PRIO_PROCESS, 0, -5); }
ATTACK(priority_real_time, ROOT, "run in real time") {
    struct sched_param parameter = {1};
    return sched_setscheduler(0, SCHED_FIFO, &parameter);
}
ATTACK(memory_lock, ROOT, "lock 64 MiB in memory") {
    size_t size = 64 << 20;
    struct rlimit limit;
    getrlimit(RLIMIT_MEMLOCK, &limit);
    limit.rlim_cur = limit.rlim_max = 8 << 20;
    setrlimit(RLIMIT_MEMLOCK, &limit);
    return mlock(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), size);
}
