//! Executes assignments of the coordinator: one assignment in, one attempt report out.
//!
//! The session holds a [`Worker`]. Requests run on a separate thread. No session, upload, disk or
//! report metric is handled here.

mod attempt;
mod client_overhead;
mod closed;
mod engine_warmup;
mod explore;
mod halt;
mod lateness;
mod open;
mod pace;
mod progress;
mod reads;
mod schedule;
mod shapes;
mod start;
mod stream;
mod thread;
mod tokenizer;
mod watch;
mod watchdog;
mod window;

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use regatta_types::assignment::{Assignment, Preparation};
use regatta_types::attempt::{AttemptOutcome, AttemptReport};
use regatta_types::facts::EndpointLocation;
use regatta_types::gpu::GpuWindow;
use regatta_types::ids::{
    AttemptKey, BootId, CaseId, CellKey, Epoch, HostId, InstanceId, Repetition,
};
use regatta_types::time::{ClockAnchor, MonoNs, WallClock};
use regatta_types::trace::RequestTrace;
use regatta_types::validity::Finding;

pub use halt::Halt;
pub use progress::{Activity, Progress, ProgressSnapshot};
pub use schedule::Schedule;
pub use tokenizer::{Tokenizer, TokenizerError};

use crate::endpoint::{Abilities, Endpoint};
use crate::gpu::Spans;
use pace::Pace;
use thread::ThreadError;
use watch::Watch;

/// Process and boot of the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// This agent process.
    pub instance: InstanceId,
    /// This boot of the host.
    pub boot: BootId,
}

/// GPU telemetry over an attempt; one window is open at a time.
pub trait GpuWindows: Send + Sync {
    /// Starts the window of an attempt that starts measuring at `start`. The last sample before
    /// that is its baseline. Does not block.
    fn begin(&self, start: Option<MonoNs>);

    /// Ends the window and returns its readings. Waits at most half a second.
    fn end(&self, spans: Spans) -> BoxFuture<'_, GpuWindow>;
}

/// User options of a worker.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Spin for at most the last 100 us before a start. Otherwise the kernel timer is about 50 us
    /// late, but the core is free for the engine.
    pub spin: bool,
    /// Counts output tokens where the engine does not report them.
    pub tokenizer: Option<Arc<Tokenizer>>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self { spin: true, tokenizer: None }
    }
}

/// Measures one endpoint, one assignment at a time.
#[derive(Clone)]
pub struct Worker {
    endpoint: Endpoint,
    identity: Identity,
    clock: Arc<dyn WallClock>,
    gpus: Arc<dyn GpuWindows>,
    progress: Arc<Progress>,
    options: WorkerOptions,
    /// A lock since a worker is shared by reference; taken only between attempts.
    known: Arc<Mutex<Known>>,
}

/// Capabilities of the engine.
#[derive(Debug, Clone, Default)]
struct Known {
    abilities: Arc<Abilities>,
    pace: Option<Pace>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("endpoint", &self.endpoint)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

/// Result of the measuring thread.
struct AttemptResult {
    outcome: AttemptOutcome,
    began: MonoNs,
    finished: MonoNs,
    /// CPU time of the thread, from `began` to `finished`.
    cpu: Option<Duration>,
    traces: Vec<RequestTrace>,
    findings: Vec<Finding>,
}

impl AttemptResult {
    fn failed(error: &dyn Error) -> Self {
        let mut reason = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            reason = format!("{reason}: {inner}");
            cause = inner.source();
        }
        let now = MonoNs::now();
        Self {
            outcome: AttemptOutcome::Failed(reason),
            began: now,
            finished: now,
            cpu: None,
            traces: Vec::new(),
            findings: Vec::new(),
        }
    }
}

impl Worker {
    /// A worker for this endpoint and its model.
    #[must_use]
    pub fn new(
        endpoint: Endpoint,
        identity: Identity,
        clock: Arc<dyn WallClock>,
        gpus: Arc<dyn GpuWindows>,
    ) -> Self {
        let (progress, known) = (Arc::default(), Arc::default());
        let options = WorkerOptions::default();
        Self { endpoint, identity, clock, gpus, progress, options, known }
    }

    /// The worker with non-default options.
    #[must_use]
    pub fn with_options(self, options: WorkerOptions) -> Self {
        Self { options, ..self }
    }

    /// The endpoint it measures.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Counters of the current attempt, for heartbeats.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Capabilities of the engine.
    #[must_use]
    pub fn abilities(&self) -> Arc<Abilities> {
        Arc::clone(&self.known().abilities)
    }

    /// Whether a tokenizer counts tokens where the engine does not.
    #[must_use]
    pub fn has_tokenizer(&self) -> bool {
        self.options.tokenizer.is_some()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes an assignment. Engine failures are in the traces. A halted attempt is
    /// [`AttemptOutcome::Cancelled`], unless it is complete.
    pub async fn run(&self, assignment: Assignment, halt: &Halt) -> AttemptReport {
        let (key, epoch, start) = (assignment.key.clone(), assignment.epoch, assignment.start);
        let tokenizer = self.options.tokenizer.clone();
        let keep_text = assignment.keep_text;
        let assignment = Assignment { keep_text: keep_text || tokenizer.is_some(), ..assignment };
        let Known { abilities, pace } = self.known().clone();
        let job = attempt::AttemptJob {
            endpoint: self.endpoint.clone(),
            assignment,
            abilities,
            pace,
            spin: self.options.spin,
            progress: Arc::clone(&self.progress),
        };
        let measuring = thread::measured(halt, |halt| attempt::run(job, halt));
        let mut report = self.report(key, epoch, Some(start), measuring).await;
        if let Some(tokenizer) = tokenizer {
            tokenizer.count(&mut report.traces).await;
            if !keep_text {
                report.traces.iter_mut().for_each(|trace| trace.answer.text = None);
            }
        }
        report
    }

    /// Explores the engine and warms it up with unmeasured requests until it is steady.
    pub async fn warm_up(
        &mut self,
        preparation: &Preparation,
        host: &HostId,
        halt: &Halt,
    ) -> AttemptReport {
        let key = reserved(CaseId::engine_warmup(), preparation, host);
        let mut known = Known::default();
        let warmup = {
            let (endpoint, key) = (self.endpoint.clone(), key.clone());
            let (preparation, progress) = (preparation.clone(), Arc::clone(&self.progress));
            thread::measured(halt, move |halt| {
                engine_warmup::run(endpoint, key, preparation, progress, halt)
            })
        };
        let abilities = &mut known.abilities;
        let warmup = async {
            let (made, found) = match warmup.await {
                Ok(Ok(warmed)) => warmed,
                Ok(Err(error)) => return Ok(Err(error)),
                Err(error) => return Err(error),
            };
            *abilities = Arc::new(found);
            Ok(Ok(made))
        };
        let report = self.report(key, Epoch(0), None, warmup).await;
        known.pace = Pace::of(&report.traces);
        self.endpoint.set_fixed_length(known.abilities.fixed_length);
        *self.known() = known;
        report
    }

    /// Measures the client overhead with an endpoint in this process.
    ///
    /// # Errors
    /// If it cannot be measured.
    pub async fn measure_overhead(
        &self,
        preparation: &Preparation,
        host: &HostId,
        halt: &Halt,
    ) -> Result<AttemptReport, String> {
        let null = client_overhead::start().await?;
        let worker = Self { endpoint: null.endpoint.clone(), ..self.clone() };
        let key = reserved(CaseId::client_overhead(), preparation, host);
        let assignment = client_overhead::assignment(key, preparation);
        let report = worker.run(assignment, halt).await;
        Ok(AttemptReport { planned_start: None, ..report })
    }

    async fn report<E: Error>(
        &self,
        key: AttemptKey,
        epoch: Epoch,
        planned_start: Option<MonoNs>,
        work: impl Future<Output = Result<Result<AttemptResult, E>, ThreadError>>,
    ) -> AttemptReport {
        let anchor = ClockAnchor { mono: MonoNs::now(), unix: self.clock.now() };
        let local = match self.endpoint.facts().location {
            EndpointLocation::Loopback { .. } => true,
            EndpointLocation::Remote => false,
        };
        self.progress.begin(Activity::Waiting);
        if local {
            self.gpus.begin(planned_start);
        }
        let watch = Watch::begin(&self.endpoint);
        let made = match work.await {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => AttemptResult::failed(&error),
            Err(error) => AttemptResult::failed(&error),
        };
        let gpu = if local {
            self.gpus.end(Spans::of(&made.traces, made.began, made.finished)).await
        } else {
            GpuWindow::missing("the endpoint runs on another machine")
        };
        let engine = watch.end().await;
        self.progress.enter(Activity::Idle);
        AttemptReport {
            key,
            epoch,
            instance: self.identity.instance,
            boot: self.identity.boot.clone(),
            outcome: made.outcome,
            anchor,
            planned_start,
            began: made.began,
            finished: made.finished,
            traces: made.traces,
            gpu,
            engine,
            findings: made.findings,
            client_cpu: made.cpu,
        }
    }
}

/// The attempt of a reserved case.
fn reserved(case: CaseId, preparation: &Preparation, host: &HostId) -> AttemptKey {
    AttemptKey {
        run: preparation.run.clone(),
        cell: CellKey { host: host.clone(), case, repetition: Repetition(0) },
        attempt: preparation.attempt,
    }
}

#[cfg(test)]
mod tests;
