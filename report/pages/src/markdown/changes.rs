//! Changes since an earlier run as Markdown: summary, caveats, tables.

use itertools::Itertools as _;
use regatta_figures::compare::{Effect, FULL_REPETITIONS, MIN_REPETITIONS};
use regatta_figures::history::{Changes, Estimated};

use super::layout::{Inline, Page, Table, known, level};
use crate::words::changes::{Figure, figures, limits, of_figure, sentence, verdict};
use crate::words::numbers::{margins, signed_percent, signed_range};

/// The whole page.
#[must_use]
pub fn change_page(changes: &Changes) -> String {
    let mut page = Page::default();
    let (before, after) = (Inline::text(&changes.before), Inline::text(&changes.after));
    page.title(Inline::own(format!("Regatta comparison: {after} vs. {before}")));
    found(changes, &mut page, Page::section);
    page.section("Method");
    method(changes, &mut page);
    page.codes();
    page.finish()
}

/// All of it but title and method, with headings of the level that fits the page.
pub(crate) fn found(changes: &Changes, page: &mut Page, heading: fn(&mut Page, Inline)) {
    let sentences = figures().filter_map(|figure| sentence(changes, figure)).collect_vec();
    if sentences.is_empty() {
        page.paragraph("**No host can be compared.**");
    }
    page.sentences(sentences);
    let caveats = limits(changes);
    if !caveats.is_empty() {
        heading(page, "Caveats".into());
        page.sentences(caveats);
    }
    for figure in figures() {
        table(changes, page, figure, heading);
    }
}

fn table(changes: &Changes, page: &mut Page, figure: Figure, heading: fn(&mut Page, Inline)) {
    let metric = figure.metric;
    let mean = |effect: Option<Effect>| level(metric, effect.map(|e| e.mean));
    let table = Table::of(of_figure(changes, figure))
        .text("Host", |(host, _)| Inline::text(&host.host))
        .number("Cases", |(_, change)| known(Some(change.cases.len())))
        .number("Repetitions", |(_, change)| {
            let both = change.before.zip(change.after);
            known(both.map(|(before, after)| format!("{}; {}", before.n, after.n)))
        })
        .number("Before", |(_, change)| mean(change.before))
        .number("After", |(_, change)| mean(change.after))
        .number("Change (%, 95 % CI)", |(_, change)| known(change.change.map(signed)))
        .text("Verdict", |(_, change)| {
            Inline::own(verdict(change)).bold_if(change.verdict.is_difference())
        })
        .all_absent("not compared, or fewer than two complete repetitions");
    if !table.is_empty() {
        heading(page, Inline::own(format!("{}, {}", figure.heading(), metric.unit())));
        table.add_to(page);
    }
}

/// The method of the comparison.
pub(crate) fn method(changes: &Changes, page: &mut Page) {
    page.paragraph(Inline::own(format!(
        "Each host against itself, in the cases with the same work in both runs: geometric means over the cases, of the repetitions that have all of them (before; after). Interval: Welch's t over the repetitions of both runs, 95 %. *Slower* and *faster*: p < 0.05 after Holm's correction over the hosts, and an estimate at or beyond the margin ({}). *Equivalent*: the 90 % interval lies inside the margin. Fewer than {MIN_REPETITIONS} repetitions in either run give no verdict, fewer than {FULL_REPETITIONS} an *indicative* one.",
        margins(&changes.margins)
    )));
    page.paragraph("The interval covers the scatter between repetitions of a run, but not the effect of an engine restart; the margin allows for that.");
}

/// `-5.1 (-5.4 to -4.8)`.
fn signed(change: Estimated) -> String {
    format!("{} ({})", signed_percent(change.mean_log), signed_range(change.ci95_log))
}
