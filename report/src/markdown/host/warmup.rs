//! Warm-up: its own section, in no measured figure.

use regatta_types::attempt::AttemptReport;
use regatta_types::ids::AttemptNo;
use regatta_types::trace::{Outcome, Phase, RequestTrace};

use crate::analysis::HostAnalysis;
use crate::markdown::format::{fixed, known_count, millis, seconds, tps};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::metrics::{Distribution, completion_tokens};

/// Every settling request with the number of its settling, in order.
fn settling<'a>(host: &HostAnalysis<'a>) -> Vec<(AttemptNo, &'a RequestTrace)> {
    let with_number =
        |report: &'a AttemptReport| report.traces.iter().map(|trace| (report.key.attempt, trace));
    host.settling().into_iter().flat_map(with_number).collect()
}

/// The cold first request against those after it, in one line.
pub(super) fn cold_start(host: &HostAnalysis<'_>) -> Option<Inline> {
    let traces = settling(host);
    let ((_, first), later) = traces.split_first()?;
    let cold = first.ttft()?;
    let rest = Distribution::new(later.iter().filter_map(|(_, t)| t.ttft())).median();
    let rest = rest.map_or_else(String::new, |r| {
        format!(", median of the later warm-up requests {:.1} ms", r * 1e3)
    });
    Some(Inline::own(format!(
        "Cold start: the first request of the run had its first token after {:.1} ms{rest}. It is in no other figure.",
        cold * 1e3
    )))
}

/// Section 3.
pub(super) fn warmup(page: &mut Page, host: &HostAnalysis<'_>) {
    page.section(&"3. Warm-up".into());
    let traces = settling(host);
    if traces.is_empty() {
        page.paragraph(&"No settling requests were recorded.".into());
    } else {
        page.paragraph(
            &"Settling requests before the run (and after a return of the agent), in order. The first one is the cold start."
                .into(),
        );
        let mut table = Table::new([
            "Settling>",
            "Request>",
            "Result",
            "TTFT (ms)>",
            "Decode (tok/s)>",
            "End to end (s)>",
            "Completion tokens>",
        ]);
        for (settling, trace) in traces {
            let result = match &trace.outcome {
                Outcome::Failed(failure) => Inline::text(&failure.to_string()),
                Outcome::Ok | Outcome::Cancelled | Outcome::NotSent => {
                    Inline::own(trace.outcome.status())
                }
            };
            table.row([
                Inline::own(settling.to_string()),
                Inline::own((trace.seq + 1).to_string()),
                result,
                millis(trace.ttft()),
                tps(trace.decode_tps()),
                seconds(trace.e2e()),
                known_count(completion_tokens(trace)),
            ]);
        }
        page.table(&table);
    }
    case_warmup(page, host);
}

/// Warm-up requests of the cases themselves.
fn case_warmup(page: &mut Page, host: &HostAnalysis<'_>) {
    let mut table = Table::new(["Case", "Warm-up requests>", "Ok>", "TTFT, median (ms)>"]);
    for case in &host.cases {
        let traces: Vec<&RequestTrace> = case
            .cells
            .iter()
            .filter_map(|cell| cell.counted())
            .flat_map(|counted| &counted.report.traces)
            .filter(|trace| trace.phase == Phase::Warmup)
            .collect();
        if !traces.is_empty() {
            let ttft = Distribution::new(traces.iter().filter_map(|t| t.ttft()));
            table.row([
                Inline::text(&case.case.title),
                Inline::own(traces.len().to_string()),
                Inline::own(traces.iter().filter(|t| t.is_ok()).count().to_string()),
                fixed(ttft.median().map(|s| s * 1e3), 1),
            ]);
        }
    }
    page.table(&table);
}
