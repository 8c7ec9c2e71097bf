//! Several logs that are read as one: each user's own, of a machine on which
//! `{user}` stands in the log's path. Each has a chain of its own; together
//! their records are read in the order of their times.

use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secure_exec::failure::Failure;
use secure_exec_core::audit::files;
use secure_exec_core::escape::Escaped;
use secure_exec_sys::open::{self, Kind, Stat};
use secure_exec_sys::process;
use secure_exec_sys::{Errno, Error};

use super::Flow;
use super::entry::Entry;
use super::filter::Filter;
use super::lines::{Line, Lines};
use super::log::{self, Log, Pieces};
use super::piece::{self, Piece};
use super::scan::{self, Unread};
use crate::cli::Common;

/// What stands for a user's name in the path of a log.
pub(crate) const USER: &str = secure_exec::settings::USER;

/// One log or more.
pub(crate) struct Logs {
    pub(crate) list: Vec<Log>,
    /// As it was named.
    pub(crate) shown: String,
    /// What was left out, as sentences.
    pub(crate) notes: Vec<String>,
}

impl Logs {
    /// The log that is named, or that launches would write; those of all users
    /// if the path has `{user}`, those in it if it is a folder's.
    pub(crate) fn of(common: &Common, named: Option<&Path>) -> Result<Self, Failure> {
        let path = match named {
            Some(path) => path.to_path_buf(),
            None => common.audit_pattern()?,
        };
        let mut notes = Vec::new();
        let list = if path.to_string_lossy().contains(USER) {
            users(&path, &mut notes)?
        } else if path.is_dir() {
            in_folder(&path)?
        } else {
            vec![path.clone()]
        };
        let shown = path.to_string_lossy().into_owned();
        if list.is_empty() {
            let shown = Escaped(&shown);
            return Err(Failure::own(format!(
                "'{shown}' is no audit log, and holds none\nName its active file, such as '/var/log/secure-exec/audit.log', the folder that logs lie in, or a path with '{USER}'."
            )));
        }
        let list = list
            .iter()
            .map(|path| Log::at(path))
            .collect::<Result<_, _>>()?;
        Ok(Self { list, shown, notes })
    }

    /// The log, for what is done to one alone.
    pub(crate) fn only(self) -> Result<Log, Failure> {
        let shown = self.shown;
        match <[Log; 1]>::try_from(self.list) {
            Ok([log]) => Ok(log),
            Err(logs) => {
                let names = logs
                    .iter()
                    .map(|log| Escaped(&log.path().to_string_lossy()).to_string());
                let names: Vec<String> = names.collect();
                let shown = Escaped(&shown);
                Err(Failure::own(format!(
                    "'{shown}' are {} logs, and this is for one\nName one of them: {}.",
                    names.len(),
                    names.join(", ")
                )))
            }
        }
    }

    /// All files of each.
    pub(crate) fn existing(&self) -> Result<Vec<(&Log, Pieces)>, Failure> {
        let found = self.list.iter().map(|log| Ok((log, log.existing()?)));
        let mut found: Vec<(&Log, Pieces)> = found.collect::<Result<_, Failure>>()?;
        if let Some((_, pieces)) = found.first_mut() {
            pieces.notes.extend(self.notes.iter().cloned());
        }
        Ok(found)
    }
}

/// The log of each user, as far as it is his: in a folder for all, anybody may
/// have put a file there in another's name.
fn users(path: &Path, notes: &mut Vec<String>) -> Result<Vec<PathBuf>, Failure> {
    let mut found: Vec<(PathBuf, Option<String>)> = vec![(PathBuf::new(), None)];
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let part = part.as_os_str().to_string_lossy().into_owned();
        let is_last = parts.peek().is_none();
        let Some((before, after)) = part.split_once(USER) else {
            found.iter_mut().for_each(|(path, _)| path.push(&part));
            continue;
        };
        let named = |name: &str| {
            let user = name.strip_prefix(before)?.strip_suffix(after)?;
            process::is_plain_user(user).then(|| user.to_string())
        };
        let mut next = Vec::new();
        for (folder, known) in found {
            let folder = if folder.as_os_str().is_empty() {
                PathBuf::from(".")
            } else {
                folder
            };
            let names = match open::entries(&folder) {
                // What has a user's name may be no folder.
                Err(error) if known.is_some() && is_absent(&error) => continue,
                Err(error) if known.is_some() => {
                    notes.push(unread(&folder, &error));
                    continue;
                }
                entries => sorted(&folder, entries)?,
            };
            // Whoever has a log may have removed the file of its locks, so that
            // is not asked for: only the name counts.
            let is_whole = |name: &String| !is_last || !names.iter().any(|log| is_of(log, name));
            for name in names.iter().filter(|name| is_whole(name)) {
                let user = named(name);
                if user.is_some() && (known.is_none() || known == user) {
                    next.push((folder.join(name), user));
                }
            }
        }
        found = next;
    }
    found.retain(|(path, _)| !open::stat_path(path, false).is_err_and(|error| is_absent(&error)));
    let mut logs = Vec::new();
    for (path, user) in found {
        let strange = user.as_deref().and_then(|user| stranger(&path, user));
        let locked = || piece::open(&path, true).err().filter(is_denied);
        match strange.or_else(|| locked().map(|error| error.to_string())) {
            None => logs.push(path),
            Some(why) => notes.push(unread(&path, &why)),
        }
    }
    logs.sort();
    Ok(logs)
}

/// Why a log is not this user's, as a phrase. What root or the folder's owner
/// made for him is.
fn stranger(path: &Path, user: &str) -> Option<String> {
    let stat = |path: &Path| open::stat_path(path, false);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let (file, folder): (Stat, Stat) = match (stat(path), stat(folder.unwrap_or(Path::new(".")))) {
        (Ok(file), Ok(folder)) => (file, folder),
        (Err(error), _) | (_, Err(error)) => return Some(error.to_string()),
    };
    if file.kind != Kind::Regular {
        return Some(format!("it is {}", file.kind));
    }
    let own = process::find_user(user).map(|account| account.uid());
    let is_his = own.is_ok_and(|own| own == file.uid);
    (!is_his && file.uid != 0 && file.uid != folder.uid).then(|| {
        format!(
            "it belongs to user {}, not to '{}'",
            file.uid,
            Escaped(user)
        )
    })
}

fn unread(path: &Path, why: &dyn std::fmt::Display) -> String {
    let shown = path.to_string_lossy();
    format!("'{}' is not read: {why}", Escaped(&shown))
}

/// There is nothing of that name.
fn is_absent(error: &Error) -> bool {
    error.is_not_found() || error.errno() == Some(Errno::ENOTDIR)
}

/// Another user's, which this one may not read.
fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// A file of this name belongs to the log beside it.
fn is_of(log: &str, name: &str) -> bool {
    files::Rotated::of(log, name).is_some()
        || log::renamed(log, name).is_some()
        || name == files::head(log)
}

/// Its names that are text, in their order.
fn sorted(
    folder: &Path,
    entries: Result<Vec<(OsString, bool)>, Error>,
) -> Result<Vec<String>, Failure> {
    let entries = entries.map_err(|error| {
        let shown = folder.to_string_lossy();
        Failure::own(format!(
            "the folder '{}' of the audit logs: {error}",
            Escaped(&shown)
        ))
    })?;
    let mut names: Vec<String> = entries
        .into_iter()
        .filter_map(|(name, _)| name.into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// The logs in a folder: beside each lies the file of its writers' locks.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let names = sorted(folder, open::entries(folder))?;
    let logs = names
        .iter()
        .filter(|name| names.contains(&files::lock(name)));
    Ok(logs.map(|name| folder.join(name)).collect())
}

/// Calls `each` with every record that the filter wants, until it breaks off: of
/// one log in the order of its chain, of several in that of their times.
pub(crate) fn matching(
    logs: &[(&Log, Pieces)],
    filter: &Filter,
    unread: &mut Unread,
    each: &mut dyn FnMut(&[u8], &Entry) -> Flow,
) -> Flow {
    if let [(log, pieces)] = logs {
        for piece in &pieces.list {
            if scan::matching(log, piece, filter, unread, each)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        return Ok(ControlFlow::Continue(()));
    }
    let mut cursors = Vec::with_capacity(logs.len());
    for (log, pieces) in logs {
        let mut cursor = Cursor {
            log,
            left: pieces.list.iter(),
            reading: None,
            next: None,
        };
        cursor.advance(filter, unread)?;
        cursors.push(cursor);
    }
    loop {
        let waiting = cursors.iter_mut().filter(|cursor| cursor.next.is_some());
        let Some(first) = waiting.min_by_key(|cursor| cursor.time()) else {
            return Ok(ControlFlow::Continue(()));
        };
        if let Some((line, entry)) = first.next.take()
            && each(&line, &entry)?.is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        first.advance(filter, unread)?;
    }
}

/// A place in one of several logs.
struct Cursor<'a> {
    log: &'a Log,
    left: std::slice::Iter<'a, Piece>,
    reading: Option<(&'a Piece, Lines<Box<dyn std::io::Read>>)>,
    /// The record that stands there.
    next: Option<(Vec<u8>, Entry)>,
}

impl Cursor<'_> {
    fn time(&self) -> Option<Timestamp> {
        self.next.as_ref().map(|(_, entry)| entry.time)
    }

    /// Goes on to the next record that is wanted.
    fn advance(&mut self, filter: &Filter, unread: &mut Unread) -> Result<(), Failure> {
        loop {
            let Some((piece, lines)) = &mut self.reading else {
                let Some(piece) = self.left.next() else {
                    return Ok(());
                };
                self.reading = match piece.lines() {
                    Ok(lines) => Some((piece, lines)),
                    // Its time was over while the files before it were read.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                    Err(error) => return Err(self.log.failed(&error)),
                };
                continue;
            };
            let number = lines.number().saturating_add(1);
            match lines.next().map_err(|error| self.log.failed(&error))? {
                None => self.reading = None,
                Some(Line::Whole(line)) => {
                    if !filter.may_match(line) {
                        continue;
                    }
                    match Entry::parse(line) {
                        None => unread.note(&piece.name, number),
                        Some(entry) if filter.matches(&entry) => {
                            self.next = Some((line.to_vec(), entry));
                            return Ok(());
                        }
                        Some(_) => {}
                    }
                }
                Some(Line::TooLong) => unread.note(&piece.name, number),
                Some(Line::Unfinished { is_too_long, .. }) => {
                    if is_too_long || !piece.is_active {
                        unread.note(&piece.name, number);
                    }
                }
            }
        }
    }
}
