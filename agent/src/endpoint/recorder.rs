//! Fills a [`RequestTrace`] from the bytes of one response body and their stamps.
//!
//! [`Recorder`] is synchronous and pure: it reads no clock and no socket, so that recorded streams
//! can be played to it. It decides what made a request succeed or fail as far as the body tells;
//! timeouts and connections are [`super::stream_connection`]'s.

use std::ops::ControlFlow;
use std::sync::Arc;

use regatta_types::failure::{Failure, FailureKind};
use regatta_types::time::MonoNs;
use regatta_types::trace::{
    Answer, Chunk, ChunkCounts, ChunkKind, FinishReason, Outcome, RequestTrace, Usage,
};
use sha2::{Digest, Sha256};

use super::arrival::Arrival;
use super::delta::Text;
use super::event::{Choice, Event, error_text};
use super::inline::mark_reasoning;
use super::sse::Decoder;
use super::template::{Plain, Template};

/// Bounds on one response; beyond them it is cut as `limit_exceeded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one event.
    pub line: usize,
    /// Bytes of the body.
    pub body: u64,
    /// Events with text.
    pub chunks: usize,
}

impl Limits {
    /// The limits for a prompt of this many bytes and an answer of at most this many tokens.
    #[must_use]
    pub fn new(prompt_bytes: usize, max_tokens: u32) -> Self {
        let tokens = usize::try_from(max_tokens).unwrap_or(usize::MAX);
        Self {
            // 16 bytes for each token of the prompt, which some engines repeat as token ids. Its
            // tokens are not known; text has at least two bytes for each.
            line: (256 << 10).max(prompt_bytes.saturating_mul(8)),
            body: (8 << 20).max(2048 * u64::from(max_tokens)),
            chunks: tokens.saturating_mul(2).saturating_add(1000),
        }
    }
}

/// What an answer may look like.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Bounds on it.
    pub limits: Limits,
    /// Models that the endpoint lists beside the one asked for: an answer by one of them is wrong.
    pub other_models: Arc<[String]>,
    /// Room to make for chunks: the tokens that are asked for.
    pub max_tokens: u32,
    /// Keep the text, not only its hash.
    pub keep_text: bool,
}

/// How a body ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// As the protocol wants.
    Complete,
    /// The connection closed or was reset in the middle; with what was seen.
    Cut(String),
    /// Failed, and why.
    Failed(Failure),
    /// Stopped by us.
    Cancelled,
}

/// Whether more of the body is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Yes.
    More,
    /// `[DONE]` was seen: only the end of the body is to come.
    End,
    /// No: the request has failed.
    Nothing,
}

/// Room for chunks made before the answer begins is bounded by this many.
const RESERVED_CHUNKS: u32 = 1024;

/// Records one response.
#[derive(Debug)]
pub struct Recorder {
    sse: Decoder,
    state: State,
}

#[derive(Debug)]
struct State {
    trace: RequestTrace,
    expected: Expected,
    bytes: u64,
    last_event: Option<MonoNs>,
    reasoning: String,
    answer: String,
    tool_calls: String,
    /// Events of the answer without text since the last one with text.
    blank_events: u32,
    /// Tokens of events without text, which belong to the next chunk.
    carried_tokens: u32,
    /// The last count of a usage that comes with every event.
    counted_tokens: u64,
    /// All of them, summed up: what an engine means that counts each event by itself.
    summed_tokens: u64,
    model_checked: bool,
    /// The last event that was parsed.
    template: Template,
    failure: Option<Failure>,
}

impl Recorder {
    /// Goes on with `trace`, whose head has been received.
    #[must_use]
    pub fn new(mut trace: RequestTrace, expected: Expected) -> Self {
        let chunks = usize::try_from(expected.max_tokens.min(RESERVED_CHUNKS)).unwrap_or(0);
        trace.chunks.reserve(chunks);
        let state = State {
            answer: String::with_capacity(chunks * 5),
            reasoning: String::new(),
            tool_calls: String::new(),
            blank_events: 0,
            trace,
            bytes: 0,
            last_event: None,
            carried_tokens: 0,
            counted_tokens: 0,
            summed_tokens: 0,
            model_checked: expected.other_models.is_empty(),
            template: Template::default(),
            failure: None,
            expected,
        };
        Self { sse: Decoder::new(state.expected.limits.line), state }
    }

    /// Takes bytes of the body that one read returned.
    pub fn feed(&mut self, bytes: &[u8], at: impl Into<Arrival>) -> Wanted {
        let (Self { sse, state }, at) = (self, at.into());
        state.trace.first_byte.get_or_insert(at.at);
        state.bytes += bytes.len() as u64;
        if state.bytes > state.expected.limits.body {
            let limit = state.expected.limits.body;
            state.fail(FailureKind::LimitExceeded, &format!("the body exceeds {limit} bytes"));
        } else if let Err(error) = sse.push(bytes, |data| state.event(data, at)) {
            state.fail(FailureKind::LimitExceeded, &error.to_string());
        }
        if state.failure.is_some() {
            Wanted::Nothing
        } else if state.trace.done.is_some() {
            Wanted::End
        } else {
            Wanted::More
        }
    }

    /// Chunks with text so far.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.state.trace.chunks.len()
    }

    /// When the last event of any kind came.
    #[must_use]
    pub fn last_event(&self) -> Option<MonoNs> {
        self.state.last_event
    }

    /// Ends the body at `at` and returns the outcome of the request.
    #[must_use]
    pub fn conclude(self, ending: Ending, at: MonoNs) -> RequestTrace {
        let Self { mut sse, mut state } = self;
        if ending == Ending::Complete && state.trace.done.is_none() && state.failure.is_none() {
            // A last event may lack its blank line. One that was cut is none.
            let _ = sse.finish(|data| {
                if serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok() || data == DONE {
                    state.event(data, at.into())
                } else {
                    ControlFlow::Break(())
                }
            });
            state.trace.done.get_or_insert(at);
        }
        state.conclude(ending)
    }
}

/// Some proxies count the prompt without its cached part, which shows where that is the larger one.
fn with_whole_prompt(usage: Usage) -> Usage {
    let without = usage.cached.filter(|&cached| cached > usage.prompt).unwrap_or(0);
    Usage { prompt: usage.prompt.saturating_add(without), ..usage }
}

const DONE: &[u8] = b"[DONE]";

fn parse(data: &[u8]) -> serde_json::Result<Event<'_>> {
    serde_json::from_slice(data)
}

impl State {
    fn fail(&mut self, kind: FailureKind, message: &str) {
        self.failure.get_or_insert_with(|| Failure::new(kind, message));
    }

    fn event(&mut self, data: &[u8], at: Arrival) -> ControlFlow<()> {
        if data.is_empty() {
            return ControlFlow::Continue(());
        }
        self.trace.events += 1;
        self.last_event = Some(at.at);
        if data == DONE {
            self.trace.done = Some(at.at);
            return ControlFlow::Break(());
        }
        if let Some(plain) = self.template.read(data) {
            debug_assert_eq!(
                parse(data).ok().as_ref().and_then(Plain::of),
                Some(plain),
                "a template reads what a parser reads"
            );
            self.spoken(&[(plain.kind, plain.text)], plain.ids, plain.usage, at);
            self.counted(plain.usage);
        } else {
            match parse(data) {
                Ok(event) => {
                    self.take(&event, at);
                    self.template.learn(data, &event);
                }
                Err(error) => {
                    let start = String::from_utf8_lossy(&data[..data.len().min(120)]);
                    let message = format!("invalid JSON in an event ({error}): {start}");
                    self.fail(FailureKind::BadStream, &message);
                }
            }
        }
        if self.failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn take(&mut self, event: &Event<'_>, at: Arrival) {
        let old_form = event.object.as_ref().is_some_and(|object| object.0 == "error");
        if let Some(error) = event.error.as_ref().or(event.message.as_ref().filter(|_| old_form)) {
            return self.fail(FailureKind::ErrorEvent, &error_text(error));
        }
        if let Some(Text(model)) = &event.model
            && !std::mem::replace(&mut self.model_checked, true)
            && self.expected.other_models.iter().any(|other| other == model)
        {
            let message = format!("answer from `{model}`");
            return self.fail(FailureKind::WrongModel, &message);
        }
        let usage = event.usage.as_ref().and_then(|usage| usage.value.counts());
        for choice in event.choices.iter() {
            self.choice(choice, usage, at);
        }
        if let Some(timings) = event.timings.as_ref().and_then(|t| t.timings()) {
            self.trace.server_timings = Some(timings);
        }
        self.counted(usage);
    }

    /// An event has been taken, with this usage.
    fn counted(&mut self, usage: Option<Usage>) {
        if let Some(usage) = usage {
            self.counted_tokens = usage.completion;
            self.summed_tokens = self.summed_tokens.saturating_add(usage.completion);
            // Zeros after a count are none.
            if usage.completion > 0 || self.trace.usage.is_none_or(|known| known.completion == 0) {
                self.trace.usage = Some(with_whole_prompt(usage));
            }
        }
        if self.trace.chunks.len() > self.expected.limits.chunks {
            let limit = self.expected.limits.chunks;
            self.fail(FailureKind::LimitExceeded, &format!("more than {limit} events with text"));
        }
    }

    fn choice(&mut self, choice: &Choice<'_>, usage: Option<Usage>, at: Arrival) {
        self.spoken(&choice.texts(), choice.ids(), usage, at);
        if let Some(Text(word)) = &choice.finish_reason
            && !word.is_empty()
        {
            self.trace.finish_reason = Some(FinishReason::parse(word));
            self.blank_events = 0;
        }
        self.trace.blank_events = self.trace.blank_events.max(self.blank_events);
    }

    /// The texts of one choice, any of which may be empty, and how many tokens they are if the
    /// engine says.
    fn spoken(
        &mut self,
        texts: &[(ChunkKind, &str)],
        ids: Option<u32>,
        usage: Option<Usage>,
        at: Arrival,
    ) {
        let (new, source) = match (ids, usage) {
            (Some(ids), _) => (Some(ids), Some(ChunkCounts::TokenIds)),
            (None, Some(usage)) => {
                let new = usage.completion.saturating_sub(self.counted_tokens);
                let source = self.trace.chunk_counts.or(Some(ChunkCounts::ContinuousUsage));
                (u32::try_from(new).ok(), source)
            }
            (None, None) => (None, self.trace.chunk_counts),
        };
        let with_carried = new.map(|new| new.saturating_add(self.carried_tokens));
        let mut tokens = with_carried;
        let mut has_text = false;
        for &(kind, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
            has_text = true;
            let chars = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
            let Arrival { at, late_us } = at;
            self.trace.chunks.push(Chunk { at, late_us, kind, chars, tokens });
            self.trace.chunk_counts = source;
            // Of two kinds of text in one event the first has all its tokens.
            tokens = tokens.map(|_| 0);
            match kind {
                ChunkKind::Reasoning => self.reasoning.push_str(text),
                ChunkKind::Answer => self.answer.push_str(text),
                ChunkKind::ToolCall => self.tool_calls.push_str(text),
            }
        }
        if has_text {
            (self.carried_tokens, self.blank_events) = (0, 0);
        } else {
            self.carried_tokens = with_carried.unwrap_or(self.carried_tokens);
            self.blank_events += 1;
        }
    }

    fn conclude(mut self, ending: Ending) -> RequestTrace {
        if self.carried_tokens > 0
            && let Some(last) = self.trace.chunks.last_mut()
            && let Some(tokens) = &mut last.tokens
        {
            // An end-of-text token has no text.
            *tokens = tokens.saturating_add(self.carried_tokens);
        }
        self.sum_up_usage();
        let has_own_field = !self.reasoning.is_empty();
        self.trace.inline_reasoning =
            !has_own_field && mark_reasoning(&mut self.trace.chunks, &self.answer);
        self.trace.answer = self.answer();
        self.trace.chunks.shrink_to_fit();
        let outcome = match (self.failure.take(), ending) {
            (Some(failure), _) => Outcome::Failed(failure),
            (None, Ending::Cancelled) => Outcome::Cancelled,
            (None, Ending::Failed(failure)) => Outcome::Failed(failure),
            (None, Ending::Complete) => self.verdict("the stream ended"),
            // All that was asked for had come.
            (None, Ending::Cut(_)) if self.trace.usage.is_some() || self.trace.done.is_some() => {
                self.verdict("the connection closed")
            }
            (None, Ending::Cut(what)) => {
                Outcome::Failed(Failure::new(FailureKind::IncompleteStream, &what))
            }
        };
        self.trace.outcome = match (outcome, self.trace.http_status) {
            (Outcome::Failed(failure), Some(status)) => {
                Outcome::Failed(failure.with_status(status))
            }
            (outcome, _) => outcome,
        };
        self.trace
    }

    /// Some engines count each event by itself and never the whole answer: then the last count is
    /// below the number of chunks, and their sum is not.
    fn sum_up_usage(&mut self) {
        let chunks = u64::try_from(self.trace.chunks.len()).unwrap_or(u64::MAX);
        let is_counted = self.trace.chunks.iter().all(|chunk| chunk.tokens.is_some());
        if let Some(usage) = &mut self.trace.usage
            && is_counted
            && self.trace.chunk_counts == Some(ChunkCounts::ContinuousUsage)
            && (1..chunks).contains(&usage.completion)
            && self.summed_tokens >= chunks
            && self.summed_tokens <= u64::from(self.expected.max_tokens)
        {
            usage.completion = self.summed_tokens;
        }
    }

    /// Whether the answer is complete.
    fn verdict(&self, end: &str) -> Outcome {
        let failed = |kind, message: &str| Outcome::Failed(Failure::new(kind, message));
        match &self.trace.finish_reason {
            None => {
                let message = format!("{end} without a finish reason");
                failed(FailureKind::IncompleteStream, &message)
            }
            Some(reason) if !reason.is_complete() => {
                let tokens = self.trace.completion_tokens();
                let after = tokens.map(|n| format!(" after {n:.0} tokens")).unwrap_or_default();
                let message = format!("finish reason `{}`{after}", reason.name());
                failed(FailureKind::Aborted, &message)
            }
            Some(_) if self.trace.chunks.is_empty() => {
                failed(FailureKind::EmptyAnswer, "empty answer")
            }
            Some(_) => Outcome::Ok,
        }
    }

    fn answer(&mut self) -> Answer {
        if self.trace.chunks.is_empty() {
            return Answer::default();
        }
        let mut hash = Sha256::new();
        hash.update(&self.reasoning);
        hash.update(&self.answer);
        hash.update(&self.tool_calls);
        let chars = self.trace.chunks.iter().map(|c| u64::from(c.chars)).sum();
        let text = self.expected.keep_text.then(|| {
            let mut text = std::mem::take(&mut self.reasoning);
            text.push_str(&self.answer);
            text.push_str(&self.tool_calls);
            text
        });
        Answer { sha256: hex::encode(hash.finalize()), chars, text }
    }
}

#[cfg(test)]
mod tests;
