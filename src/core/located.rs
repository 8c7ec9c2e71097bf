//! Reading YAML strictly, and saying where it is wrong.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_yaml::options::{AliasLimits, DuplicateKeyPolicy, MergeKeyPolicy};

use crate::escape::Escaped;

/// The largest file that is read, in bytes.
pub const LARGEST: usize = 64 << 20;

/// A mistake in a file, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocatedError {
    /// The file.
    pub file: String,
    /// Line, from 1; 0 where the mistake has no place.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// The line's text.
    pub excerpt: Option<String>,
}

impl std::error::Error for LocatedError {}

impl LocatedError {
    /// The place and what is wrong there, in one line: for a reason.
    #[must_use]
    pub fn sentence(&self) -> String {
        let file = Escaped(&self.file);
        let message = &self.message;
        if self.line == 0 {
            return format!("{file}: {message}");
        }
        format!("{file}:{}:{}: {message}", self.line, self.column)
    }
}

impl fmt::Display for LocatedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())?;
        if let Some(excerpt) = self.excerpt.as_ref().filter(|_| self.line != 0) {
            let indent = " ".repeat(usize::try_from(self.column).unwrap_or(1).saturating_sub(1));
            write!(f, "\n    {excerpt}\n    {indent}^")?;
        }
        Ok(())
    }
}

/// Reads one YAML document. Unknown keys are the type's to refuse; duplicate
/// keys, aliases, anchors, merge keys, several documents, deep nesting and too
/// many nodes are refused here, before they cost time or memory.
///
/// # Errors
/// What is wrong, and where.
pub fn parse_yaml<T: DeserializeOwned>(bytes: &[u8], file: &str) -> Result<T, LocatedError> {
    let text = text(bytes, file)?;
    serde_yaml::from_str_with_options(text, options()).map_err(|error| {
        let place = error.location();
        let (line, column) = place.map_or((0, 0), |place| {
            (narrow(place.line()), narrow(place.column()))
        });
        let error = error.without_snippet();
        let message = own_words(error).unwrap_or_else(|| plain(&error.to_string()));
        located(text, file, line, column, message)
    })
}

/// A mistake at a place that the caller knows.
#[must_use]
pub fn located(text: &str, file: &str, line: u32, column: u32, message: String) -> LocatedError {
    LocatedError {
        file: file.to_string(),
        line,
        column,
        message,
        excerpt: excerpt(text, line, column),
    }
}

fn text<'a>(bytes: &'a [u8], file: &str) -> Result<&'a str, LocatedError> {
    let nowhere = |message: &str| located("", file, 0, 0, message.to_string());
    if bytes.len() > LARGEST {
        return Err(nowhere("the file is larger than 64 MiB"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = valid.split(|byte| *byte == b'\n').count();
        let last = valid
            .rsplit(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let column = String::from_utf8_lossy(last)
            .chars()
            .count()
            .saturating_add(1);
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        let column = u32::try_from(column).unwrap_or(u32::MAX);
        located("", file, line, column, "the file is not UTF-8 here".into())
    })?;
    if text.trim().is_empty() {
        return Err(nowhere("the file is empty"));
    }
    Ok(text)
}

fn options() -> serde_yaml::Options {
    let mut aliases = AliasLimits::default();
    aliases.max_total_replayed_events = 0;
    aliases.max_alias_expansions_per_anchor = 0;
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_documents: 1,
            max_aliases: 0,
            max_anchors: 0,
            max_depth: DEEPEST,
            max_nodes: 5_000_000,
            max_events: 10_000_000,
            max_total_scalar_bytes: LARGEST,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        alias_limits: aliases,
        strict_booleans: true,
        legacy_octal_numbers: false,
        with_snippet: false,
    }
}

fn narrow<T: TryInto<u32>>(number: T) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

/// What concerns the rules of these files, which the reader's own words do not
/// know: what is wrong and what to write instead.
fn own_words(error: &serde_yaml::Error) -> Option<String> {
    use serde_yaml::Error;
    use serde_yaml::budget::BudgetBreach;
    Some(match error {
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Documents { .. } => {
                "a second document begins here; a file has one".into()
            }
            BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. } => NO_ALIASES.into(),
            BudgetBreach::Depth { .. } => {
                format!("nested deeper than {DEEPEST} levels, as nothing here needs to be")
            }
            _ => "the file has too many values".into(),
        },
        Error::UnknownAnchor { .. } => NO_ALIASES.into(),
        Error::MergeKeyNotAllowed { .. } => {
            "merge keys ('<<') are not allowed; write the keys out".into()
        }
        Error::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or("this key");
            format!("duplicate key '{}'; remove one of the two", Escaped(key))
        }
        Error::Unexpected {
            expected: "mapping start",
            ..
        } => "expected a mapping, that is, lines of 'key: value'".into(),
        Error::Unexpected {
            expected: "sequence start",
            ..
        } => "expected a list, that is, '[a, b]' or lines of '- a'".into(),
        Error::Unexpected {
            expected: "string scalar",
            ..
        } => "expected text".into(),
        Error::InvalidScalar { ty, .. } => match *ty {
            "u16" => "expected a whole number up to 65535".into(),
            "u32" | "u64" => {
                "expected a whole number that is not negative, and not too large".into()
            }
            _ => return None,
        },
        Error::Eof { .. } => "the file ends where a value is expected".into(),
        _ => return None,
    })
}

const NO_ALIASES: &str = "anchors and aliases are not allowed; write the value out";
/// Levels of nesting that are read.
const DEEPEST: usize = 16;

/// One line, no control characters, and no second mention of the place.
fn plain(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let without_place = first
        .rsplit_once(" at line ")
        .or_else(|| first.rsplit_once(", at line "))
        .map_or(first, |(before, _)| before);
    Escaped(without_place).to_string()
}

fn excerpt(text: &str, line: u32, column: u32) -> Option<String> {
    let index = usize::try_from(line).ok()?.checked_sub(1)?;
    let found = text.lines().nth(index)?;
    let shown: String = found
        .chars()
        .map(|c| {
            if crate::escape::is_unsafe(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .take(120)
        .collect();
    (column <= 120).then_some(shown)
}
