//! What a coordinator asks of an agent.

use crate::ids::{AttemptKey, AttemptNo, Epoch, RunId};
use crate::suite::{Case, Timeouts};
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
}

/// Get ready for a run: check the endpoint, settle it, report READY.
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    /// The run.
    pub run: RunId,
    /// The suite's hash, to be echoed in READY.
    pub suite_hash: String,
    /// The model to ask for; `None`: the agent's own choice.
    pub model: Option<String>,
    /// How to settle the engine.
    pub settling: Settling,
    /// Limits on waiting during settling.
    pub timeouts: Timeouts,
    /// Number of the settling on this host, from 1: one that comes back settles again.
    pub attempt: AttemptNo,
}

/// How an engine is warmed up once per host and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// Until at least three requests are done, and the last three decode speeds are within 3 % or
    /// 60 s have passed since the first one ended.
    UntilSteady,
    /// Exactly so many requests.
    Requests(u32),
}
