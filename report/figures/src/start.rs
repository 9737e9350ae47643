//! How closely the hosts of a run started each block.
//!
//! Lateness is a difference of one host's own clock. The spread moves every host's start to the
//! coordinator's clock by that host's offset, drawn in a straight line between the estimates before
//! and after the run, and carries the error that leaves; it is information about the run and enters
//! no metric.

use std::collections::BTreeMap;

use regatta_types::ids::{CaseId, HostId, Repetition};
use regatta_types::suite::{Pace, StartMode};
use regatta_types::time::{ClockOffset, MonoNs};
use serde::Serialize;

use crate::hosts::HostAnalysis;
use crate::metrics::Distribution;

/// Widest spread that counts as synchronized, milliseconds.
pub const SYNCHRONISED_MS: f64 = 100.0;

/// Start figures of a run. A block is one (case, repetition).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StartReport {
    /// Spread of each block that at least two hosts were to begin together, and did, milliseconds.
    pub spread_ms: Distribution,
    /// The largest error of a spread, milliseconds: the two widest clock errors of its block.
    pub bound_ms: Option<f64>,
    /// Per host, its own figures.
    pub hosts: Vec<HostStart>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostStart {
    pub host: HostId,
    /// Start after the planned instant on the host's own clock, milliseconds.
    pub lateness_ms: Distribution,
    /// The clock estimates, in order of time.
    pub clocks: Vec<ClockOffset>,
    /// How far its monotonic clock moved against the coordinator's from the first estimate to the
    /// last, milliseconds; `None` with one estimate.
    pub drift_ms: Option<f64>,
}

impl StartReport {
    /// `None` when no block was begun together by two hosts with known clocks.
    pub fn is_synchronised(&self) -> Option<bool> {
        let widest = self.spread_ms.max()? + self.bound_ms?;
        Some(widest <= SYNCHRONISED_MS)
    }
}

pub fn start_report(hosts: &[HostAnalysis<'_>], mode: StartMode) -> StartReport {
    let mut blocks: BTreeMap<(CaseId, Repetition), Vec<Start>> = BTreeMap::new();
    let mut out = Vec::new();
    for host in hosts {
        let mut clocks = host.record.map(|r| r.clocks.clone()).unwrap_or_default();
        clocks.sort_by_key(|c| c.at);
        let mut lateness = Vec::new();
        for (case, cell) in host.cells() {
            let Some(counted) = cell.counted() else { continue };
            let Some(planned) = counted.planned_start else { continue };
            lateness.push(millis(i128::from(counted.began.0) - i128::from(planned.0)));
            if mode.pace(case) == Pace::Together
                && let Some(start) = Start::of(&clocks, counted.began)
            {
                blocks.entry((case.id.clone(), cell.repetition)).or_default().push(start);
            }
        }
        if !lateness.is_empty() {
            let offset = |clock: &ClockOffset| i128::from(clock.offset_ns);
            let ends = clocks.first().zip(clocks.last()).filter(|_| clocks.len() > 1);
            let drift_ms = ends.map(|(first, last)| millis(offset(last) - offset(first)));
            let lateness_ms = Distribution::new(lateness);
            out.push(HostStart { host: host.host.clone(), lateness_ms, clocks, drift_ms });
        }
    }
    let shared = || blocks.values().filter(|starts| starts.len() > 1);
    let spread = |starts: &Vec<Start>| {
        let at = || starts.iter().map(|s| s.at_ns);
        Some(millis(at().max()? - at().min()?))
    };
    let bound = |starts: &Vec<Start>| {
        let mut errors: Vec<f64> = starts.iter().map(|s| s.error_ms).collect();
        errors.sort_by(f64::total_cmp);
        errors.iter().rev().take(2).sum::<f64>()
    };
    StartReport {
        spread_ms: Distribution::new(shared().filter_map(spread)),
        bound_ms: shared().map(bound).reduce(f64::max),
        hosts: out,
    }
}

/// When a host began a block, on the coordinator's clock.
#[derive(Debug, Clone, Copy)]
struct Start {
    at_ns: i128,
    error_ms: f64,
}

impl Start {
    /// Moves an instant of a host to the coordinator's clock. `None` without an estimate.
    ///
    /// Between two estimates the offset is drawn in a straight line. Next to an estimate it is as
    /// good as that; away from both, a clock whose rate was anything between none and double its
    /// mean is off by no more than the share of the drift from the nearer estimate.
    fn of(clocks: &[ClockOffset], began: MonoNs) -> Option<Self> {
        let (first, last) = (clocks.first()?, clocks.last()?);
        let at = |clock: &ClockOffset| i128::from(clock.at.0);
        let began = i128::from(began.0);
        let total = at(last) - at(first);
        let since = began - i128::from(first.offset_ns) - at(first);
        let share = if total > 0 { (since as f64 / total as f64).clamp(0.0, 1.0) } else { 0.0 };
        let drift = (i128::from(last.offset_ns) - i128::from(first.offset_ns)) as f64;
        let bound = first.bound_ns.max(last.bound_ns) as f64;
        #[expect(clippy::cast_possible_truncation, reason = "a share of a drift that is an i64")]
        let moved = (share * drift) as i128;
        Some(Self {
            at_ns: began - i128::from(first.offset_ns) - moved,
            error_ms: (bound + share.min(1.0 - share) * drift.abs()) / 1e6,
        })
    }
}

fn millis(nanos: i128) -> f64 {
    // Differences of stamps of one run: far below 2^53 ns.
    nanos as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(at_s: u64, offset_ms: i64) -> ClockOffset {
        ClockOffset {
            offset_ns: offset_ms * 1_000_000,
            bound_ns: 100_000,
            wall_offset_ns: 0,
            pings: 32,
            at: MonoNs(at_s * 1_000_000_000),
        }
    }

    #[test]
    fn a_clock_that_drifts_is_followed_and_its_error_is_widest_between_the_estimates() {
        let clocks = [clock(0, 5), clock(100, 45)];
        // Half-way the offset is 25 ms: 50 s and 25 ms of the host are 50 s of the coordinator.
        let start = Start::of(&clocks, MonoNs(50_025_000_000)).unwrap();
        assert!((start.at_ns - 50_000_000_000).abs() < 20_000, "{start:?}");
        assert!((start.error_ms - 20.1).abs() < 0.02, "{start:?}");
        let at_once = Start::of(&clocks, MonoNs(5_000_000)).unwrap();
        assert_eq!((at_once.at_ns, at_once.error_ms), (0, 0.1));
        let one = Start::of(&clocks[..1], MonoNs(50_005_000_000)).unwrap();
        assert_eq!((one.at_ns, one.error_ms), (50_000_000_000, 0.1));
    }
}
