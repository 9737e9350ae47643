//! Quantiles of values with weights.

use std::sync::Arc;

use serde::Serialize;

/// Values with weights: inter-token latencies weighted by the tokens they brought, gaps by one.
/// There are as many as chunks, and those of a request are correlated: only quantiles are reported,
/// without intervals.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Weighted {
    /// Sum of the weights.
    pub weight: f64,
    pub p50: Option<f64>,
    pub p90: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub max: Option<f64>,
    /// `(value, weight)`; `None` once released. Shared where two metrics agree.
    #[serde(skip)]
    values: Option<Arc<Vec<(f64, f64)>>>,
}

const LEVELS: [f64; 4] = [0.50, 0.90, 0.95, 0.99];

impl Weighted {
    /// Of `(value, weight)`. The values are kept until [`Self::release`], to be summed.
    pub fn of(mut values: Vec<(f64, f64)>) -> Self {
        let weight = values.iter().map(|(_, weight)| weight).sum();
        let max = values.iter().map(|(value, _)| *value).max_by(f64::total_cmp);
        let [p50, p90, p95, p99] = match max {
            Some(_) => quantiles(&mut values, weight).map(Some),
            None => [None; LEVELS.len()],
        };
        Self { weight, p50, p90, p95, p99, max, values: Some(Arc::new(values)) }
    }

    /// Of all values of several that still have theirs. It keeps none itself.
    pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let parts: Vec<&Self> = parts.into_iter().collect();
        debug_assert!(parts.iter().all(|part| part.weight == 0.0 || part.values.is_some()));
        let mut out = match parts[..] {
            [one] => one.clone(),
            _ => Self::of(parts.iter().flat_map(|part| part.pairs().iter().copied()).collect()),
        };
        out.release();
        out
    }

    /// All values; empty once released.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        self.pairs().iter().map(|(value, _)| *value)
    }

    fn pairs(&self) -> &[(f64, f64)] {
        self.values.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Frees the values; the quantiles stay.
    pub fn release(&mut self) {
        self.values = None;
    }
}

/// Quantiles of values that weigh so much: the smallest value at or below which that share of the
/// weight lies. There are too many to sort them for four.
fn quantiles(values: &mut [(f64, f64)], weight: f64) -> [f64; LEVELS.len()] {
    let (mut rest, mut below) = (values, 0.0);
    LEVELS.map(|level| {
        let (mut begin, mut end) = (0, rest.len());
        // It is in `begin..end`; what is before that has `below` of the weight.
        while end - begin > 1 {
            let half = (end - begin) / 2;
            let (low, _, _) =
                rest[begin..end].select_nth_unstable_by(half, |a, b| a.0.total_cmp(&b.0));
            let low: f64 = low.iter().map(|(_, weight)| weight).sum();
            if below + low >= level * weight {
                end = begin + half;
            } else {
                begin += half;
                below += low;
            }
        }
        // Higher levels are not before it.
        rest = &mut std::mem::take(&mut rest)[begin..];
        rest[0].0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighted_quantiles_count_tokens_not_chunks() {
        let w = Weighted::of(vec![(0.2, 1.0), (0.01, 9.0)]);
        assert_eq!((w.p50, w.p90, w.p95, w.p99), (Some(0.01), Some(0.01), Some(0.2), Some(0.2)));
        assert_eq!((w.weight, w.max), (10.0, Some(0.2)));
        assert_eq!(Weighted::default().p50, None);
    }

    #[test]
    fn a_sum_is_that_of_all_values() {
        let all: Vec<(f64, f64)> =
            (0..90_u32).map(|i| (f64::from(i * 37 % 101), f64::from(1 + i % 3))).collect();
        let parts: Vec<Weighted> = all.chunks(40).map(|part| Weighted::of(part.to_vec())).collect();
        let mut whole = Weighted::of(all);
        whole.release();
        assert_eq!(Weighted::sum(&parts), whole);
        assert_eq!(Weighted::sum([]), Weighted::default());
    }

    #[test]
    fn quantiles_are_those_of_sorted_values() {
        for n in 1..200_u32 {
            let values = (0..n).map(|i| (f64::from(i * 37 % 23), f64::from(1 + i * 7 % 4)));
            let mut sorted: Vec<(f64, f64)> = values.collect();
            let found = Weighted::of(sorted.clone());
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            let expected = LEVELS.map(|level| {
                let mut below = 0.0;
                let mut reaches = sorted.iter().skip_while(|(_, weight)| {
                    below += weight;
                    below < level * found.weight
                });
                reaches.next().map(|(value, _)| *value)
            });
            assert_eq!([found.p50, found.p90, found.p95, found.p99], expected, "of {n}");
            assert_eq!(found.max, sorted.last().map(|(value, _)| *value));
        }
    }
}
