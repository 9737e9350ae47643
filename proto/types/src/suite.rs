//! Suites and cases: what is measured. Values here are already checked; the file format and its
//! problems live in the coordinator.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{CaseId, SuiteName};

/// A named list of cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// The suite's name.
    pub name: SuiteName,
    /// One line for people.
    pub description: String,
    /// The cases, in the order of the file. A sweep's levels stand one after another.
    pub cases: Vec<Case>,
}

impl Suite {
    /// The case with this id.
    #[must_use]
    pub fn case(&self, id: &CaseId) -> Option<&Case> {
        self.cases.iter().find(|case| case.id == *id)
    }

    /// Hash of everything that is measured (not of the description).
    #[must_use]
    pub fn hash(&self) -> String {
        crate::suite::hash_of(&(&self.name, &self.cases))
    }
}

/// One thing to measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Unique in its suite; a level of a sweep ends in `.c<streams>`.
    pub id: CaseId,
    /// For people; any text.
    pub title: String,
    /// The conversation sent with every request.
    pub messages: Vec<Message>,
    /// Limit on completion tokens, at least 1.
    pub max_tokens: u32,
    /// Sampling temperature, 0 to 2.
    pub temperature: f64,
    /// Seed of the engine's sampler. Absent: not sent.
    pub seed: Option<i64>,
    /// When an attempt has measured enough.
    pub stop: StopRule,
    /// Times the case is run on every host, 1 to 1,000.
    pub repetitions: u32,
    /// Requests before the measured ones in each attempt, not measured.
    pub warmup: u32,
    /// Streams kept busy at once, 1 to 4,096.
    pub concurrency: u32,
    /// Limits on waiting.
    pub timeouts: Timeouts,
}

impl Case {
    /// Hash of what is sent: messages and sampling, not the title or the load.
    #[must_use]
    pub fn prompt_hash(&self) -> String {
        hash_of(&(&self.messages, self.max_tokens, self.temperature, self.seed))
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

/// How hosts are started relative to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartMode {
    /// All hosts begin each (case, repetition) at the same moment.
    #[default]
    Together,
}

impl fmt::Display for StartMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Together => f.pad("together"),
        }
    }
}
