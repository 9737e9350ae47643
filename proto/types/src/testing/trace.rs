//! One invented request.

use std::time::Duration;

use crate::time::MonoNs;
use crate::trace::{
    Answer, Chunk, ChunkKind, Connection, FinishReason, Outcome, Phase, RequestTrace, SendStamp,
    Usage,
};

/// How fast a request is answered.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// Time to first token, milliseconds.
    pub ttft_ms: f64,
    /// Time per token, milliseconds.
    pub token_ms: f64,
    /// Completion tokens, one a chunk.
    pub tokens: u32,
}

/// A successful measured request that began this many milliseconds after zero.
#[must_use]
pub fn request(begin_ms: u64, ttft_ms: f64, token_ms: f64, tokens: u32) -> RequestTrace {
    trace(0, Phase::Measured, MonoNs(begin_ms * 1_000_000), Timing { ttft_ms, token_ms, tokens })
}

/// A successful request that began at `at` and was cut by its limit.
#[must_use]
pub fn trace(seq: u32, phase: Phase, at: MonoNs, pace: Timing) -> RequestTrace {
    let millis = |ms: f64| at.after(Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default());
    let first = millis(pace.ttft_ms);
    let chunk = |i: u32| Chunk {
        at: millis(pace.ttft_ms + f64::from(i) * pace.token_ms),
        late_us: Some(20 + i % 8 * 5),
        kind: ChunkKind::Answer,
        chars: 4,
        tokens: None,
    };
    let mut out = RequestTrace::new(seq, 0, phase);
    out.connection = Some(if seq == 0 { Connection::New } else { Connection::Reused });
    out.connect = (seq == 0).then(|| Duration::from_micros(180));
    out.sent = Some(SendStamp { before: at, after: at.after(Duration::from_micros(9)) });
    out.header = Some(first);
    out.first_byte = Some(first);
    out.chunks = (0..pace.tokens).map(chunk).collect();
    out.events = pace.tokens + 3;
    out.done = out.chunks.last().map(|c| c.at.after(Duration::from_micros(40)));
    out.outcome = Outcome::Ok;
    out.http_status = Some(200);
    out.finish_reason = Some(FinishReason::Length);
    out.usage = Some(Usage {
        prompt: 96,
        completion: u64::from(pace.tokens),
        cached: Some(0),
        reasoning: None,
    });
    out.answer = Answer { sha256: "0".repeat(64), chars: u64::from(pace.tokens) * 4, text: None };
    out
}
