//! When a sweep has shown that the endpoint is saturated.
//!
//! Both rules use the measured requests of one attempt on one host and return the figures behind the
//! decision.

use std::collections::BTreeSet;
use std::time::Duration;

use regatta_types::failure::{Failure, FailureKind};
use regatta_types::saturation::Saturation;
use regatta_types::suite::Load;
use regatta_types::time::MonoNs;
use regatta_types::trace::{Outcome, RequestTrace};
use regatta_types::validity::FindingCode;
use serde::Serialize;

use crate::metrics::{
    Distribution, Span, all_busy, arrived, ended, in_flight, least_squares, measured, real,
    steady_span,
};

/// A level whose output is less than this share above the level before is the last one.
const LEAST_GAIN: f64 = 0.05;

/// The part of an open loop that is evaluated: its last seconds, and the least it must span.
const WINDOW_S: f64 = 120.0;
const SHORTEST_WINDOW_S: f64 = 30.0;

/// Sends later than this, more than 1 % of them, are the client's fault and no sign of load.
const SEND_LATE_S: f64 = 0.05;

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
    /// As an open loop.
    open: LevelVerdict,
}

/// Whether a level is saturated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LevelVerdict {
    Saturated(Saturation),
    NotSaturated,
    Unjudged(Unjudged),
}

/// Why a level cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unjudged {
    /// No attempt counts.
    Missing,
    /// The attempts are invalid.
    Invalid,
    /// An open loop of less than 30 s.
    Short,
    /// A closed loop whose streams were never all busy.
    NoOutput,
    /// No lower level with fewer busy streams to compare a closed loop with.
    NothingBelow,
}

impl SweepLevel {
    /// Of the traces of one attempt, with the findings that make it invalid. `None` if it decides
    /// nothing. What overload itself causes does not keep an open loop from being judged: requests
    /// that were dropped since too many were in flight, and answers that become slower.
    pub fn of<'f>(
        traces: &[RequestTrace],
        invalid: impl IntoIterator<Item = &'f FindingCode>,
    ) -> Option<Self> {
        let traces: Vec<&RequestTrace> = measured(traces).collect();
        let is_open = traces.iter().any(|trace| trace.scheduled.is_some());
        let is_dropping = || {
            let late = |t: &&&RequestTrace| t.send_lateness().is_some_and(|s| s > SEND_LATE_S);
            let dropped = traces.iter().any(|trace| trace.outcome == Outcome::NotSent);
            dropped && traces.iter().filter(late).count() * 100 <= traces.len()
        };
        let is_overload = |code: &FindingCode| {
            *code == FindingCode::Drifting || *code == FindingCode::ClientLimited && is_dropping()
        };
        let mut invalid = invalid.into_iter().peekable();
        let is_valid = invalid.peek().is_none();
        if !is_valid && (!is_open || !invalid.all(is_overload)) {
            return None;
        }
        let sent = traces.iter().filter(|trace| trace.sent.is_some());
        let open = open_loop(&traces);
        let is_open_invalid = !is_valid && open == LevelVerdict::NotSaturated;
        let invalid = LevelVerdict::Unjudged(Unjudged::Invalid);
        Some(Self {
            streams: sent.map(|trace| trace.stream).collect::<BTreeSet<u32>>().len(),
            steady: steady_span(&traces).ok().and_then(|s| arrived(&traces, s).per_second()),
            busy: all_busy(&traces).and_then(|span| arrived(&traces, span).per_second()),
            open: if is_open_invalid { invalid } else { open },
        })
    }

    /// Whether its sweep ends with it: at a rate if it is overloaded, with streams if it is
    /// saturated after the level `before`.
    pub fn verdict(&self, load: &Load, before: Option<&Self>) -> LevelVerdict {
        match load {
            Load::Open { .. } => self.open,
            Load::Closed { .. } => self.after(before),
        }
    }

    /// Whether a closed loop gained so little over the level before that it is the last one to
    /// measure: output less than 5 % above.
    ///
    /// Output is that of the steady windows. Where a level has none, because its streams made too few
    /// requests, both outputs are those of the time in which every stream was busy. The whole time of
    /// the attempts is never used: start and drain weigh more the more streams there are.
    fn after(&self, before: Option<&Self>) -> LevelVerdict {
        let Some(before) = before.filter(|before| self.streams > before.streams) else {
            return LevelVerdict::Unjudged(Unjudged::NothingBelow);
        };
        let steady = self.steady.zip(before.steady);
        let output = steady.or_else(|| self.busy.zip(before.busy));
        let Some((high, low)) = output.filter(|(_, low)| *low > 0.0) else {
            return LevelVerdict::Unjudged(Unjudged::NoOutput);
        };
        if high >= low * (1.0 + LEAST_GAIN) {
            return LevelVerdict::NotSaturated;
        }
        LevelVerdict::Saturated(Saturation::Output {
            streams: [self.streams, before.streams],
            tps: [high, low],
            steady: steady.is_some(),
        })
    }
}

/// Whether requests of an open loop arrived faster than they were answered. Without signs of that,
/// less than 30 s are too short to say that they did not.
fn open_loop(traces: &[&RequestTrace]) -> LevelVerdict {
    let Some(span) = window(traces) else { return LevelVerdict::Unjudged(Unjudged::Short) };
    let is_short = span.seconds() < SHORTEST_WINDOW_S;
    let growing = if is_short { None } else { overload(traces, span) };
    match growing.or_else(|| backlog(traces, span)) {
        Some(saturation) => LevelVerdict::Saturated(saturation),
        None if is_short => LevelVerdict::Unjudged(Unjudged::Short),
        None => LevelVerdict::NotSaturated,
    }
}

/// Whether both the requests in flight and the time to first token (from the scheduled instant)
/// rose significantly: the 95 % t-interval of the slope over ten equal parts is above zero.
fn overload(traces: &[&RequestTrace], span: Span) -> Option<Saturation> {
    let (mut flying, mut ttft) = (Vec::new(), Vec::new());
    for part in parts(span) {
        let middle = part.begin.since(span.begin).as_secs_f64() + part.seconds() / 2.0;
        flying.push((middle, in_flight(traces, part)));
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

/// Whether clearly fewer requests were completed than offered in the second half of the span: by
/// more than three standard errors of the difference of two Poisson counts. By then, what grows only
/// while the engine fills its batches no longer does.
fn backlog(traces: &[&RequestTrace], span: Span) -> Option<Saturation> {
    let half = Span { begin: span.begin.after(span.end.since(span.begin) / 2), end: span.end };
    let within = |at: Option<MonoNs>| at.is_some_and(|at| half.contains(at));
    let count = |is: &dyn Fn(&RequestTrace) -> bool| traces.iter().filter(|t| is(t)).count();
    let offered = real(count(&|t| within(t.scheduled)));
    let completed = real(count(&|t| is_served(t) && within(ended(t))));
    let flying = |at: MonoNs| {
        count(&|t| t.t_send().is_some_and(|sent| sent <= at) && ended(t).is_some_and(|e| e > at))
    };
    let is_behind = offered - completed > 3.0 * (offered + completed).sqrt();
    // An engine that answers nothing is broken, not saturated.
    (is_behind && completed > 0.0).then(|| Saturation::Backlog {
        seconds: half.seconds(),
        per_second: [offered, completed].map(|n| n / half.seconds()),
        in_flight: [half.begin, half.end].map(flying),
    })
}

/// Whether a request was completed, if only by an error that says nothing about load.
fn is_served(trace: &RequestTrace) -> bool {
    match &trace.outcome {
        Outcome::Ok => true,
        Outcome::Failed(Failure { kind, http_status, .. }) => {
            let timed_out = matches!(
                kind,
                FailureKind::ConnectTimeout
                    | FailureKind::FirstTokenTimeout
                    | FailureKind::ChunkTimeout
                    | FailureKind::RequestTimeout
            );
            !timed_out && !matches!(http_status, Some(429 | 503))
        }
        Outcome::Cancelled | Outcome::NotSent => false,
    }
}

/// The part of an open loop that is evaluated: the 120 s before the last scheduled send, without the
/// start (one service time, taken from the first tenth of the requests).
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
    (nanos > 0).then_some(Span { begin: MonoNs(begin), end: last })
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
