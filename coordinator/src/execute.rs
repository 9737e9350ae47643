//! Executes one run, from the first connection to the written report. Starts and joins the store,
//! the server, the embedded agents, the actor, the display and the signal handlers.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use regatta_agent::session::{Agent, AgentError, Connector, Setup};
use regatta_agent::signals::Interrupts;
use regatta_figures::history::Baseline;
use regatta_types::comparability::ClassFact;
use regatta_types::event::RunEvent;
use regatta_types::exit::Exit;
use regatta_types::margin::Margins;
use regatta_types::record::{ExpectedHosts, RunHeader};
use regatta_types::suite::{StartMode, Suite};
use regatta_types::time::{MonoNs, WallClock};
use regatta_types::units::quantity;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::command_error::CommandError;
use crate::launch::Launch;
use crate::names;
use crate::output::say;
use crate::progress::{self, Feed, Show};
use crate::reports::{self, Report};
use crate::run::{Actor, Input, Message, Now, Orders, Parts, RunPolicy, RunState};
use crate::session::{Context, Hub, serve};
use crate::store::{SqliteStore, StoreHandle, StoredRun, Write, Writer};

/// Queue lengths: messages for the actor, events for a reader.
const MESSAGES: usize = 1_024;
const EVENTS: usize = 65_536;
/// Time for the store to write its queue and close.
const CLOSING: Duration = Duration::from_secs(10);
/// Time for sessions and agents to close after the run.
const PARTING: Duration = Duration::from_secs(5);

/// An agent in this process, up to its connector.
pub type Embedded = Box<dyn FnOnce(Connector) -> Setup + Send>;

/// How the hosts of a run start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Starting {
    /// The start mode.
    pub mode: StartMode,
    /// Interval between host starts, for [`StartMode::Staggered`] only.
    pub stagger: Option<Duration>,
}

/// All settings of a run from the command line.
pub struct RunSpec {
    /// The suite, including the solo counterparts of the start mode.
    pub suite: Suite,
    /// The expected hosts.
    pub expected: ExpectedHosts,
    /// Start mode.
    pub start: Starting,
    /// Seed for the order of cases; `None`: random.
    pub seed: Option<u64>,
    /// Orders to every host before the first case.
    pub orders: Orders,
    /// Timers.
    pub policy: RunPolicy,
    /// Address for agents; `None`: embedded agents only.
    pub listen: Option<SocketAddr>,
    /// Agents to start over ssh.
    pub launch: Option<Launch>,
    /// Agents in this process.
    pub embedded: Vec<Embedded>,
    /// The store directory.
    pub state: PathBuf,
    /// The report directory; `None`: `reports/<run>`.
    pub out: Option<PathBuf>,
    /// Print events as JSON lines.
    pub json: bool,
    /// Store the text of answers.
    pub keep_text: bool,
    /// Redact names and addresses in the report.
    pub redact: bool,
    /// Baseline to compare the hosts with.
    pub baseline: Option<Baseline>,
    /// The command line, to reproduce the run.
    pub command: String,
    /// Facts treated as equal where a host does not report them.
    pub assume_equal: Vec<ClassFact>,
    /// Price per kWh.
    pub tariff: Option<f64>,
    /// Equivalence margins, where set.
    pub margins: Margins,
    /// Wall time.
    pub wall: Arc<dyn WallClock>,
}

impl std::fmt::Debug for RunSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunSpec").field("suite", &self.suite.name).finish_non_exhaustive()
    }
}

/// Executes the run, writes the reports and prints the verdict.
///
/// # Errors
/// If the run cannot start, the store fails, or the report cannot be written.
pub async fn execute(plan: RunSpec) -> Result<Exit, CommandError> {
    let out = plan.out.clone();
    if let Some(out) = &out {
        // Before the run, not after it.
        reports::check(out)?;
    }
    let interrupts = Interrupts::listen()
        .map_err(|e| CommandError::unexpected(format!("cannot install signal handlers: {e}")))?;
    let state = plan.state.clone();
    // Reads the entire store.
    let store = tokio::task::spawn_blocking(move || SqliteStore::open(&state))
        .await
        .map_err(|e| CommandError::unexpected(format!("cannot open the store: {e}")))??;
    let writer = Writer::start(Box::new(store))
        .map_err(|e| CommandError::unexpected(format!("cannot start the store thread: {e}")))?;
    let exit = tokio::select! {
        exit = execute_with(plan, writer.handle(), &interrupts) => exit,
        () = interrupts.nth(2) => {
            say("stopped. `regatta report latest` writes the report of the stored results");
            return Ok(Exit::Interrupted);
        }
    };
    // Unlocks the directory for the next run and for `regatta report`.
    match tokio::time::timeout(CLOSING, writer.close()).await {
        Ok(closed) => closed.map(drop)?,
        Err(_) => warn!("store is slow to close"),
    }
    exit
}

async fn execute_with(
    plan: RunSpec,
    store: StoreHandle,
    interrupts: &Interrupts,
) -> Result<Exit, CommandError> {
    let header = header(&plan, &store).await?;
    let listener = listen(plan.listen).await?;
    store.write(vec![Write::Run(Box::new(header.clone()))]).await?;
    if let Some(listener) = &listener {
        announce("run", &header, listener);
    }
    if let Some(launch) = &plan.launch {
        let agents = quantity(launch.hosts().len(), "agent");
        say(&format!("run {}: starting {agents} over ssh", header.run));
    }
    let services = Services {
        store: store.clone(),
        listener,
        launch: plan.launch,
        embedded: plan.embedded,
        show: Show::Run { json: plan.json },
        wall: plan.wall,
    };
    let orders = (plan.orders, plan.policy);
    measure(&header, orders, services, interrupts).await?;
    let out = plan.out.unwrap_or_else(|| PathBuf::from("reports").join(header.run.as_str()));
    let conclude = move || {
        let mut store = SqliteStore::open_to_read(&plan.state)?;
        let run = StoredRun::open(&mut store, &header.run)?;
        let delivery = Delivery { out: &out, json: plan.json, redact: plan.redact };
        conclude(&run, plan.baseline, delivery)
    };
    tokio::task::spawn_blocking(conclude)
        .await
        .map_err(|e| CommandError::unexpected(format!("cannot write the report: {e}")))?
}

/// Output options of a finished run.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    /// The report directory.
    pub out: &'a Path,
    /// Stdout is reserved for events.
    pub json: bool,
    /// Redact names and addresses.
    pub redact: bool,
}

/// Writes the report of a run to a directory, prints the verdict and returns the exit code.
///
/// # Errors
/// If the run cannot be read or the report cannot be written.
pub fn conclude(
    run: &StoredRun<'_>,
    baseline: Option<Baseline>,
    delivery: Delivery<'_>,
) -> Result<Exit, CommandError> {
    let mut report = Report::begin(delivery.out)?;
    let summary = if delivery.redact {
        let redacted = regatta_report::redact(run);
        redacted.and_then(|redacted| regatta_report::render(&redacted, None, &mut report))
    } else {
        regatta_report::render(run, baseline.as_ref(), &mut report)
    };
    // Before any error: the damage may be its cause.
    tell_damage(run);
    let summary = summary?;
    report.finish()?;
    crate::output::verdict(&summary, delivery.out, delivery.json);
    Ok(crate::output::exit_of(summary.completeness))
}

/// Prints damage and conflicts in a stored run.
pub fn tell_damage(run: &StoredRun<'_>) {
    for damage in run.damaged() {
        say(&format!("warning: {} is damaged and excluded: {}", damage.row, damage.problem));
    }
    for key in run.conflicts() {
        say(&format!("warning: two different reports of {key} arrived. The first one counts"));
    }
}

async fn header(plan: &RunSpec, store: &StoreHandle) -> Result<RunHeader, CommandError> {
    let taken = store.runs().await?.into_iter().map(|run| run.run).collect();
    let created = plan.wall.now();
    Ok(RunHeader {
        run: names::run_id(created, &plan.suite.name, &taken)?,
        suite: plan.suite.clone(),
        seed: plan.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())),
        created,
        start: plan.start.mode,
        stagger: plan.start.stagger,
        expected: plan.expected.clone(),
        coordinator_version: crate::VERSION.to_owned(),
        insecure: plan.listen.is_some_and(|address| !address.ip().is_loopback()),
        keep_text: plan.keep_text,
        command: plan.command.clone(),
        assume_equal: plan.assume_equal.clone(),
        tariff: plan.tariff,
        margins: plan.margins,
    })
}

/// Binds the address for agents.
///
/// # Errors
/// If the address is in use or does not belong to this machine.
pub(crate) async fn listen(
    address: Option<SocketAddr>,
) -> Result<Option<TcpListener>, CommandError> {
    let Some(address) = address else { return Ok(None) };
    let failed = |e| CommandError::usage(format!("cannot listen on {address}: {e}"));
    TcpListener::bind(address).await.map(Some).map_err(failed)
}

/// Prints the address for agents, and what they are expected for.
pub(crate) fn announce(what: &str, header: &RunHeader, listener: &TcpListener) {
    if header.insecure {
        say("warning: unencrypted connections beyond loopback (--insecure): prompts and results \
             are readable on the network");
    }
    if let Ok(address) = listener.local_addr() {
        say(&format!("{what} {}: waiting for hosts on {address}", header.run));
    }
}

/// Services for [`measure`].
pub(crate) struct Services {
    pub(crate) store: StoreHandle,
    pub(crate) listener: Option<TcpListener>,
    pub(crate) launch: Option<Launch>,
    pub(crate) embedded: Vec<Embedded>,
    pub(crate) show: Show,
    pub(crate) wall: Arc<dyn WallClock>,
}

/// Gathers the hosts, executes `orders` on them and releases them.
///
/// # Errors
/// If the store fails.
pub(crate) async fn measure(
    header: &RunHeader,
    (orders, policy): (Orders, RunPolicy),
    services: Services,
    interrupts: &Interrupts,
) -> Result<(), CommandError> {
    let stop = CancellationToken::new();
    let (messages, inbox) = mpsc::channel(MESSAGES);
    let (events, event_feed) = mpsc::channel::<RunEvent>(EVENTS);
    let context = Context {
        run: header.run.clone(),
        suite_hash: header.suite.hash(),
        beat: policy.beat,
        wall: services.wall.clone(),
        only: None,
    };
    let hub = Hub::new(context, messages.clone(), stop.clone());
    let start = |launch: Launch| launch.start(&hub, &messages);
    let launched = services.launch.map(start).transpose().map_err(|e| {
        CommandError::unexpected(format!("cannot create a directory for the ssh sockets: {e}"))
    })?;
    let now = Now { instant: Instant::now(), mono: MonoNs::now() };
    let state = RunState::new(header.clone(), orders, policy, now);
    let (view, view_feed) = watch::channel(state.0.view());
    let (actor, first) = Actor::new(Parts {
        run: header.run.clone(),
        state,
        store: services.store,
        wall: services.wall,
        messages: inbox,
        events,
        view,
    });

    let mut servers = JoinSet::new();
    let pipes = start_servers(&mut servers, &hub, services.listener, &stop);
    let mut agents: JoinSet<Result<(), AgentError>> = JoinSet::new();
    for build in services.embedded {
        let setup = build(Connector::Memory(pipes.clone()));
        agents.spawn(Agent::new(setup).run(stop.clone()));
    }
    drop(pipes);
    let mut display = JoinSet::new();
    display.spawn(progress::show(Feed { events: event_feed, view: view_feed }, services.show));

    let outcome = tokio::select! {
        result = actor.run(first) => result,
        () = cancel(interrupts, messages) => Ok(()),
    };
    // Graceful first: sessions are drained, agents disconnect.
    if outcome.is_ok() && tokio::time::timeout(PARTING, part(&mut agents, &hub)).await.is_err() {
        warn!("some agents did not disconnect cleanly");
    }
    if let Some(launched) = launched {
        launched.end().await;
    }
    stop.cancel();
    agents.shutdown().await;
    servers.shutdown().await;
    // The actor has dropped its sender, so the display ends.
    match tokio::time::timeout(PARTING, display.join_next()).await {
        Ok(Some(Err(panic))) => warn!(error = %panic, "progress display failed"),
        Ok(Some(Ok(())) | None) => {}
        // The reader of stdout has stopped reading.
        Err(_) => warn!("progress display is stuck"),
    }
    outcome.map_err(CommandError::from)
}

/// Waits for the embedded agents and all sessions to end.
async fn part(agents: &mut JoinSet<Result<(), AgentError>>, hub: &Hub) {
    while let Some(ended) = agents.join_next().await {
        report_agent(ended);
    }
    hub.joined().await;
}

fn start_servers(
    servers: &mut JoinSet<()>,
    hub: &Hub,
    listener: Option<TcpListener>,
    stop: &CancellationToken,
) -> mpsc::Sender<DuplexStream> {
    let (pipes, incoming) = mpsc::channel::<DuplexStream>(16);
    let incoming = ReceiverStream::new(incoming).map(Ok::<_, std::io::Error>);
    let (service, ended) = (hub.clone(), stop.clone());
    servers.spawn(async move {
        if let Err(error) = serve(service, incoming, ended).await {
            warn!(%error, "in-memory server failed");
        }
    });
    if let Some(listener) = listener {
        let incoming = TcpListenerStream::new(listener).map(|connection| {
            let connection = connection?;
            connection.set_nodelay(true)?;
            Ok::<_, std::io::Error>(connection)
        });
        let (service, ended) = (hub.clone(), stop.clone());
        servers.spawn(async move {
            if let Err(error) = serve(service, incoming, ended).await {
                warn!(%error, "server failed");
            }
        });
    }
    pipes
}

/// The first interrupt stops the run; the future never completes.
async fn cancel(interrupts: &Interrupts, messages: mpsc::Sender<Message>) {
    interrupts.nth(1).await;
    // Fails only if the run has already ended.
    let _ = messages.send(Message::Input(Input::Cancel)).await;
    std::future::pending::<()>().await;
}

fn report_agent(ended: Result<Result<(), AgentError>, tokio::task::JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(%error, "embedded agent ended"),
        Err(error) => warn!(%error, "embedded agent failed"),
    }
}
