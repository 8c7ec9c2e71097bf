//! A whitelist's text and the edits of it. A layout that is not understood is
//! refused; the caller reads the result back before it is used.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::ScalarStyle;

use super::lines::Lines;
use super::outline::{self, Kind, Node};
use super::write::{self, Value};

/// A whitelist's text.
pub(crate) struct Sheet<'a> {
    lines: Lines<'a>,
    root: Node,
    /// Which member of the list has which name.
    names: HashMap<String, usize>,
    line_end: &'static str,
    edits: Vec<Edit>,
}

struct Edit {
    bytes: Range<usize>,
    with: String,
}

/// A value of an entry, by its keys and its place in lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'a> {
    /// A key of the entry.
    Key(&'a str),
    /// A key of a map in the entry.
    Within(&'a str, &'a str),
    /// A key of a member of a list of maps in the entry.
    Item(&'a str, usize, &'a str),
}

impl<'a> Sheet<'a> {
    /// Reads a text that is known to be a whitelist.
    ///
    /// # Errors
    /// A sentence.
    pub(crate) fn read(text: &'a str) -> Result<Self, String> {
        let root = outline::read(text)?;
        let has_returns = text
            .find('\n')
            .is_some_and(|at| text.get(..at).is_some_and(|line| line.ends_with('\r')));
        let items = root.get("plugins").map(Node::items).unwrap_or_default();
        let names = items.iter().enumerate().filter_map(|(at, item)| {
            let name = item.get("name").and_then(Node::text)?;
            Some((name.to_string(), at))
        });
        let names = names.collect();
        Ok(Self {
            lines: Lines(text),
            root,
            names,
            line_end: if has_returns { "\r\n" } else { "\n" },
            edits: Vec::new(),
        })
    }

    /// Adds entries behind the last one.
    ///
    /// # Errors
    /// The layout is not understood; a sentence.
    pub(crate) fn add(&mut self, entries: &[Vec<(String, Value)>]) -> Result<(), String> {
        let is_flow = matches!(self.root.kind, Kind::Map { flow: true, .. });
        let in_braces = |entry: &Vec<(String, Value)>| write::flow(&Value::Map(entry.clone()));
        let joined = || entries.iter().map(in_braces).collect::<Vec<_>>().join(", ");
        let Some((key, value)) = self.root.pair("plugins") else {
            return self.add_list(entries, is_flow, &joined());
        };
        let edits = match &value.kind {
            Kind::List { flow: true, items } => match items.last() {
                Some(last) => vec![self.insertion(last.bytes.end, format!(", {}", joined()))],
                None if is_flow || self.lines.slice(value.bytes.clone()).contains('\n') => {
                    let inside = value.bytes.start.saturating_add(1);
                    vec![self.insertion(inside, joined())]
                }
                None => self.replace_by_block(key, value, entries)?,
            },
            Kind::List { flow: false, items } => {
                let last = items.last().ok_or("the list of plugins has no end")?;
                let dash = self.lines.dash(last)?;
                let gap = self.lines.gap(dash, last);
                let column = dash.saturating_sub(self.lines.line_start(dash));
                let end = self.lines.end_with_comments(last.bytes.end, column)?;
                vec![self.insertion(end, self.block(entries, column, gap))]
            }
            Kind::Scalar { .. } if is_flow => {
                let list = format!(" [{}]", joined());
                vec![self.replacement(self.value_bytes(key, value), list)]
            }
            Kind::Scalar { .. } => self.replace_by_block(key, value, entries)?,
            Kind::Map { .. } => return Err("'plugins' is no list".into()),
        };
        self.edits.extend(edits);
        Ok(())
    }

    /// Takes an entry out. Comments around it stay; what is indented deeper
    /// than its dash goes with it.
    ///
    /// # Errors
    /// There is no such entry, or the layout is not understood.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), String> {
        let (key, list) = self.root.pair("plugins").ok_or("there are no plugins")?;
        let items = list.items();
        let index = self.index(name)?;
        let item = items.get(index).ok_or("there is no such plugin")?;
        let edits = if matches!(list.kind, Kind::List { flow: true, .. }) {
            let bytes = match (
                index.checked_sub(1).and_then(|i| items.get(i)),
                items.get(index + 1),
            ) {
                (Some(before), _) => before.bytes.end..item.bytes.end,
                (None, Some(after)) => item.bytes.start..after.bytes.start,
                (None, None) => self.lines.with_comma(&item.bytes),
            };
            vec![self.replacement(bytes, String::new())]
        } else {
            let dash = self.lines.dash(item)?;
            let start = self.lines.line_start(dash);
            let end = self
                .lines
                .end_with_comments(item.bytes.end, dash.saturating_sub(start))?;
            let bytes = self.lines.before_line_end(start)..end;
            let mut edits = vec![self.replacement(bytes, String::new())];
            if items.len() == 1 {
                let at = self.lines.colon(key)?;
                edits.insert(0, self.insertion(at, " []".into()));
            }
            edits
        };
        self.edits.extend(edits);
        Ok(())
    }

    /// Sets a value of an entry. A key of the entry that is missing is added
    /// behind its path.
    ///
    /// # Errors
    /// There is no such entry, or the layout is not understood.
    pub(crate) fn set(
        &mut self,
        name: &str,
        place: Place<'_>,
        value: &Value,
    ) -> Result<(), String> {
        let entry = self.entry(name)?;
        let (map, key) = match place {
            Place::Key(key) => (Some(entry), key),
            Place::Within(map, key) => (entry.get(map), key),
            Place::Item(list, index, key) => (
                entry.get(list).and_then(|list| list.items().get(index)),
                key,
            ),
        };
        let map = map.ok_or_else(|| format!("the entry has no {place:?}"))?;
        let edit = match map.pair(key) {
            Some((of, found)) => self.change(of, found, is_flow(map), value)?,
            None => self.new_pair(map, "path", key, value)?,
        };
        self.edits.push(edit);
        Ok(())
    }

    /// Sets a key of the whitelist itself, where it is there.
    ///
    /// # Errors
    /// The layout is not understood.
    pub(crate) fn touch(&mut self, key: &str, value: &str) -> Result<(), String> {
        if let Some((of, found)) = self.root.pair(key) {
            let value = Value::Text(value.to_string());
            let edit = self.change(of, found, is_flow(&self.root), &value)?;
            self.edits.push(edit);
        }
        Ok(())
    }

    /// The text of a value of an entry.
    pub(crate) fn value(&self, name: &str, key: &str) -> Option<&str> {
        let items = self.root.get("plugins")?.items();
        items.get(self.index(name).ok()?)?.get(key)?.text()
    }

    /// The text with all edits made.
    ///
    /// # Errors
    /// Two edits concern the same bytes.
    pub(crate) fn finish(mut self) -> Result<String, String> {
        // What is put in at a place comes before what is taken out from there.
        self.edits
            .sort_by_key(|edit| (edit.bytes.start, edit.bytes.end));
        let mut result = String::with_capacity(self.lines.0.len());
        let mut at = 0;
        for edit in &self.edits {
            let kept = self.lines.0.get(at..edit.bytes.start);
            result.push_str(kept.ok_or("two edits overlap")?);
            result.push_str(&edit.with);
            at = edit.bytes.end;
        }
        result.push_str(self.lines.0.get(at..).unwrap_or_default());
        Ok(result)
    }

    /// Where an entry stands.
    pub(super) fn entry(&self, name: &str) -> Result<&Node, String> {
        let items = self.root.get("plugins").map(Node::items);
        let entry = items.unwrap_or_default().get(self.index(name)?);
        entry.ok_or_else(|| "there is no such plugin".into())
    }

    pub(super) const fn lines(&self) -> Lines<'a> {
        self.lines
    }

    pub(super) const fn line_end(&self) -> &'static str {
        self.line_end
    }

    /// One more edit.
    pub(super) fn edit(&mut self, bytes: Range<usize>, with: String) {
        self.edits.push(Edit { bytes, with });
    }

    fn index(&self, name: &str) -> Result<usize, String> {
        let found = self.names.get(name).copied();
        found.ok_or_else(|| "there is no such plugin".into())
    }

    /// A list where there is none yet, behind all keys.
    fn add_list(
        &mut self,
        entries: &[Vec<(String, Value)>],
        is_flow: bool,
        joined: &str,
    ) -> Result<(), String> {
        let Kind::Map { pairs, .. } = &self.root.kind else {
            return Err("the whitelist is no map".into());
        };
        let (first, last) = match (pairs.first(), pairs.last()) {
            (Some((first, _)), Some((_, last))) => (first, last),
            _ => return Err("the whitelist is empty".into()),
        };
        let edit = if is_flow {
            self.insertion(last.bytes.end, format!(", plugins: [{joined}]"))
        } else {
            let column = self.lines.column(first.bytes.start)?;
            let end = self.lines.end_with_comments(last.bytes.end, column)?;
            let head = format!("{}{}plugins:", self.line_end, " ".repeat(column));
            let block = self.block(entries, column.saturating_add(2), 2);
            self.insertion(end, format!("{head}{block}"))
        };
        self.edits.push(edit);
        Ok(())
    }

    /// `plugins: []`, `plugins: null` and `plugins:` get a block of entries.
    fn replace_by_block(
        &self,
        key: &Node,
        value: &Node,
        entries: &[Vec<(String, Value)>],
    ) -> Result<Vec<Edit>, String> {
        let old = self.value_bytes(key, value);
        let column = self.lines.column(key.bytes.start)?;
        let line_end = self.lines.line_ending(old.end)?;
        let block = self.block(entries, column.saturating_add(2), 2);
        Ok(vec![
            self.replacement(old, String::new()),
            self.insertion(line_end, block),
        ])
    }

    /// Entries as lines, each after a line end, so that whatever ended the
    /// last line goes on to do so.
    fn block(&self, entries: &[Vec<(String, Value)>], column: usize, gap: usize) -> String {
        let margin = " ".repeat(column);
        let hang = " ".repeat(column.saturating_add(gap));
        let dash = format!("{margin}-{}", " ".repeat(gap.saturating_sub(1)));
        let mut block = String::new();
        for entry in entries {
            for (number, line) in write::lines(entry).iter().enumerate() {
                block.push_str(self.line_end);
                block.push_str(if number == 0 { &dash } else { &hang });
                block.push_str(line);
            }
        }
        block
    }

    fn change(&self, key: &Node, old: &Node, in_flow: bool, value: &Value) -> Result<Edit, String> {
        let Kind::Scalar { style, .. } = &old.kind else {
            return Err("a list or map stands where one value is expected".into());
        };
        if old.is_absent() {
            let at = self.lines.colon(key)?;
            return Ok(self.insertion(at, format!(" {}", one_line(value, in_flow))));
        }
        let with = match (style, value) {
            (ScalarStyle::DoubleQuoted, Value::Text(text)) => write::double_quoted(text),
            (ScalarStyle::SingleQuoted, Value::Text(text)) => {
                write::single_quoted(text).ok_or("single quotes can't hold the value")?
            }
            (ScalarStyle::Literal | ScalarStyle::Folded, _) => {
                return Err(
                    "the value is written as a block; put it on the line of its key".into(),
                );
            }
            _ => one_line(value, in_flow),
        };
        Ok(self.replacement(old.bytes.clone(), with))
    }

    fn new_pair(&self, map: &Node, after: &str, key: &str, value: &Value) -> Result<Edit, String> {
        let (before, found) = map
            .pair(after)
            .ok_or_else(|| format!("the entry has no '{after}'"))?;
        let in_flow = is_flow(map);
        let pair = format!("{key}: {}", one_line(value, in_flow));
        if in_flow {
            return Ok(self.insertion(found.bytes.end, format!(", {pair}")));
        }
        let start = self.lines.line_start(before.bytes.start);
        let indent = self.lines.slice(start..before.bytes.start);
        if !indent.chars().all(|c| matches!(c, ' ' | '-')) {
            return Err(format!("'{after}' does not begin its line"));
        }
        let margin = " ".repeat(indent.len());
        let at = self.lines.line_ending(found.bytes.end)?;
        Ok(self.insertion(at, format!("{}{margin}{pair}", self.line_end)))
    }

    fn insertion(&self, at: usize, with: String) -> Edit {
        Edit {
            bytes: at..at,
            with,
        }
    }

    fn replacement(&self, bytes: Range<usize>, with: String) -> Edit {
        Edit { bytes, with }
    }

    /// A value with the blanks before it.
    fn value_bytes(&self, key: &Node, value: &Node) -> Range<usize> {
        self.lines.colon(key).unwrap_or(value.bytes.start)..value.bytes.end
    }
}

fn is_flow(map: &Node) -> bool {
    matches!(map.kind, Kind::Map { flow: true, .. })
}

fn one_line(value: &Value, in_flow: bool) -> String {
    match value {
        Value::Text(text) if !in_flow => write::plain_digest(text),
        other => write::flow(other),
    }
}
