//! What is said: text and JSON on standard output, warnings on standard error.
//! Nothing that a file says reaches a terminal as a control character.

use std::io::{IsTerminal as _, Write as _};

use secure_exec::failure::Failure;
use secure_exec_core::escape::{self, Escaped, is_unsafe};
use serde_json::Value;

/// Where answers go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// Answers are JSON.
    pub(crate) json: bool,
    colour: bool,
}

/// How text stands out, where there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Not at all.
    Plain,
    /// A heading.
    Head,
    /// All is well.
    Good,
    /// Something is wrong.
    Bad,
}

impl Screen {
    /// Colours are for terminals, and for those who did not decline them
    /// (no-color.org).
    pub(crate) fn new(json: bool) -> Self {
        let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            json,
            colour: !declined && std::io::stdout().is_terminal(),
        }
    }

    /// Text in a tone.
    pub(crate) fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_string(),
            Tone::Head => "1",
            Tone::Good => "32",
            Tone::Bad => "31",
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }

    /// Prints text, whose parts are safe already.
    pub(crate) fn print(self, text: &str) -> Result<(), Failure> {
        match std::io::stdout().write_all(text.as_bytes()) {
            // The reader has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            printed => printed.map_err(|error| Failure::own(format!("standard output: {error}"))),
        }
    }

    /// Prints a value as JSON.
    pub(crate) fn print_json(self, value: &Value) -> Result<(), Failure> {
        self.print(&format!("{}\n", escape::json(&format!("{value:#}"))))
    }

    /// Says what is good to know, and no fault.
    pub(crate) fn note(self, message: &str) {
        let text = format!("NOTE: {}\n", lines(message));
        let _closed = std::io::stderr().write_all(text.as_bytes());
    }

    /// Says what deserves attention.
    pub(crate) fn warn(self, message: &str) {
        let text = format!("WARNING: {}\n", lines(message));
        let _closed = std::io::stderr().write_all(text.as_bytes());
    }
}

/// Text of several lines, with all other control characters escaped.
pub(crate) fn lines(text: &str) -> String {
    text.chars().fold(String::new(), |mut safe, c| {
        if is_unsafe(c) && !matches!(c, '\n' | '\t') {
            safe.push_str(&Escaped(c.encode_utf8(&mut [0; 4])).to_string());
        } else {
            safe.push(c);
        }
        safe
    })
}
