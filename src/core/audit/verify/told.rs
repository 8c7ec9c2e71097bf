//! What was found so far: the first thing that is wrong in full, the others by
//! their number, and what belongs together.

use std::collections::VecDeque;

use super::super::files;
use super::Note;
use super::finding::{Found, Why};
use super::item::Place;
use super::verifier::Verifier;

/// Notes that are kept.
const NOTES: usize = 100;
/// Gaps and strays that are remembered.
const REMEMBERED: usize = 64;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What is wrong first, and which finding it was.
    first: Option<(u64, Found)>,
    count: u64,
    pub(super) notes: Vec<Note>,
    pub(super) more_notes: u64,
}

impl Told {
    pub(super) fn first(&self) -> Option<&Found> {
        self.first.as_ref().map(|(_, found)| found)
    }

    /// How many things are wrong beside the first.
    pub(super) const fn further(&self) -> u64 {
        self.count.saturating_sub(1)
    }

    pub(super) fn note(&mut self, note: Note) {
        if self.notes.len() < NOTES {
            self.notes.push(note);
        } else {
            self.more_notes = self.more_notes.saturating_add(1);
        }
    }

    fn add(&mut self, found: Found) -> u64 {
        self.count = self.count.saturating_add(1);
        let order = |found: &Found| (found.at, found.why.rank());
        let known = self.first().map(order);
        if known.is_none_or(|known| order(&found) < known) {
            self.first = Some((self.count, found));
        }
        self.count
    }
}

impl Verifier<'_> {
    /// Reports something wrong with records from `first` to `last`. Returns
    /// the finding's number.
    pub(super) fn report(&mut self, why: Why, place: Option<Place>, first: u64, last: u64) -> u64 {
        self.report_found(Found {
            why,
            place,
            file: None,
            first: Some(first),
            last: Some(last),
            at: first,
        })
    }

    /// Reports a line that is too much.
    pub(super) fn report_stray(&mut self, why: Why, place: Place, seq: Option<u64>) -> u64 {
        self.report_found(Found {
            why,
            place: Some(place),
            file: None,
            first: seq,
            last: seq,
            at: self.last.seq.saturating_add(1),
        })
    }

    /// Reports that the signed head is none.
    pub(super) fn report_head(&mut self, why: Why) {
        self.report_found(Found {
            why,
            place: None,
            file: Some(files::head(&self.layout.log)),
            first: None,
            last: None,
            at: u64::MAX,
        });
    }

    pub(super) fn report_found(&mut self, found: Found) -> u64 {
        self.told.add(found)
    }

    /// Changes what was said, if it is what is wrong first.
    pub(super) fn amend(&mut self, id: u64, change: impl FnOnce(&mut Found)) {
        if let Some((first, found)) = &mut self.told.first
            && *first == id
        {
            change(found);
        }
    }

    pub(super) fn note(&mut self, place: Place, seq: Option<u64>, text: String) {
        let part = self.layout.parts.get(place.part);
        self.told.note(Note {
            file: part.map_or_else(String::new, |part| part.name.clone()),
            line: (place.line > 0).then_some(place.line),
            seq,
            text,
        });
    }
}

/// Ranges of numbers, and the findings that they belong to.
#[derive(Debug, Default)]
pub(super) struct Remembered(VecDeque<(u64, u64, u64)>);

impl Remembered {
    pub(super) fn add(&mut self, first: u64, last: u64, id: u64) {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((first, last, id));
    }

    /// The finding that numbers belong to.
    pub(super) fn of(&self, first: u64, last: u64) -> Option<u64> {
        let mut ranges = self.0.iter();
        ranges
            .find(|range| range.0 <= first && last <= range.1)
            .map(|range| range.2)
    }

    /// The newest range goes on.
    pub(super) fn extend(&mut self, last: u64) {
        if let Some(range) = self.0.back_mut() {
            range.1 = range.1.max(last);
        }
    }

    pub(super) fn newest(&self) -> Option<(u64, u64, u64)> {
        self.0.back().copied()
    }
}
