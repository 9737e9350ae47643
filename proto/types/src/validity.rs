//! Whether a result may be trusted, and why not.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One vocabulary for attempt, cell, host and run. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validity {
    /// No findings.
    Valid,
    /// Counted, with a badge.
    Degraded,
    /// Kept and shown, not compared.
    Invalid,
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Valid => "valid",
            Self::Degraded => "degraded",
            Self::Invalid => "invalid",
        })
    }
}

/// What was seen: one list for agents, reports and docs/reports.md.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FindingCode {
    /// The agent's own delays weigh beside what was measured.
    ClientLimited,
    /// The engine changed since the start of the run.
    EngineChanged,
    /// Requests of one attempt were answered by unequal engines.
    MixedEngines,
    /// The engine worked for another client, too.
    EngineBusy,
    /// Two hosts of the run are one machine.
    SameMachine,
    /// The first attempt was the warm-up of the engine.
    ColdFirstAttempt,
    /// The first request or repetition of a case took far longer than the others.
    ColdFirst,
    /// The agent froze for over a second.
    ClientStall,
    /// The measuring thread used most of a core.
    ClientCpu,
    /// The attempt ended at the most requests that a report holds.
    RequestsLimit,
    /// A GPU of the endpoint fell off the bus.
    GpuLost,
    /// Another process used the endpoint's GPU.
    GpuShared,
    /// Decode speed changed within the attempt.
    Drifting,
    /// Answers came in bursts instead of streams.
    BufferedStream,
    /// Several chunks came in most reads: something between agent and engine joins them.
    CoalescedStream,
    /// No request succeeded.
    NoOkRequest,
    /// Over 1 % of the requests failed.
    ErrorRate,
    /// Answers had no text.
    EmptyAnswers,
    /// A load level had too few requests.
    TooFewSamples,
    /// Fewer streams were in decode at once than were requested.
    LowOverlap,
    /// Answers of natural length were cut.
    Truncated,
    /// Answers of fixed length ended early.
    LengthNotFixed,
    /// Tokens of the chunks and final usage differ.
    TokenMismatch,
    /// The final usage has fewer tokens than there were chunks.
    MoreChunksThanTokens,
    /// The engine reports more tokens than were requested, and than there were chunks.
    UsageBeyondLimit,
    /// The usage counts tokens that did not arrive as text.
    HiddenTokens,
    /// The answer text contains reasoning.
    InlineReasoning,
    /// Chunks were counted instead of tokens.
    ApproximateTokens,
    /// The engine's prompt tokens are far from the text that was sent.
    PromptTokensOff,
    /// Prompt tokens came from a cache where none was to be shared.
    CacheHits,
    /// The engine did not reach a steady speed before the run.
    NotSettled,
    /// One that a newer agent sent.
    Other(String),
}

impl FindingCode {
    /// All that this version knows, in the order of the docs.
    pub const ALL: [Self; 31] = [
        Self::ClientLimited,
        Self::EngineChanged,
        Self::MixedEngines,
        Self::EngineBusy,
        Self::SameMachine,
        Self::ColdFirstAttempt,
        Self::ColdFirst,
        Self::ClientStall,
        Self::ClientCpu,
        Self::RequestsLimit,
        Self::GpuLost,
        Self::GpuShared,
        Self::Drifting,
        Self::BufferedStream,
        Self::CoalescedStream,
        Self::NoOkRequest,
        Self::ErrorRate,
        Self::EmptyAnswers,
        Self::TooFewSamples,
        Self::LowOverlap,
        Self::Truncated,
        Self::LengthNotFixed,
        Self::TokenMismatch,
        Self::MoreChunksThanTokens,
        Self::UsageBeyondLimit,
        Self::HiddenTokens,
        Self::InlineReasoning,
        Self::ApproximateTokens,
        Self::PromptTokensOff,
        Self::CacheHits,
        Self::NotSettled,
    ];

    /// As reports, `run.json` and the wire have it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::ClientLimited => "client_limited",
            Self::EngineChanged => "engine_changed",
            Self::MixedEngines => "mixed_engines",
            Self::EngineBusy => "engine_busy",
            Self::SameMachine => "same_machine",
            Self::ColdFirstAttempt => "cold_first_attempt",
            Self::ColdFirst => "cold_first",
            Self::ClientStall => "client_stall",
            Self::ClientCpu => "client_cpu",
            Self::RequestsLimit => "requests_limit",
            Self::GpuLost => "gpu_lost",
            Self::GpuShared => "gpu_shared",
            Self::Drifting => "drifting",
            Self::BufferedStream => "buffered_stream",
            Self::CoalescedStream => "coalesced_stream",
            Self::NoOkRequest => "no_ok_request",
            Self::ErrorRate => "error_rate",
            Self::EmptyAnswers => "empty_answers",
            Self::TooFewSamples => "too_few_samples",
            Self::LowOverlap => "low_overlap",
            Self::Truncated => "truncated",
            Self::LengthNotFixed => "length_not_fixed",
            Self::TokenMismatch => "token_mismatch",
            Self::MoreChunksThanTokens => "more_chunks_than_tokens",
            Self::UsageBeyondLimit => "usage_beyond_limit",
            Self::HiddenTokens => "hidden_tokens",
            Self::InlineReasoning => "inline_reasoning",
            Self::ApproximateTokens => "approximate_tokens",
            Self::PromptTokensOff => "prompt_tokens_off",
            Self::CacheHits => "cache_hits",
            Self::NotSettled => "not_settled",
            Self::Other(code) => code,
        }
    }
}

impl From<&str> for FindingCode {
    fn from(code: &str) -> Self {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == code);
        known.unwrap_or_else(|| Self::Other(code.to_owned()))
    }
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// By name, so that a code is in the same place whether this version knows it or not.
impl Ord for FindingCode {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for FindingCode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for FindingCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FindingCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|code| Self::from(code.as_str()))
    }
}

/// One finding about a result: what was seen and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was seen.
    pub code: FindingCode,
    /// What it does to the result; never [`Validity::Valid`].
    pub validity: Validity,
    /// The figure behind it.
    pub evidence: String,
    /// What to do next.
    pub advice: String,
}
