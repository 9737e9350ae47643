//! The flags of `regatta sim`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{examples, percent};
/// `regatta sim`.
#[derive(Debug, Args)]
#[command(after_help = examples::SIM)]
pub struct SimArgs {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Model id it serves
    #[arg(long, value_name = "ID", default_value = "regatta-sim")]
    pub model: String,
    /// Time to first token
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = time)]
    pub ttft: Duration,
    /// Time between tokens; with --flood, the pause after each write
    /// [default: 20ms; with --flood none]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub inter_token: Option<Duration>,
    /// Tokens of each chunk; `random:N` for 1 to N
    #[arg(long, value_name = "N", default_value = "1")]
    pub tokens_per_chunk: String,
    /// Stream as fast as possible, N events a write, to measure what a client can take
    #[arg(long, value_name = "N", conflicts_with_all = ["ttft", "jitter", "slow"],
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub flood: Option<u32>,
    /// Work on N requests at once; more wait their turn
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub parallel: Option<u32>,
    /// Relative standard deviation of a request's times, in per cent; at most 30
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub jitter: f64,
    /// Slow everything down by this much, in per cent of speed
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub slow: f64,
    /// Send the first N tokens of an answer as reasoning
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub reasoning: u32,
    /// Seed of texts and jitter
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Append one JSON line per request to this file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// A duration from 0 on, down to microseconds. What each may be, the simulator says.
fn time(text: &str) -> Result<Duration, String> {
    let parsed = text.trim().parse::<jiff::SignedDuration>().ok();
    let wrong = || "a duration such as 20ms, 150us or 0s".to_owned();
    parsed.and_then(|signed| signed.try_into().ok()).ok_or_else(wrong)
}
