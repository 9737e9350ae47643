//! Flags of the commands that start agents over ssh.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use crate::launch::BinaryFlag;

/// Options for agents started over ssh.
#[derive(Debug, Args)]
#[command(next_help_heading = "Over ssh")]
pub struct SshArgs {
    /// Start agents on these ssh destinations and stop them after the run
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub ssh: Vec<String>,
    /// The same from a file: DESTINATION [name= endpoint= model= gpu= key-file= ca-file=] per line
    #[arg(long, value_name = "FILE", conflicts_with = "ssh")]
    pub ssh_file: Option<PathBuf>,
    /// ssh program
    #[arg(long, value_name = "PROGRAM", default_value = "ssh")]
    pub ssh_command: OsString,
    /// Agent binary for hosts of this architecture
    /// [default: the regatta-agent next to this program, else this program]
    #[arg(long, value_name = "ARCH=PATH")]
    pub agent_binary: Vec<BinaryFlag>,
}

impl SshArgs {
    /// Whether to start agents over ssh.
    #[must_use]
    pub fn is_used(&self) -> bool {
        !self.ssh.is_empty() || self.ssh_file.is_some()
    }
}
