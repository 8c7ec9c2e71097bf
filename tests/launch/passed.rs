//! Descriptors above 2 that a host hands over: they arrive by their numbers
//! where the profile passes them, and nothing else does.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use crate::kit::{EVERYONE, Host, Launch, Outcome, User, outer, program, run};

const ISOLATIONS: [&str; 2] = ["process", "namespaces"];

/// A host with the plugin `p` and for each isolation a profile that passes 3, 7
/// and 9.
fn host(user: User, source: &str) -> Host {
    let mut host = Host::of(user);
    host.install_copy("p", program::c(source));
    host.list("p", &[]);
    for isolation in ISOLATIONS {
        profile(&host, isolation, "descriptors: { pass: [3, 7, 9] }");
    }
    host.write("file", "content\n");
    host
}

fn profile(host: &Host, isolation: &str, more: &str) {
    host.profile(isolation, &format!("isolation: {isolation}\n{more}"));
}

/// Runs a command by a shell that opens descriptors for it.
fn opened(host: &Host, redirections: &str, command: &Command) -> Outcome {
    let script = format!("exec \"$@\" {redirections}");
    run(behind(host, &script, command), b"")
}

fn behind(host: &Host, script: &str, command: &Command) -> Command {
    let mut shell = host.command("/bin/bash");
    shell.args(["-c", script, "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell
}

#[test]
fn those_that_are_named_arrive_and_no_others() {
    for user in EVERYONE {
        let host = host(user, LISTS);
        let redirections = "3<file 5<file 7<file 8>/dev/null";
        let bare = opened(&host, redirections, &host.command(host.path("plugins/p")));
        let bare = bare.succeeded().stdout;
        assert!(bare.contains(" 5 ") && bare.contains(" 8 "), "{bare}");
        for isolation in ISOLATIONS {
            let launch = host.launch("p").profile(isolation);
            let outcome = opened(&host, redirections, &launch.command()).succeeded();
            outcome
                .says("passes descriptor 9, which the host did not leave open")
                .prints("0 1 2 3 7 \n");
            let record = host.record("sandbox_applied");
            let passed = &record["sandbox"]["descriptors_passed"];
            assert_eq!(passed[0]["number"], 3);
            assert_eq!(passed[1]["what"], "file");
            assert_eq!(record["sandbox"]["descriptors_absent"][0], 9);
            // The launcher's own have other numbers, whatever it opens.
            let outcome = opened(&host, "", &launch.command());
            outcome.succeeded().prints("0 1 2 \n");
        }
        host.profile("none", "umask: \"077\"");
        let launch = host.launch("p").profile("none").command();
        let outcome = opened(&host, redirections, &launch).succeeded();
        assert_eq!(outcome.stderr, "");
        outcome.prints("0 1 2 \n");
        let record = host.record("sandbox_applied");
        assert!(record["sandbox"].get("descriptors_passed").is_none());
    }
}

const LISTS: &str = r#"
#include <fcntl.h>
#include <stdio.h>
int main(void) {
    for (int fd = 0; fd < 5000; fd++)
        if (fcntl(fd, F_GETFD) >= 0) printf("%d ", fd);
    puts("");
}
"#;

#[test]
fn they_pass_through_a_first_process() {
    let host = host(User::Root, LISTS);
    for isolation in ISOLATIONS {
        let launch = host.launch("p").profile(isolation);
        let command = first(&host, "exec \"$@\" 3<file 7<file 8<file", &launch);
        run(command, b"").succeeded().prints("0 1 2 3 7 \n");
    }
}

#[test]
fn a_script_has_its_own_beside_them() {
    for user in EVERYONE {
        let mut host = host(user, LISTS);
        host.install_sh("script", "read -r line <&3; echo \"$line\"");
        host.list("script", &[]);
        let many: Vec<String> = (3..40).map(|number| number.to_string()).collect();
        let pass = format!("descriptors: {{ pass: [{}] }}", many.join(", "));
        for isolation in ISOLATIONS {
            profile(&host, isolation, &pass);
            let launch = host.launch("script").profile(isolation).option("--quiet");
            let outcome = opened(&host, "3<file", &launch.command());
            outcome.succeeded().prints("content\n");
            // None of the launcher's, nor the script's, has one of these numbers;
            // of those that the test was started with some may.
            let bare = opened(&host, "30<file", &host.command(host.path("plugins/p")));
            let bare = bare.succeeded().stdout;
            let named = |number: &&str| number.parse::<u32>().unwrap() < 40;
            let bare: Vec<&str> = bare.split_whitespace().filter(named).collect();
            let launch = host.launch("p").profile(isolation).option("--quiet");
            let outcome = opened(&host, "30<file", &launch.command());
            let found = outcome.succeeded().stdout;
            assert!(found.contains(" 30 "), "{found}");
            assert_eq!(found.split_whitespace().collect::<Vec<_>>(), bare);
        }
    }
}

#[test]
fn a_pipe_is_opened_again_by_its_number_and_a_file_where_it_may_be_read() {
    for user in EVERYONE {
        let host = host(user, OPENS);
        let script = "echo content | { exec 3<&0 </dev/null; exec \"$@\"; }";
        let granted = format!("filesystem: {{ read: [{:?}] }}", host.path("file"));
        for place in ["/dev/fd/3", "/proc/self/fd/3"] {
            let mut bare = host.command(host.path("plugins/p"));
            run(behind(&host, script, bare.arg(place)), b"").prints("content\n");
            opened(&host, "3<file", &bare).prints("content\n");
            for isolation in ISOLATIONS {
                let pass = "descriptors: { pass: [3] }";
                profile(&host, isolation, pass);
                let launch = || host.launch("p").profile(isolation).arg(place).command();
                let outcome = run(behind(&host, script, &launch()), b"");
                outcome.succeeded().prints("content\n");
                let outcome = opened(&host, "3<file", &launch());
                assert_eq!(outcome.status, nix::libc::EACCES, "{outcome:#?}");
                profile(&host, isolation, &format!("{pass}\n{granted}"));
                let outcome = opened(&host, "3<file", &launch());
                outcome.succeeded().prints("content\n");
            }
        }
    }
}

const OPENS: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
int main(int n, char **a) {
    char text[64];
    int file = open(a[1], O_RDONLY);
    if (file < 0) return errno;
    ssize_t count = read(file, text, sizeof text);
    return write(1, text, count) != count;
}
"#;

#[test]
fn a_word_that_names_a_closed_one_is_refused_by_its_number() {
    for user in EVERYONE {
        let host = host(user, OPENS);
        let closed = "3</dev/null 63<file";
        for isolation in ISOLATIONS {
            for word in ["/dev/fd/63", "/proc/self/fd/63", "--file=/dev/fd/63"] {
                let launch = || host.launch("p").profile(isolation).arg(word);
                let outcome = opened(&host, closed, &launch().command()).refused(126);
                outcome
                    .says("names descriptor 63")
                    .says("'descriptors: { pass: [63] }'");
                let reason = host.record("plugin_exited")["reason"].clone();
                let reason = reason.as_str().unwrap();
                assert!(reason.contains("names descriptor 63"), "{reason}");
                let dry = launch().option("--dry-run").command();
                let outcome = opened(&host, closed, &dry);
                assert_eq!(outcome.status, 126, "{outcome:#?}");
                let weaker = launch().policy("permissive").command();
                let outcome = opened(&host, closed, &weaker);
                outcome
                    .says("WARNING: the argument")
                    .says("closed when the plugin runs\nTo pass it, add");
                // Without us it is not there either.
                let outcome = opened(&host, "3</dev/null", &launch().command());
                assert!(!outcome.stderr.contains("63"), "{outcome:#?}");
            }
        }
    }
}

/// What serves: its process and the names are right, and it serves its socket
/// once.
const SERVES: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
    const char *count = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");
    if (!count || strcmp(count, "1")) return 3;
    if (atoi(getenv("LISTEN_PID") ?: "") != getpid()) return 4;
    if (!names || strcmp(names, "web")) return 5;
    char byte;
    // As libraries for event loops do with a socket that they were given.
    if (listen(3, 8)) return 6;
    int peer = accept4(3, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0) return 7;
    return recv(peer, &byte, 1, 0) == 1 && send(peer, "ok", 2, 0) == 2 ? 0 : 8;
}
"#;

#[test]
fn a_socket_to_serve_is_announced_to_the_plugins_own_process() {
    for user in EVERYONE {
        let host = host(user, SERVES);
        let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web \
                      LISTEN_PIDFDID=7 exec \"$@\"";
        for isolation in ISOLATIONS {
            profile(&host, isolation, "descriptors: { listen_fds: true }");
            let launch = host.launch("p").profile(isolation);
            for command in [Some(launch.command()), None] {
                let start = |listener: OwnedFd| {
                    let mut command = match &command {
                        Some(command) => behind(&host, script, command),
                        // The shell is the first process of a namespace, and the
                        // launcher takes its place.
                        None => first(&host, script, &launch),
                    };
                    command.stdin(listener).spawn().unwrap()
                };
                let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
                let mut client = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
                let mut child = start(tcp.into());
                client.write_all(b"x").unwrap();
                let mut answer = String::new();
                client.read_to_string(&mut answer).unwrap();
                assert_eq!((child.wait().unwrap().code(), &*answer), (Some(0), "ok"));

                let path = host.path("socket");
                let unix = UnixListener::bind(&path).unwrap();
                let mut client = UnixStream::connect(&path).unwrap();
                let mut child = start(unix.into());
                client.write_all(b"x").unwrap();
                let mut answer = String::new();
                client.read_to_string(&mut answer).unwrap();
                assert_eq!((child.wait().unwrap().code(), &*answer), (Some(0), "ok"));
                std::fs::remove_file(&path).unwrap();
                let record = host.record("sandbox_applied");
                let passed = &record["sandbox"]["descriptors_passed"][0];
                assert_eq!(passed["what"], "UNIX socket, listening");
            }
        }
    }
}

#[test]
fn a_host_that_announces_more_than_it_left_is_told_once() {
    for user in EVERYONE {
        let host = host(user, LISTS);
        for isolation in ISOLATIONS {
            profile(&host, isolation, "descriptors: { listen_fds: true }");
            let command = host.launch("p").profile(isolation).command();
            let script = "for n in {4..254}; do eval \"exec $n>&-\"; done; LISTEN_PID=$$ LISTEN_FDS=65536 exec \"$@\" 3<file";
            let told = run(behind(&host, script, &command), b"").succeeded();
            assert_eq!(told.stderr.lines().count(), 1, "{told:#?}");
            let told = told.says("passes descriptors 4-65538, which");
            told.prints("0 1 2 3 \n");
        }
    }
}

/// The launch as the first process of a PID namespace, behind a script.
fn first(host: &Host, script: &str, launch: &Launch<'_>) -> Command {
    let inner = outer::as_first(host, launch);
    let words: Vec<_> = inner.get_args().collect();
    // What stands before the launcher makes the namespace and the user.
    let at = words
        .iter()
        .position(|word| **word == *host.launcher())
        .unwrap();
    let mut command = Command::new(inner.get_program());
    command.args(&words[..at]);
    command.args(["/bin/sh", "-c", script, "sh"]);
    command.args(&words[at..]);
    command.env_clear();
    let variables = inner.get_envs();
    command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    command.current_dir(host.path(""));
    command
}

#[test]
fn sockets_that_the_profile_does_not_take_are_told_of() {
    for user in EVERYONE {
        let host = host(user, LISTS);
        let launch = |pid: &str| {
            let command = host.launch("p").profile("none").command();
            let script = format!("LISTEN_PID={pid} LISTEN_FDS=1 exec \"$@\" 3<file");
            run(behind(&host, &script, &command), b"").succeeded()
        };
        host.profile("none", "umask: \"077\"");
        let told = launch("$$").says("listen_fds: true");
        told.prints("0 1 2 \n");
        // Somebody else's.
        assert_eq!(launch("1").stderr, "");
        host.profile("none", "descriptors: { listen_fds: true }");
        launch("$$").prints("0 1 2 3 \n");
        launch("1").prints("0 1 2 \n");
    }
}
