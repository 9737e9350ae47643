//! Starts an agent from flags: `regatta-agent`, `regatta agent` and the embedded agent.

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

/// Why an agent could not start, or exited.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Invalid flags.
    #[error("{0}")]
    Usage(String),
    /// Invalid API key.
    #[error(transparent)]
    ApiKey(#[from] KeyError),
    /// State directory error.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// Session error.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// Second interrupt.
    #[error("stopped immediately. Undelivered results are in the state directory")]
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

/// Runs an agent until it is stopped or, with `--once`, until a run has ended.
///
/// # Errors
/// If it cannot start, is refused permanently, or its storage fails.
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
        ("undelivered reports", outbox.pending().len()),
        ("interrupted attempts", recovered.interrupted.len()),
        ("quarantined files", recovered.quarantined.len()),
    ] {
        if number > 0 {
            info!(number, what, "outbox recovered");
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
        .map_err(|e| RunError::Usage(format!("cannot install signal handlers: {e}")))?;
    let agent = Agent::new(setup).run(stop.clone());
    let interrupted = async {
        tokio::select! {
            () = interrupts.nth(1) => {}
            () = input_closed(), if attached.is_some() => warn!("stdin closed, stopping"),
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
        warn!(%error, "cannot remove delivered results from the state directory");
    }
    ended
}

/// Waits for the end of stdin, i.e. of the ssh session. The reading thread ends with the process.
async fn input_closed() {
    let read = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    // Input is ignored; an error counts as the end.
    let _ = tokio::task::spawn_blocking(read).await;
}

/// The connection to the coordinator. Unencrypted connections beyond loopback require --insecure.
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
            "--coordinator `{address}`: expected HOST:PORT, e.g. control:7717, or unix:PATH"
        )));
    }
    if insecure {
        warn!(
            "unencrypted connection to the coordinator (--insecure): prompts and results are \
             readable on the network"
        );
        return Ok(());
    }
    // A name that does not resolve is refused too: it may not be loopback.
    let loopback = address
        .to_socket_addrs()
        .is_ok_and(|mut found| found.all(|address| address.ip().is_loopback()));
    if loopback {
        return Ok(());
    }
    Err(RunError::Usage(format!(
        "--coordinator {address} is not a loopback address, and the connection is not encrypted. \
         On a trusted network, add --insecure here and to `regatta run`"
    )))
}

fn default_state(host: &HostId) -> Result<PathBuf, RunError> {
    let strategy = etcetera::choose_base_strategy()
        .map_err(|_| RunError::Usage("home directory not found. Set --state DIR".to_owned()))?;
    let base = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
    // Agents with different names on one machine have separate outboxes.
    Ok(base.join("regatta-agent").join(host.as_str()))
}

/// Endpoint options from the flags.
///
/// # Errors
/// If the URL is invalid or the API key cannot be read.
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

/// Starts the GPU sampler of the flags.
fn sampler(args: &LocalArgs) -> Result<GpuHandle, RunError> {
    let mut options = SamplerOptions { gpus: args.gpu.clone(), ..SamplerOptions::default() };
    let source = if args.gpu_rate == 0.0 {
        GpuSource::None { reason: "disabled (--gpu-rate 0)".to_owned() }
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
        .map_err(|e| RunError::Usage(format!("cannot read the boot id of this machine: {e}")))
}

/// This machine, or a simulated one, before its connection.
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
    /// This machine, with its GPU sampler running.
    ///
    /// # Errors
    /// If no host name can be derived from the hostname.
    pub fn of_this_machine(name: Option<HostId>, args: &LocalArgs) -> Result<Self, RunError> {
        let facts = facts::collect();
        let host = match name {
            Some(name) => name,
            None => HostId::from_hostname(&facts.hostname).ok_or_else(|| {
                let name = regatta_types::clean::excerpt(&facts.hostname, 80);
                RunError::Usage(format!(
                    "cannot derive a host name from the hostname `{name}`. Set --name"
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

    /// A simulated machine with this name.
    ///
    /// # Errors
    /// If the boot id cannot be read.
    pub fn simulated(host: HostId, gpu: GpuHandle) -> Result<Self, RunError> {
        let (facts, boot) = (facts::collect(), boot()?);
        let (gpu, work) = (Arc::new(gpu), WorkerOptions::default());
        Ok(Self { host, facts, boot, gpu, work, simulated: true })
    }

    /// An embedded agent for one run, with its outbox in memory.
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
