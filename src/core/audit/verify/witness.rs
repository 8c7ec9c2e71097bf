//! What else knows records of a log: its signed head, the writers' state, a
//! second sink. A chain that was cut at its end or written anew is whole; only
//! a witness tells.

use std::collections::BTreeSet;

use super::super::chain::{Hash, Link};

/// Links that are read ahead, so that a sink need not have them quite in
/// order: many writers ship at once.
const AHEAD: usize = 1 << 16;

/// Something that knows records of the log.
pub struct Witness<'a> {
    /// As messages call it: `the signed head`.
    pub(super) name: String,
    links: Box<dyn Iterator<Item = Link> + 'a>,
    ahead: BTreeSet<(u64, [u8; 32])>,
    is_exhausted: bool,
    /// Number of the last record that was looked at.
    looked_at: u64,
    contradicts: bool,
    /// It must know a record of what is verified.
    pub(super) is_needed: bool,
    pub(super) report: Testimony,
}

/// What a witness said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Testimony {
    /// Records that it knows as they are.
    pub confirmed: u64,
    /// The number of the first one.
    pub first: Option<u64>,
    /// The number of the last one.
    pub last: Option<u64>,
    /// Records that are older than what was verified.
    pub earlier: u64,
    /// Records that it has too far out of order to be compared.
    pub unordered: u64,
}

impl Testimony {
    /// How many records between the first and the last one it does not know.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        let (Some(first), Some(last)) = (self.first, self.last) else {
            return 0;
        };
        let all = last.saturating_sub(first).saturating_add(1);
        all.saturating_sub(self.confirmed)
    }
}

impl<'a> Witness<'a> {
    /// A witness by its name and the links that it knows, about in order.
    pub fn new(name: impl Into<String>, links: impl Iterator<Item = Link> + 'a) -> Self {
        Self {
            name: name.into(),
            links: Box::new(links),
            ahead: BTreeSet::new(),
            is_exhausted: false,
            looked_at: 0,
            contradicts: false,
            is_needed: false,
            report: Testimony::default(),
        }
    }

    /// A witness that knows one record, which must be one of those that are
    /// verified.
    pub fn of_one(name: impl Into<String>, link: Link) -> Self {
        Self {
            is_needed: true,
            ..Self::new(name, std::iter::once(link))
        }
    }

    /// Shows it a record at its place in the chain, `first` being the first
    /// that was verified. Returns the other hash, where it knows another
    /// record of that number, and did not say so before.
    pub(super) fn look_at(&mut self, link: Link, first: u64) -> Option<Hash> {
        if link.seq <= self.looked_at {
            return None;
        }
        self.read_ahead();
        self.looked_at = link.seq;
        let mut other = None;
        while let Some((seq, hash)) = self.ahead.first().copied() {
            if seq > link.seq {
                break;
            }
            self.ahead.pop_first();
            if seq == link.seq && hash == link.hash.0 {
                self.report.confirmed = self.report.confirmed.saturating_add(1);
                self.report.first.get_or_insert(seq);
                self.report.last = Some(seq);
            } else if seq == link.seq {
                other = Some(Hash(hash));
            } else if seq < first {
                self.report.earlier = self.report.earlier.saturating_add(1);
            }
            // Else it is of a gap, which is told of already.
        }
        other.filter(|_| !std::mem::replace(&mut self.contradicts, true))
    }

    /// The last record that it knows after the log's last one.
    pub(super) fn after(&mut self, last: u64) -> Option<u64> {
        let mut newest = None;
        loop {
            self.read_ahead();
            let Some((seq, _)) = self.ahead.pop_first() else {
                return newest;
            };
            if seq > last {
                newest = newest.max(Some(seq));
            }
        }
    }

    fn read_ahead(&mut self) {
        while !self.is_exhausted && self.ahead.len() < AHEAD {
            match self.links.next() {
                None => self.is_exhausted = true,
                Some(link) if link.seq <= self.looked_at => {
                    self.report.unordered = self.report.unordered.saturating_add(1);
                }
                Some(link) => {
                    self.ahead.insert((link.seq, link.hash.0));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::chain::hash;
    use super::*;

    fn link(seq: u64) -> Link {
        Link {
            seq,
            hash: hash(&seq.to_le_bytes()),
        }
    }

    #[test]
    fn order_matters_little_and_bounds_hold() {
        let many = AHEAD as u64;
        let mut witness = Witness::new("w", (1..=many).rev().map(link));
        for seq in 2..=many - 1 {
            assert_eq!(witness.look_at(link(seq), 2), None);
        }
        assert_eq!(witness.after(many - 1), Some(many));
        let report = witness.report;
        assert_eq!((report.confirmed, report.earlier), (many - 2, 1));
        assert_eq!((report.last, report.unordered), (Some(many - 1), 0));

        let late = (2..=many + 1).chain([1]).map(link);
        let mut witness = Witness::new("w", late);
        for seq in 1..=2 * many {
            assert_eq!(witness.look_at(link(seq), 1), None);
        }
        assert_eq!(
            (witness.report.confirmed, witness.report.unordered),
            (many, 1)
        );
        assert_eq!(witness.after(2 * many), None);
    }

    #[test]
    fn a_contradiction_is_told_once() {
        let other = |seq| Link {
            seq,
            hash: Hash::NONE,
        };
        let mut witness = Witness::new("w", [link(1), other(2), other(3)].into_iter());
        assert_eq!(witness.look_at(link(1), 1), None);
        assert_eq!(witness.look_at(link(2), 1), Some(Hash::NONE));
        assert_eq!(witness.look_at(link(3), 1), None);
    }
}
