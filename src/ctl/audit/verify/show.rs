//! What is said of a log that was verified.

use secure_exec_core::audit::verify::{Note, Testimony};
use secure_exec_core::escape::Escaped;
use serde_json::{Value, json};

use super::{Known, Verified};
use crate::screen::{Screen, Tone};

/// Notes that are printed as text.
const NOTES: usize = 10;

/// What neither chain nor state can show.
const LIMIT: &str = "Records cut off at the end, and a chain written anew up to its end, \
                     show only with --key (the signed head) or --against (a second sink).";

/// As few lines.
pub(super) fn text(verified: &Verified, screen: Screen) -> String {
    let report = &verified.report;
    let name = Escaped(verified.log.name());
    let mut lines = Vec::new();
    let verdict = match &report.finding {
        None => screen.tone(Tone::Good, "whole"),
        Some(_) => screen.tone(Tone::Bad, "not whole"),
    };
    lines.push(format!("{name}: {verdict}: {}", extent(verified)));
    if let Some(finding) = &report.finding {
        let mut place = Escaped(finding.file.as_deref().unwrap_or(verified.log.name())).to_string();
        if let Some(line) = finding.line {
            place = format!("{place}:{line}");
        }
        let kind = screen.tone(Tone::Bad, finding.kind);
        lines.push(format!("{place}: {kind}: {}", finding.reason));
        lines.push(finding.cure.clone());
        match report.further {
            0 => {}
            1 => lines.push("One more thing is wrong after that.".into()),
            more => lines.push(format!("{more} more things are wrong after that.")),
        }
    }
    for (known, said) in verified.witnesses.iter().zip(&report.testimonies) {
        lines.extend(witness(known, said, report.last.map(|last| last.seq)));
    }
    for note in report.notes.iter().take(NOTES) {
        lines.push(format!("note: {}", of_note(note)));
    }
    let more = notes_left(verified);
    if more > 0 {
        lines.push(format!("{more} more notes; --json has more of them"));
    }
    if is_limited(verified) {
        lines.push(LIMIT.into());
    }
    lines.push(String::new());
    lines.join("\n")
}

/// In a sentence or two.
pub(super) fn sentence(verified: &Verified) -> String {
    match &verified.report.finding {
        None if is_limited(verified) => format!("{}. {LIMIT}", extent(verified)),
        None => format!("{}.", extent(verified)),
        Some(finding) => {
            let file = finding.file.as_deref().unwrap_or(verified.log.name());
            let line = finding.line.map(|line| format!(":{line}"));
            let place = format!("{}{}", Escaped(file), line.unwrap_or_default());
            let more = match verified.report.further {
                0 => String::new(),
                more => format!(" ({more} more)"),
            };
            format!("{place}: {}: {}{more}", finding.kind, finding.reason)
        }
    }
}

fn extent(verified: &Verified) -> String {
    let report = &verified.report;
    let files = match report.files.len() {
        1 => "1 file".to_string(),
        count => format!("{count} files"),
    };
    match (report.first, report.last) {
        (Some(first), Some(last)) => {
            format!(
                "{} records, {first} to {}, in {files}",
                report.records, last.seq
            )
        }
        (Some(first), None) => format!("{} records, from {first} on, in {files}", report.records),
        _ => format!("no record yet, in {files}"),
    }
}

/// What a witness said, where it did not contradict.
fn witness(known: &Known, said: &Testimony, last: Option<u64>) -> Option<String> {
    let confirmed = said.last?;
    match known {
        Known::Head(time) => {
            let rest = match last.unwrap_or(confirmed).saturating_sub(confirmed) {
                0 => String::new(),
                1 => "; the one after it is not signed yet".to_string(),
                more => format!("; the {more} after it are not signed yet"),
            };
            Some(format!(
                "signed head: record {confirmed}, signed {}{rest}",
                Escaped(time)
            ))
        }
        Known::Sink(path) => {
            let unknown = match said.unknown() {
                0 => String::new(),
                1 => "; 1 record before that is not in it".to_string(),
                more => format!("; {more} records before that are not in it"),
            };
            Some(format!(
                "{}: {} records are the same, the last is {confirmed}{unknown}",
                Escaped(&path.to_string_lossy()),
                said.confirmed
            ))
        }
        Known::State => None,
    }
}

fn of_note(note: &Note) -> String {
    let mut text = Escaped(&note.file).to_string();
    if let Some(line) = note.line {
        text = format!("{text}:{line}");
    }
    match note.seq {
        Some(seq) => format!("{text}: record {seq}: {}", note.text),
        None => format!("{text}: {}", note.text),
    }
}

fn notes_left(verified: &Verified) -> u64 {
    let kept = verified.report.notes.len().saturating_sub(NOTES);
    let kept = u64::try_from(kept).unwrap_or(u64::MAX);
    verified.report.more_notes.saturating_add(kept)
}

/// Whether none of the witnesses knows what whoever writes the log could not
/// have written.
fn is_limited(verified: &Verified) -> bool {
    let said = &verified.report.testimonies;
    let mut witnesses = verified.witnesses.iter().zip(said);
    !witnesses.any(|(known, said)| !matches!(known, Known::State) && said.confirmed > 0)
}

/// As one object.
pub(super) fn json(verified: &Verified) -> Value {
    let report = &verified.report;
    let files: Vec<Value> = report
        .files
        .iter()
        .map(|file| {
            json!({
                "name": file.name,
                "lines": file.lines,
                "first_seq": file.first,
                "last_seq": file.last,
            })
        })
        .collect();
    let notes: Vec<Value> = report
        .notes
        .iter()
        .map(|note| {
            json!({
                "file": note.file,
                "line": note.line,
                "seq": note.seq,
                "text": note.text,
            })
        })
        .collect();
    let witnesses = verified.witnesses.iter().zip(&report.testimonies);
    let witnesses: Vec<Value> = witnesses
        .map(|(known, said)| of_witness(known, said))
        .collect();
    let finding = report.finding.as_ref().map(|finding| {
        json!({
            "kind": finding.kind,
            "file": finding.file,
            "line": finding.line,
            "seq": finding.seq,
            "last_seq": finding.last_seq,
            "reason": finding.reason,
            "cure": finding.cure,
        })
    });
    json!({
        "log": verified.log.path().to_string_lossy(),
        "result": if report.finding.is_none() { "whole" } else { "not_whole" },
        "records": report.records,
        "bytes": verified.bytes,
        "first_seq": report.first,
        "last_seq": report.last.map(|last| last.seq),
        "last_hash": report.last.map(|last| last.hash.to_string()),
        "last_timestamp": report.last_time,
        "finding": finding,
        "further": report.further,
        "files": files,
        "notes": notes,
        "more_notes": report.more_notes,
        "witnesses": witnesses,
        "end_is_witnessed": !is_limited(verified),
    })
}

fn of_witness(known: &Known, said: &Testimony) -> Value {
    let (kind, name, time) = match known {
        Known::Head(time) => ("head", None, Some(time)),
        Known::Sink(path) => ("sink", Some(path.to_string_lossy()), None),
        Known::State => ("state", None, None),
    };
    json!({
        "type": kind,
        "file": name,
        "timestamp": time,
        "confirmed": said.confirmed,
        "first_seq": said.first,
        "last_seq": said.last,
        "unknown": said.unknown(),
        "earlier": said.earlier,
        "unordered": said.unordered,
    })
}
