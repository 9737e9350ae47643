//! The raw record of one HTTP request and the per-request formulas over it (metrics_schema 1).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::time::MonoNs;

/// Fewest tokens after the first read for a decode speed to mean anything.
const DECODE_MIN_TOKENS: f64 = 16.0;
/// Fewest uncached prompt tokens for a prefill speed to mean anything.
const PREFILL_MIN_TOKENS: u64 = 256;

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
    /// Most events in a row that belong to the answer and have no text: tokens that are not shown.
    pub blank_events: u32,
    /// The text of the answer contains reasoning, between tags.
    pub inline_reasoning: bool,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// When its last bytes came, by the kernel; without its stamp when the read of them returned.
    /// Events of one read share it: what was between them is unknown.
    pub at: MonoNs,
    /// How much later than `at` the read of it returned, microseconds, rounded, at most 71 minutes;
    /// `None`: the kernel did not say when the bytes came.
    pub late_us: Option<u32>,
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
    /// In any field for it, or in the text of the answer before the tag that ends it.
    Reasoning,
    /// `content`, `text`, `refusal` or the transcript of speech.
    Answer,
    /// Name and arguments of a tool call.
    ToolCall,
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

    /// Whether the answer is complete as the engine sees it. Engines and proxies have words of their
    /// own for this; any other word, such as `abort`, `error` or `cancelled`, means that the engine
    /// gave up.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        const ENDS: [&str; 8] = [
            "function_call",
            "content_filter",
            "eos",
            "eos_token",
            "stop_sequence",
            "end_turn",
            "tool_use",
            "max_tokens",
        ];
        match self {
            Self::Stop | Self::Length | Self::ToolCalls => true,
            Self::Other(word) => ENDS.contains(&word.to_lowercase().as_str()),
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

/// Tokens that the usage counts and that did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HiddenTokens {
    /// The engine says how many.
    Counted(u64),
    /// There are signs of some.
    Unknown,
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
            blank_events: 0,
            inline_reasoning: false,
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
}

mod formulas;
#[cfg(test)]
mod tests;
mod tokens;
