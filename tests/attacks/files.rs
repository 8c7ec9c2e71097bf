//! Files outside of the plugin's folders, and what of its own files it may
//! not change.

use super::{Outsider, boxed, hostile};
use crate::kit::{EVERYONE, Host, User};

#[test]
fn nothing_outside_of_the_folders_can_be_read_or_changed() {
    for user in EVERYONE {
        let host = laid_out(user);
        attack(&host, None).all_work();
        let host = laid_out(user);
        let others = [
            // A link that would bring a right with it (man 7 landlock).
            ("link in", "EXDEV"),
            ("link what may be read", "EXDEV"),
            ("a reference linked", "EXDEV"),
            // Its flags lie in memory, where no filter sees a mode.
            ("openat2", "ENOSYS"),
            ("watch a folder", "EPERM"),
        ];
        attack(&host, Some("boxed")).all_refused("EACCES", &others);
    }
}

#[test]
fn metadata_can_not_be_changed() {
    // An ordinary user's plugin with a folder of its own, and only modes
    // and times through descriptors: see SECURITY.md.
    let own = [("fchmod", "ok"), ("futimens", "ok")];
    for user in EVERYONE {
        for profile in ["default", "boxed"] {
            let host = metadata(user);
            let outcome = host.bare(host.path("plugins/m"), &[host.path("").to_str().unwrap()]);
            outcome.all_work();
            let host = metadata(user);
            let outcome = host.launch("m").profile(profile).arg(host.path(""));
            let works = profile == "boxed" && user == User::Ordinary;
            let others = if works { &own[..] } else { &[] };
            outcome.stdin("x").run().all_refused("EPERM", others);
        }
    }
}

#[test]
fn extended_attributes_outside_can_not_be_read() {
    for user in EVERYONE {
        let mut host = laid_out(user);
        host.install_copy("x", hostile(ATTRIBUTES));
        host.list("x", &[]);
        let secret = host.path("outside/secret");
        let secret = secret.to_str().unwrap();
        host.bare(host.path("plugins/x"), &[secret]).all_work();
        let outcome = host.launch("x").profile("boxed").arg(secret).run();
        outcome.all_refused("EOPNOTSUPP", &[]);
    }
}

const ATTRIBUTES: &str = r##"
#include <sys/xattr.h>

int main(int n, char **a) {
    char value[100];
    struct { unsigned long value; unsigned size, flags; } into = {(unsigned long)value, sizeof value};
    setxattr(a[1], "user.secret", "secret", 6, 0);
    TRY("list", listxattr(a[1], value, sizeof value));
    TRY("list of a link", llistxattr(a[1], value, sizeof value));
    TRY("read", getxattr(a[1], "user.secret", value, sizeof value));
    TRY("read of a link", lgetxattr(a[1], "user.secret", value, sizeof value));
#define SINCE_6_13(what, call) do { errno = 0; if ((call) < 0 && errno == ENOSYS) errno = 0; \
    tell(what, errno ? -1 : 0); } while (0)
    SINCE_6_13("list by descriptor", syscall(465, AT_FDCWD, a[1], 0, value, sizeof value));
    SINCE_6_13("read by descriptor", syscall(464, AT_FDCWD, a[1], 0, "user.secret", &into, sizeof into));
}
"##;

#[test]
fn nobody_is_kept_from_writing_what_a_plugin_reads() {
    for user in EVERYONE {
        let mut host = laid_out(user);
        host.install_copy("l", hostile(LEASE));
        host.list("l", &[]);
        let read = host.path("in/secret");
        let read = read.to_str().unwrap();
        host.bare(host.path("plugins/l"), &[read]).all_work();
        let outcome = host.launch("l").profile("boxed").arg(read).run();
        outcome.all_refused("EPERM", &[("open", "ok")]);
    }
}

const LEASE: &str = r##"
int main(int n, char **a) {
    int fd = open(a[1], O_RDONLY);
    TRY("open", fd);
    TRY("lease", fcntl(fd, F_SETLEASE, F_RDLCK));
    TRY("lease with high bits", syscall(SYS_fcntl, fd, 0xdead00000000 | F_SETLEASE, F_RDLCK));
}
"##;

#[test]
fn no_form_of_set_id_bit_can_be_made() {
    for user in EVERYONE {
        let mut host = laid_out(user);
        host.install_copy("s", hostile(SET_ID));
        host.list("s", &[]);
        let (read, write) = (host.path("in"), host.path("out"));
        let files = format!("{{ read: [{read:?}], write: [{write:?}], metadata: true }}");
        host.profile("metadata", &format!("isolation: auto\nfilesystem: {files}"));
        let bare = host.folder("bare");
        host.bare(host.path("plugins/s"), &[bare.to_str().unwrap()])
            .all_work();
        let outcome = host.launch("s").profile("metadata").arg(host.path("out"));
        let others = [
            ("make a file", "ok"),
            ("without the bits", "ok"),
            ("openat2", "ENOSYS"),
        ];
        outcome.run().all_refused("EPERM", &others);
    }
}

const SET_ID: &str = r##"
int main(int n, char **a) {
    chdir(a[1]);
    int fd = open("plain", O_RDWR | O_CREAT, 0600);
    TRY("make a file", fd);
    for (int bit = 02000; bit <= 04000; bit *= 2) {
        char name[20];
        sprintf(name, "%o", bit);
#define FRESH (unlink(name), rmdir(name), name)
        TRY("open", open(FRESH, O_WRONLY | O_CREAT, bit | 0755));
        TRY("openat", openat(AT_FDCWD, FRESH, O_WRONLY | O_CREAT, bit | 0755));
        TRY("nameless", open(".", O_WRONLY | O_TMPFILE, bit | 0755));
        TRY("openat2", syscall(SYS_openat2, AT_FDCWD, FRESH, (long[3]){O_WRONLY | O_CREAT, bit | 0755}, 24));
        TRY("creat", syscall(SYS_creat, FRESH, bit | 0755));
        TRY("mknod", syscall(SYS_mknod, FRESH, S_IFREG | bit | 0755, 0));
        TRY("mknodat", mknodat(AT_FDCWD, FRESH, S_IFREG | bit | 0755, 0));
        TRY("mkfifo", mkfifoat(AT_FDCWD, FRESH, bit | 0755));
        TRY("mkdir", syscall(SYS_mkdir, FRESH, bit | 0755));
        TRY("mkdirat", syscall(SYS_mkdirat, AT_FDCWD, FRESH, bit | 0755));
        TRY("chmod", chmod("plain", bit | 0755));
        TRY("fchmod", fchmod(fd, bit | 0755));
        TRY("fchmodat", fchmodat(AT_FDCWD, "plain", bit | 0755, 0));
        TRY("fchmodat2", syscall(452, fd, "", bit | 0755, AT_EMPTY_PATH));
        TRY("high bits", syscall(SYS_fchmod, fd, 0xdead00000000 | bit | 0755));
    }
    TRY("without the bits", fchmod(fd, 0755) || chmod("plain", 0700));
}
"##;

fn metadata(user: User) -> Host {
    let mut host = laid_out(user);
    host.install_copy("m", hostile(METADATA));
    host.list("m", &[]);
    host
}

const METADATA: &str = r##"
#include <sys/xattr.h>
#include <sys/time.h>
#include <utime.h>
#include <linux/fs.h>

int main(int n, char **a) {
    char own[4096], other[4096];
    sprintf(own, "%sout/secret", a[1]);
    sprintf(other, "%sin/secret", a[1]);
    struct timespec times[2] = {{1, 0}, {1, 0}};
    struct timeval times_before[2] = {{1, 0}, {1, 0}};
    for (int i = 0; i < 2; i++) {
        const char *path = i ? other : own;
        int fd = open(path, i ? O_RDONLY : O_RDWR);
        if (fd < 0) fd = 0;
        TRY("chmod", chmod(path, 0666));
        TRY("fchmodat", fchmodat(AT_FDCWD, path, 0666, 0));
        TRY("fchmodat2", syscall(452, AT_FDCWD, path, 0666, 0));
        TRY("fchmodat2 of a descriptor", syscall(452, fd, "", 0666, AT_EMPTY_PATH));
        TRY("chown", chown(path, -1, getgid()));
        TRY("lchown", lchown(path, -1, getgid()));
        TRY("fchownat of a descriptor", fchownat(fd, "", -1, getgid(), AT_EMPTY_PATH));
        TRY("utimensat", utimensat(AT_FDCWD, path, times, 0));
        TRY("utimensat of a descriptor", utimensat(fd, "", times, AT_EMPTY_PATH));
        TRY("utimes", syscall(SYS_utimes, path, times_before));
        TRY("utime", syscall(SYS_utime, path, NULL));
        TRY("futimesat", syscall(SYS_futimesat, AT_FDCWD, path, times_before));
        TRY("setxattr", setxattr(path, "user.x", "y", 1, 0));
        TRY("lsetxattr", lsetxattr(path, "user.x", "y", 1, 0));
        TRY("removexattr", removexattr(path, "user.x"));
        setxattr(path, "user.x", "y", 1, 0);
        TRY("lremovexattr", lremovexattr(path, "user.x"));
        TRY("fchmod", fchmod(fd, 0666));
        TRY("fchown", fchown(fd, -1, getgid()));
        TRY("futimens", futimens(fd, times));
        TRY("fsetxattr", fsetxattr(fd, "user.x", "y", 1, 0));
        TRY("fremovexattr", fremovexattr(fd, "user.x"));
        int flags = 0;
        ioctl(fd, FS_IOC_GETFLAGS, &flags);
        flags |= FS_NODUMP_FL;
        TRY("flags", ioctl(fd, FS_IOC_SETFLAGS, &flags));
        TRY("version", ioctl(fd, FS_IOC_SETVERSION, &flags));
        TRY("version as ext4 has it", ioctl(fd, _IOW('f', 4, long), &flags));
    }
}
"##;

fn attack(host: &Host, profile: Option<&str>) -> crate::kit::Outcome {
    let outsider = Outsider::of(host);
    let arguments = [host.path("").display().to_string(), outsider.pid()];
    let arguments: Vec<&str> = arguments.iter().map(|a| &**a).collect();
    let outcome = match profile {
        None => host.bare(host.path("plugins/p"), &arguments),
        Some(profile) => host.launch("p").profile(profile).args(&arguments).run(),
    };
    assert!(outsider.was_left_alone());
    outcome
}

fn laid_out(user: User) -> Host {
    let mut host = Host::of(user);
    boxed(&host, "boxed", "");
    for file in [
        "secret",
        "truncated",
        "renamed",
        "linked",
        "unlinked",
        "script",
    ] {
        host.write(format!("outside/{file}"), "secret");
        host.write(format!("in/{file}"), "readable");
        host.write(format!("out/{file}"), "writable");
    }
    host.folder("outside/folder");
    host.install_copy("p", hostile(OUTSIDE));
    host.list("p", &[]);
    host
}

const OUTSIDE: &str = r##"
#include <sys/inotify.h>

static const char *base, *pid;

// "%" stands for the outsider's process id.
static char *at(const char *name) {
    static char paths[8][4096];
    static int next;
    char *path = paths[next++ % 8];
    if (*name == '/') {
        const char *percent = strchr(name, '%');
        if (percent) sprintf(path, "%.*s%s%s", (int)(percent - name), name, pid, percent + 1);
        else strcpy(path, name);
    } else {
        sprintf(path, "%s%s", base, name);
    }
    return path;
}

#define OPEN(what, path, flags) TRY(what, open(at(path), flags, 0600))

int main(int n, char **a) {
    base = a[1];
    pid = a[2];
    OPEN("read", "outside/secret", O_RDONLY);
    OPEN("list", "outside", O_RDONLY | O_DIRECTORY);
    OPEN("write", "outside/secret", O_WRONLY);
    OPEN("append", "outside/secret", O_WRONLY | O_APPEND);
    OPEN("create", "outside/new", O_WRONLY | O_CREAT);
    OPEN("nameless", "outside", O_WRONLY | O_TMPFILE);
    TRY("truncate", truncate(at("outside/truncated"), 0));
    OPEN("open to truncate", "outside/truncated", O_RDONLY | O_TRUNC);
    TRY("rename away", rename(at("outside/renamed"), at("outside/elsewhere")));
    TRY("rename in", rename(at("outside/linked"), at("out/stolen")));
    TRY("rename out", rename(at("out/renamed"), at("outside/planted")));
    TRY("exchange", syscall(SYS_renameat2, AT_FDCWD, at("out/secret"), AT_FDCWD, at("outside/script"), 2));
    TRY("link in", link(at("outside/secret"), at("out/linked in")));
    TRY("link out", link(at("out/secret"), at("outside/linked out")));
    TRY("unlink", unlink(at("outside/unlinked")));
    TRY("mkdir", mkdir(at("outside/made"), 0700));
    TRY("rmdir", rmdir(at("outside/folder")));
    TRY("symlink", symlink("x", at("outside/symlink")));
    TRY("mkfifo", mkfifo(at("outside/fifo"), 0600));

    // What may be read only can't be moved to where it may be written.
    OPEN("write what may be read", "in/secret", O_WRONLY);
    TRY("truncate what may be read", truncate(at("in/truncated"), 0));
    TRY("link what may be read", link(at("in/secret"), at("out/from in")));
    TRY("rename what may be read", rename(at("in/renamed"), at("out/moved")));
    TRY("rename over what may be read", rename(at("out/script"), at("in/script")));
    TRY("unlink what may be read", unlink(at("in/unlinked")));

    // Detours.
    symlink(at("outside/secret"), at("out/detour"));
    symlink(at("outside"), at("out/folder detour"));
    OPEN("read through a planted link", "out/detour", O_RDONLY);
    OPEN("write through a planted link", "out/detour", O_WRONLY);
    OPEN("create through a planted link", "out/folder detour/new2", O_WRONLY | O_CREAT);
    TRY("watch a folder", inotify_add_watch(inotify_init1(0), at("outside"), IN_ALL_EVENTS));
    TRY("from the working folder", open("outside/secret", O_RDONLY));
    TRY("the working folder", open(".", O_RDONLY | O_DIRECTORY));
    TRY("from the folder above", chdir(at("out")) || open("../outside/secret", O_RDONLY) < 0 ? -1 : 0);
    int reference = open(at("outside"), O_PATH), file = open(at("outside/secret"), O_PATH);
    char path[100];
    TRY("from a reference", openat(reference, "secret", O_RDONLY));
    TRY("after fchdir", fchdir(reference) || open("secret", O_RDONLY) < 0 ? -1 : 0);
    sprintf(path, "/proc/self/fd/%d", file);
    TRY("a reference opened again", open(path, O_RDONLY));
    TRY("a reference linked", linkat(AT_FDCWD, path, AT_FDCWD, at("out/by reference"), AT_SYMLINK_FOLLOW));
    char root[4096];
    sprintf(root, "/proc/self/root%s", at("outside/secret"));
    TRY("through the root's link", open(root, O_RDONLY));
    TRY("through the working folder's link", chdir(at("")) || open("/proc/self/cwd/outside/secret", O_RDONLY) < 0 ? -1 : 0);
    TRY("openat2", syscall(SYS_openat2, AT_FDCWD, at("outside/secret"), (long[3]){O_RDONLY}, 24));

    // Itself and others in /proc.
    OPEN("own environment", "/proc/self/environ", O_RDONLY);
    OPEN("own memory", "/proc/self/mem", O_RDWR);
    OPEN("own maps", "/proc/thread-self/maps", O_RDONLY);
    OPEN("memory", "/proc/%/mem", O_RDWR);
    OPEN("environment", "/proc/%/environ", O_RDONLY);
    OPEN("maps", "/proc/%/maps", O_RDONLY);
    OPEN("command line", "/proc/%/cmdline", O_RDONLY);
    OPEN("root", "/proc/%/root", O_RDONLY);
    OPEN("working folder", "/proc/%/cwd", O_RDONLY);
    OPEN("descriptors", "/proc/%/fd", O_RDONLY);
    OPEN("program", "/proc/%/exe", O_RDONLY);
    OPEN("namespace", "/proc/%/ns/net", O_RDONLY);
    TRY("link of the program", readlink(at("/proc/%/exe"), path, sizeof path));
    OPEN("processes", "/proc", O_RDONLY | O_DIRECTORY);
    OPEN("accounts", "/etc/passwd", O_RDONLY);
    OPEN("terminals", "/dev/ptmx", O_RDWR | O_NOCTTY);
}
"##;
