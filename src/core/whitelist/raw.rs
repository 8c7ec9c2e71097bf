//! The whitelist as it is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_yaml::Spanned;

use super::{ImageChoice, Strength};
use crate::digest::Algorithm;
use crate::policy::Policy;
use crate::profile::RawProfile;
use crate::size::Bytes;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWhitelist {
    pub(super) version: Spanned<Scalar>,
    #[serde(rename = "created_at")]
    pub(super) _created_at: Option<Scalar>,
    #[serde(rename = "updated_at")]
    pub(super) _updated_at: Option<Scalar>,
    #[serde(default)]
    pub(super) settings: RawSettings,
    #[serde(default)]
    pub(super) plugins: Option<Vec<RawEntry>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSettings {
    pub(super) hash_algorithm: Algorithm,
    pub(super) enforce_signatures: bool,
    pub(super) allow_dev_plugins: bool,
    pub(super) policy: Option<Policy>,
    pub(super) image_minimum: Option<Strength>,
    pub(super) plugin_root: Option<String>,
    pub(super) max_file_size: Option<Bytes>,
    pub(super) forbidden_paths: Vec<Spanned<String>>,
    pub(super) trusted_keys: Vec<String>,
    #[serde(rename = "trusted_certs", deserialize_with = "without_effect")]
    pub(super) _trusted_certs: (),
    pub(super) expires_at: Option<Spanned<String>>,
    pub(super) serial: Option<u64>,
    pub(super) allow_unconfined: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEntry {
    pub(super) name: Spanned<String>,
    pub(super) path: String,
    pub(super) hash: Option<Spanned<String>>,
    pub(super) algorithm: Option<Algorithm>,
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, Scalar>,
    pub(super) profile: Option<RawProfileRef>,
    #[serde(default)]
    pub(super) args: Vec<String>,
    pub(super) argv0: Option<Spanned<String>>,
    pub(super) signature: Option<String>,
    pub(super) interpreter: Option<RawPin>,
    #[serde(default)]
    pub(super) libraries: Vec<RawPin>,
    pub(super) lock: Option<Spanned<String>>,
    pub(super) script: Option<RawPin>,
    #[serde(default)]
    pub(super) image: ImageChoice,
    pub(super) max_file_size: Option<Bytes>,
    #[serde(
        default,
        rename = "allowed_endpoints",
        deserialize_with = "without_effect"
    )]
    pub(super) _allowed_endpoints: (),
    #[serde(default, rename = "endpoint", deserialize_with = "without_effect")]
    pub(super) _endpoint: (),
    #[serde(default, rename = "type", deserialize_with = "without_effect")]
    pub(super) _kind: (),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPin {
    pub(super) path: Spanned<String>,
    pub(super) hash: Option<Spanned<String>>,
}

/// A key of the format that does nothing yet: whoever writes it counts on it.
fn without_effect<'de, D: Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    Err(serde::de::Error::custom(
        "this version does nothing about this key; leave it out until one does",
    ))
}

const fn yes() -> bool {
    true
}

/// A name, or a profile in place.
pub(super) enum RawProfileRef {
    Named(String),
    Inline(Box<RawProfile>),
}

impl<'de> Deserialize<'de> for RawProfileRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = RawProfileRef;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a profile or a profile")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<RawProfileRef, E> {
                Ok(RawProfileRef::Named(name.to_string()))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<RawProfileRef, A::Error> {
                let deserializer = serde::de::value::MapAccessDeserializer::new(map);
                RawProfile::deserialize(deserializer)
                    .map(|raw| RawProfileRef::Inline(Box::new(raw)))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A scalar of any kind, kept as text.
#[derive(Clone, Debug)]
pub(super) struct Scalar(pub(super) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Scalar;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text, a number or a boolean")
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(format!("{value:?}")))
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar(String::new()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
