//! The figures of a set of requests: one attempt's, one case's or one host's.

use std::collections::BTreeMap;

use regatta_types::failure::FailureKind;
use regatta_types::suite::Load;
use regatta_types::trace::{FinishReason, Outcome, RequestTrace};
use serde::{Serialize, Serializer};

use super::{Distribution, Tokens, Weighted, count};

/// Everything that is derived from a set of measured requests. Only successes enter latencies and
/// speeds; requests whose stream was buffered on its way enter no figure of the stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    pub requests: Requests,
    pub tokens: Tokens,
    /// Time to first token, seconds.
    pub ttft_s: Distribution,
    /// The same from the scheduled instant; open loops only.
    pub ttft_sched_s: Distribution,
    /// Time to first answer token, seconds.
    pub ttfa_s: Distribution,
    /// Send to last token, seconds.
    pub e2e_s: Distribution,
    /// The same from the scheduled instant; open loops only.
    pub e2e_sched_s: Distribution,
    /// Send to the end of the response, seconds, where that came over 50 ms after the last token.
    pub e2e_done_s: Distribution,
    /// Scheduled instant to send, seconds, of every request that was sent; open loops only.
    pub send_lateness_s: Distribution,
    /// Decode tokens over decode seconds, summed over the requests.
    pub decode: Rate,
    /// Decode speed of each request, tokens per second.
    pub decode_tps: Distribution,
    /// Time per output token of each request, seconds.
    pub tpot_s: Distribution,
    /// Completion tokens over end-to-end seconds, summed over the requests.
    pub e2e: Rate,
    /// Inter-token latency, seconds, weighted by tokens.
    pub inter_token_s: Weighted,
    /// Gaps between the chunks of a request as they came, seconds: what a reader sees as stutter.
    pub chunk_gap_s: Weighted,
}

/// The end of a response is reported if it is later than this after the last token.
const LATE_END_S: f64 = 0.05;

/// How requests ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    pub ok: u32,
    pub failed: BTreeMap<FailureKind, u32>,
    /// Stopped by us.
    pub cancelled: u32,
    /// Never sent.
    pub not_sent: u32,
    /// Successes with a natural end.
    pub stopped: u32,
    /// Successes cut by `max_tokens` or the context.
    pub truncated: u32,
    /// Successes with any other finish reason.
    pub other_finish: u32,
    /// Successes whose stream was buffered on its way.
    pub buffered: u32,
    /// Successes whose chunks were joined on their way.
    pub coalesced: u32,
    /// Successes with tokens that did not arrive.
    pub hidden: u32,
}

impl Requests {
    pub fn failures(&self) -> u32 {
        self.failed.values().sum()
    }

    /// `failed / (ok + failed)`; `None` without either. What was cancelled or not sent is apart.
    pub fn error_rate(&self) -> Option<f64> {
        let ended = self.ok + self.failures();
        (ended > 0).then(|| f64::from(self.failures()) / f64::from(ended))
    }

    /// Successes that were cut, as a share of all; `None` without a success.
    pub fn truncated_share(&self) -> Option<f64> {
        (self.ok > 0).then(|| f64::from(self.truncated) / f64::from(self.ok))
    }

    /// Whether the chunks of most answers were joined on their way.
    pub fn is_coalesced(&self) -> bool {
        2 * self.coalesced > self.ok
    }

    /// Whether most answers have tokens that did not arrive.
    pub fn is_hidden(&self) -> bool {
        2 * self.hidden > self.ok
    }

    pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut out = Self::default();
        for part in parts {
            // Every field by name, so that none is forgotten.
            let Self {
                ok,
                failed,
                cancelled,
                not_sent,
                stopped,
                truncated,
                other_finish,
                buffered,
                coalesced,
                hidden,
            } = part;
            out.ok += ok;
            for (&kind, n) in failed {
                *out.failed.entry(kind).or_default() += n;
            }
            out.cancelled += cancelled;
            out.not_sent += not_sent;
            out.stopped += stopped;
            out.truncated += truncated;
            out.other_finish += other_finish;
            out.buffered += buffered;
            out.coalesced += coalesced;
            out.hidden += hidden;
        }
        out
    }

    /// Counts a request in everything but how its stream came.
    fn add(&mut self, trace: &RequestTrace) {
        match &trace.outcome {
            Outcome::Ok => {
                self.ok += 1;
                match &trace.finish_reason {
                    Some(FinishReason::Stop) => self.stopped += 1,
                    Some(FinishReason::Length) => self.truncated += 1,
                    Some(FinishReason::ToolCalls | FinishReason::Other(_)) | None => {
                        self.other_finish += 1;
                    }
                }
            }
            Outcome::Failed(failure) => *self.failed.entry(failure.kind).or_default() += 1,
            Outcome::Cancelled => self.cancelled += 1,
            Outcome::NotSent => self.not_sent += 1,
        }
    }
}

/// Tokens over seconds, as two sums.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rate {
    pub tokens: f64,
    pub seconds: f64,
}

impl Rate {
    /// Tokens per second; `None` without any time.
    pub fn per_second(self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.tokens / self.seconds)
    }

    pub fn add(&mut self, (tokens, seconds): (f64, f64)) {
        self.tokens += tokens;
        self.seconds += seconds;
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (tokens, seconds) = (Some(self.tokens), Some(self.seconds));
        let tps = self.per_second();
        serializer.collect_map([("tokens", tokens), ("seconds", seconds), ("tps", tps)])
    }
}

impl Figures {
    /// The figures of `traces`, which must not include warm-up.
    pub fn of<'a>(traces: impl IntoIterator<Item = &'a RequestTrace>) -> Self {
        let traces: Vec<&RequestTrace> = traces.into_iter().collect();
        let ok: Vec<&RequestTrace> = traces.iter().copied().filter(|t| t.is_ok()).collect();
        let streamed: Vec<&RequestTrace> =
            ok.iter().copied().filter(|t| !t.is_buffered()).collect();
        let of = |traces: &[&RequestTrace], value: fn(&RequestTrace) -> Option<f64>| {
            Distribution::new(traces.iter().filter_map(|trace| value(trace)))
        };
        let decode: Vec<(f64, f64)> = streamed.iter().filter_map(|t| t.decode_span()).collect();
        // Where some answers contain their reasoning, one without its end may be all reasoning.
        let is_inline = ok.iter().any(|trace| trace.inline_reasoning);
        let ttfa = |trace: &&&RequestTrace| !is_inline || trace.inline_reasoning;
        let ttfa = streamed.iter().filter(ttfa).filter_map(|trace| trace.ttfa());
        let mut out = Self {
            ttft_s: of(&streamed, RequestTrace::ttft),
            ttft_sched_s: of(&streamed, RequestTrace::ttft_sched),
            ttfa_s: Distribution::new(ttfa),
            e2e_s: of(&ok, RequestTrace::e2e),
            e2e_sched_s: of(&ok, RequestTrace::e2e_sched),
            e2e_done_s: of(&ok, late_end),
            send_lateness_s: of(&traces, RequestTrace::send_lateness),
            decode_tps: Distribution::new(decode.iter().map(|(tokens, seconds)| tokens / seconds)),
            tpot_s: Distribution::new(decode.iter().map(|(tokens, seconds)| seconds / tokens)),
            chunk_gap_s: of_chunks(&streamed, |trace, all| {
                all.extend(trace.chunk_gaps().map(|gap| (gap.as_secs_f64(), 1.0)));
            }),
            ..Self::default()
        };
        traces.iter().for_each(|trace| out.requests.add(trace));
        out.requests.buffered = count(ok.len() - streamed.len());
        out.requests.coalesced = count(streamed.iter().filter(|t| t.is_coalesced()).count());
        out.requests.hidden = count(ok.iter().filter(|t| t.hidden_tokens().is_some()).count());
        for trace in &ok {
            out.tokens.add(trace);
            trace.completion_tokens().zip(trace.e2e()).into_iter().for_each(|r| out.e2e.add(r));
        }
        decode.into_iter().for_each(|span| out.decode.add(span));
        // The same with one token a read, and sorting them is most of the work.
        let one_each = |trace: &&RequestTrace| {
            trace.chunk_tokens().skip(1).all(|k| k == 1.0)
                && trace.reads().count() == trace.chunks.len()
        };
        out.inter_token_s = if streamed.iter().all(one_each) {
            out.chunk_gap_s.clone()
        } else {
            of_chunks(&streamed, |trace, all| all.extend(trace.inter_token()))
        };
        out
    }

    /// The figures of all requests of several attempts whose values are not released yet. The result
    /// has no values of chunks.
    pub fn sum(parts: &[&Self]) -> Self {
        let rate = |of: fn(&Self) -> Rate| {
            let mut sum = Rate::default();
            parts.iter().map(|part| of(part)).for_each(|r| sum.add((r.tokens, r.seconds)));
            sum
        };
        let values =
            |of: fn(&Self) -> &Distribution| Distribution::sum(parts.iter().map(|part| of(part)));
        let weighted =
            |of: fn(&Self) -> &Weighted| Weighted::sum(parts.iter().map(|part| of(part)));
        Self {
            requests: Requests::sum(parts.iter().map(|part| &part.requests)),
            tokens: Tokens::sum(parts.iter().map(|part| &part.tokens)),
            ttft_s: values(|f| &f.ttft_s),
            ttft_sched_s: values(|f| &f.ttft_sched_s),
            ttfa_s: values(|f| &f.ttfa_s),
            e2e_s: values(|f| &f.e2e_s),
            e2e_sched_s: values(|f| &f.e2e_sched_s),
            e2e_done_s: values(|f| &f.e2e_done_s),
            send_lateness_s: values(|f| &f.send_lateness_s),
            decode: rate(|f| f.decode),
            decode_tps: values(|f| &f.decode_tps),
            tpot_s: values(|f| &f.tpot_s),
            e2e: rate(|f| f.e2e),
            inter_token_s: weighted(|f| &f.inter_token_s),
            chunk_gap_s: weighted(|f| &f.chunk_gap_s),
        }
    }

    /// Frees the values of the chunks, which only [`Self::sum`] needs.
    pub fn release(&mut self) {
        self.inter_token_s.release();
        self.chunk_gap_s.release();
    }

    /// Time to first token as reported: from the scheduled instant in an open loop.
    pub fn first_token(&self, load: &Load) -> &Distribution {
        told(load, &self.ttft_s, &self.ttft_sched_s)
    }

    /// End-to-end latency as reported: from the scheduled instant in an open loop.
    pub fn end_to_end(&self, load: &Load) -> &Distribution {
        told(load, &self.e2e_s, &self.e2e_sched_s)
    }
}

/// Which of two times is reported: in an open loop the one from the scheduled instant.
pub(super) fn told<T>(load: &Load, from_send: T, from_schedule: T) -> T {
    match load {
        Load::Closed { .. } => from_send,
        Load::Open { .. } => from_schedule,
    }
}

/// Send to the end of the response, where that came late.
fn late_end(trace: &RequestTrace) -> Option<f64> {
    trace.e2e_done().filter(|done| trace.e2e().is_some_and(|last| done - last > LATE_END_S))
}

/// Of at most one value a chunk, which `add` takes out of a trace.
fn of_chunks(
    traces: &[&RequestTrace],
    add: impl Fn(&RequestTrace, &mut Vec<(f64, f64)>),
) -> Weighted {
    let mut values = Vec::with_capacity(traces.iter().map(|trace| trace.chunks.len()).sum());
    traces.iter().for_each(|trace| add(trace, &mut values));
    Weighted::of(values)
}

/// Whether the request has streaming figures: a success whose stream was not buffered.
pub fn is_streamed(trace: &RequestTrace) -> bool {
    trace.is_ok() && !trace.is_buffered()
}
