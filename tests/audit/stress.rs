//! Many writers, many rotations, sudden deaths.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use secure_exec::audit::file::FileLog;
use secure_exec_core::audit::chain::Format;
use secure_exec_core::audit::line::Line;
use secure_exec_core::audit::{Event, Launch, Outcome, Record};
use secure_exec_core::config::Config;
use serde_json::Value;

use super::chain;
use crate::kit::record::{self, TIME, render};

const WRITERS: usize = 32;
const RECORDS: usize = 100_000;
/// Of the log in the variable, so many records.
const TASK: &str = "SECURE_EXEC_TEST_WRITER";

fn launch(name: &str) -> Launch {
    Launch {
        launch_id: format!("{name:0>32}"),
        pid: std::process::id(),
        ..record::launch()
    }
}

/// Not a test: what the children of the one below run. Writes records, and
/// says the number of each that is acknowledged.
#[test]
#[ignore = "a part of another test"]
fn writer() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let mut words = task.split(' ');
    let log = PathBuf::from(words.next().unwrap());
    let name = words.next().unwrap().to_string();
    let [from, to] = [(); 2].map(|()| words.next().unwrap().parse::<usize>().unwrap());
    let options = words.collect::<Vec<_>>().join(" ");
    let config = Config::parse(format!("audit: {options}").as_bytes(), "config").unwrap();
    let log = FileLog::open(&log, &config.audit).unwrap();
    let launch = launch(&name);
    let mut told = std::io::stdout().lock();
    for number in from..to {
        let plugin = format!("{name}-{number}");
        let record = Record {
            plugin_name: Some(&plugin),
            result: Outcome::Allowed,
            ..Record::new(
                TIME.into(),
                Event::PluginValidationSuccess,
                "strict",
                &launch,
            )
        };
        let mut line = Line::new(&record, Format::Json).unwrap();
        log.append(&mut line, true, &render).unwrap();
        // One write: a death leaves no half of it.
        told.write_all(format!("written {number}\n").as_bytes())
            .unwrap();
    }
}

fn start(log: &Path, name: &str, from: usize, to: usize, options: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "audit::stress::writer",
            "--ignored",
            "--nocapture",
        ])
        .env(
            TASK,
            format!("{} {name} {from} {to} {options}", log.display()),
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Has a writer write its share, killing it every so often; returns the
/// numbers that were acknowledged, and how often it was killed.
fn see_through(log: &Path, name: &str, share: usize, every: usize) -> (Vec<usize>, usize) {
    let options = "{ max_size: 1, max_backups: 0 }";
    let (mut acknowledged, mut kills) = (Vec::new(), 0);
    let mut next = 0;
    while next < share {
        let mut child = start(log, name, next, share, options);
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut of_this_one = 0;
        let mut is_killed = false;
        for line in said.lines().map_while(Result::ok) {
            let Some(number) = line.strip_prefix("written ") else {
                continue;
            };
            acknowledged.push(number.parse::<usize>().unwrap());
            of_this_one += 1;
            if of_this_one == every {
                // It goes on while this is on its way: any moment may be hit.
                child.kill().unwrap();
                is_killed = true;
            }
        }
        let status = child.wait().unwrap();
        assert!(
            status.success() || (is_killed && status.signal() == Some(9)),
            "{status}"
        );
        kills += usize::from(!status.success());
        next = acknowledged.last().map_or(0, |last| last + 1);
        // The record after the last acknowledged one may be there or not.
        if !status.success() {
            next += 1;
        }
    }
    (acknowledged, kills)
}

#[test]
fn what_is_acknowledged_is_there_once_whoever_dies() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("audit.log");
    let share = RECORDS.div_ceil(WRITERS);
    let seen: Vec<(String, Vec<usize>, usize)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let log = &log;
                scope.spawn(move || {
                    let name = format!("w{writer}");
                    // A quarter of the writers dies, each at other moments.
                    let every = match writer % 4 {
                        0 => 301 + 97 * writer,
                        _ => usize::MAX,
                    };
                    let (acknowledged, kills) = see_through(log, &name, share, every);
                    (name, acknowledged, kills)
                })
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect()
    });
    let kills: usize = seen.iter().map(|(_, _, kills)| kills).sum();
    assert!(kills >= 8, "{kills} writers were killed");

    let records = chain::records(&log);
    let mut times: HashMap<&str, usize> = HashMap::new();
    for record in &records {
        if let Some(plugin) = record.get("plugin_name").and_then(Value::as_str) {
            *times.entry(plugin).or_default() += 1;
        }
    }
    let acknowledged: usize = seen.iter().map(|(_, numbers, _)| numbers.len()).sum();
    assert!(acknowledged + kills >= RECORDS, "{acknowledged} records");
    for (name, numbers, _) in &seen {
        for number in numbers {
            let plugin = format!("{name}-{number}");
            assert_eq!(times.get(plugin.as_str()), Some(&1), "{plugin}");
        }
    }
    assert!(times.values().all(|times| *times == 1));
    assert!(times.len() <= acknowledged + kills);

    let rotations = chain::of_event(&records, "audit_rotated");
    assert!(rotations.len() >= 20, "{} rotations", rotations.len());
    for (place, rotation) in rotations.iter().enumerate() {
        assert_eq!(rotation["audit"]["rotation"], place + 1, "{rotation:?}");
    }
    for file in chain::files(&log) {
        let size = std::fs::metadata(&file).unwrap().len();
        assert!(size <= 1_000_000, "{}: {size} bytes", file.display());
    }
    // Whoever died left no lock and nothing torn behind.
    for recovery in chain::of_event(&records, "audit_recovered") {
        assert_eq!(recovery["audit"]["cause"], "torn", "{recovery:?}");
    }
}
