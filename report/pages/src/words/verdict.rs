//! Verdicts and differences in words, or the reason why there is no verdict.

use regatta_figures::compare::{
    Effect, FULL_REPETITIONS, Judgement, MIN_REPETITIONS, Reason, Verdict,
};
use regatta_types::ids::HostId;
use regatta_types::metric::Metric;

use super::numbers::{quantity, signed_estimate};
use super::reason::{not_comparable, reason};
use crate::report::Report;

/// The verdict on a host in a metric; `None` where the metric does not exist for it.
pub(crate) fn verdict_on(analysis: &Report<'_>, metric: Metric, host: &HostId) -> Option<String> {
    let report = analysis.class_of(host)?.metric(metric)?;
    let judged = report.judged(host);
    let alone = judged.filter(|j| j.verdict == Judgement::NotJudged(Reason::Alone));
    let why = report.why_left_out(host).or_else(|| alone.and_then(|_| analysis.why_alone(host)));
    let judgement = why.map(Judgement::NotJudged).or_else(|| Some(judged?.verdict.clone()))?;
    let planned = usize::try_from(report.series.planned_repetitions).unwrap_or(usize::MAX);
    let n = judged.map_or(0, |judged| judged.basis());
    Some(judgement_words(metric, &judgement, n, Sides::Hosts { planned }))
}

/// What is judged: a host beside others, in so many planned repetitions, or beside itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Sides {
    Hosts { planned: usize },
    SoloAndTogether,
    Runs,
}

/// A judgement based on `n` repetitions: the verdict with its badges, `slower (indicative; 4 of 5
/// repetitions, C11)`, or why there is none.
pub(crate) fn judgement_words(
    metric: Metric,
    judgement: &Judgement,
    n: usize,
    sides: Sides,
) -> String {
    let verdict = match (judgement, sides) {
        (Judgement::Verdict(verdict), _) => *verdict,
        // The reason is beside the table, once for all hosts.
        (Judgement::NotJudged(_), Sides::Runs) => return "no verdict".to_owned(),
        (Judgement::NotJudged(_), Sides::SoloAndTogether) => {
            return "no verdict: too few repetitions measured both ways".to_owned();
        }
        (Judgement::NotJudged(why), Sides::Hosts { .. }) => return why_no_verdict(why, n),
    };
    let (addition, planned) = match sides {
        Sides::Hosts { planned } => (more(judgement, ""), planned),
        Sides::SoloAndTogether if judgement.is_difference() => (" together".to_owned(), 0),
        Sides::SoloAndTogether => {
            (needed(judgement, "").map_or_else(String::new, |needed| format!(" ({needed})")), 0)
        }
        Sides::Runs => (String::new(), 0),
    };
    let indicative = (n < FULL_REPETITIONS).then(|| "indicative".to_owned());
    let some_missing = (n < planned).then(|| format!("{n} of {planned} repetitions, C11"));
    let badges: Vec<String> = indicative.into_iter().chain(some_missing).collect();
    let words = format!("{}{addition}", verdict_word(metric, verdict));
    if badges.is_empty() { words } else { format!("{words} ({})", badges.join("; ")) }
}

/// Of a host with `n` complete repetitions beside others.
fn why_no_verdict(why: &Reason, n: usize) -> String {
    if *why == Reason::TooFewRepetitions {
        format!("no verdict: too few repetitions, {n} of at least {MIN_REPETITIONS} (C11)")
    } else if *why == Reason::TooFewShared {
        format!("no verdict: {}", reason(why))
    } else if matches!(why, Reason::Alone | Reason::TwoGroups) {
        reason(why)
    } else {
        not_comparable(why)
    }
}

/// A verdict in a word.
pub(super) fn verdict_word(metric: Metric, verdict: Verdict) -> &'static str {
    match (verdict, metric) {
        (Verdict::Slower, Metric::Energy) => "more",
        (Verdict::Faster, Metric::Energy) => "less",
        (Verdict::Slower, _) => "slower",
        (Verdict::Faster, _) => "faster",
        (Verdict::Equivalent, _) => "equivalent",
        (Verdict::Inconclusive { .. }, _) => "inconclusive",
    }
}

/// `about 3 more repetitions in each run needed`; `None` if more would decide nothing.
fn needed(judgement: &Judgement, each: &str) -> Option<String> {
    let Some(Verdict::Inconclusive { more }) = judgement.verdict() else { return None };
    more.map(|n| format!("about {}{each} needed", quantity(n, "more repetition")))
}

/// How many repetitions would decide an inconclusive verdict, after a semicolon.
pub(super) fn more(judgement: &Judgement, each: &str) -> String {
    if !judgement.is_inconclusive() {
        return String::new();
    }
    let never = || "more repetitions would not decide it".to_owned();
    format!("; {}", needed(judgement, each).unwrap_or_else(never))
}

/// The mark of an indicative verdict, if there are this few repetitions.
pub(super) fn if_indicative(fewest: Option<usize>, mark: &'static str) -> &'static str {
    if fewest.is_some_and(|n| n < FULL_REPETITIONS) { mark } else { "" }
}

/// An estimated difference of logarithms in words.
pub(super) struct Difference {
    pub(super) mean_log: f64,
    pub(super) ci95_log: (f64, f64),
    /// `n = 5`.
    pub(super) basis: String,
}

impl Difference {
    pub(super) fn of(effect: Effect) -> Self {
        let basis = basis(effect.n);
        Self { mean_log: effect.mean, ci95_log: effect.interval(0.95), basis }
    }

    /// Its size without a sign: `5.1 %`.
    pub(super) fn size(&self) -> String {
        format!("{:.1} %", unsigned_percent(self.mean_log))
    }

    /// The evidence for a significant one: `95 % CI 4.8–5.4, n = 5`.
    pub(super) fn unsigned(&self) -> String {
        let mut ends = [self.ci95_log.0, self.ci95_log.1].map(unsigned_percent);
        ends.sort_by(f64::total_cmp);
        format!("95 % CI {:.1}–{:.1}, {}", ends[0], ends[1], self.basis)
    }

    /// `-1.4 %, 95 % CI -4.0 to +1.3, n = 5`.
    pub(super) fn signed(&self) -> String {
        format!("{}, {}", signed_estimate(self.mean_log, self.ci95_log), self.basis)
    }

    /// `sim-3 is 20.1 % slower than before (95 % CI 19.8–20.4, n = 5)`.
    pub(super) fn told(
        &self,
        host: &HostId,
        metric: Metric,
        judgement: &Judgement,
        than: &str,
    ) -> String {
        let (verb, word) = match (metric, *judgement == Verdict::Slower) {
            (Metric::DecodeTps | Metric::OutputTps, true) => ("is", "slower"),
            (Metric::DecodeTps | Metric::OutputTps, false) => ("is", "faster"),
            (Metric::Ttft | Metric::FirstAnswer | Metric::E2e, true) => ("takes", "longer"),
            (Metric::Ttft | Metric::FirstAnswer | Metric::E2e, false) => ("takes", "less time"),
            (Metric::Energy, true) => ("uses", "more"),
            (Metric::Energy, false) => ("uses", "less"),
        };
        format!("{host} {verb} {} {word}{than} ({})", self.size(), self.unsigned())
    }
}

fn unsigned_percent(log: f64) -> f64 {
    log.exp_m1().abs() * 100.0
}

/// The sample size of a verdict: `n = 4, indicative`.
pub(super) fn basis(n: usize) -> String {
    format!("n = {n}{}", if_indicative(Some(n), ", indicative"))
}
