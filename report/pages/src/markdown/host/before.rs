//! Before the run, and in no measured figure: engine warm-up and client overhead.

use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::{Distribution, Stamps};
use regatta_types::trace::Outcome;

use crate::markdown::layout::{
    Inline, Page, Table, count, fixed, known, known_count, millis, percentile_ms, seconds, tps,
};
use crate::words::finding::evidence;
use crate::words::numbers::{if_any, quantity};

/// How many of the first and last requests of the engine warm-up are shown.
const FIRST: usize = 5;
const LAST: usize = 3;

/// The cold first request compared with later ones, in one line.
pub(super) fn cold_start(host: &HostAnalysis<'_>) -> Option<Inline> {
    let cold = host.cold_start?;
    let rest = cold.later_ttft_s.map_or_else(String::new, |later| {
        format!(", later warm-up requests {} s (median)", seconds(Some(later)))
    });
    let cost = cold.cost_s.map_or_else(String::new, |cost| {
        let longer = format!("{} s longer", seconds(Some(cost)));
        let longer = if cost < 0.005 { "no longer" } else { &longer };
        format!(" It took {longer} than a later answer of the same length.")
    });
    Some(Inline::own(format!(
        "Cold start: first request TTFT {} s{rest}.{cost} Excluded from all other figures.",
        seconds(Some(cold.ttft_s))
    )))
}

/// The findings of the engine warm-up, in one line each.
pub(super) fn findings(host: &HostAnalysis<'_>) -> impl Iterator<Item = Inline> {
    host.warmup_findings().map(|finding| {
        let (code, said) = (Inline::text(&finding.code), Inline::text(evidence(&finding.evidence)));
        Inline::own(format!(
            "Engine warm-up: {said} (**{code}**). The first repetitions may be affected."
        ))
    })
}

/// The section on the engine warm-up.
pub(super) fn warmup(page: &mut Page, host: &HostAnalysis<'_>) {
    page.section("Engine warm-up");
    let warmups = host.warmups.iter();
    let requests: Vec<_> =
        warmups.flat_map(|one| one.requests.iter().map(|request| (one.attempt, request))).collect();
    if requests.is_empty() {
        page.paragraph("No requests were recorded.");
    } else {
        let hidden = requests.len().saturating_sub(FIRST + LAST);
        let shown = if_any(hidden, |n| {
            format!("; {n} between the first {FIRST} and the last {LAST} omitted")
        });
        page.paragraph(Inline::own(format!(
            "{} before the run (and after a reconnect of the agent), in order{shown}. The first one is the cold start.",
            quantity(requests.len(), "request")
        )));
        let is_shown = |index: usize| index < FIRST || index >= FIRST + hidden;
        let shown = requests.into_iter().enumerate().filter(|(index, _)| is_shown(*index));
        Table::of(shown.map(|(_, request)| request))
            .number("Warm-up", |(warmup, _)| known(Some(warmup)))
            .number("Request", |(_, request)| known(Some(request.seq + 1)))
            .text("Result", |(_, request)| match &request.outcome {
                Outcome::Failed(failure) => Inline::text(failure),
                Outcome::Ok | Outcome::Cancelled | Outcome::NotSent => {
                    Inline::own(request.outcome.status())
                }
            })
            .number("TTFT (ms)", |(_, request)| millis(request.ttft_s))
            .number("Decode (tok/s)", |(_, request)| tps(request.decode_tps))
            .number("End to end (s)", |(_, request)| seconds(request.e2e_s))
            .number("Completion tokens", |(_, request)| known_count(request.completion_tokens))
            .all_absent("the request failed, or the answer is too short")
            .add_to(page);
    }
    page.list(findings(host));
    Table::of(host.cases.iter().filter(|case| case.warmup.requests > 0))
        .text("Case", |case| Inline::text(&case.case.title))
        .number("Warm-up requests", |case| known(Some(case.warmup.requests)))
        .number("OK", |case| known(Some(case.warmup.ok)))
        .number("TTFT, median (ms)", |case| millis(case.warmup.ttft_s))
        .all_absent("no warm-up request returned a token")
        .add_to(page);
}

/// The client overhead, and the agent's CPU share in the measured attempts.
pub(super) fn client_overhead(page: &mut Page, host: &HostAnalysis<'_>) {
    page.subsection("Client overhead");
    if let Some(overhead) = &host.client_overhead {
        Table::of([overhead])
            .number("Streams", |o| count(o.streams))
            .number("Requests", |o| count(o.requests))
            .number("TTFT p50 (ms)", |o| ms(o.ttft_s.median()))
            .number("TTFT p99 (ms)", |o| percentile_ms(o.ttft_s.percentile(0.99)))
            .absent("a p99 needs 368 requests")
            .number("TTFT max (ms)", |o| ms(o.ttft_s.max()))
            .number("Gap error p50 (ms)", |o| ms(o.gap_error_s.p50))
            .number("Gap error p99 (ms)", |o| ms(o.gap_error_s.p99))
            .number("CPU per 1,000 tokens (ms)", |o| ms(o.cpu_s_per_1000_tokens))
            .absent("the agent's CPU time was not measured")
            .add_to(page);
        page.paragraph("Before the run the agent measured a null endpoint in its own process, which answers immediately and then sends a token every 20 ms, at the highest concurrency of the suite. The overhead includes that endpoint and is never subtracted.");
    } else {
        page.paragraph("Not measured.");
    }
    page.list(overhead_findings(host));
}

/// Overhead above 1 % of a figure, and the CPU use in the measured attempts.
fn overhead_findings(host: &HostAnalysis<'_>) -> Vec<Inline> {
    let mut out: Vec<Inline> = Vec::new();
    out.extend(host.notable_overhead().map(|notable| {
        Inline::own(format!(
            "The client overhead of {2} ms is over 1 % of the {0} of {1} ms (**client_floor**).",
            notable.what,
            fixed(Some(notable.own_s * 1e3), 2),
            fixed(Some(notable.overhead_s * 1e3), 2)
        ))
    }));
    let counted = host.cells().filter_map(|(_, cell)| cell.counted());
    let shares = Distribution::new(counted.filter_map(|c| c.cpu_share));
    if let (Some(median), Some(max)) = (shares.median(), shares.max()) {
        out.push(Inline::own(format!(
            "CPU of the measuring thread: {:.1} % of a core in the median attempt, max {:.1} %.",
            median * 100.0,
            max * 100.0
        )));
    }
    if host.has_usable() {
        out.extend(stamps(&host.stamps));
    }
    out
}

/// Seconds as milliseconds, to the microsecond.
fn ms(seconds: Option<f64>) -> Inline {
    fixed(seconds.map(|s| s * 1e3), 3)
}

/// Accuracy of the timestamps.
fn stamps(stamps: &Stamps) -> Vec<Inline> {
    let mut out = vec![match &stamps.read_late {
        Some(late) => Inline::own(format!(
            "Chunks have kernel receive timestamps. They were read later by {} ms (median), {} ms (p99), {} ms (max). With timestamps at the read, TTFT would be longer by {} ms (median), {} ms (max).",
            ms(Some(late.median_s)),
            ms(Some(late.p99_s)),
            ms(Some(late.max_s)),
            ms(stamps.ttft_by_read_s.median()),
            ms(stamps.ttft_by_read_s.max()),
        )),
        None => "No kernel receive timestamps: chunks are timestamped when read, so the figures include the client's delay.".into(),
    }];
    if stamps.coalesced > 0 {
        out.push(Inline::own(format!(
            "{} of {} chunks arrived in one read with others: the gap between them is unknown and excluded.",
            stamps.coalesced, stamps.chunks
        )));
    }
    let widest = ms(stamps.send_uncertainty_s.max());
    out.push(match stamps.unsure_sends {
        0 => Inline::own(format!(
            "Send instants are accurate to within {widest} ms and 1 % of the TTFT."
        )),
        unsure => Inline::own(format!(
            "The send instants of {unsure} of {} requests have an error over 1 ms or 1 % of the TTFT, up to {widest} ms (**unsure_sends**).",
            stamps.send_uncertainty_s.n()
        )),
    });
    out
}
