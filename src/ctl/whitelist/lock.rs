//! `whitelist lock`: pins everything that a plugin is made of.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use secure_exec::failure::Failure;
use secure_exec::listed::{self, Loaded};
use secure_exec::opened::Opened;
use secure_exec::settings::Settings;
use secure_exec_core::digest::{Algorithm, Digest};
use secure_exec_core::escape::Escaped;
use secure_exec_core::violation::Violation;
use secure_exec_core::whitelist::{Entry, Expected, Pin, is_fit};
use serde_json::{Value as Json, json};

use super::change::{digest_of, existing, files, finish_with, opened_plugin, read};
use super::draft::{self, text};
use super::loaded;
use super::lock_file::relock;
use crate::cli::Lock;
use crate::closure::{self, Closure};
use crate::screen::Screen;
use crate::yaml::members::Insertion;
use crate::yaml::sheet::{Place, Sheet};
use crate::yaml::write::Value;

/// Locks entries: all, or none where one can't be. With `diff`, writes nothing
/// and fails where something would change.
pub(crate) fn run(settings: &Settings, typed: &Lock, screen: Screen) -> Result<ExitCode, Failure> {
    let mut reports = Vec::new();
    let mut held_files = Vec::new();
    for (path, names) in files(settings, &typed.names)? {
        let held = existing(&path, settings)?;
        let loaded = loaded(settings, held.whitelist().clone())?;
        let mut locked = Vec::new();
        for name in names.unwrap_or_default() {
            let entry = held.whitelist().find(&name);
            let entry = entry.ok_or_else(|| super::unknown(&name, &settings.whitelist))?;
            let before = held.locked(entry);
            locked.push(Locked::of(settings, &loaded, entry, before, typed)?);
        }
        held_files.push((held, locked));
    }
    for (held, locked) in held_files {
        let changes = locked.iter().any(Locked::is_new);
        if changes && !typed.diff {
            let mut sheet = read(&held)?;
            let mut meant = held.whitelist().entries.clone();
            let mut locks = Vec::new();
            for locked in &locked {
                let entry = meant
                    .iter_mut()
                    .find(|entry| entry.name == locked.entry.name);
                if let Some(entry) = entry {
                    let written = locked.write(&mut sheet, entry);
                    written.map_err(|why| held.not_understood(&why))?;
                    if let Some(pins) = locked.in_file() {
                        locks.push(relock(&mut sheet, entry, &pins, &held)?);
                    }
                }
            }
            finish_with(&held, sheet, &meant, &locks)?;
        }
        reports.extend(locked);
    }
    for note in reports.iter().flat_map(|locked| &locked.notes) {
        screen.warn(note);
    }
    if screen.json {
        let plugins: Vec<Json> = reports.iter().map(Locked::json).collect();
        screen.print_json(&json!({ if typed.diff { "diff" } else { "locked" }: plugins }))?;
    } else {
        screen.print(&reports.iter().map(Locked::lines).collect::<String>())?;
    }
    let differs = typed.diff && reports.iter().any(Locked::is_new);
    Ok(ExitCode::from(u8::from(differs)))
}

/// An entry with the pins that it has, and those that it is to have.
struct Locked {
    entry: Entry,
    /// The plugin's own digest, where it is not the entry's.
    plugin: Option<Digest>,
    interpreter: Option<Pin>,
    libraries: Vec<Pin>,
    /// The pins of its lock file.
    before: Vec<Pin>,
    /// That file is not the one that the entry's digest is of.
    is_stale: bool,
    notes: Vec<String>,
}

/// From so many files on, an entry has a lock file.
const MANY: usize = 64;

impl Locked {
    fn of(
        settings: &Settings,
        loaded: &Loaded,
        entry: &Entry,
        before: Result<Vec<Pin>, Violation>,
        typed: &Lock,
    ) -> Result<Self, Failure> {
        let name = entry.name.as_str();
        let listed = listed::look_up(settings, loaded, name, Some(entry))?;
        let algorithm = listed.algorithm();
        let opened = opened_plugin(listed)?;
        let actual = digest_of(&opened, algorithm)?;
        let is_listed = matches!(&entry.hash, Expected::Pinned(digest) if digest.matches(&actual));
        if !is_listed && !typed.diff {
            return Err(Failure::own(format!(
                "plugin '{}' is not the one that the entry's hash is of\n\
                 If it was rebuilt, use 'secure-execctl whitelist update' first.",
                Escaped(name)
            )));
        }
        let is_stale = before.is_err();
        let (before, stale) = match before {
            Ok(before) => (before, None),
            Err(violation) => (Vec::new(), Some(violation.reason())),
        };
        let kept: Vec<PathBuf> = entry
            .libraries
            .iter()
            .chain(&before)
            .map(|pin| (&pin.path).into())
            .collect();
        let kept = if typed.prune { &[][..] } else { &kept };
        let closure = closure::of(&opened, &typed.with, kept)?;
        let pins = Pins {
            entry,
            before: &before,
            algorithm: draft::for_pins(algorithm),
        };
        let libraries = closure.files.iter().map(|path| pins.library(path));
        let mut notes = notes(&opened, &closure);
        notes.extend(stale.map(|why| format!("plugin '{}': {why}", Escaped(name))));
        Ok(Self {
            plugin: (!is_listed).then_some(actual),
            interpreter: pins.interpreter(&closure)?,
            libraries: libraries.collect::<Result<_, _>>()?,
            notes,
            entry: entry.clone(),
            before: before.clone(),
            is_stale,
        })
    }

    fn is_new(&self) -> bool {
        let moves = self.entry.lock.is_none() && self.in_file().is_some();
        self.plugin.is_some() || self.is_stale || moves || !self.differences().is_empty()
    }

    /// The pins that stand in a lock file, if there is one. An entry that has
    /// one keeps it.
    fn in_file(&self) -> Option<Vec<Pin>> {
        let many = self.libraries.len() >= MANY;
        let fit = self.libraries.iter().filter(|pin| is_fit(&pin.path));
        (many || self.entry.lock.is_some()).then(|| fit.cloned().collect())
    }

    /// The pins that stand in the entry itself.
    fn in_entry(&self) -> Vec<Pin> {
        let has_file = self.in_file().is_some();
        let own = self.libraries.iter();
        own.filter(|pin| !has_file || !is_fit(&pin.path))
            .cloned()
            .collect()
    }

    /// Files with the digests before and after; one of them is missing where
    /// a pin comes or goes.
    fn differences(&self) -> Vec<(&str, Option<&Digest>, Option<&Digest>)> {
        let mut pins: BTreeMap<&str, (Option<&Digest>, Option<&Digest>)> = BTreeMap::new();
        for pin in self.entry.libraries.iter().chain(&self.before) {
            pins.entry(&pin.path).or_default().0 = pin.hash.as_ref();
        }
        for pin in &self.libraries {
            pins.entry(&pin.path).or_default().1 = pin.hash.as_ref();
        }
        let interpreter = self.interpreter.iter().filter_map(|pin| {
            let before = self.entry.interpreter.as_ref();
            let before = before.and_then(|pin| pin.hash.as_ref());
            Some((pin.path.as_str(), before, Some(pin.hash.as_ref()?)))
        });
        let pins = pins
            .into_iter()
            .map(|(path, (before, after))| (path, before, after));
        let all = interpreter.chain(pins);
        all.filter(|(_, before, after)| before != after).collect()
    }

    /// Writes what changed into the entry, in place.
    fn write(&self, sheet: &mut Sheet<'_>, entry: &mut Entry) -> Result<(), String> {
        let name = self.entry.name.as_str();
        let text = |digest: &Digest| Value::Text(digest.to_string());
        if let Some(pin) = &self.interpreter
            && let Some(hash) = &pin.hash
            && entry.interpreter.as_ref() != Some(pin)
        {
            match &entry.interpreter {
                None => sheet.set(name, Place::Key("interpreter"), &draft::pin(pin))?,
                Some(_) => sheet.set(name, Place::Within("interpreter", "hash"), &text(hash))?,
            }
            entry.interpreter = Some(pin.clone());
        }
        let old = std::mem::take(&mut entry.libraries);
        let libraries = self.in_entry();
        let new = |path: &str| libraries.iter().find(|pin| pin.path == path);
        let mut removed = Vec::new();
        let mut left = Vec::new();
        for (at, pin) in old.iter().enumerate() {
            // A path that is pinned twice keeps its first pin.
            let is_first = !old.iter().take(at).any(|other| other.path == pin.path);
            match new(&pin.path).filter(|_| is_first) {
                None => removed.push(at),
                Some(now) => {
                    if let Some(hash) = now.hash.as_ref().filter(|_| pin.hash != now.hash) {
                        sheet.set(name, Place::Item("libraries", at, "hash"), &text(hash))?;
                    }
                    left.push((at, now.clone()));
                }
            }
        }
        let mut inserted: Vec<Insertion> = Vec::new();
        for pin in &libraries {
            if left.iter().any(|(_, other)| other.path == pin.path) {
                continue;
            }
            let behind = left.iter().filter(|(_, other)| other.path > pin.path);
            let before = behind.map(|(at, _)| *at).min();
            inserted.push((before, draft::pin(pin)));
        }
        entry.libraries = merged(&left, &libraries, &inserted);
        if removed.is_empty() && inserted.is_empty() {
            return Ok(());
        }
        sheet.relist(name, "libraries", &removed, &inserted)
    }

    fn lines(&self) -> String {
        let name = Escaped(self.entry.name.as_str());
        let mut lines = String::new();
        if let Some(actual) = &self.plugin {
            let before = match &self.entry.hash {
                Expected::Pinned(digest) => digest.to_string(),
                Expected::Malformed(_) | Expected::Missing => "none".into(),
            };
            lines.push_str(&format!("{name} changed {}\n", Escaped(&self.entry.path)));
            lines.push_str(&format!("  before {before}\n  after  {actual}\n"));
        }
        let differences = self.differences();
        for (path, before, after) in &differences {
            let path = Escaped(path);
            match (before, after) {
                (Some(before), Some(after)) => lines.push_str(&format!(
                    "{name} changed {path}\n  before {before}\n  after  {after}\n"
                )),
                (None, _) => lines.push_str(&format!("{name} added   {path}\n")),
                (_, None) => lines.push_str(&format!("{name} removed {path}\n")),
            }
        }
        let count = self
            .libraries
            .len()
            .saturating_add(self.interpreter.iter().len());
        let files = if count == 1 { "file" } else { "files" };
        let state = match (self.is_new(), count) {
            (_, 0) => "nothing to pin beside its own hash: the program is static".to_string(),
            (false, _) => format!("unchanged, {count} {files}"),
            (true, _) => format!("{count} {files}"),
        };
        lines.push_str(&format!("{name}: {state}\n"));
        lines
    }

    fn json(&self) -> Json {
        let pin = |pin: &Pin| json!({ "path": pin.path, "hash": pin.hash.as_ref().map(ToString::to_string) });
        let changes = self.differences();
        let changes = changes.iter().map(|(path, before, after)| {
            json!({
                "file": path,
                "before": before.map(ToString::to_string),
                "after": after.map(ToString::to_string),
            })
        });
        json!({
            "name": self.entry.name.as_str(),
            "plugin_changed": self.plugin.is_some(),
            "interpreter": self.interpreter.as_ref().map(pin),
            "in_lock_file": self.in_file().is_some(),
            "libraries": self.libraries.iter().map(pin).collect::<Vec<_>>(),
            "changes": changes.collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

/// The pins of a list after its edit, in its order.
fn merged(left: &[(usize, Pin)], all: &[Pin], inserted: &[Insertion]) -> Vec<Pin> {
    let new = all
        .iter()
        .filter(|pin| !left.iter().any(|(_, other)| other.path == pin.path));
    let mut pins: Vec<(usize, bool, Pin)> = left
        .iter()
        .map(|(at, pin)| (*at, true, pin.clone()))
        .collect();
    let places = inserted
        .iter()
        .map(|(place, _)| place.unwrap_or(usize::MAX));
    pins.extend(
        places
            .zip(new)
            .map(|(place, pin)| (place, false, pin.clone())),
    );
    pins.sort_by_key(|(place, is_old, _)| (*place, *is_old));
    pins.into_iter().map(|(_, _, pin)| pin).collect()
}

/// How files are pinned: what is pinned already keeps its algorithm.
struct Pins<'a> {
    entry: &'a Entry,
    before: &'a [Pin],
    algorithm: Algorithm,
}

impl Pins<'_> {
    fn library(&self, path: &Path) -> Result<Pin, Failure> {
        let text = text(path)?;
        let known = self.entry.libraries.iter().chain(self.before);
        let known = { known }.find(|pin| pin.path == text);
        let hash = known.and_then(|pin| pin.hash.as_ref());
        let algorithm = hash.map_or(self.algorithm, Digest::algorithm);
        Ok(Pin {
            hash: Some(draft::digest(path, algorithm)?),
            path: text,
        })
    }

    fn interpreter(&self, closure: &Closure) -> Result<Option<Pin>, Failure> {
        let Some(path) = &closure.interpreter else {
            return Ok(self.entry.interpreter.clone());
        };
        let hash = self.entry.interpreter.as_ref();
        let hash = hash.and_then(|pin| pin.hash.as_ref());
        let algorithm = hash.map_or(self.algorithm, Digest::algorithm);
        Ok(Some(Pin {
            path: text(path)?,
            hash: Some(draft::digest(path, algorithm)?),
        }))
    }
}

fn notes(opened: &Opened, closure: &Closure) -> Vec<String> {
    let mut notes = closure.notes.clone();
    if !opened.listed.profile.isolation.confines() {
        let why = "its profile has no sandbox: files that are not pinned can be loaded too";
        notes.push(why.into());
    }
    notes.extend(closure::holes(opened, closure));
    let name = Escaped(&opened.listed.name).to_string();
    notes
        .iter()
        .map(|note| format!("plugin '{name}': {note}"))
        .collect()
}
