//! Main loop of the agent: connect, handshake, execute orders, deliver results, reconnect after a
//! loss.
//!
//! [`Agent`] owns everything that outlives a connection: the outbox, the current work and the
//! identity. After a lost connection the work continues and its report waits in the outbox.

mod backoff;
mod beat;
mod connect;
mod converse;
mod job;
mod preparing;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use regatta_types::assignment::{Assignment, Lease, Preparation};
use regatta_types::attempt::{AttemptOutcome, AttemptReport};
use regatta_types::facts::HostFacts;
use regatta_types::ids::{BootId, HostId, InstanceId, RunId};
use regatta_types::reading::Reading;
use regatta_types::time::WallClock;
use regatta_wire::Versions;
use regatta_wire::frame::{Hello, Resume};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::endpoint::EndpointOptions;
use crate::gpu::GpuHandle;
use crate::outbox::{Outbox, OutboxError};
use crate::work::{Worker, WorkerOptions};
use backoff::Backoff;
use converse::{Conversation, Ended, sleep_until};
use job::{Job, PreparedHost};

pub use connect::{Connector, SessionError};

/// Lifetime of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentLifetime {
    /// Until stopped: waits for the next run.
    Always,
    /// For one run; without a coordinator it tries to reconnect for this long.
    OneRun {
        /// Time since the last contact.
        alone: Duration,
    },
}

impl AgentLifetime {
    /// One run; waits up to a day to deliver results.
    pub const ONE_RUN: Self = Self::OneRun { alone: Duration::from_secs(24 * 3_600) };
}

/// Parts of an agent.
#[derive(Debug)]
pub struct Setup {
    /// Its name in the reports.
    pub host: HostId,
    /// This process.
    pub instance: InstanceId,
    /// This boot.
    pub boot: BootId,
    /// The machine.
    pub facts: HostFacts,
    /// A simulated host.
    pub simulated: bool,
    /// The coordinator.
    pub connector: Connector,
    /// Endpoint options.
    pub endpoint: EndpointOptions,
    /// The GPU sampler.
    pub gpu: Arc<GpuHandle>,
    /// Stores results until they are acknowledged.
    pub outbox: Outbox,
    /// Options for attempts.
    pub work: WorkerOptions,
    /// When it exits.
    pub lifetime: AgentLifetime,
    /// Wall time, for display.
    pub wall: Arc<dyn WallClock>,
}

/// Why an agent exited.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Refused by the coordinator.
    #[error("the coordinator refused this agent: {0}")]
    Refused(String),
    /// Local storage failure.
    #[error("the agent's state directory failed")]
    Outbox(#[from] OutboxError),
}

/// One agent.
#[derive(Debug)]
pub struct Agent {
    setup: Setup,
    job: Option<Job>,
    /// Worker for the engine of the last preparation.
    worker: Option<Worker>,
    /// The run of the last preparation.
    run: Option<RunId>,
    /// Result of the last preparation, sent again after a reconnect.
    prepared: Option<PreparedHost>,
    /// The next order, after the current work.
    next: Option<Order>,
}

/// An order of the coordinator.
#[derive(Debug)]
enum Order {
    Prepare(Box<Preparation>),
    Assign(Box<Assignment>),
}

impl Agent {
    /// An agent that is not connected yet.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self { setup, job: None, worker: None, run: None, prepared: None, next: None }
    }

    /// Runs until `stop` is cancelled or, with a lifetime of one run, until the run ends.
    ///
    /// # Errors
    /// If the coordinator refuses the agent permanently, or local storage fails.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), AgentError> {
        let mut backoff = Backoff::default();
        let mut told: Option<String> = None;
        let mut contact = Instant::now();
        let once = self.setup.lifetime != AgentLifetime::Always;
        loop {
            let dialled = Instant::now();
            let ended = self.session(&stop, &mut contact).await?;
            let problem = match ended {
                Ok(Ended::Stopped) => return self.leave().await,
                Ok(Ended::RunOver(reason)) => {
                    info!(reason, "run ended");
                    if once {
                        return self.leave().await;
                    }
                    reason
                }
                Err(SessionError::Refused(reason)) => return Err(AgentError::Refused(reason)),
                Err(SessionError::NotInRun(reason)) if once => {
                    return Err(AgentError::Refused(reason));
                }
                Err(SessionError::NotInRun(reason) | SessionError::Lost(reason)) => reason,
            };
            if let Some(until) = self.deadline(contact)
                && Instant::now() >= until
            {
                warn!(
                    reason = problem,
                    "no contact with the coordinator, exiting; undelivered \
                    results are in the state directory"
                );
                return self.leave().await;
            }
            if told.as_ref() != Some(&problem) {
                warn!(reason = problem, "no session, reconnecting");
                told = Some(problem);
            }
            let wait = backoff.next(dialled.elapsed(), rand::rng().random());
            let until = Instant::now() + wait;
            let until = self.deadline(contact).map_or(until, |end| end.min(until));
            if self.pause(until, &stop).await {
                return self.leave().await;
            }
        }
    }

    /// One connection, from connect to end. The outer error is local, the inner one of the link.
    async fn session(
        &mut self,
        stop: &CancellationToken,
        contact: &mut Instant,
    ) -> Result<Result<Ended, SessionError>, AgentError> {
        let hello = self.hello().await;
        let deadline = self.deadline(*contact);
        let link = tokio::select! {
            link = connect::open(&self.setup.connector, hello) => link,
            () = sleep_until(deadline) => {
                Err(SessionError::Lost("the coordinator does not answer".to_owned()))
            }
            () = stop.cancelled() => return Ok(Ok(Ended::Stopped)),
        };
        match link {
            Ok(link) => {
                info!(
                    protocol = link.welcome.protocol,
                    version = link.welcome.version,
                    "connected"
                );
                let ended = Conversation::new(self, link).run(stop).await;
                *contact = Instant::now();
                ended
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// When an agent last connected at `contact` stops reconnecting.
    fn deadline(&self, contact: Instant) -> Option<Instant> {
        match self.setup.lifetime {
            AgentLifetime::Always => None,
            AgentLifetime::OneRun { alone } => Some(contact + alone),
        }
    }

    async fn hello(&self) -> Hello {
        let held: Vec<Lease> = self.job.iter().filter_map(Job::lease).cloned().collect();
        Hello {
            versions: Versions::OURS,
            host: self.setup.host.clone(),
            instance: self.setup.instance,
            boot: self.setup.boot.clone(),
            version: crate::VERSION.to_owned(),
            facts: self.setup.facts.clone(),
            gpus: self.setup.gpu.inventory().await,
            engine: Reading::missing("not checked yet"),
            simulated: self.setup.simulated,
            resume: Resume {
                run: self.run.clone(),
                held,
                unacknowledged: self.setup.outbox.pending(),
            },
        }
    }

    /// Waits before the next connection; stores work that ends meanwhile. `true`: stopped.
    async fn pause(&mut self, until: Instant, stop: &CancellationToken) -> bool {
        loop {
            let ended = tokio::select! {
                ended = job::ended(&mut self.job) => Some(ended),
                () = tokio::time::sleep_until(until) => None,
                () = stop.cancelled() => return true,
            };
            match ended {
                Some(output) => {
                    self.keep(output);
                }
                None => return false,
            }
        }
    }

    /// Stores the reports of a job in the outbox and returns the rest for the coordinator.
    fn keep(&mut self, output: job::Output) -> Option<PreparedHost> {
        let job::Output { reports, prepared } = output;
        for report in reports {
            self.put(report);
        }
        if prepared.is_some() {
            self.prepared.clone_from(&prepared);
        }
        prepared
    }

    /// A report that cannot be written is kept in memory and still delivered.
    fn put(&mut self, report: AttemptReport) {
        let Err(error) = self.setup.outbox.put(&report) else { return };
        error!(%error, attempt = %report.key, "cannot write a result to the state directory");
        if let OutboxError::TooLarge { .. } = error {
            let outcome = AttemptOutcome::Failed(error.to_string());
            let small = AttemptReport { outcome, traces: Vec::new(), ..report };
            if let Err(error) = self.setup.outbox.put(&small) {
                error!(%error, "cannot write the failure record either");
            }
        }
    }

    /// Stops the current work and stores its report.
    async fn leave(mut self) -> Result<(), AgentError> {
        if let Some(job) = &self.job {
            job.stop_now();
            let output = job::ended(&mut self.job).await;
            self.keep(output);
        }
        Ok(())
    }
}
