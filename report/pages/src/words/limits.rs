//! What stands beside the answer: what could not be judged, what to keep in mind.

use std::collections::BTreeSet;

use regatta_types::clean;
use regatta_types::ids::HostId;
use regatta_types::metric::Metric;
use regatta_types::suite::Length;
use regatta_types::units::{grouped, grouped_real};
use regatta_types::validity::FindingCode;

use super::finding::evidence;
use super::names::{NAMED, excluded, some_names, together};
use super::numbers::count_of;
use super::reason::at_first;
use super::validity;
use crate::report::Report;
use regatta_figures::analysis::Endings;
use regatta_figures::compare::{
    ClassReport, Judgement, Later, MIN_REPETITIONS, MetricReport, Reason,
};
use regatta_figures::completeness::left_out;
use regatta_figures::hosts::{CellState, HostAnalysis};
use regatta_figures::metrics::{AttemptFinding, NotableOverhead};

/// `: 10 of host #4, 4 of gpu-03`, those with the most first; nothing where there is no host.
fn whose_are_missing(analysis: &Report<'_>) -> String {
    let missing = |host: &HostAnalysis<'_>| {
        let states = host.cells().map(|(_, cell)| &cell.state);
        states.filter(|s| matches!(s, CellState::Missing(_) | CellState::Open)).count()
    };
    let known = analysis.hosts.iter().map(|host| (missing(host), host.host.to_string()));
    let suite = &analysis.record.header.suite;
    let planned: u32 = suite.cases.iter().map(|case| case.repetitions).sum();
    let planned = usize::try_from(planned).unwrap_or(usize::MAX);
    let absent = analysis.absent_numbers().map(|number| (planned, format!("host #{number}")));
    let mut hosts: Vec<(usize, String)> =
        known.chain(absent).filter(|(missing, _)| *missing > 0).collect();
    hosts.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let more = hosts.len().saturating_sub(NAMED);
    let mut named: Vec<String> =
        hosts.iter().take(NAMED).map(|(missing, host)| format!("{missing} of {host}")).collect();
    if more > 0 {
        named.push(format!("and those of {more} more"));
    }
    if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) }
}

/// The first few of many remarks of one kind, each with figures of its own.
fn first_few(mut remarks: Vec<String>, what: &str) -> Vec<String> {
    let more = remarks.len().saturating_sub(NAMED);
    remarks.truncate(NAMED);
    if more > 0 {
        let remarks_more = count_of(more, "more remark");
        remarks.push(format!("{remarks_more} on {what}: see the hosts' pages."));
    }
    remarks
}

/// What could not be judged, and what to keep in mind.
pub(crate) fn not_judged(analysis: &Report<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let nothing = analysis.hosts.iter().filter(|h| !h.has_usable());
    for (hosts, why) in together(nothing.map(|h| (h.host.to_string(), why_nothing(h)))) {
        out.push(format!("{hosts} could not be judged: {why}."));
    }
    out.extend(absent(analysis));
    let left = left_out(analysis.record).map(|(host, why)| (host.to_string(), why.to_string()));
    for (hosts, why) in together(left) {
        out.push(clean::line(&format!("Left out of the run (--allow-missing): {hosts} ({why}).")));
    }
    let each = |host: &HostAnalysis<'_>| {
        let name = host.host.to_string();
        unmeasured(host).into_iter().map(move |said| (name.clone(), said))
    };
    for (hosts, said) in together(analysis.hosts.iter().flat_map(each)) {
        out.push(clean::line(&format!("{hosts}: {said}.")));
    }
    out.extend(unrepeated(analysis));
    out.extend(first_few(analysis.later.iter().map(changed_engine).collect(), "changed engines"));
    for class in &analysis.classes {
        out.extend(class_limits(class));
    }
    let floors = analysis.hosts.iter().flat_map(floors).collect();
    out.extend(first_few(floors, "what the client itself may add"));
    out.extend(validity::of_run(analysis));
    out.extend(cells(analysis));
    out.extend(first_few(not_warm(analysis), "hosts that were not warm"));
    out.extend(endings(analysis));
    out
}

/// Cells and requests that are no part of the figures.
fn cells(analysis: &Report<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let cells = analysis.cells;
    let n = |cells: u32| grouped(u64::from(cells));
    let planned = n(cells.planned);
    if cells.skipped > 0 {
        let skipped = n(cells.skipped);
        out.push(format!(
            "{skipped} of {planned} cells are skipped, as their sweep was saturated."
        ));
    }
    let lost = cells.missing + cells.open;
    if lost > 0 {
        let (lost, of) = (n(lost), whose_are_missing(analysis));
        out.push(format!("{lost} of {planned} cells are missing{of} (section Completeness)."));
    }
    if cells.invalid > 0 {
        let (invalid, counted) = (n(cells.invalid), n(cells.counted));
        out.push(format!("Invalid, kept and not compared: {invalid} of {counted} counted cells."));
    }
    let cases = analysis.hosts.iter().flat_map(HostAnalysis::all_cases);
    let failed: u64 = cases.map(|case| u64::from(case.requests.failures())).sum();
    if failed > 0 {
        out.push(format!("{} failed.", count_of(failed, "measured request")));
    }
    out
}

/// Cells that another engine served than the host's at first.
pub(crate) fn changed_engine(later: &Later) -> String {
    clean::line(&format!(
        "{} was another engine from {} repetition {} on ({}): {} kept and not compared with the rest.",
        later.host,
        later.from.case,
        later.from.repetition.0,
        at_first(&later.change),
        match later.cells {
            1 => "1 cell is".to_owned(),
            n => format!("{n} cells are"),
        }
    ))
}

/// Where the client itself weighs beside what was measured.
fn floors<'a>(host: &'a HostAnalysis<'_>) -> impl Iterator<Item = String> + use<'a> {
    let remark = |notable: NotableOverhead| {
        format!(
            "{}: the client itself may add {} ms to the {} of {} ms, over 1 %.",
            host.host,
            grouped_real(notable.overhead_s * 1e3, 2),
            notable.what,
            grouped_real(notable.own_s * 1e3, 2)
        )
    };
    host.notable_overhead().map(remark)
}

/// Hosts that were not warm when the run began.
fn not_warm(analysis: &Report<'_>) -> Vec<String> {
    let remark = |host: &HostAnalysis<'_>, finding: &AttemptFinding| {
        clean::line(&format!(
            "{}: {} before the run: {}.",
            host.host,
            finding.code,
            evidence(&finding.evidence)
        ))
    };
    let of_host = |host| HostAnalysis::warmup_findings(host).map(move |f| remark(host, f));
    analysis.hosts.iter().flat_map(of_host).collect()
}

/// Whether answers were cut.
fn endings(analysis: &Report<'_>) -> Option<String> {
    let mut cases = analysis.record.header.suite.cases.iter();
    let is_fixed = cases.all(|case| case.length == Length::Fixed);
    Some(match analysis.endings() {
        Endings::NoneCut => return None,
        Endings::AllAtLimit if is_fixed => {
            "Every answer ran to max_tokens, so the lengths are equal.".to_owned()
        }
        Endings::AllAtLimit => {
            "All answers truncated: every one ran to max_tokens, so that the lengths are equal and none says where the model would have ended it.".to_owned()
        }
        Endings::AllCut => {
            "All answers truncated: cut by max_tokens or the context (finish reason length).".to_owned()
        }
        Endings::SomeCut { truncated, ok } => format!(
            "{} of {} answers were cut by max_tokens or the context (finish reason length).",
            grouped(truncated),
            grouped(ok)
        ),
    })
}

/// What a host could not show: its first attempt is warm-up, or no chunk of its answers was stamped.
pub(crate) fn unmeasured(host: &HostAnalysis<'_>) -> Vec<String> {
    let counted = host.cells().filter_map(|(_, cell)| cell.counted());
    let cold = counted.flat_map(|c| &c.findings).find(|f| f.code == FindingCode::ColdFirstAttempt);
    let mut out: Vec<String> = cold.map(|f| evidence(&f.evidence)).into_iter().collect();
    let figures = &host.figures;
    if figures.requests.ok > figures.requests.buffered && figures.ttft_s.n() == 0 {
        out.push(
            "TTFT not measured, nor any speed: no chunk of its answers was stamped".to_owned(),
        );
    }
    out
}

/// A run that cannot rank anybody, however many hosts it has.
fn unrepeated(analysis: &Report<'_>) -> Option<String> {
    let most = analysis.record.header.suite.cases.iter().map(|case| case.repetitions).max()?;
    let is_few = usize::try_from(most).is_ok_and(|most| most < MIN_REPETITIONS);
    (is_few && !analysis.classes.is_empty()).then(|| {
        format!("No ranking: n = {most}, the repetitions of each case; a verdict needs {MIN_REPETITIONS}.")
    })
}

/// Why a host has nothing usable.
fn why_nothing(host: &HostAnalysis<'_>) -> String {
    if let Some(why) = host.record.and_then(|r| r.refused.as_deref()) {
        return clean::line(why);
    }
    let reasons: BTreeSet<String> = host
        .cells()
        .filter_map(|(_, cell)| match &cell.state {
            CellState::Missing(reason) => Some(clean::line(&reason.to_string())),
            CellState::Counted(_) | CellState::Skipped(_) | CellState::Open => None,
        })
        .collect();
    match reasons.into_iter().collect::<Vec<_>>().as_slice() {
        [only] => only.clone(),
        _ => "nothing usable was measured on it".to_owned(),
    }
}

/// Expected hosts that nobody saw.
fn absent(analysis: &Report<'_>) -> Option<String> {
    let names: Vec<String> = analysis.absent_numbers().map(|n| format!("#{n}")).collect();
    let hosts = if names.len() == 1 { "Host" } else { "Hosts" };
    let named = some_names(&names);
    (!names.is_empty()).then(|| format!("{hosts} {named} never joined."))
}

/// What stays out of the comparison of a class.
fn class_limits(class: &ClassReport) -> Vec<String> {
    let mut out = Vec::new();
    let (label, unverified) = (&class.class.label, class.class.unverified());
    if !unverified.is_empty() && class.class.hosts.len() > 1 {
        let facts = unverified.join(", ");
        out.push(format!("Class {label} is unverified: {facts} unknown on all its hosts."));
    }
    if !class.class.assumed.is_empty() {
        out.push(format!(
            "Class {label}: {} not known on some of its hosts and taken as equal (--assume-equal).",
            class.class.assumed.join(", ")
        ));
    }
    if class.class.hosts.len() < 2 {
        return out;
    }
    let hosts = class.metrics.iter().map(|m| (m.metric.label(), &m.series.hosts_left_out));
    for ((reason, names), metrics) in excluded(hosts) {
        let (names, metrics) = (some_names(&names), metrics.join(", "));
        out.push(format!("Left out of the comparison of {metrics}: {names} ({reason})."));
    }
    let cases = class.metrics.iter().map(|m| (m.metric.label(), &m.series.cases_left_out));
    for ((reason, names), metrics) in excluded(cases) {
        let n = count_of(names.len(), "case");
        let (names, metrics) = (some_names(&names), metrics.join(", "));
        out.push(format!("Left out of the comparison of {metrics}, {n} ({reason}): {names}."));
    }
    out.extend(class.metric(Metric::DecodeTps).map(too_few).unwrap_or_default());
    out
}

/// Hosts with too few repetitions for a verdict, by what is lacking.
fn too_few(report: &MetricReport) -> Vec<String> {
    let few = format!("fewer than {MIN_REPETITIONS} complete repetitions");
    let said = |(why, that): (Reason, &str)| {
        let why = Judgement::NotJudged(why);
        let hosts = report.outcome.hosts.iter().filter(|j| j.verdict == why);
        let hosts: Vec<&HostId> = hosts.map(|j| &j.host).collect();
        let names = some_names(&hosts);
        (!hosts.is_empty()).then(|| format!("No verdict on {names} (C11: {few}{that})."))
    };
    [(Reason::TooFewRepetitions, ""), (Reason::TooFewShared, " that the others have, too")]
        .into_iter()
        .filter_map(said)
        .collect()
}
