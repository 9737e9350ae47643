//! The kinds of reading, and how often each is asked for.

use std::time::Duration;

use regatta_types::gpu::GpuSample;

/// One kind of reading: one call of NVML, or one pair of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Memory in use.
    Memory,
    /// Board power, of the moment if there is such a reading.
    Power,
    /// Clock of the multiprocessors.
    ClockSm,
    /// Clock of the memory.
    ClockMemory,
    /// Clock event (throttle) reasons.
    Reasons,
    /// GPU utilization.
    Utilization,
    /// GPU sensor.
    Temperature,
    /// Board power by `nvmlDeviceGetPowerUsage`.
    PowerUsage,
    /// Performance state.
    PerformanceState,
    /// PCIe generation of the moment.
    PcieGen,
    /// PCIe lanes of the moment.
    PcieWidth,
    /// Counter of corrected memory errors.
    EccCorrected,
    /// Counter of uncorrected memory errors.
    EccUncorrected,
    /// Counter of the time under the power limit.
    PowerViolation,
    /// Counter of the time at a temperature limit.
    ThermalViolation,
    /// Energy counter.
    Energy,
    /// Lists of processes.
    Processes,
}

/// Something for each metric.
pub(crate) type PerMetric<T> = [T; Metric::ALL.len()];

impl Metric {
    /// Every metric, in the order of their numbers.
    pub(crate) const ALL: [Self; 17] = [
        Self::Memory,
        Self::Power,
        Self::ClockSm,
        Self::ClockMemory,
        Self::Reasons,
        Self::Utilization,
        Self::Temperature,
        Self::PowerUsage,
        Self::PerformanceState,
        Self::PcieGen,
        Self::PcieWidth,
        Self::EccCorrected,
        Self::EccUncorrected,
        Self::PowerViolation,
        Self::ThermalViolation,
        Self::Energy,
        Self::Processes,
    ];

    /// The key in `GpuSeries::unavailable` and `GpuSeries::costs`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Power => "power",
            Self::ClockSm => "SM clock",
            Self::ClockMemory => "memory clock",
            Self::Reasons => "clock reasons",
            Self::Utilization => "utilization",
            Self::Temperature => "temperature",
            Self::PowerUsage => "mean power",
            Self::PerformanceState => "performance state",
            Self::PcieGen => "PCIe generation",
            Self::PcieWidth => "PCIe width",
            Self::EccCorrected => "ECC corrected",
            Self::EccUncorrected => "ECC uncorrected",
            Self::PowerViolation => "time under power limit",
            Self::ThermalViolation => "time under heat limit",
            Self::Energy => "energy",
            Self::Processes => "processes",
        }
    }

    /// Shortest time between two readings. Memory use changes at once and its call takes
    /// microseconds. The driver updates utilization every 1/6 s to 1 s, and temperature changes more
    /// slowly still. The energy counter and the process lists take milliseconds under a lock that
    /// the engine also needs.
    pub(crate) fn period(self) -> Duration {
        Duration::from_millis(match self {
            Self::Memory | Self::Power => 0,
            Self::ClockSm | Self::ClockMemory | Self::Reasons | Self::Utilization => 250,
            Self::Temperature
            | Self::PowerUsage
            | Self::PerformanceState
            | Self::PcieGen
            | Self::PcieWidth
            | Self::EccCorrected
            | Self::EccUncorrected
            | Self::PowerViolation
            | Self::ThermalViolation => 1_000,
            Self::Energy => 5_000,
            Self::Processes => 10_000,
        })
    }

    /// Whether it is asked for at the edges of an attempt.
    pub(crate) fn is_at_edges(self) -> bool {
        match self {
            Self::Memory | Self::Power | Self::Energy | Self::Processes => true,
            Self::ClockSm
            | Self::ClockMemory
            | Self::Reasons
            | Self::Utilization
            | Self::Temperature
            | Self::PowerUsage
            | Self::PerformanceState
            | Self::PcieGen
            | Self::PcieWidth
            | Self::EccCorrected
            | Self::EccUncorrected
            | Self::PowerViolation
            | Self::ThermalViolation => false,
        }
    }

    /// Copies this reading, where samples have it.
    pub(crate) fn copy(self, from: &GpuSample, to: &mut GpuSample) {
        match self {
            Self::Memory => {
                to.memory_used = from.memory_used;
                to.host_memory_available = from.host_memory_available;
            }
            Self::Power => to.power_w = from.power_w,
            Self::ClockSm => to.clock_sm_mhz = from.clock_sm_mhz,
            Self::ClockMemory => to.clock_memory_mhz = from.clock_memory_mhz,
            Self::Reasons => to.reasons = from.reasons,
            Self::Utilization => to.utilization_pct = from.utilization_pct,
            Self::Temperature => to.temperature_c = from.temperature_c,
            Self::PowerUsage => to.power_usage_w = from.power_usage_w,
            Self::PerformanceState => to.performance_state = from.performance_state,
            Self::PcieGen => to.pcie_gen = from.pcie_gen,
            Self::PcieWidth => to.pcie_width = from.pcie_width,
            Self::EccCorrected => to.ecc_corrected = from.ecc_corrected,
            Self::EccUncorrected => to.ecc_uncorrected = from.ecc_uncorrected,
            Self::PowerViolation => to.power_violation_ns = from.power_violation_ns,
            Self::ThermalViolation => to.thermal_violation_ns = from.thermal_violation_ns,
            Self::Energy | Self::Processes => {}
        }
    }

    /// Whether the sample has this reading.
    pub(crate) fn is_in(self, sample: &GpuSample) -> bool {
        match self {
            Self::Memory => sample.memory_used.is_some(),
            Self::Power => sample.power_w.is_some(),
            Self::ClockSm => sample.clock_sm_mhz.is_some(),
            Self::ClockMemory => sample.clock_memory_mhz.is_some(),
            Self::Reasons => sample.reasons.is_some(),
            Self::Utilization => sample.utilization_pct.is_some(),
            Self::Temperature => sample.temperature_c.is_some(),
            Self::PowerUsage => sample.power_usage_w.is_some(),
            Self::PerformanceState => sample.performance_state.is_some(),
            Self::PcieGen => sample.pcie_gen.is_some(),
            Self::PcieWidth => sample.pcie_width.is_some(),
            Self::EccCorrected => sample.ecc_corrected.is_some(),
            Self::EccUncorrected => sample.ecc_uncorrected.is_some(),
            Self::PowerViolation => sample.power_violation_ns.is_some(),
            Self::ThermalViolation => sample.thermal_violation_ns.is_some(),
            Self::Energy | Self::Processes => false,
        }
    }
}
