//! A profile as it is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};

use super::{IsolationChoice, OnViolation, Ports, Signals};
use crate::located::{LocatedError, parse_yaml};
use crate::size::Bytes;
use crate::version::VersionOne;

/// A profile as it is written: every key may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawProfile {
    #[serde(rename = "version")]
    pub(super) _version: Option<VersionOne>,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) extends: Option<Extends>,
    pub(super) filesystem: RawFilesystem,
    pub(super) network: RawNetwork,
    pub(super) processes: RawProcesses,
    pub(super) syscalls: RawSyscalls,
    pub(super) memory: RawMemory,
    pub(super) limits: RawLimits,
    pub(super) environment: RawEnvironment,
    pub(super) capabilities: RawCapabilities,
    pub(super) descriptors: RawDescriptors,
    pub(super) terminal: Option<bool>,
    #[serde(deserialize_with = "given")]
    pub(super) user: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    pub(super) working_directory: Option<Option<String>>,
    pub(super) umask: Option<Umask>,
    pub(super) isolation: Option<IsolationChoice>,
}

impl RawProfile {
    /// Reads a profile's file.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, LocatedError> {
        parse_yaml(bytes, file)
    }

    /// The paths that the profile itself lets a plugin read, as they are written
    /// but for the mark of what may be missing.
    pub fn reads(&self) -> impl Iterator<Item = &str> {
        let files = &self.filesystem;
        let paths = files.code.iter().chain(&files.read).chain(&files.write);
        paths.map(|path| path.strip_prefix('-').unwrap_or(path))
    }

    /// The profile's own name, where it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawFilesystem {
    pub(super) code: Vec<String>,
    pub(super) read: Vec<String>,
    pub(super) apart: Vec<String>,
    pub(super) write: Vec<String>,
    pub(super) execute: Vec<String>,
    pub(super) metadata: Option<bool>,
    pub(super) devices: Vec<String>,
    pub(super) private_tmp: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawNetwork {
    pub(super) tcp: RawTcp,
    pub(super) udp: Option<bool>,
    pub(super) icmp: Option<bool>,
    pub(super) unix: RawUnix,
    pub(super) netlink: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTcp {
    pub(super) connect: RawPorts,
    pub(super) bind: RawPorts,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUnix {
    pub(super) connect: Vec<String>,
    pub(super) bind: Vec<String>,
    #[serde(rename = "abstract")]
    pub(super) abstract_: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawProcesses {
    pub(super) fork: Option<bool>,
    pub(super) signals: Option<Signals>,
    pub(super) new_session: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSyscalls {
    pub(super) allow: Vec<String>,
    pub(super) deny: Vec<String>,
    pub(super) on_violation: Option<OnViolation>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawMemory {
    pub(super) write_execute: Option<bool>,
    pub(super) shared_execute: Option<bool>,
}

/// `null` is unlimited, a missing key is the base's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    #[serde(deserialize_with = "given")]
    pub(super) memory: Option<Option<Bytes>>,
    #[serde(deserialize_with = "given")]
    pub(super) processes: Option<Option<u64>>,
    #[serde(deserialize_with = "given")]
    pub(super) open_files: Option<Option<u64>>,
    #[serde(deserialize_with = "given")]
    pub(super) file_size: Option<Option<Bytes>>,
    #[serde(deserialize_with = "given")]
    pub(super) cpu_seconds: Option<Option<u64>>,
    #[serde(deserialize_with = "given")]
    pub(super) core: Option<Option<Bytes>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawEnvironment {
    pub(super) pass: Vec<String>,
    pub(super) set: BTreeMap<String, String>,
    pub(super) secrets: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCapabilities {
    pub(super) keep: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDescriptors {
    pub(super) pass: Vec<u32>,
    pub(super) listen_fds: Option<bool>,
}

/// Tells a key that is `null` from one that is missing.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A profile's name, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extends(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Extends {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Extends;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a profile's name, or a list of names")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Extends, E> {
                Ok(Extends(vec![name.to_string()]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Extends, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(Extends(names))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Ports, or `"*"` for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RawPorts(pub(super) Ports);

impl<'de> Deserialize<'de> for RawPorts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = RawPorts;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of ports, or \"*\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawPorts, E> {
                if text == "*" {
                    Ok(RawPorts(Ports::Any))
                } else {
                    Err(E::custom("write a list of ports, or \"*\" for every port"))
                }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<RawPorts, A::Error> {
                let mut ports = Vec::new();
                while let Some(port) = list.next_element::<u16>()? {
                    if port == 0 {
                        return Err(de::Error::custom("port 0 means any port; write \"*\""));
                    }
                    ports.push(port);
                }
                Ok(RawPorts(Ports::List(ports)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// An octal number in quotes: a bare one would be read as decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Umask(pub(super) u32);

impl<'de> Deserialize<'de> for Umask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u32::from_str_radix(&text, 8)
            .ok()
            .filter(|mask| *mask <= 0o777 && text.len() <= 4)
            .map(Umask)
            .ok_or_else(|| de::Error::custom("a umask is an octal number such as \"077\""))
    }
}
