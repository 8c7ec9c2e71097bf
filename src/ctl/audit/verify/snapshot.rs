//! The files of a log as they are at one moment, while launches go on writing
//! and rotating: opened, then looked for again under their names. Needs no
//! lock, so a stopped reader stops nobody.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use secure_exec::failure::Failure;
use secure_exec_core::audit::chain::Ends;
use secure_exec_core::audit::files::{self, Rotated};
use secure_exec_core::audit::verify::{self, Opening, Role};
use secure_exec_core::escape::Escaped;
use secure_exec_sys::limits;

use super::super::lines::{Line, Lines, Part};
use super::super::log::Log;
use super::super::piece;

/// How long a rotation, or a record, that is on its way is waited for. A
/// launch takes a millisecond for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);
/// A line that is longer is none of a log's.
pub(super) const LONGEST: usize = 32 << 20;
/// Bytes at a file's end in which its last record is looked for.
const TAIL: u64 = 64 << 10;

/// One file of the log.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) name: String,
    role: Role,
    file: File,
    inode: u64,
    /// Bytes that count; what comes later does not.
    size: u64,
    is_compressed: bool,
}

/// The log whose past a file is, where that log is there: the files of a log
/// are verified together.
pub(super) fn past_of(log: &Log) -> Option<&str> {
    active(log.name()).filter(|active| log.folder().join(active).exists())
}

/// A file of the log's that is not of its records.
pub(super) fn read(log: &Log, name: &str) -> io::Result<Vec<u8>> {
    /// More than any of them has.
    const LIMIT: u64 = 4096;
    let mut bytes = Vec::new();
    let file = piece::open(&log.folder().join(name), false)?;
    file.take(LIMIT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens all files of the log, as they are at one moment.
pub(super) fn of(log: &Log) -> Result<Vec<Piece>, Failure> {
    let start = Instant::now();
    loop {
        let found = found(log)?;
        let Some(mut pieces) = open_all(log, &found)? else {
            if start.elapsed() > 5 * PATIENCE {
                return Err(log.failed(&"its files change names all the time\nTry again."));
            }
            continue;
        };
        if self::found(log)? != found {
            continue;
        }
        // A new file that has no record yet: what is removed with the old
        // one is not recorded yet either.
        let look = Look::at(&mut pieces).map_err(|error| log.failed(&error))?;
        let waited = start.elapsed();
        if look.is_whole && (look.is_begun || waited > PATIENCE) || waited > 2 * PATIENCE {
            return Ok(pieces);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Names and inodes of the files, in order.
fn found(log: &Log) -> Result<Vec<(String, u64)>, Failure> {
    let mut names = log.names()?;
    names.retain(|name| role(log, name).is_some());
    names.sort();
    // Not by the folder's entries: a file that is mounted there has another
    // inode than the one below it.
    let found = names.into_iter().filter_map(|name| {
        match std::fs::symlink_metadata(log.folder().join(&name)) {
            Ok(stat) => Some(Ok((name, stat.ino()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Err(log.failed(&error))),
        }
    });
    found.collect()
}

/// What a file of this name is to the log.
fn role(log: &Log, name: &str) -> Option<Role> {
    if name == files::head(log.name()) {
        return None;
    }
    let rest = name.strip_prefix(log.name())?;
    match Rotated::of(log.name(), name) {
        _ if rest.is_empty() => Some(Role::Active),
        Some(rotated) => Some(Role::Rotated(rotated.number)),
        // The name goes on with something that no name would.
        None if !rest.starts_with(char::is_alphanumeric) => Some(Role::Other),
        None => None,
    }
}

/// `None` where one of them is gone already.
fn open_all(log: &Log, found: &[(String, u64)]) -> Result<Option<Vec<Piece>>, Failure> {
    limits::make_room_for_files(found.len()).map_err(|error| log.failed(&error))?;
    let mut pieces = Vec::new();
    for (name, inode) in found {
        let Some(role) = role(log, name) else {
            continue;
        };
        match Piece::open(log.folder(), name, role) {
            Ok(piece) if piece.inode == *inode => pieces.push(piece),
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // It may be anything.
            Err(_) if role == Role::Other => {}
            Err(error) => {
                let cure = match log.folder().join(name).is_symlink() {
                    true => "; name the file that it leads to",
                    false => "",
                };
                return Err(log.failed(&format!("'{}': {error}{cure}", Escaped(name))));
            }
        }
    }
    Ok(Some(pieces))
}

/// The name of the log that a file of this name is a rotated one of.
fn active(name: &str) -> Option<&str> {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let (log, _) = plain.rsplit_once('.')?;
    Rotated::of(log, name).map(|_| log)
}

/// What is verified of a line. In the place of one that is too long stands an
/// empty one.
pub(super) fn text<'a>(line: &Line<'a>) -> &'a [u8] {
    match line {
        Line::Whole(line) | Line::Unfinished { rest: line, .. } => line,
        Line::TooLong => b"\n",
    }
}

/// Whether files that were changed just now are about to change again.
struct Look {
    /// No file ends within a record.
    is_whole: bool,
    /// The active file has a record, or there is nothing else, or nobody is
    /// about to change that.
    is_begun: bool,
}

impl Look {
    /// Takes the files' sizes as well: also one that was renamed is written
    /// to, until the launches that know no other have ended.
    fn at(pieces: &mut [Piece]) -> io::Result<Self> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs());
        let (mut is_quiet, mut is_new, mut has_record, mut is_whole) = (true, true, false, true);
        for piece in pieces.iter_mut().filter(|piece| !piece.is_compressed) {
            let stat = piece.file.metadata()?;
            let changed = u64::try_from(stat.ctime()).unwrap_or(u64::MAX);
            let is_recent = changed.saturating_add(PATIENCE.as_secs()) >= now;
            piece.size = stat.size();
            is_whole &= !is_recent || piece.ends_whole()?;
            let is_active = piece.role == Role::Active;
            is_quiet &= !is_recent;
            has_record |= is_active && piece.size > 0;
            is_new &= is_active && piece.size == 0;
        }
        Ok(Self {
            is_whole,
            is_begun: has_record || is_new || is_quiet,
        })
    }
}

impl Piece {
    fn open(folder: &Path, name: &str, role: Role) -> io::Result<Self> {
        let file = piece::open(&folder.join(name), false)?;
        let stat = file.metadata()?;
        Ok(Self {
            name: name.to_string(),
            role,
            inode: stat.ino(),
            size: stat.size(),
            is_compressed: piece::is_gzip(&file)?,
            file,
        })
    }

    /// Whether its last line has its end.
    fn ends_whole(&self) -> io::Result<bool> {
        let mut last = [0];
        let Some(end) = self.size.checked_sub(1) else {
            return Ok(true);
        };
        Ok(self.file.read_at(&mut last, end)? == 1 && last == *b"\n")
    }

    /// What it is to the log, by its name and its first lines.
    pub(super) fn part(&self) -> io::Result<verify::Part> {
        let mut first: Vec<Vec<u8>> = Vec::new();
        let mut lines = self.lines();
        while first.len() < Opening::LINES {
            match lines.next() {
                Ok(Some(line)) => first.push(text(&line).to_vec()),
                Err(error) if error.raw_os_error().is_some() => return Err(error),
                // Damage shows where it stands.
                Ok(None) | Err(_) => break,
            }
        }
        Ok(verify::Part {
            name: self.name.clone(),
            role: self.role,
            is_empty: first.is_empty(),
            first: Opening::of(self.role, first.iter().map(Vec::as_slice)),
            last: self.last()?,
        })
    }

    /// Number of the last record of a file that is not compressed.
    fn last(&self) -> io::Result<Option<u64>> {
        if self.is_compressed {
            return Ok(None);
        }
        let start = self.size.saturating_sub(TAIL);
        let mut tail = Vec::new();
        Part::of(&self.file, start, self.size).read_to_end(&mut tail)?;
        Ok(Ends::last_in(&tail, start == 0).map(|ends| ends.seq))
    }

    /// The lines of what it holds, unpacked. An error that is none of the system's is one
    /// of packed data.
    pub(super) fn lines(&self) -> Lines<Box<dyn Read + '_>> {
        let part = Part::of(&self.file, 0, self.size);
        let content: Box<dyn Read> = match self.is_compressed {
            true => Box::new(piece::unpacking(part)),
            false => Box::new(part),
        };
        Lines::of(content, LONGEST)
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }
}
