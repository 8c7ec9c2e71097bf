//! Following a log from a record on, through whatever happens to its files:
//! rotation (several in between too), renaming, copying and emptying, removal.
//!
//! What keeps records from being lost or seen twice are their numbers, not the
//! files' names: whenever the next record of the active file is not the one
//! after the last, those between are looked for in all other files. When to
//! look is the caller's matter; any number of looks is right.

use std::collections::{HashSet, VecDeque};
use std::ops::ControlFlow;

use secure_exec::failure::Failure;
use secure_exec_core::audit::chain::Ends;

use super::Flow;
use super::filter::Filter;
use super::log::Log;
use super::open::{Block, Open};
use super::piece::{Beginning, Id, Piece};
use super::scan::{self, Unread};

/// A place in a log that moves on.
pub(crate) struct Follower<'a> {
    log: &'a Log,
    /// The active file, or the one that was active when last looked.
    current: Option<Open>,
    /// The active file before: whoever had it open may write a last record.
    before: Option<Open>,
    /// Which files these two are.
    open: [Option<Id>; 2],
    /// Number of the last record, where records have numbers.
    last: Option<u64>,
    /// How files begin whose records are behind.
    known: HashSet<Beginning>,
    /// How files begin that belong to a chain that has ended.
    stale: HashSet<Beginning>,
    /// What deserves a warning.
    pub(crate) notes: Vec<String>,
}

/// What a line is handed to.
pub(crate) type Each<'a> = dyn FnMut(&[u8]) -> Flow + 'a;

impl<'a> Follower<'a> {
    /// Goes to the end of a log. Returns the last lines of it that the filter
    /// wants, oldest first, as many as `count`.
    pub(crate) fn start(
        log: &'a Log,
        filter: &Filter,
        count: usize,
        unread: &mut Unread,
    ) -> Result<(Self, VecDeque<Vec<u8>>), Failure> {
        let current = log.active()?.map(Open::new).transpose();
        let current = current.map_err(|error| log.failed(&error))?;
        let pieces = log.pieces()?;
        let known = pieces
            .list
            .iter()
            .filter_map(|piece| piece.beginning.clone());
        let mut follower = Self {
            log,
            known: known.collect(),
            current: None,
            before: None,
            open: [None; 2],
            last: None,
            stale: HashSet::new(),
            notes: pieces.notes,
        };
        let mut lines = VecDeque::new();
        let mut older = pieces.list;
        if let Some(mut current) = current {
            // What was rotated meanwhile comes later.
            if let Some(place) = older.iter().position(|piece| piece.id == current.id) {
                older.truncate(place);
            }
            follower.read_to_end(&mut current, filter, count, unread, &mut lines)?;
            follower.go_on_in(current);
        }
        let room = count.saturating_sub(lines.len());
        let mut found = super::query::last(log, &older, filter, room, unread)?;
        found.append(&mut lines);
        if follower.last.is_none() {
            let is_new = follower.known.is_empty();
            follower.last = last_number(log, &older)?.or(is_new.then_some(0));
        }
        Ok((follower, found))
    }

    /// Reads the active file for the first time.
    fn read_to_end(
        &mut self,
        current: &mut Open,
        filter: &Filter,
        count: usize,
        unread: &mut Unread,
        lines: &mut VecDeque<Vec<u8>>,
    ) -> Result<(), Failure> {
        let name = self.log.path().to_string_lossy().into_owned();
        let mut number = 0_u64;
        while let Block::Lines(block) = current.block().map_err(|e| self.log.failed(&e))? {
            if current.offset == 0 {
                current.beginning = Beginning::start(&block);
            }
            for line in block.split_inclusive(|byte| *byte == b'\n') {
                number = number.saturating_add(1);
                current.pass(line);
                self.last = Ends::of(line).map(|ends| ends.seq).or(self.last);
                if count == 0 {
                    continue;
                }
                match filter.wants(line) {
                    None => unread.note(&name, number),
                    Some(true) => keep(lines, line, count),
                    Some(false) => {}
                }
            }
        }
        Ok(())
    }

    /// Hands over every whole line that has come since, in order.
    pub(crate) fn look(&mut self, each: &mut Each<'_>) -> Flow {
        loop {
            if self.drain(each)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let Some(active) = self.log.active()? else {
                // It was renamed or removed, and nothing is recorded since.
                return self.fill(None, each);
            };
            let id = Id::of(&active).map_err(|error| self.log.failed(&error))?;
            if self.current.as_ref().is_some_and(|open| open.id == id) {
                let is_empty = self.current.as_ref().is_some_and(|open| open.offset == 0);
                return if is_empty {
                    self.fill(None, each)
                } else {
                    Ok(ControlFlow::Continue(()))
                };
            }
            // More may have been written to the other before it lost its name.
            let open = Open::new(active).map_err(|error| self.log.failed(&error))?;
            self.go_on_in(open);
        }
    }

    fn go_on_in(&mut self, next: Open) {
        let [current, _] = self.open;
        self.open = [Some(next.id), current];
        self.before = self.current.replace(next);
    }

    /// Reads on in the files that are open.
    fn drain(&mut self, each: &mut Each<'_>) -> Flow {
        if self.drain_before(each)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let Some(mut current) = self.current.take() else {
            return Ok(ControlFlow::Continue(()));
        };
        let flow = self.read_on(&mut current, each);
        self.current = Some(current);
        flow
    }

    fn drain_before(&mut self, each: &mut Each<'_>) -> Flow {
        let Some(mut before) = self.before.take() else {
            return Ok(ControlFlow::Continue(()));
        };
        let flow = self.read_on(&mut before, each);
        self.before = Some(before);
        flow
    }

    fn read_on(&mut self, open: &mut Open, each: &mut Each<'_>) -> Flow {
        loop {
            match open.block().map_err(|error| self.log.failed(&error))? {
                Block::Nothing => return Ok(ControlFlow::Continue(())),
                Block::Rewritten => open.rewind(),
                Block::Lines(block) => {
                    if open.offset == 0 {
                        self.meet(open, &block)?;
                    }
                    for line in block.split_inclusive(|byte| *byte == b'\n') {
                        let is_behind = open.is_behind(line);
                        open.pass(line);
                        if !is_behind && self.offer(line, each)?.is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                }
            }
        }
    }

    /// A content that is read for the first time: is it a copy, or does
    /// another chain begin?
    fn meet(&mut self, open: &mut Open, block: &[u8]) -> Result<(), Failure> {
        let Some(beginning) = Beginning::start(block) else {
            return Ok(());
        };
        if self.known.contains(&beginning) {
            open.behind = self.last;
        } else if beginning.seq() <= self.last && beginning.seq().is_some() {
            let pieces = self.log.pieces()?.list;
            let others = pieces.into_iter().filter_map(|piece| piece.beginning);
            self.stale = others.filter(|other| *other != beginning).collect();
            self.last = None;
        }
        self.known.insert(beginning.clone());
        open.beginning = Some(beginning);
        Ok(())
    }

    /// Hands over a line that was never read before.
    fn offer(&mut self, line: &[u8], each: &mut Each<'_>) -> Flow {
        if let Some(seq) = Ends::of(line).map(|ends| ends.seq) {
            if self.lacks(seq) && self.drain_before(each)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.lacks(seq) && self.fill(Some(seq), each)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if let Some(last) = self.last.filter(|_| self.lacks(seq)) {
                let (from, to) = (last.saturating_add(1), seq.saturating_sub(1));
                self.notes.push(format!(
                    "the records {from} to {to} are in none of the log's files\n\
                     'secure-execctl audit verify' says whether they were removed as they should be."
                ));
            }
            self.last = Some(seq);
        }
        each(line)
    }

    /// Whether there are records between the last and this one.
    fn lacks(&self, seq: u64) -> bool {
        self.last.is_some_and(|last| seq > last.saturating_add(1))
    }

    /// Hands over the records after the last and before `end` that are in
    /// other files than the open ones.
    fn fill(&mut self, end: Option<u64>, each: &mut Each<'_>) -> Flow {
        let mut others: Vec<(u64, Piece)> = Vec::new();
        for piece in self.log.pieces()?.list {
            let Some(beginning) = &piece.beginning else {
                continue;
            };
            // The active file is opened before it is read.
            if piece.is_active || self.open.contains(&Some(piece.id)) {
                continue;
            }
            let first = beginning.seq().filter(|_| !self.stale.contains(beginning));
            others.extend(first.map(|first| (first, piece)));
        }
        others.sort_by_key(|(first, _)| *first);
        let firsts: Vec<u64> = others.iter().map(|(first, _)| *first).collect();
        for (place, (first, piece)) in others.iter().enumerate() {
            let Some(last) = self.last else { break };
            let is_after = end.is_some_and(|end| *first >= end);
            let following = firsts.get(place.saturating_add(1));
            let is_before = following.is_some_and(|next| *next <= last.saturating_add(1));
            if is_after || is_before {
                continue;
            }
            self.known.extend(piece.beginning.clone());
            let from = &mut |line: &[u8], _: &mut Unread, _| {
                let Some(seq) = Ends::of(line).map(|ends| ends.seq) else {
                    return Ok(ControlFlow::Continue(()));
                };
                let is_wanted = self.last.is_none_or(|last| seq > last);
                if !is_wanted || end.is_some_and(|end| seq >= end) {
                    return Ok(ControlFlow::Continue(()));
                }
                self.last = Some(seq);
                each(line)
            };
            if scan::lines(self.log, piece, &mut Unread::default(), from)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Keeps the last lines, as many as that.
pub(crate) fn keep(lines: &mut VecDeque<Vec<u8>>, line: &[u8], count: usize) {
    if lines.len() == count {
        lines.pop_front();
    }
    lines.push_back(line.to_vec());
}

/// The number of the last record that has one.
fn last_number(log: &Log, pieces: &[Piece]) -> Result<Option<u64>, Failure> {
    for piece in pieces.iter().rev() {
        let mut last = None;
        let from = &mut |line: &[u8], _: &mut Unread, _| {
            last = Ends::of(line).map(|ends| ends.seq).or(last);
            Ok(ControlFlow::Continue(()))
        };
        let _never_breaks = scan::lines(log, piece, &mut Unread::default(), from)?;
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}
