//! Every kind of socket, and the ways around a grant of one TCP port.

use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use super::hostile;
use crate::kit::{EVERYONE, Host, User};

#[test]
fn no_family_and_no_type_of_socket_can_be_made() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", hostile(FAMILIES));
        host.list("p", &[]);
        let bare = host.bare(host.path("plugins/p"), &[]).succeeded();
        for made in [
            "1 1: ok",
            "1 2: ok",
            "2 1: ok",
            "10 2: ok",
            "16 3: ok",
            "pair 2: ok",
        ] {
            assert!(
                bare.stdout.lines().any(|line| line == made),
                "{}",
                bare.stdout
            );
        }
        let others = ["pair 1", "pair 2", "pair 5"].map(|name| (name, "ok"));
        host.launch("p").run().all_refused("EPERM", &others);
    }
}

#[test]
fn one_granted_tcp_port_brings_no_other_protocol() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", hostile(FAMILIES));
        host.list("p", &[]);
        host.profile("one-port", "network: { tcp: { connect: [443] } }");
        let bare = host.bare(host.path("plugins/p"), &["protocols"]);
        for made in ["2 1 262: ok", "2 2 17: ok", "2 2 136: ok"] {
            assert!(
                bare.stdout.lines().any(|line| line == made),
                "{}",
                bare.stdout
            );
        }
        let outcome = host.launch("p").profile("one-port").arg("protocols").run();
        let others = ["2 1 0", "2 1 6", "10 1 0", "10 1 6"].map(|name| (name, "ok"));
        outcome.all_refused("EPERM", &others);
    }
}

const FAMILIES: &str = r##"
int main(int n, char **a) {
    int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_DCCP, 10};
    char name[40];
    for (int family = 2; n > 1 && family <= 10; family += 8)
        for (int type = 0; type < 7; type++)
            for (int i = 0; i < 11; i++) {
                // IP, ICMP, TCP, UDP, DCCP, IPv6's ICMP, L2TP, SCTP, UDP lite, raw, MPTCP
                int protocols[] = {0, 1, 6, 17, 33, 58, 115, 132, 136, 255, 262};
                sprintf(name, "%d %d %d", family, types[type], protocols[i]);
                TRY(name, socket(family, types[type], protocols[i]));
            }
    if (n > 1) return 0;
    for (int family = 0; family <= 45; family++)
        for (int type = 0; type < 7; type++) {
            sprintf(name, "%d %d", family, types[type]);
            TRY(name, socket(family, types[type], 0));
        }
    for (int type = 0; type < 7; type++) {
        int pair[2];
        sprintf(name, "pair %d", types[type]);
        TRY(name, socketpair(AF_UNIX, types[type], 0, pair));
    }
}
"##;

/// Listeners of the test's, which each attempt may reach without the sandbox.
struct Listeners {
    tcp: TcpListener,
    other: TcpListener,
    udp: UdpSocket,
    _unix: UnixListener,
    _abstract: UnixListener,
}

impl Listeners {
    fn of(host: &Host) -> Self {
        let path = host.path("socket");
        let unix = UnixListener::bind(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        let name = SocketAddr::from_abstract_name(path.to_str().unwrap()).unwrap();
        Self {
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            other: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            _unix: unix,
            _abstract: UnixListener::bind_addr(&name).unwrap(),
        }
    }

    fn arguments(&self, host: &Host) -> [String; 4] {
        [
            self.tcp.local_addr().unwrap().port().to_string(),
            self.other.local_addr().unwrap().port().to_string(),
            self.udp.local_addr().unwrap().port().to_string(),
            host.path("socket").display().to_string(),
        ]
    }
}

#[test]
fn nobody_can_be_reached_that_listens_nearby() {
    for user in EVERYONE {
        let host = connector(user);
        let listeners = Listeners::of(&host);
        let arguments = listeners.arguments(&host);
        let arguments: Vec<&str> = arguments.iter().map(|a| &**a).collect();
        let bare = host.bare(host.path("plugins/p"), &arguments);
        bare.all_work();
        let outcome = host.launch("p").args(&arguments).run();
        outcome.all_refused("EPERM", &[]);
    }
}

#[test]
fn one_granted_tcp_port_opens_no_other_way_out() {
    for user in EVERYONE {
        let host = connector(user);
        let listeners = Listeners::of(&host);
        let arguments = listeners.arguments(&host);
        let port = &arguments[0];
        host.profile(
            "one-port",
            &format!("network: {{ tcp: {{ connect: [{port}] }} }}"),
        );
        let outcome = host.launch("p").profile("one-port").args(&arguments).run();
        let others = [
            ("TCP", "ok"),
            ("TCP by IPv6", "ok"),
            ("TCP to another port", "EACCES"),
            ("TCP by IPv6 to another port", "EACCES"),
            ("TCP connected lazily to another port", "EACCES"),
            ("TCP sent to", "ENOTCONN"),
        ];
        outcome.all_refused("EPERM", &others);
    }
}

#[test]
fn a_socket_of_its_own_reaches_no_other_by_path() {
    for user in EVERYONE {
        let host = connector(user);
        let listeners = Listeners::of(&host);
        let arguments = listeners.arguments(&host);
        let folder = host.folder("own");
        let binds = format!("unix: {{ bind: [{folder:?}] }}");
        for (name, network) in [
            ("with-tcp", format!("{binds}, tcp: {{ connect: [443] }}")),
            ("with-udp", format!("{binds}, udp: true")),
            ("with-netlink", format!("{binds}, netlink: true")),
            ("abstract", "unix: { abstract: true }".to_string()),
        ] {
            host.profile(name, &format!("network: {{ {network} }}"));
            // The attack works where the missing protection is overlooked.
            let launch = || host.launch("p").profile(name).args(&arguments);
            let overlooked = launch().policy("permissive").run().succeeded();
            let reached = overlooked.stdout.contains("UNIX: ok\n");
            if reached {
                launch().run().refused(126).says("UNIX sockets by path");
            } else {
                let strict = launch().run().succeeded();
                assert!(strict.stdout.contains("UNIX: EACCES\n"), "{strict:#?}");
            }
        }
        host.profile("alone", &format!("network: {{ {binds} }}"));
        let alone = host.launch("p").profile("alone").args(&arguments).run();
        let alone = alone.succeeded();
        assert!(alone.stdout.contains("UNIX: EPERM\n"), "{alone:#?}");
    }
}

#[test]
fn sockets_by_every_path_reach_no_abstract_name() {
    for user in EVERYONE {
        let host = connector(user);
        let listeners = Listeners::of(&host);
        let arguments = listeners.arguments(&host);
        host.profile("paths", "network: { unix: { connect: [/] } }");
        let outcome = host.launch("p").profile("paths").args(&arguments).run();
        let told = outcome.succeeded().stdout;
        assert!(told.contains("UNIX: ok\n"), "{told}");
        assert!(told.contains("abstract: EPERM\n"), "{told}");
    }
}

fn connector(user: User) -> Host {
    let mut host = Host::of(user);
    host.install_copy("p", hostile(CONNECTS));
    host.list("p", &[]);
    host
}

const CONNECTS: &str = r##"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stddef.h>
#include <sys/un.h>

static struct sockaddr_in at(int port) {
    struct sockaddr_in address = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}};
    return address;
}

static int reach(int type, int protocol, int port) {
    struct sockaddr_in address = at(port);
    int fd = socket(AF_INET, type, protocol);
    return fd < 0 ? fd : connect(fd, (void *)&address, sizeof address);
}

static int reach6(int port) {
    struct sockaddr_in6 address = {AF_INET6, htons(port)};
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &address.sin6_addr);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    return fd < 0 ? fd : connect(fd, (void *)&address, sizeof address);
}

static int reach_unix(int type, const char *path, int abstract) {
    struct sockaddr_un address = {AF_UNIX};
    strcpy(address.sun_path + abstract, path);
    int fd = socket(AF_UNIX, type, 0);
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + abstract + strlen(path);
    return fd < 0 ? fd : connect(fd, (void *)&address, length);
}

enum { SENDTO, SENDMSG, SENDMMSG };

static int fast(int how, int port) {
    struct sockaddr_in address = at(port);
    struct iovec bytes = {"x", 1};
    struct mmsghdr message = {{&address, sizeof address, &bytes, 1}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) return fd;
    if (how == SENDTO) return sendto(fd, "x", 1, MSG_FASTOPEN, (void *)&address, sizeof address);
    if (how == SENDMSG) return sendmsg(fd, &message.msg_hdr, MSG_FASTOPEN);
    return sendmmsg(fd, &message, 1, MSG_FASTOPEN);
}

static int lazily(int port) {
    struct sockaddr_in address = at(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0) return fd;
    setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one);
    if (connect(fd, (void *)&address, sizeof address)) return -1;
    return write(fd, "x", 1);
}

static int send_to(int type, int port) {
    struct sockaddr_in address = at(port);
    int fd = socket(AF_INET, type, 0);
    return fd < 0 ? fd : sendto(fd, "x", 1, MSG_NOSIGNAL, (void *)&address, sizeof address);
}

static int serve(int bind_first, int type) {
    struct sockaddr_in address = at(0);
    int fd = socket(AF_INET, type, 0);
    if (fd < 0) return fd;
    if (bind_first && bind(fd, (void *)&address, sizeof address)) return -1;
    return type == SOCK_STREAM ? listen(fd, 1) : 0;
}

int main(int n, char **a) {
    int granted = atoi(a[1]), other = atoi(a[2]), udp = atoi(a[3]);
    TRY("TCP", reach(SOCK_STREAM, 0, granted));
    TRY("TCP by IPv6", reach6(granted));
    TRY("TCP to another port", reach(SOCK_STREAM, IPPROTO_TCP, other));
    TRY("TCP by IPv6 to another port", reach6(other));
    TRY("MPTCP", reach(SOCK_STREAM, 262, granted));
    TRY("MPTCP to another port", reach(SOCK_STREAM, 262, other));
    TRY("UDP", reach(SOCK_DGRAM, 0, udp));
    TRY("UDP sent to", send_to(SOCK_DGRAM, udp));
    TRY("UDP bound", serve(1, SOCK_DGRAM));
    TRY("TCP listening", serve(1, SOCK_STREAM));
    TRY("TCP listening unbound", serve(0, SOCK_STREAM));
    TRY("TCP fast open", fast(SENDTO, other));
    TRY("TCP fast open of a message", fast(SENDMSG, other));
    TRY("TCP fast open of messages", fast(SENDMMSG, other));
    TRY("TCP connected lazily to another port", lazily(other));
    TRY("UNIX", reach_unix(SOCK_STREAM, a[4], 0));
    TRY("abstract", reach_unix(SOCK_STREAM, a[4], 1));
}
"##;

#[test]
fn who_may_make_sockets_in_a_folder_removes_nothing_there() {
    let source = r#"
#include <sys/un.h>
int main(int n, char **a) {
    struct sockaddr_un own = { AF_UNIX };
    snprintf(own.sun_path, sizeof own.sun_path, "%s/socket", a[1]);
    TRY("bind", bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&own, sizeof own));
    chdir(a[1]);
    char victim[4096];
    snprintf(victim, sizeof victim, "%s/victim", a[1]);
    TRY("unlink", unlink(victim));
    TRY("rename", rename("socket", victim));
}
"#;
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", hostile(source));
        host.list("p", &[]);
        let folder = host.folder("sockets");
        let lay_out = || {
            for name in ["socket", "victim"] {
                let _absent = std::fs::remove_file(folder.join(name));
            }
            host.write("sockets/victim", "x");
        };
        for isolation in ["process", "namespaces"] {
            let text =
                format!("isolation: {isolation}\nnetwork: {{ unix: {{ bind: [{folder:?}] }} }}");
            host.profile("binds", &text);
            lay_out();
            let words = [folder.to_str().unwrap()];
            host.bare(host.path("plugins/p"), &words).all_work();
            lay_out();
            let launch = host.launch("p").profile("binds").args(words);
            launch.run().all_refused("EACCES", &[("bind", "ok")]);
            assert_eq!(std::fs::read(folder.join("victim")).unwrap(), b"x");
        }
    }
    // Its own old socket it removes where nobody else's files are.
    let mut host = Host::of(User::Ordinary);
    host.install_copy("p", hostile(source));
    host.list("p", &[]);
    host.profile("binds", "network: { unix: { bind: [\"{runtime_dir}\"] } }");
    let runtime = host.folder("run");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&runtime, mode).unwrap();
    let launch = || {
        let launch = host.launch("p").profile("binds");
        let launch = launch.env("XDG_RUNTIME_DIR", &runtime);
        launch.arg(runtime.join("secure-exec/p")).run()
    };
    let seen = [("bind", "ok"), ("unlink", "ENOENT"), ("rename", "ok")];
    launch().all_refused("", &seen);
    let seen = [("bind", "ok"), ("unlink", "ok"), ("rename", "ok")];
    launch().all_refused("", &seen);
}
