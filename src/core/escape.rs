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
        use fmt::Write;
        for (shown, c) in self.0.chars().enumerate() {
            if shown == Self::LIMIT {
                return write!(f, "… ({} bytes)", self.0.len());
            }
            if is_unsafe(c) {
                write!(f, "\\u{{{:x}}}", u32::from(c))?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// The same for a message of several lines, whole: line feeds stay, since the
/// message was laid out with them.
#[derive(Clone, Copy, Debug)]
pub struct EscapedLines<'a>(pub &'a str);

impl fmt::Display for EscapedLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        self.0.chars().try_for_each(|c| match c {
            '\n' => f.write_char(c),
            c if is_unsafe(c) => write!(f, "\\u{{{:x}}}", u32::from(c)),
            c => f.write_char(c),
        })
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
        assert_eq!(EscapedLines("a\nb\x1b[2J").to_string(), "a\nb\\u{1b}[2J");
    }

    #[test]
    fn long_text_is_cut() {
        let shown = Escaped(&"x".repeat(1 << 20)).to_string();
        assert!(shown.len() < 300);
        assert!(shown.ends_with("(1048576 bytes)"));
    }
}
