//! Whether two sides did the same work, so that a metric may be compared between them: hosts of a class, a host solo and
//! together, a host in two runs.

use super::reason::Reason;
use crate::hosts::CaseAnalysis;
use crate::metrics::Distribution;
use regatta_types::metric::Metric;

/// C6: most that mean output lengths may differ by, as a share.
const LENGTH_BAND: f64 = 0.10;
/// C6: most that shares of truncated answers may differ by.
const MIX_BAND: f64 = 0.05;
/// C8: most that shares of cached prompt tokens may differ by.
const CACHE_BAND: f64 = 0.01;

/// The work behind the figures of a case. `None`: not known, and in no comparison.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Work {
    /// Mean completion tokens of an answer.
    pub length: Option<f64>,
    /// Share of the answers that were cut.
    pub truncated: Option<f64>,
    /// Share of the prompt tokens that came from a cache.
    pub cached: Option<f64>,
    /// Share of the requests that report their cached tokens.
    pub cached_told: Option<f64>,
    /// There is an answer.
    pub is_answered: bool,
    /// A limit cut answers that the model was to end.
    pub is_cut: bool,
    /// Chunks were counted instead of tokens.
    pub is_approximate: bool,
    /// Something joins the chunks of most answers.
    pub is_coalesced: bool,
    /// Most answers have tokens that did not arrive.
    pub is_hidden: bool,
}

impl Work {
    pub fn of(case: &CaseAnalysis<'_>) -> Self {
        let figures = &case.figures;
        let ok = figures.requests.ok;
        let prompt = figures.tokens.prompt.known().filter(|&p| p > 0);
        let cached = figures.tokens.cached;
        let share = |prompt| (cached.reported > 0).then(|| cached.sum as f64 / prompt as f64);
        Self {
            length: figures.tokens.completion.mean(),
            truncated: figures.requests.truncated_share(),
            cached: prompt.and_then(share),
            cached_told: cached.share_reported(),
            is_answered: ok > 0,
            is_cut: case.is_cut(),
            is_approximate: figures.tokens.is_approximate(),
            is_coalesced: figures.requests.is_coalesced(),
            is_hidden: figures.requests.is_hidden(),
        }
    }

    /// What each of several hosts is compared with: their median. The median of two is half as far from both
    /// as they are from each other, so of two the smaller value stands for it.
    pub fn middle(sides: &[Self]) -> Self {
        let middle = |value: fn(&Self) -> Option<f64>| {
            let values = Distribution::new(sides.iter().filter_map(value));
            if values.n() == 2 { values.min() } else { values.median() }
        };
        let most = |is: fn(&Self) -> bool| 2 * sides.iter().filter(|s| is(s)).count() > sides.len();
        Self {
            length: middle(|side| side.length),
            truncated: middle(|side| side.truncated),
            cached: middle(|side| side.cached),
            cached_told: middle(|side| side.cached_told),
            is_answered: true,
            is_cut: sides.iter().any(|side| side.is_cut),
            is_approximate: false,
            is_coalesced: most(|side| side.is_coalesced),
            is_hidden: most(|side| side.is_hidden),
        }
    }
}

/// Whether a metric may be compared between a side and its reference (C6 to C9).
///
/// # Errors
/// The reason why not.
pub fn eligible(metric: Metric, own: &Work, reference: &Work) -> Result<(), Reason> {
    let apart = |value: fn(&Work) -> Option<f64>| {
        let both = value(own).zip(value(reference));
        both.map_or((0.0, 0.0), |(own, reference)| ((own - reference).abs(), reference))
    };
    let (length, usual) = apart(|work| work.length);
    let barred = |is: bool, why: Reason| if is { Err(why) } else { Ok(()) };
    let same_lengths = || {
        let differ = length > LENGTH_BAND * usual || apart(|work| work.truncated).0 > MIX_BAND;
        barred(differ, Reason::LengthsDiffer)
    };
    let same_counts =
        || barred(own.is_approximate || reference.is_approximate, Reason::ChunksCounted);
    match metric {
        Metric::DecodeTps => same_counts(),
        Metric::OutputTps | Metric::Energy => same_counts().and_then(|()| same_lengths()),
        Metric::E2e => {
            let is_cut = own.is_cut || reference.is_cut;
            // Nobody can say how long the answers would have been.
            let unequal = length > 0.0 || (own.is_answered && own.length.is_none());
            same_lengths().and_then(|()| barred(is_cut && unequal, Reason::CutUnequally))
        }
        Metric::Ttft | Metric::FirstAnswer => {
            barred(own.is_coalesced != reference.is_coalesced, Reason::Coalesced)?;
            let is_first = metric == Metric::Ttft;
            barred(is_first && own.is_hidden != reference.is_hidden, Reason::Hidden)?;
            barred(apart(|work| work.cached_told).0 > 0.0, Reason::CachedToldForSome)?;
            barred(apart(|work| work.cached).0 > CACHE_BAND, Reason::CachedDiffer)
        }
    }
}

/// The same of several hosts, each against their median: the first reason of all.
///
/// # Errors
/// The reason why not.
pub(super) fn all_eligible(metric: Metric, column: &[&CaseAnalysis<'_>]) -> Result<(), Reason> {
    let sides: Vec<Work> = column.iter().map(|case| Work::of(case)).collect();
    let middle = Work::middle(&sides);
    let reasons = sides.iter().filter_map(|side| eligible(metric, side, &middle).err());
    reasons.min().map_or(Ok(()), Err)
}
