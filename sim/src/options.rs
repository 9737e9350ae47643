//! What a simulated host is told to be: [`SimOptions`], checked once.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use thiserror::Error;

/// The behaviour of one simulated host.
#[derive(Debug, Clone)]
pub struct SimOptions {
    /// The one model it serves.
    pub model: String,
    /// From the end of the request's body to the first token; up to an hour.
    pub ttft: Duration,
    /// Between the due instants of two tokens of one request; up to a minute.
    pub inter_token: Duration,
    /// How many tokens share one event.
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
    /// Natural end after so many tokens (at least 1), unless `max_tokens` comes first or the
    /// request sets `ignore_eos`. `None`: the answer goes on to `max_tokens`.
    pub stop_after: Option<u32>,
    /// The first so many tokens of each answer are reasoning (`reasoning_content`).
    pub reasoning_tokens: u32,
    /// Requests that are worked on at once (at least 1); more wait their turn before their
    /// TTFT begins. `None`: no limit.
    pub parallel: Option<u32>,
    /// Stream without a schedule, so many events a write (1 to 1,000), each stream with a pause of
    /// `inter_token` after a write, or none; `ttft`, `jitter` and `slow_percent` then say nothing.
    /// `None`: every event at its instant.
    pub flood: Option<u32>,
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
            ttft: Duration::from_millis(200),
            inter_token: Duration::from_millis(20),
            tokens_per_chunk: TokensPerChunk::Fixed(1),
            jitter: 0.0,
            slow_percent: 0.0,
            seed: 1,
            context_length: 32_768,
            stop_after: None,
            reasoning_tokens: 0,
            parallel: None,
            flood: None,
            api_key: None,
            log: None,
        }
    }
}

/// How many tokens share one event. The first event of an answer always holds one token, as the
/// prefill of an engine yields one; an event is sent when the last of its tokens is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokensPerChunk {
    /// Always so many, 1 to 1,000.
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
            (!self.model.is_empty(), "model", "a name"),
            (self.ttft <= Duration::from_secs(3600), "ttft", "at most an hour"),
            (self.inter_token <= Duration::from_secs(60), "inter_token", "at most a minute"),
            ((1..=1000).contains(&most), "tokens_per_chunk", "1 to 1000"),
            ((0.0..=0.3).contains(&self.jitter), "jitter", "0 to 0.3"),
            ((0.0..=99.0).contains(&self.slow_percent), "slow_percent", "0 to 99"),
            (self.context_length >= 16, "context_length", "at least 16"),
            (self.stop_after != Some(0), "stop_after", "at least 1"),
            (self.parallel != Some(0), "parallel", "at least 1"),
            (self.flood.is_none_or(|n| (1..=1000).contains(&n)), "flood", "1 to 1000"),
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
