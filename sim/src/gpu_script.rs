//! Scripted GPU readings: one format, read by the agent's simulated GPUs and by the fake NVML
//! library.
//!
//! A [`GpuScript`] is a pure function of the time since its start. It holds no clock and starts
//! nothing. The format is described in `docs/gpu-script.md`.

mod parse;
mod series;

use std::fmt;
use std::time::Duration;

use regatta_types::units::Bytes;
use serde::Deserialize;

pub use parse::ScriptError;
use series::Series;

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
    /// What never changes about it; `None`: not supported.
    pub board: ScriptedBoard,
    memory_used_mib: Series,
    power_w: Series,
    temperature_c: Series,
    utilization_pct: Series,
    more: MoreSeries,
    energy_start_j: f64,
    /// When the energy counter falls to 0.
    energy_resets: Vec<Duration>,
    processes: Vec<ProcessOverTime>,
    unsupported: Vec<Call>,
    failures: Vec<Failure>,
    blocks: Vec<Block>,
    lost_from: Option<Duration>,
}

/// Constants of a GPU that a script need not give; `None`: not supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScriptedBoard {
    /// Persistence mode.
    pub persistence: Option<bool>,
    /// An `nvmlComputeMode_t`: 0 default, 1 exclusive thread, 2 prohibited, 3 exclusive process.
    pub compute_mode: Option<u32>,
    /// Error correction of the memory.
    pub ecc: Option<bool>,
    /// Highest PCIe generation.
    pub pcie_gen_max: Option<u32>,
    /// Most PCIe lanes.
    pub pcie_width_max: Option<u32>,
    /// Width of the memory bus, bits.
    pub memory_bus_bits: Option<u32>,
    /// Highest memory clock, MHz.
    pub memory_clock_max_mhz: Option<u32>,
}

/// Readings that a script need not have; `None`: not supported.
#[derive(Debug, Clone, PartialEq, Default)]
struct MoreSeries {
    clock_sm_mhz: Option<Series>,
    clock_memory_mhz: Option<Series>,
    reasons: Option<Series>,
    performance_state: Option<Series>,
    pcie_gen: Option<Series>,
    pcie_width: Option<Series>,
    ecc_corrected: Option<Series>,
    ecc_uncorrected: Option<Series>,
}

/// A process that is on a GPU for a while.
#[derive(Debug, Clone, PartialEq)]
struct ProcessOverTime {
    pid: u32,
    graphics: bool,
    from: Duration,
    until: Duration,
    memory_mib: Series,
}

/// A process on a GPU at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScriptedProcess {
    /// Its number.
    pub pid: u32,
    /// With a graphics context instead of a compute one.
    pub graphics: bool,
    /// Its memory.
    pub memory: Bytes,
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
    /// Utilization of GPU and memory.
    Utilization,
    /// Product name.
    Name,
    /// Bus id.
    Pci,
    /// Both power limits.
    PowerLimit,
    /// The energy counter.
    Energy,
    /// Clocks of multiprocessors and memory, and the memory's highest.
    Clock,
    /// Clock event (throttle) reasons.
    Reasons,
    /// Performance state.
    PerformanceState,
    /// PCIe generation and lanes, of the moment and at most.
    Pcie,
    /// Error correction and its counters.
    Ecc,
    /// Counters of the time with lowered clocks.
    Violation,
    /// Lists of processes.
    Processes,
    /// Persistence mode.
    Persistence,
    /// Compute mode.
    ComputeMode,
    /// Width of the memory bus.
    MemoryBus,
}

/// An `nvmlReturn_t` other than success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NvmlCode(pub u32);

impl NvmlCode {
    /// `NVML_ERROR_NOT_SUPPORTED`.
    pub const NOT_SUPPORTED: Self = Self(3);
    /// `NVML_ERROR_GPU_IS_LOST`.
    pub const GPU_LOST: Self = Self(15);
}

/// From `from` on, `call` fails with `code`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Failure {
    call: Call,
    from: Duration,
    code: NvmlCode,
}

/// A `call` that begins from `from` on and before `until` takes `time` before it answers.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Block {
    call: Call,
    from: Duration,
    until: Duration,
    time: Duration,
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
    /// MHz.
    pub clock_sm_mhz: Result<u32, NvmlCode>,
    /// MHz.
    pub clock_memory_mhz: Result<u32, NvmlCode>,
    /// NVML's bits.
    pub reasons: Result<u32, NvmlCode>,
    /// 0 to 15.
    pub performance_state: Result<u32, NvmlCode>,
    /// Of the moment.
    pub pcie_gen: Result<u32, NvmlCode>,
    /// Lanes of the moment.
    pub pcie_width: Result<u32, NvmlCode>,
    /// Since the driver was loaded.
    pub ecc_corrected: Result<u32, NvmlCode>,
    /// Since the driver was loaded.
    pub ecc_uncorrected: Result<u32, NvmlCode>,
    /// Time under the power limit since the start, from the reasons.
    pub power_violation: Result<Duration, NvmlCode>,
    /// Time at a temperature limit since the start, from the reasons.
    pub thermal_violation: Result<Duration, NvmlCode>,
    /// Millijoules since the driver was loaded; moves every 100 ms.
    pub energy_mj: Result<u64, NvmlCode>,
}

/// Steps of the energy counter, as on real boards.
const ENERGY_STEP_MS: u64 = 100;
/// The reason "power limit".
const POWER_LIMIT: u32 = 0x4;
/// The reasons "temperature target" and "hardware thermal slowdown".
const HEAT: u32 = 0x20 | 0x40;

impl GpuScript {
    /// One NVIDIA RTX PRO 6000 Blackwell Workstation Edition that serves a model: weights are
    /// loaded, board power and temperature are those of steady decoding. `index` (a host's
    /// number) varies the UUID and, slightly, the readings.
    #[must_use]
    pub fn blackwell(index: u32) -> Self {
        const MIB: u64 = Bytes::MIB;
        let vary = f64::from(index % 8);
        let second = Duration::from_secs;
        let more = MoreSeries {
            clock_sm_mhz: Some(Series(vec![
                (Duration::ZERO, 1_200.0),
                (second(3), 2_617.0 - 15.0 * vary),
            ])),
            clock_memory_mhz: Some(Series::constant(14_001.0)),
            reasons: Some(Series(vec![(Duration::ZERO, 1.0), (second(3), 0.0), (second(9), 4.0)])),
            performance_state: Some(Series(vec![(Duration::ZERO, 2.0), (second(3), 1.0)])),
            pcie_gen: Some(Series::constant(5.0)),
            pcie_width: Some(Series::constant(16.0)),
            ecc_corrected: Some(Series::constant(0.0)),
            ecc_uncorrected: Some(Series::constant(0.0)),
        };
        let board = ScriptedBoard {
            persistence: Some(true),
            compute_mode: Some(0),
            ecc: Some(true),
            pcie_gen_max: Some(5),
            pcie_width_max: Some(16),
            memory_bus_bits: Some(512),
            memory_clock_max_mhz: Some(14_001),
        };
        // The simulated engine runs in this process.
        let engine = ProcessOverTime {
            pid: std::process::id(),
            graphics: false,
            from: Duration::ZERO,
            until: Duration::MAX,
            memory_mib: Series::constant(87_900.0 + 2.0 * vary),
        };
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
            utilization_pct: Series::constant(97.0),
            board,
            more,
            energy_start_j: 1_000.0,
            energy_resets: Vec::new(),
            processes: vec![engine],
            unsupported: Vec::new(),
            failures: Vec::new(),
            blocks: Vec::new(),
            lost_from: None,
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
        self.check_lost(elapsed)?;
        if self.unsupported.contains(&call) {
            return Err(NvmlCode::NOT_SUPPORTED);
        }
        let failing = self.failures.iter().find(|f| f.call == call && f.from <= elapsed);
        failing.map_or(Ok(()), |f| Err(f.code))
    }

    /// Whether the GPU is still there at `elapsed`.
    ///
    /// # Errors
    /// The code that every call returns once it is lost.
    pub fn check_lost(&self, elapsed: Duration) -> Result<(), NvmlCode> {
        let lost = self.lost_from.is_some_and(|from| from <= elapsed);
        if lost { Err(NvmlCode::GPU_LOST) } else { Ok(()) }
    }

    /// How long `call` takes when it begins at `elapsed`, beside what calling takes anyway.
    #[must_use]
    pub fn delay(&self, call: Call, elapsed: Duration) -> Duration {
        let holds = |b: &&Block| b.call == call && (b.from..b.until).contains(&elapsed);
        self.blocks.iter().find(holds).map_or(Duration::ZERO, |b| b.time)
    }

    /// The processes at `elapsed`.
    ///
    /// # Errors
    /// The code that the call returns instead.
    pub fn processes(&self, elapsed: Duration) -> Result<Vec<ScriptedProcess>, NvmlCode> {
        self.check(Call::Processes, elapsed)?;
        let there = self.processes.iter().filter(|p| (p.from..p.until).contains(&elapsed));
        Ok(there
            .map(|p| ScriptedProcess {
                pid: p.pid,
                graphics: p.graphics,
                memory: mib(p.memory_mib.at(elapsed)),
            })
            .collect())
    }

    /// Every reading at `elapsed` since the script's start.
    #[must_use]
    pub fn at(&self, elapsed: Duration) -> GpuReadings {
        let read = |call, series: &Series| self.check(call, elapsed).map(|()| series.at(elapsed));
        let count = |call, series: &Option<Series>| {
            let series = series.as_ref().ok_or(NvmlCode::NOT_SUPPORTED)?;
            read(call, series).map(whole)
        };
        let violation = |bits: u32| {
            self.check(Call::Violation, elapsed)?;
            let reasons = self.more.reasons.as_ref().ok_or(NvmlCode::NOT_SUPPORTED)?;
            let lowered = |value| whole(value) & bits != 0;
            Ok(reasons.time_while(Duration::ZERO, elapsed, lowered))
        };
        GpuReadings {
            memory_used: read(Call::Memory, &self.memory_used_mib).map(mib),
            power_w: read(Call::Power, &self.power_w)
                .and_then(|watts| self.check(Call::PowerInstant, elapsed).map(|()| watts)),
            power_mean_w: self
                .check(Call::Power, elapsed)
                .map(|()| self.power_w.mean_of_second(elapsed)),
            temperature_c: read(Call::Temperature, &self.temperature_c).map(whole),
            utilization_pct: read(Call::Utilization, &self.utilization_pct).map(whole),
            clock_sm_mhz: count(Call::Clock, &self.more.clock_sm_mhz),
            clock_memory_mhz: count(Call::Clock, &self.more.clock_memory_mhz),
            reasons: count(Call::Reasons, &self.more.reasons),
            performance_state: count(Call::PerformanceState, &self.more.performance_state),
            pcie_gen: count(Call::Pcie, &self.more.pcie_gen),
            pcie_width: count(Call::Pcie, &self.more.pcie_width),
            ecc_corrected: count(Call::Ecc, &self.more.ecc_corrected),
            ecc_uncorrected: count(Call::Ecc, &self.more.ecc_uncorrected),
            power_violation: violation(POWER_LIMIT),
            thermal_violation: violation(HEAT),
            energy_mj: self.check(Call::Energy, elapsed).map(|()| self.energy_mj(elapsed)),
        }
    }

    /// The integral of power, from the start or from the last reset on.
    fn energy_mj(&self, elapsed: Duration) -> u64 {
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let now = Duration::from_millis(millis - millis % ENERGY_STEP_MS);
        let reset = self.energy_resets.iter().filter(|at| **at <= now).max();
        let (from, start) =
            reset.map_or((Duration::ZERO, self.energy_start_j), |reset| (*reset, 0.0));
        millijoules(start + self.power_w.integral(from, now))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a sum of positive powers; what u64 cannot hold saturates"
)]
fn millijoules(joules: f64) -> u64 {
    (joules * 1000.0).round() as u64
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
