//! What a second sink got, as it was stored or printed there: number and hash
//! of each record, whatever stands around them.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use memchr::memmem;
use secure_exec::failure::Failure;
use secure_exec_core::audit::chain::{DIGITS, Ends, Hash, Link};
use secure_exec_core::escape::Escaped;
use serde::Deserialize;
use serde_json::Value;

use super::super::lines::{Lines, Part};
use super::snapshot::{self, LONGEST};

/// A file with what a sink got.
#[derive(Debug)]
pub(super) struct Sink {
    path: PathBuf,
    file: File,
    size: u64,
    seen: Rc<RefCell<Seen>>,
}

/// What was in it.
#[derive(Debug, Default)]
struct Seen {
    records: u64,
    /// The last one's number.
    last: u64,
    error: Option<io::Error>,
}

impl Sink {
    /// Opens it as it is now: the log, which is looked at later, has all of
    /// its records. What is no file, such as a pipe, is read to its end.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let opened = OpenOptions::new().read(true).open(path).and_then(|file| {
            let stat = file.metadata()?;
            if stat.is_file() {
                return Ok((file, stat.size()));
            }
            let mut stored = tempfile::tempfile()?;
            let size = io::copy(&mut (&file), &mut stored)?;
            stored.rewind()?;
            Ok((stored, size))
        });
        let (file, size) = opened.map_err(|error| failed(path, &error))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            size,
            seen: Rc::default(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// As messages call it.
    pub(super) fn name(&self) -> String {
        format!("'{}'", Escaped(&self.path.to_string_lossy()))
    }

    /// The links that it has, in its order.
    pub(super) fn links(&self) -> impl Iterator<Item = Link> + '_ {
        let part = Part::of(&self.file, 0, self.size);
        let mut lines = Lines::of(part, LONGEST);
        let seen = Rc::clone(&self.seen);
        seen.replace(Seen::default());
        std::iter::from_fn(move || {
            loop {
                match lines.next() {
                    Ok(Some(line)) => {
                        let Some(link) = link_of(snapshot::text(&line)) else {
                            continue;
                        };
                        let mut seen = seen.borrow_mut();
                        seen.records = seen.records.saturating_add(1);
                        seen.last = link.seq;
                        return Some(link);
                    }
                    Ok(None) => return None,
                    Err(error) => {
                        seen.borrow_mut().error = Some(error);
                        return None;
                    }
                }
            }
        })
    }

    /// Whether it could bear witness at all.
    pub(super) fn check(&self, confirmed: u64, unordered: u64) -> Result<(), Failure> {
        let seen = self.seen.borrow();
        if let Some(error) = &seen.error {
            return Err(failed(&self.path, error));
        }
        let why = if seen.records == 0 {
            "no line of it has number and hash of a record\n\
             It takes lines of the log, of 'journalctl -t secure-exec -o json', or of syslog."
                .to_string()
        } else if unordered > 0 {
            format!(
                "{unordered} of its records are too far out of order to be compared\n\
                 Sort it by the records' numbers, or compare its parts one by one."
            )
        } else if confirmed == 0 {
            format!(
                "none of its records is in what was verified, the last is {}\n\
                 Compare with newer ones.",
                seen.last
            )
        } else {
            return Ok(());
        };
        Err(failed(&self.path, &why))
    }
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    let shown = path.to_string_lossy();
    Failure::own(format!("'{}': {why}", Escaped(&shown)))
}

/// Number and hash of the record that a line is about; `None` where it is
/// about none.
fn link_of(line: &[u8]) -> Option<Link> {
    if let Some(ends) = Ends::of(line) {
        return Some(ends.link());
    }
    if line.starts_with(b"{")
        && let Ok(shipped) = serde_json::from_slice::<Shipped>(line)
    {
        return shipped.link();
    }
    link_in(line)
}

/// A record, or an entry of the journal as `journalctl -o json` prints it.
#[derive(Deserialize)]
struct Shipped {
    seq: Option<u64>,
    record_hash: Option<String>,
    #[serde(rename = "SECURE_EXEC_SEQ")]
    journal_seq: Option<Value>,
    #[serde(rename = "SECURE_EXEC_RECORD_HASH")]
    journal_hash: Option<Value>,
    /// Of a message that the journal got by syslog.
    #[serde(rename = "MESSAGE")]
    message: Option<Value>,
}

impl Shipped {
    fn link(&self) -> Option<Link> {
        if let (Some(seq), Some(hash)) = (self.seq, &self.record_hash) {
            return link(seq, hash.as_bytes());
        }
        let text = |value: &Option<Value>| value.as_ref()?.as_str().map(str::to_string);
        match (text(&self.journal_seq), text(&self.journal_hash)) {
            (Some(seq), Some(hash)) => link(seq.parse().ok()?, hash.as_bytes()),
            _ => link_in(text(&self.message)?.as_bytes()),
        }
    }
}

fn link(seq: u64, hash: &[u8]) -> Option<Link> {
    let hash = Hash::parse(hash)?;
    Some(Link { seq, hash })
}

/// A record that other text stands before: its structured data in a message of
/// RFC 5424, else itself. In both, what a plugin's name holds is quoted, so
/// that it does not look like this.
fn link_in(text: &[u8]) -> Option<Link> {
    /// What stands before the number, and what before the hash.
    const SHAPES: [(&[u8], &[u8]); 3] = [
        (b" seq=\"", b"\" prev=\""),
        (b"{\"seq\":", b",\"prev\":\""),
        (b"seq=", b" prev="),
    ];
    /// Before a record's own hash.
    const OWN: [&[u8]; 3] = [
        b"\" record_hash=\"",
        b"\"record_hash\":\"",
        b" record_hash=",
    ];
    SHAPES.iter().zip(OWN).find_map(|((before, prev), own)| {
        let start = memmem::find(text, before)?.checked_add(before.len())?;
        let rest = text.get(start..)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = rest.split_at_checked(digits)?;
        let seq = std::str::from_utf8(number).ok()?.parse().ok()?;
        // A record in another format than the log's has no `prev`, and its
        // own hash right behind the number. Else it stands at the end, but
        // for structured data, where it is next.
        let place = match rest.strip_prefix(*prev) {
            Some(rest) if before.starts_with(b" ") => {
                let rest = rest.get(DIGITS..)?;
                return link(seq, rest.strip_prefix(own)?.get(..DIGITS)?);
            }
            Some(_) => memmem::rfind(rest, own)?,
            None => memmem::find(rest, own).filter(|place| *place <= 1)?,
        };
        let hash = rest.get(place.checked_add(own.len())?..)?.get(..DIGITS)?;
        link(seq, hash)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_found_in_what_sinks_make_of_it() {
        let (own, prev, other) = ["c", "b", "9"].map(|digit| digit.repeat(64)).into();
        let hostile = format!("seq=9 prev={other} {{\\\"seq\\\":9,\\\"prev\\\":\\\"{other}");
        let json = format!(
            "{{\"seq\":7,\"prev\":\"{prev}\",\"plugin_name\":\"{hostile}\",\"record_hash\":\"{own}\"}}"
        );
        let logfmt = format!("seq=7 prev={prev} plugin_name=\"{hostile}\" record_hash={own}");
        let foreign = format!("{{\"seq\":7,\"record_hash\":\"{own}\",\"plugin_name\":\"x\"}}");
        let short = format!("seq=7 record_hash={own} plugin_name=x");
        let data = format!(
            "<82>1 - h secure-exec 1 - [secure-exec@32473 plugin_name=\"{hostile}\" \
             seq=\"7\" prev=\"{prev}\" record_hash=\"{own}\"]"
        );
        let journal = format!(
            "{{\"SECURE_EXEC_SEQ\":\"7\",\"MESSAGE\":\"x\",\"SECURE_EXEC_RECORD_HASH\":\"{own}\"}}"
        );
        let message = serde_json::json!({ "MESSAGE": json, "PRIORITY": "6" }).to_string();
        let texts = [
            json.clone(),
            logfmt.clone(),
            foreign.clone(),
            journal,
            message,
            format!("Nov 24 00:00:00 h secure-exec[1]: {json}"),
            format!("Nov 24 00:00:00 h secure-exec[1]: {logfmt}"),
            format!("Nov 24 00:00:00 h secure-exec[1]: {foreign}"),
            format!("Nov 24 00:00:00 h secure-exec[1]: {short}"),
            format!("{data} {json}"),
            // Cut off by the receiver.
            format!("{data} {}", &json[..20]),
        ];
        for text in texts {
            let link = link_of(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                (link.seq, link.hash.to_string()),
                (7, own.clone()),
                "{text}"
            );
        }
        for text in [
            "",
            "{}",
            "seq=7",
            "Nov 24 sshd: seq=7 prev=x",
            "{\"seq\":7}",
        ] {
            assert_eq!(link_of(text.as_bytes()), None, "{text}");
        }
    }
}
