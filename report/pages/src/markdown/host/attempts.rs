//! Every attempt, counted or not, and every cell without one.

use std::collections::BTreeMap;

use itertools::Itertools as _;
use regatta_figures::hosts::{Attempt, CellState, HostAnalysis};
use regatta_types::event::Disposition;
use regatta_types::ids::CellKey;

use super::stability::stability;
use crate::markdown::layout::{Inline, Page, Table, count, known, millis, tps};
use crate::report::Report;

/// Section 6 and 7.
pub(super) fn attempts(page: &mut Page, report: &Report<'_>, host: &HostAnalysis<'_>) {
    page.section("6. Attempts");
    page.paragraph("Every attempt that was stored, in order of time.");
    if host.attempts.is_empty() {
        page.paragraph("None was recorded.");
    }
    let attempts = host.attempts.iter().sorted_by_key(|attempt| attempt.began);
    let cells = host.cells().map(|(case, cell)| ((&case.id, cell.repetition), cell));
    let cells: BTreeMap<_, _> = cells.collect();
    let validity = |attempt: &Attempt| {
        let CellKey { case, repetition, .. } = &attempt.key.cell;
        let counted = cells.get(&(case, *repetition))?.counted()?;
        let is_counted =
            attempt.disposition == Disposition::Counted && counted.attempt == attempt.key.attempt;
        is_counted.then(|| counted.validity())
    };
    let none = "no request succeeded, its stream was buffered, or its answer is too short for it";
    Table::of(attempts)
        .text("Case", |a| Inline::text(&a.key.cell.case))
        .number("Repetition", |a| known(Some(a.key.cell.repetition)))
        .number("Attempt", |a| known(Some(a.key.attempt)))
        .text("Disposition", |a| a.disposition.name().into())
        .text("Outcome", |a| Inline::text(&a.outcome))
        .text("Validity", |a| known(validity(a)))
        .absent("only counted attempts are judged")
        .number("Ok", |a| count(a.requests.ok))
        .number("Failed", |a| count(a.requests.failures()))
        .number("Truncated", |a| count(a.requests.truncated))
        .number_or("TTFT (ms)", none, |a| millis(a.ttft_s))
        .number_or("Decode (tok/s)", none, |a| tps(a.decode_tps))
        .add_to(page);
    stability(page, report, host);
    missing(page, host);
    failures(page, host);
}

fn missing(page: &mut Page, host: &HostAnalysis<'_>) {
    let missing = host.cells().filter_map(|(case, cell)| match &cell.state {
        CellState::Counted(_) | CellState::Skipped(_) => None,
        CellState::Missing(reason) => Some((case, cell.repetition, Inline::text(reason))),
        CellState::Open => Some((case, cell.repetition, "the run did not end".into())),
    });
    let table = Table::of(missing)
        .text("Case", |(case, ..)| Inline::text(&case.id))
        .number("Repetition", |(_, repetition, _)| known(Some(repetition)))
        .text("Why there is no counted attempt", |(.., why)| why.clone());
    if !table.is_empty() {
        page.subsection("Missing cells");
        table.add_to(page);
    }
}

/// Failures by kind, with what the other side said last.
fn failures(page: &mut Page, host: &HostAnalysis<'_>) {
    page.section("7. Failures");
    if host.failed.is_empty() {
        page.paragraph("No request failed.");
        return;
    }
    page.paragraph(
        "Over all attempts, warm-up included. A failed request is in no latency and no speed.",
    );
    Table::of(&host.failed)
        .text("Kind", |(kind, _)| kind.name().into())
        .number("Requests", |(_, failed)| known(Some(failed.requests)))
        .text("For example", |(_, failed)| Inline::text(&failed.example.message))
        .number("HTTP status", |(_, failed)| known(failed.example.http_status))
        .absent("the failure came before a response or after its head")
        .text("Request id", |(_, failed)| Inline::text(&failed.request_id))
        .add_to(page);
}
