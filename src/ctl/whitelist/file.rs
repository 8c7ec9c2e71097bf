//! A whitelist file that is being changed: locked, read once, replaced as a
//! whole or not at all.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secure_exec::failure::Failure;
use secure_exec::listed::{folder_of, lock_path, read_lock};
use secure_exec::owner::Finding;
use secure_exec::trail::Trail;
use secure_exec::trust;
use secure_exec_core::digest::Digest;
use secure_exec_core::escape::Escaped;
use secure_exec_core::located::LARGEST;
use secure_exec_core::violation::Violation;
use secure_exec_core::whitelist::{Entry, Pin, Whitelist};
use tempfile::NamedTempFile;

/// One lock for all whitelists of a folder. Nobody else can open it, so nobody
/// else can hold it and keep a plugin from being taken out.
const LOCK: &str = ".secure-execctl.lock";
/// A new whitelist is for every user that launches plugins; it has no secrets.
const NEW_MODE: u32 = 0o644;

/// A whitelist file under its lock.
pub(crate) struct Held {
    /// The whitelist as it was named, for messages.
    shown: String,
    /// The file itself, symbolic links resolved.
    path: PathBuf,
    /// Its text; `None` where there is no file yet.
    text: Option<String>,
    /// What it says.
    whitelist: Whitelist,
    /// Who else could have written it.
    finding: Option<Finding>,
    _lock: File,
}

impl Held {
    /// Locks a whitelist file, and reads it if it is there.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.to_string_lossy().into_owned();
        let failed = |why: &dyn std::fmt::Display| failed(&shown, why);
        let path = resolved(path).map_err(|why| failed(&why))?;
        let lock = lock(folder_of(&path)).map_err(|error| {
            failed(&format!(
                "its folder can't be locked: {error}\nThe folder must exist, and be yours to write."
            ))
        })?;
        let mut held = Self {
            shown: shown.clone(),
            path,
            text: None,
            whitelist: Whitelist::default(),
            finding: None,
            _lock: lock,
        };
        match trust::read(&held.path, &Trail::default()) {
            Ok(loaded) => {
                held.whitelist = Whitelist::parse(&loaded.bytes, &shown).map_err(Failure::own)?;
                held.finding = loaded.finding;
                let text = String::from_utf8(loaded.bytes);
                held.text = Some(text.map_err(|_| failed(&"it is not UTF-8"))?);
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(Failure::own(format!("the whitelist {error}"))),
        }
        Ok(held)
    }

    /// Its text, where it exists.
    pub(crate) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// What it says.
    pub(crate) const fn whitelist(&self) -> &Whitelist {
        &self.whitelist
    }

    /// Who else could have written it.
    pub(crate) const fn finding(&self) -> Option<&Finding> {
        self.finding.as_ref()
    }

    /// Puts a new text in the file's place, if it says exactly what is meant.
    pub(crate) fn replace(&self, text: &str, meant: &[Entry]) -> Result<(), Failure> {
        self.replace_with(text, meant, &[])
    }

    /// The same, with lock files, each by its entry's name. They are replaced
    /// right before it, which has their digests.
    pub(crate) fn replace_with(
        &self,
        text: &str,
        meant: &[Entry],
        locks: &[(String, String)],
    ) -> Result<(), Failure> {
        self.check(text, meant)?;
        let ready = locks.iter().map(|(name, lock)| {
            let path = lock_path(folder_of(&self.path), name);
            self.prepare_lock(path.clone(), lock).map_err(|why| {
                let shown = path.to_string_lossy();
                Failure::own(format!("the lock file '{}': {why}", Escaped(&shown)))
            })
        });
        let ready = ready.collect::<Result<Vec<_>, _>>()?;
        self.install(text, ready)
            .map_err(|why| failed(&self.shown, &format!("it can't be replaced: {why}")))
    }

    /// The pins of an entry's lock file.
    pub(crate) fn locked(&self, entry: &Entry) -> Result<Vec<Pin>, Violation> {
        let Some(expected) = &entry.lock else {
            return Ok(Vec::new());
        };
        let (folder, name) = (folder_of(&self.path), entry.name.as_str());
        read_lock(folder, name, expected, &Trail::default()).map(|locked| locked.pins)
    }

    /// Removes the lock file of an entry that is gone, unless another whitelist
    /// beside it goes by the same one.
    pub(crate) fn delete_lock(&self, entry: &Entry) -> Result<(), Failure> {
        let Some(digest) = &entry.lock else {
            return Ok(());
        };
        let folder = folder_of(&self.path);
        let path = lock_path(folder, entry.name.as_str());
        let is_needed = is_needed(entry, digest, folder, &path)
            .map_err(|error| failed(&self.shown, &format!("the files beside it: {error}")))?;
        if is_needed {
            return Ok(());
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let shown = path.to_string_lossy();
                let shown = Escaped(&shown);
                Err(Failure::own(format!("the lock file '{shown}': {error}")))
            }
            _ => Ok(()),
        }
    }

    /// A lock file that waits for its name.
    fn prepare_lock(&self, path: PathBuf, text: &str) -> Result<(NamedTempFile, PathBuf), String> {
        let text_of = |error: std::io::Error| error.to_string();
        if path.file_name().is_some_and(|name| name == LOCK) {
            return Err("commands on whitelists have a file of that name; rename the entry".into());
        }
        if path.symlink_metadata().is_ok_and(|stat| stat.is_dir()) {
            return Err("it is a folder, and can't be replaced; remove it".into());
        }
        let mut new = tempfile::Builder::new()
            .prefix(".lock.")
            .tempfile_in(folder_of(&path))
            .map_err(text_of)?;
        new.write_all(text.as_bytes()).map_err(text_of)?;
        // Whoever reads the whitelist reads it, and nobody else writes it.
        let of = std::fs::metadata(&self.path).map_err(text_of)?;
        let own = new.as_file().metadata().map_err(text_of)?;
        if (of.uid(), of.gid()) != (own.uid(), own.gid()) {
            std::os::unix::fs::fchown(new.as_file(), Some(of.uid()), Some(of.gid()))
                .map_err(|error| format!("the whitelist's owner can't be its owner: {error}"))?;
        }
        new.as_file()
            .set_permissions(Permissions::from_mode(of.mode() & 0o7777))
            .map_err(text_of)?;
        new.as_file().sync_all().map_err(text_of)?;
        Ok((new, path))
    }

    /// Removes the file.
    pub(crate) fn delete(&self) -> Result<(), Failure> {
        std::fs::remove_file(&self.path)
            .and_then(|()| File::open(folder_of(&self.path))?.sync_all())
            .map_err(|error| failed(&self.shown, &format!("it can't be removed: {error}")))
    }

    /// Its layout is one that can't be changed safely.
    pub(crate) fn not_understood(&self, why: &dyn std::fmt::Display) -> Failure {
        let why = format!(
            "its layout is not understood, and nothing was changed ({why})\nEdit it by hand."
        );
        failed(&self.shown, &why)
    }

    fn check(&self, text: &str, meant: &[Entry]) -> Result<(), Failure> {
        if text.len() > LARGEST {
            return Err(failed(&self.shown, &"it would grow beyond 64 MiB"));
        }
        let read = Whitelist::parse(text.as_bytes(), &self.shown)
            .map_err(|error| self.not_understood(&error.message))?;
        if read.settings != self.whitelist.settings {
            return Err(self.not_understood(&"its settings would change"));
        }
        let same = read.entries.len() == meant.len()
            && read.entries.iter().zip(meant).all(|(a, b)| alike(a, b));
        if same {
            Ok(())
        } else {
            Err(self.not_understood(&"its plugins would not be the ones that are meant"))
        }
    }

    /// The lock files get their names right before the whitelist that has their
    /// digests: a launch in between sees two that do not fit, and looks again.
    fn install(&self, text: &str, locks: Vec<(NamedTempFile, PathBuf)>) -> Result<(), String> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let text_of = |error: std::io::Error| error.to_string();
        let mut new = tempfile::Builder::new()
            .prefix(&format!(".{name}."))
            .tempfile_in(folder_of(&self.path))
            .map_err(text_of)?;
        new.write_all(text.as_bytes()).map_err(text_of)?;
        let mode = match &self.text {
            None => NEW_MODE,
            Some(_) => {
                let old = std::fs::metadata(&self.path).map_err(text_of)?;
                let own = new.as_file().metadata().map_err(text_of)?;
                if (old.uid(), old.gid()) != (own.uid(), own.gid()) {
                    std::os::unix::fs::fchown(new.as_file(), Some(old.uid()), Some(old.gid()))
                        .map_err(|error| format!("its owner can't be kept: {error}"))?;
                }
                old.mode() & 0o7777
            }
        };
        new.as_file()
            .set_permissions(Permissions::from_mode(mode))
            .map_err(text_of)?;
        new.as_file().sync_all().map_err(text_of)?;
        let name_locks = || {
            let mut locks = locks.into_iter();
            locks.try_for_each(|(lock, path)| match lock.persist(&path) {
                Ok(_) => Ok(()),
                Err(error) => {
                    let shown = path.to_string_lossy();
                    Err(format!(
                        "the lock file '{}': {}",
                        Escaped(&shown),
                        error.error
                    ))
                }
            })
        };
        match &self.text {
            None => new
                .persist_noclobber(&self.path)
                .map_err(|e| text_of(e.error))?,
            Some(old) => {
                // Others may edit it without the lock.
                let now = std::fs::read(&self.path).map_err(text_of)?;
                if now != old.as_bytes() {
                    return Err("somebody changed it meanwhile; try again".into());
                }
                name_locks()?;
                new.persist(&self.path).map_err(|e| text_of(e.error))?
            }
        };
        let folder = File::open(folder_of(&self.path)).map_err(text_of)?;
        folder.sync_all().map_err(text_of)
    }
}

/// Whether two entries say the same, wherever they stand.
pub(crate) fn alike(one: &Entry, other: &Entry) -> bool {
    let mut one = one.clone();
    (one.line, one.column) = (other.line, other.column);
    one == *other
}

/// The file behind symbolic links, which is the one to replace.
fn resolved(path: &Path) -> Result<PathBuf, String> {
    match std::fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if path.is_symlink() {
                return Err("it is a symbolic link to nothing".into());
            }
            let name = path.file_name().ok_or("it has no file name")?;
            let folder = std::fs::canonicalize(folder_of(path))
                .map_err(|error| format!("its folder: {error}\nCreate the folder first."))?;
            Ok(folder.join(name))
        }
        Err(error) => Err(error.to_string()),
    }
}

fn lock(folder: &Path) -> std::io::Result<File> {
    let path = folder.join(LOCK);
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(libc::O_NOFOLLOW);
    let file = match options.open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            make_lock(folder, &path)?;
            options.open(&path)?
        }
        opened => opened?,
    };
    file.lock()?;
    Ok(file)
}

/// The lock belongs to whom the folder belongs to, before it has its name:
/// root's help must not lock the owner out.
fn make_lock(folder: &Path, path: &Path) -> std::io::Result<()> {
    let new = tempfile::Builder::new()
        .prefix(LOCK)
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    let (own, of) = (new.as_file().metadata()?, std::fs::metadata(folder)?);
    if own.uid() == 0 && of.uid() != 0 {
        std::os::unix::fs::fchown(new.as_file(), Some(of.uid()), Some(of.gid()))?;
    }
    match new.persist_noclobber(path) {
        Err(failed) if failed.error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(failed.error)
        }
        _ => Ok(()),
    }
}

/// Whether a file of the folder, other than the lock file itself, is a whitelist
/// whose entry goes by that, or could be one.
fn is_needed(gone: &Entry, digest: &Digest, folder: &Path, lock: &Path) -> std::io::Result<bool> {
    let digits = digest.hex();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        // Behind a link as well; what is no file is not opened.
        let stat = match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            stat => stat?,
        };
        let may_be_read = u64::try_from(LARGEST).is_ok_and(|largest| stat.len() <= largest);
        if path == lock || !stat.is_file() || !may_be_read {
            continue;
        }
        let bytes = std::fs::read(&path)?;
        let needs = match Whitelist::parse(&bytes, &path.to_string_lossy()) {
            Ok(whitelist) => whitelist.entries.iter().any(|other| {
                let is_it = other.lock.as_ref().is_some_and(|lock| lock.matches(digest));
                other.name == gone.name && is_it
            }),
            // One that somebody is writing, perhaps.
            Err(_) => {
                let text = bytes.to_ascii_lowercase();
                let mut parts = text.windows(digits.len());
                parts.any(|part| part == digits.as_bytes())
            }
        };
        if needs {
            return Ok(true);
        }
    }
    Ok(false)
}

fn failed(shown: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::own(format!("the whitelist '{}': {why}", Escaped(shown)))
}
