//! Changes since an earlier run, in sentences: verdicts, then caveats.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools as _;
use regatta_figures::compare::{Judgement, Verdict};
use regatta_figures::facts::FactChange;
use regatta_figures::history::{Changes, Estimated, HostChanges, MetricChange};
use regatta_types::clean;
use regatta_types::ids::HostId;
use regatta_types::margin::percent;
use regatta_types::metric::Metric;

use super::names::{excluded, first_few, some_names, together};
use super::reason::{changes as fact_changes, reason};
use super::verdict::{Difference, Sides, if_indicative, judgement_words, more};

/// A metric of the solo counterparts, or of all other cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    pub(crate) metric: Metric,
    pub(crate) solo: bool,
}

/// All of them: the metrics that hosts are compared in first.
pub(crate) fn figures() -> impl Iterator<Item = Figure> {
    let of = |solo| Metric::ALL.into_iter().map(move |metric| Figure { metric, solo });
    of(false).chain(of(true))
}

impl Figure {
    fn of(change: &MetricChange) -> Self {
        Self { metric: change.metric, solo: change.solo }
    }

    pub(crate) fn heading(self) -> String {
        format!("{}{}", self.metric.heading(), if self.solo { " (solo)" } else { "" })
    }

    fn label(self) -> String {
        format!("{}{}", self.metric.label(), if self.solo { " (solo)" } else { "" })
    }
}

/// One sentence of plain text per metric, then the caveats.
#[must_use]
pub fn change_lines(changes: &Changes) -> Vec<String> {
    let mut lines: Vec<String> = figures().filter_map(|figure| sentence(changes, figure)).collect();
    if lines.is_empty() {
        lines.push("No host can be compared.".to_owned());
    }
    lines.extend(limits(changes));
    lines
}

/// For the summary of a report: decode speed, and other metrics with a significant difference.
pub(crate) fn headlines(changes: &Changes) -> Vec<String> {
    let differs = |(_, change): (_, &MetricChange)| change.verdict.is_difference();
    let told = |figure: &Figure| {
        figure.metric == Metric::DecodeTps || of_figure(changes, *figure).any(differs)
    };
    let line = |figure: Figure| {
        let finding = finding(changes, figure)?;
        Some(format!("Since run {}, {}: {finding}", changes.before, figure.label()))
    };
    let lines: Vec<String> = figures().filter(told).filter_map(line).collect();
    if lines.is_empty() {
        return vec![format!("No host can be compared with run {}.", changes.before)];
    }
    lines
}

/// The changes of one host, one sentence per metric.
pub(crate) fn of_host(changes: &Changes, host: &HostId) -> Vec<String> {
    let before = &changes.before;
    let Some(own) = changes.hosts.iter().find(|own| own.host == *host) else {
        return Vec::new();
    };
    if let Some(why) = &own.not_comparable {
        return vec![format!("Not comparable with run {before}: {}.", reason(why))];
    }
    let line = |metric: &MetricChange| {
        let label = Figure::of(metric).label();
        if let Some(why) = metric.verdict.why_not() {
            return Some(format!("Since run {before}, {label}: not compared: {}.", reason(why)));
        }
        let (verdict, estimate) = (verdict(metric), difference(metric)?.signed());
        Some(format!("Since run {before}, {label}: {verdict} ({estimate})."))
    };
    own.metrics.iter().filter_map(line).collect()
}

pub(crate) fn of_figure(
    changes: &Changes,
    figure: Figure,
) -> impl Iterator<Item = (&HostChanges, &MetricChange)> {
    changes.hosts.iter().filter_map(move |host| {
        Some((host, host.metrics.iter().find(|change| Figure::of(change) == figure)?))
    })
}

/// `Decode speed: gpu-03 is 5.1 % slower than before (...); 2 hosts are equivalent within 2 %.`
pub(crate) fn sentence(changes: &Changes, figure: Figure) -> Option<String> {
    Some(format!("{}: {}", figure.heading(), finding(changes, figure)?))
}

fn finding(changes: &Changes, figure: Figure) -> Option<String> {
    let metric = figure.metric;
    let with = |wanted: fn(&Judgement) -> bool| {
        of_figure(changes, figure).filter(move |(_, c)| wanted(&c.verdict))
    };
    let changed = with(Judgement::is_difference).filter_map(|(host, change)| {
        Some(difference(change)?.told(&host.host, metric, &change.verdict, " than before"))
    });
    let mut parts = first_few(changed.collect(), |more| format!("{more} more hosts have changed"));
    let equivalent = with(|judgement| *judgement == Verdict::Equivalent).collect_vec();
    let all = changes.hosts.len();
    let who = match equivalent.as_slice() {
        [] => None,
        [(only, _)] => Some(format!("{} is", only.host)),
        both @ [_, _] if both.len() == all => Some("both hosts are".to_owned()),
        some if some.len() == all => Some(format!("all {all} hosts are")),
        some => Some(format!("{} hosts are", some.len())),
    };
    let fewest = equivalent.iter().filter_map(|(_, change)| change.fewest()).min();
    let indicative = if_indicative(fewest, " (indicative)");
    let margin = percent(metric.margin(&changes.margins));
    parts.extend(who.map(|who| format!("{who} equivalent within {margin} %{indicative}")));
    let inconclusive = with(Judgement::is_inconclusive).filter_map(|(host, change)| {
        let (change, more) = (difference(change)?.signed(), more(&change.verdict, " in each run"));
        Some(format!("{}: inconclusive ({change}{more})", host.host))
    });
    parts.extend(first_few(inconclusive.collect(), |more| format!("{more} more inconclusive")));
    (!parts.is_empty()).then(|| format!("{}.", parts.join("; ")))
}

pub(crate) fn limits(changes: &Changes) -> Vec<String> {
    let mut said: Vec<(String, String)> = Vec::new();
    for host in &changes.hosts {
        let mut say = |what: String| said.push((host.host.to_string(), what));
        if let Some(why) = &host.not_comparable {
            say(format!(": not comparable: {}.", reason(why)));
        }
        if host.with.iter().any(|with| *with != host.host) {
            let with = some_names(&host.with);
            say(format!(": compared with {with}, which had the same GPU, model and engine."));
        }
        for change in &host.metrics {
            let Some(why) = change.verdict.why_not() else { continue };
            say(format!(", {}: not compared: {}.", Figure::of(change).label(), reason(why)));
        }
        let facts = |facts: &[FactChange]| clean::line(&fact_changes(facts));
        if !host.allowed.is_empty() {
            let facts = facts(&host.allowed);
            say(format!(": compared despite a different class (--allow-different): {facts}."));
        }
        if !host.other_facts.is_empty() {
            say(format!(": changed facts: {}.", facts(&host.other_facts)));
        }
    }
    let line = |(hosts, what): (String, String)| format!("{hosts}{what}");
    let mut out: Vec<String> = together(said).into_iter().map(line).collect();
    out.extend(cases_left_out(changes));
    if !changes.absent.is_empty() {
        let names = some_names(&changes.absent);
        out.push(format!("Only in the earlier run, so not compared: {names}."));
    }
    out
}

/// Excluded cases: one sentence per reason, not per host, metric and case.
fn cases_left_out(changes: &Changes) -> Vec<String> {
    // Metrics by reason, hosts and cases.
    let mut metrics: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for figure in figures() {
        let compared =
            of_figure(changes, figure).filter(|(_, change)| change.verdict.why_not().is_none());
        let by = compared.map(|(host, change)| (&host.host, &change.cases_left_out));
        for ((why, cases), hosts) in excluded(by) {
            metrics.entry((why, hosts, cases)).or_default().insert(figure.label());
        }
    }
    let said = metrics.into_iter().map(|((why, hosts, cases), metrics)| {
        let noun = if cases.len() == 1 { "case" } else { "cases" };
        let (hosts, metrics) = (some_names(&hosts), metrics.iter().join(", "));
        format!("{hosts}: {metrics} not compared in {noun} {}: {why}.", some_names(&cases))
    });
    said.collect()
}

/// The change, with `n = 4 and 5, indicative`.
fn difference(change: &MetricChange) -> Option<Difference> {
    let Estimated { mean_log, ci95_log, .. } = change.change?;
    let indicative = if_indicative(change.fewest(), ", indicative");
    let basis = format!("n = {} and {}{indicative}", change.before?.n, change.after?.n);
    Some(Difference { mean_log, ci95_log, basis })
}

pub(crate) fn verdict(change: &MetricChange) -> String {
    let n = change.fewest().unwrap_or(usize::MAX);
    judgement_words(change.metric, &change.verdict, n, Sides::Runs)
}
