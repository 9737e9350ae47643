//! Preparation of a host for a run: endpoint, engine, warm-up and preflight checks.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use regatta_types::assignment::Preparation;
use regatta_types::attempt::{AttemptOutcome, AttemptReport};
use regatta_types::check::{CheckOutcome, refusal};
use regatta_types::facts::EndpointLocation;
use regatta_types::gpu::GpuWindow;
use regatta_types::ids::HostId;
use regatta_types::reading::Reading;
use regatta_types::time::{MonoNs, WallClock};
use regatta_types::units::Bytes;

use super::Setup;
use crate::checks::{self, PreflightEngine, PreflightInput};
use crate::endpoint::{DiscoverError, Endpoint, EndpointOptions};
use crate::facts;
use crate::gpu::{GpuHandle, Spans, WindowHandle, WindowPlan, cut};
use crate::work::{GpuWindows, Halt, Identity, Worker, WorkerOptions};

/// Reason for a missing worker after an interrupt.
const STOPPED: &str = "the agent was stopped";

/// Result of a preparation.
pub(super) struct Done {
    pub(super) worker: Result<Worker, String>,
    /// In order; the last one is the warm-up.
    pub(super) reports: Vec<AttemptReport>,
    pub(super) checks: Vec<CheckOutcome>,
    /// Why the host is refused.
    pub(super) refused: Option<String>,
}

/// Finds the endpoint, explores the capabilities of its engine, measures the client overhead, warms
/// up the engine for the first case and makes the preflight checks.
pub(super) async fn prepare(
    options: EndpointOptions,
    bench: &Bench,
    preparation: &Preparation,
    halt: &Halt,
) -> Done {
    let found = tokio::select! {
        found = Endpoint::discover(&options) => found,
        () = halt.now.cancelled() => return Done::stopped(),
    };
    let endpoint = match found {
        Ok(endpoint) => endpoint,
        Err(error) => {
            let checks = bench.checks(preparation, Err(&error)).await;
            let refused = refusal(&checks);
            return Done { worker: Err(error.to_string()), reports: Vec::new(), checks, refused };
        }
    };
    for notice in endpoint.notices() {
        tracing::warn!(notice, "endpoint");
    }
    let mut worker = bench.worker(endpoint);
    let mut reports = Vec::new();
    if preparation.wants.overhead_streams > 0 {
        match worker.measure_overhead(preparation, &bench.host, halt).await {
            Ok(report) => reports.push(report),
            // The run continues; the report marks it as not measured.
            Err(reason) => tracing::warn!(reason, "cannot measure the client overhead"),
        }
    }
    let warmup = worker.warm_up(preparation, &bench.host, halt).await;
    let engine = PreflightEngine {
        facts: worker.endpoint().facts(),
        abilities: &worker.abilities(),
        warmup: &warmup,
        metrics: &worker.endpoint().metrics_before(),
        has_tokenizer: worker.has_tokenizer(),
    };
    let checks = bench.checks(preparation, Ok(engine)).await;
    let warm = warmup.outcome == AttemptOutcome::Completed;
    let not_warm = (!warm).then(|| format!("engine warm-up: {}", warmup.outcome));
    let refused = refusal(&checks).or(not_warm);
    reports.push(warmup);
    Done { worker: Ok(worker), reports, checks, refused }
}

impl Done {
    fn stopped() -> Self {
        let refused = Some(STOPPED.to_owned());
        Self { worker: Err(STOPPED.to_owned()), reports: Vec::new(), checks: Vec::new(), refused }
    }
}

/// Parts of every worker of this agent.
pub(super) struct Bench {
    host: HostId,
    identity: Identity,
    wall: Arc<dyn WallClock>,
    gpu: Arc<GpuHandle>,
    work: WorkerOptions,
    /// Free disk space for results; `None`: in memory.
    disk: Option<Reading<Bytes>>,
}

impl Bench {
    pub(super) fn of(setup: &Setup) -> Self {
        Self {
            host: setup.host.clone(),
            identity: Identity { instance: setup.instance, boot: setup.boot.clone() },
            wall: setup.wall.clone(),
            gpu: setup.gpu.clone(),
            work: setup.work.clone(),
            disk: setup.outbox.disk_free(),
        }
    }

    /// The preflight checks of this host.
    async fn checks(
        &self,
        preparation: &Preparation,
        engine: Result<PreflightEngine<'_>, &DiscoverError>,
    ) -> Vec<CheckOutcome> {
        checks::list(&PreflightInput {
            wants: &preparation.wants,
            engine,
            gpus: &self.gpu.inventory().await,
            chosen: self.gpu.chosen(),
            governor: &facts::governor(),
            disk: self.disk.as_ref(),
        })
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
    /// A lock since the worker is shared by reference; never contended, as attempts are sequential.
    open: Mutex<Option<WindowHandle>>,
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
