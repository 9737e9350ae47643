//! Cells of verdicts, for the tables that compare hosts.

use regatta_figures::compare::{Effect, MetricReport};
use regatta_types::ids::HostId;
use regatta_types::metric::Metric;

use crate::markdown::layout::{Inline, known};
use crate::report::Report;
use crate::words::numbers::{NONE, signed_interval, signed_percent};
use crate::words::verdict_on;

/// Why there is no mean of a host.
pub(super) const LEFT_OUT: &str = "left out, or no complete repetition";
/// Why it has no interval.
pub(super) const NO_INTERVAL: &str = "fewer than two complete repetitions";
/// Why there is no difference.
pub(super) const NO_VERDICT: &str = "no verdict";

/// A difference with its interval, both in per cent.
pub(super) fn difference(effect: Option<Effect>) -> Inline {
    known(effect.map(|e| format!("{} ({})", signed_percent(e.mean), signed_interval(e))))
}

pub(super) fn verdict(analysis: &Report<'_>, metric: Metric, host: &HostId) -> Inline {
    let report = analysis.class_of(host).and_then(|class| class.metric(metric));
    let judged = report.and_then(|report| report.judged(host));
    let words = verdict_on(analysis, metric, host);
    let words = words.map_or(NONE.into(), |words| Inline::sentence(&words));
    words.bold_if(judged.is_some_and(|j| j.verdict.is_difference()))
}

/// `5`; where some are missing `4 of 5`.
pub(super) fn of_planned(repetitions: usize, report: &MetricReport) -> String {
    let planned = report.series.planned_repetitions;
    let all = usize::try_from(planned).is_ok_and(|planned| repetitions >= planned);
    if all { repetitions.to_string() } else { format!("{repetitions} of {planned}") }
}
