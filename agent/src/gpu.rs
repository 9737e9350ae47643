//! GPU telemetry: what the GPUs are, readings of them, and which of them are the endpoint's.
//!
//! [`Sampler`] starts its own thread, because NVML calls block in the driver; everybody else
//! holds its [`GpuHandle`]. Whatever cannot be had (no library, no driver, one call) is a reason
//! in place of a value and never fails a run. Nothing here decides what an attempt is: the runner
//! opens and closes windows.

mod attribution;
mod cut;
mod error;
mod metric;
mod nvml;
mod owner;
mod probe;
mod processes;
mod rounds;
mod sampler;
mod shared;
mod simulated;
mod unified;
mod window;

use std::path::PathBuf;

use regatta_sim::gpu_script::GpuScript;

pub use attribution::GpuSelector;
pub use cut::{Spans, cut};
pub use sampler::{GpuHandle, Sampler, SamplerOptions, WindowHandle, WindowPlan};

/// Where readings come from.
#[derive(Debug, Clone)]
pub enum GpuSource {
    /// The NVIDIA driver of this machine.
    Nvml {
        /// The library to load; `None`: `libnvidia-ml.so.1` from the system's search path.
        library: Option<PathBuf>,
    },
    /// A script, for simulated hosts; its second 0 is the sampler's start.
    Simulated(GpuScript),
    /// No telemetry.
    None {
        /// Why, for the report, e.g. `the endpoint is on another machine`.
        reason: String,
    },
}
