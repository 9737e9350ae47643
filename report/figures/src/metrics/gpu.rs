//! GPU telemetry of one or several attempts, summed up per GPU.

mod energy;
mod thermals;

use std::collections::BTreeMap;
use std::time::Duration;

use regatta_types::gpu::{
    Attribution, CallCost, ClockReasons, GpuProcess, GpuSample, GpuSeries, GpuWindow,
    ProcessMemory, ProcessOwner, TelemetryEnd,
};
use regatta_types::time::MonoNs;
use regatta_types::units::Bytes;
use serde::Serialize;

use super::{Rate, real};
use crate::absent::{Absent, Figure, told};

pub use energy::{EnergyFigures, Idle, RESIDUAL_FLAG};
pub use thermals::{Mean, Thermals};

/// One GPU over a set of attempts. `None`: no sample had that reading; the reason stands in
/// `unavailable`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GpuFigures {
    pub uuid: String,
    /// Whether it serves the endpoint, as far as is known.
    pub serves: bool,
    /// Whether anything tells which GPUs serve the endpoint.
    pub attributed: bool,
    /// Samples in all attempts.
    pub samples: usize,
    /// Memory in use just before the first of the attempts.
    pub memory_baseline: Option<Bytes>,
    /// Largest sample of memory in use.
    pub memory_peak: Option<Bytes>,
    /// Mean of the power samples, watts.
    pub power_mean_w: Option<f64>,
    /// Largest power sample, watts.
    pub power_max_w: Option<f64>,
    /// Largest temperature sample.
    pub temperature_max_c: Option<u32>,
    /// Mean of the utilization samples, percent.
    pub utilization_mean_pct: Option<f64>,
    /// Mean clock of the multiprocessors, MHz.
    pub clock_sm_mean_mhz: Option<f64>,
    /// Smallest sample of it.
    pub clock_sm_min_mhz: Option<u32>,
    /// Mean clock of the memory, MHz.
    pub clock_memory_mean_mhz: Option<f64>,
    /// The slowest performance state that was seen, the largest number.
    pub performance_state_max: Option<u32>,
    /// Highest PCIe generation that was seen.
    pub pcie_gen: Option<u32>,
    /// Most PCIe lanes that were seen.
    pub pcie_width: Option<u32>,
    /// Share of the samples with each clock reason that occurred; `None` without such samples.
    pub reasons: Option<BTreeMap<&'static str, f64>>,
    /// Share of the time with clocks lowered for the power limit, by the driver's counter.
    pub power_limited: Option<f64>,
    /// Share of the time with clocks lowered for heat, by the driver's counter.
    pub heat_limited: Option<f64>,
    /// Corrected memory errors during the attempts.
    pub ecc_corrected: Option<u64>,
    /// Uncorrected memory errors during the attempts.
    pub ecc_uncorrected: Option<u64>,
    /// Least main memory that was available; only where memory is unified.
    pub host_memory_available_min: Option<Bytes>,
    pub processes: Vec<Occupant>,
    /// What asking cost, by kind of reading.
    pub costs: BTreeMap<String, CallCost>,
    /// Set if its telemetry ended.
    pub ended: Option<TelemetryEnd>,
    /// Readings that could not be had, with the reason.
    pub unavailable: BTreeMap<String, String>,
}

/// A process over a set of attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Occupant {
    pub pid: u32,
    /// Its command's name; empty where it could not be read.
    pub name: String,
    pub owner: ProcessOwner,
    /// Its memory when it was first seen; `None`: not reported by the driver.
    pub memory_first: Option<Bytes>,
    /// The most it had.
    pub memory_peak: Option<Bytes>,
}

/// The endpoint's GPUs of one host together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GpuSum {
    pub gpus: usize,
    /// Whether anything tells that they are the endpoint's.
    pub attributed: bool,
    /// Sum of the peaks; `None` if one has none.
    pub memory_peak: Option<Bytes>,
    /// Sum of the mean powers, watts; `None` if one has none.
    pub power_mean_w: Option<f64>,
    /// The hottest.
    pub temperature_max_c: Option<u32>,
    /// Mean SM clock of the slowest, MHz.
    pub clock_sm_mean_mhz: Option<f64>,
    /// Share of the samples that were power-capped, of the GPU with the largest share.
    pub power_capped: Option<f64>,
    /// The same for thermal throttling: temperature target or hardware thermal slowdown.
    pub thermally_throttled: Option<f64>,
    /// Fewest PCIe lanes.
    pub pcie_width: Option<u32>,
}

/// The list at the beginning of an attempt is read within this time of it.
const SLACK: Duration = Duration::from_secs(1);

/// Clock reasons that are heat.
const HEAT: [&str; 2] = ["temperature target", "hardware thermal slowdown"];

impl GpuSum {
    pub fn of(gpus: &[GpuFigures]) -> Self {
        let gpus: Vec<&GpuFigures> = gpus.iter().filter(|gpu| gpu.serves).collect();
        let memory: Option<u64> = gpus.iter().map(|g| g.memory_peak.map(|b| b.0)).sum();
        let power: Option<f64> = gpus.iter().map(|g| g.power_mean_w).sum();
        let held = |reasons: &[&str]| {
            let of_one = |gpu: &&GpuFigures| {
                let shares = gpu.reasons.as_ref()?;
                let share = |reason: &&str| shares.get(reason).copied().unwrap_or(0.0);
                reasons.iter().map(share).reduce(f64::max)
            };
            gpus.iter().filter_map(of_one).reduce(f64::max)
        };
        Self {
            gpus: gpus.len(),
            attributed: gpus.iter().all(|gpu| gpu.attributed),
            memory_peak: memory.filter(|_| !gpus.is_empty()).map(Bytes),
            power_mean_w: power.filter(|_| !gpus.is_empty()),
            temperature_max_c: gpus.iter().filter_map(|g| g.temperature_max_c).max(),
            clock_sm_mean_mhz: gpus.iter().filter_map(|g| g.clock_sm_mean_mhz).reduce(f64::min),
            power_capped: held(&["power limit"]),
            thermally_throttled: held(&HEAT),
            pcie_width: gpus.iter().filter_map(|g| g.pcie_width).min(),
        }
    }

    /// Tokens a second for a watt; `None` without an output or a power.
    pub fn tps_per_watt(&self, output: Rate) -> Option<f64> {
        let watts = self.power_mean_w.filter(|watts| *watts > 0.0)?;
        Some(output.per_second()? / watts)
    }

    /// Whether these are all GPUs of a host with several, for want of anything that tells which
    /// serve the endpoint.
    pub fn is_unattributed(&self) -> bool {
        self.gpus > 1 && !self.attributed
    }
}

/// Whether anything tells which GPUs of a window are the endpoint's.
fn is_attributed(window: &GpuWindow) -> bool {
    match &window.attribution {
        Some(Attribution::Named | Attribution::PortOwner | Attribution::OnlyProcess) => true,
        Some(Attribution::Unattributed { .. }) | None => false,
    }
}

/// The series of the endpoint's GPUs; all series if the agent does not report which these are.
pub fn serving(window: &GpuWindow) -> impl Iterator<Item = &GpuSeries> {
    let all = window.attribution.is_none();
    window.series.known().into_iter().flatten().filter(move |series| all || series.serves)
}

/// Sums up `windows`, given in order of time; GPUs in order of their UUID.
pub fn gpu_figures(windows: &[&GpuWindow]) -> Figure<Vec<GpuFigures>> {
    let mut series: BTreeMap<&str, Vec<&GpuSeries>> = BTreeMap::new();
    for one in windows.iter().filter_map(|w| w.series.known()).flatten() {
        series.entry(&one.uuid).or_default().push(one);
    }
    if series.is_empty() {
        let reason = windows.iter().find_map(|w| told(&w.series).err());
        return Err(reason.unwrap_or(Absent::NoGpuSamples));
    }
    let serves = |uuid: &str| windows.iter().any(|w| serving(w).any(|one| one.uuid == uuid));
    let mut known = windows.iter().filter(|w| w.series.known().is_some());
    let attributed = known.all(|window| is_attributed(window));
    let figures = series.into_iter();
    Ok(figures.map(|(uuid, series)| sum_up(uuid, serves(uuid), attributed, &series)).collect())
}

fn sum_up(uuid: &str, serves: bool, attributed: bool, series: &[&GpuSeries]) -> GpuFigures {
    let samples = || series.iter().flat_map(|s| &s.samples);
    let mean = |value: fn(&GpuSample) -> Option<f64>| {
        let values: Vec<f64> = samples().filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / real(values.len()))
    };
    let mut costs: BTreeMap<String, CallCost> = BTreeMap::new();
    for (name, cost) in series.iter().flat_map(|s| &s.costs) {
        *costs.entry(name.clone()).or_default() += *cost;
    }
    GpuFigures {
        uuid: uuid.to_owned(),
        serves,
        attributed,
        samples: samples().count(),
        memory_baseline: series.iter().find_map(|s| s.baseline?.memory_used),
        memory_peak: samples().filter_map(|s| s.memory_used).max(),
        power_mean_w: mean(|s| s.power_w),
        power_max_w: samples().filter_map(|s| s.power_w).reduce(f64::max),
        temperature_max_c: samples().filter_map(|s| s.temperature_c).max(),
        utilization_mean_pct: mean(|s| s.utilization_pct.map(f64::from)),
        clock_sm_mean_mhz: mean(|s| s.clock_sm_mhz.map(f64::from)),
        clock_sm_min_mhz: samples().filter_map(|s| s.clock_sm_mhz).min(),
        clock_memory_mean_mhz: mean(|s| s.clock_memory_mhz.map(f64::from)),
        performance_state_max: samples().filter_map(|s| s.performance_state).max(),
        pcie_gen: samples().filter_map(|s| s.pcie_gen).max(),
        pcie_width: samples().filter_map(|s| s.pcie_width).max(),
        reasons: reasons(&samples().filter_map(|s| s.reasons).collect::<Vec<_>>()),
        power_limited: share_of_time(series, |s| s.power_violation_ns),
        heat_limited: share_of_time(series, |s| s.thermal_violation_ns),
        ecc_corrected: increase(series, |s| s.ecc_corrected),
        ecc_uncorrected: increase(series, |s| s.ecc_uncorrected),
        host_memory_available_min: samples().filter_map(|s| s.host_memory_available).min(),
        processes: occupants(series),
        costs,
        ended: series.iter().find_map(|s| s.ended.clone()),
        unavailable: series.iter().flat_map(|s| s.unavailable.clone()).collect(),
    }
}

/// The share of the samples with each reason that occurred.
fn reasons(samples: &[ClockReasons]) -> Option<BTreeMap<&'static str, f64>> {
    let share = |bit| real(samples.iter().filter(|s| s.has(bit)).count()) / real(samples.len());
    let all = ClockReasons::NAMES.iter().map(|&(bit, name)| (name, share(bit)));
    (!samples.is_empty()).then(|| all.filter(|(_, share)| *share > 0.0).collect())
}

/// What a counter gained during the attempts; one that fell gained an unknown number.
fn increase(series: &[&GpuSeries], counter: fn(&GpuSample) -> Option<u64>) -> Option<u64> {
    let gains = series.iter().filter_map(|s| {
        let mut read = s.baseline.iter().chain(&s.samples).filter_map(counter);
        let first = read.next()?;
        Some(read.next_back()?.checked_sub(first))
    });
    let gains: Option<Vec<u64>> = gains.collect();
    gains.filter(|gains| !gains.is_empty()).map(|gains| gains.iter().sum())
}

/// The increase of a nanosecond counter over the time between its readings.
fn share_of_time(series: &[&GpuSeries], counter: fn(&GpuSample) -> Option<u64>) -> Option<f64> {
    let (mut gained, mut time) = (0.0, 0.0);
    for series in series {
        let mut read = series.samples.iter().filter_map(|s| Some((s.at, counter(s)?)));
        if let (Some(first), Some(last)) = (read.next(), read.next_back()) {
            gained += last.1.checked_sub(first.1)? as f64;
            time += last.0.since(first.0).as_secs_f64() * 1e9;
        }
    }
    (time > 0.0).then(|| (gained / time).min(1.0))
}

/// The processes of a GPU: the engine's first, the largest first.
fn occupants(series: &[&GpuSeries]) -> Vec<Occupant> {
    let mut all: BTreeMap<u32, Occupant> = BTreeMap::new();
    for process in series.iter().flat_map(|s| &s.processes) {
        let peak = process.memory.iter().filter_map(|m| m.used).max();
        let known = all.entry(process.pid).or_insert_with(|| Occupant {
            pid: process.pid,
            name: process.name.clone(),
            owner: process.owner,
            memory_first: process.memory.first().and_then(|m| m.used),
            memory_peak: None,
        });
        known.owner = known.owner.min(process.owner);
        known.memory_peak = known.memory_peak.max(peak);
    }
    let mut all: Vec<Occupant> = all.into_values().collect();
    all.sort_by_key(|o| (o.owner, std::cmp::Reverse(o.memory_peak), o.pid));
    all
}

/// How much memory a process took from the begin of an attempt on; all of it, if it came later.
pub(super) fn growth(process: &GpuProcess, began: MonoNs) -> Bytes {
    let begin = began.after(SLACK);
    let used = |m: &ProcessMemory| m.used.map_or(0, |bytes| bytes.0);
    let before = process.memory.iter().rfind(|m| m.at <= begin).map_or(0, used);
    let most = process.memory.iter().filter(|m| m.at > begin).map(used).max().unwrap_or(before);
    Bytes(most.saturating_sub(before))
}
