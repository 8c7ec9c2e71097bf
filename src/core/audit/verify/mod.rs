//! Whether a log is what was written: reads its lines in order and names the
//! first record that was changed, taken out, put in, moved or cut off, and the
//! files that are missing, added or exchanged.
//!
//! The chain alone shows every change but two: records cut off at its end, and
//! a chain written anew from some record to its end. These take a
//! [`Witness`]. What shows what: `SECURITY.md`.
//!
//! This module opens no file. Memory does not grow with the log: at something
//! wrong it looks ahead a bounded number of lines to say what it is.

mod arrange;
mod begin;
mod boundary;
mod finding;
mod item;
mod judge;
mod opening;
#[cfg(test)]
mod tests;
mod told;
mod verifier;
mod witness;

pub use arrange::{Layout, Part, Role};
pub use finding::Finding;
pub use opening::Opening;
pub use verifier::Verifier;
pub use witness::{Testimony, Witness};

use super::chain::Link;

/// What is asked for.
#[derive(Default)]
pub struct Options<'a> {
    /// Accept what lies before this record.
    pub from: Option<u64>,
    /// What else knows records of the log.
    pub witnesses: Vec<Witness<'a>>,
    /// What is wrong with the signed head, where one is asked for and proves
    /// nothing.
    pub head: Option<HeadProblem>,
}

/// Why there is no signed head to go by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadProblem {
    /// The file is not there.
    Missing(String),
    /// It is not what the key signed.
    Invalid(String),
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// What is wrong first.
    pub finding: Option<Finding>,
    /// How many other things are.
    pub further: u64,
    /// Genuine records in their places.
    pub records: u64,
    /// Number of the first one.
    pub first: Option<u64>,
    /// The last one.
    pub last: Option<Link>,
    /// Its timestamp.
    pub last_time: Option<String>,
    /// The files, in the order of their records.
    pub files: Vec<FileReport>,
    /// What deserves attention and is not wrong.
    pub notes: Vec<Note>,
    /// Notes that are not kept, since they are too many.
    pub more_notes: u64,
    /// What the witnesses said, as they were given.
    pub testimonies: Vec<Testimony>,
}

/// One file of a log.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// Its name in the log's folder.
    pub name: String,
    /// Lines that were read.
    pub lines: u64,
    /// Number of the first record in its place.
    pub first: Option<u64>,
    /// Number of the last one.
    pub last: Option<u64>,
}

/// Something that deserves attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file's name in the log's folder.
    pub file: String,
    /// Number of the line in it, where a line is meant.
    pub line: Option<u64>,
    /// Number of the record.
    pub seq: Option<u64>,
    /// A sentence.
    pub text: String,
}
