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
    /// Model to ask for, where an engine serves several
    #[arg(long, value_name = "ID")]
    pub model: Option<String>,
    /// How long to wait for the answers
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration::parse)]
    pub wait: Duration,
    /// Print JSON lines, one a host, instead of the table
    #[arg(long)]
    pub json: bool,
    /// Which hosts, and how their agents are started.
    #[command(flatten)]
    pub ssh: SshArgs,
}
