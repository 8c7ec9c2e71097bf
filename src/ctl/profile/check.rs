//! `profile check`: parse, resolve, lower, compile.

use std::process::ExitCode;

use secure_exec::failure::Failure;
use secure_exec::settings::Settings;
use secure_exec_core::escape::Escaped;
use secure_exec_core::located::located;
use secure_exec_core::policy::Policy;
use secure_exec_core::profile::{ProfileError, RawProfile};
use serde_json::{Value, json};

use super::{Source, profiles, replaced, unknown};
use crate::plan;
use crate::screen::{self, Screen, Tone};
use crate::yaml::outline::{self, Kind, Node};

/// Checks profiles; the status is 1 where one has a mistake.
pub(crate) fn run(
    settings: &Settings,
    names: &[String],
    screen: Screen,
) -> Result<ExitCode, Failure> {
    let mut wrong = false;
    let mut shown = Vec::new();
    for name in names {
        let is_path = name.contains('/');
        let name = if !is_path && name.ends_with(".yaml") {
            format!("./{name}")
        } else {
            name.clone()
        };
        let source = Source::of(settings, &name).ok_or_else(|| unknown(&name))?;
        let text = source.text()?;
        let found = check(settings, &name, &source, &text);
        wrong |= found.mistake.is_some();
        if screen.json {
            shown.push(found.json(&name));
        } else {
            for warning in &found.warnings {
                screen.warn(&format!("{}: {}", Escaped(&name), Escaped(warning)));
            }
            screen.print(&found.line(&name, screen))?;
        }
    }
    if screen.json {
        screen.print_json(&json!({ "profiles": shown }))?;
    }
    Ok(ExitCode::from(u8::from(wrong)))
}

/// What is found in one profile.
#[derive(Default)]
struct Found {
    mistake: Option<String>,
    warnings: Vec<String>,
}

impl Found {
    fn wrong(mistake: String) -> Self {
        Self {
            mistake: Some(mistake),
            warnings: Vec::new(),
        }
    }

    fn line(&self, name: &str, screen: Screen) -> String {
        match &self.mistake {
            None => format!("{}: {}\n", Escaped(name), screen.tone(Tone::Good, "OK")),
            Some(mistake) => format!("{}\n", screen.tone(Tone::Bad, &screen::lines(mistake))),
        }
    }

    fn json(&self, name: &str) -> Value {
        json!({
            "name": name,
            "result": if self.mistake.is_none() { "ok" } else { "failed" },
            "mistake": self.mistake,
            "warnings": self.warnings,
        })
    }
}

fn check(settings: &Settings, name: &str, source: &Source, text: &str) -> Found {
    let file = match source {
        Source::BuiltIn(_) => name.to_string(),
        Source::File(_) => source.shown(),
    };
    let raw = match RawProfile::parse(text.as_bytes(), &file) {
        Ok(raw) => raw,
        Err(error) => return Found::wrong(error.to_string()),
    };
    let stem = std::path::Path::new(name).file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy();
    let own = if name.contains('/') {
        raw.name().unwrap_or(&stem)
    } else {
        name
    };
    let profiles = profiles(settings);
    let profile = match profiles.resolve(&raw, own) {
        Ok(profile) => profile,
        Err(error) => return Found::wrong(placed(&error, own, text, &file)),
    };
    let findings = profiles.findings.into_inner();
    let mut warnings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let plan = match plan::lower(&profile, false, Policy::Strict) {
        Ok(plan) => plan,
        Err(why) => {
            let error = ProfileError::Invalid(own.to_string(), why);
            return Found::wrong(placed(&error, own, text, &file));
        }
    };
    match plan::filter(&plan) {
        None => {}
        Some(Err(why)) => return Found::wrong(format!("{}: {why}", Escaped(&file))),
        Some(Ok(_)) => {}
    }
    if let Some(landlock) = plan.landlock() {
        let absent = plan::absent(landlock, None);
        warnings.extend(absent.map(|path| {
            format!("the path '{path}' does not exist here; a launch under strict fails")
        }));
        let unset = landlock.grants.iter().filter(|grant| !grant.optional);
        let unset = unset.filter(|grant| grant.path.contains("/${"));
        warnings.extend(unset.map(|grant| {
            let path = grant.path.trim_start_matches('/');
            format!("the path '{path}' has a variable that is not set here")
        }));
    }
    if let Source::File(_) = source {
        warnings.extend(replaced::warnings(&raw, &profile));
    }
    for missing in plan.enforcement().missing() {
        warnings.push(format!(
            "this system lacks {missing}; a launch under strict is refused"
        ));
    }
    Found {
        mistake: None,
        warnings,
    }
}

/// A mistake in what a value means, at the place of the value: the word that
/// the message quotes.
fn placed(error: &ProfileError, own: &str, text: &str, file: &str) -> String {
    let (why, word) = match error {
        ProfileError::Located(error) => return error.to_string(),
        ProfileError::Unknown(base) => {
            let why = format!("there is no profile '{}' to extend", Escaped(base));
            (why, Some(base.as_str()))
        }
        ProfileError::Invalid(of, why) if of == own => (why.clone(), None),
        // A mistake in a profile that this one extends.
        ProfileError::Invalid(..) => return error.to_string(),
    };
    let Ok(root) = outline::read(text) else {
        return error.to_string();
    };
    let matches = |node: &Node| {
        node.text().is_some_and(|found| match word {
            Some(word) => found == word,
            None => quotes(&why, found),
        })
    };
    let sections = [
        "extends",
        "filesystem",
        "network",
        "syscalls",
        "environment",
        "capabilities",
        "descriptors",
        "working_directory",
    ];
    let found = sections
        .iter()
        .filter_map(|section| root.get(section))
        .find_map(|section| find(section, &matches));
    let Some(node) = found else {
        return format!("{}: {why}", Escaped(file));
    };
    let before = text.get(..node.bytes.start).unwrap_or_default();
    let line = before.split('\n').count();
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    located(text, file, narrow(line), narrow(column), why).to_string()
}

/// Whether a message quotes a value, which it may do without the mark of an
/// optional path, or with its key.
fn quotes(message: &str, value: &str) -> bool {
    let plain = value.strip_prefix('-').unwrap_or(value);
    [value, plain].iter().any(|value| {
        let value = Escaped(value).to_string();
        !value.is_empty()
            && (message.contains(&format!("'{value}'"))
                || message.contains(&format!("'extends: {value}'")))
    })
}

fn find<'a>(node: &'a Node, matches: &dyn Fn(&Node) -> bool) -> Option<&'a Node> {
    match &node.kind {
        Kind::Scalar { .. } => matches(node).then_some(node),
        Kind::List { items, .. } => items.iter().find_map(|item| find(item, matches)),
        Kind::Map { pairs, .. } => pairs
            .iter()
            .find_map(|(key, value)| find(value, matches).or_else(|| matches(key).then_some(key))),
    }
}
