//! Quantiles of values with weights.

use std::sync::Arc;

use itertools::Itertools as _;
use serde::Serialize;

/// Values with weights: inter-token latencies weighted by the tokens they brought, gaps by one.
/// There are as many as chunks, and those of a request hang together: only quantiles are told, and
/// they have no interval.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Weighted {
    /// Sum of the weights.
    pub(crate) weight: f64,
    pub(crate) p50: Option<f64>,
    pub(crate) p90: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) max: Option<f64>,
    /// `(value, weight)`, sorted; empty once they are let go of. Shared where two metrics agree.
    #[serde(skip)]
    sorted: Arc<Vec<(f64, f64)>>,
}

impl Weighted {
    /// Of `(value, weight)`. The values are kept until [`Self::let_go`], to be summed.
    pub(crate) fn of(mut sorted: Vec<(f64, f64)>) -> Self {
        sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let weight = sorted.iter().map(|(_, weight)| weight).sum();
        let mut out = Self::quantiles(weight, sorted.iter().copied());
        out.sorted = Arc::new(sorted);
        out
    }

    /// Of all values of several that still have theirs. It keeps none itself.
    pub(crate) fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let parts: Vec<&Self> = parts.into_iter().collect();
        debug_assert!(parts.iter().all(|part| part.weight == 0.0 || !part.sorted.is_empty()));
        if let [one] = parts[..] {
            return Self { sorted: Arc::default(), ..one.clone() };
        }
        let weight = parts.iter().map(|part| part.weight).sum();
        let sorted = parts.iter().map(|part| part.sorted.iter().copied());
        Self::quantiles(weight, sorted.kmerge_by(|a, b| a.0.total_cmp(&b.0).is_lt()))
    }

    /// Frees the values; the quantiles stay.
    pub(crate) fn let_go(&mut self) {
        self.sorted = Arc::default();
    }

    /// Quantiles of sorted values: the smallest value at or below which that share of the weight
    /// lies.
    fn quantiles(weight: f64, sorted: impl Iterator<Item = (f64, f64)>) -> Self {
        const LEVELS: [f64; 4] = [0.50, 0.90, 0.95, 0.99];
        let mut found = [None; LEVELS.len()];
        let mut next = 0;
        let (mut below, mut max) = (0.0, None);
        for (value, share) in sorted {
            below += share;
            max = Some(value);
            while next < LEVELS.len() && below >= LEVELS[next] * weight {
                found[next] = max;
                next += 1;
            }
        }
        // A sum that rounding has left short of the whole ends at the last value.
        let [p50, p90, p95, p99] = found.map(|quantile| quantile.or(max));
        Self { weight, p50, p90, p95, p99, max, sorted: Arc::default() }
    }
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
        whole.let_go();
        assert_eq!(Weighted::sum(&parts), whole);
        assert_eq!(Weighted::sum([]), Weighted::default());
    }
}
