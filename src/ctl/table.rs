//! Tables with aligned columns.

use secure_exec_core::escape::Escaped;

use crate::screen::{Screen, Tone};

/// A table.
pub(crate) struct Table {
    rows: Vec<Vec<(Tone, String)>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(columns: &[&str]) -> Self {
        let head = columns.iter().map(|name| (Tone::Head, (*name).to_string()));
        Self {
            rows: vec![head.collect()],
        }
    }

    /// Adds a row; cells may hold anything.
    pub(crate) fn row<const N: usize>(&mut self, cells: [(Tone, &str); N]) {
        let cells = cells.map(|(tone, text)| (tone, Escaped(text).to_string()));
        self.rows.push(cells.into());
    }

    /// The table as text.
    pub(crate) fn text(&self, screen: Screen) -> String {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            for (column, (_, text)) in row.iter().enumerate() {
                let width = text.chars().count();
                match widths.get_mut(column) {
                    Some(known) => *known = width.max(*known),
                    None => widths.push(width),
                }
            }
        }
        let mut shown = String::new();
        for row in &self.rows {
            let mut pending = 0;
            for ((tone, text), width) in row.iter().zip(&widths) {
                shown.push_str(&" ".repeat(pending));
                shown.push_str(&screen.tone(*tone, text));
                pending = width.saturating_sub(text.chars().count()).saturating_add(2);
            }
            shown.push('\n');
        }
        shown
    }
}
