//! Files and command lines that are wrong by accident or on purpose: each is
//! refused with one clear error, in bounded time and memory.

mod command_line;
mod permissions;
mod programs;
mod whitelist;
mod yaml;

use std::path::Path;

use crate::kit::{Launch, Outcome};

/// A minute and a gigabyte: far more than any refusal takes, far less than a
/// bomb would.
const BOUNDS: [&str; 5] = [
    "timeout",
    "--signal=KILL",
    "60",
    "prlimit",
    "--as=1073741824",
];

/// Runs a launch that is to be refused.
#[track_caller]
fn refused(launch: Launch<'_>, status: i32) -> Outcome {
    let outcome = launch.under(BOUNDS).run().refused(status);
    assert_clean(&outcome.stderr);
    assert!(outcome.stderr.starts_with("ERROR: "), "{outcome:#?}");
    outcome
}

/// Nothing that a terminal obeys, and no flood.
#[track_caller]
fn assert_clean(text: &str) {
    assert!(!text.chars().any(obeyed), "{text:?}");
    assert!(text.len() < 4096, "{} bytes: {text:.500}", text.len());
}

/// Characters that change what a terminal shows of the text around them.
fn obeyed(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The error says in which line and column of the file it is.
#[track_caller]
fn place_in(outcome: &Outcome, file: &Path) -> (u32, u32) {
    let start = format!("{}:", file.display());
    let found = outcome.stderr.split(&start).skip(1).find_map(|rest| {
        let (line, rest) = rest.split_once(':')?;
        let (column, _) = rest.split_once(':')?;
        Some((line.parse().ok()?, column.parse().ok()?))
    });
    found.unwrap_or_else(|| panic!("no place in {}: {outcome:#?}", file.display()))
}
