//! When a sweep has shown that the endpoint is saturated.
//!
//! Both rules use the measured requests of one attempt on one host and return the figures behind the
//! decision. They do not apply to attempts that are invalid for another reason: the caller excludes
//! those.

use std::collections::BTreeSet;
use std::time::Duration;

use regatta_types::saturation::Saturation;
use regatta_types::suite::Load;
use regatta_types::time::MonoNs;
use regatta_types::trace::RequestTrace;

use crate::metrics::{
    Distribution, Span, all_busy, arrived, in_flight, least_squares, measured, real, steady_span,
};

/// A level whose output is less than this share above the level before is the last one.
const LEAST_GAIN: f64 = 0.05;

/// The part of an open loop that is evaluated: its last seconds, and the least it must span.
const WINDOW_S: f64 = 120.0;
const SHORTEST_WINDOW_S: f64 = 30.0;

/// The window is cut into this many parts: single requests wait for each other, so that any slope
/// over them would look significant.
const PARTS: u32 = 10;

/// What one level of a sweep says about saturation, without its traces.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepLevel {
    /// Streams that sent anything.
    streams: usize,
    /// Output in the steady window, tokens per second.
    steady: Option<f64>,
    /// Output while all streams were busy, tokens per second.
    busy: Option<f64>,
    overloaded: Option<Saturation>,
}

impl SweepLevel {
    /// Of the traces of one attempt.
    pub fn of(traces: &[RequestTrace]) -> Self {
        let overloaded = overloaded(traces);
        let traces: Vec<&RequestTrace> = measured(traces).collect();
        let sent = traces.iter().filter(|trace| trace.sent.is_some());
        Self {
            streams: sent.map(|trace| trace.stream).collect::<BTreeSet<u32>>().len(),
            steady: steady_span(&traces).ok().and_then(|s| arrived(&traces, s).per_second()),
            busy: all_busy(&traces).and_then(|span| arrived(&traces, span).per_second()),
            overloaded,
        }
    }

    /// Whether its sweep ends with it, and the figures that rests on: at a rate if it is overloaded,
    /// with streams if it is saturated after the level `before`.
    pub fn ends_sweep(&self, load: &Load, before: Option<&Self>) -> Option<Saturation> {
        match load {
            Load::Open { .. } => self.overloaded,
            Load::Closed { .. } => self.saturated_after(before?),
        }
    }

    /// Whether a closed loop gained so little over the level before that it is the last one to
    /// measure: output less than 5 % above.
    ///
    /// Output is that of the steady windows. Where a level has none, because its streams made too few
    /// requests, both outputs are those of the time in which every stream was busy. The whole time of
    /// the attempts is never used: start and drain weigh more the more streams there are. `None` also
    /// when the level did not have more streams at work than the one before, or had no output.
    fn saturated_after(&self, before: &Self) -> Option<Saturation> {
        let steady = self.steady.zip(before.steady);
        let (high, low) = steady.or_else(|| self.busy.zip(before.busy))?;
        let is_last = self.streams > before.streams && low > 0.0 && high < low * (1.0 + LEAST_GAIN);
        is_last.then_some(Saturation::Output {
            streams: [self.streams, before.streams],
            tps: [high, low],
            steady: steady.is_some(),
        })
    }
}

/// Whether requests of an open loop arrived faster than they were answered: both the requests in
/// flight and the time to first token (from the scheduled instant) rose significantly.
///
/// This uses the 120 s before the last scheduled send, without the start (one service time, taken
/// from the first tenth of the requests) and at least 30 s, in ten parts of equal length. "Rose"
/// means that the 95 % t-interval of the slope over the parts is above zero. `None` for a closed loop, and
/// for an attempt that is too short to tell.
fn overloaded(traces: &[RequestTrace]) -> Option<Saturation> {
    let traces: Vec<&RequestTrace> = measured(traces).collect();
    let span = window(&traces)?;
    let (mut flying, mut ttft) = (Vec::new(), Vec::new());
    for part in parts(span) {
        let middle = part.begin.since(span.begin).as_secs_f64() + part.seconds() / 2.0;
        flying.push((middle, in_flight(&traces, part)));
        let due = traces.iter().filter(|t| t.scheduled.is_some_and(|at| part.contains(at)));
        let waits = due.filter_map(|t| t.ttft_sched()).collect::<Vec<f64>>();
        if !waits.is_empty() {
            ttft.push((middle, waits.iter().sum::<f64>() / real(waits.len())));
        }
    }
    let rises =
        |points: &[(f64, f64)]| least_squares(points, 0.95).is_some_and(|slope| slope.low > 0.0);
    if !rises(&flying) || !rises(&ttft) {
        return None;
    }
    let ends = |points: &[(f64, f64)]| Some([points.first()?.1, points.last()?.1]);
    let (in_flight, ttft_s) = (ends(&flying)?, ends(&ttft)?);
    Some(Saturation::Overload { seconds: span.seconds(), in_flight, ttft_s })
}

/// The part of an open loop that is evaluated.
fn window(traces: &[&RequestTrace]) -> Option<Span> {
    let mut due: Vec<(MonoNs, Option<f64>)> =
        traces.iter().filter_map(|t| Some((t.scheduled?, t.e2e()))).collect();
    due.sort_by_key(|(at, _)| *at);
    let (first, last) = (due.first()?.0, due.last()?.0);
    let early = due.iter().take(due.len().div_ceil(10)).filter_map(|(_, e2e)| *e2e);
    let service = Distribution::new(early).median().unwrap_or(0.0);
    let length = (last.since(first).as_secs_f64() - service).min(WINDOW_S);
    let nanos = Duration::try_from_secs_f64(length).ok()?.as_nanos();
    let begin = last.0.checked_sub(u64::try_from(nanos).ok()?)?;
    (length >= SHORTEST_WINDOW_S).then_some(Span { begin: MonoNs(begin), end: last })
}

fn parts(span: Span) -> impl Iterator<Item = Span> {
    let length = span.end.since(span.begin) / PARTS;
    (0..PARTS).map(move |part| {
        let begin = span.begin.after(length * part);
        Span { begin, end: begin.after(length) }
    })
}

#[cfg(test)]
mod tests;
