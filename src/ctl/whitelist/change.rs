//! `whitelist update`, `remove`, `enable` and `disable`: changes of entries
//! that are there.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use secure_exec::failure::Failure;
use secure_exec::image::digest_file;
use secure_exec::listed::{self, Listed, Loaded};
use secure_exec::opened::{self, Opened, Opening};
use secure_exec::settings::Settings;
use secure_exec_core::digest::{Algorithm, Digest, Hasher};
use secure_exec_core::escape::Escaped;
use secure_exec_core::whitelist::{Entry, Expected, Pin};
use secure_exec_sys::verity;
use serde_json::{Value as Json, json};

use super::draft;
use super::file::Held;
use super::lock_file::{locked, relock};
use super::{file_of, loaded, unknown};
use crate::screen::Screen;
use crate::yaml::sheet::{Place, Sheet};
use crate::yaml::write::Value;

/// The time, as the guide's `updated_at` has it.
pub(crate) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Takes over the digests that files have now; of every entry where no names
/// are given.
pub(crate) fn update(
    settings: &Settings,
    names: &[String],
    screen: Screen,
) -> Result<ExitCode, Failure> {
    let mut changes = Vec::new();
    for (path, names) in files(settings, names)? {
        let held = existing(&path, settings)?;
        let loaded = loaded(settings, held.whitelist().clone())?;
        let mut sheet = read(&held)?;
        let mut meant = held.whitelist().entries.clone();
        let before = changes.len();
        let mut locks = Vec::new();
        for entry in &mut meant {
            if names
                .as_ref()
                .is_some_and(|names| !names.contains(&entry.name.to_string()))
            {
                continue;
            }
            let mut pins = locked(&held, entry)?;
            let before = changes.len();
            for change in of_entry(settings, &loaded, entry, &pins, &held)? {
                change
                    .make(&mut sheet, entry, &mut pins)
                    .map_err(|why| held.not_understood(&why))?;
                changes.push(change);
            }
            let of_entry = changes.iter().skip(before);
            if of_entry
                .clone()
                .any(|change| change.is_new() && change.is_locked())
            {
                locks.push(relock(&mut sheet, entry, &pins, &held)?);
            }
        }
        if changes.iter().skip(before).any(Change::is_new) {
            finish_with(&held, sheet, &meant, &locks)?;
        }
    }
    if screen.json {
        let changes: Vec<Json> = changes.iter().map(Change::json).collect();
        screen.print_json(&json!({ "updated": changes }))?;
    } else {
        screen.print(&changes.iter().map(Change::lines).collect::<String>())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes entries out.
pub(crate) fn remove(
    settings: &Settings,
    names: &[String],
    screen: Screen,
) -> Result<ExitCode, Failure> {
    let is_folder = listed::is_folder(&settings.whitelist);
    for (path, names) in files(settings, names)? {
        let held = existing(&path, settings)?;
        let gone: Vec<Entry> = held.whitelist().entries.clone();
        let gone = gone.into_iter().filter(|entry| {
            let name = entry.name.as_str();
            is_folder
                || names
                    .as_ref()
                    .is_some_and(|names| names.iter().any(|one| one == name))
        });
        let gone: Vec<Entry> = gone.collect();
        if is_folder {
            held.delete()?;
            gone.iter().try_for_each(|entry| held.delete_lock(entry))?;
            continue;
        }
        let mut meant = held.whitelist().entries.clone();
        let mut text = held.text().unwrap_or_default().to_string();
        // One after the other: taking out the last one changes the list.
        for name in names.unwrap_or_default() {
            meant.retain(|entry| entry.name.as_str() != name);
            text = Sheet::read(&text)
                .and_then(|mut sheet| {
                    sheet.remove(&name)?;
                    sheet.finish()
                })
                .map_err(|why| held.not_understood(&why))?;
        }
        let touched = Sheet::read(&text).and_then(|mut sheet| {
            sheet.touch("updated_at", &now())?;
            sheet.finish()
        });
        let touched = touched.map_err(|why| held.not_understood(&why))?;
        held.replace(&touched, &meant)?;
        gone.iter().try_for_each(|entry| held.delete_lock(entry))?;
    }
    say(screen, "removed", names)
}

/// Sets `enabled`.
pub(crate) fn enable(
    settings: &Settings,
    names: &[String],
    enabled: bool,
    screen: Screen,
) -> Result<ExitCode, Failure> {
    for (path, names) in files(settings, names)? {
        let held = existing(&path, settings)?;
        let mut sheet = read(&held)?;
        let mut meant = held.whitelist().entries.clone();
        let names = names.unwrap_or_default();
        for entry in meant
            .iter_mut()
            .filter(|e| names.contains(&e.name.to_string()))
        {
            if entry.enabled != enabled {
                entry.enabled = enabled;
                sheet
                    .set(
                        entry.name.as_str(),
                        Place::Key("enabled"),
                        &Value::Flag(enabled),
                    )
                    .map_err(|why| held.not_understood(&why))?;
            }
        }
        if meant != held.whitelist().entries {
            finish(&held, sheet, &meant)?;
        }
    }
    say(screen, if enabled { "enabled" } else { "disabled" }, names)
}

/// A digest that an entry has, and the one that its file has.
struct Change {
    name: String,
    what: Pinned,
    before: Option<String>,
    after: Digest,
}

/// What a digest is of.
#[derive(Clone, Debug)]
enum Pinned {
    Plugin,
    Interpreter(String),
    Library(usize, String),
    /// A file of the lock file.
    Locked(usize, String),
    Script(String),
}

impl Change {
    fn is_new(&self) -> bool {
        self.before.as_deref() != Some(&self.after.to_string())
    }

    const fn is_locked(&self) -> bool {
        matches!(self.what, Pinned::Locked(..))
    }

    fn make(
        &self,
        sheet: &mut Sheet<'_>,
        entry: &mut Entry,
        locked: &mut [Pin],
    ) -> Result<(), String> {
        let after = self.after.clone();
        let place = match &self.what {
            Pinned::Plugin => {
                entry.hash = Expected::Pinned(after);
                Place::Key("hash")
            }
            Pinned::Interpreter(_) => {
                if let Some(pin) = &mut entry.interpreter {
                    pin.hash = Some(after);
                }
                Place::Within("interpreter", "hash")
            }
            Pinned::Library(index, _) => {
                if let Some(pin) = entry.libraries.get_mut(*index) {
                    pin.hash = Some(after);
                }
                Place::Item("libraries", *index, "hash")
            }
            Pinned::Script(_) => {
                if let Some(pin) = &mut entry.script {
                    pin.hash = Some(after);
                }
                Place::Within("script", "hash")
            }
            Pinned::Locked(index, _) => {
                if let Some(pin) = locked.get_mut(*index) {
                    pin.hash = Some(after);
                }
                return Ok(());
            }
        };
        if self.is_new() {
            sheet.set(&self.name, place, &Value::Text(self.after.to_string()))?;
        }
        Ok(())
    }

    fn file(&self) -> Option<&str> {
        match &self.what {
            Pinned::Plugin => None,
            Pinned::Interpreter(path)
            | Pinned::Library(_, path)
            | Pinned::Locked(_, path)
            | Pinned::Script(path) => Some(path),
        }
    }

    fn lines(&self) -> String {
        let of = self
            .file()
            .map_or(String::new(), |path| format!(" {}", Escaped(path)));
        let name = Escaped(&self.name);
        if !self.is_new() {
            return format!("{name}{of}: unchanged\n");
        }
        let before = self.before.as_deref().unwrap_or("none");
        format!(
            "{name}{of}:\n  before {}\n  after  {}\n",
            Escaped(before),
            self.after
        )
    }

    fn json(&self) -> Json {
        json!({
            "name": self.name,
            "file": self.file(),
            "before": self.before,
            "after": self.after.to_string(),
            "changed": self.is_new(),
        })
    }
}

/// The digests of an entry as its files are now. The plugin is opened as the
/// launcher opens it.
fn of_entry(
    settings: &Settings,
    loaded: &Loaded,
    entry: &Entry,
    locked: &[Pin],
    held: &Held,
) -> Result<Vec<Change>, Failure> {
    let name = entry.name.to_string();
    let listed = listed::look_up(settings, loaded, &name, Some(entry))?;
    let algorithm = match &entry.hash {
        Expected::Malformed(_) => written_algorithm(held, &name).unwrap_or(listed.algorithm()),
        Expected::Pinned(_) | Expected::Missing => listed.algorithm(),
    };
    let opened = opened_plugin(listed)?;
    let after = digest_of(&opened, algorithm)?;
    let mut changes = vec![Change {
        name: name.clone(),
        what: Pinned::Plugin,
        // Digits alone and in capitals are the same digest.
        before: entry.hash.text(),
        after,
    }];
    let interpreter = entry
        .interpreter
        .iter()
        .map(|pin| (pin, Pinned::Interpreter(pin.path.clone())));
    let libraries = entry.libraries.iter().enumerate();
    let libraries = libraries.map(|(at, pin)| (pin, Pinned::Library(at, pin.path.clone())));
    let script = entry.script.iter();
    let script = script.map(|pin| (pin, Pinned::Script(pin.path.clone())));
    let locked = locked.iter().enumerate();
    let locked = locked.map(|(at, pin)| (pin, Pinned::Locked(at, pin.path.clone())));
    for (pin, what) in interpreter.chain(script).chain(libraries).chain(locked) {
        let Some(hash) = &pin.hash else {
            continue;
        };
        changes.push(Change {
            name: name.clone(),
            what,
            before: Some(hash.to_string()),
            after: draft::digest(Path::new(&pin.path), hash.algorithm()).map_err(|failure| {
                let name = Escaped(&name);
                Failure::own(format!("plugin '{name}': {}\n{RELOCK}", failure.unmarked()))
            })?,
        });
    }
    Ok(changes)
}

/// Opens a plugin as the launcher does.
pub(super) fn opened_plugin(listed: Listed) -> Result<Opened, Failure> {
    let name = listed.name.clone();
    match opened::open(listed).map_err(as_mistake)? {
        Opening::Open(opened) => Ok(*opened),
        Opening::Violated(_, violation) => Err(Failure::own(format!(
            "plugin '{}' ({}): {}\nNothing was changed.",
            Escaped(&name),
            violation.code(),
            Escaped(&violation.reason())
        ))),
    }
}

/// The digest that an open plugin has now.
pub(super) fn digest_of(opened: &Opened, algorithm: Algorithm) -> Result<Digest, Failure> {
    let file = opened.file.as_fd();
    let found = match Hasher::new(algorithm) {
        Some(hasher) => digest_file(file, hasher, opened.limit),
        None => verity::measure(file)
            .map(|found| found.and_then(|bytes| Digest::from_bytes(algorithm, &bytes))),
    };
    found.map_err(Failure::own)?.ok_or_else(|| {
        let name = Escaped(&opened.listed.name);
        Failure::own(format!("plugin '{name}' has no {algorithm} digest now"))
    })
}

const RELOCK: &str = "If other files took its place, use 'secure-execctl whitelist lock'.";

/// The statuses of a launch are for launches.
fn as_mistake(failure: Failure) -> Failure {
    Failure::own(failure.unmarked())
}

/// The algorithm that an entry with a malformed digest names beside it.
fn written_algorithm(held: &Held, name: &str) -> Option<Algorithm> {
    let sheet = Sheet::read(held.text()?).ok()?;
    Algorithm::from_name(sheet.value(name, "algorithm")?)
}

/// A file with the names of its entries that are meant; `None` is all of them.
pub(super) type Affected = (PathBuf, Option<Vec<String>>);

/// The files that the entries are in.
pub(super) fn files(settings: &Settings, names: &[String]) -> Result<Vec<Affected>, Failure> {
    let whitelist = &settings.whitelist;
    if let Some((_, name)) = (0..)
        .zip(names)
        .find(|(at, name)| names.iter().take(*at).any(|other| other == *name))
    {
        return Err(Failure::own(format!("'{}' is named twice", Escaped(name))));
    }
    if !listed::is_folder(whitelist) {
        let held = existing(whitelist, settings)?;
        if let Some(name) = names
            .iter()
            .find(|name| held.whitelist().find(name).is_none())
        {
            return Err(unknown(name, whitelist));
        }
        let wanted = (!names.is_empty()).then(|| names.to_vec());
        return Ok(vec![(whitelist.clone(), wanted)]);
    }
    let names = if names.is_empty() {
        super::names(whitelist)?
    } else {
        names.to_vec()
    };
    let mut files = Vec::new();
    for name in names {
        let path = file_of(whitelist, &name)?;
        if !path.exists() {
            return Err(unknown(&name, whitelist));
        }
        files.push((path, Some(vec![name])));
    }
    Ok(files)
}

pub(super) fn existing(path: &Path, settings: &Settings) -> Result<Held, Failure> {
    let held = Held::open(path)?;
    if held.text().is_none() {
        let shown = settings.whitelist.to_string_lossy();
        return Err(Failure::own(format!(
            "the whitelist '{}' does not exist\nName the whitelist with --whitelist.",
            Escaped(&shown)
        )));
    }
    Ok(held)
}

pub(super) fn read(held: &Held) -> Result<Sheet<'_>, Failure> {
    Sheet::read(held.text().unwrap_or_default()).map_err(|why| held.not_understood(&why))
}

pub(super) fn finish(held: &Held, sheet: Sheet<'_>, meant: &[Entry]) -> Result<(), Failure> {
    finish_with(held, sheet, meant, &[])
}

/// The same, with the lock files of entries.
pub(super) fn finish_with(
    held: &Held,
    mut sheet: Sheet<'_>,
    meant: &[Entry],
    locks: &[(String, String)],
) -> Result<(), Failure> {
    let text = sheet
        .touch("updated_at", &now())
        .and_then(|()| sheet.finish());
    let text = text.map_err(|why| held.not_understood(&why))?;
    held.replace_with(&text, meant, locks)
}

fn say(screen: Screen, what: &str, names: &[String]) -> Result<ExitCode, Failure> {
    if screen.json {
        screen.print_json(&json!({ what: names }))?;
    } else {
        let lines = names
            .iter()
            .map(|name| format!("{}: {what}\n", Escaped(name)));
        screen.print(&lines.collect::<String>())?;
    }
    Ok(ExitCode::SUCCESS)
}
