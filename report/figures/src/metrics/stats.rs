//! Student's t over repetitions, of one sample and of two, and Holm's correction.
//!
//! Quantiles and tails are those of `statrs`. It has neither an interval from a mean and its error
//! nor a test of two samples; what is here is checked against tables that SciPy made.

use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{real, t_quantile};

/// What a verdict can rest on: a mean on the scale of logarithms, and how well it is known.
pub trait Estimate: Copy {
    fn mean(self) -> f64;

    fn standard_error(self) -> f64;

    /// Degrees of freedom of the standard error.
    fn freedom(self) -> f64;

    /// Two-sided interval of the given level, e.g. 0.95.
    fn t_interval(self, level: f64) -> (f64, f64) {
        let error = self.standard_error();
        // Without spread every quantile gives the same, an infinite one too.
        let half =
            if error > 0.0 { t_quantile(0.5 + level / 2.0, self.freedom()) * error } else { 0.0 };
        (self.mean() - half, self.mean() + half)
    }

    /// Two-sided p of "the mean is zero".
    fn p(self) -> f64 {
        let error = self.standard_error();
        if error == 0.0 {
            return if self.mean() == 0.0 { 1.0 } else { 0.0 };
        }
        let upper = StudentsT::new(0.0, 1.0, self.freedom())
            .map_or(0.5, |t| t.sf((self.mean() / error).abs()));
        (2.0 * upper).min(1.0)
    }
}

/// An estimate from repetitions, of which there could have been more.
pub trait Repeated: Estimate {
    /// The same means and spreads with this many more repetitions.
    fn longer(self, by: usize) -> Self;

    /// Turned so that larger is faster; `sign` as in a rule.
    fn turned(self, sign: f64) -> Self;
}

/// Mean and spread of one number per repetition, on the scale of logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// Mean over the repetitions.
    pub mean: f64,
    /// Standard deviation between them.
    pub sd: f64,
    /// Repetitions, at least 2.
    pub n: usize,
}

impl Effect {
    /// `None` with fewer than two values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        if n < 2 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / real(n);
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Self { mean, sd: (squares / real(n - 1)).sqrt(), n })
    }

    /// Two-sided interval of the given level, e.g. 0.95.
    pub fn interval(self, level: f64) -> (f64, f64) {
        self.t_interval(level)
    }
}

impl Estimate for Effect {
    fn mean(self) -> f64 {
        self.mean
    }

    fn standard_error(self) -> f64 {
        self.sd / real(self.n).sqrt()
    }

    fn freedom(self) -> f64 {
        real(self.n - 1)
    }
}

impl Repeated for Effect {
    fn longer(self, by: usize) -> Self {
        Self { n: self.n + by, ..self }
    }

    fn turned(self, sign: f64) -> Self {
        Self { mean: sign * self.mean, ..self }
    }
}

/// The difference of two means over repetitions that have nothing to do with each other, those of
/// two runs: Welch's test, since the one run may scatter more than the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    pub before: Effect,
    pub after: Effect,
}

impl Change {
    /// Squared standard errors of both means.
    fn variances(self) -> [f64; 2] {
        [self.before, self.after].map(|effect| effect.standard_error().powi(2))
    }
}

impl Estimate for Change {
    fn mean(self) -> f64 {
        self.after.mean - self.before.mean
    }

    fn standard_error(self) -> f64 {
        self.variances().iter().sum::<f64>().sqrt()
    }

    /// Welch and Satterthwaite's.
    fn freedom(self) -> f64 {
        let [before, after] = self.variances();
        let parts = before.powi(2) / self.before.freedom() + after.powi(2) / self.after.freedom();
        (before + after).powi(2) / parts
    }
}

impl Repeated for Change {
    fn longer(self, by: usize) -> Self {
        Self { before: self.before.longer(by), after: self.after.longer(by) }
    }

    fn turned(self, sign: f64) -> Self {
        Self { before: self.before.turned(sign), after: self.after.turned(sign) }
    }
}

impl Serialize for Effect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut written = serializer.serialize_struct("Effect", 4)?;
        written.serialize_field("mean_log", &self.mean)?;
        written.serialize_field("sd_log", &self.sd)?;
        written.serialize_field("repetitions", &self.n)?;
        written.serialize_field("ci95_log", &self.interval(0.95))?;
        written.end()
    }
}

/// Holm's step-down correction: adjusted p values in the order given.
pub fn holm(ps: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let ps: Vec<f64> = ps.into_iter().collect();
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
