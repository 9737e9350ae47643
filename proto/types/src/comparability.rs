//! The facts that decide which hosts may be compared, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// Why something is not comparable, or what to keep in mind: docs/reports.md has the rule of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Model.
    C1,
    /// Quantization.
    C2,
    /// Engine, version, settings.
    C3,
    /// GPU model and memory.
    C4,
    /// Power limit, driver and the like: same class, first causes to check.
    C5,
    /// Answers differ in length or in how they end.
    C6,
    /// Answers of natural length were cut.
    C7,
    /// Cached prompt tokens differ, or are not reported alike.
    C8,
    /// Token counts of different kinds.
    C9,
    /// An invalid attempt.
    C10,
    /// Too few repetitions.
    C11,
    /// Runs of different start modes.
    C12,
}

impl Code {
    /// What it says about hosts, cases or runs; docs/glossary.md has the same.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::C1 => "different model: not compared",
            Self::C2 => "different quantization or KV cache type: not compared",
            Self::C3 => "different engine, version or settings: not compared",
            Self::C4 => "different GPU models or GPU memory: not compared",
            Self::C5 => {
                "different power limit, driver, CPU, kernel, ...: compared, and named as a possible cause"
            }
            Self::C6 => "answers differ in length or in how they end",
            Self::C7 => "answers of natural length were truncated",
            Self::C8 => "cached prompt tokens differ, or are not reported alike",
            Self::C9 => "token counts come from different sources",
            Self::C10 => "the attempt is invalid",
            Self::C11 => {
                "fewer complete repetitions than planned, or than the 3 that a verdict needs"
            }
            Self::C12 => "runs with different start modes: not compared",
        }
    }

    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::C1,
        Self::C2,
        Self::C3,
        Self::C4,
        Self::C5,
        Self::C6,
        Self::C7,
        Self::C8,
        Self::C9,
        Self::C10,
        Self::C11,
        Self::C12,
    ];
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The variants are the codes.
        f.pad(&format!("{self:?}"))
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A fact in which hosts of one class are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClassFact {
    /// The model.
    Model,
    /// Quantisation of the weights.
    Quantisation,
    /// Type of the KV cache.
    KvCacheType,
    /// The engine's name.
    Engine,
    /// The engine's version.
    EngineVersion,
    /// Longest context.
    ContextLength,
    /// Prefix cache on or off.
    PrefixCache,
    /// How tokens are drafted.
    SpeculativeDecoding,
    /// How the engine was started.
    EngineFlags,
    /// GPU models and their memory.
    Gpu,
}

/// Not the name of a fact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown fact. Known facts: model, quantisation, kv-cache-type, engine, engine-version, \
     context-length, prefix-cache, speculative-decoding, engine-flags, gpu"
)]
pub struct NoSuchFact;

impl ClassFact {
    /// All of them, in the order of the codes C1 to C4.
    pub const ALL: [Self; 10] = [
        Self::Model,
        Self::Quantisation,
        Self::KvCacheType,
        Self::Engine,
        Self::EngineVersion,
        Self::ContextLength,
        Self::PrefixCache,
        Self::SpeculativeDecoding,
        Self::EngineFlags,
        Self::Gpu,
    ];

    /// As reports name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Quantisation => "quantisation",
            Self::KvCacheType => "KV cache type",
            Self::Engine => "engine",
            Self::EngineVersion => "engine version",
            Self::ContextLength => "context length",
            Self::PrefixCache => "prefix cache",
            Self::SpeculativeDecoding => "speculative decoding",
            Self::EngineFlags => "engine flags",
            Self::Gpu => "GPU",
        }
    }
}

impl fmt::Display for ClassFact {
    /// As flags and the store name it: `engine-version`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name().to_lowercase().replace(' ', "-"))
    }
}

impl FromStr for ClassFact {
    type Err = NoSuchFact;
    fn from_str(text: &str) -> Result<Self, NoSuchFact> {
        Self::ALL.into_iter().find(|fact| fact.to_string() == text).ok_or(NoSuchFact)
    }
}

impl Serialize for ClassFact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_round_trips_and_is_listed_in_the_error() {
        for fact in ClassFact::ALL {
            assert_eq!(fact.to_string().parse(), Ok(fact));
            assert!(NoSuchFact.to_string().contains(&fact.to_string()), "{fact}");
        }
        assert_eq!("driver".parse::<ClassFact>(), Err(NoSuchFact));
    }
}
