//! Contention, how much the hosts slow each other down: each case on one host at a time against the
//! same case on all hosts at once.
//!
//! A host is compared with itself. The unit is one number per repetition: the mean over its cases of
//! the logarithm together minus the one solo, of two attempts that stand next to each other in the
//! run. Hosts that share nothing that is short have none.

use regatta_types::ids::{CaseId, HostId};
use regatta_types::margin::Margins;
use regatta_types::metric::Metric;

use super::series::{Logs, Series, mean_over, of_case};
use super::{Effect, Judgement, MIN_REPETITIONS, Reason, Rule, Work, eligible, verdicts};
use crate::hosts::{CaseAnalysis, HostAnalysis};

/// The metrics to compare.
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
    /// Excluded cases, with the reason.
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

/// `None` where nothing was measured both ways.
fn solo_and_together(metric: Metric, host: &HostAnalysis<'_>) -> Option<SoloAndTogether> {
    let (mut cases, mut cases_left_out) = (Vec::new(), Vec::new());
    let mut compared: Vec<[Logs; 2]> = Vec::new();
    for solo in &host.solo {
        let own = |case: &&CaseAnalysis<'_>| solo.case.solo_of.as_ref() == Some(&case.case.id);
        let Some(together) = host.cases.iter().find(own) else { continue };
        let both = [solo, together].map(|case| of_case(metric, host.host, case).values);
        if both.iter().all(Logs::is_empty) {
            continue;
        }
        let enough = both[0].keys().filter(|r| both[1].contains_key(r)).count() >= MIN_REPETITIONS;
        let same_work = || eligible(metric, &Work::of(solo), &Work::of(together));
        match if enough { same_work() } else { Err(Reason::FewBothWays) } {
            Ok(()) => {
                cases.push(together.case.id.clone());
                compared.push(both);
            }
            Err(why) => cases_left_out.push((together.case.id.clone(), why)),
        }
    }
    if cases.is_empty() && cases_left_out.is_empty() {
        return None;
    }
    // Without a case that has it both ways the host has no figure, and its reasons.
    let [solo, together] = [0, 1].map(|way| {
        let values = mean_over(compared.iter().map(|both| &both[way]));
        Series { host: host.host.clone(), values }
    });
    let (solo, together) = (solo.only_in(&together), together.only_in(&solo));
    let difference: Vec<f64> =
        together.values.values().zip(solo.values.values()).map(|(t, s)| t - s).collect();
    let level = |series: &Series| (!series.values.is_empty()).then(|| series.mean());
    Some(SoloAndTogether {
        host: host.host.clone(),
        cases,
        cases_left_out,
        solo_log: level(&solo),
        together_log: level(&together),
        effect: Effect::of(&difference),
        adjusted_p: None,
        verdict: Judgement::NotJudged(Reason::TooFewRepetitions),
    })
}
