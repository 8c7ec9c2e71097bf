//! The log's file, to which many processes append at once: who may write when,
//! and what is written. Each append leaves a whole record, the state that the
//! next writer goes on from, and no lock.
//!
//! How a confined launch writes is `held`'s, which locks there are
//! `locks`'s.

use std::cell::{Cell, RefCell};
use std::path::Path;

use secure_exec_core::audit::Event;
use secure_exec_core::audit::chain::Link;
use secure_exec_core::audit::files;
use secure_exec_core::audit::line::Line;
use secure_exec_core::audit::state::{self, State};
use secure_exec_core::config::{AuditConfig, Sync};
use secure_exec_sys::Errno;
use secure_exec_sys::lock::Patience;
use secure_exec_sys::log_file::LogFile;
use secure_exec_sys::log_folder::{self, LogFolder, Purpose};
use secure_exec_sys::open::Stat;
use serde_json::Value;

use super::create_private;
use super::error::LogError;
use super::held::Held;
use super::locks::{APPEND, GATE, HOLDS, Locks};
use super::sign::{Signed, Signer};
use crate::trail::Trail;

/// A log and its folder.
#[derive(Debug)]
pub struct FileLog {
    pub(super) folder: LogFolder,
    pub(super) name: String,
    /// What the writers tell each other.
    shared: LogFile,
    pub(super) locks: Locks,
    pub(super) current: RefCell<Option<Current>>,
    pub(super) keeping: Keeping,
    pub(super) sync: Sync,
    signer: Option<Signer>,
    /// The files that writers go by.
    pub(super) trail: Trail,
    /// How this launch writes from confinement on.
    pub(super) held: RefCell<Option<Held>>,
    /// What was written of the log itself, and not yet asked for.
    told: RefCell<Vec<(Line, Link)>>,
    /// A new file was begun: its name is not on the disk yet.
    pub(super) unsynced: Cell<bool>,
    /// The log was rotated: there is something to compress.
    pub(super) uncompressed: Cell<bool>,
    /// What could not be done for the log, as phrases that follow its name.
    pub(super) undone: RefCell<Vec<String>>,
}

/// The file that records go to.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) file: LogFile,
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Current {
    pub(super) fn new((file, stat): (LogFile, Stat)) -> Self {
        Self {
            file,
            device: stat.dev,
            inode: stat.ino,
        }
    }

    fn is(&self, device: u64, inode: u64) -> bool {
        (self.device, self.inode) == (device, inode)
    }

    /// It is the one that the last writer wrote to.
    pub(super) fn is_of(&self, state: &State) -> bool {
        self.is(state.device, state.inode)
    }
}

/// What is kept of a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeping {
    /// Bytes; 0: any.
    pub(super) max_size: u64,
    pub(super) max_backups: u64,
    /// Seconds; 0: any.
    pub(super) max_age: i64,
    pub(super) compress: bool,
}

/// Something that happened to the log, to be recorded before anything else.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) event: Event,
    pub(super) audit: Value,
}

/// What helps a log that can't be rotated.
const CURE: &str = "make its folder one in which this user can rename files, or rotate it from outside and set 'audit.max_size: 0'";

/// Renders a record of the log's own.
pub type Render<'a> = dyn Fn(Event, Value) -> Result<Line, serde_json::Error> + 'a;

impl FileLog {
    /// Opens a log, whose file may be missing. Its folder is made if needed.
    ///
    /// # Errors
    /// The folder can't be made or is everybody's, the file is none that a
    /// log may be, the key for signing can't be read.
    pub fn open(path: &Path, config: &AuditConfig) -> Result<Self, LogError> {
        let trail = Trail::default();
        trail.file(path);
        let (folder, name) = log_folder::split(path).ok_or(LogError::NoName)?;
        let folder = match LogFolder::open(folder) {
            // Not where something else has a folder's name.
            Err(error) if error.errno() == Some(Errno::ENOENT) => {
                create_private(folder).map_err(LogError::folder)?;
                LogFolder::open(folder)
            }
            opened => opened,
        }?;
        let current = match folder.open_file(name, Purpose::Append) {
            Ok(opened) => Some(Current::new(opened)),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let (locks, _) = folder.open_file(&files::lock(name), Purpose::Lock)?;
        let (shared, _) = folder.open_file(&files::state(name), Purpose::Update)?;
        let signer = config
            .sign
            .as_ref()
            .map(|sign| Signer::open(sign, &folder, name, &trail))
            .transpose()?;
        Ok(Self {
            folder,
            name: name.to_string(),
            shared,
            locks: Locks(locks),
            current: RefCell::new(current),
            keeping: Keeping {
                max_size: config.max_size.saturating_mul(1_000_000),
                max_backups: config.max_backups,
                max_age: i64::try_from(config.max_age)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(86_400),
                compress: config.compress,
            },
            sync: config.sync,
            signer,
            trail,
            held: RefCell::default(),
            told: RefCell::default(),
            unsynced: Cell::new(false),
            uncompressed: Cell::new(false),
            undone: RefCell::default(),
        })
    }

    /// Appends a record, and before it what happened to the log. Whether it
    /// decides a launch matters for when it must be on the disk. A log that is
    /// held is only appended to.
    ///
    /// # Errors
    /// It is not in the log; or it is, and not on the disk as it should be.
    pub fn append(
        &self,
        line: &mut Line,
        decides: bool,
        render: &Render<'_>,
    ) -> Result<Link, LogError> {
        if self.held.borrow().is_some() {
            return Ok(self.append_held(line)?);
        }
        let link = match self.append_at_once(line)? {
            Some(link) => link,
            None => self.append_with_care(Some(line), None, render)?,
        };
        if self.sync == Sync::Always || (self.sync == Sync::Decision && decides) {
            self.sync()?;
        }
        Ok(link)
    }

    /// The log's own records that were written since this was asked last, in
    /// the order in which they were rendered.
    pub fn take_own(&self) -> Vec<(Line, Link)> {
        self.told.take()
    }

    /// What could not be done for the log since this was asked last. Records
    /// are written all the same.
    pub fn take_undone(&self) -> Vec<String> {
        self.undone.take()
    }

    /// Rotates the log now, if it has a record; returns the name that its file
    /// has then.
    ///
    /// # Errors
    /// As [`FileLog::append`].
    pub fn rotate(&self, render: &Render<'_>) -> Result<Option<String>, LogError> {
        let before = self.rotated_files()?.last().map(|newest| newest.number);
        self.append_with_care(None, Some("request"), render)?;
        self.compress()?;
        let newest = self.rotated_files()?.pop();
        let newest = newest.filter(|newest| Some(newest.number) > before);
        Ok(newest.map(|newest| newest.name))
    }

    /// The usual case: the log is as the last writer left it. `None` where it
    /// is not, or has to be rotated.
    fn append_at_once(&self, line: &mut Line) -> Result<Option<Link>, Errno> {
        let current = self.current.borrow();
        let Some(current) = current.as_ref() else {
            return Ok(None);
        };
        let _append = self.locks.lock(APPEND, Patience::LONG)?;
        let Some(mut state) = self.state()? else {
            return Ok(None);
        };
        let Some(there) = self.folder.stat_file(&self.name)? else {
            return Ok(None);
        };
        let is_as_left = current.is(there.dev, there.ino)
            && current.is_of(&state)
            && there.size == state.end
            && state.cut == 0;
        if !is_as_left || self.rotation_cause(&state, line.capacity()).is_some() {
            return Ok(None);
        }
        self.put(&current.file, &mut state, line).map(Some)
    }

    /// Any case: repairs the log, begins a new file, and only then appends.
    pub(super) fn append_with_care(
        &self,
        line: Option<&mut Line>,
        requested: Option<&'static str>,
        render: &Render<'_>,
    ) -> Result<Link, LogError> {
        let _gate = self.locks.lock(GATE, Patience::LONG)?;
        // A launch that is stopped between confinement and exec keeps the log
        // from rotating, which it can do without for a while.
        let patience = match requested {
            Some(_) => Patience::SHORT,
            None => Patience::SHORTEST,
        };
        let mut alone = self.locks.lock(HOLDS, patience).ok();
        let mut append = self.locks.lock(APPEND, Patience::LONG)?;
        let repaired = match alone {
            Some(_) => None,
            None => self.repair_in_place()?,
        };
        let (mut state, reports) = match repaired {
            Some(repaired) => repaired,
            None => {
                if alone.is_none() {
                    drop(append);
                    alone = Some(self.locks.lock(HOLDS, Patience::LONG)?);
                    append = self.locks.lock(APPEND, Patience::LONG)?;
                }
                self.repair()?
            }
        };
        self.record(&mut state, reports, render)?;
        if alone.is_some() {
            let length = line.as_ref().map_or(0, |line| line.capacity());
            let cause = match requested {
                Some(cause) => (state.end > 0).then_some(cause),
                None => self.rotation_cause(&state, length),
            };
            if let Some(cause) = cause {
                match self.begin_anew(&mut state, cause) {
                    Ok(report) => self.record(&mut state, report, render)?,
                    // No reason to leave a record unwritten.
                    Err(error) if requested.is_none() => {
                        self.undone
                            .borrow_mut()
                            .push(format!("grows on: {error}; {CURE}"));
                    }
                    Err(error) => return Err(error),
                }
            }
        } else if requested.is_some() {
            return Err(LogError::System(Errno::ETIMEDOUT));
        }
        if let Some(line) = line {
            let current = self.current.borrow();
            let current = current.as_ref().ok_or(LogError::Exchanged)?;
            self.put(&current.file, &mut state, line)?;
        }
        drop(append);
        drop(alone);
        Ok(state.last)
    }

    fn record(
        &self,
        state: &mut State,
        reports: impl IntoIterator<Item = Report>,
        render: &Render<'_>,
    ) -> Result<(), LogError> {
        let current = self.current.borrow();
        let current = current.as_ref().ok_or(LogError::Exchanged)?;
        for report in reports {
            let mut line = render(report.event, report.audit)?;
            let link = self.put(&current.file, state, &mut line)?;
            self.told.borrow_mut().push((line, link));
        }
        Ok(())
    }

    /// Writes the record that comes next. The caller holds the lock. Where the
    /// state or the head can't be written, the record is taken back: the
    /// launch is told that it failed.
    ///
    /// The head is last: it vouches for no record that may still be taken back.
    pub(super) fn put(
        &self,
        file: &LogFile,
        state: &mut State,
        line: &mut Line,
    ) -> Result<Link, Errno> {
        if state.last.seq == u64::MAX {
            // No log gets there by writing: somebody made the number up.
            return Err(Errno::EOVERFLOW);
        }
        let link = line.seal(state.last);
        file.append(line.sealed(), state.end)?;
        let before = *state;
        state.last = link;
        state.end = state.end.saturating_add(line.sealed().len() as u64);
        if let Err(errno) = self.shared.overwrite(&state.render()) {
            // Should this fail as well, the next writer finds the record.
            let _left = file.cut(before.end);
            *state = before;
            return Err(errno);
        }
        let Some(signer) = &self.signer else {
            return Ok(link);
        };
        match signer.sign_if_due(state) {
            Ok(Signed::Already) => Ok(link),
            Ok(Signed::Now) => {
                // Should this fail, the next writer signs again.
                let _untold = self.shared.overwrite(&state.render());
                Ok(link)
            }
            Err(errno) => {
                // A record that the state still knows would be missed.
                if self.shared.overwrite(&before.render()).is_ok() {
                    let _left = file.cut(before.end);
                    *state = before;
                }
                Err(errno)
            }
        }
    }

    fn rotation_cause(&self, state: &State, length: usize) -> Option<&'static str> {
        let Keeping {
            max_size, max_age, ..
        } = self.keeping;
        let grown = state.end.saturating_add(length as u64);
        if state.end == 0 {
            None
        } else if max_size > 0 && grown > max_size {
            Some("size")
        } else if max_age > 0 && super::now().saturating_sub(state.begun) > max_age {
            Some("age")
        } else {
            None
        }
    }

    /// The writers' state; `None` where there is none, or none that makes
    /// sense.
    pub(super) fn state(&self) -> Result<Option<State>, Errno> {
        let mut bytes = [0; state::SIZE];
        let count = self.shared.read_at(&mut bytes, 0)?;
        Ok(bytes.get(..count).and_then(State::parse))
    }

    pub(super) fn sync(&self) -> Result<(), Errno> {
        if let Some(current) = self.current.borrow().as_ref() {
            current.file.sync()?;
        }
        if self.unsynced.take() {
            // The folder's entries: a file without a name is lost as well.
            self.folder
                .sync()
                .map_err(|error| error.errno().unwrap_or(Errno::EIO))?;
        }
        Ok(())
    }
}
