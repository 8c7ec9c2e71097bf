//! Execution: another program, or code that was data.
#define GROUP "execution"
#include "suite.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/personality.h>
#include <sys/shm.h>

static char *arguments[] = {"program", "executed", NULL}, *environment[] = {NULL};
static const char script[] = "#!/bin/sh\necho worked\n";

static int memory_file(void) {
    char path[64];
    int fd = syscall(SYS_memfd_create, "m", 0);
    if (fd < 0) return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int from = open(readable("program"), O_RDONLY);
    char bytes[65536];
    for (ssize_t count; (count = read(from, bytes, sizeof bytes)) > 0;) write(fd, bytes, count);
    close(from);
    return fd;
}
static long spoken(int status) { return status ? fails_with(EACCES) : SPOKEN; }

ATTACK(exec_readable, BOTH, "execute a program that it may read") {
    return execve(readable("program"), arguments, environment);
}
ATTACK(exec_execveat, BOTH, "the same by execveat") {
    return syscall(SYS_execveat, AT_FDCWD, readable("program"), arguments, environment, 0);
}
ATTACK(exec_descriptor, BOTH, "by a descriptor") {
    int fd = open(readable("program"), O_RDONLY);
    return syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH);
}
ATTACK(exec_reference, BOTH, "by a reference (O_PATH)") {
    int fd = open(readable("program"), O_PATH);
    return syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH);
}
ATTACK(exec_launch_number, BOTH, "by every descriptor's number that a launcher may have used") {
    int fd = memory_file();
    if (fd < 0) return -1;
    for (int number = 3; number < 256; number++) {
        if (number != fd) dup2(fd, number);
        syscall(SYS_execveat, number, "", arguments, environment, AT_EMPTY_PATH);
    }
    return -1;
}
ATTACK(exec_self, BOTH, "itself, by /proc/self/exe") {
    return execve("/proc/self/exe", arguments, environment);
}
ATTACK(exec_own, BOTH, "a program that it wrote") {
    copy(readable("program"), writable("program"), 0755);
    return execve(writable("program"), arguments, environment);
}
ATTACK(exec_memory, BOTH, "a program in memory") { return fexecve(memory_file(), arguments, environment); }
ATTACK(exec_memory_proc, BOTH, "a program in memory, by /proc/self/fd") {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory_file());
    return execve(path, arguments, environment);
}
ATTACK(exec_script, BOTH, "a script that it wrote") {
    put(writable("script"), script, 0755);
    return execve(writable("script"), arguments, environment);
}
ATTACK(exec_memory_script, BOTH, "a script in memory") {
    int fd = syscall(SYS_memfd_create, "m", 0);
    write(fd, script, sizeof script - 1);
    return fexecve(fd, arguments, environment);
}
ATTACK(exec_loader, BOTH, "a program that it wrote, by the dynamic loader") {
    copy(readable("program"), writable("program"), 0644);
    char *words[] = {"ld.so", writable("program"), "executed", NULL};
    return execve("/lib64/ld-linux-x86-64.so.2", words, environment);
}
ATTACK(exec_shell, BOTH, "the system's shell") {
    char *words[] = {"sh", "-c", "echo worked", NULL};
    return execve("/bin/sh", words, environment);
}
ATTACK(exec_set_id, ORDINARY, "a set-user-ID program of root's") {
    char *words[] = {"program", "privileged", NULL};
    return execve(readable("privileged"), words, environment);
}
PREPARE(exec_set_id) {
    copy("/proc/self/exe", readable("privileged"), 0755);
    return chmod(readable("privileged"), 04755);
}
static void *executes(void *error) {
    execve(readable("program"), arguments, environment);
    *(int *)error = errno;
    return NULL;
}
ATTACK(exec_thread, BOTH, "from a thread") {
    pthread_t thread;
    int failed;
    if ((errno = pthread_create(&thread, NULL, executes, &failed))) return -1;
    pthread_join(thread, NULL);
    return fails_with(failed);
}
ATTACK(exec_vfork, BOTH, "from a borrowing child") {
    volatile int failed = 0;
    int status;
    pid_t pid = vfork();
    if (pid < 0) return -1;
    if (!pid) {
        execve(readable("program"), arguments, environment);
        failed = errno;
        _exit(1);
    }
    waitpid(pid, &status, 0);
    return status ? fails_with(failed) : SPOKEN;
}
ATTACK(exec_spawn, BOTH, "by posix_spawn") {
    pid_t pid;
    int status;
    errno = posix_spawn(&pid, readable("program"), NULL, NULL, arguments, environment);
    if (errno) return -1;
    waitpid(pid, &status, 0);
    return spoken(status);
}
ATTACK(exec_system, BOTH, "by system()") {
    int status = system("echo worked");
    return status < 0 ? -1 : spoken(status);
}
ATTACK(exec_popen, BOTH, "by popen()") {
    FILE *stream = popen("echo worked", "w");
    return stream ? spoken(pclose(stream)) : -1;
}

#define ALL (PROT_READ | PROT_WRITE | PROT_EXEC)
#define CODE (PROT_READ | PROT_EXEC)
static void *page(int protection) {
    return mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void *filled(void *page) {
    return page == MAP_FAILED ? page : memcpy(page, returns_42, sizeof returns_42);
}

ATTACK(code_mmap, BOTH, "run code in a page that is writable and executable") {
    return runs(filled(page(ALL)));
}
ATTACK(code_mmap_write_only, BOTH, "the same without asking to read") {
    return runs(filled(page(PROT_WRITE | PROT_EXEC)));
}
ATTACK(code_mmap_high_bits, BOTH, "the same with bits that the kernel ignores") {
    return runs(filled((void *)syscall(SYS_mmap, 0, 4096, 0xdead00000000 | ALL,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
}
ATTACK(code_mprotect, BOTH, "write code, then make it executable") {
    void *code = filled(page(PROT_READ | PROT_WRITE));
    return mprotect(code, 4096, CODE) ? -1 : runs(code);
}
ATTACK(code_mprotect_all, BOTH, "make a page writable and executable") {
    void *code = page(PROT_READ | PROT_WRITE);
    return mprotect(code, 4096, ALL) ? -1 : runs(filled(code));
}
ATTACK(code_pkey_mprotect, BOTH, "the same by pkey_mprotect") {
    void *code = filled(page(PROT_READ | PROT_WRITE));
    return syscall(SYS_pkey_mprotect, code, 4096, CODE, -1) ? -1 : runs(code);
}
ATTACK(code_patch, BOTH, "make its own program writable") {
    char *code = (char *)((uintptr_t)runs & ~4095UL);
    return mprotect(code, 4096, ALL);
}
ATTACK(code_patch_proc, BOTH, "write over its own program by /proc/self/mem") {
    void *code = mmap(NULL, 4096, CODE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int memory = open("/proc/self/mem", O_RDWR);
    if (pwrite(memory, returns_42, sizeof returns_42, (off_t)(uintptr_t)code) < 0) return -1;
    return runs(code);
}
ATTACK(code_personality, BOTH, "make all memory executable by personality") {
    return personality(READ_IMPLIES_EXEC) < 0 ? -1 : runs(filled(page(PROT_READ | PROT_WRITE)));
}
ATTACK(code_no_randomness, BOTH, "switch off the randomness of addresses") {
    return syscall(SYS_personality, 0xdead00000000 | ADDR_NO_RANDOMIZE);
}
ATTACK(code_shared_segment, BOTH, "attach shared memory as executable") {
    int segment = shmget(IPC_PRIVATE, 4096, 0700);
    void *code = segment < 0 ? MAP_FAILED : shmat(segment, NULL, 0);
    if (filled(code) == MAP_FAILED) return -1;
    return runs(shmat(segment, NULL, SHM_EXEC | SHM_RDONLY));
}
ATTACK(code_shared_file, BOTH, "map a file of its own twice, to write and to execute") {
    int fd = open(writable("code"), O_RDWR | O_CREAT, 0700);
    if (fd < 0 || ftruncate(fd, 4096)) return -1;
    void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    void *code = mmap(NULL, 4096, CODE, MAP_SHARED, fd, 0);
    return filled(data) == MAP_FAILED ? -1 : runs(code);
}
ATTACK(code_shared_memory, BOTH, "map memory twice, to write and to execute") {
    int fd = syscall(SYS_memfd_create, "m", 0);
    if (fd < 0 || ftruncate(fd, 4096)) return -1;
    void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    void *code = mmap(NULL, 4096, CODE, MAP_SHARED, fd, 0);
    return filled(data) == MAP_FAILED ? -1 : runs(code);
}
ATTACK(code_shared_validated, BOTH, "the same with flags that are checked") {
    int fd = open(writable("code"), O_RDWR | O_CREAT, 0700);
    if (fd < 0 || ftruncate(fd, 4096)) return -1;
    void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE, fd, 0);
    void *code = mmap(NULL, 4096, CODE, MAP_SHARED_VALIDATE, fd, 0);
    return filled(data) == MAP_FAILED ? -1 : runs(code);
}
ATTACK(code_shared_private, BOTH, "the same, the executable mapping private") {
    int fd = open(writable("code"), O_RDWR | O_CREAT, 0700);
    if (fd < 0 || ftruncate(fd, 4096)) return -1;
    void *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    void *code = mmap(NULL, 4096, CODE, MAP_PRIVATE, fd, 0);
    return filled(data) == MAP_FAILED ? -1 : runs(code);
}
// A length that is 0 maps the same pages once more; so does one that is 0 when
// rounded up.
static long mapped_again(size_t length) {
    void *code = mmap(NULL, 4096, CODE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) return -1;
    void *data = mremap(code, length, 4096, MREMAP_MAYMOVE);
    if (data == MAP_FAILED || mprotect(data, 4096, PROT_READ | PROT_WRITE)) return -1;
    filled(data);
    return runs(code);
}
ATTACK(code_remap, BOTH, "map shared memory once more by mremap, to write it") { return mapped_again(0); }
ATTACK(code_remap_rounded, BOTH, "the same with a length that overflows") { return mapped_again(-1UL); }
ATTACK(pages_remap, BOTH, "map its own pages once more by mremap") {
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *again = mremap(page, 0, 4096, MREMAP_MAYMOVE);
    if (again == MAP_FAILED) return -1;
    *page = 42;
    return *again == 42 ? 0 : -1;
}
ATTACK(code_vdso, BOTH, "map the kernel's own code once more") {
    // It is mapped once already.
    return answered(syscall(SYS_arch_prctl, 0x2003, 0x10000000), EEXIST);
}
ATTACK(code_shared_folder, BOTH, "map a file of /dev/shm as executable") {
    int fd = open("/dev/shm/code", O_RDWR | O_CREAT, 0700);
    if (fd < 0 || write(fd, returns_42, sizeof returns_42) < 0) return -1;
    return runs(mmap(NULL, 4096, CODE, MAP_SHARED, fd, 0));
}
ATTACK(code_file, BOTH, "map a file that it wrote as executable") {
    int fd = open(writable("code"), O_RDWR | O_CREAT, 0700);
    if (fd < 0 || write(fd, returns_42, sizeof returns_42) < 0) return -1;
    return runs(mmap(NULL, 4096, CODE, MAP_PRIVATE, fd, 0));
}
ATTACK(code_memory, BOTH, "map memory that it wrote as executable") {
    int fd = syscall(SYS_memfd_create, "m", 0);
    if (fd < 0 || write(fd, returns_42, sizeof returns_42) < 0) return -1;
    return runs(mmap(NULL, 4096, CODE, MAP_PRIVATE, fd, 0));
}
