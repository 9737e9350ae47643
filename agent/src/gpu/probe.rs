//! What the sampler asks of a source of readings.

use regatta_types::gpu::{GpuInventory, GpuSample};
use regatta_types::units::Bytes;

use super::error::GpuError;
use super::metric::Metric;

/// What one round brought of one GPU.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Readings {
    /// Everything that is one number.
    pub(crate) sample: GpuSample,
    /// The energy counter, millijoules.
    pub(crate) energy: Option<u64>,
    /// The processes on it.
    pub(crate) processes: Option<Vec<ProcessUse>>,
}

/// A process that the driver names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessUse {
    /// As the host numbers it.
    pub(crate) pid: u32,
    /// `None`: not reported by the driver.
    pub(crate) memory: Option<Bytes>,
}

impl ProcessUse {
    /// One entry for each process: one with contexts of two kinds is in both of the driver's lists,
    /// each time with all of its memory.
    pub(crate) fn merge(lists: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut merged: Vec<Self> = Vec::new();
        for process in lists {
            match merged.iter_mut().find(|other| other.pid == process.pid) {
                Some(known) => known.memory = known.memory.max(process.memory),
                None => merged.push(process),
            }
        }
        merged
    }
}

/// A source of readings. Calls may block.
pub(crate) trait Probe {
    /// Asked once, at the start.
    fn inventory(&self) -> GpuInventory;

    /// Asks for one reading of the GPU at this place of the inventory.
    fn read(&self, gpu: usize, metric: Metric, into: &mut Readings) -> Result<(), GpuError>;

    /// Whether the memory in use of this GPU is the sum over its processes, which is too dear to
    /// ask for in every round.
    fn sums_memory(&self, gpu: usize) -> bool;
}
