//! What a writer does with a log that is not as the last writer left it:
//! killed in the middle of a record, renamed by another program, emptied,
//! exchanged, gone. Numbers go on, and the log says what happened.

use secure_exec_core::audit::Event;
use secure_exec_core::audit::chain::{Ends, Link};
use secure_exec_core::audit::files::Rotated;
use secure_exec_core::audit::line;
use secure_exec_core::audit::state::State;
use secure_exec_core::escape::Whole;
use secure_exec_sys::log_folder::Purpose;
use secure_exec_sys::open::Stat;
use serde_json::json;

use super::error::LogError;
use super::file::{Current, FileLog, Report};
use super::tail;

/// More than the longest record there can be.
const LIMIT: usize = 16 << 20;
/// Characters of what was cut off that are recorded.
const SHOWN: usize = 256;

impl FileLog {
    /// Finds where the log has got to, whatever happened to it. Afterwards
    /// there is a file to append to. The caller is alone.
    pub(super) fn repair(&self) -> Result<(State, Vec<Report>), LogError> {
        let state = self.state()?;
        match (self.take_up()?, state) {
            (Some(there), Some(state)) if is_same(&there, &state) => self.mend(state, there.size),
            (Some(there), Some(state)) if there.size > 0 => self.compare(state, &there),
            (_, Some(state)) => self.follow(state),
            (there, None) => self.rebuild(there),
        }
    }

    /// The same without another file, which confined launches could not see:
    /// where the log has another name now, the chain goes on under that until
    /// they have ended. `None` where the file is not found.
    pub(super) fn repair_in_place(&self) -> Result<Option<(State, Vec<Report>)>, LogError> {
        let Some(state) = self.state()? else {
            return Ok(None);
        };
        let size = match self.take_up()? {
            Some(there) if is_same(&there, &state) => Some(there.size),
            _ => self.find(&state)?.map(|(_, size)| size),
        };
        size.map(|size| self.mend(state, size)).transpose()
    }

    /// The file is the last writer's: was he killed, or was it cut?
    fn mend(&self, mut state: State, size: u64) -> Result<(State, Vec<Report>), LogError> {
        let mut reports = Vec::new();
        if state.cut > 0 {
            reports.push(recovered("torn", state.cut, None, None));
            state.cut = 0;
        }
        if size != state.end {
            let (tail, window) = self.end(size)?;
            let left = self.cut_torn(size, tail.torn, &window, &mut reports)?;
            match tail.last {
                Some(last) if last.seq >= state.last.seq => state.last = last.link(),
                None if self.was_put_aside(size, &state)? => {
                    let newest = self.rotated_files()?.pop();
                    let name = newest.as_ref().map(|newest| newest.name.as_str());
                    state.rotation = newest.as_ref().map_or(0, |newest| newest.number);
                    state.begun = super::now();
                    self.uncompressed.set(true);
                    reports.push(self.rotated(name, &state, "interrupted", state.end));
                }
                found => {
                    let cause = if size == 0 { "emptied" } else { "lost" };
                    reports.push(missing(cause, state.last, found));
                }
            }
            state.end = left;
        }
        Ok((state, reports))
    }

    /// Another file is in the log's place, and not empty.
    fn compare(&self, mut state: State, there: &Stat) -> Result<(State, Vec<Report>), LogError> {
        let mut reports = Vec::new();
        let (tail, window) = self.end(there.size)?;
        refuse_others(&tail, &window)?;
        let left = self.cut_torn(there.size, tail.torn, &window, &mut reports)?;
        match tail.last {
            // A copy of it, as some editors and backups leave.
            Some(last) if last.link() == state.last => {}
            // Whoever rotated was killed before he could tell of the new
            // file's first record, which says it all.
            Some(last) if follows(&last, state.last) => {
                state.last = last.link();
                state.begun = super::now();
                state.sign_next();
                self.uncompressed.set(true);
            }
            found => {
                reports.push(missing("exchanged", state.last, found));
                if let Some(found) = found.filter(|found| found.seq > state.last.seq) {
                    state.last = found.link();
                }
            }
        }
        Ok((on(state, there, left), reports))
    }

    /// It is empty since its records were copied aside, and whoever did that
    /// was killed before he could tell.
    fn was_put_aside(&self, size: u64, state: &State) -> Result<bool, LogError> {
        if size > 0 {
            return Ok(false);
        }
        let past = self.last_of_the_past()?;
        Ok(past.is_some_and(|last| last.link() == state.last))
    }

    /// The log's file has another name now, or none. A new one is begun.
    fn follow(&self, mut state: State) -> Result<(State, Vec<Report>), LogError> {
        let mut reports = Vec::new();
        match self.find(&state)? {
            Some((name, size)) => {
                (state, reports) = self.mend(state, size)?;
                let (cause, number) = match Rotated::of(&self.name, &name) {
                    Some(rotated) => {
                        self.uncompressed.set(true);
                        ("interrupted", rotated.number)
                    }
                    None => ("renamed", state.rotation),
                };
                state.rotation = state.rotation.max(number);
                let report = self.rotated(Some(&name), &state, cause, state.end);
                reports.insert(0, report);
            }
            None => {
                reports.push(missing("gone", state.last, None));
                if state.cut > 0 {
                    reports.push(recovered("torn", state.cut, None, None));
                }
            }
        }
        state.cut = 0;
        state.sign_next();
        let there = self.begin_file()?;
        Ok((on(state, &there, there.size), reports))
    }

    /// The last writer's file under the name that it has now, and its size. It
    /// must hold what he wrote: its inode may be another file's by now.
    fn find(&self, state: &State) -> Result<Option<(String, u64)>, LogError> {
        for name in self.folder.names()? {
            let stat = self.folder.stat_file(&name).ok().flatten();
            if !stat.is_some_and(|stat| is_same(&stat, state)) {
                continue;
            }
            let Ok((file, stat)) = self.folder.open_file(&name, Purpose::Append) else {
                continue;
            };
            let last = tail::read(&file, stat.size, &mut Vec::new(), LIMIT)?.last;
            if last.is_some_and(|last| last.seq >= state.last.seq) {
                self.current.replace(Some(Current::new((file, stat))));
                return Ok(Some((name, stat.size)));
            }
        }
        Ok(None)
    }

    /// There is no state: this is the first record, or somebody removed it.
    fn rebuild(&self, there: Option<Stat>) -> Result<(State, Vec<Report>), LogError> {
        let mut state = State {
            last: Link::START,
            device: 0,
            inode: 0,
            end: 0,
            begun: super::now(),
            rotation: self.rotated_files()?.last().map_or(0, |last| last.number),
            head: 0,
            cut: 0,
        };
        let mut reports = Vec::new();
        let there = match there {
            Some(there) => there,
            None => self.begin_file()?,
        };
        let (tail, window) = self.end(there.size)?;
        let mut last = tail.last;
        refuse_others(&tail, &window)?;
        if there.size == 0 {
            last = self.last_of_the_past()?;
        }
        let left = self.cut_torn(there.size, tail.torn, &window, &mut reports)?;
        if last.is_some() || there.size > 0 || state.rotation > 0 {
            reports.push(recovered("state_missing", 0, None, last));
        }
        state.last = last.map_or(Link::START, |last| last.link());
        Ok((on(state, &there, left), reports))
    }

    /// The last record of the newest rotated file.
    fn last_of_the_past(&self) -> Result<Option<Ends>, LogError> {
        let Some(newest) = self.rotated_files()?.into_iter().next_back() else {
            return Ok(None);
        };
        if newest.is_compressed {
            // Its end can't be read without unpacking it, which is not a
            // launch's work; the gap shows where the chain begins anew.
            return Ok(None);
        }
        let (file, stat) = self.folder.open_file(&newest.name, Purpose::Read)?;
        Ok(tail::read(&file, stat.size, &mut Vec::new(), LIMIT)?.last)
    }

    /// Opens the file that has the log's name, if there is one.
    fn take_up(&self) -> Result<Option<Stat>, LogError> {
        match self.folder.open_file(&self.name, Purpose::Append) {
            Ok((file, stat)) => {
                self.current.replace(Some(Current::new((file, stat))));
                Ok(Some(stat))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn end(&self, size: u64) -> Result<(tail::Tail, Vec<u8>), LogError> {
        let current = self.current.borrow();
        let current = current.as_ref().ok_or(LogError::Exchanged)?;
        let mut window = Vec::new();
        let tail = tail::read(&current.file, size, &mut window, LIMIT)?;
        if tail.torn >= LIMIT as u64 {
            return Err(LogError::NoLog);
        }
        Ok((tail, window))
    }

    /// Cuts off what has no end, and returns the size that is left.
    fn cut_torn(
        &self,
        size: u64,
        torn: u64,
        window: &[u8],
        reports: &mut Vec<Report>,
    ) -> Result<u64, LogError> {
        if torn == 0 {
            return Ok(size);
        }
        let left = size.saturating_sub(torn);
        let current = self.current.borrow();
        let current = current.as_ref().ok_or(LogError::Exchanged)?;
        current.file.cut(left)?;
        let start = window
            .len()
            .saturating_sub(usize::try_from(torn).unwrap_or(usize::MAX));
        let text = String::from_utf8_lossy(window.get(start..).unwrap_or_default());
        let shown: String = text.chars().take(SHOWN).collect();
        reports.push(recovered("torn", torn, Some(&shown), None));
        Ok(left)
    }
}

/// A file that others put in the log's place may be anything, and its end is
/// not to be cut off then.
fn refuse_others(tail: &tail::Tail, end: &[u8]) -> Result<(), LogError> {
    match tail.last {
        None if !end.is_empty() && !is_log(end) => Err(LogError::NoLog),
        _ => Ok(()),
    }
}

/// Whether the end of a file may be a log's, though no record of a chain is in
/// it: of a log without one, or of a first record that was not finished.
fn is_log(end: &[u8]) -> bool {
    let mut lines = end.rsplit(|byte| *byte == b'\n');
    let torn = lines.next().unwrap_or_default();
    match lines.next() {
        Some(last) => line::fields(last).is_some_and(|fields| fields.contains_key("event_type")),
        None => Ends::begin(torn),
    }
}

/// The state, once records go to another file.
fn on(state: State, there: &Stat, end: u64) -> State {
    State {
        device: there.dev,
        inode: there.ino,
        end,
        begun: if end == 0 { super::now() } else { state.begun },
        ..state
    }
}

fn follows(record: &Ends, last: Link) -> bool {
    record.prev == last.hash && Some(record.seq) == last.seq.checked_add(1)
}

fn is_same(there: &Stat, state: &State) -> bool {
    (there.dev, there.ino) == (state.device, state.inode)
}

/// Records that the writers know of are not in the log.
fn missing(cause: &str, known: Link, found: Option<Ends>) -> Report {
    let audit = json!({
        "cause": cause,
        "known_seq": known.seq,
        "known_hash": known.hash.to_string(),
        "found_seq": found.map(|found| found.seq),
        "found_hash": found.map(|found| found.record_hash.to_string()),
    });
    Report {
        event: Event::AuditRecovered,
        audit,
    }
}

fn recovered(cause: &str, cut: u64, text: Option<&str>, found: Option<Ends>) -> Report {
    let audit = json!({
        "cause": cause,
        "cut_bytes": cut,
        "cut_text": text.map(|text| Whole(text).to_string()),
        "found_seq": found.map(|found| found.seq),
    });
    Report {
        event: Event::AuditRecovered,
        audit,
    }
}
