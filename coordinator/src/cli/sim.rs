//! Flags of `regatta sim`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Args, ValueEnum};
use regatta_sim::{Fault, FaultRate, Freeze, TokensPerChunk};
use regatta_types::failure::FailureKind;

use super::{examples, percent};

/// The examples, then each fault with the outcome that `regatta bench` records.
static AFTER_HELP: LazyLock<String> = LazyLock::new(|| {
    let mut help =
        format!("{}\n\nFaults, and the recorded outcome of the request:\n", examples::SIM);
    for fault in Fault::ALL {
        let outcome = fault.outcome().map_or("ok", FailureKind::name);
        help.push_str(&format!("  {fault:<19} {outcome:<19} {}\n", fault.what()));
    }
    help
});

/// `regatta sim`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP.as_str())]
pub struct SimArgs {
    /// Address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Id of the served model
    #[arg(long, value_name = "ID", default_value = "regatta-sim")]
    pub model: String,
    /// Reported engine version [default: the version of this program]
    #[arg(long, value_name = "VERSION")]
    pub engine_version: Option<String>,
    /// Time to first token
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = time)]
    pub ttft: Duration,
    /// Prefill speed in prompt tokens per second; uncached prompt tokens add to TTFT
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub prefill_tps: Option<u32>,
    /// Time between tokens; with --flood, the pause after each write
    /// [default: 20ms, or none with --flood]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub inter_token: Option<Duration>,
    /// Tokens in the first chunk of an answer
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub first_chunk: u32,
    /// Tokens in each further chunk; `random:N` for 1 to N
    #[arg(long, value_name = "N", default_value = "1", value_parser = tokens_per_chunk)]
    pub tokens_per_chunk: TokensPerChunk,
    /// Stream as fast as possible, N events per write, to measure the client's capacity
    #[arg(long, value_name = "N", conflicts_with_all = ["ttft", "jitter", "slow", "freeze", "fault"],
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub flood: Option<u32>,
    /// Process at most N requests concurrently; queue the rest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub parallel: Option<u32>,
    /// Maximum total decode speed of all streams, in tokens per second
    #[arg(long, value_name = "TPS", value_parser = clap::value_parser!(u32).range(1..))]
    pub decode_capacity: Option<u32>,
    /// Freeze once: `20s+10s` starts 20 s after the first chat request and lasts 10 s
    #[arg(long, value_name = "AT+FOR", value_parser = freeze)]
    pub freeze: Option<Freeze>,
    /// Relative standard deviation of request times, in percent; at most 30
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub jitter: f64,
    /// Speed reduction, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub slow: f64,
    /// End answers naturally after N tokens, unless the request sets ignore_eos or min_tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub stop_after: Option<u32>,
    /// Accept ignore_eos and min_tokens, but ignore them
    #[arg(long)]
    pub ignore_eos_ignored: bool,
    /// Send the first N tokens of each answer as reasoning
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub reasoning: u32,
    /// Context length in tokens (prompt and answer)
    #[arg(long, value_name = "N", default_value_t = 32_768)]
    pub context_length: u32,
    /// Simulate a prefix cache with blocks of 16 tokens and report cached tokens
    #[arg(long)]
    pub prefix_cache: bool,
    /// Ignore return_token_ids
    #[arg(long)]
    pub no_token_ids: bool,
    /// When to report usage
    #[arg(long, value_name = "WHEN", default_value = "asked")]
    pub usage: Usage,
    /// Refuse requests with any of these fields, like a strict server
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',')]
    pub refuse: Vec<String>,
    /// Inject this fault into all requests or PERCENT of them; may be repeated
    #[arg(long, value_name = "NAME[:PERCENT]")]
    pub fault: Vec<FaultRate>,
    /// Seed for texts and jitter
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Append one JSON line per request to this file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// When a stream reports its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Usage {
    /// As requested in stream_options
    Asked,
    /// At the end if requested, never with every event
    Final,
    /// Never
    Never,
}

/// A duration of 0 or more, down to microseconds. The simulator checks the range of each flag.
fn time(text: &str) -> Result<Duration, String> {
    let parsed = text.trim().parse::<jiff::SignedDuration>().ok();
    let wrong = || "expected a duration, e.g. 20ms, 150us or 0s".to_owned();
    parsed.and_then(|signed| signed.try_into().ok()).ok_or_else(wrong)
}

fn freeze(text: &str) -> Result<Freeze, String> {
    let (after, length) = text.split_once('+').ok_or("expected two durations, e.g. 20s+10s")?;
    Ok(Freeze { after: time(after)?, length: time(length)? })
}

fn tokens_per_chunk(text: &str) -> Result<TokensPerChunk, String> {
    let (random, number) = match text.strip_prefix("random:") {
        Some(max) => (true, max),
        None => (false, text),
    };
    let number = number.parse().map_err(|_| "expected a number or random:N".to_owned())?;
    Ok(if random { TokensPerChunk::Random { max: number } } else { TokensPerChunk::Fixed(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_is_two_durations() {
        let (after, length) = (Duration::from_secs(20), Duration::from_millis(1500));
        assert_eq!(freeze("20s+1500ms"), Ok(Freeze { after, length }));
        assert!(freeze("20s").is_err() && freeze("20s+x").is_err());
    }

    #[test]
    fn chunk_sizes_are_fixed_or_random() {
        assert_eq!(tokens_per_chunk("4"), Ok(TokensPerChunk::Fixed(4)));
        assert_eq!(tokens_per_chunk("random:4"), Ok(TokensPerChunk::Random { max: 4 }));
        assert!(tokens_per_chunk("many").is_err());
    }
}
