//! `whitelist list`.

use std::process::ExitCode;

use secure_exec::failure::Failure;
use secure_exec::listed::{self, Loaded};
use secure_exec::settings::Settings;
use secure_exec_core::whitelist::{Entry, Expected, Pin, ProfileRef};
use serde_json::{Value, json};

use crate::screen::{Screen, Tone};
use crate::table::Table;

/// Lists the entries.
pub(crate) fn run(settings: &Settings, screen: Screen) -> Result<ExitCode, Failure> {
    let mut entries = Vec::new();
    for loaded in load(settings)? {
        for warning in &loaded.whitelist.warnings {
            screen.warn(warning);
        }
        for finding in &loaded.findings {
            screen.warn(&finding.to_string());
        }
        entries.extend(loaded.whitelist.entries);
    }
    if screen.json {
        let whitelist = settings.whitelist.to_string_lossy();
        let plugins: Vec<Value> = entries.iter().map(as_json).collect();
        screen.print_json(&json!({ "whitelist": whitelist, "plugins": plugins }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(&["NAME", "ENABLED", "ALGORITHM", "DIGEST", "PROFILE", "PATH"]);
    for entry in &entries {
        let enabled = if entry.enabled {
            (Tone::Plain, "yes")
        } else {
            (Tone::Bad, "no")
        };
        let (algorithm, digest) = match &entry.hash {
            Expected::Pinned(digest) => {
                let short: String = digest.hex().chars().take(12).collect();
                (digest.algorithm().name(), (Tone::Plain, short + "…"))
            }
            Expected::Malformed(_) => ("", (Tone::Bad, "malformed".into())),
            Expected::Missing => ("", (Tone::Bad, "none".into())),
        };
        table.row([
            (Tone::Plain, entry.name.as_str()),
            enabled,
            (Tone::Plain, algorithm),
            (digest.0, &digest.1),
            (Tone::Plain, profile(entry).unwrap_or("")),
            (Tone::Plain, &entry.path),
        ]);
    }
    screen.print(&table.text(screen))?;
    Ok(ExitCode::SUCCESS)
}

fn load(settings: &Settings) -> Result<Vec<Loaded>, Failure> {
    let whitelist = &settings.whitelist;
    if !listed::is_folder(whitelist) {
        return Ok(vec![listed::load(whitelist, "")?]);
    }
    let names = super::names(whitelist)?;
    names
        .iter()
        .map(|name| listed::load(whitelist, name))
        .collect()
}

fn profile(entry: &Entry) -> Option<&str> {
    entry.profile.as_ref().map(|profile| match profile {
        ProfileRef::Named(name) => name.as_str(),
        ProfileRef::Inline(raw) => raw.name().unwrap_or("inline"),
    })
}

fn as_json(entry: &Entry) -> Value {
    let algorithm = match &entry.hash {
        Expected::Pinned(digest) => Some(digest.algorithm().name()),
        Expected::Malformed(_) | Expected::Missing => None,
    };
    let pin =
        |pin: &Pin| json!({ "path": pin.path, "hash": pin.hash.as_ref().map(ToString::to_string) });
    json!({
        "name": entry.name.as_str(),
        "path": entry.path,
        "hash": entry.hash.text(),
        "algorithm": algorithm,
        "enabled": entry.enabled,
        "profile": profile(entry),
        "args": entry.args,
        "argv0": entry.argv0,
        "interpreter": entry.interpreter.as_ref().map(pin),
        "script": entry.script.as_ref().map(pin),
        "lock": entry.lock.as_ref().map(ToString::to_string),
        "libraries": entry.libraries.iter().map(pin).collect::<Vec<_>>(),
        "metadata": entry.metadata,
    })
}
