//! The profiles that the program carries with it.

use super::RawProfile;

/// A profile: its name, its YAML as it is shipped, and the same as JSON.
struct Builtin {
    name: &'static str,
    yaml: &'static str,
    json: &'static str,
}

macro_rules! builtin {
    ($($name:literal),* $(,)?) => {
        &[$(Builtin {
            name: $name,
            yaml: include_str!(concat!("../../../profiles/", $name, ".yaml")),
            json: include_str!(concat!(env!("OUT_DIR"), "/", $name, ".json")),
        }),*]
    };
}

const BUILTIN: &[Builtin] = builtin![
    "apt-method",
    "cni",
    "cups-filter",
    "default",
    "git-helper",
    "go-plugin",
    "jvm",
    "mcp-stdio",
    "monitoring",
    "munin",
    "network-client",
    "network-service",
    "node",
    "python",
    "unconfined",
];

/// The YAML text of a profile.
#[must_use]
pub fn source(name: &str) -> Option<&'static str> {
    find(name).map(|builtin| builtin.yaml)
}

/// A profile as it is written.
///
/// # Errors
/// The program was built with a profile that is none.
pub fn raw(name: &str) -> Option<Result<RawProfile, serde_json::Error>> {
    find(name).map(|builtin| serde_json::from_str(builtin.json))
}

/// The names, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|builtin| builtin.name)
}

fn find(name: &str) -> Option<&'static Builtin> {
    BUILTIN.iter().find(|builtin| builtin.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_profile_say_the_same() {
        for builtin in BUILTIN {
            let yaml = RawProfile::parse(builtin.yaml.as_bytes(), builtin.name).unwrap();
            let json = raw(builtin.name).unwrap().unwrap();
            assert_eq!(format!("{yaml:?}"), format!("{json:?}"));
            assert_eq!(json.name(), Some(builtin.name));
        }
    }

    #[test]
    fn every_shipped_profile_is_built_in() {
        let shipped = std::fs::read_dir("../../profiles").unwrap().count();
        assert_eq!(BUILTIN.len(), shipped);
    }
}
