//! The raw record of one HTTP request and the per-request formulas over it (metrics_schema 1).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::time::MonoNs;

/// Fewest tokens after the first chunk for a decode speed to mean anything.
pub const DECODE_MIN_TOKENS: f64 = 16.0;
/// Fewest uncached prompt tokens for a prefill speed to mean anything.
pub const PREFILL_MIN_TOKENS: u64 = 256;

/// Everything stamped during one request. All stamps are of the agent's monotonic clock.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestTrace {
    /// Number of the request in its attempt, from 0, warm-up included.
    pub seq: u32,
    /// The stream (closed loop) it ran on, from 0.
    pub stream: u32,
    /// Warm-up or measured.
    pub phase: Phase,
    /// Turn of a conversation of several requests, from 0.
    pub turn: Option<u32>,
    /// The limit on completion tokens that was sent (`max_tokens`).
    pub max_tokens: Option<u32>,
    /// When an open loop wanted it sent; `None` in a closed loop.
    pub scheduled: Option<MonoNs>,
    /// Whether the connection was opened for this request; `None` if there never was one.
    pub connection: Option<Connection>,
    /// How long opening the connection took (DNS, TCP, TLS), if it was opened for this request.
    pub connect: Option<Duration>,
    /// The write of the request's first bytes: `t_send`.
    pub sent: Option<SendStamp>,
    /// Response head read.
    pub header: Option<MonoNs>,
    /// First byte of the body read.
    pub first_byte: Option<MonoNs>,
    /// Events that carried text, in order of arrival.
    pub chunks: Vec<Chunk>,
    /// Where the tokens of the chunks come from, if any chunk has them.
    pub chunk_counts: Option<ChunkCounts>,
    /// SSE events of any kind.
    pub events: u32,
    /// `[DONE]` or end of the body.
    pub done: Option<MonoNs>,
    /// How it ended.
    pub outcome: Outcome,
    /// HTTP status, when a response head arrived.
    pub http_status: Option<u16>,
    /// Why the engine stopped.
    pub finish_reason: Option<FinishReason>,
    /// Token counts the engine gave.
    pub usage: Option<Usage>,
    /// Completion tokens by the tokenizer file that the user gave; only where the engine gave no
    /// count.
    pub tokenizer_count: Option<u64>,
    /// The engine's own timings, where it gives them (llama.cpp).
    pub server_timings: Option<ServerTimings>,
    /// What was answered, as far as it is kept.
    pub answer: Answer,
}

/// Warm-up requests are never measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before the measured part.
    Warmup,
    /// The measured part.
    Measured,
}

/// Where the connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connection {
    /// Opened for this request, before its send instant.
    New,
    /// Kept alive from an earlier request.
    Reused,
}

/// The clock just before and just after the write of the request's first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendStamp {
    /// Before the write: the start of every latency.
    pub before: MonoNs,
    /// After it returned.
    pub after: MonoNs,
}

/// One event with text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// When the read that completed it returned. Events of one read share it.
    pub at: MonoNs,
    /// Reasoning or answer.
    pub kind: ChunkKind,
    /// Length of the text in characters, to share out tokens.
    pub chars: u32,
    /// Tokens of this event where the engine says (token ids or continuous usage).
    pub tokens: Option<u32>,
}

/// Where the tokens of single chunks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChunkCounts {
    /// The engine names the tokens of each event (`token_ids`).
    TokenIds,
    /// The engine repeats its usage with each event (`continuous_usage_stats`).
    ContinuousUsage,
}

/// Which part of the reply a chunk belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChunkKind {
    /// `reasoning` or `reasoning_content`.
    Reasoning,
    /// `content` (or `text`).
    Answer,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A finish reason for the choice, and text.
    Ok,
    /// With its kind and message.
    Failed(Failure),
    /// Stopped by us before its end.
    Cancelled,
    /// Never sent: no free slot at its scheduled instant.
    NotSent,
}

impl Outcome {
    /// The `status` of `requests.jsonl`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
            Self::NotSent => "not_sent",
        }
    }
}

/// Why the engine stopped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FinishReason {
    /// Natural end or a stop string.
    Stop,
    /// Cut by `max_tokens` or by the context: the answer is truncated.
    Length,
    /// A tool call.
    ToolCalls,
    /// Any other word, cleaned.
    Other(String),
}

impl FinishReason {
    /// Reads the engine's word.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        match word {
            "stop" => Self::Stop,
            "length" => Self::Length,
            "tool_calls" => Self::ToolCalls,
            other => Self::Other(crate::clean::excerpt(other, 40)),
        }
    }

    /// The engine's word.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::Other(word) => word,
        }
    }
}

/// Token counts as the engine reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Prompt tokens, cached ones included.
    pub prompt: u64,
    /// Completion tokens, reasoning included.
    pub completion: u64,
    /// Prompt tokens answered from a cache.
    pub cached: Option<u64>,
    /// Completion tokens that were reasoning.
    pub reasoning: Option<u64>,
}

/// The engine's own clock, for comparison; never used as a result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServerTimings {
    /// Prompt processing, milliseconds.
    pub prompt_ms: f64,
    /// Generation, milliseconds.
    pub predicted_ms: f64,
}

/// The reply, by hash; its text only when asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// SHA-256 of the UTF-8 text (reasoning, then answer), lower-case hex; empty if there was none.
    pub sha256: String,
    /// Characters.
    pub chars: u64,
    /// The text, only with `--keep-text`.
    pub text: Option<String>,
}

/// Where the token counts of a request come from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSource {
    /// The engine named the tokens of every chunk.
    TokenIds,
    /// The engine repeated its usage with every chunk.
    ContinuousUsage,
    /// The engine's final usage, shared out over the chunks.
    Usage,
    /// A tokenizer file that the user gave, shared out over the chunks.
    Tokenizer,
    /// One token a chunk: approximate, barred from comparisons.
    Chunks,
}

impl TokenSource {
    /// The name used in files and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenIds => "token_ids",
            Self::ContinuousUsage => "continuous_usage",
            Self::Usage => "usage",
            Self::Tokenizer => "tokenizer",
            Self::Chunks => "chunks",
        }
    }
}

impl RequestTrace {
    /// A trace of a request that has not been sent yet.
    #[must_use]
    pub fn new(seq: u32, stream: u32, phase: Phase) -> Self {
        Self {
            seq,
            stream,
            phase,
            turn: None,
            max_tokens: None,
            scheduled: None,
            connection: None,
            connect: None,
            sent: None,
            header: None,
            first_byte: None,
            chunks: Vec::new(),
            chunk_counts: None,
            events: 0,
            done: None,
            outcome: Outcome::NotSent,
            http_status: None,
            finish_reason: None,
            usage: None,
            tokenizer_count: None,
            server_timings: None,
            answer: Answer::default(),
        }
    }

    /// Whether the request succeeded.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.outcome == Outcome::Ok
    }

    /// Whether a success was cut by `max_tokens` or the context.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.is_ok() && self.finish_reason == Some(FinishReason::Length)
    }

    /// `t_send`.
    #[must_use]
    pub fn t_send(&self) -> Option<MonoNs> {
        self.sent.map(|s| s.before)
    }

    /// `t_1`: the first chunk with text of any kind.
    #[must_use]
    pub fn t_first(&self) -> Option<MonoNs> {
        self.chunks.first().map(|c| c.at)
    }

    /// `t_ans`: the first chunk with answer text.
    #[must_use]
    pub fn t_answer(&self) -> Option<MonoNs> {
        self.chunks.iter().find(|c| c.kind == ChunkKind::Answer).map(|c| c.at)
    }

    /// `t_last`: the last chunk with text.
    #[must_use]
    pub fn t_last(&self) -> Option<MonoNs> {
        self.chunks.last().map(|c| c.at)
    }

    fn seconds(from: Option<MonoNs>, to: Option<MonoNs>) -> Option<f64> {
        Some(to?.since(from?).as_secs_f64())
    }

    /// Time to first token, seconds: `t_1 - t_send`.
    #[must_use]
    pub fn ttft(&self) -> Option<f64> {
        Self::seconds(self.t_send(), self.t_first())
    }

    /// Time to first answer token, seconds: `t_ans - t_send`.
    #[must_use]
    pub fn ttfa(&self) -> Option<f64> {
        Self::seconds(self.t_send(), self.t_answer())
    }

    /// End-to-end latency, seconds: `t_last - t_send`.
    #[must_use]
    pub fn e2e(&self) -> Option<f64> {
        Self::seconds(self.t_send(), self.t_last())
    }

    /// Lateness of the send, seconds: `t_send - t_sched`; `None` in a closed loop.
    #[must_use]
    pub fn send_lateness(&self) -> Option<f64> {
        Self::seconds(self.scheduled, self.t_send())
    }

    /// `t_sched`, or `t_send` in a closed loop: where open-loop latencies and SLOs begin.
    #[must_use]
    pub fn t_due(&self) -> Option<MonoNs> {
        self.scheduled.or_else(|| self.t_send())
    }

    /// Time to first token from the scheduled instant, seconds: `t_1 - t_sched`; `None` in a closed
    /// loop.
    #[must_use]
    pub fn ttft_sched(&self) -> Option<f64> {
        Self::seconds(self.scheduled, self.t_first())
    }

    /// End-to-end latency from the scheduled instant, seconds: `t_last - t_sched`; `None` in a
    /// closed loop.
    #[must_use]
    pub fn e2e_sched(&self) -> Option<f64> {
        Self::seconds(self.scheduled, self.t_last())
    }

    /// From the send to `[DONE]` or the end of the body, seconds: `t_done - t_send`.
    #[must_use]
    pub fn e2e_done(&self) -> Option<f64> {
        Self::seconds(self.t_send(), self.done)
    }

    /// Prefill speed, tokens per second: `(p - c) / ttft`. It includes queueing, so it means
    /// something with one stream only. `None` with fewer than 256 uncached prompt tokens.
    #[must_use]
    pub fn prefill_tps(&self) -> Option<f64> {
        let usage = self.usage?;
        let uncached = usage.prompt.saturating_sub(usage.cached.unwrap_or(0));
        let seconds = self.ttft()?;
        (uncached >= PREFILL_MIN_TOKENS && seconds > 0.0).then(|| uncached as f64 / seconds)
    }

    /// Where this request's token counts come from; `None` without any text.
    #[must_use]
    pub fn token_source(&self) -> Option<TokenSource> {
        if self.chunks.is_empty() {
            return self.usage.map(|_| TokenSource::Usage);
        }
        if self.chunks.iter().all(|c| c.tokens.is_some()) {
            match self.chunk_counts {
                Some(ChunkCounts::TokenIds) => return Some(TokenSource::TokenIds),
                Some(ChunkCounts::ContinuousUsage) => return Some(TokenSource::ContinuousUsage),
                None => {}
            }
        }
        Some(if self.usage.is_some() {
            TokenSource::Usage
        } else if self.tokenizer_count.is_some() {
            TokenSource::Tokenizer
        } else {
            TokenSource::Chunks
        })
    }

    /// `n`: completion tokens by the best source.
    #[must_use]
    pub fn completion_tokens(&self) -> Option<f64> {
        match self.token_source()? {
            TokenSource::Usage => self.usage.map(|u| u.completion as f64),
            TokenSource::Tokenizer => self.tokenizer_count.map(|n| n as f64),
            TokenSource::TokenIds | TokenSource::ContinuousUsage => {
                Some(self.chunks.iter().map(|c| f64::from(c.tokens.unwrap_or(0))).sum())
            }
            TokenSource::Chunks => Some(self.chunks.len() as f64),
        }
    }

    /// `k_i`: tokens of each chunk by the best source.
    ///
    /// From a count of the whole answer: one token for each of the `m` chunks and the surplus
    /// `n - m` shared in proportion to the length of the text; with more chunks than tokens `n / m`
    /// each.
    #[must_use]
    pub fn chunk_tokens(&self) -> Vec<f64> {
        let m = self.chunks.len();
        match self.token_source() {
            None => Vec::new(),
            Some(TokenSource::TokenIds | TokenSource::ContinuousUsage) => {
                self.chunks.iter().map(|c| f64::from(c.tokens.unwrap_or(0))).collect()
            }
            Some(TokenSource::Chunks) => vec![1.0; m],
            Some(TokenSource::Usage | TokenSource::Tokenizer) => {
                let n = self.completion_tokens().unwrap_or(0.0);
                let surplus = n - m as f64;
                if surplus <= 0.0 {
                    return vec![n / m as f64; m];
                }
                let chars: f64 = self.chunks.iter().map(|c| f64::from(c.chars)).sum();
                self.chunks
                    .iter()
                    .map(|c| {
                        let share =
                            if chars > 0.0 { f64::from(c.chars) / chars } else { 1.0 / m as f64 };
                        1.0 + surplus * share
                    })
                    .collect()
            }
        }
    }

    /// `k_1`: tokens of the first chunk.
    fn first_chunk_tokens(&self) -> Option<f64> {
        self.chunk_tokens().first().copied()
    }

    /// Tokens and seconds of the decode phase: `(n - k_1, t_last - t_1)`. `None` with fewer than
    /// two chunks, fewer than 16 tokens after the first chunk, or no time between them.
    #[must_use]
    pub fn decode_span(&self) -> Option<(f64, f64)> {
        if self.chunks.len() < 2 {
            return None;
        }
        let tokens = self.completion_tokens()? - self.first_chunk_tokens()?;
        let seconds = Self::seconds(self.t_first(), self.t_last())?;
        (tokens >= DECODE_MIN_TOKENS && seconds > 0.0).then_some((tokens, seconds))
    }

    /// Decode speed, tokens per second: `(n - k_1) / (t_last - t_1)`.
    #[must_use]
    pub fn decode_tps(&self) -> Option<f64> {
        self.decode_span().map(|(tokens, seconds)| tokens / seconds)
    }

    /// Time per output token after the first chunk, seconds: `1 / decode_tps`.
    #[must_use]
    pub fn tpot(&self) -> Option<f64> {
        self.decode_tps().map(|tps| 1.0 / tps)
    }

    /// End-to-end speed, tokens per second: `n / e2e`.
    #[must_use]
    pub fn e2e_tps(&self) -> Option<f64> {
        let seconds = self.e2e()?;
        (seconds > 0.0).then(|| self.completion_tokens().map(|n| n / seconds))?
    }

    /// Gaps between consecutive chunks with text.
    pub fn chunk_gaps(&self) -> impl Iterator<Item = Duration> + '_ {
        self.chunks.windows(2).map(|pair| pair[1].at.since(pair[0].at))
    }

    /// Gap before each chunk divided by its tokens, with the tokens as weight, seconds:
    /// the inter-token latency. A chunk without tokens passes its gap on to the next.
    #[must_use]
    pub fn inter_token(&self) -> Vec<(f64, f64)> {
        let tokens = self.chunk_tokens();
        let mut carried = 0.0;
        let mut out = Vec::with_capacity(tokens.len());
        for (gap, &k) in self.chunk_gaps().zip(tokens.iter().skip(1)) {
            carried += gap.as_secs_f64();
            if k > 0.0 {
                out.push((carried / k, k));
                carried = 0.0;
            }
        }
        out
    }

    /// Whether the stream was buffered on its way. Streaming metrics of such a request mean nothing.
    ///
    /// With at least 32 tokens: all of them in one chunk, or 90 % of the chunks within one window
    /// of 5 ms that also looks like one burst. That many tokens in 5 ms may come from a really
    /// fast engine (some 6,000 tokens per second), whose chunks have an arrival each and whose
    /// first one is not held back. So the burst must either share few arrivals, at most one for
    /// ten chunks, because a buffer is let go in a few writes; or take at most a hundredth of the
    /// time to first token, because whoever holds an answer back until its end, and then passes on
    /// chunk by chunk, makes the first token as late as the last.
    #[must_use]
    pub fn is_buffered(&self) -> bool {
        const WINDOW: Duration = Duration::from_millis(5);
        if self.completion_tokens().unwrap_or(0.0) < 32.0 {
            return false;
        }
        if self.chunks.len() < 2 {
            return !self.chunks.is_empty();
        }
        let needed = (self.chunks.len() * 9).div_ceil(10);
        let span = |start: usize| self.chunks[start + needed - 1].at.since(self.chunks[start].at);
        let mut starts = 0..=self.chunks.len() - needed;
        if starts.clone().all(|start| span(start) > WINDOW) {
            return false;
        }
        let is_later = |i: usize| usize::from(self.chunks[i - 1].at < self.chunks[i].at);
        // Of the burst at hand; kept up to date from one to the next.
        let mut arrivals = 1 + (1..needed).map(is_later).sum::<usize>();
        starts.any(|start| {
            if start > 0 {
                arrivals = arrivals - is_later(start) + is_later(start + needed - 1);
            }
            let span = span(start);
            let at_once = arrivals * 10 <= needed;
            let held_back = self.ttft().is_some_and(|ttft| span.as_secs_f64() * 100.0 <= ttft);
            span <= WINDOW && (at_once || held_back)
        })
    }
}

#[cfg(test)]
mod tests;
