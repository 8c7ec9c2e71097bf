//! What is known of a log's chain, for those who report on more than that.

use super::log::Log;

/// Whether the records are those that were written, all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) verdict: Verdict,
    /// One sentence.
    pub(crate) said: String,
}

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody has looked.
    Unknown,
    /// It is whole.
    #[allow(dead_code, reason = "verification is not connected yet")]
    Whole,
    /// It is not.
    #[allow(dead_code, reason = "verification is not connected yet")]
    Broken,
}

/// Verifies a log's chain.
pub(crate) fn of(_log: &Log) -> Chain {
    Chain {
        verdict: Verdict::Unknown,
        said: "The chain of the records was not verified.".into(),
    }
}
