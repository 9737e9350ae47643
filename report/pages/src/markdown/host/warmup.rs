//! Warm-up: its own section, in no measured figure.

use regatta_types::ids::AttemptNo;
use regatta_types::trace::Outcome;
use regatta_types::validity::Finding;

use crate::markdown::format::{count_of, known_count, millis, seconds, tps};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use regatta_figures::hosts::{EngineWarmup, EngineWarmupRequest, HostAnalysis};

/// Settling requests that are shown at the beginning and at the end.
const FIRST: usize = 5;
const LAST: usize = 3;

/// Every settling request with the number of its settling, in order.
fn settling<'a>(host: &'a HostAnalysis<'_>) -> Vec<(AttemptNo, &'a EngineWarmupRequest)> {
    let with_number =
        |one: &'a EngineWarmup| one.requests.iter().map(|request| (one.attempt, request));
    host.warmups.iter().flat_map(with_number).collect()
}

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

/// What the agent remarked while settling, in one line each.
pub(super) fn unsettled(host: &HostAnalysis<'_>) -> Vec<Inline> {
    let line = |finding: &Finding| {
        Inline::own(format!(
            "**{}** before the run: {}. The first repetitions may not have been warm.",
            Inline::text(finding.code.as_str()),
            Inline::text(&finding.evidence)
        ))
    };
    host.warmup_findings().map(line).collect()
}

/// Section 3.
pub(super) fn warmup(page: &mut Page, host: &HostAnalysis<'_>) {
    page.section(&"3. Warm-up".into());
    let requests = settling(host);
    if requests.is_empty() {
        page.paragraph(&"No settling requests were recorded.".into());
    } else {
        let hidden = requests.len().saturating_sub(FIRST + LAST);
        let shown = match hidden {
            0 => String::new(),
            n => format!("; {n} between the first {FIRST} and the last {LAST} are not shown"),
        };
        page.paragraph(&Inline::own(format!(
            "{} before the run (and after a return of the agent), in order{shown}. The first one is the cold start.",
            count_of(requests.len(), "settling request")
        )));
        let mut table = Table::new([
            "Settling>",
            "Request>",
            "Result",
            "TTFT (ms)>",
            "Decode (tok/s)>",
            "End to end (s)>",
            "Completion tokens>",
        ]);
        for (index, (settling, request)) in requests.iter().enumerate() {
            if index < FIRST || index >= FIRST + hidden {
                table.row(settling_row(*settling, request));
            }
        }
        table.dash(&[], "the request failed, or its answer is too short for it".into());
        page.table(table);
    }
    page.list(unsettled(host));
    case_warmup(page, host);
}

fn settling_row(settling: AttemptNo, request: &EngineWarmupRequest) -> [Inline; 7] {
    let result = match &request.outcome {
        Outcome::Failed(failure) => Inline::text(&failure.to_string()),
        Outcome::Ok | Outcome::Cancelled | Outcome::NotSent => {
            Inline::own(request.outcome.status())
        }
    };
    [
        Inline::own(settling.to_string()),
        Inline::own((request.seq + 1).to_string()),
        result,
        millis(request.ttft_s),
        tps(request.decode_tps),
        seconds(request.e2e_s),
        known_count(request.completion_tokens),
    ]
}

/// Warm-up requests of the cases themselves.
fn case_warmup(page: &mut Page, host: &HostAnalysis<'_>) {
    let mut table = Table::new(["Case", "Warm-up requests>", "Ok>", "TTFT, median (ms)>"]);
    for case in &host.cases {
        let warmup = &case.warmup;
        if warmup.requests > 0 {
            table.row([
                Inline::text(&case.case.title),
                Inline::own(warmup.requests.to_string()),
                Inline::own(warmup.ok.to_string()),
                millis(warmup.ttft_s),
            ]);
        }
    }
    table.dash(&[], "no warm-up request gave a token".into());
    page.table(table);
}
