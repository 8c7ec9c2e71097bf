//! The configuration file of a machine, `/etc/secure-exec/config.yaml`.

use serde::Deserialize;

use crate::audit::chain::Format;
use crate::escape::Escaped;
use crate::located::{LocatedError, parse_yaml};
use crate::policy::Policy;
use crate::version::VersionOne;

/// The configuration; every key may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Version of the format.
    pub version: Option<VersionOne>,
    /// Whitelist file or folder.
    pub whitelist: Option<String>,
    /// Policy.
    pub policy: Option<Policy>,
    /// Profile of plugins whose entry names none.
    pub profile: Option<String>,
    /// Folder of profiles.
    pub profile_dir: Option<String>,
    /// Where relative plugin paths begin.
    pub plugin_root: Option<String>,
    /// The audit log.
    pub audit: AuditConfig,
}

/// The audit log's part of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// Path of the log.
    pub log_file: Option<String>,
    /// How its lines are written.
    pub log_format: Format,
    /// The log is rotated before it is larger than so many megabytes
    /// (1,000,000 bytes each); 0: never for its size.
    pub max_size: u64,
    /// So many rotated files are kept; 0: all.
    pub max_backups: u64,
    /// Days after which the log is rotated and a rotated file removed; 0:
    /// never for its age.
    pub max_age: u64,
    /// Rotated files are compressed (gzip).
    pub compress: bool,
    /// When a record is to be on the disk before the launch goes on.
    pub sync: Sync,
    /// Key and interval of signed heads.
    pub sign: Option<SignConfig>,
    /// Where records go; the file alone if nothing is said.
    pub sinks: Vec<SinkConfig>,
    /// What is recorded beside the usual.
    pub include: Include,
    /// What Landlock refuses a plugin goes to the kernel's own audit as well
    /// (Linux 6.15). A plugin can fill that as fast as it likes.
    pub kernel_denials: bool,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            log_file: None,
            log_format: Format::default(),
            max_size: 100,
            max_backups: 10,
            max_age: 90,
            compress: false,
            sync: Sync::default(),
            sign: None,
            sinks: Vec::new(),
            include: Include::default(),
            kernel_denials: false,
        }
    }
}

impl AuditConfig {
    /// The keys that are only about the log's file, where records go elsewhere
    /// alone.
    #[must_use]
    pub fn without_effect(&self) -> Vec<&'static str> {
        let Self {
            log_file: _,
            log_format: _,
            max_size,
            max_backups,
            max_age,
            compress,
            sync,
            sign,
            sinks,
            include: _,
            kernel_denials: _,
        } = self;
        if sinks.is_empty() || sinks.iter().any(|sink| sink.kind == SinkKind::File) {
            return Vec::new();
        }
        let usual = Self::default();
        let given = [
            ("max_size", *max_size != usual.max_size),
            ("max_backups", *max_backups != usual.max_backups),
            ("max_age", *max_age != usual.max_age),
            ("compress", *compress),
            ("sync", *sync != usual.sync),
            ("sign", sign.is_some()),
        ];
        let given = given.into_iter().filter(|(_, is_given)| *is_given);
        given.map(|(key, _)| key).collect()
    }
}

/// When a record is brought to the disk (man 2 fdatasync).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// The record of a decision, before what it decided is done.
    Decision,
    /// Every record.
    Always,
    /// When the kernel does. A record outlives the death of every process,
    /// but not that of the machine.
    #[default]
    Never,
}

/// Signing of the log's head.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawSign")]
pub struct SignConfig {
    /// Where the private key is.
    pub key: KeyPlace,
    /// Seconds between two heads at least; 0: one for every record.
    pub interval: u64,
}

/// Where a private key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In this file.
    File(String),
    /// In the credential of this name, in `$CREDENTIALS_DIRECTORY`
    /// (systemd.exec(5)).
    Credential(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSign {
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    credential: Option<String>,
    #[serde(default = "RawSign::usual_interval")]
    interval: u64,
}

impl RawSign {
    const fn usual_interval() -> u64 {
        60
    }
}

impl TryFrom<RawSign> for SignConfig {
    type Error = &'static str;

    fn try_from(raw: RawSign) -> Result<Self, Self::Error> {
        let key = match (raw.key, raw.credential) {
            (Some(file), None) if !file.is_empty() && !file.contains('\0') => KeyPlace::File(file),
            (Some(_), None) => return Err("'key' must be the path of a file"),
            (None, Some(name)) if is_file_name(&name) => KeyPlace::Credential(name),
            (None, Some(_)) => return Err("'credential' must be the name of one, without a slash"),
            _ => return Err("'sign' needs either 'key: FILE' or 'credential: NAME'"),
        };
        Ok(Self {
            key,
            interval: raw.interval,
        })
    }
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

/// A place that records go to.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "RawSink")]
pub struct SinkConfig {
    /// Which.
    pub kind: SinkKind,
    /// What to do when it can't be written. The file refuses under strict
    /// and warns otherwise, the others warn.
    pub on_failure: Option<OnFailure>,
    /// How its records are written, if not as `log_format` says; the file's
    /// never differ from that.
    pub format: Option<Format>,
    /// Absolute path of the socket of journald or syslog, if not the usual
    /// one.
    pub socket: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSink {
    #[serde(rename = "type")]
    kind: SinkKind,
    #[serde(default)]
    on_failure: Option<OnFailure>,
    #[serde(default)]
    format: Option<Format>,
    #[serde(default)]
    socket: Option<String>,
}

/// Longest path of a socket in bytes (man 7 unix).
const LONGEST_SOCKET: usize = 107;

impl TryFrom<RawSink> for SinkConfig {
    type Error = String;

    fn try_from(raw: RawSink) -> Result<Self, String> {
        let has_socket = matches!(raw.kind, SinkKind::Journald | SinkKind::Syslog);
        if raw.socket.is_some() && !has_socket {
            return Err("'socket' is for the sinks 'journald' and 'syslog'".into());
        }
        if let Some(socket) = &raw.socket {
            // A relative one would be the caller's choice.
            if !socket.starts_with('/') || socket.contains('\0') || socket.len() > LONGEST_SOCKET {
                return Err(format!(
                    "'socket' must be an absolute path of at most {LONGEST_SOCKET} bytes"
                ));
            }
        }
        if raw.kind == SinkKind::Stderr && raw.on_failure == Some(OnFailure::Refuse) {
            return Err("'on_failure: refuse' is not for the sink 'stderr': \
                 plugins have it too, and can take what was written out of a pipe again; \
                 use 'file', 'journald' or 'syslog' for records that have to arrive"
                .into());
        }
        if raw.format.is_some() && raw.kind == SinkKind::File {
            return Err("the format of the file is 'log_format', one level above".into());
        }
        Ok(Self {
            kind: raw.kind,
            on_failure: raw.on_failure,
            format: raw.format,
            socket: raw.socket,
        })
    }
}

impl SinkConfig {
    /// The log file, as it is where no sinks are listed.
    pub const FILE: Self = Self {
        kind: SinkKind::File,
        on_failure: None,
        format: None,
        socket: None,
    };
}

/// Kinds of sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkKind {
    /// The log file. The only one with a chain of its own.
    File,
    /// Standard error.
    Stderr,
    /// systemd's journal, with fields.
    Journald,
    /// Syslog (RFC 5424).
    Syslog,
}

/// What a sink's failure leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The launch is refused.
    Refuse,
    /// A warning on standard error.
    Warn,
    /// Nothing.
    Ignore,
}

/// What a record may hold beside the usual, since it may be secret.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Include {
    /// The plugin's arguments.
    pub arguments: bool,
    /// Variables of the plugin's environment, by name.
    pub environment: Vec<VariableName>,
}

/// Name of a variable, as profiles name theirs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct VariableName(String);

impl VariableName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for VariableName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(good) {
            let name = Escaped(&name);
            return Err(format!("'{name}' is no name of an environment variable"));
        }
        Ok(Self(name))
    }
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, LocatedError> {
        parse_yaml(bytes, file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_policies_are_errors() {
        for text in [
            "polcy: strict\n",
            "policy: lenient\n",
            "version: 2\n",
            "audit: { file: x }\n",
        ] {
            assert!(Config::parse(text.as_bytes(), "c").is_err(), "{text}");
        }
        let config = Config::parse(b"policy: audit-only\naudit: { log_file: /l }\n", "c").unwrap();
        assert_eq!(config.policy, Some(Policy::AuditOnly));
    }

    #[test]
    fn a_key_is_in_one_place_and_a_variable_has_a_name() {
        let parse = |audit: &str| {
            let text = format!("audit:\n  {audit}\n");
            Config::parse(text.as_bytes(), "c")
        };
        for (audit, what) in [
            ("sign: {}", "either"),
            ("sign: { interval: 1 }", "either"),
            ("sign: { key: a, credential: b }", "either"),
            ("sign: { key: \"\" }", "path of a file"),
            ("sign: { key: \"a\\0b\" }", "path of a file"),
            ("sign: { credential: \"\" }", "without a slash"),
            ("sign: { credential: a/b }", "without a slash"),
            ("sign: { credential: .. }", "without a slash"),
            ("sign: { key: a, keys: b }", "unknown field"),
            ("include: { environment: [\"\"] }", "no name"),
            ("include: { environment: [A=B] }", "no name"),
            ("include: { environment: [\"A B\"] }", "no name"),
        ] {
            let error = parse(audit).unwrap_err();
            assert_eq!(error.line, 2, "{error}");
            assert!(error.message.contains(what), "{audit}: {error}");
        }
        let audit = parse("sign: { credential: k, interval: 0 }").unwrap().audit;
        let sign = audit.sign.unwrap();
        assert_eq!(sign.key, KeyPlace::Credential("k".into()));
        assert_eq!(sign.interval, 0);
        let sign = parse("sign: { key: k }").unwrap().audit.sign.unwrap();
        assert_eq!(sign.key, KeyPlace::File("k".into()));
        assert_eq!(sign.interval, 60);
    }

    #[test]
    fn a_sink_says_nothing_that_is_not_its_own() {
        let parse = |sink: &str| {
            let text = format!("audit:\n  sinks:\n    - {sink}\n");
            Config::parse(text.as_bytes(), "c")
        };
        for (sink, what) in [
            ("{ type: stderr, socket: /s }", "for the sinks"),
            ("{ type: journald, socket: s }", "absolute"),
            ("{ type: syslog, socket: \"/a\\0b\" }", "absolute"),
            ("{ type: file, format: json }", "log_format"),
            ("{ type: mail }", "unknown variant"),
            ("{ socket: /s }", "missing"),
            ("{ type: stderr, on_failure: panic }", "unknown variant"),
            ("{ type: stderr, on_failure: refuse }", "plugins have it"),
        ] {
            let error = parse(sink).unwrap_err();
            assert_eq!(error.line, 3, "{error}");
            assert!(error.message.contains(what), "{error}");
        }
        let long = format!("{{ type: syslog, socket: /{} }}", "s".repeat(107));
        assert!(parse(&long).is_err());
        let config = parse("{ type: syslog, format: logfmt, socket: /s, on_failure: ignore }");
        let sink = config.unwrap().audit.sinks.remove(0);
        assert_eq!(
            (sink.kind, sink.format),
            (SinkKind::Syslog, Some(Format::Logfmt))
        );
    }
}
