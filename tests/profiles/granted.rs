//! Single grants that hosts need, with programs that are known to need them:
//! datagrams of UNIX sockets, ICMP, the terminal.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use nix::libc;

use super::ISOLATIONS;
use crate::kit::{EVERYONE, Host, Launch, Outcome, User, outer, program, run};

/// A host with the plugin `p`.
fn host(user: User, source: &str) -> Host {
    let mut host = Host::of(user);
    host.install_copy("p", program::c(source));
    host.list("p", &[]);
    host
}

/// Sends `hello` to a path, by an address or connected, or tells the errno.
const SENDS: &str = r#"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int n, char **a) {
    struct sockaddr_un to = {AF_UNIX};
    strcpy(to.sun_path, a[2]);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    // As sd_notify(3), and as syslog(3).
    struct iovec text = {"hello", 5};
    struct msghdr message = {&to, sizeof to, &text, 1};
    if (a[1][0] == 'n') return sendmsg(fd, &message, MSG_NOSIGNAL) == 5 ? 0 : errno;
    if (connect(fd, (void *)&to, sizeof to)) return errno;
    return send(fd, "hello", 5, MSG_NOSIGNAL) == 5 ? 0 : errno;
}
"#;

#[test]
fn datagrams_go_to_a_unix_socket_that_is_granted() {
    for user in EVERYONE {
        let mut host = host(user, SENDS);
        host.install_copy("logger", "/usr/bin/logger");
        host.list("logger", &[]);
        let bound = |name: &str| {
            let path = host.path(name);
            let socket = UnixDatagram::bind(&path).unwrap();
            host.own(&path);
            socket.set_nonblocking(true).unwrap();
            (socket, path.to_str().unwrap().to_string())
        };
        let ((granted, to), (other, beside)) = (bound("granted"), bound("other"));
        let arrived = |socket: &UnixDatagram| {
            let mut text = [0; 512];
            let count = socket.recv(&mut text).ok()?;
            Some(String::from_utf8_lossy(&text[..count]).into_owned())
        };
        host.bare(host.path("plugins/p"), &["notify", &to])
            .succeeded();
        assert_eq!(arrived(&granted).as_deref(), Some("hello"));
        // A kernel without Landlock's right for it can't narrow it in
        // `process`, so there the grant is for all of them.
        let grant = |path: &str| format!("network: {{ unix: {{ connect: [{path:?}] }} }}");
        host.profile("process", &grant("/"));
        host.profile(
            "namespaces",
            &format!("isolation: namespaces\n{}", grant(&to)),
        );
        for isolation in ISOLATIONS {
            let launch = |plugin: &str| {
                let launch = host.launch(plugin).profile(isolation).option("--quiet");
                launch.policy("permissive")
            };
            for way in ["notify", "log"] {
                launch("p").args([way, &to]).run().succeeded();
                assert_eq!(arrived(&granted).as_deref(), Some("hello"));
            }
            let words = ["--socket-errors=on", "-u", &to, "hello"];
            launch("logger").args(words).run().succeeded();
            assert!(arrived(&granted).unwrap().ends_with("hello"));
        }
        let strict = host.launch("p").profile("process").args(["log", &to]);
        strict.run().succeeded();
        let outcome = host.launch("p").profile("namespaces");
        let outcome = outcome.policy("permissive").args(["notify", &beside]);
        assert_eq!(outcome.run().status, libc::ENOENT);
        // Sockets of its own, or of another kind, bring none.
        let own = "network: { unix: { bind: [\"{runtime_dir}\"] } }";
        for (name, grant) in [
            ("own", own),
            ("tcp", "network: { tcp: { connect: [443] } }"),
        ] {
            host.profile(name, grant);
            let launch = host.launch("p").profile(name).args(["notify", &beside]);
            let outcome = launch.policy("permissive").run();
            assert_eq!(outcome.status, libc::EPERM, "{name} {outcome:#?}");
        }
        assert_eq!(arrived(&other), None);
    }
}

/// The launch in a network of its own, where everybody may ping.
fn pinging(host: &Host, launch: &Command) -> Outcome {
    let script = "ip link set lo up && echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range \
                  && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", script, "sh"]);
    outer::become_user(&mut command, host.user());
    command.arg(launch.get_program()).args(launch.get_args());
    command.env_clear();
    let variables = launch.get_envs();
    command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(host.path(""));
    run(command, b"")
}

/// `p FAMILY KIND`: an echo to itself, and back.
const PINGS: &str = r#"
#include <errno.h>
#include <stdlib.h>
#include <netinet/in.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <sys/socket.h>
int main(int n, char **a) {
    int six = atoi(a[1]) == 6, kind = atoi(a[2]);
    struct sockaddr_in four = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in6 other = {AF_INET6, 0, 0, IN6ADDR_LOOPBACK_INIT};
    int fd = socket(six ? AF_INET6 : AF_INET, kind, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    if (fd < 0) return errno;
    struct icmphdr echo = {six ? ICMP6_ECHO_REQUEST : ICMP_ECHO};
    echo.checksum = htons(0xffff - (ICMP_ECHO << 8));
    void *to = six ? (void *)&other : (void *)&four;
    if (sendto(fd, &echo, sizeof echo, 0, to, six ? sizeof other : sizeof four) < 0) return errno;
    unsigned char answer[256];
    for (;;) {
        if (recv(fd, answer, sizeof answer, 0) < 0) return errno;
        // A raw socket of IPv4 gets the header, and the question too.
        int type = answer[kind == SOCK_RAW && !six ? 20 : 0];
        if (type == (six ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY)) return 0;
    }
}
"#;

const PING: &str = "2";
const RAW: &str = "3";

#[test]
fn echoes_need_icmp_and_raw_sockets_a_capability_as_well() {
    for user in EVERYONE {
        let host = host(user, PINGS);
        for isolation in ISOLATIONS {
            let profile = |name: &str, more: &str| {
                host.profile(name, &format!("isolation: {isolation}\n{more}"));
            };
            profile("icmp", "network: { icmp: true }");
            profile("udp", "network: { udp: true }");
            let icmp_raw = "network: { icmp: true }\ncapabilities: { keep: [NET_RAW] }";
            profile("raw", icmp_raw);
            for family in ["4", "6"] {
                let mut bare = host.command(host.path("plugins/p"));
                bare.args([family, PING]);
                assert_eq!(pinging(&host, &bare).status, 0, "{user:?} {family}");
                let launch = |profile: &str, kind: &str| {
                    let launch = host.launch("p").profile(profile).args([family, kind]);
                    pinging(&host, &launch.command())
                };
                let outcome = launch("icmp", PING);
                assert_eq!(outcome.status, 0, "{isolation} {outcome:#?}");
                for (profile, kind) in [("icmp", RAW), ("udp", PING), ("udp", RAW)] {
                    let outcome = launch(profile, kind);
                    assert_eq!(outcome.status, libc::EPERM, "{profile} {outcome:#?}");
                }
                if user == User::Root {
                    let outcome = launch("raw", RAW);
                    assert_eq!(outcome.status, 0, "{isolation} {outcome:#?}");
                }
            }
        }
    }
}

#[test]
fn programs_that_ping() {
    const CHECK: &str = "/usr/lib/nagios/plugins/check_icmp";
    // In namespaces, and as root, the kernel keeps ping(8) from what it does to
    // its capabilities.
    let mut host = Host::of(User::Ordinary);
    host.install_copy("ping", "/usr/bin/ping");
    host.list("ping", &[]);
    host.profile("pings", "network: { icmp: true, udp: true }");
    let launch = host.launch("ping").profile("pings");
    let launch = launch.args(["-c", "1", "127.0.0.1"]);
    let outcome = pinging(&host, &launch.command()).succeeded();
    assert!(outcome.stdout.contains("1 received"), "{outcome:#?}");

    let mut host = Host::of(User::Root);
    host.install_copy("check", CHECK);
    host.list("check", &[]);
    for isolation in ISOLATIONS {
        let grants = "network: { icmp: true }\ncapabilities: { keep: [NET_RAW] }";
        host.profile("checks", &format!("isolation: {isolation}\n{grants}"));
        let launch = host.launch("check").profile("checks");
        let launch = launch.args(["-H", "127.0.0.1"]).command();
        let outcome = pinging(&host, &launch).succeeded();
        assert!(outcome.stdout.starts_with("OK"), "{outcome:#?}");
    }
}

/// Gives a program a terminal of its own, as its session's and as standard
/// input; types a password once it is asked, and shows what the terminal
/// showed.
const TYPIST: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int n, char **a) {
    char shown[4096];
    size_t count = 0;
    ssize_t more;
    int master = posix_openpt(O_RDWR | O_NOCTTY), status, has_typed = 0;
    grantpt(master);
    unlockpt(master);
    pid_t child = fork();
    if (!child) {
        setsid();
        int slave = open(ptsname(master), O_RDWR);
        for (int fd = 0; fd < 3; fd++) dup2(slave, fd);
        close(slave);
        close(master);
        execv(a[1], a + 1);
        _exit(98);
    }
    // Its end is that of the last process which has the terminal.
    while (count < sizeof shown - 1 && (more = read(master, shown + count, sizeof shown - 1 - count)) > 0) {
        count += more;
        shown[count] = 0;
        if (!has_typed && strstr(shown, "assword: ")) has_typed = write(master, "s3cret\n", 7);
    }
    fputs(shown, stdout);
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
"#;

/// As getpass(3), and libraries like it: from the terminal, whatever the
/// standard streams are. Then asks for what types and takes.
const ASKS: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
int main(int n, char **a) {
    char word[64];
    struct termios before, quiet;
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0) return errno;
    // Without its settings a library goes on and shows what is typed.
    int is_quiet = !tcgetattr(tty, &before);
    quiet = before;
    quiet.c_lflag &= ~ECHO;
    is_quiet = is_quiet && !tcsetattr(tty, TCSAFLUSH, &quiet);
    dprintf(tty, "Password: ");
    int count = read(tty, word, sizeof word);
    if (is_quiet) tcsetattr(tty, TCSAFLUSH, &before);
    printf("%d\n", count - 1);
    int line = 0, group = getpgrp();
    struct { const char *name; unsigned long request; void *argument; } harm[] = {
        {"TIOCSTI", TIOCSTI, "x"}, {"TIOCSTI of high bits", 0xdead00000000 | TIOCSTI, "x"},
        {"TIOCLINUX", TIOCLINUX, "\2"}, {"TIOCSCTTY", TIOCSCTTY, 0},
        {"TIOCSETD", TIOCSETD, &line}, {"TIOCEXCL", TIOCEXCL, 0},
        {"TIOCSPGRP", TIOCSPGRP, &group}, {"TCXONC", TCXONC, (void *)1},
    };
    for (unsigned i = 0; n > 1 && i < sizeof harm / sizeof *harm; i++) {
        errno = 0;
        ioctl(tty, harm[i].request, harm[i].argument);
        printf("%s: %s\n", harm[i].name, errno == EPERM ? "refused" : "admitted");
        fflush(stdout);
    }
    return 0;
}
"#;

fn typed(host: &Host, command: &Command) -> Outcome {
    let mut typist = host.command(host.path("plugins/typist"));
    typist.arg(command.get_program()).args(command.get_args());
    typist.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    run(typist, b"").succeeded()
}

fn asking(user: User) -> Host {
    let host = host(user, ASKS);
    host.install_copy("typist", program::c(TYPIST));
    for isolation in ISOLATIONS {
        let profile = |name: &str, more: &str| {
            host.profile(
                &format!("{isolation}-{name}"),
                &format!("isolation: {isolation}\n{more}"),
            );
        };
        profile("terminal", "terminal: true");
        profile("device", "filesystem: { devices: [tty] }");
        profile("none", "umask: \"077\"");
    }
    host
}

fn each_that_grants(host: &Host, test: impl Fn(Launch<'_>)) {
    for isolation in ISOLATIONS {
        for name in ["terminal", "device"] {
            test(host.launch("p").profile(format!("{isolation}-{name}")));
        }
    }
}

#[test]
fn a_password_is_not_shown_where_the_terminal_is_granted() {
    for user in EVERYONE {
        let mut host = asking(user);
        let bare = typed(&host, &host.command(host.path("plugins/p")));
        assert!(bare.stdout.contains("6\r\n"), "{bare:#?}");
        each_that_grants(&host, |launch| {
            let outcome = typed(&host, &launch.command());
            assert!(outcome.stdout.contains("6\r\n"), "{outcome:#?}");
            assert!(!outcome.stdout.contains("s3cret"), "{outcome:#?}");
        });
        let script = "#!/usr/bin/python3\nimport getpass\nprint(len(getpass.getpass()))\n";
        host.install("script", script);
        host.list("script", &[]);
        host.profile("asks", "extends: python\nterminal: true");
        let launch = host.launch("script").profile("asks").command();
        let outcome = typed(&host, &launch);
        assert!(outcome.stdout.contains("6\r\n"), "{outcome:#?}");
        assert!(!outcome.stdout.contains("s3cret"), "{outcome:#?}");
    }
}

#[test]
fn a_granted_terminal_takes_no_harmful_request() {
    for user in EVERYONE {
        let host = asking(user);
        let mut bare = host.command(host.path("plugins/p"));
        let bare = typed(&host, bare.arg("harm")).stdout;
        for request in ["TIOCSTI", "TIOCSETD", "TIOCSPGRP", "TCXONC", "TIOCEXCL"] {
            let line = format!("{request}: admitted");
            assert!(bare.contains(&line), "{user:?} {bare}");
        }
        each_that_grants(&host, |launch| {
            let outcome = typed(&host, &launch.arg("harm").command());
            assert!(outcome.stdout.contains("TIOCSTI: refused"), "{outcome:#?}");
            assert!(!outcome.stdout.contains("admitted"), "{outcome:#?}");
        });
    }
}

#[test]
fn without_a_grant_the_terminal_is_not_opened() {
    for user in EVERYONE {
        let host = asking(user);
        for (isolation, error) in [("process", libc::EACCES), ("namespaces", libc::ENOENT)] {
            let launch = host.launch("p").profile(format!("{isolation}-none"));
            let mut typist = host.command(host.path("plugins/typist"));
            let launch = launch.command();
            typist.arg(launch.get_program()).args(launch.get_args());
            let outcome = run(typist, b"");
            assert_eq!(outcome.status, error, "{isolation} {outcome:#?}");
        }
        let both = "terminal: true\nprocesses: { new_session: true }";
        host.profile("both", both);
        let refused = host.launch("p").profile("both").run().refused(125);
        refused.says("'terminal: true' needs");
    }
}
