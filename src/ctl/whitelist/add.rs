//! `whitelist add`: entries with the digests that files have now.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;

use secure_exec::code;
use secure_exec::dry_run;
use secure_exec::failure::{Failure, cure};
use secure_exec::listed::{self, Loaded};
use secure_exec::profiles::Profiles;
use secure_exec::settings::Settings;
use secure_exec_core::escape::Escaped;
use secure_exec_core::name::PluginName;
use secure_exec_core::whitelist::{Entry, Expected, ImageChoice, Pin, ProfileRef};
use secure_exec_sys::open;
use serde_json::json;

use super::change::now;
use super::draft::{self, text};
use super::file::Held;
use super::{file_of, loaded};
use crate::cli::Add;
use crate::screen::Screen;
use crate::yaml::sheet::Sheet;

/// Adds one entry a file: all of them, or none where one can't be.
pub(crate) fn run(settings: &Settings, add: &Add, screen: Screen) -> Result<ExitCode, Failure> {
    if add.name.is_some() && add.files.len() > 1 {
        return Err(Failure::own(
            "--name is for one file; name each file's entry on its own",
        ));
    }
    if let Some(name) = &add.profile {
        Profiles::new(settings, settings.policy).by_name(name)?;
    }
    let names = add
        .files
        .iter()
        .map(|file| name(file, add))
        .collect::<Result<Vec<_>, _>>()?;
    let added = if listed::is_folder(&settings.whitelist) {
        to_folder(settings, add, &names)?
    } else {
        to_file(settings, add, &names, screen)?
    };
    let shown: Vec<_> = added
        .iter()
        .map(
            |entry| json!({ "name": entry.name.as_str(), "path": entry.path, "hash": entry.hash.text() }),
        )
        .collect();
    if screen.json {
        let whitelist = settings.whitelist.to_string_lossy();
        screen.print_json(&json!({ "whitelist": whitelist, "added": shown }))?;
    } else {
        let lines = added.iter().map(|entry| {
            let hash = entry.hash.text().unwrap_or_default();
            format!("{}  {hash}\n", Escaped(entry.name.as_str()))
        });
        screen.print(&lines.collect::<String>())?;
    }
    for entry in added.iter().filter(|entry| entry.enabled) {
        warn_of(settings, entry.name.as_str(), screen);
    }
    Ok(ExitCode::SUCCESS)
}

fn to_file(
    settings: &Settings,
    add: &Add,
    names: &[PluginName],
    screen: Screen,
) -> Result<Vec<Entry>, Failure> {
    let held = Held::open(&settings.whitelist)?;
    if let Some(finding) = held.finding() {
        screen.warn(&format!(
            "{finding}; no plugin runs under strict until that is corrected"
        ));
    }
    if let Some(name) = names
        .iter()
        .find(|name| held.whitelist().find(name.as_str()).is_some())
    {
        return Err(exists(name, &settings.whitelist));
    }
    let loaded = loaded(settings, held.whitelist().clone())?;
    let entries = drafts(settings, add, names, &loaded)?;
    write(&held, &entries)?;
    Ok(entries)
}

/// One file a plugin; all are drafted before the first is written.
fn to_folder(settings: &Settings, add: &Add, names: &[PluginName]) -> Result<Vec<Entry>, Failure> {
    let paths = names
        .iter()
        .map(|name| file_of(&settings.whitelist, name.as_str()));
    let paths = paths.collect::<Result<Vec<_>, _>>()?;
    if let Some((name, _)) = names.iter().zip(&paths).find(|(_, path)| path.exists()) {
        return Err(exists(name, &settings.whitelist));
    }
    let floor = listed::load_floor(&settings.whitelist)?;
    let entries = drafts(settings, add, names, &floor)?;
    for (entry, path) in entries.iter().zip(&paths) {
        let held = Held::open(path)?;
        if held.text().is_some() {
            return Err(exists(&entry.name, &settings.whitelist));
        }
        write(&held, std::slice::from_ref(entry))?;
    }
    Ok(entries)
}

fn exists(name: &PluginName, whitelist: &Path) -> Failure {
    Failure::own(format!(
        "the whitelist '{}' has a plugin '{}' already\n\
         If it was rebuilt, use 'secure-execctl whitelist update'; else choose another --name.",
        Escaped(&whitelist.to_string_lossy()),
        Escaped(name.as_str())
    ))
}

fn write(held: &Held, entries: &[Entry]) -> Result<(), Failure> {
    let time = now();
    let new =
        format!("version: \"1.0\"\ncreated_at: \"{time}\"\nupdated_at: \"{time}\"\nplugins: []\n");
    let text = held.text().unwrap_or(&new);
    let fields: Vec<_> = entries.iter().map(draft::fields).collect();
    let edited = Sheet::read(text).and_then(|mut sheet| {
        sheet.touch("updated_at", &time)?;
        sheet.add(&fields)?;
        sheet.finish()
    });
    let edited = edited.map_err(|why| held.not_understood(&why))?;
    let mut meant = held.whitelist().entries.clone();
    meant.extend_from_slice(entries);
    held.replace(&edited, &meant)
}

fn drafts(
    settings: &Settings,
    add: &Add,
    names: &[PluginName],
    loaded: &Loaded,
) -> Result<Vec<Entry>, Failure> {
    if let Some((at, name)) = names
        .iter()
        .enumerate()
        .find(|(at, name)| names.iter().take(*at).any(|other| other == *name))
    {
        let file = add
            .files
            .get(at)
            .map(|file| file.to_string_lossy().into_owned());
        return Err(Failure::own(format!(
            "a second file has the name '{}': '{}'\nAdd it on its own, with --name.",
            Escaped(name.as_str()),
            Escaped(&file.unwrap_or_default())
        )));
    }
    let algorithm = add
        .algorithm
        .unwrap_or(loaded.whitelist.settings.hash_algorithm);
    let root = loaded.plugin_root(settings);
    let pin = |path: &Path| -> Result<Pin, Failure> {
        let path = std::path::absolute(path).map_err(Failure::own)?;
        let hash = draft::digest(&path, draft::for_pins(algorithm))?;
        Ok(Pin {
            path: text(&path)?,
            hash: Some(hash),
        })
    };
    let interpreter = add.interpreter.as_deref().map(pin).transpose()?;
    let script = add.script.as_deref().map(pin).transpose()?;
    let mut args = add.args.clone();
    if let Some(script) = &script
        && !args.iter().any(|word| word.contains(&script.path))
    {
        args.push(script.path.clone());
    }
    let libraries = add.libraries.iter().map(|path| pin(path));
    let libraries = libraries.collect::<Result<Vec<_>, _>>()?;
    let metadata: BTreeMap<String, String> = add.metadata.iter().cloned().collect();
    if metadata.len() != add.metadata.len() {
        return Err(Failure::own("--metadata has a key twice"));
    }
    let mut entries = Vec::new();
    for (file, name) in add.files.iter().zip(names) {
        entries.push(Entry {
            name: name.clone(),
            hash: Expected::Pinned(draft::digest(file, algorithm)?),
            path: written_path(&root, file)?,
            enabled: !add.disabled,
            dev: metadata.get("dev").is_some_and(|value| value == "true"),
            metadata: metadata.clone(),
            profile: add.profile.clone().map(ProfileRef::Named),
            args: args.clone(),
            argv0: None,
            signature: None,
            interpreter: interpreter.clone(),
            libraries: libraries.clone(),
            lock: None,
            script: script.clone(),
            image: ImageChoice::Auto,
            max_file_size: None,
            line: 0,
            column: 0,
        });
    }
    Ok(entries)
}

fn name(file: &Path, add: &Add) -> Result<PluginName, Failure> {
    let name = match &add.name {
        Some(name) => name.clone(),
        None => text(Path::new(file.file_name().unwrap_or_default()))?,
    };
    PluginName::new(&name).map_err(|why| Failure::own(format!("{why}\nName it with --name.")))
}

/// How the whitelist names a file: from the plugin root where the launcher can
/// reach it from there, else by its absolute path. A last symbolic link keeps
/// its name: it is there to be pointed elsewhere.
fn written_path(root: &Path, file: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        let shown = file.to_string_lossy();
        Failure::own(format!("'{}': {error}", Escaped(&shown)))
    };
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = std::fs::canonicalize(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    let full = folder.join(file.file_name().unwrap_or_default());
    let root = std::fs::canonicalize(root).ok();
    if let Some(root) = &root
        && let Ok(beneath) = full.strip_prefix(root)
        && let Ok(root) = open::open_dir(root)
        && open::open_beneath(root.as_fd(), beneath).is_ok()
    {
        return Ok(format!("./{}", text(beneath)?));
    }
    text(&full)
}

/// Asks the launcher's own stages what they think of a new entry.
fn warn_of(settings: &Settings, name: &str, screen: Screen) {
    match dry_run::inspect(settings, name) {
        Ok(inspection) => {
            let place = inspection.listed().place();
            if let Some(remark) = code::remark(inspection.listed(), &place) {
                screen.warn(&format!("plugin '{}': {remark}", Escaped(name)));
            }
            if let Some(examined) = inspection.examined()
                && examined.interpreter.is_some()
                && examined.image.place().is_none()
            {
                screen.note(&format!(
                    "plugin '{}': its interpreter is given a copy ($0 is '/proc/self/fd/N'), and finds nothing beside it\n\
                     Install it as root, in folders that root alone can write, or let it use the variable SECURE_EXEC_PLUGIN_PATH.",
                    Escaped(name)
                ));
            }
            if let Some(violation) = inspection.refusal() {
                screen.warn(&format!(
                    "plugin '{}' would be refused ({}): {}\n{}",
                    Escaped(name),
                    violation.code(),
                    Escaped(&violation.reason()),
                    cure(violation, name)
                ));
            } else if let Some(failure) = inspection.failure() {
                warn_of_failure(name, failure, screen);
            }
        }
        Err(failure) => warn_of_failure(name, &failure, screen),
    }
}

fn warn_of_failure(name: &str, failure: &Failure, screen: Screen) {
    let why = failure.unmarked();
    screen.warn(&format!("plugin '{}' would not run: {why}", Escaped(name)));
}
