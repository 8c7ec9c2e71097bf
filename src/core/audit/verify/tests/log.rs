//! Logs to be verified, made as their writers make them.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::super::chain::{Ends, Format, Hash, Link, hash};
use super::super::super::files;
use super::super::super::line::Line;
use super::super::super::{Event, Launch, Outcome, Record};
use super::super::{Layout, Opening, Options, Part, Report, Role, Verifier, Witness};

pub(super) const LOG: &str = "audit.log";

/// A log's files by their names, each as its lines.
#[derive(Clone, Default)]
pub(super) struct Log {
    pub(super) files: BTreeMap<String, Vec<Vec<u8>>>,
}

/// What a log is like.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Lines of each file, the active one last.
    pub(super) lines: Vec<usize>,
    /// Files that were removed by the log's own rules.
    pub(super) removed: usize,
    /// Files that another program renamed, by their places among those that
    /// are there.
    pub(super) foreign: Vec<usize>,
    pub(super) logfmt: bool,
}

impl Shape {
    pub(super) fn of(lines: &[usize]) -> Self {
        Self {
            lines: lines.to_vec(),
            removed: 0,
            foreign: Vec::new(),
            logfmt: false,
        }
    }
}

/// A record of an event, not yet in a chain.
pub(super) fn record(
    event: Event,
    what: &str,
    audit: Option<serde_json::Value>,
    format: Format,
) -> Line {
    let launch = Launch::sample();
    let record = Record {
        plugin_name: Some(what),
        result: Outcome::Allowed,
        audit,
        ..Record::new(
            "2026-01-01T00:00:00.000000Z".into(),
            event,
            "strict",
            &launch,
        )
    };
    Line::new(&record, format).unwrap()
}

fn usual(what: &str, format: Format) -> Line {
    record(Event::SandboxApplied, what, None, format)
}

/// A line at its place in a chain.
pub(super) fn sealed(mut line: Line, last: Link) -> (Vec<u8>, Link) {
    let link = line.seal(last);
    (line.sealed().to_vec(), link)
}

/// What a line is in the chain.
pub(super) fn ends(line: &[u8]) -> Ends {
    Ends::of(line).unwrap()
}

/// A line with other content, and a hash that is right, in the same place.
pub(super) fn edited(line: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(line.to_vec()).unwrap();
    rehashed(&text.replace("strict", "lenient"))
}

/// A line with the hash that it should have.
pub(super) fn rehashed(line: &str) -> Vec<u8> {
    let ends = ends(line.as_bytes());
    let own = hash(&line.as_bytes()[..ends.hashed]);
    let old = ends.record_hash.to_string();
    line.replace(&old, &own.to_string()).into_bytes()
}

/// A record that names another as the one before.
pub(super) fn renamed(line: &[u8], prev: Hash) -> Vec<u8> {
    let text = String::from_utf8(line.to_vec()).unwrap();
    let old = ends(line).prev.to_string();
    rehashed(&text.replacen(&old, &prev.to_string(), 1))
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, lines) in &self.files {
            writeln!(f, "{name}:")?;
            for line in lines {
                let text = String::from_utf8_lossy(line);
                let (start, end) = text.split_once("timestamp").unwrap_or((&text, ""));
                let end = end.split_once("audit").map_or("", |(_, end)| end);
                writeln!(f, "  {:.30} … {end:.200?}", start)?;
            }
        }
        Ok(())
    }
}

impl Log {
    pub(super) fn of(shape: &Shape) -> Self {
        let mut log = Self::default();
        let mut last = Link::START;
        let count = shape.lines.len();
        let mut before: Option<String> = None;
        let mut rotation = 0;
        for (index, length) in shape.lines.iter().enumerate() {
            let format = match shape.logfmt && index % 2 == 0 {
                true => Format::Logfmt,
                false => Format::Json,
            };
            let is_foreign =
                index >= shape.removed && shape.foreign.contains(&(index - shape.removed));
            let mut lines = Vec::new();
            for number in 0..*length {
                let line = match (&before, number) {
                    (Some(name), 0) => {
                        let number = |name: &String| Some(files::Rotated::of(LOG, name)?.number);
                        let is_gone = |number: u64| number <= shape.removed as u64;
                        let numbers = log.files.keys().filter_map(number);
                        let oldest = numbers.filter(|number| !is_gone(*number)).min();
                        let removed = number(name).filter(|number| is_gone(*number));
                        let removed: Vec<&String> = removed.map(|_| name).into_iter().collect();
                        let audit = json!({
                            "file": name,
                            "rotation": rotation,
                            "cause": "size",
                            "last_seq": last.seq,
                            "bytes": 1,
                            "removed": removed,
                            "oldest": oldest,
                        });
                        record(Event::AuditRotated, "", Some(audit), format)
                    }
                    _ => usual(&format!("plugin-{}", last.seq), format),
                };
                let (line, link) = sealed(line, last);
                lines.push(line);
                last = link;
            }
            let name = if index + 1 == count {
                LOG.to_string()
            } else if is_foreign {
                format!("{LOG}.old-{index}")
            } else {
                rotation += 1;
                files::rotated(LOG, rotation)
            };
            log.files.insert(name.clone(), lines);
            before = Some(name);
        }
        for number in 1..=shape.removed as u64 {
            log.files.remove(&files::rotated(LOG, number));
        }
        log
    }

    /// Names in the order of the records.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<&String> = self.files.keys().collect();
        names.sort_by_key(|name| {
            self.files[*name]
                .first()
                .and_then(|line| Ends::of(line))
                .map(|ends| ends.seq)
        });
        names.into_iter().cloned().collect()
    }

    /// Every record's place, in order.
    pub(super) fn places(&self) -> Vec<(String, usize)> {
        let names = self.names();
        let all = names.iter().flat_map(|name| {
            let lines = 0..self.files[name].len();
            lines.map(|line| (name.clone(), line))
        });
        all.collect()
    }

    pub(super) fn line(&self, place: &(String, usize)) -> &Vec<u8> {
        &self.files[&place.0][place.1]
    }

    pub(super) fn line_mut(&mut self, place: &(String, usize)) -> &mut Vec<u8> {
        &mut self.files.get_mut(&place.0).unwrap()[place.1]
    }

    pub(super) fn links(&self) -> Vec<Link> {
        let places = self.places();
        let lines = places.iter().map(|place| self.line(place));
        let ends = lines.filter_map(|line| Ends::of(line).filter(|ends| ends.is_genuine(line)));
        ends.map(|ends| ends.link()).collect()
    }

    /// Writes the chain anew from a record on.
    pub(super) fn rechain(&mut self, from: usize) {
        let places = self.places();
        let mut prev = None;
        for place in &places[from..] {
            let old = self.line(place).clone();
            let line = match prev {
                None => edited(&old),
                Some(prev) => renamed(&old, prev),
            };
            prev = Some(ends(&line).record_hash);
            *self.line_mut(place) = line;
        }
    }

    pub(super) fn verify(&self) -> Report {
        self.verify_with(Options::default())
    }

    /// With witnesses that know these records.
    pub(super) fn verify_against(&self, links: Vec<Link>) -> Report {
        self.verify_with(Options {
            witnesses: vec![Witness::new("the sink", links.into_iter())],
            ..Options::default()
        })
    }

    /// As a reader of files would do it.
    pub(super) fn verify_with(&self, options: Options<'_>) -> Report {
        let mut texts = BTreeMap::new();
        let parts = self.files.iter().map(|(name, lines)| {
            let text = lines.concat();
            let split: Vec<Vec<u8>> = text
                .split_inclusive(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect();
            let role = match files::Rotated::of(LOG, name) {
                _ if name == LOG => Role::Active,
                Some(rotated) => Role::Rotated(rotated.number),
                None => Role::Other,
            };
            let part = Part {
                name: name.clone(),
                role,
                is_empty: split.is_empty(),
                first: Opening::of(role, split.iter().map(Vec::as_slice)),
                last: split
                    .last()
                    .and_then(|line| Ends::of(line))
                    .map(|ends| ends.seq),
            };
            texts.insert(name.clone(), split);
            part
        });
        let layout = Layout::of(LOG, parts.collect());
        let names: Vec<String> = layout.names().map(str::to_string).collect();
        let mut verifier = Verifier::new(layout, options);
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                verifier.next_file();
            }
            for line in &texts[name] {
                verifier.line(line);
            }
        }
        verifier.finish()
    }
}
