//! Verdicts in the words that fit a metric.

use regatta_figures::compare::Verdict;
use regatta_types::metric::Metric;

/// Verb and what follows the per cent of a significant difference.
pub(crate) fn verb(metric: Metric, is_slower: bool) -> (&'static str, &'static str) {
    match (metric, is_slower) {
        (Metric::DecodeTps | Metric::OutputTps, true) => ("is", "slower"),
        (Metric::DecodeTps | Metric::OutputTps, false) => ("is", "faster"),
        (Metric::Ttft | Metric::FirstAnswer | Metric::E2e, true) => ("takes", "longer"),
        (Metric::Ttft | Metric::FirstAnswer | Metric::E2e, false) => ("takes", "less time"),
        (Metric::Energy, true) => ("uses", "more"),
        (Metric::Energy, false) => ("uses", "less"),
    }
}

/// A verdict in a word, but for those that need a reason.
pub(crate) fn verdict_word(metric: Metric, verdict: Verdict) -> &'static str {
    match (verdict, metric) {
        (Verdict::Slower, Metric::Energy) => "more",
        (Verdict::Faster, Metric::Energy) => "less",
        (Verdict::Slower, _) => "slower",
        (Verdict::Faster, _) => "faster",
        (Verdict::Equivalent, _) => "equivalent",
        (Verdict::Inconclusive { .. }, _) => "not settled",
        (Verdict::NotJudged(_), _) => "no verdict",
    }
}
