//! The current work: one preparation or one attempt, in a task that survives a lost connection.

use std::sync::Arc;

use regatta_types::assignment::{Assignment, Lease, Preparation};
use regatta_types::attempt::{AttemptOutcome, AttemptReport, Started};
use regatta_types::check::CheckOutcome;
use regatta_types::engine::EngineWatch;
use regatta_types::facts::EngineFacts;
use regatta_types::gpu::GpuWindow;
use regatta_types::ids::{AttemptNo, RunId};
use regatta_types::reading::Reading;
use regatta_types::time::{ClockAnchor, MonoNs};
use tokio::task::JoinSet;

use super::Setup;
use super::preparing::{self, Bench};
use crate::outbox::OutboxError;
use crate::work::{Halt, Progress, Worker};

/// Kind of a job.
#[derive(Debug)]
enum Kind {
    Preparation(RunId),
    Attempt(Lease),
}

/// The current work.
#[derive(Debug)]
pub(super) struct Job {
    kind: Kind,
    halt: Halt,
    progress: Option<Arc<Progress>>,
    /// The task; dropping it cancels the work.
    task: JoinSet<Output>,
    /// The result if the task panics.
    blank: Output,
}

/// Result of a job.
#[derive(Debug, Clone)]
pub(super) struct Output {
    /// Reports of the attempt or of the preparation, in order.
    pub(super) reports: Vec<AttemptReport>,
    pub(super) prepared: Option<PreparedHost>,
}

/// Result of a preparation.
#[derive(Debug, Clone)]
pub(super) struct PreparedHost {
    pub(super) run: RunId,
    /// Number of the preparation.
    pub(super) attempt: AttemptNo,
    pub(super) suite_hash: String,
    /// The worker.
    pub(super) worker: Result<Worker, String>,
    pub(super) refused: Option<String>,
    pub(super) checks: Vec<CheckOutcome>,
    /// For preflight checks without a run.
    pub(super) check_only: bool,
}

impl PreparedHost {
    /// The engine.
    pub(super) fn engine(&self) -> Reading<EngineFacts> {
        match &self.worker {
            Ok(worker) => Reading::Known(worker.endpoint().facts().clone()),
            Err(reason) => Reading::missing(reason.clone()),
        }
    }
}

/// Waits for the job to end; pending forever without one.
pub(super) async fn ended(job: &mut Option<Job>) -> Output {
    let Some(running) = job else { return std::future::pending().await };
    let output = match running.task.join_next().await {
        Some(Ok(output)) => output,
        Some(Err(error)) => {
            tracing::error!(%error, "internal error, current work lost");
            running.blank.clone()
        }
        None => running.blank.clone(),
    };
    *job = None;
    output
}

impl Job {
    /// Finds the engine and warms it up.
    pub(super) fn prepare(setup: &Setup, preparation: Preparation) -> Self {
        let halt = Halt::default();
        let mut options = setup.endpoint.clone();
        if options.model.is_none() {
            options.model.clone_from(&preparation.model);
        }
        let bench = Bench::of(setup);
        let mut prepared = PreparedHost {
            run: preparation.run.clone(),
            attempt: preparation.attempt,
            suite_hash: preparation.suite_hash.clone(),
            worker: Err("internal error in the agent".to_owned()),
            refused: Some("internal error in the agent".to_owned()),
            checks: Vec::new(),
            check_only: preparation.check_only,
        };
        let blank = Output { reports: Vec::new(), prepared: Some(prepared.clone()) };
        let kind = Kind::Preparation(preparation.run.clone());
        let mut task = JoinSet::new();
        let stop = halt.clone();
        task.spawn(async move {
            let done = preparing::prepare(options, &bench, &preparation, &stop).await;
            prepared.refused = done.refused;
            prepared.checks = done.checks;
            prepared.worker = done.worker;
            // Requests of a preflight check can be cancelled.
            let reports = if preparation.check_only { Vec::new() } else { done.reports };
            Output { reports, prepared: Some(prepared) }
        });
        Self { kind, halt, progress: None, task, blank }
    }

    /// Starts an attempt. Its marker is on disk when this returns. An attempt that cannot start is
    /// reported as failed.
    ///
    /// # Errors
    /// If it was already started, which is a bug.
    pub(super) fn attempt(
        setup: &mut Setup,
        worker: Option<&Worker>,
        assignment: Assignment,
    ) -> Result<Self, OutboxError> {
        let lease = Lease { key: assignment.key.clone(), epoch: assignment.epoch };
        let started = Started {
            lease: lease.clone(),
            instance: setup.instance,
            boot: setup.boot.clone(),
            anchor: ClockAnchor { mono: MonoNs::now(), unix: setup.wall.now() },
            planned_start: Some(assignment.start),
        };
        let report = |setup: &Setup, why: &str| Output {
            reports: vec![failed(setup, &lease, why)],
            prepared: None,
        };
        let blank = report(setup, "internal error in the agent");
        let halt = Halt::default();
        let mut task = JoinSet::new();
        let mut progress = None;
        let obstacle = match (setup.outbox.mark_started(&started), worker) {
            (Ok(()), Some(_)) => None,
            (Ok(()), None) => Some("no engine found on this host".to_owned()),
            (Err(error @ OutboxError::AlreadyStarted(_)), _) => return Err(error),
            (Err(error), _) => Some(format!("the agent's state directory failed: {error}")),
        };
        match (obstacle, worker.cloned()) {
            (None, Some(worker)) => {
                progress = Some(worker.progress());
                let stop = halt.clone();
                task.spawn(async move {
                    Output { reports: vec![worker.run(assignment, &stop).await], prepared: None }
                });
            }
            (obstacle, _) => {
                let output = report(setup, &obstacle.unwrap_or_default());
                task.spawn(async move { output });
            }
        }
        Ok(Self { kind: Kind::Attempt(lease), halt, progress, task, blank })
    }

    /// The lease, if it is an attempt.
    pub(super) fn lease(&self) -> Option<&Lease> {
        match &self.kind {
            Kind::Preparation(_) => None,
            Kind::Attempt(lease) => Some(lease),
        }
    }

    /// Whether it prepares for this run.
    pub(super) fn prepares(&self, run: &RunId) -> bool {
        match &self.kind {
            Kind::Preparation(own) => own == run,
            Kind::Attempt(_) => false,
        }
    }

    /// The counters of an attempt.
    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        self.progress.clone()
    }

    /// Starts no further request; requests in flight complete.
    pub(super) fn stop_soon(&self) {
        match &self.kind {
            // Requests of an engine warm-up can be cancelled.
            Kind::Preparation(_) => self.halt.now.cancel(),
            Kind::Attempt(_) => self.halt.soon.cancel(),
        }
    }

    /// Cancels the requests in flight.
    pub(super) fn stop_now(&self) {
        self.halt.now.cancel();
    }
}

/// The report of a failed attempt.
pub(super) fn failed(setup: &Setup, lease: &Lease, why: &str) -> AttemptReport {
    let anchor = ClockAnchor { mono: MonoNs::now(), unix: setup.wall.now() };
    AttemptReport {
        key: lease.key.clone(),
        epoch: lease.epoch,
        instance: setup.instance,
        boot: setup.boot.clone(),
        outcome: AttemptOutcome::Failed(why.to_owned()),
        anchor,
        planned_start: None,
        began: anchor.mono,
        finished: anchor.mono,
        traces: Vec::new(),
        gpu: GpuWindow::missing("the attempt did not run"),
        findings: Vec::new(),
        engine: EngineWatch::missing("the attempt did not run"),
        client_cpu: None,
    }
}
