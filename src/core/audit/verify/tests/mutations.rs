//! Every way to change a log, and what must be found of it.

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::super::chain::{Format, Link};
use super::super::super::{Event, files};
use super::super::Report;
use super::log::{LOG, Log, Shape, edited, ends, record, renamed, sealed};

fn shapes() -> impl Strategy<Value = Shape> {
    let lines = prop::collection::vec(1..7usize, 1..6);
    (lines, 0..3usize, any::<bool>()).prop_map(|(mut lines, removed, logfmt)| {
        lines[0] += 2;
        // A last file of one record that is exchanged looks like the next of
        // any other.
        *lines.last_mut().unwrap() += 1;
        // Where all is removed but one file, what says so is in that alone.
        let removed = removed.min(lines.len().saturating_sub(2));
        Shape {
            removed,
            foreign: Vec::new(),
            logfmt,
            lines,
        }
    })
}

/// A log and the numbers of its records.
fn logs() -> impl Strategy<Value = Log> {
    shapes().prop_map(|shape| Log::of(&shape))
}

/// What is wrong first is of one of these kinds, and begins with this record.
#[track_caller]
fn assert_found(log: &Log, kinds: &[&str], seq: u64) -> Report {
    let report = log.verify();
    let Some(found) = &report.finding else {
        panic!("nothing found, expected {kinds:?} {seq}");
    };
    assert!(
        kinds.contains(&found.kind),
        "{found:?}, expected {kinds:?} {seq}"
    );
    // Where the oldest file that is kept lost its beginning, nobody knows with
    // which record it began.
    let is_known = seq == 1 || log.links().iter().any(|link| link.seq < seq);
    let is_named = found.seq == Some(seq);
    let is_within = found.seq <= Some(seq) && found.last_seq >= Some(seq);
    assert!(
        if is_known { is_named } else { is_within },
        "{found:?}, expected {kinds:?} {seq}"
    );
    report
}

#[track_caller]
fn assert_whole(log: &Log) {
    let report = log.verify();
    assert_eq!(report.finding, None);
    assert_eq!(report.records, log.places().len() as u64);
    assert_eq!(report.last, log.links().last().copied());
}

fn remove(log: &mut Log, place: &(String, usize)) -> Vec<u8> {
    log.files.get_mut(&place.0).unwrap().remove(place.1)
}

fn insert(log: &mut Log, place: &(String, usize), line: Vec<u8>) {
    log.files.get_mut(&place.0).unwrap().insert(place.1, line);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(debug_assertions) { 600 } else { 6_000 },
        max_global_rejects: 1_000_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_was_written_is_whole(shape in shapes(), foreign in prop::collection::vec(0..4usize, 0..3)) {
        let mut shape = shape;
        assert_whole(&Log::of(&shape));
        // logrotate took some of them; but the first after those that were
        // removed must be known to have been the oldest.
        shape.foreign = foreign;
        if shape.removed > 0 {
            shape.foreign.retain(|place| *place > 0);
        }
        assert_whole(&Log::of(&shape));
    }

    #[test]
    fn a_flipped_bit(log in logs(), at: Index, byte: Index, bit in 0..8u8) {
        let mut log = log;
        let places = log.places();
        let place = at.get(&places);
        let seq = ends(log.line(place)).seq;
        let line = log.line_mut(place);
        let byte = byte.index(line.len());
        line[byte] ^= 1 << bit;
        assert_found(&log, &["edited", "cut"], seq);
    }

    #[test]
    fn a_record_with_a_new_hash(log in logs(), at: Index) {
        let mut log = log;
        let places = log.places();
        let place = at.get(&places);
        let seq = ends(log.line(place)).seq;
        let known = log.links();
        *log.line_mut(place) = edited(log.line(place));
        if Some(place) == places.last() {
            assert_whole(&log);
        } else {
            let report = assert_found(&log, &["rehashed"], seq);
            assert_eq!(report.further, 0);
        }
        let report = log.verify_against(known);
        prop_assert_eq!(report.finding.and_then(|found| found.seq), Some(seq));
    }

    #[test]
    fn records_that_are_gone(log in logs(), at: Index, count in 1..4usize) {
        let mut log = log;
        let places = log.places();
        prop_assume!(places.len() > 1);
        let first = at.index(places.len() - 1);
        let count = count.min(places.len() - 1 - first);
        let seq = ends(log.line(&places[first])).seq;
        for place in places[first..first + count].iter().rev() {
            remove(&mut log, place);
        }
        let report = assert_found(&log, &["deleted", "cut"], seq);
        let found = report.finding.unwrap();
        prop_assert_eq!(found.last_seq, Some(seq + count as u64 - 1));
    }

    #[test]
    fn a_record_that_was_put_in(log in logs(), at: Index, after: bool, more in 0..3usize) {
        let mut log = log;
        let places = log.places();
        let place = at.get(&places);
        let real = ends(log.line(place));
        let mut last = Link { seq: real.seq - 1, hash: real.prev };
        // A run of forged records beside the real ones.
        for number in 0..=more {
            let forged = record(Event::SandboxApplied, "forged", None, Format::Json);
            let (line, link) = sealed(forged, last);
            last = link;
            let lines = log.files.get_mut(&place.0).unwrap();
            let behind = if after { place.1 + 1 + more } else { place.1 };
            lines.insert((behind + number).min(lines.len()), line);
        }
        let is_end = at.index(places.len()) + more + usize::from(after) >= places.len();
        if is_end {
            // A run that goes further than the real one may be taken for it.
            prop_assert!(log.verify().finding.is_some());
        } else {
            let report = assert_found(&log, &["inserted"], real.seq);
            let found = report.finding.unwrap();
            prop_assert_eq!(found.file.as_ref(), Some(&place.0));
        }
    }

    #[test]
    fn a_copy_of_a_record(log in logs(), from: Index, to: Index) {
        let mut log = log;
        let places = log.places();
        let (from, to) = (from.index(places.len()), to.index(places.len()));
        let line = log.line(&places[from]).clone();
        insert(&mut log, &places[to], line.clone());
        let report = assert_found(&log, &["inserted"], ends(&line).seq);
        prop_assert_eq!(report.further, 0);
    }

    #[test]
    fn a_line_that_is_no_record(log in logs(), at: Index, line in "[ -~]{0,200}\n") {
        let mut log = log;
        let places = log.places();
        let place = at.get(&places);
        insert(&mut log, place, line.into_bytes());
        let report = log.verify();
        prop_assert_eq!(report.finding.map(|found| found.kind), Some("inserted"));
        prop_assert_eq!(report.further, 0);
    }

    #[test]
    fn a_record_that_was_moved(log in logs(), from: Index, to: Index) {
        let mut log = log;
        let places = log.places();
        let (from, to) = (from.index(places.len()), to.index(places.len()));
        // Before itself or the next one it stays where it is.
        prop_assume!(to != from && to != from + 1);
        let seq = ends(log.line(&places[from])).seq;
        let line = log.line(&places[from]).clone();
        let (first, second) = (places[from].clone(), places[to].clone());
        if from > to {
            remove(&mut log, &first);
            insert(&mut log, &second, line);
        } else {
            insert(&mut log, &second, line);
            remove(&mut log, &first);
        }
        // One step up is one step down of the other.
        let other = if from == to + 1 {
            seq - 1
        } else if to == from + 2 {
            seq + 1
        } else {
            seq
        };
        let report = log.verify();
        let found = report.finding.expect("it was moved");
        prop_assert!(["moved", "inserted"].contains(&found.kind), "{:?}", found);
        // Before the first and after the last nobody misses it.
        let is_missed = from + 1 < places.len() && from.min(to) > 0;
        prop_assert!(found.kind == "moved" || !is_missed, "{:?}", found);
        let named = found.seq.or(found.last_seq);
        prop_assert!(named == Some(seq) || named == Some(other), "{:?}", found);
        prop_assert_eq!(report.further, 0);
    }

    #[test]
    fn two_records_that_changed_places(log in logs(), one: Index, two: Index) {
        let mut log = log;
        let places = log.places();
        let (one, two) = (one.index(places.len()), two.index(places.len()));
        prop_assume!(one != two);
        let (one, two) = (one.min(two), one.max(two));
        let seqs = [one, two].map(|place| ends(log.line(&places[place])).seq);
        let lines = [one, two].map(|place| log.line(&places[place]).clone());
        *log.line_mut(&places[one]) = lines[1].clone();
        *log.line_mut(&places[two]) = lines[0].clone();
        let report = log.verify();
        let found = report.finding.expect("they were exchanged");
        let is_file = [one, two].iter().any(|place| log.files[&places[*place].0].len() == 1);
        if is_file || one == 0 && seqs[0] > 1 {
            // Files are exchanged then, or what says where the log begins is
            // elsewhere.
            return Ok(());
        }
        // A file of one record is as good as its record.
        prop_assert!(["moved", "inserted", "file_renamed"].contains(&found.kind), "{:?}", found);
        let named = found.seq.or(found.last_seq);
        prop_assert!(seqs.iter().any(|seq| named == Some(*seq)), "{:?} {:?}", seqs, found);
    }

    #[test]
    fn a_tail_that_was_cut(log in logs(), at: Index, length: Index) {
        let mut log = log;
        let places = log.places();
        let place = at.get(&places).clone();
        let is_active = place.0 == LOG;
        let seq = ends(log.line(&place)).seq;
        let known = log.links();
        let newest = known.last().unwrap().seq;
        let line = log.line(&place).clone();
        // In the middle of a line.
        let length = length.index(line.len() - 1) + 1;
        log.files.get_mut(&place.0).unwrap().truncate(place.1);
        let mut torn = log.clone();
        torn.files.get_mut(&place.0).unwrap().push(line[..length].to_vec());
        assert_found(&torn, &["cut"], seq);
        // At a line's end.
        if !is_active {
            assert_found(&log, &["cut"], seq);
        } else if places.len() > 1 {
            assert_eq!(log.verify().finding, None);
            let head = log.verify_against(vec![*known.last().unwrap()]).finding.unwrap();
            prop_assert_eq!((head.kind, head.seq, head.last_seq), ("tail_cut", Some(seq), Some(newest)));
        }
    }

    #[test]
    fn a_chain_that_was_written_anew(log in logs(), at: Index) {
        let mut log = log;
        let known = log.links();
        let from = at.index(known.len());
        log.rechain(from);
        // The chain alone can't show it.
        assert_whole(&log);
        let head = log.verify_against(vec![*known.last().unwrap()]).finding.unwrap();
        prop_assert_eq!((head.kind, head.seq), ("rewritten", Some(known.last().unwrap().seq)));
        let sink = log.verify_against(known.clone()).finding.unwrap();
        prop_assert_eq!((sink.kind, sink.seq), ("rewritten", Some(known[from].seq)));
    }

    #[test]
    fn a_record_beside_the_chain(log in logs(), at: Index) {
        // It names another record than the one before it.
        let mut log = log;
        let places = log.places();
        prop_assume!(places.len() > 1);
        let place = &places[1 + at.index(places.len() - 1)];
        let seq = ends(log.line(place)).seq;
        let line = renamed(log.line(place), super::Hash([9; 32]));
        *log.line_mut(place) = line;
        let found = log.verify().finding.unwrap();
        // A file of one record is as good as another file.
        prop_assert!(["rehashed", "file_swapped"].contains(&found.kind), "{:?}", found);
        prop_assert!(found.seq == Some(seq) || found.seq == Some(seq - 1));
    }

    #[test]
    fn a_file_that_is_gone(log in logs(), at: Index) {
        let mut log = log;
        let names = log.names();
        prop_assume!(names.len() > 1);
        let name = &names[at.index(names.len() - 1)];
        let seq = ends(&log.files[name][0]).seq;
        log.files.remove(name);
        let report = assert_found(&log, &["file_missing"], seq);
        prop_assert_eq!(report.further, 0);
        prop_assert_eq!(report.finding.unwrap().file, Some(name.clone()));
    }

    #[test]
    fn files_that_changed_names(log in logs(), one: Index, two: Index) {
        let mut log = log;
        let names = log.names();
        let (one, two) = (one.index(names.len()), two.index(names.len()));
        prop_assume!(one != two);
        let first = &names[one.min(two)];
        let seq = ends(&log.files[first][0]).seq;
        let content = log.files.remove(&names[one]).unwrap();
        let other = log.files.insert(names[two].clone(), content).unwrap();
        log.files.insert(names[one].clone(), other);
        assert_found(&log, &["file_renamed"], seq);
    }

    #[test]
    fn a_file_with_another_name(log in logs(), at: Index, name in 0..3usize) {
        let mut log = log;
        let names = log.names();
        prop_assume!(names.len() > 1);
        let old = &names[at.index(names.len() - 1)];
        let seq = ends(&log.files[old][0]).seq;
        let content = log.files.remove(old).unwrap();
        let name = [files::rotated(LOG, 99), format!("{LOG}.old"), format!("{LOG}-x")][name].clone();
        log.files.insert(name.clone(), content);
        let report = assert_found(&log, &["file_renamed"], seq);
        prop_assert_eq!(report.finding.unwrap().file, Some(name));
    }

    #[test]
    fn a_file_over_another(log in logs(), from: Index, to: Index) {
        let mut log = log;
        let names = log.names();
        let (from, to) = (from.index(names.len()), to.index(names.len()));
        prop_assume!(from != to);
        let seq = ends(&log.files[&names[to]][0]).seq;
        let copy = log.files[&names[from]].clone();
        log.files.insert(names[to].clone(), copy);
        let report = log.verify();
        let found = report.finding.unwrap();
        prop_assert_eq!((found.kind, found.file.as_ref()), ("file_swapped", Some(&names[to])));
        prop_assert!(found.seq.is_none() || found.seq == Some(seq) || found.seq == Some(1), "{:?}", found);
        prop_assert_eq!(report.further, 0);
    }

    #[test]
    fn a_file_that_was_added(log in logs(), at: Index) {
        let mut log = log;
        let names = log.names();
        let name = files::rotated(LOG, 99);
        let copy = log.files[at.get(&names)].clone();
        log.files.insert(name.clone(), copy);
        let report = log.verify();
        let found = report.finding.unwrap();
        prop_assert_eq!((found.kind, found.file), ("file_added", Some(name)));
        prop_assert_eq!(report.further, 0);
    }

    #[test]
    fn a_file_of_another_log(shape in shapes(), at: Index) {
        // Same numbers, other records.
        let mut log = Log::of(&shape);
        let names = log.names();
        prop_assume!(names.len() > 2);
        let name = &names[1 + at.index(names.len() - 2)];
        let seq = ends(&log.files[name][0]).seq;
        let mut other = log.clone();
        other.rechain(0);
        log.files.insert(name.clone(), other.files[name].clone());
        let report = log.verify();
        let found = report.finding.unwrap();
        prop_assert_eq!((found.kind, found.seq), ("file_swapped", Some(seq)));
        prop_assert_eq!(report.further, 0);
    }
}
