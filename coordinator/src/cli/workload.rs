//! Flags shared by several commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use regatta_types::suite::{Arrivals, Length, Slo, StartMode};
use regatta_types::units::Bytes;

use crate::suite::{self, Overrides, duration, size};

/// Changes to the suite.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Workload")]
pub struct WorkloadArgs {
    /// Concurrent streams; several levels make a sweep, one case each
    #[arg(long, value_name = "N,...", value_delimiter = ',', conflicts_with = "rate")]
    pub concurrency: Option<Vec<u32>>,
    /// Start the streams one after another; the first request of each is not measured
    #[arg(long, conflicts_with = "rate")]
    pub ramp: bool,
    /// Requests per second, regardless of outstanding ones (open loop); several rates make a sweep
    #[arg(long, value_name = "R,...", value_delimiter = ',')]
    pub rate: Option<Vec<f64>>,
    /// Distribution of arrivals at a rate: poisson, constant or gamma:SHAPE
    #[arg(long, value_name = "SPREAD", value_parser = suite::arrivals)]
    pub arrivals: Option<Arrivals>,
    /// Maximum requests in flight at a rate; excess requests are dropped and counted
    #[arg(long, value_name = "N")]
    pub max_in_flight: Option<u32>,
    /// Measured requests per attempt
    #[arg(long, value_name = "N")]
    pub requests: Option<u32>,
    /// Send no new requests after this time; requests in flight complete
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub duration: Option<Duration>,
    /// Prompt length in tokens, as counted by the engine; several lengths make one case each
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    pub prompt_tokens: Option<Vec<u32>>,
    /// Maximum output tokens per request
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u32>,
    /// Output length: fixed (at the limit, if the engine supports it) or natural (the model stops)
    #[arg(long, value_name = "LENGTH", value_parser = suite::length)]
    pub length: Option<Length>,
    /// SLO per request: limits on ttft, tpot and e2e, e.g. ttft=2s,tpot=100ms, or mlperf:llama2-70b
    #[arg(long, value_name = "LIMITS", value_parser = suite::slo)]
    pub slo: Option<Slo>,
    /// Repetitions of each case on every host
    #[arg(long, value_name = "N")]
    pub repetitions: Option<u32>,
    /// Weights read per token, e.g. 3GB (MoE: active experts); adds memory bandwidth use to the
    /// report
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub active_weights: Option<Bytes>,
    /// Warm up each engine with exactly N requests [default: until its speed is steady]
    #[arg(long, value_name = "N")]
    pub warmup: Option<u32>,
    /// Seed for case order, send times, lengths and texts [default: random]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Timeout for a connection
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub connect_timeout: Option<Duration>,
    /// Timeout from sending a request to its first token
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub first_token_timeout: Option<Duration>,
    /// Timeout between two chunks
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub chunk_timeout: Option<Duration>,
    /// Timeout from sending a request to the end of its answer
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub request_timeout: Option<Duration>,
}

impl WorkloadArgs {
    /// The changes to a suite.
    #[must_use]
    pub fn overrides(&self) -> Overrides {
        Overrides {
            concurrency: self.concurrency.clone(),
            ramp: self.ramp,
            rate: self.rate.clone(),
            arrivals: self.arrivals,
            max_in_flight: self.max_in_flight,
            requests: self.requests,
            duration: self.duration,
            prompt_tokens: self.prompt_tokens.clone(),
            max_tokens: self.max_tokens,
            length: self.length,
            slo: self.slo,
            repetitions: self.repetitions,
            active_weights: self.active_weights,
            connect_timeout: self.connect_timeout,
            first_token_timeout: self.first_token_timeout,
            chunk_timeout: self.chunk_timeout,
            request_timeout: self.request_timeout,
        }
    }

    /// Whether they set a load or a prompt length, which a suite of tasks does not support.
    #[must_use]
    pub fn shapes_load(&self) -> bool {
        self.concurrency.is_some() || self.rate.is_some() || self.prompt_tokens.is_some()
    }
}

/// Start mode.
#[derive(Debug, Clone, Copy, Args)]
pub struct StartArgs {
    /// Start mode: together, staggered, solo (one host at a time) or both (solo, then together)
    #[arg(long, value_name = "MODE", default_value_t = StartMode::Together)]
    pub start: StartMode,
    /// Interval between host starts with --start staggered [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub stagger: Option<Duration>,
}

/// A price above 0.
fn price(text: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().ok().filter(|price| (1e-6..=1e6).contains(price));
    price.ok_or_else(|| "expected a price per kWh above 0, e.g. 0.31".to_owned())
}

/// Output options.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Report directory; replaced if it exists [default: reports/RUN]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print events as JSON lines on stdout
    #[arg(long)]
    pub json: bool,
    /// Print the planned cells and exit
    #[arg(long)]
    pub dry_run: bool,
    /// Store the text of answers, not only its hash, and preview it in the reports
    #[arg(long)]
    pub keep_text: bool,
    /// Price per kWh, in any currency; adds the energy cost per million output tokens to the report
    #[arg(long, value_name = "PRICE", value_parser = price)]
    pub tariff: Option<f64>,
    /// Redact host names, GPU UUIDs, addresses, URLs and home paths for publication
    #[arg(long)]
    pub redact: bool,
    /// Also compare each host with itself in an earlier run (id or `latest`) or a baseline file
    #[arg(long, value_name = "RUN|FILE", conflicts_with = "redact")]
    pub baseline: Option<String>,
    /// Location of the store.
    #[command(flatten)]
    pub store: StoreArgs,
}

/// Location of the store.
#[derive(Debug, Clone, Args)]
pub struct StoreArgs {
    /// Store directory [default: in the user's state directory]
    #[arg(long, value_name = "DIR", env = "REGATTA_STATE")]
    pub state: Option<PathBuf>,
}
