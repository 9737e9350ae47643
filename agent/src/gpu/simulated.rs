//! Readings from a script, for simulated hosts.

use std::time::Duration;

use regatta_sim::gpu_script::{Call, GpuScript, NvmlCode, ScriptedGpu};
use regatta_types::gpu::{GpuFacts, GpuInventory, GpuSample};
use regatta_types::reading::Reading;
use regatta_types::time::MonoNs;

use super::error::GpuError;
use super::probe::{Metric, Probe};

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

    fn facts(index: usize, gpu: &ScriptedGpu) -> GpuFacts {
        fn ask<T>(gpu: &ScriptedGpu, call: Call, value: T) -> Reading<T> {
            gpu.check(call, Duration::ZERO).map(|()| value).map_err(error).into()
        }
        GpuFacts {
            index: u32::try_from(index).unwrap_or(u32::MAX),
            uuid: gpu.uuid.clone(),
            name: ask(gpu, Call::Name, gpu.name.clone()),
            pci_bus_id: ask(gpu, Call::Pci, gpu.pci_bus_id.clone()),
            memory_total: ask(gpu, Call::Memory, gpu.memory_total),
            power_limit_w: ask(gpu, Call::PowerLimit, gpu.power_limit_w),
            power_limit_default_w: ask(gpu, Call::PowerLimit, gpu.power_limit_default_w),
        }
    }
}

impl Probe for ScriptProbe {
    fn inventory(&self) -> GpuInventory {
        let gpus = self.script.gpus.iter().enumerate();
        GpuInventory {
            driver: Reading::Known(self.script.driver.clone()),
            cuda_driver: Reading::Known(self.script.cuda.to_string()),
            gpus: gpus.map(|(index, gpu)| Self::facts(index, gpu)).collect(),
        }
    }

    fn read(&self, gpu: usize, metric: Metric, into: &mut GpuSample) -> Result<(), GpuError> {
        let gpu = &self.script.gpus[gpu];
        let now = gpu.at(MonoNs::now().since(self.origin));
        match metric {
            Metric::Memory => into.memory_used = Some(now.memory_used.map_err(error)?),
            Metric::Power => {
                // As with a real driver: decided at the start.
                let has_instant = gpu.check(Call::PowerInstant, Duration::ZERO).is_ok();
                let power = if has_instant { now.power_w } else { now.power_mean_w };
                into.power_w = Some(power.map_err(error)?);
            }
            Metric::Temperature => into.temperature_c = Some(now.temperature_c.map_err(error)?),
            Metric::Utilization => {
                into.utilization_pct = Some(now.utilization_pct.map_err(error)?);
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
