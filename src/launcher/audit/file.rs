//! The log's file, to which many processes append at once: who may write when,
//! and what is written. Each append leaves a whole record, the state that the
//! next writer goes on from, and no lock.
//!
//! A writer locks `APPEND` for one record. Whoever begins a new file first
//! locks `GATE`, then `HOLD`, which confined launches share: from confinement
//! on they can open nothing, and must still be able to write.

use std::cell::{Cell, RefCell};
use std::path::Path;

use secure_exec_core::audit::Event;
use secure_exec_core::audit::chain::Link;
use secure_exec_core::audit::files;
use secure_exec_core::audit::line::Line;
use secure_exec_core::audit::state::{self, State};
use secure_exec_core::config::{AuditConfig, Sync};
use secure_exec_sys::Errno;
use secure_exec_sys::lock::{Patience, Share};
use secure_exec_sys::log_folder::{self, LogFile, LogFolder, Purpose};
use secure_exec_sys::open::Stat;
use serde_json::Value;

use super::error::LogError;
use super::locks::{APPEND, GATE, HOLD, Locks};
use super::sign::Signer;
use super::{create_private, tail};

/// Bytes that a confined writer may have to read again, if another was killed
/// in the middle of a record. Longer records than half of it are cut shorter
/// by nobody, but only a writer that is not confined repairs them.
const WINDOW: usize = 256 << 10;

/// A log and its folder.
#[derive(Debug)]
pub struct FileLog {
    pub(super) folder: LogFolder,
    pub(super) name: String,
    /// Also the state.
    pub(super) locks: Locks,
    pub(super) current: RefCell<Option<Current>>,
    pub(super) keeping: Keeping,
    sync: Sync,
    signer: Option<Signer>,
    window: RefCell<Vec<u8>>,
    /// What was written of the log itself, and not yet asked for.
    told: RefCell<Vec<(Line, Link)>>,
    /// A new file was begun: its name is not on the disk yet.
    pub(super) unsynced: Cell<bool>,
    /// The log was rotated: there is something to compress.
    pub(super) uncompressed: Cell<bool>,
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

/// Renders a record of the log's own.
pub type Render<'a> = dyn Fn(Event, Value) -> Result<Line, serde_json::Error> + 'a;

impl FileLog {
    /// Opens a log, whose file may be missing. Its folder is made if needed.
    ///
    /// # Errors
    /// The folder can't be made or is everybody's, the file is none that a
    /// log may be, the key for signing can't be read.
    pub fn open(path: &Path, config: &AuditConfig) -> Result<Self, LogError> {
        let (folder, name) = log_folder::split(path)
            .and_then(|(folder, name)| Some((folder, name.to_str()?.to_string())))
            .ok_or(LogError::NoName)?;
        let folder = match LogFolder::open(folder) {
            Err(error) if error.is_not_found() => {
                create_private(folder);
                LogFolder::open(folder)
            }
            opened => opened,
        }?;
        let current = match folder.open_file(&name, Purpose::Append) {
            Ok(opened) => Some(Current::new(opened)),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        };
        let (shared, _) = folder.open_file(&files::state(&name), Purpose::Update)?;
        let signer = config
            .sign
            .as_ref()
            .map(|sign| Signer::open(sign, &folder, &name))
            .transpose()?;
        Ok(Self {
            folder,
            name,
            locks: Locks(shared),
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
            window: RefCell::default(),
            told: RefCell::default(),
            unsynced: Cell::new(false),
            uncompressed: Cell::new(false),
        })
    }

    /// Appends a record, and before it what happened to the log. Whether it
    /// decides a launch matters for when it must be on the disk.
    ///
    /// # Errors
    /// It is not in the log; or it is, and not on the disk as it should be.
    pub fn append(
        &self,
        line: &mut Line,
        decides: bool,
        render: &Render<'_>,
    ) -> Result<Link, LogError> {
        let link = match self.append_at_once(line)? {
            Some(link) => link,
            None => self.append_with_care(Some(line), None, render)?,
        };
        if self.sync == Sync::Always || (self.sync == Sync::Decision && decides) {
            self.sync()?;
        }
        self.compress()?;
        Ok(link)
    }

    /// The log's own records that were written since this was asked last, in
    /// the order in which they were rendered.
    pub fn take_own(&self) -> Vec<(Line, Link)> {
        self.told.take()
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

    /// Keeps the file from being exchanged, until the process executes
    /// another program or ends.
    ///
    /// # Errors
    /// A lock can't be had, the log not be repaired.
    pub fn hold(&self, render: &Render<'_>) -> Result<(), LogError> {
        self.window.borrow_mut().reserve_exact(WINDOW);
        // Once is enough, unless others rename the log again and again.
        for _ in 0..3 {
            {
                let _gate = self.locks.lock(GATE, Share::Shared, Patience::LONG)?;
                self.locks.keep(HOLD, Share::Shared)?;
            }
            let state = self.state()?;
            let there = self.folder.stat_file(&self.name)?;
            if state
                .zip(there)
                .is_some_and(|(state, there)| self.is_current(&state, &there))
            {
                return Ok(());
            }
            self.locks.give_up(HOLD);
            self.append_with_care(None, None, render)?;
        }
        Err(LogError::Exchanged)
    }

    /// Appends a record to the log that is held. Allocates nothing.
    ///
    /// # Errors
    /// As [`FileLog::append`].
    pub fn append_held(&self, line: &mut Line) -> Result<Link, Errno> {
        let link = {
            let _append = self.locks.lock(APPEND, Share::Exclusive, Patience::LONG)?;
            let current = self.current.borrow();
            let current = current.as_ref().ok_or(Errno::EBADF)?;
            let mut state = self.state()?.ok_or(Errno::EBADMSG)?;
            if !current.is(state.device, state.inode) {
                return Err(Errno::ESTALE);
            }
            let size = current.file.size()?;
            if size != state.end {
                let mut window = self.window.borrow_mut();
                let tail = tail::read(&current.file, size, &mut window, WINDOW)?;
                let last = tail.last.ok_or(Errno::EBADMSG)?;
                if last.seq < state.last.seq {
                    // More was lost than a record can say here.
                    return Err(Errno::EBADMSG);
                }
                if tail.torn > 0 {
                    current.file.cut(size - tail.torn)?;
                }
                state.last = last.link();
                state.end = size - tail.torn;
                state.cut = state.cut.saturating_add(tail.torn);
            }
            self.put(&current.file, &mut state, line)?
        };
        if self.sync == Sync::Always {
            self.sync()?;
        }
        Ok(link)
    }

    /// The usual case: the log is as the last writer left it. `None` where it
    /// is not, or has to be rotated.
    fn append_at_once(&self, line: &mut Line) -> Result<Option<Link>, Errno> {
        let current = self.current.borrow();
        let Some(current) = current.as_ref() else {
            return Ok(None);
        };
        let _append = self.locks.lock(APPEND, Share::Exclusive, Patience::LONG)?;
        let Some(mut state) = self.state()? else {
            return Ok(None);
        };
        let Some(there) = self.folder.stat_file(&self.name)? else {
            return Ok(None);
        };
        let is_as_left = current.is(there.dev, there.ino)
            && current.is(state.device, state.inode)
            && there.size == state.end
            && state.cut == 0;
        if !is_as_left || self.rotation_cause(&state, line.capacity()).is_some() {
            return Ok(None);
        }
        self.put(&current.file, &mut state, line).map(Some)
    }

    /// Any case: repairs the log, begins a new file, and only then appends.
    fn append_with_care(
        &self,
        line: Option<&mut Line>,
        requested: Option<&'static str>,
        render: &Render<'_>,
    ) -> Result<Link, LogError> {
        let _gate = self.locks.lock(GATE, Share::Exclusive, Patience::LONG)?;
        // A launch that is stopped between confinement and exec keeps the log
        // from rotating, which it can do without for a while.
        let mut alone = self
            .locks
            .lock(HOLD, Share::Exclusive, Patience::SHORT)
            .ok();
        let mut append = self.locks.lock(APPEND, Share::Exclusive, Patience::LONG)?;
        if alone.is_none() && self.needs_a_file()? {
            drop(append);
            alone = Some(self.locks.lock(HOLD, Share::Exclusive, Patience::LONG)?);
            append = self.locks.lock(APPEND, Share::Exclusive, Patience::LONG)?;
        }
        let (mut state, reports) = self.repair()?;
        self.record(&mut state, reports, render)?;
        if alone.is_some() {
            let length = line.as_ref().map_or(0, |line| line.capacity());
            let cause = match requested {
                Some(cause) => (state.end > 0).then_some(cause),
                None => self.rotation_cause(&state, length),
            };
            if let Some(cause) = cause {
                let report = self.begin_anew(&mut state, cause)?;
                self.record(&mut state, vec![report], render)?;
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
        reports: Vec<Report>,
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
    /// head or the state can't be written, the record is taken back: the
    /// launch is told that it failed.
    fn put(&self, file: &LogFile, state: &mut State, line: &mut Line) -> Result<Link, Errno> {
        let link = line.seal(state.last);
        file.append(line.sealed(), state.end)?;
        let before = *state;
        state.last = link;
        state.end = state.end.saturating_add(line.sealed().len() as u64);
        let signed = match &self.signer {
            Some(signer) => signer.sign_if_due(state),
            None => Ok(()),
        };
        let told = signed.and_then(|()| self.locks.0.overwrite(&state.render()));
        if let Err(errno) = told {
            // Should this fail as well, the next writer finds the record.
            let _left = file.cut(before.end);
            *state = before;
            return Err(errno);
        }
        Ok(link)
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

    /// Another file has to be begun or taken up.
    fn needs_a_file(&self) -> Result<bool, Errno> {
        let there = self.folder.stat_file(&self.name)?;
        Ok(!self
            .state()?
            .zip(there)
            .is_some_and(|(state, there)| self.is_current(&state, &there)))
    }

    fn is_current(&self, state: &State, there: &Stat) -> bool {
        let current = self.current.borrow();
        current.as_ref().is_some_and(|current| {
            current.is(there.dev, there.ino) && current.is(state.device, state.inode)
        })
    }

    /// The writers' state; `None` where there is none, or none that makes
    /// sense.
    pub(super) fn state(&self) -> Result<Option<State>, Errno> {
        let mut bytes = [0; state::SIZE];
        let count = self.locks.0.read_at(&mut bytes, 0)?;
        Ok(bytes.get(..count).and_then(State::parse))
    }

    fn sync(&self) -> Result<(), Errno> {
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
