//! Launches over time, as bars. Each bar has its numbers as its title, and all
//! of them stand in a table below.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

use super::parts;
use crate::audit::launches::{End, Launches};
use crate::audit::timeline::Steps;

const ENDS: [(End, &str); 4] = [
    (End::Allowed, "allowed"),
    (End::Observed, "observed"),
    (End::Refused, "refused"),
    (End::Failed, "failed"),
];

/// Size of the drawing, in its own units.
const WIDTH: u64 = 900;
const HEIGHT: u64 = 200;

/// The section.
pub(super) fn section(steps: &Steps) -> Markup {
    let most = steps.counts.iter().map(|(_, counts)| counts.total()).max();
    let most = most.unwrap_or_default();
    html! {
        section aria-labelledby="over-time" {
            h2 id="over-time" { "Launches over time" }
            @if let (Some((first, _)), Some((last, _))) = (steps.counts.first(), steps.counts.last()) {
                p class="soft" { "By the time of the decision (UTC); one bar is " (length(steps.seconds)) "." }
                div class="scale" {
                    span { "most: " (parts::number(most)) }
                }
                svg class="chart" viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="group" aria-labelledby="over-time" {
                    @for (place, (start, counts)) in (0_u64..).zip(&steps.counts) {
                        (bar(place, steps, *start, counts, most))
                    }
                }
                div class="scale" {
                    span { (short(*first, steps.seconds)) }
                    span { (short(after(*last, steps.seconds), steps.seconds)) }
                }
                ul class="key" {
                    @for (end, class) in ENDS {
                        li { svg aria-hidden="true" viewBox="0 0 22 17" { rect class=(class) width="22" height="17" {} } (end.name()) }
                    }
                }
                (table(steps))
            } @else {
                p { "No launch was decided on in this time." }
            }
        }
    }
}

fn bar(place: u64, steps: &Steps, start: Timestamp, counts: &Launches, most: u64) -> Markup {
    let slots = (steps.counts.len() as u64).max(12);
    let slot = WIDTH.checked_div(slots).unwrap_or(WIDTH);
    let left = slot.saturating_mul(place);
    let gap = if slot > 24 { 6 } else { 3 };
    let width = slot.saturating_sub(gap).min(56);
    let mut top = HEIGHT;
    let mut parts = Vec::new();
    for (end, class) in ENDS {
        let height = height(counts.of(end), most);
        top = top.saturating_sub(height);
        if height > 0 {
            parts.push((class, top, height));
        }
    }
    html! {
        g class="step" role="img" {
            title { (title(start, steps.seconds, counts)) }
            rect class="ground" x=(left) width=(slot) height=(HEIGHT) {}
            @for (class, top, height) in parts {
                rect class=(class) x=(left) y=(top) width=(width) height=(height) rx="1.5" {}
            }
        }
    }
}

/// What is there at all can be seen.
fn height(count: u64, most: u64) -> u64 {
    if count == 0 {
        return 0;
    }
    let room = u128::from(HEIGHT.saturating_sub(12));
    let height = u128::from(count)
        .saturating_mul(room)
        .checked_div(most.into());
    u64::try_from(height.unwrap_or_default())
        .unwrap_or(HEIGHT)
        .max(3)
}

fn title(start: Timestamp, seconds: i64, counts: &Launches) -> String {
    let numbers = ENDS.iter().filter(|(end, _)| counts.of(*end) > 0);
    let numbers: Vec<String> = numbers
        .map(|(end, _)| format!("{} {}", parts::number(counts.of(*end)), end.name()))
        .collect();
    let numbers = match numbers.is_empty() {
        true => "no launch".into(),
        false => numbers.join(", "),
    };
    format!(
        "{} to {}: {numbers}",
        short(start, seconds),
        short(after(start, seconds), seconds)
    )
}

fn table(steps: &Steps) -> Markup {
    let rows = steps.counts.iter().filter(|(_, counts)| counts.total() > 0);
    let table = html! {
        table {
            thead { tr {
                th scope="col" { "From" }
                @for (end, _) in ENDS { th scope="col" class="number" { (end.name()) } }
            } }
            tbody {
                @for (start, counts) in rows {
                    tr {
                        td class="time" { (short(*start, steps.seconds)) }
                        @for (end, _) in ENDS {
                            (parts::count(counts.of(end), matches!(end, End::Refused | End::Failed)))
                        }
                    }
                }
            }
        }
    };
    html! {
        details {
            summary { "The same as a table" }
            (parts::scrolling("Launches over time, as a table", &table))
        }
    }
}

fn after(start: Timestamp, seconds: i64) -> Timestamp {
    start
        .checked_add(SignedDuration::from_secs(seconds))
        .unwrap_or(Timestamp::MAX)
}

/// No more of a time than a step of that length tells apart.
fn short(time: Timestamp, seconds: i64) -> String {
    let format = if seconds < 86_400 {
        "%Y-%m-%d %H:%M"
    } else {
        "%Y-%m-%d"
    };
    time.strftime(format).to_string()
}

fn length(seconds: i64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    for (length, name) in units {
        if seconds % length == 0 {
            let count = seconds.checked_div(length).unwrap_or_default();
            return match count {
                1 => format!("one {name}"),
                count => format!("{count} {name}s"),
            };
        }
    }
    format!("{seconds} seconds")
}
