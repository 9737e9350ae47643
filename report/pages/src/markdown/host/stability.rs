//! How decode speed changed within the attempts.

use super::events::events;
use crate::markdown::format::{NONE, fixed, signed, signed_percent};
use crate::markdown::page::Page;
use crate::markdown::table::{Align, Table};
use crate::markdown::text::Inline;
use crate::report::Report;
use crate::words::absent::why;
use regatta_figures::compare::FEWEST_FOR_QUARTERS;
use regatta_figures::hosts::{CaseAnalysis, Cell, Counted, HostAnalysis};
use regatta_figures::metrics::{Distribution, Drift};

/// One row per case; without any attempt that is long enough a sentence.
pub(super) fn stability(page: &mut Page, analysis: &Report<'_>, host: &HostAnalysis<'_>) {
    let is_measured = host.cells().any(|(_, cell)| cell.counted().is_some());
    // A host that was lost before it measured anything has its events all the same.
    if !is_measured && host.events.events.is_empty() {
        return;
    }
    page.subsection(&"Stability".into());
    if is_measured {
        attempts(page, host);
        repetitions(page, analysis, host);
    }
    events(page, host);
}

/// How decode speed changed within attempts.
fn attempts(page: &mut Page, host: &HostAnalysis<'_>) {
    let counted = |case: &CaseAnalysis<'_>| case.cells.iter().filter_map(|c| c.counted()).count();
    if host.cases.iter().flat_map(drifts).next().is_none() {
        let attempts = host.compared().filter_map(Cell::counted);
        let why =
            attempts.filter_map(|c| c.drift.as_ref().err().map(why)).min().unwrap_or_default();
        page.paragraph(&Inline::own(format!(
            "No attempt is long enough to judge whether its decode speed drifted: {}.",
            Inline::text(&why)
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

/// The first quarter of the run's repetitions against the last.
fn repetitions(page: &mut Page, analysis: &Report<'_>, host: &HostAnalysis<'_>) {
    let Some(class) = analysis.class_of(host.host) else { return };
    let Some(quarters) = class.quarters(host.host) else {
        page.paragraph(&Inline::own(format!(
            "First against last quarter of the run: not judged, as it needs {FEWEST_FOR_QUARTERS} complete repetitions with comparable decode speeds that the others have, too."
        )));
        return;
    };
    let mut table = Table::new(["Quarter of the run", "Repetitions>"]);
    let reference = if quarters.against_others { "the other hosts" } else { "its own mean" };
    table.column(Inline::own(format!("Decode speed against {reference} (%)")), Align::Right);
    table.column("SM clock, mean (MHz)".into(), Align::Right);
    table.column("GPU temperature, mean (°C)".into(), Align::Right);
    for (name, quarter) in [("first", quarters.first), ("last", quarters.last)] {
        let (from, until) = quarter.repetitions;
        table.row([
            name.into(),
            Inline::own(format!("{from}–{until}")),
            Inline::own(signed_percent(quarter.mean_log)),
            fixed(quarter.gpus.clock_sm_mhz(), 0),
            fixed(quarter.gpus.temperature_c(), 1),
        ]);
    }
    table.dash(&["SM clock, mean (MHz)", "GPU temperature, mean (°C)"], "no such reading".into());
    page.table(table);
    let (low, high) = quarters.ci95_log;
    let fading = match (quarters.is_fading, quarters.against_others) {
        (true, true) => " **It is slower only in the last quarter: look at its cooling.**",
        (true, false) => " **It became slower over the run: look at its cooling.**",
        (false, _) => "",
    };
    page.paragraph(&Inline::own(format!(
        "From the first to the last quarter of {} complete repetitions decode speed changed by {} % (95 % CI {} to {}).{fading}",
        quarters.repetitions,
        signed_percent(quarters.change_log),
        signed_percent(low),
        signed_percent(high)
    )));
}

fn drifts<'a>(case: &'a CaseAnalysis<'_>) -> impl Iterator<Item = &'a Drift> {
    let counted = case.cells.iter().filter_map(|cell| cell.counted());
    counted.filter_map(|counted: &Counted| counted.drift.as_ref().ok())
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
