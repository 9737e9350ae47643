//! How fast and how warm the endpoint's GPUs were.

use regatta_types::gpu::GpuWindow;
use serde::{Serialize, Serializer};

use super::serving;
use crate::metrics::real;

/// Clock and temperature over the samples of one or several attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Thermals {
    /// Of the multiprocessors, MHz.
    #[serde(rename = "clock_sm_mean_mhz")]
    pub clock_sm_mhz: Mean,
    #[serde(rename = "temperature_mean_c")]
    pub temperature_c: Mean,
}

/// A mean in the making.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mean {
    sum: f64,
    n: usize,
}

impl Mean {
    fn of(values: impl Iterator<Item = u32>) -> Self {
        values.fold(Self::default(), |all, value| all.and(Self { sum: f64::from(value), n: 1 }))
    }

    fn and(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum, n: self.n + other.n }
    }

    /// `None` without a sample.
    pub fn value(self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / real(self.n))
    }
}

impl Serialize for Mean {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value().serialize(serializer)
    }
}

impl Thermals {
    pub fn of(window: &GpuWindow) -> Self {
        let samples = || serving(window).flat_map(|series| &series.samples);
        Self {
            clock_sm_mhz: Mean::of(samples().filter_map(|sample| sample.clock_sm_mhz)),
            temperature_c: Mean::of(samples().filter_map(|sample| sample.temperature_c)),
        }
    }

    pub fn and(self, other: Self) -> Self {
        Self {
            clock_sm_mhz: self.clock_sm_mhz.and(other.clock_sm_mhz),
            temperature_c: self.temperature_c.and(other.temperature_c),
        }
    }
}
