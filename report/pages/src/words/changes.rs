//! What changed since an earlier run, in sentences: the answer first, then what could not be judged.

use std::collections::BTreeMap;

use regatta_figures::compare::{FULL_REPETITIONS, Verdict};
use regatta_figures::facts::FactChange;
use regatta_figures::history::{Changes, HostChanges, MetricChange};
use regatta_types::clean;
use regatta_types::ids::HostId;
use regatta_types::margin::percent;
use regatta_types::metric::Metric;

use super::metric::{verb, verdict_word};
use super::names::{NAMED, some_names, together};
use super::numbers::{count_of, signed_percent};
use super::reason::{changes as fact_changes, reason};

/// Why, on which hosts, and which cases.
type LeftOut<'a> = (String, Vec<&'a str>, Vec<&'a str>);

/// A metric, of what was measured solo beside the rest, or of the rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) metric: Metric,
    pub(crate) solo: bool,
}

/// All of them: what hosts are compared by first.
pub(crate) fn figures() -> impl Iterator<Item = Figure> {
    let of = |solo| Metric::ALL.into_iter().map(move |metric| Figure { metric, solo });
    of(false).chain(of(true))
}

impl Figure {
    fn of(change: &MetricChange) -> Self {
        Self { metric: change.metric, solo: change.solo }
    }

    fn is_of(self, change: &MetricChange) -> bool {
        (self.metric, self.solo) == (change.metric, change.solo)
    }

    pub(crate) fn heading(self) -> String {
        format!("{}{}", self.metric.heading(), if self.solo { " (solo)" } else { "" })
    }

    pub(crate) fn label(self) -> String {
        format!("{}{}", self.metric.label(), if self.solo { " (solo)" } else { "" })
    }
}

/// The answer, a sentence of plain text for each metric, then what could not be judged.
#[must_use]
pub fn change_lines(changes: &Changes) -> Vec<String> {
    let mut lines: Vec<String> = figures().filter_map(|figure| sentence(changes, figure)).collect();
    if lines.is_empty() {
        lines.push("Nothing could be compared.".to_owned());
    }
    lines.extend(limits(changes));
    lines
}

/// For the answer of a report: decode speed, and whatever else is settled.
pub(crate) fn headlines(changes: &Changes) -> Vec<String> {
    let is_settled = |figure: Figure| {
        let mut changes = of_figure(changes, figure).filter_map(|(_, change)| change.verdict);
        changes.any(Verdict::is_difference)
    };
    let told = |figure: &Figure| figure.metric == Metric::DecodeTps || is_settled(*figure);
    let line = |figure: Figure| {
        let finding = finding(changes, figure)?;
        Some(format!("Against run {}, {}: {finding}", changes.before, figure.label()))
    };
    let lines: Vec<String> = figures().filter(told).filter_map(line).collect();
    if lines.is_empty() {
        return vec![format!("Nothing could be compared with run {}.", changes.before)];
    }
    lines
}

/// What changed on one host, a sentence for each metric.
pub(crate) fn of_host(changes: &Changes, host: &HostId) -> Vec<String> {
    let before = &changes.before;
    let Some(own) = changes.hosts.iter().find(|own| own.host == *host) else {
        return Vec::new();
    };
    if let Some(why) = &own.not_comparable {
        return vec![format!("Not comparable with run {before} ({}).", reason(why))];
    }
    let line = |metric: &MetricChange| {
        let label = Figure::of(metric).label();
        if let Some(why) = &metric.why_not {
            return Some(format!("Not compared with run {before} in {label} ({}).", reason(why)));
        }
        let change = metric.change?;
        let verdict = verdict_words(metric);
        let [mean, low, high] =
            [change.mean_log, change.ci95_log.0, change.ci95_log.1].map(signed_percent);
        let n = repetitions(metric)?;
        Some(format!(
            "Against run {before} in {label}: {verdict} ({mean} %, 95 % CI {low} to {high}, {n})."
        ))
    };
    own.metrics.iter().filter_map(line).collect()
}

pub(crate) fn of_figure(
    changes: &Changes,
    figure: Figure,
) -> impl Iterator<Item = (&HostChanges, &MetricChange)> {
    let in_host = move |host: &'_ HostChanges| host.metrics.iter().position(|m| figure.is_of(m));
    changes.hosts.iter().filter_map(move |host| Some((host, &host.metrics[in_host(host)?])))
}

/// `Decode speed: gpu-03 is 5.1 % slower than before (...); 2 hosts are equivalent within 2 %.`
pub(crate) fn sentence(changes: &Changes, figure: Figure) -> Option<String> {
    Some(format!("{}: {}", figure.heading(), finding(changes, figure)?))
}

fn finding(changes: &Changes, figure: Figure) -> Option<String> {
    let metric = figure.metric;
    let judged: Vec<(&HostChanges, &MetricChange)> =
        of_figure(changes, figure).filter(|(_, change)| change.verdict.is_some()).collect();
    let with = |wanted: fn(Verdict) -> bool| {
        let found = judged.iter().filter(move |(_, c)| c.verdict.is_some_and(wanted));
        found.copied().collect::<Vec<_>>()
    };
    let mut parts: Vec<String> = Vec::new();
    let changed = with(Verdict::is_difference);
    for (host, change) in changed.iter().take(NAMED) {
        parts.push(difference(host, change)?);
    }
    if changed.len() > NAMED {
        parts.push(format!("{} more hosts have changed", changed.len() - NAMED));
    }
    let equivalent = with(|verdict| verdict == Verdict::Equivalent);
    let few = |(_, change): &(_, &MetricChange)| is_indicative(change);
    let indicative = if equivalent.iter().any(few) { " (indicative)" } else { "" };
    let margin = percent(metric.margin(&changes.margins));
    match equivalent.as_slice() {
        [] => {}
        [(only, _)] => {
            parts.push(format!("{} is equivalent within {margin} %{indicative}", only.host))
        }
        both @ [_, _] if both.len() == changes.hosts.len() => {
            parts.push(format!("both hosts are equivalent within {margin} %{indicative}"));
        }
        all if all.len() == changes.hosts.len() => {
            parts.push(format!(
                "all {} hosts are equivalent within {margin} %{indicative}",
                all.len()
            ));
        }
        some => {
            parts.push(format!("{} hosts are equivalent within {margin} %{indicative}", some.len()))
        }
    }
    let unsettled = with(|verdict| matches!(verdict, Verdict::Inconclusive { .. }));
    for (host, change) in unsettled.iter().take(NAMED) {
        parts.push(format!("{} is not settled ({})", host.host, open(change)?));
    }
    if unsettled.len() > NAMED {
        parts.push(format!("{} more are not settled", unsettled.len() - NAMED));
    }
    (!parts.is_empty()).then(|| format!("{}.", parts.join("; ")))
}

pub(crate) fn limits(changes: &Changes) -> Vec<String> {
    let mut said: Vec<(String, String)> = Vec::new();
    for host in &changes.hosts {
        let mut say = |what: String| said.push((host.host.to_string(), what));
        if let Some(why) = &host.not_comparable {
            say(format!(": not comparable ({}).", reason(why)));
        }
        if host.with.iter().any(|with| *with != host.host) {
            let with = some_names(host.with.iter().map(|h| h.as_str()));
            say(format!(": compared with {with}, of equal GPU, model and engine."));
        }
        let whole = host.metrics.iter().filter_map(|c| Some((c.why_not.as_ref()?, c)));
        for (why, change) in whole {
            let label = Figure::of(change).label();
            say(format!(", {label}: not compared ({}).", reason(why)));
        }
        let facts = |facts: &[FactChange]| clean::line(&fact_changes(facts));
        if !host.allowed.is_empty() {
            let facts = facts(&host.allowed);
            say(format!(": compared although the class is another: {facts}."));
        }
        if !host.other_facts.is_empty() {
            say(format!(": not as before: {}.", facts(&host.other_facts)));
        }
    }
    let line = |(hosts, what): (String, String)| format!("{hosts}{what}");
    let mut out: Vec<String> = together(said).into_iter().map(line).collect();
    out.extend(cases_left_out(changes));
    if !changes.absent.is_empty() {
        let names = some_names(changes.absent.iter().map(|h| h.as_str()));
        out.push(format!("Only in the earlier run, so not judged: {names}."));
    }
    out
}

/// Cases that stay out, a sentence for each reason and not for each host, metric and case.
fn cases_left_out(changes: &Changes) -> Vec<String> {
    let mut hosts: BTreeMap<(String, String, Vec<&str>), Vec<&str>> = BTreeMap::new();
    for (host, change) in changes.hosts.iter().flat_map(|h| h.metrics.iter().map(move |m| (h, m))) {
        let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (case, why) in change.cases_left_out.iter().filter(|_| change.why_not.is_none()) {
            reasons.entry(reason(why)).or_default().push(case.as_str());
        }
        for (why, cases) in reasons {
            let key = (why, Figure::of(change).label(), cases);
            hosts.entry(key).or_default().push(host.host.as_str());
        }
    }
    let mut metrics: BTreeMap<LeftOut<'_>, Vec<String>> = BTreeMap::new();
    for ((why, label, cases), hosts) in hosts {
        metrics.entry((why, hosts, cases)).or_default().push(label);
    }
    let said = |((why, hosts, cases), metrics): (LeftOut<'_>, Vec<String>)| {
        let noun = if cases.len() == 1 { "case" } else { "cases" };
        let (hosts, cases) = (some_names(hosts.into_iter()), some_names(cases.into_iter()));
        format!("{hosts}: {} not compared in {noun} {cases} ({why}).", metrics.join(", "))
    };
    metrics.into_iter().map(said).collect()
}

/// `gpu-03 is 5.1 % slower than before (95 % CI 4.8–5.4, 5 and 5 repetitions)`.
fn difference(host: &HostChanges, change: &MetricChange) -> Option<String> {
    let estimated = change.change?;
    let percent = |log: f64| log.exp_m1().abs() * 100.0;
    let mut ends = [estimated.ci95_log.0, estimated.ci95_log.1].map(percent);
    ends.sort_by(f64::total_cmp);
    let is_slower = change.verdict == Some(Verdict::Slower);
    let (verb, word) = verb(change.metric, is_slower);
    Some(format!(
        "{} {verb} {:.1} % {word} than before (95 % CI {:.1}–{:.1}, {})",
        host.host,
        percent(estimated.mean_log),
        ends[0],
        ends[1],
        repetitions(change)?
    ))
}

/// `-1.4 %, 95 % CI -4.0 to +1.3, 5 and 5 repetitions; about 3 more in each run needed`.
fn open(change: &MetricChange) -> Option<String> {
    let estimated = change.change?;
    let (low, high) = estimated.ci95_log;
    let more = match change.verdict? {
        Verdict::Inconclusive { more: Some(n) } => {
            let more = count_of(n, "more repetition");
            format!("; about {more} in each run needed")
        }
        Verdict::Inconclusive { more: None } => "; more repetitions would not settle it".to_owned(),
        Verdict::Faster | Verdict::Slower | Verdict::Equivalent | Verdict::NotJudged(_) => {
            String::new()
        }
    };
    Some(format!(
        "{} %, 95 % CI {} to {}, {}{more}",
        signed_percent(estimated.mean_log),
        signed_percent(low),
        signed_percent(high),
        repetitions(change)?
    ))
}

/// Whether few repetitions stand behind the verdict.
fn is_indicative(change: &MetricChange) -> bool {
    change.fewest().is_some_and(|n| n < FULL_REPETITIONS)
}

/// `5 and 5 repetitions`, `4 and 5 repetitions, indicative`.
fn repetitions(change: &MetricChange) -> Option<String> {
    let indicative = if is_indicative(change) { ", indicative" } else { "" };
    Some(format!("{} and {} repetitions{indicative}", change.before?.n, change.after?.n))
}

pub(crate) fn verdict_words(change: &MetricChange) -> String {
    let Some(verdict) = change.verdict else { return "no verdict".to_owned() };
    let words = verdict_word(change.metric, verdict);
    if is_indicative(change) { format!("{words} (indicative)") } else { words.to_owned() }
}
