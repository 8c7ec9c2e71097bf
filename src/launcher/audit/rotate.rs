//! Rotation: the log's file gets a number for a name, a new one is begun, and
//! what is too old or too much is removed or compressed.

use std::io::Write as _;

use secure_exec_core::audit::Event;
use secure_exec_core::audit::files::Rotated;
use secure_exec_core::audit::state::State;
use secure_exec_core::escape::Escaped;
use secure_exec_sys::Errno;
use secure_exec_sys::lock::Patience;
use secure_exec_sys::log_folder::Purpose;
use secure_exec_sys::open::Stat;
use serde_json::json;

use super::aside::Way;
use super::error::LogError;
use super::file::{Current, FileLog, Report};
use super::locks::COMPRESS;

impl FileLog {
    /// Puts the log's file aside and begins another; `None` where another
    /// program renames it in this very moment. Then the chain goes on under
    /// that name, and the next writer begins a file. The caller is alone. After
    /// an error the log is as it was.
    pub(super) fn begin_anew(
        &self,
        state: &mut State,
        cause: &'static str,
    ) -> Result<Option<Report>, LogError> {
        let newest = self.rotated_files()?.last().map_or(0, |last| last.number);
        let Some((number, name, way)) = self.put_aside(state.rotation.max(newest))? else {
            return Ok(None);
        };
        let bytes = state.end;
        state.end = 0;
        if way == Way::Renamed {
            let there = self.begin_file().inspect_err(|_| {
                // What fails now is found, and followed, by the next writer.
                let _left = self.folder.rename(&name, &self.name);
                state.end = bytes;
            })?;
            state.device = there.dev;
            state.inode = there.ino;
            state.end = there.size;
        }
        self.uncompressed.set(true);
        state.rotation = number;
        state.begun = super::now();
        state.sign_next();
        Ok(Some(self.rotated(Some(&name), state, cause, bytes)))
    }

    /// Makes the new file, for the same people as the one before, or takes an
    /// empty one that another program made.
    pub(super) fn begin_file(&self) -> Result<Stat, LogError> {
        let (file, stat) = match self.folder.open_file(&self.name, Purpose::Create) {
            Err(error) if error.errno() == Some(Errno::EEXIST) => {
                self.folder.open_file(&self.name, Purpose::Append)?
            }
            opened => {
                let (file, stat) = opened?;
                let before = self.current.borrow();
                let kept = before.as_ref().map(|before| file.take_access(&before.file));
                if let Some(Err(error)) = kept {
                    let undone = format!("does not belong to whom it did: {error}");
                    self.undone.borrow_mut().push(undone);
                }
                (file, stat)
            }
        };
        self.current.replace(Some(Current::new((file, stat))));
        self.unsynced.set(true);
        Ok(stat)
    }

    /// The record that a new file begins with; removes what is not kept.
    pub(super) fn rotated(
        &self,
        name: Option<&str>,
        state: &State,
        cause: &str,
        bytes: u64,
    ) -> Report {
        let pruned = self.prune().and_then(|(removed, failed)| {
            // Listed anew: a compressed twin of what was removed may be left.
            let oldest = self.rotated_files()?.first().map(|oldest| oldest.number);
            Ok((removed, failed, oldest))
        });
        let (removed, failed, oldest) = pruned.unwrap_or_else(|error| {
            let undone = format!("keeps all of its past: {error}");
            self.undone.borrow_mut().push(undone);
            Default::default()
        });
        let audit = json!({
            "file": name.map(|name| Escaped(name).to_string()),
            "rotation": state.rotation,
            "cause": cause,
            "last_seq": state.last.seq,
            "bytes": bytes,
            "removed": removed,
            "not_removed": failed,
            "oldest": oldest,
        });
        Report {
            event: Event::AuditRotated,
            audit,
        }
    }

    /// Removes the files that are too many or too old; returns their names and
    /// the names of those that could not be removed.
    fn prune(&self) -> Result<(Vec<String>, Vec<String>), LogError> {
        let files = self.rotated_files()?;
        let kept = match self.keeping.max_backups {
            0 => files.len(),
            most => usize::try_from(most).unwrap_or(usize::MAX),
        };
        let surplus = files.len().saturating_sub(kept);
        let (mut removed, mut failed) = (Vec::new(), Vec::new());
        for (place, file) in files.into_iter().enumerate() {
            if place >= surplus && !self.is_outdated(&file) {
                // What is newer stays, or there would be a hole.
                break;
            }
            match self.folder.remove(&file.name) {
                Ok(()) => removed.push(file.name),
                Err(_) => {
                    failed.push(file.name);
                    break;
                }
            }
        }
        Ok((removed, failed))
    }

    /// By the time of its last change. A file of the future is kept: the clock
    /// is wrong then, now or earlier.
    fn is_outdated(&self, file: &Rotated) -> bool {
        let max_age = self.keeping.max_age;
        let changed = || {
            let (file, _) = self.folder.open_file(&file.name, Purpose::Read).ok()?;
            file.changed().ok()
        };
        max_age > 0
            && changed().is_some_and(|changed| super::now().saturating_sub(changed) > max_age)
    }

    /// The log's past, oldest first. A file that is there twice, since its
    /// compression was interrupted, counts once, uncompressed. What another
    /// user put there does not count, or it would push out what is genuine.
    pub(super) fn rotated_files(&self) -> Result<Vec<Rotated>, LogError> {
        let names = self.folder.names()?;
        let mut files: Vec<Rotated> = names
            .iter()
            .filter_map(|name| Rotated::of(&self.name, name))
            .filter(|file| self.folder.owns(&file.name))
            .collect();
        files.sort();
        files.dedup_by_key(|file| file.number);
        Ok(files)
    }

    /// Compresses what is not yet, if the log was rotated, that is wanted and
    /// nobody else does it.
    ///
    /// # Errors
    /// The first that there is; the file stays as it is, and the next rotation
    /// tries again.
    pub fn compress(&self) -> Result<(), LogError> {
        if !self.keeping.compress || !self.uncompressed.take() {
            return Ok(());
        }
        let Ok(_compress) = self.locks.lock(COMPRESS, Patience::NONE) else {
            return Ok(());
        };
        let mut all = Ok(());
        for file in self.rotated_files()? {
            if !file.is_compressed {
                all = all.and(self.compress_file(&file.name));
            }
        }
        all
    }

    /// Through a new file and a rename: there is always one whole.
    fn compress_file(&self, name: &str) -> Result<(), LogError> {
        let (plain, _) = self.folder.open_file(name, Purpose::Read)?;
        let (packed, temporary) = (format!("{name}.gz"), format!(".{name}.gz.new"));
        for leftover in [&packed, &temporary] {
            // Of a writer that was killed while it did this.
            match self.folder.remove(leftover) {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        let (target, _) = self.folder.open_file(&temporary, Purpose::Create)?;
        let (twin, _) = self.folder.open_file(&temporary, Purpose::Append)?;
        let mut encoder =
            flate2::write::GzEncoder::new(twin.into_file(), flate2::Compression::fast());
        let mut buffer = vec![0; 1 << 16];
        let mut offset = 0;
        loop {
            let count = plain.read_at(&mut buffer, offset)?;
            let read = buffer.get(..count).unwrap_or_default();
            if read.is_empty() {
                break;
            }
            encoder.write_all(read)?;
            offset = offset.saturating_add(count as u64);
        }
        encoder.finish()?;
        target.take_after(&plain)?;
        target.sync()?;
        self.folder.rename(&temporary, &packed)?;
        self.folder.remove(name)?;
        Ok(())
    }
}
