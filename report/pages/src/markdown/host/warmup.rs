//! Warm-up: its own section, in no measured figure.

use crate::words::finding::evidence;
use regatta_figures::hosts::HostAnalysis;
use regatta_types::trace::Outcome;

use crate::markdown::layout::{Inline, Page, Table, known, known_count, millis, seconds, tps};
use crate::words::numbers::count_of;

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
        let longer = if cost < 0.005 {
            "no longer".to_owned()
        } else {
            format!("{} s longer", seconds(Some(cost)))
        };
        format!(" In all it took {longer} than an answer of its length does later.")
    });
    Some(Inline::own(format!(
        "Cold start: the first request of the run had its first token after {} s{rest}.{cost} It is in no other figure.",
        seconds(Some(cold.ttft_s))
    )))
}

/// What the agent remarked during the engine warm-up, in one line each.
pub(super) fn remarks(host: &HostAnalysis<'_>) -> Vec<Inline> {
    let findings = host.warmup_findings().map(|finding| {
        let (code, said) = (Inline::text(&finding.code), Inline::text(evidence(&finding.evidence)));
        Inline::own(format!(
            "**{code}** before the run: {said}. The first repetitions may not have been warm."
        ))
    });
    findings.collect()
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
        let shown = match hidden {
            0 => String::new(),
            n => format!("; {n} between the first {FIRST} and the last {LAST} are not shown"),
        };
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
