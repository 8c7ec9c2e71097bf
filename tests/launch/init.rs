//! The launcher as the first process of a PID namespace, as a container's entry
//! point is: signals reach the plugin, orphans are collected, and the proof of
//! the sandbox is one.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::kit::{EVERYONE, Host, ORDINARY, User, outer, program, run};

const BOTH: [&str; 2] = ["default", "apart"];

fn host(user: User, source: &str) -> Host {
    let mut host = Host::of(user);
    host.install_copy("p", program::c(source));
    host.list("p", &[]);
    host.profile("apart", "isolation: namespaces");
    host.profile("forks", "processes: { fork: true }");
    host
}

fn proven(host: &Host) -> Vec<String> {
    let record = host.record("sandbox_applied");
    let proven = record["sandbox"]["proven"].as_array().unwrap().iter();
    proven
        .map(|name| name.as_str().unwrap().to_string())
        .collect()
}

const HELLO: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 7; }";

#[test]
fn it_launches_and_passes_the_status_on() {
    for user in EVERYONE {
        let host = host(user, HELLO);
        for profile in BOTH {
            let launch = host.launch("p").profile(profile);
            for is_first in [true, false] {
                let command = outer::in_pid_namespace(&host, &launch.command(), is_first);
                let outcome = run(command, b"");
                assert_eq!(
                    (outcome.status, &*outcome.stdout),
                    (7, "hello\n"),
                    "{outcome:#?}"
                );
                assert_eq!(outcome.stderr, "");
                let proven = proven(&host);
                let wanted = if profile == "apart" {
                    "namespaces"
                } else {
                    "signals"
                };
                assert!(
                    proven.iter().any(|name| name == wanted),
                    "{user:?} {profile} {proven:?}"
                );
            }
        }
        let refused = outer::as_first(&host, &host.launch("nothing"));
        run(refused, b"").refused(126);
    }
}

/// Nobody outside may be signalled, or only as whom the plugin no longer is.
#[test]
fn signals_are_proven_also_where_all_others_belong_to_somebody_else() {
    // It has no child that it did not make.
    let source = r#"
        #define _GNU_SOURCE
        #include <errno.h>
        #include <stdio.h>
        #include <sys/wait.h>
        int main(void) { puts(waitpid(-1, 0, __WALL) < 0 && errno == ECHILD ? "alone" : "not alone"); }"#;
    let ordinary = host(User::Ordinary, source);
    ordinary.launch("p").run().succeeded().prints("alone\n");
    assert!(proven(&ordinary).contains(&"signals".into()));

    let root = host(User::Root, source);
    root.profile("changes", &format!("user: {ORDINARY}"));
    root.launch("p")
        .profile("changes")
        .run()
        .succeeded()
        .prints("alone\n");
    assert!(proven(&root).contains(&"signals".into()));
    // Where no process can be made for it, that is not said.
    let door = outer::filter(&root, nix::errno::Errno::EAGAIN, &[nix::libc::SYS_clone]);
    let launch = root.launch("p").profile("changes").under(&door).run();
    launch.succeeded().prints("alone\n");
    assert!(!proven(&root).contains(&"signals".into()));
    let controls = &root.record("sandbox_applied")["sandbox"]["controls"];
    assert_eq!(controls["signals"]["proven"], false);
    assert_eq!(controls["signals"]["achieved"], true);
}

/// A program that says that it is there, and answers each line.
const ANSWERS: &str = r#"
    #include <stdio.h>
    int main(void) {
        char line[100];
        setvbuf(stdout, 0, _IONBF, 0);
        puts("ready");
        while (fgets(line, sizeof line, stdin)) puts("still here");
        return 0;
    }"#;

struct Started {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Started {
    fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut started = Self { child, lines };
        assert_eq!(started.line(), "ready\n");
        started
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// The first process of the namespace, as it is called out here.
    fn first(&self) -> String {
        let own = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        children.unwrap().trim().to_string()
    }

    fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        kill.args(["-s", signal, &self.first()]);
        run(kill, b"").succeeded();
    }

    fn ask(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Ends by the end of its input.
    fn status(mut self) -> i32 {
        drop(self.child.stdin.take());
        self.ended()
    }

    /// Ends by what it was sent.
    fn ended(mut self) -> i32 {
        let _open = self.child.stdin.take();
        let status = self.child.wait().unwrap();
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap())
    }
}

#[test]
fn a_request_to_end_reaches_the_plugin() {
    for user in EVERYONE {
        let host = host(user, ANSWERS);
        // The kernel keeps it from a first process that does not handle it.
        let bare = host.command(host.path("plugins/p"));
        let mut bare = Started::of(outer::in_pid_namespace(&host, &bare, true));
        bare.signal("TERM");
        bare.ask();
        assert_eq!(bare.line(), "still here\n");
        assert_eq!(bare.status(), 0);
        for profile in BOTH {
            let launch = host.launch("p").profile(profile);
            let launched = Started::of(outer::as_first(&host, &launch));
            launched.signal("TERM");
            assert_eq!(launched.ended(), 143, "{user:?} {profile}");
        }
    }
}

#[test]
fn a_request_to_end_reaches_a_plugin_that_became_another_user() {
    let host = host(User::Root, ANSWERS);
    for isolation in ["process", "namespaces"] {
        host.profile("other", &format!("user: 65532\nisolation: {isolation}"));
        let launch = host.launch("p").profile("other");
        let launched = Started::of(outer::as_first(&host, &launch));
        launched.signal("TERM");
        assert_eq!(launched.ended(), 143, "{isolation}");
    }
}

#[test]
fn orphans_are_not_left_to_the_plugin() {
    let source = r#"
        #include <stdio.h>
        #include <sys/wait.h>
        #include <unistd.h>
        int main(void) {
            int line[2], count = 0;
            char byte;
            if (pipe(line)) return 1;
            if (fork() == 0) {
                if (fork() == 0) {
                    /* Until its parent has ended. */
                    while (getppid() != 1) usleep(1000);
                    _exit(0);
                }
                _exit(0);
            }
            close(line[1]);
            while (read(line[0], &byte, 1) > 0);
            while (wait(0) > 0) count++;
            printf("%d\n", count);
        }"#;
    for user in EVERYONE {
        let host = host(user, source);
        let bare = host.command(host.path("plugins/p"));
        let bare = outer::in_pid_namespace(&host, &bare, true);
        run(bare, b"").succeeded().prints("2\n");
        let launch = host.launch("p").profile("forks");
        let launched = outer::as_first(&host, &launch);
        run(launched, b"").succeeded().prints("1\n");
    }
}

/// Who waits for it would wait for the plugin's end.
#[test]
fn the_first_process_does_not_hold_the_ready_descriptor_or_a_stream() {
    let source = r#"
        #include <stdio.h>
        #include <unistd.h>
        int main(void) { char byte; close(1); return read(0, &byte, 1) == 1; }"#;
    let host = host(User::Root, source);
    for profile in BOTH {
        let [ready, output] = ["ready", "output"].map(|name| {
            let fifo = host.path(format!("{name}-{profile}"));
            nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
            fifo
        });
        let launch = host.launch("p").profile(profile);
        let launch = launch.option("--ready-fd").option("9").under([
            "sh".as_ref(),
            "-c".as_ref(),
            "exec 9>\"$0\" >\"$1\"; shift; exec \"$@\"".as_ref(),
            ready.as_os_str(),
            output.as_os_str(),
        ]);
        let mut command = outer::as_first(&host, &launch);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        // A shell opens one after the other.
        let open = |fifo: &Path| std::fs::File::open(fifo).unwrap();
        let both = [open(&ready), open(&output)];
        for mut fifo in both {
            let mut text = String::new();
            fifo.read_to_string(&mut text).unwrap();
            assert_eq!(text, "");
        }
        drop(child.stdin.take());
        assert_eq!(child.wait().unwrap().code(), Some(0), "{profile}");
    }
}

/// As `docker exec` starts one.
#[test]
fn a_launcher_whose_parent_is_outside_of_the_namespace_launches() {
    for user in EVERYONE {
        let host = host(user, ANSWERS);
        let mut first = Command::new("unshare");
        first.args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
        first.arg(host.path("plugins/p"));
        let first = Started::of(first);
        let launch = host.launch("p").command();
        let mut command = Command::new("nsenter");
        command.args(["--pid", "--mount", "--target", &first.first(), "--"]);
        outer::become_user(&mut command, user);
        command.arg(launch.get_program()).args(launch.get_args());
        command.env_clear().current_dir(host.path(""));
        command
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", host.path("home"));
        run(command, b"\n")
            .succeeded()
            .prints("ready\nstill here\n");
        assert!(proven(&host).contains(&"signals".into()), "{user:?}");
        assert_eq!(host.record("sandbox_applied")["ppid"], 0);
        assert_eq!(first.status(), 0);
    }
}

#[test]
fn a_number_without_an_account_is_a_user() {
    let source = r#"
        #include <stdio.h>
        #include <unistd.h>
        int main(void) { printf("%d %d %d\n", getuid(), getgid(), getgroups(0, 0)); }"#;
    let host = host(User::Root, source);
    host.profile("other", "user: 65532");
    host.launch("p")
        .profile("other")
        .run()
        .succeeded()
        .prints("65532 65532 0\n");
    let hidden = [
        "unshare",
        "--mount",
        "--",
        "sh",
        "-c",
        "mount -t tmpfs none /etc && exec \"$@\"",
        "sh",
    ];
    let launch = host.launch("p").profile("other").under(hidden).run();
    launch.succeeded().prints("65532 65532 0\n");
    host.profile("unknown", "user: nobody-of-this-name");
    let launch = host.launch("p").profile("unknown").run().refused(125);
    launch.says("there is no such user; a number needs no account");
}
