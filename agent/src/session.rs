//! The agent's life: dial, say hello, do what the coordinator asks, hand results over, come back
//! after a loss.
//!
//! [`Agent`] owns everything that outlives a connection: the outbox, the work in hand, the
//! identity. A lost connection is not a lost measurement: the work goes on, its report waits in
//! the outbox.

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

/// How long an agent stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentLifetime {
    /// Until it is stopped: after a run it waits for the next one.
    Always,
    /// For one run; without its coordinator it ends what it does and goes on looking for this long.
    OneRun {
        /// From the last contact on.
        alone: Duration,
    },
}

impl AgentLifetime {
    /// For one run, a day if need be: what was measured is worth waiting for.
    pub const ONE_RUN: Self = Self::OneRun { alone: Duration::from_secs(24 * 3_600) };
}

/// What an agent is made of.
#[derive(Debug)]
pub struct Setup {
    /// Its name in the reports.
    pub host: HostId,
    /// This start.
    pub instance: InstanceId,
    /// This boot.
    pub boot: BootId,
    /// The machine.
    pub facts: HostFacts,
    /// A simulated host.
    pub simulated: bool,
    /// The coordinator.
    pub connector: Connector,
    /// How the engine is found.
    pub endpoint: EndpointOptions,
    /// The GPU sampler.
    pub gpu: Arc<GpuHandle>,
    /// Where results wait until they are acknowledged.
    pub outbox: Outbox,
    /// How attempts are carried out.
    pub work: WorkerOptions,
    /// When it leaves.
    pub lifetime: AgentLifetime,
    /// Wall time, for display.
    pub wall: Arc<dyn WallClock>,
}

/// Why an agent ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The coordinator does not want it.
    #[error("the coordinator refused this agent: {0}")]
    Refused(String),
    /// Its own storage failed.
    #[error("the agent's state folder failed")]
    Outbox(#[from] OutboxError),
}

/// One agent.
#[derive(Debug)]
pub struct Agent {
    setup: Setup,
    job: Option<Job>,
    /// What measures the engine that the last preparation found.
    worker: Option<Worker>,
    /// The run it prepared for.
    run: Option<RunId>,
    /// What the last preparation found, to be told again after a lost connection.
    prepared: Option<PreparedHost>,
    /// What to do when the work in hand has ended.
    next: Option<Order>,
}

/// Something the coordinator asked for.
#[derive(Debug)]
enum Order {
    Prepare(Preparation),
    Assign(Box<Assignment>),
}

impl Agent {
    /// An agent that has not dialled yet.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self { setup, job: None, worker: None, run: None, prepared: None, next: None }
    }

    /// Runs until `stop` is cancelled, or, with `once`, until a run is over.
    ///
    /// # Errors
    /// When the coordinator refuses the agent for good, or its own storage fails.
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
                    info!(reason, "run over");
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
            if let Some(until) = self.give_up(contact)
                && Instant::now() >= until
            {
                warn!(reason = problem, "no coordinator; what was measured is in the state folder");
                return self.leave().await;
            }
            if told.as_ref() != Some(&problem) {
                warn!(reason = problem, "no session; dialling again");
                told = Some(problem);
            }
            let wait = backoff.next(dialled.elapsed(), rand::rng().random());
            let until = Instant::now() + wait;
            let until = self.give_up(contact).map_or(until, |end| end.min(until));
            if self.pause(until, &stop).await {
                return self.leave().await;
            }
        }
    }

    /// One connection from dial to end. The outer error is ours, the inner the link's.
    async fn session(
        &mut self,
        stop: &CancellationToken,
        contact: &mut Instant,
    ) -> Result<Result<Ended, SessionError>, AgentError> {
        let hello = self.hello().await;
        let give_up = self.give_up(*contact);
        let link = tokio::select! {
            link = connect::open(&self.setup.connector, hello) => link,
            () = sleep_until(give_up) => {
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

    /// When an agent that was last connected at `contact` stops looking.
    fn give_up(&self, contact: Instant) -> Option<Instant> {
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
            engine: Reading::missing("not looked for yet"),
            simulated: self.setup.simulated,
            resume: Resume {
                run: self.run.clone(),
                held,
                unacknowledged: self.setup.outbox.pending(),
            },
        }
    }

    /// Waits before the next dial; work that ends meanwhile goes to the outbox. `true`: stopped.
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

    /// Puts what a job made into the outbox; what else it says is for the coordinator.
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

    /// A report that the disk does not take is held in memory and handed over all the same.
    fn put(&mut self, report: AttemptReport) {
        let Err(error) = self.setup.outbox.put(&report) else { return };
        error!(%error, attempt = %report.key, "the result could not be written to the state folder");
        if let OutboxError::TooLarge { .. } = error {
            let outcome = AttemptOutcome::Failed(error.to_string());
            let small = AttemptReport { outcome, traces: Vec::new(), ..report };
            if let Err(error) = self.setup.outbox.put(&small) {
                error!(%error, "nor could the word of it");
            }
        }
    }

    /// Ends the work in hand and keeps its report.
    async fn leave(mut self) -> Result<(), AgentError> {
        if let Some(job) = &self.job {
            job.stop_now();
            let output = job::ended(&mut self.job).await;
            self.keep(output);
        }
        Ok(())
    }
}
