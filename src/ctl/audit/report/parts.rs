//! Small parts of the page. Whatever a log says was escaped for people before
//! (see [`super::super::tally`]); for HTML, `maud` does it here.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::audit::launches::End;

/// How a thing is: shown by a sign and a word, never by colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Warn,
    Idle,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "mark good",
            Self::Bad => "mark bad",
            Self::Warn => "mark warn",
            Self::Idle => "mark idle",
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Bad => "✕",
            Self::Warn => "!",
            Self::Idle => "–",
        }
    }
}

/// A word with its sign.
pub(super) fn mark(tone: Tone, word: &str) -> Markup {
    html! {
        span class=(tone.class()) {
            span aria-hidden="true" { (tone.sign()) " " } (word)
        }
    }
}

/// How a launch ended.
pub(super) fn end(end: End) -> Markup {
    let tone = match end {
        End::Allowed => Tone::Good,
        End::Observed => Tone::Idle,
        End::Refused => Tone::Bad,
        End::Failed => Tone::Warn,
    };
    mark(tone, end.name())
}

/// How much of a profile is enforced.
pub(super) fn enforcement(name: &str) -> Markup {
    let tone = match name {
        "full" => Tone::Good,
        "partial" => Tone::Warn,
        _ => Tone::Bad,
    };
    mark(tone, name)
}

/// A point in time, to the second.
pub(super) fn time(time: Timestamp) -> Markup {
    html! {
        time datetime=(format!("{time:.0}")) { (time.strftime("%Y-%m-%d %H:%M:%S")) }
    }
}

/// A number that people can read.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(place);
        if place > 0 && left % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A cell with a number; of what is wrong, it stands out.
pub(super) fn count(count: u64, is_bad: bool) -> Markup {
    html! {
        td class="number" {
            @if is_bad && count > 0 { span class="bad-text" { (number(count)) } }
            @else { (number(count)) }
        }
    }
}

/// A bar whose filled part is `part` of `whole`. The number stands beside it.
pub(super) fn meter(part: u64, whole: u64, class: &str) -> Markup {
    html! {
        svg class="meter" viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true" {
            rect class="track" width="1000" height="8" {}
            rect class=(format!("fill {class}")) width=(permille(part, whole)) height="8" {}
        }
    }
}

/// Of a thousand. What is there at all can be seen.
fn permille(part: u64, whole: u64) -> u64 {
    let share = u128::from(part)
        .saturating_mul(1000)
        .checked_div(whole.into());
    let share = u64::try_from(share.unwrap_or_default()).unwrap_or(1000);
    share.clamp(if part > 0 { 6 } else { 0 }, 1000)
}

/// A table that scrolls by itself where the screen is too narrow.
pub(super) fn scrolling(label: &str, table: &Markup) -> Markup {
    html! {
        div class="box" tabindex="0" role="region" aria-label=(label) { (table) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(number),
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn a_meter_is_never_over_full() {
        assert_eq!(permille(0, 0), 0);
        assert_eq!(permille(1, 0), 6);
        assert_eq!(permille(1, 1_000_000), 6);
        assert_eq!(permille(1, 2), 500);
        assert_eq!(permille(u64::MAX, u64::MAX), 1000);
        assert_eq!(permille(9, 3), 1000);
    }
}
