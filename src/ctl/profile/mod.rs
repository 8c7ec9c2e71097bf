//! `profile`: which profiles there are, what they say, and whether they can be
//! used.

mod check;
mod replaced;
mod resolved;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use secure_exec::failure::Failure;
use secure_exec::profiles::Profiles;
use secure_exec::settings::Settings;
use secure_exec::trail::Trail;
use secure_exec::trust;
use secure_exec_core::escape::Escaped;
use secure_exec_core::name::PluginName;
use secure_exec_core::profile::{ProfileError, builtin};
use serde_json::json;

use crate::cli::{Common, Profile};
use crate::folder::names_in;
use crate::screen::{self, Screen, Tone};
use crate::table::Table;

/// Carries out a command.
pub(crate) fn run(common: &Common, command: Profile, screen: Screen) -> Result<ExitCode, Failure> {
    let settings = common.settings(None, None)?;
    match command {
        Profile::List => list(&settings, screen),
        Profile::Show { name, resolved } => show(&settings, &name, resolved, screen),
        Profile::Check { names } => check::run(&settings, &names, screen),
    }
}

/// Profiles as the launcher finds them.
fn profiles(settings: &Settings) -> Profiles<'_> {
    Profiles::new(settings, settings.policy)
}

/// Where a profile's text comes from.
enum Source {
    BuiltIn(&'static str),
    File(PathBuf),
}

impl Source {
    /// The source of a profile: a file where `name` is a path, else the
    /// machine's folder before the program itself.
    fn of(settings: &Settings, name: &str) -> Option<Self> {
        if name.contains('/') {
            return Some(Self::File(name.into()));
        }
        PluginName::new(name).ok()?;
        let path = settings.profile_folder.join(format!("{name}.yaml"));
        if path.symlink_metadata().is_ok() {
            return Some(Self::File(path));
        }
        builtin::source(name).map(Self::BuiltIn)
    }

    fn shown(&self) -> String {
        match self {
            Self::BuiltIn(_) => "built-in".into(),
            Self::File(path) => path.to_string_lossy().into_owned(),
        }
    }

    fn text(&self) -> Result<String, Failure> {
        match self {
            Self::BuiltIn(text) => Ok((*text).to_string()),
            Self::File(path) => {
                let loaded = trust::read(path, &Trail::default())
                    .map_err(|error| Failure::own(format!("the profile {error}")))?;
                String::from_utf8(loaded.bytes).map_err(|_| {
                    let shown = path.to_string_lossy();
                    Failure::own(format!("the profile '{}' is not UTF-8", Escaped(&shown)))
                })
            }
        }
    }
}

fn unknown(name: &str) -> Failure {
    Failure::own(ProfileError::Unknown(name.to_string()))
}

fn list(settings: &Settings, screen: Screen) -> Result<ExitCode, Failure> {
    let mut names: BTreeSet<String> = builtin::names().map(String::from).collect();
    let own = names_in(&settings.profile_folder);
    // A machine may have none.
    match own {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        own => names.extend(own.map_err(|error| {
            let shown = settings.profile_folder.to_string_lossy();
            Failure::own(format!("the profile folder '{}': {error}", Escaped(&shown)))
        })?),
    }
    let profiles = profiles(settings);
    let mut table = Table::new(&["NAME", "SOURCE", "EXTENDS", "DESCRIPTION"]);
    let mut shown = Vec::new();
    for name in &names {
        let source = Source::of(settings, name)
            .ok_or_else(|| unknown(name))?
            .shown();
        let (chain, description, mistake) = match profiles.by_name(name) {
            Ok(profile) => (profile.chain, profile.description, None),
            Err(failure) => {
                let text = failure.unmarked();
                let first = text.lines().next().map(String::from);
                (Vec::new(), String::new(), first)
            }
        };
        let bases = chain
            .split_last()
            .map(|(_, bases)| bases)
            .unwrap_or_default();
        shown.push(json!({
            "name": name,
            "source": source,
            "extends": bases,
            "description": description,
            "mistake": mistake,
        }));
        let last = match &mistake {
            Some(mistake) => (Tone::Bad, mistake.as_str()),
            None => (Tone::Plain, description.as_str()),
        };
        table.row([
            (Tone::Plain, name),
            (Tone::Plain, &source),
            (Tone::Plain, &bases.join(" < ")),
            last,
        ]);
    }
    if screen.json {
        screen.print_json(&json!({ "profiles": shown }))?;
    } else {
        screen.print(&table.text(screen))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(
    settings: &Settings,
    name: &str,
    resolved: bool,
    screen: Screen,
) -> Result<ExitCode, Failure> {
    let source = Source::of(settings, name).ok_or_else(|| unknown(name))?;
    let text = source.text()?;
    if !resolved {
        if screen.json {
            screen.print_json(&json!({ "name": name, "source": source.shown(), "yaml": text }))?;
        } else {
            screen.print(&screen::lines(text.trim_start_matches('\u{feff}')))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let profile = profiles(settings).by_name_or_file(name)?;
    if screen.json {
        screen.print_json(&resolved::json(&profile))?;
    } else {
        screen.print(&resolved::yaml(&profile))?;
    }
    Ok(ExitCode::SUCCESS)
}
