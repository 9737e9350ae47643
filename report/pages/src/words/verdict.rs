//! A verdict in the words of a table's cell, or the reason why there is none.

use regatta_types::ids::HostId;
use regatta_types::metric::Metric;

use super::metric::verdict_word;
use super::more;
use super::reason::not_comparable;
use crate::report::Report;
use regatta_figures::compare::{FULL_REPETITIONS, Judged, MIN_REPETITIONS, Unjudged, Verdict};

/// The verdict on a host in a metric; `None` where the metric does not exist for it.
pub(crate) fn verdict_on(analysis: &Report<'_>, metric: Metric, host: &HostId) -> Option<String> {
    let report = analysis.class_of(host)?.metric(metric)?;
    if let Some(reason) = report.why_left_out(host) {
        return Some(not_comparable(&reason));
    }
    let judged = report.judged(host)?;
    let alone = judged.verdict == Verdict::NotJudged(Unjudged::Alone);
    let why = analysis.why_alone(host).filter(|_| alone);
    let planned = usize::try_from(report.series.planned_repetitions).unwrap_or(usize::MAX);
    Some(why.map_or_else(|| words(metric, judged, planned), |why| not_comparable(&why)))
}

/// The verdict with its badges: `slower (indicative; C11: 4 of 5 repetitions)`.
fn words(metric: Metric, judged: &Judged, planned: usize) -> String {
    let words = match judged.verdict {
        Verdict::Faster | Verdict::Slower | Verdict::Equivalent => {
            verdict_word(metric, judged.verdict).to_owned()
        }
        Verdict::Inconclusive { .. } => format!("not settled{}", more(judged.verdict)),
        Verdict::NotJudged(Unjudged::TooFewRepetitions) => {
            return format!(
                "no verdict (C11: {} of {MIN_REPETITIONS} complete repetitions)",
                judged.repetitions.min(MIN_REPETITIONS)
            );
        }
        Verdict::NotJudged(Unjudged::TooFewShared) => {
            return format!(
                "no verdict (C11: fewer than {MIN_REPETITIONS} repetitions shared with others)"
            );
        }
        Verdict::NotJudged(Unjudged::Alone) => return "no other host to judge by".to_owned(),
        Verdict::NotJudged(Unjudged::TwoGroups) => return "two groups".to_owned(),
    };
    let n = judged.basis();
    let indicative = (n < FULL_REPETITIONS).then(|| "indicative".to_owned());
    let some_missing = (n < planned).then(|| format!("C11: {n} of {planned} repetitions"));
    let badges: Vec<String> = indicative.into_iter().chain(some_missing).collect();
    if badges.is_empty() { words } else { format!("{words} ({})", badges.join("; ")) }
}
