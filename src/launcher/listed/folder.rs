//! A whitelist that is a folder: one file a plugin, and the folder's own
//! settings, which hold for all of them, and for each that is named by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secure_exec_core::digest;
use secure_exec_core::escape::Escaped;
use secure_exec_core::located::located;
use secure_exec_core::name::PluginName;
use secure_exec_core::whitelist::{Whitelist, Within};
use secure_exec_sys::open;

use super::{Loaded, folder_of, inline};
use crate::failure::Failure;
use crate::trail::Trail;
use crate::trust;

/// The name, without `.yaml`, of the file in a whitelist folder that has the
/// folder's own settings.
pub const FOLDER_SETTINGS: &str = ".settings";

/// The file with the settings of a whitelist folder.
#[derive(Clone, Debug)]
pub struct Floor {
    /// Its path.
    pub path: PathBuf,
    /// SHA-256 of it; `None` where the folder has no such file.
    pub digest: Option<String>,
    /// Its own serial.
    pub serial: Option<u64>,
}

impl Loaded {
    /// The same file in a folder that has these settings.
    #[must_use]
    pub fn within(mut self, floor: Self) -> Self {
        self.trail.follow(&floor.trail);
        if floor.floor.is_some() {
            // There is no such file, so nothing is demanded.
            self.floor = floor.floor;
            return self;
        }
        let Within {
            settings,
            overruled,
        } = self
            .whitelist
            .settings
            .within(floor.whitelist.settings.clone());
        self.whitelist.settings = settings;
        let shown = self.path.to_string_lossy().into_owned();
        self.whitelist.warnings.extend(overruled.iter().map(|key| {
            format!(
                "{}: 'settings.{key}' has no effect: the folder's '{FOLDER_SETTINGS}.yaml' demands more",
                Escaped(&shown)
            )
        }));
        self.findings.extend(floor.findings);
        self.floor = Some(Floor {
            path: floor.path,
            digest: Some(floor.digest),
            serial: floor.whitelist.settings.serial,
        });
        self
    }

    /// Where else a thing must be allowed that the file allows, as the end of
    /// a sentence.
    pub(super) fn also_in(&self) -> &'static str {
        let is_within = |floor: &Floor| floor.digest.is_some();
        if self.floor.as_ref().is_some_and(is_within) {
            ", and in its folder's '.settings.yaml'"
        } else {
            ""
        }
    }
}

/// A folder holds one file a plugin, so a lookup reads two files however many
/// there are: the folder's settings, and what the plugin's own file adds.
pub(super) fn load(folder: &Path, plugin: &str) -> Result<Loaded, Failure> {
    let floor = load_floor(folder)?;
    let named = PluginName::new(plugin).ok();
    let Some(name) = named.filter(|name| name.as_str() != FOLDER_SETTINGS) else {
        return Ok(floor);
    };
    let trail = Trail::default();
    let Some((loaded, path)) = load_file_of(folder, name.as_str(), &trail)? else {
        floor.trail.follow(&trail);
        return Ok(floor);
    };
    let shown = path.to_string_lossy();
    let whitelist = Whitelist::parse_entry_file(&loaded.bytes, &shown, name.as_str());
    let whitelist = whitelist.map_err(Failure::own)?;
    Ok(of_folder(folder, whitelist, &loaded, &path, trail).within(floor))
}

/// Names that somebody may have meant as that of the settings.
const MISSPELLED: [&str; 3] = [".settings.yml", ".Settings.yaml", ".Settings.yml"];

/// A floor under another name would be none, and nobody would notice.
fn check_spelling(folder: &Path) -> Result<(), Failure> {
    for name in MISSPELLED {
        let path = folder.join(name);
        let shown = path.to_string_lossy();
        let (shown, right) = (Escaped(&shown), format!("{FOLDER_SETTINGS}.yaml"));
        match open::stat_path(&path, false) {
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(Failure::own(format!("'{shown}': {error}"))),
            Ok(_) => {
                return Err(Failure::own(format!(
                    "'{shown}' has no effect: the settings of a whitelist folder are its '{right}'\n\
                     Rename it to '{right}', or remove it."
                )));
            }
        }
    }
    Ok(())
}

/// The settings of a whitelist folder, which a launch of an unlisted plugin
/// goes by alone.
///
/// # Errors
/// They have a mistake, or list a plugin; or a file has nearly their name.
pub fn load_floor(folder: &Path) -> Result<Loaded, Failure> {
    let trail = Trail::default();
    trail.folder(folder);
    match read_floor(folder, &trail)? {
        Some((floor, _)) => Ok(floor),
        None => {
            check_spelling(folder)?;
            Ok(no_floor(folder, trail))
        }
    }
}

/// The settings of the folder that a whitelist's file lies in, which hold
/// however it is named: by itself, or by a link from another folder. `None` for
/// the file with the settings.
///
/// # Errors
/// As [`load_floor`]; or both folders have settings, and not the same.
pub fn floor_of_file(path: &Path, real: &Path) -> Result<Option<Loaded>, Failure> {
    let settings = format!("{FOLDER_SETTINGS}.yaml");
    if path.file_name().is_some_and(|name| name == &*settings) {
        return Ok(None);
    }
    let trail = Trail::default();
    let (named, lies) = (folder_of(path), folder_of(real));
    let here = read_floor(named, &trail)?;
    let is_same = std::path::absolute(named).is_ok_and(|named| named == lies);
    let there = if is_same {
        None
    } else {
        read_floor(lies, &trail)?
    };
    Ok(Some(match (here, there) {
        (Some((_, one)), Some((_, other))) if one != other => {
            let shown = |path: &Path| Escaped(&path.to_string_lossy()).to_string();
            let (path, real, one, other) = (shown(path), shown(real), shown(&one), shown(&other));
            return Err(Failure::own(format!(
                "the whitelist '{path}' is a link to '{real}', and '{one}' is not '{other}'\n\
                 Name the file itself: --whitelist '{real}'."
            )));
        }
        (Some((floor, _)), _) | (None, Some((floor, _))) => floor,
        (None, None) => no_floor(lies, trail),
    }))
}

/// The settings of a folder and where their file lies, if there is one.
fn read_floor(folder: &Path, trail: &Trail) -> Result<Option<(Loaded, PathBuf)>, Failure> {
    let Some((loaded, path)) = load_file_of(folder, FOLDER_SETTINGS, trail)? else {
        return Ok(None);
    };
    let shown = path.to_string_lossy();
    let whitelist = Whitelist::parse(&loaded.bytes, &shown).map_err(Failure::own)?;
    if let Some(entry) = whitelist.entries.first() {
        let why = "this file has the settings of the folder; a plugin has a file of its own name";
        let text = std::str::from_utf8(&loaded.bytes).unwrap_or_default();
        let error = located(text, &shown, entry.line, entry.column, why.into());
        return Err(Failure::own(error));
    }
    let floor = of_folder(folder, whitelist, &loaded, &path, trail.clone());
    Ok(Some((floor, loaded.real)))
}

/// A folder without settings: nothing is demanded.
fn no_floor(folder: &Path, trail: Trail) -> Loaded {
    Loaded {
        whitelist: Whitelist::default(),
        path: folder.to_path_buf(),
        digest: digest::sha256(b"").to_string(),
        folder: folder.to_path_buf(),
        beside: folder.to_path_buf(),
        findings: Vec::new(),
        trail,
        inline: Arc::default(),
        floor: Some(Floor {
            path: folder.join(format!("{FOLDER_SETTINGS}.yaml")),
            digest: None,
            serial: None,
        }),
    }
}

fn load_file_of(
    folder: &Path,
    name: &str,
    trail: &Trail,
) -> Result<Option<(trust::Loaded, PathBuf)>, Failure> {
    let path = folder.join(format!("{name}.yaml"));
    match trust::read(&path, trail) {
        Ok(loaded) => Ok(Some((loaded, path))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(Failure::own(format!("the whitelist {error}"))),
    }
}

fn of_folder(
    folder: &Path,
    whitelist: Whitelist,
    loaded: &trust::Loaded,
    path: &Path,
    trail: Trail,
) -> Loaded {
    Loaded {
        inline: inline(&whitelist),
        trail,
        whitelist,
        path: path.to_path_buf(),
        digest: digest::sha256(&loaded.bytes).to_string(),
        folder: folder.to_path_buf(),
        beside: folder_of(&loaded.real).to_path_buf(),
        findings: loaded.finding.clone().into_iter().collect(),
        floor: None,
    }
}
