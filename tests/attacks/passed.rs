//! Descriptors that a profile passes on and that would be a way around it,
//! whoever opened them.

use super::{behind, hostile};
use crate::kit::{EVERYONE, Host, Outcome, run};

const ISOLATIONS: [&str; 2] = ["process", "namespaces"];

/// What the careless host opens as 3, and what is said of it.
const HARMFUL: &[(&str, &str)] = &[
    ("folder", "descriptor 3 is a folder"),
    ("reference", "descriptor 3 only names a file"),
    ("memory", "a file by which the kernel is asked or told"),
    ("process", "descriptor 3 is a"),
    ("namespace", "a file by which the kernel is asked or told"),
    (
        "device",
        "a device that 'filesystem.devices' of the profile does not name",
    ),
    ("terminals", "descriptor 3 is a terminal's master"),
    ("queue", "an object of the kernel's ('io_uring')"),
    ("events", "an object of the kernel's ('eventpoll')"),
    ("signals", "an object of the kernel's ('signalfd')"),
    ("file", "and, through the same descriptor, map as code"),
    ("listener", "a socket that listens"),
    ("netlink", "a socket that could send to others"),
];
/// What it may open.
const HARMLESS: &[&str] = &["pipe", "pair", "null", "read", "written", "counter"];

/// The launch behind a host that opens one of them.
fn with(host: &Host, kind: &str, launch: &std::process::Command) -> Outcome {
    let opener = host.path("plugins/opener");
    let file = host.path("outside/file");
    run(
        behind(host, opener, &[kind, file.to_str().unwrap()], launch),
        b"",
    )
}

fn host(user: crate::kit::User) -> Host {
    let mut host = Host::of(user);
    host.install_copy("opener", hostile(OPENER));
    host.install_copy("p", hostile(USES));
    host.list("p", &[]);
    host.folder("outside");
    host.write("outside/file", &"secret ".repeat(1000));
    for isolation in ISOLATIONS {
        let pass = format!("isolation: {isolation}\ndescriptors: {{ pass: [3] }}");
        host.profile(isolation, &pass);
    }
    host
}

#[test]
fn what_leads_past_the_profile_is_not_passed_on() {
    for user in EVERYONE {
        let host = host(user);
        for (kind, why) in HARMFUL {
            let mut bare = host.command(host.path("plugins/p"));
            let bare = with(&host, kind, bare.arg(kind));
            assert_eq!(bare.status, 0, "{user:?} {kind} {bare:#?}");
            for isolation in ISOLATIONS {
                let launch = || host.launch("p").profile(isolation).arg(kind);
                let refused = with(&host, kind, &launch().command()).refused(126);
                refused.says(why);
                let record = host.record("security_violation");
                assert_eq!(record["violation_type"], "sandbox_unavailable");
                let weaker = launch().policy("permissive").command();
                let weaker = with(&host, kind, &weaker);
                weaker.says("WARNING: ").says(why);
            }
        }
    }
}

#[test]
fn what_leads_nowhere_is() {
    for user in EVERYONE {
        let host = host(user);
        for kind in HARMLESS {
            for isolation in ISOLATIONS {
                let launch = host.launch("p").profile(isolation).arg("nothing");
                let outcome = with(&host, kind, &launch.command()).succeeded();
                assert_eq!(outcome.stderr, "", "{kind}");
            }
        }
        // What the profile grants by its name may come by number as well.
        for (kind, more) in [
            ("terminals", "filesystem: { devices: [ptmx] }"),
            ("listener", "descriptors: { listen_fds: true }"),
            ("file", "memory: { write_execute: true }"),
        ] {
            host.profile("granted", &format!("extends: process\n{more}"));
            let launch = host.launch("p").profile("granted").arg("nothing");
            with(&host, kind, &launch.command()).succeeded();
        }
    }
}

/// Its master types into whatever somebody runs on a terminal: no stream, and
/// no terminal that `terminal` grants.
#[test]
fn a_terminals_master_needs_the_device() {
    for user in EVERYONE {
        let host = host(user);
        let mut bare = host.command(host.path("plugins/p"));
        let bare = with(&host, "terminals", bare.arg("terminals"));
        assert_eq!(bare.status, 0, "{user:?} {bare:#?}");
        for isolation in ISOLATIONS {
            host.profile("terminal", &format!("extends: {isolation}\nterminal: true"));
            let launch = |profile: &str| {
                let launch = host.launch("p").profile(profile).arg("nothing");
                launch.command()
            };
            for profile in ["terminal", isolation] {
                with(&host, "terminals", &launch(profile))
                    .refused(126)
                    .says("descriptor 3 is a terminal's master");
                with(&host, "terminals input", &launch(profile))
                    .refused(126)
                    .says("standard input is a terminal's master");
            }
        }
        let named = "extends: process\nfilesystem: { devices: [ptmx] }";
        host.profile("named", named);
        let named = host.launch("p").profile("named").arg("nothing").command();
        for kind in ["terminals", "terminals input"] {
            with(&host, kind, &named).succeeded();
        }
    }
}

#[test]
fn a_socket_to_any_address_needs_its_grant() {
    for user in EVERYONE {
        let host = host(user);
        for (kind, grant) in [
            ("datagrams", "udp: true"),
            ("unix", "unix: { connect: [/] }"),
        ] {
            let mut bare = host.command(host.path("plugins/p"));
            let bare = with(&host, kind, bare.arg(kind));
            assert_eq!(bare.status, 0, "{user:?} {kind} {bare:#?}");
            // Where no address is admitted, there is none to send to.
            let none = host.launch("p").profile("process").arg(kind).command();
            let outcome = with(&host, kind, &none);
            assert_eq!(outcome.status, nix::libc::EPERM, "{kind} {outcome:#?}");
            let one = "extends: process\nnetwork: { tcp: { connect: [443] } }";
            host.profile("tcp", one);
            let launch = host.launch("p").profile("tcp").arg(kind).command();
            with(&host, kind, &launch)
                .refused(126)
                .says("descriptor 3 is a socket");
            host.profile(
                "granted",
                &format!("extends: process\nnetwork: {{ {grant} }}"),
            );
            let launch = host.launch("p").profile("granted").arg(kind).command();
            with(&host, kind, &launch).succeeded();
        }
    }
}

/// An io_uring is one that works without another call: the standard input of
/// other hosts is judged in the same way.
#[test]
fn an_object_of_the_kernels_is_no_standard_stream() {
    for user in EVERYONE {
        let host = host(user);
        for isolation in ISOLATIONS {
            let launch = host.launch("p").profile(isolation).arg("nothing");
            for kind in ["queue", "events"] {
                let kind = format!("{kind} input");
                with(&host, &kind, &launch.command())
                    .refused(126)
                    .says("standard input is an object of the kernel's");
            }
        }
    }
}

/// `opener KIND FILE PROGRAM ARGS…`: opens 3, or 0, as that.
const OPENER: &str = r##"
#include <libgen.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <netinet/in.h>
int main(int n, char **a) {
    char *kind = strtok(a[1], " ");
    int to = strtok(NULL, " ") ? 0 : 3, fd = -1, ends[2];
    char path[64];
    #define IS(name) if (!strcmp(kind, name))
    IS("folder") fd = open(dirname(strdup(a[2])), O_RDONLY | O_DIRECTORY);
    IS("reference") fd = open(a[2], O_PATH);
    IS("memory") {
        // It ends with the last process that has the other end.
        pipe(ends);
        pid_t child = fork();
        if (!child) {
            close(ends[1]);
            _exit(read(ends[0], path, 1));
        }
        close(ends[0]);
        sprintf(path, "/proc/%d/environ", child);
        fd = open(path, O_RDONLY);
    }
    IS("process") fd = syscall(SYS_pidfd_open, getpid(), 0);
    IS("namespace") fd = open("/proc/self/ns/user", O_RDONLY);
    IS("device") fd = open("/dev/net/tun", O_RDWR);
    IS("device") if (fd < 0) fd = open("/dev/kmsg", O_WRONLY);
    IS("device") if (fd < 0) fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    IS("terminals") fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    IS("queue") { struct io_uring_params p = {0}; fd = syscall(SYS_io_uring_setup, 4, &p); }
    IS("events") fd = epoll_create1(0);
    IS("signals") { sigset_t all; sigfillset(&all); fd = signalfd(-1, &all, 0); }
    IS("counter") fd = eventfd(1, 0);
    IS("file") fd = open(a[2], O_RDWR);
    IS("read") fd = open(a[2], O_RDONLY);
    IS("written") fd = open(a[2], O_WRONLY);
    IS("null") fd = open("/dev/null", O_RDWR);
    IS("pipe") { pipe(ends); fd = ends[0]; }
    IS("pair") { socketpair(AF_UNIX, SOCK_STREAM, 0, ends); fd = ends[0]; }
    IS("netlink") fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    IS("datagrams") fd = socket(AF_INET, SOCK_DGRAM, 0);
    IS("unix") fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    IS("listener") {
        struct sockaddr_in any = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
        fd = socket(AF_INET, SOCK_STREAM, 0);
        bind(fd, (void *)&any, sizeof any);
        listen(fd, 1);
    }
    if (fd < 0) return 97;
    if (fd != to) {
        dup2(fd, to);
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    // Some are close-on-exec from the first.
    fcntl(to, F_SETFD, 0);
    execv(a[3], a + 3);
    return 98;
}
"##;

/// Uses what 3 is.
const USES: &str = r##"
#include <sys/epoll.h>
#include <sys/un.h>
#include <netinet/in.h>
int main(int n, char **a) {
    char text[4096];
    #define IS(name) if (!strcmp(a[1], name))
    #define DONE(works) return (works) ? 0 : errno ? errno : 1
    errno = 0;
    IS("nothing") return 0;
    IS("folder") DONE(openat(3, "file", O_RDONLY) >= 0);
    IS("reference") DONE(open("/proc/self/fd/3", O_RDONLY) >= 0);
    IS("memory") DONE(read(3, text, sizeof text) > 0);
    IS("process") DONE(!syscall(SYS_pidfd_send_signal, 3, 0, NULL, 0));
    IS("namespace") DONE(fcntl(3, F_GETFD) >= 0 && ioctl(3, 0xb703) == 0x10000000);
    IS("device") DONE(fcntl(3, F_GETFD) >= 0);
    IS("terminals") DONE(ioctl(3, 0x80045430, text) == 0);
    IS("queue") DONE(mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0) != MAP_FAILED);
    IS("events") { struct epoll_event e = {EPOLLIN}; DONE(!epoll_ctl(3, EPOLL_CTL_ADD, 0, &e) || errno == EPERM); }
    IS("signals") DONE(fcntl(3, F_GETFD) >= 0);
    IS("file") DONE(mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 3, 0) != MAP_FAILED && pwrite(3, "x", 1, 0) == 1);
    IS("listener") { fcntl(3, F_SETFL, O_NONBLOCK); DONE(accept(3, 0, 0) < 0 && errno == EAGAIN); }
    IS("netlink") {
        struct sockaddr_storage to = {16};
        DONE(sendto(3, text, 16, 0, (void *)&to, 12) == 16);
    }
    IS("datagrams") {
        int own = socket(AF_INET, SOCK_DGRAM, 0);
        struct sockaddr_in to = {AF_INET, htons(9), {htonl(INADDR_LOOPBACK)}};
        (void)own;
        DONE(sendto(3, "x", 1, 0, (void *)&to, sizeof to) == 1);
    }
    IS("unix") {
        struct sockaddr_un to = {AF_UNIX, "/nowhere"};
        // It is looked for, so it could be had.
        DONE(sendto(3, "x", 1, 0, (void *)&to, sizeof to) < 0 && errno == ENOENT);
    }
    return 99;
}
"##;
