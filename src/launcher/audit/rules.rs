//! What the failure of a sink leads to. Under strict nothing runs unrecorded:
//! at least one sink refuses.

use secure_exec_core::config::{AuditConfig, OnFailure, SinkKind};
use secure_exec_core::policy::Policy;

use crate::failure::Failure;

/// The rule of the log's file; `None` where records go elsewhere alone.
pub(super) fn of_file(config: &AuditConfig, policy: Policy) -> Result<Option<OnFailure>, Failure> {
    let usual = match policy {
        Policy::Strict => OnFailure::Refuse,
        Policy::Permissive | Policy::AuditOnly => OnFailure::Warn,
    };
    let mut files = config
        .sinks
        .iter()
        .filter(|sink| sink.kind == SinkKind::File);
    let first = files.next();
    if files.next().is_some() {
        return Err(Failure::own(
            "'audit.sinks' of the configuration has two files\n\
             There is one log file: name it in 'audit.log_file', and leave one of them out.",
        ));
    }
    let file = match first {
        None if config.sinks.is_empty() => Some(usual),
        first => first.map(|sink| sink.on_failure.unwrap_or(usual)),
    };
    let mut rules = config.sinks.iter().filter_map(|sink| sink.on_failure);
    let refuses = file == Some(OnFailure::Refuse) || rules.any(|rule| rule == OnFailure::Refuse);
    if policy == Policy::Strict && !refuses {
        return Err(Failure::own(
            "no sink of 'audit.sinks' refuses a launch that it can't record, and under strict nothing runs unrecorded\n\
             Give one of them 'on_failure: refuse'.",
        ));
    }
    Ok(file)
}
