//! `audit verify`: whether the log is what was written.

mod show;
mod sink;
mod snapshot;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use secure_exec::failure::Failure;
use secure_exec_core::audit::chain::Link;
use secure_exec_core::audit::files;
use secure_exec_core::audit::head::{Head, VerifyingKey};
use secure_exec_core::audit::state::State;
use secure_exec_core::audit::verify::{HeadProblem, Layout, Options, Report, Verifier, Witness};
use secure_exec_core::escape::Escaped;

use super::log::Log;
use super::logs::Logs;
use crate::cli::Common;
use crate::screen::Screen;
use sink::Sink;
use snapshot::Piece;

/// `audit verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The log; if none is named, the one that a launch would write
    log: Option<PathBuf>,
    /// Public key of the signed head, which shows a cut end and a chain that was written anew
    #[arg(long, value_name = "PUBLIC.pem")]
    key: Option<PathBuf>,
    /// What a second sink got: lines of the log, of syslog, or of journalctl -o json
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Accept what lies before this record
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
}

/// Verifies; the status is 1 where anything is wrong.
pub(crate) fn run(common: &Common, verify: &Verify, screen: Screen) -> Result<ExitCode, Failure> {
    let logs = Logs::of(common, verify.log.as_deref())?;
    for note in &logs.notes {
        screen.warn(note);
    }
    let is_alone = logs.list.len() == 1;
    let of_one = verify.from.is_some() || verify.against.is_some();
    if of_one && !is_alone {
        // Numbers, and what a sink got, are one log's.
        return Err(logs
            .only()
            .map_or_else(|several| several, |log| log.missing()));
    }
    let mut all = Vec::with_capacity(logs.list.len());
    for log in logs.list {
        all.push(one(log, verify)?);
    }
    if screen.json {
        let shown: Vec<_> = all.iter().map(show::json).collect();
        let alone = shown.first().filter(|_| is_alone).cloned();
        screen.print_json(&alone.unwrap_or_else(|| serde_json::json!({ "logs": shown })))?;
    } else {
        for verified in &all {
            screen.print(&show::text(verified, screen))?;
        }
    }
    let is_broken = all.iter().any(|verified| verified.report.finding.is_some());
    Ok(ExitCode::from(u8::from(
        is_broken || !logs.notes.is_empty(),
    )))
}

fn one(log: Log, verify: &Verify) -> Result<Verified, Failure> {
    if let Some(active) = snapshot::past_of(&log) {
        return Err(log.failed(&format!(
            "it is a rotated file of '{}'\n\
             Name that one: the files of a log are verified together.",
            Escaped(active)
        )));
    }
    of(log, verify)
}

/// Whether the log is whole, and a sentence or two on it; `None` where it is
/// but a part of one.
pub(super) fn briefly(log: &Log, key: Option<&Path>) -> Result<Option<(bool, String)>, Failure> {
    if snapshot::past_of(log).is_some() {
        return Ok(None);
    }
    let verify = Verify {
        log: None,
        key: key.map(Path::to_path_buf),
        against: None,
        from: None,
    };
    let verified = of(log.clone(), &verify)?;
    let is_whole = verified.report.finding.is_none();
    Ok(Some((is_whole, show::sentence(&verified))))
}

/// What was verified, and by what.
#[derive(Debug)]
struct Verified {
    log: Log,
    bytes: u64,
    report: Report,
    /// In the order of the report's testimonies.
    witnesses: Vec<Known>,
}

/// A witness.
#[derive(Debug)]
enum Known {
    /// The signed head: when it was signed.
    Head(String),
    /// A second sink's file.
    Sink(PathBuf),
    /// The writers' own note.
    State,
}

/// A witness that is not believed is heard again so often, if it says something
/// else by then: it may have been read while it was written.
const AGAIN: usize = 2;

fn of(log: Log, verify: &Verify) -> Result<Verified, Failure> {
    let key = verify.key.as_deref().map(read_key).transpose()?;
    let sink = verify.against.as_deref().map(Sink::open).transpose()?;
    let mut again = AGAIN;
    loop {
        let (heard, pieces, layout) = at_one_moment(&log, key.as_ref())?;
        let (options, witnesses) = heard.options(verify.from, sink.as_ref());
        let report = read(&log, &pieces, layout, options)?;
        let finding = report.finding.as_ref();
        let is_doubtful = finding.is_some_and(|finding| {
            matches!(finding.kind, "tail_cut" | "rewritten" | "head_invalid")
        });
        if is_doubtful && again > 0 && Heard::of(&log, key.as_ref())? != heard {
            again -= 1;
            continue;
        }
        if finding.is_none() {
            check(&log, verify, &report)?;
            if let (Some(sink), Some(said)) = (&sink, report.testimonies.last()) {
                sink.check(said.confirmed, said.unordered)?;
            }
        }
        return Ok(Verified {
            bytes: pieces.iter().map(Piece::size).sum(),
            log,
            report,
            witnesses,
        });
    }
}

/// Nothing wrong in nothing is no answer.
fn check(log: &Log, verify: &Verify, report: &Report) -> Result<(), Failure> {
    match verify.from {
        Some(from) if report.records == 0 => Err(log.failed(&format!(
            "it has no record from {from} on\nName an earlier one with --from."
        ))),
        _ => Ok(()),
    }
}

/// What the log's own witnesses said before it was looked at.
#[derive(PartialEq, Eq)]
struct Heard {
    head: Option<Result<(Head, Link), HeadProblem>>,
    state: Option<Link>,
}

impl Heard {
    fn of(log: &Log, key: Option<&VerifyingKey>) -> Result<Self, Failure> {
        Ok(Self {
            head: key.map(|key| head(log, key)).transpose()?,
            state: state(log)?,
        })
    }

    fn options<'a>(&self, from: Option<u64>, sink: Option<&'a Sink>) -> (Options<'a>, Vec<Known>) {
        let mut options = Options {
            from,
            ..Options::default()
        };
        let mut known = Vec::new();
        match &self.head {
            None => {}
            Some(Ok((head, link))) => {
                let witness = Witness::of_one("the signed head", *link);
                options.witnesses.push(witness);
                known.push(Known::Head(head.timestamp.clone()));
            }
            Some(Err(problem)) => options.head = Some(problem.clone()),
        }
        if let Some(last) = self.state {
            let links = std::iter::once(last);
            let witness = Witness::new("the writers' state", links);
            options.witnesses.push(witness);
            known.push(Known::State);
        }
        if let Some(sink) = sink {
            let witness = Witness::new(sink.name(), sink.links());
            options.witnesses.push(witness);
            known.push(Known::Sink(sink.path().to_path_buf()));
        }
        (options, known)
    }

    fn signed(&self) -> Option<Link> {
        match &self.head {
            Some(Ok((_, link))) => Some(*link),
            _ => None,
        }
    }
}

/// The witnesses first, then the files, which so have all that the witnesses
/// know. Should the log have been rotated so often in between that the head's
/// record is removed by now, there is a newer head.
fn at_one_moment(
    log: &Log,
    key: Option<&VerifyingKey>,
) -> Result<(Heard, Vec<Piece>, Layout), Failure> {
    let mut heard = Heard::of(log, key)?;
    loop {
        let pieces = snapshot::of(log)?;
        if pieces.is_empty() {
            return Err(log.missing());
        }
        let parts = pieces
            .iter()
            .map(|piece| piece.part().map_err(|error| failed(log, piece, error)));
        let layout = Layout::of(log.name(), parts.collect::<Result<_, _>>()?);
        let is_gone = |signed: Link| layout.first().is_some_and(|first| signed.seq < first);
        if heard.signed().is_some_and(is_gone) {
            let newer = Heard::of(log, key)?;
            if newer.signed() != heard.signed() {
                heard = newer;
                continue;
            }
        }
        return Ok((heard, pieces, layout));
    }
}

fn failed(log: &Log, piece: &Piece, error: io::Error) -> Failure {
    log.failed(&format!("'{}': {error}", Escaped(&piece.name)))
}

fn read(
    log: &Log,
    pieces: &[Piece],
    layout: Layout,
    options: Options<'_>,
) -> Result<Report, Failure> {
    let names: Vec<String> = layout.names().map(str::to_string).collect();
    let mut verifier = Verifier::new(layout, options);
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            verifier.next_file();
        }
        let Some(piece) = pieces.iter().find(|piece| piece.name == *name) else {
            continue;
        };
        let mut lines = piece.lines();
        loop {
            match lines.next() {
                Ok(Some(line)) => verifier.line(snapshot::text(&line)),
                Ok(None) => break,
                Err(error) if error.raw_os_error().is_some() => {
                    return Err(failed(log, piece, error));
                }
                // Of compressed data.
                Err(error) => {
                    verifier.damaged(error.to_string());
                    break;
                }
            }
            if verifier.skips_file() {
                break;
            }
        }
    }
    Ok(verifier.finish())
}

fn read_key(path: &Path) -> Result<VerifyingKey, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        let shown = path.to_string_lossy();
        Failure::own(format!("the key '{}': {why}", Escaped(&shown)))
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    VerifyingKey::from_pem(&text).map_err(|error| failed(&error))
}

/// A small file that a writer may be writing is read so often at most, until
/// it is the same twice: longer than any writer takes.
const READINGS: usize = 1000;

/// The signed head. A writer may be writing it: what is not right is read
/// again, until it is the same twice.
fn head(log: &Log, key: &VerifyingKey) -> Result<Result<(Head, Link), HeadProblem>, Failure> {
    let name = files::head(log.name());
    let mut before = None;
    let mut problem = String::new();
    for _ in 0..READINGS {
        let bytes = match snapshot::read(log, &name) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let why = format!("there is no file '{}'", Escaped(&name));
                return Ok(Err(HeadProblem::Missing(why)));
            }
            Err(error) => return Err(log.failed(&format!("'{}': {error}", Escaped(&name)))),
        };
        match Head::verify(&bytes, key) {
            Ok(head) => return Ok(Ok(head)),
            Err(error) => problem = error.to_string(),
        }
        if before.as_ref() == Some(&bytes) {
            break;
        }
        before = Some(bytes);
    }
    Ok(Err(HeadProblem::Invalid(problem)))
}

/// The last record that the writers' state knows. Where the file is missing,
/// not for this user, or none, it is no witness; anybody who may write the log may write it. It
/// counts once it is the same twice: nothing else tells whether a writer was
/// writing it.
fn state(log: &Log) -> Result<Option<Link>, Failure> {
    let name = files::state(log.name());
    let mut before = None;
    for _ in 0..READINGS {
        let bytes = match snapshot::read(log, &name) {
            Ok(bytes) => bytes,
            Err(error) if is_withheld(&error) => return Ok(None),
            Err(error) => return Err(log.failed(&format!("'{}': {error}", Escaped(&name)))),
        };
        if before.as_ref() == Some(&bytes) {
            let state = State::parse(&bytes);
            return Ok(state.map(|state| state.last).filter(|last| last.seq > 0));
        }
        before = Some(bytes);
    }
    Ok(None)
}

fn is_withheld(error: &io::Error) -> bool {
    use io::ErrorKind::{NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | PermissionDenied)
}
