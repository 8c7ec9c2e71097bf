//! Figures in Prometheus' text format, version 0.0.4: written, and read again
//! to go on from there. It knows nothing of logs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What stands before the caller's own line, in a comment.
const MARK: &str = "# secure-exec export 1 ";

/// Series of one counter. More would burden whoever collects them.
const MOST: usize = 4096;

/// A counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Launches,
    Failures,
    Refusals,
    Overlooked,
    Revocations,
    Sandboxes,
    Degraded,
    Rotations,
    Recoveries,
}

impl Name {
    const ALL: [Self; 9] = [
        Self::Launches,
        Self::Failures,
        Self::Refusals,
        Self::Overlooked,
        Self::Revocations,
        Self::Sandboxes,
        Self::Degraded,
        Self::Rotations,
        Self::Recoveries,
    ];

    const fn text(self) -> &'static str {
        match self {
            Self::Launches => "secure_exec_launches_total",
            Self::Failures => "secure_exec_launch_failures_total",
            Self::Refusals => "secure_exec_refusals_total",
            Self::Overlooked => "secure_exec_violations_overlooked_total",
            Self::Revocations => "secure_exec_revocations_total",
            Self::Sandboxes => "secure_exec_sandboxes_total",
            Self::Degraded => "secure_exec_sandbox_degraded_total",
            Self::Rotations => "secure_exec_audit_rotations_total",
            Self::Recoveries => "secure_exec_audit_recoveries_total",
        }
    }

    const fn help(self) -> &'static str {
        match self {
            Self::Launches => {
                "Launches by plugin and by what was decided first; n/a: not in a whitelist, or one of too many."
            }
            Self::Failures => "Plugins that could not be started.",
            Self::Refusals => "Violations for which a plugin did not run.",
            Self::Overlooked => {
                "Violations in spite of which a plugin ran, under permissive or audit-only."
            }
            Self::Revocations => "Plugins whose permission was withdrawn while they ran.",
            Self::Sandboxes => "Sandboxes by how much of the profile they enforce.",
            Self::Degraded => "Sandboxes that are weaker than the profile asks.",
            Self::Rotations => "Rotations of the audit log.",
            Self::Recoveries => "Repairs of an audit log that was not as its last writer left it.",
        }
    }
}

/// A figure that may go down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gauge {
    Files,
    Bytes,
    LastDecision,
    ChainOk,
}

impl Gauge {
    const fn text(self) -> &'static str {
        match self {
            Self::Files => "secure_exec_audit_files",
            Self::Bytes => "secure_exec_audit_size_bytes",
            Self::LastDecision => "secure_exec_last_decision_timestamp_seconds",
            Self::ChainOk => "secure_exec_audit_chain_ok",
        }
    }

    const fn help(self) -> &'static str {
        match self {
            Self::Files => "Files of the audit log.",
            Self::Bytes => "Bytes of these files.",
            Self::LastDecision => "Time of the last decision on a launch.",
            Self::ChainOk => "Whether the audit log's chain is whole.",
        }
    }
}

const RECORDS: &str = "secure_exec_audit_records_total";

type Labels = Vec<(String, String)>;

/// Counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metrics {
    counts: BTreeMap<(Name, Labels), u64>,
}

impl Metrics {
    /// Counts.
    pub(crate) fn add(&mut self, name: Name, labels: &[(&str, &str)], more: u64) {
        let mut key = (name, owned(labels));
        if !self.counts.contains_key(&key) && self.count(name) >= MOST {
            key.1
                .iter_mut()
                .for_each(|(_, value)| *value = "others".into());
        }
        let count = self.counts.entry(key).or_default();
        *count = count.saturating_add(more);
    }

    /// Whether there is such a series.
    pub(crate) fn has(&self, name: Name, labels: &[(&str, &str)]) -> bool {
        self.counts.contains_key(&(name, owned(labels)))
    }

    /// How many series a counter has.
    pub(crate) fn count(&self, name: Name) -> usize {
        let of_it = self.counts.range((name, Labels::new())..);
        of_it.take_while(|((other, _), _)| *other == name).count()
    }

    /// The file: all counters, the number of records, gauges, and a line of
    /// the caller's own.
    pub(crate) fn render(
        &self,
        records: u64,
        gauges: &[(Gauge, Option<String>)],
        own: &str,
    ) -> String {
        let mut text = String::new();
        for name in Name::ALL {
            let series = self.counts.iter().filter(|((other, _), _)| *other == name);
            let mut series = series.peekable();
            if series.peek().is_some() {
                head(&mut text, name.text(), name.help(), "counter");
            }
            for ((_, labels), count) in series {
                sample(&mut text, name.text(), labels, &count.to_string());
            }
        }
        head(
            &mut text,
            RECORDS,
            "Records of the audit log since it was begun.",
            "counter",
        );
        sample(&mut text, RECORDS, &[], &records.to_string());
        for (gauge, value) in gauges {
            if let Some(value) = value {
                head(&mut text, gauge.text(), gauge.help(), "gauge");
                sample(&mut text, gauge.text(), &[], value);
            }
        }
        text + MARK + own + "\n"
    }

    /// Reads counters again, and the caller's line; `None` where the text is
    /// something else.
    pub(crate) fn parse(text: &str) -> Option<(Self, &str)> {
        let mut metrics = Self::default();
        let mut own = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix(MARK) {
                own = Some(rest);
            } else if !line.starts_with('#') {
                metrics.read(line)?;
            }
        }
        Some((metrics, own?))
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let end = line.find(['{', ' '])?;
        let (name, rest) = line.split_at_checked(end)?;
        let Some(name) = Name::ALL.into_iter().find(|known| known.text() == name) else {
            // It is computed anew.
            return Some(());
        };
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Labels::new(), rest),
        };
        let value = value.strip_prefix(' ')?.parse().ok()?;
        self.counts.insert((name, labels), value);
        Some(())
    }
}

fn owned(labels: &[(&str, &str)]) -> Labels {
    let owned = |(name, value): &(&str, &str)| (String::from(*name), String::from(*value));
    labels.iter().map(owned).collect()
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    // Writing into a string has no way to fail.
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn sample(text: &mut String, name: &str, labels: &[(String, String)], value: &str) {
    text.push_str(name);
    for (place, (label, value)) in labels.iter().enumerate() {
        let open = if place == 0 { '{' } else { ',' };
        let _ = write!(text, "{open}{label}=\"{}\"", escaped(value));
    }
    if !labels.is_empty() {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

/// As the format demands of a label's value.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Reads labels up to the brace that ends them; returns what follows.
fn labels(text: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next()? {
                (end, '"') => break end,
                (_, '\\') => value.push(match characters.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_string(), value));
        rest = after.get(end.saturating_add(1)..)?;
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Some((labels, rest.strip_prefix('}')?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut metrics = Metrics::default();
        for plugin in ["p", "a b", "\"},x=\"", "\\", "\\n", "line\nfeed", "ü{", ""] {
            metrics.add(
                Name::Launches,
                &[("plugin", plugin), ("result", "allowed")],
                7,
            );
        }
        metrics.add(Name::Degraded, &[], 3);
        let text = metrics.render(
            9,
            &[(Gauge::ChainOk, None), (Gauge::Files, Some("1".into()))],
            "{own}",
        );
        assert_eq!(Metrics::parse(&text), Some((metrics, "{own}")), "{text}");
        assert!(text.contains("secure_exec_audit_records_total 9\n"));
        assert!(!text.contains("chain_ok"));
    }

    #[test]
    fn another_file_is_not_read() {
        let known = "secure_exec_launches_total";
        for text in [
            "",
            "up 1\n",
            &format!("{known}{{plugin=\"x}} 1\n{MARK}{{}}\n"),
            &format!("{known}{{plugin=\"x\"}} one\n{MARK}{{}}\n"),
            &format!("words\n{MARK}{{}}\n"),
        ] {
            assert_eq!(Metrics::parse(text), None, "{text}");
        }
    }

    #[test]
    fn series_are_bounded() {
        let mut metrics = Metrics::default();
        for number in 0..MOST + 10 {
            metrics.add(Name::Refusals, &[("violation", &number.to_string())], 1);
        }
        assert_eq!(metrics.count(Name::Refusals), MOST + 1);
        assert!(metrics.has(Name::Refusals, &[("violation", "others")]));
    }
}
