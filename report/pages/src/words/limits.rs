//! The caveats: what limits or qualifies the results.

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
use super::numbers::quantity;
use super::reason::{at_first, shared_by};
use super::saturated;
use crate::report::Report;
use regatta_figures::analysis::Endings;
use regatta_figures::compare::{
    ClassReport, Judgement, Later, MIN_REPETITIONS, MetricReport, Reason,
};
use regatta_figures::completeness::left_out;
use regatta_figures::hosts::{CellState, HostAnalysis};

/// `: 10 on host #4, 4 on gpu-03`, most missing cells first; empty if there are none.
fn whose_are_missing(analysis: &Report<'_>) -> String {
    let known = analysis.hosts.iter().map(|host| (host.missing(), host.host.to_string()));
    let suite = &analysis.record.header.suite;
    let planned: u32 = suite.cases.iter().map(|case| case.repetitions).sum();
    let planned = usize::try_from(planned).unwrap_or(usize::MAX);
    let absent = analysis.absent_numbers().map(|number| (planned, format!("host #{number}")));
    let hosts = known.chain(absent).filter(|(missing, _)| *missing > 0);
    let hosts = hosts.sorted_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let named = hosts.map(|(missing, host)| format!("{missing} on {host}")).collect();
    let named = first_few(named, |more| format!("and those on {more} more"));
    if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) }
}

/// The first few of many findings of one kind, each with its own figures.
fn findings(said: impl Iterator<Item = String>, what: &str) -> Vec<String> {
    first_few(said.collect(), |more| {
        format!("{} about {what}: see the per-host reports.", quantity(more, "more finding"))
    })
}

/// Hosts, cases and cells that are excluded, and other limits of the results.
pub(crate) fn caveats(analysis: &Report<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let nothing = analysis.hosts.iter().filter(|h| !h.has_usable());
    for (hosts, why) in together(nothing.map(|h| (h.host.to_string(), why_nothing(h)))) {
        out.push(format!("No verdict on {hosts}: {why}."));
    }
    out.extend(absent(analysis));
    let left = left_out(analysis.record).map(|(host, why)| (host.to_string(), why.to_string()));
    for (hosts, why) in together(left) {
        out.push(clean::line(&format!(
            "Excluded from the run (--allow-missing): {hosts} ({why})."
        )));
    }
    let each = |host: &HostAnalysis<'_>| {
        let name = host.host.to_string();
        unmeasured(host).into_iter().map(move |said| (name.clone(), said))
    };
    for (hosts, said) in together(analysis.hosts.iter().flat_map(each)) {
        out.push(clean::line(&format!("{hosts}: {said}.")));
    }
    for host in &analysis.hosts {
        let Some(machine) = host.machine.as_ref().filter(|m| m.first != *host.host) else {
            continue;
        };
        let (host, first, by) = (host.host, &machine.first, shared_by(machine.by));
        out.push(format!(
            "{host} is the same machine as {first} ({by}): no verdict between them, and its capacity is counted once."
        ));
    }
    out.extend(unrepeated(analysis));
    out.extend(findings(analysis.later.iter().map(changed_engine), "changed engines"));
    let several = analysis.classes.len() > 1;
    out.extend(analysis.classes.iter().flat_map(|class| class_caveats(class, several)));
    let overhead = analysis.hosts.iter().flat_map(overhead);
    out.extend(findings(overhead, "client overhead"));
    out.extend(finding_counts(analysis.hosts.iter()).map(|codes| format!("Findings: {codes}.")));
    out.extend(cells(analysis));
    out.extend(findings(analysis.hosts.iter().flat_map(not_warm), "engine warm-up"));
    let unjudged = analysis.hosts.iter().flat_map(|host| {
        let said = host.sweeps.iter().filter_map(saturated::unjudged);
        said.map(|said| format!("{}: {said}.", host.host))
    });
    out.extend(findings(unjudged, "saturation"));
    out.extend(endings(analysis));
    out
}

/// `invalid: gpu_shared 1 attempt; degraded: client_cpu 4 attempts, truncated 2 attempts`, over the
/// counted attempts and the engine warm-ups of these hosts; `None` without any.
pub(crate) fn finding_counts<'a>(
    hosts: impl Iterator<Item = &'a HostAnalysis<'a>> + Clone,
) -> Option<String> {
    let mut codes: BTreeMap<Reverse<Validity>, BTreeMap<(&str, &str), u64>> = BTreeMap::new();
    let attempts = hosts.clone().flat_map(HostAnalysis::cells);
    let attempts = attempts.filter_map(|(_, cell)| cell.counted()).flat_map(|c| &c.findings);
    let warmups = hosts.flat_map(HostAnalysis::warmup_findings);
    let all = attempts.map(|f| (f, "attempt")).chain(warmups.map(|f| (f, "engine warm-up")));
    for (finding, what) in all.filter(|(finding, _)| finding.validity > Validity::Valid) {
        let of_validity = codes.entry(Reverse(finding.validity)).or_default();
        *of_validity.entry((finding.code.as_str(), what)).or_default() += 1;
    }
    let parts = codes.iter().map(|(Reverse(validity), codes)| {
        let codes = codes.iter().map(|((code, what), n)| format!("{code} {}", quantity(*n, what)));
        format!("{validity}: {}", codes.format(", "))
    });
    (!codes.is_empty()).then(|| parts.format("; ").to_string())
}

/// Cells and requests that are not in the figures.
fn cells(analysis: &Report<'_>) -> Vec<String> {
    let mut out = Vec::new();
    let cells = analysis.cells;
    let n = |cells: u32| grouped(u64::from(cells));
    let planned = n(cells.planned);
    if cells.skipped > 0 {
        let skipped = n(cells.skipped);
        out.push(format!("{skipped} of {planned} cells skipped after saturation of their sweep."));
    }
    let lost = cells.missing + cells.open;
    if lost > 0 {
        let (lost, of) = (n(lost), whose_are_missing(analysis));
        out.push(format!("{lost} of {planned} cells missing{of} (see Completeness)."));
    }
    if cells.invalid > 0 {
        let (invalid, counted) = (n(cells.invalid), n(cells.counted));
        out.push(format!("{invalid} of {counted} counted cells invalid: stored, but excluded from all figures (C10)."));
    }
    let cases = analysis.hosts.iter().flat_map(HostAnalysis::all_cases);
    let failed: u64 = cases.map(|case| u64::from(case.requests.failures())).sum();
    if failed > 0 {
        out.push(format!("{} failed.", quantity(failed, "measured request")));
    }
    out
}

/// Cells served by a different engine than the host's first cells.
pub(crate) fn changed_engine(later: &Later) -> String {
    clean::line(&format!(
        "The engine of {} changed before {}, repetition {}: {}. Not compared: {}.",
        later.host,
        later.from.case,
        later.from.repetition.0,
        at_first(&later.change),
        quantity(later.cells, "cell")
    ))
}

/// Where the client overhead exceeds 1 % of a measured time.
fn overhead<'a>(host: &'a HostAnalysis<'_>) -> impl Iterator<Item = String> + use<'a> {
    host.notable_overhead().map(|notable| {
        format!(
            "{}: the client overhead of {} ms is over 1 % of the {} of {} ms.",
            host.host,
            grouped_real(notable.overhead_s * 1e3, 2),
            notable.what,
            grouped_real(notable.own_s * 1e3, 2)
        )
    })
}

/// Findings of the engine warm-up of a host.
fn not_warm<'a>(host: &'a HostAnalysis<'_>) -> impl Iterator<Item = String> + use<'a> {
    host.warmup_findings().map(|finding| {
        let (code, said) = (&finding.code, evidence(&finding.evidence));
        clean::line(&format!("{}: engine warm-up: {said} ({code}).", host.host))
    })
}

/// Whether answers were truncated.
fn endings(analysis: &Report<'_>) -> Option<String> {
    let mut cases = analysis.record.header.suite.cases.iter();
    let is_fixed = cases.all(|case| case.length == Length::Fixed);
    Some(match analysis.endings() {
        Endings::NoneCut => return None,
        Endings::AllAtLimit if is_fixed => {
            "All answers ran to max_tokens, so their lengths are equal.".to_owned()
        }
        Endings::AllAtLimit => {
            "All answers were truncated at max_tokens: their lengths are equal, but none ended naturally.".to_owned()
        }
        Endings::AllCut => {
            "All answers were truncated by max_tokens or the context length (finish reason length).".to_owned()
        }
        Endings::SomeCut { truncated, ok } => format!(
            "{} of {} answers were truncated by max_tokens or the context length (finish reason length).",
            grouped(truncated),
            grouped(ok)
        ),
    })
}

/// Limits of a host's figures: a cold first attempt, or no timestamp of any chunk.
pub(crate) fn unmeasured(host: &HostAnalysis<'_>) -> Vec<String> {
    let counted = host.cells().filter_map(|(_, cell)| cell.counted());
    let cold = counted.flat_map(|c| &c.findings).find(|f| f.code == FindingCode::ColdFirstAttempt);
    let figures = &host.figures;
    let unstamped = figures.requests.ok > figures.requests.buffered && figures.ttft_s.n() == 0;
    let unstamped =
        unstamped.then(|| "TTFT and speeds were not measured: no chunk has a timestamp".to_owned());
    cold.map(|f| evidence(&f.evidence)).into_iter().chain(unstamped).collect()
}

/// A run with too few repetitions for any verdict.
fn unrepeated(analysis: &Report<'_>) -> Option<String> {
    let most = analysis.record.header.suite.cases.iter().map(|case| case.repetitions).max()?;
    let is_few = usize::try_from(most).is_ok_and(|most| most < MIN_REPETITIONS);
    (is_few && !analysis.classes.is_empty()).then(|| {
        format!("No verdicts: n = {most}, at least {MIN_REPETITIONS} repetitions needed (C11).")
    })
}

/// Why a host has no usable results.
fn why_nothing(host: &HostAnalysis<'_>) -> String {
    if let Some(why) = host.record.and_then(|r| r.refused.as_deref()) {
        return clean::line(why);
    }
    let reasons = host.cells().filter_map(|(_, cell)| match &cell.state {
        CellState::Missing(reason) => Some(clean::line(&reason.to_string())),
        CellState::Counted(_) | CellState::Skipped(_) | CellState::Open => None,
    });
    let only = reasons.unique().exactly_one();
    only.unwrap_or_else(|_| "no usable results".to_owned())
}

/// Expected hosts that never joined.
fn absent(analysis: &Report<'_>) -> Option<String> {
    let names = analysis.absent_numbers().map(|n| format!("#{n}")).collect_vec();
    let hosts = if names.len() == 1 { "Host" } else { "Hosts" };
    (!names.is_empty()).then(|| format!("{hosts} {} never joined.", some_names(&names)))
}

/// What is excluded from the comparison of a class.
fn class_caveats(class: &ClassReport, several: bool) -> Vec<String> {
    let mut out = Vec::new();
    let unverified = class.class.unverified();
    let of_class = if several { format!(" in class {}", class.class.label) } else { String::new() };
    if !unverified.is_empty() && class.class.hosts.len() > 1 {
        let facts = unverified.join(", ");
        out.push(format!("Not verified as equal{of_class}: {facts} (unknown on all hosts)."));
    }
    if !class.class.assumed.is_empty() {
        out.push(format!(
            "Assumed equal{of_class} (--assume-equal): {}.",
            class.class.assumed.join(", ")
        ));
    }
    if class.class.hosts.len() < 2 {
        return out;
    }
    let hosts = class.metrics.iter().map(|m| (m.metric.label(), &m.series.hosts_left_out));
    for ((reason, names), metrics) in excluded(hosts) {
        let (names, metrics) = (some_names(&names), metrics.join(", "));
        out.push(format!("Excluded from the comparison of {metrics}: {names}. Reason: {reason}."));
    }
    let cases = class.metrics.iter().map(|m| (m.metric.label(), &m.series.cases_left_out));
    for ((reason, names), metrics) in excluded(cases) {
        let n = quantity(names.len(), "case");
        let (names, metrics) = (some_names(&names), metrics.join(", "));
        out.push(format!(
            "Excluded from the comparison of {metrics}: {n} ({names}). Reason: {reason}."
        ));
    }
    out.extend(class.metric(Metric::DecodeTps).map(too_few).unwrap_or_default());
    out
}

/// Hosts with too few repetitions for a verdict.
fn too_few(report: &MetricReport) -> Vec<String> {
    let few = format!("fewer than {MIN_REPETITIONS} complete repetitions");
    let said = |(why, that): (Reason, &str)| {
        let why = Judgement::NotJudged(why);
        let hosts = report.outcome.hosts.iter().filter(|j| j.verdict == why);
        let hosts: Vec<&HostId> = hosts.map(|j| &j.host).collect();
        let names = some_names(&hosts);
        (!hosts.is_empty()).then(|| format!("No verdict on {names}: {few}{that} (C11)."))
    };
    let shared = (Reason::TooFewShared, " shared with other hosts");
    [(Reason::TooFewRepetitions, ""), shared].into_iter().filter_map(said).collect()
}
