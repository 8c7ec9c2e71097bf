//! The environment that a plugin gets, from the profile and what was
//! inherited.

use std::collections::BTreeMap;

use crate::profile::{self, passes};

/// The plugin's environment: names with their values, sorted by name.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, Vec<u8>>);

// Values may be secrets.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// Picks from `inherited` what the profile passes, then sets what the
    /// profile sets. A pattern never passes a variable that changes how a
    /// program is loaded or interpreted; only its full name does, and
    /// nothing passes the dynamic loader's own.
    pub fn compose(
        wanted: &profile::Environment,
        inherited: impl Iterator<Item = (String, Vec<u8>)>,
    ) -> Self {
        let passes = |name: &str| wanted.pass.iter().any(|pattern| passes(pattern, name));
        let mut variables: BTreeMap<String, Vec<u8>> =
            inherited.filter(|(name, _)| passes(name)).collect();
        for (name, value) in &wanted.set {
            variables.insert(name.clone(), value.clone().into_bytes());
        }
        Self(variables)
    }

    /// Everything that was inherited, for a launch without a sandbox.
    pub fn inherit(inherited: impl Iterator<Item = (String, Vec<u8>)>) -> Self {
        Self(inherited.collect())
    }

    /// Adds a variable.
    pub fn insert(&mut self, name: String, value: Vec<u8>) {
        self.0.insert(name, value);
    }

    /// The names. Values are not for showing.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compose(pass: &[&str], inherited: &[(&str, &str)]) -> Vec<String> {
        let wanted = profile::Environment {
            pass: pass.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        let inherited = inherited
            .iter()
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        Environment::compose(&wanted, inherited)
            .names()
            .map(String::from)
            .collect()
    }

    #[test]
    fn a_glob_passes_no_loader_variable() {
        let dirty = [
            ("LD_PRELOAD", "x"),
            ("BASH_ENV", "x"),
            ("NODE_OPTIONS", "x"),
            ("APP_A", "1"),
        ];
        assert_eq!(compose(&["*", "APP_*"], &dirty), ["APP_A"]);
    }

    #[test]
    fn an_interpreter_variable_passes_by_its_full_name_only() {
        assert_eq!(
            compose(&["PYTHONPATH"], &[("PYTHONPATH", "/x")]),
            ["PYTHONPATH"]
        );
        assert!(compose(&["PYTHON*"], &[("PYTHONPATH", "/x")]).is_empty());
    }

    #[test]
    fn the_dynamic_loader_takes_nothing_from_outside() {
        assert!(compose(&["LD_PRELOAD", "LD_*"], &[("LD_PRELOAD", "x")]).is_empty());
    }
}
