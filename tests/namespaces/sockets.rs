//! UNIX sockets beside TCP: no filter tells which socket a connect(2) is for,
//! so without Landlock's newest right only a root folder of granted paths keeps
//! the plugin from sockets of others.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::install;
use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Host, User, program};

/// Binds a socket at the first argument, and connects to the others: a path, a
/// name after `@`, or a port of this machine. Prints 0 or the error's number
/// of each.
const CONNECTS: &str = r#"#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
static int unix_socket(const char *name, int binds) {
    struct sockaddr_un to = { AF_UNIX };
    socklen_t size = sizeof to.sun_family + strlen(name) + (*name != '@');
    strcpy(to.sun_path, name);
    if (*name == '@') *to.sun_path = 0;
    int file = socket(AF_UNIX, SOCK_STREAM, 0);
    return (binds ? bind : connect)(file, (void *)&to, size) ? errno : 0;
}
static int port(int number) {
    struct sockaddr_in to = { AF_INET, htons(number), { htonl(INADDR_LOOPBACK) } };
    return connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&to, sizeof to) ? errno : 0;
}
int main(int n, char **a) {
    unlink(a[1]);
    printf("%d", unix_socket(a[1], 1));
    for (int i = 2; i < n; i++)
        printf(" %d", atoi(a[i]) ? port(atoi(a[i])) : unix_socket(a[i], 0));
    return 0;
}"#;

/// What listens outside: a granted socket, another one, one with a name alone,
/// and a port.
struct Outside {
    _listeners: Vec<UnixListener>,
    _port: TcpListener,
    host: Host,
    arguments: Vec<String>,
}

fn outside(user: User, isolation: &str, read: &str) -> Outside {
    let host = install(user, program::static_c(CONNECTS), "");
    let own = host.folder("own");
    let paths = ["granted", "other"].map(|name| host.path(name));
    let name = format!("secure-exec-test-{}", host.path("").display());
    let named = SocketAddr::from_abstract_name(&name).unwrap();
    let mut listeners = vec![UnixListener::bind_addr(&named).unwrap()];
    for path in &paths {
        listeners.push(UnixListener::bind(path).unwrap());
        host.own(path);
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let number = port.local_addr().unwrap().port();
    let [granted, other] = paths;
    host.profile(
        "process",
        &format!(
            "isolation: {isolation}\nfilesystem: {{ read: [{read:?}], write: [{own:?}] }}\nnetwork: {{ tcp: {{ connect: [{number}] }}, unix: {{ connect: [{granted:?}], bind: [{own:?}] }} }}"
        ),
    );
    let texts = [own.join("socket"), granted, other].map(|path| path.display().to_string());
    let mut arguments = texts.to_vec();
    arguments.extend([format!("@{name}"), number.to_string()]);
    Outside {
        _listeners: listeners,
        _port: port,
        host,
        arguments,
    }
}

#[test]
fn beside_tcp_a_plugin_reaches_the_sockets_that_it_was_granted_and_no_others() {
    for user in EVERYONE {
        for isolation in ["namespaces", "auto"] {
            let outside = outside(user, isolation, "/etc");
            let host = &outside.host;
            let words: Vec<&str> = outside.arguments.iter().map(String::as_str).collect();
            let bare = host.bare(host.path("plugins/process"), &words);
            bare.succeeded().prints("0 0 0 0 0");
            let launch = host.launch("process").args(&words);
            // ENOENT: nothing is there. EPERM: Landlock's scope.
            launch.run().succeeded().prints("0 0 2 1 0");
            let record = host.record("sandbox_applied");
            let sandbox = &record["sandbox"];
            assert_eq!(sandbox["isolation"], "namespaces");
            assert_eq!(sandbox["enforcement"], "full");
            let taken_over = sandbox["taken_over"].to_string();
            assert!(taken_over.contains("shows no sockets"), "{taken_over}");
            let because = sandbox["isolation_because"].as_str();
            assert_eq!(because.is_some(), isolation == "auto", "{because:?}");
        }
    }
}

#[test]
fn where_no_namespace_keeps_them_apart_the_refusal_says_what_would() {
    for user in EVERYONE {
        let outside = outside(user, "process", "/etc");
        let launch = outside.host.launch("process");
        let refused = launch.run().refused(126);
        refused.says("'isolation: namespaces'");
        // Nor do they where the plugin sees everybody's sockets.
        for isolation in ["namespaces", "auto"] {
            let outside = self::outside(user, isolation, "/run");
            let host = &outside.host;
            let launch = host.launch("process");
            launch
                .run()
                .refused(126)
                .says("connect to UNIX sockets by path");
        }
    }
}

/// The attack: a name that says nothing of the folder that it shows.
#[test]
fn a_link_or_mount_does_not_show_the_sockets_that_no_name_tells_of() {
    private(|| {
        for user in EVERYONE {
            let others = tempfile::tempdir().unwrap();
            std::fs::set_permissions(&others, PermissionsExt::from_mode(0o755)).unwrap();
            let [link, mount, beneath] =
                ["link", "mount", "beneath"].map(|name| others.path().join(name));
            std::os::unix::fs::symlink("/run", &link).unwrap();
            std::fs::create_dir(&mount).unwrap();
            std::fs::create_dir_all(beneath.join("a/run")).unwrap();
            for place in [&mount, &beneath.join("a/run")] {
                let mut command = std::process::Command::new("mount");
                command.arg("--bind").arg("/run").arg(place);
                crate::kit::run(command, b"").succeeded();
            }
            for place in [link, mount, beneath] {
                let outside = outside(user, "namespaces", place.to_str().unwrap());
                let refused = outside.host.launch("process").run().refused(125);
                refused.says("it shows the sockets in '/run'");
            }
        }
    });
}

#[test]
fn auto_takes_no_namespaces_for_a_profile_that_does_without() {
    for user in EVERYONE {
        let host = install(user, program::static_c("int main(void) { return 0; }"), "");
        host.profile("process", "isolation: auto");
        host.launch("process").run().succeeded();
        let record = host.record("sandbox_applied");
        assert_eq!(record["sandbox"]["isolation"], "process");
        assert!(record["sandbox"]["namespaces"].is_null());
        let because = record["sandbox"]["isolation_because"].as_str().unwrap();
        assert!(
            because.contains("nothing that needs namespaces"),
            "{because}"
        );
    }
}

/// What remains: see SECURITY.md.
#[test]
fn a_socket_in_a_folder_that_is_granted_to_be_read_can_be_reached_and_apart_it_can_not() {
    for user in EVERYONE {
        // ECONNREFUSED.
        for (kind, seen) in [("read", "0 0"), ("apart", "0 111")] {
            let host = install(user, program::static_c(CONNECTS), "");
            let (own, folder) = (host.folder("own"), host.folder("in"));
            let socket = folder.join("socket");
            let _listener = UnixListener::bind(&socket).unwrap();
            host.own(&socket);
            host.profile(
                "process",
                &format!(
                    "isolation: auto\nfilesystem: {{ {kind}: [{folder:?}], write: [{own:?}] }}\nnetwork: {{ tcp: {{ connect: [9] }}, unix: {{ bind: [{own:?}] }} }}"
                ),
            );
            let launch = host.launch("process").arg(own.join("socket")).arg(&socket);
            launch.run().succeeded().prints(seen);
        }
    }
}
