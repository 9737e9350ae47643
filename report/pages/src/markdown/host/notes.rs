//! Findings with evidence and advice, preflight checks and notes.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use itertools::Itertools as _;
use regatta_figures::hosts::HostAnalysis;
use regatta_types::check::Mark;

use crate::markdown::layout::{Inline, Page, Table, known};
use crate::report::Report;
use crate::words::absent::why;
use crate::words::finding::finding;

/// The section on findings.
pub(super) fn notes(page: &mut Page, report: &Report<'_>, host: &HostAnalysis<'_>) {
    page.section("Findings and notes");
    let mut groups = BTreeMap::new();
    let counted = host.cells().filter_map(|(_, cell)| cell.counted());
    for found in host.warmup_findings().chain(counted.flat_map(|c| &c.findings)) {
        let key = (found.validity, &found.code);
        groups.entry(key).or_insert((found, 0_usize)).1 += 1;
    }
    let rows = groups.into_values().map(|(found, attempts)| (finding(found), attempts));
    Table::of(rows)
        .text("Validity", |(finding, _)| known(Some(finding.validity)))
        .text("Code", |(finding, _)| Inline::text(&finding.code))
        .number("Attempts", |(_, attempts)| known(Some(attempts)))
        .text("Evidence (first attempt)", |(finding, _)| Inline::text(&finding.evidence))
        .text("Advice", |(finding, _)| Inline::text(&finding.advice))
        .add_to(page);
    checks(page, host);
    let absent = report.bandwidth(host).err().map(|absent| {
        let reason = Inline::text(why(&absent));
        Inline::own(format!("Share of the memory bandwidth not available: {reason}."))
    });
    page.list(absent.into_iter().chain([
        "Reasoning inside the answer (between `<think>` and `</think>`) counts as answer text.".into(),
        "Answers are stored as SHA-256 and length; their text only with `--keep-text`.".into(),
        "\"-\" means not available, never zero; the reason is below the table. Columns without any value are omitted.".into(),
    ]));
}

/// The preflight checks that did not pass, the worst first.
fn checks(page: &mut Page, host: &HostAnalysis<'_>) {
    let checks = host.record.iter().flat_map(|record| &record.checks);
    let not_ok = checks.filter(|check| check.mark != Mark::Ok);
    Table::of(not_ok.sorted_by_key(|check| Reverse(check.mark)))
        .text("Preflight check", |check| check.check.name().into())
        .text("Result", |check| check.mark.name().into())
        .text("Details", |check| Inline::text(&check.text))
        .add_to(page);
}
