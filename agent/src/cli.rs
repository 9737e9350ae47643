//! The agent's flags. Shared by `regatta-agent`, `regatta agent` and `regatta bench`.

use std::path::PathBuf;

use clap::{Args, Parser};
use regatta_types::ids::HostId;

use crate::gpu::GpuSelector;

const EXAMPLES: &str = "\
Examples:
  regatta-agent --coordinator control:7717 --insecure      isolated lab, unencrypted
  regatta-agent --coordinator 127.0.0.1:7717               through an ssh tunnel
  regatta-agent --coordinator 127.0.0.1:7717 --endpoint localhost:9000 --name gpu-03 --once
  regatta-agent --coordinator 127.0.0.1:7717 --api-key-file key.txt

The agent keeps running after a run and reconnects for the next one. The first Ctrl-C delivers
pending results and exits, the second exits immediately. REGATTA_LOG sets the log level (e.g.
debug).

Exit codes: 0 stopped, or run finished (--once); 1 unexpected error; 2 usage error; 6 local storage
failure; 7 refused by the coordinator; 130 second interrupt.";

/// Measure the LLM engine and the GPUs of this host for a Regatta coordinator.
#[derive(Debug, Parser)]
#[command(name = "regatta-agent", version = crate::VERSION, max_term_width = 100)]
pub struct Cli {
    /// Log more to stderr; twice for debugging
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Log as JSON lines
    #[arg(long)]
    pub log_json: bool,
    /// The agent.
    #[command(flatten)]
    pub agent: AgentArgs,
}

/// Flags of an agent.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AgentArgs {
    /// Address of the coordinator: host:port or unix:PATH
    #[arg(long, value_name = "ADDR", env = "REGATTA_COORDINATOR")]
    pub coordinator: String,
    /// Name of this host in the reports [default: its hostname]
    #[arg(long, value_name = "NAME")]
    pub name: Option<HostId>,
    /// Endpoint: host:port, or a URL up to /v1 or /v1/chat/completions
    /// [default: search loopback ports 8000, 30000, 8080, 11434]
    #[arg(long, value_name = "URL", env = "REGATTA_ENDPOINT")]
    pub endpoint: Option<String>,
    /// Allow an unencrypted connection to a coordinator beyond loopback
    #[arg(long)]
    pub insecure: bool,
    /// Exit after one run instead of waiting for the next
    #[arg(long)]
    pub once: bool,
    /// Exit after one run, when stdin closes, or SECONDS after losing contact; set by `--ssh`
    #[arg(long, value_name = "SECONDS", conflicts_with = "once",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub attached: Option<u32>,
    /// Directory for undelivered results [default: in the user's state directory]
    #[arg(long, value_name = "DIR", env = "REGATTA_AGENT_STATE")]
    pub state: Option<PathBuf>,
    /// Endpoint and GPU options.
    #[command(flatten)]
    pub local: LocalArgs,
}

/// Endpoint and GPU options.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "This host")]
pub struct LocalArgs {
    /// Model to request [default: the only one served]
    #[arg(long, value_name = "ID")]
    pub model: Option<String>,
    /// File with the endpoint's API key
    #[arg(long, value_name = "FILE", conflicts_with = "api_key_env")]
    pub api_key_file: Option<PathBuf>,
    /// Environment variable with the endpoint's API key
    #[arg(long, value_name = "VARIABLE")]
    pub api_key_env: Option<String>,
    /// PEM file with an additional CA certificate for https endpoints
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The model's tokenizer.json; counts output tokens where the engine does not report them
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// NVML library to load [default: libnvidia-ml.so.1]
    #[arg(long, value_name = "PATH")]
    pub nvml_library: Option<PathBuf>,
    /// Read simulated GPU data from a script instead of NVML; marked in the reports
    #[arg(long, value_name = "FILE", conflicts_with = "nvml_library")]
    pub gpu_script: Option<PathBuf>,
    /// GPUs that serve the endpoint, by UUID or NVML index
    /// [default: those of the process that owns the endpoint's port]
    #[arg(long, value_name = "UUID|INDEX", value_delimiter = ',')]
    pub gpu: Vec<GpuSelector>,
    /// GPU sampling rate, 0.1 to 100 Hz; 0 disables it
    #[arg(long, value_name = "HZ", default_value = "10", value_parser = gpu_rate)]
    pub gpu_rate: f64,
    /// Do not spin for the last 100 us before a start, to leave the core to the engine
    #[arg(long)]
    pub no_spin: bool,
}

fn gpu_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if rate == 0.0 || (0.1..=100.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("expected 0, or 0.1 to 100".to_owned())
    }
}
