//! What a plugin does all day, and no sandbox should refuse: with one folder
//! to read and one to write.
#define GROUP "honest work"
#include "suite.h"
#include <dirent.h>
#include <dlfcn.h>
#include <iconv.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/xattr.h>
#include <time.h>

#define HONEST(name, line) ATTACK(name, BOTH, line)
#define HOLDS(condition) return (condition) ? 0 : -1

static volatile int reached;
static void on(int signal) { reached = signal; }
static void *count(void *_) {
    __atomic_add_fetch(&reached, 1, __ATOMIC_SEQ_CST);
    return _;
}
static const struct itimerspec SOON = {{0, 0}, {0, 1000000}};
static char bytes[64];

HONEST(threads, "threads") {
    pthread_t threads[20];
    for (int i = 0; i < 20; i++)
        if ((errno = pthread_create(&threads[i], NULL, count, NULL))) return -1;
    for (int i = 0; i < 20; i++) pthread_join(threads[i], NULL);
    HOLDS(reached == 20);
}
HONEST(pipes, "pipes") {
    int ends[2];
    HOLDS(!pipe(ends) && write(ends[1], "x", 1) == 1 && read(ends[0], bytes, 1) == 1);
}
HONEST(socket_pair, "pairs of sockets") {
    int pair[2];
    HOLDS(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && send(pair[0], "y", 1, 0) == 1 &&
          recv(pair[1], bytes, 1, 0) == 1 && !shutdown(pair[0], SHUT_WR));
}
HONEST(event_poll, "wait for events by epoll") {
    struct epoll_event wanted = {EPOLLIN}, got;
    int event = eventfd(1, EFD_CLOEXEC), set = epoll_create1(0);
    HOLDS(!epoll_ctl(set, EPOLL_CTL_ADD, event, &wanted) && epoll_wait(set, &got, 1, 1000) == 1);
}
HONEST(event_select, "wait for events by poll and select") {
    int event = eventfd(1, EFD_CLOEXEC);
    struct pollfd polled = {event, POLLIN};
    struct timeval limit = {1, 0};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(event, &set);
    HOLDS(poll(&polled, 1, 1000) == 1 && select(event + 1, &set, NULL, NULL, &limit) == 1);
}
HONEST(timer_descriptor, "timers as descriptors") {
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    HOLDS(!timerfd_settime(timer, 0, &SOON, NULL) && read(timer, bytes, 8) == 8);
}
HONEST(timer_signal, "timers that send it signals") {
    timer_t timer;
    struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct timespec limit = {3, 0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    HOLDS(!timer_create(CLOCK_REALTIME, &how, &timer) && !timer_settime(timer, 0, &SOON, NULL) &&
          sigtimedwait(&set, NULL, &limit) == SIGUSR1);
}
HONEST(signal_handler, "its own signals") {
    signal(SIGUSR2, on);
    HOLDS(!kill(getpid(), SIGUSR2) && reached == SIGUSR2 && !raise(SIGUSR2));
}
HONEST(signal_thread, "signals between its threads") {
    signal(SIGUSR2, on);
    HOLDS(!pthread_kill(pthread_self(), SIGUSR2) && reached == SIGUSR2);
}
HONEST(signal_descriptor, "signals as descriptors") {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, 0);
    HOLDS(fd >= 0 && !raise(SIGUSR1) && read(fd, &(struct signalfd_siginfo){0}, 128) == 128);
}
HONEST(clocks, "the time, its own and its threads' too") {
    struct timespec now, pause = {0, 1000000};
    time_t seconds = time(NULL);
    clockid_t threads;
    HOLDS(!clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) && !clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) &&
          !pthread_getcpuclockid(pthread_self(), &threads) && !clock_gettime(threads, &now) && !clock_gettime(-6, &now) &&
          !clock_gettime(CLOCK_REALTIME, &now) && !clock_gettime(CLOCK_MONOTONIC, &now) &&
          localtime(&seconds) && !nanosleep(&pause, NULL));
}
HONEST(random_numbers, "random numbers") { HOLDS(getrandom(bytes, 16, 0) == 16); }
HONEST(random_device, "random numbers of the device") {
    HOLDS(read(open("/dev/urandom", O_RDONLY), bytes, 16) == 16);
}
HONEST(null_device, "write to nowhere") { HOLDS(write(open("/dev/null", O_WRONLY), "x", 1) == 1); }
HONEST(memory_much, "a gigabyte of memory, and half more") {
    size_t much = 1u << 30;
    char *memory = malloc(much);
    for (size_t i = 0; memory && i < much; i += 16 << 20) memory[i] = 1;
    HOLDS(memory && (memory = realloc(memory, much + much / 2)) && memory[16 << 20] == 1);
}
HONEST(memory_file, "files in memory") {
    int file = syscall(SYS_memfd_create, "m", 1);
    // As programs do where there is no such call.
    if (file < 0) {
        file = shm_open("/m", O_RDWR | O_CREAT | O_EXCL, 0600);
        shm_unlink("/m");
    }
    if (file < 0) file = open(writable(""), O_RDWR | O_TMPFILE, 0600);
    HOLDS(file >= 0 && !ftruncate(file, 4096) &&
          mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) != MAP_FAILED);
}
HONEST(memory_protect, "protect memory") {
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    HOLDS(page != MAP_FAILED && !mprotect(page, 4096, PROT_READ) && !mprotect(page, 4096, PROT_NONE) &&
          !madvise(page, 8192, MADV_DONTNEED) && !munmap(page, 8192));
}
HONEST(library, "load a library of the system") { HOLDS(dlopen("libm.so.6", RTLD_NOW)); }
HONEST(conversion, "convert text") { HOLDS(iconv_open("UTF-8", "UTF-16") != (iconv_t)-1); }
HONEST(resources, "its own limits and processors") {
    struct rusage usage;
    struct rlimit limit;
    cpu_set_t set;
    HOLDS(!getrusage(RUSAGE_SELF, &usage) && !getrlimit(RLIMIT_NOFILE, &limit) &&
          !setrlimit(RLIMIT_NOFILE, &limit) && !sched_getaffinity(0, sizeof set, &set) &&
          !sched_setaffinity(0, sizeof set, &set) && !setpriority(PRIO_PROCESS, 0, 19) && sysconf(_SC_NPROCESSORS_ONLN) > 0);
}
HONEST(own_name, "its own name") { HOLDS(!prctl(PR_SET_NAME, "honest") && !prctl(PR_GET_NAME, bytes)); }

HONEST(read_data, "read") { HOLDS(read(open(readable("data"), O_RDONLY), bytes, 64) == 4); }
HONEST(read_mapped, "map what it may read") {
    char *data = mmap(NULL, 4, PROT_READ, MAP_PRIVATE, open(readable("data"), O_RDONLY), 0);
    HOLDS(data != MAP_FAILED && *data == 'd');
}
HONEST(read_folder, "list its folders") {
    DIR *in = opendir(readable("")), *out = opendir(writable(""));
    HOLDS(in && out && readdir(in) && readdir(out));
}
HONEST(work_there, "work in its folder") {
    HOLDS(!chdir(writable("")) && open("here", O_WRONLY | O_CREAT, 0600) >= 0 && !access("here", R_OK));
}
HONEST(create, "create and write") {
    struct stat status;
    int file = open(writable("new"), O_RDWR | O_CREAT | O_TRUNC, 0644);
    HOLDS(file >= 0 && pwrite(file, "more", 4, 4) == 4 && !fsync(file) && !fstat(file, &status) &&
          status.st_size == 8);
}
HONEST(create_c_library, "create and write by the C library") {
    FILE *file = fopen(writable("new"), "w+e");
    HOLDS(file && fputs("text", file) >= 0 && !fflush(file) && !fseek(file, 0, SEEK_SET) &&
          fgets(bytes, sizeof bytes, file) && !fclose(file));
}
HONEST(copy_file, "copy") {
    int from = open(readable("data"), O_RDONLY), to = open(writable("new"), O_WRONLY | O_CREAT, 0600);
    HOLDS(sendfile(to, from, (off_t[1]){0}, 4) == 4 &&
          (copy_file_range(from, (off_t[1]){0}, to, NULL, 4, 0) == 4 || errno == EXDEV));
}
HONEST(allocate, "allocate and truncate") {
    int file = open(writable("file"), O_RDWR);
    HOLDS(!posix_fallocate(file, 0, 8192) && !ftruncate(file, 100) && !truncate(writable("file"), 50));
}
HONEST(map_shared, "map to write") {
    int file = open(writable("file"), O_RDWR);
    HOLDS(mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) != MAP_FAILED);
}
HONEST(lock_own, "lock its own files") {
    int file = open(writable("file"), O_RDWR);
    HOLDS(!lockf(file, F_LOCK, 0) && !flock(file, LOCK_EX));
}
HONEST(folders, "make, rename and remove folders") {
    HOLDS(!mkdir(writable("folder"), 0700) && !rename(writable("file"), writable("folder/moved")) &&
          !unlink(writable("folder/moved")) && !rmdir(writable("folder")));
}
HONEST(links, "make links") {
    HOLDS(!link(writable("file"), writable("hard")) && !symlink("file", writable("soft")) &&
          open(writable("soft"), O_RDWR) >= 0 && readlink(writable("soft"), bytes, 64) == 4);
}
HONEST(temporary, "temporary files, with a name and without") {
    HOLDS(mkstemp(writable("t-XXXXXX")) >= 0 && open(writable(""), O_RDWR | O_TMPFILE, 0600) >= 0);
}
HONEST(replace_atomically, "replace a file in one step") {
    put(writable("next"), "next", 0600);
    HOLDS(!rename(writable("next"), writable("file")));
}
HONEST(rename_carefully, "rename, but over nothing") {
    HOLDS(!syscall(SYS_renameat2, AT_FDCWD, writable("file"), AT_FDCWD, writable("moved"), 1));
}
HONEST(attributes, "read attributes of open files") {
    HOLDS(fgetxattr(open(readable("data"), O_RDONLY), "user.note", bytes, sizeof bytes) == 4);
}
HONEST(real_path, "resolve paths of its own") {
    char *path = realpath(writable("file"), NULL);
    HOLDS(path && !access(path, W_OK));
}
HONEST(descriptors, "duplicate descriptors and set their flags") {
    int fd = fcntl(0, F_DUPFD_CLOEXEC, 10);
    HOLDS(fd >= 10 && !fcntl(fd, F_SETFL, O_NONBLOCK) && fcntl(fd, F_GETFD) == FD_CLOEXEC && dup2(fd, 30) == 30);
}
HONEST(splices, "move bytes by pipes (splice, tee)") {
    int from[2], to[2];
    if (pipe(from) || pipe(to)) return -1;
    HOLDS(splice(open(readable("data"), O_RDONLY), NULL, from[1], NULL, 4, 0) == 4 &&
          tee(from[0], to[1], 4, 0) == 4 && splice(from[0], NULL, open(writable("new"), O_WRONLY | O_CREAT, 0600), NULL, 4, 0) == 4);
}
HONEST(fifo, "a FIFO") { HOLDS(!mkfifo(writable("fifo"), 0600) && open(writable("fifo"), O_RDWR) >= 0); }

#undef GROUP
#define GROUP "honest work of children"
HONEST(child_fork, "a child") {
    int status = 0;
    pid_t child = fork();
    if (!child) _exit(7);
    HOLDS(child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
}
HONEST(child_vfork, "a borrowing child") {
    int status = 0;
    pid_t child = vfork();
    if (!child) _exit(8);
    HOLDS(child > 0 && waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 8);
}
HONEST(child_signal, "end a child by a signal") {
    int status = 0;
    pid_t child = fork();
    if (!child) {
        pause();
        _exit(0);
    }
    HOLDS(child > 0 && !kill(child, SIGKILL) && waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
}
HONEST(child_files, "files written by a child") {
    int status = 1;
    pid_t child = fork();
    if (!child) _exit(open(writable("childs"), O_WRONLY | O_CREAT, 0600) < 0);
    HOLDS(child > 0 && waitpid(child, &status, 0) == child && !status && !access(writable("childs"), R_OK));
}
HONEST(child_pipe, "speak with a child") {
    int ends[2];
    if (pipe(ends)) return -1;
    pid_t child = fork();
    if (!child) _exit(write(ends[1], "x", 1) != 1);
    HOLDS(child > 0 && read(ends[0], bytes, 1) == 1);
}
