//! A record as it is read from a log: the fields that are shown and counted.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use secure_exec_core::audit::chain::Format;
use secure_exec_core::audit::line;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A record. What a later version adds is passed over.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    #[serde(rename = "timestamp", deserialize_with = "time")]
    pub(crate) time: Timestamp,
    pub(crate) event_type: String,
    pub(crate) violation_type: Option<String>,
    pub(crate) plugin_name: Option<String>,
    pub(crate) result: Option<String>,
    pub(crate) severity: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) launch_id: Option<String>,
    whitelist_digest: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) image: Option<String>,
    pub(crate) sandbox: Option<Sandbox>,
    pub(crate) audit: Option<OfTheLog>,
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text: Cow<'_, str> = Deserialize::deserialize(from)?;
    text.parse().map_err(D::Error::custom)
}

/// What was really applied.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Sandbox {
    pub(crate) enforcement: String,
    pub(crate) why: Option<String>,
    #[serde(default)]
    missing: Value,
    landlock: Option<Landlock>,
    #[serde(default)]
    pub(crate) controls: BTreeMap<String, Control>,
}

#[derive(Clone, Debug, Deserialize)]
struct Landlock {
    abi: u64,
}

/// One control, as the launcher's receipt has it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Control {
    /// The profile asks for it.
    pub(crate) required: bool,
    /// It is in force.
    pub(crate) achieved: bool,
    /// An attempt showed that.
    pub(crate) proven: bool,
}

/// What happened to the log itself.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct OfTheLog {
    pub(crate) cause: Option<String>,
    file: Option<String>,
    cut_bytes: Option<u64>,
}

impl Entry {
    /// Reads a line in either format; `None` where it is no record.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        match Format::of(line) {
            Format::Json => serde_json::from_slice(line).ok(),
            Format::Logfmt => {
                let fields = line::fields(line)?;
                serde_json::from_value(Value::Object(fields)).ok()
            }
        }
    }

    /// Whether the plugin did not run, or would not have.
    pub(crate) fn is_blocked(&self) -> bool {
        self.result.as_deref() == Some("blocked")
    }

    /// Whether its plugin is one of a whitelist's. Any other is named by what
    /// the caller typed: a path if it ran, and anything where no whitelist
    /// could be read.
    pub(crate) fn is_listed(&self) -> bool {
        let name = self.plugin_name.as_deref().unwrap_or_default();
        let has_no_whitelist =
            self.event_type == "plugin_exited" && self.whitelist_digest.is_none();
        let is_unknown = self.violation_type.as_deref() == Some("plugin_not_whitelisted");
        !name.contains('/') && !is_unknown && !has_no_whitelist
    }

    /// Why, or what there is to say.
    pub(crate) fn reason(&self) -> Cow<'_, str> {
        if let Some(reason) = &self.reason {
            return Cow::Borrowed(reason);
        }
        let said = match (&self.sandbox, &self.audit) {
            (Some(sandbox), _) => sandbox.summary(),
            (None, Some(audit)) => audit.summary(),
            (None, None) => String::new(),
        };
        Cow::Owned(said)
    }
}

impl Sandbox {
    /// Landlock's ABI, where Landlock was used.
    pub(crate) fn abi(&self) -> Option<u64> {
        self.landlock.as_ref().map(|landlock| landlock.abi)
    }

    /// What the profile asks for and nobody gave, as sentences. In a line of
    /// pairs a list is text.
    pub(crate) fn missing(&self) -> Vec<String> {
        match &self.missing {
            Value::Array(list) => list
                .iter()
                .filter_map(Value::as_str)
                .map(String::from)
                .collect(),
            Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    fn summary(&self) -> String {
        let mut said = format!("enforcement {}", self.enforcement);
        if let Some(abi) = self.abi() {
            said += &format!(", Landlock ABI {abi}");
        }
        let missing = self.missing();
        if !missing.is_empty() {
            said += &format!("; missing: {}", missing.join("; "));
        }
        if let Some(why) = &self.why {
            said += &format!("; {why}");
        }
        said
    }
}

impl OfTheLog {
    fn summary(&self) -> String {
        let parts = [
            self.cause.clone(),
            self.file
                .as_ref()
                .map(|file| format!("before it is '{file}'")),
            self.cut_bytes
                .filter(|bytes| *bytes > 0)
                .map(|bytes| format!("{bytes} bytes cut off")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"timestamp":"2026-11-24T01:02:03.000004Z","event_type":"sandbox_degraded","plugin_name":"p","policy":"permissive","result":"allowed","launch_id":"00","sandbox":{"enforcement":"partial","missing":["a (needs b)"],"landlock":{"abi":2,"rules":1},"controls":{"files":{"required":true,"achieved":true,"proven":false}},"more":1}}"#;

    #[test]
    fn both_formats_say_the_same() {
        let fields = line::fields(JSON.as_bytes()).unwrap();
        let logfmt = secure_exec_core::audit::logfmt::from_fields(&fields);
        for text in [JSON, &logfmt] {
            let entry = Entry::parse(text.as_bytes()).unwrap();
            assert_eq!(
                entry.reason(),
                "enforcement partial, Landlock ABI 2; missing: a (needs b)",
                "{text}"
            );
            let sandbox = entry.sandbox.unwrap();
            assert_eq!(sandbox.missing(), ["a (needs b)"]);
            assert!(sandbox.controls["files"].achieved);
            assert!(!sandbox.controls["files"].proven);
        }
    }

    #[test]
    fn what_is_no_record_is_none() {
        for line in [
            "",
            "{}",
            "words",
            "{\"timestamp\":\"x\",\"event_type\":\"y\"}",
            &JSON[..JSON.len() - 1],
            &format!("{JSON}{JSON}"),
        ] {
            assert!(Entry::parse(line.as_bytes()).is_none(), "{line}");
        }
    }
}
