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

/// Facts that earlier versions spelled in British English: the name now, and the earlier one.
const RENAMED: [(&str, &str); 2] =
    [("quantization", "quantisation"), ("wall clock synchronized", "wall clock synchronised")];

/// How `run.json`, the store and fingerprints spell the name of a fact. Scripts and other versions
/// read these, so the earlier spelling stays.
#[must_use]
pub fn stored_name(name: &str) -> &str {
    RENAMED.iter().find(|(now, _)| *now == name).map_or(name, |(_, earlier)| earlier)
}

/// The name of a fact that may come in its earlier spelling.
#[must_use]
pub fn current_name(name: &str) -> &str {
    RENAMED.iter().find(|(_, earlier)| *earlier == name).map_or(name, |(now, _)| now)
}

/// A fact in which hosts of one class are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClassFact {
    /// The model.
    Model,
    /// Quantization of the weights.
    Quantization,
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
    "unknown fact. Known facts: model, quantization, kv-cache-type, engine, engine-version, \
     context-length, prefix-cache, speculative-decoding, engine-flags, gpu"
)]
pub struct NoSuchFact;

impl ClassFact {
    /// All of them, in the order of the codes C1 to C4.
    pub const ALL: [Self; 10] = [
        Self::Model,
        Self::Quantization,
        Self::KvCacheType,
        Self::Engine,
        Self::EngineVersion,
        Self::ContextLength,
        Self::PrefixCache,
        Self::SpeculativeDecoding,
        Self::EngineFlags,
        Self::Gpu,
    ];

    /// As `run.json`, the store and the wire spell it: `engine-version`.
    #[must_use]
    pub fn stored(self) -> String {
        slug(stored_name(self.name()))
    }

    /// As reports name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Quantization => "quantization",
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

fn slug(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

impl fmt::Display for ClassFact {
    /// As flags name it: `engine-version`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&slug(self.name()))
    }
}

impl FromStr for ClassFact {
    type Err = NoSuchFact;
    fn from_str(text: &str) -> Result<Self, NoSuchFact> {
        let is_meant = |fact: &Self| fact.to_string() == text || fact.stored() == text;
        Self::ALL.into_iter().find(is_meant).ok_or(NoSuchFact)
    }
}

impl Serialize for ClassFact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.stored())
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

    #[test]
    fn the_earlier_spelling_of_a_fact_is_read_and_stored() {
        assert_eq!("quantisation".parse(), Ok(ClassFact::Quantization));
        assert_eq!(ClassFact::Quantization.to_string(), "quantization");
        for fact in ClassFact::ALL {
            assert_eq!(fact.stored().parse(), Ok(fact));
        }
        for (now, earlier) in RENAMED {
            assert_eq!((stored_name(now), current_name(earlier)), (earlier, now));
        }
        assert_eq!((stored_name("GPU"), current_name("GPU")), ("GPU", "GPU"));
    }
}
