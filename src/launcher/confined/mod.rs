//! Last stages: the process gives up what the plan says, enters domain and
//! filter, proves that they hold, and becomes the plugin.

pub(crate) mod canary;
mod outcome;
pub(crate) mod report;

use std::convert::Infallible;

use secure_exec_core::escape::Escaped;
use secure_exec_core::filter::Action;
use secure_exec_core::plan::{Limit, Resource, Step};
use secure_exec_core::policy::Policy;
use secure_exec_sys::standard::Stream;
use secure_exec_sys::{capabilities, inherited, limits, process, startup};

use crate::audit::{AuditLog, AuditReceipt};
use crate::authorized;
use crate::failure::Failure;
use crate::listed::Listed;
use crate::mutation::leaves_out;
use crate::namespaces;
use crate::prepared::{self, Prepared};
pub(crate) use outcome::ADMIT_LANDLOCK;
use outcome::Leak;

/// What the steps before the domain really did.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    limits: Vec<(&'static str, u64)>,
    capabilities: Option<capabilities::Reduced>,
    last: Vec<Limit>,
    set_back: Vec<&'static str>,
}

/// A process that is confined and has proof of it.
///
/// Executing needs the receipt of the record that says so:
///
/// ```compile_fail
/// fn unrecorded(confined: secure_exec::confined::Confined) {
///     confined.exec();
/// }
/// ```
#[derive(Debug)]
pub struct Confined {
    prepared: Prepared,
    lines: report::Lines,
    signals_are_proven: bool,
    last: Vec<Limit>,
}

/// Carries out the plan, in its order. From the Landlock step on nothing is
/// allocated, on the way to exec. `record` is what a failure is recorded of.
///
/// # Errors
/// A step failed, or a canary showed that the sandbox leaks.
pub fn confine(prepared: Prepared, record: &Listed, log: &AuditLog) -> Result<Confined, Failure> {
    let failed = |failure| authorized::record_failure(record, failure, log, &|_| {});
    let mut applied = Applied {
        // Of all processes that the launch becomes, where the caller's /proc is.
        set_back: set_back(&prepared).map_err(failed)?,
        ..Applied::default()
    };
    let prepared = namespaces::enter(prepared).map_err(failed)?;
    // Whom the process becomes may not reach the log.
    log.hold()?;
    carry_out(&prepared, &mut applied).map_err(failed)?;
    match prepared.examined.is_unchanged() {
        Ok(true) => {}
        Ok(false) => {
            return Err(failed(Failure::own(
                "root changed the plugin or its interpreter during the launch\nTry again.",
            )));
        }
        Err(error) => return Err(failed(Failure::own(error))),
    }
    let lines = report::Lines::render(&prepared, &applied, log).map_err(Failure::own)?;
    let mut confined = Confined {
        prepared,
        lines,
        signals_are_proven: false,
        last: applied.last,
    };
    match confined.enter() {
        Ok(signals_are_proven) => {
            confined.signals_are_proven = signals_are_proven;
            Ok(confined)
        }
        Err(leak) => {
            // The failure is what counts; the record may fail with it.
            let _unrecorded = log.write_ready(&confined.lines.leaked);
            Err(leak.failure())
        }
    }
}

impl Confined {
    /// Records what was applied.
    ///
    /// # Errors
    /// Under strict, when the log can't be written.
    pub fn record(&self, log: &AuditLog) -> Result<AuditReceipt, Failure> {
        let proven = self.lines.proven.as_ref();
        let proven = proven.filter(|_| self.signals_are_proven);
        let written = log.write_ready(proven.unwrap_or(&self.lines.applied));
        if written.is_err() {
            // One sink may have taken it, and then it did not run.
            let _unrecorded = log.write_ready(&self.lines.failed);
        }
        written
    }

    /// Becomes the plugin.
    ///
    /// # Errors
    /// The bytes were touched since they were hashed, or the kernel refused
    /// the program.
    pub fn exec(self, _recorded: AuditReceipt, log: &AuditLog) -> Result<Infallible, Failure> {
        let failed = |message: String| {
            let _unrecorded = log.write_ready(&self.lines.failed);
            Failure::NotExecuted {
                plugin: self.prepared.examined.listed.name.clone(),
                message,
            }
        };
        match self.prepared.examined.is_intact() {
            Ok(true) => {}
            Ok(false) => {
                return Err(failed(
                    "somebody opened it or its interpreter for writing during the launch\nTry again.".into(),
                ));
            }
            Err(error) => return Err(failed(error.to_string())),
        }
        for limit in &self.last {
            limits::lower(*limit).map_err(|error| failed(error.to_string()))?;
        }
        process::restore_signals();
        let errno = self.prepared.call.execute();
        // One more record, which may fail but must not end the launcher.
        let _kept = process::ignore_signals_of_writes();
        Err(failed(outcome::not_executed(errno)))
    }

    /// Returns whether signals were tried and refused. Allocates nothing.
    fn enter(&self) -> Result<bool, Leak> {
        let canaries = &self.prepared.canaries;
        let mut signals_are_proven = false;
        if let Some(domain) = &self.prepared.domain {
            let may_signal = canaries.may_signal();
            if !leaves_out("landlock") {
                domain.enter().map_err(outcome::no_domain)?;
            }
            canaries.prove_domain()?;
            signals_are_proven = canaries.prove_signals(may_signal)?;
        }
        if let Some((_, filter)) = &self.prepared.filter {
            if !leaves_out("seccomp") {
                filter.install().map_err(outcome::no_filter)?;
            }
            canaries.prove_filter()?;
        }
        Ok(signals_are_proven)
    }
}

/// What the plugin must not get from the caller.
fn set_back(prepared: &Prepared) -> Result<Vec<&'static str>, Failure> {
    let mut steps = prepared.examined.plan.steps().iter();
    if !steps.any(|step| matches!(step, Step::Inherited)) || leaves_out(Step::Inherited.name()) {
        return Ok(Vec::new());
    }
    inherited::reset().map_err(Failure::own)
}

/// All of it but the domain and the filter.
fn carry_out(prepared: &Prepared, applied: &mut Applied) -> Result<(), Failure> {
    for step in prepared.examined.plan.steps() {
        apply(step, prepared, applied)?;
    }
    let mut scripts = prepared.script.iter().chain(&prepared.given);
    scripts.try_for_each(|script| process::keep_across_exec(script).map_err(Failure::own))
}

fn apply(step: &Step, prepared: &Prepared, applied: &mut Applied) -> Result<(), Failure> {
    let failed = |error: secure_exec_sys::Error| Failure::own(error);
    if leaves_out(step.name()) {
        return Ok(());
    }
    match step {
        // Done already; part of the exec call; of the two entries below.
        Step::Inherited
        | Step::Namespaces(_)
        | Step::Environment(_)
        | Step::Landlock(_)
        | Step::Seccomp(_) => {}
        Step::WorkingDirectory(path) => {
            process::change_directory(std::path::Path::new(path)).map_err(|error| {
                let path = Escaped(path);
                Failure::own(format!(
                    "the working directory '{path}' of the profile: {error}"
                ))
            })?;
        }
        Step::NewSession => process::start_session().map_err(failed)?,
        Step::Umask(mask) => process::set_umask(*mask),
        Step::Limits(list) => {
            for limit in list {
                let value = if may_be_last(*limit, prepared) {
                    applied.last.push(*limit);
                    limits::lowered(*limit)
                } else {
                    limits::lower(*limit)
                };
                let value = value.map_err(failed)?;
                applied.limits.push((limit.resource.name(), value));
            }
        }
        Step::User(name) => {
            let account = prepared.account.as_ref().ok_or_else(unprepared)?;
            process::become_user(account).map_err(prepared::not_user(name))?;
        }
        Step::Descriptors => {
            process::close_on_exec_from(3).map_err(failed)?;
            for given in &prepared.examined.streams.passed {
                process::keep_across_exec(&Stream::Passed(given.passed).file()).map_err(failed)?;
            }
            // What the caller closed, its plugin finds closed.
            for stream in startup::closed_streams() {
                process::mark_close_on_exec(stream).map_err(failed)?;
            }
        }
        Step::Capabilities(_) => {
            let keep = prepared.keep.as_ref().ok_or_else(unprepared)?;
            // ping(8) asks for it.
            let pings = prepared.examined.listed.profile.network.icmp;
            let reduced = capabilities::reduce_to(keep, pings).map_err(prepared::not_kept)?;
            applied.capabilities = Some(reduced);
        }
        Step::NoNewPrivileges => process::set_no_new_privileges().map_err(failed)?,
    }
    Ok(())
}

/// A step whose object the stage before should have made.
fn unprepared() -> Failure {
    Failure::own("a step of the sandbox was not prepared; nothing was run")
}

/// Some limits are set right before exec, where the filter lets them be: the
/// audit log, to which a record is still to be written, may be larger than the
/// plugin's files, and the canaries need a descriptor.
fn may_be_last(limit: Limit, prepared: &Prepared) -> bool {
    if !matches!(limit.resource, Resource::FileSize | Resource::OpenFiles) {
        return false;
    }
    let own = [0, limits::number(limit.resource), 0, 0, 0, 0];
    let admits = |filter| canary::verdict(filter, "prlimit64", own) == Action::Allow;
    let filter = prepared.filter.as_ref();
    filter.is_none_or(|(filter, _)| admits(filter))
}

/// Whether a policy applies a sandbox at all.
pub(crate) fn applies_sandbox(policy: Policy) -> bool {
    policy != Policy::AuditOnly
}
