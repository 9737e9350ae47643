//! The figures of a set of requests: one attempt's, one case's or one host's.

use std::collections::BTreeMap;
use std::time::Duration;

use regatta_types::failure::FailureKind;
use regatta_types::trace::{FinishReason, Outcome, RequestTrace};
use serde::{Serialize, Serializer};

use super::{Distribution, Tokens, Weighted};

/// Everything that is derived from a set of measured requests. Only successes enter latencies and
/// speeds; requests whose stream was buffered on its way enter neither TTFT nor decode speed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// How the requests ended.
    pub(crate) requests: Requests,
    /// Token counts over the successes.
    pub(crate) tokens: Tokens,
    /// Time to first token, seconds.
    pub(crate) ttft_s: Distribution,
    /// Time to first answer token, seconds.
    pub(crate) ttfa_s: Distribution,
    /// Send to last token, seconds.
    pub(crate) e2e_s: Distribution,
    /// Decode tokens over decode seconds, summed over the requests.
    pub(crate) decode: Rate,
    /// Decode speed of each request, tokens per second.
    pub(crate) decode_tps: Distribution,
    /// Completion tokens over end-to-end seconds, summed over the requests.
    pub(crate) e2e: Rate,
    /// Inter-token latency, seconds, weighted by tokens.
    pub(crate) inter_token_s: Weighted,
    /// The longest gap between two chunks of one request, seconds.
    pub(crate) longest_gap_s: Option<f64>,
}

/// How requests ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Requests {
    /// Successes.
    pub(crate) ok: u32,
    /// Failures by kind.
    pub(crate) failed: BTreeMap<FailureKind, u32>,
    /// Stopped by us.
    pub(crate) cancelled: u32,
    /// Never sent.
    pub(crate) not_sent: u32,
    /// Successes that ended by themselves.
    pub(crate) stopped: u32,
    /// Successes cut by `max_tokens` or the context.
    pub(crate) truncated: u32,
    /// Successes with any other finish reason.
    pub(crate) other_finish: u32,
    /// Successes whose stream was buffered on its way.
    pub(crate) buffered: u32,
}

impl Requests {
    pub(crate) fn failures(&self) -> u32 {
        self.failed.values().sum()
    }

    /// How `traces` ended.
    pub(crate) fn of<'a>(traces: impl IntoIterator<Item = &'a RequestTrace>) -> Self {
        let mut out = Self::default();
        traces.into_iter().for_each(|trace| out.add(trace));
        out
    }

    fn add(&mut self, trace: &RequestTrace) {
        match &trace.outcome {
            Outcome::Ok => {
                self.ok += 1;
                self.buffered += u32::from(trace.is_buffered());
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
pub(crate) struct Rate {
    /// Tokens.
    pub(crate) tokens: f64,
    /// Seconds.
    pub(crate) seconds: f64,
}

impl Rate {
    /// Tokens per second; `None` without any time.
    pub(crate) fn per_second(self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.tokens / self.seconds)
    }

    pub(crate) fn add(&mut self, (tokens, seconds): (f64, f64)) {
        self.tokens += tokens;
        self.seconds += seconds;
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written {
            tokens: f64,
            seconds: f64,
            tps: Option<f64>,
        }
        let written =
            Written { tokens: self.tokens, seconds: self.seconds, tps: self.per_second() };
        written.serialize(serializer)
    }
}

impl Figures {
    /// The figures of `traces`; warm-up must already be left out.
    pub(crate) fn of<'a>(traces: impl IntoIterator<Item = &'a RequestTrace>) -> Self {
        let mut out = Self::default();
        let (mut ttft, mut ttfa, mut e2e) = (Vec::new(), Vec::new(), Vec::new());
        let (mut decode, mut inter_token) = (Vec::new(), Vec::new());
        for trace in traces {
            out.requests.add(trace);
            if !trace.is_ok() {
                continue;
            }
            out.tokens.add(trace);
            e2e.extend(trace.e2e());
            if let (Some(tokens), Some(seconds)) = (trace.completion_tokens(), trace.e2e()) {
                out.e2e.add((tokens, seconds));
            }
            if !is_streamed(trace) {
                continue;
            }
            ttft.extend(trace.ttft());
            ttfa.extend(trace.ttfa());
            if let Some(span) = trace.decode_span() {
                out.decode.add(span);
            }
            decode.extend(trace.decode_tps());
            inter_token.extend(trace.inter_token());
            let longest = trace.chunk_gaps().max().map(|gap: Duration| gap.as_secs_f64());
            out.longest_gap_s = out.longest_gap_s.into_iter().chain(longest).reduce(f64::max);
        }
        out.ttft_s = Distribution::new(ttft);
        out.ttfa_s = Distribution::new(ttfa);
        out.e2e_s = Distribution::new(e2e);
        out.decode_tps = Distribution::new(decode);
        out.inter_token_s = Weighted::new(inter_token);
        out
    }
}

/// Whether the request has streaming figures: a success whose stream was not buffered.
pub(crate) fn is_streamed(trace: &RequestTrace) -> bool {
    trace.is_ok() && !trace.is_buffered()
}
