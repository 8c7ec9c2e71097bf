//! The whitelist: which plugins there are, and by which bytes they are known.

mod floor;
mod lock;
mod raw;
mod resolve;

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::digest::{Algorithm, Digest, MalformedDigest};
use crate::located::LocatedError;
use crate::name::PluginName;
use crate::policy::Policy;
use crate::profile::RawProfile;

pub use floor::Within;
pub use lock::{LARGEST_LOCK, UnfitPin, is_fit, parse_lock, write_lock};

/// A whitelist whose every entry is well formed, but for digests.
#[derive(Clone, Debug, Default)]
pub struct Whitelist {
    /// What holds for all plugins.
    pub settings: Settings,
    /// The plugins.
    pub entries: Vec<Entry>,
    /// Mistakes that concern one entry alone, each with its place.
    pub warnings: Vec<String>,
}

impl Whitelist {
    /// Reads a whitelist.
    ///
    /// # Errors
    /// The first mistake, with its place; the whitelist is refused whole.
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, LocatedError> {
        resolve::whitelist(bytes, file)
    }

    /// Reads a file of a whitelist folder: a whitelist of one plugin, with the
    /// name that the file has.
    ///
    /// # Errors
    /// As [`Whitelist::parse`]; another number of plugins, another name.
    pub fn parse_entry_file(bytes: &[u8], file: &str, stem: &str) -> Result<Self, LocatedError> {
        let whitelist = Self::parse(bytes, file)?;
        match whitelist.entries.as_slice() {
            [entry] if entry.name.as_str() == stem => Ok(whitelist),
            [entry] => Err(crate::located::located(
                std::str::from_utf8(bytes).unwrap_or_default(),
                file,
                entry.line,
                entry.column,
                format!(
                    "the plugin's name must be that of the file, '{}'",
                    crate::escape::Escaped(stem)
                ),
            )),
            entries => Err(crate::located::located(
                "",
                file,
                0,
                0,
                format!(
                    "a file of a whitelist folder has one plugin, this has {}",
                    entries.len()
                ),
            )),
        }
    }

    /// The entry of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.name.as_str() == name)
    }
}

/// What holds for all plugins of a whitelist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the file's own keys")]
pub struct Settings {
    /// Algorithm of digests that name none.
    pub hash_algorithm: Algorithm,
    /// Every plugin needs a valid signature.
    pub enforce_signatures: bool,
    /// Entries marked `metadata.dev: true` may lack a digest, never under
    /// strict.
    pub allow_dev_plugins: bool,
    /// The weakest policy that may be used.
    pub policy: Option<Policy>,
    /// The weakest image that may be executed.
    pub image_minimum: Option<Strength>,
    /// Where relative paths begin.
    pub plugin_root: Option<String>,
    /// Largest plugin in bytes.
    pub max_file_size: Option<u64>,
    /// No plugin lies at or below these.
    pub forbidden_paths: Vec<String>,
    /// Public keys, in minisign's format.
    pub trusted_keys: Vec<String>,
    /// From then on the whitelist is refused.
    pub expires_at: Option<jiff::Timestamp>,
    /// May never go back.
    pub serial: Option<u64>,
    /// Profiles without a sandbox may be used.
    pub allow_unconfined: bool,
}

/// One plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name.
    pub name: PluginName,
    /// Path as written.
    pub path: String,
    /// Digest.
    pub hash: Expected,
    /// May run.
    pub enabled: bool,
    /// Marked as under development.
    pub dev: bool,
    /// Free text.
    pub metadata: BTreeMap<String, String>,
    /// Sandbox profile.
    pub profile: Option<ProfileRef>,
    /// Arguments before the caller's.
    pub args: Vec<String>,
    /// The name that the plugin is told (`argv[0]`), where the host called it
    /// by none of its own.
    pub argv0: Option<String>,
    /// Signature, in minisign's format.
    pub signature: Option<String>,
    /// Interpreter of a script.
    pub interpreter: Option<Pin>,
    /// Libraries; where there are any, no others can be loaded.
    pub libraries: Vec<Pin>,
    /// Digest of the lock file beside the whitelist, whose files count as
    /// libraries.
    pub lock: Option<Digest>,
    /// The script that the plugin, an interpreter, is given as an argument.
    pub script: Option<Pin>,
    /// How the bytes are fixed.
    pub image: ImageChoice,
    /// Largest size in bytes.
    pub max_file_size: Option<u64>,
    /// Line of the entry's name.
    pub line: u32,
    /// Column of the entry's name.
    pub column: u32,
}

/// The digest of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A digest.
    Pinned(Digest),
    /// Text that is none.
    Malformed(MalformedDigest),
    /// No `hash` key.
    Missing,
}

impl Expected {
    /// As text; one that is malformed as it was written.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Pinned(digest) => Some(digest.to_string()),
            Self::Malformed(malformed) => Some(malformed.text().to_string()),
            Self::Missing => None,
        }
    }
}

/// The profile of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileRef {
    /// By name.
    Named(String),
    /// Written in the entry.
    Inline(Box<RawProfile>),
}

/// A file beside the plugin, with its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Absolute path.
    pub path: String,
    /// Digest; an interpreter may lack it.
    pub hash: Option<Digest>,
}

/// How an entry wants its bytes fixed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageChoice {
    /// The cheapest that is sound.
    #[default]
    Auto,
    /// A sealed copy in memory.
    Sealed,
    /// The file itself, under a read lease.
    InPlace,
    /// The file itself, kept by fs-verity.
    Verity,
}

/// How strongly the bytes are fixed, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strength {
    /// Nobody but root could change the file, or lead its path elsewhere.
    Guarded,
    /// Nobody could write the file between hashing and exec.
    #[serde(alias = "in-place")]
    Leased,
    /// Nobody can write the copy.
    Sealed,
    /// The kernel keeps the file itself.
    Verity,
}

impl Strength {
    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guarded => "guarded",
            Self::Leased => "leased",
            Self::Sealed => "sealed",
            Self::Verity => "verity",
        }
    }
}

#[cfg(test)]
mod tests;
