//! Stability: drift of decode speed within attempts and over the run, and events.

use regatta_figures::compare::FEWEST_FOR_QUARTERS;
use regatta_figures::hosts::{CaseAnalysis, Cell, Happened, HostAnalysis, RestartSign};
use regatta_figures::metrics::{Distribution, Drift, Throttle};
use regatta_figures::utc::utc;

use crate::markdown::layout::{Inline, Page, Table, fixed, known, millis, seconds};
use crate::report::Report;
use crate::words::absent::why;
use crate::words::numbers::{if_any, quantity, signed, signed_percent, signed_range};
use crate::words::reason::at_first;

/// With at least this many requests the slowest ones are listed; with fewer, the attempts suffice.
const ENOUGH: u32 = 10;

/// One row per case, or a sentence if no attempt is long enough.
pub(super) fn stability(page: &mut Page, report: &Report<'_>, host: &HostAnalysis<'_>) {
    let is_measured = host.cells().any(|(_, cell)| cell.counted().is_some());
    // A host that was lost before it measured anything still has events.
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
            "No attempt is long enough to detect a drift of the decode speed: {why}."
        )));
        return;
    }
    let change = |case: &CaseAnalysis<'_>| distribution(case, |drift| drift.change);
    Table::of(&host.cases)
        .text("Case", |case| Inline::text(&case.case.title))
        .number("Attempts tested", |case| {
            let attempts = case.cells.iter().filter_map(|cell| cell.counted()).count();
            Inline::own(format!("{} of {attempts}", drifts(case).count()))
        })
        .number("Change, median (%)", |case| {
            known(change(case).median().map(|share| signed(share, 1)))
        })
        .number("Change, min to max (%)", |case| {
            let ends = change(case).min().zip(change(case).max());
            known(ends.map(|(min, max)| format!("{} to {}", signed(min, 1), signed(max, 1))))
        })
        .number("Slope, median (%/min)", |case| {
            let slope = distribution(case, |drift| drift.slope_per_minute);
            known(slope.median().map(|share| signed(share, 2)))
        })
        .number("Drifting", |case| {
            let drifting = drifts(case).filter(|drift| drift.is_drifting()).count();
            known(drifts(case).next().map(|_| drifting))
        })
        .all_absent("no attempt has enough requests")
        .add_to(page);
    page.paragraph("Decode speed of the last quarter of an attempt compared with the first, and Theil-Sen slope over the whole attempt, in blocks of concurrent requests (at least twelve, without ramp-up and drain). Drifting: a change over 2 % with a 99 % interval of change and slope that excludes 0.");
}

fn drifts<'a>(case: &'a CaseAnalysis<'_>) -> impl Iterator<Item = &'a Drift> {
    case.cells.iter().filter_map(|cell| cell.counted()?.drift.as_ref().ok())
}

/// A share of each tested attempt, in percent.
fn distribution(case: &CaseAnalysis<'_>, share: fn(&Drift) -> f64) -> Distribution {
    Distribution::new(drifts(case).map(|drift| share(drift) * 100.0))
}

/// The first quarter of the run's repetitions compared with the last.
fn repetitions(page: &mut Page, report: &Report<'_>, host: &HostAnalysis<'_>) {
    let Some(class) = report.class_of(host.host) else { return };
    let Some(quarters) = class.quarters(host.host) else {
        page.paragraph(Inline::own(format!(
            "First compared with last quarter of the run: not available, at least {FEWEST_FOR_QUARTERS} complete repetitions shared with the other hosts needed."
        )));
        return;
    };
    let reference = if quarters.against_others { "the other hosts" } else { "its own mean" };
    let speed = Inline::own(format!("Decode speed vs. {reference} (%)"));
    let none = "no reading";
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
        (true, true) => " **Slower only in the last quarter: check the cooling.**",
        (true, false) => " **Slower towards the end of the run: check the cooling.**",
        (false, _) => "",
    };
    page.paragraph(Inline::own(format!(
        "Decode speed changed by {1} % from the first to the last quarter of {0} complete repetitions (95 % CI {2}).{fading}",
        quarters.repetitions,
        signed_percent(quarters.change_log),
        signed_range(quarters.ci95_log)
    )));
}

/// Events of a host and its slowest requests.
fn events(page: &mut Page, host: &HostAnalysis<'_>) {
    if host.events.events.is_empty() {
        page.paragraph(if host.events.restarts_seen {
            "No stall over 1 s, lost connection, engine restart or lost GPU."
        } else {
            "No stall over 1 s, lost connection or lost GPU. An engine restart would not be seen: neither its process nor its counters are known."
        });
    } else {
        Table::of(&host.events.events)
            .text("Time (UTC)", |event| Inline::own(utc(event.at)))
            .text("Event", |event| words(&event.what))
            .add_to(page);
        let more = if_any(host.events.more_stalls, |n| {
            format!(" {} over 1 s omitted.", quantity(n, "shorter stall"))
        });
        page.paragraph(Inline::own(format!(
            "Connection events by the coordinator's clock, others by the host's.{more}"
        )));
    }
    slowest(page, host);
}

fn words(what: &Happened) -> Inline {
    Inline::text(match what {
        Happened::JoinedAgain => "the agent rejoined".to_owned(),
        Happened::Disconnected(reason) => format!("the agent disconnected ({reason})"),
        Happened::Lost(reason) => format!("the agent was lost ({reason})"),
        Happened::EngineChanged(changes) => format!("the engine changed: {}", at_first(changes)),
        Happened::EngineRestarted(RestartSign::Process) => {
            "the engine restarted: a new process began".to_owned()
        }
        Happened::EngineRestarted(RestartSign::Counter) => {
            "the engine restarted: one of its counters went backwards".to_owned()
        }
        Happened::EngineAway { requests } => format!(
            "the engine was away: connections of {} refused or reset, as in a restart",
            quantity(*requests, "request")
        ),
        Happened::GpuEnded(reason) => format!("the telemetry of a GPU ended ({reason})"),
        Happened::Stall { seconds, request_id } => {
            format!("no token for {seconds:.2} s ({})", short(request_id))
        }
    })
}

/// A request id without run and host.
fn short(request_id: &str) -> &str {
    request_id.splitn(3, '/').nth(2).unwrap_or(request_id)
}

fn slowest(page: &mut Page, host: &HostAnalysis<'_>) {
    if host.figures.requests.ok < ENOUGH {
        return;
    }
    let buffered = "the stream was buffered";
    Table::of(&host.slowest)
        .text("Slowest requests", |slow| Inline::text(short(&slow.request_id)))
        .text("Time (UTC)", |slow| Inline::own(utc(slow.at)))
        .number("End to end (s)", |slow| seconds(Some(slow.e2e_s)))
        .number("Times the median of its case", |slow| fixed(Some(slow.of_median), 2))
        .number_or("TTFT (ms)", buffered, |slow| millis(slow.ttft_s))
        .number_or("Longest gap (ms)", buffered, |slow| millis(slow.longest_gap_s))
        .text("Nearest throttling", |slow| known(slow.throttle.map(throttle)))
        .absent("no throttling in the attempt, or no reading")
        .add_to(page);
}

fn throttle(throttle: Throttle) -> String {
    let Throttle { reason, away_s } = throttle;
    match away_s {
        ..0.0 => format!("{reason}, {:.1} s before", -away_s),
        0.0 => format!("{reason}, during the request"),
        _ => format!("{reason}, {away_s:.1} s after"),
    }
}
