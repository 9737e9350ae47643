//! How fast and how warm the endpoint's GPUs were.

use regatta_types::gpu::GpuWindow;
use serde::{Serialize, Serializer};

use super::serving;
use crate::metrics::real;

/// Clock and temperature over the samples of one or several attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Thermals {
    clock_sm_mhz: Mean,
    temperature_c: Mean,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Mean {
    sum: f64,
    n: usize,
}

impl Mean {
    fn add(&mut self, value: Option<u32>) {
        if let Some(value) = value {
            self.sum += f64::from(value);
            self.n += 1;
        }
    }

    fn and(self, other: Self) -> Self {
        Self { sum: self.sum + other.sum, n: self.n + other.n }
    }

    fn value(self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / real(self.n))
    }
}

impl Thermals {
    pub fn of(window: &GpuWindow) -> Self {
        let mut out = Self::default();
        for sample in serving(window).flat_map(|series| &series.samples) {
            out.clock_sm_mhz.add(sample.clock_sm_mhz);
            out.temperature_c.add(sample.temperature_c);
        }
        out
    }

    pub fn and(self, other: Self) -> Self {
        Self {
            clock_sm_mhz: self.clock_sm_mhz.and(other.clock_sm_mhz),
            temperature_c: self.temperature_c.and(other.temperature_c),
        }
    }

    /// Mean clock of the multiprocessors, MHz; `None` without a sample.
    pub fn clock_sm_mhz(self) -> Option<f64> {
        self.clock_sm_mhz.value()
    }

    /// Mean temperature; `None` without a sample.
    pub fn temperature_c(self) -> Option<f64> {
        self.temperature_c.value()
    }
}

impl Serialize for Thermals {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (clock, temperature) = (self.clock_sm_mhz(), self.temperature_c());
        serializer.collect_map([("clock_sm_mean_mhz", clock), ("temperature_mean_c", temperature)])
    }
}
