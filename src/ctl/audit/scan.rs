//! Going through a file of a log, record by record.

use std::ops::ControlFlow;

use secure_exec_core::escape::Escaped;

use super::Flow;
use super::entry::Entry;
use super::filter::Filter;
use super::lines::Line;
use super::log::Log;
use super::piece::Piece;
use crate::screen::Screen;

/// Lines that are no records.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    /// How many.
    pub(crate) count: u64,
    /// Where the first is.
    first: Option<String>,
}

impl Unread {
    /// Takes down a line that is no record.
    pub(crate) fn note(&mut self, name: &str, line: u64) {
        self.count = self.count.saturating_add(1);
        self.first
            .get_or_insert_with(|| format!("'{}', line {line}", Escaped(name)));
    }

    /// Says that there are some.
    pub(crate) fn report(&self, screen: Screen) {
        if let Some(first) = &self.first {
            screen.warn(&format!(
                "{}; the first is in {first}\n\
                 'secure-execctl audit verify' says what is wrong with the log.",
                super::counted(
                    self.count,
                    "line of the log is no record",
                    "lines of the log are no records"
                )
            ));
        }
    }
}

/// Calls `each` with every line and record of a file that the filter wants,
/// until it breaks off.
pub(crate) fn matching(
    log: &Log,
    piece: &Piece,
    filter: &Filter,
    unread: &mut Unread,
    each: &mut dyn FnMut(&[u8], &Entry) -> Flow,
) -> Flow {
    lines(log, piece, unread, &mut |line, unread, number| {
        if !filter.may_match(line) {
            return Ok(ControlFlow::Continue(()));
        }
        match Entry::parse(line) {
            None => unread.note(&piece.name, number),
            Some(entry) if filter.matches(&entry) => return each(line, &entry),
            Some(_) => {}
        }
        Ok(ControlFlow::Continue(()))
    })
}

type EachLine<'a> = dyn FnMut(&[u8], &mut Unread, u64) -> Flow + 'a;

/// Calls `each` with every whole line of a file and its number.
pub(crate) fn lines(
    log: &Log,
    piece: &Piece,
    unread: &mut Unread,
    each: &mut EachLine<'_>,
) -> Flow {
    let failed = |error| log.failed(&format!("'{}': {error}", Escaped(&piece.name)));
    let mut lines = match piece.lines() {
        Ok(lines) => lines,
        // Its time was over while the files before it were read.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(ControlFlow::Continue(()));
        }
        Err(error) => return Err(failed(error)),
    };
    loop {
        let number = lines.number().saturating_add(1);
        match lines.next().map_err(failed)? {
            None => return Ok(ControlFlow::Continue(())),
            Some(Line::Whole(line)) => {
                if each(line, unread, number)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Some(Line::TooLong) => unread.note(&piece.name, number),
            // Of the active file, it is being written.
            Some(Line::Unfinished { is_too_long, .. }) => {
                if is_too_long || !piece.is_active {
                    unread.note(&piece.name, number);
                }
            }
        }
    }
}
