//! The rules for two, three and more hosts.

use std::collections::BTreeSet;
use std::ops::Range;

use regatta_types::ids::HostId;
use regatta_types::metric::Metric;
use serde::Serialize;

use super::series::Series;
use super::{
    ALPHA, Effect, Evidence, Judgement, MIN_REPETITIONS, Reason, Repeated as _, Verdict, holm,
};
use crate::metrics::real;

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Half-width of the margin, on the log scale: smaller differences are equivalent.
    pub margin: f64,
    /// Family-wise error rate over the hosts.
    pub alpha: f64,
    /// `+1` where larger values are faster, else `-1`.
    pub sign: f64,
}

impl Rule {
    /// For a metric over the mean of all cases, with a margin as a share.
    pub fn of(metric: Metric, margin: f64) -> Self {
        Self { margin: margin.ln_1p(), alpha: ALPHA, sign: metric.sign() }
    }
}

/// A comparison of hosts in one metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outcome {
    /// Every host that was given, in that order.
    pub hosts: Vec<Judged>,
    /// Hosts that were no part of the others' reference, because they differ significantly.
    pub set_aside: Vec<HostId>,
    /// No majority agrees: no host gets a verdict.
    pub two_groups: bool,
    /// With three hosts, every pair: the first minus the second.
    pub pairs: Vec<PairedDifference>,
}

/// What was found for one host. Effects are differences of logarithms of the metric itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    pub host: HostId,
    /// The host's own mean; `None` without a complete repetition. Of a judged pair both means are
    /// over the repetitions that both have.
    pub mean: Option<f64>,
    /// The same with its spread, from two repetitions on.
    pub level: Option<Effect>,
    /// The repetitions of `mean`.
    pub repetitions: usize,
    /// From three hosts on: distance from the one or two whose mean is the median, paired
    /// repetition by repetition. To be read, not to be judged by.
    pub from_median: Option<f64>,
    /// Against the mean of the other hosts that were not set aside.
    pub effect: Option<Effect>,
    /// Holm over the hosts, two-sided.
    pub adjusted_p: Option<f64>,
    pub verdict: Judgement,
}

impl Outcome {
    /// Fewest repetitions behind a verdict, or behind there being none as the hosts are two groups;
    /// `None` if no host has a verdict.
    pub fn fewest(&self) -> Option<usize> {
        let two_groups = Judgement::NotJudged(Reason::TwoGroups);
        let judged = self.hosts.iter().filter(|j| j.effect.is_some() || j.verdict == two_groups);
        judged.map(Judged::basis).min()
    }

    /// Hosts with enough repetitions to be compared.
    pub(super) fn able(&self) -> impl Iterator<Item = &Judged> {
        let few = Judgement::NotJudged(Reason::TooFewRepetitions);
        self.hosts.iter().filter(move |j| j.verdict != few)
    }

    /// How many these are: the number that chooses the rule.
    pub fn compared(&self) -> usize {
        self.able().count()
    }
}

impl Judged {
    /// Repetitions behind the verdict: those it shares with the others.
    pub fn basis(&self) -> usize {
        self.effect.map_or(self.repetitions, |e| e.n)
    }
}

/// Two hosts, paired repetition by repetition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairedDifference {
    pub first: HostId,
    pub second: HostId,
    pub effect: Effect,
}

/// Compares the hosts. Those with fewer than three repetitions get no verdict.
pub fn compare(series: &[Series], rule: Rule) -> Outcome {
    let few = series.iter().filter(|s| !s.is_able());
    let hosts = few.map(|s| unjudged(s, Reason::TooFewRepetitions)).collect();
    let mut outcome = Outcome { hosts, ..Outcome::default() };
    let field = Field::new(series, rule);
    match field.series.as_slice() {
        [] => {}
        [only] => outcome.hosts.push(unjudged(only, Reason::Alone)),
        [first, second] => judge_pair(first, second, rule, &mut outcome),
        [_, _, _] => field.judge_three(&mut outcome),
        _ => field.judge_many(&mut outcome),
    }
    if field.hosts() > 2 {
        let middle = field.middle(field.all().collect());
        for judged in &mut outcome.hosts {
            let host = field.series.iter().position(|s| s.host == judged.host);
            let distance = host.and_then(|host| field.against(host, &middle));
            judged.from_median = distance.map(|e| e.mean);
        }
    }
    outcome.hosts.sort_by_key(|j| series.iter().position(|s| s.host == j.host));
    outcome
}

/// Two hosts, in the repetitions that both have: so that the difference of the means is the mean
/// of the differences.
fn judge_pair(first: &Series, second: &Series, rule: Rule, outcome: &mut Outcome) {
    let shared = [first.only_in(second), second.only_in(first)];
    let field = Field::new(&shared, rule);
    if field.hosts() < 2 {
        outcome.hosts.extend([first, second].map(|s| unjudged(s, Reason::TooFewShared)));
        return;
    }
    for (host, other) in [(0, 1), (1, 0)] {
        let effect = field.against(host, &[other]);
        let evidence = field.evidence(effect);
        let adjusted = evidence.as_ref().map(Evidence::p);
        outcome.hosts.push(field.judged(host, effect, adjusted, evidence));
    }
}

pub(super) fn unjudged(series: &Series, why: Reason) -> Judged {
    Judged {
        host: series.host.clone(),
        mean: (!series.values.is_empty()).then(|| series.mean()),
        level: series.level(),
        repetitions: series.values.len(),
        from_median: None,
        effect: None,
        adjusted_p: None,
        verdict: Judgement::NotJudged(why),
    }
}

/// The hosts to compare one host with, by index: the others that are not set aside, or all others if
/// all of them are.
pub(crate) fn reference(host: usize, hosts: usize, is_aside: impl Fn(usize) -> bool) -> Vec<usize> {
    let others = (0..hosts).filter(|other| *other != host);
    let calm: Vec<usize> = others.clone().filter(|other| !is_aside(*other)).collect();
    if calm.is_empty() { others.collect() } else { calm }
}

/// The hosts with enough repetitions to be judged, by index.
pub(super) struct Field<'a> {
    pub(super) series: Vec<&'a Series>,
    pub(super) rule: Rule,
    /// Every host's mean.
    means: Vec<f64>,
    /// Every host's distance from its mean in each repetition of any host: asked for by every other
    /// host again.
    deviations: Vec<Vec<Option<f64>>>,
    repetitions: Vec<u32>,
}

impl<'a> Field<'a> {
    pub(super) fn new(series: &'a [Series], rule: Rule) -> Self {
        let series: Vec<&Series> = series.iter().filter(|s| s.is_able()).collect();
        let repetitions: BTreeSet<u32> =
            series.iter().flat_map(|s| s.values.keys().copied()).collect();
        let repetitions: Vec<u32> = repetitions.into_iter().collect();
        let means: Vec<f64> = series.iter().map(|s| s.mean()).collect();
        let deviations = series.iter().zip(&means).map(|(s, mean)| {
            repetitions.iter().map(|r| s.values.get(r).map(|value| value - mean)).collect()
        });
        let deviations = deviations.collect();
        Self { series, rule, means, deviations, repetitions }
    }

    pub(super) fn hosts(&self) -> usize {
        self.series.len()
    }

    pub(super) fn all(&self) -> Range<usize> {
        0..self.hosts()
    }

    fn others(&self, host: usize) -> impl Iterator<Item = usize> {
        self.all().filter(move |&other| other != host)
    }

    /// `host` minus the mean of `pool`, repetition by repetition, as it is.
    ///
    /// Where some of the pool lack a repetition, the others stand in for them at the distance
    /// they have on the whole, so that a gap does not shift the reference.
    pub(super) fn against(&self, host: usize, pool: &[usize]) -> Option<Effect> {
        let differences = self.differences(host, pool);
        let differences: Vec<f64> = differences.into_iter().map(|(_, d)| d).collect();
        Effect::of(&differences).filter(|e| e.n >= MIN_REPETITIONS)
    }

    /// The same as single values, each with its repetition.
    pub(super) fn differences(&self, host: usize, pool: &[usize]) -> Vec<(u32, f64)> {
        let whole = pool.iter().map(|&j| self.means[j]).sum::<f64>() / real(pool.len());
        let difference = |(index, repetition): (usize, &u32)| {
            let own = self.means[host] + self.deviations[host][index]?;
            let (mut shift, mut present) = (0.0, 0_usize);
            for deviation in pool.iter().filter_map(|&j| self.deviations[j][index]) {
                shift += deviation;
                present += 1;
            }
            (present > 0).then(|| (*repetition, own - whole - shift / real(present)))
        };
        self.repetitions.iter().enumerate().filter_map(difference).collect()
    }

    /// The difference of two hosts, turned so that larger is faster.
    pub(super) fn pair(&self, host: usize, other: usize) -> Option<Effect> {
        self.against(host, &[other]).map(|effect| effect.turned(self.rule.sign))
    }

    fn evidence(&self, effect: Option<Effect>) -> Option<Evidence> {
        effect.map(|effect| Evidence::of(effect.turned(self.rule.sign)))
    }

    /// The adjusted p of all hosts, and which of them differ significantly.
    fn different(&self, evidence: &[Option<Evidence>]) -> (Vec<Option<f64>>, Vec<bool>) {
        let adjusted = adjust(evidence);
        let differs = |(e, p): (&Option<Evidence>, &Option<f64>)| {
            let verdict = e.as_ref().zip(*p).and_then(|(e, p)| e.decide(p, self.rule));
            matches!(verdict, Some(Verdict::Faster | Verdict::Slower))
        };
        let different = evidence.iter().zip(&adjusted).map(differs).collect();
        (adjusted, different)
    }

    /// The one or two of these hosts whose mean is the median.
    fn middle(&self, mut hosts: Vec<usize>) -> Vec<usize> {
        hosts.sort_by(|&a, &b| self.means[a].total_cmp(&self.means[b]));
        let n = hosts.len();
        hosts[(n - 1) / 2..=n / 2].to_vec()
    }

    fn judge_three(&self, outcome: &mut Outcome) {
        for (first, second) in [(0, 1), (0, 2), (1, 2)] {
            outcome.pairs.extend(self.against(first, &[second]).map(|effect| PairedDifference {
                first: self.series[first].host.clone(),
                second: self.series[second].host.clone(),
                effect,
            }));
        }
        let from_both = |host: usize| {
            let both: Option<Vec<Effect>> =
                self.others(host).map(|other| self.pair(host, other)).collect();
            Some(Evidence { difference: both?, sameness: Vec::new() })
        };
        let differences: Vec<Option<Evidence>> = self.all().map(from_both).collect();
        let (adjusted, aside) = self.different(&differences);
        outcome.set_aside = self.hosts_where(&aside);
        for (host, evidence) in differences.into_iter().enumerate() {
            let calm = self.others(host).filter(|other| !aside[*other]);
            let sameness = calm.filter_map(|other| self.pair(host, other)).collect();
            let evidence = evidence.map(|e| Evidence { sameness, ..e });
            let effect = self.against_calm(host, &aside);
            outcome.hosts.push(self.judged(host, effect, adjusted[host], evidence));
        }
    }

    fn judge_many(&self, outcome: &mut Outcome) {
        let from_middle = |host: usize| {
            let middle = self.middle(self.others(host).collect());
            self.evidence(self.against(host, &middle))
        };
        let (_, aside) = self.different(&self.all().map(from_middle).collect::<Vec<_>>());
        let calm = aside.iter().filter(|is_aside| !**is_aside).count();
        if calm < self.hosts() / 2 + 1 {
            outcome.two_groups = true;
            outcome.hosts.extend(self.series.iter().map(|s| unjudged(s, Reason::TwoGroups)));
            return;
        }
        outcome.set_aside = self.hosts_where(&aside);
        let effects: Vec<Option<Effect>> =
            self.all().map(|host| self.against_calm(host, &aside)).collect();
        let evidence: Vec<Option<Evidence>> =
            effects.iter().map(|effect| self.evidence(*effect)).collect();
        let adjusted = adjust(&evidence);
        for (host, evidence) in evidence.into_iter().enumerate() {
            outcome.hosts.push(self.judged(host, effects[host], adjusted[host], evidence));
        }
    }

    fn against_calm(&self, host: usize, aside: &[bool]) -> Option<Effect> {
        self.against(host, &reference(host, self.hosts(), |other| aside[other]))
    }

    fn judged(
        &self,
        host: usize,
        effect: Option<Effect>,
        adjusted_p: Option<f64>,
        evidence: Option<Evidence>,
    ) -> Judged {
        let family = if self.hosts() == 2 { 1 } else { self.hosts() };
        let found = evidence.zip(adjusted_p);
        let verdict = found.map(|(evidence, p)| evidence.verdict(p, real(family), self.rule));
        let none = unjudged(self.series[host], Reason::TooFewShared);
        let verdict = verdict.map_or(none.verdict, Judgement::Verdict);
        Judged { effect, adjusted_p, verdict, ..none }
    }

    fn hosts_where(&self, flags: &[bool]) -> Vec<HostId> {
        let flagged = self.series.iter().zip(flags).filter(|(_, flag)| **flag);
        flagged.map(|(series, _)| series.host.clone()).collect()
    }
}

/// Holm over the hosts that have evidence.
fn adjust(evidence: &[Option<Evidence>]) -> Vec<Option<f64>> {
    let mut adjusted = holm(evidence.iter().flatten().map(Evidence::p)).into_iter();
    evidence.iter().map(|e| e.as_ref().and_then(|_| adjusted.next())).collect()
}
