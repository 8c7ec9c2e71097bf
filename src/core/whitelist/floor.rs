//! A whitelist folder's settings are the floor of each file in it: what
//! "tighter" means of every setting stands here and nowhere else.

use super::Settings;

/// A file's settings within a floor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    /// What both demand together.
    pub settings: Settings,
    /// The keys of the file that would loosen the floor, and don't.
    pub overruled: Vec<&'static str>,
}

impl Settings {
    /// These settings of a file in a folder whose own settings are `floor`.
    /// Neither is ever looser for the other.
    #[must_use]
    pub fn within(self, floor: Self) -> Within {
        let mut overruled = Vec::new();
        // Both without `..`: who adds a setting has to say here what it means
        // to tighten it.
        let Self {
            hash_algorithm: _,
            enforce_signatures: floor_enforces,
            allow_dev_plugins: floor_allows_dev,
            policy: floor_policy,
            image_minimum: floor_image,
            plugin_root: floor_root,
            max_file_size: floor_size,
            forbidden_paths: floor_forbids,
            trusted_keys: floor_keys,
            expires_at: floor_end,
            serial: _,
            allow_unconfined: floor_allows_unconfined,
        } = floor;
        let Self {
            hash_algorithm,
            enforce_signatures,
            allow_dev_plugins,
            policy,
            image_minimum,
            plugin_root,
            max_file_size,
            mut forbidden_paths,
            trusted_keys,
            expires_at,
            serial,
            allow_unconfined,
        } = self;
        let mut note = |key, is_looser: bool| {
            if is_looser {
                overruled.push(key);
            }
        };
        note("policy", policy.is_some() && policy < floor_policy);
        note(
            "image_minimum",
            image_minimum.is_some() && image_minimum < floor_image,
        );
        note(
            "max_file_size",
            is_beyond(max_file_size.as_ref(), floor_size.as_ref()),
        );
        note(
            "expires_at",
            is_beyond(expires_at.as_ref(), floor_end.as_ref()),
        );
        note("allow_dev_plugins", allow_dev_plugins && !floor_allows_dev);
        note(
            "allow_unconfined",
            allow_unconfined && !floor_allows_unconfined,
        );
        // Where relative paths begin is neither tight nor loose: one place.
        note(
            "plugin_root",
            floor_root.is_some() && plugin_root.is_some() && plugin_root != floor_root,
        );
        // A floor that demands signatures says whose, also where it names
        // nobody.
        let trusted_keys = if !floor_enforces && floor_keys.is_empty() {
            trusted_keys
        } else if trusted_keys.is_empty() {
            floor_keys
        } else {
            let is_known = |key: &String| floor_keys.contains(key);
            note("trusted_keys", !trusted_keys.iter().all(is_known));
            trusted_keys.into_iter().filter(is_known).collect()
        };
        for path in floor_forbids {
            if !forbidden_paths.contains(&path) {
                forbidden_paths.push(path);
            }
        }
        let settings = Self {
            // It reads the digests of its own file.
            hash_algorithm,
            enforce_signatures: enforce_signatures || floor_enforces,
            allow_dev_plugins: allow_dev_plugins && floor_allows_dev,
            // What is not said is weaker than all that can be.
            policy: policy.max(floor_policy),
            image_minimum: image_minimum.max(floor_image),
            plugin_root: floor_root.or(plugin_root),
            max_file_size: least(max_file_size, floor_size),
            forbidden_paths,
            trusted_keys,
            expires_at: least(expires_at, floor_end),
            // Each file has a number of its own, and both are compared.
            serial,
            allow_unconfined: allow_unconfined && floor_allows_unconfined,
        };
        Within {
            settings,
            overruled,
        }
    }
}

fn is_beyond<T: PartialOrd>(own: Option<&T>, floor: Option<&T>) -> bool {
    own.zip(floor).is_some_and(|(own, floor)| own > floor)
}

/// The smaller limit; without one there is none.
fn least<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Whitelist;
    use super::*;

    /// Settings as they are written.
    fn settings(text: &str) -> Settings {
        let text = format!("version: 1\nsettings: {{ {text} }}\n");
        Whitelist::parse(text.as_bytes(), "w").unwrap().settings
    }

    /// What a file that says `own` comes to in a folder that says `floor`.
    #[track_caller]
    fn case(floor: &str, own: &str, both: &str, overruled: &[&str]) {
        let within = settings(own).within(settings(floor));
        assert_eq!(within.settings, settings(both), "{own} within {floor}");
        assert_eq!(within.overruled, overruled, "{own} within {floor}");
    }

    #[test]
    fn nothing_is_demanded_where_nobody_demands_it() {
        case("", "", "", &[]);
    }

    #[test]
    fn what_only_one_of_the_two_demands_counts() {
        for demand in [
            "enforce_signatures: true",
            "policy: strict",
            "policy: audit-only",
            "image_minimum: leased",
            "image_minimum: verity",
            "plugin_root: /srv",
            "max_file_size: 10",
            "forbidden_paths: [/tmp]",
            "trusted_keys: [k]",
            "expires_at: 2027-01-31T00:00:00Z",
        ] {
            case(demand, "", demand, &[]);
            case("", demand, demand, &[]);
            case(demand, demand, demand, &[]);
        }
    }

    #[test]
    fn the_stronger_of_two_demands_counts() {
        for (key, weak, strong) in [
            ("policy", "permissive", "strict"),
            ("policy", "audit-only", "permissive"),
            ("image_minimum", "leased", "sealed"),
            ("image_minimum", "sealed", "verity"),
            ("max_file_size", "11", "10"),
            ("expires_at", "2027-01-31T00:00:01Z", "2027-01-31T00:00:00Z"),
        ] {
            let [weak, strong] = [weak, strong].map(|value| format!("{key}: {value}"));
            case(&weak, &strong, &strong, &[]);
            case(&strong, &weak, &strong, &[key]);
        }
    }

    #[test]
    fn what_is_allowed_must_be_allowed_by_both() {
        for key in ["allow_dev_plugins", "allow_unconfined"] {
            let yes = format!("{key}: true");
            case(&yes, &yes, &yes, &[]);
            case(&yes, "", "", &[]);
            case("", &yes, "", &[key]);
        }
    }

    #[test]
    fn paths_are_forbidden_by_either() {
        case(
            "forbidden_paths: [/tmp, /srv]",
            "forbidden_paths: [/home, /tmp]",
            "forbidden_paths: [/home, /tmp, /srv]",
            &[],
        );
    }

    #[test]
    fn a_folder_has_one_root() {
        case(
            "plugin_root: /a",
            "plugin_root: /b",
            "plugin_root: /a",
            &["plugin_root"],
        );
    }

    #[test]
    fn no_key_is_added_to_those_of_the_folder() {
        let keys = "trusted_keys";
        case(
            "trusted_keys: [a, b]",
            "trusted_keys: [b, c]",
            "trusted_keys: [b]",
            &[keys],
        );
        case("trusted_keys: [a]", "trusted_keys: [c]", "", &[keys]);
        // A demand that everybody could meet with a key of his own is none.
        case(
            "enforce_signatures: true",
            "trusted_keys: [c]",
            "enforce_signatures: true",
            &[keys],
        );
    }

    #[test]
    fn each_file_keeps_what_is_about_itself() {
        case("serial: 7", "serial: 3", "serial: 3", &[]);
        case("serial: 7", "", "", &[]);
        case("hash_algorithm: blake3", "", "", &[]);
        let own = "hash_algorithm: sha512";
        case("hash_algorithm: blake3", own, own, &[]);
    }
}
