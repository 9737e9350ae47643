//! What the sampler asks of a source of readings.

use regatta_types::gpu::{GpuInventory, GpuSample};

use super::error::GpuError;

/// One kind of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Memory in use.
    Memory,
    /// Board power.
    Power,
    /// GPU sensor.
    Temperature,
    /// GPU utilisation.
    Utilization,
}

impl Metric {
    /// Every metric, in the order of reports.
    pub(crate) const ALL: [Self; 4] =
        [Self::Memory, Self::Power, Self::Temperature, Self::Utilization];

    /// The key in `GpuSeries::unavailable`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Power => "power",
            Self::Temperature => "temperature",
            Self::Utilization => "utilization",
        }
    }

    /// Asked in every n-th round of 10 Hz. Memory moves at once; the driver renews utilisation
    /// every 1/6 s to 1 s and a heat sink changes more slowly still, and every call takes a lock
    /// that the engine's own work needs.
    pub(crate) fn every(self) -> u64 {
        match self {
            Self::Memory | Self::Power => 1,
            Self::Utilization => 3,
            Self::Temperature => 10,
        }
    }

    /// Copies this reading.
    pub(crate) fn copy(self, from: &GpuSample, to: &mut GpuSample) {
        match self {
            Self::Memory => to.memory_used = from.memory_used,
            Self::Power => to.power_w = from.power_w,
            Self::Temperature => to.temperature_c = from.temperature_c,
            Self::Utilization => to.utilization_pct = from.utilization_pct,
        }
    }

    /// Whether the sample has this reading.
    pub(crate) fn is_in(self, sample: &GpuSample) -> bool {
        match self {
            Self::Memory => sample.memory_used.is_some(),
            Self::Power => sample.power_w.is_some(),
            Self::Temperature => sample.temperature_c.is_some(),
            Self::Utilization => sample.utilization_pct.is_some(),
        }
    }
}

/// A source of readings. Calls may block.
pub(crate) trait Probe {
    /// Asked once, at the start.
    fn inventory(&self) -> GpuInventory;

    /// Asks for one reading of the GPU at this place of the inventory and sets its field.
    fn read(&self, gpu: usize, metric: Metric, into: &mut GpuSample) -> Result<(), GpuError>;
}
