//! Fourth stage: the judgement. It alone makes an [`Authorized`], and only an
//! [`Authorized`] can be prepared and executed.

use secure_exec_core::audit::{Event, Outcome, Record};
use secure_exec_core::decide::{Judgement, decide};
use secure_exec_core::digest::Digest;
use secure_exec_core::escape::Whole;
use secure_exec_core::policy::{Policy, Waiver};
use secure_exec_core::violation::Violation;
use secure_exec_core::whitelist::Expected;

use crate::audit::{AuditLog, AuditReceipt, timestamp};
use crate::examined::Examined;
use crate::failure::Failure;
use crate::listed::Listed;

/// Why a plugin may run.
#[derive(Debug)]
pub enum Basis {
    /// Its bytes have this digest, which is the whitelist's.
    Verified(Digest),
    /// The policy overlooked what is wrong with it.
    Waived(Vec<Waiver>),
}

/// A plugin that may run.
///
/// There is no way to make one but [`authorize`]:
///
/// ```compile_fail
/// use secure_exec::authorized::{Authorized, Basis};
/// fn forge(examined: secure_exec::examined::Examined) -> Authorized {
///     Authorized { examined, basis: Basis::Waived(Vec::new()) }
/// }
/// ```
///
/// nor can a plugin be prepared that was only examined:
///
/// ```compile_fail
/// fn skip(
///     examined: secure_exec::examined::Examined,
///     receipt: secure_exec::audit::AuditReceipt,
/// ) {
///     let _ = secure_exec::prepared::prepare(examined, receipt, Default::default(), &|_| {});
/// }
/// ```
#[derive(Debug)]
pub struct Authorized {
    examined: Examined,
    basis: Basis,
}

impl Authorized {
    /// All facts.
    #[must_use]
    pub fn examined(&self) -> &Examined {
        &self.examined
    }

    /// Why it may run.
    #[must_use]
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    pub(crate) fn into_examined(self) -> Examined {
        self.examined
    }
}

/// Judges an examined plugin.
///
/// # Errors
/// The violation that the policy does not overlook.
pub fn authorize(examined: Examined) -> Result<Authorized, (Box<Examined>, Violation)> {
    let judgement = decide(examined.listed.policy, examined.listed.violations.clone());
    let pinned = examined.listed.entry.as_ref().map(|entry| &entry.hash);
    let basis = match judgement {
        Judgement::Refused(violation) => return Err((Box::new(examined), violation)),
        Judgement::Waived { waivers, .. } => Basis::Waived(waivers),
        // Sound and yet not compared with a digest is no combination that
        // the stages before can make; if they did, it is refused.
        Judgement::Sound => match pinned {
            Some(Expected::Pinned(expected)) if expected.matches(&examined.digest) => {
                Basis::Verified(examined.digest.clone())
            }
            _ => return Err((Box::new(examined), Violation::MissingHash)),
        },
    };
    Ok(Authorized { examined, basis })
}

/// Writes the decision that a plugin may run: one record, and one more for
/// each violation that was overlooked.
///
/// # Errors
/// Under strict, when the log can't be written.
pub fn record(
    authorized: &Authorized,
    log: &AuditLog,
    warn: &dyn Fn(&str),
) -> Result<AuditReceipt, Failure> {
    let examined = authorized.examined();
    let listed = &examined.listed;
    let path = examined.path.to_string_lossy();
    let record = of_examined(examined, &path, log);
    let Some((first, rest)) = listed.violations.split_first() else {
        return log.write(&record, warn);
    };
    if listed.policy == Policy::Permissive {
        for violation in &listed.violations {
            let reason = violation.reason();
            warn(&format!("{}: {}", violation.code(), Whole(&reason)));
        }
    }
    for violation in rest {
        log.write(
            &violated(record.clone(), violation, "plugin_execution_allowed"),
            warn,
        )?;
    }
    log.write(&violated(record, first, "plugin_execution_allowed"), warn)
}

/// Writes the decision that a plugin does not run.
///
/// # Errors
/// Under strict, when the log can't be written.
pub fn record_refusal(
    listed: &Listed,
    actual: Option<String>,
    violation: &Violation,
    log: &AuditLog,
    warn: &dyn Fn(&str),
) -> Result<AuditReceipt, Failure> {
    let mut record = base(listed, log);
    record.hash_actual = actual;
    record.result = Outcome::Blocked;
    log.write(
        &violated(record, violation, "plugin_execution_blocked"),
        warn,
    )
}

/// Writes that a plugin was not found or could not be started, and returns
/// the failure to report: under strict that of the log, where it can't be
/// written, since it hides the other.
pub fn record_failure(
    listed: &Listed,
    failure: Failure,
    log: &AuditLog,
    warn: &dyn Fn(&str),
) -> Failure {
    let mut record = base(listed, log);
    record.event_type = Event::PluginExited;
    record.result = Outcome::Blocked;
    record.reason = Some(failure.reason());
    log.write(&record, warn).err().unwrap_or(failure)
}

/// What a weaker policy calls an allowed launch.
const fn outcome(policy: Policy) -> Outcome {
    match policy {
        Policy::AuditOnly => Outcome::Observed,
        Policy::Strict | Policy::Permissive => Outcome::Allowed,
    }
}

/// A record of the launch of an examined plugin, which lies at `path`.
pub(crate) fn of_examined<'a>(
    examined: &'a Examined,
    path: &'a str,
    log: &'a AuditLog,
) -> Record<'a> {
    Record {
        plugin_path: Some(path),
        hash_actual: Some(examined.digest.to_string()),
        image: Some(examined.image.strength().name()),
        image_reason: examined.image.why_no_better(),
        result: outcome(examined.listed.policy),
        ..base(&examined.listed, log)
    }
}

/// A record of this launch, for the caller to complete.
fn base<'a>(listed: &'a Listed, log: &'a AuditLog) -> Record<'a> {
    let policy = listed.policy.name();
    Record {
        plugin_name: Some(&listed.name),
        plugin_path: Some(listed.written_path()),
        hash_expected: listed.expected(),
        result: Outcome::Allowed,
        whitelist_digest: listed.whitelist_digest.as_deref(),
        whitelist_settings_digest: listed
            .floor
            .as_ref()
            .and_then(|floor| floor.digest.as_deref()),
        profile: Some(&listed.profile.name),
        arguments: log.arguments(),
        ..Record::new(
            timestamp(),
            Event::PluginValidationSuccess,
            policy,
            log.launch(),
        )
    }
}

fn violated<'a>(mut record: Record<'a>, violation: &Violation, action: &'a str) -> Record<'a> {
    record.event_type = Event::SecurityViolation;
    record.violation_type = Some(violation.code());
    record.severity = Some(violation.severity());
    record.action_taken = Some(action);
    record.reason = Some(violation.reason());
    record
}
