//! One host of the later run beside those it is compared with: what of each metric can be.

use std::collections::BTreeSet;

use regatta_types::ids::CaseId;
use regatta_types::metric::Metric;

use super::baseline::means;
use super::changes::MetricChange;
use super::{Baseline, HostBaseline};
use crate::compare::{Effect, Judgement, Reason, eligible};

/// Where a baseline's token counts are no counts.
const CHUNKS: &str = "chunks";

/// A host with those it is compared with.
pub(super) struct HostPair<'a> {
    pub before: &'a Baseline,
    pub after: &'a Baseline,
    pub host: &'a HostBaseline,
    pub references: Vec<&'a HostBaseline>,
}

/// Why a case is excluded.
enum ExcludedCase {
    /// As the suite or its sweep specifies.
    Meant(Reason),
    /// The earlier run has it, and the later one was to measure it and has no value.
    Lost(Reason),
    /// Both could have it, but it is no comparison.
    Barred(Reason),
}

impl HostPair<'_> {
    /// `None`: the metric exists on neither side.
    pub(super) fn metric(&self, metric: Metric) -> Option<MetricChange> {
        let of = |host: &HostBaseline| {
            host.values.get(&metric).into_iter().flat_map(|v| v.keys().cloned()).collect::<Vec<_>>()
        };
        let earlier: BTreeSet<CaseId> = self.references.iter().flat_map(|r| of(r)).collect();
        let cases: BTreeSet<CaseId> = earlier.iter().cloned().chain(of(self.host)).collect();
        if cases.is_empty() {
            return None;
        }
        let mut out = MetricChange {
            metric,
            solo: false,
            cases: Vec::new(),
            cases_left_out: Vec::new(),
            cases_lost: Vec::new(),
            is_due: false,
            before: None,
            after: None,
            change: None,
            verdict: Judgement::NotJudged(Reason::TooFewRepetitions),
        };
        for case in cases {
            let left_out = self.why_left_out(metric, &case);
            let is_meant = matches!(left_out, Some(ExcludedCase::Meant(_)));
            out.is_due |= !is_meant && earlier.contains(&case);
            match left_out {
                None => out.cases.push(case),
                Some(ExcludedCase::Meant(why) | ExcludedCase::Barred(why)) => {
                    out.cases_left_out.push((case, why))
                }
                Some(ExcludedCase::Lost(why)) => {
                    out.cases_lost.push(case.clone());
                    out.cases_left_out.push((case, why));
                }
            }
        }
        match self.levels(metric, &out) {
            Ok([before, after]) => (out.before, out.after) = (before, after),
            Err(why) => out.verdict = Judgement::NotJudged(why),
        }
        Some(out)
    }

    /// The means of both sides over the compared cases, or why there are none.
    fn levels(&self, metric: Metric, found: &MetricChange) -> Result<[Option<Effect>; 2], Reason> {
        self.same_counts(metric)?;
        if found.cases.is_empty() {
            let reasons: BTreeSet<&Reason> =
                found.cases_left_out.iter().map(|(_, why)| why).collect();
            return Err(Reason::NoCase(reasons.into_iter().cloned().collect()));
        }
        let cases: Vec<&CaseId> = found.cases.iter().collect();
        let before: Vec<Vec<f64>> =
            self.references.iter().map(|reference| reference.logs(metric, &cases)).collect();
        Ok([means(&before), self.host.logs(metric, &cases)].map(|logs| Effect::of(&logs)))
    }

    /// C9: not token counts of another kind.
    fn same_counts(&self, metric: Metric) -> Result<(), Reason> {
        match metric {
            Metric::DecodeTps | Metric::OutputTps | Metric::Energy => {}
            Metric::Ttft | Metric::FirstAnswer | Metric::E2e => return Ok(()),
        }
        let name = |host: &HostBaseline| host.tokens_from.as_deref().unwrap_or("none").to_owned();
        let is = name(self.host);
        let was = self.references.iter().map(|r| name(r)).find(|was| *was != is || *was == CHUNKS);
        match was {
            None => Ok(()),
            Some(was) if was == is => Err(Reason::ChunksCounted),
            Some(was) => Err(Reason::TokenSourceBefore { is, was }),
        }
    }

    fn why_left_out(&self, metric: Metric, case: &CaseId) -> Option<ExcludedCase> {
        let meant = |why| Some(ExcludedCase::Meant(why));
        match (self.before.cases.get(case), self.after.cases.get(case)) {
            (_, None) => return meant(Reason::NotInLaterSuite),
            (None, _) => return meant(Reason::NotInEarlierSuite),
            (Some(was), Some(is)) if was != is => return meant(Reason::OtherWork),
            (Some(_), Some(_)) => {}
        }
        let has = |h: &HostBaseline| h.values.get(&metric).is_some_and(|v| v.contains_key(case));
        if !has(self.host) {
            let why = self.host.without.get(&metric).and_then(|cases| cases.get(case));
            let why = Reason::NoValue(why.cloned().map(Box::new));
            let is_skipped = self.host.skipped.contains(case);
            return Some(if is_skipped {
                ExcludedCase::Meant(why)
            } else {
                ExcludedCase::Lost(why)
            });
        }
        if !self.references.iter().all(|reference| has(reference)) {
            return Some(ExcludedCase::Barred(Reason::NoValueBefore));
        }
        let own = self.host.work(case);
        let works = self.references.iter().map(|reference| reference.work(case));
        let reasons = works.filter_map(|before| eligible(metric, &own, &before).err());
        reasons.min().map(ExcludedCase::Barred)
    }
}
