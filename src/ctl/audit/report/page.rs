//! The page as a whole.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use secure_exec_core::escape::Escaped;

use super::parts::{self, Tone};
use super::{chart, plugins, sandboxes};
use crate::audit::chain::{Chain, Verdict};
use crate::audit::stats::Counted;
use crate::audit::tally::{Counts, Tally};
use crate::audit::time::Range;

/// What the page is about.
pub(super) struct Subject<'a> {
    pub(super) counted: &'a Counted,
    pub(super) chain: &'a Chain,
    pub(super) range: Range,
    pub(super) generated: Timestamp,
    /// The page's Content-Security-Policy.
    pub(super) policy: String,
}

/// The page.
pub(super) fn render(of: &Subject<'_>) -> Markup {
    let path = Escaped(&of.counted.shown).to_string();
    let tally = &of.counted.tally;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(of.policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                link rel="icon" href="data:,";
                title { "Audit report: " (path) }
                style { (PreEscaped(super::STYLE)) }
            }
            body {
                (patterns())
                header {
                    h1 { "Audit report" }
                    p class="lead" { span class="code" { (path) } }
                    p class="lead" { (span(of)) " " (verdict(of.chain)) }
                    (tiles(tally))
                }
                main {
                    (chart::section(&tally.timeline.steps()))
                    (violations(tally))
                    (sandboxes::section(tally))
                    (plugins::sections(tally))
                    (log(of))
                }
                footer {
                    p { "Generated " (parts::time(of.generated)) " UTC by secure-execctl " (env!("CARGO_PKG_VERSION")) "." }
                }
            }
        }
    }
}

/// What the fills of the chart refer to.
fn patterns() -> Markup {
    html! {
        svg class="patterns" aria-hidden="true" {
            defs {
                pattern id="hatched" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    rect width="8" height="8" {}
                    path d="M2 0V8" {}
                }
                pattern id="dotted" width="6" height="6" patternUnits="userSpaceOnUse" {
                    rect width="6" height="6" {}
                    circle cx="3" cy="3" r="1.8" {}
                }
            }
        }
    }
}

/// The time that the page is about.
fn span(of: &Subject<'_>) -> Markup {
    let tally = &of.counted.tally;
    html! {
        @match (of.range.since, of.range.until) {
            (None, None) => "All records",
            (Some(since), None) => { "Records from " (parts::time(since)) " UTC on" },
            (None, Some(until)) => { "Records before " (parts::time(until)) " UTC" },
            (Some(since), Some(until)) => { "Records from " (parts::time(since)) " to " (parts::time(until)) " UTC" },
        }
        @if let (Some(first), Some(last)) = (tally.first, tally.last) {
            "; the first is of " (parts::time(first)) ", the last of " (parts::time(last)) " UTC."
        } @else { "; there are none." }
    }
}

fn verdict(chain: &Chain) -> Markup {
    match chain.verdict {
        Verdict::Unknown => parts::mark(Tone::Idle, "chain: not verified"),
        Verdict::Whole => parts::mark(Tone::Good, "chain: whole"),
        Verdict::Broken => parts::mark(Tone::Bad, "chain: broken"),
    }
}

fn tiles(tally: &Tally) -> Markup {
    let launches = &tally.launches;
    let tiles = [
        ("Launches", launches.total(), "decided on"),
        ("Allowed", launches.allowed, "may run"),
        ("Observed", launches.observed, "under audit-only"),
        ("Refused", launches.refused, "did not run"),
        ("Not started", launches.failed, "no program to run"),
        (
            "Weaker sandbox",
            tally.sandboxes.degraded,
            "than the profile asks",
        ),
    ];
    html! {
        dl class="tiles" {
            @for (name, count, note) in tiles {
                div {
                    dt { (name) }
                    dd { (parts::number(count)) div class="note" { (note) } }
                }
            }
        }
    }
}

fn violations(tally: &Tally) -> Markup {
    let mut names = tally.violations();
    names.sort_by_key(|name| std::cmp::Reverse(tally.refusals.of(name)));
    let most = names
        .iter()
        .map(|name| tally.refusals.of(name))
        .max()
        .unwrap_or_default();
    html! {
        section aria-labelledby="violations" {
            h2 id="violations" { "Violations" }
            @if names.is_empty() {
                p { "None in this time." }
            } @else {
                p class="soft" { "Overlooked: the plugin ran in spite of it, under permissive or audit-only." }
                (parts::scrolling("Violations", &html! {
                    table {
                        thead { tr {
                            th scope="col" { "Violation" }
                            th scope="col" class="number" { "Refused" } th scope="col" { "Share" }
                            th scope="col" class="number" { "Overlooked" }
                        } }
                        tbody {
                            @for name in names {
                                tr {
                                    th scope="row" { span class="code" { (name) } }
                                    td class="number" { (parts::number(tally.refusals.of(name))) }
                                    td class="bar" { (parts::meter(tally.refusals.of(name), most, "bad")) }
                                    (parts::count(tally.overlooked.of(name), true))
                                }
                            }
                        }
                    }
                }))
            }
        }
    }
}

fn log(of: &Subject<'_>) -> Markup {
    let Subject { counted, chain, .. } = of;
    let tally = &counted.tally;
    html! {
        section aria-labelledby="log" {
            h2 id="log" { "The log" }
            dl class="facts" {
                dt { "Chain" } dd { (verdict(chain)) " " (chain.said) }
                dt { "Records" } dd { (parts::number(tally.records)) }
                dt { "Lines that are no records" }
                dd {
                    @if counted.unread.count == 0 { "none" }
                    @else { (parts::mark(Tone::Bad, &parts::number(counted.unread.count))) }
                }
                dt { "Files" } dd { (parts::number(counted.files)) ", " (parts::number(counted.bytes)) " bytes" }
                dt { "Rotations" } dd { (parts::number(tally.rotations)) }
                dt { "Repairs" } dd { (repairs(&tally.recoveries)) }
            }
        }
    }
}

fn repairs(recoveries: &Counts) -> Markup {
    html! {
        @if recoveries.total() == 0 { "none" }
        @else {
            @for (cause, count) in recoveries.iter() {
                (parts::mark(Tone::Warn, &format!("{cause}: {}", parts::number(count)))) " "
            }
            "The log was not as its last writer left it; 'secure-execctl audit query --event audit_recovered' lists them."
        }
    }
}
