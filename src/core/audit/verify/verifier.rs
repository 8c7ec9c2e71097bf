//! Line after line: what fits is counted and forgotten, what does not is
//! judged once enough lines behind it are known.

use std::collections::VecDeque;

use super::super::chain::{Ends, Hash, Link};
use super::arrange::{Layout, Role};
use super::finding::Why;
use super::item::{Item, Place, Record, Time, What};
use super::told::{Remembered, Told};
use super::witness::Witness;
use super::{FileReport, HeadProblem, Note, Options, Report};

/// Lines that are looked at ahead.
const WINDOW: usize = 1024;
/// Seconds that the clock may step back without a note: writers take the time
/// before they have their turn.
const STEP_BACK: u64 = 10;

/// Verifies a log.
pub struct Verifier<'a> {
    pub(super) layout: Layout,
    from: Option<u64>,
    witnesses: Vec<Witness<'a>>,
    /// Where the next line stands.
    here: Place,
    /// A file that is not looked at any further.
    pub(super) skipped: Option<usize>,
    /// Lines that wait to be judged, or for others to be.
    pub(super) ahead: VecDeque<Item>,
    window: usize,
    pub(super) last: Last,
    /// The records in their places that came last, by their numbers.
    recent: Vec<(Link, Place)>,
    /// Numbers that are missing.
    pub(super) missing: Remembered,
    /// Numbers of records that stand where they do not belong.
    pub(super) strays: Remembered,
    /// Where the last stray was, so that those that follow it are no news.
    pub(super) stray: Option<(Place, Option<Link>)>,
    /// The last thing that was wrong took an unknown number of records with
    /// it.
    pub(super) open: Option<u64>,
    /// The file whose first record does not go with what was before it.
    pub(super) torn_in: Option<(usize, u64)>,
    pub(super) told: Told,
    records: u64,
    first: Option<u64>,
    last_time: Time,
    files: Vec<FileReport>,
}

/// Where the chain has got to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    pub(super) seq: u64,
    /// Unknown after something wrong: then the next record's `prev` is not
    /// looked at.
    pub(super) hash: Option<Hash>,
    pub(super) place: Place,
    /// A record was seen, or is accepted unseen.
    pub(super) is_begun: bool,
}

impl<'a> Verifier<'a> {
    /// Begins with the first file of the layout.
    #[must_use]
    pub fn new(layout: Layout, options: Options<'a>) -> Self {
        let files = layout.names().map(|name| FileReport {
            name: name.to_string(),
            lines: 0,
            first: None,
            last: None,
        });
        let files = files.collect();
        let nothing = Link::START;
        let mut verifier = Self {
            layout,
            from: options.from,
            witnesses: options.witnesses,
            here: Place { part: 0, line: 1 },
            skipped: None,
            ahead: VecDeque::new(),
            window: WINDOW,
            last: Last {
                seq: 0,
                hash: Some(Hash::NONE),
                place: Place::default(),
                is_begun: false,
            },
            recent: vec![(nothing, Place::default()); WINDOW],
            missing: Remembered::default(),
            strays: Remembered::default(),
            stray: None,
            open: None,
            torn_in: None,
            told: Told::default(),
            records: 0,
            first: None,
            last_time: Time::UNKNOWN,
            files,
        };
        verifier.note_files();
        match options.head {
            None => {}
            Some(HeadProblem::Missing(why)) => verifier.report_head(Why::HeadMissing(why)),
            Some(HeadProblem::Invalid(why)) => verifier.report_head(Why::HeadInvalid(why)),
        }
        verifier
    }

    /// What deserves attention before anything is read: files that are not
    /// read, and that the one that records go to has none, which it has as a
    /// rule.
    fn note_files(&mut self) {
        let note = |file: &str, text: String| Note {
            file: file.to_string(),
            line: None,
            seq: None,
            text,
        };
        for (file, why) in &self.layout.ignored {
            self.told.note(note(file, format!("not read: {why}")));
        }
        let Layout { parts, apart, .. } = &self.layout;
        let text = match parts.iter().find(|part| part.role == Role::Active) {
            Some(active) if active.is_empty && parts.len() > 1 => "it is empty",
            None if apart.iter().all(|apart| apart.role != Role::Active) => "it is not there",
            _ => return,
        };
        self.told.note(note(&self.layout.log, text.into()));
    }

    /// Takes the next line of the file, with its line feed if it has one.
    pub fn line(&mut self, line: &[u8]) {
        let place = self.here;
        self.here.line = place.line.saturating_add(1);
        if let Some(file) = self.files.get_mut(place.part) {
            file.lines = place.line;
        }
        if self.skipped == Some(place.part) || self.is_before_start(line) {
            return;
        }
        let is_whole = line.ends_with(b"\n");
        self.take(Item::of(line, place, is_whole));
    }

    /// The file can't be read further.
    pub fn damaged(&mut self, why: String) {
        self.take(Item {
            place: self.here,
            what: What::Damage(why),
        });
    }

    /// The next file of the layout begins.
    pub fn next_file(&mut self) {
        self.here = Place {
            part: self.here.part.saturating_add(1),
            line: 1,
        };
    }

    /// The rest of the file is of no interest.
    #[must_use]
    pub fn skips_file(&self) -> bool {
        self.skipped == Some(self.here.part)
    }

    /// The end of the last file.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.settle(true);
        if let Some(from) = self.from {
            // It was not reached.
            self.last.seq = from.saturating_sub(1);
        }
        self.finish_files();
        self.finish_strays();
        let last = self.last.seq;
        let mut witnesses = std::mem::take(&mut self.witnesses);
        for witness in &mut witnesses {
            if let Some(newest) = witness.after(last) {
                let why = Why::TailCut(witness.name.clone());
                self.report(why, None, last.saturating_add(1), newest);
            }
            if witness.is_needed && witness.report.earlier > 0 {
                self.report_head(Why::HeadOld);
            }
        }
        let layout = &self.layout;
        Report {
            finding: self.told.first().map(|found| found.finding(layout)),
            further: self.told.further(),
            records: self.records,
            first: self.first,
            last: self.last_link(),
            last_time: self.last_time.text().map(str::to_string),
            files: self.files,
            notes: self.told.notes,
            more_notes: self.told.more_notes,
            testimonies: witnesses.iter().map(|witness| witness.report).collect(),
        }
    }

    fn last_link(&self) -> Option<Link> {
        let hash = self.last.hash.filter(|_| self.records > 0)?;
        Some(Link {
            seq: self.last.seq,
            hash,
        })
    }

    /// What is accepted unseen ends with the first record that is not.
    fn is_before_start(&mut self, line: &[u8]) -> bool {
        let Some(from) = self.from else {
            return false;
        };
        if Ends::of(line).is_none_or(|ends| ends.seq < from) {
            return true;
        }
        self.from = None;
        self.last.seq = from.saturating_sub(1);
        self.last.hash = None;
        self.last.is_begun = true;
        false
    }

    fn take(&mut self, item: Item) {
        if self.ahead.is_empty() && self.fits(&item) {
            self.accept(item);
        } else {
            self.ahead.push_back(item);
            self.settle(false);
        }
    }

    /// Accepts what fits of the lines that wait, and judges what does not.
    fn settle(&mut self, is_end: bool) {
        while let Some(item) = self.ahead.pop_front() {
            if self.skipped == Some(item.place.part) {
                continue;
            }
            if self.fits(&item) {
                self.accept(item);
                continue;
            }
            // All that is needed to judge it is there, or there is no more.
            let is_known = is_end || self.ahead.len() >= self.window;
            if !is_known {
                self.ahead.push_front(item);
                return;
            }
            self.judge(item);
        }
    }

    /// It is the record that comes next.
    pub(super) fn fits(&self, item: &Item) -> bool {
        match &item.what {
            What::Record(record) => record.is_whole && record.is_genuine && self.follows(record),
            _ => false,
        }
    }

    /// It is the record that comes next, if it is one.
    pub(super) fn follows(&self, record: &Record) -> bool {
        Some(record.link.seq) == self.last.seq.checked_add(1)
            && self.last.hash.is_none_or(|hash| hash == record.prev)
    }

    /// Takes a genuine record as the next of the chain.
    pub(super) fn accept(&mut self, item: Item) {
        let What::Record(record) = item.what else {
            return;
        };
        let (place, link) = (item.place, record.link);
        if place.line == 1 && place.part > 0 && self.records > 0 {
            self.enter(place.part, &record);
        }
        self.last = Last {
            seq: link.seq,
            hash: Some(link.hash),
            place,
            is_begun: true,
        };
        self.stray = None;
        self.open = None;
        self.records = self.records.saturating_add(1);
        let first = *self.first.get_or_insert(link.seq);
        if let Some(slot) = self.recent.get_mut(slot(link.seq)) {
            *slot = (link, place);
        }
        if let Some(file) = self.files.get_mut(place.part) {
            file.first.get_or_insert(link.seq);
            file.last = Some(link.seq);
        }
        self.look_at_clock(&record, place);
        if let Some(recovery) = record.recovery() {
            let cut = match recovery.cut_bytes {
                Some(bytes) if bytes > 0 => format!("; {bytes} bytes without an end were cut off"),
                _ => String::new(),
            };
            let text = format!("a writer repaired the log ({}){cut}", recovery.cause);
            self.note(place, Some(link.seq), text);
        }
        let mut others = Vec::new();
        for witness in &mut self.witnesses {
            if let Some(hash) = witness.look_at(link, first) {
                others.push((witness.name.clone(), hash, witness.report.last));
            }
        }
        for (name, hash, same) in others {
            let why = Why::Rewritten(name, hash, same);
            self.report(why, Some(place), link.seq, link.seq);
        }
    }

    fn look_at_clock(&mut self, record: &Record, place: Place) {
        if record.time == Time::UNKNOWN {
            return;
        }
        let seconds = record.time.seconds_before(&self.last_time);
        if seconds > STEP_BACK {
            let text = format!("the clock was set back by {seconds} seconds");
            self.note(place, Some(record.link.seq), text);
        }
        self.last_time = record.time;
    }

    /// The place of a record that was accepted lately.
    pub(super) fn place_of(&self, seq: u64) -> Option<(Link, Place)> {
        let known = self.recent.get(slot(seq)).copied();
        known.filter(|(link, _)| link.seq == seq && seq > 0)
    }

    pub(super) fn file(&self, part: usize) -> Option<&FileReport> {
        self.files.get(part)
    }
}

fn slot(seq: u64) -> usize {
    usize::try_from(seq % WINDOW as u64).unwrap_or_default()
}
