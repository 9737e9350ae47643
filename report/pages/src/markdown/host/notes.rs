//! What to keep in mind: every remark with its evidence and advice.

use std::collections::BTreeMap;

use super::checks::checks;
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::report::Report;
use crate::words::absent::why;
use regatta_figures::bandwidth::Bandwidth;
use regatta_figures::hosts::HostAnalysis;

/// Section 8.
pub(super) fn notes(page: &mut Page, analysis: &Report<'_>, host: &HostAnalysis<'_>) {
    page.section(&"8. Notes and limits".into());
    let mut groups = BTreeMap::new();
    let counted = host.cells().filter_map(|(_, cell)| cell.counted());
    for finding in host.warmup_findings().chain(counted.flat_map(|c| &c.findings)) {
        let key = (finding.validity, &finding.code);
        groups.entry(key).or_insert((finding, 0_usize)).1 += 1;
    }
    let mut table =
        Table::new(["Validity", "Code", "Attempts>", "Evidence (first attempt)", "Advice"]);
    for ((validity, code), (finding, attempts)) in groups {
        table.row([
            Inline::own(validity.to_string()),
            Inline::text(code.as_str()),
            Inline::own(attempts.to_string()),
            Inline::text(&finding.evidence),
            Inline::text(&finding.advice),
        ]);
    }
    page.table(table);
    page.table(checks(host));
    let bandwidth = Bandwidth::of(analysis, host);
    let absent = bandwidth.err().map(|absent| {
        Inline::own(format!(
            "Share of the memory bandwidth: not available: {}.",
            Inline::text(&why(&absent))
        ))
    });
    page.list(absent.into_iter().chain([
        Inline::own(
            "Reasoning that an engine writes between `<think>` and `</think>` inside the answer is not told apart: it counts as answer.",
        ),
        Inline::own(
            "Every answer is kept as a SHA-256 and a length; its text only with `--keep-text`.",
        ),
        Inline::own(
            "A dash means that there is no such figure, never zero; the reason stands below its table. A column that would hold nothing else is left out.",
        ),
    ]));
}
