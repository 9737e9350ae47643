//! What changed since an earlier run, as Markdown: the answer first, then what could not be judged, then the tables.

use regatta_figures::compare::{Effect, FULL_REPETITIONS, MIN_REPETITIONS, Verdict};
use regatta_figures::history::{Changes, Estimated};
use regatta_types::ids::RunId;
use regatta_types::margin::percent;
use regatta_types::metric::Metric;

use super::format::{level, signed_percent};
use super::page::Page;
use super::table::Table;
use super::text::Inline;
use crate::words::changes::{Figure, figures, limits, of_figure, sentence, verdict_words};

/// The whole page.
#[must_use]
pub fn change_page(changes: &Changes) -> String {
    let mut page = Page::default();
    let name = |run: &RunId| Inline::text(run.as_str());
    let (before, after) = (name(&changes.before), name(&changes.after));
    page.title(&Inline::own(format!("Regatta comparison: {after} against {before}")));
    found(changes, &mut page, Page::section);
    page.section(&"Method".into());
    method(changes, &mut page);
    page.finish()
}

/// All of it but title and method, with headings of the level that fits the page.
pub(crate) fn found(changes: &Changes, page: &mut Page, heading: fn(&mut Page, &Inline)) {
    let sentences = figures().filter_map(|figure| sentence(changes, figure));
    let sentences: Vec<Inline> = sentences.map(|line| Inline::sentence(&line)).collect();
    if sentences.is_empty() {
        page.paragraph(&"**Nothing could be compared.**".into());
    }
    page.list(sentences);
    let limits = limits(changes);
    if !limits.is_empty() {
        page.paragraph(&"What could not be judged, and what to keep in mind:".into());
        page.list(limits.into_iter().map(|line| Inline::sentence(&line)));
    }
    for figure in figures() {
        table(changes, page, figure, heading);
    }
}

fn table(changes: &Changes, page: &mut Page, figure: Figure, heading: fn(&mut Page, &Inline)) {
    let metric = figure.metric;
    let unit = metric.unit();
    let mut table = Table::new([
        "Host",
        "Cases>",
        "Repetitions>",
        "Before>",
        "After>",
        "Change (%, 95 % CI)>",
        "Verdict",
    ]);
    for (host, change) in of_figure(changes, figure) {
        let mean = |effect: Option<Effect>| level(metric, effect.map(|e| e.mean));
        let verdict = Inline::own(verdict_words(change));
        let is_settled = change.verdict.is_some_and(Verdict::is_settled_difference);
        let repetitions = change.before.zip(change.after);
        table.row([
            Inline::text(host.host.as_str()),
            Inline::own(change.cases.len().to_string()),
            Inline::own(repetitions.map_or("-".to_owned(), |(b, a)| format!("{}; {}", b.n, a.n))),
            mean(change.before),
            mean(change.after),
            Inline::own(change.change.map_or("-".to_owned(), signed)),
            if is_settled { verdict.bold() } else { verdict },
        ]);
    }
    if !table.is_empty() {
        heading(page, &Inline::own(format!("{}, {unit}", figure.heading())));
        table.dash(&[], "not compared, or fewer than two complete repetitions".into());
        page.table(table);
    }
}

/// How changes are judged.
pub(crate) fn method(changes: &Changes, page: &mut Page) {
    let margin = |metric: Metric| {
        format!("{} {} %", metric.label(), percent(metric.margin(&changes.margins)))
    };
    let margins: Vec<String> = Metric::ALL.into_iter().map(margin).collect();
    page.paragraph(&Inline::own(format!(
        "Each host against itself, in the cases that are the same work in both runs: geometric means over the cases, of the repetitions that have all of them (first number: before, second: after). The interval is Welch's t over the repetitions of both runs, 95 %; Holm's correction over the hosts decides. *Slower* and *faster*: corrected p below 0.05 and the estimate at or beyond the margin ({}). *Equivalent*: the 90 % interval lies inside the margin. Fewer than {MIN_REPETITIONS} repetitions on a side give no verdict, fewer than {FULL_REPETITIONS} an *indicative* one.",
        margins.join(", ")
    )));
    page.paragraph(&"The interval holds the scatter between repetitions of a run. What a restart of the engine changes comes on top; the margin is there for it.".into());
}

/// `-5.1 (-5.4 to -4.8)`.
fn signed(change: Estimated) -> String {
    let (low, high) = change.ci95_log;
    let mean = signed_percent(change.mean_log);
    format!("{mean} ({} to {})", signed_percent(low), signed_percent(high))
}
