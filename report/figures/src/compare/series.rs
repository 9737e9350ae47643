//! From cells to one number per host and repetition, and what has to stay out.

use std::collections::{BTreeMap, BTreeSet};

use regatta_types::ids::{CaseId, HostId};
use regatta_types::trace::TokenSource;
use regatta_types::validity::Validity;
use serde::Serialize;

use super::metric::Metric;
use super::stats::Effect;
use crate::hosts::{CaseAnalysis, HostAnalysis};
use crate::metrics::{Distribution, Figures, real};

/// One host's logarithm per repetition.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub host: HostId,
    pub values: BTreeMap<u32, f64>,
}

impl Series {
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
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricSeries {
    /// Compared cases, in the order of the suite.
    pub cases: Vec<CaseId>,
    /// Cases that stay out, with the reason.
    pub cases_left_out: Vec<(CaseId, String)>,
    /// Hosts that stay out, with the reason.
    pub hosts_left_out: Vec<(HostId, String)>,
    /// Repetitions that every compared case was planned for.
    pub planned_repetitions: u32,
    /// Logarithm by host, case and repetition.
    #[serde(skip)]
    values: BTreeMap<HostId, BTreeMap<CaseId, BTreeMap<u32, f64>>>,
}

impl MetricSeries {
    pub fn of(metric: Metric, members: &[&HostAnalysis<'_>]) -> Self {
        let hosts_left_out = barred_hosts(metric, members);
        let barred: BTreeSet<&HostId> = hosts_left_out.iter().map(|(host, _)| host).collect();
        let members: Vec<&HostAnalysis<'_>> =
            members.iter().copied().filter(|m| !barred.contains(m.host)).collect();
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
        values: BTreeMap<HostId, BTreeMap<CaseId, BTreeMap<u32, f64>>>,
    ) -> Self {
        let (cases_left_out, hosts_left_out) = (Vec::new(), Vec::new());
        Self { cases, cases_left_out, hosts_left_out, planned_repetitions, values }
    }

    /// Per host the mean over the cases, in the repetitions that have all of them.
    pub fn means(&self) -> Vec<Series> {
        self.each_host(|values| {
            let repetitions = if self.cases.is_empty() { 0 } else { self.planned_repetitions };
            (1..=repetitions)
                .filter_map(|repetition| {
                    let logs: Option<Vec<f64>> = self
                        .cases
                        .iter()
                        .map(|case| values.get(case)?.get(&repetition).copied())
                        .collect();
                    let logs = logs?;
                    Some((repetition, logs.iter().sum::<f64>() / real(logs.len())))
                })
                .collect()
        })
    }

    /// Per host one case by itself.
    pub fn of_case(&self, case: &CaseId) -> Vec<Series> {
        self.each_host(|values| values.get(case).cloned().unwrap_or_default())
    }

    fn each_host(
        &self,
        values: impl Fn(&BTreeMap<CaseId, BTreeMap<u32, f64>>) -> BTreeMap<u32, f64>,
    ) -> Vec<Series> {
        let series =
            |(host, own): (&HostId, &_)| Series { host: host.clone(), values: values(own) };
        self.values.iter().map(series).collect()
    }
}

fn host_values(metric: Metric, host: &HostAnalysis<'_>) -> BTreeMap<CaseId, BTreeMap<u32, f64>> {
    let of_case = |c: &CaseAnalysis<'_>| (c.case.id.clone(), of_case(metric, host.host, c).values);
    host.cases.iter().map(of_case).collect()
}

/// One case of one host, whatever the others have.
pub fn of_case(metric: Metric, host: &HostId, case: &CaseAnalysis<'_>) -> Series {
    let cells = case.cells.iter().filter_map(|cell| {
        let value = metric.of_cell(case.case, cell.usable()?)?;
        Some((cell.repetition.0, value.ln()))
    });
    Series { host: host.clone(), values: cells.collect() }
}

/// Hosts whose token counts cannot be compared with those of the others.
fn barred_hosts(metric: Metric, members: &[&HostAnalysis<'_>]) -> Vec<(HostId, String)> {
    match metric {
        Metric::DecodeTps | Metric::OutputTps | Metric::Energy => counted_otherwise(members),
        Metric::Ttft | Metric::FirstAnswer => cached_untold(members),
        Metric::E2e => Vec::new(),
    }
}

/// C9: hosts whose counts come from another source than on most hosts, or from chunks.
fn counted_otherwise(members: &[&HostAnalysis<'_>]) -> Vec<(HostId, String)> {
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
            Some("C9: the engine gives no token counts; chunks were counted".to_owned())
        } else if own.is_some() && own != usual {
            let (own, usual) = (name(own), name(usual));
            Some(format!("C9: token counts from `{own}`, on most hosts from `{usual}`"))
        } else {
            None
        }
    };
    members.iter().filter_map(|m| Some((m.host.clone(), reason(m)?))).collect()
}

/// C8: where some engines tell the cached part of a prompt and others never do, nobody can say
/// whether the two had the same to do.
fn cached_untold(members: &[&HostAnalysis<'_>]) -> Vec<(HostId, String)> {
    let told = |m: &HostAnalysis<'_>| m.figures.tokens.cached.reported > 0;
    let with_any = || members.iter().filter(|m| told(m)).count();
    // Of two equal camps the one that tells stays.
    let usual = 2 * with_any() >= members.len();
    let reason = if usual {
        "C8: no cached prompt tokens told, on other hosts they are"
    } else {
        "C8: cached prompt tokens told, on most hosts they are not"
    };
    let other = members.iter().filter(|m| told(m) != usual && with_any() > 0);
    other.map(|m| (m.host.clone(), reason.to_owned())).collect()
}

/// `None`: the case is compared. `Some(None)`: the metric does not exist for it.
fn why_left_out(
    metric: Metric,
    column: &[&CaseAnalysis<'_>],
    planned: u32,
) -> Option<Option<String>> {
    let case = column.first()?.case;
    if metric == Metric::OutputTps && case.in_flight_max() < 2 {
        return Some(None);
    }
    if case.repetitions < planned {
        let own = case.repetitions;
        return Some(Some(format!("{own} repetitions planned, other cases have {planned}")));
    }
    let skipped: Vec<&CaseAnalysis<'_>> =
        column.iter().copied().filter(|c| c.skipped().is_some()).collect();
    if !skipped.is_empty() {
        let all = skipped.len() == column.len();
        let on = if all { "all" } else { "some" };
        return Some(Some(format!("skipped on {on} hosts, their sweep was saturated before")));
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
        usable().partition(|cell| metric.of_cell(case, cell).is_some());
    if valued.len() <= without.len() {
        let buffered = without.iter().all(|cell| cell.figures.requests.buffered > 0);
        let stamped = without.iter().any(|cell| cell.figures.ttft_s.n() > 0);
        return Some(Some(match metric {
            _ if !buffered && !stamped => {
                "not measured, no chunk of the answers was stamped".to_owned()
            }
            Metric::DecodeTps if !buffered => "answers too short for a decode speed".to_owned(),
            Metric::DecodeTps | Metric::Ttft | Metric::FirstAnswer => {
                "streams were buffered on their way".to_owned()
            }
            Metric::E2e => "no text in most attempts".to_owned(),
            Metric::OutputTps => "no steady window in most attempts".to_owned(),
            Metric::Energy => "no energy of most attempts".to_owned(),
        }));
    }
    match metric {
        Metric::DecodeTps => None,
        Metric::Ttft | Metric::FirstAnswer => {
            cached_differ(column).map(|reason| Some(reason.to_owned()))
        }
        Metric::E2e | Metric::OutputTps | Metric::Energy if lengths_differ(column) => {
            Some(Some("C6: the answers differ in length or in how they end".to_owned()))
        }
        Metric::E2e if cut_unequally(column) => Some(Some(
            "C7: answers of natural length were cut, and not all are equally long".to_owned(),
        )),
        Metric::E2e | Metric::OutputTps | Metric::Energy => None,
    }
}

/// Why none of these cases has a usable attempt.
pub fn why_nothing_usable(column: &[&CaseAnalysis<'_>]) -> String {
    let cells = column.iter().flat_map(|c| &c.cells);
    let codes: BTreeSet<&str> = cells
        .filter_map(|cell| cell.counted())
        .flat_map(|counted| &counted.findings)
        .filter(|finding| finding.validity == Validity::Invalid)
        .map(|finding| finding.code.as_str())
        .collect();
    if codes.is_empty() {
        return "no attempt was counted".to_owned();
    }
    let codes: Vec<&str> = codes.into_iter().collect();
    format!("no usable attempt: {}", codes.join(", "))
}

/// The largest distance of a host's value from the median of the hosts, and that median. The middle
/// of two values is half as far from both as they are from each other, so of two the distance is
/// theirs, and the smaller one stands for the median.
fn farthest(column: &[&CaseAnalysis<'_>], value: impl Fn(&Figures) -> Option<f64>) -> (f64, f64) {
    let values = Distribution::new(column.iter().filter_map(|c| value(&c.figures)));
    if let (2, Some(low), Some(high)) = (values.n(), values.min(), values.max()) {
        return (high - low, low);
    }
    let median = values.median().unwrap_or(0.0);
    let ends = [values.min(), values.max()];
    (ends.into_iter().flatten().map(|v| (v - median).abs()).fold(0.0, f64::max), median)
}

/// C6: most that mean output lengths may differ by, as a share.
pub const LENGTH_BAND: f64 = 0.10;
/// C6: most that shares of truncated answers may differ by.
pub const MIX_BAND: f64 = 0.05;
/// C8: most that shares of cached prompt tokens may differ by.
pub const CACHE_BAND: f64 = 0.01;

/// C6: mean output length off by more than 10 %, or the mix of stop and length by more than five
/// points, from the median of the class, or of two hosts from each other.
pub(super) fn lengths_differ(column: &[&CaseAnalysis<'_>]) -> bool {
    let truncated = |f: &Figures| {
        let ok = f.requests.ok;
        (ok > 0).then(|| f64::from(f.requests.truncated) / f64::from(ok))
    };
    let (length, median) = farthest(column, |f| f.tokens.completion.mean());
    let (mix, _) = farthest(column, truncated);
    length > LENGTH_BAND * median || mix > MIX_BAND
}

/// C7: a limit cut answers that the model was to end, and the mean lengths are not equal: nobody can
/// say how long they would have been.
fn cut_unequally(column: &[&CaseAnalysis<'_>]) -> bool {
    let any_cut = column.iter().any(|c| c.is_cut());
    let answered = || column.iter().filter(|c| c.figures.requests.ok > 0);
    let length = |f: &Figures| f.tokens.completion.mean();
    any_cut
        && (answered().any(|c| length(&c.figures).is_none()) || farthest(column, length).0 > 0.0)
}

/// C8: cached prompt tokens off by more than 1 % of the prompt from the median of the class (of two
/// hosts from each other), or not told alike, so that nobody can say.
pub(super) fn cached_differ(column: &[&CaseAnalysis<'_>]) -> Option<&'static str> {
    let share = |f: &Figures| {
        let prompt = f.tokens.prompt.known().filter(|&p| p > 0)?;
        (f.tokens.cached.reported > 0).then(|| f.tokens.cached.sum as f64 / prompt as f64)
    };
    if farthest(column, |f| f.tokens.cached.share_reported()).0 > 0.0 {
        Some("C8: cached prompt tokens are told for some requests and not for others")
    } else if farthest(column, share).0 > CACHE_BAND {
        Some("C8: cached prompt tokens differ by more than 1 % of the prompt")
    } else {
        None
    }
}
