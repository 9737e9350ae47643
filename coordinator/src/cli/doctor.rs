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
    /// Endpoint of this machine: host:port, http(s)://host:port, its /v1 or its full path
    /// [default: the one found on loopback port 8000, 30000, 8080 or 11434]
    #[arg(value_name = "URL", conflicts_with = "fleet")]
    pub url: Option<String>,
    /// Built-in suite or TOML file that is going to be run: what it needs is looked at, too
    #[arg(long, value_name = "NAME|FILE")]
    pub suite: Option<String>,
    /// Look at the hosts of this many agents instead of this machine
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub expect: Option<u32>,
    /// Look at the hosts of these names instead of this machine, and refuse others
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub hosts: Vec<HostId>,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7717", requires = "fleet")]
    pub listen: SocketAddr,
    /// Allow plain text beyond loopback: whoever can read the network reads prompts and results
    #[arg(long, requires = "fleet")]
    pub insecure: bool,
    /// How long to wait for agents and their answers
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    pub wait: Duration,
    /// Print JSON lines, one a host, instead of the table
    #[arg(long)]
    pub json: bool,
    /// Agents that are started for this.
    #[command(flatten)]
    pub ssh: SshArgs,
    /// How the local endpoint and GPUs are reached.
    #[command(flatten)]
    pub local: regatta_agent::cli::LocalArgs,
}

/// What an agent is told on its own host, and `--model`, which can be said to all of them.
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
