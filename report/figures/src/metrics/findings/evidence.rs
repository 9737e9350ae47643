//! What a finding rests on, as values: the words for them are not here.

use std::collections::BTreeMap;

use regatta_types::failure::FailureKind;
use regatta_types::ids::HostId;
use regatta_types::units::Bytes;
use regatta_types::validity::{Finding, FindingCode, Validity};
use serde::Serialize;

use crate::facts::FactChange;
use crate::metrics::Drift;

/// A coded observation on an attempt or an engine warm-up.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptFinding {
    pub code: FindingCode,
    /// What it does to the attempt; never [`Validity::Valid`].
    pub validity: Validity,
    pub evidence: FindingEvidence,
}

/// The values behind a finding. `ok` is the number of requests that succeeded.
#[derive(Debug, Clone, PartialEq)]
pub enum FindingEvidence {
    /// As its agent worded it.
    Told {
        evidence: String,
        advice: String,
    },
    NoOkRequest {
        requests: usize,
    },
    ErrorRate {
        failed: BTreeMap<FailureKind, u32>,
        ok: u32,
    },
    TooFewSamples {
        ok: u32,
        seconds: f64,
    },
    /// `in_step`: the load itself has no steady state.
    Drifting {
        drift: Drift,
        in_step: bool,
    },
    BufferedStream(Share),
    CoalescedStream(Share),
    /// Most streams in decode at once, of those requested, and the slots that the engine reports.
    LowOverlap {
        most: usize,
        streams: usize,
        slots: Option<u32>,
    },
    /// Decode speeds of two groups of requests that alternate, tokens per second.
    MixedEngines {
        slow: (usize, f64),
        fast: (usize, f64),
    },
    /// Of all requests that ended.
    EmptyAnswers(Share),
    Truncated {
        cut: Share,
        max_tokens: u32,
    },
    LengthNotFixed(Share),
    TokenMismatch(Share),
    MoreChunksThanTokens(Share),
    CacheHits {
        cached: u64,
        prompt: u64,
    },
    UsageBeyondLimit(Share),
    HiddenTokens(Share),
    InlineReasoning(Share),
    ApproximateTokens(Share),
    /// The median of the prompt tokens that were reported, and how many there are at least or at
    /// most by the text that was sent.
    PromptTokensOff {
        reported: f64,
        plausible: (f64, f64),
    },
    /// Seconds after the first request; `None`: before the attempt.
    GpuLost {
        uuid: String,
        reason: String,
        after_s: Option<f64>,
    },
    /// Memory that a process took during the attempt, or had all the time.
    GpuShared {
        pid: u32,
        name: String,
        memory: Bytes,
        taken: bool,
    },
    EngineChanged(Vec<FactChange>),
    /// Requests of others, as a median over the samples that have any.
    EngineBusy {
        beyond: f64,
        samples: Share,
    },
    /// The other names of its machine.
    SameMachine {
        others: Vec<HostId>,
        by: SharedBy,
    },
    /// Medians of the requests, seconds: its own, and what is due by the other attempts of its case,
    /// or by a fit of all others.
    ColdFirstAttempt {
        seconds: f64,
        due: f64,
        fit: Option<Fit>,
    },
    /// Times to first token, seconds: of the first request, and what is due by the median of `others`.
    /// `reloads`: most attempts begin so.
    ColdFirst {
        ttft_s: f64,
        due_s: f64,
        others: usize,
        reloads: bool,
    },
}

/// What shows that two hosts are one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedBy {
    /// Their endpoints have a GPU in common.
    Gpus,
    /// Their endpoints are one listening socket.
    Endpoint,
}

/// This many of the requests that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub n: u32,
    pub of: u32,
}

/// A line of seconds by tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Attempts that it goes through.
    pub attempts: usize,
    pub at_zero_s: f64,
    pub s_per_token: f64,
}

impl From<&Finding> for AttemptFinding {
    fn from(told: &Finding) -> Self {
        let (evidence, advice) = (told.evidence.clone(), told.advice.clone());
        let evidence = FindingEvidence::Told { evidence, advice };
        Self { code: told.code.clone(), validity: told.validity, evidence }
    }
}

impl AttemptFinding {
    pub(crate) fn new(code: FindingCode, validity: Validity, evidence: FindingEvidence) -> Self {
        Self { code, validity, evidence }
    }

    /// The agent's own words; empty where the finding is ours.
    pub(crate) fn told(&self) -> &str {
        if let FindingEvidence::Told { evidence, .. } = &self.evidence { evidence } else { "" }
    }
}
