//! What is wrong with a log: of which kind, where, in words, and what to do.

use std::fmt;

use super::super::chain::Hash;
use super::arrange::Layout;
use super::item::Place;
use crate::escape::Escaped;

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// One word for machines: `edited`, `rehashed`, `deleted`, `moved`,
    /// `inserted`, `cut`, `damaged`, `lost`, `file_missing`, `file_swapped`,
    /// `file_renamed`, `file_added`, `tail_cut`, `rewritten`, `head_missing`,
    /// `head_invalid`.
    pub kind: &'static str,
    /// The file's name in the log's folder; none where the whole log is meant.
    pub file: Option<String>,
    /// Number of the line in it, from 1.
    pub line: Option<u64>,
    /// Number of the first record that is concerned; none where it can't be
    /// known.
    pub seq: Option<u64>,
    /// Number of the last one.
    pub last_seq: Option<u64>,
    /// One sentence.
    pub reason: String,
    /// What to do.
    pub cure: String,
}

/// A finding before it is put in words.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) why: Why,
    pub(super) place: Option<Place>,
    /// The file, where that is none of those that are read.
    pub(super) file: Option<String>,
    pub(super) first: Option<u64>,
    pub(super) last: Option<u64>,
    /// The number of the record after which the log is no more what it was:
    /// what is wrong first has the smallest.
    pub(super) at: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Why {
    /// The hash is wrong.
    Edited,
    /// It is no record, and a record should be there.
    Unreadable,
    /// It calls itself another number.
    Renumbered(u64),
    /// The first record of all names one before it.
    NotFirst,
    /// The next record names another hash.
    Rehashed,
    /// The next record names another hash, and is itself not the one that the
    /// record after it names.
    RehashedOrNext,
    Deleted,
    /// Before a file's first line; how many is not known.
    BeginningDeleted,
    /// It stands at another place, or another at its place.
    Moved(Option<Place>),
    /// It stands here and belongs elsewhere.
    MovedHere,
    /// A record that is in the log once more.
    Copied(Option<Place>),
    /// A record beside the one that its successor names.
    Forged(Place),
    /// Two records of one number, and none after them that names one.
    Twice(Place),
    /// A line that is no record.
    Foreign,
    /// The last line of a file has no end.
    CutLine,
    /// A file ends before the records that were in it.
    CutFile,
    Damaged(String),
    /// A gap that a writer noticed; its record's number and what it says.
    Lost(u64, String),
    /// The chain begins anew.
    Restarted(String),
    /// Files from this name to that one.
    FileMissing(String, Option<String>),
    /// A file that other programs renamed; what it was called at first.
    OtherMissing(String),
    /// It holds what another file holds, or something else.
    FileSwapped(Option<String>),
    /// It was called so.
    FileRenamed(Option<String>),
    FileAdded(Option<String>),
    /// A witness knows more records.
    TailCut(String),
    /// A witness knows another record of this number.
    Rewritten(String, Hash, Option<u64>),
    HeadMissing(String),
    HeadInvalid(String),
    HeadOld,
}

impl Why {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Edited | Self::Unreadable | Self::Renumbered(_) | Self::NotFirst => "edited",
            Self::Rehashed | Self::RehashedOrNext => "rehashed",
            Self::Deleted | Self::BeginningDeleted => "deleted",
            Self::Moved(_) | Self::MovedHere => "moved",
            Self::Copied(_) | Self::Forged(_) | Self::Twice(_) | Self::Foreign => "inserted",
            Self::CutLine | Self::CutFile => "cut",
            Self::Damaged(_) => "damaged",
            Self::Lost(..) | Self::Restarted(_) => "lost",
            Self::FileMissing(..) | Self::OtherMissing(_) => "file_missing",
            Self::FileSwapped(_) => "file_swapped",
            Self::FileRenamed(_) => "file_renamed",
            Self::FileAdded(_) => "file_added",
            Self::TailCut(_) => "tail_cut",
            Self::Rewritten(..) => "rewritten",
            Self::HeadMissing(_) => "head_missing",
            Self::HeadInvalid(_) | Self::HeadOld => "head_invalid",
        }
    }

    /// Of several at one place the one that says most is told: what the chain
    /// shows, then what names show, then what a witness shows.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::FileRenamed(_) | Self::FileAdded(_) => 1,
            Self::TailCut(_) | Self::Rewritten(..) => 2,
            Self::HeadMissing(_) | Self::HeadInvalid(_) | Self::HeadOld => 3,
            _ => 0,
        }
    }
}

impl Found {
    /// In words.
    pub(super) fn finding(&self, layout: &Layout) -> Finding {
        let named = |place: Place| layout.parts.get(place.part).map(|part| part.name.clone());
        let file = self.file.clone().or_else(|| self.place.and_then(named));
        let line = self.place.map(|place| place.line).filter(|line| *line > 0);
        Finding {
            kind: self.why.kind(),
            file,
            line,
            seq: self.first,
            last_seq: self.last,
            reason: self.reason(layout),
            cure: self.cure(),
        }
    }

    fn reason(&self, layout: &Layout) -> String {
        let records = Records(self.first, self.last);
        let is_one = self.first == self.last;
        let (is, was) = if is_one {
            ("is", "was")
        } else {
            ("are", "were")
        };
        let at = |place: &Place| {
            let name = layout.parts.get(place.part).map_or("", |part| &part.name);
            format!("{}:{}", Escaped(name), place.line)
        };
        let seq = self.first.unwrap_or_default();
        let last = self.last.unwrap_or_default();
        let next = last.saturating_add(1);
        match &self.why {
            Why::Edited => {
                format!("{records} {was} changed: the bytes do not have the hash that they name")
            }
            Why::Unreadable => {
                format!("{records} {was} changed: what stands in the place is no record")
            }
            Why::Renumbered(says) => format!("{records} was changed: it calls itself {says}"),
            Why::NotFirst => {
                format!("{records} was changed: it is the first, and names one before it")
            }
            Why::Rehashed => format!(
                "{records}, or a run of records that ends with it, was changed and hashed anew: \
                 record {next} names another hash"
            ),
            Why::RehashedOrNext => format!(
                "{records} was changed and hashed anew, or record {next} was: \
                 they do not go together, nor with what follows"
            ),
            Why::Deleted => format!("{records} {is} missing before this line"),
            Why::BeginningDeleted => {
                format!("the file's first records are missing, up to record {last}")
            }
            Why::Moved(None) => format!("{records} {is} not in this place"),
            Why::Moved(Some(place)) => {
                format!("{records} {was} moved from here to {}", at(place))
            }
            Why::MovedHere => format!("{records} {was} moved here from further down"),
            Why::Copied(None) => {
                format!("record {seq} does not belong here: it was put in, or is a copy")
            }
            Why::Copied(Some(place)) => {
                format!(
                    "a copy of record {seq}, which stands at {}, was put in",
                    at(place)
                )
            }
            Why::Forged(place) => format!(
                "there are two of record {seq}: the record after them names the one at {}, \
                 so this one was put in",
                at(place)
            ),
            Why::Twice(place) => format!(
                "there are two of record {seq}, here and at {}, \
                 and no record after them that names one",
                at(place)
            ),
            Why::Foreign => "a line that is no record was put in".to_string(),
            Why::CutLine if self.first.is_some() && !is_one => format!(
                "the line has no end, and {} missing: the file was cut off in record {seq}",
                Rest(seq, self.last)
            ),
            Why::CutLine => format!(
                "the line has no end: the file was cut off in it ({records}), \
                 or its writer was killed"
            ),
            Why::CutFile => {
                format!("the file was cut off before this line: {records} {is} missing")
            }
            Why::Damaged(why) => {
                format!("the file can't be read further: {why}; {records} should come here")
            }
            Why::Lost(said, cause) => {
                format!("{records} {is} missing, as record {said} says ({cause})")
            }
            Why::Restarted(cause) => {
                format!("the chain begins anew here: its writer knew of no record before ({cause})")
            }
            Why::FileMissing(name, None) => {
                format!(
                    "the file '{}' is missing, and with it {records}",
                    Escaped(name)
                )
            }
            Why::FileMissing(name, Some(last)) => format!(
                "the files '{}' to '{}' are missing, and with them {records}",
                Escaped(name),
                Escaped(last)
            ),
            Why::OtherMissing(name) => format!(
                "a file that another program renamed (to '{}' then) is missing, \
                 and with it {records}",
                Escaped(name)
            ),
            Why::FileSwapped(None) => "another file is in this one's place: \
                                       it goes neither with the one before nor with the one after"
                .to_string(),
            Why::FileSwapped(Some(like)) => {
                let own = match (self.first, self.last) {
                    (None, None) => String::new(),
                    _ => format!(" ({records})"),
                };
                format!(
                    "another file is in this one's place, with the records of '{}'; \
                     its own{own} are missing",
                    Escaped(like)
                )
            }
            Why::FileRenamed(None) => {
                format!("the file was renamed: by its name, {records} {is} in the wrong place")
            }
            Why::FileRenamed(Some(name)) => {
                format!(
                    "the file was renamed: {records} {was} in '{}'",
                    Escaped(name)
                )
            }
            Why::FileAdded(None) => "the file is no part of the log: \
                                     the one before and the one after go together without it"
                .to_string(),
            Why::FileAdded(Some(like)) => {
                format!(
                    "the file was added: its records are those of '{}'",
                    Escaped(like)
                )
            }
            Why::TailCut(witness) => format!(
                "the end of the log was cut off: {records} {is} missing, which {witness} knows"
            ),
            Why::Rewritten(witness, hash, None) => format!(
                "{records} is not the one that {witness} knows (hash {hash}): \
                 the log was written anew from it or from a record before"
            ),
            Why::Rewritten(witness, hash, Some(same)) => format!(
                "{records} is not the one that {witness} knows (hash {hash}), and record {same} \
                 still is: the log was written anew between them"
            ),
            Why::HeadMissing(why) => format!("the signed head is missing: {why}"),
            Why::HeadInvalid(why) => format!("the signed head proves nothing: {why}"),
            Why::HeadOld => "the signed head proves nothing: \
                             it is for a record before those that were verified"
                .to_string(),
        }
    }

    fn cure(&self) -> String {
        const COMPARE: &str = "Compare with a backup or a second sink ('--against'), \
                               and find out who could write the log.";
        let next = self.last.unwrap_or_default().saturating_add(1);
        let go_on = format!("'audit verify --from {next}' checks what follows.");
        match &self.why {
            Why::CutLine if self.first == self.last => {
                "If a writer was killed, the next launch cuts the line off and records that; \
                 if none was, take it for tampering."
                    .into()
            }
            Why::FileRenamed(Some(name)) => {
                format!("Give it back its name, '{}'.", Escaped(name))
            }
            Why::FileRenamed(None) => {
                "Give the files back their names, in the order of their records.".into()
            }
            Why::FileAdded(_) => {
                "Find out who put it there, and take it out of the log's folder.".into()
            }
            Why::FileMissing(..) | Why::OtherMissing(_) | Why::FileSwapped(_) => {
                format!("Bring it back from a backup, or find out who took it. {go_on}")
            }
            Why::HeadMissing(_) => "Is 'audit.sign' configured? If it was, somebody removed \
                                    the head: compare with '--against'."
                .into(),
            Why::HeadInvalid(_) => "Is it the key that signs this log? If it is, somebody forged \
                                    the head: compare with '--against'."
                .into(),
            Why::HeadOld => "Either an old head was put back, or records go by faster than heads \
                             are signed ('audit.sign.interval'): compare with '--against'."
                .into(),
            Why::TailCut(_) | Why::Rewritten(..) => {
                "Take the log for forged from there on, and go by what the witness knows. \
                 Find out who could write the log."
                    .into()
            }
            Why::Foreign | Why::Copied(_) | Why::Forged(_) | Why::MovedHere | Why::Twice(_) => {
                COMPARE.into()
            }
            _ => format!("{COMPARE} {go_on}"),
        }
    }
}

/// `record 7`, `records 7 to 9`, `records up to 9`.
struct Records(Option<u64>, Option<u64>);

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(first), Some(last)) if last > first => write!(f, "records {first} to {last}"),
            (Some(first), _) => write!(f, "record {first}"),
            (None, Some(last)) => write!(f, "records up to {last}"),
            (None, None) => f.write_str("records"),
        }
    }
}

/// The records after the first.
struct Rest(u64, Option<u64>);

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.1.unwrap_or_default();
        let is = if last == self.0.saturating_add(1) {
            "is"
        } else {
            "are"
        };
        write!(
            f,
            "{} {is}",
            Records(Some(self.0.saturating_add(1)), Some(last))
        )
    }
}
