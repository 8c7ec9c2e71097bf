//! The version of a file's format, where there is but one.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::escape::Escaped;

/// `version: 1`. Any other is a mistake at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionOne;

impl<'de> Deserialize<'de> for VersionOne {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = VersionOne;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("version 1")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<VersionOne, E> {
                one(&number.to_string())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<VersionOne, E> {
                one(&number.to_string())
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<VersionOne, E> {
                one(&number.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<VersionOne, E> {
                one(text)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

fn one<E: de::Error>(written: &str) -> Result<VersionOne, E> {
    if written == "1" {
        return Ok(VersionOne);
    }
    let written = Escaped(written);
    Err(E::custom(format!(
        "version '{written}' is not supported; this is 1"
    )))
}
