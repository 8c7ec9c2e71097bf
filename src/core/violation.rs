//! Why a plugin is refused: the contract's violation types, each with the
//! facts that a message and the audit record need.

use crate::digest::{Digest, MalformedDigest};

/// A reason to refuse a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// No entry of the whitelist has this name.
    NotWhitelisted,
    /// The entry says `enabled: false`.
    Disabled,
    /// The plugin's bytes are not the whitelisted ones.
    HashMismatch {
        /// Digest of the whitelist.
        expected: Digest,
        /// Digest of the plugin's bytes.
        actual: Digest,
    },
    /// The entry's digest can't be a digest.
    MalformedHash(MalformedDigest),
    /// The entry has no digest and is not an admitted development plugin.
    MissingHash,
    /// Signatures are enforced and the entry has none.
    SignatureMissing,
    /// The signature does not match the plugin's bytes.
    SignatureInvalid(String),
    /// No trusted key made the signature.
    SignatureUntrusted(String),
    /// The path leaves its root, names `..`, or lies in a forbidden place.
    PathTraversal(String),
    /// Not a regular file; what it is instead.
    NotARegularFile(String),
    /// Larger than the limit.
    FileSizeExceeded {
        /// The limit in bytes.
        limit: u64,
        /// What was found, as a phrase.
        found: String,
    },
    /// Owner, mode or a setuid bit.
    InsecurePermissions(String),
    /// The file has no execute permission, or its file system forbids it.
    NotExecutable(String),
    /// The interpreter of a script is not to be trusted.
    InterpreterUntrusted(String),
    /// The first line of a script names no interpreter.
    FirstLine(String),
    /// A pinned library or script is not the pinned one.
    LibraryMismatch(String),
    /// The lock file of the entry is not the pinned one.
    LockFile(String),
    /// An argument of the entry names code that nothing pins.
    UnpinnedCode(String),
    /// The whitelist is past its `expires_at`.
    WhitelistExpired(String),
    /// The whitelist's `serial` went back.
    WhitelistRollback(String),
    /// The kernel lacks a protection that the launch requires.
    SandboxUnavailable(String),
    /// The bytes can't be fixed, or measured, as the whitelist demands.
    ImageUnavailable(String),
    /// A standard stream, or a descriptor that is passed on, would be a way
    /// around the sandbox.
    StandardStream(String),
}

impl Violation {
    /// All violation types.
    pub const CODES: [&str; 16] = [
        "plugin_not_whitelisted",
        "plugin_disabled",
        "hash_mismatch",
        "malformed_hash",
        "signature_missing",
        "signature_invalid",
        "signature_untrusted",
        "path_traversal",
        "not_a_regular_file",
        "file_size_exceeded",
        "insecure_permissions",
        "interpreter_untrusted",
        "library_mismatch",
        "whitelist_expired",
        "whitelist_rollback",
        "sandbox_unavailable",
    ];

    /// The contract's `violation_type`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotWhitelisted => "plugin_not_whitelisted",
            Self::Disabled => "plugin_disabled",
            Self::HashMismatch { .. } => "hash_mismatch",
            Self::MalformedHash(_) | Self::MissingHash => "malformed_hash",
            Self::SignatureMissing => "signature_missing",
            Self::SignatureInvalid(_) => "signature_invalid",
            Self::SignatureUntrusted(_) => "signature_untrusted",
            Self::PathTraversal(_) => "path_traversal",
            Self::NotARegularFile(_) => "not_a_regular_file",
            Self::FileSizeExceeded { .. } => "file_size_exceeded",
            Self::InsecurePermissions(_) | Self::NotExecutable(_) => "insecure_permissions",
            Self::InterpreterUntrusted(_) | Self::FirstLine(_) => "interpreter_untrusted",
            Self::LibraryMismatch(_) | Self::LockFile(_) | Self::UnpinnedCode(_) => {
                "library_mismatch"
            }
            Self::WhitelistExpired(_) => "whitelist_expired",
            Self::WhitelistRollback(_) => "whitelist_rollback",
            Self::SandboxUnavailable(_) | Self::ImageUnavailable(_) | Self::StandardStream(_) => {
                "sandbox_unavailable"
            }
        }
    }

    /// How bad it is, in the guide's words: `high` where it looks like
    /// tampering, `medium` where it looks like neglect.
    #[must_use]
    pub const fn severity(&self) -> &'static str {
        match self {
            Self::HashMismatch { .. }
            | Self::SignatureInvalid(_)
            | Self::PathTraversal(_)
            | Self::LibraryMismatch(_)
            | Self::LockFile(_)
            | Self::WhitelistRollback(_) => "high",
            Self::Disabled | Self::NotExecutable(_) => "low",
            _ => "medium",
        }
    }

    /// Whether a policy weaker than strict may overlook it. What can't be read
    /// in bounded time, or can't be executed at all, never runs.
    #[must_use]
    pub const fn is_waivable(&self) -> bool {
        !matches!(
            self,
            Self::NotARegularFile(_) | Self::FileSizeExceeded { .. } | Self::NotExecutable(_)
        )
    }

    /// One sentence: what is wrong.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::NotWhitelisted => "no entry of this name in the whitelist".into(),
            Self::Disabled => "the whitelist entry is disabled".into(),
            Self::HashMismatch { .. } => "the plugin's bytes are not the whitelisted ones".into(),
            Self::MalformedHash(malformed) => malformed.to_string(),
            Self::MissingHash => "the whitelist entry has no hash".into(),
            Self::SignatureMissing => "signatures are enforced and the entry has none".into(),
            Self::FileSizeExceeded { limit, found } => {
                format!("{found}, over the limit of {limit} bytes")
            }
            Self::SignatureInvalid(why)
            | Self::SignatureUntrusted(why)
            | Self::PathTraversal(why)
            | Self::NotARegularFile(why)
            | Self::InsecurePermissions(why)
            | Self::NotExecutable(why)
            | Self::InterpreterUntrusted(why)
            | Self::FirstLine(why)
            | Self::LibraryMismatch(why)
            | Self::LockFile(why)
            | Self::UnpinnedCode(why)
            | Self::WhitelistExpired(why)
            | Self::WhitelistRollback(why)
            | Self::SandboxUnavailable(why)
            | Self::ImageUnavailable(why)
            | Self::StandardStream(why) => why.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;

    #[test]
    fn the_list_of_codes_is_whole() {
        let why = || String::from("x");
        let digest = Digest::parse(&"0".repeat(64), Algorithm::Sha256).unwrap();
        let malformed = Digest::parse("0", Algorithm::Sha256).unwrap_err();
        let all = [
            Violation::NotWhitelisted,
            Violation::Disabled,
            Violation::HashMismatch {
                expected: digest.clone(),
                actual: digest,
            },
            Violation::MalformedHash(malformed),
            Violation::MissingHash,
            Violation::SignatureMissing,
            Violation::SignatureInvalid(why()),
            Violation::SignatureUntrusted(why()),
            Violation::PathTraversal(why()),
            Violation::NotARegularFile(why()),
            Violation::FileSizeExceeded {
                limit: 0,
                found: why(),
            },
            Violation::InsecurePermissions(why()),
            Violation::NotExecutable(why()),
            Violation::InterpreterUntrusted(why()),
            Violation::FirstLine(why()),
            Violation::LibraryMismatch(why()),
            Violation::LockFile(why()),
            Violation::UnpinnedCode(why()),
            Violation::WhitelistExpired(why()),
            Violation::WhitelistRollback(why()),
            Violation::SandboxUnavailable(why()),
            Violation::ImageUnavailable(why()),
            Violation::StandardStream(why()),
        ];
        let mut codes: Vec<&str> = all.iter().map(Violation::code).collect();
        codes.dedup();
        assert_eq!(codes, Violation::CODES);
    }
}
