//! The records of confinement, made ready before it.

use secure_exec_core::audit::{Event, Outcome};
use secure_exec_core::plan::Enforcement;
use secure_exec_core::plan::namespaces::NamespacePlan;
use secure_exec_core::profile::OnViolation;
use serde_json::{Value, json};

use super::{Applied, applies_sandbox};
use crate::audit::AuditLog;
use crate::authorized::of_examined;
use crate::prepared::Prepared;

/// Lines for the audit log; one of the first two is written, and the third
/// only when exec fails.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) applied: String,
    pub(super) leaked: String,
    pub(super) failed: String,
}

impl Lines {
    pub(super) fn render(
        prepared: &Prepared,
        applied: &Applied,
        log: &AuditLog,
    ) -> Result<Self, serde_json::Error> {
        let examined = &prepared.examined;
        let path = examined.path.to_string_lossy();
        let mut record = of_examined(examined, &path, log);
        record.sandbox = Some(sandbox(prepared, applied));
        let degraded = !matches!(examined.plan.enforcement(), Enforcement::Full)
            || !prepared.absent.is_empty();
        record.event_type = if degraded {
            Event::SandboxDegraded
        } else {
            Event::SandboxApplied
        };
        let applied = record.to_line()?;
        record.result = Outcome::Blocked;
        record.event_type = Event::SecurityViolation;
        record.violation_type = Some("sandbox_unavailable");
        record.severity = Some("high");
        record.action_taken = Some("plugin_execution_blocked");
        record.reason = Some("the sandbox did not hold".into());
        let leaked = record.to_line()?;
        record.event_type = Event::PluginExited;
        record.violation_type = None;
        record.severity = None;
        record.reason = Some("the kernel did not execute the program".into());
        Ok(Self {
            applied,
            leaked,
            failed: record.to_line()?,
        })
    }
}

/// As the sentences that stand in a record.
pub(crate) fn sentences(list: &[impl ToString]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// What was really applied.
fn sandbox(prepared: &Prepared, applied: &Applied) -> Value {
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
    // Root's processes are not counted against a limit (man 2 setrlimit).
    let uncounted = secure_exec_sys::process::user() == 0 && limits.contains_key("processes");
    let mut proven = prepared.canaries.proves();
    proven.extend(prepared.entered.iter().flat_map(|entered| &entered.proves));
    json!({
        "enforcement": plan.enforcement().name(),
        "missing": missing,
        "taken_over": taken_over,
        "absent_paths": prepared.absent,
        "namespaces": plan.namespaces().map(NamespacePlan::kinds),
        "mounts": prepared.entered.as_ref().map(|entered| &entered.mounts),
        "network": plan.namespaces().map(NamespacePlan::network_name),
        "landlock": landlock,
        "seccomp": seccomp,
        "limits": limits,
        "limits_not_enforced": if uncounted { vec!["processes"] } else { vec![] },
        "no_new_privs": true,
        "capabilities": {
            "kept": examined.listed.profile.capabilities,
            "bounding_set_dropped": applied.capabilities.map(|reduced| reduced.bounding),
            "secure_bits_locked": applied.capabilities.map(|reduced| reduced.secure_bits),
        },
        "proven": proven,
        "interpreter": examined.interpreter.as_ref().map(|found| found.path.to_string_lossy()),
        "pinned_libraries": prepared.pinned,
    })
}
