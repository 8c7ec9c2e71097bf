//! Text from outside, made safe for a terminal and a log line.

use std::fmt;

/// Shows text with control characters (C0, C1, DEL), bidirectional controls
/// and line separators escaped as `\u{..}`, and cut after
/// [`Escaped::LIMIT`] characters, so that a name can't forge or flood what is
/// printed beside it.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl Escaped<'_> {
    /// Characters shown before the rest is left out.
    pub const LIMIT: usize = 256;
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shown, c) in self.0.chars().enumerate() {
            if shown == Self::LIMIT {
                return write!(f, "… ({} bytes)", self.0.len());
            }
            escaped(f, c)?;
        }
        Ok(())
    }
}

/// As [`Escaped`], but whole: for sentences whose outside parts are cut
/// already.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a>(pub &'a str);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| escaped(f, c))
    }
}

/// As [`Whole`], for a message of several lines: line feeds stay, since the
/// message was laid out with them.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'a>(pub &'a str);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0.chars().try_for_each(|c| match c {
            '\n' => f.write_char(c),
            c => escaped(f, c),
        })
    }
}

/// JSON whose strings have every unsafe character escaped: JSON itself demands
/// that of C0 controls alone. Line feeds between values stay.
#[must_use]
pub fn json(serialised: &str) -> String {
    use fmt::Write as _;
    if !serialised.chars().any(|c| is_unsafe(c) && c != '\n') {
        return serialised.to_string();
    }
    serialised.chars().fold(String::new(), |mut text, c| {
        if is_unsafe(c) && c != '\n' {
            // Writing into a string has no way to fail.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
        text
    })
}

fn escaped(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    use fmt::Write as _;
    if is_unsafe(c) {
        write!(f, "\\u{{{:x}}}", u32::from(c))
    } else {
        f.write_char(c)
    }
}

/// Whether a character could change how the text around it is shown.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{feff}'
        )
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_escaped() {
        assert_eq!(
            Escaped("a\x1b[2Jb\u{202e}").to_string(),
            "a\\u{1b}[2Jb\\u{202e}"
        );
    }

    #[test]
    fn a_message_keeps_its_lines() {
        assert_eq!(Lines("a\nb\x1b[2J").to_string(), "a\nb\\u{1b}[2J");
    }

    #[test]
    fn a_sentence_is_not_cut() {
        let long = "x".repeat(1000);
        assert_eq!(
            Whole(&format!("{long}\n")).to_string(),
            format!("{long}\\u{{a}}")
        );
    }

    #[test]
    fn json_stays_json_and_means_the_same() {
        let text = "a\u{202e}\u{9b}\x7f\n\u{feff}\\u{e9}";
        let line = json(&serde_json::json!({ text: text }).to_string());
        assert!(line.is_ascii());
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value[text], text);
    }

    #[test]
    fn long_text_is_cut() {
        let shown = Escaped(&"x".repeat(1 << 20)).to_string();
        assert!(shown.len() < 300);
        assert!(shown.ends_with("(1048576 bytes)"));
    }
}
