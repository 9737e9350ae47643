//! One connected agent: reads its frames, carries out the actor's commands, pings its clock.

use std::time::Duration;

use regatta_types::assignment::Lease;
use regatta_types::ids::{HostId, RunId};
use regatta_types::time::{ClockAnchor, MonoNs};
use regatta_wire::codec::decode_report;
use regatta_wire::frame::{
    Ack, Acked, AgentFrame, ClockPing, ClockPong, CoordinatorFrame, Heartbeat, LeaseDecision,
    LeaseFate, Ready, ReportChunk, ReportEnd, Welcome,
};
use regatta_wire::slices::Assembler;
use regatta_wire::v1;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::{Instrument as _, debug, info_span, warn};

use super::pings::{Burst, Pong};
use super::{Context, QUEUE, handshake};
use crate::run::{Disconnect, Input, Message, Progress, Refusal, SessionCommand, SessionId};
use crate::timer::sleep_until;

/// Longest time for a burst of pings.
const BURST: Duration = Duration::from_secs(2);
/// Longest time an agent may leave its frames unread.
const STUCK: Duration = Duration::from_secs(10);
/// After the run's end, an agent has this long to say goodbye.
const PARTING: Duration = Duration::from_secs(5);

type Down = mpsc::Sender<Result<v1::CoordinatorFrame, Status>>;

/// One session, from its hello to its end.
pub(super) struct Session {
    id: SessionId,
    context: Context,
    messages: mpsc::Sender<Message>,
    down: Down,
    burst: Option<(Burst, Instant)>,
    pings: u32,
    upload: Option<(Lease, Assembler)>,
}

/// One thing to act on; the `select!` only names it.
#[expect(clippy::large_enum_variant, reason = "one value, moved once between select and match")]
enum Next {
    Frame(Result<Option<v1::AgentFrame>, Status>),
    Command(Option<SessionCommand>),
    BurstDue,
    Stop,
}

/// Who is on the other end.
struct Agent<'a> {
    host: &'a HostId,
    held: &'a [Lease],
    protocol: u32,
}

/// Where a session's inputs come from.
struct Ends<'a> {
    frames: &'a mut Streaming<v1::AgentFrame>,
    orders: &'a mut mpsc::Receiver<SessionCommand>,
    stop: &'a CancellationToken,
}

/// Why a session ends.
enum End {
    /// The agent said goodbye.
    Goodbye(String),
    /// Its stream ended, or it does not read.
    Gone(String),
    /// We end it, with a status for the agent.
    Status(Status),
}

impl Session {
    pub(super) fn new(
        id: SessionId,
        context: Context,
        messages: mpsc::Sender<Message>,
        down: Down,
    ) -> Self {
        Self { id, context, messages, down, burst: None, pings: 0, upload: None }
    }

    pub(super) async fn run(
        mut self,
        mut frames: Streaming<v1::AgentFrame>,
        peer: String,
        stop: CancellationToken,
    ) {
        let span = info_span!("session", id = self.id.0, peer, agent = tracing::field::Empty);
        let end = async {
            let (joining, protocol) = match handshake::hello(&mut frames).await {
                Ok(hello) => hello,
                Err(status) => return End::Status(status),
            };
            tracing::Span::current().record("agent", joining.host.as_str());
            if let Some(only) = self.context.only.as_ref().filter(|only| **only != joining.host) {
                return End::Status(Status::permission_denied(format!(
                    "this socket is for host `{only}`, not for `{}`",
                    joining.host
                )));
            }
            let (commands, mut orders) = mpsc::channel(QUEUE);
            let host = joining.host.clone();
            let held = joining.held.clone();
            let join = Message::Join { session: self.id, joining: Box::new(joining), commands };
            if self.messages.send(join).await.is_err() {
                return End::Status(Status::unavailable("the run has ended"));
            }
            let agent = Agent { host: &host, held: &held, protocol };
            let ends = Ends { frames: &mut frames, orders: &mut orders, stop: &stop };
            let end = self.admitted(agent, ends).await;
            let disconnect = match &end {
                End::Goodbye(reason) => Disconnect::Goodbye(reason.clone()),
                End::Gone(reason) => Disconnect::Lost(reason.clone()),
                End::Status(status) => Disconnect::Lost(status.message().to_owned()),
            };
            self.tell(Input::Left { session: self.id, disconnect }).await;
            end
        }
        .instrument(span.clone())
        .await;
        let _in_span = span.enter();
        match end {
            End::Goodbye(reason) | End::Gone(reason) => debug!(reason, "session ended"),
            End::Status(status) => {
                debug!(reason = status.message(), "session closed by the coordinator");
                // Best effort: the agent may have gone first.
                let _ = self.down.try_send(Err(status));
            }
        }
    }

    /// From the hello to the end, once the run knows of the agent.
    async fn admitted(&mut self, agent: Agent<'_>, ends: Ends<'_>) -> End {
        let keep = match tokio::time::timeout(handshake::DEADLINE, ends.orders.recv()).await {
            Ok(Some(SessionCommand::Accept { keep })) => keep,
            Ok(Some(SessionCommand::Refuse(refusal))) => return End::Status(refused(refusal)),
            Ok(Some(SessionCommand::Send(_) | SessionCommand::MeasureClock) | None) | Err(_) => {
                return End::Status(Status::unavailable("no answer from the run"));
            }
        };
        let welcome = self.welcome(agent.protocol, agent.held, &keep);
        match self.send(CoordinatorFrame::Welcome(welcome)).await {
            Ok(()) => self.converse(agent.host, ends).await,
            Err(end) => end,
        }
    }

    fn welcome(&self, protocol: u32, held: &[Lease], keep: &[Lease]) -> Welcome {
        let decide = |lease: &Lease| LeaseDecision {
            lease: lease.clone(),
            fate: if keep.contains(lease) { LeaseFate::Keep } else { LeaseFate::Abort },
        };
        Welcome {
            protocol,
            version: crate::VERSION.to_owned(),
            heartbeat_interval: self.context.beat,
            run: Some(self.context.run.clone()),
            held: held.iter().map(decide).collect(),
        }
    }

    async fn converse(&mut self, host: &HostId, ends: Ends<'_>) -> End {
        let Ends { frames, orders, stop } = ends;
        // Once the run is over: until when the agent may still say goodbye.
        let mut over = None;
        loop {
            let due = self.burst.as_ref().map(|(_, until)| *until);
            let next = tokio::select! {
                frame = frames.message() => Next::Frame(frame),
                order = orders.recv(), if over.is_none() => Next::Command(order),
                () = sleep_until(due) => Next::BurstDue,
                () = sleep_until(over) => Next::Stop,
                () = stop.cancelled() => Next::Stop,
            };
            let result = match next {
                Next::Frame(Ok(Some(frame))) => self.frame(host, frame).await,
                Next::Frame(Ok(None)) => Err(End::Gone("the connection was closed".to_owned())),
                Next::Frame(Err(status)) => {
                    Err(End::Gone(format!("connection error: {}", status.message())))
                }
                Next::Command(Some(command)) => self.command(command).await,
                Next::Command(None) => {
                    over = Some(Instant::now() + PARTING);
                    Ok(())
                }
                Next::BurstDue => self.burst_ended().await,
                Next::Stop => Err(End::Status(Status::unavailable("the run has ended"))),
            };
            if let Err(end) = result {
                return end;
            }
        }
    }

    async fn send(&self, frame: CoordinatorFrame) -> Result<(), End> {
        match self.down.send_timeout(Ok(frame.into()), STUCK).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                Err(End::Gone("the agent stopped reading".to_owned()))
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => {
                Err(End::Gone("the connection was closed".to_owned()))
            }
        }
    }

    /// After the run's end nobody listens; the closed command channel tells us so.
    async fn tell(&self, input: Input) {
        let _ = self.messages.send(Message::Input(input)).await;
    }

    async fn command(&mut self, command: SessionCommand) -> Result<(), End> {
        match command {
            SessionCommand::Send(frame) => self.send(*frame).await,
            SessionCommand::MeasureClock => {
                self.burst = Some((Burst::default(), Instant::now() + BURST));
                self.ping().await
            }
            SessionCommand::Refuse(refusal) => Err(End::Status(refused(refusal))),
            // Only the first command can be this one.
            SessionCommand::Accept { .. } => Ok(()),
        }
    }

    // --- clock ---

    async fn ping(&mut self) -> Result<(), End> {
        self.pings = self.pings.wrapping_add(1);
        let id = self.pings;
        if let Some((burst, _)) = &mut self.burst {
            burst.awaited = id;
        }
        self.send(CoordinatorFrame::ClockPing(ClockPing { id, t0: MonoNs::now() })).await
    }

    async fn pong(&mut self, pong: ClockPong) -> Result<(), End> {
        let t3 = MonoNs::now();
        let anchor = ClockAnchor { mono: t3, unix: self.context.wall.now() };
        let Some((burst, _)) = &mut self.burst else { return Ok(()) };
        if burst.awaited != pong.id {
            return Ok(());
        }
        let stamps = Pong { t0: pong.t0, t1: pong.t1, t2: pong.t2, t3, unix: pong.unix };
        if burst.take(stamps, anchor) { self.burst_ended().await } else { self.ping().await }
    }

    async fn burst_ended(&mut self) -> Result<(), End> {
        let Some((burst, _)) = self.burst.take() else { return Ok(()) };
        self.tell(Input::Clock { session: self.id, offset: burst.result() }).await;
        Ok(())
    }

    // --- frames ---

    async fn frame(&mut self, host: &HostId, frame: v1::AgentFrame) -> Result<(), End> {
        let violation = |what: String| End::Status(Status::invalid_argument(what));
        let frame = AgentFrame::try_from(frame).map_err(|e| violation(e.to_string()))?;
        let session = self.id;
        match frame {
            AgentFrame::Hello(_) => Err(violation("second hello".to_owned())),
            AgentFrame::Heartbeat(beat) => {
                self.tell(Input::Beat { session, progress: progress(beat) }).await;
                Ok(())
            }
            AgentFrame::Ready(ready) => self.ready(*ready).await,
            AgentFrame::ClockPong(pong) => self.pong(pong).await,
            AgentFrame::AttemptStarted(lease) => {
                own(&self.context.run, host, &lease).map_err(violation)?;
                self.tell(Input::Started { session, attempt: lease.key }).await;
                Ok(())
            }
            AgentFrame::ReportChunk(chunk) => {
                own(&self.context.run, host, &chunk.lease).map_err(violation)?;
                self.chunk(chunk).await
            }
            AgentFrame::ReportEnd(end) => self.report(end).await,
            AgentFrame::Goodbye(reason) => Err(End::Goodbye(reason)),
        }
    }

    async fn ready(&mut self, ready: Ready) -> Result<(), End> {
        if ready.run != self.context.run || ready.suite_hash != self.context.suite_hash {
            return Err(End::Status(Status::failed_precondition(
                "the agent prepared a different run or suite",
            )));
        }
        let Ready { engine, gpus, refused, checks, run: _, suite_hash: _ } = ready;
        let engine = Box::new(engine);
        self.tell(Input::Prepared { session: self.id, engine, gpus, refused, checks }).await;
        Ok(())
    }

    async fn chunk(&mut self, chunk: ReportChunk) -> Result<(), End> {
        let violation =
            |e: &dyn std::fmt::Display| End::Status(Status::invalid_argument(e.to_string()));
        match &mut self.upload {
            Some((lease, _)) if *lease == chunk.lease && chunk.index > 0 => {}
            Some(_) | None => self.upload = Some((chunk.lease.clone(), Assembler::default())),
        }
        if let Some((_, assembler)) = &mut self.upload {
            assembler.push(chunk.index, &chunk.data).map_err(|e| violation(&e))?;
        }
        let what = Acked::Chunk(chunk.index);
        self.send(CoordinatorFrame::Ack(Ack { lease: chunk.lease, what })).await?;
        self.tell(Input::Contact { session: self.id }).await;
        Ok(())
    }

    async fn report(&mut self, end: ReportEnd) -> Result<(), End> {
        let violation =
            |e: &dyn std::fmt::Display| End::Status(Status::invalid_argument(e.to_string()));
        let Some((lease, assembler)) = self.upload.take().filter(|(lease, _)| *lease == end.lease)
        else {
            return Err(violation(&"end of a report without its beginning"));
        };
        let bytes = assembler.finish(&end).map_err(|e| violation(&e))?;
        // Decoding a large report takes a while; other sessions' pings must not wait for it.
        let decoded =
            tokio::task::spawn_blocking(move || decode_report(&bytes).map(|r| (r, bytes))).await;
        let (report, bytes) = match decoded {
            Ok(result) => result.map_err(|e| violation(&e))?,
            Err(panic) => {
                warn!(error = %panic, "cannot decode a report");
                return Err(End::Status(Status::internal("cannot decode the report")));
            }
        };
        if report.key != lease.key || report.epoch != lease.epoch {
            return Err(violation(&"the report and its slices belong to different attempts"));
        }
        self.tell(Input::Report { session: self.id, report: Box::new(report), bytes }).await;
        Ok(())
    }
}

/// An agent may only report attempts of its own host in this run.
fn own(run: &RunId, host: &HostId, lease: &Lease) -> Result<(), String> {
    if lease.key.cell.host == *host && lease.key.run == *run {
        Ok(())
    } else {
        Err(format!("host `{host}` sent a message about {} in run {run}", lease.key))
    }
}

/// The codes tell the agent whether to try again (docs/protocol.md).
fn refused(refusal: Refusal) -> Status {
    match refusal {
        Refusal::NameTaken(reason) => Status::already_exists(reason),
        Refusal::NotInRun(reason) => Status::permission_denied(reason),
    }
}

fn progress(beat: Heartbeat) -> Progress {
    Progress {
        requests_done: beat.counters.done,
        requests_failed: beat.counters.failed,
        tokens_per_second: beat.counters.tokens_per_second.unwrap_or(0.0),
        gpus: beat.gpus.into_iter().map(|g| (g.uuid, g.sample)).collect(),
    }
}
