//! Readings of the real driver, through nvml-wrapper.

mod facts;

use std::path::Path;

use nvml_wrapper::enum_wrappers::device::{
    Clock, EccCounter, MemoryError, PerformancePolicy, TemperatureSensor,
};
use nvml_wrapper::enums::device::{SampleValue, UsedGpuMemory};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::NVML_FI_DEV_POWER_INSTANT;
use nvml_wrapper::{Device, Nvml};
use regatta_types::gpu::{ClockReasons, GpuInventory};
use regatta_types::units::Bytes;

use super::error::GpuError;
use super::metric::Metric;
use super::probe::{Probe, ProcessUse, Readings};
use super::unified::{MainMemory, is_integrated, is_whole_machine};

/// Loads the library and initializes it; may take seconds without persistence mode.
pub(crate) fn load(library: Option<&Path>) -> Result<Nvml, GpuError> {
    let mut builder = Nvml::builder();
    // The bare soname is found on machines without the development files, whose libnvidia-ml.so
    // the wrapper would ask for otherwise.
    builder.lib_path(library.unwrap_or(Path::new("libnvidia-ml.so.1")).as_os_str());
    Ok(builder.init()?)
}

/// The GPUs of one initialized library.
#[derive(Debug)]
pub(crate) struct NvmlProbe<'n> {
    nvml: &'n Nvml,
    /// A GPU that cannot be opened keeps its place, and its reason.
    devices: Vec<Result<OpenGpu<'n>, GpuError>>,
}

#[derive(Debug)]
struct OpenGpu<'n> {
    device: Device<'n>,
    power: PowerSource,
    memory: MemorySource,
}

/// Where the memory in use is read. Found once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MemorySource {
    /// The GPU's own memory, or the driver's answer why there is none.
    Board,
    /// Main memory is the GPU's: the sum over its processes.
    Unified,
}

/// Which of the two powers a GPU is asked for. Found once, so that a series is of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PowerSource {
    /// Field 186: the power of the moment.
    Instant,
    /// `nvmlDeviceGetPowerUsage`: the mean of the last second on boards since Ampere.
    Usage,
}

impl<'n> NvmlProbe<'n> {
    /// Opens every GPU.
    pub(crate) fn new(nvml: &'n Nvml) -> Result<Self, GpuError> {
        let count = nvml.device_count()?;
        let devices = (0..count).map(|i| Ok(OpenGpu::new(nvml.device_by_index(i)?))).collect();
        Ok(Self { nvml, devices })
    }
}

impl<'n> OpenGpu<'n> {
    fn new(device: Device<'n>) -> Self {
        let power = match instant_power(&device) {
            Ok(_) => PowerSource::Instant,
            // If the other does not work either, its reason is the one that is told.
            Err(_) => PowerSource::Usage,
        };
        let memory = MemorySource::of(&device);
        Self { device, power, memory }
    }

    /// Memory in use and, where it is main memory, what of that is available.
    fn memory(&self) -> Result<(Bytes, Option<Bytes>), GpuError> {
        match self.memory {
            MemorySource::Board => Ok((Bytes(self.device.memory_info()?.used), None)),
            MemorySource::Unified => {
                let used: Option<u64> =
                    self.processes()?.iter().map(|p| p.memory.map(|bytes| bytes.0)).sum();
                let used = used.ok_or(NvmlError::NotSupported)?;
                Ok((Bytes(used), MainMemory::now().and_then(|memory| memory.available)))
            }
        }
    }

    fn processes(&self) -> Result<Vec<ProcessUse>, GpuError> {
        let compute = self.device.running_compute_processes()?;
        // Boards without graphics do not have this list.
        let graphics = self.device.running_graphics_processes().unwrap_or_default();
        Ok(ProcessUse::merge(compute.into_iter().chain(graphics).map(|process| ProcessUse {
            pid: process.pid,
            memory: match process.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => Some(Bytes(bytes)),
                UsedGpuMemory::Unavailable => None,
            },
        })))
    }

    /// Board power, watts.
    fn power(&self) -> Result<f64, GpuError> {
        let milliwatts = match self.power {
            PowerSource::Instant => instant_power(&self.device)?,
            PowerSource::Usage => self.device.power_usage()?,
        };
        Ok(watts(milliwatts))
    }
}

impl MemorySource {
    fn of(device: &Device<'_>) -> Self {
        let unified = match device.memory_info() {
            // A discrete board, whose memory may be as large as the machine's, has a power limit.
            Ok(memory) => {
                MainMemory::now()
                    .is_some_and(|main| is_whole_machine(Bytes(memory.total), main.total))
                    && device.enforced_power_limit().is_err()
            }
            Err(NvmlError::NotSupported) => device.name().is_ok_and(|name| is_integrated(&name)),
            Err(_) => false,
        };
        if unified { Self::Unified } else { Self::Board }
    }
}

fn watts(milliwatts: u32) -> f64 {
    f64::from(milliwatts) / 1000.0
}

/// The power of the moment, milliwatts. The wrapper leaves the field's scope at 0, the GPU.
fn instant_power(device: &Device<'_>) -> Result<u32, GpuError> {
    let mut values = device.field_values_for(&[FieldId(NVML_FI_DEV_POWER_INSTANT)])?;
    let value = values.pop().ok_or(NvmlError::NotSupported)??.value?;
    match value {
        SampleValue::U32(milliwatts) => Ok(milliwatts),
        SampleValue::F64(_) | SampleValue::U64(_) | SampleValue::I64(_) => {
            Err(GpuError::Other("power of an unknown type".to_owned()))
        }
    }
}

impl Probe for NvmlProbe<'_> {
    fn inventory(&self) -> GpuInventory {
        facts::inventory(self)
    }

    fn read(&self, gpu: usize, metric: Metric, into: &mut Readings) -> Result<(), GpuError> {
        let gpu = self.devices[gpu].as_ref().map_err(Clone::clone)?;
        let device = &gpu.device;
        let sample = &mut into.sample;
        let errors = |kind| device.total_ecc_errors(kind, EccCounter::Volatile);
        let violation = |policy| device.violation_status(policy).map(|time| time.violation_time);
        match metric {
            Metric::Memory => {
                let (used, available) = gpu.memory()?;
                sample.memory_used = Some(used);
                sample.host_memory_available = available;
            }
            Metric::Power => sample.power_w = Some(gpu.power()?),
            Metric::ClockSm => sample.clock_sm_mhz = Some(device.clock_info(Clock::SM)?),
            Metric::ClockMemory => {
                sample.clock_memory_mhz = Some(device.clock_info(Clock::Memory)?);
            }
            Metric::Reasons => {
                sample.reasons = Some(ClockReasons(device.current_throttle_reasons()?.bits()));
            }
            Metric::Utilization => {
                sample.utilization_pct = Some(device.utilization_rates()?.gpu);
            }
            Metric::Temperature => {
                sample.temperature_c = Some(device.temperature(TemperatureSensor::Gpu)?);
            }
            Metric::PowerUsage => sample.power_usage_w = Some(watts(device.power_usage()?)),
            Metric::PerformanceState => {
                sample.performance_state = Some(device.performance_state()?.as_c());
            }
            Metric::PcieGen => sample.pcie_gen = Some(device.current_pcie_link_gen()?),
            Metric::PcieWidth => sample.pcie_width = Some(device.current_pcie_link_width()?),
            Metric::EccCorrected => sample.ecc_corrected = Some(errors(MemoryError::Corrected)?),
            Metric::EccUncorrected => {
                sample.ecc_uncorrected = Some(errors(MemoryError::Uncorrected)?);
            }
            Metric::PowerViolation => {
                sample.power_violation_ns = Some(violation(PerformancePolicy::Power)?);
            }
            Metric::ThermalViolation => {
                sample.thermal_violation_ns = Some(violation(PerformancePolicy::Thermal)?);
            }
            Metric::Energy => into.energy = Some(device.total_energy_consumption()?),
            Metric::Processes => into.processes = Some(gpu.processes()?),
        }
        Ok(())
    }

    fn sums_memory(&self, gpu: usize) -> bool {
        self.devices[gpu].as_ref().is_ok_and(|gpu| gpu.memory == MemorySource::Unified)
    }
}
