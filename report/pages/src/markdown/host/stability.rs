//! How decode speed changed within the attempts and over the run, and what happened meanwhile.

use regatta_figures::compare::FEWEST_FOR_QUARTERS;
use regatta_figures::hosts::{CaseAnalysis, Cell, Happened, HostAnalysis};
use regatta_figures::metrics::{Distribution, Drift, Throttle};
use regatta_figures::utc::utc;

use crate::markdown::layout::{Inline, Page, Table, fixed, known, millis, seconds};
use crate::report::Report;
use crate::words::absent::why;
use crate::words::numbers::{count_of, if_any, signed, signed_percent, signed_range};
use crate::words::reason::at_first;

/// From so many requests on the slowest of them are told: of fewer the attempts tell all.
const ENOUGH: u32 = 10;

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
        let why = attempts.filter_map(|c| c.drift.as_ref().err()).map(why).min();
        let why = Inline::text(why.unwrap_or_default());
        page.paragraph(Inline::own(format!(
            "No attempt is long enough to judge whether its decode speed drifted: {why}."
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
    let fading = match (quarters.is_fading, quarters.against_others) {
        (true, true) => " **It is slower only in the last quarter: look at its cooling.**",
        (true, false) => " **It became slower over the run: look at its cooling.**",
        (false, _) => "",
    };
    page.paragraph(Inline::own(format!(
        "From the first to the last quarter of {} complete repetitions decode speed changed by {} % (95 % CI {}).{fading}",
        quarters.repetitions,
        signed_percent(quarters.change_log),
        signed_range(quarters.ci95_log)
    )));
}

/// What happened to a host while it measured, and its slowest requests.
fn events(page: &mut Page, host: &HostAnalysis<'_>) {
    if host.events.events.is_empty() {
        page.paragraph("No answer stood still for over 1 s, and no lost connection, restart of the engine or lost GPU was seen.");
    } else {
        Table::of(&host.events.events)
            .text("Time (UTC)", |event| Inline::own(utc(event.at)))
            .text("Event", |event| words(&event.what))
            .add_to(page);
        let more = if_any(host.events.more_stalls, |n| {
            format!(" {} of over 1 s are left out.", count_of(n, "shorter stall"))
        });
        page.paragraph(Inline::own(format!(
            "Connections by the coordinator's clock, the rest by the host's.{more}"
        )));
    }
    slowest(page, host);
}

fn words(what: &Happened) -> Inline {
    Inline::text(match what {
        Happened::JoinedAgain => "the agent joined again".to_owned(),
        Happened::Disconnected(reason) => format!("the agent was disconnected ({reason})"),
        Happened::Lost(reason) => format!("the agent was lost ({reason})"),
        Happened::EngineChanged(changes) => format!("another engine: {}", at_first(changes)),
        Happened::EngineRestarted => {
            "the engine was restarted: one of its counters ran backwards".to_owned()
        }
        Happened::GpuEnded(reason) => format!("the readings of a GPU ended ({reason})"),
        Happened::Stall { seconds, request_id } => {
            format!("a token came after {seconds:.2} s without one ({})", short(request_id))
        }
    })
}

/// A request's id without run and host, which are those of the page.
fn short(request_id: &str) -> &str {
    request_id.splitn(3, '/').nth(2).unwrap_or(request_id)
}

fn slowest(page: &mut Page, host: &HostAnalysis<'_>) {
    if host.figures.requests.ok < ENOUGH {
        return;
    }
    let buffered = "its stream was buffered";
    Table::of(&host.slowest)
        .text("Slowest requests", |slow| Inline::text(short(&slow.request_id)))
        .text("Time (UTC)", |slow| Inline::own(utc(slow.at)))
        .number("End to end (s)", |slow| seconds(Some(slow.e2e_s)))
        .number("Of its case's median (times)", |slow| fixed(Some(slow.of_median), 2))
        .number_or("TTFT (ms)", buffered, |slow| millis(slow.ttft_s))
        .number_or("Longest gap (ms)", buffered, |slow| millis(slow.longest_gap_s))
        .text("GPU clocks held, nearest to it", |slow| known(slow.throttle.map(throttle)))
        .absent("not held in its attempt, or no such reading")
        .add_to(page);
}

fn throttle(throttle: Throttle) -> String {
    let Throttle { reason, away_s } = throttle;
    match away_s {
        ..0.0 => format!("{reason}, {:.1} s before", -away_s),
        0.0 => format!("{reason}, during it"),
        _ => format!("{reason}, {away_s:.1} s after"),
    }
}
