//! Ranks with ties, and how far each is known, from all pairs.

use regatta_types::ids::HostId;
use serde::Serialize;

use super::fleet::Field;
use super::series::Series;
use super::{Evidence, FULL_REPETITIONS, Judged, Outcome, Rule, Verdict, holm};

/// The rank of a host among those with a verdict; 1 is the fastest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rank {
    pub host: HostId,
    /// `None`: its verdict is inconclusive, or hosts of its own kind have the same ranks.
    #[serde(rename = "place")]
    pub rank: Option<usize>,
    /// Several hosts have this rank, as all of them are equivalent to the rest.
    pub is_shared: bool,
    /// 1 and the hosts that are significantly faster in a pair.
    pub low: usize,
    /// All hosts but those that are significantly slower in a pair.
    pub high: usize,
}

/// The ranks of the hosts with a verdict, in the order of the outcome. There are none for a pair,
/// whose verdict is enough, if a host has too few repetitions for an order, or if the hosts fall into
/// two groups: then the report says that instead.
pub(super) fn ranks(series: &[Series], outcome: &Outcome, rule: Rule) -> Vec<Rank> {
    let is_established = outcome.fewest().is_none_or(|fewest| fewest >= FULL_REPETITIONS);
    let field = Field::new(series, rule);
    if field.hosts() < 3 || outcome.two_groups || !is_established {
        return Vec::new();
    }
    let between = between(&field);
    let with = |verdict| outcome.hosts.iter().filter(|j| j.verdict == verdict).count();
    let (faster, equivalent) = (with(Verdict::Faster), with(Verdict::Equivalent));
    let rank = |judged: &Judged| {
        let host = field.series.iter().position(|s| s.host == judged.host)?;
        let (low, high) = between[host];
        let rank = match judged.verdict.verdict() {
            Some(Verdict::Equivalent) => Some(1 + faster),
            Some(Verdict::Faster | Verdict::Slower) => (low == high).then_some(low),
            Some(Verdict::Inconclusive { .. }) | None => None,
        };
        let is_shared = judged.verdict == Verdict::Equivalent && equivalent > 1;
        Some(Rank { host: judged.host.clone(), rank, is_shared, low, high })
    };
    outcome.hosts.iter().filter_map(rank).collect()
}

/// What the rank of each host lies between.
pub(super) fn between(field: &Field<'_>) -> Vec<(usize, usize)> {
    let (hosts, decided) = (field.hosts(), decided_pairs(field));
    let rank = |host: usize| {
        let low = 1 + decided.iter().filter(|(_, slower)| *slower == host).count();
        (low, hosts - decided.iter().filter(|(faster, _)| *faster == host).count())
    };
    (0..hosts).map(rank).collect()
}

/// The pairs with a significant difference, the faster host first: Holm over all of them.
fn decided_pairs(field: &Field<'_>) -> Vec<(usize, usize)> {
    let hosts = field.hosts();
    let pairs: Vec<(usize, usize, Evidence)> = (0..hosts)
        .flat_map(|first| (first + 1..hosts).map(move |second| (first, second)))
        .filter_map(|(first, second)| {
            Some((first, second, Evidence::of(field.pair(first, second)?)))
        })
        .collect();
    let adjusted = holm(pairs.iter().map(|(_, _, evidence)| evidence.p()));
    // The other verdicts cost an interval for each of many pairs, and are not asked for.
    let likely = pairs.iter().zip(adjusted).filter(|(_, p)| *p < field.rule.alpha);
    let decided = likely.filter_map(|((first, second, evidence), p)| {
        match evidence.decide(p, field.rule)? {
            Verdict::Faster => Some((*first, *second)),
            Verdict::Slower => Some((*second, *first)),
            Verdict::Equivalent | Verdict::Inconclusive { .. } => None,
        }
    });
    decided.collect()
}
