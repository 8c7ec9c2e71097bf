//! What the chain can't show: a cut end, and a chain that was written anew.

use std::path::PathBuf;
use std::process::Command;

use super::log::{self, Writer, assert_whole, change, found, lines, rechain};
use crate::kit::{Host, run};

/// A host whose log is signed record by record, and the public key.
fn signed() -> (Host, String, PathBuf) {
    let host = Host::new();
    let key = host.path("log.key");
    crate::ctl(&host, ["audit", "keygen", "--out", key.to_str().unwrap()]).succeeded();
    let options = format!(
        "{{ max_backups: 0, sign: {{ key: {}, interval: 0 }} }}",
        key.display()
    );
    let log = log::write(&host, &options, 2, 4);
    // What the writers know of the log would give it away as well.
    std::fs::remove_file(host.path("state/.audit.log.state")).unwrap();
    let public = format!("{}.pub", key.display());
    (host, public, log)
}

#[test]
fn a_cut_end_shows_by_the_head_alone() {
    let (host, public, log) = signed();
    assert_whole(&host, &["--key", &public]);
    change(&log, |lines| lines.truncate(2));
    assert_whole(&host, &[]);
    let (kind, _, seq) = found(&host, &["--key", &public]);
    assert_eq!((kind.as_str(), seq), ("tail_cut", Some(7)));
    let said = log::verify(&host, &["--key", &public]).stdout;
    assert!(said.contains("records 7 to 9 are missing"), "{said}");
    // The whole of it.
    std::fs::write(&log, "").unwrap();
    assert_whole(&host, &[]);
    assert_eq!(found(&host, &["--key", &public]).2, Some(5));
    std::fs::remove_file(&log).unwrap();
    assert_whole(&host, &[]);
    assert_eq!(found(&host, &["--key", &public]).2, Some(5));
}

#[test]
fn a_chain_that_was_written_anew_shows_by_the_head_alone() {
    let (host, public, log) = signed();
    rechain(&log, 2);
    assert_whole(&host, &[]);
    let (kind, file, seq) = found(&host, &["--key", &public]);
    assert_eq!(
        (kind.as_str(), file.as_str(), seq),
        ("rewritten", "audit.log", Some(9))
    );
}

#[test]
fn a_head_is_needed_and_must_be_the_keys() {
    let (host, public, _) = signed();
    let head = host.path("state/audit.log.head");
    let whole = std::fs::read_to_string(&head).unwrap();
    let kind = || found(&host, &["--key", &public]).0;
    for forged in [
        whole.replace("\"seq\":9", "\"seq\":8"),
        whole.replace("\"version\":1", "\"version\":2"),
        whole[..100].to_string(),
        String::new(),
    ] {
        assert_ne!(forged, whole);
        std::fs::write(&head, forged).unwrap();
        assert_eq!(kind(), "head_invalid");
    }
    std::fs::remove_file(&head).unwrap();
    assert_eq!(kind(), "head_missing");
    std::fs::write(&head, whole).unwrap();
    let other = host.path("other.key");
    crate::ctl(&host, ["audit", "keygen", "--out", other.to_str().unwrap()]).succeeded();
    let other = format!("{}.pub", other.display());
    assert_eq!(found(&host, &["--key", &other]).0, "head_invalid");
    // For a record before those that are asked about it proves nothing.
    assert_whole(&host, &["--key", &public, "--from", "9"]);
    Writer::of(&host.audit_log(), "{}").write("unsigned");
    let said = log::verify(&host, &["--key", &public]).succeeded().stdout;
    assert!(said.contains("signed head: record 9, "), "{said}");
    assert!(
        said.contains("; the 2 after it are not signed yet"),
        "{said}"
    );
    assert_eq!(
        found(&host, &["--key", &public, "--from", "10"]).0,
        "head_invalid"
    );
}

#[test]
fn an_old_head_that_is_put_back_hides_a_cut() {
    // A limit that SECURITY.md names: keep the head elsewhere.
    let (host, public, log) = signed();
    let head = host.path("state/audit.log.head");
    let old = std::fs::read(&head).unwrap();
    let key = public.trim_end_matches(".pub");
    let options = format!("{{ sign: {{ key: {key}, interval: 0 }} }}");
    let before = lines(&log);
    Writer::of(&log, &options).write("what is to be hidden");
    change(&log, |lines| lines.truncate(before.len()));
    assert_eq!(found(&host, &["--key", &public]).0, "tail_cut");
    std::fs::write(&head, old).unwrap();
    std::fs::remove_file(host.path("state/.audit.log.state")).unwrap();
    assert_whole(&host, &["--key", &public]);
}

#[test]
fn the_writers_state_tells_unless_it_is_gone() {
    let host = Host::new();
    let log = log::write(&host, "{}", 1, 4);
    let whole = std::fs::read(&log).unwrap();
    change(&log, |lines| lines.truncate(2));
    assert_eq!(found(&host, &[]).0, "tail_cut");
    std::fs::write(&log, &whole).unwrap();
    rechain(&log, 2);
    assert_eq!(found(&host, &[]).0, "rewritten");
    std::fs::write(host.path("state/.audit.log.state"), "x").unwrap();
    assert_whole(&host, &[]);
}

#[test]
fn a_second_sink_shows_what_was_taken_and_changed() {
    let host = Host::new();
    let log = log::write(&host, "{ max_backups: 0 }", 2, 4);
    std::fs::remove_file(host.path("state/.audit.log.state")).unwrap();
    let all = format!(
        "{}{}",
        std::fs::read_to_string(log::rotated(&host, 1)).unwrap(),
        std::fs::read_to_string(&log).unwrap()
    );
    let journal: String = all
        .lines()
        .map(|line| {
            let ends = log::ends(line);
            let entry = serde_json::json!({
                "__REALTIME_TIMESTAMP": "1",
                "MESSAGE": "x",
                "SECURE_EXEC_SEQ": ends.seq.to_string(),
                "SECURE_EXEC_RECORD_HASH": ends.record_hash.to_string(),
                "SECURE_EXEC_RECORD": line,
            });
            format!("{entry}\n")
        })
        .collect();
    let syslog: String = all
        .lines()
        .map(|line| format!("Nov 24 00:00:00 host secure-exec[7]: {line}\n"))
        .collect();
    let whole = std::fs::read(&log).unwrap();
    for (name, text) in [("lines", all), ("journal", journal), ("syslog", syslog)] {
        // Other programs' lines stand between, and order is about kept.
        let mut text: Vec<&str> = text.split_inclusive('\n').collect();
        text.swap(1, 2);
        text.insert(3, "Nov 24 00:00:00 host sshd[7]: hello\n");
        let sink = host.write(name, &text.concat());
        let words = ["--against", sink.to_str().unwrap()];
        let said = assert_whole(&host, &words);
        assert_eq!(said["witnesses"][0]["confirmed"], 9);
        assert_eq!(said["witnesses"][0]["unknown"], 0);
        assert_eq!(said["end_is_witnessed"], true);
        // One that the sink did not get is no finding: sinks drop some.
        let fewer: String = [&text[..4], &text[6..]].concat().concat();
        let fewer = host.write("fewer", &fewer);
        let said = log::verify(&host, &["--against", fewer.to_str().unwrap()]).succeeded();
        let expected = "7 records are the same, the last is 9; 2 records before that are not in it";
        assert!(said.stdout.contains(expected), "{said:#?}");

        change(&log, |lines| lines.truncate(2));
        let (kind, _, seq) = found(&host, &words);
        assert_eq!((kind.as_str(), seq), ("tail_cut", Some(7)));
        std::fs::write(&log, &whole).unwrap();
        rechain(&log, 2);
        assert_whole(&host, &[]);
        let (kind, file, seq) = found(&host, &words);
        assert_eq!(
            (kind.as_str(), file.as_str(), seq),
            ("rewritten", "audit.log", Some(7))
        );
        std::fs::write(&log, &whole).unwrap();
    }
    // Through a pipe, as it comes.
    let words = "\"$0\" audit verify \"$1\" --against <(cat \"$2\")";
    let mut shell = Command::new("bash");
    shell.args(["-c", words]);
    shell
        .arg(host.path("bin/secure-execctl"))
        .arg(&log)
        .arg(host.path("journal"));
    let said = run(shell, b"").succeeded().stdout;
    assert!(
        said.contains("9 records are the same, the last is 9"),
        "{said}"
    );
}

#[test]
fn a_sink_of_another_time_is_no_witness() {
    let host = Host::new();
    let log = log::write(&host, "{ max_backups: 1 }", 1, 4);
    let sink = host.write("sink", &std::fs::read_to_string(&log).unwrap());
    let writer = Writer::of(&log, "{ max_backups: 1 }");
    for _ in 0..3 {
        writer.rotate();
        writer.write("more");
    }
    log::verify(&host, &["--against", sink.to_str().unwrap()])
        .refused(125)
        .says("none of its records is in what was verified, the last is 4");
}
