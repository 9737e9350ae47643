//! Flags that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::suite::duration;

/// What is changed in the suite.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Workload")]
pub struct WorkloadArgs {
    /// Streams kept busy at once; several levels make one case each
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    pub concurrency: Option<Vec<u32>>,
    /// Measured requests of each attempt
    #[arg(long, value_name = "N")]
    pub requests: Option<u32>,
    /// Start no new request after this long; those under way are finished
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub duration: Option<Duration>,
    /// Limit on the tokens of an answer
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u32>,
    /// Times each case is run on every host
    #[arg(long, value_name = "N")]
    pub repetitions: Option<u32>,
    /// Settle each engine with exactly N requests [default: until its speed is steady]
    #[arg(long, value_name = "N")]
    pub warmup: Option<u32>,
    /// Seed of the order of cases [default: random]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// Where the reports go and what is printed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Folder of the reports; replaced as a whole [default: reports/RUN]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print what happens as JSON lines on stdout
    #[arg(long)]
    pub json: bool,
    /// Print the cells and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Keep the answers' text, not only its hash, and preview it in the reports
    #[arg(long)]
    pub keep_text: bool,
    /// Where runs are kept.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// Where runs are kept.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// Folder of the store [default: the user's state folder]
    #[arg(long, value_name = "DIR", env = "REGATTA_STATE")]
    pub state: Option<PathBuf>,
}
