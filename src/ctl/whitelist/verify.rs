//! `whitelist verify`: every plugin through the launcher's own stages.

use std::collections::HashMap;
use std::process::ExitCode;

use secure_exec::code;
use secure_exec::dry_run::{self, Inspection};
use secure_exec::failure::Failure;
use secure_exec::listed::{self, Listed};
use secure_exec::rehearsal::Rehearsal;
use secure_exec::settings::Settings;
use secure_exec_core::escape::Escaped;
use secure_exec_core::whitelist::Entry;
use serde_json::{Value, json};

use crate::plan::absent;
use crate::screen::{Screen, Tone};

/// Checks plugins; the status is 1 where one of them would not run.
pub(crate) fn run(
    settings: &Settings,
    names: &[String],
    screen: Screen,
) -> Result<ExitCode, Failure> {
    let verdicts = if listed::is_folder(&settings.whitelist) {
        let all = if names.is_empty() {
            super::names(&settings.whitelist)?
        } else {
            names.to_vec()
        };
        let mut rehearsal = Rehearsal::default();
        let check = |name: &String| {
            let listed = listed::list(settings, name);
            let warnings = listed.iter().flat_map(|listed| &listed.warnings);
            warnings.for_each(|warning| screen.warn(warning));
            Verdict::of(name, listed, &mut rehearsal)
        };
        all.iter().map(check).collect()
    } else {
        of_file(settings, names, screen)?
    };
    let failed = verdicts
        .iter()
        .filter(|verdict| verdict.wrong.is_some())
        .count();
    for verdict in &verdicts {
        if let Some(remark) = &verdict.remark {
            screen.warn(&format!("plugin '{}': {remark}", Escaped(&verdict.name)));
        }
    }
    if screen.json {
        let entries: Vec<Value> = verdicts.iter().map(Verdict::json).collect();
        let whitelist = settings.whitelist.to_string_lossy();
        screen.print_json(&json!({
            "whitelist": whitelist,
            "failed": failed,
            "entries": entries,
        }))?;
    } else {
        let lines: String = verdicts
            .iter()
            .map(|verdict| verdict.line(screen))
            .collect();
        screen.print(&lines)?;
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// The whitelist is read once, however many entries it has.
fn of_file(settings: &Settings, names: &[String], screen: Screen) -> Result<Vec<Verdict>, Failure> {
    let loaded = listed::load(&settings.whitelist, "")?;
    for warning in &loaded.whitelist.warnings {
        screen.warn(warning);
    }
    let entries = &loaded.whitelist.entries;
    let mut rehearsal = Rehearsal::default();
    let mut check = |name: &str, entry: Option<&Entry>| {
        let listed = listed::look_up(settings, &loaded, name, entry);
        Verdict::of(name, listed, &mut rehearsal)
    };
    if names.is_empty() {
        let verdicts = entries.iter();
        let verdicts = verdicts.map(|entry| check(entry.name.as_str(), Some(entry)));
        return Ok(verdicts.collect());
    }
    let by_name: HashMap<&str, &Entry> = entries
        .iter()
        .map(|entry| (entry.name.as_str(), entry))
        .collect();
    let verdicts = names.iter();
    let verdicts = verdicts.map(|name| check(name, by_name.get(name.as_str()).copied()));
    Ok(verdicts.collect())
}

/// What is said of one plugin.
struct Verdict {
    name: String,
    /// A code and a sentence.
    wrong: Option<(&'static str, String)>,
    /// What its hash says nothing of.
    remark: Option<String>,
}

impl Verdict {
    fn of(name: &str, listed: Result<Listed, Failure>, rehearsal: &mut Rehearsal) -> Self {
        let inspected = listed.and_then(|listed| dry_run::inspect_listed(listed, rehearsal));
        let mut remark = None;
        let wrong = match inspected {
            Ok(inspection) => {
                let listed = inspection.listed();
                remark = code::remark(listed, &listed.place());
                of_inspection(&inspection)
            }
            Err(failure) => Some(of_failure(&failure)),
        };
        Self {
            name: name.to_string(),
            wrong,
            remark,
        }
    }

    fn line(&self, screen: Screen) -> String {
        let name = Escaped(&self.name);
        match &self.wrong {
            None => format!("{name}: {}\n", screen.tone(Tone::Good, "OK")),
            Some((code, reason)) => {
                let code = screen.tone(Tone::Bad, code);
                format!("{name}: {code}: {}\n", Escaped(reason))
            }
        }
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "result": if self.wrong.is_none() { "ok" } else { "failed" },
            "violation_type": self.wrong.as_ref().map(|(code, _)| code),
            "reason": self.wrong.as_ref().map(|(_, reason)| reason),
            "remark": self.remark,
        })
    }
}

fn of_inspection(inspection: &Inspection) -> Option<(&'static str, String)> {
    if let Some(violation) = inspection.refusal() {
        return Some((violation.code(), violation.reason()));
    }
    let examined = inspection.examined()?;
    let missing = examined
        .plan
        .landlock()
        .and_then(|plan| absent(plan, Some(&examined.runtime_folder)).next());
    let Some(missing) = missing else {
        return inspection.failure().map(of_failure);
    };
    let why = format!(
        "the path '{}' of profile '{}' does not exist",
        missing,
        inspection.listed().profile.name
    );
    Some(("absent_path", why))
}

/// A launch that fails without a violation has no code of the contract's.
fn of_failure(failure: &Failure) -> (&'static str, String) {
    match failure {
        Failure::NoSuchPlugin {
            path: Some(path), ..
        } => ("no_such_plugin", format!("there is no file '{path}'")),
        Failure::NoSuchPlugin { .. } => ("no_such_plugin", failure.reason()),
        Failure::NotExecuted { message, .. } => ("not_executable", first_line(message)),
        Failure::Refused { violation, .. } => (violation.code(), violation.reason()),
        Failure::Own { message } => ("mistake", first_line(message)),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_string()
}
