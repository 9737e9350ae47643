//! How decode speed changed within the attempts.

use crate::words::absent::why;
use std::collections::BTreeSet;

use regatta_figures::compare::FEWEST_FOR_QUARTERS;
use regatta_figures::hosts::{CaseAnalysis, Cell, HostAnalysis};
use regatta_figures::metrics::{Distribution, Drift};

use super::events::events;
use crate::markdown::layout::{Inline, Page, Table, fixed, known};
use crate::report::Report;
use crate::words::numbers::{signed, signed_percent};

/// One row per case; without any attempt that is long enough a sentence.
pub(super) fn stability(page: &mut Page, report: &Report<'_>, host: &HostAnalysis<'_>) {
    let is_measured = host.cells().any(|(_, cell)| cell.counted().is_some());
    // A host that was lost before it measured anything has its events all the same.
    if !is_measured && host.events.events.is_empty() {
        return;
    }
    page.subsection("Stability");
    if is_measured {
        attempts(page, host);
        repetitions(page, report, host);
    }
    events(page, host);
}

/// How decode speed changed within attempts.
fn attempts(page: &mut Page, host: &HostAnalysis<'_>) {
    if host.cases.iter().flat_map(drifts).next().is_none() {
        let attempts = host.compared().filter_map(Cell::counted);
        let why: BTreeSet<String> =
            attempts.filter_map(|c| c.drift.as_ref().err()).map(why).collect();
        let why = why.into_iter().next().unwrap_or_default();
        page.paragraph(Inline::own(format!(
            "No attempt is long enough to judge whether its decode speed drifted: {}.",
            Inline::text(why)
        )));
        return;
    }
    let change = |case: &CaseAnalysis<'_>| distribution(case, |drift| drift.change);
    Table::of(&host.cases)
        .text("Case", |case| Inline::text(&case.case.title))
        .number("Attempts judged", |case| {
            let attempts = case.cells.iter().filter_map(|cell| cell.counted()).count();
            Inline::own(format!("{} of {attempts}", drifts(case).count()))
        })
        .number("Change, median (%)", |case| {
            known(change(case).median().map(|share| signed(share, 1)))
        })
        .number("Change, smallest to largest (%)", |case| {
            let ends = change(case).min().zip(change(case).max());
            known(ends.map(|(min, max)| format!("{} to {}", signed(min, 1), signed(max, 1))))
        })
        .number("Slope, median (% a minute)", |case| {
            let slope = distribution(case, |drift| drift.slope_per_minute);
            known(slope.median().map(|share| signed(share, 2)))
        })
        .number("Drifting", |case| {
            let drifting = drifts(case).filter(|drift| drift.is_drifting()).count();
            known(drifts(case).next().map(|_| drifting))
        })
        .all_absent("no attempt has the requests for it")
        .add_to(page);
    page.paragraph("Decode speed of the last quarter of an attempt against the first, and Theil and Sen's slope over all of it, in blocks of requests that were under way together; at least twelve blocks, start and drain left out. Drifting: a change of over 2 % whose 99 % interval excludes 0, as that of the slope does.");
}

fn drifts<'a>(case: &'a CaseAnalysis<'_>) -> impl Iterator<Item = &'a Drift> {
    case.cells.iter().filter_map(|cell| cell.counted()?.drift.as_ref().ok())
}

/// A share of each judged attempt, in per cent.
fn distribution(case: &CaseAnalysis<'_>, share: fn(&Drift) -> f64) -> Distribution {
    Distribution::new(drifts(case).map(|drift| share(drift) * 100.0))
}

/// The first quarter of the run's repetitions against the last.
fn repetitions(page: &mut Page, report: &Report<'_>, host: &HostAnalysis<'_>) {
    let Some(class) = report.class_of(host.host) else { return };
    let Some(quarters) = class.quarters(host.host) else {
        page.paragraph(Inline::own(format!(
            "First against last quarter of the run: not judged, as it needs {FEWEST_FOR_QUARTERS} complete repetitions with comparable decode speeds that the others have, too."
        )));
        return;
    };
    let reference = if quarters.against_others { "the other hosts" } else { "its own mean" };
    let speed = Inline::own(format!("Decode speed against {reference} (%)"));
    let none = "no such reading";
    Table::of([("first", quarters.first), ("last", quarters.last)])
        .text("Quarter of the run", |(name, _)| (*name).into())
        .number("Repetitions", |(_, quarter)| {
            let (from, until) = quarter.repetitions;
            Inline::own(format!("{from}–{until}"))
        })
        .number(speed, |(_, quarter)| Inline::own(signed_percent(quarter.mean_log)))
        .number("SM clock, mean (MHz)", |(_, quarter)| fixed(quarter.gpus.clock_sm_mhz.value(), 0))
        .absent(none)
        .number_or("GPU temperature, mean (°C)", none, |(_, quarter)| {
            fixed(quarter.gpus.temperature_c.value(), 1)
        })
        .add_to(page);
    let (low, high) = quarters.ci95_log;
    let fading = match (quarters.is_fading, quarters.against_others) {
        (true, true) => " **It is slower only in the last quarter: look at its cooling.**",
        (true, false) => " **It became slower over the run: look at its cooling.**",
        (false, _) => "",
    };
    page.paragraph(Inline::own(format!(
        "From the first to the last quarter of {} complete repetitions decode speed changed by {} % (95 % CI {} to {}).{fading}",
        quarters.repetitions,
        signed_percent(quarters.change_log),
        signed_percent(low),
        signed_percent(high)
    )));
}
