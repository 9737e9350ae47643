//! The four verdicts on a host, and what is said where there is none.

use serde::Serialize;

use super::{Effect, Estimate, Reason, Repeated, Rule, holm};
use crate::metrics::real;

/// Most further repetitions that are worth naming.
const MOST_FURTHER: usize = 200;

/// What can be said of a host against the others, or against itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A significant difference, at or beyond the margin.
    Faster,
    /// A significant difference, at or beyond the margin.
    Slower,
    /// The 90 % interval lies inside the margin.
    Equivalent,
    /// Neither, with the repetitions that would decide it; `None`: more would not.
    #[serde(rename = "not_settled")]
    Inconclusive {
        /// About this many more repetitions.
        more: Option<usize>,
    },
}

/// A verdict, or the reason why there is none: of hosts side by side, of a host solo and together,
/// and of a host in two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    NotJudged(Reason),
    #[serde(untagged)]
    Verdict(Verdict),
}

impl Judgement {
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Verdict(verdict) => Some(*verdict),
            Self::NotJudged(_) => None,
        }
    }

    pub fn why_not(&self) -> Option<&Reason> {
        match self {
            Self::Verdict(_) => None,
            Self::NotJudged(why) => Some(why),
        }
    }

    /// Whether a significant difference was found.
    pub fn is_difference(&self) -> bool {
        *self == Verdict::Faster || *self == Verdict::Slower
    }

    pub fn is_inconclusive(&self) -> bool {
        matches!(self, Self::Verdict(Verdict::Inconclusive { .. }))
    }
}

impl PartialEq<Verdict> for Judgement {
    fn eq(&self, other: &Verdict) -> bool {
        self.verdict() == Some(*other)
    }
}

/// What a verdict on one host rests on: its differences from the others, larger is faster.
#[derive(Debug, Clone)]
pub struct Evidence<E = Effect> {
    /// All must show the same for `faster` or `slower`.
    pub difference: Vec<E>,
    /// All must lie inside the margin for `equivalent`; none: it cannot be equivalent.
    pub sameness: Vec<E>,
}

impl<E: Estimate> Evidence<E> {
    /// One estimate decides everything.
    pub fn of(estimate: E) -> Self {
        Self { difference: vec![estimate], sameness: vec![estimate] }
    }

    /// The largest two-sided p of the differences; 1 where they do not agree in sign.
    pub fn p(&self) -> f64 {
        let agree = self.difference.iter().all(|e| e.mean() > 0.0)
            || self.difference.iter().all(|e| e.mean() < 0.0);
        if !agree {
            return 1.0;
        }
        self.difference.iter().map(|e| e.p()).fold(0.0, f64::max)
    }

    /// A verdict, if there is one at this adjusted p.
    pub fn decide(&self, adjusted_p: f64, rule: Rule) -> Option<Verdict> {
        if adjusted_p < rule.alpha {
            if self.difference.iter().all(|e| e.mean() >= rule.margin) {
                return Some(Verdict::Faster);
            }
            if self.difference.iter().all(|e| e.mean() <= -rule.margin) {
                return Some(Verdict::Slower);
            }
        }
        let inside = |e: &E| {
            let (low, high) = e.t_interval(0.90);
            -rule.margin < low && high < rule.margin
        };
        (!self.sameness.is_empty() && self.sameness.iter().all(inside))
            .then_some(Verdict::Equivalent)
    }
}

impl<E: Repeated> Evidence<E> {
    /// The verdict at this adjusted p of one of `family` hosts.
    pub fn verdict(&self, adjusted_p: f64, family: f64, rule: Rule) -> Verdict {
        self.decide(adjusted_p, rule)
            .unwrap_or_else(|| Verdict::Inconclusive { more: self.further(family, rule) })
    }

    /// How many more repetitions of the same mean and spread would decide it, at the first step
    /// of Holm over `family` hosts.
    pub fn further(&self, family: f64, rule: Rule) -> Option<usize> {
        (1..=MOST_FURTHER).find(|&further| {
            let longer =
                |estimates: &[E]| estimates.iter().map(|e| e.longer(further)).collect::<Vec<_>>();
            let then =
                Self { difference: longer(&self.difference), sameness: longer(&self.sameness) };
            then.decide(then.p() * family, rule).is_some()
        })
    }
}

/// The adjusted p and the verdict of each of a family, one estimate of the metric itself for each:
/// Holm over all of them, two-sided.
pub fn verdicts<E: Repeated>(estimates: &[E], rule: Rule) -> Vec<(f64, Verdict)> {
    let adjusted = holm(estimates.iter().map(|estimate| estimate.p()));
    let verdict = |(estimate, p): (&E, f64)| {
        let evidence = Evidence::of(estimate.turned(rule.sign));
        (p, evidence.verdict(p, real(estimates.len()), rule))
    };
    estimates.iter().zip(adjusted).map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judgement_is_written_as_its_verdict_or_with_the_name_of_the_reason() {
        let written = [
            Judgement::Verdict(Verdict::Slower),
            Judgement::Verdict(Verdict::Inconclusive { more: Some(2) }),
            Judgement::NotJudged(Reason::TooFewRepetitions),
        ];
        let wanted =
            r#"["slower",{"not_settled":{"more":2}},{"not_judged":"too_few_repetitions"}]"#;
        assert_eq!(serde_json::to_string(&written).unwrap(), wanted);
    }
}
