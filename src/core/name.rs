//! The name of a plugin.

use std::fmt;

use crate::escape::{Escaped, is_unsafe};

/// A plugin's name: 1 to 255 bytes without `/`, NUL and control characters,
/// so that it can be a file name and be shown on a terminal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginName(String);

impl PluginName {
    /// Checks a name.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let why = if name.is_empty() {
            Some("is empty")
        } else if name.len() > 255 {
            Some("is longer than 255 bytes")
        } else if name == "." || name == ".." {
            Some("names a folder")
        } else if name.contains('/') {
            Some("contains '/'")
        } else if name.chars().any(is_unsafe) {
            Some("contains a control character")
        } else {
            None
        };
        match why {
            Some(why) => Err(NameError {
                shown: Escaped(name).to_string(),
                why,
            }),
            None => Ok(Self(name.to_string())),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameError {
    shown: String,
    why: &'static str,
}

impl std::error::Error for NameError {}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the plugin name '{}' {}", self.shown, self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "auth-service", "ünïcode", "...", "a b"] {
            assert!(PluginName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a\0",
            "a\x1b[2J",
            "\u{202e}x",
            &"x".repeat(256),
        ] {
            assert!(PluginName::new(bad).is_err(), "{bad}");
        }
    }
}
