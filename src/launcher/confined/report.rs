//! The records of confinement, made ready before it.

use secure_exec_core::audit::{Event, Outcome};
use secure_exec_core::plan::namespaces::NamespacePlan;
use secure_exec_core::plan::{Enforcement, LandlockPlan};
use secure_exec_core::profile::{OnViolation, Signals};
use serde_json::{Value, json};

use super::{Applied, applies_sandbox};
use crate::audit::{AuditLog, Ready};
use crate::authorized::of_examined;
use crate::passed::Given;
use crate::prepared::Prepared;

/// Lines for the audit log; one of the first two is written, and the third
/// only when exec fails.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) applied: Ready,
    /// The same, where signals are proven as well.
    pub(super) proven: Option<Ready>,
    pub(super) leaked: Ready,
    pub(super) failed: Ready,
}

impl Lines {
    pub(super) fn render(
        prepared: &Prepared,
        applied: &Applied,
        log: &AuditLog,
    ) -> Result<Self, serde_json::Error> {
        let examined = &prepared.examined;
        let path = examined.path.to_string_lossy();
        let environment = log.environment(examined);
        let mut record = of_examined(examined, &path, log);
        record.environment = environment.as_ref();
        let degraded = !matches!(examined.plan.enforcement(), Enforcement::Full)
            || !prepared.absent.is_empty();
        record.event_type = if degraded {
            Event::SandboxDegraded
        } else {
            Event::SandboxApplied
        };
        let mut proven = None;
        if prepared.canaries.tries_signals() {
            record.sandbox = Some(sandbox(prepared, applied, true));
            proven = Some(log.ready(&record)?);
        }
        // For the records of failure as well: they claim no more than is shown.
        record.sandbox = Some(sandbox(prepared, applied, false));
        let applied = log.ready(&record)?;
        record.result = Outcome::Blocked;
        record.event_type = Event::SecurityViolation;
        record.violation_type = Some("sandbox_unavailable");
        record.severity = Some("high");
        record.action_taken = Some("plugin_execution_blocked");
        record.reason = Some("the sandbox did not hold".into());
        let leaked = log.ready(&record)?;
        record.event_type = Event::PluginExited;
        record.violation_type = None;
        record.severity = None;
        record.reason = Some("the program was not executed".into());
        Ok(Self {
            applied,
            proven,
            leaked,
            failed: log.ready(&record)?,
        })
    }
}

/// As the sentences that stand in a record.
pub(crate) fn sentences(list: &[impl ToString]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// What was really applied, and what of the log's own proof it leaves.
fn sandbox(prepared: &Prepared, applied: &Applied, signals_are_proven: bool) -> Value {
    let mut facts = enforced(prepared, applied, signals_are_proven);
    if let Some(facts) = facts.as_object_mut() {
        if prepared.exposes_key {
            facts.insert("signing_key_readable".into(), true.into());
        }
        let streams = &prepared.examined.streams;
        if !streams.passed.is_empty() {
            let passed = streams.passed.iter().map(Given::json);
            facts.insert("descriptors_passed".into(), passed.collect());
        }
        if !streams.absent.is_empty() {
            facts.insert("descriptors_absent".into(), json!(streams.absent));
        }
    }
    facts
}

fn enforced(prepared: &Prepared, applied: &Applied, signals_are_proven: bool) -> Value {
    let examined = &prepared.examined;
    if !applies_sandbox(examined.listed.policy) {
        return json!({ "enforcement": "none", "why": "policy audit-only" });
    }
    let plan = &examined.plan;
    let missing: Vec<String> = sentences(plan.enforcement().missing());
    let taken_over = sentences(plan.taken_over());
    let landlock = plan
        .landlock()
        .zip(prepared.domain.as_ref())
        .map(|(plan, domain)| {
            json!({
                "abi": plan.abi,
                "handled": domain.rights(),
                "rules": plan.grants.len(),
                "tcp_connect": plan.tcp_connect,
                "tcp_bind": plan.tcp_bind,
            })
        });
    let seccomp = prepared.filter.as_ref().map(|(filter, _)| {
        json!({
            "filter": filter.digest(),
            "instructions": filter.instructions().len(),
            "on_violation": match examined.listed.profile.syscalls.on_violation {
                OnViolation::Errno => "errno",
                OnViolation::Kill => "kill",
                OnViolation::Log => "log",
            },
        })
    });
    let limits: serde_json::Map<String, Value> = applied
        .limits
        .iter()
        .map(|(name, value)| ((*name).to_string(), json!(value)))
        .collect();
    let processes = limits
        .contains_key("processes")
        .then(|| processes_limit(prepared));
    let mut not_enforced = Vec::new();
    if let Some(Err(_)) = processes {
        not_enforced.push("processes");
    }
    // The caller's own limit of 0 stops no dump into a program, and can't be
    // raised to 1.
    if limits.get("core") == Some(&json!(0)) {
        not_enforced.push("core");
    }
    let mut proven = prepared.canaries.proves();
    proven.extend(prepared.entered.iter().flat_map(|entered| &entered.proves));
    if signals_are_proven {
        proven.push("signals");
    }
    json!({
        "enforcement": plan.enforcement().name(),
        "missing": missing,
        "taken_over": taken_over,
        "absent_paths": prepared.absent,
        "isolation": plan.settled().isolation.name(),
        "isolation_because": plan.settled().because,
        "namespaces": plan.namespaces().map(NamespacePlan::kinds),
        "mounts": prepared.entered.as_ref().map(|entered| &entered.mounts),
        "network": plan.namespaces().map(NamespacePlan::network_name),
        "temporary": plan.temporary(),
        "landlock": landlock,
        "seccomp": seccomp,
        "inherited_set_back": applied.set_back,
        "limits": limits,
        "limits_not_enforced": not_enforced,
        "processes_limited_by": processes.map(|by| match by {
            Ok(by) => by,
            Err(why) => format!("nothing: {why}"),
        }),
        "no_new_privs": true,
        "capabilities": {
            "kept": examined.listed.profile.capabilities,
            "bounding_set_dropped": applied.capabilities.map(|reduced| reduced.bounding),
            "secure_bits_locked": applied.capabilities.map(|reduced| reduced.secure_bits),
        },
        "controls": controls(prepared, applied, &proven),
        "proven": proven,
        "interpreter": examined.interpreter.as_ref().map(|found| found.path.to_string_lossy()),
        "script": examined.script.as_ref().map(|script| json!({
            "path": script.path,
            "hash": script.digest.to_string(),
            "image": script.image.strength().name(),
        })),
        "pinned_libraries": prepared.pinned,
    })
}

/// What holds the plugin to its limit on processes, or why nothing does.
fn processes_limit(prepared: &Prepared) -> Result<String, String> {
    let counted = prepared.entered.as_ref();
    match counted.and_then(|entered| entered.counted.as_ref()) {
        Some(Ok(version)) => Ok(format!("pids cgroup ({})", version.name())),
        Some(Err(why)) => Err(why.clone()),
        // Root's processes are not counted by the kernel (man 2 setrlimit).
        None if secure_exec_sys::process::user() == 0 => {
            Err("root is exempt from RLIMIT_NPROC, and only namespaces come with a cgroup".into())
        }
        None => Ok("RLIMIT_NPROC".into()),
    }
}

/// For each control: whether the profile requires it, whether it is in force,
/// and whether an attempt showed that.
fn controls(prepared: &Prepared, applied: &Applied, proven: &[&str]) -> Value {
    let plan = &prepared.examined.plan;
    let profile = &prepared.examined.listed.profile;
    let (landlock, seccomp) = (plan.landlock(), plan.seccomp());
    let (domain, filter) = (prepared.domain.is_some(), prepared.filter.is_some());
    let confined = profile.isolation.confines();
    let apart = prepared.entered.is_some();
    let signals = apart
        || landlock.is_some_and(LandlockPlan::keeps_signals)
        || (filter && seccomp.is_some_and(|plan| plan.stand_in.signals));
    let reduced = applied.capabilities.is_some();
    let states = [
        ("files", confined, domain),
        ("network", confined, filter),
        ("exec", seccomp.is_some_and(|plan| !plan.execute), filter),
        (
            "signals",
            confined && profile.processes.signals == Signals::Own,
            signals,
        ),
        (
            "namespaces",
            plan.settled().isolation.has_namespaces(),
            apart,
        ),
        ("capabilities", true, reduced),
    ];
    let controls: serde_json::Map<String, Value> = states
        .into_iter()
        .map(|(control, required, achieved)| {
            // The sets are read back as they are reduced.
            let is_read_back = control == "capabilities" && reduced;
            let state = json!({
                "required": required,
                "achieved": achieved,
                "proven": proven.contains(&control) || is_read_back,
            });
            (control.to_string(), state)
        })
        .collect();
    controls.into()
}
