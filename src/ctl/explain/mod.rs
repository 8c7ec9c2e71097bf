//! `explain`: what would be decided on a plugin and why, what it could do, and
//! what of that this kernel enforces.

mod grants;

use std::process::ExitCode;

use secure_exec::dry_run::{self, Inspection};
use secure_exec::failure::{Failure, cure};
use secure_exec::namespaces;
use secure_exec_core::escape::{Escaped, Whole};
use secure_exec_core::plan::{Coverage, Enforcement, SandboxPlan, requirements};
use secure_exec_core::policy::Policy;
use secure_exec_core::violation::Violation;
use secure_exec_sys::probe;
use serde_json::{Map, Value, json};

use crate::cli::{Common, Explain};
use crate::plan;
use crate::screen::{Screen, Tone};

/// Explains a plugin. The status is that of the launch: 0 where the plugin
/// would run.
pub(crate) fn run(common: &Common, what: Explain, screen: Screen) -> Result<ExitCode, Failure> {
    let settings = common.settings(what.policy, what.profile)?;
    let inspection = dry_run::inspect(&settings, &what.plugin)?;
    // What was refused early has no plan of its own; its profile has.
    let lowered;
    let plan = match inspection.examined() {
        Some(examined) => &examined.plan,
        None => {
            let listed = inspection.listed();
            let pinned = listed
                .entry
                .as_ref()
                .is_some_and(|entry| !entry.libraries.is_empty());
            lowered = plan::lower(&listed.profile, pinned, listed.policy)
                .map_err(|why| Failure::own(format!("profile '{}': {why}", listed.profile.name)))?;
            &lowered
        }
    };
    let sections = [
        grants::files(&inspection, plan),
        grants::network(&inspection, plan),
        grants::processes(&inspection, plan),
        grants::limits(plan),
        grants::environment(&inspection, plan),
        grants::system_calls(plan)?,
        protections(&inspection, plan),
    ];
    let notes = notes(&inspection, plan);
    if screen.json {
        screen.print_json(&as_json(&inspection, &sections, &notes))?;
    } else {
        screen.print(&as_text(&inspection, &sections, &notes, screen))?;
    }
    Ok(ExitCode::from(match inspection.failure() {
        Some(failure) => failure.status(),
        None if inspection.is_allowed() => 0,
        None => 126,
    }))
}

/// Some facts under a title.
pub(crate) struct Section {
    /// The key in JSON.
    key: &'static str,
    title: &'static str,
    facts: Vec<Fact>,
}

/// One fact, in both languages.
pub(crate) struct Fact {
    key: &'static str,
    label: &'static str,
    value: Value,
    text: String,
}

impl Fact {
    fn new(key: &'static str, label: &'static str, value: Value, text: impl Into<String>) -> Self {
        Self {
            key,
            label,
            value,
            text: text.into(),
        }
    }

    /// A list that may be empty.
    fn list(key: &'static str, label: &'static str, items: &[String], nothing: &str) -> Self {
        let text = if items.is_empty() {
            nothing.to_string()
        } else {
            let items: Vec<String> = items.iter().map(|item| Escaped(item).to_string()).collect();
            items.join(", ")
        };
        Self::new(key, label, json!(items), text)
    }

    fn flag(key: &'static str, label: &'static str, flag: bool) -> Self {
        Self::new(key, label, json!(flag), if flag { "yes" } else { "no" })
    }
}

/// What stands between this launch and its success, or is worth knowing.
fn notes(inspection: &Inspection, plan: &SandboxPlan) -> Vec<String> {
    let listed = inspection.listed();
    let mut notes = listed.warnings.clone();
    if inspection.is_allowed() {
        let overlooked = listed.violations.iter();
        notes.extend(
            overlooked.map(|violation| {
                format!("overlooked: {} ({})", violation.reason(), violation.code())
            }),
        );
    }
    let runtime = inspection
        .examined()
        .map(|examined| examined.runtime_folder.as_path());
    if let Some(landlock) = plan.landlock() {
        let strict = listed.policy == Policy::Strict;
        let then = if strict {
            "the launch fails"
        } else {
            "it is left out"
        };
        notes.extend(
            plan::absent(landlock, runtime)
                .map(|path| format!("the path '{path}' does not exist: {then}")),
        );
    }
    notes
}

fn protections(inspection: &Inspection, plan: &SandboxPlan) -> Section {
    let listed = inspection.listed();
    let mut enforced = Vec::new();
    let mut missing = Vec::new();
    if *plan.enforcement() != Enforcement::None {
        if plan.seccomp().is_some() {
            enforced.push("the system call filter (seccomp)".to_string());
        }
        enforced.push("no new privileges".into());
        for (protection, coverage) in
            requirements(&listed.profile, namespaces::kernel(&listed.profile))
        {
            match coverage {
                Coverage::Kernel => enforced.push(protection.protection.to_string()),
                Coverage::Instead(taken_over) => enforced.push(taken_over.to_string()),
                Coverage::Nobody => missing.push(format!(
                    "{protection}: use a kernel that has it, or a profile that does without it"
                )),
            }
        }
    }
    let kernel = format!(
        "Linux {}, Landlock ABI {}",
        probe::kernel_release(),
        probe::landlock_abi()
    );
    let nothing = match (listed.policy, listed.profile.isolation.confines()) {
        (Policy::AuditOnly, _) => "nothing: the policy audit-only applies no sandbox",
        (_, false) => "nothing: the profile has no sandbox",
        _ => "nothing",
    };
    Section {
        key: "protections",
        title: "Protections",
        facts: vec![
            Fact::new(
                "kernel",
                "kernel",
                json!(kernel),
                Escaped(&kernel).to_string(),
            ),
            Fact::list("enforced", "enforced", &enforced, nothing),
            Fact::list("missing", "missing", &missing, "nothing"),
        ],
    }
}

/// Why, in a sentence.
fn because(inspection: &Inspection) -> String {
    if let Some(failure) = inspection.failure() {
        return failure.reason();
    }
    match inspection.refusal() {
        Some(violation) => violation.reason(),
        None if inspection.listed().violations.is_empty() => {
            "its bytes are the whitelisted ones, and nothing is wrong with it".into()
        }
        None => format!(
            "the policy {} overlooks what is wrong",
            inspection.listed().policy
        ),
    }
}

/// What to do about it, where something is known.
fn to_do(inspection: &Inspection) -> Option<String> {
    match (inspection.refusal(), inspection.failure()) {
        (Some(violation), _) => Some(cure(violation, &inspection.listed().name).into_owned()),
        (None, Some(failure)) => failure.cure(),
        (None, None) => None,
    }
}

fn as_json(inspection: &Inspection, sections: &[Section], notes: &[String]) -> Value {
    let mut shown = inspection.json();
    let Value::Object(keys) = &mut shown else {
        return shown;
    };
    keys.remove("plan");
    keys.insert("because".into(), json!(because(inspection)));
    keys.insert("cure".into(), json!(to_do(inspection)));
    keys.insert("notes".into(), json!(notes));
    for section in sections {
        let facts = section.facts.iter();
        let facts: Map<String, Value> = facts
            .map(|fact| (fact.key.to_string(), fact.value.clone()))
            .collect();
        keys.insert(section.key.into(), Value::Object(facts));
    }
    shown
}

fn as_text(
    inspection: &Inspection,
    sections: &[Section],
    notes: &[String],
    screen: Screen,
) -> String {
    let listed = inspection.listed();
    let name = Escaped(&listed.name);
    let mut text = match (inspection.refusal(), inspection.failure()) {
        (None, None) => format!("{name}: {}\n", screen.tone(Tone::Good, "allowed")),
        (None, Some(_)) => {
            let fails = screen.tone(Tone::Bad, "allowed, but the launch fails");
            format!("{name}: {fails}\n")
        }
        (Some(violation), _) => {
            let blocked = format!("blocked ({})", violation.code());
            format!("{name}: {}\n", screen.tone(Tone::Bad, &blocked))
        }
    };
    let mut line = |label: &str, value: &str| {
        for (number, part) in value.lines().enumerate() {
            let label = if number == 0 { label } else { "" };
            text.push_str(&format!("  {label:<13} {}\n", Whole(part)));
        }
    };
    line("because", &because(inspection));
    if let Some(cure) = to_do(inspection) {
        line("to do", &cure);
    }
    if let Some(Violation::HashMismatch { expected, actual }) = inspection.refusal() {
        line("expected", &expected.to_string());
        line("actual", &actual.to_string());
    }
    line("policy", listed.policy.name());
    let chain = listed.profile.chain.join(" < ");
    line("profile", &Escaped(&chain).to_string());
    if let Some(examined) = inspection.examined() {
        line(
            "path",
            &Escaped(&examined.path.to_string_lossy()).to_string(),
        );
        line("digest", &examined.digest.to_string());
        let because = |name: &str, why: Option<String>| match why {
            Some(why) => format!("{name}: {why}"),
            None => name.to_string(),
        };
        let image = &examined.image;
        line(
            "image",
            &because(image.strength().name(), image.why_no_better()),
        );
        let settled = examined.plan.settled();
        line(
            "isolation",
            &because(settled.isolation.name(), settled.because.clone()),
        );
        if let Some(interpreter) = &examined.interpreter {
            line(
                "interpreter",
                &Escaped(&interpreter.path.to_string_lossy()).to_string(),
            );
        }
    }
    if let Some(script) = inspection.examined().and_then(|all| all.script.as_ref()) {
        line("script", &Escaped(&script.path).to_string());
    }
    for note in notes {
        line("note", note);
    }
    for section in sections {
        text.push_str(&format!("\n{}\n", screen.tone(Tone::Head, section.title)));
        for fact in &section.facts {
            text.push_str(&format!("  {:<13} {}\n", fact.label, fact.text));
        }
    }
    text
}
