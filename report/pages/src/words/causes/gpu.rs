//! GPU telemetry in which a host differs from the others.

use regatta_types::units::grouped_real;
use regatta_types::validity::FindingCode;

use super::{COUNT, PERCENT, unusual};
use crate::words::finding::evidence;
use regatta_figures::hosts::{Cell, HostAnalysis};
use regatta_figures::metrics::{Distribution, GpuFigures};

/// By how much a share of the time must exceed the median of the others.
const SHARE: f64 = 0.05;
/// Share by which a clock must be below the median of the others.
const CLOCK: f64 = 0.02;
/// Degrees Celsius by which a GPU must be hotter than the median of the others.
const DEGREES: f64 = 10.0;
/// Percentage points by which its utilization must be lower.
const BUSY: f64 = 10.0;
/// Throttle reasons that indicate a fault or a limit, the worst first.
const FAULTS: [&str; 3] = ["hardware slowdown", "hardware thermal slowdown", "power brake"];
const LIMITS: [&str; 2] = ["temperature target", "power limit"];

/// The endpoint's GPUs of a host and of each of the others.
pub(super) struct Gpus<'a> {
    own: Vec<&'a GpuFigures>,
    others: Vec<Vec<&'a GpuFigures>>,
    /// Another process on this host's GPUs, where the others have none.
    pub(super) shared: Option<String>,
}

fn serving<'a>(host: &'a HostAnalysis<'_>) -> Vec<&'a GpuFigures> {
    host.gpus.iter().flatten().filter(|gpu| gpu.serves).collect()
}

/// The evidence of another process on a host's GPUs.
fn shared(host: &HostAnalysis<'_>) -> Option<String> {
    let counted = host.compared().filter_map(Cell::counted);
    let mut findings = counted.flat_map(|counted| &counted.findings);
    let found = findings.find(|finding| finding.code == FindingCode::GpuShared)?;
    Some(evidence(&found.evidence))
}

impl<'a> Gpus<'a> {
    pub(super) fn new(own: &'a HostAnalysis<'_>, others: &[&'a HostAnalysis<'_>]) -> Self {
        let shared = shared(own).filter(|_| others.iter().all(|host| shared(host).is_none()));
        let others = others.iter().map(|host| serving(host)).filter(|gpus| !gpus.is_empty());
        Self { own: serving(own), others: others.collect(), shared }
    }

    /// The worst GPU of this host, and the median of the others' worst.
    fn worst(
        &self,
        value: impl Fn(&GpuFigures) -> Option<f64>,
        worse: fn(f64, f64) -> f64,
    ) -> Option<(f64, f64)> {
        let figure =
            |gpus: &Vec<&GpuFigures>| gpus.iter().filter_map(|gpu| value(gpu)).reduce(worse);
        figure(&self.own).zip(Distribution::new(self.others.iter().filter_map(figure)).median())
    }

    /// Faults of a GPU.
    pub(super) fn faults(&self) -> Vec<String> {
        let lost = self.own.iter().find_map(|gpu| gpu.ended.as_ref());
        let lost = lost.map(|end| format!("a GPU was lost ({})", end.reason));
        let errors = self.worst(|gpu| gpu.ecc_uncorrected.map(|n| n as f64), f64::max);
        let errors = errors.filter(|(own, usual)| own > usual).map(|(own, usual)| {
            let (own, usual) = (grouped_real(own, 0), grouped_real(usual, 0));
            format!("{own} uncorrected memory errors (others: {usual})")
        });
        let held = FAULTS.into_iter().filter_map(|reason| self.held_by(reason));
        lost.into_iter().chain(errors).chain(held).collect()
    }

    /// Limits on the speed of a GPU.
    pub(super) fn limits(&self) -> Vec<String> {
        let held = LIMITS.into_iter().filter_map(|reason| self.held_by(reason));
        self.link().into_iter().chain(held).chain(self.clock()).collect()
    }

    /// Signs that accompany a cause.
    pub(super) fn signs(&self) -> Vec<String> {
        let heat = self.worst(|gpu| gpu.temperature_max_c.map(f64::from), f64::max);
        let busy = self.worst(|gpu| gpu.utilization_mean_pct, f64::min);
        let (is_hot, is_idle) =
            (|own, usual| own >= usual + DEGREES, |own, usual| own <= usual - BUSY);
        let hot = unusual(heat, (1.0, 0, " °C"), is_hot, "GPU temperature {}");
        let idle = unusual(busy, (1.0, 0, " %"), is_idle, "GPU utilization {}");
        hot.into_iter().chain(idle).collect()
    }

    fn held_by(&self, reason: &str) -> Option<String> {
        let share =
            |gpu: &GpuFigures| Some(gpu.reasons.as_ref()?.get(reason).copied().unwrap_or(0.0));
        let held = format!("throttled by {reason} in {{}} of the samples");
        let is_more = |own, usual| own > usual + SHARE;
        unusual(self.worst(share, f64::max), PERCENT, is_more, &held)
    }

    fn clock(&self) -> Option<String> {
        let (own, usual) = self.worst(|gpu| gpu.clock_sm_mean_mhz, f64::min)?;
        let below = 1.0 - own / usual;
        (below > CLOCK).then(|| {
            format!(
                "SM clock {} MHz, {:.1} % below the median of the others ({} MHz)",
                grouped_real(own, 0),
                below * 100.0,
                grouped_real(usual, 0)
            )
        })
    }

    /// Fewer lanes than on the others, or an older generation.
    fn link(&self) -> Option<String> {
        let lanes = self.worst(|gpu| gpu.pcie_width.map(f64::from), f64::min);
        let generation = self.worst(|gpu| gpu.pcie_gen.map(f64::from), f64::min);
        let is_less = |own, usual| own < usual;
        unusual(lanes, COUNT, is_less, "PCIe link with {} lanes")
            .or_else(|| unusual(generation, COUNT, is_less, "PCIe link of generation {}"))
    }
}
