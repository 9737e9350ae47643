//! Hosts far from the middle of the others, on a robust scale.
//!
//! Source: B. Iglewicz and D. Hoaglin, *How to Detect and Handle Outliers*, 1993: a modified z of
//! over 3.5 is an outlier. It says how unusual a host is, not whether that is significant.

use regatta_types::ids::HostId;
use serde::Serialize;

use super::Outcome;
use crate::metrics::Distribution;

/// Fewest hosts among which one can be called an outlier.
pub(super) const FEWEST_HOSTS: usize = 5;

/// The modified z from which on a host is one.
pub const LIMIT: f64 = 3.5;

/// The 0.75 quantile of the normal distribution: it makes a median absolute deviation a standard
/// deviation where values are normal.
const SCALE: f64 = 0.6745;

/// Least median absolute deviation, as a share of the median: among very equal hosts it comes near
/// 0, and everybody would be an outlier.
const FLOOR: f64 = 0.005;

/// An outlying host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outlier {
    pub host: HostId,
    /// Negative: its value is smaller than the median.
    pub robust_z: f64,
}

/// The outliers among the hosts with enough repetitions, in the order of the outcome.
pub(super) fn outliers(outcome: &Outcome) -> Vec<Outlier> {
    let able: Vec<(&HostId, f64)> =
        outcome.able().filter_map(|j| Some((&j.host, j.mean?.exp()))).collect();
    let values: Vec<f64> = able.iter().map(|(_, value)| *value).collect();
    let scores = robust_z(&values);
    let far = able.into_iter().zip(scores).filter(|(_, z)| z.abs() > LIMIT);
    far.map(|((host, _), robust_z)| Outlier { host: host.clone(), robust_z }).collect()
}

/// The modified z of every value; none for fewer than five.
fn robust_z(values: &[f64]) -> Vec<f64> {
    let median = |values: Vec<f64>| Distribution::new(values).median();
    let Some(middle) = median(values.to_vec()).filter(|_| values.len() >= FEWEST_HOSTS) else {
        return Vec::new();
    };
    let away = median(values.iter().map(|v| (v - middle).abs()).collect()).unwrap_or(0.0);
    let away = away.max(FLOOR * middle);
    values.iter().map(|v| SCALE * (v - middle) / away).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scores_are_those_worked_out_by_hand() {
        // Median 100; absolute deviations 10, 1, 0, 0, 1, 2 and 4, of which the median is 1.
        let scores = robust_z(&[90.0, 99.0, 100.0, 100.0, 101.0, 102.0, 104.0]);
        for (got, wanted) in scores.iter().zip([-6.745, -0.6745, 0.0, 0.0, 0.6745, 1.349, 2.698]) {
            assert!((got - wanted).abs() < 1e-12, "{scores:?}");
        }
    }

    #[test]
    fn very_equal_hosts_are_no_outliers_and_four_hosts_have_none() {
        let equal = [100.0, 100.0, 100.0, 100.0, 101.0];
        let highest = robust_z(&equal).into_iter().fold(0.0, f64::max);
        assert!((highest - 0.6745 * 1.0 / 0.5).abs() < 1e-12, "the floor holds: {highest}");
        assert_eq!(robust_z(&[1.0, 100.0, 100.0, 100.0]), Vec::<f64>::new());
    }
}
