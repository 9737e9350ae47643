//! How closely the hosts of a run started each block.
//!
//! Lateness is a difference of one host's own clock. The spread moves every host's start to the
//! coordinator's clock by that host's measured offset, and carries the bounds of the offsets; it
//! is information about the run and enters no metric.

use std::collections::BTreeMap;

use regatta_types::ids::{CaseId, HostId, Repetition};
use regatta_types::time::{ClockOffset, MonoNs};
use serde::Serialize;

use crate::analysis::HostAnalysis;
use crate::metrics::Distribution;

/// Widest spread that is still called synchronised, milliseconds.
pub(crate) const SYNCHRONISED_MS: f64 = 100.0;

/// Start figures of a run. A block is one (case, repetition).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct StartReport {
    /// Spread of each block that at least two hosts ran, milliseconds.
    pub(crate) spread_ms: Distribution,
    /// The two widest clock bounds together, milliseconds: the error of each spread.
    pub(crate) bound_ms: Option<f64>,
    /// Per host, its own figures.
    pub(crate) hosts: Vec<HostStart>,
}

/// One host's starts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct HostStart {
    pub(crate) host: HostId,
    /// Start after the planned instant on the host's own clock, milliseconds.
    pub(crate) lateness_ms: Distribution,
    /// The clock estimates, in order of time.
    pub(crate) clocks: Vec<ClockOffset>,
}

impl StartReport {
    /// `None` when no block was run by two hosts with known clocks.
    pub(crate) fn is_synchronised(&self) -> Option<bool> {
        let widest = self.spread_ms.max()? + self.bound_ms?;
        Some(widest <= SYNCHRONISED_MS)
    }
}

pub(crate) fn start_report(hosts: &[HostAnalysis<'_>]) -> StartReport {
    let mut blocks: BTreeMap<(CaseId, Repetition), Vec<i128>> = BTreeMap::new();
    let mut bounds = Vec::new();
    let mut out = Vec::new();
    for host in hosts {
        let mut clocks = host.record.map(|r| r.clocks.clone()).unwrap_or_default();
        clocks.sort_by_key(|c| c.at);
        bounds.extend(clocks.iter().map(|c| c.bound_ns).max());
        let mut lateness = Vec::new();
        for (case, cell) in host.cells() {
            let Some(report) = cell.counted().map(|c| c.report) else { continue };
            let Some(planned) = report.planned_start else { continue };
            lateness.push(millis(i128::from(report.began.0) - i128::from(planned.0)));
            if let Some(clock) = clock_in_force(&clocks, planned) {
                let began = i128::from(report.began.0) - i128::from(clock.offset_ns);
                blocks.entry((case.id.clone(), cell.repetition)).or_default().push(began);
            }
        }
        if !lateness.is_empty() {
            let lateness_ms = Distribution::new(lateness);
            out.push(HostStart { host: host.host.clone(), lateness_ms, clocks });
        }
    }
    let spreads = blocks
        .values()
        .filter(|starts| starts.len() > 1)
        .filter_map(|starts| Some(millis(starts.iter().max()? - starts.iter().min()?)));
    bounds.sort_unstable();
    let bound_ms = (bounds.len() > 1)
        .then(|| bounds.iter().rev().take(2).map(|&b| millis(i128::from(b))).sum());
    StartReport { spread_ms: Distribution::new(spreads), bound_ms, hosts: out }
}

/// The latest estimate made before the planned start: the one it was mapped with.
fn clock_in_force(clocks: &[ClockOffset], planned: MonoNs) -> Option<&ClockOffset> {
    clocks
        .iter()
        .rev()
        .find(|c| c.at <= planned.offset_by(c.offset_ns.saturating_neg()))
        .or(clocks.first())
}

fn millis(nanos: i128) -> f64 {
    // Differences of stamps of one run: far below 2^53 ns.
    nanos as f64 / 1e6
}
