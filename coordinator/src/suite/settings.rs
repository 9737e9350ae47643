//! Settings of a case from three layers: flags, the case and `[defaults]`.
//!
//! [`Settings`] reads and merges the layers. `shape` turns them into cases and reports conflicts.

use std::time::Duration;

use regatta_types::suite::{Arrivals, Length, Slo, Timeouts};
use toml::Spanned;
use toml::de::DeValue;

use super::fields::{Fields, Levels, duration, integer, number, table, truth, whole, word};
use super::problem::{Problems, Sourced};
use super::range;

/// The settings of a layer; `None`: not set.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) prompt_tokens: Option<Sourced<Levels<u32>>>,
    pub(super) shared_prefix: Option<Sourced<Levels<u32>>>,
    pub(super) depth: Option<Sourced<Levels<u32>>>,
    pub(super) max_tokens: Option<Sourced<Limit>>,
    pub(super) length: Option<Length>,
    pub(super) temperature: Option<f64>,
    pub(super) seed: Option<i64>,
    pub(super) repetitions: Option<u32>,
    pub(super) warmup: Option<u32>,
    pub(super) concurrency: Option<Sourced<Levels<u32>>>,
    pub(super) ramp: Option<Sourced<bool>>,
    pub(super) rate: Option<Sourced<Levels<f64>>>,
    pub(super) arrivals: Option<Sourced<Arrivals>>,
    pub(super) max_in_flight: Option<Sourced<u32>>,
    pub(super) requests: Option<Sourced<u32>>,
    pub(super) duration: Option<Sourced<Duration>>,
    pub(super) slo: Option<Slo>,
    pub(super) connect: Option<Duration>,
    pub(super) first_token: Option<Duration>,
    pub(super) chunk: Option<Duration>,
    pub(super) request: Option<Duration>,
}

/// Maximum output tokens.
#[derive(Debug, Clone)]
pub(super) enum Limit {
    /// Equal for all requests of a case.
    Same(Levels<u32>),
    /// Drawn per request, from the first to the second.
    Between(u32, u32),
}

impl Settings {
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Self {
        let prefix = || whole(range::PREFIX_TOKENS);
        let mut plain = |key, range| fields.take(problems, key, whole(range)).map(inner);
        let repetitions = plain("repetitions", range::REPETITIONS);
        let warmup = plain("warmup", range::WARMUP);
        let mut wait = |key| fields.take(problems, key, duration).map(inner);
        Self {
            repetitions,
            warmup,
            connect: wait("connect_timeout"),
            first_token: wait("first_token_timeout"),
            chunk: wait("chunk_timeout"),
            request: wait("request_timeout"),
            prompt_tokens: fields.levels(problems, "prompt_tokens", whole(range::PROMPT_TOKENS)),
            shared_prefix: fields.levels(problems, "shared_prefix", prefix()),
            depth: fields.levels(problems, "depth", prefix()),
            max_tokens: max_tokens(fields, problems),
            length: fields.take(problems, "length", word("length", &LENGTHS)).map(inner),
            temperature: fields
                .take(problems, "temperature", number(range::TEMPERATURE))
                .map(inner),
            seed: fields.take(problems, "seed", integer).map(inner),
            concurrency: fields.levels(problems, "concurrency", whole(range::CONCURRENCY)),
            ramp: fields.said(problems, "ramp", truth),
            rate: fields.levels(problems, "rate", number(range::RATE)),
            arrivals: arrivals(fields, problems),
            max_in_flight: fields.said(problems, "max_in_flight", whole(range::CONCURRENCY)),
            requests: fields.said(problems, "requests", whole(range::REQUESTS)),
            duration: fields.said(problems, "duration", duration),
            slo: slo(fields, problems),
        }
    }

    /// These settings, completed with those of `below`. Related keys count as one setting: the stop
    /// rule, streams and rate, and the two keys for a shared prefix.
    pub(super) fn or(self, below: &Self) -> Self {
        let b = below.clone();
        let (requests, duration) = if self.requests.is_some() || self.duration.is_some() {
            (self.requests, self.duration)
        } else {
            (b.requests, b.duration)
        };
        let (concurrency, rate) = if self.concurrency.is_some() || self.rate.is_some() {
            (self.concurrency, self.rate)
        } else {
            (b.concurrency, b.rate)
        };
        let (shared_prefix, depth) = if self.shared_prefix.is_some() || self.depth.is_some() {
            (self.shared_prefix, self.depth)
        } else {
            (b.shared_prefix, b.depth)
        };
        Self {
            prompt_tokens: self.prompt_tokens.or(b.prompt_tokens),
            shared_prefix,
            depth,
            max_tokens: self.max_tokens.or(b.max_tokens),
            length: self.length.or(b.length),
            temperature: self.temperature.or(b.temperature),
            seed: self.seed.or(b.seed),
            repetitions: self.repetitions.or(b.repetitions),
            warmup: self.warmup.or(b.warmup),
            concurrency,
            ramp: self.ramp.or(b.ramp),
            rate,
            arrivals: self.arrivals.or(b.arrivals),
            max_in_flight: self.max_in_flight.or(b.max_in_flight),
            requests,
            duration,
            slo: self.slo.or(b.slo),
            connect: self.connect.or(b.connect),
            first_token: self.first_token.or(b.first_token),
            chunk: self.chunk.or(b.chunk),
            request: self.request.or(b.request),
        }
    }

    pub(super) fn temperature(&self) -> f64 {
        self.temperature.unwrap_or(0.0)
    }

    pub(super) fn seed(&self) -> i64 {
        self.seed.unwrap_or(0)
    }

    pub(super) fn repetitions(&self) -> u32 {
        self.repetitions.unwrap_or(5)
    }

    pub(super) fn warmup(&self) -> u32 {
        self.warmup.unwrap_or(0)
    }

    pub(super) fn slo(&self) -> Slo {
        self.slo.unwrap_or_default()
    }

    pub(super) fn timeouts(&self) -> Timeouts {
        let d = Timeouts::default();
        Timeouts {
            connect: self.connect.unwrap_or(d.connect),
            first_token: self.first_token.unwrap_or(d.first_token),
            chunk: self.chunk.unwrap_or(d.chunk),
            request: self.request.unwrap_or(d.request),
        }
    }
}

const LENGTHS: [(&str, Length); 2] = [("fixed", Length::Fixed), ("natural", Length::Natural)];

fn inner<T>(spanned: Spanned<T>) -> T {
    spanned.into_inner()
}

/// `max_tokens = 128`, `[64, 128]` or `{ from = 96, to = 160 }`.
fn max_tokens(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Sourced<Limit>> {
    let key = "max_tokens";
    let Some(between) = fields.table_at(key) else {
        let said = fields.levels(problems, key, whole(range::MAX_TOKENS))?;
        return Some(Sourced { value: Limit::Same(said.value), by: said.by });
    };
    let mut inside = Fields::new(between.get_ref(), between.span(), &fields.key(key));
    let mut end =
        |key, example| inside.require(problems, key, example, whole(range::MAX_TOKENS)).map(inner);
    let ends = (end("from", "from = 96"), end("to", "to = 160"));
    inside.finish(problems, |_| None);
    fields.said(problems, key, |_| match ends {
        (Some(from), Some(to)) if from > to => Err(format!(
            "from ({from}) is greater than to \
            ({to})"
        )),
        (from, to) => Ok(Limit::Between(from.unwrap_or(1), to.unwrap_or(1))),
    })
}

#[derive(Debug, Clone, Copy)]
enum Spread {
    Constant,
    Poisson,
    Gamma,
}

/// `arrivals = "poisson"`, or `"gamma"` with a `shape`.
fn arrivals(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Sourced<Arrivals>> {
    let words =
        [("constant", Spread::Constant), ("poisson", Spread::Poisson), ("gamma", Spread::Gamma)];
    let spread = fields.said(problems, "arrivals", word("distribution", &words));
    let shape = fields.said(problems, "shape", number(range::SHAPE));
    let gamma = spread.as_ref().is_some_and(|s| matches!(s.value, Spread::Gamma));
    if let Some(shape) = shape.as_ref().filter(|_| !gamma) {
        let hint = Some("Add arrivals = \"gamma\"".to_owned());
        problems.wrong(shape, "requires gamma arrivals", hint);
    }
    let spread = spread?;
    let value = match (spread.value, shape) {
        (Spread::Constant, _) => Arrivals::Constant,
        (Spread::Poisson, _) => Arrivals::Poisson,
        (Spread::Gamma, Some(shape)) => Arrivals::Gamma { shape: shape.value },
        (Spread::Gamma, None) => {
            if !fields.has("shape") {
                let hint = Some("Add shape = 0.5 (1 is Poisson)".to_owned());
                problems.wrong(&spread, "gamma requires shape", hint);
            }
            return None;
        }
    };
    Some(Sourced { value, by: spread.by })
}

/// `slo = { ttft = "2s", tpot = "100ms", e2e = "30s" }`.
fn slo(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Slo> {
    let table = fields.take(problems, "slo", |value: &DeValue<'_>| table(value))?;
    let mut inside = Fields::new(table.get_ref(), table.span(), &fields.key("slo"));
    let mut limit = |key| inside.take(problems, key, duration).map(inner);
    let slo = Slo { ttft: limit("ttft"), tpot: limit("tpot"), e2e: limit("e2e") };
    inside.finish(problems, |key| match key {
        "itl" => Some("Write tpot"),
        "latency" => Some("Write e2e"),
        _ => None,
    });
    Some(slo)
}
