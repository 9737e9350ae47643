//! Command-line flags and their help. The logic is in `commands`.

mod doctor;
mod examples;
mod history;
mod hosts;
mod sim;
mod ssh;
mod workload;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use regatta_agent::cli::AgentArgs;
use regatta_report::Format;
use regatta_types::comparability::ClassFact;
use regatta_types::ids::HostId;
use regatta_types::margin::Margins;

use crate::run::LatePolicy;
use crate::suite::duration;

pub use doctor::DoctorArgs;
pub use history::{BaselineArgs, By, CheckArgs, CompareArgs, TermsArgs};
pub use hosts::HostsArgs;
pub use sim::{SimArgs, Usage};
pub use ssh::SshArgs;
pub use workload::{OutputArgs, StartArgs, StoreArgs, WorkloadArgs};

/// Benchmark a fleet of LLM-serving hosts: find out which one is slow, by how much, and whether the
/// difference is real.
#[derive(Debug, Parser)]
#[command(name = "regatta", version = crate::VERSION, after_help = examples::REGATTA, max_term_width = 100)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// Log more to stderr; twice for debugging
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Log as JSON lines
    #[arg(long, global = true)]
    pub log_json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Benchmark three simulated hosts, one of them slow
    Demo(DemoArgs),
    /// Benchmark the engine on this machine, without agents
    Bench(BenchArgs),
    /// Run a suite on a fleet of hosts and write the reports
    Run(RunArgs),
    /// Run the preflight checks on this machine or a fleet
    Doctor(DoctorArgs),
    /// List the GPUs, engine and model of each host
    Hosts(HostsArgs),
    /// Rewrite the reports of a stored run
    Report(ReportArgs),
    /// Export a stored run as CSV, JSON Lines, Parquet, JSON, Markdown or HTML
    Export(ExportArgs),
    /// List stored runs, or the history of one host
    Runs(RunsArgs),
    /// Compare two runs, host by host
    Compare(CompareArgs),
    /// Check a run against a baseline; exit with 8 on a significant regression
    Check(CheckArgs),
    /// Save a run as a baseline file for later checks
    Baseline(BaselineArgs),
    /// List, print or validate suites
    #[command(subcommand, after_help = examples::SUITE)]
    Suite(SuiteCommand),
    /// Run as an agent (same as the `regatta-agent` program)
    Agent(AgentArgs),
    /// Simulate a GPU host: an OpenAI-compatible endpoint with exact timing
    Sim(SimArgs),
}

/// `regatta demo`.
#[derive(Debug, Args)]
#[command(after_help = examples::DEMO)]
pub struct DemoArgs {
    /// Speed reduction of the third host, in percent; 0 for none
    #[arg(long, value_name = "PERCENT", default_value_t = 20.0, value_parser = percent)]
    pub slow: f64,
    /// Repetitions of each case on every host
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repetitions: u32,
    /// Seed for the simulated hosts and the order of cases [default: random]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Start mode.
    #[command(flatten)]
    pub start: StartArgs,
    /// Output options.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `regatta bench`.
#[derive(Debug, Args)]
#[command(after_help = examples::BENCH)]
pub struct BenchArgs {
    /// Endpoint: host:port, or a URL up to /v1 or /v1/chat/completions
    /// [default: search loopback ports 8000, 30000, 8080, 11434]
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    /// Built-in suite or TOML file
    /// [default: quick; text with --concurrency, --rate or --prompt-tokens]
    #[arg(long, value_name = "NAME|FILE")]
    pub suite: Option<String>,
    /// Endpoint and GPU options.
    #[command(flatten)]
    pub local: regatta_agent::cli::LocalArgs,
    /// Changes to the suite.
    #[command(flatten)]
    pub workload: WorkloadArgs,
    /// Output options.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `regatta run`.
#[derive(Debug, Args)]
#[command(after_help = examples::RUN)]
pub struct RunArgs {
    /// Built-in suite or TOML file
    #[arg(value_name = "SUITE")]
    pub suite: String,
    /// Wait for this many agents
    #[arg(long, value_name = "N", required_unless_present_any = ["hosts", "ssh", "ssh_file"],
          conflicts_with_all = ["hosts", "ssh", "ssh_file"],
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub expect: Option<u32>,
    /// Wait for the agents with these names and refuse all others
    #[arg(long, value_name = "A,B,...", value_delimiter = ',',
          conflicts_with_all = ["ssh", "ssh_file"])]
    pub hosts: Vec<HostId>,
    /// Exclude hosts that never join instead of counting their cells as missing
    #[arg(long, conflicts_with = "expect")]
    pub allow_missing: bool,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7717")]
    pub listen: SocketAddr,
    /// Allow unencrypted connections beyond loopback; prompts and results are readable on the
    /// network
    #[arg(long)]
    pub insecure: bool,
    /// Treat FACT as equal where a host does not report it, e.g. engine-version,kv-cache-type
    #[arg(long, value_name = "FACT,...", value_delimiter = ',')]
    pub assume_equal: Vec<ClassFact>,
    /// Treat differences within this margin as equivalent: 3%, or per metric: 3%,ttft=10%
    /// [default: 2%, ttft=5%]
    #[arg(long, value_name = "MARGINS")]
    pub margin: Option<Margins>,
    /// Maximum wait for agents to be ready
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    pub wait: Duration,
    /// Action for hosts that are not ready after --wait
    #[arg(long, value_name = "POLICY", default_value = "drop")]
    pub late: LatePolicy,
    /// Declare an agent lost after this long without contact
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = duration::parse)]
    pub lost_after: Duration,
    /// Start mode.
    #[command(flatten)]
    pub start: StartArgs,
    /// Model to request [default: chosen by each agent]
    #[arg(long, value_name = "ID")]
    pub model: Option<String>,
    /// Agents to start over ssh.
    #[command(flatten)]
    pub ssh: SshArgs,
    /// Changes to the suite.
    #[command(flatten)]
    pub workload: WorkloadArgs,
    /// Output options.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `regatta report`.
#[derive(Debug, Args)]
#[command(after_help = examples::REPORT)]
pub struct ReportArgs {
    /// Run id, or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// Report directory; replaced if it exists [default: reports/RUN]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Redact host names, GPU UUIDs, addresses, URLs and home paths for publication
    #[arg(long)]
    pub redact: bool,
    /// Also compare each host with itself in an earlier run or a baseline file
    #[arg(long, value_name = "RUN|FILE", conflicts_with = "redact")]
    pub baseline: Option<String>,
    /// Location of the store.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `regatta export`.
#[derive(Debug, Args)]
#[command(after_help = examples::EXPORT)]
pub struct ExportArgs {
    /// Run id, or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// csv, jsonl, parquet (requests), json (the run), md (combined report) or html (all pages)
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub format: Format,
    /// Output file, replaced if it exists; - is stdout
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub out: PathBuf,
    /// Redact host names, GPU UUIDs, addresses, URLs and home paths for publication
    #[arg(long)]
    pub redact: bool,
    /// Location of the store.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `regatta runs`.
#[derive(Debug, Args)]
#[command(after_help = examples::RUNS)]
pub struct RunsArgs {
    /// Show the history of this host: its results in each run, oldest first, and what changed
    #[arg(long, value_name = "NAME")]
    pub host: Option<HostId>,
    /// Consider only the newest N runs
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub last: u32,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
    /// Location of the store.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `regatta suite`.
#[derive(Debug, Subcommand)]
pub enum SuiteCommand {
    /// List the built-in suites
    List,
    /// Print the TOML of a suite
    Show {
        /// Built-in suite or TOML file
        #[arg(value_name = "NAME|FILE")]
        suite: String,
    },
    /// Validate a suite file and list every problem
    Check {
        /// Built-in suite or TOML file
        #[arg(value_name = "NAME|FILE")]
        suite: String,
    },
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "csv" => Ok(Format::Csv),
        "jsonl" => Ok(Format::Jsonl),
        "json" => Ok(Format::Json),
        "md" => Ok(Format::Markdown),
        "html" => Ok(Format::Html),
        #[cfg(feature = "parquet")]
        "parquet" => Ok(Format::Parquet),
        #[cfg(not(feature = "parquet"))]
        "parquet" => {
            Err("this build has no Parquet support; rebuild with `--features parquet`".to_owned())
        }
        _ => Err("expected one of csv, jsonl, parquet, json, md, html".to_owned()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(value) if (0.0..100.0).contains(&value) => Ok(value),
        Ok(_) | Err(_) => Err("expected a percentage of at least 0 and below 100".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_requires_exactly_one_host_selection() {
        assert!(Cli::try_parse_from(["regatta", "run", "quick"]).is_err());
        assert!(Cli::try_parse_from(["regatta", "run", "quick", "--hosts", "a,b"]).is_ok());
        assert!(Cli::try_parse_from(["regatta", "run", "quick", "--ssh", "a,b"]).is_ok());
        assert!(
            Cli::try_parse_from(["regatta", "run", "quick", "--ssh", "a", "--hosts", "a"]).is_err()
        );
        assert!(
            Cli::try_parse_from(["regatta", "run", "quick", "--expect", "2", "--hosts", "a"])
                .is_err()
        );
    }
}
