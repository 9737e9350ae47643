//! Slopes of a figure over time, with their intervals.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::{Distribution, real};

/// Change of `y` for each unit of `x`, with the ends of its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// Quantile of Student's t; the degrees of freedom may be broken ones.
pub fn t_quantile(p: f64, freedom: f64) -> f64 {
    // A freedom over 0 is a valid distribution.
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(p))
}

/// Least squares with a two-sided t interval of this level. `None` with fewer than three points or
/// only one `x`.
pub fn least_squares(points: &[(f64, f64)], level: f64) -> Option<Slope> {
    let n = points.len();
    if n < 3 {
        return None;
    }
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / real(n);
    let (x_mean, y_mean) = (mean(|p| p.0), mean(|p| p.1));
    let squares: f64 = points.iter().map(|p| (p.0 - x_mean).powi(2)).sum();
    if squares <= 0.0 {
        return None;
    }
    let products: f64 = points.iter().map(|p| (p.0 - x_mean) * (p.1 - y_mean)).sum();
    let value = products / squares;
    let rest: f64 = points.iter().map(|p| (p.1 - y_mean - value * (p.0 - x_mean)).powi(2)).sum();
    let error = (rest / real(n - 2) / squares).sqrt();
    let half = t_quantile(0.5 + level / 2.0, real(n - 2)) * error;
    Some(Slope { value, low: value - half, high: value + half })
}

/// The median of the slopes of all pairs (Theil and Sen) with a two-sided interval of this level
/// from Kendall's tau. `None` with so few points that the interval has no ends.
pub fn theil_sen(points: &[(f64, f64)], level: f64) -> Option<Slope> {
    let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (i, a) in points.iter().enumerate() {
        let later = points[i + 1..].iter().filter(|b| b.0 > a.0);
        slopes.extend(later.map(|b| (b.1 - a.1) / (b.0 - a.0)));
    }
    let n = real(points.len());
    let sigma = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let z = Normal::standard().inverse_cdf(0.5 + level / 2.0);
    // Ranks from 0, as Sen gives them.
    let low = (real(slopes.len()) - z * sigma) / 2.0;
    let high = (real(slopes.len()) + z * sigma) / 2.0;
    let slopes = Distribution::new(slopes);
    Some(Slope {
        value: slopes.median()?,
        low: slopes.nth(low.round() - 1.0)?,
        high: slopes.nth(high.round())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A falling line with a wobble: x = arange(15), y = 40 - 0.25 x + 0.9 sin(1.7 x).
    fn points() -> Vec<(f64, f64)> {
        let y = |x: f64| 40.0 - 0.25 * x + 0.9 * (1.7 * x).sin();
        (0..15_u32).map(f64::from).map(|x| (x, y(x))).collect()
    }

    fn assert_close(found: Option<Slope>, value: f64, low: f64, high: f64) {
        let found = found.unwrap();
        for (found, expected) in [(found.value, value), (found.low, low), (found.high, high)] {
            assert!((found - expected).abs() < 1e-7, "{found} is not {expected}");
        }
    }

    #[test]
    fn least_squares_has_the_interval_of_the_t_distribution() {
        // r = scipy.stats.linregress(x, y); r.slope -+ scipy.stats.t.ppf(0.5 + l / 2, 13) * r.stderr
        let found = |level| least_squares(&points(), level);
        assert_close(found(0.95), -0.274_529_673_6, -0.361_290_365_2, -0.187_768_982_1);
        assert_close(found(0.99), -0.274_529_673_6, -0.395_503_070_5, -0.153_556_276_8);
        assert!(found(0.99).unwrap().high < 0.0);
        assert_eq!(least_squares(&[(1.0, 2.0), (1.0, 3.0), (1.0, 4.0)], 0.95), None);
    }

    #[test]
    fn the_slope_of_theil_and_sen_has_the_interval_of_kendalls_tau() {
        // scipy.stats.theilslopes(y, x, l)
        let found = |level| theil_sen(&points(), level);
        assert_close(found(0.95), -0.267_527_100_0, -0.354_981_203_1, -0.175_015_532_5);
        assert_close(found(0.99), -0.267_527_100_0, -0.424_203_713_9, -0.150_842_380_9);
        assert_eq!(theil_sen(&points()[..4], 0.99), None, "too few for an interval");
    }
}
