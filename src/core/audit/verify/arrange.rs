//! The files of a log in the order of their records, judged by their names and
//! their first lines alone.

use std::collections::{BTreeMap, BTreeSet};

use super::super::files;
use super::item::{Event, Record, Rotation};
use super::opening::{Opening, number_of};

/// A file that may belong to a log.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name in the log's folder.
    pub name: String,
    /// What the name says of it.
    pub role: Role,
    /// It has no line.
    pub is_empty: bool,
    /// The genuine record that it begins with.
    pub first: Option<Opening>,
    /// Number of its last record, where that is known beforehand.
    pub last: Option<u64>,
}

/// What a file is to the log by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A rotated file of this number.
    Rotated(u64),
    /// It has the log's name and something after it, as other programs for
    /// rotation leave it. It counts where its records fit.
    Other,
    /// The file that records go to.
    Active,
}

impl Part {
    pub(super) fn number(&self) -> Option<u64> {
        match self.role {
            Role::Rotated(number) => Some(number),
            _ => None,
        }
    }

    /// Its name before it was compressed.
    pub(super) fn plain_name(&self) -> &str {
        match self.role {
            Role::Rotated(_) => self.name.strip_suffix(".gz").unwrap_or(&self.name),
            _ => &self.name,
        }
    }

    /// The number of the first record, unless it does not go with the others.
    fn seq(&self) -> Option<u64> {
        let first = self.first.as_ref().filter(|first| first.is_continued)?;
        let seq = first.link().seq;
        self.last.is_none_or(|last| last >= seq).then_some(seq)
    }

    /// As far as that is known.
    fn about(&self) -> Option<u64> {
        let first = self.first.as_ref().map(|first| first.link().seq);
        self.seq().or(first).or(self.last)
    }

    /// What tells a file from others: two with the same are copies.
    fn key(&self) -> Option<Key> {
        self.seq()?;
        let link = self.first.as_ref()?.link();
        Some((link.seq, link.hash.0, self.last))
    }

    /// How well the first record goes with the name, where several files have
    /// the same.
    fn fitness(&self) -> u8 {
        let own = self
            .first
            .as_ref()
            .and_then(|first| number_of(&first.record));
        match self.role {
            Role::Active => 1,
            Role::Rotated(number) if own == Some(number) => 2,
            _ => 0,
        }
    }
}

/// Which files the log's own rules have kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Those from this number on, and what was written since.
    Since(u64),
    /// All that there ever were: nothing says that one was removed.
    All,
    /// The record that says so is damaged or gone, which is told on its own.
    Unknown,
}

/// The files of a log in the order of reading.
#[derive(Clone, Debug)]
pub struct Layout {
    pub(super) log: String,
    pub(super) parts: Vec<Part>,
    pub(super) apart: Vec<Apart>,
    /// Files that are not read, and why.
    pub(super) ignored: Vec<(String, String)>,
}

/// A file whose records are those of another file: it is not read.
#[derive(Clone, Debug)]
pub(super) struct Apart {
    pub(super) name: String,
    pub(super) role: Role,
    /// The file that has its records; empty where none has.
    pub(super) like: String,
    /// By its name it comes before this part.
    pub(super) before: usize,
}

impl Layout {
    /// Puts the files of a log in order. `log` is the active file's name.
    #[must_use]
    pub fn of(log: &str, parts: Vec<Part>) -> Self {
        let mut layout = Self {
            log: log.to_string(),
            parts: Vec::new(),
            apart: Vec::new(),
            ignored: Vec::new(),
        };
        let (others, mut named): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|part| part.role == Role::Other);
        // The uncompressed file first, where there are both.
        named.sort_by(|a, b| (rank(a), &a.name).cmp(&(rank(b), &b.name)));
        let twins = layout.drop_twins(&mut named);
        for segment in segments(named) {
            layout.order(segment);
        }
        for (part, like) in twins {
            let place = layout.parts.iter().position(|part| part.name == like);
            layout.apart.push(Apart {
                name: part.name,
                role: part.role,
                like: String::new(),
                before: place.map_or(layout.parts.len(), |place| place.saturating_add(1)),
            });
        }
        layout.take_in(others);
        layout
    }

    /// Names of the files, in the order of reading.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.name.as_str())
    }

    /// Number of the record that the files begin with, where that is known.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.parts.iter().find_map(Part::seq)
    }

    /// Which files are kept, by the newest statement on that, for a log that
    /// begins with this part.
    pub(super) fn kept(&self, begin: usize) -> Kept {
        for (index, part) in self.parts.iter().enumerate().rev() {
            match &part.first {
                None if part.is_empty => {}
                None => return Kept::Unknown,
                Some(first) => match first.record.event.as_deref() {
                    Some(Event::Rotated(Rotation {
                        oldest: Some(oldest),
                        ..
                    })) => return Kept::Since(*oldest),
                    // All files but the first begin with a record of the
                    // log's own.
                    None if first.link().seq > 1 && index > begin => return Kept::Unknown,
                    _ => {}
                },
            }
        }
        Kept::All
    }

    /// Whether a file may begin with this record and nothing before it, since
    /// that was removed by the log's own rules. `None`: with one that is
    /// damaged.
    pub(super) fn may_begin(&self, part: usize, first: Option<&Record>) -> bool {
        let by_name = self.parts.get(part).and_then(Part::number);
        let is_own = first.is_none_or(|first| first.event.is_some());
        let number = first.and_then(number_of).or(by_name).filter(|_| is_own);
        match (self.kept(part), number) {
            (Kept::Unknown, _) => true,
            (Kept::Since(oldest), Some(number)) if number <= oldest => true,
            _ => first
                .and_then(Record::rotation)
                .is_some_and(|rotation| rotation.is_removed),
        }
    }

    /// A rotated file is there once: what is there twice was being compressed
    /// when that was interrupted. Returns those that are something else.
    fn drop_twins(&mut self, named: &mut Vec<Part>) -> Vec<(Part, String)> {
        let (mut kept, mut others): (Vec<Part>, Vec<_>) = (Vec::new(), Vec::new());
        for part in named.drain(..) {
            let twin = kept.last().filter(|twin| twin.role == part.role);
            let Some(twin) = twin else {
                kept.push(part);
                continue;
            };
            let links = [twin, &part].map(|part| part.first.as_ref().map(Opening::link));
            match links {
                [Some(one), Some(other)] if one != other => {
                    others.push((part, twin.name.clone()));
                }
                _ => {
                    let why = format!("'{}' is there too", twin.name);
                    self.ignored.push((part.name, why));
                }
            }
        }
        *named = kept;
        others
    }

    /// Adds files that are in the order of their names. Those whose records
    /// say otherwise are put where their records belong.
    fn order(&mut self, segment: Vec<Part>) {
        let base = self.parts.len();
        let mut best: BTreeMap<Key, usize> = BTreeMap::new();
        for (index, part) in segment.iter().enumerate() {
            let Some(key) = part.key() else { continue };
            let chosen = best.entry(key).or_insert(index);
            let known = segment.get(*chosen).map_or(0, Part::fitness);
            if known < part.fitness() {
                *chosen = index;
            }
        }
        let is_copy = |index: usize, part: &Part| {
            part.key().is_some_and(|key| best.get(&key) != Some(&index))
        };
        let sequence: Vec<(usize, u64)> = segment
            .iter()
            .enumerate()
            .filter(|(index, part)| !is_copy(*index, part))
            .filter_map(|(index, part)| Some((index, part.seq()?)))
            .collect();
        let rising = longest_rising(&sequence);
        let mut displaced = Vec::new();
        for (index, part) in segment.iter().enumerate() {
            if is_copy(index, part) {
                let like = part.key().and_then(|key| best.get(&key));
                let like = like.and_then(|like| segment.get(*like));
                self.apart.push(Apart {
                    name: part.name.clone(),
                    role: part.role,
                    like: like.map_or_else(String::new, |like| like.name.clone()),
                    before: self.parts.len(),
                });
            } else if part.seq().is_none() || rising.contains(&index) {
                self.parts.push(part.clone());
            } else {
                displaced.push(part.clone());
            }
        }
        for part in displaced {
            let Some(seq) = part.seq() else { continue };
            self.insert(base, seq, part);
        }
    }

    /// Puts a part before the first one that has later records.
    fn insert(&mut self, base: usize, seq: u64, part: Part) {
        let later = self.parts.iter().enumerate().skip(base);
        let place = later
            .filter(|(_, other)| other.seq().is_some_and(|other| other > seq))
            .map(|(place, _)| place)
            .next()
            .unwrap_or(self.parts.len());
        self.parts.insert(place, part);
        for apart in &mut self.apart {
            if apart.before >= place {
                apart.before = apart.before.saturating_add(1);
            }
        }
    }

    /// Takes in the files that other programs renamed, where they hold records
    /// that no other file begins with.
    fn take_in(&mut self, mut others: Vec<Part>) {
        others.sort_by(|a, b| (a.about(), &a.name).cmp(&(b.about(), &b.name)));
        for part in others {
            let Some(seq) = part.about() else {
                let why = "its first lines are no records".to_string();
                self.ignored.push((part.name, why));
                continue;
            };
            let twin = self.parts.iter().find(|other| other.seq() == Some(seq));
            match twin {
                Some(twin) => {
                    let why = format!("it begins with record {seq}, as '{}' does", twin.name);
                    self.ignored.push((part.name, why));
                }
                None => self.insert(0, seq, part),
            }
        }
        // The log can't begin with a file that does not lead to the next one.
        while let [first, next, ..] = self.parts.as_slice()
            && first.role == Role::Other
            && let (Some(last), Some(seq)) = (first.last, next.about())
            && last.checked_add(1) != Some(seq)
        {
            let why = format!("its records do not lead to those of '{}'", next.name);
            let first = self.parts.remove(0);
            self.ignored.push((first.name, why));
            for apart in &mut self.apart {
                apart.before = apart.before.saturating_sub(1);
            }
        }
    }

    /// What a rotated file is called.
    pub(super) fn rotated(&self, number: u64) -> String {
        files::rotated(&self.log, number)
    }
}

/// Order by name: rotated files by number, then the active one.
fn rank(part: &Part) -> u64 {
    part.number().unwrap_or(u64::MAX)
}

/// First link and last number of a file.
type Key = (u64, [u8; 32], Option<u64>);

/// The parts of chains that were begun anew.
fn segments(parts: Vec<Part>) -> Vec<Vec<Part>> {
    let mut segments: Vec<Vec<Part>> = Vec::new();
    for part in parts {
        let is_restart = part.first.as_ref().is_some_and(Opening::is_restart);
        match segments.last_mut() {
            Some(segment) if !is_restart => segment.push(part),
            _ => segments.push(vec![part]),
        }
    }
    segments
}

/// The longest subsequence whose numbers do not fall; returns what stands first in
/// its pairs.
fn longest_rising(sequence: &[(usize, u64)]) -> BTreeSet<usize> {
    // For each length the subsequence's smallest last number, as a place in
    // `sequence`, and for each place the one before it.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(sequence.len());
    let number = |place: usize| sequence.get(place).map_or(0, |(_, number)| *number);
    for (place, (_, seq)) in sequence.iter().enumerate() {
        let length = ends.partition_point(|end| number(*end) <= *seq);
        before.push(
            length
                .checked_sub(1)
                .and_then(|last| ends.get(last).copied()),
        );
        match ends.get_mut(length) {
            Some(end) => *end = place,
            None => ends.push(place),
        }
    }
    let mut rising = BTreeSet::new();
    let mut place = ends.last().copied();
    while let Some(current) = place {
        rising.extend(sequence.get(current).map(|(index, _)| *index));
        place = before.get(current).copied().flatten();
    }
    rising
}
