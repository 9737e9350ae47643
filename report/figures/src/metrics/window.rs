//! The parts of an attempt that its figures are taken over, and the system's output in them.

use std::collections::BTreeMap;
use std::time::Duration;

use regatta_types::suite::Slo;
use regatta_types::time::MonoNs;
use regatta_types::trace::RequestTrace;
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::slo::is_good;
use super::{Rate, count, is_streamed, real};
use crate::absent::{Absent, Figure};

/// From one instant to a later one, on one host's monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub begin: MonoNs,
    pub end: MonoNs,
}

impl Span {
    fn new(begin: MonoNs, end: MonoNs) -> Option<Self> {
        (begin < end).then_some(Self { begin, end })
    }

    pub fn seconds(self) -> f64 {
        self.end.since(self.begin).as_secs_f64()
    }

    pub fn contains(self, at: MonoNs) -> bool {
        self.begin <= at && at <= self.end
    }
}

/// From the first send plus one mean service time to the last send (closed loop) or the last
/// scheduled send (open loop): what comes before is the start, what comes after the drain. Less
/// than half a mean service time is too short to mean anything.
///
/// # Errors
/// Why there is no such part.
pub fn steady_span(traces: &[&RequestTrace]) -> Figure<Span> {
    let streamed = || traces.iter().copied().filter(|trace| is_streamed(trace));
    let n = streamed().count();
    if n < 3 {
        return Err(Absent::FewerThanThreeRequests);
    }
    let first = traces.iter().filter_map(|t| t.t_send()).min().ok_or(Absent::NothingSent)?;
    let last = traces.iter().filter_map(|t| t.t_due()).max().ok_or(Absent::NothingSent)?;
    let service: f64 = streamed().filter_map(RequestTrace::e2e).sum::<f64>() / real(n);
    let begin = first.after(Duration::try_from_secs_f64(service).unwrap_or_default());
    let span = Span::new(begin, last).filter(|span| span.seconds() >= service / 2.0);
    span.ok_or(Absent::NoSteadyPart)
}

/// The part of a closed loop in which every stream was busy: from the last stream's first send to
/// the end of the first stream that had nothing more to send. `None` for an open loop.
pub fn all_busy(traces: &[&RequestTrace]) -> Option<Span> {
    let mut streams: BTreeMap<u32, (MonoNs, MonoNs)> = BTreeMap::new();
    for trace in traces {
        if trace.scheduled.is_some() {
            return None;
        }
        let Some((sent, end)) = trace.t_send().zip(ended(trace)) else { continue };
        let stream = streams.entry(trace.stream).or_insert((sent, end));
        *stream = (stream.0.min(sent), stream.1.max(end));
    }
    let begin = streams.values().map(|stream| stream.0).max()?;
    let end = streams.values().map(|stream| stream.1).min()?;
    Span::new(begin, end)
}

/// When nothing more came.
pub fn ended(trace: &RequestTrace) -> Option<MonoNs> {
    trace.done.or_else(|| trace.t_last()).or_else(|| trace.t_send())
}

/// Requests in flight in `span`, as a mean over its time.
pub fn in_flight(traces: &[&RequestTrace], span: Span) -> f64 {
    overlap(traces, span, |trace| trace.t_send().zip(ended(trace))) / span.seconds()
}

/// Seconds of a part of each request that lie in `span`, summed.
fn overlap(
    traces: &[&RequestTrace],
    span: Span,
    part: fn(&RequestTrace) -> Option<(MonoNs, MonoNs)>,
) -> f64 {
    let inside = |(begin, end): (MonoNs, MonoNs)| {
        end.min(span.end).since(begin.max(span.begin)).as_secs_f64()
    };
    traces.iter().filter_map(|trace| part(trace)).map(inside).sum()
}

/// What came in the steady windows of one attempt or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Steady {
    /// Output of all streams together: tokens that arrived in the window, over its length. Tokens
    /// count when they arrive, so requests cut by an edge count pro rata.
    pub output: Rate,
    /// Requests that were sent in it.
    pub sent: u32,
    /// Successes whose last token arrived in it.
    pub ended: u32,
    /// Those of them that kept every limit; `None` where there is no limit.
    pub good: Option<u32>,
    /// Seconds that its streams were in decode, summed over the streams.
    pub decode_s: f64,
}

impl Steady {
    /// The steady window of one attempt.
    pub fn of(traces: &[&RequestTrace], slo: &Slo) -> Figure<Self> {
        let span = steady_span(traces)?;
        let inside = |at: Option<MonoNs>| at.is_some_and(|at| span.contains(at));
        let ended = || traces.iter().filter(|t| t.is_ok() && inside(t.t_last()));
        let good = || count(ended().filter(|t| is_good(slo, t) == Some(true)).count());
        Ok(Self {
            output: arrived(traces, span),
            sent: count(traces.iter().filter(|t| inside(t.t_send())).count()),
            ended: count(ended().count()),
            good: slo.is_set().then(good),
            decode_s: overlap(traces, span, |trace| trace.t_first().zip(trace.t_last())),
        })
    }

    pub fn and(mut self, other: Self) -> Self {
        self.output.add((other.output.tokens, other.output.seconds));
        self.sent += other.sent;
        self.ended += other.ended;
        self.good = self.good.map_or(other.good, |good| Some(good + other.good.unwrap_or(0)));
        self.decode_s += other.decode_s;
        self
    }

    /// Sends a second.
    pub fn send_rate(&self) -> Option<f64> {
        self.per_second(self.sent)
    }

    /// Successes a second.
    pub fn request_rate(&self) -> Option<f64> {
        self.per_second(self.ended)
    }

    /// Goodput: requests per second that meet the SLO.
    pub fn goodput(&self) -> Option<f64> {
        self.per_second(self.good?)
    }

    /// Streams in decode, as a mean over the time.
    pub fn decoding(&self) -> Option<f64> {
        (self.output.seconds > 0.0).then(|| self.decode_s / self.output.seconds)
    }

    fn per_second(&self, n: u32) -> Option<f64> {
        (self.output.seconds > 0.0).then(|| f64::from(n) / self.output.seconds)
    }
}

impl Serialize for Steady {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("Steady", 9)?;
        out.serialize_field("tokens", &self.output.tokens)?;
        out.serialize_field("seconds", &self.output.seconds)?;
        out.serialize_field("tps", &self.output.per_second())?;
        out.serialize_field("send_rate", &self.send_rate())?;
        out.serialize_field("requests", &self.ended)?;
        out.serialize_field("request_rate", &self.request_rate())?;
        out.serialize_field("good_requests", &self.good)?;
        out.serialize_field("goodput", &self.goodput())?;
        out.serialize_field("decoding_streams", &self.decoding())?;
        out.end()
    }
}

/// Tokens that arrived in `span`, over its length.
pub fn arrived(traces: &[&RequestTrace], span: Span) -> Rate {
    let streamed = traces.iter().filter(|trace| is_streamed(trace));
    let chunks = streamed.flat_map(|t| t.chunks.iter().zip(t.chunk_tokens()));
    let inside = chunks.filter(|(chunk, _)| span.contains(chunk.at));
    Rate { tokens: inside.map(|(_, tokens)| tokens).sum(), seconds: span.seconds() }
}
