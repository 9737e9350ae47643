//! What of a run is kept to compare later ones with.

use std::collections::{BTreeMap, BTreeSet};

use regatta_types::comparability::current_name;
use regatta_types::ids::{CaseId, HostId, RunId, SuiteName};
use regatta_types::metric::Metric;
use regatta_types::suite::{Case, StartMode};
use serde::{Deserialize, Deserializer, Serialize};

use crate::analysis::Analysis;
use crate::compare::{
    Effect, MIN_REPETITIONS, Reason, Series, Work, mean_over, of_case, why_nothing_usable,
};
use crate::facts::{Fact, facts_of, other_facts_of};
use crate::hosts::{CaseAnalysis, CellState, HostAnalysis};
use crate::metrics::{METRICS_SCHEMA, real};
use crate::source::{Error, Run};
use crate::utc::utc;

/// The numbers of a run that later ones are compared with, one for each host, case and complete
/// repetition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Version of this layout.
    pub baseline: u32,
    pub metrics_schema: u32,
    /// The run it is of.
    pub run: RunId,
    /// When that began.
    pub created: String,
    pub suite: SuiteName,
    pub start: StartMode,
    /// Hash of what each case sends and when.
    pub cases: BTreeMap<CaseId, String>,
    /// The cases that were measured solo beside others, each with the one that it repeats.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub solo: BTreeMap<CaseId, CaseId>,
    /// Hosts with anything usable, sorted.
    #[serde(rename = "host", default)]
    pub hosts: Vec<HostBaseline>,
    /// Hosts of the run without anything usable, with the reason. It is no part of the file: of a
    /// run that is compared with, only what it has matters.
    #[serde(skip)]
    pub unusable: BTreeMap<HostId, Reason>,
}

/// One host of a baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostBaseline {
    /// Its name.
    pub name: HostId,
    /// Where its token counts come from.
    pub tokens_from: Option<String>,
    /// What decides who may be compared (C1 to C4), as far as it is known.
    #[serde(default, deserialize_with = "by_current_name")]
    pub facts: BTreeMap<String, String>,
    /// What may explain a difference (C5), as far as it is known.
    #[serde(default, deserialize_with = "by_current_name")]
    pub other_facts: BTreeMap<String, String>,
    /// Mean completion tokens of an answer.
    #[serde(default)]
    pub output_tokens: BTreeMap<CaseId, f64>,
    /// Share of the answers that were cut.
    #[serde(default)]
    pub truncated: BTreeMap<CaseId, f64>,
    /// Share of the prompt tokens that came from a cache, where the engine tells it.
    #[serde(default)]
    pub cached: BTreeMap<CaseId, f64>,
    /// Values of the complete repetitions, in order: those with every case that is here and was
    /// measured in the same way.
    #[serde(default)]
    pub values: BTreeMap<Metric, BTreeMap<CaseId, Vec<f64>>>,
    /// Why a case of the run has no such values; not in the file, as above.
    #[serde(skip)]
    pub without: BTreeMap<Metric, BTreeMap<CaseId, Reason>>,
    /// Levels that a sweep skipped; not in the file, as above.
    #[serde(skip)]
    pub skipped: BTreeSet<CaseId>,
}

/// Facts whose names may come in their earlier spelling.
fn by_current_name<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let facts = BTreeMap::<String, String>::deserialize(deserializer)?;
    Ok(facts.into_iter().map(|(name, value)| (current_name(&name).to_owned(), value)).collect())
}

impl Baseline {
    /// Layout that this version reads and writes.
    pub const VERSION: u32 = 1;

    /// What of a run is kept.
    ///
    /// # Errors
    /// When its attempts cannot be read.
    pub fn of(run: &impl Run) -> Result<Self, Error> {
        Ok(Self::kept(&Analysis::new(run)?))
    }

    /// What of a run that is worked out is kept.
    pub fn kept(analysis: &Analysis<'_>) -> Self {
        let header = &analysis.record.header;
        let cases = header.suite.cases.iter();
        let solo = |case: &Case| Some((case.id.clone(), case.solo_of.clone()?));
        // Half of the hash: nobody forges one, and a reader has to compare them by eye.
        let hash = |case: &Case| (case.id.clone(), case.work_hash()[..32].to_owned());
        let (usable, unusable): (Vec<&HostAnalysis<'_>>, Vec<&HostAnalysis<'_>>) =
            analysis.hosts.iter().partition(|host| host.has_usable());
        let why = |host: &HostAnalysis<'_>| (host.host.clone(), why_unusable(host));
        Self {
            baseline: Self::VERSION,
            metrics_schema: METRICS_SCHEMA,
            run: header.run.clone(),
            created: utc(header.created),
            suite: header.suite.name.clone(),
            start: header.start,
            solo: cases.clone().filter_map(solo).collect(),
            cases: cases.map(hash).collect(),
            hosts: usable.into_iter().map(HostBaseline::of).collect(),
            unusable: unusable.into_iter().map(why).collect(),
        }
    }

    /// The host of this name.
    #[must_use]
    pub fn host(&self, name: &HostId) -> Option<&HostBaseline> {
        self.hosts.iter().find(|host| host.name == *name)
    }
}

impl HostBaseline {
    fn of(host: &HostAnalysis<'_>) -> Self {
        let known = |facts: Vec<Fact>| {
            facts.into_iter().filter_map(|f| Some((f.name.to_owned(), f.value?))).collect()
        };
        let each = |value: fn(&CaseAnalysis<'_>) -> Option<f64>| {
            host.all_cases().filter_map(|c| Some((c.case.id.clone(), value(c)?))).collect()
        };
        let values = Metric::ALL.into_iter().map(|metric| {
            let mut values = complete(metric, host, &host.cases);
            values.extend(complete(metric, host, &host.solo));
            (metric, values)
        });
        let mut values: BTreeMap<_, _> = values.filter(|(_, cases)| !cases.is_empty()).collect();
        let without = Metric::ALL.into_iter().map(|metric| (metric, without(metric, host)));
        let mut without: BTreeMap<_, _> = without.collect();
        // An answer that begins with its first token has no figure of its own for that.
        if values.get(&Metric::FirstAnswer) == values.get(&Metric::Ttft)
            && let Some(same) = values.remove(&Metric::FirstAnswer)
        {
            let cases = same.into_keys().map(|case| (case, Reason::SameAsFirstToken));
            without.entry(Metric::FirstAnswer).or_default().extend(cases);
        }
        let skipped = host.all_cases().filter(|case| case.skipped().is_some());
        Self {
            name: host.host.clone(),
            tokens_from: host.figures.tokens.main_source().map(|s| s.name().to_owned()),
            facts: known(facts_of(host.record, host.engine.as_ref())),
            other_facts: known(other_facts_of(host.record)),
            output_tokens: each(|c| c.figures.tokens.completion.mean()),
            truncated: each(|c| c.figures.requests.truncated_share()),
            cached: each(|c| c.figures.tokens.cached_share()),
            skipped: skipped.map(|case| case.case.id.clone()).collect(),
            values,
            without,
        }
    }

    /// The work behind its figures of a case.
    pub fn work(&self, case: &CaseId) -> Work {
        let of = |values: &BTreeMap<CaseId, f64>| values.get(case).copied();
        let cached = of(&self.cached);
        Work {
            length: of(&self.output_tokens).or(Some(0.0)),
            truncated: of(&self.truncated).or(Some(0.0)),
            cached,
            cached_told: Some(if cached.is_some() { 1.0 } else { 0.0 }),
            ..Work::default()
        }
    }

    /// The logarithm of the mean over these cases, for each complete repetition.
    pub fn logs(&self, metric: Metric, cases: &[&CaseId]) -> Vec<f64> {
        let own = self.values.get(&metric);
        let logs = |case: &&CaseId| Some(own?.get(*case)?.iter().map(|v| v.ln()).collect());
        let columns: Option<Vec<Vec<f64>>> = cases.iter().map(logs).collect();
        means(&columns.unwrap_or_default())
    }

    /// A metric over all cases that are here, on the scale of logarithms.
    pub fn level(&self, metric: Metric) -> Option<Effect> {
        let cases: Vec<&CaseId> = self.values.get(&metric)?.keys().collect();
        Effect::of(&self.logs(metric, &cases))
    }
}

/// The mean of several columns, repetition by repetition, for as many as all of them have.
pub(super) fn means(columns: &[Vec<f64>]) -> Vec<f64> {
    let repetitions = columns.iter().map(Vec::len).min().unwrap_or(0);
    let sum = |repetition: usize| columns.iter().map(|column| column[repetition]).sum::<f64>();
    (0..repetitions).map(|repetition| sum(repetition) / real(columns.len())).collect()
}

/// The values of the repetitions that have every case. A case that a verdict cannot use is
/// excluded, so that the others remain usable.
fn complete(
    metric: Metric,
    host: &HostAnalysis<'_>,
    cases: &[CaseAnalysis<'_>],
) -> BTreeMap<CaseId, Vec<f64>> {
    let series = cases.iter().map(|case| (&case.case.id, of_case(metric, host.host, case)));
    let able: Vec<(&CaseId, Series)> = series.filter(|(_, series)| series.is_able()).collect();
    let complete = mean_over(able.iter().map(|(_, series)| &series.values));
    if complete.is_empty() {
        return BTreeMap::new();
    }
    let row = |(case, series): (&CaseId, Series)| {
        let values = complete.keys().map(|repetition| series.values[repetition].exp());
        (case.clone(), values.collect())
    };
    able.into_iter().map(row).collect()
}

/// Why the cases that [`complete`] has no values of have none.
fn without(metric: Metric, host: &HostAnalysis<'_>) -> BTreeMap<CaseId, Reason> {
    let why = |case: &CaseAnalysis<'_>| {
        let usable = case.cells.iter().filter_map(|cell| cell.usable()).count();
        match of_case(metric, host.host, case).values.len() {
            _ if case.skipped().is_some() => Reason::SweepSaturated,
            _ if usable == 0 => why_nothing_usable(&[case]),
            0 => Reason::NoneHasOne,
            have if have < MIN_REPETITIONS => Reason::OnlySome { have, of: case.cells.len() },
            _ => Reason::NeverAll,
        }
    };
    host.all_cases().map(|case| (case.case.id.clone(), why(case))).collect()
}

/// Why nothing of a host is usable: its refusal, the outcome of its attempts, or of its cells.
fn why_unusable(host: &HostAnalysis<'_>) -> Reason {
    if let Some(why) = host.record.and_then(|record| record.refused.clone()) {
        return Reason::Refused(why);
    }
    let missing = host.cells().find_map(|(_, cell)| match cell.state {
        CellState::Missing(reason) => Some(reason.clone()),
        CellState::Counted(_) | CellState::Skipped(_) | CellState::Open => None,
    });
    let is_any_counted = host.cells().any(|(_, cell)| cell.counted().is_some());
    match missing {
        Some(reason) if !is_any_counted => Reason::Missing(reason),
        _ => why_nothing_usable(&host.cases.iter().collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_in_their_earlier_spelling_and_written_in_the_current_one() {
        let earlier = "name = \"gpu-01\"\n[facts]\nquantisation = \"FP8\"\n\
                       [other_facts]\n\"wall clock synchronised\" = \"yes\"\n";
        let host: HostBaseline = toml::from_str(earlier).unwrap();
        assert_eq!(host.facts["quantization"], "FP8");
        assert_eq!(host.other_facts["wall clock synchronized"], "yes");
        let written = toml::to_string(&host).unwrap();
        assert!(written.contains("quantization = ") && !written.contains("nised"), "{written}");
    }
}
