//! The work in hand: one preparation or one attempt, in a task of its own that outlives a lost
//! connection.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use regatta_types::assignment::{Assignment, Preparation};
use regatta_types::attempt::{AttemptOutcome, AttemptReport};
use regatta_types::engine::EngineWatch;
use regatta_types::facts::{EndpointLocation, EngineFacts};
use regatta_types::gpu::GpuWindow;
use regatta_types::ids::{AttemptNo, HostId, RunId};
use regatta_types::reading::Reading;
use regatta_types::time::{ClockAnchor, MonoNs, WallClock};
use regatta_wire::codec::Started;
use regatta_wire::frame::Lease;
use tokio::task::JoinSet;

use super::Setup;
use crate::endpoint::{Endpoint, EndpointOptions};
use crate::gpu::{GpuHandle, Spans, Window, WindowPlan, cut};
use crate::outbox::OutboxError;
use crate::work::{GpuWindows, Halt, Identity, Progress, Worker, WorkerOptions};

/// What a job is for.
#[derive(Debug)]
enum Kind {
    Preparation(RunId),
    Attempt(Lease),
}

/// The work in hand.
#[derive(Debug)]
pub(super) struct Job {
    kind: Kind,
    halt: Halt,
    progress: Option<Arc<Progress>>,
    /// Holds the one task; dropping it ends the work.
    task: JoinSet<Output>,
    /// What to report if the task is lost to a panic of ours.
    blank: Output,
}

/// What a job made.
#[derive(Debug, Clone)]
pub(super) struct Output {
    /// Of the attempt, or of what preparing measured, in order.
    pub(super) reports: Vec<AttemptReport>,
    pub(super) prepared: Option<Prepared>,
}

/// What a preparation found.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) run: RunId,
    /// Number of the preparation.
    pub(super) attempt: AttemptNo,
    pub(super) suite_hash: String,
    /// What measures it.
    pub(super) worker: Result<Worker, String>,
    pub(super) refused: Option<String>,
}

impl Prepared {
    /// The engine that was found.
    pub(super) fn engine(&self) -> Reading<EngineFacts> {
        match &self.worker {
            Ok(worker) => Reading::Known(worker.endpoint().facts().clone()),
            Err(reason) => Reading::missing(reason.clone()),
        }
    }
}

/// Waits for the job to end; for ever without one.
pub(super) async fn ended(job: &mut Option<Job>) -> Output {
    let Some(running) = job else { return std::future::pending().await };
    let output = match running.task.join_next().await {
        Some(Ok(output)) => output,
        Some(Err(error)) => {
            tracing::error!(%error, "the work in hand was lost to a fault of ours");
            running.blank.clone()
        }
        None => running.blank.clone(),
    };
    *job = None;
    output
}

impl Job {
    /// Finds the engine and settles it.
    pub(super) fn prepare(setup: &Setup, preparation: Preparation) -> Self {
        let halt = Halt::default();
        let mut options = setup.endpoint.clone();
        if options.model.is_none() {
            options.model.clone_from(&preparation.model);
        }
        let bench = Bench::of(setup);
        let mut prepared = Prepared {
            run: preparation.run.clone(),
            attempt: preparation.attempt,
            suite_hash: preparation.suite_hash.clone(),
            worker: Err("a fault of the agent".to_owned()),
            refused: Some("a fault of the agent".to_owned()),
        };
        let blank = Output { reports: Vec::new(), prepared: Some(prepared.clone()) };
        let kind = Kind::Preparation(preparation.run.clone());
        let mut task = JoinSet::new();
        let stop = halt.clone();
        task.spawn(async move {
            let (worker, reports) = prepare(options, &bench, &preparation, &stop).await;
            prepared.refused = match (&worker, reports.last().map(|r| &r.outcome)) {
                (Err(reason), _) => Some(reason.clone()),
                (Ok(_), Some(AttemptOutcome::Completed) | None) => None,
                (Ok(_), Some(other)) => Some(format!("settling the engine: {other}")),
            };
            prepared.worker = worker;
            Output { reports, prepared: Some(prepared) }
        });
        Self { kind, halt, progress: None, task, blank }
    }

    /// Begins an attempt; its marker is on disk when this returns. What can't be begun is reported
    /// as failed.
    ///
    /// # Errors
    /// When it was begun before: a fault of ours or the coordinator's.
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
        let blank = report(setup, "a fault of the agent");
        let halt = Halt::default();
        let mut task = JoinSet::new();
        let mut progress = None;
        let obstacle = match (setup.outbox.mark_started(&started), worker) {
            (Ok(()), Some(_)) => None,
            (Ok(()), None) => Some("the engine was never found on this host".to_owned()),
            (Err(error @ OutboxError::AlreadyStarted(_)), _) => return Err(error),
            (Err(error), _) => Some(format!("the agent's state folder failed: {error}")),
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

    /// Begins no further request; those under way may end.
    pub(super) fn stop_soon(&self) {
        match &self.kind {
            // Settling holds nothing that anybody waits for.
            Kind::Preparation(_) => self.halt.now.cancel(),
            Kind::Attempt(_) => self.halt.soon.cancel(),
        }
    }

    /// Cuts off what is under way.
    pub(super) fn stop_now(&self) {
        self.halt.now.cancel();
    }
}

/// The report of an attempt that came to nothing.
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
        gpu: GpuWindow::missing("the attempt was not carried out"),
        findings: Vec::new(),
        engine: EngineWatch::missing("the attempt was not carried out"),
        client_cpu: None,
    }
}

/// Finds the endpoint and gets to know its engine: what it can do, what the agent itself adds, and
/// then its warm-up, so that it is warm when the first case begins. The last report is the warm-up's.
async fn prepare(
    options: EndpointOptions,
    bench: &Bench,
    preparation: &Preparation,
    halt: &Halt,
) -> (Result<Worker, String>, Vec<AttemptReport>) {
    let found = tokio::select! {
        found = Endpoint::discover(&options) => found.map_err(|e| e.to_string()),
        () = halt.now.cancelled() => Err("the agent was stopped".to_owned()),
    };
    match found {
        Ok(endpoint) => {
            for notice in endpoint.notices() {
                tracing::warn!(notice, "endpoint");
            }
            let mut worker = bench.worker(endpoint);
            let mut reports = Vec::new();
            if preparation.wants.floor_streams > 0 {
                match worker.floor(preparation, &bench.host, halt).await {
                    Ok(report) => reports.push(report),
                    // The run goes on without; the report says that it was not measured.
                    Err(reason) => tracing::warn!(reason, "the client floor cannot be measured"),
                }
            }
            reports.push(worker.settle(preparation, &bench.host, halt).await);
            (Ok(worker), reports)
        }
        Err(reason) => (Err(reason), Vec::new()),
    }
}

/// What every worker of this agent is built from.
struct Bench {
    host: HostId,
    identity: Identity,
    wall: Arc<dyn WallClock>,
    gpu: Arc<GpuHandle>,
    work: WorkerOptions,
}

impl Bench {
    fn of(setup: &Setup) -> Self {
        Self {
            host: setup.host.clone(),
            identity: Identity { instance: setup.instance, boot: setup.boot.clone() },
            wall: setup.wall.clone(),
            gpu: setup.gpu.clone(),
            work: setup.work.clone(),
        }
    }

    fn worker(&self, endpoint: Endpoint) -> Worker {
        let port = match endpoint.facts().location {
            EndpointLocation::Loopback { port } => Some(port),
            EndpointLocation::Remote => None,
        };
        let windows = Arc::new(Windows { handle: self.gpu.clone(), port, open: Mutex::new(None) });
        Worker::new(endpoint, self.identity.clone(), self.wall.clone(), windows)
            .with_options(self.work.clone())
    }
}

/// One worker's GPU window.
#[derive(Debug)]
struct Windows {
    handle: Arc<GpuHandle>,
    port: Option<u16>,
    /// A lock because the worker is shared by reference; one attempt at a time, never contended.
    open: Mutex<Option<Window>>,
}

impl GpuWindows for Windows {
    fn begin(&self, start: Option<MonoNs>) {
        let window = self.handle.begin_window(WindowPlan { port: self.port, start });
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(window);
    }

    fn end(&self, spans: Spans) -> BoxFuture<'_, GpuWindow> {
        let window = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(async move {
            match window {
                Some(window) => cut(self.handle.end_window(window).await, &spans),
                None => GpuWindow::missing("no window was open"),
            }
        })
    }
}
