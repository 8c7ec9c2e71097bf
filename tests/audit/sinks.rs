//! The sinks beside the file: what a sink that can't be written leads to, and
//! standard error. The others are in files of their own.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::kit::{EVERYONE, Host, User, program, run};

/// A host with the plugin `p`, a profile that ends whoever calls anything of
/// sockets, and these sinks beside the file.
pub(super) fn host(user: User, sinks: &[&str]) -> Host {
    let mut host = Host::of(user);
    configure(&host, sinks);
    host.profile(
        "no-sockets",
        "extends: default\nsyscalls: { deny: [\"@network-io\", \"@io-event\"], on_violation: kill }",
    );
    host.install_sh("p", "echo ran");
    host.list("p", &["profile: no-sockets"]);
    host
}

pub(super) fn configure(host: &Host, sinks: &[&str]) {
    let sinks = sinks.iter().map(|sink| {
        format!(
            "
    - {{ {sink} }}"
        )
    });
    let sinks: String = sinks.collect();
    host.audit(&format!(
        "
  sinks:
    - {{ type: file }}{sinks}"
    ));
}

/// The lines of the log's file, without their line feeds.
pub(super) fn lines(host: &Host) -> Vec<String> {
    let text = std::fs::read_to_string(host.audit_log()).unwrap();
    text.lines().map(String::from).collect()
}

/// Names that would be fields, messages or lines, if they were taken as they
/// are.
pub(super) const HOSTILE: &[&str] = &[
    "x\nMESSAGE=forged\nPRIORITY=0",
    "x\nMESSAGE\n\u{6}",
    "x\"] {\"result\":\"allowed\"}",
    "x\" result=\"allowed",
    "x] [secure-exec@32473 result=\"allowed\"] forged",
    "x\n<82>1 - - secure-exec - - - forged",
    "x\\",
    "x\x1b[2J\r\x07\u{7f}\u{9b}\u{202e}",
    "Gruß, 世界",
];

#[test]
fn standard_error_has_the_lines_of_the_file() {
    for user in EVERYONE {
        let host = host(user, &["type: stderr"]);
        let outcome = host.launch("p").run().succeeded().prints("ran\n");
        assert_eq!(outcome.stderr.lines().collect::<Vec<_>>(), lines(&host));
        configure(&host, &["type: stderr, format: logfmt"]);
        let outcome = host.launch("p").run().succeeded().prints("ran\n");
        let records = host.records();
        let shown: Vec<&str> = outcome.stderr.lines().collect();
        assert_eq!(shown.len(), 2);
        for (line, record) in shown.iter().zip(&records[2..]) {
            let fields = secure_exec_core::audit::line::fields(line.as_bytes()).unwrap();
            for name in ["seq", "record_hash", "event_type", "launch_id", "pid"] {
                assert_eq!(fields[name], record[name], "{name}");
            }
        }
    }
}

#[test]
fn a_sink_that_nobody_reads_is_given_up_after_a_while() {
    let host = host(User::Root, &[]);
    let socket = host.path("log");
    let _nobody = UnixDatagram::bind(&socket).unwrap();
    let filler = UnixDatagram::unbound().unwrap();
    filler.connect(&socket).unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send(b"x").is_ok() {}
    configure(&host, &[&format!("type: syslog, socket: {socket:?}")]);
    let outcome = host.launch("p").run().succeeded().prints("ran\n");
    outcome.says("syslog").says("does not keep up");
    assert_eq!(host.records().len(), 2);
}

#[test]
fn a_sink_that_is_not_there_is_named() {
    for (kind, what) in [("journald", "the journal"), ("syslog", "syslog")] {
        let host = host(User::Root, &[]);
        let socket = host.path("nothing");
        configure(&host, &[&format!("type: {kind}, socket: {socket:?}")]);
        let outcome = host.launch("p").run().succeeded().prints("ran\n");
        let named = format!(
            "{what} ('{}') can't be written: connect: ",
            socket.display()
        );
        outcome
            .says(&named)
            .says("ENOENT")
            .says("nothing listens there");
    }
}

#[test]
fn a_reader_that_goes_away_ends_no_launcher() {
    let mut host = host(User::Root, &[]);
    // No program headers (`e_phnum`): the kernel refuses it at the very end,
    // and that is recorded when signals are as the plugin is to have them.
    let mut bytes = std::fs::read(program::static_c("int main() { return 0; }")).unwrap();
    bytes[56..58].fill(0);
    host.install("broken", bytes);
    host.list("broken", &["profile: no-sockets"]);
    let socket = host.path("log");
    let listener = UnixListener::bind(&socket).unwrap();
    configure(&host, &[&format!("type: syslog, socket: {socket:?}")]);
    // It stops right after the kernel refused it, until its reader is gone. The
    // first such call is a canary of the launcher.
    let words = ["strace", "-o", "/dev/null", "-e", "trace=execveat"];
    let stop = ["-e", "inject=execveat:signal=SIGSTOP:when=2"];
    let mut command = host.launch("broken").under(words).under(stop).command();
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut strace = command.spawn().unwrap();
    let mut reader = BufReader::new(listener.accept().unwrap().0);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    reader.read_line(&mut line).unwrap();
    drop(reader);
    let launcher = host.record("sandbox_applied")["pid"].as_i64().unwrap();
    let launcher = Pid::from_raw(i32::try_from(launcher).unwrap());
    while strace.try_wait().unwrap().is_none() {
        // It may not have stopped yet, or have ended.
        let _awake = kill(launcher, Signal::SIGCONT);
        std::thread::yield_now();
    }
    let outcome = strace.wait_with_output().unwrap();
    assert_eq!(outcome.status.code(), Some(126), "{outcome:?}");
    assert_eq!(host.record("plugin_exited")["result"], "blocked");
}

#[test]
fn each_sink_has_its_own_rule() {
    for policy in ["strict", "permissive"] {
        for kind in ["journald", "syslog"] {
            let host = host(User::Root, &[]);
            let socket = host.path("nothing");
            let launch = |rule: &str| {
                let sink = format!("type: {kind}, socket: {socket:?}, on_failure: {rule}");
                configure(&host, &[&sink]);
                host.launch("p").policy(policy).run()
            };
            launch("refuse")
                .refused(125)
                .says("can't be written")
                .says("on_failure");
            let warned = launch("warn").succeeded().prints("ran\n");
            assert_eq!(warned.stderr.matches("WARNING: ").count(), 1, "{warned:#?}");
            assert_eq!(launch("ignore").succeeded().prints("ran\n").stderr, "");
        }
    }
}

#[test]
fn a_sink_that_refuses_keeps_no_other_from_the_record() {
    let host = host(User::Root, &[]);
    let socket = host.path("log");
    let reader = UnixDatagram::bind(&socket).unwrap();
    let absent = "type: journald, socket: /nothing, on_failure: refuse";
    let present = format!("type: syslog, socket: {socket:?}");
    reader.set_nonblocking(true).unwrap();
    let read = || {
        let mut message = [0; 4096];
        let messages = std::iter::from_fn(|| {
            let length = reader.recv(&mut message).ok()?;
            Some(String::from_utf8(message[..length].to_vec()).unwrap())
        });
        messages.collect::<Vec<_>>()
    };
    configure(&host, &[absent, &present]);
    host.launch("p").run().refused(125).says("the journal");
    let [decided, ended] = &read()[..] else {
        panic!("not two messages");
    };
    assert!(decided.contains("plugin_validation_success"), "{decided}");
    assert!(ended.contains("plugin_exited"), "{ended}");
    // Nor does the file.
    std::fs::remove_file(host.audit_log()).unwrap();
    std::fs::create_dir(host.audit_log()).unwrap();
    configure(&host, &[&present]);
    host.launch("unknown")
        .run()
        .refused(125)
        .says("the audit log");
    let refused = read().remove(0);
    assert!(refused.contains("plugin_not_whitelisted"), "{refused}");
    assert!(!refused.contains("record_hash"), "{refused}");
}

#[test]
fn a_mistake_in_a_sink_has_its_place() {
    for (sink, what) in [
        ("type: stderr, socket: /s", "'socket' is for the sinks"),
        ("type: stderr, on_failure: refuse", "plugins have it too"),
        ("type: syslog, socket: s", "an absolute path"),
        ("type: mail", "unknown variant `mail`"),
    ] {
        let host = host(User::Root, &[sink]);
        let outcome = host.launch("p").run().refused(125);
        outcome.says("config.yaml:5:").says(what);
    }
}

#[test]
fn what_is_only_about_the_file_needs_one() {
    let host = host(User::Root, &[]);
    let elsewhere = "sinks: [{ type: stderr }]";
    let launch = |more: &str| {
        host.audit(&format!("{{ {elsewhere}{more} }}"));
        let mut launch = host.command(host.launcher());
        launch.arg("--config").arg(host.path("config.yaml"));
        launch.arg("--whitelist").arg(host.whitelist());
        // Standard error alone is not enough for strict.
        launch.args(["--policy", "permissive", "p"]);
        run(launch, b"")
    };
    launch("").succeeded();
    for (key, more) in [
        ("sign", "sign: { key: /k }"),
        ("sync", "sync: always"),
        ("compress", "compress: true"),
        ("max_size", "max_size: 7"),
        ("max_backups", "max_backups: 7"),
        ("max_age", "max_age: 7"),
    ] {
        let refused = launch(&format!(", {more}")).refused(125);
        refused.says(&format!("'audit.{key}'")).says("no effect");
    }
}
