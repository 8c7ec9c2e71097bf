//! What is known of a log's chain, for those who report on more than that.

use std::path::Path;

use secure_exec::failure::Failure;
use secure_exec_core::escape::Escaped;

use super::log::Log;
use super::verify;

/// Whether the records are those that were written, all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) verdict: Verdict,
    /// A sentence or two.
    pub(crate) said: String,
}

/// In a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Only a part of the log is looked at.
    Unknown,
    /// It is whole.
    Whole,
    /// It is not.
    Broken,
}

/// The same of several logs: they are whole if each is.
///
/// # Errors
/// As [`of`].
pub(crate) fn of_all(logs: &[Log], key: Option<&Path>) -> Result<Chain, Failure> {
    if let [log] = logs {
        return of(log, key);
    }
    let mut verdict = Verdict::Whole;
    let mut said = Vec::new();
    for log in logs {
        let chain = of(log, key)?;
        if verdict != Verdict::Broken && chain.verdict != Verdict::Whole {
            verdict = chain.verdict;
        }
        said.push(format!("{}: {}", Escaped(log.name()), chain.said));
    }
    let said = said.join(" ");
    Ok(Chain { verdict, said })
}

/// Verifies a log's chain, and its signed head where a key is given.
///
/// # Errors
/// A file can't be read, the key is none.
pub(crate) fn of(log: &Log, key: Option<&Path>) -> Result<Chain, Failure> {
    Ok(match verify::briefly(log, key)? {
        Some((true, said)) => Chain {
            verdict: Verdict::Whole,
            said,
        },
        Some((false, said)) => Chain {
            verdict: Verdict::Broken,
            said,
        },
        None => Chain {
            verdict: Verdict::Unknown,
            said: "This is one file of a log, whose chain goes through all of them.".into(),
        },
    })
}
