//! Mounts and namespaces, by the old calls and the new ones.
#define GROUP "mounts and namespaces"
#include "suite.h"
#include <linux/mount.h>
#include <linux/sched.h>
#include <sys/mount.h>

#define SYS_OPEN_TREE 428
#define SYS_MOVE_MOUNT 429
#define SYS_FSOPEN 430
#define SYS_FSCONFIG 431
#define SYS_FSMOUNT 432
#define SYS_FSPICK 433
#define SYS_MOUNT_SETATTR 442

// An ordinary user needs a user namespace to have any other.
static int with_user(int flag) { return flag | (geteuid() ? CLONE_NEWUSER : 0); }

ATTACK(mount_bind, ROOT, "mount a folder over its own") {
    return mount(outside(""), writable(""), NULL, MS_BIND, NULL);
}
ATTACK(mount_tmpfs, ROOT, "mount an empty file system") {
    return mount("none", writable(""), "tmpfs", 0, NULL);
}
ATTACK(mount_proc, ROOT, "mount /proc") { return mount("proc", writable(""), "proc", 0, NULL); }
ATTACK(remount, ROOT, "remount the root") {
    return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL);
}
ATTACK(unmount, ROOT, "unmount") { return umount2("/var/tmp", MNT_DETACH); }
ATTACK(mount_pivot, ROOT, "exchange the root") {
    if (mount("none", writable(""), "tmpfs", 0, NULL) || mkdir(writable("old"), 0700)) return -1;
    return unshare(CLONE_NEWNS) ? -1 : syscall(SYS_pivot_root, writable(""), writable("old"));
}
ATTACK(mount_chroot, ROOT, "change the root") { return chroot(outside("")); }
ATTACK(mount_new, ROOT, "make a file system by the new calls") {
    int fs = syscall(SYS_FSOPEN, "tmpfs", 0);
    return fs < 0 || syscall(SYS_FSCONFIG, fs, 6, NULL, NULL, 0) ? -1 : syscall(SYS_FSMOUNT, fs, 0, 0);
}
ATTACK(mount_clone, ROOT, "clone a tree of mounts") {
    return syscall(SYS_OPEN_TREE, AT_FDCWD, outside(""), 1);
}
ATTACK(mount_reference, BOTH, "refer to a tree of mounts") {
    return syscall(SYS_OPEN_TREE, AT_FDCWD, outside(""), 0);
}
ATTACK(mount_move, ROOT, "attach a cloned tree") {
    int tree = syscall(SYS_OPEN_TREE, AT_FDCWD, outside(""), 1);
    return syscall(SYS_MOVE_MOUNT, tree, "", AT_FDCWD, writable(""), 4);
}
ATTACK(mount_pick, ROOT, "pick a mounted file system to reconfigure") {
    return syscall(SYS_FSPICK, AT_FDCWD, "/dev/shm", 0);
}
ATTACK(mount_attributes, ROOT, "change a mount's attributes") {
    return syscall(SYS_MOUNT_SETATTR, AT_FDCWD, "/dev/shm", 0, (long[4]){MOUNT_ATTR_NOEXEC}, 32);
}
ATTACK(mount_list, BOTH, "list mounts by the newest call") {
    unsigned long ids[64], request[4] = {24, -1UL};
    return syscall(458, request, ids, 64, 0);
}

ATTACK(unshare_user, BOTH, "a user namespace") { return unshare(CLONE_NEWUSER); }
ATTACK(unshare_mounts, BOTH, "a mount namespace") { return unshare(with_user(CLONE_NEWNS)); }
ATTACK(unshare_network, BOTH, "a network namespace") { return unshare(with_user(CLONE_NEWNET)); }
ATTACK(unshare_processes, BOTH, "a namespace of processes") { return unshare(with_user(CLONE_NEWPID)); }
ATTACK(unshare_ipc, BOTH, "an IPC namespace") { return unshare(with_user(CLONE_NEWIPC)); }
ATTACK(unshare_name, BOTH, "a namespace of host names") { return unshare(with_user(CLONE_NEWUTS)); }
ATTACK(unshare_cgroup, BOTH, "a namespace of control groups") { return unshare(with_user(CLONE_NEWCGROUP)); }
ATTACK(unshare_time, BOTH, "a time namespace") { return unshare(with_user(0x80)); }
ATTACK(clone_user, BOTH, "a user namespace by clone") {
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (!child) _exit(0);
    return child;
}
ATTACK(clone3_user, BOTH, "a user namespace by clone3, whose flags no filter sees") {
    struct clone_args how = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    long child = syscall(SYS_clone3, &how, sizeof how);
    if (!child) _exit(0);
    return child;
}
ATTACK(clone_cgroup, ROOT, "start a child in another control group by clone3") {
    int group = open("/sys/fs/cgroup/unified", O_RDONLY | O_DIRECTORY);
    struct clone_args how = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = group};
    if (group < 0) return -1;
    long child = syscall(SYS_clone3, &how, sizeof how);
    if (!child) _exit(0);
    return child;
}
ATTACK(enter_network, ROOT, "enter a process's network namespace") {
    return setns(open(of_process(scene.victim, "ns/net"), O_RDONLY), CLONE_NEWNET);
}
ATTACK(enter_by_pidfd, ROOT, "enter a process's namespaces by pidfd") {
    return setns(syscall(SYS_pidfd_open, scene.victim, 0), CLONE_NEWNS | CLONE_NEWNET);
}
ATTACK(host_name, ROOT, "change the machine's name") { return sethostname("hostile", 7); }
ATTACK(domain_name, ROOT, "change the machine's domain") { return setdomainname("hostile", 7); }
