//! GPU facts and telemetry.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::reading::Reading;
use crate::time::MonoNs;
use crate::units::Bytes;

/// Prefix of the key of a GPU without a known UUID; its index follows. Several hosts may have the same.
pub const UNNAMED_GPU: &str = "unknown-";

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
    /// More about it; `None` if the agent does not report it.
    pub board: Option<GpuBoard>,
}

/// Further constants of a GPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuBoard {
    /// Its memory is the machine's main memory: its total is `MemTotal`, and its use the sum over
    /// its processes.
    pub unified: bool,
    /// Memory the driver keeps for itself; part of the total, not of the memory in use.
    pub memory_reserved: Reading<Bytes>,
    /// Whether the driver stays loaded while no process uses the GPU.
    pub persistence: Reading<bool>,
    /// `default`, `exclusive process`, `prohibited`, ...
    pub compute_mode: Reading<String>,
    /// Whether memory errors are corrected and counted.
    pub ecc: Reading<bool>,
    /// Highest PCIe generation of GPU and slot together.
    pub pcie_gen_max: Reading<u32>,
    /// Most PCIe lanes of GPU and slot together.
    pub pcie_width_max: Reading<u32>,
    /// Width of the memory bus, bits.
    pub memory_bus_bits: Reading<u32>,
    /// Highest memory clock, MHz.
    pub memory_clock_max_mhz: Reading<u32>,
}

impl GpuBoard {
    /// Theoretical memory bandwidth, GB/s: two transfers a clock over the whole bus. Missing if
    /// clock or bus width is.
    #[must_use]
    pub fn memory_bandwidth_gb_s(&self) -> Reading<f64> {
        let (clock, bus) = match (&self.memory_clock_max_mhz, &self.memory_bus_bits) {
            (Reading::Known(clock), Reading::Known(bus)) => (f64::from(*clock), f64::from(*bus)),
            (Reading::NotAvailable { not_available }, _)
            | (_, Reading::NotAvailable { not_available }) => {
                return Reading::missing(not_available.clone());
            }
        };
        Reading::Known(2.0 * clock * 1e6 * bus / 8.0 / 1e9)
    }
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

/// One round of readings of one GPU. `None`: that call failed or was not made in this round; the
/// reason is in [`GpuSeries::unavailable`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct GpuSample {
    /// When the round began, agent's clock.
    pub at: MonoNs,
    /// Memory in use without the driver's reserve (NVML v2 `used`). Of unified memory: the sum over
    /// the GPU's processes.
    pub memory_used: Option<Bytes>,
    /// Board power, watts: of the moment (NVML field 186), or, where a driver or board has no such
    /// field, of `nvmlDeviceGetPowerUsage`, which is the mean of the last second since Ampere. One
    /// series has one kind throughout.
    pub power_w: Option<f64>,
    /// `nvmlDeviceGetPowerUsage`, watts, regardless of the kind of `power_w`.
    pub power_usage_w: Option<f64>,
    /// GPU sensor, whole degrees Celsius.
    pub temperature_c: Option<u32>,
    /// Share of the driver's sample period in which any kernel ran, percent.
    pub utilization_pct: Option<u32>,
    /// Clock of the multiprocessors, MHz.
    pub clock_sm_mhz: Option<u32>,
    /// Clock of the memory, MHz.
    pub clock_memory_mhz: Option<u32>,
    /// Why the clocks are what they are: NVML's clock event (throttle) bits.
    pub reasons: Option<ClockReasons>,
    /// Performance state, 0 (fastest) to 15.
    pub performance_state: Option<u32>,
    /// PCIe generation of the moment.
    pub pcie_gen: Option<u32>,
    /// PCIe lanes of the moment.
    pub pcie_width: Option<u32>,
    /// Corrected memory errors since the driver was loaded.
    pub ecc_corrected: Option<u64>,
    /// Uncorrected memory errors since the driver was loaded.
    pub ecc_uncorrected: Option<u64>,
    /// Time the clocks were lowered for the power limit, nanoseconds; a counter.
    pub power_violation_ns: Option<u64>,
    /// Time the clocks were lowered for heat, nanoseconds; a counter.
    pub thermal_violation_ns: Option<u64>,
    /// Main memory that is available (`MemAvailable`); only where memory is unified.
    pub host_memory_available: Option<Bytes>,
}

/// NVML's clock event (throttle) reasons, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct ClockReasons(pub u64);

impl ClockReasons {
    /// Every bit with a meaning: its mask and its name.
    pub const NAMES: [(u64, &'static str); 9] = [
        (0x1, "idle"),
        (0x2, "clocks set by a user"),
        (0x4, "power limit"),
        (0x8, "hardware slowdown"),
        (0x10, "sync boost"),
        (0x20, "temperature target"),
        (0x40, "hardware thermal slowdown"),
        (0x80, "power brake"),
        (0x100, "display clocks"),
    ];

    /// Whether a reason is among them.
    #[must_use]
    pub fn has(self, bit: u64) -> bool {
        self.0 & bit != 0
    }
}

/// The energy counter at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnergyReading {
    /// When the call returned, agent's clock.
    pub at: MonoNs,
    /// Millijoules since the driver was loaded.
    pub millijoules: u64,
}

/// Whose a process on a GPU is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessOwner {
    /// The engine's: it listens on the endpoint's port, or descends from a process that does.
    Engine,
    /// Another program's.
    Foreign,
    /// Unknown: the process that listens on the endpoint's port could not be determined.
    Unknown,
}

/// A foreign process with less memory than this on a GPU, such as a desktop's, is let pass.
pub const FOREIGN_HELD: Bytes = Bytes(256 << 20);

/// One process with a context on a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuProcess {
    /// As the host numbers it.
    pub pid: u32,
    /// Its command's name, empty where it can't be read.
    pub name: String,
    /// Whose it is.
    pub owner: ProcessOwner,
    /// Its memory each time it changed, in order of time; the first is when it was first seen.
    pub memory: Vec<ProcessMemory>,
    /// When it was last seen.
    pub last_seen: MonoNs,
}

/// The GPU memory of a process from one moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMemory {
    /// When it was read, agent's clock.
    pub at: MonoNs,
    /// `None`: not reported by the driver.
    pub used: Option<Bytes>,
}

/// What one kind of call cost over a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CallCost {
    /// How often it was made.
    pub calls: u64,
    /// Time in it, nanoseconds.
    pub total_ns: u64,
    /// Its longest, nanoseconds.
    pub max_ns: u64,
}

impl AddAssign for CallCost {
    fn add_assign(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.total_ns = self.total_ns.saturating_add(other.total_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }
}

/// The end of a GPU's telemetry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TelemetryEnd {
    /// When it was noticed, agent's clock.
    pub at: MonoNs,
    /// What happened, e.g. `GPU lost`.
    pub reason: String,
}

/// The samples of one GPU over one attempt.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GpuSeries {
    /// The GPU.
    pub uuid: String,
    /// Whether it serves the endpoint, by [`GpuWindow::attribution`].
    pub serves: bool,
    /// The last sample before the attempt began: its memory is the baseline.
    pub baseline: Option<GpuSample>,
    /// Samples from the first to the last request, in order of time.
    pub samples: Vec<GpuSample>,
    /// The last seconds before the attempt's first request in which nothing was asked of the
    /// engine, in order of time.
    pub quiet: Vec<GpuSample>,
    /// The energy counter, in order of time: shortly before the attempt, during it, after it.
    pub energy: Vec<EnergyReading>,
    /// Processes seen on it, by number.
    pub processes: Vec<GpuProcess>,
    /// What asking cost, by kind of reading.
    pub costs: BTreeMap<String, CallCost>,
    /// Set if its telemetry ended before or during the attempt.
    pub ended: Option<TelemetryEnd>,
    /// Readings that could not be had, with the reason, by the names of `costs`.
    pub unavailable: BTreeMap<String, String>,
}

/// Which GPUs are the endpoint's, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Attribution {
    /// The user named them.
    Named,
    /// They are those of the processes that own the endpoint's port.
    PortOwner,
    /// One process only is on any GPU; they are its.
    OnlyProcess,
    /// All of them, because nothing says which.
    Unattributed {
        /// Why nothing does.
        reason: String,
    },
}

/// A time without readings that should have had some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TelemetryGap {
    /// When the last round before it began.
    pub from: MonoNs,
    /// When the next one began, or the window ended.
    pub until: MonoNs,
    /// What held it up, e.g. `a call (memory) took 5.0 s`.
    pub reason: String,
}

/// GPU telemetry of one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuWindow {
    /// One series per GPU, or why there is none.
    pub series: Reading<Vec<GpuSeries>>,
    /// Nominal time between samples, milliseconds.
    pub period_ms: u32,
    /// Which of them are the endpoint's; `None` if the agent does not report it.
    pub attribution: Option<Attribution>,
    /// Times without readings, in order of time.
    pub gaps: Vec<TelemetryGap>,
    /// Rounds skipped because the one before took more than its share of the time.
    pub rounds_left_out: u64,
}

impl GpuWindow {
    /// These series, with nothing else known.
    #[must_use]
    pub fn of(series: Reading<Vec<GpuSeries>>, period_ms: u32) -> Self {
        Self { series, period_ms, attribution: None, gaps: Vec::new(), rounds_left_out: 0 }
    }

    /// No telemetry, with the reason.
    #[must_use]
    pub fn missing(reason: impl Into<String>) -> Self {
        Self::of(Reading::missing(reason), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidth_is_two_transfers_a_clock_over_the_whole_bus() {
        let mut board = GpuBoard {
            unified: false,
            memory_reserved: Reading::missing("x"),
            persistence: Reading::missing("x"),
            compute_mode: Reading::missing("x"),
            ecc: Reading::missing("x"),
            pcie_gen_max: Reading::missing("x"),
            pcie_width_max: Reading::missing("x"),
            memory_bus_bits: Reading::Known(512),
            memory_clock_max_mhz: Reading::Known(14_000),
        };
        assert_eq!(board.memory_bandwidth_gb_s(), Reading::Known(1792.0));
        board.memory_bus_bits = Reading::missing("not supported");
        assert_eq!(board.memory_bandwidth_gb_s(), Reading::missing("not supported"));
    }
}
