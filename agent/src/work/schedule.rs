//! When an open loop sends: instants that are computed before the attempt, alike on every host.
//!
//! [`Schedule`] is a pure function of the case, the run's seed and the repetition. Nothing here
//! waits or sends.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use regatta_types::ids::{CaseId, Repetition};
use regatta_types::suite::{Arrivals, StopRule};
use sha2::{Digest, Sha256};

/// How many requests an open loop sends, and how they are spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Requests a second, over 0.
    pub rate: f64,
    /// How the gaps vary.
    pub arrivals: Arrivals,
    /// How many, at least 1.
    pub requests: u32,
}

impl Schedule {
    /// As many requests as the stop rule names, or as fit into its duration
    /// (`round(rate * duration)`), or the fewer of both; at least 1.
    #[must_use]
    pub fn new(rate: f64, arrivals: Arrivals, stop: &StopRule) -> Self {
        let fitting = |limit: Duration| {
            u32::try_from(rounded(rate * limit.as_secs_f64())).unwrap_or(u32::MAX)
        };
        let limits = [stop.requests, stop.duration.map(fitting)];
        let requests = limits.into_iter().flatten().min().unwrap_or(1).max(1);
        Self { rate, arrivals, requests }
    }

    /// Send instants as nanoseconds after the start, ascending.
    ///
    /// The first is 0 and the last `(requests - 1) / rate`: the gaps are drawn, then stretched so
    /// that they fill that time, so the rate is always the one that was asked for.
    ///
    /// Stable for ever: ChaCha20 keyed with the SHA-256 of `schedule/<seed>/<case>/r<repetition>`.
    /// A draw is `u = (floor(next_u64 / 2^11) + 1) / 2^53`. An exponential gap is `-ln u`. A gamma
    /// gap is Marsaglia and Tsang's (2000), its normal deviate `sqrt(-2 ln u) * cos(2 pi u')`; for a
    /// shape below 1 one of shape + 1 is drawn and multiplied by `u^(1 / shape)`. No library decides
    /// the draws, and no platform the logarithms.
    #[must_use]
    pub fn offsets(&self, seed: u64, case: &CaseId, repetition: Repetition) -> Vec<u64> {
        let gaps = self.requests.saturating_sub(1);
        let key = Sha256::digest(format!("schedule/{seed}/{case}/r{repetition}"));
        let mut draw = Draw(ChaCha20Rng::from_seed(key.into()));
        // The sum of the gaps before each request.
        let mut sums = vec![0.0];
        let mut sum = 0.0;
        for _ in 0..gaps {
            sum += match self.arrivals {
                Arrivals::Constant => 1.0,
                Arrivals::Poisson => draw.exponential(),
                Arrivals::Gamma { shape } => draw.gamma(shape),
            };
            sums.push(sum);
        }
        let nanos = f64::from(gaps) / self.rate * 1e9;
        // Gaps too uneven for floating point may all be 0; the last instant stands all the same.
        let share = |before: f64| if sum > 0.0 { before / sum } else { 0.0 };
        let mut offsets: Vec<u64> = sums.into_iter().map(|b| rounded(share(b) * nanos)).collect();
        if let Some(last) = offsets.last_mut() {
            *last = rounded(nanos);
        }
        offsets
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "never negative; a float beyond the range becomes its end"
)]
fn rounded(value: f64) -> u64 {
    value.round() as u64
}

struct Draw(ChaCha20Rng);

impl Draw {
    /// Over 0, at most 1.
    fn uniform(&mut self) -> f64 {
        // At most 2^53, exact in a double.
        ((self.0.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Of mean 1.
    fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// Of mean `shape`.
    fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            return self.gamma(shape + 1.0) * libm::pow(self.uniform(), 1.0 / shape);
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            let log_u = libm::log(self.uniform());
            if v > 0.0 && log_u < 0.5 * x * x + d * (1.0 - v + libm::log(v)) {
                return d * v;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offsets(arrivals: Arrivals, rate: f64, requests: u32, seed: u64) -> Vec<u64> {
        let case = CaseId::new("chat.rps4").unwrap();
        Schedule { rate, arrivals, requests }.offsets(seed, &case, Repetition(1))
    }

    /// Standard deviation of the gaps over their mean.
    fn variation(offsets: &[u64]) -> f64 {
        let gaps: Vec<f64> = offsets.windows(2).map(|w| (w[1] - w[0]) as f64).collect();
        let n = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / n;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / (n - 1.0);
        variance.sqrt() / mean
    }

    fn any_arrivals() -> impl Strategy<Value = Arrivals> {
        prop_oneof![
            Just(Arrivals::Constant),
            Just(Arrivals::Poisson),
            (0.001..1000.0).prop_map(|shape| Arrivals::Gamma { shape }),
        ]
    }

    proptest! {
        #[test]
        fn any_schedule_is_sorted_and_has_exactly_the_rate(
            arrivals in any_arrivals(), rate in 0.01..10_000.0, n in 1..2_000_u32, seed: u64,
        ) {
            let offsets = offsets(arrivals, rate, n, seed);
            prop_assert_eq!(offsets.len(), n as usize);
            prop_assert!(offsets.is_sorted());
            prop_assert_eq!(offsets[0], 0);
            prop_assert_eq!(*offsets.last().unwrap(), rounded(f64::from(n - 1) / rate * 1e9));
        }
    }

    #[test]
    fn the_schedule_of_a_seed_never_changes() {
        let poisson = offsets(Arrivals::Poisson, 4.0, 5, 7);
        let gamma = |shape| offsets(Arrivals::Gamma { shape }, 4.0, 5, 7);
        // Computed by an independent implementation of the documented rule.
        assert_eq!(poisson, [0, 16_821_678, 102_520_321, 484_273_211, 1_000_000_000]);
        assert_eq!(gamma(4.0), [0, 174_675_066, 388_431_004, 757_992_139, 1_000_000_000]);
        assert_eq!(gamma(0.25), [0, 98_244_259, 98_245_137, 938_702_763, 1_000_000_000]);
        assert_eq!(
            offsets(Arrivals::Constant, 3.0, 4, 7),
            [0, 333_333_333, 666_666_667, 1_000_000_000]
        );
    }

    #[test]
    fn seed_case_and_repetition_decide_and_nothing_else() {
        let schedule = Schedule { rate: 4.0, arrivals: Arrivals::Poisson, requests: 100 };
        let of = |seed, case, repetition| {
            schedule.offsets(seed, &CaseId::new(case).unwrap(), Repetition(repetition))
        };
        assert_eq!(of(1, "a", 1), of(1, "a", 1));
        for other in [of(2, "a", 1), of(1, "b", 1), of(1, "a", 2)] {
            assert_ne!(of(1, "a", 1), other);
        }
    }

    #[test]
    fn gaps_vary_as_their_distribution_says() {
        let of = |arrivals| variation(&offsets(arrivals, 100.0, 20_000, 3));
        assert!(of(Arrivals::Constant) < 1e-6);
        for (arrivals, expected) in [
            (Arrivals::Poisson, 1.0),
            (Arrivals::Gamma { shape: 1.0 }, 1.0),
            (Arrivals::Gamma { shape: 4.0 }, 0.5),
            (Arrivals::Gamma { shape: 100.0 }, 0.1),
            (Arrivals::Gamma { shape: 0.25 }, 2.0),
        ] {
            let seen = of(arrivals);
            assert!((seen / expected - 1.0).abs() < 0.05, "{arrivals:?}: {seen}");
        }
    }

    #[test]
    fn the_stop_rule_decides_how_many() {
        let count = |n, seconds: Option<f64>| {
            let duration = seconds.map(Duration::from_secs_f64);
            Schedule::new(4.0, Arrivals::Poisson, &StopRule { requests: n, duration }).requests
        };
        assert_eq!(count(Some(10), None), 10);
        assert_eq!(count(None, Some(2.4)), 10, "9.6 rounded");
        assert_eq!(count(Some(10), Some(1.0)), 4);
        assert_eq!(count(Some(10), Some(60.0)), 10);
        assert_eq!(count(None, Some(0.001)), 1, "one at least");
    }
}
