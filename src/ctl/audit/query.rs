//! `audit query`.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use secure_exec::failure::Failure;

use super::entry::Entry;
use super::filter::{Chosen, Filter};
use super::follow::keep;
use super::log::{Log, Pieces};
use super::logs::{self, Logs};
use super::output::Printer;
use super::piece::Piece;
use super::scan::{self, Unread};
use crate::cli::Common;
use crate::screen::Screen;

/// `audit query`.
#[derive(Debug, Args)]
pub(crate) struct Query {
    /// The log (default: the launcher's)
    #[arg(value_name = "LOG")]
    log: Option<PathBuf>,
    #[command(flatten)]
    chosen: Chosen,
    /// Only the last N of them
    #[arg(long, value_name = "N")]
    last: Option<NonZeroUsize>,
}

/// Prints the records that are asked for.
pub(crate) fn run(common: &Common, query: Query, screen: Screen) -> Result<ExitCode, Failure> {
    let filter = Filter::new(query.chosen)?;
    let logs = Logs::of(common, query.log.as_deref())?;
    let found = logs.existing()?;
    for note in found.iter().flat_map(|(_, pieces)| &pieces.notes) {
        screen.warn(note);
    }
    let mut printer = Printer::new(screen);
    let mut unread = Unread::default();
    match query.last {
        None => {
            let print = &mut |line: &[u8], entry: &Entry| printer.record(line, entry);
            let _nobody_reads_on = logs::matching(&found, &filter, &mut unread, print)?;
        }
        Some(count) => {
            for line in last_of(&found, &filter, count.get(), &mut unread)? {
                let Some(entry) = Entry::parse(&line) else {
                    continue;
                };
                if printer.record(&line, &entry)?.is_break() {
                    break;
                }
            }
        }
    }
    let _nobody_reads_on = printer.flush()?;
    unread.report(screen);
    Ok(ExitCode::SUCCESS)
}

/// The last records of several logs that are wanted, oldest first.
fn last_of(
    logs: &[(&Log, Pieces)],
    filter: &Filter,
    count: usize,
    unread: &mut Unread,
) -> Result<VecDeque<Vec<u8>>, Failure> {
    let mut all = Vec::with_capacity(logs.len());
    for (log, pieces) in logs {
        all.push(last(log, &pieces.list, filter, count, unread)?);
    }
    Ok(latest(all, count))
}

/// The latest of the last lines of several logs, oldest first.
pub(crate) fn latest(mut logs: Vec<VecDeque<Vec<u8>>>, count: usize) -> VecDeque<Vec<u8>> {
    if let [_] = &logs[..] {
        return logs.pop().unwrap_or_default();
    }
    let time = |line: &Vec<u8>| Entry::parse(line).map(|entry| entry.time);
    let mut lines: Vec<Vec<u8>> = logs.into_iter().flatten().collect();
    lines.sort_by_cached_key(time);
    let first = lines.len().saturating_sub(count);
    lines.into_iter().skip(first).collect()
}

/// The last lines that are wanted, oldest first. Files are read from the
/// newest on, and no more of them than that takes.
pub(crate) fn last(
    log: &Log,
    pieces: &[Piece],
    filter: &Filter,
    count: usize,
    unread: &mut Unread,
) -> Result<VecDeque<Vec<u8>>, Failure> {
    let mut found: VecDeque<Vec<u8>> = VecDeque::new();
    for piece in pieces.iter().rev() {
        let room = count.saturating_sub(found.len());
        if room == 0 {
            break;
        }
        let mut here = VecDeque::new();
        let each = &mut |line: &[u8], unread: &mut Unread, number| {
            match filter.wants(line) {
                None => unread.note(&piece.name, number),
                Some(true) => keep(&mut here, line, room),
                Some(false) => {}
            }
            Ok(ControlFlow::Continue(()))
        };
        let _never_breaks = scan::lines(log, piece, unread, each)?;
        here.append(&mut found);
        found = here;
    }
    Ok(found)
}
