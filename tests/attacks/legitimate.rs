//! What a plugin does all day goes on under the profiles that refuse the rest.

use super::{boxed, hostile};
use crate::kit::{EVERYONE, Host};

#[test]
fn honest_work_goes_on() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        boxed(&host, "boxed", "");
        boxed(&host, "forking", "processes: { fork: true }");
        host.write("in/data", "data");
        host.install_copy("p", hostile(WORK));
        host.list("p", &[]);
        let folders = [host.path("in"), host.path("out")];
        host.launch("p").arg("compute").run().all_work();
        for (profile, work) in [
            ("boxed", &["compute", "files"][..]),
            ("forking", &["compute", "files", "fork"]),
        ] {
            for kind in work {
                let launch = host.launch("p").profile(profile).arg(kind);
                launch.args(&folders).run().all_work();
            }
        }
    }
}

const WORK: &str = r##"
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

static volatile int reached;
static void on(int signal) { reached = signal; }
static void *count(void *_) { __atomic_add_fetch(&reached, 1, __ATOMIC_SEQ_CST); return _; }
#define HOLDS(what, condition) tell(what, (errno = EDOM, (condition)) ? 0 : -1)

static void compute(void) {
    pthread_t threads[20];
    for (int i = 0; i < 20; i++)
        if (pthread_create(&threads[i], NULL, count, NULL)) reached = -100;
    for (int i = 0; i < 20; i++) pthread_join(threads[i], NULL);
    HOLDS("threads", reached == 20);

    int ends[2], pair[2], two[2] = {0, 0};
    char bytes[16];
    HOLDS("a pipe", !pipe(ends) && write(ends[1], "x", 1) == 1 && read(ends[0], bytes, 1) == 1);
    HOLDS("a pair", !socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && send(pair[0], "y", 1, 0) == 1 &&
                        recv(pair[1], bytes, 1, 0) == 1 && !shutdown(pair[0], SHUT_WR));
    int event = eventfd(1, EFD_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, 0), epoll = epoll_create1(0);
    struct itimerspec soon = {{0, 0}, {0, 1000000}};
    HOLDS("a timer's descriptor", !timerfd_settime(timer, 0, &soon, NULL) && read(timer, bytes, 8) == 8);
    struct epoll_event wanted = {EPOLLIN}, got;
    HOLDS("epoll", !epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted) && epoll_wait(epoll, &got, 1, -1) == 1);
    struct pollfd polled = {event, POLLIN};
    HOLDS("poll", poll(&polled, 1, -1) == 1);
    HOLDS("random numbers", getrandom(bytes, 16, 0) == 16 && open("/dev/urandom", O_RDONLY) >= 0);
    HOLDS("nothing", write(open("/dev/null", O_WRONLY), "x", 1) == 1);

    size_t much = 1u << 30;
    char *memory = malloc(much);
    if (memory) for (size_t i = 0; i < much; i += 16 << 20) memory[i] = 1;
    HOLDS("a gigabyte", memory && (memory = realloc(memory, much + much / 2)));
    free(memory);
    HOLDS("shared memory", mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);

    timer_t alarm;
    struct sigevent how = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    sigset_t set;
    struct timespec limit = {20, 0};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    HOLDS("a timer", !timer_create(CLOCK_REALTIME, &how, &alarm) && !timer_settime(alarm, 0, &soon, NULL) &&
                         sigtimedwait(&set, NULL, &limit) == SIGUSR1);
    signal(SIGUSR2, on);
    HOLDS("its own signals", !kill(getpid(), SIGUSR2) && reached == SIGUSR2);
    struct rusage usage;
    struct rlimit open_files;
    cpu_set_t processors;
    HOLDS("its resources", !getrusage(RUSAGE_SELF, &usage) && !getrlimit(RLIMIT_NOFILE, &open_files) &&
              !setrlimit(RLIMIT_NOFILE, &open_files) && !sched_getaffinity(0, sizeof processors, &processors) &&
              !sched_setaffinity(0, sizeof processors, &processors) && !setpriority(PRIO_PROCESS, 0, 1));
    struct timespec now;
    time_t seconds = time(NULL);
    HOLDS("the time", !clock_gettime(CLOCK_REALTIME, &now) && localtime(&seconds) && !nanosleep(&soon.it_value, NULL));
    struct addrinfo *found = NULL;
    HOLDS("no addresses, politely", getaddrinfo("localhost", "80", NULL, &found) != 0 && two[0] == 0);
}

static void files(const char *in, const char *out) {
    char bytes[64], path[4096];
    struct stat stat;
    chdir(in);
    int data = open("data", O_RDONLY);
    HOLDS("read", read(data, bytes, 64) == 4);
    chdir(out);
    int file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644);
    HOLDS("create", file >= 0);
    HOLDS("copy", sendfile(file, data, (off_t[1]){0}, 4) == 4);
    HOLDS("write", pwrite(file, "more", 4, 4) == 4 && !fsync(file) && !fstat(file, &stat) && stat.st_size == 8);
    HOLDS("allocate", !posix_fallocate(file, 0, 8192) && !ftruncate(file, 100) && !truncate("file", 50));
    HOLDS("map", mmap(NULL, 50, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) != MAP_FAILED);
    HOLDS("lock", !lockf(file, F_LOCK, 0));
    HOLDS("folders", (rmdir("folder"), !mkdir("folder", 0700)) && !rename("file", "folder/moved"));
    HOLDS("links", (unlink("link"), unlink("symlink"), !link("folder/moved", "link")) && !symlink("link", "symlink"));
    HOLDS("a nameless file", open(".", O_RDWR | O_TMPFILE, 0600) >= 0);
    HOLDS("a temporary file", (strcpy(path, "t-XXXXXX"), mkstemp(path) >= 0) && !unlink(path));
    HOLDS("a fifo", (unlink("fifo"), !mkfifo("fifo", 0600)) && open("fifo", O_RDWR) >= 0);
    HOLDS("remove", !unlink("folder/moved") && !rmdir("folder"));
}

int main(int n, char **a) {
    if (!strcmp(a[1], "compute")) compute();
    if (!strcmp(a[1], "files")) files(a[2], a[3]);
    if (!strcmp(a[1], "fork")) {
        int status = 0;
        pid_t child = fork();
        if (!child) _exit(7);
        HOLDS("a child", waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
        child = vfork();
        if (!child) _exit(8);
        HOLDS("a borrowing child", waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 8);
    }
}
"##;
