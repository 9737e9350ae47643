//! From flags to a running agent, for `regatta-agent`, `regatta agent` and the embedded agent.

use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use etcetera::BaseStrategy as _;
use regatta_sim::gpu_script::GpuScript;
use regatta_types::exit::Exit;
use regatta_types::facts::HostFacts;
use regatta_types::ids::{BootId, HostId, InstanceId};
use regatta_types::time::WallClock;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cli::{AgentArgs, LocalArgs};
use crate::endpoint::key::{self, KeyError};
use crate::endpoint::{EndpointOptions, check_url};
use crate::facts;
use crate::gpu::{GpuHandle, GpuSource, Sampler, SamplerOptions};
use crate::outbox::{self, Outbox, OutboxError};
use crate::session::{Agent, AgentError, AgentLifetime, Connector, Setup};
use crate::signals::Interrupts;
use crate::work::{Tokenizer, WorkerOptions};

/// Why an agent could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The flags.
    #[error("{0}")]
    Usage(String),
    /// The API key.
    #[error(transparent)]
    ApiKey(#[from] KeyError),
    /// The state folder.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The session.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A second interrupt.
    #[error("stopped at once; what was measured is in the state folder")]
    Interrupted,
}

impl RunError {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::ApiKey(_) => Exit::Usage,
            Self::Outbox(_) | Self::Agent(AgentError::Outbox(_)) => Exit::Storage,
            Self::Agent(AgentError::Refused(_)) => Exit::Refused,
            Self::Interrupted => Exit::Interrupted,
        }
    }
}

/// Runs an agent until it is stopped or, with `--once`, a run is over.
///
/// # Errors
/// When it can't start, is refused for good, or its storage fails.
pub async fn run(args: AgentArgs, wall: Arc<dyn WallClock>) -> Result<Exit, RunError> {
    let connector = connector(&args)?;
    let endpoint = endpoint_options(args.endpoint, &args.local)?;
    let mut local = Local::of_this_machine(args.name, &args.local)?;
    let dir = match args.state {
        Some(dir) => dir,
        None => default_state(&local.host)?,
    };
    let (outbox, recovered) = Outbox::open(&dir, wall.as_ref())?;
    let attached = args.attached.map(|seconds| Duration::from_secs(seconds.into()));
    local.facts.details.disk_free = facts::disk_free(&dir);
    for (what, number) in [
        ("reports not yet handed over", outbox.pending().len()),
        ("attempts that were interrupted", recovered.interrupted.len()),
        ("damaged files put aside", recovered.quarantined.len()),
    ] {
        if number > 0 {
            info!(number, what, "found in the outbox");
        }
    }
    let mut setup = local.setup(connector, endpoint, outbox, wall);
    setup.lifetime = match attached {
        Some(alone) => AgentLifetime::OneRun { alone },
        None if args.once => AgentLifetime::ONE_RUN,
        None => AgentLifetime::Always,
    };
    let stop = CancellationToken::new();
    let interrupts = Interrupts::listen()
        .map_err(|e| RunError::Usage(format!("signals can't be listened to: {e}")))?;
    let agent = Agent::new(setup).run(stop.clone());
    let interrupted = async {
        tokio::select! {
            () = interrupts.nth(1) => {}
            () = input_closed(), if attached.is_some() => warn!("whoever started this agent is gone"),
        }
        stop.cancel();
        interrupts.nth(2).await;
    };
    let ended = tokio::select! {
        ended = agent => ended.map(|()| Exit::Ok).map_err(RunError::from),
        () = interrupted => Err(RunError::Interrupted),
    };
    if attached.is_some()
        && let Err(error) = outbox::discard_delivered(&dir)
    {
        warn!(%error, "what was handed over stays in the state folder");
    }
    ended
}

/// Waits for the end of standard input: the end of the ssh session that holds it. The thread that
/// reads ends with the process.
async fn input_closed() {
    let read = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    // What is written to it means nothing; an error is an end, too.
    let _ = tokio::task::spawn_blocking(read).await;
}

/// How the coordinator is reached. Plain text is for this machine; beyond it the user has to say so.
fn connector(args: &AgentArgs) -> Result<Connector, RunError> {
    let address = &args.coordinator;
    if let Some(path) = address.strip_prefix("unix:") {
        return Ok(Connector::Unix(path.into()));
    }
    check_plain_text(address, args.insecure)?;
    Ok(Connector::Tcp(address.clone()))
}

fn check_plain_text(address: &str, insecure: bool) -> Result<(), RunError> {
    if address
        .rsplit_once(':')
        .is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err())
    {
        return Err(RunError::Usage(format!(
            "--coordinator `{address}`: give HOST:PORT, e.g. control:7717, or unix:PATH"
        )));
    }
    if insecure {
        warn!(
            "plain text to the coordinator (--insecure): prompts and results can be read on the network"
        );
        return Ok(());
    }
    // A name that does not resolve yet is refused too: it is not loopback.
    let loopback = address
        .to_socket_addrs()
        .is_ok_and(|mut found| found.all(|address| address.ip().is_loopback()));
    if loopback {
        return Ok(());
    }
    Err(RunError::Usage(format!(
        "--coordinator {address} is beyond loopback, where prompts and results would travel in plain \
         text; on a network that only you can read, add --insecure here and at `regatta run`"
    )))
}

fn default_state(host: &HostId) -> Result<PathBuf, RunError> {
    let strategy = etcetera::choose_base_strategy()
        .map_err(|_| RunError::Usage("no home folder is known: give --state DIR".to_owned()))?;
    let base = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
    // Two agents of two names on one machine have two outboxes.
    Ok(base.join("regatta-agent").join(host.as_str()))
}

/// How the engine is found, from the flags.
///
/// # Errors
/// When the URL is none, or the API key can't be read.
pub fn endpoint_options(
    url: Option<String>,
    args: &LocalArgs,
) -> Result<EndpointOptions, RunError> {
    if let Some(url) = &url {
        check_url(url).map_err(|e| RunError::Usage(e.to_string()))?;
    }
    let api_key = match (&args.api_key_file, &args.api_key_env) {
        (Some(file), _) => Some(key::from_file(file)?),
        (None, Some(variable)) => Some(key::from_env(variable)?),
        (None, None) => None,
    };
    Ok(EndpointOptions { url, model: args.model.clone(), api_key, ca_file: args.ca_file.clone() })
}

fn script(file: &Path) -> Result<GpuScript, RunError> {
    let wrong = |e: &dyn std::fmt::Display| {
        RunError::Usage(format!("--gpu-script {}: {e}", file.display()))
    };
    let text = std::fs::read_to_string(file).map_err(|e| wrong(&e))?;
    GpuScript::parse(&text).map_err(|e| wrong(&e))
}

/// The GPU sampler that the flags ask for, running.
fn sampler(args: &LocalArgs) -> Result<GpuHandle, RunError> {
    let mut options = SamplerOptions { gpus: args.gpu.clone(), ..SamplerOptions::default() };
    let source = if args.gpu_rate == 0.0 {
        GpuSource::None { reason: "switched off (--gpu-rate 0)".to_owned() }
    } else {
        options.period = Duration::from_secs_f64(args.gpu_rate.recip());
        match &args.gpu_script {
            Some(file) => GpuSource::Simulated(script(file)?),
            None => GpuSource::Nvml { library: args.nvml_library.clone() },
        }
    };
    Ok(Sampler::start(source, options))
}

fn boot() -> Result<BootId, RunError> {
    facts::boot_id()
        .map_err(|e| RunError::Usage(format!("this machine's boot id can't be read: {e}")))
}

/// This machine, or a simulated one, before it is connected.
#[derive(Debug)]
pub struct Local {
    /// Its name in the reports.
    pub host: HostId,
    facts: HostFacts,
    boot: BootId,
    gpu: Arc<GpuHandle>,
    work: WorkerOptions,
    simulated: bool,
}

impl Local {
    /// This machine, and its GPU sampler running.
    ///
    /// # Errors
    /// When no name can be made of its hostname.
    pub fn of_this_machine(name: Option<HostId>, args: &LocalArgs) -> Result<Self, RunError> {
        let facts = facts::collect();
        let host = match name {
            Some(name) => name,
            None => HostId::from_hostname(&facts.hostname).ok_or_else(|| {
                let name = regatta_types::clean::excerpt(&facts.hostname, 80);
                RunError::Usage(format!(
                    "no name can be made of the hostname `{name}`: give --name"
                ))
            })?,
        };
        let gpu = Arc::new(sampler(args)?);
        let tokenizer = args.tokenizer.as_deref().map(Tokenizer::open).transpose();
        let tokenizer =
            tokenizer.map_err(|e| RunError::Usage(format!("--tokenizer {e}")))?.map(Arc::new);
        let work = WorkerOptions { spin: !args.no_spin, tokenizer };
        let simulated = args.gpu_script.is_some();
        Ok(Self { host, facts, boot: boot()?, gpu, work, simulated })
    }

    /// A simulated machine of this name.
    ///
    /// # Errors
    /// When this machine does not say which boot it is in.
    pub fn simulated(host: HostId, gpu: GpuHandle) -> Result<Self, RunError> {
        let (facts, boot) = (facts::collect(), boot()?);
        let (gpu, work) = (Arc::new(gpu), WorkerOptions::default());
        Ok(Self { host, facts, boot, gpu, work, simulated: true })
    }

    /// An agent in this process: it takes part in one run and keeps its outbox in memory.
    #[must_use]
    pub fn embedded(
        self,
        connector: Connector,
        endpoint: EndpointOptions,
        wall: Arc<dyn WallClock>,
    ) -> Setup {
        self.setup(connector, endpoint, Outbox::memory(), wall)
    }

    /// An agent for one run.
    fn setup(
        self,
        connector: Connector,
        endpoint: EndpointOptions,
        outbox: Outbox,
        wall: Arc<dyn WallClock>,
    ) -> Setup {
        Setup {
            host: self.host,
            instance: InstanceId::new_v4(),
            boot: self.boot,
            facts: self.facts,
            simulated: self.simulated,
            connector,
            endpoint,
            gpu: self.gpu,
            outbox,
            work: self.work,
            lifetime: AgentLifetime::ONE_RUN,
            wall,
        }
    }
}
