//! Lines of a YAML text, around places in it: indentation, dashes, ends of
//! lines, comments. Every place is a byte offset.

use std::ops::Range;

use super::outline::Node;

/// A text.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a>(pub(super) &'a str);

impl<'a> Lines<'a> {
    pub(super) fn slice(&self, bytes: Range<usize>) -> &'a str {
        self.0.get(bytes).unwrap_or_default()
    }

    /// Behind the colon of a key.
    pub(super) fn colon(&self, key: &Node) -> Result<usize, String> {
        let rest = self.slice(key.bytes.end..self.0.len());
        match rest.find(|c: char| c != ' ') {
            Some(at) if rest.get(at..).is_some_and(|rest| rest.starts_with(':')) => {
                Ok(key.bytes.end.saturating_add(at).saturating_add(1))
            }
            _ => Err("a key is not followed by its colon".into()),
        }
    }

    pub(super) fn line_start(&self, at: usize) -> usize {
        let before = self.slice(0..at);
        before
            .rfind('\n')
            .map_or(0, |found| found.saturating_add(1))
    }

    /// The end of the line before the one that starts at `start`.
    pub(super) fn before_line_end(&self, start: usize) -> usize {
        let before = self.slice(0..start);
        let line = before.strip_suffix('\n').unwrap_or(before);
        line.strip_suffix('\r').unwrap_or(line).len()
    }

    /// The indentation of what begins its line.
    pub(super) fn column(&self, at: usize) -> Result<usize, String> {
        let start = self.line_start(at);
        let indent = self.slice(start..at).trim_start_matches('\u{feff}');
        if indent.chars().all(|c| c == ' ') {
            Ok(indent.len())
        } else {
            Err("a key does not begin its line".into())
        }
    }

    /// The dash of an item: before it on its line, or alone on one above.
    pub(super) fn dash(&self, item: &Node) -> Result<usize, String> {
        let mut start = self.line_start(item.bytes.start);
        let mut line = self.slice(start..item.bytes.start);
        loop {
            let content = line.split('#').next().unwrap_or_default().trim_end();
            if content.trim_start() == "-" {
                return Ok(start.saturating_add(content.len()).saturating_sub(1));
            }
            if !content.is_empty() && !content.chars().all(|c| c == ' ') || start == 0 {
                return Err("the dash of an entry is not where it is expected".into());
            }
            let end = start;
            start = self.line_start(self.before_line_end(end));
            line = self.slice(start..end);
        }
    }

    /// From a dash to the entry behind it.
    pub(super) fn gap(&self, dash: usize, item: &Node) -> usize {
        let between = self.slice(dash..item.bytes.start);
        if between.contains('\n') {
            2
        } else {
            between.len()
        }
    }

    /// The end of the line that `at` is on, where nothing but a comment may
    /// follow.
    pub(super) fn line_ending(&self, at: usize) -> Result<usize, String> {
        let rest = self.slice(at..self.0.len());
        let line = rest.split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let blank = line.trim_start();
        if blank.is_empty() || (blank.starts_with('#') && blank.len() < line.len()) {
            Ok(at.saturating_add(line.len()))
        } else {
            Err("something else follows on the line".into())
        }
    }

    /// The end of the line of `at`, or of the last comment below it that is
    /// indented deeper than `column`: it belongs to what is above.
    pub(super) fn end_with_comments(&self, at: usize, column: usize) -> Result<usize, String> {
        let mut end = self.line_ending(at)?;
        let mut next = end;
        loop {
            let rest = self.slice(next..self.0.len());
            let Some(rest) = rest
                .strip_prefix("\r\n")
                .or_else(|| rest.strip_prefix('\n'))
            else {
                return Ok(end);
            };
            let start = self.0.len().saturating_sub(rest.len());
            let line = rest.split('\n').next().unwrap_or_default();
            let line = line.strip_suffix('\r').unwrap_or(line);
            let content = line.trim_start();
            next = start.saturating_add(line.len());
            let indent = line.len().saturating_sub(content.len());
            if content.starts_with('#') && indent > column {
                end = next;
            } else if !content.is_empty() {
                return Ok(end);
            }
        }
    }

    /// An only member with the comma behind it.
    pub(super) fn with_comma(&self, bytes: &Range<usize>) -> Range<usize> {
        let rest = self.slice(bytes.end..self.0.len());
        let blank = rest.len().saturating_sub(rest.trim_start().len());
        let comma = rest.trim_start().starts_with(',');
        let more = if comma { blank.saturating_add(1) } else { 0 };
        bytes.start..bytes.end.saturating_add(more)
    }
}
