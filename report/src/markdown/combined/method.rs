//! How it was measured and judged, and how to do it again.

use regatta_types::record::RunRecord;

use crate::analysis::Analysis;
use crate::compare::{FULL_REPETITIONS, MIN_REPETITIONS, Metric};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::metrics::METRICS_SCHEMA;

/// Section 9.
pub(super) fn method(page: &mut Page, analysis: &Analysis<'_>) {
    let header = &analysis.record.header;
    page.section(&"9. Method".into());
    let repetitions = header.suite.cases.iter().map(|c| c.repetitions).max().unwrap_or(0);
    let percent = |metric: Metric| format!("{:.0} %", metric.margin() * 100.0);
    page.list([
        Inline::own(format!(
            "Every case runs on every host, {repetitions} times; the order of the cases changes from repetition to repetition and is the same on all hosts (seed {}).",
            header.seed
        )),
        Inline::own("The unit is one number for each host, case and repetition, as a logarithm: speeds as a ratio of sums over the requests that succeeded, times as their median. A host's value in a repetition is the mean over the cases, only if all of them are there."),
        Inline::own(format!(
            "Intervals are Student's t over repetitions, 95 %. Holm's correction over the hosts decides. *Slower* and *faster*: corrected p below 0.05 and the estimate at or beyond the margin. *Equivalent*: the 90 % interval lies inside the margin. Margins: {} for speeds and end-to-end time, {} for the time to first token, on the logarithm. Anything else is *not settled*, which is not \"equal\".",
            percent(Metric::DecodeTps),
            percent(Metric::Ttft)
        )),
        Inline::own(format!(
            "Fewer than {MIN_REPETITIONS} complete repetitions give no verdict; fewer than {FULL_REPETITIONS} give one that is marked *indicative*. In the tables by case the level is 0.05 divided by the number of cases."
        )),
        Inline::own("Percentiles need as many values as their distribution-free 95 % interval: 6 for p50, 72 for p95, 368 for p99."),
    ]);
    page.table(&definitions());
    page.paragraph(&Inline::own(format!(
        "Definitions: metrics schema {METRICS_SCHEMA}. All times are differences of one host's monotonic clock."
    )));
}

/// The short definitions, for both kinds of page.
pub(in crate::markdown) fn definitions() -> Table {
    let mut table = Table::new(["Figure", "Definition"]);
    for (name, definition) in [
        ("TTFT", "first chunk with generated text, of any kind, minus the send of the request"),
        ("First answer", "first chunk with answer text (not reasoning) minus the send"),
        (
            "Decode speed",
            "tokens after the first chunk / time from the first to the last chunk; needs 16 such tokens",
        ),
        ("End to end", "last chunk with text minus the send"),
        (
            "End-to-end speed",
            "all completion tokens / end-to-end time; contains prefill and queueing",
        ),
        ("ITL", "gap before a chunk divided by its tokens, weighted by tokens"),
        ("System output", "tokens of all streams that arrive in the steady window / its length"),
        ("Truncated", "success with finish reason `length`: cut by `max_tokens` or the context"),
    ] {
        table.row([name.into(), definition.into()]);
    }
    table
}

/// Section 10.
pub(in crate::markdown) fn reproduce(page: &mut Page, record: &RunRecord) {
    let header = &record.header;
    page.section(&"10. Reproduce".into());
    page.block(&crate::markdown::text::fenced(&header.command));
    let mut table = Table::new(["What", "Value"]);
    table.row(["Suite".into(), Inline::text(header.suite.name.as_str())]);
    table.row(["Suite hash (SHA-256)".into(), Inline::own(header.suite.hash())]);
    table.row(["Seed".into(), Inline::own(header.seed.to_string())]);
    table.row(["Coordinator".into(), Inline::text(&header.coordinator_version)]);
    page.table(&table);
}
