//! Exact percentiles, and when there are too few values for one.

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use statrs::distribution::{Binomial, DiscreteCDF};

use super::{index, real};

/// Values of one metric, one per request, kept whole and sorted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Distribution {
    sorted: Box<[f64]>,
}

/// A percentile with the distribution-free 95 % interval of its order statistics.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Percentile {
    /// Interpolated between the two nearest values.
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Distribution {
    pub fn new(values: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Box<[f64]> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Self { sorted }
    }

    pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        // Sorting finds the parts in order, and merges them.
        Self::new(parts.into_iter().flat_map(|part| part.sorted.iter().copied()))
    }

    pub fn n(&self) -> usize {
        self.sorted.len()
    }

    pub fn min(&self) -> Option<f64> {
        self.sorted.first().copied()
    }

    pub fn max(&self) -> Option<f64> {
        self.sorted.last().copied()
    }

    /// The value of this rank, from 0; `None` beyond either end.
    pub fn nth(&self, rank: f64) -> Option<f64> {
        (0.0 <= rank && rank < real(self.n())).then(|| self.sorted[index(rank)])
    }

    pub fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    /// The `p`-quantile, `0 <= p <= 1`, interpolated linearly (type 7 of Hyndman and Fan).
    pub fn quantile(&self, p: f64) -> Option<f64> {
        let last = self.sorted.len().checked_sub(1)?;
        let position = p * real(last);
        let below = index(position).min(last);
        let above = (below + 1).min(last);
        let share = position - real(below);
        Some(self.sorted[below] + share * (self.sorted[above] - self.sorted[below]))
    }

    /// The `p`-quantile with its 95 % interval; `None` with fewer values than that needs.
    pub fn percentile(&self, p: f64) -> Option<Percentile> {
        let (low, high) = order_interval(self.n(), p)?;
        let value = self.quantile(p)?;
        Some(Percentile { value, low: self.sorted[low - 1], high: self.sorted[high - 1] })
    }
}

/// `null` without any value.
impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.n() == 0 {
            return serializer.serialize_none();
        }
        let mut out = serializer.serialize_struct("Distribution", 8)?;
        out.serialize_field("n", &self.n())?;
        out.serialize_field("min", &self.min())?;
        out.serialize_field("median", &self.median())?;
        out.serialize_field("p50", &self.percentile(0.50))?;
        out.serialize_field("p90", &self.percentile(0.90))?;
        out.serialize_field("p95", &self.percentile(0.95))?;
        out.serialize_field("p99", &self.percentile(0.99))?;
        out.serialize_field("max", &self.max())?;
        out.end()
    }
}

/// Ranks (from 1) of the values between which the `p`-quantile lies with 95 % confidence, equal
/// tails; `None` when `n` values cannot say.
fn order_interval(n: usize, p: f64) -> Option<(usize, usize)> {
    let count = u64::try_from(n).ok().filter(|&n| n > 0)?;
    // Without these two the interval would need a value below the first or above the last.
    if (1.0 - p).powf(real(n)) > 0.025 || p.powf(real(n)) > 0.025 {
        return None;
    }
    let binomial = Binomial::new(p, count).ok()?;
    let low = usize::try_from(binomial.inverse_cdf(0.025)).ok()?;
    let high = usize::try_from(binomial.inverse_cdf(0.975)).ok()? + 1;
    (low >= 1 && high <= n).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_statistics_intervals_are_those_of_the_binomial() {
        // scipy.stats.binom.ppf(0.025, n, p), scipy.stats.binom.ppf(0.975, n, p) + 1
        assert_eq!(order_interval(200, 0.95), Some((184, 197)));
        assert_eq!(order_interval(1_000, 0.99), Some((983, 997)));
        assert_eq!(order_interval(6, 0.5), Some((1, 6)));
        assert_eq!(order_interval(100, 0.5), Some((40, 61)));
    }

    #[test]
    fn percentiles_need_as_many_values_as_the_method_page_says() {
        for (p, needed) in [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3_688)] {
            assert!(order_interval(needed, p).is_some(), "{p}");
            assert!(order_interval(needed - 1, p).is_none(), "{p}");
        }
    }

    #[test]
    fn quantiles_interpolate_and_too_few_values_say_so() {
        let d = Distribution::new([4.0, 1.0, 3.0, 2.0]);
        assert_eq!(d.median(), Some(2.5));
        assert_eq!(d.quantile(0.25), Some(1.75));
        assert_eq!(d.quantile(1.0), Some(4.0));
        assert_eq!(d.percentile(0.95), None);
        assert_eq!(Distribution::default().median(), None);
        let hundred = Distribution::new((1..=100).map(f64::from));
        let middle = Some(Percentile { value: 50.5, low: 40.0, high: 61.0 });
        assert_eq!(hundred.percentile(0.5), middle);
    }
}
