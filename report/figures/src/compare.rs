//! Which hosts differ, by how much, and whether that is significant.
//!
//! Hosts are compared only inside a comparability class (`class`). The unit is one logarithm per
//! (host, case, repetition) (`series`); `fleet` holds the rules for two, three and more hosts,
//! `contention` compares each host with itself, solo and together; `verdict` holds the four verdicts,
//! `rank` the ranks. Intervals and Holm's correction are in `metrics`.
//! Nothing here formats a number.

mod class;
mod contention;
mod drift;
mod eligible;
mod fleet;
mod outlier;
mod power;
mod quarters;
mod rank;
mod reason;
mod series;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::BTreeSet;

use regatta_types::ids::{CaseId, HostId};
use regatta_types::metric::Metric;
use regatta_types::record::RunHeader;
use serde::Serialize;

pub use class::{Class, Later, later};
pub use contention::{Contention, SoloAndTogether, contention};
pub use drift::{DriftRow, differing_facts, drift};
pub use eligible::{Work, eligible};
#[cfg(any(test, feature = "calibration"))]
pub(crate) use fleet::reference;
pub use fleet::{Judged, Outcome, Rule, compare};
pub use outlier::{LIMIT as OUTLIER_Z, Outlier};
pub use quarters::{FEWEST as FEWEST_FOR_QUARTERS, Quarters};
pub use rank::Rank;
pub use reason::Reason;
pub(crate) use series::mean_over;
pub use series::{
    Logs, MetricSeries, Series, cell_value, of_case, same_machine, why_nothing_usable,
};
pub use verdict::{Evidence, Judgement, Verdict, verdicts};

use crate::hosts::{CaseAnalysis, HostAnalysis};
pub use crate::metrics::{Change, Effect, Estimate, Repeated, holm};

/// Fewest complete repetitions for a verdict.
pub const MIN_REPETITIONS: usize = 3;

/// With fewer repetitions than this, a verdict is only indicative.
pub const FULL_REPETITIONS: usize = 5;

/// Family-wise error rate.
const ALPHA: f64 = 0.05;

/// A comparability class with what was found in it.
#[derive(Debug)]
pub struct ClassReport {
    pub class: Class,
    /// One entry per metric that exists for any case, even if every case is excluded.
    pub metrics: Vec<MetricReport>,
    /// Decode speed of the hosts with enough complete repetitions, first against last quarter.
    pub quarters: Vec<Quarters>,
}

/// One metric compared over the hosts of a class.
#[derive(Debug)]
pub struct MetricReport {
    pub metric: Metric,
    /// Differences smaller than this are treated as equivalent, as a share.
    pub margin: f64,
    pub series: MetricSeries,
    /// Over the mean of all compared cases.
    pub outcome: Outcome,
    /// The smallest difference that its repetitions would have found in 8 of 10 such runs.
    pub detectable_log: Option<f64>,
    /// The rank of each host; empty for a pair, and if no order is established.
    pub ranks: Vec<Rank>,
    /// Hosts far from the median; from five hosts on.
    pub outliers: Vec<Outlier>,
    /// Each case separately, at `alpha / cases`.
    pub by_case: Vec<CaseOutcome>,
}

/// One case compared separately.
#[derive(Debug, Serialize)]
pub struct CaseOutcome {
    pub case: CaseId,
    pub outcome: Outcome,
}

impl ClassReport {
    pub fn metric(&self, metric: Metric) -> Option<&MetricReport> {
        self.metrics.iter().find(|m| m.metric == metric)
    }

    pub fn quarters(&self, host: &HostId) -> Option<&Quarters> {
        self.quarters.iter().find(|quarters| quarters.host == *host)
    }

    /// One case of one host: as compared, or its value alone if it was excluded.
    pub fn of_case(&self, metric: Metric, host: &HostId, case: &CaseAnalysis<'_>) -> Judged {
        let compared = self.metric(metric).and_then(|m| m.by_case(&case.case.id));
        let judged = compared.and_then(|o| o.hosts.iter().find(|j| j.host == *host));
        judged
            .cloned()
            .unwrap_or_else(|| fleet::unjudged(&series::of_case(metric, host, case), Reason::Alone))
    }
}

impl MetricReport {
    pub fn by_case(&self, case: &CaseId) -> Option<&Outcome> {
        self.by_case.iter().find(|c| c.case == *case).map(|c| &c.outcome)
    }

    pub fn rank(&self, host: &HostId) -> Option<&Rank> {
        self.ranks.iter().find(|rank| rank.host == *host)
    }

    pub fn judged(&self, host: &HostId) -> Option<&Judged> {
        self.outcome.hosts.iter().find(|j| j.host == *host)
    }

    /// Why a host is excluded: it is by itself, or every case is.
    pub fn why_left_out(&self, host: &HostId) -> Option<Reason> {
        let own = self.series.hosts_left_out.iter().find(|(left, _)| left == host);
        own.map(|(_, reason)| reason.clone()).or_else(|| self.why_nothing())
    }

    /// Why no case is compared, if none is.
    pub fn why_nothing(&self) -> Option<Reason> {
        let out = &self.series.cases_left_out;
        let reasons: BTreeSet<&Reason> = out.iter().map(|(_, reason)| reason).collect();
        let nothing = self.series.cases.is_empty() && !reasons.is_empty();
        nothing.then(|| Reason::EveryCase(reasons.into_iter().cloned().collect()))
    }
}

/// Sorts the hosts into classes and compares within each.
pub fn compare_classes(hosts: &[HostAnalysis<'_>], header: &RunHeader) -> Vec<ClassReport> {
    let report = |metric: Metric, members: &[&HostAnalysis<'_>]| {
        metric_report(metric, metric.margin(&header.margins), members)
    };
    class::classes(hosts, &header.assume_equal)
        .into_iter()
        .map(|class| {
            let members: Vec<&HostAnalysis<'_>> =
                hosts.iter().filter(|h| class.hosts.contains(h.host)).collect();
            let metrics: Vec<MetricReport> =
                Metric::ALL.into_iter().filter_map(|m| report(m, &members)).collect();
            let decode = metrics.iter().find(|report| report.metric == Metric::DecodeTps);
            let quarters = decode.map_or_else(Vec::new, |decode| {
                let rule = Rule::of(decode.metric, decode.margin);
                quarters::quarters(&decode.series.means(), &decode.outcome, rule, &members)
            });
            ClassReport { class, metrics, quarters }
        })
        .collect()
}

fn metric_report(
    metric: Metric,
    margin: f64,
    members: &[&HostAnalysis<'_>],
) -> Option<MetricReport> {
    let series = MetricSeries::of(metric, members);
    if series.cases.is_empty() && series.cases_left_out.is_empty() {
        return None;
    }
    let rule = Rule::of(metric, margin);
    let means = series.means();
    let outcome = compare(&means, rule);
    // Bonferroni over the cases on top of Holm over the hosts: a bold cell among many is rare
    // where nothing differs.
    let per_case = Rule { alpha: ALPHA / crate::metrics::real(series.cases.len()), ..rule };
    let by_case = series
        .cases
        .iter()
        .map(|case| CaseOutcome {
            case: case.clone(),
            outcome: compare(&series.of_case(case), per_case),
        })
        .collect();
    let detectable_log = power::detectable(&outcome, rule);
    let ranks = rank::ranks(&means, &outcome, rule);
    let outliers = outlier::outliers(&outcome);
    Some(MetricReport { metric, margin, series, outcome, detectable_log, ranks, outliers, by_case })
}
