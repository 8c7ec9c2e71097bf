//! The configuration file of a machine, `/etc/secure-exec/config.yaml`.

use serde::Deserialize;

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
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// Path of the log.
    pub log_file: Option<String>,
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
}
