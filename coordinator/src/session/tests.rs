//! Real gRPC over in-memory pipes, with agents played by hand.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use regatta_types::assignment::{Assignment, EngineWarmup, Lease};
use regatta_types::attempt::AttemptReport;
use regatta_types::event::Disposition;
use regatta_types::ids::{BootId, HostId, InstanceId};
use regatta_types::reading::Reading;
use regatta_types::record::{AttemptRecord, ExpectedHosts, RunHeader};
use regatta_types::suite::Suite;
use regatta_types::testing;
use regatta_types::time::{MonoNs, UnixNs, WallClock};
use regatta_wire::codec::encode_report;
use regatta_wire::frame::{Acked, AgentFrame, ClockPong, CoordinatorFrame, Hello, Ready, Resume};
use regatta_wire::v1::fleet_client::FleetClient;
use regatta_wire::{Versions, slices, v1};
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic::{Code, Status, Streaming};

use super::{Context, Hub, serve};
use crate::run::{Actor, Now, Orders, Parts, RunPolicy, RunState};
use crate::store::{Loaded, SqliteStore, Write, Writer};
use crate::suite;

/// Nothing here takes a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Fixed;

impl WallClock for Fixed {
    fn now(&self) -> UnixNs {
        UnixNs(1_795_487_663_000_000_000)
    }
}

/// A coordinator without a command line.
struct Cluster {
    header: RunHeader,
    pipes: mpsc::Sender<DuplexStream>,
    writer: Writer,
    tasks: JoinSet<()>,
    run: JoinSet<()>,
    stop: CancellationToken,
}

fn one_cell() -> Suite {
    let source = "name = 'one'\n[[case]]\ntitle = 'A'\nmax_tokens = 4\nrepetitions = 1\n\
                  messages = [{role = 'user', content = 'hello'}]\n";
    suite::parse(source, "test").unwrap()
}

impl Cluster {
    async fn start(expected: ExpectedHosts) -> Self {
        let header = RunHeader { suite: one_cell(), expected, ..testing::header(Vec::new()) };
        let writer = Writer::start(Box::new(SqliteStore::in_memory().unwrap())).unwrap();
        writer.handle().write(vec![Write::Run(Box::new(header.clone()))]).await.unwrap();
        let stop = CancellationToken::new();
        let (messages, inbox) = mpsc::channel(64);
        let (events, _) = mpsc::channel(64);
        let wall: Arc<dyn WallClock> = Arc::new(Fixed);
        let policy =
            RunPolicy { first_lead: Duration::ZERO, lead: Duration::ZERO, ..RunPolicy::default() };
        let context = Context {
            run: header.run.clone(),
            suite_hash: header.suite.hash(),
            beat: policy.beat,
            wall: wall.clone(),
            only: None,
        };
        let hub = Hub::new(context, messages, stop.clone());
        let now = Now { instant: Instant::now(), mono: MonoNs::now() };
        let orders =
            Orders { model: None, engine_warmup: EngineWarmup::Requests(0), check_only: false };
        let state = RunState::new(header.clone(), orders, policy, now);
        let (view, _) = watch::channel(state.0.view());
        let (actor, first) = Actor::new(Parts {
            run: header.run.clone(),
            state,
            store: writer.handle(),
            wall,
            messages: inbox,
            events,
            view,
        });
        let mut run = JoinSet::new();
        run.spawn(async move { actor.run(first).await.unwrap() });
        let (pipes, incoming) = mpsc::channel::<DuplexStream>(4);
        let mut tasks = JoinSet::new();
        let incoming = ReceiverStream::new(incoming).map(Ok::<_, std::io::Error>);
        let ended = stop.clone();
        tasks.spawn(async move { serve(hub, incoming, ended).await.unwrap() });
        Self { header, pipes, writer, tasks, run, stop }
    }

    /// Dials, and sends these frames at once.
    async fn dial(&self, first: AgentFrame) -> Result<Agent, Status> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        self.pipes.send(theirs).await.unwrap();
        let mut ours = Some(TokioIo::new(ours));
        let connector = tower::service_fn(move |_| {
            let pipe = ours.take().ok_or_else(|| std::io::Error::other("dialled once"));
            std::future::ready(pipe)
        });
        let channel =
            Endpoint::from_static("http://test").connect_with_connector(connector).await.unwrap();
        let (up, frames) = mpsc::channel(64);
        up.send(first.into()).await.unwrap();
        let down =
            FleetClient::new(channel).session(ReceiverStream::new(frames)).await?.into_inner();
        Ok(Agent { up, down })
    }

    async fn join(&self, name: &str, instance: u128) -> Result<Agent, Status> {
        let mut agent = self.dial(AgentFrame::Hello(Box::new(hello(name, instance)))).await?;
        match agent.next().await? {
            CoordinatorFrame::Welcome(welcome) => {
                assert_eq!(welcome.run.as_ref(), Some(&self.header.run))
            }
            other => panic!("not a welcome: {other:?}"),
        }
        Ok(agent)
    }

    /// Waits for the run's end and gives what is stored, and the attempts of all hosts.
    async fn end(mut self) -> (Loaded, Vec<AttemptRecord>) {
        timeout(LIMIT, self.run.join_next()).await.expect("the run ends").unwrap().unwrap();
        self.stop.cancel();
        timeout(LIMIT, self.tasks.join_next()).await.expect("the server ends").unwrap().unwrap();
        let store = self.writer.close().await.unwrap();
        let loaded = store.load(&self.header.run).unwrap();
        let of_host = |host| store.attempts(&self.header.run, host).unwrap().open().0;
        let attempts = loaded.hosts.iter().flat_map(of_host).collect();
        (loaded, attempts)
    }
}

struct Agent {
    up: mpsc::Sender<v1::AgentFrame>,
    down: Streaming<v1::CoordinatorFrame>,
}

impl Agent {
    async fn next(&mut self) -> Result<CoordinatorFrame, Status> {
        let frame = timeout(LIMIT, self.down.message()).await.expect("a frame in time")?;
        let frame = frame.ok_or_else(|| Status::aborted("the stream ended"))?;
        Ok(CoordinatorFrame::try_from(frame).unwrap())
    }

    async fn send(&self, frame: AgentFrame) {
        self.up.send(frame.into()).await.unwrap();
    }

    /// The next frame that is no ping; pings are answered.
    async fn next_order(&mut self) -> Result<CoordinatorFrame, Status> {
        loop {
            match self.next().await? {
                CoordinatorFrame::ClockPing(ping) => {
                    let (t1, t2) = (MonoNs::now(), MonoNs::now());
                    let pong = ClockPong { id: ping.id, t0: ping.t0, t1, t2, unix: UnixNs(0) };
                    self.send(AgentFrame::ClockPong(pong)).await;
                }
                other => return Ok(other),
            }
        }
    }

    /// Prepares and takes the first assignment.
    async fn assignment(&mut self) -> Result<Assignment, Status> {
        loop {
            match self.next_order().await? {
                CoordinatorFrame::Prepare(preparation) => {
                    let ready = Ready {
                        run: preparation.run,
                        suite_hash: preparation.suite_hash,
                        engine: Reading::missing("test"),
                        gpus: Reading::missing("test"),
                        refused: None,
                        checks: Vec::new(),
                    };
                    self.send(AgentFrame::Ready(Box::new(ready))).await;
                }
                CoordinatorFrame::Go(_) => {}
                CoordinatorFrame::Assign(assignment) => return Ok(*assignment),
                other => panic!("unexpected: {other:?}"),
            }
        }
    }
}

fn hello(name: &str, instance: u128) -> Hello {
    Hello {
        versions: Versions::OURS,
        host: HostId::new(name).unwrap(),
        instance: InstanceId::from_u128(instance),
        boot: BootId("boot".to_owned()),
        version: "0".to_owned(),
        facts: testing::facts(name),
        gpus: Reading::missing("test"),
        engine: Reading::missing("test"),
        simulated: false,
        resume: Resume::default(),
    }
}

fn report(lease: &Lease) -> AttemptReport {
    AttemptReport {
        instance: InstanceId::from_u128(1),
        ..testing::report(lease.key.clone(), lease.epoch)
    }
}

async fn status_of(result: Result<Agent, Status>) -> Status {
    match result {
        Ok(_) => panic!("the agent was let in"),
        Err(status) => status,
    }
}

#[tokio::test]
async fn a_run_over_a_pipe_stores_its_result() {
    let cluster = Cluster::start(ExpectedHosts::Count(1)).await;
    let mut agent = cluster.join("one", 1).await.unwrap();
    let assignment = agent.assignment().await.unwrap();
    let lease = Lease { key: assignment.key, epoch: assignment.epoch };
    agent.send(AgentFrame::AttemptStarted(lease.clone())).await;
    let (chunks, end) = slices::frames(&lease, &encode_report(&report(&lease)).into());
    for chunk in chunks {
        agent.send(AgentFrame::ReportChunk(chunk)).await;
    }
    agent.send(AgentFrame::ReportEnd(end)).await;
    let mut acks = Vec::new();
    loop {
        match agent.next_order().await.unwrap() {
            CoordinatorFrame::Ack(ack) => acks.push(ack.what),
            CoordinatorFrame::Drain(_) => break,
            other => panic!("unexpected: {other:?}"),
        }
    }
    assert_eq!(acks, [Acked::Chunk(0), Acked::Stored]);
    agent.send(AgentFrame::Goodbye("test".to_owned())).await;
    let (loaded, attempts) = cluster.end().await;
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].disposition, Disposition::Counted);
    assert!(loaded.record.sealed.is_some());
    assert_eq!(loaded.record.hosts[0].clocks.len(), 2, "a clock before the run and one after it");
}

#[tokio::test]
async fn a_second_agent_with_the_same_name_is_refused_with_a_message() {
    let cluster = Cluster::start(ExpectedHosts::Count(2)).await;
    let _first = cluster.join("one", 1).await.unwrap();
    let status = status_of(cluster.join("one", 2).await).await;
    assert_eq!(status.code(), Code::AlreadyExists);
    assert!(status.message().contains("Set a different --name"), "{}", status.message());
}

#[tokio::test]
async fn an_unexpected_host_is_refused_for_this_run_only() {
    let cluster = Cluster::start(ExpectedHosts::Named(vec![HostId::new("one").unwrap()])).await;
    let status = status_of(cluster.join("two", 2).await).await;
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn versions_without_overlap_are_refused_with_both_ranges() {
    let cluster = Cluster::start(ExpectedHosts::Count(1)).await;
    let mut hello = hello("one", 1);
    hello.versions = Versions { min: 90, max: 91 };
    let mut agent = cluster.dial(AgentFrame::Hello(Box::new(hello))).await.unwrap();
    let status = agent.next().await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(
        status.message().contains("90") && status.message().contains("91"),
        "{}",
        status.message()
    );
}

#[tokio::test]
async fn a_session_starts_with_a_hello() {
    let cluster = Cluster::start(ExpectedHosts::Count(1)).await;
    let mut agent = cluster.dial(AgentFrame::Goodbye("hi".to_owned())).await.unwrap();
    assert_eq!(agent.next().await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn an_agent_that_sends_messages_for_another_host_is_disconnected() {
    let cluster = Cluster::start(ExpectedHosts::Count(1)).await;
    let mut agent = cluster.join("one", 1).await.unwrap();
    let assignment = agent.assignment().await.unwrap();
    let mut lease = Lease { key: assignment.key, epoch: assignment.epoch };
    lease.key.cell.host = HostId::new("two").unwrap();
    agent.send(AgentFrame::AttemptStarted(lease)).await;
    let status = loop {
        if let Err(status) = agent.next_order().await {
            break status;
        }
    };
    assert_eq!(status.code(), Code::InvalidArgument);
}
