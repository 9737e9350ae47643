//! One attempt on the measuring thread: preparation before the start time, the loop, and the
//! findings.

use std::rc::Rc;
use std::sync::Arc;

use regatta_types::assignment::Assignment;
use regatta_types::suite::Load;
use regatta_types::trace::RequestTrace;
use regatta_types::validity::{Finding, FindingCode, Validity};
use regatta_wire::limits::REQUESTS_MAX;
use tokio::task::JoinSet;

use super::closed;
use super::halt::Halt;
use super::open;
use super::pace::Pace;
use super::progress::Progress;
use super::schedule::Schedule;
use super::stream::StreamContext;
use super::{AttemptResult, window};
use crate::endpoint::{Abilities, Endpoint, PrepareError, Prepared};

/// Maximum requests of an attempt that can be delivered.
pub(super) const REQUESTS: u32 = {
    assert!(REQUESTS_MAX < u32::MAX as usize);
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    let most = REQUESTS_MAX as u32;
    most
};

/// What to do.
#[derive(Debug)]
pub(super) struct AttemptJob {
    pub(super) endpoint: Endpoint,
    pub(super) assignment: Assignment,
    pub(super) abilities: Arc<Abilities>,
    /// Speed of the engine after its warm-up.
    pub(super) pace: Option<Pace>,
    pub(super) spin: bool,
    pub(super) progress: Arc<Progress>,
}

/// Why an attempt could not run.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error("the timer of the open loop failed")]
    Timer(#[source] std::io::Error),
    #[error("conversations require a closed loop: each turn waits for the previous answer")]
    OpenConversation,
}

/// Result of a loop.
#[derive(Debug)]
pub(super) struct LoopResult {
    pub(super) traces: Vec<RequestTrace>,
    pub(super) window: window::Closed,
    /// Ended at the maximum number of traces.
    pub(super) is_full: bool,
}

/// Runs until the stop rule is met or the attempt is halted.
pub(super) async fn run(job: AttemptJob, halt: Halt) -> Result<AttemptResult, AttemptError> {
    let prepared = Prepared::of_case(&job.endpoint, &job.assignment, &job.abilities)?;
    let shared =
        StreamContext::new(job.endpoint.clone(), prepared, Arc::clone(&job.progress), halt);
    let mut obeying = JoinSet::new();
    obeying.spawn_local(Rc::clone(&shared).obey());
    let looped = match job.assignment.case.load {
        Load::Closed { streams, ramp } => closed::run(&job, &shared, streams, ramp).await,
        Load::Open { rate, arrivals, max_in_flight } => {
            let schedule = Schedule::new(rate, arrivals, &job.assignment.case.stop);
            open::run(&job, &shared, schedule, max_in_flight).await?
        }
    };
    obeying.shutdown().await;

    let LoopResult { mut traces, window, is_full } = looped;
    traces.sort_by_key(|trace| trace.seq);
    let mut findings = window.findings(&traces);
    findings.extend(is_full.then(requests_limit));
    Ok(window.made(shared.outcome(), traces, findings))
}

fn requests_limit() -> Finding {
    Finding {
        code: FindingCode::RequestsLimit,
        validity: Validity::Degraded,
        evidence: format!("the attempt ended early, at its maximum of {REQUESTS} requests"),
        advice: "Use a shorter duration or a lower rate".to_owned(),
    }
}
