//! Every sentence of a report: the summary and the caveats, verdicts, reasons and findings.
//!
//! The same sentences appear at the top of `report.md` and on the terminal. They contain names that
//! are slugs, and facts of hosts cleaned to one line; Markdown still has to escape them.

pub(crate) mod absent;
pub(crate) mod bandwidth;
pub(crate) mod capacity;
mod causes;
pub(crate) mod changes;
mod contention;
pub(crate) mod finding;
mod limits;
mod names;
pub(crate) mod numbers;
pub(crate) mod reason;
mod saturated;
mod trend;
pub(crate) mod verdict;

use itertools::Itertools as _;
use regatta_figures::capacity::NoCapacity;
use regatta_figures::compare::{Judged, Judgement, MIN_REPETITIONS, MetricReport, Reason, Verdict};
use regatta_figures::completeness::{Cells, Completeness};
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::Distribution;
use regatta_types::ids::HostId;
use regatta_types::margin::percent;
use regatta_types::metric::Metric;
use serde::Serialize;

pub(crate) use causes::{cause, causes_of, is_mirrored};
pub(crate) use contention::contended;
pub(crate) use limits::{caveats, changed_engine, finding_counts, unmeasured};
use names::{NAMED, first_few};
pub(crate) use names::{excluded, first_names, some_names};
use numbers::{digits, level_range, quantity, with_unit};
pub(crate) use reason::{not_comparable, shown};
pub(crate) use saturated::{offered, skipped, slots, unjudged};
pub use trend::{trend_json, trend_line};
pub(crate) use verdict::verdict_on;
use verdict::{Difference, basis, more};

use crate::report::Report;

/// A report in a few lines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The summary, then the caveats; one sentence each.
    pub verdict_lines: Vec<String>,
    /// Cells by what became of them.
    pub cells: Cells,
    /// How complete the run is.
    pub completeness: Completeness,
    /// One entry per host that is known by name, sorted.
    pub hosts: Vec<HostSummary>,
}

/// One host in a few figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostSummary {
    /// The host.
    pub host: HostId,
    /// Decode speed as it is compared, tokens per second: geometric mean over the compared cases
    /// and the complete repetitions.
    pub decode_tps: Option<f64>,
    /// Decode speed against the other hosts, per cent.
    pub difference_percent: Option<f64>,
    /// The verdict on its decode speed, in words.
    pub verdict: String,
}

pub(crate) fn summarise(analysis: &Report<'_>) -> Summary {
    let verdict_lines = answer(analysis).into_iter().chain(caveats(analysis)).collect();
    let of_host = |host: &HostAnalysis<'_>| {
        let report = analysis.class_of(host.host).and_then(|c| c.metric(Metric::DecodeTps));
        let report = report.filter(|report| !report.series.cases.is_empty());
        let judged = report.and_then(|report| report.judged(host.host));
        let verdict = verdict_on(analysis, Metric::DecodeTps, host.host);
        HostSummary {
            host: host.host.clone(),
            decode_tps: judged.and_then(|j| j.mean).map(f64::exp),
            difference_percent: judged.and_then(|j| j.effect).map(|e| e.mean.exp_m1() * 100.0),
            verdict: verdict.unwrap_or_else(|| "no verdict".to_owned()),
        }
    };
    let hosts = analysis.hosts.iter().map(of_host).collect();
    Summary { verdict_lines, cells: analysis.cells, completeness: analysis.completeness(), hosts }
}

/// The summary: the verdicts and their possible causes, then the other results.
pub(crate) fn answer(analysis: &Report<'_>) -> Vec<String> {
    let mut out = found(analysis);
    out.extend(causes::causes(analysis));
    out.extend(contended(analysis));
    out.extend(saturated::saturated(analysis));
    out.extend(bandwidth::dim_hosts(analysis));
    out.extend(capacity(analysis));
    out.extend(analysis.since.iter().flat_map(changes::headlines));
    out
}

/// The sums over the hosts, or why there are none.
fn capacity(analysis: &Report<'_>) -> Option<String> {
    match &analysis.capacity {
        Ok(capacity) => capacity::sentence(capacity),
        Err(NoCapacity::OneHost) => None,
        Err(why) => (!analysis.classes.is_empty())
            .then(|| format!("Total capacity is not available: {}.", capacity::why_none(*why))),
    }
}

/// What was found, metric by metric and class by class.
fn found(analysis: &Report<'_>) -> Vec<String> {
    let several = analysis.classes.len() > 1;
    let absent = usize::try_from(analysis.record.absent).unwrap_or(usize::MAX);
    let all = analysis.hosts.len().saturating_add(absent);
    let mut out = Vec::new();
    if several {
        out.push(format!(
            "The hosts are in {} comparability classes. Hosts are compared only within a class.",
            analysis.classes.len()
        ));
    }
    for class in &analysis.classes {
        let prefix = if several { format!("Class {}: ", class.class.label) } else { String::new() };
        if let [host] = class.class.hosts.as_slice() {
            out.push(format!("{prefix}{}", alone(analysis, host)));
            continue;
        }
        let of = if several { class.class.hosts.len() } else { all };
        out.extend(class.metrics.iter().map(|metric| format!("{prefix}{}", sentence(metric, of))));
    }
    out
}

/// The figures of a host that has no other to be compared with.
fn alone(analysis: &Report<'_>, host: &HostId) -> String {
    let found = analysis.hosts.iter().find(|h| h.host == host);
    let headlines = [Metric::DecodeTps, Metric::Ttft].into_iter().filter_map(|metric| {
        Some(format!("{} {}", metric.label(), headline(analysis, metric, host)?))
    });
    let peak = found.and_then(HostAnalysis::peak_output);
    let peak = peak.map(|(_, tps)| format!("highest system output {} tok/s", digits(Some(tps), 2)));
    let mut figures = headlines.chain(peak).join("; ");
    if figures.is_empty() {
        figures = match found.map_or(0, |host| host.figures.ttft_s.n()) {
            0 => "neither time to first token nor speed was measured".to_owned(),
            _ => "no complete repetition".to_owned(),
        };
    }
    let why = analysis.why_alone(host).map_or_else(
        || "There is no other host to compare with.".to_owned(),
        |why| format!("This host is {}.", not_comparable(&why)),
    );
    format!("{host}: {figures}. {why}")
}

/// A host's compared figure: `166.45 tok/s single-stream (95 % CI 166.09–166.81, n = 5, geometric
/// mean of 3 cases)`.
pub(crate) fn headline(analysis: &Report<'_>, metric: Metric, host: &HostId) -> Option<String> {
    let report = analysis.class_of(host)?.metric(metric)?;
    let judged = report.judged(host)?;
    let value = with_unit(metric, judged.mean?);
    let streams = match analysis.streams_of(&report.series.cases) {
        Some((1, 1)) => " single-stream".to_owned(),
        Some((few, many)) if few == many => format!(" at {many} concurrent streams"),
        Some((few, many)) => format!(" at {few} to {many} concurrent streams"),
        None => match analysis.rates_of(&report.series.cases) {
            Some((low, high)) if low < high => format!(" at {low} to {high} requests/s"),
            Some((rate, _)) => format!(" at {rate} requests/s"),
            None => " in closed and open loops".to_owned(),
        },
    };
    let interval = |level| format!("95 % CI {}, ", level_range(metric, level));
    let interval = judged.level.map_or_else(String::new, interval);
    let all = analysis.record.header.suite.compared_cases().count();
    let compared = report.series.cases.len();
    let what = match metric {
        Metric::DecodeTps | Metric::OutputTps | Metric::Energy => "",
        Metric::Ttft | Metric::FirstAnswer | Metric::E2e => "the medians of ",
    };
    let cases = match (compared, all) {
        (1, 1) => String::new(),
        (n, all) if n == all => format!(", geometric mean of {what}{n} cases"),
        (n, all) => format!(", geometric mean of {what}{n} of {all} cases"),
    };
    Some(format!("{value}{streams} ({interval}n = {}{cases})", judged.repetitions))
}

/// One metric over the hosts of one class, of so many: `Decode speed: ...`.
fn sentence(report: &MetricReport, of: usize) -> String {
    let able: Vec<&Judged> = report.outcome.hosts.iter().filter(|j| j.effect.is_some()).collect();
    if let Some(why) = report.why_nothing() {
        return format!("{} is {}.", report.metric.heading(), not_comparable(&why));
    }
    let said = if report.outcome.two_groups {
        two_groups(report)
    } else if able.is_empty() {
        no_verdict(report)
    } else if let [first, second] = able.as_slice() {
        pair(report, first, second)
    } else {
        fleet(report, &able, of)
    };
    format!("{}: {said}.", report.metric.heading())
}

/// Why nobody has a verdict.
fn no_verdict(report: &MetricReport) -> String {
    let hosts = &report.outcome.hosts;
    let few_shared = Judgement::NotJudged(Reason::TooFewShared);
    if hosts.len() < 2 {
        "no verdict: all other hosts are excluded".to_owned()
    } else if hosts.iter().any(|j| j.verdict == few_shared) {
        format!("no verdict: no two hosts share {MIN_REPETITIONS} complete repetitions")
    } else {
        format!("no verdict: fewer than two hosts have {MIN_REPETITIONS} complete repetitions")
    }
}

fn pair(report: &MetricReport, first: &Judged, second: &Judged) -> String {
    let metric = report.metric;
    // From the point of view of the slower host, or of the second if neither is slower.
    let (told, other) =
        if first.verdict == Verdict::Slower { (first, second) } else { (second, first) };
    let (a, b) = (&first.host, &second.host);
    match told.verdict.verdict() {
        Some(Verdict::Slower | Verdict::Faster) => {
            difference(metric, told, &format!(" than {}", other.host))
        }
        Some(Verdict::Equivalent) => {
            let level = around(metric, [&first, &second].into_iter());
            format!("{a} and {b} are equivalent within {}{level}", margin(report))
        }
        Some(Verdict::Inconclusive { .. }) | None => format!(
            "the comparison of {a} and {b} is inconclusive ({} against {}: {})",
            told.host,
            other.host,
            estimate(told)
        ),
    }
}

fn fleet(report: &MetricReport, able: &[&Judged], of: usize) -> String {
    let all = able.len();
    let hosts = if all == of { "hosts".to_owned() } else { format!("compared hosts (of {of})") };
    let equivalent = able.iter().filter(|j| j.verdict == Verdict::Equivalent).count();
    let within = margin(report);
    let level = around(report.metric, able.iter().filter(|j| j.verdict == Verdict::Equivalent));
    let head = match equivalent {
        0 => format!("no host is shown to be equivalent to the others within {within}"),
        1 => format!("1 of {all} {hosts} is equivalent to the others within {within}{level}"),
        n if n == all => format!("all {n} {hosts} are equivalent within {within}{level}"),
        n => format!("{n} of {all} {hosts} are equivalent within {within}{level}"),
    };
    let different = different(report.metric, able).into_iter();
    different.chain([head]).chain(inconclusive(able)).join("; ")
}

/// The hosts that differ significantly, the largest differences first where not all are named.
fn different(metric: Metric, able: &[&Judged]) -> Vec<String> {
    let mut different: Vec<&&Judged> = able.iter().filter(|j| j.verdict.is_difference()).collect();
    if different.len() > NAMED {
        let size = |j: &Judged| j.effect.map_or(0.0, |e| e.mean.abs());
        different.sort_by(|a, b| size(b).total_cmp(&size(a)).then_with(|| a.host.cmp(&b.host)));
    }
    first_few(different.iter().map(|j| difference(metric, j, "")).collect(), |more| {
        format!("{} different (see Side by side)", quantity(more, "more host"))
    })
}

/// The hosts with an inconclusive verdict: the estimates of one or two, of more only their names.
fn inconclusive(able: &[&Judged]) -> Vec<String> {
    let open: Vec<&&Judged> = able.iter().filter(|j| j.verdict.is_inconclusive()).collect();
    if open.len() > 2 {
        let hosts: Vec<&HostId> = open.iter().map(|j| &j.host).collect();
        return vec![format!("inconclusive: {} (see Side by side)", some_names(&hosts))];
    }
    let named = open.iter().map(|j| format!("{} ({})", j.host, estimate(j))).join(", ");
    (!open.is_empty()).then(|| format!("inconclusive: {named}")).into_iter().collect()
}

/// ` (median 41.68 tok/s, n = 5)`, over these hosts; the fewest repetitions.
fn around<'a>(metric: Metric, hosts: impl Iterator<Item = &'a &'a Judged>) -> String {
    let (means, repeated): (Vec<f64>, Vec<usize>) =
        hosts.filter_map(|j| Some((j.mean?, j.basis()))).unzip();
    let median = Distribution::new(means).median().zip(repeated.into_iter().min());
    median.map_or_else(String::new, |(log, n)| {
        format!(" (median {}, {})", with_unit(metric, log), basis(n))
    })
}

/// `sim-3 is 20.1 % slower (95 % CI 19.8–20.4, n = 5)`.
fn difference(metric: Metric, judged: &Judged, than: &str) -> String {
    let told = |e| Difference::of(e).told(&judged.host, metric, &judged.verdict, than);
    judged.effect.map_or_else(String::new, told)
}

/// `-1.4 %, 95 % CI -4.0 to +1.3, n = 5; about 3 more repetitions needed`.
fn estimate(judged: &Judged) -> String {
    let estimate = judged.effect.map_or_else(String::new, |e| Difference::of(e).signed());
    format!("{estimate}{}", more(&judged.verdict, ""))
}

fn two_groups(report: &MetricReport) -> String {
    let in_groups = Judgement::NotJudged(Reason::TwoGroups);
    let hosts = report.outcome.hosts.iter().filter(|j| j.verdict == in_groups);
    let levels = hosts.filter_map(|j| Some((j.level?.mean, &j.host)));
    let levels = levels.sorted_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1))).collect_vec();
    let gap = |i: usize| levels[i].0 - levels[i - 1].0;
    let split = (1..levels.len()).max_by(|&a, &b| gap(a).total_cmp(&gap(b))).unwrap_or(0);
    let names = |group: &[(f64, &HostId)]| group.iter().map(|(_, host)| host).join(", ");
    let (low, high) = levels.split_at(split);
    format!(
        "the hosts fall into two groups, so no host is called slow or fast: {} with the lower values, {} with the higher",
        names(low),
        names(high)
    )
}

fn margin(report: &MetricReport) -> String {
    format!("{} %", percent(report.margin))
}
