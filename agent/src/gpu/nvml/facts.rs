//! What never changes during a run: asked for once.

use nvml_wrapper::enum_wrappers::device::{Clock, ComputeMode};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, cuda_driver_version_major, cuda_driver_version_minor};
use regatta_types::clean;
use regatta_types::gpu::{GpuBoard, GpuFacts, GpuInventory, UNNAMED_GPU};
use regatta_types::reading::Reading;
use regatta_types::units::Bytes;

use super::super::error::GpuError;
use super::super::unified::MainMemory;
use super::{MemorySource, NvmlProbe, OpenGpu, watts};

/// Longest text taken from a driver, characters.
const TEXT: usize = 120;

type Opened<'n> = Result<OpenGpu<'n>, GpuError>;

/// What driver and GPUs say of themselves.
pub(super) fn inventory(probe: &NvmlProbe<'_>) -> GpuInventory {
    let driver = probe.nvml.sys_driver_version().map_err(GpuError::from);
    let cuda = probe.nvml.sys_cuda_driver_version().map_err(GpuError::from);
    GpuInventory {
        driver: Reading::from(driver).map(text),
        cuda_driver: Reading::from(cuda).map(|version| {
            let major = cuda_driver_version_major(version);
            format!("{major}.{}", cuda_driver_version_minor(version))
        }),
        gpus: probe.devices.iter().enumerate().map(|(i, gpu)| facts(i, gpu)).collect(),
    }
}

fn text(text: String) -> String {
    clean::excerpt(&text, TEXT)
}

fn ask<'n, T>(
    gpu: &Opened<'n>,
    call: impl FnOnce(&Device<'n>) -> Result<T, NvmlError>,
) -> Reading<T> {
    let value = gpu.as_ref().map_err(Clone::clone);
    value.and_then(|gpu| Ok(call(&gpu.device)?)).into()
}

fn is_unified(gpu: &Opened<'_>) -> bool {
    gpu.as_ref().is_ok_and(|gpu| gpu.memory == MemorySource::Unified)
}

fn facts(index: usize, gpu: &Opened<'_>) -> GpuFacts {
    let uuid = ask(gpu, Device::uuid);
    let main = is_unified(gpu).then(MainMemory::now).flatten();
    GpuFacts {
        // NVML counts devices in an unsigned int.
        index: u32::try_from(index).unwrap_or(u32::MAX),
        // Records need a key even for a GPU that does not say who it is.
        uuid: uuid.known().map_or_else(|| format!("{UNNAMED_GPU}{index}"), |u| clean::line(u)),
        name: ask(gpu, Device::name).map(text),
        pci_bus_id: ask(gpu, |d| Ok(d.pci_info()?.bus_id)).map(text),
        memory_total: match main {
            Some(main) => Reading::Known(main.total),
            None => ask(gpu, |d| Ok(Bytes(d.memory_info()?.total))),
        },
        power_limit_w: ask(gpu, Device::enforced_power_limit).map(watts),
        power_limit_default_w: ask(gpu, Device::power_management_limit_default).map(watts),
        board: Some(board(gpu)),
    }
}

fn board(gpu: &Opened<'_>) -> GpuBoard {
    let unified = is_unified(gpu);
    GpuBoard {
        unified,
        memory_reserved: if unified {
            Reading::missing("unified memory")
        } else {
            ask(gpu, |d| Ok(Bytes(d.memory_info()?.reserved)))
        },
        persistence: ask(gpu, Device::is_in_persistent_mode),
        compute_mode: ask(gpu, Device::compute_mode).map(|mode| {
            match mode {
                ComputeMode::Default => "default",
                ComputeMode::ExclusiveThread => "exclusive thread",
                ComputeMode::Prohibited => "prohibited",
                ComputeMode::ExclusiveProcess => "exclusive process",
            }
            .to_owned()
        }),
        ecc: ask(gpu, Device::is_ecc_enabled).map(|state| state.currently_enabled),
        pcie_gen_max: ask(gpu, Device::max_pcie_link_gen),
        pcie_width_max: ask(gpu, Device::max_pcie_link_width),
        memory_bus_bits: ask(gpu, Device::memory_bus_width),
        memory_clock_max_mhz: ask(gpu, |d| d.max_clock_info(Clock::Memory)),
    }
}
