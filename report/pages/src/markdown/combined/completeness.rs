//! Which cells counted, and why the others did not.

use std::collections::BTreeMap;

use regatta_types::event::{EventKind, RunEvent};
use regatta_types::ids::{HostId, Repetition};
use regatta_types::suite::Case;
use regatta_types::validity::Validity;

use crate::markdown::format::{NONE, count, count_of, fixed};
use crate::markdown::grid::grid;
use crate::markdown::page::Page;
use crate::markdown::table::{Align, Table};
use crate::markdown::text::Inline;
use crate::report::Report;
use regatta_figures::hosts::{Cell, CellState};

/// Section 7.
pub(super) fn completeness(page: &mut Page, analysis: &Report<'_>) {
    page.section(&"7. Completeness".into());
    let cells = analysis.cells;
    let n = |cells: u32| count(cells);
    let skipped =
        if cells.skipped > 0 { format!(", {} skipped", n(cells.skipped)) } else { String::new() };
    let mut said = format!(
        "{} planned: {} counted ({} degraded, {} invalid){skipped}, {} missing",
        count_of(u64::from(cells.planned), "cell"),
        n(cells.counted),
        n(cells.degraded),
        n(cells.invalid),
        n(cells.missing)
    );
    if cells.open > 0 {
        said.push_str(&format!(", {} never ended", n(cells.open)));
    }
    said.push_str(". A cell is one repetition of one case on one host.");
    page.paragraph(&Inline::own(said));
    let hosts: Vec<&HostId> = analysis.hosts.iter().map(|h| h.host).collect();
    let cases: Vec<&Case> = analysis.record.header.suite.cases.iter().collect();
    page.table(grid(&hosts, &cases, Align::Left, |host, case| {
        let host = analysis.hosts.iter().find(|h| h.host == host);
        let found = host.and_then(|h| h.all_cases().find(|c| c.case.id == case.id));
        found.map_or(NONE.into(), |c| matrix_cell(&c.cells))
    }));
    page.list(analysis.absent_numbers().map(|number| {
        Inline::own(format!("host #{number}: never joined, all its cells are missing"))
    }));
    page.table(reasons(analysis));
    page.table(events(analysis));
}

/// What happened beside the measuring: losses, refusals, warnings, a stop.
fn events(analysis: &Report<'_>) -> Table {
    let mut events: Vec<&RunEvent> = analysis.record.events.iter().collect();
    events.sort_by_key(|e| e.seq);
    let mut table = Table::new(["After (s)>", "Event"]);
    for event in events {
        let what = match &event.kind {
            EventKind::AgentJoined { host, again: true } => format!("{host}: joined again"),
            EventKind::AgentDisconnected { host, reason } => {
                format!("{host}: disconnected ({reason})")
            }
            EventKind::AgentLost { host, reason } => format!("{host}: lost ({reason})"),
            EventKind::HostPrepared { host, refused: Some(why) } => {
                format!("{host}: cannot take part ({why})")
            }
            EventKind::HostLeftOut { host, why } => format!("{host}: left out ({why})"),
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
            | EventKind::RunFinished { .. } => continue,
        };
        table.row([fixed(Some(event.elapsed.as_secs_f64()), 1), Inline::text(&what)]);
    }
    table
}

/// `5 of 5`, or which repetitions lack.
fn matrix_cell(cells: &[Cell<'_>]) -> Inline {
    if cells.iter().all(|c| matches!(c.state, CellState::Skipped(_))) {
        return "skipped: saturated".into();
    }
    let counted = cells.iter().filter(|c| c.usable().is_some()).count();
    let mut out = format!("{counted} of {}", cells.len());
    let which = |wanted: fn(&Cell<'_>) -> bool| -> Vec<Repetition> {
        cells.iter().filter(|c| wanted(c)).map(|c| c.repetition).collect()
    };
    let groups = [
        ("skipped", which(|c| matches!(c.state, CellState::Skipped(_)))),
        ("missing", which(|c| matches!(c.state, CellState::Missing(_)))),
        ("open", which(|c| matches!(c.state, CellState::Open))),
        ("invalid", which(|c| c.counted().is_some_and(|c| c.validity() == Validity::Invalid))),
    ];
    for (name, repetitions) in groups.into_iter().filter(|(_, r)| !r.is_empty()) {
        out.push_str(&format!("; {name}: {}", list(&repetitions)));
    }
    Inline::own(out)
}

/// `r2, r4`.
fn list(repetitions: &[Repetition]) -> String {
    repetitions.iter().map(|r| format!("r{r}")).collect::<Vec<_>>().join(", ")
}

/// Every cell that does not count, by host and reason.
fn reasons(analysis: &Report<'_>) -> Table {
    let mut groups: BTreeMap<(&HostId, String), Vec<String>> = BTreeMap::new();
    for host in &analysis.hosts {
        for finding in host.warmup_findings() {
            let what = format!("{}: {} ({})", finding.validity, finding.code, finding.evidence);
            groups.entry((host.host, what)).or_default().push("settling".to_owned());
        }
        for (case, cell) in host.cells() {
            let name = format!("{}/r{}", case.id, cell.repetition);
            let mut add = |reason: String| {
                groups.entry((host.host, reason)).or_default().push(name.clone());
            };
            match &cell.state {
                CellState::Skipped(reason) => add(format!("skipped: {reason}")),
                CellState::Missing(reason) => add(format!("missing: {reason}")),
                CellState::Open => add("missing: the run did not end".to_owned()),
                CellState::Counted(counted) => {
                    for finding in &counted.findings {
                        let (validity, code) = (finding.validity, &finding.code);
                        add(format!("{validity}: {code} ({})", finding.evidence));
                    }
                }
            }
        }
    }
    let mut table = Table::new(["Host", "What", "Cells"]);
    for ((host, reason), cells) in groups {
        table.row([
            Inline::text(host.as_str()),
            Inline::text(&reason),
            Inline::text(&some(&cells)),
        ]);
    }
    table
}

/// The first few names and how many more.
fn some(cells: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown = cells.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match cells.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}
