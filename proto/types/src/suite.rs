//! Suites and cases: what is measured. Values here are already checked; the file format and its
//! problems live in the coordinator.

mod start;
#[cfg(test)]
mod tests;
mod twins;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{CaseId, SuiteName};
use crate::units::Bytes;

pub use start::{Pace, StartMode};
pub use twins::TwinError;

/// A named list of cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// The suite's name.
    pub name: SuiteName,
    /// One line for people.
    pub description: String,
    /// The cases, in the order of the file. A sweep's levels stand one after another.
    pub cases: Vec<Case>,
    /// Bytes of weights that the model reads for one token: of a mixture of experts the active ones
    /// only. What the report says of memory bandwidth needs it; nothing that is measured does.
    pub active_weights: Option<Bytes>,
}

impl Suite {
    /// The case with this id.
    #[must_use]
    pub fn case(&self, id: &CaseId) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == *id)
    }

    /// The cases in which hosts are compared: all except solo counterparts.
    pub fn compared_cases(&self) -> impl Iterator<Item = &Case> {
        self.cases.iter().filter(|case| case.solo_of.is_none())
    }

    /// Hash of everything that is measured (not of the description, nor of what only the report uses).
    #[must_use]
    pub fn hash(&self) -> String {
        crate::suite::hash_of(&(&self.name, &self.cases))
    }
}

/// One thing to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Unique in its suite; a level of a sweep ends in `.c<streams>` or `.rps<rate>`.
    pub id: CaseId,
    /// For people; any text.
    pub title: String,
    /// What is sent.
    pub prompt: Prompt,
    /// Limit on completion tokens, at least 1; the largest one where requests differ.
    pub max_tokens: u32,
    /// The smallest limit, from 1 to `max_tokens`: each request's own is drawn evenly from this one
    /// to `max_tokens`, by the run's seed and alike on all hosts. Equal to `max_tokens`: they do not
    /// differ.
    pub min_max_tokens: u32,
    /// Where answers end.
    pub length: Length,
    /// Sampling temperature, 0 to 2.
    pub temperature: f64,
    /// Seed of the engine's sampler. Absent: not sent.
    pub seed: Option<i64>,
    /// When an attempt has measured enough.
    pub stop: StopRule,
    /// Times the case is run on every host, 1 to 1,000.
    pub repetitions: u32,
    /// Requests before the measured ones in each attempt, over all streams, not measured.
    pub warmup: u32,
    /// When requests are sent.
    pub load: Load,
    /// Which level of a sweep it is.
    pub sweep: Option<Sweep>,
    /// The case that it repeats on one host at a time, to show what the hosts share
    /// ([`StartMode::Both`]). Absent: it is measured as the run's mode says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solo_of: Option<CaseId>,
    /// What a request must keep to count as good.
    pub slo: Slo,
    /// Limits on waiting.
    pub timeouts: Timeouts,
}

impl Case {
    /// Hash of what is sent: prompt, length and sampling, not the title or the load.
    #[must_use]
    pub fn prompt_hash(&self) -> String {
        let lengths = (self.min_max_tokens, self.max_tokens, self.length);
        hash_of(&(&self.prompt, lengths, self.temperature, self.seed))
    }

    /// Hash of what is sent and when: two cases with the same are the same work.
    #[must_use]
    pub fn work_hash(&self) -> String {
        hash_of(&(self.prompt_hash(), self.load))
    }

    /// The id that seeds its random draws: a case and its solo counterpart draw the same.
    #[must_use]
    pub fn drawn_as(&self) -> &CaseId {
        self.solo_of.as_ref().unwrap_or(&self.id)
    }

    /// Streams of a closed loop; `None` for an open one.
    #[must_use]
    pub fn concurrency(&self) -> Option<u32> {
        match self.load {
            Load::Closed { streams, .. } => Some(streams),
            Load::Open { .. } => None,
        }
    }

    /// Most requests in flight at once.
    #[must_use]
    pub fn in_flight_max(&self) -> u32 {
        match self.load {
            Load::Closed { streams, .. } => streams,
            Load::Open { max_in_flight, .. } => max_in_flight,
        }
    }
}

/// The prompt of a case's requests. Its first line is always a salt, so that no prefix cache answers
/// for the engine. If a beginning is shared on purpose, the salt changes only with the attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// This conversation, with every request. Its last message is the user's.
    Messages(Vec<Message>),
    /// A text of an asked length, cut from the one that the agent carries.
    Text(TextPrompt),
    /// A conversation of several requests: each turn is sent with the turns before it and the
    /// engine's own answers to them.
    Conversation {
        /// What comes before the first turn; may be empty, and never ends in a user's message.
        opening: Vec<Message>,
        /// What the user says; at least two turns.
        turns: Vec<String>,
    },
}

impl Prompt {
    /// The messages that the suite writes out, turns apart.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        match self {
            Self::Messages(messages) | Self::Conversation { opening: messages, .. } => messages,
            Self::Text(_) => &[],
        }
    }

    /// Requests of one conversation: 1 but for [`Prompt::Conversation`].
    #[must_use]
    pub fn turns(&self) -> u32 {
        match self {
            Self::Messages(_) | Self::Text(_) => 1,
            Self::Conversation { turns, .. } => u32::try_from(turns.len()).unwrap_or(u32::MAX),
        }
    }
}

/// Lengths are those of the whole prompt as the engine counts it, its chat template included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TextPrompt {
    /// Prompt tokens, `shared` included.
    pub tokens: u32,
    /// Tokens of its beginning that all requests of an attempt share, less than `tokens`. An
    /// unmeasured request of each attempt sends the beginning first, so that an engine with a
    /// prefix cache has it: the depth at which the rest is measured. 0: nothing is shared.
    pub shared: u32,
}

/// Where answers end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Length {
    /// Where the model ends them, at `max_tokens` the latest.
    #[default]
    Natural,
    /// At `max_tokens`, if the engine supports it (`ignore_eos`, `min_tokens`).
    Fixed,
}

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "loop")]
pub enum Load {
    /// Each stream sends its next request when the one before has ended. One stream: sequential.
    Closed {
        /// Concurrent streams, 1 to 4,096.
        streams: u32,
        /// How the streams begin.
        ramp: Ramp,
    },
    /// Requests are sent at fixed instants, regardless of outstanding requests.
    Open {
        /// Requests a second, over 0, at most 10,000.
        rate: f64,
        /// How the instants are spread.
        arrivals: Arrivals,
        /// Maximum requests in flight, 1 to 4,096. Excess requests are dropped and counted.
        max_in_flight: u32,
    },
}

/// How the streams of a closed loop begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ramp {
    /// All at the start instant.
    #[default]
    None,
    /// One after another, spread over the duration of one request as the engine warm-up has shown it.
    /// The first request of each stream is not measured.
    Service,
}

/// How the send instants of an open loop are spread.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "spread")]
pub enum Arrivals {
    /// Evenly.
    Constant,
    /// As a Poisson process: exponential gaps.
    #[default]
    Poisson,
    /// Gamma distributed gaps.
    Gamma {
        /// Shape, over 0, at most 1,000: 1 is Poisson, less is burstier, more is more even.
        shape: f64,
    },
}

/// A level of a sweep. The levels of one sweep stand one after another, the lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sweep {
    /// The id that all levels share.
    pub of: CaseId,
    /// From 0.
    pub level: u32,
}

/// Limits that a request keeps or misses (service level objective). A failed request misses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Slo {
    /// On the time to first token: from the scheduled instant where there is one.
    pub ttft: Option<Duration>,
    /// On the time per output token.
    pub tpot: Option<Duration>,
    /// On the end-to-end latency: from the scheduled instant where there is one.
    pub e2e: Option<Duration>,
}

impl Slo {
    /// Whether there is any limit.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self != Self::default()
    }
}

/// SHA-256 of the JSON form, as lower-case hex. Field order is that of the types, so equal values
/// hash alike on every machine.
fn hash_of(value: &impl Serialize) -> String {
    use sha2::{Digest, Sha256};
    // These types have string keys and finite numbers only, so JSON cannot fail; if it ever did,
    // equal inputs still give equal (empty) text.
    let json = serde_json::to_vec(value).unwrap_or_default();
    hex::encode(Sha256::digest(json))
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model's earlier answers.
    Assistant,
}

impl Role {
    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One turn.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// When an attempt's measured part ends: at the first of the limits that are set; one always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRule {
    /// After this many measured requests over all streams (at least 1).
    pub requests: Option<u32>,
    /// No request is begun later than this after the first send; those begun are finished.
    pub duration: Option<Duration>,
}

/// Limits on waiting for the endpoint. Each has its own failure kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// To open a connection.
    pub connect: Duration,
    /// From the send to the first token.
    pub first_token: Duration,
    /// Between two chunks.
    pub chunk: Duration,
    /// From the send to the end of the response.
    pub request: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_token: Duration::from_secs(300),
            chunk: Duration::from_secs(60),
            request: Duration::from_secs(1_800),
        }
    }
}
