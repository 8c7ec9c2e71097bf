//! How strong the sandboxes were.

use maud::{Markup, html};

use super::parts;
use crate::audit::tally::Tally;

/// The section.
pub(super) fn section(tally: &Tally) -> Markup {
    let of = &tally.sandboxes;
    let rows = [
        ("full", of.full, "good", "all that the profile asks"),
        (
            "partial",
            of.partial,
            "warn",
            "what the kernel can; the rest is missing",
        ),
        (
            "none",
            of.none,
            "bad",
            "nothing: the profile or the policy asks for no sandbox",
        ),
    ];
    html! {
        section aria-labelledby="sandboxes" {
            h2 id="sandboxes" { "Sandboxes" }
            @if of.total() == 0 {
                p { "No sandbox was applied in this time." }
            } @else {
                p class="soft" {
                    "What was really applied, as the launcher recorded it right before exec: "
                    (parts::number(of.total())) " sandboxes, "
                    (parts::number(of.degraded)) " of them weaker than their profile asks."
                }
                (parts::scrolling("Sandboxes by enforcement", &html! {
                    table {
                        thead { tr {
                            th scope="col" { "Enforcement" } th scope="col" class="number" { "Launches" }
                            th scope="col" { "Share" } th scope="col" { "Meaning" }
                        } }
                        tbody {
                            @for (name, count, class, meaning) in rows {
                                tr {
                                    td { (parts::enforcement(name)) }
                                    td class="number" { (parts::number(count)) }
                                    td class="bar" { (parts::meter(count, of.total(), class)) }
                                    td class="soft wide" { (meaning) }
                                }
                            }
                        }
                    }
                }))
                (controls(tally))
                (abis(tally))
            }
        }
    }
}

fn controls(tally: &Tally) -> Markup {
    if tally.controls.is_empty() {
        return html! {};
    }
    let table = html! {
        table {
            thead { tr {
                th scope="col" { "Control" }
                th scope="col" class="number" { "Required" } th scope="col" class="number" { "In force" }
                th scope="col" class="number" { "Proven" } th scope="col" class="number" { "Required, not in force" }
            } }
            tbody {
                @for (name, counts) in &tally.controls {
                    tr {
                        th scope="row" { (name) }
                        td class="number" { (parts::number(counts.required)) }
                        td class="number" { (parts::number(counts.achieved)) }
                        td class="number" { (parts::number(counts.proven)) }
                        (parts::count(counts.lacking, true))
                    }
                }
            }
        }
    };
    html! {
        h3 { "Controls" }
        p class="soft" { "Proven: the launcher tried what must fail, and it failed." }
        (parts::scrolling("Controls", &table))
    }
}

fn abis(tally: &Tally) -> Markup {
    html! {
        h3 { "Landlock" }
        ul class="key" {
            @for (abi, count) in tally.abis.iter() {
                li {
                    @if abi == "none" { (parts::mark(parts::Tone::Bad, "no Landlock")) }
                    @else { (parts::mark(parts::Tone::Idle, &format!("ABI {abi}"))) }
                    " " (parts::number(count))
                }
            }
        }
    }
}
