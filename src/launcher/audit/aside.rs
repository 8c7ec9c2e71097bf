//! How the log's file becomes one of its past, whatever the file system lets
//! happen: it is renamed; or, where it must keep its name, as a file that is
//! mounted there must, its records are copied and it is emptied. Whoever does it
//! is alone, by the writers' locks.

use secure_exec_core::audit::files;
use secure_exec_sys::Errno;
use secure_exec_sys::log_file::LogFile;
use secure_exec_sys::log_folder::Purpose;

use super::error::LogError;
use super::file::FileLog;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The log's name is free.
    Renamed,
    /// The log's file is empty.
    Copied,
}

/// Bytes that two files are compared by: more than a record's number and hash.
const BEGINNING: usize = 256;

impl FileLog {
    /// Puts the log's file aside under the first free number after the last;
    /// `None` where another program renames it in this very moment.
    pub(super) fn put_aside(&self, last: u64) -> Result<Option<(u64, String, Way)>, LogError> {
        let mut number = last;
        loop {
            number = number.checked_add(1).ok_or(Errno::EOVERFLOW)?;
            let name = files::rotated(&self.name, number);
            let error = match self.folder.rename(&self.name, &name) {
                Ok(()) => return Ok(Some((number, name, Way::Renamed))),
                Err(error) => error,
            };
            if error.is_not_found() {
                return Ok(None);
            }
            // Somebody else made a file of that name, but a later number is as
            // good, and its name as certain to be found again.
            if error.errno() == Some(Errno::EEXIST) {
                continue;
            }
            // The first answer says what is in the way.
            return match self.copy_aside(&name) {
                Ok(()) => Ok(Some((number, name, Way::Copied))),
                Err(LogError::File(other)) if other.errno() == Some(Errno::EEXIST) => continue,
                Err(_) => Err(error.into()),
            };
        }
    }

    /// Through a new file and a rename, as compression does it.
    fn copy_aside(&self, name: &str) -> Result<(), LogError> {
        let current = self.current.borrow();
        let current = &current.as_ref().ok_or(LogError::Exchanged)?.file;
        self.forget_copy(current)?;
        let temporary = format!(".{name}.new");
        match self.folder.remove(&temporary) {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        let (copy, _) = self.folder.open_file(&temporary, Purpose::Create)?;
        let copied = current.copy_to(&copy).and_then(|()| {
            copy.take_after(current)?;
            copy.sync().map_err(LogFile::unsynced)
        });
        let named = copied.and_then(|()| self.folder.rename(&temporary, name));
        if let Err(error) = named {
            let _left = self.folder.remove(&temporary);
            return Err(error.into());
        }
        self.folder.sync()?;
        if let Err(errno) = current.cut(0) {
            let _left = self.folder.remove(name);
            return Err(errno.into());
        }
        Ok(())
    }

    /// Removes a copy of these very records: whoever made it was killed before
    /// he emptied the log.
    fn forget_copy(&self, current: &LogFile) -> Result<(), LogError> {
        let Some(newest) = self
            .rotated_files()?
            .pop()
            .filter(|file| !file.is_compressed)
        else {
            return Ok(());
        };
        let beginning = |file: &LogFile| -> Result<Vec<u8>, Errno> {
            let mut bytes = vec![0; BEGINNING];
            let count = file.read_at(&mut bytes, 0)?;
            bytes.truncate(count);
            Ok(bytes)
        };
        let (file, _) = self.folder.open_file(&newest.name, Purpose::Read)?;
        let own = beginning(current)?;
        if !own.is_empty() && beginning(&file)? == own {
            self.folder.remove(&newest.name)?;
        }
        Ok(())
    }
}
