//! Files outside of the plugin's two folders, and what it may only read.
#define GROUP "files"
#include "suite.h"
#include <sys/file.h>
#include <dirent.h>
#include <sys/fanotify.h>
#include <sys/inotify.h>
#include <sys/statvfs.h>

ATTACK(read_file, BOTH, "read a file") { return opens(outside("secret"), O_RDONLY); }
ATTACK(list_folder, BOTH, "list a folder") { return opens(outside(""), O_RDONLY | O_DIRECTORY); }
ATTACK(read_openat2, BOTH, "read by openat2") {
    return syscall(SYS_openat2, AT_FDCWD, outside("secret"), (long[3]){O_RDONLY}, 24);
}
ATTACK(read_planted_symlink, BOTH, "read through a symbolic link of its own") {
    return symlink(outside("secret"), writable("way")) ? -1 : opens(writable("way"), O_RDONLY);
}
ATTACK(read_planted_hardlink, BOTH, "read through a hard link of its own") {
    return link(outside("secret"), writable("way")) ? -1 : opens(writable("way"), O_RDONLY);
}
ATTACK(read_dot_dot, BOTH, "read by way of the folder above") {
    return chdir(writable("")) ? -1 : opens("../outside/secret", O_RDONLY);
}
ATTACK(read_root_link, BOTH, "read through /proc/self/root") {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/proc/self/root%s", outside("secret"));
    return opens(path, O_RDONLY);
}
ATTACK(read_reopened, BOTH, "open a reference (O_PATH) again through /proc/self/fd") {
    int fd = open(outside("secret"), O_PATH);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return fd < 0 ? -1 : opens(path, O_RDONLY);
}
ATTACK(read_beneath_reference, BOTH, "open beneath a reference to a folder") {
    return openat(open(outside(""), O_PATH), "secret", O_RDONLY);
}
ATTACK(read_changed_folder, BOTH, "change into a folder and read there") {
    return chdir(outside("")) ? -1 : opens("secret", O_RDONLY);
}
ATTACK(read_by_handle, ROOT, "open by a file handle, past all folders") {
    struct { struct file_handle handle; char bytes[128]; } place = {{128}};
    int mount_id, mount = open(readable(""), O_RDONLY | O_DIRECTORY);
    if (name_to_handle_at(AT_FDCWD, outside("secret"), &place.handle, &mount_id, 0)) return -1;
    return open_by_handle_at(mount, &place.handle, O_RDONLY);
}
ATTACK(read_accounts, BOTH, "read the machine's accounts") { return opens("/etc/passwd", O_RDONLY); }
ATTACK(read_program, BOTH, "read a program of the system") { return opens("/usr/bin/env", O_RDONLY); }
ATTACK(list_root, BOTH, "list the machine's root") {
    DIR *root = opendir("/");
    if (!root) return -1;
    for (struct dirent *entry; (entry = readdir(root));)
        if (!strcmp(entry->d_name, "boot")) return 0;
    return fails_with(ENOENT);
}

ATTACK(write_file, BOTH, "open to write") { return opens(outside("secret"), O_WRONLY); }
ATTACK(append_file, BOTH, "open to append") { return opens(outside("secret"), O_WRONLY | O_APPEND); }
ATTACK(truncate_file, BOTH, "truncate") { return truncate(outside("secret"), 0); }
ATTACK(open_truncate, BOTH, "truncate by opening to read") {
    return opens(outside("secret"), O_RDONLY | O_TRUNC);
}
ATTACK(create_file, BOTH, "create") { return opens(outside("new"), O_WRONLY | O_CREAT | O_EXCL); }
ATTACK(create_nameless, BOTH, "create a file without a name") {
    return opens(outside(""), O_WRONLY | O_TMPFILE);
}
ATTACK(create_folder, BOTH, "make a folder") { return mkdir(outside("new"), 0700); }
ATTACK(create_symlink, BOTH, "make a symbolic link") { return symlink("secret", outside("new")); }
ATTACK(create_fifo, BOTH, "make a FIFO") { return mkfifo(outside("new"), 0600); }
ATTACK(create_node, BOTH, "make a regular file by mknod") {
    return mknod(outside("new"), S_IFREG | 0600, 0);
}
ATTACK(unlink_file, BOTH, "delete") { return unlink(outside("secret")); }
ATTACK(remove_folder, BOTH, "delete a folder") { return rmdir(outside("folder")); }
ATTACK(rename_file, BOTH, "rename") { return rename(outside("secret"), outside("other")); }
ATTACK(rename_steal, BOTH, "move a file into its own folder") {
    return rename(outside("secret"), writable("stolen"));
}
ATTACK(rename_plant, BOTH, "move a file of its own out") {
    return rename(writable("file"), outside("planted"));
}
ATTACK(rename_exchange, BOTH, "exchange one for a file of its own") {
    return syscall(SYS_renameat2, AT_FDCWD, writable("file"), AT_FDCWD, outside("secret"), 2);
}
ATTACK(link_plant, BOTH, "link a file of its own out") {
    return link(writable("file"), outside("planted"));
}
ATTACK(link_reference, BOTH, "link a reference through /proc/self/fd") {
    int fd = open(outside("secret"), O_PATH);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return fd < 0 ? -1 : linkat(AT_FDCWD, path, AT_FDCWD, writable("way"), AT_SYMLINK_FOLLOW);
}
ATTACK(write_planted_symlink, BOTH, "write through a symbolic link of its own") {
    return symlink(outside("secret"), writable("way")) ? -1 : opens(writable("way"), O_WRONLY);
}
ATTACK(create_planted_symlink, BOTH, "create through a link to a folder") {
    return symlink(outside(""), writable("way")) ? -1 : opens(writable("way/new"), O_WRONLY | O_CREAT);
}
ATTACK(write_library, ROOT, "open a library of the system to write") {
    return opens("/lib/x86_64-linux-gnu/libm.so.6", O_WRONLY);
}
ATTACK(open_fifo, BOTH, "write to a FIFO of somebody else's") {
    return opens(outside("fifo"), O_RDWR | O_NONBLOCK);
}
// Only what the others see of it counts.
ATTACK(plant_shared_memory, BOTH, "leave a file in /dev/shm") {
    return opens("/dev/shm/planted", O_WRONLY | O_CREAT);
}
WITNESS(plant_shared_memory) { return exists("/dev/shm/planted"); }
ATTACK(plant_temporary, BOTH, "leave a file in /var/tmp") {
    return opens("/var/tmp/planted", O_WRONLY | O_CREAT);
}
WITNESS(plant_temporary) { return exists("/var/tmp/planted"); }

ATTACK(readable_write, BOTH, "write what it may read") { return opens(readable("data"), O_WRONLY); }
ATTACK(readable_truncate, BOTH, "truncate what it may read") { return truncate(readable("data"), 0); }
ATTACK(readable_create, BOTH, "create where it may read") {
    return opens(readable("new"), O_WRONLY | O_CREAT);
}
ATTACK(readable_unlink, BOTH, "delete what it may read") { return unlink(readable("data")); }
ATTACK(readable_rename, BOTH, "move what it may read to where it may write") {
    return rename(readable("data"), writable("moved"));
}
ATTACK(readable_rename_over, BOTH, "move a file of its own over what it may read") {
    return rename(writable("file"), readable("data"));
}
ATTACK(readable_link, BOTH, "link what it may read to where it may write, and write") {
    return link(readable("data"), writable("way")) ? -1 : opens(writable("way"), O_WRONLY);
}
ATTACK(readable_reopen, BOTH, "open what it may read again, to write") {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", open(readable("data"), O_RDONLY));
    return opens(path, O_WRONLY);
}

ATTACK(watch_inotify, BOTH, "watch a folder by inotify") {
    return inotify_add_watch(inotify_init1(0), outside(""), IN_ALL_EVENTS);
}
ATTACK(watch_fanotify, BOTH, "watch a folder by fanotify") {
    int fd = fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID, 0);
    return fd < 0 ? -1 : fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN, AT_FDCWD, outside(""));
}
ATTACK(watch_signal, BOTH, "watch what it may read by signals (F_NOTIFY)") {
    return fcntl(open(readable(""), O_RDONLY), F_NOTIFY, 0x80000002);
}
ATTACK(lease, BOTH, "keep others from writing what it may read (F_SETLEASE)") {
    return fcntl(open(readable("data"), O_RDONLY), F_SETLEASE, F_RDLCK);
}
// Held until somebody outside has looked.
ATTACK(lock, BOTH, "lock what it may read, so that others feel it") {
    struct flock whole = {.l_type = F_RDLCK}, part = {.l_type = F_RDLCK, .l_len = 1};
    int locks = !fcntl(open(readable("data"), O_RDONLY), F_SETLK, &whole);
    locks += !fcntl(open(readable("data"), O_RDONLY), F_OFD_SETLK, &part);
    locks += !flock(open(readable("data"), O_RDONLY), LOCK_EX | LOCK_NB);
    put(writable("locked"), "", 0644);
    for (int waited = 0; waited < 300 && !exists(writable("looked")); waited++) poll(NULL, 0, 10);
    return locks ? 0 : -1;
}
static int felt;
static void feel_locks(void) {
    struct flock lock = {.l_type = F_WRLCK};
    int file = open(readable("data"), O_RDWR | O_CLOEXEC);
    if (exists(writable("locked")) && !exists(writable("looked"))) {
        felt = fcntl(file, F_GETLK, &lock) || lock.l_type != F_UNLCK || flock(file, LOCK_EX | LOCK_NB);
        put(writable("looked"), "", 0644);
    }
    close(file);
}
PREPARE(lock) {
    scene.visit = feel_locks;
    return 0;
}
WITNESS(lock) { return felt; }
