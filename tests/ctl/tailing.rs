//! `audit tail`: no record is lost, none is printed twice, none in halves,
//! whatever happens to the log's files.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::kit::{EVERYONE, Host};
use crate::logs::{Log, good_and_bad, gzip, refusal, success};
use crate::{command, ctl};

/// A tool that follows a log.
struct Tailing {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Tailing {
    fn start(host: &Host, log: &Log, more: &[&str]) -> Self {
        let path = log.path().to_str().unwrap();
        let words = ["audit", "tail", path, "-f", "--json"].into_iter();
        let words = words.chain(more.iter().copied());
        let mut command = command(host, words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// Starts, and waits until it follows: it has printed what was there.
    fn following(host: &Host, log: &Log) -> Self {
        let mut tailing = Self::start(host, log, &["-n", "1"]);
        assert_eq!(tailing.next(), log.last.seq);
        tailing
    }

    /// The next record; waits for it.
    fn record(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut said = String::new();
            let mut stderr = self.child.stderr.take().unwrap();
            stderr.read_to_string(&mut said).unwrap();
            panic!("it ended: {said}");
        }
        assert!(line.ends_with('\n'), "{line}");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    fn next(&mut self) -> u64 {
        self.record()["seq"].as_u64().unwrap()
    }

    /// The records up to that one come, and each once.
    #[track_caller]
    fn brings(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            assert_eq!(self.next(), number);
        }
    }

    /// How many bytes it has read of all files.
    fn read(&self) -> u64 {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.child.id())).unwrap();
        let read = io.lines().find_map(|line| line.strip_prefix("rchar: "));
        read.unwrap().parse().unwrap()
    }

    /// Waits until it has read so many bytes more.
    fn reads(&self, before: u64, bytes: usize) {
        while self.read() < before + bytes as u64 {
            std::thread::yield_now();
        }
    }

    /// Ends it by a signal: cleanly, with nothing left to print. Returns what
    /// it warned of.
    #[track_caller]
    fn end(mut self, signal: Signal) -> String {
        let process = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(process, signal).unwrap();
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (Some(0), None), "{said}");
        said
    }
}

/// A log with one record.
fn begun(host: &Host) -> Log {
    let mut log = Log::of(host);
    log.write(&success("p", 1));
    log
}

/// Writes some records; returns their numbers.
fn some(log: &mut Log, count: u64) -> std::ops::RangeInclusive<u64> {
    let first = log.last.seq + 1;
    for launch in 0..count {
        log.write(&success("p", launch.into()));
    }
    first..=log.last.seq
}

#[test]
fn launches_are_seen_as_they_happen() {
    for user in EVERYONE {
        let host = good_and_bad(user);
        host.launch("good").run().succeeded();
        let log = Log::of(&host);
        let mut tailing = Tailing::start(&host, &log, &["-n", "1"]);
        assert_eq!(tailing.record()["event_type"], "sandbox_applied");
        host.launch("bad").run().refused(126);
        assert_eq!(tailing.record()["violation_type"], "hash_mismatch");
        host.launch("good").run().succeeded();
        let first = tailing.record();
        assert_eq!(first["event_type"], "plugin_validation_success");
        assert_eq!(tailing.record()["launch_id"], first["launch_id"]);
        assert_eq!(tailing.end(Signal::SIGTERM), "");
    }
}

#[test]
fn the_last_records_come_from_as_many_files_as_it_takes() {
    let host = Host::new();
    let mut log = begun(&host);
    log.rotate();
    gzip(&log.beside(".000001"));
    log.rotate();
    some(&mut log, 2);
    let path = log.path().to_str().unwrap();
    for (count, expected) in [
        ("2", &[4, 5][..]),
        ("4", &[2, 3, 4, 5]),
        ("9", &[1, 2, 3, 4, 5]),
    ] {
        let said = ctl(&host, ["audit", "tail", path, "-n", count, "--json"]).succeeded();
        let lines = said.stdout.lines();
        let numbers = lines.map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].clone());
        assert_eq!(numbers.collect::<Vec<_>>(), expected, "{count}");
    }
    let said = ctl(
        &host,
        ["audit", "tail", path, "-n", "1", "--event", "audit_rotated"],
    );
    assert!(
        said.succeeded()
            .stdout
            .contains("before it is 'audit.log.000002'")
    );
    ctl(&host, ["audit", "tail", path, "-n", "0"])
        .succeeded()
        .prints("");
    let nothing = host.path("state/other.log");
    let said = ctl(&host, ["audit", "tail", nothing.to_str().unwrap()]);
    said.refused(125).says("there is none");
}

#[test]
fn filters_hold_for_what_comes_too() {
    let host = Host::new();
    let mut log = begun(&host);
    let mut tailing = Tailing::start(&host, &log, &["--result", "blocked", "--plugin", "b*"]);
    some(&mut log, 3);
    log.write(&refusal("a", "hash_mismatch", 1));
    log.write(&refusal("b", "hash_mismatch", 1));
    assert_eq!(tailing.record()["plugin_name"], "b");
    tailing.end(Signal::SIGINT);
}

#[test]
fn a_log_is_waited_for() {
    let host = Host::new();
    let mut log = Log::of(&host);
    let mut tailing = Tailing::start(&host, &log, &[]);
    let numbers = some(&mut log, 2);
    tailing.brings(numbers);
    tailing.end(Signal::SIGINT);
}

#[test]
fn rotations_are_followed_several_in_between_too() {
    let host = Host::new();
    let mut log = begun(&host);
    let mut tailing = Tailing::following(&host, &log);
    for round in 1..30_u64 {
        let first = log.last.seq + 1;
        for _ in 0..round % 4 {
            some(&mut log, round % 3);
            log.rotate();
        }
        if round % 5 == 0 {
            // Its past may be compressed at any time.
            let file = std::fs::read_dir(host.path("state")).unwrap().flatten();
            let mut names: Vec<_> = file.map(|entry| entry.path()).collect();
            names.retain(|path| path.to_str().unwrap().contains(".log.0"));
            names.retain(|path| path.extension().unwrap() != "gz");
            names.iter().for_each(|path| gzip(path));
        }
        some(&mut log, 1);
        tailing.brings(first..=log.last.seq);
    }
    assert_eq!(tailing.end(Signal::SIGTERM), "");
}

#[test]
fn renaming_by_logrotate_is_followed() {
    let host = Host::new();
    let mut log = begun(&host);
    let mut tailing = Tailing::following(&host, &log);
    for round in 0..12 {
        let first = log.last.seq + 1;
        some(&mut log, 2);
        // As with 'create', 'nocreate' and 'compress'.
        for number in (1..4).rev() {
            for extension in ["", ".gz"] {
                let from = log.beside(&format!(".{number}{extension}"));
                let to = log.beside(&format!(".{}{extension}", number + 1));
                let _absent = std::fs::rename(from, to);
            }
        }
        std::fs::rename(log.path(), log.beside(".1")).unwrap();
        if round % 2 == 0 {
            std::fs::File::create(log.path()).unwrap();
        }
        if round % 3 == 0 {
            // Whoever had it open before writes a last record.
            let late = log.line(&success("late", 0));
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.append(true).open(log.beside(".1")).unwrap();
            std::io::Write::write_all(&mut file, &late).unwrap();
            tailing.brings(first..=log.last.seq);
            some(&mut log, 1);
            tailing.brings(log.last.seq..=log.last.seq);
            continue;
        }
        if round % 4 == 1 {
            gzip(&log.beside(".1"));
        }
        some(&mut log, 2);
        tailing.brings(first..=log.last.seq);
    }
    assert_eq!(tailing.end(Signal::SIGTERM), "");
}

#[test]
fn copying_and_emptying_is_followed() {
    let host = Host::new();
    let mut log = begun(&host);
    let mut tailing = Tailing::following(&host, &log);
    for round in 0..40 {
        let first = log.last.seq + 1;
        some(&mut log, 3);
        std::fs::copy(log.path(), log.beside(&format!("-2026{round:04}"))).unwrap();
        let file = std::fs::OpenOptions::new()
            .write(true)
            .open(log.path())
            .unwrap();
        file.set_len(0).unwrap();
        // As long as before, or longer, when it is looked at next; or empty.
        some(&mut log, [0, 3, 5][round % 3]);
        tailing.brings(first..=log.last.seq);
    }
    assert_eq!(tailing.end(Signal::SIGTERM), "");
}

#[test]
fn a_file_that_is_removed_is_read_to_its_end() {
    let host = Host::new();
    let mut log = begun(&host);
    let mut tailing = Tailing::following(&host, &log);
    for round in 0..20 {
        let first = log.last.seq + 1;
        some(&mut log, 2);
        std::fs::remove_file(log.path()).unwrap();
        if round % 2 == 0 {
            tailing.brings(first..=log.last.seq);
            some(&mut log, 1);
            tailing.brings(log.last.seq..=log.last.seq);
        } else {
            some(&mut log, 1);
            tailing.brings(first..=log.last.seq);
        }
    }
    assert_eq!(tailing.end(Signal::SIGTERM), "");
}

#[test]
fn a_log_that_begins_anew_is_followed() {
    let host = Host::new();
    let mut log = begun(&host);
    some(&mut log, 5);
    log.rotate();
    some(&mut log, 5);
    let mut tailing = Tailing::following(&host, &log);
    // All of it is gone, and so is what its writers remember.
    std::fs::remove_file(log.path()).unwrap();
    let mut log = Log::of(&host);
    log.wait(60);
    some(&mut log, 3);
    tailing.brings(1..=3);
    // What is left of the other is not taken for a part of it.
    gzip(&log.beside(".000001"));
    some(&mut log, 2);
    tailing.brings(4..=5);
    assert_eq!(tailing.end(Signal::SIGTERM), "");
}

#[test]
fn a_file_that_is_written_anew_brings_nothing_twice() {
    let host = Host::new();
    let mut log = begun(&host);
    let mut tailing = Tailing::following(&host, &log);
    for _ in 0..10 {
        some(&mut log, 2);
        // As an editor does, or a backup that is put back.
        let copy = log.beside(".copy");
        std::fs::copy(log.path(), &copy).unwrap();
        std::fs::rename(&copy, log.path()).unwrap();
        some(&mut log, 1);
        let last = log.last.seq;
        tailing.brings(last - 2..=last);
    }
    assert_eq!(tailing.end(Signal::SIGTERM), "");
}

#[test]
fn half_a_line_is_waited_for() {
    let host = Host::new();
    let mut log = begun(&host);
    let mut tailing = Tailing::following(&host, &log);
    for round in 0..20 {
        let whole = std::fs::metadata(log.path()).unwrap().len();
        let before = log.last;
        let line = log.line(&success("p", 1));
        let (half, rest) = line.split_at(line.len() / 2);
        let read = tailing.read();
        log.append(half);
        tailing.reads(read, half.len());
        if round % 2 == 0 {
            log.append(rest);
        } else {
            // Its writer was killed, and the next one cuts it off.
            let file = std::fs::OpenOptions::new()
                .write(true)
                .open(log.path())
                .unwrap();
            file.set_len(whole).unwrap();
            log.last = before;
            log.write(&success("another", 2));
        }
        tailing.brings(log.last.seq..=log.last.seq);
    }
    assert_eq!(tailing.end(Signal::SIGTERM), "");
}

#[test]
fn what_is_nowhere_is_said() {
    let host = Host::new();
    let mut log = begun(&host);
    let mut tailing = Tailing::following(&host, &log);
    let first = log.last.seq;
    for _ in 0..3 {
        let _never_written = log.line(&success("p", 1));
    }
    some(&mut log, 2);
    tailing.brings(first + 4..=first + 5);
    log.append(b"words\n");
    some(&mut log, 1);
    tailing.brings(first + 6..=first + 6);
    let said = tailing.end(Signal::SIGTERM);
    assert!(
        said.contains("the records 2 to 4 are in none of the log's files"),
        "{said}"
    );
    assert!(said.contains("a line of the log is no record"), "{said}");
    assert_eq!(said.matches("WARNING").count(), 2, "{said}");
}

#[test]
fn a_writer_that_rotates_as_fast_as_it_can_loses_nothing() {
    let host = Host::new();
    let mut log = begun(&host);
    let mut tailing = Tailing::following(&host, &log);
    let first = log.last.seq + 1;
    let writer = std::thread::spawn(move || {
        for round in 0..400_u64 {
            some(&mut log, round % 7);
            match round % 10 {
                3 => std::fs::rename(log.path(), log.beside(&format!("-2026-{round}"))).unwrap(),
                _ => log.rotate(),
            }
            some(&mut log, 1);
        }
        log.last.seq
    });
    // Read while it is written, and after.
    tailing.brings(first..first + 500);
    let last = writer.join().unwrap();
    tailing.brings(first + 500..=last);
    assert_eq!(tailing.end(Signal::SIGTERM), "");
}

#[test]
fn it_ends_with_its_reader() {
    let host = Host::new();
    let log = begun(&host);
    let Tailing { mut child, lines } = Tailing::following(&host, &log);
    // Nothing more is recorded.
    drop(lines);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn it_ends_with_its_folder() {
    let host = Host::new();
    host.folder("state/deep");
    let mut log = Log::at(host.path("state/deep/audit.log"));
    log.write(&success("p", 1));
    let mut tailing = Tailing::following(&host, &log);
    std::fs::remove_dir_all(host.path("state/deep")).unwrap();
    let mut said = String::new();
    let mut stderr = tailing.child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(tailing.child.wait().unwrap().code(), Some(125), "{said}");
    assert_eq!(said.matches("ERROR: ").count(), 1, "{said}");
}
