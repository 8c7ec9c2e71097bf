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
use super::log::Log;
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
    let log = super::log(common, query.log.as_deref())?;
    let pieces = log.existing()?;
    for note in &pieces.notes {
        screen.warn(note);
    }
    let mut printer = Printer::new(screen);
    let mut unread = Unread::default();
    match query.last {
        None => {
            let print = &mut |line: &[u8], entry: &Entry| printer.record(line, entry);
            for piece in &pieces.list {
                let stops = scan::matching(&log, piece, &filter, &mut unread, print)?;
                if stops.is_break() {
                    break;
                }
            }
        }
        Some(count) => {
            for line in last(&log, &pieces.list, &filter, count.get(), &mut unread)? {
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
