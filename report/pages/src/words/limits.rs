//! What stands beside the answer: what could not be judged, what to keep in mind.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use itertools::Itertools as _;
use regatta_types::clean;
use regatta_types::ids::HostId;
use regatta_types::metric::Metric;
use regatta_types::suite::Length;
use regatta_types::units::{grouped, grouped_real};
use regatta_types::validity::{FindingCode, Validity};

use super::finding::evidence;
use super::names::{excluded, first_few, some_names, together};
use super::numbers::count_of;
use super::reason::at_first;
use crate::report::Report;
use regatta_figures::analysis::Endings;
use regatta_figures::compare::{
    ClassReport, Later, MIN_REPETITIONS, MetricReport, Unjudged, Verdict,
};
use regatta_figures::completeness::left_out;
use regatta_figures::hosts::{CellState, HostAnalysis};

/// `: 10 of host #4, 4 of gpu-03`, those with the most first; nothing where there is no host.
fn whose_are_missing(analysis: &Report<'_>) -> String {
    let known = analysis.hosts.iter().map(|host| (host.missing(), host.host.to_string()));
    let suite = &analysis.record.header.suite;
    let planned: u32 = suite.cases.iter().map(|case| case.repetitions).sum();
    let planned = usize::try_from(planned).unwrap_or(usize::MAX);
    let absent = analysis.absent_numbers().map(|number| (planned, format!("host #{number}")));
    let hosts = known.chain(absent).filter(|(missing, _)| *missing > 0);
    let hosts = hosts.sorted_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let named = hosts.map(|(missing, host)| format!("{missing} of {host}")).collect();
    let named = first_few(named, |more| format!("and those of {more} more"));
    if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) }
}

/// The first few of many remarks of one kind, each with figures of its own.
fn remarks(said: impl Iterator<Item = String>, what: &str) -> Vec<String> {
    first_few(said.collect(), |more| {
        format!("{} on {what}: see the hosts' pages.", count_of(more, "more remark"))
    })
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
    out.extend(remarks(analysis.later.iter().map(changed_engine), "changed engines"));
    out.extend(analysis.classes.iter().flat_map(class_limits));
    let floors = analysis.hosts.iter().flat_map(floors);
    out.extend(remarks(floors, "what the client itself may add"));
    out.extend(remarked(analysis.hosts.iter()).map(|codes| format!("Run: {codes}.")));
    out.extend(cells(analysis));
    out.extend(remarks(analysis.hosts.iter().flat_map(not_warm), "hosts that were not warm"));
    out.extend(endings(analysis));
    out
}

/// `invalid: gpu_shared 1 attempt; degraded: client_cpu 4 attempts, truncated 2 attempts`, of the
/// counted attempts of these hosts and what was remarked while settling; `None` without any.
pub(crate) fn remarked<'a>(
    hosts: impl Iterator<Item = &'a HostAnalysis<'a>> + Clone,
) -> Option<String> {
    let mut codes: BTreeMap<Reverse<Validity>, BTreeMap<(&str, &str), u64>> = BTreeMap::new();
    let attempts = hosts.clone().flat_map(HostAnalysis::cells);
    let attempts = attempts.filter_map(|(_, cell)| cell.counted()).flat_map(|c| &c.findings);
    let settling = hosts.flat_map(HostAnalysis::warmup_findings);
    let all = attempts.map(|f| (f, "attempt")).chain(settling.map(|f| (f, "settling")));
    for (finding, what) in all.filter(|(finding, _)| finding.validity > Validity::Valid) {
        let of_validity = codes.entry(Reverse(finding.validity)).or_default();
        *of_validity.entry((finding.code.as_str(), what)).or_default() += 1;
    }
    let parts = codes.iter().map(|(Reverse(validity), codes)| {
        let codes = codes.iter().map(|((code, what), n)| format!("{code} {}", count_of(*n, what)));
        format!("{validity}: {}", codes.format(", "))
    });
    (!codes.is_empty()).then(|| parts.format("; ").to_string())
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
    host.notable_overhead().map(|notable| {
        format!(
            "{}: the client itself may add {} ms to the {} of {} ms, over 1 %.",
            host.host,
            grouped_real(notable.overhead_s * 1e3, 2),
            notable.what,
            grouped_real(notable.own_s * 1e3, 2)
        )
    })
}

/// How a host was not warm when the run began.
fn not_warm<'a>(host: &'a HostAnalysis<'_>) -> impl Iterator<Item = String> + use<'a> {
    host.warmup_findings().map(|finding| {
        let (code, said) = (&finding.code, evidence(&finding.evidence));
        clean::line(&format!("{}: {code} before the run: {said}.", host.host))
    })
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
    let figures = &host.figures;
    let unstamped = figures.requests.ok > figures.requests.buffered && figures.ttft_s.n() == 0;
    let unstamped = unstamped.then(|| {
        "TTFT not measured, nor any speed: no chunk of its answers was stamped".to_owned()
    });
    cold.map(|f| evidence(&f.evidence)).into_iter().chain(unstamped).collect()
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
    let reasons = host.cells().filter_map(|(_, cell)| match &cell.state {
        CellState::Missing(reason) => Some(clean::line(&reason.to_string())),
        CellState::Counted(_) | CellState::Skipped(_) | CellState::Open => None,
    });
    let only = reasons.unique().exactly_one();
    only.unwrap_or_else(|_| "nothing usable was measured on it".to_owned())
}

/// Expected hosts that nobody saw.
fn absent(analysis: &Report<'_>) -> Option<String> {
    let names = analysis.absent_numbers().map(|n| format!("#{n}")).collect_vec();
    let hosts = if names.len() == 1 { "Host" } else { "Hosts" };
    (!names.is_empty()).then(|| format!("{hosts} {} never joined.", some_names(&names)))
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
    let said = |(why, that): (Unjudged, &str)| {
        let hosts = report.outcome.hosts.iter().filter(|j| j.verdict == Verdict::NotJudged(why));
        let hosts: Vec<&HostId> = hosts.map(|j| &j.host).collect();
        let names = some_names(&hosts);
        (!hosts.is_empty()).then(|| format!("No verdict on {names} (C11: {few}{that})."))
    };
    let shared = (Unjudged::TooFewShared, " that the others have, too");
    [(Unjudged::TooFewRepetitions, ""), shared].into_iter().filter_map(said).collect()
}
