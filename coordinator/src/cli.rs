//! The command line as typed: flags and help, no logic. `commands` does the work.

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

/// Benchmarks a fleet of LLM-serving hosts at once and says which one is slow, by how much, and
/// whether that is real.
#[derive(Debug, Parser)]
#[command(name = "regatta", version = crate::VERSION, after_help = examples::REGATTA, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Log more to stderr; twice for debugging
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Write the log as JSON lines
    #[arg(long, global = true)]
    pub log_json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run three simulated hosts, one of them slow, and write their reports
    Demo(DemoArgs),
    /// Benchmark this machine's endpoint, without a network
    Bench(BenchArgs),
    /// Wait for agents, run a suite on all of them, write the reports
    Run(RunArgs),
    /// Look at this machine or at a fleet before a run, and say what to do
    Doctor(DoctorArgs),
    /// Print what each host is, without a run
    Hosts(HostsArgs),
    /// Write the reports of a stored run again
    Report(ReportArgs),
    /// Write one file of a stored run: its requests as CSV, its report as HTML, ...
    Export(ExportArgs),
    /// List the stored runs, or what one host did in each
    Runs(RunsArgs),
    /// Compare a run with an earlier one, host by host
    Compare(CompareArgs),
    /// Check a run against a baseline: returns 8 where a host is settled slower
    Check(CheckArgs),
    /// Keep a run as a small file to check later ones against
    Baseline(BaselineArgs),
    /// List, show or check suites
    #[command(subcommand, after_help = examples::SUITE)]
    Suite(SuiteCommand),
    /// Be an agent (the same as the program `regatta-agent`)
    Agent(AgentArgs),
    /// Simulate a GPU host: an OpenAI-compatible endpoint with exact timing
    Sim(SimArgs),
}

/// `regatta demo`.
#[derive(Debug, Args)]
#[command(after_help = examples::DEMO)]
pub struct DemoArgs {
    /// How much slower the third host is, in per cent of speed; 0 for none
    #[arg(long, value_name = "PERCENT", default_value_t = 20.0, value_parser = percent)]
    pub slow: f64,
    /// Times each case is run on every host
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repetitions: u32,
    /// Seed of the simulated hosts and of the order of cases [default: random]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How the hosts are started.
    #[command(flatten)]
    pub start: StartArgs,
    /// Where the reports go and what is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `regatta bench`.
#[derive(Debug, Args)]
#[command(after_help = examples::BENCH)]
pub struct BenchArgs {
    /// Endpoint: host:port, http(s)://host:port, its /v1 or its full path
    /// [default: the one found on loopback port 8000, 30000, 8080 or 11434]
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    /// Built-in suite or TOML file
    /// [default: quick; with --concurrency, --rate or --prompt-tokens text]
    #[arg(long, value_name = "NAME|FILE")]
    pub suite: Option<String>,
    /// How the local endpoint and GPUs are reached.
    #[command(flatten)]
    pub local: regatta_agent::cli::LocalArgs,
    /// What is changed in the suite.
    #[command(flatten)]
    pub workload: WorkloadArgs,
    /// Where the reports go and what is printed.
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
    /// Wait for the agents of these names, and refuse others
    #[arg(long, value_name = "A,B,...", value_delimiter = ',',
          conflicts_with_all = ["ssh", "ssh_file"])]
    pub hosts: Vec<HostId>,
    /// Leave hosts that never join out of the run, and only name them
    #[arg(long, conflicts_with = "expect")]
    pub allow_missing: bool,
    /// Address to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7717")]
    pub listen: SocketAddr,
    /// Allow plain text beyond loopback: whoever can read the network reads prompts and results
    #[arg(long)]
    pub insecure: bool,
    /// Compare hosts on which FACT is not known with those on which it is: engine-version,
    /// quantisation, kv-cache-type, engine-flags, prefix-cache, speculative-decoding, ...
    #[arg(long, value_name = "FACT,...", value_delimiter = ',')]
    pub assume_equal: Vec<ClassFact>,
    /// Differences up to this are of no account: 3%, or by figure: 3%,ttft=10%
    /// [default: 2%, ttft=5%]
    #[arg(long, value_name = "MARGINS")]
    pub margin: Option<Margins>,
    /// How long to wait for agents to be ready
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    pub wait: Duration,
    /// What to do with hosts that are not ready by then
    #[arg(long, value_name = "POLICY", default_value = "drop")]
    pub late: LatePolicy,
    /// Silence after which an agent is given up
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = duration::parse)]
    pub lost_after: Duration,
    /// How the hosts are started.
    #[command(flatten)]
    pub start: StartArgs,
    /// Model to ask for [default: each agent's own choice]
    #[arg(long, value_name = "ID")]
    pub model: Option<String>,
    /// Agents that are started for this run.
    #[command(flatten)]
    pub ssh: SshArgs,
    /// What is changed in the suite.
    #[command(flatten)]
    pub workload: WorkloadArgs,
    /// Where the reports go and what is printed.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `regatta report`.
#[derive(Debug, Args)]
#[command(after_help = examples::REPORT)]
pub struct ReportArgs {
    /// A run's id, or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// Folder of the reports; replaced as a whole [default: reports/RUN]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace hosts, GPU UUIDs, addresses, URLs and home paths in all files, to publish them
    #[arg(long)]
    pub redact: bool,
    /// Compare each host with itself in an earlier run, too: a run's id or a baseline file
    #[arg(long, value_name = "RUN|FILE", conflicts_with = "redact")]
    pub baseline: Option<String>,
    /// Where runs are kept.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `regatta export`.
#[derive(Debug, Args)]
#[command(after_help = examples::EXPORT)]
pub struct ExportArgs {
    /// A run's id, or `latest`
    #[arg(value_name = "RUN", default_value = "latest")]
    pub run: String,
    /// What is written: csv, jsonl or parquet (the requests), json (the run), md (the combined
    /// report) or html (all pages)
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub format: Format,
    /// File to write, replaced as a whole; - is stdout
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub out: PathBuf,
    /// Replace hosts, GPU UUIDs, addresses, URLs and home paths, to publish it
    #[arg(long)]
    pub redact: bool,
    /// Where runs are kept.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `regatta runs`.
#[derive(Debug, Args)]
#[command(after_help = examples::RUNS)]
pub struct RunsArgs {
    /// Only runs with this host, oldest first, with its figures and what changed from one to the next
    #[arg(long, value_name = "NAME")]
    pub host: Option<HostId>,
    /// Of the newest N runs
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub last: u32,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
    /// Where runs are kept.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// `regatta suite`.
#[derive(Debug, Subcommand)]
pub enum SuiteCommand {
    /// List the built-in suites
    List,
    /// Print a suite's TOML, to copy and change
    Show {
        /// Built-in suite or TOML file
        #[arg(value_name = "NAME|FILE")]
        suite: String,
    },
    /// Check a suite file and list every problem in it
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
        "parquet" => Err("this build has no Parquet: build with `--features parquet`".to_owned()),
        _ => Err("one of csv, jsonl, parquet, json, md, html".to_owned()),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(value) if (0.0..100.0).contains(&value) => Ok(value),
        Ok(_) | Err(_) => Err("a number of per cent from 0 to below 100".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_needs_to_know_who_to_wait_for() {
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
