//! The audit record: its fields by the guide's names, in a fixed order, one
//! record a line. Writing it is the launcher's work.
//!
//! Secret values are not fields of a record, so that they can't get into one;
//! the plugin's arguments and environment only where the configuration names
//! them.

pub mod chain;
pub mod files;
pub mod fixed;
pub mod head;
mod journald;
pub mod line;
pub mod logfmt;
pub mod packet;
pub mod state;
mod syslog;
pub mod verify;

use serde::Serialize;
use serde_json::{Map, Value};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The plugin may run.
    PluginValidationSuccess,
    /// Something is wrong with the plugin, its entry or its sandbox.
    SecurityViolation,
    /// The sandbox is in force, as `sandbox` says.
    SandboxApplied,
    /// The sandbox is in force, but weaker than the profile asks.
    SandboxDegraded,
    /// The plugin's program could not be started, or it ended.
    PluginExited,
    /// The log goes on in a new file; the first record there.
    AuditRotated,
    /// Something of the log was lost or cut off, as `audit` says.
    AuditRecovered,
}

impl Event {
    /// All events, as records have them.
    pub const NAMES: [&str; 7] = [
        "plugin_validation_success",
        "security_violation",
        "sandbox_applied",
        "sandbox_degraded",
        "plugin_exited",
        "audit_rotated",
        "audit_recovered",
    ];
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The plugin runs or may run.
    Allowed,
    /// The plugin does not run.
    Blocked,
    /// Recorded only.
    Observed,
}

impl Outcome {
    /// All outcomes, as records have them.
    pub const NAMES: [&str; 3] = ["allowed", "blocked", "observed"];
}

/// One audit record.
#[derive(Clone, Debug, Serialize)]
pub struct Record<'a> {
    /// RFC 3339, UTC, microseconds.
    pub timestamp: String,
    /// What happened.
    pub event_type: Event,
    /// The contract's violation type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violation_type: Option<&'a str>,
    /// Name of the whitelist entry, or what the caller typed; none in records
    /// of the log itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin_name: Option<&'a str>,
    /// Path of the plugin's file as opened, or as the whitelist names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin_path: Option<&'a str>,
    /// Digest of the whitelist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_expected: Option<String>,
    /// Digest of the plugin's bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_actual: Option<String>,
    /// The policy in force.
    pub policy: &'a str,
    /// How it ended.
    pub result: Outcome,
    /// `high`, `medium` or `low`, for violations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<&'a str>,
    /// What was done about a violation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_taken: Option<&'a str>,
    /// One sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The facts of this launch.
    #[serde(flatten)]
    pub launch: &'a Launch,
    /// Digest of the whitelist's bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whitelist_digest: Option<&'a str>,
    /// Digest of the settings of the whitelist's folder, which that file only
    /// tightens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whitelist_settings_digest: Option<&'a str>,
    /// Name of the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<&'a str>,
    /// How the bytes were fixed: `verity`, `guarded`, `leased` or `sealed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<&'a str>,
    /// Why no kind before it was to be had, in the order of
    /// [`ImageChoice::Auto`](crate::whitelist::ImageChoice::Auto).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_reason: Option<String>,
    /// The plugin's arguments, where the configuration wants them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<&'a [String]>,
    /// Variables of its environment that the configuration names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<&'a Map<String, Value>>,
    /// What was really applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Value>,
    /// What happened to the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<Value>,
}

/// Facts that every record of one launch shares.
#[derive(Clone, Debug, Serialize)]
pub struct Launch {
    /// `secure-exec/VERSION`.
    pub user_agent: String,
    /// Where the request came from: always this machine.
    pub source_ip: String,
    /// 128 random bits in hexadecimal digits, the same in all records of one
    /// launch.
    pub launch_id: String,
    /// Process id of the launcher, and so of the plugin, unless that has
    /// namespaces of its own: there it is the one that waits for it.
    pub pid: u32,
    /// Process id of the host.
    pub ppid: u32,
    /// Real user id of the caller.
    pub uid: u32,
    /// Host name.
    pub host: String,
}

impl<'a> Record<'a> {
    /// A record of what happened to the log itself.
    #[must_use]
    pub fn of_log(
        timestamp: String,
        event: Event,
        policy: &'a str,
        launch: &'a Launch,
        audit: Value,
    ) -> Self {
        Self {
            audit: Some(audit),
            ..Self::new(timestamp, event, policy, launch)
        }
    }

    /// A record of an event, with all that every record has.
    #[must_use]
    pub fn new(timestamp: String, event_type: Event, policy: &'a str, launch: &'a Launch) -> Self {
        Self {
            timestamp,
            event_type,
            violation_type: None,
            plugin_name: None,
            plugin_path: None,
            hash_expected: None,
            hash_actual: None,
            policy,
            result: Outcome::Observed,
            severity: None,
            action_taken: None,
            reason: None,
            launch,
            whitelist_digest: None,
            whitelist_settings_digest: None,
            profile: None,
            image: None,
            image_reason: None,
            arguments: None,
            environment: None,
            sandbox: None,
            audit: None,
        }
    }
}

#[cfg(test)]
impl Launch {
    /// One for tests.
    pub(crate) fn sample() -> Self {
        Self {
            user_agent: "secure-exec/0".into(),
            source_ip: "127.0.0.1".into(),
            launch_id: "00".into(),
            pid: 1,
            ppid: 0,
            uid: 0,
            host: "h".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    /// The names of an enumeration's values, as its derived reader lists them.
    fn names<T: for<'de> Deserialize<'de>>() -> Vec<String> {
        let error = T::deserialize(StrDeserializer::<Error>::new("?")).err();
        let message = error.unwrap().to_string();
        let names = message.split('`').skip(3).step_by(2);
        names.map(String::from).collect()
    }

    #[test]
    fn the_lists_of_names_are_whole() {
        assert_eq!(names::<Event>(), Event::NAMES);
        assert_eq!(names::<Outcome>(), Outcome::NAMES);
    }

    #[test]
    fn a_hostile_name_stays_on_its_line() {
        let launch = Launch::sample();
        let record = Record {
            violation_type: Some("plugin_not_whitelisted"),
            plugin_name: Some("a\n{\"event_type\":\"plugin_validation_success\"}\x1b[2J"),
            result: Outcome::Blocked,
            ..Record::new(
                "2026-01-01T00:00:00.000000Z".into(),
                Event::SecurityViolation,
                "strict",
                &launch,
            )
        };
        for format in [chain::Format::Json, chain::Format::Logfmt] {
            let mut line = line::Line::new(&record, format).unwrap();
            line.seal(chain::Link::START);
            let bytes = line.sealed();
            let text = std::str::from_utf8(bytes).unwrap();
            assert_eq!(text.matches('\n').count(), 1);
            assert!(!text.contains('\x1b'));
            let fields = line::fields(bytes).unwrap();
            assert_eq!(fields["result"], "blocked");
            assert_eq!(fields["launch_id"], "00");
            assert_eq!(fields["plugin_name"], record.plugin_name.unwrap());
        }
    }
}
