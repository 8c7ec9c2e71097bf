//! `filesystem.apart`: folders of which the plugin sees other inodes.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::{Running, STATS, install};
use crate::kit::{EVERYONE, Host, ORDINARY, User, program, run};

/// A folder with a file, and the profile `namespaces` with it under a key.
fn granted(host: &Host, key: &str) -> PathBuf {
    let folder = host.path("in");
    if !folder.exists() {
        host.folder("in");
        host.write("in/data", "data");
    }
    let grants = format!("isolation: namespaces\nfilesystem: {{ {key}: [{folder:?}] }}");
    host.profile("namespaces", &grants);
    folder
}

/// Locks the file of its argument, says so, and holds it until its standard
/// input ends.
const LOCKS: &str = r#"#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/file.h>
int main(int n, char **a) {
    struct flock lock = { .l_type = F_RDLCK };
    char byte;
    int file = open(a[1], O_RDONLY);
    if (file < 0 || fcntl(file, F_SETLK, &lock) || flock(file, LOCK_EX | LOCK_NB)) return 1;
    puts("locked");
    fflush(stdout);
    return read(0, &byte, 1) != 0;
}"#;

#[test]
fn nobody_outside_feels_a_lock() {
    for user in EVERYONE {
        let host = install(user, program::static_c(LOCKS), "");
        let felt = ["read", "apart"].map(|key| {
            let file = granted(&host, key).join("data");
            let mut running = Running::start(host.launch("namespaces").arg(&file));
            assert_eq!(running.line(), "locked");
            let file = std::fs::File::options().write(true).read(true).open(file);
            let mut wanted = whole();
            let file = file.unwrap();
            nix::fcntl::fcntl(&file, nix::fcntl::F_GETLK(&mut wanted)).unwrap();
            let by_range = i32::from(wanted.l_type) != nix::libc::F_UNLCK;
            let by_file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(_) => false,
                Err((_, errno)) => {
                    assert_eq!(errno, Errno::EWOULDBLOCK);
                    true
                }
            };
            assert_eq!(running.finish(), 0);
            (by_range, by_file)
        });
        assert_eq!(felt, [(true, true), (false, false)]);
    }
}

/// A lock on all of a file, for writing.
fn whole() -> nix::libc::flock {
    nix::libc::flock {
        l_type: i16::try_from(nix::libc::F_WRLCK).unwrap(),
        l_whence: 0,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[test]
fn what_is_in_it_is_read_as_it_is_and_not_written() {
    let source = r#"#include <stdio.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <unistd.h>
    #include <sys/stat.h>
    #include <sys/mman.h>
    int main(int n, char **a) {
        char text[5] = "";
        struct stat found;
        int file = open(a[1], O_RDONLY);
        if (read(file, text, 4) != 4 || fstat(file, &found)) return 1;
        printf("%s %d %o ", text, found.st_uid, found.st_mode & 07777);
        printf("%d ", open(a[1], O_WRONLY) < 0 ? errno : 0);
        printf("%d ", fchmod(file, 0600) ? errno : 0);
        printf("%d", mmap(0, 4, PROT_EXEC, MAP_PRIVATE, file, 0) == MAP_FAILED ? errno : 0);
        return 0;
    }"#;
    for user in EVERYONE {
        let host = install(user, program::static_c(source), "");
        let file = granted(&host, "apart").join("data");
        let id = match user {
            User::Root => 0,
            User::Ordinary => ORDINARY,
        };
        // EROFS, and EPERM by the filter and by noexec.
        let seen = |text: &str| {
            let launch = host.launch("namespaces").arg(&file);
            let expected = format!("{text} {id} 644 30 1 1");
            launch.run().succeeded().prints(&expected);
        };
        seen("data");
        std::fs::write(&file, "more").unwrap();
        seen("more");
        let sandbox = host.record("sandbox_applied")["sandbox"].clone();
        let mount = format!(
            "{} ro,nosuid,nodev,noexec,overlay",
            granted(&host, "apart").display()
        );
        assert!(sandbox["mounts"].to_string().contains(&mount), "{sandbox}");
        for control in ["files", "root"] {
            assert!(sandbox["proven"].to_string().contains(control), "{sandbox}");
        }
    }
}

#[test]
fn a_socket_and_a_fifo_in_it_lead_nowhere() {
    let source = r#"#include <stdio.h>
    #include <string.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <sys/socket.h>
    #include <sys/un.h>
    int main(int n, char **a) {
        struct sockaddr_un to = { AF_UNIX };
        strcpy(to.sun_path, a[1]);
        int client = socket(AF_UNIX, SOCK_STREAM, 0);
        printf("%d ", connect(client, (void *)&to, sizeof to) ? errno : 0);
        printf("%d", open(a[2], O_RDONLY | O_NONBLOCK) < 0 ? errno : 0);
        return 0;
    }"#;
    for user in EVERYONE {
        let host = install(user, program::static_c(source), "");
        let seen = ["read", "apart"].map(|key| {
            let folder = granted(&host, key);
            let _server = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
            let fifo = folder.join("fifo");
            nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap();
            for path in [folder.join("socket"), fifo.clone()] {
                host.own(&path);
            }
            // Somewhere else, so that the plugin may connect at all.
            let unix = format!(
                "network: {{ unix: {{ connect: [{:?}] }} }}",
                host.path("home")
            );
            let grants =
                format!("isolation: namespaces\nfilesystem: {{ {key}: [{folder:?}] }}\n{unix}");
            host.profile("namespaces", &grants);
            // Strict wants Landlock's newest right for it.
            let launch = host.launch("namespaces").policy("permissive");
            let launch = launch.args([folder.join("socket"), fifo]);
            let outcome = launch.run().succeeded().stdout;
            for name in ["socket", "fifo"] {
                std::fs::remove_file(folder.join(name)).unwrap();
            }
            outcome
        });
        // Elsewhere than on kernels with that right it is connected; ECONNREFUSED.
        assert!(["0 0", "13 0"].contains(&&*seen[0]), "{seen:?}");
        assert_eq!(seen[1], "111 0");
    }
}

#[test]
fn what_is_granted_below_it_is_the_hosts() {
    let source = r#"#include <fcntl.h>
    #include <unistd.h>
    int main(int n, char **a) {
        int file = open(a[1], O_WRONLY | O_CREAT | O_EXCL, 0600);
        return file < 0 || write(file, "x", 1) != 1;
    }"#;
    for user in EVERYONE {
        // The program lies in the folder, too.
        let host = install(user, program::c(source), "");
        let (plugins, out) = (host.path("plugins"), host.folder("plugins/out"));
        let grants = format!(
            "isolation: namespaces\nfilesystem: {{ apart: [{plugins:?}], write: [{out:?}] }}"
        );
        host.profile("namespaces", &grants);
        let launch = host.launch("namespaces").arg(out.join("made"));
        launch.run().succeeded();
        assert_eq!(std::fs::read(out.join("made")).unwrap(), b"x");
        let launch = host.launch("namespaces").arg(plugins.join("made"));
        assert_eq!(launch.run().status, 1);
    }
}

#[test]
fn a_program_and_its_interpreter_in_it_are_run_as_they_are() {
    let source = r#"#include <stdio.h>
    static volatile char much[1 << 20] = { 1 };
    int main(void) { return 6 + much[1]; }"#;
    for user in EVERYONE {
        let host = install(user, program::c(source), "");
        let plugins = host.path("plugins");
        let grants =
            format!("isolation: namespaces\nfilesystem: {{ apart: [{plugins:?}, /lib64] }}");
        host.profile("namespaces", &grants);
        let outcome = host.launch("namespaces").run();
        assert_eq!((outcome.status, &*outcome.stderr), (6, ""), "{outcome:?}");
    }
}

#[test]
fn what_is_mounted_in_it_is_named_and_not_lost() {
    for user in EVERYONE {
        let host = install(user, program::static_c(STATS), "");
        let folder = granted(&host, "apart");
        let inner = host.folder("in/inner");
        let mount = "mount -t tmpfs none \"$1\" && touch \"$1/file\" && shift && exec \"$@\"";
        let launched = || {
            let mut words = vec!["unshare".to_string(), "-m".into(), "sh".into(), "-c".into()];
            words.extend([mount.into(), "sh".into(), inner.display().to_string()]);
            if user == User::Ordinary {
                let id = ORDINARY.to_string();
                let become_it = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
                words.extend(become_it.map(String::from));
            }
            let launch = host.launch("namespaces").under(words);
            let mut command = launch.arg(inner.join("file")).command();
            command.uid(0).gid(0);
            run(command, b"")
        };
        launched()
            .refused(125)
            .says("(apart): something is mounted in it, at")
            .says("under 'read' or 'apart', too");
        let grants = format!(
            "isolation: namespaces\nfilesystem: {{ apart: [{folder:?}], read: [{inner:?}] }}"
        );
        host.profile("namespaces", &grants);
        match user {
            User::Root => {
                launched().succeeded().prints("0 ");
            }
            // What is mounted hides what is beneath from a user namespace.
            User::Ordinary => {
                launched().refused(125).says("Name it under 'read'");
            }
        }
    }
}

#[test]
fn what_can_not_be_shown_so_is_refused() {
    let host = install(User::Ordinary, program::static_c(STATS), "");
    let file = granted(&host, "read").join("data");
    let absent = host.path("absent");
    for (filesystem, says) in [
        (format!("apart: [{file:?}]"), "(apart) is no folder"),
        (
            format!("apart: [{absent:?}]"),
            "of the profile (apart): open: No such file",
        ),
        ("apart: [/]".into(), "'/' can't be 'apart'"),
        (
            "apart: [/proc/self]".into(),
            "'/proc/self' can't be 'apart'",
        ),
        (
            "apart: [/srv], write: [/srv/]".into(),
            "'/srv' is granted twice, 'apart' and as 'write'",
        ),
    ] {
        let grants = format!("isolation: namespaces\nfilesystem: {{ {filesystem} }}");
        host.profile("namespaces", &grants);
        host.launch("namespaces").run().refused(125).says(says);
    }
    let grants = format!("filesystem: {{ apart: [{:?}] }}", Path::new("/srv"));
    host.profile("namespaces", &grants);
    let refused = host.launch("namespaces").run().refused(125);
    refused.says("'filesystem.apart' needs 'isolation: namespaces'");
}

#[test]
fn a_link_in_it_leads_where_the_plugin_has_something() {
    for user in EVERYONE {
        let host = install(user, program::static_c(STATS), "");
        let folder = granted(&host, "apart");
        host.write("secret", "x");
        for (link, target) in [("out", "../secret"), ("in", "data")] {
            std::os::unix::fs::symlink(target, folder.join(link)).unwrap();
        }
        let links = ["out", "in"].map(|link| folder.join(link));
        let launch = host.launch("namespaces").args(links);
        launch.run().succeeded().prints("2 0 ");
    }
}
