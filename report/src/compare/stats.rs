//! Student's t over repetitions, and Holm's correction.

use serde::{Serialize, Serializer};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::metrics::{real, t_quantile};

/// Mean and spread of one number per repetition, on the scale of logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Effect {
    /// Mean over the repetitions.
    pub(crate) mean: f64,
    /// Standard deviation between them.
    pub(crate) sd: f64,
    /// Repetitions, at least 2.
    pub(crate) n: usize,
}

impl Effect {
    /// `None` with fewer than two values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n < 2 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / real(n);
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Self { mean, sd: (squares / real(n - 1)).sqrt(), n })
    }

    fn standard_error(self) -> f64 {
        self.sd / real(self.n).sqrt()
    }

    /// Two-sided interval of the given level, e.g. 0.95.
    pub(crate) fn interval(self, level: f64) -> (f64, f64) {
        let half = t_quantile(0.5 + level / 2.0, self.n - 1) * self.standard_error();
        (self.mean - half, self.mean + half)
    }

    /// Two-sided p of "the mean is zero".
    pub(crate) fn p(self) -> f64 {
        let error = self.standard_error();
        if error == 0.0 {
            return if self.mean == 0.0 { 1.0 } else { 0.0 };
        }
        let upper = StudentsT::new(0.0, 1.0, real(self.n - 1))
            .map_or(0.5, |t| t.sf((self.mean / error).abs()));
        (2.0 * upper).min(1.0)
    }

    /// The same mean and spread with another number of repetitions.
    pub(crate) fn with_n(self, n: usize) -> Self {
        Self { n, ..self }
    }
}

impl Serialize for Effect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written {
            mean_log: f64,
            sd_log: f64,
            repetitions: usize,
            ci95_log: (f64, f64),
        }
        let ci95_log = self.interval(0.95);
        let written =
            Written { mean_log: self.mean, sd_log: self.sd, repetitions: self.n, ci95_log };
        written.serialize(serializer)
    }
}

/// Holm's step-down correction: adjusted p values in the order given.
pub(crate) fn holm(ps: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..ps.len()).collect();
    order.sort_by(|&a, &b| ps[a].total_cmp(&ps[b]));
    let mut adjusted = vec![1.0; ps.len()];
    let mut largest = 0.0_f64;
    for (rank, &index) in order.iter().enumerate() {
        largest = largest.max(ps[index] * real(ps.len() - rank)).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}
