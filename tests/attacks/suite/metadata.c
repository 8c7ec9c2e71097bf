//! Metadata of files, set-ID bits, device nodes, and the files of the kernel.
#define GROUP "files"
#include "suite.h"
#include <dirent.h>
#include <linux/fs.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static const struct timespec TIMES[2] = {{1, 0}, {1, 0}};
#define TO_READ(name) open(readable(name), O_RDONLY)

ATTACK(stat_outside, BOTH, "ask for size, owner and times") {
    struct stat status;
    return stat(outside("secret"), &status);
}
ATTACK(readlink_outside, BOTH, "read where a symbolic link leads") {
    char target[64];
    return readlink(outside("link"), target, sizeof target);
}
ATTACK(getxattr_outside, BOTH, "read an extended attribute") {
    char value[64];
    return getxattr(outside("secret"), "user.note", value, sizeof value);
}
ATTACK(chmod_outside, BOTH, "change a mode") { return chmod(outside("secret"), 0666); }
ATTACK(fchmodat2_outside, BOTH, "change a mode by the newest call") {
    return syscall(452, AT_FDCWD, outside("secret"), 0666, 0);
}
ATTACK(chmod_reference, BOTH, "change the mode of a reference (O_PATH)") {
    return syscall(452, open(outside("secret"), O_PATH), "", 0666, AT_EMPTY_PATH);
}
ATTACK(chown_outside, BOTH, "change the group") { return chown(outside("secret"), -1, getgid()); }
ATTACK(utimensat_outside, BOTH, "change times") { return utimensat(AT_FDCWD, outside("secret"), TIMES, 0); }
ATTACK(setxattr_outside, BOTH, "set an extended attribute") {
    return setxattr(outside("secret"), "user.x", "y", 1, 0);
}
ATTACK(removexattr_outside, BOTH, "remove an extended attribute") {
    return removexattr(outside("secret"), "user.note");
}
ATTACK(chmod_readable, BOTH, "change the mode of what it may read, by path") {
    return chmod(readable("data"), 0666);
}
ATTACK(fchmod_readable, BOTH, "change the mode of what it may read, by descriptor") {
    return fchmod(TO_READ("data"), 0666);
}
ATTACK(fchown_readable, BOTH, "change the group of what it may read, by descriptor") {
    return fchown(TO_READ("data"), -1, getgid());
}
ATTACK(futimens_readable, BOTH, "change times of what it may read, by descriptor") {
    return futimens(TO_READ("data"), TIMES);
}
ATTACK(fsetxattr_readable, BOTH, "set an attribute of what it may read, by descriptor") {
    return fsetxattr(TO_READ("data"), "user.x", "y", 1, 0);
}
ATTACK(setflags_readable, BOTH, "change inode flags of what it may read") {
    int fd = TO_READ("data"), flags = 0;
    ioctl(fd, FS_IOC_GETFLAGS, &flags);
    flags |= FS_NODUMP_FL;
    return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

ATTACK(setid_chmod, BOTH, "set the set-user-ID bit by path") { return chmod(writable("file"), 04755); }
ATTACK(setid_fchmod, BOTH, "set it by descriptor") {
    return fchmod(open(writable("file"), O_RDWR), 04755);
}
ATTACK(setid_fchmodat2, BOTH, "set it by the newest call") {
    return syscall(452, AT_FDCWD, writable("file"), 04755, 0);
}
ATTACK(setid_open, BOTH, "create a file with it") {
    return open(writable("new"), O_WRONLY | O_CREAT, 04755);
}
ATTACK(setid_openat2, BOTH, "create a file with it by openat2") {
    return syscall(SYS_openat2, AT_FDCWD, writable("new"), (long[3]){O_WRONLY | O_CREAT, 04755}, 24);
}
ATTACK(setid_mknod, BOTH, "make a node with it") { return mknod(writable("new"), S_IFREG | 04755, 0); }
ATTACK(setid_folder, BOTH, "make a folder with the set-group-ID bit") {
    return syscall(SYS_mkdir, writable("new"), 02755);
}
ATTACK(file_capability, ROOT, "give a file of its own capabilities") {
    // Version 2, effective, CAP_SETUID.
    unsigned value[5] = {0x02000001, 1 << 7};
    return setxattr(writable("file"), "security.capability", value, sizeof value, 0);
}

ATTACK(device_node, ROOT, "make a device node of its own") {
    return mknod(writable("node"), S_IFCHR | 0600, makedev(1, 1));
}
ATTACK(device_disk, ROOT, "make a node of the machine's disk, and open it") {
    struct stat status;
    if (stat(writable(""), &status)) return -1;
    return mknod(writable("disk"), S_IFBLK | 0600, status.st_dev) ? -1
                                                                 : opens(writable("disk"), O_RDONLY);
}
ATTACK(device_whiteout, BOTH, "make a device node by renaming (RENAME_WHITEOUT)") {
    return syscall(SYS_renameat2, AT_FDCWD, writable("file"), AT_FDCWD, writable("moved"), 4);
}
ATTACK(device_log, ROOT, "open the kernel's log") { return opens("/dev/kmsg", O_RDONLY | O_NONBLOCK); }
ATTACK(device_console, ROOT, "open the console") { return opens("/dev/console", O_RDWR | O_NOCTTY); }
ATTACK(device_fuse, ROOT, "open FUSE") { return opens("/dev/fuse", O_RDWR); }
ATTACK(device_kvm, ROOT, "open KVM") { return opens("/dev/kvm", O_RDWR); }
ATTACK(device_tun, ROOT, "open the maker of network devices") { return opens("/dev/net/tun", O_RDWR); }
ATTACK(device_loop, ROOT, "open the maker of loop devices") { return opens("/dev/loop-control", O_RDWR); }
ATTACK(device_userfaultfd, ROOT, "open userfaultfd's device") { return opens("/dev/userfaultfd", O_RDWR); }

ATTACK(proc_list, BOTH, "find others in the list of processes") {
    char name[16];
    snprintf(name, sizeof name, "%d", scene.victim);
    DIR *processes = opendir("/proc");
    for (struct dirent *entry; processes && (entry = readdir(processes));)
        if (!strcmp(entry->d_name, name)) return 0;
    return -1;
}
ATTACK(proc_command_line, BOTH, "read the kernel's command line") {
    return opens("/proc/cmdline", O_RDONLY);
}
ATTACK(proc_symbols, BOTH, "read the kernel's symbols") { return opens("/proc/kallsyms", O_RDONLY); }
ATTACK(proc_mounts, BOTH, "read the mounts") { return opens("/proc/self/mountinfo", O_RDONLY); }
ATTACK(proc_network, BOTH, "read who listens on TCP") {
    char line[512], port[8];
    snprintf(port, sizeof port, ":%04X", scene.port);
    FILE *table = fopen("/proc/self/net/tcp6", "r");
    while (table && fgets(line, sizeof line, table))
        if (strstr(line, port)) return 0;
    return -1;
}
ATTACK(proc_core_pattern, ROOT, "open the program that gets core dumps, to write") {
    return opens("/proc/sys/kernel/core_pattern", O_WRONLY);
}
ATTACK(proc_randomness, ROOT, "open the switch for random addresses, to write") {
    return opens("/proc/sys/kernel/randomize_va_space", O_WRONLY);
}
ATTACK(proc_sysrq, ROOT, "open the emergency keys") { return opens("/proc/sysrq-trigger", O_WRONLY); }
ATTACK(sys_list, BOTH, "list the machine's hardware") { return opens("/sys/class", O_RDONLY); }
ATTACK(sys_write, ROOT, "open a switch of the kernel's in /sys") {
    return opens("/sys/kernel/mm/transparent_hugepage/enabled", O_WRONLY);
}
ATTACK(cgroup_read, BOTH, "read a control group") { return opens("/proc/self/cgroup", O_RDONLY); }
ATTACK(cgroup_join, ROOT, "open a control group's list of processes, to write") {
    const char *places[] = {"/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/unified/cgroup.procs"};
    return opens(places[0], O_WRONLY) ? opens(places[1], O_WRONLY) : 0;
}
