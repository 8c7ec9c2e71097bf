//! `--dry-run`: the decision and the full plan, and nothing done.

use std::cell::RefCell;
use std::fmt::Write as _;

use secure_exec_core::decide::Judgement;
use secure_exec_core::escape::{self, Escaped, Whole};
use secure_exec_core::filter::ExecTicket;
use secure_exec_core::plan::namespaces::{NamespacePlan, SHARED_MEMORY, SharedMemory};
use secure_exec_core::plan::{LandlockPlan, Step};
use secure_exec_core::policy::Policy;
use secure_exec_core::profile::TEMPORARY;
use secure_exec_core::violation::Violation;
use serde_json::{Value, json};

use crate::audit;
use crate::authorized;
use crate::cli::Arguments;
use crate::confined::report::sentences;
use crate::examined::{self, Examined, Examining};
use crate::failure::Failure;
use crate::listed::{self, Listed};
use crate::namespaces;
use crate::opened::{self, Opening};
use crate::passed::{self, Given};
use crate::prepared::{add_secrets, compile};
use crate::rehearsal::Rehearsal;
use crate::run::name;
use crate::settings::Settings;

/// What a dry run prints.
#[derive(Debug)]
pub struct Shown {
    /// The text or the JSON.
    pub text: String,
    /// The plugin would run, or be refused.
    pub allowed: bool,
    /// It would be allowed, and the launch fail all the same.
    pub failure: Option<Failure>,
}

/// Goes through the stages up to the judgement. Writes nothing, to the audit
/// log either: nothing was launched.
///
/// # Errors
/// As a launch.
pub fn run(arguments: &Arguments) -> Result<Shown, Failure> {
    let settings = Settings::merge(arguments)?;
    let listed = listed::list(&settings, &name(arguments)?)?;
    let mut plan = inspect_listed(listed, &mut Rehearsal::of_own_launch())?;
    if let (Some(examined), None) = (&plan.examined, &plan.failure) {
        // Here it is the caller who would launch.
        let warned = RefCell::new(Vec::new());
        let warn = |warning: &str| warned.borrow_mut().push(warning.to_string());
        let added = add_secrets(&mut examined.environment.clone(), examined, &warn);
        let words = &arguments.plugin_arguments;
        let told = passed::tell(&plan.listed, &examined.streams.absent, words, &warn);
        plan.failure = added.and(told).err();
        plan.listed.warnings.extend(warned.into_inner());
    }
    if plan.listed.policy == Policy::Strict {
        plan.failure = audit::misplaced(&settings, &plan.listed).or(plan.failure);
    }
    let text = if arguments.json {
        format!("{}\n", escape::json(&format!("{:#}", plan.json())))
    } else {
        plan.text()
    };
    Ok(Shown {
        text,
        allowed: plan.refusal.is_none(),
        failure: plan.failure,
    })
}

/// Everything that is known of a launch before it.
#[derive(Debug)]
pub struct Inspection {
    listed: Listed,
    examined: Option<Examined>,
    refusal: Option<Violation>,
    failure: Option<Failure>,
}

/// Inspects a plugin without launching it.
///
/// # Errors
/// As a launch.
pub fn inspect(settings: &Settings, plugin: &str) -> Result<Inspection, Failure> {
    let listed = listed::list(settings, plugin)?;
    inspect_listed(listed, &mut Rehearsal::default())
}

/// Inspects a plugin that was looked up already.
///
/// # Errors
/// As a launch.
pub fn inspect_listed(listed: Listed, rehearsal: &mut Rehearsal) -> Result<Inspection, Failure> {
    let refused = |listed: Listed, violation| Inspection {
        listed,
        examined: None,
        refusal: Some(violation),
        failure: None,
    };
    if let Judgement::Refused(violation) = listed.judgement() {
        return Ok(refused(listed, violation));
    }
    let opened = match opened::open(listed)? {
        Opening::Open(opened) => *opened,
        Opening::Violated(listed, violation) => return Ok(refused(*listed, violation)),
    };
    let examined = match examined::examine(opened, rehearsal.streams())? {
        Examining::Done(examined) => *examined,
        Examining::Violated(listed, violation) => return Ok(refused(*listed, violation)),
    };
    Ok(match authorized::authorize(examined) {
        Ok(authorized) => {
            let examined = authorized.into_examined();
            Inspection {
                listed: examined.listed.clone(),
                failure: rehearsal.of(&examined).err(),
                examined: Some(examined),
                refusal: None,
            }
        }
        Err((examined, violation)) => Inspection {
            listed: examined.listed.clone(),
            examined: Some(*examined),
            refusal: Some(violation),
            failure: None,
        },
    })
}

impl Inspection {
    /// Whether the decision is that the plugin may run.
    #[must_use]
    pub const fn is_allowed(&self) -> bool {
        self.refusal.is_none()
    }

    /// Why the launch fails of a plugin that is allowed, if it would.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Whitelist entry, policy, profile and violations.
    #[must_use]
    pub const fn listed(&self) -> &Listed {
        &self.listed
    }

    /// The plugin's bytes and plan, where it got that far.
    #[must_use]
    pub const fn examined(&self) -> Option<&Examined> {
        self.examined.as_ref()
    }

    /// Why the plugin would not run.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Violation> {
        self.refusal.as_ref()
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let listed = &self.listed;
        let overlooked: Vec<&str> = match &self.refusal {
            Some(_) => Vec::new(),
            None => listed.violations.iter().map(Violation::code).collect(),
        };
        let examined = self.examined.as_ref();
        json!({
            "plugin": listed.name,
            "path": examined.map(|examined| examined.path.to_string_lossy().into_owned()),
            "decision": if self.is_allowed() { "allowed" } else { "blocked" },
            "violation_type": self.refusal.as_ref().map(Violation::code),
            "reason": self.refusal.as_ref().map(Violation::reason),
            "overlooked": overlooked,
            "failure": self.failure.as_ref().map(Failure::reason),
            "warnings": listed.warnings,
            "policy": listed.policy.name(),
            "profile": listed.profile.name,
            "profile_chain": listed.profile.chain,
            "hash_expected": listed.expected(),
            "hash_actual": examined.map(|examined| examined.digest.to_string()),
            "image": examined.map(|examined| examined.image.strength().name()),
            "image_reason": examined.and_then(|examined| examined.image.why_no_better()),
            "interpreter": examined
                .and_then(|examined| examined.interpreter.as_ref())
                .map(|found| found.path.to_string_lossy().into_owned()),
            "script": examined
                .and_then(|examined| examined.script.as_ref())
                .map(|script| json!({ "path": script.path, "hash": script.digest.to_string() })),
            "enforcement": examined.map(|examined| examined.plan.enforcement().name()),
            "missing": examined.map(|examined| sentences(examined.plan.enforcement().missing())),
            "taken_over": examined.map(|examined| sentences(examined.plan.taken_over())),
            "isolation": examined.map(|examined| examined.plan.settled().isolation.name()),
            "isolation_because": examined.and_then(|examined| examined.plan.settled().because.clone()),
            "plan": examined.map(steps),
        })
    }

    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // Writing into a string has no way to fail.
            for (number, part) in value.lines().enumerate() {
                let name = if number == 0 { name } else { "" };
                let _ = writeln!(text, "{name:<12} {}", Whole(part));
            }
        };
        let listed = &self.listed;
        line("plugin", &listed.name);
        match &self.refusal {
            None => line("decision", "allowed"),
            Some(violation) => {
                line("decision", &format!("blocked ({})", violation.code()));
                line("reason", &violation.reason());
            }
        }
        if let Some(failure) = &self.failure {
            line("failure", &failure.reason());
        }
        line("policy", listed.policy.name());
        line("profile", &listed.profile.chain.join(" < "));
        if let Some(expected) = listed.expected() {
            line("expected", &expected);
        }
        for warning in &listed.warnings {
            line("warning", warning);
        }
        let Some(examined) = &self.examined else {
            return text;
        };
        line("path", &examined.path.to_string_lossy());
        line("actual", &examined.digest.to_string());
        line("image", examined.image.strength().name());
        if let Some(why) = examined.image.why_no_better() {
            line("image why", &why);
        }
        if let Some(interpreter) = &examined.interpreter {
            line("interpreter", &interpreter.path.to_string_lossy());
        }
        if let Some(script) = &examined.script {
            line("script", &format!("{} {}", script.path, script.digest));
        }
        let settled = examined.plan.settled();
        if let Some(why) = &settled.because {
            line("isolation", &format!("{}: {why}", settled.isolation.name()));
        }
        line("enforcement", examined.plan.enforcement().name());
        for missing in sentences(examined.plan.enforcement().missing()) {
            line("missing", &missing);
        }
        for taken_over in sentences(examined.plan.taken_over()) {
            line("taken over", &taken_over);
        }
        for (number, step) in examined.plan.steps().iter().enumerate() {
            let _ = writeln!(
                text,
                "{:>2}. {}",
                number.saturating_add(1),
                describe(step, examined)
            );
        }
        text
    }
}

fn steps(examined: &Examined) -> Vec<Value> {
    let steps = examined.plan.steps().iter();
    steps.map(|step| step_json(step, examined)).collect()
}

fn step_json(step: &Step, examined: &Examined) -> Value {
    match step {
        Step::Environment(names) => json!({ "step": step.name(), "names": names }),
        Step::Inherited => json!({ "step": step.name() }),
        Step::Namespaces(plan) => json!({
            "step": step.name(),
            "made": namespaces::means_name(plan.means),
            "kinds": plan.kinds(),
            "network": plan.network_name(),
            "proc": plan.proc.words(),
            "mounts": plan.mounts.iter().map(|mount| json!({
                "path": mount.path,
                "attributes": mount.words(),
                "optional": mount.optional,
            })).collect::<Vec<_>>(),
            "shared_memory": plan.shared_memory.map(SharedMemory::words),
            "temporary": plan.temporary.map(SharedMemory::words),
        }),
        Step::WorkingDirectory(path) => json!({ "step": step.name(), "path": path }),
        Step::NewSession => json!({ "step": step.name() }),
        Step::Umask(mask) => json!({ "step": step.name(), "mask": format!("{mask:03o}") }),
        Step::Limits(limits) => {
            let limits: serde_json::Map<_, _> = limits
                .iter()
                .map(|limit| (limit.resource.name().to_string(), json!(limit.value)))
                .collect();
            json!({ "step": step.name(), "limits": limits })
        }
        Step::User(name) => json!({ "step": step.name(), "name": name }),
        Step::Capabilities(keep) => json!({ "step": step.name(), "keep": keep }),
        Step::Descriptors => json!({
            "step": step.name(),
            "close_from": 3,
            "pass": examined.streams.passed.iter().map(Given::json).collect::<Vec<_>>(),
        }),
        Step::NoNewPrivileges => json!({ "step": step.name() }),
        Step::Landlock(plan) => json!({
            "step": step.name(),
            "abi": plan.abi,
            "grants": plan.grants.iter().map(|grant| json!({
                "path": grant.path,
                "admits": grant.kind.name(),
                "optional": grant.optional,
            })).collect::<Vec<_>>(),
            "tcp_connect": plan.tcp_connect,
            "tcp_bind": plan.tcp_bind,
            "scope_signals": plan.scope_signals,
            "scope_abstract": plan.scope_abstract,
        }),
        Step::Seccomp(plan) => match compile(plan, examined.plan.landlock(), ExecTicket::NONE) {
            Ok(filter) => json!({
                "step": step.name(),
                "filter": filter.digest(),
                "instructions": filter.instructions().len(),
                "always_allowed": filter.always_allowed(),
                "exec": if plan.execute { "landlock" } else { "launch only" },
            }),
            Err(error) => json!({ "step": step.name(), "error": error.to_string() }),
        },
    }
}

fn describe(step: &Step, examined: &Examined) -> String {
    match step {
        Step::Environment(names) => format!("environment: {}", names.join(" ")),
        Step::Inherited => {
            "set back what exec leaves: signals, scheduling, execution domain".into()
        }
        Step::Namespaces(plan) => spaces(plan),
        Step::WorkingDirectory(path) => format!("working directory: {}", Escaped(path)),
        Step::NewSession => "a session of its own".into(),
        Step::Umask(mask) => format!("umask: {mask:03o}"),
        Step::Limits(limits) => {
            let limits: Vec<String> = limits
                .iter()
                .map(|limit| format!("{}={}", limit.resource.name(), limit.value))
                .collect();
            format!("limits: {}", limits.join(" "))
        }
        Step::User(name) => format!("user: {}", Escaped(name)),
        Step::Capabilities(keep) if keep.is_empty() => "capabilities: none".into(),
        Step::Capabilities(keep) => format!("capabilities: {}", keep.join(" ")),
        Step::Descriptors if examined.streams.passed.is_empty() => {
            "descriptors: closed from 3 on".into()
        }
        Step::Descriptors => {
            let passed: Vec<_> = examined.streams.passed.iter().map(Given::shown).collect();
            format!("descriptors: closed from 3 on, but {}", passed.join(", "))
        }
        Step::NoNewPrivileges => "no_new_privs".into(),
        Step::Landlock(plan) => landlock(plan),
        Step::Seccomp(plan) => match compile(plan, examined.plan.landlock(), ExecTicket::NONE) {
            Ok(filter) => format!(
                "seccomp: {} instructions, {} calls always allowed, exec {}",
                filter.instructions().len(),
                filter.always_allowed().len(),
                if plan.execute {
                    "where Landlock admits it"
                } else {
                    "only by this launch"
                }
            ),
            Err(error) => format!("seccomp: {error}"),
        },
    }
}

fn spaces(plan: &NamespacePlan) -> String {
    let mut text = format!(
        "namespaces, {}: {}; the {} network",
        namespaces::means_name(plan.means),
        plan.kinds().join(" "),
        match plan.own_network {
            true => "plugin's own",
            false => "host's",
        }
    );
    let mut line = |attributes: &str, path: &str| {
        // Writing into a string has no way to fail.
        let _ = write!(text, "\n      {attributes:<22} {}", Escaped(path));
    };
    for mount in &plan.mounts {
        let optional = if mount.optional { "-" } else { "" };
        line(&mount.words(), &format!("{optional}{}", mount.path));
    }
    if let Some(memory) = plan.shared_memory {
        line(&memory.words(), SHARED_MEMORY);
    }
    for folder in TEMPORARY.iter().filter(|_| plan.temporary.is_some()) {
        line(
            &plan.temporary.map(SharedMemory::words).unwrap_or_default(),
            folder,
        );
    }
    line(&plan.proc.words(), "/proc");
    line(
        "ro,nosuid,nodev",
        "the plugin's own program, loader and pinned libraries",
    );
    text
}

fn landlock(plan: &LandlockPlan) -> String {
    let mut text = format!("Landlock, ABI {}", plan.abi);
    for grant in &plan.grants {
        let optional = if grant.optional { "-" } else { "" };
        let _ = write!(
            text,
            "\n      {:<14} {optional}{}",
            grant.kind.name(),
            Escaped(&grant.path)
        );
    }
    for (name, ports) in [
        ("tcp connect", &plan.tcp_connect),
        ("tcp bind", &plan.tcp_bind),
    ] {
        let shown = match ports {
            None => "every port".to_string(),
            Some(ports) if ports.is_empty() => "none".to_string(),
            Some(ports) => ports
                .iter()
                .map(u16::to_string)
                .collect::<Vec<_>>()
                .join(" "),
        };
        let _ = write!(text, "\n      {name:<14} {shown}");
    }
    text
}
