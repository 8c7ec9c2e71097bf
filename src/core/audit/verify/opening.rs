//! The record that a file of a log begins with, which says where it belongs.

use super::super::chain::Link;
use super::arrange::Role;
use super::item::{Item, Place, Record};

/// A genuine record that a file begins with.
#[derive(Clone, Debug)]
pub struct Opening {
    pub(super) record: Record,
    /// The line after it is the record after it, or there is none.
    pub(super) is_continued: bool,
}

impl Opening {
    /// Lines of a file that are looked at. Should lines have been put before
    /// the one that the file began with, it is found all the same: all files
    /// but the first begin with a record that says so.
    pub const LINES: usize = 8;

    /// Finds it among the first lines of a file, which has its name for
    /// another hint; `None` where none is a record whose hash is right.
    #[must_use]
    pub fn of<'a>(role: Role, lines: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let lines = lines.take(Self::LINES);
        let items: Vec<Item> = lines
            .map(|line| Item::of(line, Place::default(), true))
            .collect();
        let mut likeliest: Option<((u64, u8), Self)> = None;
        for (place, item) in items.iter().enumerate() {
            let Some(record) = item.genuine() else {
                continue;
            };
            let next = items.get(place.saturating_add(1));
            let is_next = next.map(|next| {
                let prev = next.genuine().map(|next| next.prev);
                prev == Some(record.link.hash)
            });
            let is_own = record.event.is_some() || record.link.seq == 1;
            let is_likely = record.rotation().is_some() || place == 0 && is_own;
            let rank = match (is_likely, is_next) {
                (true, Some(true)) => 5,
                (true, None) => 4,
                (true, Some(false)) if place == 0 => 3,
                (false, Some(true)) => 2,
                _ => 1,
            };
            let hint = match role {
                Role::Active => record.rotation().map_or(0, |rotation| rotation.number),
                Role::Rotated(number) => u64::from(number_of(record) == Some(number)),
                Role::Other => 0,
            };
            let rank = (hint, rank);
            if likeliest.as_ref().is_none_or(|(known, _)| rank > *known) {
                let opening = Self {
                    record: record.clone(),
                    is_continued: is_next != Some(false),
                };
                likeliest = Some((rank, opening));
            }
        }
        likeliest.map(|(_, opening)| opening)
    }

    pub(super) const fn link(&self) -> Link {
        self.record.link
    }

    /// A writer that knew nothing of the records before began the chain anew.
    pub(super) fn is_restart(&self) -> bool {
        self.record.is_restart()
    }
}

/// The number that a file gets when it is rotated, by its first record.
pub(super) fn number_of(first: &Record) -> Option<u64> {
    match (first.rotation(), first.link.seq) {
        (Some(rotation), _) => Some(rotation.number.saturating_add(1)),
        (_, 1) => Some(1),
        _ => None,
    }
}
