//! Sections that the combined report and the page of a host have both.

use regatta_types::record::RunRecord;

use super::layout::{Inline, Page, Table, fenced};

/// The short definitions of all figures.
const DEFINITIONS: [(&str, &str); 9] = [
    ("TTFT", "first chunk with generated text, of any kind, minus the send of the request"),
    ("First answer", "first chunk with answer text (not reasoning) minus the send"),
    (
        "Decode speed",
        "tokens after the first chunk / time from the first to the last chunk; needs 16 such tokens; over the requests of an attempt the ratio of the sums",
    ),
    ("End to end", "last chunk with text minus the send"),
    ("At a rate", "TTFT and end to end count from the instant the request was scheduled for"),
    ("End-to-end speed", "all completion tokens / end-to-end time; contains prefill and queueing"),
    ("ITL", "gap before a chunk divided by its tokens, weighted by tokens"),
    ("System output", "tokens of all streams that arrive in the steady window / its length"),
    ("Truncated", "success with finish reason `length`: cut by `max_tokens` or the context"),
];

pub(super) fn definitions(page: &mut Page) {
    let rows = DEFINITIONS.map(|(name, definition)| (name, definition.into()));
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
