//! The files of one audit log, in the order in which they were written: those
//! that the launcher rotated, those that another program renamed, and the
//! active one. Changes nothing.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use secure_exec::failure::Failure;
use secure_exec::listed::folder_of;
use secure_exec_core::audit::files::Rotated;
use secure_exec_core::escape::Escaped;

use super::piece::{self, Piece};

/// A log, by its path.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    path: PathBuf,
    name: String,
}

/// All files of a log.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// The files, oldest first.
    pub(crate) list: Vec<Piece>,
    /// What lies there and can't be read, as sentences.
    pub(crate) notes: Vec<String>,
}

impl Log {
    /// The log at a path, whether it is there or not.
    pub(crate) fn at(path: &Path) -> Result<Self, Failure> {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|_| !path.is_dir()) else {
            let shown = path.to_string_lossy();
            let shown = Escaped(&shown);
            return Err(Failure::own(format!(
                "'{shown}' is no audit log\nName its active file, such as '/var/log/secure-exec/audit.log'."
            )));
        };
        Ok(Self {
            path: path.to_path_buf(),
            name: name.to_string(),
        })
    }

    /// Name of the active file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Path of the active file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that all its files lie in.
    pub(crate) fn folder(&self) -> &Path {
        folder_of(&self.path)
    }

    /// What went wrong with the log.
    pub(crate) fn failed(&self, why: &dyn std::fmt::Display) -> Failure {
        let shown = self.path.to_string_lossy();
        Failure::own(format!("the audit log '{}': {why}", Escaped(&shown)))
    }

    /// The active file, where there is one.
    pub(crate) fn active(&self) -> Result<Option<File>, Failure> {
        match piece::open(&self.path, true) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// All files. One that is rotated while they are listed is in the list
    /// once.
    pub(crate) fn pieces(&self) -> Result<Pieces, Failure> {
        let active = self.active()?;
        let mut notes = Vec::new();
        let (mut own, foreign) = self.past(&mut notes)?;
        if let Some(file) = active {
            let mut active = Piece::held(&self.name, file).map_err(|error| self.failed(&error))?;
            active.is_active = true;
            if own.iter().all(|other| other.id != active.id) {
                own.push(active);
            }
        }
        let list = in_order(own, foreign);
        Ok(Pieces { list, notes })
    }

    /// As [`Log::pieces`]; it is an error that there are none.
    pub(crate) fn existing(&self) -> Result<Pieces, Failure> {
        let pieces = self.pieces()?;
        match pieces.list.is_empty() {
            true => Err(self.missing()),
            false => Ok(pieces),
        }
    }

    /// There is no file of it.
    pub(crate) fn missing(&self) -> Failure {
        self.failed(
            &"there is none\nName the log after the command, or with SECURE_EXEC_AUDIT_LOG.",
        )
    }

    /// The names in its folder that are text.
    pub(crate) fn names(&self) -> Result<Vec<String>, Failure> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => self.failed(&"its folder does not exist"),
            _ => self.failed(&format!("its folder can't be read: {error}")),
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.folder()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let Ok(name) = entry.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The files that were active once: the launcher's by their numbers, and
    /// those that another program renamed.
    fn past(&self, notes: &mut Vec<String>) -> Result<(Vec<Piece>, Vec<Piece>), Failure> {
        let mut rotated: Vec<Rotated> = Vec::new();
        let mut foreign = Vec::new();
        for name in self.names()? {
            if let Some(own) = Rotated::of(&self.name, &name) {
                rotated.push(own);
            } else if let Some(extension) = renamed(&self.name, &name) {
                match extension {
                    "" | "gz" => foreign.push(name),
                    _ => notes.push(format!(
                        "'{}' is not read: of compressed files, only gzip's are; decompress it",
                        Escaped(&name)
                    )),
                }
            }
        }
        // Beside its compressed copy, which may not be whole yet, the plain
        // file counts. It sorts first.
        rotated.sort();
        rotated.dedup_by_key(|file| file.number);
        foreign.sort();
        let mut look = |found: io::Result<Piece>, name: &str| match found {
            Ok(piece) => Some(piece),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                notes.push(format!("'{}' is not read: {error}", Escaped(name)));
                None
            }
        };
        let own = rotated.iter().filter_map(|file| {
            let found = Piece::rotated(self.folder(), file);
            look(found, &file.name)
        });
        let own = own.collect();
        let foreign = foreign.iter().filter_map(|name| {
            let opened = piece::open(&self.folder().join(name), false);
            look(opened.and_then(|file| Piece::held(name, file)), name)
        });
        Ok((own, foreign.collect()))
    }
}

/// The compression's extension, where a file has a name that logrotate gives
/// what it renames: `audit.log.1`, `audit.log-20261124.gz`.
pub(super) fn renamed<'a>(log: &str, name: &'a str) -> Option<&'a str> {
    let rest = name.strip_prefix(log)?.strip_prefix(['.', '-'])?;
    let (number, extension) = rest.split_once('.').unwrap_or((rest, ""));
    let is_number = number.starts_with(|c: char| c.is_ascii_digit())
        && number.chars().all(|c| c.is_ascii_digit() || c == '-');
    let is_known = matches!(extension, "" | "gz" | "xz" | "bz2" | "zst");
    (is_number && is_known).then_some(extension)
}

/// The launcher's own files have an order; the others are put between them by
/// the time of their first record. A file that begins as another does is a
/// copy of it, and left out.
fn in_order(own: Vec<Piece>, mut foreign: Vec<Piece>) -> Vec<Piece> {
    let known = own.iter().filter_map(|piece| piece.beginning.clone());
    let mut known: HashSet<_> = known.collect();
    foreign.retain(|piece| {
        let beginning = piece.beginning.clone();
        beginning.is_some_and(|beginning| known.insert(beginning))
    });
    foreign.sort_by(|one, other| one.time().cmp(&other.time()));
    let mut list = own;
    for piece in foreign {
        let is_later = |other: &Piece| other.beginning.is_none() || other.time() > piece.time();
        let place = list.iter().position(is_later).unwrap_or(list.len());
        list.insert(place, piece);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_logrotate_gives_are_known() {
        for (name, extension) in [
            ("audit.log.1", Some("")),
            ("audit.log.12.gz", Some("gz")),
            ("audit.log-20261124", Some("")),
            ("audit.log-20261124-1764000000.xz", Some("xz")),
            ("audit.log.head", None),
            ("audit.log", None),
            ("audit.log.", None),
            ("audit.log.1.tmp", None),
            ("audit.log-", None),
            ("audit.log.-1", None),
            ("other.log.1", None),
        ] {
            assert_eq!(renamed("audit.log", name), extension, "{name}");
        }
    }
}
