//! Overrides of a suite from the command line.

use std::fmt::Display;
use std::time::Duration;

use regatta_types::suite::{Arrivals, Length, Slo};
use regatta_types::units::Bytes;

use super::fields::{Levels, not_among, not_within};
use super::problem::{Origin, Problems, Sourced};
use super::range;
use super::settings::{Limit, Settings};

/// Flags that override the suite; `None`: no override.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// Concurrent streams; several values make one case each.
    pub concurrency: Option<Vec<u32>>,
    /// Start the streams one after another.
    pub ramp: bool,
    /// Requests per second; several values make one case each.
    pub rate: Option<Vec<f64>>,
    /// Distribution of arrivals in an open loop.
    pub arrivals: Option<Arrivals>,
    /// Maximum requests in flight in an open loop.
    pub max_in_flight: Option<u32>,
    /// Measured requests. Together with `duration`, replaces the stop rule of the suite.
    pub requests: Option<u32>,
    /// Time after which no request starts.
    pub duration: Option<Duration>,
    /// Prompt length; several values make one case each.
    pub prompt_tokens: Option<Vec<u32>>,
    /// Maximum output tokens.
    pub max_tokens: Option<u32>,
    /// Output length.
    pub length: Option<Length>,
    /// SLO per request.
    pub slo: Option<Slo>,
    /// Repetitions of each case on every host.
    pub repetitions: Option<u32>,
    /// Weights read per token, bytes.
    pub active_weights: Option<Bytes>,
    /// Connect timeout.
    pub connect_timeout: Option<Duration>,
    /// Timeout from the send to the first token.
    pub first_token_timeout: Option<Duration>,
    /// Timeout between two chunks.
    pub chunk_timeout: Option<Duration>,
    /// Timeout from the send to the end of the response.
    pub request_timeout: Option<Duration>,
}

impl Overrides {
    /// The settings of the flags; invalid values go to `problems`.
    pub(super) fn settings(&self, problems: &mut Problems<'_>) -> Settings {
        let mut among = |flag, values: &[u32], range: std::ops::RangeInclusive<u32>| {
            for value in values.iter().filter(|value| !range.contains(value)) {
                problems.flag(flag, not_among(&range, value), None);
            }
        };
        let one = |value: &Option<u32>| value.iter().copied().collect::<Vec<_>>();
        let many = |values: &Option<Vec<u32>>| values.clone().unwrap_or_default();
        among("concurrency", &many(&self.concurrency), range::CONCURRENCY);
        among("max-in-flight", &one(&self.max_in_flight), range::CONCURRENCY);
        among("requests", &one(&self.requests), range::REQUESTS);
        among("prompt-tokens", &many(&self.prompt_tokens), range::PROMPT_TOKENS);
        among("max-tokens", &one(&self.max_tokens), range::MAX_TOKENS);
        among("repetitions", &one(&self.repetitions), range::REPETITIONS);
        for rate in self.rate.iter().flatten().filter(|rate| !range::RATE.contains(rate)) {
            problems.flag("rate", not_within(&range::RATE, rate), None);
        }
        Settings {
            prompt_tokens: levels("prompt-tokens", self.prompt_tokens.as_deref(), problems),
            max_tokens: said("max-tokens", self.max_tokens.map(|n| Limit::Same(Levels::One(n)))),
            concurrency: levels("concurrency", self.concurrency.as_deref(), problems),
            ramp: said("ramp", self.ramp.then_some(true)),
            rate: levels("rate", self.rate.as_deref(), problems),
            arrivals: said("arrivals", self.arrivals),
            max_in_flight: said("max-in-flight", self.max_in_flight),
            requests: said("requests", self.requests),
            duration: said("duration", self.duration),
            length: self.length,
            repetitions: self.repetitions,
            slo: self.slo,
            connect: self.connect_timeout,
            first_token: self.first_token_timeout,
            chunk: self.chunk_timeout,
            request: self.request_timeout,
            ..Settings::default()
        }
    }
}

fn said<T>(flag: &'static str, value: Option<T>) -> Option<Sourced<T>> {
    value.map(|value| Sourced { value, by: Origin::Flag(flag) })
}

/// One value changes the cases; several make one case each.
fn levels<T: Copy + PartialEq + Display>(
    flag: &'static str,
    values: Option<&[T]>,
    problems: &mut Problems<'_>,
) -> Option<Sourced<Levels<T>>> {
    let mut different = Vec::new();
    for &value in values? {
        if different.contains(&value) {
            problems.flag(flag, format!("level {value} is listed twice"), None);
        } else {
            different.push(value);
        }
    }
    match different[..] {
        [] => {
            problems.flag(flag, "empty list".to_owned(), None);
            None
        }
        [one] => said(flag, Some(Levels::One(one))),
        _ => said(flag, Some(Levels::Many(different))),
    }
}

/// Parses `--arrivals`: `poisson`, `constant`, or `gamma:SHAPE`.
///
/// # Errors
/// If the value is invalid.
pub fn arrivals(text: &str) -> Result<Arrivals, String> {
    match (text, text.strip_prefix("gamma:").map(str::parse::<f64>)) {
        ("constant", _) => Ok(Arrivals::Constant),
        ("poisson", _) => Ok(Arrivals::Poisson),
        (_, Some(Ok(shape))) if range::SHAPE.contains(&shape) => Ok(Arrivals::Gamma { shape }),
        (_, Some(_)) => Err(format!(
            "expected a gamma shape from {} to {}",
            range::SHAPE.start(),
            range::SHAPE.end()
        )),
        (_, None) => Err("expected poisson, constant or gamma:SHAPE, e.g. gamma:0.5".to_owned()),
    }
}

/// Parses `--length`: `fixed` or `natural`.
///
/// # Errors
/// If the value is invalid.
pub fn length(text: &str) -> Result<Length, String> {
    match text {
        "fixed" => Ok(Length::Fixed),
        "natural" => Ok(Length::Natural),
        _ => Err("expected fixed or natural".to_owned()),
    }
}

/// MLPerf Inference limits per model, in milliseconds of time to first token and time per output
/// token, for the server and the interactive scenario.
const MLPERF: [(&str, [(u64, u64); 2]); 4] = [
    ("llama2-70b", [(2_000, 200), (450, 40)]),
    ("llama3.1-8b", [(2_000, 100), (500, 30)]),
    ("deepseek-r1", [(2_000, 80), (1_500, 15)]),
    ("gpt-oss-120b", [(3_000, 80), (2_000, 20)]),
];

/// The limits of `mlperf:MODEL` or `mlperf:MODEL-interactive`.
fn mlperf(name: &str) -> Result<Slo, String> {
    let (model, scenario) = match name.strip_suffix("-interactive") {
        Some(model) => (model, 1),
        None => (name, 0),
    };
    let Some((_, limits)) = MLPERF.iter().find(|(known, _)| *known == model) else {
        let known = MLPERF.map(|(model, _)| model).join(", ");
        return Err(format!("expected an MLPerf model: {known}, each also with -interactive"));
    };
    let (ttft, tpot) = limits[scenario];
    let ms = |ms| Some(Duration::from_millis(ms));
    Ok(Slo { ttft: ms(ttft), tpot: ms(tpot), e2e: None })
}

/// Parses `--slo`: limits, e.g. `ttft=2s,tpot=100ms`, or an MLPerf preset, e.g.
/// `mlperf:llama2-70b`.
///
/// # Errors
/// If a limit or a model is unknown, a limit is set twice, or a value is not a duration.
pub fn slo(text: &str) -> Result<Slo, String> {
    if let Some(model) = text.trim().strip_prefix("mlperf:") {
        return mlperf(model);
    }
    let mut slo = Slo::default();
    for part in text.split(',') {
        let (name, time) = part.split_once('=').unwrap_or((part, ""));
        let limit = match name.trim() {
            "ttft" => &mut slo.ttft,
            "tpot" => &mut slo.tpot,
            "e2e" => &mut slo.e2e,
            _ => {
                return Err(
                    "expected limits, e.g. ttft=2s,tpot=100ms,e2e=30s, or mlperf:llama2-70b"
                        .to_owned(),
                );
            }
        };
        let time = super::duration::parse(time).map_err(|e| e.to_string())?;
        if limit.replace(time).is_some() {
            return Err(format!("{} is set twice", name.trim()));
        }
    }
    Ok(slo)
}

#[cfg(test)]
mod tests;
