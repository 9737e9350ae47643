//! What came before the run and is in no measured figure: warm-up, and what the agent itself adds.

use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::{Distribution, Stamps};
use regatta_types::trace::Outcome;

use crate::markdown::layout::{
    Inline, Page, Table, count, fixed, known, known_count, millis, percentile_ms, seconds, tps,
};
use crate::words::finding::evidence;
use crate::words::numbers::{count_of, if_any};

/// Requests of the engine warm-up that are shown at the beginning and at the end.
const FIRST: usize = 5;
const LAST: usize = 3;

/// The cold first request against those after it, in one line.
pub(super) fn cold_start(host: &HostAnalysis<'_>) -> Option<Inline> {
    let cold = host.cold_start?;
    let rest = cold.later_ttft_s.map_or_else(String::new, |later| {
        format!(", median of the later warm-up requests {} s", seconds(Some(later)))
    });
    let cost = cold.cost_s.map_or_else(String::new, |cost| {
        let longer = format!("{} s longer", seconds(Some(cost)));
        let longer = if cost < 0.005 { "no longer" } else { &longer };
        format!(" In all it took {longer} than an answer of its length does later.")
    });
    Some(Inline::own(format!(
        "Cold start: the first request of the run had its first token after {} s{rest}.{cost} It is in no other figure.",
        seconds(Some(cold.ttft_s))
    )))
}

/// What the agent remarked during the engine warm-up, in one line each.
pub(super) fn remarks(host: &HostAnalysis<'_>) -> impl Iterator<Item = Inline> {
    host.warmup_findings().map(|finding| {
        let (code, said) = (Inline::text(&finding.code), Inline::text(evidence(&finding.evidence)));
        Inline::own(format!(
            "**{code}** before the run: {said}. The first repetitions may not have been warm."
        ))
    })
}

/// Section 3.
pub(super) fn warmup(page: &mut Page, host: &HostAnalysis<'_>) {
    page.section("3. Warm-up");
    let warmups = host.warmups.iter();
    let requests: Vec<_> =
        warmups.flat_map(|one| one.requests.iter().map(|request| (one.attempt, request))).collect();
    if requests.is_empty() {
        page.paragraph("No settling requests were recorded.");
    } else {
        let hidden = requests.len().saturating_sub(FIRST + LAST);
        let shown = if_any(hidden, |n| {
            format!("; {n} between the first {FIRST} and the last {LAST} are not shown")
        });
        page.paragraph(Inline::own(format!(
            "{} before the run (and after a return of the agent), in order{shown}. The first one is the cold start.",
            count_of(requests.len(), "settling request")
        )));
        let is_shown = |index: usize| index < FIRST || index >= FIRST + hidden;
        let shown = requests.into_iter().enumerate().filter(|(index, _)| is_shown(*index));
        Table::of(shown.map(|(_, request)| request))
            .number("Settling", |(warmup, _)| known(Some(warmup)))
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
            .all_absent("the request failed, or its answer is too short for it")
            .add_to(page);
    }
    page.list(remarks(host));
    Table::of(host.cases.iter().filter(|case| case.warmup.requests > 0))
        .text("Case", |case| Inline::text(&case.case.title))
        .number("Warm-up requests", |case| known(Some(case.warmup.requests)))
        .number("Ok", |case| known(Some(case.warmup.ok)))
        .number("TTFT, median (ms)", |case| millis(case.warmup.ttft_s))
        .all_absent("no warm-up request gave a token")
        .add_to(page);
}

/// What the agent itself adds, and how busy it was: the client overhead and the CPU share of the
/// measured attempts.
pub(super) fn client_overhead(page: &mut Page, host: &HostAnalysis<'_>) {
    page.subsection("What the client adds");
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
        page.paragraph("Before the run the agent measured an endpoint in its own process, which answers at once and then sends a token each 20 ms, with as many streams as the suite has at most. What it shows is the client (and that endpoint) on this machine; nothing of it is subtracted from any figure.");
    } else {
        page.paragraph("The client floor was not measured.");
    }
    page.list(overhead_remarks(host));
}

/// What of the overhead weighs beside the host's own figures, and the CPU of the measured attempts.
fn overhead_remarks(host: &HostAnalysis<'_>) -> Vec<Inline> {
    let mut out: Vec<Inline> = Vec::new();
    out.extend(host.notable_overhead().map(|notable| {
        Inline::own(format!(
            "**client_floor**: of the {} of {} ms the client may add {} ms, over 1 %.",
            notable.what,
            fixed(Some(notable.own_s * 1e3), 2),
            fixed(Some(notable.overhead_s * 1e3), 2)
        ))
    }));
    let counted = host.cells().filter_map(|(_, cell)| cell.counted());
    let shares = Distribution::new(counted.filter_map(|c| c.cpu_share));
    if let (Some(median), Some(max)) = (shares.median(), shares.max()) {
        out.push(Inline::own(format!(
            "The measuring thread used {:.1} % of a core in the median attempt, {:.1} % at most.",
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

/// How well the stamps are known.
fn stamps(stamps: &Stamps) -> Vec<Inline> {
    let mut out = vec![match &stamps.read_late {
        Some(late) => Inline::own(format!(
            "Chunks have the kernel's stamps of their arrival. They were read {} ms later at the median, {} ms at p99, {} ms at most; stamped when read, TTFT would be {} ms longer at the median, {} ms at most.",
            ms(Some(late.median_s)),
            ms(Some(late.p99_s)),
            ms(Some(late.max_s)),
            ms(stamps.ttft_by_read_s.median()),
            ms(stamps.ttft_by_read_s.max()),
        )),
        None => "The kernel gave no stamps of arrival: chunks are stamped when they were read, and the client's lateness is in the figures.".into(),
    }];
    if stamps.coalesced > 0 {
        out.push(Inline::own(format!(
            "{} of {} chunks came in one read with others; the time between those is unknown and in no figure.",
            stamps.coalesced, stamps.chunks
        )));
    }
    let widest = ms(stamps.send_uncertainty_s.max());
    out.push(match stamps.unsure_sends {
        0 => Inline::own(format!(
            "Each send instant is known to within {widest} ms and 1 % of its TTFT."
        )),
        unsure => Inline::own(format!(
            "**unsure_sends**: the send instants of {unsure} of {} requests are known only to within more than 1 ms or 1 % of their TTFT ({widest} ms at most).",
            stamps.send_uncertainty_s.n()
        )),
    });
    out
}
