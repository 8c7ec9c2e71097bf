//! What writing the audit log costs; see ci/bench. Not a test.
//!
//! `appends writers` measures appends a second, by one writer and by 32, for
//! each setting of `sync`. `appends launch LAUNCHER WHITELIST PLUGIN` measures
//! what the log adds to a launch.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement that fails has no figures"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use secure_exec::audit::file::FileLog;
use secure_exec_core::audit::chain::Format;
use secure_exec_core::audit::line::Line;
use secure_exec_core::audit::{Event, Launch, Outcome, Record};
use secure_exec_core::config::Config;
use serde_json::{Value, json};

/// A writer's share lasts at least this long.
const DURATION: Duration = Duration::from_secs(2);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["writers"] => writers(),
        ["writer", log, options] => println!("{}", write(Path::new(log), options)),
        ["launch", launcher, whitelist, plugin] => launch(launcher, whitelist, plugin),
        _ => panic!("writers, or launch LAUNCHER WHITELIST PLUGIN"),
    }
}

fn writers() {
    println!("\n| `sync` | 1 writer | 32 writers |\n|---|--:|--:|");
    for (shown, options) in [
        ("never", "{ max_size: 0 }"),
        ("decision", "{ max_size: 0, sync: decision }"),
        ("always", "{ max_size: 0, sync: always }"),
        (
            "never, a head a record",
            "{ max_size: 0, sign: { key: KEY, interval: 0 } }",
        ),
        ("never, rotation at 1 MB", "{ max_size: 1 }"),
        (
            "never, rotation at 1 MB, compressed",
            "{ max_size: 1, compress: true }",
        ),
    ] {
        let [one, many] = [1, 32].map(|writers| appends_a_second(writers, options));
        println!("| {shown} | {one} | {many} |");
    }
}

fn appends_a_second(writers: usize, options: &str) -> String {
    // On a disk: /tmp may be memory.
    let folder = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let key = folder.path().join("key");
    let pem = secure_exec_core::audit::head::SigningKey::from_seed([7; 32]).to_pem();
    std::fs::write(&key, pem).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let options = options.replace("KEY", key.to_str().unwrap());
    let log = folder.path().join("audit.log");
    let start = Instant::now();
    let children: Vec<_> = (0..writers)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["writer", log.to_str().unwrap(), &options])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let written: u64 = children
        .into_iter()
        .map(|child| {
            let said = child.wait_with_output().unwrap();
            assert!(said.status.success());
            String::from_utf8(said.stdout)
                .unwrap()
                .trim()
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    format!("{:.0}", written as f64 / start.elapsed().as_secs_f64())
}

/// Writes the two records of a launch, again and again. Rendering counts.
fn write(log: &Path, options: &str) -> u64 {
    let config = Config::parse(format!("audit: {options}").as_bytes(), "config").unwrap();
    let log = FileLog::open(log, &config.audit).unwrap();
    let launch = Launch {
        user_agent: "secure-exec/0.1.0".into(),
        source_ip: "127.0.0.1".into(),
        launch_id: "0123456789abcdef0123456789abcdef".into(),
        pid: std::process::id(),
        ppid: 1,
        uid: 0,
        host: "host".into(),
    };
    let record = |event| Record {
        plugin_name: Some("auth-service"),
        plugin_path: Some("/usr/lib/plugins/auth-service"),
        hash_expected: Some(format!("sha256:{}", "a1".repeat(32))),
        hash_actual: Some(format!("sha256:{}", "a1".repeat(32))),
        result: Outcome::Allowed,
        ..Record::new(
            "2026-01-01T00:00:00.000000Z".into(),
            event,
            "strict",
            &launch,
        )
    };
    // About as long as a real one.
    let rights: Vec<String> = (0..90)
        .map(|number| format!("access_right_{number}"))
        .collect();
    let sandbox = json!({ "enforcement": "full", "landlock": { "abi": 7, "handled": rights } });
    let render = |event: Event, audit: Value| {
        let record = Record {
            audit: Some(audit),
            ..record(event)
        };
        Line::new(&record, Format::Json)
    };
    let start = Instant::now();
    let mut written = 0;
    while start.elapsed() < DURATION {
        let mut decision =
            Line::new(&record(Event::PluginValidationSuccess), Format::Json).unwrap();
        log.append(&mut decision, true, &render).unwrap();
        let applied = Record {
            sandbox: Some(sandbox.clone()),
            ..record(Event::SandboxApplied)
        };
        let mut applied = Line::new(&applied, Format::Json).unwrap();
        log.append(&mut applied, false, &render).unwrap();
        written += 2;
    }
    written
}

/// Launches with a log and without, in turns. Without: under permissive, with
/// one that can't be written.
fn launch(launcher: &str, whitelist: &str, plugin: &str) {
    const ROUNDS: usize = 2000;
    let folder = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let log = folder.path().join("audit.log");
    let time = |log: &Path| {
        let start = Instant::now();
        let status = Command::new(launcher)
            .args([
                "--quiet",
                "--policy",
                "permissive",
                "--whitelist",
                whitelist,
            ])
            .arg("--audit-log")
            .arg(log)
            .arg(plugin)
            .status()
            .unwrap();
        let elapsed = start.elapsed();
        assert!(status.success());
        elapsed
    };
    let mut with = Vec::new();
    let mut without = Vec::new();
    for _ in 0..ROUNDS {
        with.push(time(&log));
        without.push(time(Path::new("/dev/null")));
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[ROUNDS / 2].as_secs_f64() * 1e6
    };
    let [with, without] = [&mut with, &mut without].map(median);
    println!("\n| a launch, median | µs |\n|---|--:|");
    println!("| with an audit log | {with:.0} |");
    println!("| without | {without:.0} |");
    println!("| what the log adds | {:.0} |", with - without);
}
