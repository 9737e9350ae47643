//! What the hosts take from each other: each case on one host at a time against the same on all of
//! them at once.
//!
//! A host is compared with itself. The unit is one number per repetition: the mean over its cases of
//! the logarithm together minus the one solo, of two attempts that stand next to each other in the
//! run. Hosts that share nothing that is short have none.

use std::collections::{BTreeMap, BTreeSet};

use regatta_types::ids::{CaseId, HostId};
use regatta_types::margin::Margins;
use regatta_types::metric::Metric;

use super::series::{self, Series};
use super::{Effect, Judgement, MIN_REPETITIONS, Reason, Rule, Work, eligible, verdicts};
use crate::hosts::{CaseAnalysis, HostAnalysis};
use crate::metrics::real;

/// The metrics that are looked at.
const METRICS: [Metric; 3] = [Metric::DecodeTps, Metric::Ttft, Metric::OutputTps];

/// One metric, every host that measured anything both ways.
#[derive(Debug, Clone, PartialEq)]
pub struct Contention {
    pub metric: Metric,
    /// Differences smaller than this are treated as equivalent, as a share.
    pub margin: f64,
    pub hosts: Vec<SoloAndTogether>,
}

/// One host. Its verdict is on the measurement together: `slower` is slower than solo.
#[derive(Debug, Clone, PartialEq)]
pub struct SoloAndTogether {
    pub host: HostId,
    /// Cases that were compared, by their ids together.
    pub cases: Vec<CaseId>,
    /// Cases that stay out, with the reason.
    pub cases_left_out: Vec<(CaseId, Reason)>,
    /// Means of the logarithms over the repetitions that have all cases both ways.
    pub solo_log: Option<f64>,
    pub together_log: Option<f64>,
    /// Together minus solo.
    pub effect: Option<Effect>,
    /// Holm over the hosts, two-sided.
    pub adjusted_p: Option<f64>,
    pub verdict: Judgement,
}

/// Every metric that any host has both ways; none where there was no other host to share with.
pub fn contention(hosts: &[HostAnalysis<'_>], margins: &Margins) -> Vec<Contention> {
    if hosts.iter().filter(|host| host.has_usable()).count() < 2 {
        return Vec::new();
    }
    let of = |metric: Metric| {
        let margin = metric.margin(margins);
        let hosts = hosts.iter().filter_map(|host| solo_and_together(metric, host)).collect();
        let mut found = Contention { metric, margin, hosts };
        found.judge();
        (!found.hosts.is_empty()).then_some(found)
    };
    METRICS.into_iter().filter_map(of).collect()
}

impl Contention {
    fn judge(&mut self) {
        let rule = Rule::of(self.metric, self.margin);
        let effect = |host: &SoloAndTogether| host.effect.filter(|e| e.n >= MIN_REPETITIONS);
        let effects: Vec<Effect> = self.hosts.iter().filter_map(effect).collect();
        let able = self.hosts.iter_mut().filter(|host| effect(host).is_some());
        for (host, (p, verdict)) in able.zip(verdicts(&effects, rule)) {
            (host.adjusted_p, host.verdict) = (Some(p), Judgement::Verdict(verdict));
        }
    }
}

/// A case both ways, where its logarithms exist.
struct CaseBothWays<'a> {
    case: &'a CaseId,
    solo: Series,
    together: Series,
}

impl CaseBothWays<'_> {
    fn shared(&self) -> BTreeSet<u32> {
        let has = |repetition: &u32| self.together.values.contains_key(repetition);
        self.solo.values.keys().copied().filter(has).collect()
    }
}

/// `None` where nothing was measured both ways.
fn solo_and_together(metric: Metric, host: &HostAnalysis<'_>) -> Option<SoloAndTogether> {
    let (mut pairs, mut cases_left_out): (Vec<CaseBothWays<'_>>, Vec<(CaseId, Reason)>) =
        <_>::default();
    for solo in &host.solo {
        let own = |case: &&CaseAnalysis<'_>| solo.case.solo_of.as_ref() == Some(&case.case.id);
        let Some(together) = host.cases.iter().find(own) else { continue };
        let of = |case| series::of_case(metric, host.host, case);
        let pair = CaseBothWays { case: &together.case.id, solo: of(solo), together: of(together) };
        if pair.solo.values.is_empty() && pair.together.values.is_empty() {
            continue;
        }
        let same_work = || eligible(metric, &Work::of(solo), &Work::of(together));
        let enough = pair.shared().len() >= MIN_REPETITIONS;
        match if enough { same_work() } else { Err(Reason::FewBothWays) } {
            Ok(()) => pairs.push(pair),
            Err(why) => cases_left_out.push((pair.case.clone(), why)),
        }
    }
    if pairs.is_empty() && cases_left_out.is_empty() {
        return None;
    }
    // Without a case that has it both ways the host has no figure, and its reasons.
    let complete =
        pairs.iter().map(CaseBothWays::shared).reduce(|a, b| &a & &b).unwrap_or_default();
    let means = |of: for<'a> fn(&'a CaseBothWays<'_>) -> &'a BTreeMap<u32, f64>| -> Vec<f64> {
        let logs = |r: &u32| pairs.iter().map(|pair| of(pair)[r]).sum::<f64>();
        complete.iter().map(|repetition| logs(repetition) / real(pairs.len())).collect()
    };
    let (solo, together) = (means(|pair| &pair.solo.values), means(|pair| &pair.together.values));
    let difference: Vec<f64> = together.iter().zip(&solo).map(|(t, s)| t - s).collect();
    let level =
        |logs: &[f64]| (!logs.is_empty()).then(|| logs.iter().sum::<f64>() / real(logs.len()));
    Some(SoloAndTogether {
        host: host.host.clone(),
        cases: pairs.iter().map(|pair| pair.case.clone()).collect(),
        cases_left_out,
        solo_log: level(&solo),
        together_log: level(&together),
        effect: Effect::of(&difference),
        adjusted_p: None,
        verdict: Judgement::NotJudged(Reason::TooFewRepetitions),
    })
}
