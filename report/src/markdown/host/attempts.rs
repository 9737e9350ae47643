//! Every attempt, counted or not, and every cell without one.

use regatta_types::failure::FailureKind;
use regatta_types::record::AttemptRecord;
use regatta_types::trace::Outcome;

use super::stability::stability;
use crate::analysis::{CellState, HostAnalysis, measured};
use crate::markdown::format::{count, millis, tps};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::metrics::Figures;

/// Section 6 and 7.
pub(super) fn attempts(page: &mut Page, host: &HostAnalysis<'_>) {
    page.section(&"6. Attempts".into());
    page.paragraph(&"Every attempt that was stored, in order of time.".into());
    if host.attempts.is_empty() {
        page.paragraph(&"None was recorded.".into());
    }
    let mut table = Table::new([
        "Case",
        "Repetition>",
        "Attempt>",
        "Disposition",
        "Outcome",
        "Validity",
        "Ok>",
        "Failed>",
        "Truncated>",
        "TTFT (ms)>",
        "Decode (tok/s)>",
    ]);
    let mut attempts = host.attempts.clone();
    attempts.sort_by_key(|a| a.report.anchor.to_unix(a.report.began));
    for attempt in attempts {
        table.row(row(host, attempt));
    }
    table.dash(&["Validity"], "only counted attempts are judged".into());
    table.dash(
        &["TTFT (ms)", "Decode (tok/s)"],
        "no request succeeded, its stream was buffered, or its answer is too short for it".into(),
    );
    page.table(table);
    stability(page, host);
    missing(page, host);
    failures(page, host);
}

fn row(host: &HostAnalysis<'_>, attempt: &AttemptRecord) -> [Inline; 11] {
    let report = &attempt.report;
    let cell = &report.key.cell;
    let figures = if cell.case.is_settling() {
        Figures::of(&report.traces)
    } else {
        Figures::of(measured(report))
    };
    let counted = host
        .cells()
        .filter_map(|(_, cell)| cell.counted())
        .find(|counted| std::ptr::eq(counted.report, report));
    [
        Inline::text(cell.case.as_str()),
        Inline::own(cell.repetition.to_string()),
        Inline::own(report.key.attempt.to_string()),
        Inline::own(attempt.disposition.name()),
        Inline::text(&report.outcome.to_string()),
        counted.map_or("-".into(), |c| Inline::own(c.validity().to_string())),
        count(figures.requests.ok),
        count(figures.requests.failures()),
        count(figures.requests.truncated),
        millis(figures.ttft_s.median()),
        tps(figures.decode.per_second()),
    ]
}

fn missing(page: &mut Page, host: &HostAnalysis<'_>) {
    let mut table = Table::new(["Case", "Repetition>", "Why there is no counted attempt"]);
    for (case, cell) in host.cells() {
        let why = match &cell.state {
            CellState::Counted(_) | CellState::Skipped(_) => continue,
            CellState::Missing(reason) => Inline::text(&reason.to_string()),
            CellState::Open => "the run did not end".into(),
        };
        table.row([Inline::text(case.id.as_str()), Inline::own(cell.repetition.to_string()), why]);
    }
    if !table.is_empty() {
        page.subsection(&"Missing cells".into());
        page.table(table);
    }
}

/// Failures by kind, with what the other side said last.
fn failures(page: &mut Page, host: &HostAnalysis<'_>) {
    page.section(&"7. Failures".into());
    let mut table = Table::new(["Kind", "Requests>", "For example", "HTTP status>", "Request id"]);
    let traces = || host.attempts.iter().flat_map(|a| a.report.traces.iter().map(move |t| (a, t)));
    for kind in FailureKind::ALL {
        let mut failed = traces().filter_map(|(attempt, trace)| match &trace.outcome {
            Outcome::Failed(failure) if failure.kind == kind => Some((attempt, trace, failure)),
            Outcome::Failed(_) | Outcome::Ok | Outcome::Cancelled | Outcome::NotSent => None,
        });
        let Some((attempt, trace, failure)) = failed.next() else { continue };
        table.row([
            Inline::own(kind.name()),
            Inline::own((1 + failed.count()).to_string()),
            Inline::text(&failure.message),
            Inline::own(failure.http_status.map_or("-".to_owned(), |s| s.to_string())),
            Inline::text(&attempt.report.key.request_id(trace.seq)),
        ]);
    }
    table.dash(&["HTTP status"], "the failure came before a response or after its head".into());
    if table.is_empty() {
        page.paragraph(&"No request failed.".into());
    } else {
        page.paragraph(
            &"Over all attempts, warm-up included. A failed request is in no latency and no speed."
                .into(),
        );
        page.table(table);
    }
}
