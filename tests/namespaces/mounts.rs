//! What can be done with what is granted.

use std::process::Command;

use super::{BOTH, Running, STATS, install};
use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Host, ORDINARY, User, program};

/// Writes a file, and maps it to be executed.
const MAPS: &str = r#"#include <stdio.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/mman.h>
int main(int n, char **a) {
    int file = open(a[1], O_RDWR | O_CREAT | O_TRUNC, 0700);
    if (file < 0 || write(file, "\xc3", 1) != 1) return 1;
    void *mapped = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
    printf("%d", mapped == MAP_FAILED ? errno : 0);
    return 0;
}"#;

#[test]
fn what_a_plugin_writes_can_be_read_outside_but_not_mapped_to_be_executed() {
    for user in EVERYONE {
        let host = install(user, program::static_c(MAPS), "");
        let folder = host.folder("out");
        for isolation in BOTH {
            let grants = format!("isolation: {isolation}\nfilesystem: {{ write: [{folder:?}] }}");
            host.profile(isolation, &grants);
        }
        let seen = BOTH.map(|plugin| {
            let launch = host.launch(plugin).arg(folder.join(plugin));
            launch.run().succeeded().stdout
        });
        assert_eq!(seen, ["0", "1"]);
        assert_eq!(std::fs::read(folder.join("namespaces")).unwrap(), b"\xc3");
    }
}

#[test]
fn the_mode_of_a_file_that_is_only_read_can_not_be_changed_through_its_descriptor() {
    let source = r#"#include <stdio.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <sys/stat.h>
    int main(int n, char **a) {
        printf("%d", fchmod(open(a[1], O_RDONLY), 0600) ? errno : 0);
        return 0;
    }"#;
    // Root is refused that in any case.
    let host = install(User::Ordinary, program::static_c(source), "");
    let (read, write) = (host.write("read", "x"), host.folder("write"));
    for isolation in BOTH {
        let grants = format!(
            "isolation: {isolation}\nfilesystem: {{ read: [{read:?}], write: [{write:?}] }}"
        );
        host.profile(isolation, &grants);
    }
    let seen = BOTH.map(|plugin| {
        let launch = host.launch(plugin).arg(&read);
        launch.run().succeeded().stdout
    });
    // EROFS.
    assert_eq!(seen, ["0", "30"]);
}

#[test]
fn a_symbolic_link_that_leads_outside_dangles() {
    for user in EVERYONE {
        let host = install(user, program::static_c(STATS), "");
        let folder = host.folder("in");
        let target = host.write("secret", "x");
        std::os::unix::fs::symlink(&target, folder.join("link")).unwrap();
        for isolation in BOTH {
            let grants = format!("isolation: {isolation}\nfilesystem: {{ read: [{folder:?}] }}");
            host.profile(isolation, &grants);
        }
        let seen = BOTH.map(|plugin| {
            let launch = host.launch(plugin).arg(folder.join("link"));
            launch.run().succeeded().stdout
        });
        assert_eq!(seen, ["0 ", "2 "]);
    }
}

#[test]
fn a_granted_path_behind_a_symbolic_link_is_where_it_was() {
    for user in EVERYONE {
        let host = install(user, program::static_c(STATS), "");
        let folder = host.folder("in");
        host.folder("elsewhere");
        host.write("elsewhere/file", "x");
        let link = folder.join("link");
        std::os::unix::fs::symlink("../elsewhere", &link).unwrap();
        let grants =
            format!("isolation: namespaces\nfilesystem: {{ read: [{folder:?}, {link:?}] }}");
        host.profile("namespaces", &grants);
        host.launch("namespaces")
            .arg(link.join("file"))
            .run()
            .succeeded()
            .prints("0 ");
    }
}

#[test]
fn a_link_that_a_plugin_planted_brings_nothing_into_its_root() {
    for user in EVERYONE {
        let host = install(user, program::static_c(STATS), "");
        let folder = host.folder("out");
        host.folder("secret");
        host.write("secret/file", "x");
        let link = folder.join("link");
        std::os::unix::fs::symlink("../secret", &link).unwrap();
        for isolation in BOTH {
            let grants = format!(
                "isolation: {isolation}\nfilesystem: {{ write: [{folder:?}], read: [{link:?}] }}"
            );
            host.profile(isolation, &grants);
        }
        host.launch("namespaces")
            .run()
            .refused(125)
            .says("leads out of it");
        let seen = BOTH.map(|plugin| {
            let launch = host.launch(plugin).policy("permissive");
            launch.arg(link.join("file")).run().succeeded().stdout
        });
        assert_eq!(seen, ["0 ", "2 "]);
    }
}

/// The attributes of the mounts at each argument: r(ead-only), s (nosuid),
/// d (nodev), x (noexec).
const ATTRIBUTES: &str = r#"#include <stdio.h>
#include <sys/statvfs.h>
int main(int n, char **a) {
    for (int i = 1; i < n; i++) {
        struct statvfs found;
        if (statvfs(a[i], &found)) return 1;
        unsigned long f = found.f_flag;
        printf("%s%s%s%s ", f & 1 ? "r" : "", f & 2 ? "s" : "", f & 4 ? "d" : "", f & 8 ? "x" : "");
    }
    return 0;
}"#;

#[test]
fn what_is_mounted_in_a_granted_folder_is_restricted_with_it() {
    for user in EVERYONE {
        let host = install(user, program::static_c(ATTRIBUTES), "");
        let (read, write) = (host.folder("read"), host.folder("write"));
        let inner = [host.folder("read/inner"), host.folder("write/inner")];
        for isolation in BOTH {
            let grants = format!(
                "isolation: {isolation}\nfilesystem: {{ read: [{read:?}], write: [{write:?}] }}"
            );
            host.profile(isolation, &grants);
        }
        let mount = "for folder; do [ \"$folder\" = -- ] && break; mount -t tmpfs none \"$folder\"; shift; done; shift; exec \"$@\"";
        let seen = BOTH.map(|plugin| {
            let mut words = vec!["unshare".to_string(), "-m".into(), "sh".into(), "-c".into()];
            words.extend([mount.to_string(), "sh".into()]);
            words.extend(inner.iter().map(|path| path.to_string_lossy().into_owned()));
            words.push("--".into());
            if user == User::Ordinary {
                let id = ORDINARY.to_string();
                let become_it = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
                words.extend(become_it.map(String::from));
            }
            let launch = host.launch(plugin).under(words);
            let launch = launch.args([&read, &inner[0], &write, &inner[1]]);
            let mut command = launch.command();
            std::os::unix::process::CommandExt::uid(&mut command, 0);
            std::os::unix::process::CommandExt::gid(&mut command, 0);
            crate::kit::run(command, b"").succeeded().stdout
        });
        assert!(!seen[0].contains('x'), "{seen:?}");
        assert_eq!(seen[1], "rsd rsd sdx sdx ");
    }
}

#[test]
fn a_socket_of_the_plugins_own_can_be_connected_to_from_outside() {
    let source = r#"#include <stdio.h>
    #include <string.h>
    #include <unistd.h>
    #include <sys/socket.h>
    #include <sys/un.h>
    int main(int n, char **a) {
        struct sockaddr_un own = { AF_UNIX };
        strcpy(own.sun_path, a[1]);
        int server = socket(AF_UNIX, SOCK_STREAM, 0);
        if (bind(server, (void *)&own, sizeof own) || listen(server, 1)) return 1;
        puts("ready");
        fflush(stdout);
        return write(accept(server, 0, 0), "hello", 5) != 5;
    }"#;
    let mut host = Host::of(User::Ordinary);
    let runtime = host.folder("run");
    host.profile(
        "p",
        "isolation: namespaces\nfilesystem: { write: [\"{runtime_dir}\"] }\nnetwork: { unix: { bind: [\"{runtime_dir}\"] } }",
    );
    host.install_copy("p", program::static_c(source));
    host.list("p", &["profile: p"]);
    std::fs::set_permissions(
        &runtime,
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let socket = runtime.join("secure-exec/p/socket");
    let launch = host.launch("p").env("XDG_RUNTIME_DIR", &runtime);
    let mut running = Running::start(launch.arg(&socket));
    assert_eq!(running.line(), "ready");
    let mut client = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let mut text = String::new();
    std::io::Read::read_to_string(&mut client, &mut text).unwrap();
    assert_eq!(text, "hello");
    assert_eq!(running.finish(), 0);
}

#[test]
fn a_granted_socket_of_the_hosts_can_be_connected_to() {
    let source = r#"#include <string.h>
    #include <unistd.h>
    #include <sys/socket.h>
    #include <sys/un.h>
    int main(int n, char **a) {
        struct sockaddr_un to = { AF_UNIX };
        char text[5];
        strcpy(to.sun_path, a[1]);
        int client = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(client, (void *)&to, sizeof to) || read(client, text, 5) != 5) return 1;
        return write(1, text, 5) != 5;
    }"#;
    for user in EVERYONE {
        let host = install(user, program::static_c(source), "");
        let socket = host.path("socket");
        let server = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        host.own(&socket);
        let grants =
            format!("isolation: namespaces\nnetwork: {{ unix: {{ connect: [{socket:?}] }} }}");
        host.profile("namespaces", &grants);
        let answer = std::thread::spawn(move || {
            let (mut client, _) = server.accept().unwrap();
            std::io::Write::write_all(&mut client, b"hello").unwrap();
        });
        // Strict wants Landlock's newest right for it.
        let launch = host.launch("namespaces").policy("permissive").arg(&socket);
        launch.run().succeeded().prints("hello");
        answer.join().unwrap();
    }
}

/// Writes code to a file, and maps the file that it finds by another path.
const ALIAS: &str = r#"#include <stdio.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/mman.h>
int main(int n, char **a) {
    int file = open(a[1], O_RDWR | O_CREAT | O_TRUNC, 0700);
    if (file < 0 || write(file, "\xc3", 1) != 1) return 1;
    int other = open(a[2], O_RDONLY);
    if (other < 0) return 2;
    void *mapped = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, other, 0);
    printf("%d", mapped == MAP_FAILED ? errno : 0);
    return 0;
}"#;

#[test]
fn what_a_plugin_writes_can_not_be_executed_by_another_name() {
    for user in EVERYONE {
        let host = install(user, program::static_c(ALIAS), "");
        let folders = [
            "tree",
            "tree/work",
            "tree/work/sub",
            "alias",
            "above",
            "inner",
            "read",
            "read/in",
            "read/more",
            "whole",
        ];
        let [
            tree,
            work,
            sub,
            alias,
            above,
            inner,
            read,
            read_in,
            read_more,
            whole,
        ] = folders.map(|name| host.folder(name));
        std::os::unix::fs::symlink(&work, host.path("link")).unwrap();
        host.own(&host.path("link"));
        private(|| {
            for (what, place) in [
                (&work, &alias),
                (&tree, &above),
                (&sub, &inner),
                (&work, &read_in),
                (&tree, &read_more),
                (&tree, &whole),
            ] {
                let mut command = Command::new("mount");
                let command = command.arg("--bind").args([what, place]);
                assert!(command.status().unwrap().success());
            }
            for (write, granted, written, found) in [
                (&work, &alias, work.join("f"), alias.join("f")),
                (&work, &above, work.join("f"), above.join("work/f")),
                (&work, &inner, sub.join("f"), inner.join("f")),
                (
                    &work,
                    &host.path("link"),
                    work.join("f"),
                    host.path("link/f"),
                ),
                (&work, &read, work.join("f"), read.join("in/f")),
                (&work, &read, work.join("f"), read.join("more/work/f")),
                (&alias, &tree, alias.join("f"), work.join("f")),
                (
                    &alias,
                    &whole,
                    alias.join("sub/f"),
                    whole.join("work/sub/f"),
                ),
            ] {
                for isolation in BOTH {
                    let grants = format!(
                        "isolation: {isolation}\nfilesystem: {{ write: [{write:?}], read: [{granted:?}] }}"
                    );
                    host.profile(isolation, &grants);
                }
                let seen = BOTH.map(|plugin| {
                    let launch = host.launch(plugin).args([&written, &found]);
                    launch.run().succeeded().stdout
                });
                assert_eq!(seen, ["0", "1"], "{write:?} {granted:?} {found:?}");
            }
            // What lies beside it is code as before.
            let other = host.write("tree/other", "\u{7f}");
            for isolation in BOTH {
                let grants = format!(
                    "isolation: {isolation}\nfilesystem: {{ write: [{work:?}], read: [{above:?}] }}"
                );
                host.profile(isolation, &grants);
            }
            assert!(other.exists());
            let launch = host.launch("namespaces").arg(work.join("f"));
            let launch = launch.arg(above.join("other"));
            launch.run().succeeded().prints("0");
        });
    }
}
