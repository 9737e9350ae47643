//! Every attempt, and every cell without a counted one.

use itertools::Itertools as _;
use regatta_figures::hosts::{Attempt, CellState, HostAnalysis};
use regatta_types::event::Disposition;

use super::stability::stability;
use crate::markdown::layout::{Inline, Page, Table, count, known, millis, tps};
use crate::report::Report;

/// The sections on attempts and failures.
pub(super) fn attempts(page: &mut Page, report: &Report<'_>, host: &HostAnalysis<'_>) {
    page.section("Attempts");
    page.paragraph("All stored attempts in chronological order.");
    if host.attempts.is_empty() {
        page.paragraph("None.");
    }
    let attempts = host.attempts.iter().sorted_by_key(|attempt| attempt.began);
    let is_warmup = |a: &Attempt| a.disposition == Disposition::EngineWarmup;
    let warmup = || Inline::from("engine warm-up");
    let none = "no request succeeded, the stream was buffered, or the answer is too short";
    Table::of(attempts)
        .text("Case", |a| if is_warmup(a) { warmup() } else { Inline::text(&a.key.cell.case) })
        .number("Repetition", |a| known(Some(a.key.cell.repetition)))
        .number("Attempt", |a| known(Some(a.key.attempt)))
        .text("Disposition", |a| if is_warmup(a) { warmup() } else { a.disposition.name().into() })
        .text("Outcome", |a| Inline::text(&a.outcome))
        .text("Validity", |a| known(a.validity))
        .absent("only counted attempts are validated")
        .number("OK", |a| count(a.requests.ok))
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
        CellState::Open => Some((case, cell.repetition, "the run did not finish".into())),
    });
    let table = Table::of(missing)
        .text("Case", |(case, ..)| Inline::text(&case.id))
        .number("Repetition", |(_, repetition, _)| known(Some(repetition)))
        .text("Reason", |(.., why)| why.clone());
    if !table.is_empty() {
        page.subsection("Missing cells");
        table.add_to(page);
    }
}

/// Failures by kind, with an example of each.
fn failures(page: &mut Page, host: &HostAnalysis<'_>) {
    page.section("Failures");
    if host.failed.is_empty() {
        page.paragraph("No request failed.");
        return;
    }
    page.paragraph(
        "Over all attempts including warm-up. Failed requests are excluded from latencies and speeds.",
    );
    Table::of(&host.failed)
        .text("Kind", |(kind, _)| kind.name().into())
        .number("Requests", |(_, failed)| known(Some(failed.requests)))
        .text("Example", |(_, failed)| Inline::text(&failed.example.message))
        .number("HTTP status", |(_, failed)| known(failed.example.http_status))
        .absent("the request failed before the response or after its header")
        .text("Request id", |(_, failed)| Inline::text(&failed.request_id))
        .add_to(page);
}
