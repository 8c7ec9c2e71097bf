//! `whitelist`: changing and checking whitelists.

mod add;
mod change;
pub(crate) mod draft;
mod file;
mod list;
mod lock;
mod lock_file;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use secure_exec::failure::Failure;
use secure_exec::listed::{self, Loaded};
use secure_exec::settings::Settings;
use secure_exec::trail::Trail;
use secure_exec_core::escape::Escaped;
use secure_exec_core::name::PluginName;
use secure_exec_core::policy::Policy;
use secure_exec_core::whitelist;

use crate::cli::{Common, Whitelist};
use crate::folder::names_in;
use crate::screen::Screen;

/// Carries out a command.
pub(crate) fn run(
    common: &Common,
    command: Whitelist,
    screen: Screen,
) -> Result<ExitCode, Failure> {
    // Whatever this caller's launches are told: what an administrator pins and
    // checks is judged by its entry alone, as strictly as it can be.
    let mut settings = common.settings(Some(Policy::Strict), None)?;
    settings.profile = None;
    match command {
        Whitelist::Add(add) => add::run(&settings, &add, screen),
        Whitelist::Update { names, .. } => change::update(&settings, &names, screen),
        Whitelist::Lock(lock) => lock::run(&settings, &lock, screen),
        Whitelist::Remove { names } => change::remove(&settings, &names, screen),
        Whitelist::Enable { names } => change::enable(&settings, &names, true, screen),
        Whitelist::Disable { names } => change::enable(&settings, &names, false, screen),
        Whitelist::Verify { names } => verify::run(&settings, &names, screen),
        Whitelist::List => list::run(&settings, screen),
    }
}

/// A whitelist that was read here, as the launcher would have loaded it.
fn loaded(settings: &Settings, whitelist: whitelist::Whitelist) -> Result<Loaded, Failure> {
    let path = &settings.whitelist;
    let (folder, floor) = if listed::is_folder(path) {
        (&**path, Some(listed::load_floor(path)?))
    } else {
        // One that is made now is no link.
        let real = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
        let real = real.unwrap_or_else(|_| path.clone());
        let floor = listed::floor_of_file(path, &real)?;
        (listed::folder_of(path), floor)
    };
    let loaded = Loaded {
        whitelist,
        path: path.clone(),
        digest: String::new(),
        folder: folder.to_path_buf(),
        beside: beside(path),
        findings: Vec::new(),
        trail: Trail::default(),
        // Nothing is launched.
        inline: Arc::default(),
        floor: None,
    };
    Ok(match floor {
        Some(floor) => loaded.within(floor),
        None => loaded,
    })
}

/// Where the lock files of a whitelist lie: beside its own file, links followed.
fn beside(whitelist: &Path) -> PathBuf {
    let real = std::fs::canonicalize(whitelist).or_else(|_| std::path::absolute(whitelist));
    let real = real.unwrap_or_else(|_| whitelist.to_path_buf());
    if listed::is_folder(&real) {
        return real;
    }
    listed::folder_of(&real).to_path_buf()
}

/// The names that a whitelist folder has files for. Its settings have to be
/// sound, however few these are.
fn names(folder: &Path) -> Result<Vec<String>, Failure> {
    listed::load_floor(folder)?;
    let mut names = names_in(folder).map_err(|error| {
        let shown = folder.to_string_lossy();
        Failure::own(format!("the whitelist '{}': {error}", Escaped(&shown)))
    })?;
    names.retain(|name| name != listed::FOLDER_SETTINGS);
    Ok(names)
}

/// The file that has the entry of a plugin.
fn file_of(whitelist: &Path, name: &str) -> Result<PathBuf, Failure> {
    if !listed::is_folder(whitelist) {
        return Ok(whitelist.to_path_buf());
    }
    let name = PluginName::new(name).map_err(Failure::own)?;
    if name.as_str() == listed::FOLDER_SETTINGS {
        return Err(Failure::own(format!(
            "'{name}' is no plugin's name in a whitelist folder: '{name}.yaml' has the folder's own settings\n\
             Edit that file by hand, or name the plugin something else with --name."
        )));
    }
    Ok(whitelist.join(format!("{name}.yaml")))
}

/// There is no entry of this name.
fn unknown(name: &str, whitelist: &Path) -> Failure {
    Failure::own(format!(
        "the whitelist '{}' has no plugin '{}'\nList them with 'secure-execctl whitelist list'.",
        Escaped(&whitelist.to_string_lossy()),
        Escaped(name)
    ))
}
