//! The files of a log as they are at one moment, while launches go on writing
//! and rotating: opened, then looked for again under their names. Needs no
//! lock, so a stopped reader stops nobody.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirEntryExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use flate2::bufread::MultiGzDecoder;
use secure_exec::failure::Failure;
use secure_exec::listed::folder_of;
use secure_exec_core::audit::chain::Ends;
use secure_exec_core::audit::files::{self, Rotated};
use secure_exec_core::audit::verify::{self, Opening, Role};
use secure_exec_core::escape::Escaped;
use secure_exec_sys::limits;

use super::lines::{Lines, Part};

/// How long a rotation, or a record, that is on its way is waited for. A
/// launch takes a millisecond for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(5);
/// Bytes at a file's end in which its last record is looked for.
const TAIL: u64 = 64 << 10;

/// A log's folder and its name there.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) name: String,
}

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

impl Place {
    /// The log at a path.
    pub(super) fn of(path: &Path) -> Result<Self, Failure> {
        let shown = path.to_string_lossy();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|_| !path.is_dir()) else {
            return Err(Failure::own(format!(
                "'{}' is no audit log\n\
                 Name its active file, such as '/var/log/secure-exec/audit.log'.",
                Escaped(&shown)
            )));
        };
        let place = Self {
            path: path.to_path_buf(),
            folder: folder_of(path).to_path_buf(),
            name: name.to_string(),
        };
        match active(name).filter(|active| place.folder.join(active).exists()) {
            Some(active) => Err(place.failed(&format!(
                "it is a rotated file of '{}'\n\
                 Name that one: the files of a log are verified together.",
                Escaped(active)
            ))),
            None => Ok(place),
        }
    }

    pub(super) fn failed(&self, why: &dyn std::fmt::Display) -> Failure {
        let shown = self.path.to_string_lossy();
        Failure::own(format!("the audit log '{}': {why}", Escaped(&shown)))
    }

    /// A file of the log's that is not of its records.
    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        /// More than any of them has.
        const LIMIT: u64 = 4096;
        let (file, _) = open(&self.folder.join(name))?;
        let mut bytes = Vec::new();
        file.take(LIMIT).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Opens all files of the log, as they are at one moment.
    pub(super) fn snapshot(&self) -> Result<Vec<Piece>, Failure> {
        let start = Instant::now();
        loop {
            let found = self.found()?;
            let Some(mut pieces) = self.open_all(&found)? else {
                if start.elapsed() > 5 * PATIENCE {
                    return Err(self.failed(&"its files change names all the time\nTry again."));
                }
                continue;
            };
            if self.found()? != found {
                continue;
            }
            // A new file that has no record yet: what is removed with the old
            // one is not recorded yet either.
            let look = Look::at(&mut pieces).map_err(|error| self.failed(&error))?;
            let waited = start.elapsed();
            if look.is_whole && (look.is_begun || waited > PATIENCE) || waited > 2 * PATIENCE {
                return Ok(pieces);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Names and inodes of the files, in order.
    fn found(&self) -> Result<Vec<(String, u64)>, Failure> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => self.failed(&"its folder does not exist"),
            _ => self.failed(&format!("its folder can't be read: {error}")),
        };
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let Some(name) = entry.file_name().to_str()
                && self.role(name).is_some()
            {
                found.push((name.to_string(), entry.ino()));
            }
        }
        found.sort();
        Ok(found)
    }

    /// What a file of this name is to the log.
    fn role(&self, name: &str) -> Option<Role> {
        if name == files::head(&self.name) {
            return None;
        }
        let rest = name.strip_prefix(&self.name)?;
        match Rotated::of(&self.name, name) {
            _ if rest.is_empty() => Some(Role::Active),
            Some(rotated) => Some(Role::Rotated(rotated.number)),
            // The name goes on with something that no name would.
            None if !rest.starts_with(char::is_alphanumeric) => Some(Role::Other),
            None => None,
        }
    }

    /// `None` where one of them is gone already.
    fn open_all(&self, found: &[(String, u64)]) -> Result<Option<Vec<Piece>>, Failure> {
        limits::make_room_for_files(found.len()).map_err(|error| self.failed(&error))?;
        let mut pieces = Vec::new();
        for (name, inode) in found {
            let Some(role) = self.role(name) else {
                continue;
            };
            match Piece::open(&self.folder, name, role) {
                Ok(piece) if piece.inode == *inode => pieces.push(piece),
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                // It may be anything.
                Err(_) if role == Role::Other => {}
                Err(error) => {
                    return Err(self.failed(&format!("'{}': {error}", Escaped(name))));
                }
            }
        }
        Ok(Some(pieces))
    }
}

/// The name of the log that a file of this name is a rotated one of.
fn active(name: &str) -> Option<&str> {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let (log, _) = plain.rsplit_once('.')?;
    Rotated::of(log, name).map(|_| log)
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
        let (file, stat) = open(&folder.join(name))?;
        let mut magic = [0; 2];
        let count = file.read_at(&mut magic, 0)?;
        Ok(Self {
            name: name.to_string(),
            role,
            inode: stat.ino(),
            size: stat.size(),
            // RFC 1952, section 2.3.1; whatever its name.
            is_compressed: count == 2 && magic == [0x1f, 0x8b],
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
        let mut lines = Lines::of(self.content());
        while first.len() < Opening::LINES {
            match lines.next() {
                Ok(Some(line)) => first.push(line.to_vec()),
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
        let mut lines = tail.rsplit(|byte| *byte == b'\n');
        Ok(lines.find_map(Ends::of).map(|ends| ends.seq))
    }

    /// What it holds, unpacked. An error that is none of the system's is one
    /// of packed data.
    pub(super) fn content(&self) -> Box<dyn Read + '_> {
        let part = Part::of(&self.file, 0, self.size);
        if self.is_compressed {
            let packed = io::BufReader::with_capacity(1 << 18, part);
            Box::new(MultiGzDecoder::new(packed))
        } else {
            Box::new(part)
        }
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }
}

/// Opens a plain file, without waiting for anybody.
pub(super) fn open(path: &Path) -> io::Result<(File, fs::Metadata)> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => {
                io::Error::other("it is a symbolic link; name the file that it leads to")
            }
            _ => error,
        })?;
    let stat = file.metadata()?;
    if !stat.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    Ok((file, stat))
}
