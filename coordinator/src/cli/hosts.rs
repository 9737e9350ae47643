//! Flags of `regatta hosts`.

use std::time::Duration;

use clap::{ArgGroup, Args};

use super::{SshArgs, examples};
use crate::suite::duration;

/// `regatta hosts`.
#[derive(Debug, Args)]
#[command(after_help = examples::HOSTS,
          group = ArgGroup::new("which").args(["ssh", "ssh_file"]).required(true))]
pub struct HostsArgs {
    /// Model to request where an engine serves several
    #[arg(long, value_name = "ID")]
    pub model: Option<String>,
    /// Maximum wait for the answers
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::parse)]
    pub wait: Duration,
    /// Print one JSON line per host instead of the table
    #[arg(long)]
    pub json: bool,
    /// Agents to start over ssh.
    #[command(flatten)]
    pub ssh: SshArgs,
}
