//! What a coordinator asks of an agent.

use crate::ids::{AttemptKey, AttemptNo, Epoch, RunId};
use crate::suite::{Case, TextPrompt, Timeouts};
use crate::time::MonoNs;

/// One cell, leased to the agent of its host.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The attempt.
    pub key: AttemptKey,
    /// The lease.
    pub epoch: Epoch,
    /// What to do.
    pub case: Case,
    /// When to send the first measured request, on the agent's clock.
    pub start: MonoNs,
    /// Keep the answers' text, not only its hash.
    pub keep_text: bool,
    /// The run's seed: decides send instants, lengths and the parts of texts, alike on all hosts.
    pub seed: u64,
}

/// An attempt and the epoch it was leased under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lease {
    /// The attempt.
    pub key: AttemptKey,
    /// The fencing token.
    pub epoch: Epoch,
}

/// Get ready for a run: check the endpoint, warm it up, report READY.
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    /// The run.
    pub run: RunId,
    /// The suite's hash, to be echoed in READY.
    pub suite_hash: String,
    /// The model to ask for; `None`: the agent's own choice.
    pub model: Option<String>,
    /// How to warm up the engine.
    pub engine_warmup: EngineWarmup,
    /// Limits on waiting during the engine warm-up.
    pub timeouts: Timeouts,
    /// What the suite's cases want to know of the engine beforehand.
    pub wants: Wants,
    /// Number of the engine warm-up on this host, from 1: one that comes back warms up again.
    pub attempt: AttemptNo,
    /// Nothing will be measured: look at the host, answer, and keep nothing.
    pub check_only: bool,
}

/// What to find out about an engine before its first case, and the load at which the agent measures
/// its overhead.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wants {
    /// The texts whose lengths to fit to the engine's own token count.
    pub texts: Vec<TextPrompt>,
    /// One case of each prompt length among those that have messages: the engine warm-up sends its
    /// prompt once, for a short answer. The prompts of `texts` are sent when they are fitted.
    pub shapes: Vec<Case>,
    /// Whether answers can be made to end at a fixed length.
    pub fixed_length: bool,
    /// Most requests in flight in any case: the load for the client overhead. 0: not measured.
    pub overhead_streams: u32,
    /// Tokens of context that the cases need; `None`: not asked.
    pub context: Option<ContextNeed>,
}

/// Tokens that a prompt and its answer need at least, with as long an answer as it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextNeed {
    /// Of the shortest case.
    pub least: u32,
    /// Of the longest case; not below `least`.
    pub most: u32,
}

/// How an engine is warmed up once per host and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineWarmup {
    /// Until at least three requests are done, and the last three decode speeds are within 3 % or
    /// 60 s have passed since the first one ended.
    UntilSteady,
    /// Exactly this many requests.
    Requests(u32),
}
