//! The kernel's surface: calls that load, rebuild and reconfigure, that bypass
//! a filter or have a history of holes. Where a call can't be made without
//! harm, its arguments do nothing, and that the kernel's own code answers them
//! is what counts.
#define GROUP "kernel surface"
#include "suite.h"
#include <asm/ldt.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sys/quota.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>

#define NOWHERE ((void *)1)
static const char nothing[] = "/nonexistent/nothing";

ATTACK(uring_setup, BOTH, "make a ring of io_uring, whose calls no filter sees") {
    struct io_uring_params parameters = {0};
    return syscall(SYS_io_uring_setup, 4, &parameters);
}
ATTACK(uring_read, BOTH, "open a file by io_uring") {
    struct io_uring_params p = {0};
    int ring = syscall(SYS_io_uring_setup, 4, &p);
    if (ring < 0) return -1;
    char *queue = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    char *done = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_CQ_RING);
    struct io_uring_sqe *entry = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    if (queue == MAP_FAILED || done == MAP_FAILED || entry == MAP_FAILED) return -1;
    *entry = (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD,
                                   .addr = (uintptr_t)outside("secret"), .open_flags = O_RDONLY};
    *(unsigned *)(queue + p.sq_off.array) = 0;
    *(unsigned *)(queue + p.sq_off.tail) = 1;
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) return -1;
    int result = ((struct io_uring_cqe *)(done + p.cq_off.cqes))->res;
    return result < 0 ? fails_with(-result) : result;
}
ATTACK(uring_register, BOTH, "reach io_uring by its third call") {
    return answered(syscall(SYS_io_uring_register, -2, 1, 0, 0), EBADF);
}
ATTACK(bpf_map, BOTH, "make a map of BPF") {
    union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1};
    return syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map);
}
ATTACK(bpf_program, BOTH, "load a program of BPF") {
    // r0 = 0; exit
    static const unsigned long code[] = {0x00000000000000b7, 0x0000000000000095};
    union bpf_attr program = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insns = (uintptr_t)code,
                              .insn_cnt = 2, .license = (uintptr_t) "GPL"};
    return syscall(SYS_bpf, BPF_PROG_LOAD, &program, sizeof program);
}
ATTACK(perf_events, BOTH, "count events of the processor") {
    struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event,
                                    .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1};
    return syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
}
ATTACK(userfaultfd, BOTH, "handle its own page faults") {
    return syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY);
}
ATTACK(key_add, BOTH, "add a key to a keyring") {
    return syscall(SYS_add_key, "user", "hostile", "x", 1, -1);
}
ATTACK(key_read, BOTH, "read a key of its host's session") {
    char value[8];
    long key = syscall(SYS_keyctl, 10, -3, "user", "secret", 0);
    return key < 0 ? -1 : syscall(SYS_keyctl, 11, key, value, sizeof value);
}
PREPARE(key_read) {
    syscall(SYS_keyctl, 1, NULL);
    long key = syscall(SYS_add_key, "user", "secret", "secret", 6, -3);
    // Readable to its user, and to whoever has it.
    return key < 0 ? -1 : syscall(SYS_keyctl, 4, key, scene.user, -1) ? -1 : syscall(SYS_keyctl, 5, key, 0x3f3f0000);
}
ATTACK(key_request, BOTH, "request a key") {
    return answered(syscall(SYS_request_key, "user", "hostile", NULL, -3), ENOKEY);
}
ATTACK(module_init, ROOT, "load a module") {
    return answered(syscall(SYS_init_module, NOWHERE, 64, NOWHERE), EFAULT);
}
ATTACK(module_init_file, ROOT, "load a module from a file") {
    return answered(syscall(SYS_finit_module, -1, "", 0), EBADF);
}
ATTACK(module_delete, ROOT, "unload a module") {
    return answered(syscall(SYS_delete_module, NOWHERE, 0), EFAULT);
}
ATTACK(kexec, ROOT, "replace the kernel") {
    return answered(syscall(SYS_kexec_load, 0, 0, 0, -1), EINVAL);
}
ATTACK(reboot, ROOT, "reboot") { return answered(syscall(SYS_reboot, 0, 0, 0, 0), EINVAL); }
ATTACK(swap_on, ROOT, "add memory to swap to") { return answered(syscall(SYS_swapon, nothing, 0), ENOENT); }
ATTACK(swap_off, ROOT, "remove it") { return answered(syscall(SYS_swapoff, nothing), ENOENT); }
ATTACK(accounting, ROOT, "record all processes in a file") {
    return answered(syscall(SYS_acct, nothing), ENOENT);
}
ATTACK(quota, BOTH, "reach quotas") {
    return answered(syscall(SYS_quotactl, QCMD(Q_QUOTAON, USRQUOTA), nothing, 0, nothing), ENOENT);
}
ATTACK(ports_level, ROOT, "reach the processor's ports") { return syscall(SYS_iopl, 3); }
ATTACK(ports_range, ROOT, "reach a range of ports") { return syscall(SYS_ioperm, 0x80, 1, 1); }
ATTACK(descriptor_table, BOTH, "change its table of segments") {
    struct user_desc entry = {.entry_number = 1, .limit = 1};
    return syscall(SYS_modify_ldt, 1, &entry, sizeof entry);
}
ATTACK(kernel_log, ROOT, "read the kernel's log") {
    char text[1024];
    return syscall(SYS_syslog, 3, text, sizeof text);
}
ATTACK(clock_zone, ROOT, "set the clock's zone, to what it is") {
    struct timezone zone;
    struct timeval now;
    return gettimeofday(&now, &zone) ? -1 : settimeofday(NULL, &zone);
}
ATTACK(clock_adjust, ROOT, "change its speed") {
    struct timex change = {.modes = ADJ_TICK, .tick = 1};
    return answered(adjtimex(&change), EINVAL);
}
ATTACK(hang_up, ROOT, "hang up the terminal") { return vhangup(); }
ATTACK(call_of_i386, BOTH, "make a system call of 32 bits") {
    long answer;
    // getpid
    __asm__ volatile("int $0x80" : "=a"(answer) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
    return answer == getpid() ? 0 : fails_with(-answer);
}
ATTACK(call_of_x32, BOTH, "make a system call of x32") { return syscall(SYS_getpid | 0x40000000); }
ATTACK(handle_name, BOTH, "ask for a file handle") {
    int mount_id;
    struct { unsigned size; int kind; char bytes[128]; } place = {128};
    return syscall(SYS_name_to_handle_at, AT_FDCWD, readable("data"), &place, &mount_id, 0);
}
ATTACK(memory_policy, BOTH, "set a memory policy") {
    unsigned long nodes = 1;
    return syscall(SYS_set_mempolicy, 2, &nodes, 64);
}
ATTACK(memory_policy_range, BOTH, "set it for a range") {
    unsigned long nodes = 1;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return syscall(SYS_mbind, page, 4096, 2, &nodes, 64, 0);
}
ATTACK(memory_gift, BOTH, "give pages to a pipe (vmsplice)") {
    int ends[2];
    static char page[4096] __attribute__((aligned(4096)));
    struct iovec bytes = {page, sizeof page};
    return pipe(ends) ? -1 : syscall(SYS_vmsplice, ends[1], &bytes, 1, 8);
}
ATTACK(memory_file_secret, BOTH, "make memory that even the kernel does not see") {
    return syscall(SYS_memfd_secret, 0);
}
ATTACK(memory_compared, BOTH, "have its memory compared with others'") {
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return madvise(page, 4096, MADV_MERGEABLE);
}
ATTACK(own_filter, BOTH, "install a filter, whose memory all filters share") {
    struct sock_filter allow = {6, 0, 0, 0x7fff0000};
    struct sock_fprog program = {1, &allow};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -1;
    return syscall(SYS_seccomp, 1, 0, &program);
}
ATTACK(own_filter_option, BOTH, "the same by prctl") {
    struct sock_filter allow = {6, 0, 0, 0x7fff0000};
    struct sock_fprog program = {1, &allow};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -1;
    return prctl(PR_SET_SECCOMP, 2, &program, 0, 0);
}
ATTACK(log_flood, BOTH, "have all that it is refused logged, by a domain of its own") {
    struct { unsigned long files, net, scoped; } attributes = {1};
    int rules = syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    if (rules < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -1;
    return syscall(SYS_landlock_restrict_self, rules, 2);
}
ATTACK(memory_layout, ROOT, "rewrite where its program seems to lie (PR_SET_MM)") {
    return prctl(PR_SET_MM, PR_SET_MM_BRK, sbrk(0), 0, 0);
}
ATTACK(undump, BOTH, "take a checkpoint's capability (PR_SET_MM_MAP_SIZE)") {
    unsigned size;
    return prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0);
}

static long typed(unsigned long request) {
    char byte = 0;
    if (syscall(SYS_ioctl, 0, request, "a")) return -1;
    fcntl(0, F_SETFL, O_NONBLOCK);
    return read(0, &byte, 1) == 1 && byte == 'a' ? 0 : -1;
}
static long with_terminal(void) {
    scene.terminal = 1;
    return 0;
}
ATTACK(terminal_input, BOTH, "type on its host's terminal (TIOCSTI)") { return typed(0x5412); }
PREPARE(terminal_input) { return with_terminal(); }
ATTACK(terminal_input_high_bits, BOTH, "the same with bits that the kernel ignores") {
    return typed(0xdead00005412);
}
PREPARE(terminal_input_high_bits) { return with_terminal(); }
ATTACK(terminal_console, BOTH, "paste on the console (TIOCLINUX)") {
    return answered(ioctl(0, 0x541c, "\2"), ENOTTY);
}
PREPARE(terminal_console) { return with_terminal(); }
ATTACK(terminal_console_high_bits, BOTH, "the same with bits that the kernel ignores") {
    return answered(syscall(SYS_ioctl, 0, 0xdead0000541c, "\2"), ENOTTY);
}
PREPARE(terminal_console_high_bits) { return with_terminal(); }
ATTACK(terminal_discipline, BOTH, "load a line discipline (TIOCSETD)") {
    return ioctl(0, TIOCSETD, (int[]){0});
}
PREPARE(terminal_discipline) { return with_terminal(); }
ATTACK(terminal_redirect, ROOT, "redirect the console (TIOCCONS)") {
    return answered(ioctl(0, TIOCCONS, 0), EBUSY);
}
PREPARE(terminal_redirect) { return with_terminal(); }
ATTACK(terminal_foreground, BOTH, "get what is typed to its host (TIOCSPGRP)") {
    setpgid(0, 0);
    pid_t group = getpgrp();
    signal(SIGTTOU, SIG_IGN);
    return ioctl(0, TIOCSPGRP, &group);
}
PREPARE(terminal_foreground) { return with_terminal(); }
