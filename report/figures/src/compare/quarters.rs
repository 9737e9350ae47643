//! Whether a host became slower over a run: the first quarter of its repetitions against the last,
//! each beside the other hosts of its class in the same repetitions, so that what befalls all of them
//! cancels out. Who is slower only in the last quarter has warmed up, or been joined by other work.

use std::ops::Range;

use regatta_types::ids::HostId;
use serde::Serialize;

use super::fleet::{Field, reference};
use super::series::Series;
use super::{Effect, Estimate, Evidence, Outcome, Repeated as _, Rule, Verdict, holm};
use crate::hosts::HostAnalysis;
use crate::metrics::{Thermals, real};

/// Fewest complete repetitions: two in each quarter.
pub const FEWEST: usize = 8;

/// A host over the quarters of its repetitions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quarters {
    pub host: HostId,
    /// Complete repetitions that the others have, too.
    pub repetitions: usize,
    /// Whether beside the mean of other hosts; without any, beside its own mean.
    pub against_others: bool,
    pub first: Quarter,
    pub last: Quarter,
    /// The last less the first.
    pub change_log: f64,
    pub ci95_log: (f64, f64),
    /// Significantly slower in the last quarter and not in the first, with a significant change between them.
    pub is_fading: bool,
}

/// One quarter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quarter {
    /// Its first and last repetition.
    pub repetitions: (u32, u32),
    /// Mean difference from the reference.
    pub mean_log: f64,
    pub gpus: Thermals,
}

/// A mean whose spread is known from all quarters of the host together: two values alone say
/// little of it.
#[derive(Debug, Clone, Copy)]
struct Pooled {
    mean: f64,
    standard_error: f64,
    freedom: f64,
}

impl Estimate for Pooled {
    fn mean(self) -> f64 {
        self.mean
    }

    fn standard_error(self) -> f64 {
        self.standard_error
    }

    fn freedom(self) -> f64 {
        self.freedom
    }
}

/// The first and the last quarter and the change between them, turned so that larger is faster.
type Estimates = [Pooled; 3];

/// The hosts with enough complete repetitions, in the order of the series.
pub(super) fn quarters(
    series: &[Series],
    outcome: &Outcome,
    rule: Rule,
    members: &[&HostAnalysis<'_>],
) -> Vec<Quarters> {
    let field = Field::new(series, rule);
    let mut found: Vec<(Quarters, Estimates)> =
        field.all().filter_map(|host| of_host(&field, outcome, host, members)).collect();
    // What has to be significant of a host without others is its change.
    let deciding = |(quarters, [_, last, change]): &(Quarters, Estimates)| {
        if quarters.against_others { *last } else { *change }
    };
    let adjusted = holm(found.iter().map(|f| deciding(f).p()));
    for (found, p) in found.iter_mut().zip(adjusted) {
        let is_slower = |e: Pooled, p| Evidence::of(e).decide(p, rule) == Some(Verdict::Slower);
        let is_slower_at_last = is_slower(deciding(found), p);
        let (quarters, [first, _, change]) = found;
        quarters.is_fading = is_slower_at_last
            && is_slower(*change, change.p())
            && !(quarters.against_others && is_slower(*first, first.p()));
    }
    found.into_iter().map(|(quarters, _)| quarters).collect()
}

/// What is known of a host; whether it fades is decided over all of them.
fn of_host(
    field: &Field<'_>,
    outcome: &Outcome,
    host: usize,
    members: &[&HostAnalysis<'_>],
) -> Option<(Quarters, Estimates)> {
    let (own, sign) = (field.series[host], field.rule.sign);
    let member = members.iter().find(|member| *member.host == own.host)?;
    let is_aside = |other: usize| outcome.set_aside.contains(&field.series[other].host);
    let pool = reference(host, field.hosts(), is_aside);
    let differences = if pool.is_empty() {
        own.values.iter().map(|(repetition, value)| (*repetition, value - own.mean())).collect()
    } else {
        field.differences(host, &pool)
    };
    if differences.len() < FEWEST {
        return None;
    }
    let blocks = blocks(differences.len()).map(|block| &differences[block]);
    let part = |block: &[(u32, f64)]| {
        let values: Vec<f64> = block.iter().map(|(_, difference)| *difference).collect();
        Effect::of(&values).map(|effect| effect.turned(sign))
    };
    let parts: Vec<Effect> = blocks.iter().map(|block| part(block)).collect::<Option<_>>()?;
    let [first, .., last] = parts.as_slice() else { return None };
    let freedom = real(differences.len() - parts.len());
    let squares: f64 = parts.iter().map(|part| part.sd.powi(2) * real(part.n - 1)).sum();
    let sd = (squares / freedom).sqrt();
    // As many values as the mean is of, as far as its error goes.
    let pooled = |mean: f64, n: f64| Pooled { mean, standard_error: sd / n.sqrt(), freedom };
    let change = pooled(last.mean - first.mean, real(first.n) / 2.0);
    let quarter = |block: &[(u32, f64)], estimate: &Effect| {
        let repetitions: Vec<u32> = block.iter().map(|(repetition, _)| *repetition).collect();
        let gpus = member.thermals(&repetitions);
        let mean_log = sign * estimate.mean;
        Some(Quarter { repetitions: (*repetitions.first()?, *repetitions.last()?), mean_log, gpus })
    };
    let (low, high) = change.t_interval(0.95);
    let quarters = Quarters {
        host: own.host.clone(),
        repetitions: differences.len(),
        against_others: !pool.is_empty(),
        first: quarter(blocks[0], first)?,
        last: quarter(blocks[3], last)?,
        change_log: sign * change.mean,
        ci95_log: if sign < 0.0 { (-high, -low) } else { (low, high) },
        is_fading: false,
    };
    let [first, last] = [first, last].map(|part| pooled(part.mean, real(part.n)));
    Some((quarters, [first, last, change]))
}

/// The first and the last quarter, and the two halves of what lies between them.
fn blocks(n: usize) -> [Range<usize>; 4] {
    let quarter = n / 4;
    [0..quarter, quarter..n / 2, n / 2..n - quarter, n - quarter..n]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_has_two_values_from_eight_on() {
        for n in FEWEST..100 {
            let blocks = blocks(n);
            assert!(blocks.iter().all(|block| block.len() >= 2), "{n}: {blocks:?}");
            assert_eq!(blocks[0].len(), blocks[3].len());
            assert_eq!(blocks.iter().map(ExactSizeIterator::len).sum::<usize>(), n);
        }
    }
}
