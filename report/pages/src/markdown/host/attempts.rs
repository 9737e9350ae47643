//! Every attempt, counted or not, and every cell without one.

use std::collections::BTreeMap;

use regatta_types::event::Disposition;
use regatta_types::ids::CellKey;

use super::stability::stability;
use crate::markdown::format::{count, millis, tps};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::report::Report;
use regatta_figures::hosts::{Attempt, CellState, Counted, FailureGroup, HostAnalysis};

/// Section 6 and 7.
pub(super) fn attempts(page: &mut Page, analysis: &Report<'_>, host: &HostAnalysis<'_>) {
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
    let mut attempts: Vec<&Attempt> = host.attempts.iter().collect();
    attempts.sort_by_key(|attempt| attempt.began);
    let cells = host.cells().map(|(case, cell)| ((&case.id, cell.repetition), cell));
    let cells: BTreeMap<_, _> = cells.collect();
    for attempt in attempts {
        let CellKey { case, repetition, .. } = &attempt.cell;
        let cell = cells.get(&(case, *repetition));
        let cell = cell.filter(|_| attempt.disposition == Disposition::Counted);
        let counted = cell.and_then(|cell| cell.counted());
        table.row(row(attempt, counted.filter(|counted| counted.attempt == attempt.attempt)));
    }
    table.dash(&["Validity"], "only counted attempts are judged".into());
    table.dash(
        &["TTFT (ms)", "Decode (tok/s)"],
        "no request succeeded, its stream was buffered, or its answer is too short for it".into(),
    );
    page.table(table);
    stability(page, analysis, host);
    missing(page, host);
    failures(page, host);
}

fn row(attempt: &Attempt, counted: Option<&Counted>) -> [Inline; 11] {
    let cell = &attempt.cell;
    [
        Inline::text(cell.case.as_str()),
        Inline::own(cell.repetition.to_string()),
        Inline::own(attempt.attempt.to_string()),
        Inline::own(attempt.disposition.name()),
        Inline::text(&attempt.outcome.to_string()),
        counted.map_or("-".into(), |c| Inline::own(c.validity().to_string())),
        count(attempt.ok),
        count(attempt.failures),
        count(attempt.truncated),
        millis(attempt.ttft_s),
        tps(attempt.decode_tps),
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
    for (kind, FailureGroup { requests, example, request_id }) in &host.failed {
        table.row([
            Inline::own(kind.name()),
            Inline::own(requests.to_string()),
            Inline::text(&example.message),
            Inline::own(example.http_status.map_or("-".to_owned(), |s| s.to_string())),
            Inline::text(request_id),
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
