//! What a line is that is not the record that comes next, by what stands
//! around it.

use super::super::chain::{Hash, Link};
use super::finding::Why;
use super::item::{Item, Place, Record, What};
use super::verifier::{Last, Verifier};

impl Verifier<'_> {
    /// Judges a line, with those behind it in `ahead`. Either it is done with,
    /// or the chain is taken to have got further, and the line waits again.
    pub(super) fn judge(&mut self, item: Item) {
        if !self.last.is_begun {
            self.begin(item);
            return;
        }
        if self.is_known(&item) || item.place.line == 1 && self.is_file_too_much(&item) {
            return;
        }
        match &item.what {
            What::Damage(why) => {
                let next = self.last.seq.saturating_add(1);
                let id = self.report(Why::Damaged(why.clone()), Some(item.place), next, next);
                self.open = Some(id);
            }
            What::Record(record) if record.is_whole => {
                let record = record.clone();
                self.judge_record(item, &record);
            }
            What::Record(record) if record.is_genuine && self.follows(record) => {
                // Only its line feed is missing.
                let (place, seq) = (item.place, record.link.seq);
                let id = self.report(Why::CutLine, Some(place), seq, seq);
                self.accept(item);
                self.open = Some(id);
            }
            What::Record(_) | What::Other { is_whole: false } => self.judge_torn(item.place),
            What::Other { .. } => self.judge_unreadable(item.place),
        }
    }

    /// Whether a line belongs to what is told of already: a record that was
    /// missed, or the next of a run that stands where it does not belong.
    fn is_known(&mut self, item: &Item) -> bool {
        let genuine = item.genuine().map(|record| (record.link, record.prev));
        if let Some((link, _)) = genuine
            && let Some(id) = self.missing.of(link.seq, link.seq)
        {
            let place = item.place;
            self.amend(id, |found| {
                if matches!(
                    found.why,
                    Why::Deleted | Why::BeginningDeleted | Why::CutFile | Why::Moved(None)
                ) {
                    found.why = Why::Moved(Some(place));
                }
            });
            self.stray = Some((place, Some(link)));
            return true;
        }
        let Some((place, stray)) = self.stray else {
            return false;
        };
        let is_next = item.place.part == place.part && item.place.line == place.line + 1
            || item.place.part == place.part + 1 && item.place.line == 1;
        match (&item.what, genuine, stray) {
            (What::Other { is_whole: true }, _, None) if is_next => {
                self.stray = Some((item.place, None));
                true
            }
            (_, Some((link, prev)), Some(stray))
                if is_next && Some(link.seq) == stray.seq.checked_add(1) && prev == stray.hash =>
            {
                self.strays.extend(link.seq);
                self.stray = Some((item.place, Some(link)));
                true
            }
            _ => false,
        }
    }

    fn judge_torn(&mut self, place: Place) {
        if self.next_that_follows().is_some() {
            self.put_in(place);
            return;
        }
        let next = self.last.seq.saturating_add(1);
        let id = self.report(Why::CutLine, Some(place), next, next);
        self.open = Some(id);
    }

    /// A whole line that is no record.
    fn judge_unreadable(&mut self, place: Place) {
        let next = self.last.seq.saturating_add(1);
        let between = self
            .ahead
            .iter()
            .take_while(|item| item.genuine().is_none());
        let lines = between.clone().count();
        let are_others = between
            .clone()
            .all(|item| matches!(item.what, What::Other { .. }) && item.place.part == place.part);
        let behind = self.ahead.get(lines).and_then(Item::genuine);
        if behind.is_some_and(|record| self.follows(record)) {
            self.put_in(place);
            return;
        }
        let behind = behind.map_or(0, |record| record.link.seq);
        let each = next
            .saturating_add(1)
            .saturating_add(u64::try_from(lines).unwrap_or(u64::MAX));
        let mut last = next;
        if behind > next && behind != each && are_others {
            // One record in several lines, or several in one.
            last = behind.saturating_sub(1);
            self.ahead.drain(..lines);
        }
        self.report(Why::Unreadable, Some(place), next, last);
        self.skip_to(last, place);
    }

    fn judge_record(&mut self, item: Item, record: &Record) {
        let last = self.last;
        let seq = record.link.seq;
        let next = last.seq.saturating_add(1);
        let behind = self.ahead.front().and_then(Item::seq);
        let is_followed = behind == seq.checked_add(1);
        let keeps_place = behind == next.checked_add(1) && !is_followed;
        if record.is_genuine && seq > next && keeps_place && last.hash != Some(record.prev) {
            // It stands in another's place.
            let id = self.report(Why::Moved(None), Some(item.place), next, next);
            self.missing.add(next, next, id);
            self.strays.add(seq, seq, id);
            self.skip_to(next, item.place);
            self.stray = Some((item.place, Some(record.link)));
            return;
        }
        if let Some(place) = self.next_that_follows() {
            if self.is_out_of_place(record, place) {
                self.judge_stray(&item, record, Some(place));
            } else {
                self.gap(item, seq);
            }
            return;
        }
        let names_last = last.hash == Some(record.prev);
        match (record.is_genuine, seq) {
            (false, seq) if seq == next => {
                self.report(Why::Edited, Some(item.place), next, next);
                self.skip_to(next, item.place);
            }
            (true, seq) if seq == next => self.judge_break(item, record),
            (_, seq)
                if keeps_place && names_last
                    || !record.is_genuine && (keeps_place || names_last) =>
            {
                self.report(Why::Renumbered(seq), Some(item.place), next, next);
                self.skip_to(next, item.place);
            }
            (_, seq) if seq > next => self.gap(item, seq),
            (true, _) if record.is_restart() => {
                let cause = record
                    .recovery()
                    .map_or_else(String::new, |it| it.cause.clone());
                self.report_stray(Why::Restarted(cause), item.place, Some(seq));
                self.set_last(0, Some(Hash::NONE), item.place);
                self.ahead.push_front(item);
            }
            (true, _) if self.is_of_named_fork(record) => {
                if let Some((_, place)) = self.place_of(seq) {
                    self.report(Why::Forged(item.place), Some(place), seq, last.seq);
                }
                self.set_last(seq.saturating_sub(1), Some(record.prev), last.place);
                self.ahead.push_front(item);
            }
            _ => self.judge_stray(&item, record, None),
        }
    }

    /// A genuine record of the right number that names another record as the
    /// one before it.
    fn judge_break(&mut self, item: Item, record: &Record) {
        let last = self.last;
        if last.seq == 0 {
            self.report(
                Why::NotFirst,
                Some(item.place),
                record.link.seq,
                record.link.seq,
            );
            self.accept(item);
            return;
        }
        let is_vouched_for = match self.ahead.front().map(|item| &item.what) {
            Some(What::Record(behind))
                if Some(behind.link.seq) == record.link.seq.checked_add(1) =>
            {
                behind.prev == record.link.hash
            }
            _ => true,
        };
        let is_first = item.place.line == 1;
        match self.torn_in.take() {
            // The file that ends here did not go with the one before either.
            Some((part, id)) if is_first && part == last.place.part => {
                let (first, end) = self
                    .file(part)
                    .map_or((None, None), |file| (file.first, file.last));
                self.amend(id, |found| {
                    found.why = Why::FileSwapped(None);
                    found.place = Some(Place { part, line: 1 });
                    (found.first, found.last) = (first, end);
                });
            }
            _ => {
                let why = if is_vouched_for {
                    Why::Rehashed
                } else {
                    Why::RehashedOrNext
                };
                let id = self.report(why, Some(last.place), last.seq, last.seq);
                self.torn_in = is_first.then_some((item.place.part, id));
            }
        }
        self.last.hash = None;
        self.accept(item);
    }

    /// A record that is too much where it stands. `next` is where the one
    /// stands that comes next.
    fn judge_stray(&mut self, item: &Item, record: &Record, next: Option<usize>) {
        if !record.is_genuine {
            self.put_in(item.place);
            return;
        }
        let link = record.link;
        let next = next.and_then(|next| self.ahead.get(next));
        let twin = match next.filter(|next| next.seq() == Some(link.seq)) {
            Some(next) => next.genuine().map(|other| (other.link, next.place)),
            None => self.place_of(link.seq),
        };
        let why = match twin {
            Some((other, place)) if other == link => Why::Copied(Some(place)),
            Some((_, place)) if next.is_none() && link.seq == self.last.seq => Why::Twice(place),
            Some((_, place)) => Why::Forged(place),
            None => Why::Copied(None),
        };
        let id = self.report_stray(why, item.place, Some(link.seq));
        self.strays.add(link.seq, link.seq, id);
        self.stray = Some((item.place, Some(link)));
    }

    /// A line that is no record was put in.
    fn put_in(&mut self, place: Place) {
        self.report_stray(Why::Foreign, place, None);
        self.stray = Some((place, None));
    }

    /// Where in `ahead` the record stands that comes next.
    fn next_that_follows(&self) -> Option<usize> {
        let mut ahead = self.ahead.iter();
        ahead.position(|item| item.genuine().is_some_and(|record| self.follows(record)))
    }

    /// The record that comes next stands behind this one, at `place`: is it
    /// this one that was put before it, or was that one moved down?
    fn is_out_of_place(&self, record: &Record, place: usize) -> bool {
        let before = u64::try_from(place).unwrap_or(u64::MAX).saturating_add(1);
        let Some(missing) = record.link.seq.checked_sub(self.last.seq.saturating_add(1)) else {
            return true;
        };
        if !record.is_genuine || missing == 0 || before < missing {
            return true;
        }
        // Does the chain go on from there up to this one?
        let mut end: Option<Link> = None;
        for item in self.ahead.iter().skip(place) {
            match item.genuine() {
                Some(next) if end.is_none_or(|end| is_next(end, next)) => end = Some(next.link),
                _ => break,
            }
        }
        // If up to right before it, the fewer were moved.
        end.is_some_and(|end| {
            end.seq >= record.link.seq
                || end.seq.saturating_add(1) == record.link.seq && before <= missing
        })
    }

    /// There are two runs of records with the same numbers, and this is the
    /// beginning of the second, whose end the next record names.
    fn is_of_named_fork(&self, record: &Record) -> bool {
        let known = self.place_of(record.link.seq);
        if known.is_none_or(|(link, _)| link == record.link) {
            return false;
        }
        let mut end = record.link;
        for item in &self.ahead {
            match item.genuine() {
                Some(next) if is_next(end, next) => end = next.link,
                _ => return false,
            }
            if end.seq > self.last.seq {
                return true;
            }
        }
        false
    }

    /// Takes the chain to have got to a number, by a record whose hash is not
    /// known.
    pub(super) fn skip_to(&mut self, seq: u64, place: Place) {
        self.set_last(seq, None, place);
        self.open = None;
    }

    pub(super) fn set_last(&mut self, seq: u64, hash: Option<Hash>, place: Place) {
        self.last = Last {
            seq,
            hash,
            place,
            is_begun: true,
        };
    }
}

fn is_next(end: Link, next: &Record) -> bool {
    Some(next.link.seq) == end.seq.checked_add(1) && next.prev == end.hash
}
