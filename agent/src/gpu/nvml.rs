//! Readings of the real driver, through nvml-wrapper.

use std::path::Path;

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;
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
    devices: Vec<Result<Device<'n>, GpuError>>,
}

impl<'n> NvmlProbe<'n> {
    /// Opens every GPU.
    pub(crate) fn new(nvml: &'n Nvml) -> Result<Self, GpuError> {
        let count = nvml.device_count()?;
        let devices = (0..count).map(|i| Ok(nvml.device_by_index(i)?)).collect();
        Ok(Self { nvml, devices })
    }

    fn facts(&self, index: usize, device: &Result<Device<'n>, GpuError>) -> GpuFacts {
        fn ask<'n, T>(
            device: &Result<Device<'n>, GpuError>,
            call: impl FnOnce(&Device<'n>) -> Result<T, NvmlError>,
        ) -> Reading<T> {
            let value = device.as_ref().map_err(Clone::clone);
            value.and_then(|device| Ok(call(device)?)).into()
        }
        let watts = |milliwatts: u32| f64::from(milliwatts) / 1000.0;
        let text = |text: String| clean::excerpt(&text, TEXT);
        let uuid = ask(device, Device::uuid);
        GpuFacts {
            // NVML counts devices in an unsigned int.
            index: u32::try_from(index).unwrap_or(u32::MAX),
            // Records need a key even for a GPU that does not say who it is.
            uuid: uuid.known().map_or_else(|| format!("unknown-{index}"), |u| clean::line(u)),
            name: ask(device, Device::name).map(text),
            pci_bus_id: ask(device, |d| Ok(d.pci_info()?.bus_id)).map(text),
            memory_total: ask(device, |d| Ok(Bytes(d.memory_info()?.total))),
            power_limit_w: ask(device, Device::enforced_power_limit).map(watts),
            power_limit_default_w: ask(device, Device::power_management_limit_default).map(watts),
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
        let device = self.devices[gpu].as_ref().map_err(Clone::clone)?;
        match metric {
            Metric::Memory => into.memory_used = Some(Bytes(device.memory_info()?.used)),
            Metric::Power => into.power_w = Some(f64::from(device.power_usage()?) / 1000.0),
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
