//! attempt.proto: one request.

use std::time::Duration;

use regatta_types::failure::{Failure, FailureKind};
use regatta_types::time::MonoNs;
use regatta_types::trace::{
    Answer, Chunk, ChunkCounts, ChunkKind, Connection, FinishReason, Outcome, Phase, RequestTrace,
    SendStamp, ServerTimings, Usage,
};

use crate::error::{ConvertError, Problem};
use crate::field::{
    Checked, Numbered, cut, finite, hex_sha256, http_status, nanos, numbered, optional, required,
    text,
};
use crate::limits::{NAME_MAX, TEXT_MAX};
use crate::v1;

numbered!(Phase = v1::Phase { Warmup, Measured });
numbered!(Connection = v1::Connection { New, Reused });
numbered!(ChunkKind = v1::ChunkKind { Reasoning, Answer, ToolCall });
numbered!(ChunkCounts = v1::ChunkCounts { TokenIds, ContinuousUsage });
numbered!(
    FailureKind = v1::FailureKind {
        Unreachable,
        ConnectTimeout,
        FirstTokenTimeout,
        ChunkTimeout,
        RequestTimeout,
        HttpStatus,
        Reset,
        IncompleteStream,
        BadStream,
        ErrorEvent,
        LimitExceeded,
        EmptyAnswer,
        Aborted,
        WrongModel,
        Cancelled,
        Harness,
    }
);

impl TryFrom<v1::RequestTrace> for RequestTrace {
    type Error = ConvertError;
    fn try_from(m: v1::RequestTrace) -> Checked<Self> {
        Ok(Self {
            seq: m.seq,
            stream: m.stream,
            phase: Phase::read("phase", m.phase)?,
            turn: m.turn,
            max_tokens: m.max_tokens,
            scheduled: m.scheduled_ns.map(MonoNs),
            connection: m.connection.map(|c| Connection::read("connection", c)).transpose()?,
            connect: m.connect_duration_ns.map(Duration::from_nanos),
            sent: optional("sent", m.sent)?,
            header: m.header_ns.map(MonoNs),
            first_byte: m.first_byte_ns.map(MonoNs),
            chunks: optional("chunks", m.chunks)?.map_or_else(Vec::new, |Columns(chunks)| chunks),
            chunk_counts: m
                .chunk_counts
                .map(|c| ChunkCounts::read("chunk_counts", c))
                .transpose()?,
            events: m.events,
            blank_events: m.blank_events,
            inline_reasoning: m.inline_reasoning,
            done: m.done_ns.map(MonoNs),
            outcome: outcome(m.status, m.failure)?,
            http_status: http_status("http_status", m.http_status)?,
            finish_reason: m
                .finish_reason
                .map(|word| text("finish_reason", word, NAME_MAX))
                .transpose()?
                .map(|word| FinishReason::parse(&word)),
            usage: optional("usage", m.usage)?,
            tokenizer_count: m.tokenizer_count,
            server_timings: optional("server_timings", m.server_timings)?,
            answer: required("answer", m.answer)?,
        })
    }
}

impl From<&RequestTrace> for v1::RequestTrace {
    fn from(trace: &RequestTrace) -> Self {
        let (status, failure) = match &trace.outcome {
            Outcome::Ok => (v1::RequestStatus::Ok, None),
            Outcome::Failed(failure) => (v1::RequestStatus::Failed, Some(failure.into())),
            Outcome::Cancelled => (v1::RequestStatus::Cancelled, None),
            Outcome::NotSent => (v1::RequestStatus::NotSent, None),
        };
        Self {
            seq: trace.seq,
            stream: trace.stream,
            phase: trace.phase.number(),
            turn: trace.turn,
            max_tokens: trace.max_tokens,
            scheduled_ns: trace.scheduled.map(|t| t.0),
            connection: trace.connection.map(Numbered::number),
            connect_duration_ns: trace.connect.map(nanos),
            sent: trace.sent.as_ref().map(Into::into),
            header_ns: trace.header.map(|t| t.0),
            first_byte_ns: trace.first_byte.map(|t| t.0),
            chunks: (!trace.chunks.is_empty()).then(|| columns(&trace.chunks)),
            chunk_counts: trace.chunk_counts.map(Numbered::number),
            events: trace.events,
            blank_events: trace.blank_events,
            inline_reasoning: trace.inline_reasoning,
            done_ns: trace.done.map(|t| t.0),
            status: status.into(),
            failure,
            http_status: trace.http_status.map(Into::into),
            finish_reason: trace.finish_reason.as_ref().map(|r| cut(r.name(), NAME_MAX)),
            usage: trace.usage.as_ref().map(Into::into),
            tokenizer_count: trace.tokenizer_count,
            server_timings: trace.server_timings.as_ref().map(Into::into),
            answer: Some((&trace.answer).into()),
        }
    }
}

fn outcome(status: i32, failure: Option<v1::Failure>) -> Checked<Outcome> {
    match v1::RequestStatus::try_from(status) {
        Ok(v1::RequestStatus::Ok) => Ok(Outcome::Ok),
        Ok(v1::RequestStatus::Failed) => Ok(Outcome::Failed(required("failure", failure)?)),
        Ok(v1::RequestStatus::Cancelled) => Ok(Outcome::Cancelled),
        Ok(v1::RequestStatus::NotSent) => Ok(Outcome::NotSent),
        Ok(v1::RequestStatus::Unspecified) | Err(_) => {
            Err(ConvertError::new("status", Problem::Enum(status)))
        }
    }
}

impl TryFrom<v1::SendStamp> for SendStamp {
    type Error = ConvertError;
    fn try_from(m: v1::SendStamp) -> Checked<Self> {
        Ok(Self { before: MonoNs(m.before_ns), after: MonoNs(m.after_ns) })
    }
}

impl From<&SendStamp> for v1::SendStamp {
    fn from(sent: &SendStamp) -> Self {
        Self { before_ns: sent.before.0, after_ns: sent.after.0 }
    }
}

/// The chunks of a request, read from their columns.
struct Columns(Vec<Chunk>);

impl TryFrom<v1::Chunks> for Columns {
    type Error = ConvertError;
    fn try_from(m: v1::Chunks) -> Checked<Self> {
        let expected = m.delta_ns.len();
        let column = |field, len| {
            if len == expected {
                Ok(())
            } else {
                Err(ConvertError::new(field, Problem::Length { len, expected }))
            }
        };
        column("kind", m.kind.len())?;
        column("chars", m.chars.len())?;
        for (field, values) in
            [("tokens_plus_one", &m.tokens_plus_one), ("late_us_plus_one", &m.late_us_plus_one)]
        {
            if !values.is_empty() {
                column(field, values.len())?;
            }
        }
        let mut at = 0_u64;
        let mut chunks = Vec::with_capacity(expected);
        for (i, (&delta, (&kind, &chars))) in
            m.delta_ns.iter().zip(m.kind.iter().zip(&m.chars)).enumerate()
        {
            at = at.checked_add(delta).ok_or_else(|| {
                ConvertError::new("delta_ns", Problem::OutOfRange("in order of time"))
            })?;
            let tokens = less_one("tokens_plus_one", m.tokens_plus_one.get(i))?;
            let late_us = less_one("late_us_plus_one", m.late_us_plus_one.get(i))?;
            let kind = ChunkKind::read("kind", kind)?;
            chunks.push(Chunk { at: MonoNs(at), late_us, kind, chars, tokens });
        }
        Ok(Self(chunks))
    }
}

fn columns(chunks: &[Chunk]) -> v1::Chunks {
    let mut last = 0;
    let delta_ns = chunks
        .iter()
        .map(|c| {
            // Stamps of one connection never go back; if they did, the sum would overflow on the
            // other side and be refused there.
            let delta = c.at.0.wrapping_sub(last);
            last = c.at.0;
            delta
        })
        .collect();
    v1::Chunks {
        delta_ns,
        kind: chunks.iter().map(|c| c.kind.number()).collect(),
        chars: chunks.iter().map(|c| c.chars).collect(),
        tokens_plus_one: plus_one(chunks, |c| c.tokens),
        late_us_plus_one: plus_one(chunks, |c| c.late_us),
    }
}

/// A column of values that may be absent; empty if all are.
fn plus_one(chunks: &[Chunk], value: fn(&Chunk) -> Option<u32>) -> Vec<u64> {
    if chunks.iter().all(|chunk| value(chunk).is_none()) {
        return Vec::new();
    }
    chunks.iter().map(|chunk| value(chunk).map_or(0, |n| u64::from(n) + 1)).collect()
}

fn less_one(field: &'static str, value: Option<&u64>) -> Checked<Option<u32>> {
    match value {
        None | Some(0) => Ok(None),
        Some(&n) => match u32::try_from(n - 1) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(ConvertError::new(field, Problem::OutOfRange("at most 2^32"))),
        },
    }
}

impl TryFrom<v1::Failure> for Failure {
    type Error = ConvertError;
    fn try_from(m: v1::Failure) -> Checked<Self> {
        Ok(Self {
            kind: FailureKind::read("kind", m.kind)?,
            message: text("message", m.message, TEXT_MAX)?,
            http_status: http_status("http_status", m.http_status)?,
        })
    }
}

impl From<&Failure> for v1::Failure {
    fn from(failure: &Failure) -> Self {
        Self {
            kind: failure.kind.number(),
            message: cut(&failure.message, TEXT_MAX),
            http_status: failure.http_status.map(Into::into),
        }
    }
}

impl TryFrom<v1::Usage> for Usage {
    type Error = ConvertError;
    fn try_from(m: v1::Usage) -> Checked<Self> {
        Ok(Self {
            prompt: m.prompt,
            completion: m.completion,
            cached: m.cached,
            reasoning: m.reasoning,
        })
    }
}

impl From<&Usage> for v1::Usage {
    fn from(usage: &Usage) -> Self {
        Self {
            prompt: usage.prompt,
            completion: usage.completion,
            cached: usage.cached,
            reasoning: usage.reasoning,
        }
    }
}

impl TryFrom<v1::ServerTimings> for ServerTimings {
    type Error = ConvertError;
    fn try_from(m: v1::ServerTimings) -> Checked<Self> {
        Ok(Self {
            prompt_ms: finite("prompt_ms", m.prompt_ms)?,
            predicted_ms: finite("predicted_ms", m.predicted_ms)?,
        })
    }
}

impl From<&ServerTimings> for v1::ServerTimings {
    fn from(timings: &ServerTimings) -> Self {
        Self { prompt_ms: timings.prompt_ms, predicted_ms: timings.predicted_ms }
    }
}

impl TryFrom<v1::Answer> for Answer {
    type Error = ConvertError;
    fn try_from(m: v1::Answer) -> Checked<Self> {
        Ok(Self { sha256: hex_sha256("sha256", m.sha256)?, chars: m.chars, text: m.text })
    }
}

impl From<&Answer> for v1::Answer {
    fn from(answer: &Answer) -> Self {
        Self { sha256: answer.sha256.clone(), chars: answer.chars, text: answer.text.clone() }
    }
}
