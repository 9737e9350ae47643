//! How decode speed changed within the attempts.

use std::collections::BTreeSet;

use crate::analysis::{CaseAnalysis, Counted, HostAnalysis};
use crate::markdown::format::{NONE, signed};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::metrics::{Distribution, Drift};

/// One row per case; without any attempt that is long enough a sentence.
pub(super) fn stability(page: &mut Page, host: &HostAnalysis<'_>) {
    let counted = |case: &CaseAnalysis<'_>| case.cells.iter().filter_map(|c| c.counted()).count();
    if host.cases.iter().all(|case| counted(case) == 0) {
        return;
    }
    page.subsection(&"Stability".into());
    if host.cases.iter().flat_map(drifts).next().is_none() {
        let attempts = host.cells().filter_map(|(_, cell)| cell.counted());
        let why: BTreeSet<&str> = attempts.filter_map(|c| c.drift.reason()).collect();
        let why = why.into_iter().next().unwrap_or_default();
        page.paragraph(&Inline::own(format!(
            "No attempt is long enough to judge whether its decode speed drifted: {}.",
            Inline::text(why)
        )));
        return;
    }
    let mut table = Table::new([
        "Case",
        "Attempts judged>",
        "Change, median (%)>",
        "Change, smallest to largest (%)>",
        "Slope, median (% a minute)>",
        "Drifting>",
    ]);
    for case in &host.cases {
        table.row(row(case, counted(case)));
    }
    table.dash(&[], "no attempt has the requests for it".into());
    page.table(table);
    page.paragraph(&"Decode speed of the last quarter of an attempt against the first, and Theil and Sen's slope over all of it, in blocks of requests that were under way together; at least twelve blocks, start and drain left out. Drifting: a change of over 2 % whose 99 % interval excludes 0, as that of the slope does.".into());
}

fn drifts<'a>(case: &'a CaseAnalysis<'_>) -> impl Iterator<Item = &'a Drift> {
    let counted = case.cells.iter().filter_map(|cell| cell.counted());
    counted.filter_map(|counted: &Counted| counted.drift.known())
}

fn row(case: &CaseAnalysis<'_>, attempts: usize) -> [Inline; 6] {
    let of = |value: fn(&Drift) -> f64| Distribution::new(drifts(case).map(|d| value(d) * 100.0));
    let (change, slope) = (of(|d| d.change), of(|d| d.slope_per_minute));
    let or_none = |text: Option<String>| Inline::own(text.unwrap_or_else(|| NONE.to_owned()));
    let ends = change.min().zip(change.max());
    let range = ends.map(|(min, max)| format!("{} to {}", signed(min, 1), signed(max, 1)));
    let drifting = drifts(case).filter(|d| d.is_drifting()).count();
    [
        Inline::text(&case.case.title),
        Inline::own(format!("{} of {attempts}", change.n())),
        or_none(change.median().map(|share| signed(share, 1))),
        or_none(range),
        or_none(slope.median().map(|share| signed(share, 2))),
        or_none((change.n() > 0).then(|| drifting.to_string())),
    ]
}
