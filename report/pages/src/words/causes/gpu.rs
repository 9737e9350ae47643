//! What the GPUs of a host did that those of the others did not.

use regatta_types::units::grouped_real;
use regatta_types::validity::FindingCode;

use crate::words::finding::evidence;
use regatta_figures::hosts::{Cell, HostAnalysis};
use regatta_figures::metrics::{Distribution, GpuFigures};

/// Points by which a share of the time must be larger than the median of the others to be told of.
const SHARE: f64 = 0.05;
/// Share by which a clock must be below the median of the others.
const CLOCK: f64 = 0.02;
/// Degrees by which a GPU must be hotter than the median of the others.
const DEGREES: f64 = 10.0;
/// Points by which it must be less busy.
const BUSY: f64 = 10.0;
/// Reasons by which clocks are held that point at a fault or a limit, the worst first.
const FAULTS: [&str; 3] = ["hardware slowdown", "hardware thermal slowdown", "power brake"];
const LIMITS: [&str; 2] = ["temperature target", "power limit"];

/// The endpoint's GPUs of a host and of each of the others.
pub(super) struct Gpus<'a> {
    own: Vec<&'a GpuFigures>,
    others: Vec<Vec<&'a GpuFigures>>,
    /// Another process on this host's GPUs, where the others have none.
    shared: Option<String>,
}

fn serving<'a>(host: &'a HostAnalysis<'_>) -> Vec<&'a GpuFigures> {
    host.gpus.iter().flatten().filter(|gpu| gpu.serves).collect()
}

/// What is known of another process on a host's GPUs.
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

    /// What can hardly be without consequence.
    pub(super) fn faults(&self) -> Vec<String> {
        let lost = self.own.iter().filter_map(|gpu| gpu.ended.as_ref());
        let mut out: Vec<String> =
            lost.map(|end| format!("a GPU was lost ({})", end.reason)).take(1).collect();
        let errors = |gpu: &GpuFigures| gpu.ecc_uncorrected.map(|n| n as f64);
        if let Some((errors, usual)) = self.worst(errors, f64::max)
            && errors > usual
        {
            let (errors, usual) = (grouped_real(errors, 0), grouped_real(usual, 0));
            out.push(format!("{errors} uncorrected memory errors (the others {usual})"));
        }
        out.extend(FAULTS.into_iter().filter_map(|reason| self.held_by(reason)));
        out
    }

    /// What shows where the speed went.
    pub(super) fn limits(&self) -> Vec<String> {
        let mut out: Vec<String> = self.link().into_iter().collect();
        out.extend(LIMITS.into_iter().filter_map(|reason| self.held_by(reason)));
        out.extend(self.clock());
        out
    }

    /// Another process on its GPUs.
    pub(super) fn shared(&self) -> Option<&str> {
        self.shared.as_deref()
    }

    /// What goes with a cause more than it is one.
    pub(super) fn signs(&self) -> Vec<String> {
        let mut out = Vec::new();
        if let Some((own, usual)) = self.worst(|gpu| gpu.temperature_max_c.map(f64::from), f64::max)
            && own >= usual + DEGREES
        {
            out.push(format!("GPU at {own:.0} °C (median of the others {usual:.0} °C)"));
        }
        if let Some((own, usual)) = self.worst(|gpu| gpu.utilization_mean_pct, f64::min)
            && own <= usual - BUSY
        {
            out.push(format!(
                "GPU busy {own:.0} % of the time (median of the others {usual:.0} %)"
            ));
        }
        out
    }

    fn held_by(&self, reason: &str) -> Option<String> {
        let share =
            |gpu: &GpuFigures| Some(gpu.reasons.as_ref()?.get(reason).copied().unwrap_or(0.0));
        let (own, usual) = self.worst(share, f64::max)?;
        (own > usual + SHARE).then(|| {
            let (own, usual) = (own * 100.0, usual * 100.0);
            format!(
                "clocks held by {reason} in {own:.0} % of the samples (median of the others {usual:.0} %)"
            )
        })
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
        if let Some((own, usual)) = self.worst(|gpu| gpu.pcie_width.map(f64::from), f64::min)
            && own < usual
        {
            return Some(format!(
                "PCIe link with {own:.0} lanes (median of the others {usual:.0})"
            ));
        }
        let (own, usual) = self.worst(|gpu| gpu.pcie_gen.map(f64::from), f64::min)?;
        (own < usual)
            .then(|| format!("PCIe link of generation {own:.0} (median of the others {usual:.0})"))
    }
}
