//! From cells to one number per host and repetition, and what is excluded.

use std::collections::{BTreeMap, BTreeSet};

use regatta_types::ids::{CaseId, HostId};
use regatta_types::metric::Metric;
use regatta_types::suite::{Case, Load};
use regatta_types::trace::TokenSource;
use regatta_types::validity::{FindingCode, Validity};

use super::eligible::all_eligible;
use super::{Effect, MIN_REPETITIONS, Reason};
use crate::hosts::{CaseAnalysis, Counted, HostAnalysis};
use crate::metrics::real;

/// A logarithm per repetition.
pub type Logs = BTreeMap<u32, f64>;

/// The mean over several cases, in the repetitions that have all of them.
pub(crate) fn mean_over<'a>(cases: impl IntoIterator<Item = &'a Logs>) -> Logs {
    let cases: Vec<&Logs> = cases.into_iter().collect();
    let first = cases.first().into_iter().flat_map(|first| first.keys());
    let mean = |repetition: &u32| {
        let logs: Option<Vec<f64>> =
            cases.iter().map(|case| case.get(repetition).copied()).collect();
        Some((*repetition, logs?.iter().sum::<f64>() / real(cases.len())))
    };
    first.filter_map(mean).collect()
}

/// What is compared of one host.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub host: HostId,
    pub values: Logs,
}

impl Series {
    /// Whether it has enough repetitions for a verdict.
    pub fn is_able(&self) -> bool {
        self.values.len() >= MIN_REPETITIONS
    }

    pub fn mean(&self) -> f64 {
        self.values.values().sum::<f64>() / real(self.values.len())
    }

    /// Only the repetitions that the other has, too.
    pub fn only_in(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.values.retain(|repetition, _| other.values.contains_key(repetition));
        out
    }

    pub fn level(&self) -> Option<Effect> {
        Effect::of(&self.values.values().copied().collect::<Vec<_>>())
    }
}

/// What of a class enters the comparison of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricSeries {
    /// Compared cases, in the order of the suite.
    pub cases: Vec<CaseId>,
    /// Excluded cases, with the reason.
    pub cases_left_out: Vec<(CaseId, Reason)>,
    /// Excluded hosts, with the reason.
    pub hosts_left_out: Vec<(HostId, Reason)>,
    /// Repetitions that every compared case was planned for.
    pub planned_repetitions: u32,
    /// Logarithm by host, case and repetition.
    values: BTreeMap<HostId, BTreeMap<CaseId, Logs>>,
}

impl MetricSeries {
    pub fn of(metric: Metric, members: &[&HostAnalysis<'_>]) -> Self {
        let mut hosts_left_out = other_names(members);
        let members = without(&hosts_left_out, members);
        hosts_left_out.extend(barred_hosts(metric, &members));
        let members = without(&hosts_left_out, &members);
        let suite = members.first().map_or(&[][..], |m| &m.cases);
        let planned = suite.iter().map(|c| c.case.repetitions).max().unwrap_or(0);
        let (mut cases, mut cases_left_out) = (Vec::new(), Vec::new());
        for (index, first) in suite.iter().enumerate() {
            let column: Vec<&CaseAnalysis<'_>> = members.iter().map(|m| &m.cases[index]).collect();
            let id = first.case.id.clone();
            match why_left_out(metric, &column, planned) {
                None => cases.push(id),
                Some(Some(reason)) => cases_left_out.push((id, reason)),
                Some(None) => {}
            }
        }
        let values = members.iter().map(|m| (m.host.clone(), host_values(metric, m))).collect();
        Self { cases, cases_left_out, hosts_left_out, planned_repetitions: planned, values }
    }

    /// Simulated ones: logarithms by host, case and repetition.
    #[cfg(any(test, feature = "calibration"))]
    pub fn of_logs(
        cases: Vec<CaseId>,
        planned_repetitions: u32,
        values: BTreeMap<HostId, BTreeMap<CaseId, Logs>>,
    ) -> Self {
        let (cases_left_out, hosts_left_out) = (Vec::new(), Vec::new());
        Self { cases, cases_left_out, hosts_left_out, planned_repetitions, values }
    }

    /// Per host the mean over the cases, in the repetitions that have all of them.
    pub fn means(&self) -> Vec<Series> {
        self.each_host(|own| mean_over(self.cases.iter().map(|case| &own[case])))
    }

    /// Per host, one case separately.
    pub fn of_case(&self, case: &CaseId) -> Vec<Series> {
        self.each_host(|own| own[case].clone())
    }

    fn each_host(&self, values: impl Fn(&BTreeMap<CaseId, Logs>) -> Logs) -> Vec<Series> {
        let series =
            |(host, own): (&HostId, &_)| Series { host: host.clone(), values: values(own) };
        self.values.iter().map(series).collect()
    }
}

fn host_values(metric: Metric, host: &HostAnalysis<'_>) -> BTreeMap<CaseId, Logs> {
    let of_case = |c: &CaseAnalysis<'_>| (c.case.id.clone(), of_case(metric, host.host, c).values);
    host.cases.iter().map(of_case).collect()
}

/// One case of one host, regardless of the others.
pub fn of_case(metric: Metric, host: &HostId, case: &CaseAnalysis<'_>) -> Series {
    let cells = case.cells.iter().filter_map(|cell| {
        let value = cell_value(metric, case.case, cell.usable()?)?;
        Some((cell.repetition.0, value.ln()))
    });
    Series { host: host.clone(), values: cells.collect() }
}

/// The cell's one number: speeds as a ratio of sums over its requests, times as their median; `None` when it has
/// none above zero.
pub fn cell_value(metric: Metric, case: &Case, cell: &Counted) -> Option<f64> {
    let figures = &cell.figures;
    let value = match metric {
        Metric::DecodeTps => figures.decode.per_second(),
        Metric::Ttft => figures.first_token(&case.load).median(),
        Metric::FirstAnswer if matches!(case.load, Load::Closed { .. }) => figures.ttfa_s.median(),
        Metric::FirstAnswer => None,
        Metric::E2e => figures.end_to_end(&case.load).median(),
        Metric::OutputTps if case.in_flight_max() > 1 => {
            cell.steady.as_ref().ok().and_then(|steady| steady.output.per_second())
        }
        Metric::OutputTps => None,
        Metric::Energy => cell.j_per_out_tok,
    };
    value.filter(|&v| v > 0.0)
}

/// The hosts that are not excluded.
fn without<'h, 'a>(
    left_out: &[(HostId, Reason)],
    members: &[&'h HostAnalysis<'a>],
) -> Vec<&'h HostAnalysis<'a>> {
    let barred: BTreeSet<&HostId> = left_out.iter().map(|(host, _)| host).collect();
    members.iter().copied().filter(|m| !barred.contains(m.host)).collect()
}

/// Hosts that are the same machine as one before them: of several names the first stays.
fn other_names(members: &[&HostAnalysis<'_>]) -> Vec<(HostId, Reason)> {
    let again = |(at, m): (usize, &&HostAnalysis<'_>)| {
        Some((m.host.clone(), same_machine(m, &members[..at])?))
    };
    members.iter().enumerate().filter_map(again).collect()
}

/// Whether a host is the same machine as one of these.
pub fn same_machine(host: &HostAnalysis<'_>, before: &[&HostAnalysis<'_>]) -> Option<Reason> {
    let machine = host.machine.as_ref()?;
    let is_it = |other: &&&HostAnalysis<'_>| {
        other.machine.as_ref().is_some_and(|other| other.first == machine.first)
    };
    let first = before.iter().find(is_it)?.host.clone();
    Some(Reason::SameMachine { first, by: machine.by })
}

/// Hosts whose token counts cannot be compared with those of the others.
fn barred_hosts(metric: Metric, members: &[&HostAnalysis<'_>]) -> Vec<(HostId, Reason)> {
    match metric {
        Metric::DecodeTps | Metric::OutputTps | Metric::Energy => counted_otherwise(members),
        Metric::Ttft => [cached_untold(members), coalesced(members), hidden(members)].concat(),
        Metric::FirstAnswer => [cached_untold(members), coalesced(members)].concat(),
        Metric::E2e => Vec::new(),
    }
}

/// C9: hosts whose counts come from another source than on most hosts, or from chunks.
fn counted_otherwise(members: &[&HostAnalysis<'_>]) -> Vec<(HostId, Reason)> {
    let mut votes = BTreeMap::new();
    for source in members.iter().filter_map(|m| m.figures.tokens.main_source()) {
        *votes.entry(source).or_insert(0_u32) += 1;
    }
    let usual = votes.iter().max_by_key(|&(source, n)| (n, std::cmp::Reverse(source)));
    let usual = usual.map(|(source, _)| *source);
    let name = |s: Option<TokenSource>| s.map_or("none", TokenSource::name);
    let reason = |m: &HostAnalysis<'_>| {
        let own = m.figures.tokens.main_source();
        if m.figures.tokens.is_approximate() {
            Some(Reason::ChunksCounted)
        } else if own.is_some() && own != usual {
            Some(Reason::TokenSource { own: name(own), usual: name(usual) })
        } else {
            None
        }
    };
    members.iter().filter_map(|m| Some((m.host.clone(), reason(m)?))).collect()
}

/// C8: where some engines tell the cached part of a prompt and others never do, nobody can say
/// whether the two had the same to do.
fn cached_untold(members: &[&HostAnalysis<'_>]) -> Vec<(HostId, Reason)> {
    let told = |m: &HostAnalysis<'_>| m.figures.tokens.cached.reported > 0;
    let with_any = || members.iter().filter(|m| told(m)).count();
    // Of two equal camps the one that tells stays.
    let usual = 2 * with_any() >= members.len();
    let reason = if usual { Reason::CachedUntold } else { Reason::CachedTold };
    let other = members.iter().filter(|m| told(m) != usual && with_any() > 0);
    other.map(|m| (m.host.clone(), reason.clone())).collect()
}

/// Hosts whose streams come in bursts, unlike on most: their first token waits for others.
fn coalesced(members: &[&HostAnalysis<'_>]) -> Vec<(HostId, Reason)> {
    unlike_most(members, |m| m.figures.requests.is_coalesced(), &Reason::Coalesced)
}

/// Hosts that do not show all tokens, unlike most: their first one is not the first.
fn hidden(members: &[&HostAnalysis<'_>]) -> Vec<(HostId, Reason)> {
    unlike_most(members, |m| m.figures.requests.is_hidden(), &Reason::Hidden)
}

/// The hosts of the smaller camp; of two equal ones those that have it.
fn unlike_most(
    members: &[&HostAnalysis<'_>],
    has: impl Fn(&HostAnalysis<'_>) -> bool,
    reason: &Reason,
) -> Vec<(HostId, Reason)> {
    let usual = 2 * members.iter().filter(|m| has(m)).count() > members.len();
    let other = members.iter().filter(|m| has(m) != usual);
    other.map(|m| (m.host.clone(), reason.clone())).collect()
}

/// `None`: the case is compared. `Some(None)`: the metric does not exist for it.
fn why_left_out(
    metric: Metric,
    column: &[&CaseAnalysis<'_>],
    planned: u32,
) -> Option<Option<Reason>> {
    let case = column.first()?.case;
    if metric == Metric::OutputTps && case.in_flight_max() < 2 {
        return Some(None);
    }
    if case.repetitions < planned {
        return Some(Some(Reason::PlannedFewer { own: case.repetitions, planned }));
    }
    let skipped = column.iter().filter(|c| c.skipped().is_some()).count();
    if skipped > 0 {
        return Some(Some(Reason::Skipped { on_all: skipped == column.len() }));
    }
    let usable = || column.iter().flat_map(|c| c.cells.iter().filter_map(|cell| cell.usable()));
    if usable().next().is_none() {
        return Some(Some(why_nothing_usable(column)));
    }
    let exists = match metric {
        // An answer that begins with its first token has no figure of its own for that.
        Metric::FirstAnswer => {
            usable().any(|c| c.figures.ttfa_s.median() != c.figures.ttft_s.median())
        }
        Metric::Energy => usable().any(|cell| cell.j_per_out_tok.is_some()),
        Metric::DecodeTps | Metric::Ttft | Metric::E2e | Metric::OutputTps => true,
    };
    if !exists {
        return Some(None);
    }
    let (valued, without): (Vec<_>, Vec<_>) =
        usable().partition(|cell| cell_value(metric, case, cell).is_some());
    if valued.len() <= without.len() {
        let buffered = without.iter().all(|cell| cell.figures.requests.buffered > 0);
        let stamped = without.iter().any(|cell| cell.figures.ttft_s.n() > 0);
        return Some(Some(match metric {
            _ if !buffered && !stamped => Reason::NotStamped,
            Metric::DecodeTps if !buffered => Reason::TooShort,
            Metric::DecodeTps | Metric::Ttft | Metric::FirstAnswer => Reason::Buffered,
            Metric::E2e => Reason::NoText,
            Metric::OutputTps => Reason::NoSteadyWindow,
            Metric::Energy => Reason::NoEnergy,
        }));
    }
    all_eligible(metric, column).err().map(Some)
}

/// Why none of these cases has a usable attempt.
pub fn why_nothing_usable(column: &[&CaseAnalysis<'_>]) -> Reason {
    let counted = column.iter().flat_map(|c| &c.cells).filter_map(|cell| cell.counted());
    let invalid = counted
        .flat_map(|counted| &counted.findings)
        .filter(|finding| finding.validity == Validity::Invalid);
    let codes: BTreeSet<FindingCode> = invalid.map(|finding| finding.code.clone()).collect();
    if codes.is_empty() { Reason::NoAttempt } else { Reason::Invalid(codes.into_iter().collect()) }
}
