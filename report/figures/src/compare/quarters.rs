//! Whether a host became slower over a run: the first quarter of its repetitions against the last,
//! each beside the other hosts of its class in the same repetitions, so that what befalls all of them
//! cancels out. Who is slower only in the last quarter has warmed up, or been joined by other work.

use std::ops::Range;

use regatta_types::ids::HostId;
use serde::Serialize;

use super::fleet::Field;
use super::series::Series;
use super::{Effect, Estimate, Evidence, MIN_REPETITIONS, Outcome, Rule, Verdict, holm};
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
    sd: f64,
    /// As many values as the mean is of, as far as its error goes.
    n: f64,
    freedom: f64,
}

impl Estimate for Pooled {
    fn mean(self) -> f64 {
        self.mean
    }

    fn standard_error(self) -> f64 {
        self.sd / self.n.sqrt()
    }

    fn freedom(self) -> f64 {
        self.freedom
    }

    fn longer(self, by: usize) -> Self {
        Self { n: self.n + real(by), freedom: self.freedom + real(by), ..self }
    }

    fn turned(self, sign: f64) -> Self {
        Self { mean: sign * self.mean, ..self }
    }
}

/// The three estimates of one host, turned so that larger is faster.
struct Found {
    host: usize,
    differences: Vec<(u32, f64)>,
    against_others: bool,
    first: Pooled,
    last: Pooled,
    change: Pooled,
}

/// The hosts with enough complete repetitions, in the order of the series.
pub(super) fn quarters(
    series: &[Series],
    outcome: &Outcome,
    rule: Rule,
    members: &[&HostAnalysis<'_>],
) -> Vec<Quarters> {
    let able: Vec<&Series> = series.iter().filter(|s| s.values.len() >= MIN_REPETITIONS).collect();
    let field = Field::new(&able, rule);
    let found: Vec<Found> =
        (0..able.len()).filter_map(|host| of_host(&field, &able, outcome, host)).collect();
    // What has to be significant of a host without others is its change.
    let deciding = |f: &Found| if f.against_others { f.last } else { f.change };
    let adjusted = holm(found.iter().map(|f| deciding(f).p()));
    let quarters = found.into_iter().zip(adjusted).filter_map(|(found, p)| {
        let is_slower = |e: Pooled, p| Evidence::of(e).decide(p, rule) == Some(Verdict::Slower);
        let is_fading = is_slower(deciding(&found), p)
            && is_slower(found.change, found.change.p())
            && !(found.against_others && is_slower(found.first, found.first.p()));
        let host = &able[found.host].host;
        let member = members.iter().find(|member| member.host == host)?;
        let quarter = |part: &[(u32, f64)], estimate: Pooled| {
            let repetitions = (part.first()?.0, part.last()?.0);
            let all: Vec<u32> = part.iter().map(|(repetition, _)| *repetition).collect();
            let mean_log = rule.sign * estimate.mean;
            Some(Quarter { repetitions, mean_log, gpus: member.thermals(&all) })
        };
        let blocks = blocks(found.differences.len());
        let (low, high) = found.change.t_interval(0.95);
        let ci95_log = if rule.sign < 0.0 { (-high, -low) } else { (low, high) };
        Some(Quarters {
            host: host.clone(),
            repetitions: found.differences.len(),
            against_others: found.against_others,
            first: quarter(&found.differences[blocks[0].clone()], found.first)?,
            last: quarter(&found.differences[blocks[3].clone()], found.last)?,
            change_log: rule.sign * found.change.mean,
            ci95_log,
            is_fading,
        })
    });
    quarters.collect()
}

fn of_host(field: &Field<'_>, able: &[&Series], outcome: &Outcome, host: usize) -> Option<Found> {
    let others: Vec<usize> = (0..able.len()).filter(|&other| other != host).collect();
    let is_calm = |other: &usize| !outcome.set_aside.contains(&able[*other].host);
    let calm: Vec<usize> = others.iter().copied().filter(is_calm).collect();
    let pool = if calm.is_empty() { others } else { calm };
    let differences = if pool.is_empty() {
        let own = able[host];
        own.values.iter().map(|(repetition, value)| (*repetition, value - own.mean())).collect()
    } else {
        field.differences(host, &pool)
    };
    if differences.len() < FEWEST {
        return None;
    }
    let parts: Option<Vec<Effect>> = blocks(differences.len())
        .into_iter()
        .map(|block| {
            let values: Vec<f64> = differences[block].iter().map(|(_, d)| *d).collect();
            Effect::of(&values).map(|effect| field.turned(effect))
        })
        .collect();
    let parts = parts?;
    let freedom = real(differences.len() - parts.len());
    let squares: f64 = parts.iter().map(|part| part.sd.powi(2) * real(part.n - 1)).sum();
    let sd = (squares / freedom).sqrt();
    let [first, .., last] = parts.as_slice() else { return None };
    let pooled = |mean: f64, n: f64| Pooled { mean, sd, n, freedom };
    Some(Found {
        host,
        differences,
        against_others: !pool.is_empty(),
        first: pooled(first.mean, real(first.n)),
        last: pooled(last.mean, real(last.n)),
        change: pooled(last.mean - first.mean, real(first.n) / 2.0),
    })
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
