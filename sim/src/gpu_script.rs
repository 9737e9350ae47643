//! Scripted GPU readings: one format, read by the agent's simulated GPUs and by the fake NVML
//! library.
//!
//! A [`GpuScript`] is a pure function of the time since its start. It holds no clock and starts
//! nothing. The format is described in `docs/gpu-script.md`.

mod parse;

use std::fmt;
use std::time::Duration;

use regatta_types::units::Bytes;
use serde::Deserialize;

pub use parse::ScriptError;

/// A driver and its GPUs.
#[derive(Debug, Clone, PartialEq)]
pub struct GpuScript {
    /// Driver version, e.g. `580.126.09`.
    pub driver: String,
    /// Highest CUDA version of the driver.
    pub cuda: CudaVersion,
    /// The GPUs, by index.
    pub gpus: Vec<ScriptedGpu>,
}

/// `major.minor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CudaVersion {
    /// At most 99.
    pub major: u32,
    /// At most 99.
    pub minor: u32,
}

impl fmt::Display for CudaVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// One GPU.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptedGpu {
    /// Product name, at most 95 bytes.
    pub name: String,
    /// `GPU-...`, at most 79 bytes, unlike any other of the script.
    pub uuid: String,
    /// `00000000:01:00.0`.
    pub pci_bus_id: String,
    /// Total memory, the reserve included.
    pub memory_total: Bytes,
    /// Kept by the driver; not part of the memory in use.
    pub memory_reserved: Bytes,
    /// Limit in force, watts.
    pub power_limit_w: f64,
    /// Limit the board ships with, watts.
    pub power_limit_default_w: f64,
    memory_used_mib: Series,
    power_w: Series,
    temperature_c: Series,
    utilization_pct: Series,
    unsupported: Vec<Call>,
    failures: Vec<Failure>,
}

/// What can be asked of a GPU, and can be scripted to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Total, reserved and used memory.
    Memory,
    /// Board power in every form.
    Power,
    /// Board power of the moment only.
    PowerInstant,
    /// GPU sensor.
    Temperature,
    /// Utilisation of GPU and memory.
    Utilization,
    /// Product name.
    Name,
    /// Bus id.
    Pci,
    /// Both power limits.
    PowerLimit,
}

/// An `nvmlReturn_t` other than success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NvmlCode(pub u32);

impl NvmlCode {
    /// `NVML_ERROR_NOT_SUPPORTED`.
    pub const NOT_SUPPORTED: Self = Self(3);
}

/// From `from` on, `call` fails with `code`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Failure {
    call: Call,
    from: Duration,
    code: NvmlCode,
}

/// The readings of one GPU at one moment, each a value or the code that its call returns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GpuReadings {
    /// Memory in use, the reserve not included.
    pub memory_used: Result<Bytes, NvmlCode>,
    /// Board power of the moment, watts.
    pub power_w: Result<f64, NvmlCode>,
    /// Its mean over the last second, watts.
    pub power_mean_w: Result<f64, NvmlCode>,
    /// Whole degrees Celsius.
    pub temperature_c: Result<u32, NvmlCode>,
    /// Per cent.
    pub utilization_pct: Result<u32, NvmlCode>,
}

/// A step function of time: `(since start, value)`, ascending, the first at zero.
#[derive(Debug, Clone, PartialEq)]
struct Series(Vec<(Duration, f64)>);

impl Series {
    /// The value of the last step at or before `elapsed`.
    fn at(&self, elapsed: Duration) -> f64 {
        let passed = self.0.partition_point(|(from, _)| *from <= elapsed);
        self.0[passed.max(1) - 1].1
    }

    /// The mean over the second before `elapsed`, or since the start.
    fn mean_of_second(&self, elapsed: Duration) -> f64 {
        let begin = elapsed.saturating_sub(Duration::from_secs(1));
        let (mut sum, mut from) = (0.0, begin);
        let steps = self.0.iter().map(|(at, _)| *at).filter(|at| (begin..elapsed).contains(at));
        for to in steps.chain([elapsed]) {
            sum += self.at(from) * (to - from).as_secs_f64();
            from = to;
        }
        let span = (elapsed - begin).as_secs_f64();
        if span > 0.0 { sum / span } else { self.at(elapsed) }
    }
}

impl GpuScript {
    /// One NVIDIA RTX PRO 6000 Blackwell Workstation Edition that serves a model: weights are
    /// loaded, board power and temperature are those of steady decoding. `index` (a host's
    /// number) varies the UUID and, slightly, the readings.
    #[must_use]
    pub fn blackwell(index: u32) -> Self {
        const MIB: u64 = Bytes::MIB;
        let vary = f64::from(index % 8);
        let constant = |value| Series(vec![(Duration::ZERO, value)]);
        let gpu = ScriptedGpu {
            name: "NVIDIA RTX PRO 6000 Blackwell Workstation Edition".into(),
            uuid: format!("GPU-5e6a77a0-0000-4000-8000-{index:012x}"),
            pci_bus_id: "00000000:01:00.0".into(),
            memory_total: Bytes(97_887 * MIB),
            memory_reserved: Bytes(637 * MIB),
            power_limit_w: 600.0,
            power_limit_default_w: 600.0,
            memory_used_mib: Series(vec![
                (Duration::ZERO, 88_204.0 + 2.0 * vary),
                (Duration::from_secs(5), 88_460.0 + 2.0 * vary),
            ]),
            power_w: Series(vec![
                (Duration::ZERO, 74.0 + vary),
                (Duration::from_secs(3), 431.5 + 3.0 * vary),
                (Duration::from_secs(9), 442.0 + 3.0 * vary),
            ]),
            temperature_c: Series(vec![
                (Duration::ZERO, 41.0),
                (Duration::from_secs(5), 55.0),
                (Duration::from_secs(15), 62.0 + (vary / 2.0).floor()),
            ]),
            utilization_pct: constant(97.0),
            unsupported: Vec::new(),
            failures: Vec::new(),
        };
        let cuda = CudaVersion { major: 13, minor: 0 };
        Self { driver: "580.126.09".into(), cuda, gpus: vec![gpu] }
    }
}

impl ScriptedGpu {
    /// Whether `call` works at `elapsed` since the script's start.
    ///
    /// # Errors
    /// The code that the call returns instead.
    pub fn check(&self, call: Call, elapsed: Duration) -> Result<(), NvmlCode> {
        if self.unsupported.contains(&call) {
            return Err(NvmlCode::NOT_SUPPORTED);
        }
        let failing = self.failures.iter().find(|f| f.call == call && f.from <= elapsed);
        failing.map_or(Ok(()), |f| Err(f.code))
    }

    /// Every reading at `elapsed` since the script's start.
    #[must_use]
    pub fn at(&self, elapsed: Duration) -> GpuReadings {
        let read = |call, series: &Series| self.check(call, elapsed).map(|()| series.at(elapsed));
        GpuReadings {
            memory_used: read(Call::Memory, &self.memory_used_mib).map(mib),
            power_w: read(Call::Power, &self.power_w)
                .and_then(|watts| self.check(Call::PowerInstant, elapsed).map(|()| watts)),
            power_mean_w: self
                .check(Call::Power, elapsed)
                .map(|()| self.power_w.mean_of_second(elapsed)),
            temperature_c: read(Call::Temperature, &self.temperature_c).map(whole),
            utilization_pct: read(Call::Utilization, &self.utilization_pct).map(whole),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "series hold values from 0 to 1e8, checked when read"
)]
fn whole(value: f64) -> u32 {
    value.round() as u32
}

fn mib(value: f64) -> Bytes {
    Bytes(u64::from(whole(value)) * Bytes::MIB)
}
