//! What changed from one run to a later one, host by host.

use std::collections::{BTreeMap, BTreeSet};

use regatta_types::comparability::ClassFact;
use regatta_types::ids::{CaseId, HostId, RunId};
use regatta_types::margin::Margins;
use regatta_types::metric::Metric;
use regatta_types::suite::StartMode;
use serde::Serialize;

use super::pair::HostPair;
use super::{Baseline, HostBaseline};
use crate::compare::{
    Change, Effect, Estimate as _, Judgement, MIN_REPETITIONS, Reason, Rule, Verdict, verdicts,
};
use crate::facts::{Fact, FactChange, facts_of};

/// What a comparison of two runs is to hold to.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// From which size on a change is one.
    pub margins: Margins,
    /// Facts that may differ between the two runs.
    pub allowed: Vec<ClassFact>,
    /// What a host is compared with.
    pub by: Match,
}

/// What a host is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Match {
    /// The host of the same name; where there is none, the hosts that are equal to it.
    #[default]
    Host,
    /// All hosts of the earlier run that are equal to it in GPU, model and engine.
    Gpu,
}

/// What changed from a run to a later one.
#[derive(Debug, Clone)]
pub struct Changes {
    pub before: RunId,
    pub after: RunId,
    /// One entry per host of the later run, those with nothing usable included, sorted.
    pub hosts: Vec<HostChanges>,
    /// Hosts of the earlier run that the later one does not have; where hosts are compared by their
    /// GPU, only those that nothing is compared with.
    pub absent: Vec<HostId>,
    pub margins: Margins,
}

/// One host of the later run.
#[derive(Debug, Clone)]
pub struct HostChanges {
    pub host: HostId,
    /// The hosts of the earlier run that it is compared with.
    pub with: Vec<HostId>,
    /// Why it is compared with none.
    pub not_comparable: Option<Reason>,
    pub metrics: Vec<MetricChange>,
    /// Facts of C5 that are others now.
    pub other_facts: Vec<FactChange>,
    /// Facts of C1 to C4 that differ and were allowed to.
    pub allowed: Vec<FactChange>,
}

/// One metric of one host.
#[derive(Debug, Clone)]
pub struct MetricChange {
    pub metric: Metric,
    /// It is of what was measured on one host at a time, in a run that measured both ways.
    pub solo: bool,
    /// Cases that were compared.
    pub cases: Vec<CaseId>,
    /// Cases of either run that were excluded, with the reason.
    pub cases_left_out: Vec<(CaseId, Reason)>,
    /// Those of them that the earlier run has, and the later one was to measure and has no value of.
    pub cases_lost: Vec<CaseId>,
    /// Whether the earlier run has it for work that the later one was to do again, so that its
    /// absence from the verdicts is a gap.
    pub is_due: bool,
    pub before: Option<Effect>,
    pub after: Option<Effect>,
    /// Of the logarithm; `None` where nothing was compared.
    pub change: Option<Estimated>,
    pub verdict: Judgement,
}

/// A change with its interval.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Estimated {
    pub mean_log: f64,
    pub ci95_log: (f64, f64),
    pub adjusted_p: f64,
}

impl MetricChange {
    /// The fewer repetitions of both sides.
    pub fn fewest(&self) -> Option<usize> {
        Some(self.before?.n.min(self.after?.n))
    }

    /// What there is of both sides, if that is enough for a verdict.
    fn both(&self) -> Option<Change> {
        let both = Change { before: self.before?, after: self.after? };
        (self.fewest()? >= MIN_REPETITIONS).then_some(both)
    }

    fn is_judged(&self) -> bool {
        self.verdict.verdict().is_some()
    }

    /// Whether something of the earlier run is neither compared nor excluded on purpose.
    fn is_gap(&self) -> bool {
        (self.is_due && !self.is_judged()) || !self.cases_lost.is_empty()
    }
}

impl HostChanges {
    /// Compared with nothing, so far.
    fn new(host: &HostId) -> Self {
        Self {
            host: host.clone(),
            with: Vec::new(),
            not_comparable: None,
            metrics: Vec::new(),
            other_facts: Vec::new(),
            allowed: Vec::new(),
        }
    }

    fn is_judged(&self) -> bool {
        self.metrics.iter().any(MetricChange::is_judged)
    }
}

impl Changes {
    /// Whether any host is significantly slower in any metric.
    #[must_use]
    pub fn is_regression(&self) -> bool {
        self.judgements().any(|judgement| *judgement == Verdict::Slower)
    }

    /// Whether a difference of any host is inconclusive.
    #[must_use]
    pub fn is_inconclusive(&self) -> bool {
        self.judgements().any(Judgement::is_inconclusive)
    }

    /// Whether anything could be judged.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.hosts.iter().any(HostChanges::is_judged)
    }

    /// Whether every host of the later run has a verdict for every figure that the earlier run has
    /// of it. Cases that the later suite drops and levels that a sweep skips do not count.
    #[must_use]
    pub fn is_all_judged(&self) -> bool {
        let is_whole = |host: &HostChanges| !host.metrics.iter().any(MetricChange::is_gap);
        self.is_judged() && self.hosts.iter().all(|host| host.is_judged() && is_whole(host))
    }

    fn judgements(&self) -> impl Iterator<Item = &Judgement> {
        self.hosts.iter().flat_map(|host| &host.metrics).map(|metric| &metric.verdict)
    }
}

/// Compares the hosts of a run with those of an earlier one.
#[must_use]
pub fn changes(before: &Baseline, after: &Baseline, terms: &Terms) -> Changes {
    let mut hosts = like_with_like(before, after, terms);
    for metric in Metric::ALL {
        judge((metric, false), &mut hosts, terms);
        judge((metric, true), &mut hosts, terms);
    }
    hosts.extend(after.unusable.iter().map(|(host, why)| HostChanges {
        not_comparable: Some(Reason::NothingUsable(Box::new(why.clone()))),
        ..HostChanges::new(host)
    }));
    hosts.sort_by(|a, b| a.host.cmp(&b.host));
    let used: BTreeSet<&HostId> = match terms.by {
        Match::Host => BTreeSet::new(),
        Match::Gpu => hosts.iter().flat_map(|host| &host.with).collect(),
    };
    let known = |name: &HostId| used.contains(name) || hosts.iter().any(|h| h.host == *name);
    let absent = before.hosts.iter().map(|host| &host.name).filter(|name| !known(name));
    let absent = absent.cloned().collect();
    Changes {
        before: before.run.clone(),
        after: after.run.clone(),
        absent,
        hosts,
        margins: terms.margins,
    }
}

/// The hosts of the later run, in each way in which both runs measured.
fn like_with_like(before: &Baseline, after: &Baseline, terms: &Terms) -> Vec<HostChanges> {
    let both = [before.start, after.start].contains(&StartMode::Both);
    let (earlier, later) = (before.views(), after.views());
    let alike = |is: &Baseline| earlier.iter().find(|was| was.start == is.start).cloned();
    let pairs: Vec<(Baseline, &Baseline)> =
        later.iter().filter_map(|is| Some((alike(is)?, is))).collect();
    let mut out: Vec<HostChanges> = Vec::new();
    for (was, is) in &pairs {
        let solo = both && is.start == StartMode::Solo;
        for host in &is.hosts {
            let mut found = host_changes(was, is, host, terms);
            found.metrics.iter_mut().for_each(|metric| metric.solo = solo);
            match out.iter_mut().find(|known| known.host == found.host) {
                Some(known) => known.metrics.append(&mut found.metrics),
                None => out.push(found),
            }
        }
    }
    if pairs.is_empty() {
        out = after.hosts.iter().map(|host| host_changes(before, after, host, terms)).collect();
    }
    out
}

/// The verdicts in a metric, solo or not, over the hosts that have a change in it: Holm over these.
fn judge((metric, solo): (Metric, bool), hosts: &mut [HostChanges], terms: &Terms) {
    let of_metric = hosts.iter_mut().flat_map(|host| &mut host.metrics);
    let (able, estimates): (Vec<&mut MetricChange>, Vec<Change>) = of_metric
        .filter(|change| (change.metric, change.solo) == (metric, solo))
        .filter_map(|change| change.both().map(|both| (change, both)))
        .unzip();
    let found = verdicts(&estimates, Rule::of(metric, metric.margin(&terms.margins)));
    for ((change, estimate), (adjusted_p, verdict)) in able.into_iter().zip(estimates).zip(found) {
        let (mean_log, ci95_log) = (estimate.mean(), estimate.t_interval(0.95));
        change.change = Some(Estimated { mean_log, ci95_log, adjusted_p });
        change.verdict = Judgement::Verdict(verdict);
    }
}

fn host_changes(
    before: &Baseline,
    after: &Baseline,
    host: &HostBaseline,
    terms: &Terms,
) -> HostChanges {
    let mut out = HostChanges::new(&host.name);
    let references = match references(before, after, host, terms) {
        Ok(references) => references,
        Err(why) => {
            out.not_comparable = Some(why);
            return out;
        }
    };
    out.with = references.iter().map(|reference| reference.name.clone()).collect();
    if let [one] = references.as_slice() {
        out.other_facts = differing(&one.other_facts, &host.other_facts);
        let allowed = class_differences(one, host).into_iter();
        out.allowed = allowed.map(|(_, change)| change).collect();
    }
    let pair = HostPair { before, after, host, references };
    out.metrics = Metric::ALL.into_iter().filter_map(|metric| pair.metric(metric)).collect();
    out
}

/// The hosts of the earlier run that a host is compared with, or why there are none.
fn references<'a>(
    before: &'a Baseline,
    after: &Baseline,
    host: &HostBaseline,
    terms: &Terms,
) -> Result<Vec<&'a HostBaseline>, Reason> {
    if before.start != after.start {
        return Err(Reason::StartModes { is: after.start, was: before.start });
    }
    let barred = |reference: &HostBaseline| -> Vec<FactChange> {
        let differences = class_differences(reference, host).into_iter();
        let barred = differences.filter(|(fact, _)| !terms.allowed.contains(fact));
        barred.map(|(_, change)| change).collect()
    };
    if let (Match::Host, Some(same)) = (terms.by, before.host(&host.name)) {
        let facts = barred(same);
        return if facts.is_empty() { Ok(vec![same]) } else { Err(Reason::FactsDiffer(facts)) };
    }
    let equal: Vec<&HostBaseline> =
        before.hosts.iter().filter(|reference| barred(reference).is_empty()).collect();
    if !equal.is_empty() {
        return Ok(equal);
    }
    let nearest = before.hosts.iter().min_by_key(|r| class_differences(r, host).len());
    Err(nearest.map_or(Reason::NoHost, |reference| Reason::NoneEqual {
        nearest: reference.name.clone(),
        facts: barred(reference),
    }))
}

/// The facts of C1 to C4 in which two hosts differ.
fn class_differences(before: &HostBaseline, after: &HostBaseline) -> Vec<(ClassFact, FactChange)> {
    // Without a host every fact is unknown, and has its code.
    let codes = facts_of(None, None);
    let differs = |(fact, known): (ClassFact, &Fact)| {
        let (was, is) = (before.facts.get(fact.name()), after.facts.get(fact.name()));
        let (code, name) = (Some(known.code), fact.name().to_owned());
        let change = || FactChange { code, name, is: is.cloned(), was: was.cloned() };
        (was != is).then(|| (fact, change()))
    };
    ClassFact::ALL.into_iter().zip(&codes).filter_map(differs).collect()
}

/// Facts that both know and that are not equal.
fn differing(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<FactChange> {
    let differs = |(name, is): (&String, &String)| {
        let was = before.get(name).filter(|was| *was != is)?;
        let (is, was) = (Some(is.clone()), Some(was.clone()));
        Some(FactChange { code: None, name: name.clone(), is, was })
    };
    after.iter().filter_map(differs).collect()
}
