//! The agent's flags, as typed. Shared by `regatta-agent`, `regatta agent` and `regatta bench`.

use std::path::PathBuf;

use clap::{Args, Parser};
use regatta_types::ids::HostId;

use crate::gpu::GpuSelector;

const EXAMPLES: &str = "\
Examples:
  regatta-agent --coordinator control:7717 --insecure      in an isolated lab: plain text
  regatta-agent --coordinator 127.0.0.1:7717               through an SSH tunnel
  regatta-agent --coordinator 127.0.0.1:7717 --endpoint localhost:9000 --name gpu-03 --once
  regatta-agent --coordinator 127.0.0.1:7717 --api-key-file key.txt

It stays after a run and dials again until the next one begins; the first interrupt lets it hand
over what it has, the second ends it at once. REGATTA_LOG sets what is logged (e.g. debug).

Exit codes: 0 stopped, or with --once the run is over; 2 usage; 6 own storage failed; 7 refused by
the coordinator; 130 second interrupt; 1 anything unexpected.";

/// Measures this host's endpoint and reads its GPUs for a Regatta coordinator.
#[derive(Debug, Parser)]
#[command(name = "regatta-agent", version = crate::VERSION, max_term_width = 100)]
pub struct Cli {
    /// Log more to stderr; twice for debugging
    #[arg(long, short, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Write the log as JSON lines
    #[arg(long)]
    pub log_json: bool,
    /// The agent.
    #[command(flatten)]
    pub agent: AgentArgs,
}

/// What an agent is told.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AgentArgs {
    /// Where the coordinator listens: host:port, or unix:PATH
    #[arg(long, value_name = "ADDR", env = "REGATTA_COORDINATOR")]
    pub coordinator: String,
    /// Name of this host in the reports [default: its hostname]
    #[arg(long, value_name = "NAME")]
    pub name: Option<HostId>,
    /// Endpoint: host:port, http(s)://host:port, its /v1 or its full path
    /// [default: the one found on loopback port 8000, 30000, 8080 or 11434]
    #[arg(long, value_name = "URL", env = "REGATTA_ENDPOINT")]
    pub endpoint: Option<String>,
    /// Allow plain text to a coordinator beyond loopback
    #[arg(long)]
    pub insecure: bool,
    /// Leave after one run instead of waiting for the next
    #[arg(long)]
    pub once: bool,
    /// Leave after one run, when standard input closes, or when the coordinator has not been heard of
    /// for so long: how `regatta run --ssh` starts it
    #[arg(long, value_name = "SECONDS", conflicts_with = "once",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub attached: Option<u32>,
    /// Folder for results not yet handed over [default: the user's state folder]
    #[arg(long, value_name = "DIR", env = "REGATTA_AGENT_STATE")]
    pub state: Option<PathBuf>,
    /// How the local endpoint and GPUs are reached.
    #[command(flatten)]
    pub local: LocalArgs,
}

/// How the local endpoint and GPUs are reached.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "This host")]
pub struct LocalArgs {
    /// Model to ask for [default: the only one served]
    #[arg(long, value_name = "ID")]
    pub model: Option<String>,
    /// File with the endpoint's API key
    #[arg(long, value_name = "FILE", conflicts_with = "api_key_env")]
    pub api_key_file: Option<PathBuf>,
    /// Environment variable with the endpoint's API key
    #[arg(long, value_name = "VARIABLE")]
    pub api_key_env: Option<String>,
    /// PEM file with a further certificate authority for https endpoints
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The model's tokenizer.json; counts the tokens of answers where the engine does not
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// NVML library to load [default: libnvidia-ml.so.1]
    #[arg(long, value_name = "PATH")]
    pub nvml_library: Option<PathBuf>,
    /// Simulated GPU readings from a script instead of NVML; the reports say so
    #[arg(long, value_name = "FILE", conflicts_with = "nvml_library")]
    pub gpu_script: Option<PathBuf>,
    /// GPUs that serve the endpoint, by UUID or NVML index, several by commas
    /// [default: those of the processes that own the endpoint's port]
    #[arg(long, value_name = "UUID|INDEX", value_delimiter = ',')]
    pub gpu: Vec<GpuSelector>,
    /// Rounds of GPU readings a second, 0.1 to 100; 0: none
    #[arg(long, value_name = "HZ", default_value = "10", value_parser = gpu_rate)]
    pub gpu_rate: f64,
    /// Do not spin for the last 100 us before a start; the engine may need the core
    #[arg(long)]
    pub no_spin: bool,
}

fn gpu_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if rate == 0.0 || (0.1..=100.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("0, or from 0.1 to 100".to_owned())
    }
}
