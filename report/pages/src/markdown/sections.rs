//! Sections that the combined report and the page of a host have both.

use regatta_types::metric::Metric;
use regatta_types::record::RunRecord;

use super::layout::{Inline, Page, Table, fenced};

/// The short definitions of figures that hosts are not compared in.
const OTHERS: [(&str, &str); 4] = [
    ("At a rate", "TTFT and end to end count from the instant the request was scheduled for"),
    ("End-to-end speed", "all completion tokens / end-to-end time; contains prefill and queueing"),
    ("ITL", "gap before a chunk divided by its tokens, weighted by tokens"),
    ("Truncated", "success with finish reason `length`: cut by `max_tokens` or the context"),
];

/// The short definitions of all figures.
pub(super) fn definitions(page: &mut Page) {
    let of = |metric: Metric| metric.info().definition;
    let first = [Metric::Ttft, Metric::FirstAnswer, Metric::DecodeTps, Metric::E2e];
    let [others @ .., truncated] = OTHERS;
    let rows = first.into_iter().filter_map(of).chain(others);
    let rows = rows.chain(of(Metric::OutputTps)).chain([truncated]);
    let rows = rows.map(|(name, definition)| (name, definition.into()));
    Table::pairs(["Figure", "Definition"], rows).add_to(page);
}

/// The last section of a page.
pub(super) fn reproduce(page: &mut Page, number: u32, record: &RunRecord) {
    let header = &record.header;
    page.section(Inline::own(format!("{number}. Reproduce")));
    page.block(&fenced(&header.command));
    let rows = [
        ("Suite", Inline::text(&header.suite.name)),
        ("Suite hash (SHA-256)", Inline::own(header.suite.hash())),
        ("Seed", Inline::own(header.seed.to_string())),
        ("Coordinator", Inline::text(&header.coordinator_version)),
    ];
    Table::pairs(["What", "Value"], rows).add_to(page);
}
