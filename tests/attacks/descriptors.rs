//! Descriptors that a careless host leaks, and what can be done with the
//! standard streams.

use std::net::UdpSocket;
use std::os::fd::OwnedFd;

use super::{behind, boxed, ended, hostile};
use crate::kit::{EVERYONE, Host, User, run};

#[test]
fn leaked_descriptors_do_not_reach_the_plugin() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        boxed(&host, "boxed", "");
        host.write("outside/secret", "secret");
        let leaker = host.install_copy("leaker", hostile(LEAKER));
        host.install_copy("p", hostile(LISTS));
        let script = "n=0; while [ $n -lt 10 ]; do\n\
            (: <&$n) 2>/dev/null && echo $n; n=$((n+1)); done";
        host.install_sh("script", script);
        host.list("p", &[]).list("script", &["profile: forking"]);
        host.profile("forking", "processes: { fork: true }");

        let outside = host.path("outside");
        let bare = host.command(host.path("plugins/p"));
        let bare = behind(&host, &leaker, &[outside.to_str().unwrap()], &bare);
        let outcome = run(bare, b"").succeeded();
        assert_eq!(outcome.stdout.lines().count(), 1024);

        let launch = host.launch("p").command();
        let leaking = behind(&host, &leaker, &[outside.to_str().unwrap()], &launch);
        run(leaking, b"").succeeded().prints("0\n1\n2\n");

        // A script's interpreter has the script as well, to read it.
        let launch = host.launch("script").command();
        let leaking = behind(&host, &leaker, &[outside.to_str().unwrap()], &launch);
        let outcome = run(leaking, b"").succeeded();
        assert!(outcome.stdout.starts_with("0\n1\n2\n"), "{outcome:#?}");
        assert!(outcome.stdout.lines().count() <= 4, "{outcome:#?}");
    }
}

const LEAKER: &str = r##"
#include <sys/resource.h>
int main(int n, char **a) {
    struct rlimit limit = {4096, 4096};
    setrlimit(RLIMIT_NOFILE, &limit);
    char secret[4096];
    sprintf(secret, "%s/secret", a[1]);
    int kinds[4] = {open(a[1], O_RDONLY | O_DIRECTORY), open(secret, O_RDWR),
                    socket(AF_UNIX, SOCK_STREAM, 0), socket(AF_INET, SOCK_STREAM, 0)};
    for (int fd = 3; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) < 0) dup2(kinds[fd % 4], fd);
    execv(a[2], a + 2);
    return 98;
}
"##;

const LISTS: &str = r##"
int main(void) {
    for (int fd = 0; fd < 5000; fd++)
        if (fcntl(fd, F_GETFD) >= 0) printf("%d\n", fd);
}
"##;

#[test]
fn the_ready_descriptor_is_closed_by_exec() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", hostile(LISTS));
        host.list("p", &[]);
        let told = host.path("told");
        let to_file = ["-c", r#"exec 7>"$0"; exec "$@""#, told.to_str().unwrap()];
        let bare = host.command(host.path("plugins/p"));
        let outcome = run(behind(&host, "/bin/sh", &to_file, &bare), b"");
        assert!(outcome.stdout.contains("\n7\n"), "{outcome:#?}");
        let launch = host.launch("p").option("--ready-fd").option("7").command();
        let outcome = run(behind(&host, "/bin/sh", &to_file, &launch), b"");
        outcome.succeeded().prints("0\n1\n2\n");
        assert_eq!(std::fs::read_to_string(told).unwrap(), "");
    }
}

#[test]
fn a_standard_stream_is_no_way_to_more_than_itself() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        boxed(&host, "boxed", "");
        host.write("outside/secret", "secret");
        host.write("outside/removed", "secret");
        host.install_copy("p", hostile(STREAMS));
        host.list("p", &[]);
        let outside = host.path("outside");
        let folder = ["-c", r#"exec "$@" <"$0""#, outside.to_str().unwrap()];
        let secret = host.path("outside/secret");
        let file = ["-c", r#"exec "$@" <"$0""#, secret.to_str().unwrap()];

        let bare = |case: &str| {
            let mut command = host.command(host.path("plugins/p"));
            command.arg(case);
            command
        };
        let launch = |case: &str| host.launch("p").profile("boxed").arg(case).command();
        run(behind(&host, "/bin/sh", &folder, &bare("folder")), b"").all_work();
        run(behind(&host, "/bin/sh", &file, &bare("file")), b"").all_work();
        host.write("outside/removed", "secret");
        // The kernel lets an owner, whatever the descriptor is for.
        let mode = match user {
            User::Root => ("change the mode", "EPERM"),
            User::Ordinary => ("change the mode", "ok"),
        };
        let outcome = run(behind(&host, "/bin/sh", &folder, &launch("folder")), b"");
        outcome.all_refused("EACCES", &[mode]);
        let outcome = run(behind(&host, "/bin/sh", &file, &launch("file")), b"");
        let others = [mode, ("read on", "ok")];
        outcome.all_refused("EACCES", &others);
    }
}

#[test]
fn a_datagram_socket_as_standard_input_sends_to_nobody_else() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", hostile(DATAGRAMS));
        host.list("p", &[]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let mut bare = host.command(host.path("plugins/p"));
        bare.arg(&port)
            .stdin(OwnedFd::from(socket.try_clone().unwrap()));
        ended(&mut bare).all_work();
        let mut launch = host.launch("p").arg(&port).command();
        launch.stdin(OwnedFd::from(socket));
        ended(&mut launch).all_refused("EPERM", &[]);
    }
}

const DATAGRAMS: &str = r##"
#include <netinet/in.h>
int main(int n, char **a) {
    struct sockaddr_in to = {AF_INET, htons(atoi(a[1])), {htonl(INADDR_LOOPBACK)}};
    struct iovec bytes = {"x", 1};
    struct mmsghdr message = {{&to, sizeof to, &bytes, 1}};
    TRY("sendto", sendto(0, "x", 1, 0, (void *)&to, sizeof to));
    TRY("sendmsg", sendmsg(0, &message.msg_hdr, 0));
    TRY("sendmmsg", sendmmsg(0, &message, 1, 0));
    TRY("connect", connect(0, (void *)&to, sizeof to));
}
"##;

const STREAMS: &str = r##"
int main(int n, char **a) {
    char byte;
    if (!strcmp(a[1], "folder")) {
        TRY("read beneath", openat(0, "secret", O_RDONLY));
        TRY("write beneath", openat(0, "secret", O_WRONLY));
        TRY("create beneath", openat(0, "new", O_WRONLY | O_CREAT, 0600));
        TRY("unlink beneath", unlinkat(0, "removed", 0));
        TRY("list", openat(0, ".", O_RDONLY | O_DIRECTORY));
        TRY("change the mode", fchmod(0, 0755));
        return 0;
    }
    TRY("read on", read(0, &byte, 1));
    TRY("open again to write", open("/proc/self/fd/0", O_RDWR));
    TRY("open again to truncate", open("/proc/self/fd/0", O_RDONLY | O_TRUNC));
    TRY("truncate", truncate("/proc/self/fd/0", 1));
    TRY("change the mode", fchmod(0, 0600));
}
"##;
