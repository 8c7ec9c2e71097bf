//! Where files begin and end, and where records are missing.

use super::super::files::Rotated;
use super::arrange::{Kept, Part, Role};
use super::finding::{Found, Why};
use super::item::{Item, Place, Record};
use super::verifier::Verifier;

/// Records after a gap that are asked whether a writer noticed it.
const NOTICED_WITHIN: usize = 4;

impl Verifier<'_> {
    /// Records are missing before an item of this number, or stand elsewhere.
    /// Afterwards the item is looked at as if they were there.
    pub(super) fn gap(&mut self, item: Item, seq: u64) {
        let first = self.last.seq.saturating_add(1);
        let last = seq.saturating_sub(1);
        let is_at_start = item.place.line == 1;
        let mut hash = None;
        if let Some(id) = self.open.take() {
            // They went with what was wrong there.
            self.amend(id, |found| found.last = Some(last));
            self.missing.add(first, last, id);
        } else if let Some(id) = self.strays.of(first, last) {
            self.amend(id, |found| {
                if matches!(found.why, Why::Copied(None)) {
                    found.why = Why::MovedHere;
                }
            });
        } else if let Some((seq, cause)) = self.noticed(&item, first) {
            self.report(Why::Lost(seq, cause), Some(item.place), first, last);
        } else if is_at_start && self.is_outlived(item.place.part) {
            let text = format!("records {first} to {last} were removed by the log's own rules");
            self.note(
                Place {
                    line: 0,
                    ..item.place
                },
                None,
                text,
            );
            hash = item.genuine().map(|record| record.prev);
        } else if is_at_start {
            let id = self.gap_between_files(&item, first, last);
            self.missing.add(first, last, id);
        } else {
            let id = self.report(Why::Deleted, Some(item.place), first, last);
            self.missing.add(first, last, id);
        }
        self.set_last(last, hash, item.place);
        self.ahead.push_front(item);
    }

    fn gap_between_files(&mut self, item: &Item, first: u64, last: u64) -> u64 {
        let part = item.place.part;
        let mut found = Found {
            why: Why::Deleted,
            place: Some(item.place),
            file: None,
            first: Some(first),
            last: Some(last),
            at: first,
        };
        let before = self.layout.parts.get(self.last.place.part);
        let before = before.and_then(Part::number);
        let rotation = item.genuine().and_then(Record::rotation).cloned();
        if let Some((name, like)) = self.take_apart(part) {
            found.why = Why::FileSwapped(like);
            (found.place, found.file) = (None, Some(name));
        } else if let Some(name) = rotation.and_then(|rotation| rotation.file) {
            let rotated = Rotated::of(&self.layout.log, &name);
            let mut parts = self.layout.parts.iter();
            let place = match rotated {
                Some(_) => parts.position(|part| part.plain_name() == name),
                // What other programs renamed, they may have renamed again.
                None => Some(self.last.place.part).filter(|part| {
                    let part = self.layout.parts.get(*part);
                    part.is_some_and(|part| part.name == name)
                }),
            };
            if let Some(part) = place {
                // It is there: its end is not.
                found.why = Why::CutFile;
                let lines = self.file(part).map_or(0, |file| file.lines);
                let line = lines.saturating_add(1);
                found.place = Some(Place { part, line });
            } else {
                found.why = match (before, rotated) {
                    (Some(before), Some(rotated)) if rotated.number > before => {
                        self.files_missing(before.saturating_add(1), rotated.number)
                    }
                    (_, Some(_)) => Why::FileMissing(name, None),
                    (_, None) => Why::OtherMissing(name),
                };
            }
        } else if item.genuine().is_none() {
            // Its own first record says nothing that counts.
            let number = self.layout.parts.get(part).and_then(Part::number);
            if let (Some(before), Some(number)) = (before, number)
                && number > before.saturating_add(1)
            {
                found.why = self.files_missing(before.saturating_add(1), number.saturating_sub(1));
            }
        }
        if let Some(name) = missing_name(&found.why) {
            (found.place, found.file) = (None, Some(name));
        }
        self.report_found(found)
    }

    /// A file older than the oldest that is kept is still there, but not what
    /// came after it.
    fn is_outlived(&self, part: usize) -> bool {
        let number = |part: usize| self.layout.parts.get(part).and_then(Part::number);
        let before = number(self.last.place.part);
        match (before, number(part), self.layout.kept(part)) {
            (Some(before), Some(number), Kept::Since(oldest)) => {
                number <= oldest && number > before.saturating_add(1)
            }
            _ => false,
        }
    }

    /// The writer's own word for a gap: the number of its record, and what it
    /// says. It stands right after the gap.
    pub(super) fn noticed(&self, item: &Item, first: u64) -> Option<(u64, String)> {
        let next = self.ahead.iter().take(NOTICED_WITHIN);
        let mut records = std::iter::once(item).chain(next).filter_map(Item::genuine);
        records.find_map(|record| {
            let recovery = record.recovery()?;
            (recovery.known? >= first).then(|| (record.link.seq, recovery.cause.clone()))
        })
    }

    /// A file that does not go with what was before it, while the next one
    /// does.
    pub(super) fn is_file_too_much(&mut self, item: &Item) -> bool {
        let part = item.place.part;
        let Some(role) = self.layout.parts.get(part).map(|part| part.role) else {
            return false;
        };
        let next = self.layout.parts.get(part.saturating_add(1));
        let next = next.and_then(|next| next.first.as_ref());
        let is_followed = next.is_some_and(|next| {
            let own = self.ahead.iter().take_while(|item| item.place.part == part);
            let mut own = own.filter_map(Item::genuine);
            next.is_continued
                && self.follows(&next.record)
                // What goes on from there is not in this file.
                && own.all(|record| record.prev != next.link().hash)
        });
        // A file that other programs renamed fills a gap, or is none of the log.
        let is_other = role == Role::Other;
        let is_old = item.seq().is_some_and(|seq| seq <= self.last.seq);
        if !is_followed && !(is_other && (is_old || next.is_none())) {
            return false;
        }
        if is_other {
            let text = "not read: its records are none of the log's, or are in another file too";
            self.note(
                Place {
                    line: 0,
                    ..item.place
                },
                None,
                text.into(),
            );
        } else {
            self.report_stray(Why::FileAdded(None), item.place, item.seq());
        }
        self.skipped = Some(part);
        true
    }

    /// The first record of a file is about to be accepted.
    pub(super) fn enter(&mut self, part: usize, first: &Record) {
        let seq = first.link.seq;
        while let Some((name, like)) = self.take_apart(part) {
            self.report_found(Found {
                why: Why::FileAdded(like),
                place: None,
                file: Some(name),
                first: None,
                last: None,
                at: seq,
            });
        }
        // After a gap the file before is not the one that is meant, nor by a
        // record that was put first.
        let new = self.layout.parts.get(part);
        let opening = new.and_then(|new| new.first.as_ref());
        if self.last.hash.is_none() || opening.is_none_or(|opening| opening.link() != first.link) {
            return;
        }
        let parts = self.layout.parts.iter().enumerate().take(part).rev();
        let mut read = parts.filter(|(index, part)| !part.is_empty && self.skipped != Some(*index));
        let Some((before, old)) = read.next() else {
            return;
        };
        let recorded = first.rotation().and_then(|rotation| rotation.file.clone());
        let name = match recorded {
            // What other programs renamed, they may rename again.
            Some(name) if Rotated::of(&self.layout.log, &name).is_none() => return,
            Some(name) if name == old.plain_name() => return,
            Some(name) => Some(name),
            None => {
                let rank = |role| match role {
                    Role::Rotated(number) => Some(number),
                    Role::Active => Some(u64::MAX),
                    Role::Other => None,
                };
                match (rank(old.role), new.and_then(|new| rank(new.role))) {
                    (Some(old), Some(new)) if old > new => None,
                    _ => return,
                }
            }
        };
        let (from, to) = self
            .file(before)
            .map_or((None, None), |file| (file.first, file.last));
        self.report_found(Found {
            why: Why::FileRenamed(name),
            place: Some(Place {
                part: before,
                line: 1,
            }),
            file: None,
            first: from,
            last: to,
            at: from.unwrap_or(seq),
        });
    }

    /// The files whose places are behind the last one.
    pub(super) fn finish_files(&mut self) {
        let next = self.last.seq.saturating_add(1);
        for apart in std::mem::take(&mut self.layout.apart) {
            let like = Some(apart.like).filter(|like| !like.is_empty());
            let why = match apart.role {
                Role::Active => Why::FileSwapped(like),
                _ => Why::FileAdded(like),
            };
            self.report_found(Found {
                why,
                place: None,
                file: Some(apart.name),
                first: None,
                last: None,
                at: next,
            });
        }
    }

    /// What was missed nowhere was not moved, unless it came from the end.
    pub(super) fn finish_strays(&mut self) {
        let next = self.last.seq.saturating_add(1);
        if let Some((first, _, id)) = self.strays.newest()
            && first == next
        {
            self.amend(id, |found| {
                if matches!(found.why, Why::Copied(None)) {
                    found.why = Why::MovedHere;
                }
            });
        }
    }

    /// A file that is not read, and by its name comes before this one; and the
    /// file that has its records.
    pub(super) fn take_apart(&mut self, part: usize) -> Option<(String, Option<String>)> {
        let mut apart = self.layout.apart.iter();
        let place = apart.position(|apart| apart.before == part)?;
        let apart = self.layout.apart.remove(place);
        Some((apart.name, Some(apart.like).filter(|like| !like.is_empty())))
    }

    pub(super) fn is_there(&self, number: u64) -> bool {
        let mut parts = self.layout.parts.iter();
        parts.any(|part| part.number() == Some(number))
    }

    pub(super) fn files_missing(&self, first: u64, last: u64) -> Why {
        let name = self.layout.rotated(first);
        Why::FileMissing(name, (last > first).then(|| self.layout.rotated(last)))
    }
}

pub(super) fn missing_name(why: &Why) -> Option<String> {
    match why {
        Why::FileMissing(name, _) | Why::OtherMissing(name) => Some(name.clone()),
        _ => None,
    }
}
