//! What a record holds only where the configuration names it, since it may be
//! secret.

use std::ffi::OsString;

use secure_exec_core::config::VariableName;
use secure_exec_core::escape::Escaped;
use serde_json::{Map, Value};

use crate::examined::Examined;

/// These variables of the plugin's environment, but for secrets of its
/// profile; `None` where none are named.
pub(super) fn variables(names: &[VariableName], examined: &Examined) -> Option<Map<String, Value>> {
    let secrets = &examined.listed.profile.environment.secrets;
    let mut named = Map::new();
    for (name, value) in examined.environment.iter() {
        let is_named = names.iter().any(|known| known.as_str() == name);
        if is_named && !secrets.contains_key(name) {
            let value = Escaped(&String::from_utf8_lossy(value)).to_string();
            named.insert(name.to_string(), value.into());
        }
    }
    (!names.is_empty()).then_some(named)
}

/// So many arguments are recorded, each up to [`Escaped::LIMIT`].
const ARGUMENTS: usize = 64;

pub(super) fn arguments(arguments: &[OsString]) -> Vec<String> {
    let texts = arguments.iter().map(|text| text.to_string_lossy());
    let mut kept: Vec<String> = texts
        .take(ARGUMENTS)
        .map(|text| Escaped(&text).to_string())
        .collect();
    if let Some(more) = arguments
        .len()
        .checked_sub(ARGUMENTS)
        .filter(|more| *more > 0)
    {
        kept.push(format!("… ({more} more)"));
    }
    kept
}
