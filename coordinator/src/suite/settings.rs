//! The settings that a case may name and `[defaults]` may give for all cases.

use std::time::Duration;

use regatta_types::suite::{StopRule, Timeouts};
use toml::Spanned;

use super::fields::{Fields, duration, integer, number, whole};
use super::problem::Problems;
use super::range;

/// Streams kept busy.
#[derive(Debug, Clone)]
pub(super) enum Levels {
    /// One case.
    One(u32),
    /// One case for each level.
    Sweep(Vec<u32>),
}

/// One case made of a `[[case]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) streams: u32,
}

impl Levels {
    /// The cases made of one: itself, or for each level one that says so in id and title.
    pub(super) fn each(&self, id: &str, title: &str) -> Vec<Level> {
        match self {
            Self::One(streams) => {
                vec![Level { id: id.to_owned(), title: title.to_owned(), streams: *streams }]
            }
            Self::Sweep(levels) => levels
                .iter()
                .map(|&streams| Level {
                    id: format!("{id}{}", id_ending(streams)),
                    title: format!("{title}{}", title_ending(streams)),
                    streams,
                })
                .collect(),
        }
    }

    fn streams(&self) -> &[u32] {
        match self {
            Self::One(streams) => std::slice::from_ref(streams),
            Self::Sweep(levels) => levels,
        }
    }
}

/// What the id of a level ends in.
pub(super) fn id_ending(streams: u32) -> String {
    format!(".c{streams}")
}

/// What the title of a level ends in.
pub(super) fn title_ending(streams: u32) -> String {
    format!(" ({streams} stream{})", if streams == 1 { "" } else { "s" })
}

/// What a table says; `None` where it is silent.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) max_tokens: Option<u32>,
    temperature: Option<f64>,
    seed: Option<i64>,
    repetitions: Option<u32>,
    warmup: Option<u32>,
    concurrency: Option<Levels>,
    requests: Option<Spanned<u32>>,
    duration: Option<Duration>,
    connect: Option<Duration>,
    first_token: Option<Duration>,
    chunk: Option<Duration>,
    request: Option<Duration>,
}

impl Settings {
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Self {
        let mut whole_of =
            |key, range| fields.take(problems, key, whole(range)).map(Spanned::into_inner);
        let max_tokens = whole_of("max_tokens", range::MAX_TOKENS);
        let repetitions = whole_of("repetitions", range::REPETITIONS);
        let warmup = whole_of("warmup", range::WARMUP);
        let mut wait = |key| fields.take(problems, key, duration).map(Spanned::into_inner);
        Self {
            max_tokens,
            repetitions,
            warmup,
            duration: wait("duration"),
            connect: wait("connect_timeout"),
            first_token: wait("first_token_timeout"),
            chunk: wait("chunk_timeout"),
            request: wait("request_timeout"),
            requests: fields.take(problems, "requests", whole(range::REQUESTS)),
            temperature: fields
                .take(problems, "temperature", number(range::TEMPERATURE))
                .map(Spanned::into_inner),
            seed: fields.take(problems, "seed", integer).map(Spanned::into_inner),
            concurrency: concurrency(fields, problems),
        }
    }

    /// These settings, with `defaults` where they are silent. The stop rule is one setting: a case
    /// that names `requests` or `duration` takes neither from the defaults.
    pub(super) fn or(self, defaults: &Self) -> Self {
        let d = defaults.clone();
        let (requests, duration) = if self.requests.is_some() || self.duration.is_some() {
            (self.requests, self.duration)
        } else {
            (d.requests, d.duration)
        };
        Self {
            max_tokens: self.max_tokens.or(d.max_tokens),
            temperature: self.temperature.or(d.temperature),
            seed: self.seed.or(d.seed),
            repetitions: self.repetitions.or(d.repetitions),
            warmup: self.warmup.or(d.warmup),
            concurrency: self.concurrency.or(d.concurrency),
            requests,
            duration,
            connect: self.connect.or(d.connect),
            first_token: self.first_token.or(d.first_token),
            chunk: self.chunk.or(d.chunk),
            request: self.request.or(d.request),
        }
    }

    /// The levels, checked against the number of requests.
    pub(super) fn levels(&self, fields: &Fields<'_>, problems: &mut Problems<'_>) -> Levels {
        let levels = self.concurrency.clone().unwrap_or(Levels::One(1));
        let most = levels.streams().iter().copied().max().unwrap_or(1);
        if let Some(requests) = &self.requests
            && *requests.get_ref() < most
        {
            let what = format!("{} cannot keep {most} streams busy", requests.get_ref());
            let hint = format!("write at least {most}, or leave it out for one request a stream");
            problems.add(&requests.span(), &fields.key("requests"), &what, Some(hint));
        }
        levels
    }

    pub(super) fn stop(&self, concurrency: u32) -> StopRule {
        let requests = self.requests.as_ref().map(|r| *r.get_ref());
        match (requests, self.duration) {
            (None, None) => StopRule { requests: Some(concurrency), duration: None },
            (requests, duration) => StopRule { requests, duration },
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

/// `concurrency = 4` or `concurrency = [1, 4, 16]`.
fn concurrency(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<Levels> {
    let key = "concurrency";
    let value = fields.take(problems, key, |value| match value.as_array() {
        Some(list) if list.is_empty() => Err("no levels".to_owned()),
        Some(_) => Ok(value),
        None => whole(range::CONCURRENCY)(value).map(|_| value),
    })?;
    let level = whole(range::CONCURRENCY);
    let Some(list) = value.get_ref().as_array() else {
        return level(value.get_ref()).ok().map(Levels::One);
    };
    let mut levels = Vec::with_capacity(list.len());
    for item in list.iter() {
        let wrong = match level(item.get_ref()) {
            Ok(streams) if levels.contains(&streams) => format!("level {streams} is listed twice"),
            Ok(streams) => {
                levels.push(streams);
                continue;
            }
            Err(what) => what,
        };
        problems.add(&item.span(), &fields.key(key), &wrong, None);
    }
    Some(Levels::Sweep(levels))
}
