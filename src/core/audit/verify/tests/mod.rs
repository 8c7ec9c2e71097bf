//! Logs that are whole, and every way to make them otherwise.

mod log;
mod mutations;

use serde_json::json;

use super::super::Event;
use super::super::chain::{Format, Hash, Link};
use super::{HeadProblem, Options, Report, Witness};
use log::{LOG, Log, Shape, ends, record, sealed};

#[track_caller]
fn assert_whole(report: &Report) {
    assert_eq!(report.finding, None);
    assert_eq!(report.further, 0);
}

#[track_caller]
fn kind(report: &Report) -> (&'static str, Option<u64>) {
    let finding = report.finding.as_ref().expect("something is wrong");
    (finding.kind, finding.seq)
}

#[test]
fn all_but_the_last_file_may_be_removed() {
    for count in 1..4 {
        let mut shape = Shape::of(&[2; 4][..count]);
        shape.removed = count - 1;
        let mut log = Log::of(&shape);
        assert_whole(&log.verify());
        if count > 1 {
            // What says so is gone as well.
            log.files.get_mut(LOG).unwrap().remove(0);
            assert_eq!(kind(&log.verify()), ("deleted", Some(1)));
        }
    }
}

#[test]
fn a_repaired_log_has_notes() {
    let mut log = Log::of(&Shape::of(&[3]));
    let audit = json!({ "cause": "torn", "cut_bytes": 7 });
    let torn = record(Event::AuditRecovered, "", Some(audit), Format::Json);
    let (line, _) = sealed(torn, *log.links().last().unwrap());
    log.files.get_mut(LOG).unwrap().push(line);
    let report = log.verify();
    assert_whole(&report);
    assert_eq!(report.notes.len(), 1);
    assert_eq!(report.notes[0].line, Some(4));
    assert!(report.notes[0].text.contains("7 bytes"));
}

#[test]
fn a_loss_that_a_writer_admits_is_a_loss() {
    for rotation in [false, true] {
        let mut log = Log::of(&Shape::of(&[3]));
        let known = Link {
            seq: 5,
            hash: Hash([7; 32]),
        };
        let mut last = known;
        let mut lines = Vec::new();
        if rotation {
            let audit = json!({ "file": LOG, "rotation": 0, "last_seq": 5, "removed": [] });
            let line = record(Event::AuditRotated, "", Some(audit), Format::Json);
            let (line, link) = sealed(line, last);
            lines.push(line);
            last = link;
        }
        let audit = json!({ "cause": "lost", "known_seq": 5 });
        let lost = record(Event::AuditRecovered, "", Some(audit), Format::Json);
        let (line, _) = sealed(lost, last);
        lines.push(line);
        log.files.get_mut(LOG).unwrap().extend(lines);
        let report = log.verify();
        assert_eq!(kind(&report), ("lost", Some(4)));
        assert_eq!(report.finding.unwrap().last_seq, Some(5));
        assert_eq!(report.further, 0);
    }
}

#[test]
fn a_chain_that_begins_anew_is_no_continuation() {
    let mut log = Log::of(&Shape::of(&[3, 3]));
    let audit = json!({ "cause": "state_missing", "cut_bytes": 0 });
    let anew = record(Event::AuditRecovered, "", Some(audit), Format::Json);
    let (first, link) = sealed(anew, Link::START);
    let usual = record(Event::SandboxApplied, "x", None, Format::Json);
    let (second, _) = sealed(usual, link);
    log.files.insert(LOG.into(), vec![first, second]);
    let report = log.verify();
    assert_eq!(kind(&report), ("lost", Some(1)));
    assert_eq!(report.further, 0);
    assert_eq!(report.last.unwrap().seq, 2);
}

#[test]
fn the_clock_may_step_back_with_a_note() {
    let mut log = Log::default();
    let mut last = Link::START;
    let mut lines = Vec::new();
    for time in ["00:01:00", "00:00:51", "00:00:40", "00:02:00"] {
        let line = record(Event::SandboxApplied, "x", None, Format::Json);
        let text = String::from_utf8(sealed(line, last).0).unwrap();
        let line = log::rehashed(&text.replace("00:00:00", time));
        last = ends(&line).link();
        lines.push(line);
    }
    log.files.insert(LOG.into(), lines);
    let report = log.verify();
    assert_whole(&report);
    let notes: Vec<_> = report
        .notes
        .iter()
        .map(|note| (note.seq, note.text.as_str()))
        .collect();
    assert_eq!(notes, [(Some(3), "the clock was set back by 11 seconds")]);
}

#[test]
fn what_lies_before_can_be_accepted() {
    let mut log = Log::of(&Shape::of(&[4, 4, 4]));
    log.files.get_mut("audit.log.000002").unwrap().remove(2);
    assert_eq!(kind(&log.verify()), ("deleted", Some(7)));
    let from = |seq| {
        log.verify_with(Options {
            from: Some(seq),
            ..Options::default()
        })
    };
    assert_eq!(kind(&from(7)), ("deleted", Some(7)));
    let report = from(8);
    assert_whole(&report);
    assert_eq!((report.records, report.first), (5, Some(8)));
    assert_eq!(from(13).records, 0);
}

#[test]
fn a_witness_is_asked_and_a_missing_one_is_a_finding() {
    let log = Log::of(&Shape::of(&[3, 3]));
    let report = log.verify_against(log.links());
    assert_whole(&report);
    assert_eq!(report.testimonies[0].confirmed, 6);
    for (problem, kind) in [
        (HeadProblem::Missing("x".into()), "head_missing"),
        (HeadProblem::Invalid("x".into()), "head_invalid"),
    ] {
        let report = log.verify_with(Options {
            head: Some(problem),
            ..Options::default()
        });
        assert_eq!(report.finding.unwrap().kind, kind);
    }
    // Each one is heard.
    let mut other = log.links();
    other[2].hash = Hash::NONE;
    let report = log.verify_with(Options {
        witnesses: vec![
            Witness::new("a", log.links().into_iter()),
            Witness::new("b", other.into_iter()),
        ],
        ..Options::default()
    });
    assert_eq!(kind(&report), ("rewritten", Some(3)));
}

#[test]
fn files_that_are_no_part_of_the_log_are_no_news() {
    let mut log = Log::of(&Shape::of(&[3, 3, 3]));
    let copy = log.files["audit.log.000001"].clone();
    log.files.insert("audit.log.bak".into(), copy);
    log.files
        .insert("audit.log.txt".into(), vec![b"notes\n".to_vec()]);
    log.files.insert("audit.log.none".into(), vec![]);
    let report = log.verify();
    assert_whole(&report);
    let names: Vec<_> = report.notes.iter().map(|note| note.file.as_str()).collect();
    assert_eq!(names, ["audit.log.none", "audit.log.txt", "audit.log.bak"]);
}

#[test]
fn files_of_another_log_are_no_news_either() {
    let mut shape = Shape::of(&[3, 3, 3]);
    shape.removed = 1;
    let log = Log::of(&shape);
    // One that begins before this one does, and ends elsewhere; one that begins
    // after its end; one whose records are other ones of the same numbers.
    let mut other = Log::of(&Shape::of(&[2, 8]));
    other.rechain(0);
    let other = other.files.remove(LOG).unwrap();
    for lines in [&other[..2], &other[7..], &other[4..6]] {
        let mut log = log.clone();
        log.files.insert("audit.log.other".into(), lines.to_vec());
        let report = log.verify();
        assert_whole(&report);
        assert_eq!(report.records, 6);
        assert_eq!(report.notes.len(), 1);
        assert_eq!(report.notes[0].file, "audit.log.other");
    }
}

#[test]
fn memory_does_not_grow_with_what_is_wrong() {
    let log = Log::of(&Shape::of(&[5000]));
    // Ten thousand times the same record, and no end of noise.
    let mut broken = log.clone();
    let lines = broken.files.get_mut(LOG).unwrap();
    let copy = lines[7].clone();
    lines.splice(100..100, std::iter::repeat_n(copy, 10_000));
    lines.extend(std::iter::repeat_n(b"noise\n".to_vec(), 10_000));
    let report = broken.verify();
    assert_eq!(kind(&report), ("inserted", Some(8)));
    assert!(report.notes.len() <= 100);
    // A record that was moved further than any window reaches.
    for (from, to) in [(10, 4500), (4500, 10)] {
        let mut moved = log.clone();
        let lines = moved.files.get_mut(LOG).unwrap();
        let line = lines.remove(from);
        lines.insert(to, line);
        let report = moved.verify();
        assert_eq!(kind(&report), ("moved", Some(from as u64 + 1)));
        assert_eq!(report.further, 0);
    }
}
