//! `audit query`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use secure_exec_core::audit::chain::Format;
use serde_json::Value;

use crate::kit::{EVERYONE, Host, Outcome, run};
use crate::logs::{Log, good_and_bad, gzip, refusal, sandbox, success};
use crate::{command, ctl};

/// `audit query` on a log.
fn query(host: &Host, log: &Log, words: &[&str]) -> Outcome {
    let log = log.path().to_str().unwrap();
    ctl(host, ["audit", "query", log].iter().chain(words))
}

/// The records that it finds.
fn found(host: &Host, log: &Log, words: &[&str]) -> Vec<Value> {
    let words: Vec<&str> = words.iter().chain(&["--json"]).copied().collect();
    let said = query(host, log, &words).succeeded();
    assert_eq!(said.stderr, "", "{words:?}");
    let lines = said.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn numbers(records: &[Value]) -> Vec<u64> {
    records
        .iter()
        .map(|record| record["seq"].as_u64().unwrap())
        .collect()
}

/// Three days with a launch each, one refused.
fn three_days(host: &Host) -> Log {
    let mut log = Log::of(host);
    log.write(&success("auth", 1));
    log.write(&sandbox("auth", 1, "full", 7));
    log.wait(86_400);
    log.write(&refusal("auth", "hash_mismatch", 2));
    log.wait(86_400);
    log.write(&success("report", 3));
    log.write(&sandbox("report", 3, "partial", 2));
    log
}

#[test]
fn launches_are_found_in_the_log_that_the_launcher_wrote() {
    for user in EVERYONE {
        let host = good_and_bad(user);
        host.launch("good").run().succeeded();
        host.launch("bad").run().refused(126);
        // Without a name, the log is the launcher's.
        let mut tool = command(&host, ["audit", "query", "--result", "blocked"]);
        tool.env("SECURE_EXEC_AUDIT_LOG", host.audit_log());
        let said = run(tool, b"").succeeded().stdout;
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines[0].starts_with("TIME  "), "{said}");
        assert_eq!(lines.len(), 2, "{said}");
        let words: Vec<&str> = lines[1].split_whitespace().take(5).collect();
        assert_eq!(
            words[1..],
            ["security_violation", "bad", "blocked", "hash_mismatch"],
            "{said}"
        );
        assert!(lines[1].ends_with("the plugin's bytes are not the whitelisted ones"));
        // As JSON, a record is the log's own line.
        let path = host.audit_log();
        let path = path.to_str().unwrap();
        let all = ctl(&host, ["audit", "query", path, "--json"]).succeeded();
        assert_eq!(all.stdout, std::fs::read_to_string(path).unwrap());
    }
}

#[test]
fn options_narrow_and_repeated_ones_widen() {
    let host = Host::new();
    let log = three_days(&host);
    for (words, expected) in [
        (&[][..], &[1, 2, 3, 4, 5][..]),
        (&["--plugin", "auth"], &[1, 2, 3]),
        (&["--plugin", "a*", "--plugin", "rep*"], &[1, 2, 3, 4, 5]),
        (&["--plugin", "*th", "--event", "sandbox_applied"], &[2]),
        (
            &["--event", "sandbox_applied", "--event", "sandbox_degraded"],
            &[2, 5],
        ),
        (&["--result", "blocked"], &[3]),
        (&["--violation", "hash_mismatch"], &[3]),
        (&["--violation", "path_traversal"], &[]),
        (&["--launch", "00000000000000000000000000000003"], &[4, 5]),
        (&["--since", "2026-11-02"], &[3, 4, 5]),
        (&["--until", "2026-11-02T00:00:00Z"], &[1, 2]),
        (&["--since", "2026-11-02", "--until", "2026-11-03"], &[3]),
        (&["--since", "2026-11-02T01:00:00+02:00"], &[3, 4, 5]),
        (&["--last", "2"], &[4, 5]),
        (&["--last", "1", "--plugin", "auth"], &[3]),
        (&["--last", "9"], &[1, 2, 3, 4, 5]),
    ] {
        assert_eq!(numbers(&found(&host, &log, words)), expected, "{words:?}");
    }
    // Nothing found is no mistake.
    query(&host, &log, &["--plugin", "nobody"])
        .succeeded()
        .prints("");
}

#[test]
fn times_may_be_told_from_now() {
    let host = Host::new();
    let mut log = Log::of(&host);
    log.time = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(3);
    log.write(&success("old", 1));
    log.time = jiff::Timestamp::now();
    log.write(&success("new", 2));
    assert_eq!(numbers(&found(&host, &log, &["--since", "2h"])), [2]);
    assert_eq!(numbers(&found(&host, &log, &["--since", "200m"])), [1, 2]);
    assert_eq!(numbers(&found(&host, &log, &["--until", "2h"])), [1]);
    assert_eq!(
        numbers(&found(&host, &log, &["--since", "1d", "--until", "1m"])),
        [1]
    );
}

#[test]
fn all_files_of_a_log_are_read_in_order() {
    let host = Host::new();
    let mut log = Log::of(&host);
    let mut launch = 0;
    let mut some = |log: &mut Log| {
        launch += 1;
        log.write(&success("p", launch));
        log.wait(1);
    };
    // Two that the launcher rotated, one of them compressed.
    some(&mut log);
    log.rotate();
    some(&mut log);
    log.rotate();
    gzip(&log.beside(".000001"));
    some(&mut log);
    // One that logrotate renamed, one that it compressed and dated.
    std::fs::rename(log.path(), log.beside("-20261124")).unwrap();
    gzip(&log.beside("-20261124"));
    log.format = Format::Logfmt;
    some(&mut log);
    std::fs::rename(log.path(), log.beside(".1")).unwrap();
    log.format = Format::Json;
    some(&mut log);
    let all: Vec<u64> = (1..=log.last.seq).collect();
    assert_eq!(numbers(&found(&host, &log, &[])), all);
    // A copy is not a second log; nor is what only looks like a part of it.
    std::fs::copy(log.path(), log.beside(".2")).unwrap();
    std::fs::copy(log.path(), log.beside(".bak")).unwrap();
    std::fs::copy(log.path(), log.beside(".head")).unwrap();
    std::fs::copy(log.beside(".000002"), log.beside(".3")).unwrap();
    assert_eq!(numbers(&found(&host, &log, &[])), all);
    // The last ones, over several files.
    assert_eq!(
        numbers(&found(&host, &log, &["--last", "4"])),
        all[all.len() - 4..]
    );
    // Without an active file, the rest is there.
    std::fs::remove_file(log.path()).unwrap();
    std::fs::remove_file(log.beside(".2")).unwrap();
    let left = found(&host, &log, &[]);
    assert_eq!(numbers(&left), all[..all.len() - 1]);
    assert_eq!(left.last().unwrap()["plugin_name"], "p");
    // One file of it can be read alone.
    let one = log.beside(".000001.gz");
    let one = ctl(&host, ["audit", "query", one.to_str().unwrap(), "--json"]);
    assert_eq!(one.succeeded().stdout.lines().count(), 1);
}

#[test]
fn an_unknown_name_is_told_the_known_ones() {
    let host = Host::new();
    let log = three_days(&host);
    for (option, known) in [
        ("--event", "plugin_validation_success"),
        ("--violation", "hash_mismatch"),
        ("--result", "observed"),
    ] {
        let said = query(&host, &log, &[option, "nonsense"]).refused(125);
        said.says(option).says("nonsense").says(known);
    }
    query(&host, &log, &["--launch", "xyz"])
        .refused(125)
        .says("hexadecimal");
    query(&host, &log, &["--since", "soon"])
        .refused(125)
        .says("2026-11-24T10:00:00Z");
    query(&host, &log, &["--last", "0"]).refused(125);
    let range = ["--since", "2026-11-03", "--until", "2026-11-02"];
    query(&host, &log, &range).refused(125).says("not after");
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let host = Host::new();
    let log = Log::of(&host);
    query(&host, &log, &[]).refused(125).says("there is none");
    let nowhere = Log::at(host.path("nowhere/audit.log"));
    query(&host, &nowhere, &[])
        .refused(125)
        .says("its folder does not exist");
    let folder = Log::at(host.path("state"));
    query(&host, &folder, &[])
        .refused(125)
        .says("is no audit log");
    // A pipe is not waited for.
    let status = Command::new("mkfifo").arg(log.path()).status();
    assert!(status.unwrap().success());
    query(&host, &log, &[])
        .refused(125)
        .says("not a plain file");
    std::fs::remove_file(log.path()).unwrap();
    // A compressed file that lacks its end.
    let mut log = Log::of(&host);
    log.write(&success("p", 1));
    log.rotate();
    gzip(&log.beside(".000001"));
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(log.beside(".000001.gz"));
    let file = file.unwrap();
    file.set_len(file.metadata().unwrap().len() - 20).unwrap();
    let said = query(&host, &log, &[]);
    assert_eq!(said.status, 125, "{said:?}");
    said.says("audit.log.000001.gz");
    // One that another user has no right to read.
    let mut ordinary = Host::of(crate::kit::User::Ordinary);
    ordinary.install_sh("p", "exit 0");
    ordinary.list("p", &[]);
    ordinary.launch("p").run().succeeded();
    let path = ordinary.audit_log();
    std::os::unix::fs::chown(&path, Some(0), Some(0)).unwrap();
    let said = ctl(&ordinary, ["audit", "query", path.to_str().unwrap()]);
    said.refused(125).says("ermission denied");
}

#[test]
fn what_is_no_record_is_passed_over_and_said() {
    let host = Host::new();
    let mut log = three_days(&host);
    log.append(b"{\"seq\":6, torn");
    // The last line is being written.
    query(&host, &log, &["--json"]).succeeded().says("");
    assert_eq!(found(&host, &log, &[]).len(), 5);
    log.append(b"\nwords\n");
    log.write(&success("p", 9));
    let said = query(&host, &log, &["--json"]).succeeded();
    assert_eq!(said.stdout.lines().count(), 6);
    let said = said.says("2 lines of the log are no records; the first is in 'audit.log', line 6");
    assert_eq!(said.stderr.matches("WARNING").count(), 1);
    std::os::unix::fs::symlink(log.path(), log.beside(".7")).unwrap();
    std::fs::write(log.beside(".8.xz"), "x").unwrap();
    let said = query(&host, &log, &["--json"]).succeeded();
    said.says("'audit.log.7' is not read: it is a symbolic link")
        .says("'audit.log.8.xz' is not read");
}

#[test]
fn a_table_fits_its_terminal() {
    let host = Host::new();
    let mut log = three_days(&host);
    log.write(&refusal(
        "平仮名の長い名前を持つプラグイン",
        "interpreter_untrusted",
        4,
    ));
    for columns in [60, 80, 100, 132, 200] {
        let tool = command(&host, ["audit", "query", log.path().to_str().unwrap()]);
        let words: Vec<String> = std::iter::once(tool.get_program())
            .chain(tool.get_args())
            .map(|word| format!("'{}'", word.to_str().unwrap()))
            .collect();
        let inside = format!("stty cols {columns} rows 24; {}", words.join(" "));
        let mut script = Command::new("script");
        script
            .args(["-qec", &inside, "/dev/null"])
            .env("NO_COLOR", "1");
        let said = run(script, b"").succeeded().stdout;
        assert_eq!(said.lines().count(), 7, "{said}");
        for line in said.lines() {
            let width = unicode_width::UnicodeWidthStr::width(line.trim_end());
            assert!(width <= columns, "{columns}: {line}");
            assert!(width > columns.min(60) - 40, "{columns}: {line}");
        }
    }
}

#[test]
fn a_hostile_record_does_nothing_to_the_terminal() {
    let host = Host::new();
    let mut log = Log::of(&host);
    log.write(&refusal(
        "a\n\u{1b}[2J\u{202e}<script>",
        "plugin_not_whitelisted",
        1,
    ));
    // Whoever writes the file itself need not escape.
    log.append("{\"timestamp\":\"2026-11-24T00:00:00Z\",\"event_type\":\"\u{9b}2J\u{202e}\",\t\"x\":\"\u{7f}\"}\n".as_bytes());
    for form in [&[][..], &["--json"], &["--last", "2"]] {
        let said = query(&host, &log, form).succeeded().stdout;
        assert!(
            !said.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\u{7f}', '\t']),
            "{said:?}"
        );
        assert!(said.contains("202e"), "{said}");
    }
    let records = found(&host, &log, &[]);
    assert_eq!(records[0]["plugin_name"], "a\n\u{1b}[2J\u{202e}<script>");
    assert_eq!(records[1]["event_type"], "\u{9b}2J\u{202e}");
}

#[test]
fn memory_does_not_grow_with_the_log() {
    let host = Host::new();
    let mut log = Log::of(&host);
    let mut lines = Vec::new();
    for launch in 0..2_000 {
        lines.extend(log.line(&sandbox("p", launch, "full", 7)));
    }
    let large = host.path("state/large.log");
    let mut file = std::fs::File::create(&large).unwrap();
    // Far more than the limit below.
    while file.metadata().unwrap().len() < 100_000_000 {
        std::io::Write::write_all(&mut file, &lines).unwrap();
    }
    drop(file);
    peak(&host, &large, &["--plugin", "nobody"]);
    peak(
        &host,
        &large,
        &["--event", "sandbox_applied", "--last", "3"],
    );
    // One line without an end, and one that is far too long.
    let long = host.path("state/long.log");
    let file = std::fs::File::create(&long).unwrap();
    file.set_len(100_000_000).unwrap();
    peak(&host, &long, &[]);
}

/// Runs a query that may have 40 MiB of memory, and no more.
fn peak(host: &Host, log: &Path, words: &[&str]) {
    let tool = command(
        host,
        ["audit", "query", log.to_str().unwrap()]
            .iter()
            .chain(words),
    );
    let mut limited = host.command("prlimit");
    limited
        .arg("--data=41943040")
        .arg("--")
        .arg(tool.get_program());
    limited.args(tool.get_args());
    run(limited, b"").succeeded();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let host = Host::new();
    let mut log = Log::of(&host);
    let mut lines = Vec::new();
    for launch in 0..5_000 {
        lines.extend(log.line(&success("p", launch)));
    }
    log.append(&lines);
    let tool = command(&host, ["audit", "query", log.path().to_str().unwrap()]);
    let mut shell = host.command("/bin/bash");
    shell.args(["-c", "set -o pipefail; \"$@\" | head -n 2", "bash"]);
    shell.arg(tool.get_program()).args(tool.get_args());
    let said = run(shell, b"").succeeded();
    assert_eq!((said.stdout.lines().count(), said.stderr.as_str()), (2, ""));
}

#[test]
fn the_log_is_not_changed_by_reading() {
    let host = Host::new();
    let mut log = three_days(&host);
    log.rotate();
    std::fs::set_permissions(log.path(), PermissionsExt::from_mode(0o400)).unwrap();
    let state = || {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg("cd \"$0\" && stat -c '%n %s %Y %a' .* * && sha256sum audit.*");
        command.arg(host.path("state"));
        run(command, b"").succeeded().stdout
    };
    let before = state();
    query(&host, &log, &[]).succeeded();
    assert_eq!(state(), before);
}
