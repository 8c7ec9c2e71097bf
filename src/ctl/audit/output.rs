//! Records as they are printed, one by one: as rows of a table that fits the
//! terminal, or as JSON lines.

use std::io::{BufWriter, IsTerminal as _, StdoutLock, Write as _};
use std::ops::ControlFlow;

use secure_exec::failure::Failure;
use secure_exec_core::audit::chain::Format;
use secure_exec_core::audit::line;
use secure_exec_core::escape::{self, Escaped, is_unsafe};
use serde_json::Value;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::Flow;
use super::entry::Entry;
use crate::screen::{Screen, Tone};

const TITLES: [&str; 6] = ["TIME", "EVENT", "PLUGIN", "RESULT", "VIOLATION", "REASON"];

/// A terminal that is narrower shows times without year and zone.
const NARROW: usize = 110;

/// Prints records.
pub(crate) struct Printer {
    screen: Screen,
    out: BufWriter<StdoutLock<'static>>,
    /// Columns of the terminal; without one, nothing is cut.
    width: Option<usize>,
    has_titles: bool,
}

impl Printer {
    /// A printer on standard output.
    pub(crate) fn new(screen: Screen) -> Self {
        let stdout = std::io::stdout();
        let size = terminal_size::terminal_size_of(&stdout).filter(|_| stdout.is_terminal());
        Self {
            screen,
            out: BufWriter::new(stdout.lock()),
            // A terminal that does not know its size says 0.
            width: size
                .map(|(width, _)| usize::from(width.0))
                .filter(|width| *width > 0),
            has_titles: false,
        }
    }

    /// Where warnings go.
    pub(crate) const fn screen(&self) -> Screen {
        self.screen
    }

    /// Prints a record, read from that line. `Break`: nobody reads on.
    pub(crate) fn record(&mut self, line: &[u8], entry: &Entry) -> Flow {
        let text = if self.screen.json {
            json(line)
        } else {
            self.row(entry)
        };
        written(self.out.write_all(text.as_bytes()))
    }

    /// Hands over all that was printed. `Break`: nobody reads on.
    pub(crate) fn flush(&mut self) -> Flow {
        written(self.out.flush())
    }

    fn row(&mut self, entry: &Entry) -> String {
        let widths = widths(self.width);
        let is_narrow = self.width.is_some_and(|width| width < NARROW);
        let time = match is_narrow {
            true => entry.time.strftime("%m-%d %H:%M:%S").to_string(),
            false => format!("{:.0}", entry.time),
        };
        let (result, reason) = (entry.result.as_deref().unwrap_or_default(), entry.reason());
        let tone = match result {
            "blocked" => Tone::Bad,
            "allowed" => Tone::Good,
            _ => Tone::Plain,
        };
        let cells = [
            (Tone::Plain, time.as_str()),
            (Tone::Plain, &entry.event_type),
            (
                Tone::Plain,
                entry.plugin_name.as_deref().unwrap_or_default(),
            ),
            (tone, result),
            (
                Tone::Plain,
                entry.violation_type.as_deref().unwrap_or_default(),
            ),
            (Tone::Plain, &reason),
        ];
        let mut text = String::new();
        if !self.has_titles {
            self.has_titles = true;
            let titles = TITLES.map(|title| (Tone::Head, title));
            text += &laid_out(titles, widths, self.width, self.screen);
        }
        text + &laid_out(cells, widths, self.width, self.screen)
    }
}

fn written(result: std::io::Result<()>) -> Flow {
    match result {
        Ok(()) => Ok(ControlFlow::Continue(())),
        // The reader has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        Err(error) => Err(Failure::own(format!("standard output: {error}"))),
    }
}

/// Widths of all columns but the last, which has the rest.
const fn widths(terminal: Option<usize>) -> [usize; 5] {
    match terminal {
        Some(width) if width < NARROW => [14, 25, 12, 8, 22],
        _ => [20, 25, 20, 8, 22],
    }
}

/// A row. On a terminal a cell is cut to its column and the row to the screen.
fn laid_out(
    cells: [(Tone, &str); 6],
    widths: [usize; 5],
    terminal: Option<usize>,
    screen: Screen,
) -> String {
    let mut row = String::new();
    let mut used = 0_usize;
    let mut pending = 0;
    for (column, (tone, text)) in cells.into_iter().enumerate() {
        let text = Escaped(text).to_string();
        let width = widths.get(column).copied();
        let start = used.saturating_add(pending);
        let shown = match terminal {
            None => text,
            Some(terminal) => {
                let room = terminal.saturating_sub(start);
                cut(&text, width.unwrap_or(room).min(room))
            }
        };
        let taken = shown.width();
        if taken > 0 {
            row.push_str(&" ".repeat(pending));
            row.push_str(&screen.tone(tone, &shown));
            used = start.saturating_add(taken);
            pending = 0;
        }
        let rest = width.unwrap_or_default().saturating_sub(taken);
        pending = pending.saturating_add(rest).saturating_add(2);
    }
    row.push('\n');
    row
}

/// As much of a text as fits, with a sign that there is more.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_string();
    }
    let mut room = width.saturating_sub(1);
    let fits = |c: &char| {
        let wide = c.width().unwrap_or_default();
        let fits = wide <= room;
        room = room.saturating_sub(wide);
        fits
    };
    let mut shown: String = text.chars().take_while(fits).collect();
    if width > 0 {
        shown.push('…');
    }
    shown
}

/// A record as a JSON line: as it stands, where it stands so; its hash is of
/// these bytes.
fn json(line: &[u8]) -> String {
    if let (Format::Json, Ok(text)) = (Format::of(line), std::str::from_utf8(line)) {
        let text = text.trim_end_matches('\n');
        if !text.contains(is_unsafe) {
            return format!("{text}\n");
        }
    }
    let fields = line::fields(line).unwrap_or_default();
    format!("{}\n", escape::json(&Value::Object(fields).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CELLS: [(Tone, &str); 6] = [
        (Tone::Plain, "2026-11-24T10:00:00Z"),
        (Tone::Plain, "security_violation"),
        (Tone::Plain, "平仮名平仮名平仮名平仮名"),
        (Tone::Bad, "blocked"),
        (Tone::Plain, "hash_mismatch"),
        (
            Tone::Plain,
            "the plugin's bytes are not the whitelisted ones",
        ),
    ];

    #[test]
    fn a_row_is_no_wider_than_the_terminal() {
        for terminal in 1..220 {
            let row = laid_out(
                CELLS,
                widths(Some(terminal)),
                Some(terminal),
                Screen::new(false),
            );
            assert!(row.trim_end().width() <= terminal, "{terminal}: {row}");
        }
        let row = laid_out(CELLS, widths(None), None, Screen::new(false));
        assert!(CELLS.iter().all(|(_, text)| row.contains(text)), "{row}");
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("平仮名", 4), "平…");
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn a_json_line_is_the_logs_unless_it_is_unsafe() {
        let line = "{\"b\":1,  \"a\":\"x\"}\n";
        assert_eq!(json(line.as_bytes()), line);
        let unsafe_line = "{\"b\":\"\u{202e}\",\t\"a\":\"\u{9b}\"}\n";
        assert_eq!(
            json(unsafe_line.as_bytes()),
            "{\"a\":\"\\u009b\",\"b\":\"\\u202e\"}\n"
        );
        assert_eq!(json(b"b=1 a=\"x y\"\n"), "{\"a\":\"x y\",\"b\":1}\n");
    }
}
