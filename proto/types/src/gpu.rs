//! GPU facts and telemetry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::reading::Reading;
use crate::time::MonoNs;
use crate::units::Bytes;

/// What a GPU is. Constant during a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuFacts {
    /// NVML's index (PCI order); records are keyed by `uuid`.
    pub index: u32,
    /// `GPU-...`.
    pub uuid: String,
    /// Product name.
    pub name: Reading<String>,
    /// `00000000:01:00.0`.
    pub pci_bus_id: Reading<String>,
    /// Total memory (NVML v2, reserved included).
    pub memory_total: Reading<Bytes>,
    /// Power limit in force, watts.
    pub power_limit_w: Reading<f64>,
    /// Power limit the board ships with, watts.
    pub power_limit_default_w: Reading<f64>,
}

/// What the driver says of itself and of the GPUs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuInventory {
    /// Driver version, e.g. `580.126.09`.
    pub driver: Reading<String>,
    /// Highest CUDA version the driver supports, e.g. `13.0`.
    pub cuda_driver: Reading<String>,
    /// The GPUs, by index.
    pub gpus: Vec<GpuFacts>,
}

/// One NVML reading of one GPU. `None`: that call failed or was not made in this round; the
/// reason stands in [`GpuSeries::unavailable`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct GpuSample {
    /// When the round began, agent's clock.
    pub at: MonoNs,
    /// Memory in use without the driver's reserve (NVML v2 `used`).
    pub memory_used: Option<Bytes>,
    /// Board power, watts: of the moment (NVML field 186), or, where a driver or board has no such
    /// field, of `nvmlDeviceGetPowerUsage`, which is the mean of the last second since Ampere. One
    /// series has one kind throughout.
    pub power_w: Option<f64>,
    /// GPU sensor, whole degrees Celsius.
    pub temperature_c: Option<u32>,
    /// Share of the driver's sample period in which any kernel ran, percent.
    pub utilization_pct: Option<u32>,
}

/// The samples of one GPU over one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuSeries {
    /// The GPU.
    pub uuid: String,
    /// The last sample before the attempt began: its memory is the baseline.
    pub baseline: Option<GpuSample>,
    /// Samples from the first to the last request, in order of time.
    pub samples: Vec<GpuSample>,
    /// Readings that could not be had, with the reason: `memory`, `power`, `temperature`,
    /// `utilization`.
    pub unavailable: BTreeMap<String, String>,
}

/// GPU telemetry of one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuWindow {
    /// One series per GPU, or why there is none.
    pub series: Reading<Vec<GpuSeries>>,
    /// Nominal time between samples, milliseconds.
    pub period_ms: u32,
}

impl GpuWindow {
    /// No telemetry, with the reason.
    #[must_use]
    pub fn missing(reason: impl Into<String>) -> Self {
        Self { series: Reading::missing(reason), period_ms: 0 }
    }
}
