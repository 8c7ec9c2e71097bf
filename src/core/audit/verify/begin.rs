//! Where a log begins: with record 1, or with what its own rules have kept.

use super::super::files::Rotated;
use super::arrange::{Kept, Part};
use super::boundary::missing_name;
use super::finding::{Found, Why};
use super::item::{Item, Place, Record, What};
use super::verifier::Verifier;

impl Verifier<'_> {
    /// The first line that is not record 1.
    pub(super) fn begin(&mut self, item: Item) {
        let part = item.place.part;
        if item.place.line == 1 && self.is_file_too_much(&item) {
            return;
        }
        match item.genuine().cloned() {
            Some(first) if first.link.seq > 1 && !self.is_first_behind() => {
                if let Some(first) = self.first_of_file(part) {
                    let before = first.link.seq.saturating_sub(1);
                    self.set_last(before, Some(first.prev), item.place);
                } else {
                    self.gap_at_start(&item, &first);
                    self.skip_to(first.link.seq.saturating_sub(1), item.place);
                }
            }
            Some(_) => self.last.is_begun = true,
            None if self.begin_torn(&item) || self.begin_damaged(&item) => return,
            None => {}
        }
        self.ahead.push_front(item);
    }

    /// The first line has no end, and what was before it is not known. Returns
    /// whether that is so.
    fn begin_torn(&mut self, item: &Item) -> bool {
        let part = item.place.part;
        let mut behind = self.ahead.iter().filter_map(Item::genuine);
        let behind = behind
            .next()
            .map(|record| record.link.seq.saturating_sub(1));
        let is_whole = match &item.what {
            What::Other { is_whole } => *is_whole,
            _ => true,
        };
        let is_known = matches!(self.layout.kept(part), Kept::All | Kept::Since(1));
        let (Some(last), false, false) = (behind, is_whole, is_known) else {
            return false;
        };
        self.report_found(Found {
            why: Why::CutLine,
            place: Some(item.place),
            file: None,
            first: None,
            last: Some(last),
            at: last,
        });
        self.skip_to(last, item.place);
        true
    }

    /// The first line is no genuine record: its number is known by the first
    /// that is. Returns whether it is done with.
    fn begin_damaged(&mut self, item: &Item) -> bool {
        let part = item.place.part;
        self.last.is_begun = true;
        let unknown = self
            .ahead
            .iter()
            .take_while(|item| item.genuine().is_none());
        let lines = unknown.count();
        let Some(behind) = self.ahead.get(lines) else {
            return false;
        };
        let (place, Some(first)) = (behind.place, behind.genuine().cloned()) else {
            return false;
        };
        let seq = first.link.seq;
        let is_same_file = place.part == part;
        if is_same_file && first.event.is_some() && self.layout.may_begin(part, Some(&first)) {
            // The line was put before the one that the file began with.
            self.set_last(seq.saturating_sub(1), Some(first.prev), item.place);
            return false;
        }
        if matches!(self.layout.kept(part), Kept::All | Kept::Since(1))
            || !self.layout.may_begin(part, None)
        {
            return false;
        }
        // Each line is taken for one record.
        let lines = u64::try_from(lines).unwrap_or(u64::MAX);
        let before = seq.saturating_sub(lines.saturating_add(2));
        let counted = before.saturating_add(1);
        if item.seq().is_some_and(|seq| seq != counted) {
            // Another number, or several records in one line.
            self.report_found(Found {
                why: Why::Edited,
                place: Some(item.place),
                file: None,
                first: None,
                last: Some(counted),
                at: counted,
            });
            self.skip_to(counted, item.place);
            return true;
        }
        if before > 0 {
            self.skip_to(before, item.place);
        }
        false
    }

    fn is_first_behind(&self) -> bool {
        let mut ahead = self.ahead.iter().filter_map(Item::genuine);
        ahead.any(|record| self.follows(record))
    }

    /// The record that the log's oldest file begins with, where it may, even
    /// if another was put before it.
    fn first_of_file(&self, part: usize) -> Option<Record> {
        let opening = self.layout.parts.get(part)?.first.as_ref()?;
        let may_begin = self.layout.may_begin(part, Some(&opening.record));
        may_begin.then(|| opening.record.clone())
    }

    /// Nothing explains why the log does not begin with record 1.
    fn gap_at_start(&mut self, item: &Item, first: &Record) {
        let part = item.place.part;
        let last = first.link.seq.saturating_sub(1);
        let oldest = match self.layout.kept(part) {
            Kept::Since(oldest) => oldest,
            Kept::All | Kept::Unknown => 1,
        };
        // What was removed by the log's own rules is not missed.
        let begins = (oldest == 1).then_some(1);
        let mut found = Found {
            why: Why::Deleted,
            place: Some(item.place),
            file: None,
            first: begins,
            last: Some(last),
            at: begins.unwrap_or(last),
        };
        let name = first.rotation().and_then(|rotation| rotation.file.clone());
        let number = self.layout.parts.get(part).and_then(Part::number);
        let known = name
            .as_ref()
            .and_then(|name| Rotated::of(&self.layout.log, name))
            .map(|rotated| rotated.number)
            .or_else(|| number?.checked_sub(1));
        if let Some((name, like)) = self.take_apart(part) {
            found.why = Why::FileSwapped(like);
            (found.place, found.file) = (None, Some(name));
        } else if let Some((seq, cause)) = self.noticed(item, last) {
            found.why = Why::Lost(seq, cause);
        } else if let Some(empty) = part.checked_sub(1) {
            found.why = Why::CutFile;
            found.place = Some(Place {
                part: empty,
                line: 1,
            });
        } else if let Some(known) = known.filter(|known| *known >= oldest && !self.is_there(*known))
        {
            found.why = self.files_missing(oldest, known);
        } else if let Some(name) = name.filter(|_| known.is_none()) {
            found.why = Why::OtherMissing(name);
        } else if begins.is_none() {
            found.why = Why::BeginningDeleted;
        }
        if let Some(name) = missing_name(&found.why) {
            (found.place, found.file) = (None, Some(name));
        }
        let id = self.report_found(found);
        self.missing.add(begins.unwrap_or(last), last, id);
    }
}
