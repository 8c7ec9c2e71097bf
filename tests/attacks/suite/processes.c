//! Other processes of the same user: signals, tracing, memory, attributes,
//! and what /proc tells of them.
#define GROUP "processes"
#include "suite.h"
#include <asm/sockios.h>
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define KILLS(name, line, call)                                \
    ATTACK(name, BOTH, line) { return call; }                  \
    WITNESS(name) { return scene.report.victim != 0; }

static long queued(long number, int thread_too) {
    siginfo_t info = {.si_signo = SIGTERM, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    info.si_uid = getuid();
    return thread_too ? syscall(number, scene.victim, scene.victim, SIGTERM, &info)
                      : syscall(number, scene.victim, SIGTERM, &info);
}
static long by_pidfd(int flags) {
    return syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, scene.victim, 0), SIGTERM, NULL, flags);
}
enum { OWNER, OWNER_EX, OWNER_REQUEST, GROUP_REQUEST };
// Input on a descriptor sends its owner a signal.
static long by_owner(int how, int who) {
    int ends[2], on = 1;
    struct f_owner_ex thread = {F_OWNER_TID, who};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) return -1;
    if (how == OWNER && fcntl(ends[0], F_SETOWN, who)) return -1;
    if (how == OWNER_EX && fcntl(ends[0], F_SETOWN_EX, &thread)) return -1;
    if (how == OWNER_REQUEST && ioctl(ends[0], FIOSETOWN, &who)) return -1;
    if (how == GROUP_REQUEST && ioctl(ends[0], SIOCSPGRP, &who)) return -1;
    if (fcntl(ends[0], F_SETSIG, SIGTERM) || ioctl(ends[0], FIOASYNC, &on)) return -1;
    return write(ends[1], "x", 1);
}

KILLS(signal_kill, "kill", kill(scene.victim, SIGTERM))
KILLS(signal_group, "kill another group", kill(-scene.victim, SIGTERM))
KILLS(signal_all, "kill everybody", kill(-1, SIGTERM))
KILLS(signal_tkill, "tkill", syscall(SYS_tkill, scene.victim, SIGTERM))
KILLS(signal_tgkill, "tgkill", syscall(SYS_tgkill, scene.victim, scene.victim, SIGTERM))
KILLS(signal_queue, "a signal with a value", queued(SYS_rt_sigqueueinfo, 0))
KILLS(signal_queue_thread, "the same to a thread", queued(SYS_rt_tgsigqueueinfo, 1))
KILLS(signal_pidfd, "by pidfd", by_pidfd(0))
KILLS(signal_pidfd_group, "to a group by pidfd", by_pidfd(4))
KILLS(signal_owner, "as owner of a descriptor", by_owner(OWNER, scene.victim))
KILLS(signal_owner_group, "a group as owner", by_owner(OWNER, -scene.victim))
KILLS(signal_owner_thread, "a thread as owner", by_owner(OWNER_EX, scene.victim))
KILLS(signal_owner_request, "as owner, by ioctl", by_owner(OWNER_REQUEST, scene.victim))
KILLS(signal_group_request, "as owner, by the socket's ioctl", by_owner(GROUP_REQUEST, scene.victim))
ATTACK(signal_own_group, BOTH, "kill its own group, in which its host is") { return kill(0, SIGTERM); }
WITNESS(signal_own_group) { return scene.report.mate != 0; }
ATTACK(signal_parent, BOTH, "kill its parent, the host") { return kill(getppid(), SIGTERM); }
WITNESS(signal_parent) { return scene.report.host != 0; }
ATTACK(signal_exists, BOTH, "ask by signal 0 who is there") { return kill(scene.victim, 0); }

ATTACK(trace_attach, BOTH, "trace") {
    if (ptrace(PTRACE_ATTACH, scene.victim, 0, 0)) return -1;
    waitpid(scene.victim, NULL, 0);
    return ptrace(PTRACE_DETACH, scene.victim, 0, 0);
}
ATTACK(trace_seize, BOTH, "trace without stopping") { return ptrace(PTRACE_SEIZE, scene.victim, 0, 0); }
static long remote(long number) {
    char bytes[8] = "hostile";
    struct iovec local = {bytes, 8}, there = {scene.secret, 8};
    return syscall(number, scene.victim, &local, 1, &there, 1, 0);
}
ATTACK(memory_read, BOTH, "read memory") { return remote(SYS_process_vm_readv); }
ATTACK(memory_write, BOTH, "write memory") { return remote(SYS_process_vm_writev); }
ATTACK(memory_read_proc, BOTH, "read memory by /proc") {
    char bytes[8];
    int fd = open(of_process(scene.victim, "mem"), O_RDONLY);
    return pread(fd, bytes, 8, (off_t)(uintptr_t)scene.secret);
}
ATTACK(memory_write_proc, BOTH, "write memory by /proc") {
    int fd = open(of_process(scene.victim, "mem"), O_RDWR);
    return pwrite(fd, "hostile", 8, (off_t)(uintptr_t)scene.secret);
}
ATTACK(memory_advise, ROOT, "page out memory") {
    struct iovec there = {(void *)((uintptr_t)scene.secret & ~4095UL), 4096};
    return syscall(SYS_process_madvise, syscall(SYS_pidfd_open, scene.victim, 0), &there, 1, 21, 0);
}
ATTACK(memory_move, BOTH, "move memory between nodes") {
    int status = 0, node = 0;
    void *pages[] = {(void *)((uintptr_t)scene.secret & ~4095UL)};
    return syscall(SYS_move_pages, scene.victim, 1, pages, &node, &status, 0);
}
ATTACK(memory_migrate, BOTH, "move all memory between nodes") {
    unsigned long nodes = 1;
    return syscall(SYS_migrate_pages, scene.victim, 64, &nodes, &nodes);
}
ATTACK(descriptor_steal, BOTH, "take a descriptor by pidfd") {
    return syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, scene.victim, 0), 9, 0);
}
ATTACK(descriptor_steal_proc, BOTH, "open a descriptor by /proc") {
    return opens(of_process(scene.victim, "fd/9"), O_RDONLY);
}
ATTACK(descriptor_compare, BOTH, "compare descriptors (kcmp)") {
    return syscall(SYS_kcmp, getpid(), scene.victim, KCMP_FILE, 1, 9);
}
ATTACK(robust_list, BOTH, "ask where locks lie in memory") {
    void *head;
    size_t length;
    return syscall(SYS_get_robust_list, scene.victim, &head, &length);
}

ATTACK(proc_environment, BOTH, "read the environment") { return opens(of_process(scene.victim, "environ"), O_RDONLY); }
ATTACK(proc_arguments, BOTH, "read the command line") { return opens(of_process(scene.victim, "cmdline"), O_RDONLY); }
ATTACK(proc_status, BOTH, "read the status") { return opens(of_process(scene.victim, "status"), O_RDONLY); }
ATTACK(proc_maps, BOTH, "read the map of memory") { return opens(of_process(scene.victim, "maps"), O_RDONLY); }
ATTACK(proc_stack, ROOT, "read the kernel's stack") { return opens(of_process(scene.victim, "stack"), O_RDONLY); }
ATTACK(proc_descriptors, BOTH, "list descriptors") { return opens(of_process(scene.victim, "fd"), O_RDONLY); }
ATTACK(proc_root, BOTH, "read by the root's link") {
    char name[PATH_MAX];
    snprintf(name, sizeof name, "root%s", outside("secret"));
    return opens(of_process(scene.victim, name), O_RDONLY);
}
ATTACK(proc_folder, BOTH, "list the working folder by its link") { return opens(of_process(scene.victim, "cwd"), O_RDONLY); }
ATTACK(proc_program, BOTH, "read the program by its link") { return opens(of_process(scene.victim, "exe"), O_RDONLY); }
ATTACK(proc_links, BOTH, "read where the program's link leads") {
    char target[PATH_MAX];
    return readlink(of_process(scene.victim, "exe"), target, sizeof target);
}
ATTACK(proc_name, BOTH, "change the name") { return opens(of_process(scene.victim, "comm"), O_WRONLY); }
ATTACK(proc_out_of_memory, BOTH, "choose who dies when memory is short") {
    return opens(of_process(scene.victim, "oom_score_adj"), O_WRONLY);
}
ATTACK(proc_parents_environment, BOTH, "read its host's environment") {
    return opens(of_process(getppid(), "environ"), O_RDONLY);
}

ATTACK(set_priority, BOTH, "lower the priority") { return setpriority(PRIO_PROCESS, scene.victim, 5); }
ATTACK(set_priority_group, BOTH, "lower a group's priority") { return setpriority(PRIO_PGRP, scene.victim, 6); }
ATTACK(set_affinity, BOTH, "bind to a processor") {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    return sched_setaffinity(scene.victim, sizeof set, &set);
}
ATTACK(set_scheduler, BOTH, "change the scheduling class") {
    struct sched_param parameter = {0};
    return sched_setscheduler(scene.victim, SCHED_BATCH, &parameter);
}
ATTACK(set_scheduler_attributes, BOTH, "the same by the newer call") {
    unsigned attributes[12] = {sizeof attributes, 0, 0, 0, 7};
    return syscall(SYS_sched_setattr, scene.victim, attributes, 0);
}
ATTACK(set_io_priority, BOTH, "lower the priority of input and output") {
    return syscall(SYS_ioprio_set, 1, scene.victim, 2 << 13 | 7);
}
ATTACK(set_limit, BOTH, "lower a limit") {
    struct rlimit limit = {100, 100};
    return prlimit(scene.victim, RLIMIT_NOFILE, &limit, NULL);
}
// A clock has the inverted number above its last three bits; 2 is the time on
// the processor.
#define CLOCK_OF(pid) ((clockid_t)~(pid) << 3 | 2)
ATTACK(get_clock, BOTH, "ask for the time on the processor") {
    struct timespec time;
    return syscall(SYS_clock_gettime, CLOCK_OF(scene.victim), &time);
}
ATTACK(get_clock_exists, BOTH, "ask for its clock's steps") {
    struct timespec step;
    return syscall(SYS_clock_getres, CLOCK_OF(scene.victim), &step);
}
ATTACK(set_timer, BOTH, "set a timer on its clock") {
    int timer;
    return syscall(SYS_timer_create, CLOCK_OF(scene.victim), NULL, &timer);
}
ATTACK(get_group, BOTH, "ask for the group") { return getpgid(scene.victim); }
ATTACK(get_session, BOTH, "ask for the session") { return getsid(scene.victim); }
ATTACK(get_io_priority, BOTH, "ask for the priority of input and output") {
    return syscall(SYS_ioprio_get, 1, scene.victim);
}
ATTACK(get_priority_user, BOTH, "ask for its user's priority") {
    errno = 0;
    // Asked for by the call itself, as the C library's answer may be below 0.
    return syscall(SYS_getpriority, PRIO_USER, 0);
}
ATTACK(get_affinity, BOTH, "ask for its processors") {
    cpu_set_t set;
    return sched_getaffinity(scene.victim, sizeof set, &set);
}
ATTACK(get_scheduler, BOTH, "ask for the scheduling class") { return sched_getscheduler(scene.victim); }
ATTACK(get_capabilities, BOTH, "ask for its capabilities") {
    unsigned head[2] = {0x20080522, scene.victim}, sets[6];
    return syscall(SYS_capget, head, sets);
}
ATTACK(watch, BOTH, "watch for its end") { return syscall(SYS_pidfd_open, scene.victim, 0); }
ATTACK(get_limit, BOTH, "ask for a limit") {
    struct rlimit limit;
    return prlimit(scene.victim, RLIMIT_NOFILE, NULL, &limit);
}
