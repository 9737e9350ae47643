//! The flags of `regatta sim`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Args, ValueEnum};
use regatta_sim::{Fault, FaultRate, Freeze, TokensPerChunk};
use regatta_types::failure::FailureKind;

use super::{examples, percent};

/// The examples, and the faults with what `regatta bench` makes of them.
static AFTER_HELP: LazyLock<String> = LazyLock::new(|| {
    let mut help = format!("{}\n\nFaults, and what becomes of a request:\n", examples::SIM);
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
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// Model id it serves
    #[arg(long, value_name = "ID", default_value = "regatta-sim")]
    pub model: String,
    /// Version it says it has [default: that of this program]
    #[arg(long, value_name = "VERSION")]
    pub engine_version: Option<String>,
    /// Time to first token
    #[arg(long, value_name = "TIME", default_value = "200ms", value_parser = time)]
    pub ttft: Duration,
    /// Prompt tokens worked on in a second: TTFT grows by the time for those that are not cached
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub prefill_tps: Option<u32>,
    /// Time between tokens; with --flood, the pause after each write
    /// [default: 20ms; with --flood none]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub inter_token: Option<Duration>,
    /// Tokens of an answer's first chunk
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub first_chunk: u32,
    /// Tokens of each further chunk; `random:N` for 1 to N
    #[arg(long, value_name = "N", default_value = "1", value_parser = tokens_per_chunk)]
    pub tokens_per_chunk: TokensPerChunk,
    /// Stream as fast as possible, N events a write, to measure what a client can take
    #[arg(long, value_name = "N", conflicts_with_all = ["ttft", "jitter", "slow", "freeze", "fault"],
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub flood: Option<u32>,
    /// Work on N requests at once; more wait their turn
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub parallel: Option<u32>,
    /// Tokens a second that all streams together get at most
    #[arg(long, value_name = "TPS", value_parser = clap::value_parser!(u32).range(1..))]
    pub decode_capacity: Option<u32>,
    /// Stand still once: `20s+10s`, from 20 s after the first chat request, for 10 s
    #[arg(long, value_name = "AT+FOR", value_parser = freeze)]
    pub freeze: Option<Freeze>,
    /// Relative standard deviation of a request's times, in per cent; at most 30
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub jitter: f64,
    /// Slow everything down by this much, in per cent of speed
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub slow: f64,
    /// End an answer by itself after N tokens, unless the request sets ignore_eos or min_tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub stop_after: Option<u32>,
    /// Take ignore_eos and min_tokens, and end by itself all the same
    #[arg(long)]
    pub ignore_eos_ignored: bool,
    /// Send the first N tokens of an answer as reasoning
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub reasoning: u32,
    /// Longest prompt and answer together, in tokens
    #[arg(long, value_name = "N", default_value_t = 32_768)]
    pub context_length: u32,
    /// Keep a prefix cache in blocks of 16 tokens, and say what was cached
    #[arg(long)]
    pub prefix_cache: bool,
    /// Do not know return_token_ids
    #[arg(long)]
    pub no_token_ids: bool,
    /// When usage is said
    #[arg(long, value_name = "WHEN", default_value = "asked")]
    pub usage: Usage,
    /// Refuse requests with one of these fields, as strict servers do
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',')]
    pub refuse: Vec<String>,
    /// Answer like this, every request or so many per cent of them; may be given several times
    #[arg(long, value_name = "NAME[:PERCENT]")]
    pub fault: Vec<FaultRate>,
    /// Seed of texts and jitter
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Append one JSON line per request to this file
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// When a stream says its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Usage {
    /// As stream_options asks
    Asked,
    /// At the end if it is asked for, never with every event
    Final,
    /// Never
    Never,
}

/// A duration from 0 on, down to microseconds. What each may be, the simulator says.
fn time(text: &str) -> Result<Duration, String> {
    let parsed = text.trim().parse::<jiff::SignedDuration>().ok();
    let wrong = || "a duration such as 20ms, 150us or 0s".to_owned();
    parsed.and_then(|signed| signed.try_into().ok()).ok_or_else(wrong)
}

fn freeze(text: &str) -> Result<Freeze, String> {
    let (after, length) = text.split_once('+').ok_or("two durations such as 20s+10s")?;
    Ok(Freeze { after: time(after)?, length: time(length)? })
}

fn tokens_per_chunk(text: &str) -> Result<TokensPerChunk, String> {
    let (random, number) = match text.strip_prefix("random:") {
        Some(max) => (true, max),
        None => (false, text),
    };
    let number = number.parse().map_err(|_| "a number, or random:N".to_owned())?;
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
    fn chunks_are_fixed_or_random() {
        assert_eq!(tokens_per_chunk("4"), Ok(TokensPerChunk::Fixed(4)));
        assert_eq!(tokens_per_chunk("random:4"), Ok(TokensPerChunk::Random { max: 4 }));
        assert!(tokens_per_chunk("many").is_err());
    }
}
