//! Other programs read the log as well: jq line by line, and collectors such
//! as Vector and Promtail, which tell files by their content or inode and
//! remember how far they got.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::counting::launches_of_every_kind;
use crate::kit::{EVERYONE, Host, run};
use crate::logs::Log;
use crate::{command, ctl};

#[test]
fn jq_reads_the_log_line_by_line() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        launches_of_every_kind(&mut host);
        let mut jq = Command::new("jq");
        jq.args(["-r", "[.seq, .event_type, .plugin_name, .result] | @tsv"])
            .arg(host.audit_log());
        let said = run(jq, b"").succeeded().stdout;
        let expected: Vec<String> = host
            .records()
            .iter()
            .map(|record| {
                let text = |name: &str| record[name].as_str().unwrap_or_default().to_string();
                format!(
                    "{}\t{}\t{}\t{}",
                    record["seq"],
                    text("event_type"),
                    text("plugin_name"),
                    text("result")
                )
            })
            .collect();
        assert_eq!(said.lines().collect::<Vec<_>>(), expected);
        // A line at a time, as `tail -f | jq` gets them.
        for line in std::fs::read_to_string(host.audit_log()).unwrap().lines() {
            let mut jq = Command::new("jq");
            jq.args(["-e", "-c", "."]);
            assert_eq!(
                run(jq, line.as_bytes()).succeeded().stdout.lines().count(),
                1
            );
        }
        // The hash of a line, as anybody can check it.
        let mut shell = Command::new("/bin/bash");
        let check = "while IFS= read -r line; do \
            [ \"$(printf %s \"${line%,\\\"record_hash\\\"*}\" | sha256sum | cut -c-64)\" = \"$(jq -r .record_hash <<<\"$line\")\" ] || exit 1; \
            done < \"$0\"";
        shell.args(["-c", check]).arg(host.audit_log());
        run(shell, b"").succeeded();
    }
}

/// A collector as simple as they come.
#[derive(Default)]
struct Collector {
    /// How far each file is read, by what tells it from others.
    offsets: BTreeMap<String, u64>,
    seen: Vec<u64>,
}

/// What a file is known by.
#[derive(Clone, Copy, Debug)]
enum By {
    /// Device and inode, as Promtail and Fluent Bit do.
    Inode,
    /// Its first line, as Vector does.
    FirstLine,
}

impl Collector {
    /// Reads what is new in all files that match `audit.log*`.
    fn collect(&mut self, host: &Host, by: By) {
        let mut names: Vec<String> = std::fs::read_dir(host.path("state"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with("audit.log") && !name.ends_with(".gz"))
            .collect();
        names.sort();
        for name in names {
            // It may be compressed or removed by now.
            let Ok(mut file) = File::open(host.path("state").join(name)) else {
                continue;
            };
            let Some(key) = key(&file, by) else { continue };
            let offset = self.offsets.entry(key).or_default();
            let mut text = String::new();
            std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(*offset)).unwrap();
            file.read_to_string(&mut text).unwrap();
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            *offset += whole as u64;
            for line in text[..whole].lines() {
                let record: Value =
                    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
                self.seen.push(record["seq"].as_u64().unwrap());
            }
        }
    }
}

fn key(file: &File, by: By) -> Option<String> {
    match by {
        By::Inode => {
            let stat = file.metadata().unwrap();
            Some(format!("{}:{}", stat.dev(), stat.ino()))
        }
        By::FirstLine => {
            let mut bytes = vec![0; 8192];
            let read = file.read_at(&mut bytes, 0).unwrap();
            let end = bytes[..read].iter().position(|byte| *byte == b'\n')?;
            Some(String::from_utf8(bytes[..end].to_vec()).unwrap())
        }
    }
}

#[test]
fn collectors_see_each_record_once_over_rotations() {
    for by in [By::Inode, By::FirstLine] {
        let mut host = Host::new();
        host.install_sh("p", "exit 0");
        host.list("p", &[]);
        host.audit("{ max_backups: 0 }");
        let mut collector = Collector::default();
        for round in 0..6 {
            for _ in 0..=round % 3 {
                host.launch("p").run().succeeded();
            }
            if round % 2 == 0 {
                collector.collect(&host, by);
            }
            ctl(
                &host,
                ["audit", "rotate", host.audit_log().to_str().unwrap()],
            )
            .succeeded();
            if round % 3 == 1 {
                collector.collect(&host, by);
            }
        }
        host.launch("p").run().succeeded();
        collector.collect(&host, by);
        let mut seen = collector.seen;
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count, "{by:?}: some were seen twice");
        let last = host.records().last().unwrap()["seq"].as_u64().unwrap();
        assert_eq!(seen, (1..=last).collect::<Vec<_>>(), "{by:?}");
    }
}

#[test]
fn many_launchers_rotations_and_compression_are_followed() {
    let mut host = Host::new();
    host.install_sh("p", "exit 0");
    host.list("p", &[]);
    host.audit("{ compress: true, max_backups: 0 }");
    host.launch("p").run().succeeded();
    let log = Log::of(&host);
    let path = log.path().to_str().unwrap();
    let mut tail = command(&host, ["audit", "tail", path, "-f", "--json", "-n", "1"]);
    let mut tail = tail.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(tail.stdout.take().unwrap()));
    let mut next = || {
        let line = lines.next().unwrap().unwrap();
        let record: Value = serde_json::from_str(&line).unwrap();
        record["seq"].as_u64().unwrap()
    };
    assert_eq!(next(), 2);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..12).for_each(|_| drop(host.launch("p").run().succeeded())));
        }
        scope.spawn(|| {
            for _ in 0..10 {
                ctl(&host, ["audit", "rotate", path]).succeeded();
            }
        });
    });
    let found = ctl(&host, ["audit", "query", path, "--json"])
        .succeeded()
        .stdout;
    let numbers = found.lines().map(|line| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["seq"].as_u64().unwrap()
    });
    let numbers: Vec<u64> = numbers.collect();
    let last = 2 + 4 * 12 * 2 + 10;
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
    let followed: BTreeSet<u64> = (3..=last).map(|_| next()).collect();
    assert_eq!(followed, (3..=last).collect::<BTreeSet<_>>());
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(tail.id().try_into().unwrap()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    assert!(tail.wait().unwrap().success());
}
