//! Settings of a simulated host: [`SimOptions`], checked once.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use thiserror::Error;

use crate::fault::FaultRate;
use crate::freeze::Freeze;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The behavior of one simulated host.
#[derive(Debug, Clone)]
pub struct SimOptions {
    /// The one model it serves.
    pub model: String,
    /// The version that it says it has.
    pub version: String,
    /// From the end of the request's body to the first token; up to an hour.
    pub ttft: Duration,
    /// Prompt tokens worked on in a second: the first token is later by the time for those that
    /// are not cached. `None`: prompts of any length take `ttft`. At least 1.
    pub prefill_tps: Option<u32>,
    /// Between the due instants of two tokens of one request; up to a minute.
    pub inter_token: Duration,
    /// Tokens of an answer's first event; 1 to 1,000.
    pub first_chunk: u32,
    /// How many tokens share each further event.
    pub tokens_per_chunk: TokensPerChunk,
    /// Relative standard deviation of each request's TTFT and inter-token time, drawn apart;
    /// 0 (exact) to 0.3.
    pub jitter: f64,
    /// Speed that is missing, per cent: TTFT and inter-token time are divided by
    /// `1 - slow_percent / 100`. 0 to 99.
    pub slow_percent: f64,
    /// Decides jitter, text and random chunk sizes. The n-th request of two servers with the same
    /// options gets the same ones.
    pub seed: u64,
    /// Longest prompt and answer together, tokens; at least 16.
    pub context_length: u32,
    /// Natural end after this many tokens (at least 1), unless `max_tokens` comes first or the
    /// request sets `ignore_eos`. `None`: the answer goes on to `max_tokens`.
    pub stop_after: Option<u32>,
    /// Whether `ignore_eos` and `min_tokens` do anything, or are taken and ignored.
    pub forced_length: bool,
    /// This many tokens at the start of each answer are reasoning (`reasoning_content`).
    pub reasoning_tokens: u32,
    /// Requests that are worked on at once (at least 1); more wait their turn before their
    /// TTFT begins. `None`: no limit.
    pub parallel: Option<u32>,
    /// Tokens a second that all streams together get at most (at least 1): of `n` streams each
    /// waits at least `n / decode_capacity` seconds for its next token. `None`: no limit.
    pub decode_capacity: Option<u32>,
    /// The whole host freezes once.
    pub freeze: Option<Freeze>,
    /// Keep a prefix cache: usage then says `cached_tokens`, the longest beginning in common with
    /// an earlier prompt in whole blocks of 16 tokens.
    pub prefix_cache: bool,
    /// Whether `return_token_ids` is known, or ignored.
    pub token_ids: bool,
    /// When usage is said.
    pub usage: UsagePolicy,
    /// Fields of a request (of its top level) that are refused with a 400, as strict servers do.
    pub refuse: Vec<String>,
    /// Stream without a schedule, this many events per write (1 to 1,000), each stream with a pause
    /// of `inter_token` after a write, or none. `ttft`, `jitter` and `slow_percent` then have no
    /// effect.
    /// `None`: every event at its instant.
    pub flood: Option<u32>,
    /// Faults and how many requests they hit; where several hit one, the first does.
    pub faults: Vec<FaultRate>,
    /// Required as `Authorization: Bearer ...` below `/v1`, if set.
    pub api_key: Option<SecretString>,
    /// Appended to: one JSON line a request, as described in [`SimServer::bind`].
    ///
    /// [`SimServer::bind`]: crate::SimServer::bind
    pub log: Option<PathBuf>,
}

impl Default for SimOptions {
    /// 200 ms to the first token, 20 ms between tokens, exact, one token an event.
    fn default() -> Self {
        Self {
            model: "regatta-sim".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            ttft: Duration::from_millis(200),
            prefill_tps: None,
            inter_token: Duration::from_millis(20),
            first_chunk: 1,
            tokens_per_chunk: TokensPerChunk::Fixed(1),
            jitter: 0.0,
            slow_percent: 0.0,
            seed: 1,
            context_length: 32_768,
            stop_after: None,
            forced_length: true,
            reasoning_tokens: 0,
            parallel: None,
            decode_capacity: None,
            freeze: None,
            prefix_cache: false,
            token_ids: true,
            usage: UsagePolicy::AsAsked,
            refuse: Vec::new(),
            flood: None,
            faults: Vec::new(),
            api_key: None,
            log: None,
        }
    }
}

/// When a stream says its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsagePolicy {
    /// As `stream_options` asks: not at all, at the end, or with every event.
    AsAsked,
    /// At the end if it is asked for; `continuous_usage_stats` is ignored.
    Final,
    /// Never.
    Never,
}

/// How many tokens share one event; one is sent when the last of its tokens is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokensPerChunk {
    /// Always this many, 1 to 1,000.
    Fixed(u32),
    /// Evenly distributed from 1 to `max` (1 to 1,000), drawn from the seed.
    Random {
        /// The most.
        max: u32,
    },
}

/// An option outside its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{option} must be {range}")]
pub struct OptionsError {
    /// The field's name.
    pub option: &'static str,
    /// What it may be.
    pub range: &'static str,
}

impl SimOptions {
    /// Checks every range.
    ///
    /// # Errors
    /// The first field that is outside its range.
    pub fn check(&self) -> Result<(), OptionsError> {
        let (TokensPerChunk::Fixed(most) | TokensPerChunk::Random { max: most }) =
            self.tokens_per_chunk;
        let problems = [
            (!self.model.is_empty(), "model", "a non-empty name"),
            (self.ttft <= HOUR, "ttft", "at most an hour"),
            (self.inter_token <= Duration::from_secs(60), "inter_token", "at most a minute"),
            ((1..=1000).contains(&self.first_chunk), "first_chunk", "1 to 1,000"),
            ((1..=1000).contains(&most), "tokens_per_chunk", "1 to 1,000"),
            (self.prefill_tps != Some(0), "prefill_tps", "at least 1"),
            (self.decode_capacity != Some(0), "decode_capacity", "at least 1"),
            ((0.0..=0.3).contains(&self.jitter), "jitter", "0 to 0.3"),
            ((0.0..=99.0).contains(&self.slow_percent), "slow_percent", "0 to 99"),
            (self.context_length >= 16, "context_length", "at least 16"),
            (self.stop_after != Some(0), "stop_after", "at least 1"),
            (
                self.freeze.is_none_or(|f| f.after <= DAY && f.length <= HOUR),
                "freeze",
                "at most an hour long and start within a day",
            ),
            (
                self.faults.iter().all(|f| (1..=100).contains(&f.percent)),
                "faults",
                "1 to 100 percent each",
            ),
            (self.parallel != Some(0), "parallel", "at least 1"),
            (self.flood.is_none_or(|n| (1..=1000).contains(&n)), "flood", "1 to 1,000"),
        ];
        match problems.into_iter().find(|(ok, ..)| !ok) {
            Some((_, option, range)) => Err(OptionsError { option, range }),
            None => Ok(()),
        }
    }

    /// By how much everything is stretched: `1 / (1 - slow_percent / 100)`.
    pub(crate) fn stretch(&self) -> f64 {
        1.0 / (1.0 - self.slow_percent / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_outside_their_range_are_named() {
        assert_eq!(SimOptions::default().check(), Ok(()));
        let bad = SimOptions { jitter: f64::NAN, ..SimOptions::default() };
        assert_eq!(bad.check().unwrap_err().to_string(), "jitter must be 0 to 0.3");
        let bad = SimOptions {
            tokens_per_chunk: TokensPerChunk::Random { max: 0 },
            ..SimOptions::default()
        };
        assert_eq!(bad.check().unwrap_err().option, "tokens_per_chunk");
    }

    #[test]
    fn twenty_percent_slower_takes_a_quarter_longer() {
        let slow = SimOptions { slow_percent: 20.0, ..SimOptions::default() };
        assert!((slow.stretch() - 1.25).abs() < 1e-12);
    }
}
