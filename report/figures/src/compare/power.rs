//! What the repetitions of a run could have shown.

use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

use super::{Effect, Outcome, Rule};
use crate::metrics::{Distribution, real, t_quantile};

/// How often a difference of that size would have been found.
const POWER: f64 = 0.8;

/// The smallest difference that would have been found in 8 of 10 such runs, on the scale of
/// logarithms: from the scatter of a middling host, at the first step of Holm, never below the
/// margin. `None` if no host has a verdict.
pub(super) fn detectable(outcome: &Outcome, rule: Rule) -> Option<f64> {
    let effects: Vec<Effect> = if outcome.pairs.is_empty() {
        outcome.hosts.iter().filter_map(|j| j.effect).collect()
    } else {
        outcome.pairs.iter().map(|pair| pair.effect).collect()
    };
    let fewest = effects.iter().map(|e| e.n).min()?;
    let scatter = Distribution::new(effects.iter().map(|e| e.sd)).median()?;
    let judged = outcome.hosts.iter().filter(|j| j.effect.is_some()).count();
    let (family, power) = match judged {
        2 => (1, POWER),
        // Both pairs of a host have to show it: each misses half as often.
        3 => (3, 1.0 - (1.0 - POWER) / 2.0),
        n => (n, POWER),
    };
    let error = scatter / real(fewest).sqrt();
    Some((noncentrality(fewest, rule.alpha / real(family), power) * error).max(rule.margin))
}

/// The true mean, in standard errors, at which a two-sided t test of `n` values at level `alpha`
/// finds it with this power: the noncentral t, by its mixture of normal distributions over equally
/// likely spreads.
pub(super) fn noncentrality(n: usize, alpha: f64, power: f64) -> f64 {
    const SPREADS: usize = 400;
    let freedom = real(n - 1);
    let critical = t_quantile(1.0 - alpha / 2.0, freedom);
    let Ok(chi_squared) = ChiSquared::new(freedom) else { return f64::INFINITY };
    let thresholds: Vec<f64> = (0..SPREADS)
        .map(|i| (real(i) + 0.5) / real(SPREADS))
        .map(|share| critical * (chi_squared.inverse_cdf(share) / freedom).sqrt())
        .collect();
    let normal = Normal::standard();
    let found =
        |mean: f64| thresholds.iter().map(|t| normal.cdf(mean - t)).sum::<f64>() / real(SPREADS);
    let (mut low, mut high) = (0.0, 1.0);
    while found(high) < power && high < 1e9 {
        high *= 2.0;
    }
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if found(middle) < power { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_what_the_method_page_says() {
        // Per cent per 1 % of scatter: a pair, and a host against the mean of n - 1 others.
        let of = |n: usize, hosts: usize, power: f64| {
            let (family, scatter) = match hosts {
                2 => (1, 2.0_f64.sqrt()),
                _ => (hosts, (1.0 + 1.0 / real(hosts - 1)).sqrt()),
            };
            noncentrality(n, 0.05 / real(family), power) * scatter / real(n).sqrt()
        };
        for (n, hosts, wanted) in [
            (3, 2, 4.6),
            (3, 6, 8.8),
            (5, 2, 2.4),
            (5, 6, 3.0),
            (5, 20, 3.9),
            (10, 2, 1.4),
            (10, 6, 1.5),
            (20, 20, 1.0),
        ] {
            let got = of(n, hosts, 0.8);
            assert!((got - wanted).abs() <= 0.055, "{n} repetitions, {hosts} hosts: {got}");
        }
        assert!((of(5, 2, 0.9) - 2.8).abs() <= 0.055);
    }
}
