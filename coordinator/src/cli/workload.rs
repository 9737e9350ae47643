//! Flags that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use regatta_types::suite::{Arrivals, Length, Slo, StartMode};
use regatta_types::units::Bytes;

use crate::suite::{self, Overrides, duration, size};

/// What is changed in the suite.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Workload")]
pub struct WorkloadArgs {
    /// Streams kept busy at once; several levels make a sweep, one case each
    #[arg(long, value_name = "N,...", value_delimiter = ',', conflicts_with = "rate")]
    pub concurrency: Option<Vec<u32>>,
    /// Begin the streams one after another; the first request of each is not measured
    #[arg(long, conflicts_with = "rate")]
    pub ramp: bool,
    /// Send R requests a second, whatever becomes of those before; several rates make a sweep
    #[arg(long, value_name = "R,...", value_delimiter = ',')]
    pub rate: Option<Vec<f64>>,
    /// How requests at a rate are spread: poisson, constant, or gamma:SHAPE
    #[arg(long, value_name = "SPREAD", value_parser = suite::arrivals)]
    pub arrivals: Option<Arrivals>,
    /// Most requests under way at a rate; one due beyond is not sent, and counted
    #[arg(long, value_name = "N")]
    pub max_in_flight: Option<u32>,
    /// Measured requests of each attempt
    #[arg(long, value_name = "N")]
    pub requests: Option<u32>,
    /// Start no new request after this long; those under way are finished
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub duration: Option<Duration>,
    /// Length of the text that is sent, as the engine counts it; several make one case each
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    pub prompt_tokens: Option<Vec<u32>>,
    /// Limit on the tokens of an answer
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u32>,
    /// Where answers end: fixed (at the limit, if the engine can) or natural (where the model ends)
    #[arg(long, value_name = "LENGTH", value_parser = suite::length)]
    pub length: Option<Length>,
    /// What a request must keep to be good: ttft, tpot, e2e, e.g. ttft=2s,tpot=100ms; or the limits
    /// of MLPerf: mlperf:llama2-70b, llama3.1-8b, deepseek-r1, gpt-oss-120b, each also with
    /// -interactive
    #[arg(long, value_name = "LIMITS", value_parser = suite::slo)]
    pub slo: Option<Slo>,
    /// Times each case is run on every host
    #[arg(long, value_name = "N")]
    pub repetitions: Option<u32>,
    /// Weights the model reads for one token, e.g. 3GB (of a mixture of experts the active ones): the
    /// report then says how near decoding comes to the memory's bandwidth
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub active_weights: Option<Bytes>,
    /// Settle each engine with exactly N requests [default: until its speed is steady]
    #[arg(long, value_name = "N")]
    pub warmup: Option<u32>,
    /// Seed of the order of cases, of send instants, lengths and texts [default: random]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Longest wait for a connection
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub connect_timeout: Option<Duration>,
    /// Longest wait from sending to the first token
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub first_token_timeout: Option<Duration>,
    /// Longest wait between two chunks
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub chunk_timeout: Option<Duration>,
    /// Longest wait from sending to the end of the answer
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub request_timeout: Option<Duration>,
}

impl WorkloadArgs {
    /// What they change in a suite.
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

    /// Whether they ask for a load or a length, which a suite of tasks is not made for.
    #[must_use]
    pub fn shapes_load(&self) -> bool {
        self.concurrency.is_some() || self.rate.is_some() || self.prompt_tokens.is_some()
    }
}

/// How the hosts are started.
#[derive(Debug, Clone, Copy, Args)]
pub struct StartArgs {
    /// How hosts begin each repetition of a case: together, staggered (one after another), solo (one
    /// at a time, the others rest) or both (solo, then together: shows what the hosts share)
    #[arg(long, value_name = "MODE", default_value_t = StartMode::Together)]
    pub start: StartMode,
    /// With --start staggered: time from one host's start to the next one's [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub stagger: Option<Duration>,
}

/// A price above 0.
fn price(text: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().ok().filter(|price| (1e-6..=1e6).contains(price));
    price.ok_or_else(|| "a price of a kWh above 0 such as 0.31 is needed".to_owned())
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
    /// Price of a kWh in any currency: the report then has that of a million output tokens
    #[arg(long, value_name = "PRICE", value_parser = price)]
    pub tariff: Option<f64>,
    /// Replace hosts, GPU UUIDs, addresses, URLs and home paths in the reports, to publish them
    #[arg(long)]
    pub redact: bool,
    /// Compare each host with itself in an earlier run, too: a run's id, `latest`, or a baseline
    /// file
    #[arg(long, value_name = "RUN|FILE", conflicts_with = "redact")]
    pub baseline: Option<String>,
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
