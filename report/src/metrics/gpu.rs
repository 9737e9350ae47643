//! GPU telemetry of one or several attempts, summed up per GPU.

use std::collections::BTreeMap;

use regatta_types::gpu::{GpuSample, GpuSeries, GpuWindow};
use regatta_types::reading::Reading;
use regatta_types::units::Bytes;
use serde::Serialize;

use super::real;

/// One GPU over a set of attempts. `None`: no sample had that reading; the reason stands in
/// `unavailable`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct GpuFigures {
    pub(crate) uuid: String,
    /// Samples in all attempts.
    pub(crate) samples: usize,
    /// Memory in use just before the first of the attempts.
    pub(crate) memory_baseline: Option<Bytes>,
    /// Largest sample of memory in use.
    pub(crate) memory_peak: Option<Bytes>,
    /// Mean of the power samples, watts.
    pub(crate) power_mean_w: Option<f64>,
    /// Largest power sample, watts.
    pub(crate) power_max_w: Option<f64>,
    /// Largest temperature sample.
    pub(crate) temperature_max_c: Option<u32>,
    /// Mean of the utilisation samples, percent.
    pub(crate) utilization_mean_pct: Option<f64>,
    /// Readings that could not be had, with the reason.
    pub(crate) unavailable: BTreeMap<String, String>,
}

/// All GPUs of one host together. Nothing says which of them serve the endpoint, so that with more
/// than one the sums are unattributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct GpuSum {
    /// How many there are.
    pub(crate) gpus: usize,
    /// Sum of the peaks; `None` if one has none.
    pub(crate) memory_peak: Option<Bytes>,
    /// Sum of the mean powers, watts; `None` if one has none.
    pub(crate) power_mean_w: Option<f64>,
    /// The hottest.
    pub(crate) temperature_max_c: Option<u32>,
}

impl GpuSum {
    pub(crate) fn of(gpus: &[GpuFigures]) -> Self {
        let memory: Option<u64> = gpus.iter().map(|g| g.memory_peak.map(|b| b.0)).sum();
        let power: Option<f64> = gpus.iter().map(|g| g.power_mean_w).sum();
        Self {
            gpus: gpus.len(),
            memory_peak: memory.filter(|_| !gpus.is_empty()).map(Bytes),
            power_mean_w: power.filter(|_| !gpus.is_empty()),
            temperature_max_c: gpus.iter().filter_map(|g| g.temperature_max_c).max(),
        }
    }
}

/// Sums up `windows`, given in order of time; GPUs in order of their UUID.
pub(crate) fn gpu_figures(windows: &[&GpuWindow]) -> Reading<Vec<GpuFigures>> {
    let mut series: BTreeMap<&str, Vec<&GpuSeries>> = BTreeMap::new();
    for one in windows.iter().filter_map(|w| w.series.known()).flatten() {
        series.entry(&one.uuid).or_default().push(one);
    }
    if series.is_empty() {
        let reason = windows.iter().find_map(|w| w.series.reason());
        return Reading::missing(reason.unwrap_or("no attempt has GPU samples"));
    }
    Reading::Known(series.into_iter().map(|(uuid, series)| sum_up(uuid, &series)).collect())
}

fn sum_up(uuid: &str, series: &[&GpuSeries]) -> GpuFigures {
    let samples = || series.iter().flat_map(|s| &s.samples);
    let mean = |value: fn(&GpuSample) -> Option<f64>| {
        let values: Vec<f64> = samples().filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / real(values.len()))
    };
    GpuFigures {
        uuid: uuid.to_owned(),
        samples: samples().count(),
        memory_baseline: series.iter().find_map(|s| s.baseline?.memory_used),
        memory_peak: samples().filter_map(|s| s.memory_used).max(),
        power_mean_w: mean(|s| s.power_w),
        power_max_w: samples().filter_map(|s| s.power_w).reduce(f64::max),
        temperature_max_c: samples().filter_map(|s| s.temperature_c).max(),
        utilization_mean_pct: mean(|s| s.utilization_pct.map(f64::from)),
        unavailable: series.iter().flat_map(|s| s.unavailable.clone()).collect(),
    }
}
