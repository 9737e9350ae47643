//! Readings of the real driver, through nvml-wrapper.

use std::path::Path;

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::NVML_FI_DEV_POWER_INSTANT;
use nvml_wrapper::{Device, Nvml, cuda_driver_version_major, cuda_driver_version_minor};
use regatta_types::clean;
use regatta_types::gpu::{GpuFacts, GpuInventory, GpuSample};
use regatta_types::reading::Reading;
use regatta_types::units::Bytes;

use super::error::GpuError;
use super::probe::{Metric, Probe};

/// Longest text taken from a driver, characters.
const TEXT: usize = 120;

/// Loads the library and initialises it; may take seconds without persistence mode.
pub(crate) fn load(library: Option<&Path>) -> Result<Nvml, GpuError> {
    let mut builder = Nvml::builder();
    // The bare soname is found on machines without the development files, whose libnvidia-ml.so
    // the wrapper would ask for otherwise.
    builder.lib_path(library.unwrap_or(Path::new("libnvidia-ml.so.1")).as_os_str());
    Ok(builder.init()?)
}

/// The GPUs of one initialised library.
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

    fn facts(&self, index: usize, gpu: &Result<OpenGpu<'n>, GpuError>) -> GpuFacts {
        fn ask<'n, T>(
            gpu: &Result<OpenGpu<'n>, GpuError>,
            call: impl FnOnce(&Device<'n>) -> Result<T, NvmlError>,
        ) -> Reading<T> {
            let value = gpu.as_ref().map_err(Clone::clone);
            value.and_then(|gpu| Ok(call(&gpu.device)?)).into()
        }
        let text = |text: String| clean::excerpt(&text, TEXT);
        let uuid = ask(gpu, Device::uuid);
        GpuFacts {
            // NVML counts devices in an unsigned int.
            index: u32::try_from(index).unwrap_or(u32::MAX),
            // Records need a key even for a GPU that does not say who it is.
            uuid: uuid.known().map_or_else(|| format!("unknown-{index}"), |u| clean::line(u)),
            name: ask(gpu, Device::name).map(text),
            pci_bus_id: ask(gpu, |d| Ok(d.pci_info()?.bus_id)).map(text),
            memory_total: ask(gpu, |d| Ok(Bytes(d.memory_info()?.total))),
            power_limit_w: ask(gpu, Device::enforced_power_limit).map(watts),
            power_limit_default_w: ask(gpu, Device::power_management_limit_default).map(watts),
        }
    }
}

impl<'n> OpenGpu<'n> {
    fn new(device: Device<'n>) -> Self {
        let power = match instant_power(&device) {
            Ok(_) => PowerSource::Instant,
            // If the other does not work either, its reason is the one that is told.
            Err(_) => PowerSource::Usage,
        };
        Self { device, power }
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
        let driver = self.nvml.sys_driver_version().map_err(GpuError::from);
        let cuda = self.nvml.sys_cuda_driver_version().map_err(GpuError::from);
        GpuInventory {
            driver: Reading::from(driver).map(|text| clean::excerpt(&text, TEXT)),
            cuda_driver: Reading::from(cuda).map(|version| {
                let major = cuda_driver_version_major(version);
                format!("{major}.{}", cuda_driver_version_minor(version))
            }),
            gpus: self.devices.iter().enumerate().map(|(i, d)| self.facts(i, d)).collect(),
        }
    }

    fn read(&self, gpu: usize, metric: Metric, into: &mut GpuSample) -> Result<(), GpuError> {
        let gpu = self.devices[gpu].as_ref().map_err(Clone::clone)?;
        let device = &gpu.device;
        match metric {
            Metric::Memory => into.memory_used = Some(Bytes(device.memory_info()?.used)),
            Metric::Power => into.power_w = Some(gpu.power()?),
            Metric::Temperature => {
                into.temperature_c = Some(device.temperature(TemperatureSensor::Gpu)?);
            }
            Metric::Utilization => {
                into.utilization_pct = Some(device.utilization_rates()?.gpu);
            }
        }
        Ok(())
    }
}
