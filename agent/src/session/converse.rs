//! A connected session: receives the coordinator's messages, starts and stops work, and delivers
//! results between attempts.

use std::time::Duration;

use regatta_types::assignment::Lease;
use regatta_types::facts::EndpointLocation;
use regatta_types::ids::RunId;
use regatta_types::reading::Reading;
use regatta_types::time::MonoNs;
use regatta_wire::frame::{
    Ack, AgentFrame, AgentPhase, Cancel, ClockPing, ClockPong, CoordinatorFrame, LeaseFate, Ready,
};
use regatta_wire::v1;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::{error, info, warn};

use super::connect::{Link, SessionError};
use super::job::{self, Job, PreparedHost};
use super::upload::Upload;
use super::{Agent, AgentError, Order, beat};

/// Send timeout: the coordinator stopped reading.
const STUCK: Duration = Duration::from_secs(10);
/// Time for the current request to finish after a stop.
const GRACE: Duration = Duration::from_secs(10);

/// Normal end of a conversation.
#[derive(Debug)]
pub(super) enum Ended {
    /// The coordinator released the agent.
    RunOver(String),
    /// Stopped by the user.
    Stopped,
}

/// The next event, from the `select!`.
enum Next {
    Frame(Result<Option<v1::CoordinatorFrame>, Status>),
    Job(job::Output),
    Stop,
    GraceOver,
}

/// Why the loop ends.
enum End {
    Well(Ended),
    Link(SessionError),
    Ours(AgentError),
}

impl From<SessionError> for End {
    fn from(error: SessionError) -> Self {
        Self::Link(error)
    }
}

impl From<AgentError> for End {
    fn from(error: AgentError) -> Self {
        Self::Ours(error)
    }
}

/// The state of one session.
pub(super) struct Conversation<'a> {
    agent: &'a mut Agent,
    up: mpsc::Sender<v1::AgentFrame>,
    down: Streaming<v1::CoordinatorFrame>,
    beats: JoinSet<()>,
    now: watch::Sender<beat::Now>,
    upload: Option<Upload>,
    /// Set after a stop: deadline of the current work.
    leaving: Option<Instant>,
    /// Set at the end of the run: the reason.
    drained: Option<String>,
    /// The current run.
    run: Option<RunId>,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(agent: &'a mut Agent, link: Link) -> Self {
        let Link { up, down, welcome } = link;
        for decision in &welcome.held {
            if decision.fate == LeaseFate::Abort
                && let Some(job) =
                    agent.job.as_ref().filter(|job| job.lease() == Some(&decision.lease))
            {
                job.stop_now();
            }
        }
        let (now, seen) =
            watch::channel(beat::Now { lease: None, phase: AgentPhase::Idle, progress: None });
        let mut beats = JoinSet::new();
        beats.spawn(beat::beat(
            up.clone(),
            welcome.heartbeat_interval,
            seen,
            agent.setup.gpu.clone(),
        ));
        let mut conversation = Self {
            agent,
            up,
            down,
            beats,
            now,
            upload: None,
            leaving: None,
            drained: None,
            run: welcome.run,
        };
        conversation.publish();
        conversation
    }

    pub(super) async fn run(
        mut self,
        stop: &CancellationToken,
    ) -> Result<Result<Ended, SessionError>, AgentError> {
        let end = loop {
            if let Err(end) = self.pump().await {
                break end;
            }
            if let Some(ended) = self.finished() {
                // Best effort: the coordinator may already be gone.
                let _ = self.send(AgentFrame::Goodbye("nothing left to do".to_owned())).await;
                break End::Well(ended);
            }
            let leaving = self.leaving;
            let next = tokio::select! {
                frame = self.down.message() => Next::Frame(frame),
                output = job::ended(&mut self.agent.job) => Next::Job(output),
                () = stop.cancelled(), if leaving.is_none() => Next::Stop,
                () = sleep_until(leaving) => Next::GraceOver,
            };
            if let Err(end) = self.act(next).await {
                break end;
            }
        };
        self.beats.shutdown().await;
        match end {
            End::Well(ended) => Ok(Ok(ended)),
            End::Link(_) if self.leaving.is_some() => Ok(Ok(Ended::Stopped)),
            End::Link(error) => Ok(self.drained.map(Ended::RunOver).ok_or(error)),
            End::Ours(error) => Err(error),
        }
    }

    /// Whether this session is complete.
    fn finished(&self) -> Option<Ended> {
        if self.agent.job.is_some() || self.upload.is_some() {
            return None;
        }
        if self.leaving.is_some() {
            return Some(Ended::Stopped);
        }
        self.drained.clone().map(Ended::RunOver)
    }

    async fn act(&mut self, next: Next) -> Result<(), End> {
        match next {
            Next::Frame(Ok(Some(frame))) => self.frame(frame).await,
            Next::Frame(Ok(None)) => {
                Err(SessionError::Lost("the coordinator closed the connection".to_owned()).into())
            }
            Next::Frame(Err(status)) => Err(SessionError::from(status).into()),
            Next::Job(output) => self.done(output).await,
            Next::Stop => {
                info!("stopping after the current request");
                self.leaving = Some(Instant::now() + GRACE);
                if let Some(job) = &self.agent.job {
                    job.stop_soon();
                }
                Ok(())
            }
            Next::GraceOver => {
                if let Some(job) = &self.agent.job {
                    job.stop_now();
                }
                if self.agent.job.is_none() {
                    // Undelivered results stay in the outbox.
                    return Err(End::Well(Ended::Stopped));
                }
                self.leaving = Some(Instant::now() + GRACE);
                Ok(())
            }
        }
    }

    async fn send(&self, frame: AgentFrame) -> Result<(), SessionError> {
        match self.up.send_timeout(frame.into(), STUCK).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                Err(SessionError::Lost("the coordinator stopped reading".to_owned()))
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => {
                Err(SessionError::Lost("the coordinator closed the connection".to_owned()))
            }
        }
    }

    /// Continues the upload. Nothing is uploaded during an attempt.
    async fn pump(&mut self) -> Result<(), End> {
        if self.agent.job.is_none() && self.upload.is_none() {
            // Reports of other runs wait for their own coordinator.
            let pending = self.agent.setup.outbox.pending();
            let own = |lease: &Lease| Some(&lease.key.run) == self.run.as_ref();
            if let Some(lease) = pending.into_iter().find(own) {
                self.upload = self.read(lease);
                self.publish();
            }
        }
        if self.agent.job.is_none()
            && let Some(upload) = &mut self.upload
        {
            for frame in upload.due() {
                self.send(frame).await?;
            }
        }
        Ok(())
    }

    /// Reads a report. An unreadable report is replaced by a failed one.
    fn read(&mut self, lease: Lease) -> Option<Upload> {
        match self.agent.setup.outbox.read(&lease.key) {
            Ok(report) => Some(Upload::new(lease, &report)),
            Err(error) => {
                error!(%error, attempt = %lease.key, "cannot read a report from the state \
                    directory");
                let why = format!("the report was lost on the agent's disk: {error}");
                let failed = job::failed(&self.agent.setup, &lease, &why);
                self.agent.put(failed);
                None
            }
        }
    }

    async fn frame(&mut self, frame: v1::CoordinatorFrame) -> Result<(), End> {
        let t1 = MonoNs::now();
        let frame = CoordinatorFrame::try_from(frame).map_err(|e| {
            SessionError::Refused(format!("protocol error from the coordinator: {e}"))
        })?;
        match frame {
            CoordinatorFrame::ClockPing(ping) => self.pong(ping, t1).await,
            CoordinatorFrame::Prepare(preparation) => {
                self.order(Order::Prepare(Box::new(preparation))).await
            }
            CoordinatorFrame::Assign(assignment) => self.order(Order::Assign(assignment)).await,
            CoordinatorFrame::Cancel(cancel) => {
                self.cancel(&cancel);
                Ok(())
            }
            CoordinatorFrame::Ack(ack) => self.acknowledged(&ack),
            CoordinatorFrame::Go(run) => {
                info!(%run, "run started");
                Ok(())
            }
            CoordinatorFrame::Drain(reason) => {
                self.drained = Some(reason);
                // The preparation is no longer needed.
                if let Some(job) = self.agent.job.as_ref().filter(|job| job.lease().is_none()) {
                    job.stop_soon();
                }
                Ok(())
            }
            CoordinatorFrame::Welcome(_) => {
                Err(SessionError::Refused("second welcome".to_owned()).into())
            }
        }
    }

    async fn pong(&mut self, ping: ClockPing, t1: MonoNs) -> Result<(), End> {
        let unix = self.agent.setup.wall.now();
        let pong = ClockPong { id: ping.id, t0: ping.t0, t1, t2: MonoNs::now(), unix };
        Ok(self.send(AgentFrame::ClockPong(pong)).await?)
    }

    /// Handles an order after stopping the current work.
    async fn order(&mut self, order: Order) -> Result<(), End> {
        if self.leaving.is_some() {
            return Ok(());
        }
        match (&self.agent.job, &order) {
            (None, _) => self.begin(order).await,
            // After a short disconnect the same warm-up is still running; its result will follow.
            (Some(job), Order::Prepare(again)) if job.prepares(&again.run) => Ok(()),
            (Some(job), Order::Prepare(_) | Order::Assign(_)) => {
                job.stop_now();
                self.agent.next = Some(order);
                Ok(())
            }
        }
    }

    async fn begin(&mut self, order: Order) -> Result<(), End> {
        match order {
            Order::Prepare(preparation) => {
                let again = |p: &&PreparedHost| {
                    p.run == preparation.run && p.attempt == preparation.attempt
                };
                if let Some(prepared) = self.agent.prepared.as_ref().filter(again).cloned() {
                    return self.ready(prepared).await;
                }
                self.agent.run = Some(preparation.run.clone());
                self.agent.job = Some(Job::prepare(&self.agent.setup, *preparation));
                self.publish();
                Ok(())
            }
            Order::Assign(assignment) => {
                let lease = Lease { key: assignment.key.clone(), epoch: assignment.epoch };
                let worker = self.agent.worker.as_ref();
                let job = Job::attempt(&mut self.agent.setup, worker, *assignment);
                self.agent.job = Some(job.map_err(AgentError::from)?);
                self.publish();
                Ok(self.send(AgentFrame::AttemptStarted(lease)).await?)
            }
        }
    }

    fn cancel(&mut self, cancel: &Cancel) {
        if let Some(job) = self.agent.job.as_ref().filter(|job| job.lease() == Some(&cancel.lease))
        {
            info!(attempt = %cancel.lease.key, reason = cancel.reason, "attempt cancelled");
            job.stop_soon();
        }
    }

    fn acknowledged(&mut self, ack: &Ack) -> Result<(), End> {
        let Some(upload) = self.upload.as_mut().filter(|upload| *upload.lease() == ack.lease)
        else {
            return Ok(());
        };
        if upload.acknowledge(ack.what) {
            self.upload = None;
            self.agent.setup.outbox.acknowledge(&ack.lease.key).map_err(AgentError::from)?;
            self.publish();
        }
        Ok(())
    }

    async fn done(&mut self, output: job::Output) -> Result<(), End> {
        let prepared = self.agent.keep(output);
        self.publish();
        if let Some(prepared) = prepared.filter(|p| Some(&p.run) == self.run.as_ref()) {
            match &prepared.refused {
                Some(reason) if !prepared.check_only => warn!(reason, "host refused"),
                Some(_) | None => {}
            }
            self.ready(prepared).await?;
        }
        match self.agent.next.take() {
            Some(order) => self.order(order).await,
            None => Ok(()),
        }
    }

    async fn ready(&mut self, prepared: PreparedHost) -> Result<(), End> {
        let engine = prepared.engine();
        let gpus = match engine.known().map(|engine| engine.location) {
            Some(EndpointLocation::Remote) => {
                Reading::missing("the endpoint runs on another machine")
            }
            Some(EndpointLocation::Loopback { .. }) | None => {
                self.agent.setup.gpu.inventory().await
            }
        };
        self.agent.worker = prepared.worker.ok();
        let ready = Ready {
            run: prepared.run,
            suite_hash: prepared.suite_hash,
            engine,
            gpus,
            refused: prepared.refused,
            checks: prepared.checks,
        };
        Ok(self.send(AgentFrame::Ready(Box::new(ready))).await?)
    }

    /// Publishes the current activity to the heartbeats.
    fn publish(&mut self) {
        let job = self.agent.job.as_ref();
        let phase = match (job, &self.upload) {
            (Some(_), _) => AgentPhase::EngineWarmup,
            (None, Some(_)) => AgentPhase::Uploading,
            (None, None) => AgentPhase::Idle,
        };
        self.now.send_replace(beat::Now {
            lease: job.and_then(Job::lease).cloned(),
            phase,
            progress: job.and_then(Job::progress),
        });
    }
}

/// Waits until `until`; pending forever without a time.
pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
