//! The answer first: what was found, in sentences of plain text, and what could not be judged.
//!
//! The same sentences stand at the top of `report.md` and on the terminal. They hold names that
//! are slugs, and facts of hosts cleaned to one line; Markdown still has to escape them.

mod causes;
mod contention;
mod limits;

use regatta_types::ids::HostId;
use regatta_types::margin::percent;
use serde::Serialize;

pub(crate) use causes::{causes, causes_of};
pub(crate) use contention::contended;
pub(crate) use limits::{absent_numbers, changed_engine, not_judged, unmeasured};

use crate::analysis::{Analysis, HostAnalysis};
use crate::bandwidth::dim_hosts;
use crate::capacity::Capacity;
use crate::compare::{
    Effect, FULL_REPETITIONS, Judged, MIN_REPETITIONS, Metric, MetricReport, Unjudged, Verdict,
};
use crate::completeness::{Cells, Completeness};
use crate::levels::SweepEnd;
use crate::markdown::{count_of, level_range, offered, signed_percent, with_unit};
use crate::metrics::Distribution;

/// A report in a few lines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// What was found, then what could not be judged; one sentence each.
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

pub(crate) fn summarise(analysis: &Analysis<'_>) -> Summary {
    let mut verdict_lines = found(analysis);
    verdict_lines.extend(causes(analysis));
    verdict_lines.extend(contended(analysis));
    verdict_lines.extend(dim_hosts(analysis));
    verdict_lines.extend(Capacity::of(analysis).and_then(|capacity| capacity.sentence()));
    verdict_lines.extend(not_judged(analysis));
    let hosts = analysis
        .hosts
        .iter()
        .map(|host| {
            let judged = decode_judged(analysis, host.host);
            let effect = judged.and_then(|j| j.effect);
            HostSummary {
                host: host.host.clone(),
                decode_tps: judged.and_then(|j| j.mean).map(f64::exp),
                difference_percent: effect.map(|e| e.mean.exp_m1() * 100.0),
                verdict: judged.map_or("nothing to judge".to_owned(), |judged| {
                    verdict_words(Metric::DecodeTps, judged)
                }),
            }
        })
        .collect();
    Summary { verdict_lines, cells: analysis.cells, completeness: analysis.completeness(), hosts }
}

/// What was found on a host's decode speed.
pub(crate) fn decode_judged<'a>(analysis: &'a Analysis<'_>, host: &HostId) -> Option<&'a Judged> {
    let report = analysis.class_of(host)?.metric(Metric::DecodeTps)?;
    report.judged(host).filter(|_| !report.series.cases.is_empty())
}

/// What was found, metric by metric and class by class.
pub(crate) fn found(analysis: &Analysis<'_>) -> Vec<String> {
    let several = analysis.classes.len() > 1;
    let mut out = Vec::new();
    if several {
        out.push(format!(
            "The hosts fall into {} comparability classes; hosts of different classes are not compared.",
            analysis.classes.len()
        ));
    }
    for class in &analysis.classes {
        let prefix = if several { format!("Class {}: ", class.class.label) } else { String::new() };
        if let [host] = class.class.hosts.as_slice() {
            out.push(format!("{prefix}{}", alone(analysis, host)));
            continue;
        }
        out.extend(class.metrics.iter().map(|metric| format!("{prefix}{}", sentence(metric))));
    }
    out.extend(analysis.hosts.iter().flat_map(saturation));
    out
}

/// Where the sweeps of a host ended.
fn saturation(host: &HostAnalysis<'_>) -> Vec<String> {
    let sentence = |sweep: &SweepEnd<'_>| {
        let saturated = sweep.saturated.as_ref()?;
        Some(format!(
            "{}: {} saturated at {}: {}{}.",
            host.host,
            sweep.of,
            offered(saturated.at),
            saturated.evidence,
            sweep.skipped_words()
        ))
    };
    host.sweeps.iter().filter_map(sentence).collect()
}

/// The figures of a host that has no other to be compared with.
fn alone(analysis: &Analysis<'_>, host: &HostId) -> String {
    let found = analysis.hosts.iter().find(|h| h.host == host);
    let mut figures: Vec<String> = [Metric::DecodeTps, Metric::Ttft]
        .into_iter()
        .filter_map(|metric| {
            Some(format!("{} {}", metric.label(), headline(analysis, metric, host)?))
        })
        .collect();
    if let Some((_, figure)) = found.and_then(HostAnalysis::peak_output) {
        figures.push(format!("highest system output {figure:.2} tok/s"));
    }
    if figures.is_empty() {
        // What could not be measured says so by itself, below.
        let any = |h: &&HostAnalysis<'_>| h.figures.ttft_s.n() > 0;
        figures.push(match found.filter(any) {
            Some(_) => "no repetition is complete".to_owned(),
            None => "no time to first token and no speed was measured".to_owned(),
        });
    }
    format!("{host}: {}. There is no host to compare it with.", figures.join("; "))
}

/// A host's figure as it is compared: `166.45 tok/s at one stream (95 % CI 166.09–166.81, 5
/// repetitions, geometric mean of 3 cases)`.
pub(crate) fn headline(analysis: &Analysis<'_>, metric: Metric, host: &HostId) -> Option<String> {
    let report = analysis.class_of(host)?.metric(metric)?;
    let judged = report.judged(host)?;
    let value = with_unit(metric, judged.mean?);
    let streams = match analysis.streams_of(&report.series.cases) {
        Some((1, 1)) => " at one stream".to_owned(),
        Some((few, many)) if few == many => format!(", {many} streams at once"),
        Some((few, many)) => format!(", {few} to {many} streams at once"),
        None => match analysis.rates_of(&report.series.cases) {
            Some((low, high)) if low < high => format!(", {low} to {high} requests/s"),
            Some((rate, _)) => format!(", {rate} requests/s"),
            None => ", closed and open loops".to_owned(),
        },
    };
    let interval = judged
        .level
        .map_or_else(String::new, |level| format!("95 % CI {}, ", level_range(metric, level)));
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
    Some(format!("{value}{streams} ({interval}{}{cases})", repetitions(judged.repetitions)))
}

/// `5 repetitions`.
fn repetitions(n: usize) -> String {
    count_of(u64::try_from(n).unwrap_or(u64::MAX), "repetition")
}

/// One metric over the hosts of one class: `Decode speed: ...`.
fn sentence(report: &MetricReport) -> String {
    let able: Vec<&Judged> = report.outcome.hosts.iter().filter(|j| j.effect.is_some()).collect();
    let said = if report.series.cases.is_empty() {
        "not compared, every case had to stay out".to_owned()
    } else if report.outcome.two_groups {
        two_groups(report)
    } else if able.is_empty() {
        no_verdict(report)
    } else if let [first, second] = able.as_slice() {
        pair(report, first, second)
    } else {
        fleet(report, &able)
    };
    let fewest = able.iter().map(|j| j.basis()).min();
    let is_indicative = fewest.is_some_and(|n| n < FULL_REPETITIONS);
    let indicative = if is_indicative { " (indicative)" } else { "" };
    format!("{}: {said}{indicative}.", report.metric.heading())
}

/// Why nobody has a verdict.
fn no_verdict(report: &MetricReport) -> String {
    let hosts = &report.outcome.hosts;
    let few_shared = Verdict::NotJudged(Unjudged::TooFewShared);
    if hosts.len() < 2 {
        "no verdict, the other hosts had to stay out".to_owned()
    } else if hosts.iter().any(|j| j.verdict == few_shared) {
        format!("no verdict, no two hosts share {MIN_REPETITIONS} complete repetitions")
    } else {
        format!("no verdict, fewer than two hosts have {MIN_REPETITIONS} complete repetitions")
    }
}

fn pair(report: &MetricReport, first: &Judged, second: &Judged) -> String {
    let metric = report.metric;
    // Told of the host that is slower, or of the second where neither is.
    let (told, other) =
        if first.verdict == Verdict::Slower { (first, second) } else { (second, first) };
    let (a, b) = (&first.host, &second.host);
    let estimate = told.effect.map_or_else(String::new, estimate);
    match told.verdict {
        Verdict::Slower | Verdict::Faster => difference(metric, told, Some(&other.host)),
        Verdict::Equivalent => {
            let level = around(metric, [&first, &second].into_iter());
            format!("{a} and {b} are equivalent within {}{level}", margin(report))
        }
        Verdict::NotSettled { .. } | Verdict::NotJudged(_) => format!(
            "whether {a} and {b} differ is not settled ({} against {}: {estimate}{})",
            told.host,
            other.host,
            more(told.verdict)
        ),
    }
}

fn fleet(report: &MetricReport, able: &[&Judged]) -> String {
    let metric = report.metric;
    let all = able.len();
    let equivalent = able.iter().filter(|j| j.verdict == Verdict::Equivalent).count();
    let within = margin(report);
    let level = around(metric, able.iter().filter(|j| j.verdict == Verdict::Equivalent));
    let head = match equivalent {
        0 => format!("no host is shown equivalent within {within}"),
        1 => format!("1 of {all} hosts is equivalent to the rest within {within}{level}"),
        n if n == all => format!("all {n} hosts are equivalent within {within}{level}"),
        n => format!("{n} of {all} hosts are equivalent within {within}{level}"),
    };
    let settled = able
        .iter()
        .filter(|j| j.verdict.is_settled_difference())
        .map(|j| difference(metric, j, None));
    let open = able.iter().filter(|j| matches!(j.verdict, Verdict::NotSettled { .. })).map(|j| {
        let estimate = j.effect.map_or_else(String::new, estimate);
        format!("{} is not settled ({estimate}{})", j.host, more(j.verdict))
    });
    let parts: Vec<String> = std::iter::once(head).chain(settled).chain(open).collect();
    parts.join("; ")
}

/// ` (median 41.68 tok/s, 5 repetitions)`, over these hosts; the fewest repetitions.
fn around<'a>(metric: Metric, hosts: impl Iterator<Item = &'a &'a Judged>) -> String {
    let (means, repeated): (Vec<f64>, Vec<usize>) =
        hosts.filter_map(|j| Some((j.mean?, j.basis()))).unzip();
    let median = Distribution::new(means).median().zip(repeated.into_iter().min());
    median.map_or_else(String::new, |(log, n)| {
        format!(" (median {}, {})", with_unit(metric, log), repetitions(n))
    })
}

/// `sim-3 is 20.1 % slower (95 % CI 19.8–20.4, 5 repetitions)`.
fn difference(metric: Metric, judged: &Judged, than: Option<&HostId>) -> String {
    let Some(effect) = judged.effect else { return String::new() };
    let (low, high) = effect.interval(0.95);
    let mut ends = [low, high].map(|end| end.exp_m1().abs() * 100.0);
    ends.sort_by(f64::total_cmp);
    let (verb, word) = metric.difference(judged.verdict == Verdict::Slower);
    let than = than.map_or_else(String::new, |host| format!(" than {host}"));
    format!(
        "{} {verb} {:.1} % {word}{than} (95 % CI {:.1}–{:.1}, {})",
        judged.host,
        effect.mean.exp_m1().abs() * 100.0,
        ends[0],
        ends[1],
        repetitions(effect.n)
    )
}

fn two_groups(report: &MetricReport) -> String {
    let mut levels: Vec<(f64, &HostId)> = report
        .outcome
        .hosts
        .iter()
        .filter(|j| j.verdict == Verdict::NotJudged(Unjudged::TwoGroups))
        .filter_map(|j| Some((j.level?.mean, &j.host)))
        .collect();
    levels.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
    let gap = |i: usize| levels[i].0 - levels[i - 1].0;
    let split = (1..levels.len()).max_by(|&a, &b| gap(a).total_cmp(&gap(b))).unwrap_or(0);
    let names = |group: &[(f64, &HostId)]| {
        group.iter().map(|(_, host)| host.as_str()).collect::<Vec<_>>().join(", ")
    };
    let (low, high) = levels.split_at(split);
    format!(
        "the hosts form two groups, so that none can be called the slow or the fast one: {} with the lower values, {} with the higher",
        names(low),
        names(high)
    )
}

fn margin(report: &MetricReport) -> String {
    format!("{} %", percent(report.margin))
}

fn estimate(effect: Effect) -> String {
    let (low, high) = effect.interval(0.95);
    format!(
        "{} %, 95 % CI {} to {}, {}",
        signed_percent(effect.mean),
        signed_percent(low),
        signed_percent(high),
        repetitions(effect.n)
    )
}

fn more(verdict: Verdict) -> String {
    match verdict {
        Verdict::NotSettled { more: Some(n) } => {
            format!("; about {n} more {} needed", if n == 1 { "repetition" } else { "repetitions" })
        }
        Verdict::NotSettled { more: None } => "; more repetitions would not settle it".to_owned(),
        Verdict::Faster | Verdict::Slower | Verdict::Equivalent | Verdict::NotJudged(_) => {
            String::new()
        }
    }
}

/// A verdict in a table cell.
pub(crate) fn verdict_words(metric: Metric, judged: &Judged) -> String {
    let words = match judged.verdict {
        Verdict::Faster | Verdict::Slower | Verdict::Equivalent => {
            metric.verdict(judged.verdict).to_owned()
        }
        Verdict::NotSettled { .. } => format!("not settled{}", more(judged.verdict)),
        Verdict::NotJudged(Unjudged::TooFewRepetitions) => {
            return format!(
                "no verdict: {} of {MIN_REPETITIONS} complete repetitions",
                judged.repetitions.min(MIN_REPETITIONS)
            );
        }
        Verdict::NotJudged(Unjudged::TooFewShared) => {
            return format!(
                "no verdict: fewer than {MIN_REPETITIONS} repetitions shared with others"
            );
        }
        Verdict::NotJudged(Unjudged::Alone) => return "no other host to judge by".to_owned(),
        Verdict::NotJudged(Unjudged::TwoGroups) => return "two groups".to_owned(),
    };
    if judged.basis() < FULL_REPETITIONS { format!("{words} (indicative)") } else { words }
}
