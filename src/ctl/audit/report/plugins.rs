//! Plugins, and the last launches of each.

use std::rc::Rc;

use maud::{Markup, html};

use super::parts::{self, Tone};
use crate::audit::entry::Control;
use crate::audit::history::{Confined, KEPT, Launched, TROUBLED};
use crate::audit::launches::End;
use crate::audit::tally::{Plugin, Plugins, Tally};

/// Plugins that have a place on the page.
const SHOWN: usize = 100;

type Named<'a> = (&'a Rc<str>, &'a Plugin);

/// The sections.
pub(super) fn sections(tally: &Tally) -> Markup {
    let listed = by_need(&tally.listed);
    let unlisted = by_need(&tally.unlisted);
    html! {
        section aria-labelledby="plugins" {
            h2 id="plugins" { "Plugins" }
            @if listed.is_empty() {
                p { "No plugin of a whitelist was launched in this time." }
            } @else {
                p class="soft" { "Those with refusals stand first." }
                (overview("Plugins", &listed, &tally.listed))
                h3 { "Last launches" }
                p class="soft" {
                    "Of each plugin the last " (KEPT) ", and the last " (TROUBLED)
                    " before these that did not run; newest first. Times are UTC. Controls: ✓ proven by an attempt, – in force, ✕ missing."
                }
                @for plugin in listed.iter().take(SHOWN) { (history(*plugin)) }
            }
        }
        @if !unlisted.is_empty() {
            section aria-labelledby="unlisted" {
                h2 id="unlisted" { "Not in the whitelist" }
                p class="soft" { "What callers asked for and no whitelist lists, or where none could be read; by the name or path that they typed." }
                (overview("Not in the whitelist", &unlisted, &tally.unlisted))
            }
        }
    }
}

/// Those that need attention first, then those that were launched most.
fn by_need(plugins: &Plugins) -> Vec<Named<'_>> {
    let mut all: Vec<Named<'_>> = plugins.by_name.iter().collect();
    all.sort_by_key(|(name, plugin)| {
        let launches = &plugin.launches;
        let trouble = launches.refused.saturating_add(launches.failed);
        (
            std::cmp::Reverse((trouble, launches.total())),
            Rc::clone(name),
        )
    });
    all
}

fn overview(label: &str, shown: &[Named<'_>], plugins: &Plugins) -> Markup {
    let left = shown.len().saturating_sub(SHOWN) as u64;
    let others = plugins.others.total();
    let table = html! {
        table {
            thead { tr {
                th scope="col" { "Plugin" }
                th scope="col" class="number" { "Launches" } th scope="col" class="number" { "Allowed" }
                th scope="col" class="number" { "Observed" } th scope="col" class="number" { "Refused" }
                th scope="col" class="number" { "Not started" } th scope="col" class="number" { "Weaker sandbox" }
                th scope="col" { "Last" }
            } }
            tbody {
                @for (name, plugin) in shown.iter().take(SHOWN) {
                    tr {
                        th scope="row" { (name) }
                        td class="number" { (parts::number(plugin.launches.total())) }
                        (parts::count(plugin.launches.allowed, false))
                        (parts::count(plugin.launches.observed, false))
                        (parts::count(plugin.launches.refused, true))
                        (parts::count(plugin.launches.failed, true))
                        (parts::count(plugin.degraded, true))
                        td class="time" { @if let Some(last) = plugin.last { (parts::time(last)) } }
                    }
                }
            }
        }
    };
    html! {
        (parts::scrolling(label, &table))
        @if left > 0 {
            p class="soft" { (parts::number(left)) " more are left out here; 'secure-execctl audit stats' has them." }
        }
        @if others > 0 {
            p class="soft" {
                "There were too many names to count each for itself; of the rest there were "
                (parts::number(others)) " launches, " (parts::number(plugins.others.refused)) " of them refused."
            }
        }
    }
}

fn history((name, plugin): Named<'_>) -> Markup {
    let total = plugin.launches.total();
    let launches: Vec<&Launched> = plugin.history.newest().collect();
    let left = total.saturating_sub(launches.len() as u64);
    let table = html! {
        table {
            thead { tr {
                th scope="col" { "Time" } th scope="col" { "Result" } th scope="col" { "Why, and how" }
                th scope="col" { "Sandbox" } th scope="col" { "Controls" }
            } }
            tbody { @for launch in launches { (row(launch)) } }
        }
    };
    html! {
        details class="history" {
            summary {
                span class="name" { (name) }
                span class="soft" { (parts::number(total)) @if total == 1 { " launch" } @else { " launches" } }
                @for (end, tone) in [(End::Refused, Tone::Bad), (End::Failed, Tone::Warn)] {
                    @let count = plugin.launches.of(end);
                    @if count > 0 { " " (parts::mark(tone, &format!("{} {}", parts::number(count), end.name()))) }
                }
            }
            (parts::scrolling(&format!("Last launches of {name}"), &table))
            @if left > 0 { p class="soft" { (parts::number(left)) " other launches are left out." } }
        }
    }
}

fn row(launch: &Launched) -> Markup {
    let settings = [&launch.policy, &launch.profile, &launch.image];
    let settings: Vec<&str> = settings
        .iter()
        .map(|text| text.as_str())
        .filter(|text| !text.is_empty())
        .collect();
    html! {
        tr {
            td class="time" { (parts::time(launch.time)) }
            td { (parts::end(launch.end)) }
            td class="wide" {
                @for (what, reason) in &launch.why {
                    div { span class="code" { (what) } @if !reason.is_empty() { ": " (reason) } }
                }
                @if let Some(severity) = &launch.severity { div class="soft" { "severity: " (severity) } }
                div class="soft" { (settings.join(", ")) }
            }
            @if let Some(sandbox) = &launch.sandbox {
                td class="medium" { (strength(sandbox)) }
                td {
                    ul class="controls" {
                        @for (name, control) in &sandbox.controls { @if control.required || control.achieved { li { (proof(name, *control)) } } }
                    }
                }
            } @else {
                td { } td { }
            }
        }
    }
}

fn strength(sandbox: &Confined) -> Markup {
    html! {
        (parts::enforcement(&sandbox.enforcement))
        " "
        @match sandbox.abi {
            Some(abi) => span class="soft" { "Landlock ABI " (abi) },
            None => span class="soft" { "no Landlock" },
        }
        @for missing in &sandbox.missing { div class="soft" { "missing: " (missing) } }
    }
}

/// A control: proven, in force, or neither.
fn proof(name: &str, control: Control) -> Markup {
    let (tone, state) = match (control.achieved, control.proven) {
        (true, true) => (Tone::Good, "proven"),
        (true, false) => (Tone::Idle, "in force"),
        (false, _) => (Tone::Bad, "missing"),
    };
    html! {
        (parts::mark(tone, name)) span class="unseen" { " " (state) }
    }
}
