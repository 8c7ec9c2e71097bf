//! Which records are wanted. Most lines of a log are passed over by a search
//! for bytes, before they are read as records.

use clap::Args;
use clap::builder::PossibleValuesParser;
use memchr::memmem::Finder;
use secure_exec::failure::Failure;
use secure_exec_core::audit::chain::Ends;
use secure_exec_core::audit::{Event, Outcome};
use secure_exec_core::escape;
use secure_exec_core::profile::glob_matches;
use secure_exec_core::violation::Violation;
use serde_json::Value;

use super::entry::Entry;
use super::piece;
use super::time::Range;

/// Options that choose records. Several values of one option mean any of them.
#[derive(Clone, Debug, Args)]
pub(crate) struct Chosen {
    /// Of this plugin; in a name, * stands for anything
    #[arg(long = "plugin", value_name = "NAME")]
    plugins: Vec<String>,
    /// Of this kind
    #[arg(long = "event", value_name = "TYPE", value_parser = PossibleValuesParser::new(Event::NAMES))]
    events: Vec<String>,
    /// With this result
    #[arg(long = "result", value_name = "RESULT", value_parser = PossibleValuesParser::new(Outcome::NAMES))]
    results: Vec<String>,
    /// Of this violation
    #[arg(long = "violation", value_name = "TYPE", value_parser = PossibleValuesParser::new(Violation::CODES))]
    violations: Vec<String>,
    /// Of the launch with this id, or whose id begins so
    #[arg(long = "launch", value_name = "ID", value_parser = launch_id)]
    launches: Vec<String>,
    #[command(flatten)]
    range: Range,
}

impl Chosen {
    /// All records of a time.
    pub(crate) const fn all(range: Range) -> Self {
        Self {
            plugins: Vec::new(),
            events: Vec::new(),
            results: Vec::new(),
            violations: Vec::new(),
            launches: Vec::new(),
            range,
        }
    }
}

fn launch_id(text: &str) -> Result<String, String> {
    let is_hex = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex && (1..=32).contains(&text.len()) {
        Ok(text.to_string())
    } else {
        Err("an id has 32 hexadecimal digits; write some that it begins with".into())
    }
}

/// A choice that is made ready for a whole log.
#[derive(Debug)]
pub(crate) struct Filter {
    chosen: Chosen,
    /// Of each group, a wanted line has one at least.
    needles: Vec<Vec<Finder<'static>>>,
    /// Timestamps that a wanted line's is not before, and not after.
    earliest: Option<String>,
    latest: Option<String>,
}

impl Filter {
    /// # Errors
    /// The range of times is empty.
    pub(crate) fn new(chosen: Chosen) -> Result<Self, Failure> {
        chosen.range.check()?;
        let groups = [
            chosen.plugins.iter().map(|name| needle(name)).collect(),
            chosen.events.clone(),
            chosen.results.clone(),
            chosen.violations.clone(),
            chosen.launches.clone(),
        ];
        let finders = |group: Vec<String>| {
            let finders = group.iter().map(|text| Finder::new(text).into_owned());
            finders.collect::<Vec<_>>()
        };
        let groups = groups.into_iter().map(finders);
        let timestamp = |time| Some(format!("{time:.6}"));
        Ok(Self {
            needles: groups.filter(|group| !group.is_empty()).collect(),
            earliest: chosen.range.since.and_then(timestamp),
            latest: chosen.range.until.and_then(timestamp),
            chosen,
        })
    }

    /// Whether a line may be a wanted record. The rest is passed over.
    pub(crate) fn may_match(&self, line: &[u8]) -> bool {
        let has = |finder: &Finder<'_>| finder.find(line).is_some();
        self.may_be_then(line) && self.needles.iter().all(|group| group.iter().any(has))
    }

    fn may_be_then(&self, line: &[u8]) -> bool {
        if self.earliest.is_none() && self.latest.is_none() {
            return true;
        }
        // Timestamps of one shape sort as their bytes do.
        let Some(time) = piece::timestamp(line) else {
            return true;
        };
        let is_early = |bound: &String| bound.len() == time.len() && time < bound.as_bytes();
        let is_late = |bound: &String| bound.len() == time.len() && time > bound.as_bytes();
        !self.earliest.as_ref().is_some_and(is_early) && !self.latest.as_ref().is_some_and(is_late)
    }

    /// Whether a line is a wanted record; `None` where it is no record. Where
    /// all are wanted, a line that has its place in a chain is not read.
    pub(crate) fn wants(&self, line: &[u8]) -> Option<bool> {
        let wants_all = self.needles.is_empty() && self.earliest.is_none() && self.latest.is_none();
        if wants_all && Ends::of(line).is_some() {
            return Some(true);
        }
        if !self.may_match(line) {
            return Some(false);
        }
        Some(self.matches(&Entry::parse(line)?))
    }

    /// Whether a record is wanted.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        let chosen = &self.chosen;
        let plugin = entry.plugin_name.as_deref();
        let launch = entry.launch_id.as_deref();
        chosen.range.holds(entry.time)
            && any(&chosen.plugins, plugin, |wanted, name| {
                glob_matches(wanted, name)
            })
            && any(&chosen.events, Some(&entry.event_type), str::eq)
            && any(&chosen.results, entry.result.as_deref(), str::eq)
            && any(&chosen.violations, entry.violation_type.as_deref(), str::eq)
            && any(&chosen.launches, launch, |wanted, id| {
                id.starts_with(wanted)
            })
    }
}

fn any(wanted: &[String], value: Option<&str>, fits: impl Fn(&str, &str) -> bool) -> bool {
    wanted.is_empty() || value.is_some_and(|value| wanted.iter().any(|wanted| fits(wanted, value)))
}

/// What stands in every line with a name that fits: its longest part without
/// a star, as both formats write it.
fn needle(pattern: &str) -> String {
    let part = pattern.split('*').max_by_key(|part| part.len());
    let quoted = escape::json(&Value::from(part.unwrap_or_default()).to_string());
    let inner = quoted.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
    inner.unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        chosen: Chosen,
    }

    fn filter(words: &[&str]) -> Filter {
        let words = std::iter::once(&"x").chain(words);
        Filter::new(Typed::parse_from(words).chosen).unwrap()
    }

    fn line(name: &str) -> Vec<u8> {
        let record = serde_json::json!({
            "timestamp": "2026-11-24T10:00:00.000000Z",
            "event_type": "security_violation",
            "violation_type": "hash_mismatch",
            "plugin_name": name,
            "result": "blocked",
            "launch_id": "0123456789abcdef0123456789abcdef",
        });
        escape::json(&record.to_string()).into_bytes()
    }

    /// Whether a record is wanted; the quick look must not lose it.
    fn wants(words: &[&str], name: &str) -> bool {
        let filter = filter(words);
        let json = line(name);
        let fields = secure_exec_core::audit::line::fields(&json).unwrap();
        let logfmt = secure_exec_core::audit::logfmt::from_fields(&fields).into_bytes();
        let [one, other] = [json, logfmt].map(|line| {
            let wanted = filter.matches(&Entry::parse(&line).unwrap());
            assert!(!wanted || filter.may_match(&line), "{words:?}");
            wanted
        });
        assert_eq!(one, other);
        one
    }

    #[test]
    fn every_option_narrows_and_several_values_widen() {
        for (words, wanted) in [
            (&[][..], true),
            (&["--plugin", "p"], true),
            (&["--plugin", "q"], false),
            (&["--plugin", "q", "--plugin", "p"], true),
            (&["--plugin", "p", "--result", "allowed"], false),
            (&["--event", "security_violation"], true),
            (&["--event", "sandbox_applied"], false),
            (&["--violation", "hash_mismatch"], true),
            (&["--violation", "plugin_disabled"], false),
            (&["--launch", "0123"], true),
            (&["--launch", "123"], false),
            (&["--since", "2026-11-24T10:00:00Z"], true),
            (&["--since", "2026-11-24T10:00:00.000001Z"], false),
            (&["--until", "2026-11-24T10:00:00Z"], false),
            (&["--until", "2026-11-24T10:00:00.0000001Z"], true),
        ] {
            assert_eq!(wants(words, "p"), wanted, "{words:?}");
        }
    }

    #[test]
    fn names_are_found_however_they_are_escaped() {
        for name in ["p", "a b", "a\"b\\c", "ü\u{202e}x", "a\nb", "42", "/x/y"] {
            assert!(wants(&["--plugin", name], name), "{name}");
            assert!(!wants(&["--plugin", name], "other"), "{name}");
        }
        assert!(wants(&["--plugin", "auth-*"], "auth-service"));
        assert!(wants(&["--plugin", "*-\"s*"], "auth-\"service"));
        assert!(!wants(&["--plugin", "auth-*"], "oauth-service"));
    }

    #[test]
    fn a_quick_look_passes_over_most() {
        let filter = filter(&["--plugin", "p", "--event", "sandbox_applied"]);
        assert!(!filter.may_match(&line("p")));
    }
}
