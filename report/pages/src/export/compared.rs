//! Comparisons as `run.json` and `--json` have them: reasons in words.

use regatta_figures::compare::{
    CaseOutcome, Class, ClassReport, Contention, Effect, Judgement, Later, MetricReport, Outcome,
    Outlier, Quarters, Rank, Reason, SoloAndTogether, Verdict,
};
use regatta_figures::facts::FactChange;
use regatta_figures::history::{Changes, Estimated, HostChanges, MetricChange};
use regatta_types::ids::{CaseId, CellKey, HostId, RunId};
use regatta_types::metric::Metric;
use serde::Serialize;

use crate::words::reason::{at_first, change, reason};

/// Version of the layout of [`changes_json`]. Fields may be added without a new one.
const SCHEMA: u32 = 1;

type LeftOut<'a, T> = Vec<(&'a T, String)>;

fn left_out<T>(all: &[(T, Reason)]) -> LeftOut<'_, T> {
    all.iter().map(|(what, why)| (what, reason(why))).collect()
}

#[derive(Serialize)]
pub(super) struct WrittenClass<'a> {
    #[serde(flatten)]
    class: &'a Class,
    metrics: Vec<WrittenMetric<'a>>,
    quarters: &'a [Quarters],
}

#[derive(Serialize)]
struct WrittenMetric<'a> {
    metric: Metric,
    margin: f64,
    cases: &'a [CaseId],
    cases_left_out: LeftOut<'a, CaseId>,
    hosts_left_out: LeftOut<'a, HostId>,
    planned_repetitions: u32,
    outcome: &'a Outcome,
    detectable_log: Option<f64>,
    ranks: &'a [Rank],
    outliers: &'a [Outlier],
    by_case: &'a [CaseOutcome],
}

fn metric(report: &MetricReport) -> WrittenMetric<'_> {
    WrittenMetric {
        metric: report.metric,
        margin: report.margin,
        cases: &report.series.cases,
        cases_left_out: left_out(&report.series.cases_left_out),
        hosts_left_out: left_out(&report.series.hosts_left_out),
        planned_repetitions: report.series.planned_repetitions,
        outcome: &report.outcome,
        detectable_log: report.detectable_log,
        ranks: &report.ranks,
        outliers: &report.outliers,
        by_case: &report.by_case,
    }
}

pub(super) fn class(report: &ClassReport) -> WrittenClass<'_> {
    WrittenClass {
        class: &report.class,
        metrics: report.metrics.iter().map(metric).collect(),
        quarters: &report.quarters,
    }
}

#[derive(Serialize)]
pub(super) struct WrittenLater<'a> {
    host: &'a HostId,
    label: &'a str,
    fingerprint: &'a str,
    from: &'a CellKey,
    cells: u32,
    change: String,
}

pub(super) fn later(later: &Later) -> WrittenLater<'_> {
    WrittenLater {
        host: &later.host,
        label: &later.label,
        fingerprint: &later.fingerprint,
        from: &later.from,
        cells: later.cells,
        change: at_first(&later.change),
    }
}

#[derive(Serialize)]
pub(super) struct WrittenContention<'a> {
    metric: Metric,
    margin: f64,
    hosts: Vec<WrittenBothWays<'a>>,
}

#[derive(Serialize)]
struct WrittenBothWays<'a> {
    host: &'a HostId,
    cases: &'a [CaseId],
    cases_left_out: LeftOut<'a, CaseId>,
    solo_log: Option<f64>,
    together_log: Option<f64>,
    effect: Option<Effect>,
    adjusted_p: Option<f64>,
    verdict: &'a Judgement,
}

fn both_ways(host: &SoloAndTogether) -> WrittenBothWays<'_> {
    WrittenBothWays {
        host: &host.host,
        cases: &host.cases,
        cases_left_out: left_out(&host.cases_left_out),
        solo_log: host.solo_log,
        together_log: host.together_log,
        effect: host.effect,
        adjusted_p: host.adjusted_p,
        verdict: &host.verdict,
    }
}

pub(super) fn contention(found: &Contention) -> WrittenContention<'_> {
    let hosts = found.hosts.iter().map(both_ways).collect();
    WrittenContention { metric: found.metric, margin: found.margin, hosts }
}

#[derive(Serialize)]
pub(super) struct WrittenChanges<'a> {
    schema: u32,
    before: &'a RunId,
    after: &'a RunId,
    hosts: Vec<WrittenHost<'a>>,
    absent: &'a [HostId],
}

#[derive(Serialize)]
struct WrittenHost<'a> {
    host: &'a HostId,
    with: &'a [HostId],
    not_comparable: Option<String>,
    metrics: Vec<WrittenChange<'a>>,
    other_facts: Vec<String>,
    allowed: Vec<String>,
}

#[derive(Serialize)]
struct WrittenChange<'a> {
    metric: Metric,
    solo: bool,
    cases: &'a [CaseId],
    cases_left_out: LeftOut<'a, CaseId>,
    cases_lost: &'a [CaseId],
    is_due: bool,
    before: Option<Effect>,
    after: Option<Effect>,
    change: Option<Estimated>,
    verdict: Option<Verdict>,
    why_not: Option<String>,
}

fn metric_change(change: &MetricChange) -> WrittenChange<'_> {
    WrittenChange {
        metric: change.metric,
        solo: change.solo,
        cases: &change.cases,
        cases_left_out: left_out(&change.cases_left_out),
        cases_lost: &change.cases_lost,
        is_due: change.is_due,
        before: change.before,
        after: change.after,
        change: change.change,
        verdict: change.verdict.verdict(),
        why_not: change.verdict.why_not().map(reason),
    }
}

fn host_changes(host: &HostChanges) -> WrittenHost<'_> {
    let facts = |facts: &[FactChange]| facts.iter().map(change).collect();
    WrittenHost {
        host: &host.host,
        with: &host.with,
        not_comparable: host.not_comparable.as_ref().map(reason),
        metrics: host.metrics.iter().map(metric_change).collect(),
        other_facts: facts(&host.other_facts),
        allowed: facts(&host.allowed),
    }
}

pub(super) fn changes(found: &Changes) -> WrittenChanges<'_> {
    WrittenChanges {
        schema: SCHEMA,
        before: &found.before,
        after: &found.after,
        hosts: found.hosts.iter().map(host_changes).collect(),
        absent: &found.absent,
    }
}

/// What changed as JSON, indented, with a newline at its end.
#[must_use]
pub fn changes_json(found: &Changes) -> String {
    // String keys only, and a number that is not finite becomes null: this cannot fail.
    let mut json = serde_json::to_string_pretty(&changes(found)).unwrap_or_default();
    json.push('\n');
    json
}
