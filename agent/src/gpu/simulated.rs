//! Readings from a script, for simulated hosts.

use std::time::Duration;

use regatta_sim::gpu_script::{Call, GpuScript, NvmlCode, ScriptedGpu};
use regatta_types::gpu::{ClockReasons, GpuBoard, GpuFacts, GpuInventory};
use regatta_types::reading::Reading;
use regatta_types::time::MonoNs;

use super::error::GpuError;
use super::metric::Metric;
use super::probe::{Probe, ProcessUse, Readings};

/// A script that runs since `origin`.
#[derive(Debug)]
pub(crate) struct ScriptProbe {
    script: GpuScript,
    origin: MonoNs,
}

impl ScriptProbe {
    /// Second 0 of the script is now.
    pub(crate) fn new(script: GpuScript) -> Self {
        Self { script, origin: MonoNs::now() }
    }
}

fn ask<T>(gpu: &ScriptedGpu, call: Call, value: Option<T>) -> Reading<T> {
    let asked = gpu.check(call, Duration::ZERO);
    asked.and_then(|()| value.ok_or(NvmlCode::NOT_SUPPORTED)).map_err(error).into()
}

fn facts(index: usize, gpu: &ScriptedGpu) -> GpuFacts {
    GpuFacts {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        uuid: gpu.uuid.clone(),
        name: ask(gpu, Call::Name, Some(gpu.name.clone())),
        pci_bus_id: ask(gpu, Call::Pci, Some(gpu.pci_bus_id.clone())),
        memory_total: ask(gpu, Call::Memory, Some(gpu.memory_total)),
        power_limit_w: ask(gpu, Call::PowerLimit, Some(gpu.power_limit_w)),
        power_limit_default_w: ask(gpu, Call::PowerLimit, Some(gpu.power_limit_default_w)),
        board: Some(board(gpu)),
    }
}

fn board(gpu: &ScriptedGpu) -> GpuBoard {
    let board = gpu.board;
    let mode = board.compute_mode.map(|mode| {
        match mode {
            0 => "default",
            1 => "exclusive thread",
            2 => "prohibited",
            3 => "exclusive process",
            _ => "unknown",
        }
        .to_owned()
    });
    GpuBoard {
        unified: false,
        memory_reserved: ask(gpu, Call::Memory, Some(gpu.memory_reserved)),
        persistence: ask(gpu, Call::Persistence, board.persistence),
        compute_mode: ask(gpu, Call::ComputeMode, mode),
        ecc: ask(gpu, Call::Ecc, board.ecc),
        pcie_gen_max: ask(gpu, Call::Pcie, board.pcie_gen_max),
        pcie_width_max: ask(gpu, Call::Pcie, board.pcie_width_max),
        memory_bus_bits: ask(gpu, Call::MemoryBus, board.memory_bus_bits),
        memory_clock_max_mhz: ask(gpu, Call::Clock, board.memory_clock_max_mhz),
    }
}

/// The call of the script that a metric is read by.
fn call(metric: Metric) -> Call {
    match metric {
        Metric::Memory => Call::Memory,
        Metric::Power | Metric::PowerUsage => Call::Power,
        Metric::ClockSm | Metric::ClockMemory => Call::Clock,
        Metric::Reasons => Call::Reasons,
        Metric::Utilization => Call::Utilization,
        Metric::Temperature => Call::Temperature,
        Metric::PerformanceState => Call::PerformanceState,
        Metric::PcieGen | Metric::PcieWidth => Call::Pcie,
        Metric::EccCorrected | Metric::EccUncorrected => Call::Ecc,
        Metric::PowerViolation | Metric::ThermalViolation => Call::Violation,
        Metric::Energy => Call::Energy,
        Metric::Processes => Call::Processes,
    }
}

impl Probe for ScriptProbe {
    fn inventory(&self) -> GpuInventory {
        let gpus = self.script.gpus.iter().enumerate();
        GpuInventory {
            driver: Reading::Known(self.script.driver.clone()),
            cuda_driver: Reading::Known(self.script.cuda.to_string()),
            gpus: gpus.map(|(index, gpu)| facts(index, gpu)).collect(),
        }
    }

    fn read(&self, gpu: usize, metric: Metric, into: &mut Readings) -> Result<(), GpuError> {
        let gpu = &self.script.gpus[gpu];
        let delay = gpu.delay(call(metric), MonoNs::now().since(self.origin));
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        let elapsed = MonoNs::now().since(self.origin);
        self.take(gpu, metric, elapsed, into).map_err(error)
    }

    fn sums_memory(&self, _gpu: usize) -> bool {
        false
    }
}

impl ScriptProbe {
    fn take(
        &self,
        gpu: &ScriptedGpu,
        metric: Metric,
        elapsed: Duration,
        into: &mut Readings,
    ) -> Result<(), NvmlCode> {
        let now = gpu.at(elapsed);
        let sample = &mut into.sample;
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        match metric {
            Metric::Memory => sample.memory_used = Some(now.memory_used?),
            Metric::Power => {
                // As with a real driver: decided at the start.
                let has_instant = gpu.check(Call::PowerInstant, Duration::ZERO).is_ok();
                sample.power_w = Some(if has_instant { now.power_w } else { now.power_mean_w }?);
            }
            Metric::ClockSm => sample.clock_sm_mhz = Some(now.clock_sm_mhz?),
            Metric::ClockMemory => sample.clock_memory_mhz = Some(now.clock_memory_mhz?),
            Metric::Reasons => sample.reasons = Some(ClockReasons(now.reasons?.into())),
            Metric::Utilization => sample.utilization_pct = Some(now.utilization_pct?),
            Metric::Temperature => sample.temperature_c = Some(now.temperature_c?),
            Metric::PowerUsage => sample.power_usage_w = Some(now.power_mean_w?),
            Metric::PerformanceState => sample.performance_state = Some(now.performance_state?),
            Metric::PcieGen => sample.pcie_gen = Some(now.pcie_gen?),
            Metric::PcieWidth => sample.pcie_width = Some(now.pcie_width?),
            Metric::EccCorrected => sample.ecc_corrected = Some(now.ecc_corrected?.into()),
            Metric::EccUncorrected => sample.ecc_uncorrected = Some(now.ecc_uncorrected?.into()),
            Metric::PowerViolation => {
                sample.power_violation_ns = Some(nanos(now.power_violation?));
            }
            Metric::ThermalViolation => {
                sample.thermal_violation_ns = Some(nanos(now.thermal_violation?));
            }
            Metric::Energy => into.energy = Some(now.energy_mj?),
            Metric::Processes => {
                let processes = gpu.processes(elapsed)?.into_iter();
                into.processes = Some(ProcessUse::merge(
                    processes.map(|p| ProcessUse { pid: p.pid, memory: Some(p.memory) }),
                ));
            }
        }
        Ok(())
    }
}

/// The codes that a script may name, as the wrapper would pass them on.
fn error(code: NvmlCode) -> GpuError {
    match nvml_wrapper::error::nvml_try(code.0) {
        Ok(()) => GpuError::Unexpected(0),
        Err(error) => error.into(),
    }
}
