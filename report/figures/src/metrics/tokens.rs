//! Token counts over several requests: a sum says how many of them reported.

use std::collections::BTreeMap;

use regatta_types::trace::{RequestTrace, TokenSource};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// Token counts, summed over successes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Prompt tokens, cached ones included.
    pub prompt: TokenSum,
    /// Of these, answered from a cache.
    pub cached: TokenSum,
    /// Completion tokens, reasoning included.
    pub completion: TokenSum,
    /// Of these, reasoning.
    pub reasoning: TokenSum,
    /// Requests by the source of their counts.
    pub sources: BTreeMap<TokenSource, u32>,
}

/// A sum over successes, some of which may not have reported a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct TokenSum {
    /// Over those that reported it.
    #[serde(rename = "at_least")]
    pub sum: u64,
    /// Successes that reported it.
    #[serde(rename = "requests_that_told")]
    pub reported: u32,
    /// Successes.
    #[serde(rename = "requests")]
    pub of: u32,
}

impl TokenSum {
    fn add(&mut self, value: Option<u64>) {
        self.sum = self.sum.saturating_add(value.unwrap_or(0));
        self.reported += u32::from(value.is_some());
        self.of += 1;
    }

    pub fn and(self, other: Self) -> Self {
        Self {
            sum: self.sum.saturating_add(other.sum),
            reported: self.reported + other.reported,
            of: self.of + other.of,
        }
    }

    /// The sum, if every success reported it.
    pub fn known(self) -> Option<u64> {
        (self.reported > 0 && self.reported == self.of).then_some(self.sum)
    }

    /// Mean over those that reported it.
    pub fn mean(self) -> Option<f64> {
        (self.reported > 0).then(|| self.sum as f64 / f64::from(self.reported))
    }

    /// Share of the successes that reported it.
    pub fn share_reported(self) -> Option<f64> {
        (self.of > 0).then(|| f64::from(self.reported) / f64::from(self.of))
    }
}

impl Tokens {
    pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut out = Self::default();
        for Self { prompt, cached, completion, reasoning, sources } in parts {
            out.prompt = out.prompt.and(*prompt);
            out.cached = out.cached.and(*cached);
            out.completion = out.completion.and(*completion);
            out.reasoning = out.reasoning.and(*reasoning);
            for (&source, n) in sources {
                *out.sources.entry(source).or_default() += n;
            }
        }
        out
    }

    pub(super) fn add(&mut self, trace: &RequestTrace) {
        self.prompt.add(trace.usage.map(|u| u.prompt));
        self.cached.add(trace.usage.and_then(|u| u.cached));
        self.reasoning.add(trace.usage.and_then(|u| u.reasoning));
        self.completion.add(completion_tokens(trace));
        if let Some(source) = trace.token_source() {
            *self.sources.entry(source).or_default() += 1;
        }
    }

    /// Prompt tokens per completion token; `None` if some requests do not report theirs.
    pub fn prompt_per_output(&self) -> Option<f64> {
        let output = self.completion.known().filter(|&n| n > 0)?;
        Some(self.prompt.known()? as f64 / output as f64)
    }

    /// Share of the prompt tokens that came from a cache, if every success reported it.
    pub fn cached_share(&self) -> Option<f64> {
        let prompt = self.prompt.known().filter(|&prompt| prompt > 0)?;
        self.cached.known().map(|cached| cached as f64 / prompt as f64)
    }

    /// Where most counts come from.
    pub fn main_source(&self) -> Option<TokenSource> {
        let most = self.sources.iter().max_by_key(|&(source, n)| (n, std::cmp::Reverse(source)));
        most.map(|(source, _)| *source)
    }

    /// Whether any count is a count of chunks.
    pub fn is_approximate(&self) -> bool {
        self.sources.contains_key(&TokenSource::Chunks)
    }
}

impl Serialize for Tokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { prompt, cached, completion, reasoning, sources } = self;
        let sums = [
            ("prompt", prompt),
            ("cached", cached),
            ("completion", completion),
            ("reasoning", reasoning),
        ];
        let mut out = serializer.serialize_map(None)?;
        for (name, sum) in sums {
            out.serialize_entry(name, &sum.known())?;
        }
        out.serialize_entry("cached_share", &self.cached_share())?;
        let partly = sums.into_iter().filter(|(_, sum)| sum.reported > 0 && sum.known().is_none());
        out.serialize_entry("partly_told", &partly.collect::<BTreeMap<_, _>>())?;
        out.serialize_entry("sources", sources)?;
        out.end()
    }
}

/// Completion tokens as the whole number the best source gave.
pub fn completion_tokens(trace: &RequestTrace) -> Option<u64> {
    match trace.token_source()? {
        TokenSource::TokenIds | TokenSource::ContinuousUsage => {
            Some(trace.chunks.iter().filter_map(|c| c.tokens).map(u64::from).sum())
        }
        TokenSource::Usage => trace.usage.map(|u| u.completion),
        TokenSource::Tokenizer => trace.tokenizer_count,
        TokenSource::Chunks => u64::try_from(trace.chunks.len()).ok(),
    }
}
