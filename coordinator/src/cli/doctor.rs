//! Flags of `regatta doctor`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{ArgGroup, Args};
use regatta_types::ids::HostId;

use super::{SshArgs, examples};
use crate::suite::duration;

/// `regatta doctor`.
#[derive(Debug, Args)]
#[command(after_help = examples::DOCTOR, group = ArgGroup::new("fleet")
    .args(["expect", "hosts", "ssh", "ssh_file"]).conflicts_with_all(OF_THIS_HOST))]
pub struct DoctorArgs {
    /// Endpoint: host:port, or a URL up to /v1 or /v1/chat/completions
    /// [default: search loopback ports 8000, 30000, 8080, 11434]
    #[arg(value_name = "URL", conflicts_with = "fleet")]
    pub url: Option<String>,
    /// Also check the requirements of this suite (built-in suite or TOML file)
    #[arg(long, value_name = "NAME|FILE")]
    pub suite: Option<String>,
    /// Wait for this many agents and check their hosts instead of this machine
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub expect: Option<u32>,
    /// Check the hosts with these names instead of this machine and refuse all others
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub hosts: Vec<HostId>,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7717", requires = "fleet")]
    pub listen: SocketAddr,
    /// Allow unencrypted connections beyond loopback; prompts and results are readable on the
    /// network
    #[arg(long, requires = "fleet")]
    pub insecure: bool,
    /// Maximum wait for agents and their answers
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    pub wait: Duration,
    /// Print one JSON line per host instead of the table
    #[arg(long)]
    pub json: bool,
    /// Agents to start over ssh.
    #[command(flatten)]
    pub ssh: SshArgs,
    /// Endpoint and GPU options.
    #[command(flatten)]
    pub local: regatta_agent::cli::LocalArgs,
}

/// Flags for the local host. In a fleet each agent has its own; only `--model` applies to all.
const OF_THIS_HOST: [&str; 9] = [
    "api_key_file",
    "api_key_env",
    "ca_file",
    "tokenizer",
    "nvml_library",
    "gpu_script",
    "gpu",
    "gpu_rate",
    "no_spin",
];
