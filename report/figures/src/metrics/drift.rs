//! Whether decode speed stayed the same from the first to the last request of an attempt.

use std::collections::BTreeMap;
use std::time::Duration;

use regatta_types::time::MonoNs;
use regatta_types::trace::RequestTrace;
use serde::Serialize;

use super::window::{Span, all_busy, in_flight, steady_span};
use super::{Change, Distribution, Effect, Estimate as _, is_streamed, real, theil_sen};
use crate::absent::{Absent, Figure};

/// Fewest blocks: three in each quarter.
const MIN_BLOCKS: usize = 12;

/// Most blocks; more are put together, so that the pairs of Theil and Sen stay few.
const MAX_BLOCKS: usize = 200;

/// Confidence level. An attempt is discarded on this, so one false alarm in twenty is too many.
const LEVEL: f64 = 0.99;

/// A change up to this share is treated as none.
const MARGIN: f64 = 0.02;

/// Change of decode speed within an attempt. Changes are shares: -0.03 is 3 % slower.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Drift {
    /// Requests that it is computed from.
    pub requests: usize,
    /// Blocks of requests that were in flight together.
    pub blocks: usize,
    /// The last quarter of the blocks against the first, by the means of their logarithms.
    pub change: f64,
    /// Welch's 99 % interval of it.
    pub change_ci99: (f64, f64),
    /// Theil and Sen's slope over all blocks, share of the median a minute.
    pub slope_per_minute: f64,
    /// Its 99 % interval.
    pub slope_ci99: (f64, f64),
}

impl Drift {
    /// Drift of an attempt's decode speed.
    ///
    /// Only requests between ramp-up and drain count, when the full load is in flight. They are
    /// grouped into blocks of as many as are in flight at once, because those affect each other; the
    /// value of a block is the median of its requests. Later turns of a conversation are slower
    /// because their prompts are longer, so each turn is compared with its own median.
    pub fn of(traces: &[&RequestTrace]) -> Figure<Self> {
        let span = all_busy(traces).map_or_else(|| steady_span(traces), Ok)?;
        let whole = inside(traces, span);
        let (points, size) = blocks(&whole, in_flight(traces, span));
        if points.len() < MIN_BLOCKS {
            let needed = MIN_BLOCKS * size;
            return Err(Absent::TooFewRequests { got: whole.len(), needed });
        }
        let quarter = points.len() / 4;
        let logs = |points: &[(f64, f64)]| points.iter().map(|p| p.1.ln()).collect::<Vec<_>>();
        let first = Effect::of(&logs(&points[..quarter]));
        let last = Effect::of(&logs(&points[points.len() - quarter..]));
        let change = first.zip(last).map(|(before, after)| Change { before, after });
        let found = theil_sen(&points, LEVEL).zip(change);
        let (slope, change) = found.ok_or(Absent::NoOrderInTime)?;
        let (low, high) = change.t_interval(LEVEL);
        let middle = Distribution::new(points.iter().map(|p| p.1)).median().unwrap_or(1.0);
        let a_minute = |slope: f64| slope / middle * 60.0;
        Ok(Self {
            requests: whole.len(),
            blocks: points.len(),
            change: change.mean().exp_m1(),
            change_ci99: (low.exp_m1(), high.exp_m1()),
            slope_per_minute: a_minute(slope.value),
            slope_ci99: (a_minute(slope.low), a_minute(slope.high)),
        })
    }

    /// Whether the attempt drifted: a change of over 2 %, with both intervals on the same side of
    /// zero.
    pub fn is_drifting(&self) -> bool {
        let rises = self.change_ci99.0 > 0.0 && self.slope_ci99.0 > 0.0;
        let falls = self.change_ci99.1 < 0.0 && self.slope_ci99.1 < 0.0;
        self.change.abs() > MARGIN && (rises || falls)
    }
}

/// Decode speed by send instant of the requests that lie wholly in `span`, in order of time.
fn inside(traces: &[&RequestTrace], span: Span) -> Vec<(MonoNs, f64)> {
    let mut of_turn: BTreeMap<Option<u32>, Vec<(MonoNs, f64)>> = BTreeMap::new();
    for trace in traces.iter().filter(|trace| is_streamed(trace)) {
        let Some((sent, last)) = trace.t_send().zip(trace.t_last()) else { continue };
        let Some(speed) = trace.decode_tps() else { continue };
        if span.contains(sent) && span.contains(last) {
            of_turn.entry(trace.turn).or_default().push((sent, speed));
        }
    }
    let mut out = Vec::new();
    for speeds in of_turn.into_values() {
        let middle = Distribution::new(speeds.iter().map(|s| s.1)).median().unwrap_or(1.0);
        out.extend(speeds.into_iter().map(|(at, speed)| (at, speed / middle)));
    }
    out.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    out
}

/// Medians of consecutive blocks by time in seconds, and how many requests a block has.
fn blocks(whole: &[(MonoNs, f64)], in_flight: f64) -> (Vec<(f64, f64)>, usize) {
    let together = (1..).find(|&n| real(n) + 0.5 > in_flight).unwrap_or(1);
    let size = together.max(whole.len().div_ceil(MAX_BLOCKS)).max(1);
    let Some(begin) = whole.first().map(|first| first.0) else { return (Vec::new(), size) };
    let point = |block: &[(MonoNs, f64)]| {
        let since = block.iter().map(|(at, _)| at.since(begin)).sum::<Duration>();
        let speed = Distribution::new(block.iter().map(|b| b.1)).median()?;
        Some((since.as_secs_f64() / real(block.len()), speed))
    };
    (whole.chunks_exact(size).filter_map(point).collect(), size)
}

#[cfg(test)]
mod tests;
