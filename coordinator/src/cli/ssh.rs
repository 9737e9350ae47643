//! The flags of commands that start agents over ssh.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::launch::BinaryFlag;

/// On which hosts agents are started, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Over ssh")]
pub struct SshArgs {
    /// Start the agents on these hosts, as ssh knows them, and end them after the run
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub ssh: Vec<String>,
    /// The same with one host a line: what ssh knows it as, then any of name=, endpoint=, model=, gpu=,
    /// key-file=, ca-file=
    #[arg(long, value_name = "FILE", conflicts_with = "ssh")]
    pub ssh_file: Option<PathBuf>,
    /// The ssh to use
    #[arg(long, value_name = "PROGRAM", default_value = "ssh")]
    pub ssh_command: OsString,
    /// The agent for hosts of another architecture, or to use in place of this one's
    /// [default: the regatta-agent beside this program, else this program]
    #[arg(long, value_name = "ARCH=PATH")]
    pub agent_binary: Vec<BinaryFlag>,
}

impl SshArgs {
    /// Whether any agent is to be started.
    #[must_use]
    pub fn is_used(&self) -> bool {
        !self.ssh.is_empty() || self.ssh_file.is_some()
    }
}
