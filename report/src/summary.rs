//! The answer first: what was found, in sentences of plain text, and what could not be judged.
//!
//! The same sentences stand at the top of `report.md` and on the terminal. They hold names that
//! are slugs, and facts of hosts cleaned to one line; Markdown still has to escape them.

use std::collections::{BTreeMap, BTreeSet};

use regatta_types::clean;
use regatta_types::ids::HostId;
use serde::Serialize;

use crate::analysis::{Analysis, CellState, HostAnalysis};
use crate::compare::{
    ClassReport, Effect, FULL_REPETITIONS, Fact, Judged, MIN_REPETITIONS, Metric, MetricReport,
    Unjudged, Verdict, other_facts_of,
};
use crate::completeness::{Cells, Completeness};
use crate::markdown::{count_of, signed_percent, with_unit};
use crate::metrics::{Distribution, Requests};

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
    /// Decode speed over all its usable requests, ratio of sums, tokens per second.
    pub decode_tps: Option<f64>,
    /// Decode speed against the other hosts, per cent.
    pub difference_percent: Option<f64>,
    /// The verdict on its decode speed, in words.
    pub verdict: String,
}

pub(crate) fn summarise(analysis: &Analysis<'_>) -> Summary {
    let mut verdict_lines = found(analysis);
    verdict_lines.extend(causes(analysis));
    verdict_lines.extend(not_judged(analysis));
    let hosts = analysis
        .hosts
        .iter()
        .map(|host| {
            let judged = decode_judged(analysis, host.host);
            let effect = judged.and_then(|j| j.effect);
            HostSummary {
                host: host.host.clone(),
                decode_tps: host.figures.decode.per_second(),
                difference_percent: effect.map(|e| e.mean.exp_m1() * 100.0),
                verdict: judged.map_or("nothing to judge".to_owned(), verdict_words),
            }
        })
        .collect();
    Summary { verdict_lines, cells: analysis.cells, completeness: analysis.completeness(), hosts }
}

/// What was found on a host's decode speed.
pub(crate) fn decode_judged<'a>(analysis: &'a Analysis<'_>, host: &HostId) -> Option<&'a Judged> {
    analysis.class_of(host)?.metric(Metric::DecodeTps)?.judged(host)
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
    out
}

/// The figures of a host that has no other to be compared with.
fn alone(analysis: &Analysis<'_>, host: &HostId) -> String {
    let found = analysis.hosts.iter().find(|h| h.host == host);
    let mut figures = Vec::new();
    if let Some(figure) = found.and_then(|h| h.figures.decode.per_second()) {
        figures.push(format!("decode speed {figure:.2} tok/s"));
    }
    if let Some(seconds) = found.and_then(|h| h.figures.ttft_s.median()) {
        figures.push(format!("median time to first token {:.1} ms", seconds * 1e3));
    }
    if let Some((_, figure)) = found.and_then(HostAnalysis::peak_output) {
        figures.push(format!("highest system output {figure:.2} tok/s"));
    }
    if figures.is_empty() {
        figures.push("no speed could be taken".to_owned());
    }
    format!("{host}: {}. There is no host to compare it with.", figures.join(", "))
}

/// One metric over the hosts of one class: `Decode speed: ...`.
fn sentence(report: &MetricReport) -> String {
    let able: Vec<&Judged> = report.outcome.hosts.iter().filter(|j| j.effect.is_some()).collect();
    let said = if report.series.cases.is_empty() {
        "not compared, every case had to stay out".to_owned()
    } else if report.outcome.two_groups {
        two_groups(report)
    } else if able.is_empty() {
        format!("no verdict, fewer than two hosts have {MIN_REPETITIONS} complete repetitions")
    } else if let [first, second] = able.as_slice() {
        pair(report.metric, first, second)
    } else {
        fleet(report.metric, &able)
    };
    let fewest = able.iter().map(|j| j.basis()).min();
    let indicative = match fewest {
        Some(n) if n < FULL_REPETITIONS => format!(" (indicative: {n} repetitions)"),
        _ => String::new(),
    };
    format!("{}: {said}{indicative}.", report.metric.heading())
}

fn pair(metric: Metric, first: &Judged, second: &Judged) -> String {
    // Told of the host that is slower, or of the second where neither is.
    let (told, other) =
        if first.verdict == Verdict::Slower { (first, second) } else { (second, first) };
    let (a, b) = (&first.host, &second.host);
    let estimate = told.effect.map_or_else(String::new, estimate);
    match told.verdict {
        Verdict::Slower | Verdict::Faster => difference(metric, told, Some(&other.host)),
        Verdict::Equivalent => {
            let level = around(metric, [&first, &second].into_iter());
            format!("{a} and {b} are equivalent within {}{level}", margin(metric))
        }
        Verdict::NotSettled { .. } | Verdict::NotJudged(_) => format!(
            "whether {a} and {b} differ is not settled ({} against {}: {estimate}{})",
            told.host,
            other.host,
            more(told.verdict)
        ),
    }
}

fn fleet(metric: Metric, able: &[&Judged]) -> String {
    let all = able.len();
    let equivalent = able.iter().filter(|j| j.verdict == Verdict::Equivalent).count();
    let within = margin(metric);
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

/// ` (median 41.68 tok/s)`, over these hosts.
fn around<'a>(metric: Metric, hosts: impl Iterator<Item = &'a &'a Judged>) -> String {
    let median = Distribution::new(hosts.filter_map(|j| j.mean)).median();
    median.map_or_else(String::new, |log| format!(" (median {})", with_unit(metric, log)))
}

/// `sim-3 is 20.1 % slower (95 % CI 19.8–20.4)`.
fn difference(metric: Metric, judged: &Judged, than: Option<&HostId>) -> String {
    let Some(effect) = judged.effect else { return String::new() };
    let (low, high) = effect.interval(0.95);
    let mut ends = [low, high].map(|end| end.exp_m1().abs() * 100.0);
    ends.sort_by(f64::total_cmp);
    let word = match (metric.is_speed(), judged.verdict == Verdict::Slower) {
        (true, true) => "slower",
        (true, false) => "faster",
        (false, true) => "longer",
        (false, false) => "shorter",
    };
    let verb = if metric.is_speed() { "is" } else { "takes" };
    let than = than.map_or_else(String::new, |host| format!(" than {host}"));
    format!(
        "{} {verb} {:.1} % {word}{than} (95 % CI {:.1}–{:.1})",
        judged.host,
        effect.mean.exp_m1().abs() * 100.0,
        ends[0],
        ends[1]
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

fn margin(metric: Metric) -> String {
    format!("{:.0} %", metric.margin() * 100.0)
}

fn estimate(effect: Effect) -> String {
    let (low, high) = effect.interval(0.95);
    format!(
        "{} %, 95 % CI {} to {}",
        signed_percent(effect.mean),
        signed_percent(low),
        signed_percent(high)
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
pub(crate) fn verdict_words(judged: &Judged) -> String {
    let words = match judged.verdict {
        Verdict::Faster => "faster".to_owned(),
        Verdict::Slower => "slower".to_owned(),
        Verdict::Equivalent => "equivalent".to_owned(),
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

/// Facts in which a host with a settled decode speed differs from most others of its class.
pub(crate) fn causes(analysis: &Analysis<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for class in &analysis.classes {
        let Some(report) = class.metric(Metric::DecodeTps) else { continue };
        let members: Vec<&HostAnalysis<'_>> =
            analysis.hosts.iter().filter(|h| class.class.hosts.contains(h.host)).collect();
        for judged in report.outcome.hosts.iter().filter(|j| j.verdict.is_settled_difference()) {
            let unusual = unusual_facts(&judged.host, &members);
            if !unusual.is_empty() {
                out.push(format!(
                    "{} differs from most others in: {}.",
                    judged.host,
                    unusual.join("; ")
                ));
            }
        }
    }
    out
}

/// `GPU power limit 450 W (most others 600 W)`.
fn unusual_facts(host: &HostId, members: &[&HostAnalysis<'_>]) -> Vec<String> {
    let facts = |m: &HostAnalysis<'_>| other_facts_of(m.record);
    let own = members.iter().find(|m| m.host == host).map(|m| facts(m)).unwrap_or_default();
    let others: Vec<Vec<Fact>> =
        members.iter().filter(|m| m.host != host).map(|m| facts(m)).collect();
    let unusual = |(index, fact): (usize, &Fact)| {
        let own = fact.value.as_ref()?;
        let usual: Vec<&String> =
            others.iter().filter_map(|facts| facts[index].value.as_ref()).collect();
        let most = usual
            .iter()
            .find(|value| 2 * usual.iter().filter(|other| other == value).count() > others.len())?;
        (own != *most).then(|| clean::line(&format!("{} {own} (most others {most})", fact.name)))
    };
    own.iter().enumerate().filter_map(unusual).collect()
}

/// What could not be judged, and what to keep in mind.
pub(crate) fn not_judged(analysis: &Analysis<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for host in analysis.hosts.iter().filter(|h| !h.has_usable()) {
        let host_name = host.host;
        out.push(format!("{host_name} could not be judged: {}.", why_nothing(host)));
    }
    out.extend(absent(analysis));
    for class in &analysis.classes {
        out.extend(class_limits(class));
    }
    let cells = analysis.cells;
    let lost = cells.missing + cells.open;
    if lost > 0 {
        out.push(format!("{lost} of {} cells are missing (section Completeness).", cells.planned));
    }
    if cells.invalid > 0 {
        out.push(format!(
            "Invalid, kept and not compared: {} of {} counted cells.",
            cells.invalid, cells.counted
        ));
    }
    let sum = |f: fn(&Requests) -> u32| {
        analysis.hosts.iter().map(|h| u64::from(f(&h.requests))).sum::<u64>()
    };
    let (ok, failed) = (sum(|r| r.ok), sum(Requests::failures));
    let truncated = sum(|r| r.truncated);
    if failed > 0 {
        out.push(format!("{} failed.", count_of(failed, "measured request")));
    }
    if truncated > 0 {
        out.push(format!(
            "{truncated} of {ok} answers were cut by max_tokens or the context (finish reason length)."
        ));
    }
    out
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
            CellState::Counted(_) | CellState::Open => None,
        })
        .collect();
    match reasons.into_iter().collect::<Vec<_>>().as_slice() {
        [only] => only.clone(),
        _ => "nothing usable was measured on it".to_owned(),
    }
}

/// Expected hosts that nobody saw.
fn absent(analysis: &Analysis<'_>) -> Vec<String> {
    absent_numbers(analysis).map(|number| format!("Host #{number} never joined.")).collect()
}

/// The numbers of the hosts that never joined, after those that did.
pub(crate) fn absent_numbers(analysis: &Analysis<'_>) -> impl Iterator<Item = usize> + use<> {
    let known = analysis.hosts.len();
    let absent = usize::try_from(analysis.record.absent).unwrap_or(usize::MAX);
    known + 1..=known.saturating_add(absent)
}

/// What stays out of the comparison of a class.
fn class_limits(class: &ClassReport) -> Vec<String> {
    let mut out = Vec::new();
    let unverified = class.class.unverified();
    if !unverified.is_empty() && class.class.hosts.len() > 1 {
        out.push(format!(
            "Class {} is unverified: {} unknown on all its hosts.",
            class.class.label,
            unverified.join(", ")
        ));
    }
    for report in class.metrics.iter().filter(|_| class.class.hosts.len() > 1) {
        let label = report.metric.label();
        for (host, reason) in &report.series.hosts_left_out {
            out.push(format!("{host} is left out of the comparison of {label} ({reason})."));
        }
        let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (case, reason) in &report.series.cases_left_out {
            by_reason.entry(reason).or_default().push(case.as_str());
        }
        for (reason, cases) in by_reason {
            let n = count_of(u64::try_from(cases.len()).unwrap_or(u64::MAX), "case");
            let cases = cases.join(", ");
            out.push(format!("Left out of the comparison of {label}, {n} ({reason}): {cases}."));
        }
        let few: Vec<&str> = report
            .outcome
            .hosts
            .iter()
            .filter(|j| {
                let Verdict::NotJudged(why) = j.verdict else { return false };
                matches!(why, Unjudged::TooFewRepetitions | Unjudged::TooFewShared)
            })
            .map(|j| j.host.as_str())
            .collect();
        if !few.is_empty() && report.metric == Metric::DecodeTps {
            out.push(format!(
                "No verdict on {}: fewer than {MIN_REPETITIONS} complete repetitions, or fewer shared with the others.",
                few.join(", ")
            ));
        }
    }
    out
}
