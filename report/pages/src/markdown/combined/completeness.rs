//! Completeness: counted cells, and why others are missing.

use std::collections::BTreeMap;

use itertools::Itertools as _;
use regatta_figures::hosts::{Cell, CellState};
use regatta_figures::metrics::AttemptFinding;
use regatta_types::event::EventKind;
use regatta_types::ids::HostId;
use regatta_types::suite::Case;
use regatta_types::validity::Validity;

use super::machines::requests;
use crate::markdown::grid::grid;
use crate::markdown::layout::{Align, Inline, Page, Table, count, fixed};
use crate::report::Report;
use crate::words::finding::evidence;
use crate::words::first_names;
use crate::words::numbers::{NONE, if_any, quantity};

/// Most cells named beside one reason.
const NAMED_CELLS: usize = 4;

/// The section on cells, requests and events.
pub(super) fn completeness(page: &mut Page, report: &Report<'_>) {
    page.section("Completeness");
    let cells = report.cells;
    let skipped = if_any(cells.skipped, |skipped| format!(", {} skipped", count(skipped)));
    let open = if_any(cells.open, |open| format!(", {} open", count(open)));
    page.paragraph(Inline::own(format!(
        "{} planned (one repetition of one case on one host each): {} counted ({} degraded, {} invalid){skipped}, {} missing{open}.",
        quantity(u64::from(cells.planned), "cell"),
        count(cells.counted),
        count(cells.degraded),
        count(cells.invalid),
        count(cells.missing)
    )));
    let hosts: Vec<&HostId> = report.hosts.iter().map(|h| h.host).collect();
    let cases: Vec<&Case> = report.record.header.suite.cases.iter().collect();
    let cell = |host: &HostId, case: &Case| {
        let host = report.hosts.iter().find(|h| h.host == host);
        let found = host.and_then(|h| h.all_cases().find(|c| c.case.id == case.id));
        found.map_or(NONE.into(), |c| matrix_cell(&c.cells))
    };
    grid(&hosts, &cases, Align::Left, cell).add_to(page);
    page.list(report.absent_numbers().map(|number| {
        Inline::own(format!("host #{number} never joined: all its cells are missing"))
    }));
    requests(page, report);
    reasons(page, report);
    events(page, report);
}

/// Losses, refusals, warnings and cancellation.
fn events(page: &mut Page, report: &Report<'_>) {
    let events = report.record.events.iter().sorted_by_key(|event| event.seq);
    let told = events.filter_map(|event| {
        let what = match &event.kind {
            EventKind::AgentJoined { host, again: true } => format!("{host}: joined again"),
            EventKind::AgentDisconnected { host, reason } => {
                format!("{host}: disconnected ({reason})")
            }
            EventKind::AgentLost { host, reason } => format!("{host}: lost ({reason})"),
            EventKind::HostPrepared { host, refused: Some(why) } => {
                format!("{host}: refused ({why})")
            }
            EventKind::HostLeftOut { host, why } => format!("{host}: excluded ({why})"),
            EventKind::Warning { text } => format!("warning: {text}"),
            EventKind::RunCancelled => "the user stopped the run".to_owned(),
            EventKind::RunStarted { .. }
            | EventKind::AgentJoined { again: false, .. }
            | EventKind::HostPrepared { refused: None, .. }
            | EventKind::AssignmentLeased { .. }
            | EventKind::AttemptStarted { .. }
            | EventKind::AttemptFinished { .. }
            | EventKind::CellMissing { .. }
            | EventKind::CellSkipped { .. }
            | EventKind::RunFinished { .. } => return None,
        };
        Some((event.elapsed.as_secs_f64(), what))
    });
    Table::of(told)
        .number("After (s)", |(elapsed, _)| fixed(Some(*elapsed), 1))
        .text("Event", |(_, what)| Inline::text(what))
        .add_to(page);
}

/// `5 of 5`, or the missing repetitions.
fn matrix_cell(cells: &[Cell<'_>]) -> Inline {
    if cells.iter().all(|c| matches!(c.state, CellState::Skipped(_))) {
        return "skipped (saturated)".into();
    }
    let counted = cells.iter().filter(|c| c.usable().is_some()).count();
    let mut out = format!("{counted} of {}", cells.len());
    let group = |cell: &&Cell<'_>| match &cell.state {
        CellState::Skipped(_) => "skipped",
        CellState::Missing(_) => "missing",
        CellState::Open => "open",
        CellState::Counted(counted) if counted.validity() == Validity::Invalid => "invalid",
        CellState::Counted(_) => "",
    };
    for name in ["skipped", "missing", "open", "invalid"] {
        let found = cells.iter().filter(|cell| group(cell) == name);
        let found = found.map(|cell| format!("r{}", cell.repetition)).join(", ");
        if !found.is_empty() {
            out.push_str(&format!("; {name}: {found}"));
        }
    }
    Inline::own(out)
}

/// Every cell with a finding or without a counted attempt, by host and reason.
fn reasons(page: &mut Page, report: &Report<'_>) {
    let mut groups: BTreeMap<(&HostId, String), Vec<String>> = BTreeMap::new();
    let finding = |found: &AttemptFinding| {
        format!("{}: {} ({})", found.validity, found.code, evidence(&found.evidence))
    };
    for host in &report.hosts {
        let mut add = |reason: String, name: String| {
            groups.entry((host.host, reason)).or_default().push(name);
        };
        host.warmup_findings().for_each(|found| add(finding(found), "engine warm-up".to_owned()));
        for (case, cell) in host.cells() {
            let name = format!("{}/r{}", case.id, cell.repetition);
            match &cell.state {
                CellState::Skipped(reason) => add(format!("skipped: {reason}"), name),
                CellState::Missing(reason) => add(format!("missing: {reason}"), name),
                CellState::Open => add("missing: the run did not finish".to_owned(), name),
                CellState::Counted(counted) => {
                    counted.findings.iter().for_each(|found| add(finding(found), name.clone()));
                }
            }
        }
    }
    Table::of(groups)
        .text("Host", |((host, _), _)| Inline::text(host))
        .text("Finding or reason", |((_, reason), _)| Inline::text(reason))
        .text("Cells", |(_, cells)| Inline::text(first_names(NAMED_CELLS, cells)))
        .add_to(page);
}
