//! How the hosts of a run are started relative to each other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Case;

/// How hosts are started relative to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum StartMode {
    /// All hosts begin each (case, repetition) at the same moment.
    #[default]
    Together,
    /// One after another by a fixed time, and then side by side.
    Staggered,
    /// One host measures at a time, the others rest.
    Solo,
    /// Each (case, repetition) solo, then together.
    Both,
}

/// How the hosts begin one (case, repetition).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// All at the same moment.
    Together,
    /// One after another by a fixed time.
    Staggered,
    /// One host measures at a time.
    Solo,
}

impl StartMode {
    /// All modes.
    pub const ALL: [Self; 4] = [Self::Together, Self::Staggered, Self::Solo, Self::Both];

    /// How the hosts begin the repetitions of a case.
    #[must_use]
    pub fn pace(self, case: &Case) -> Pace {
        match self {
            Self::Staggered => Pace::Staggered,
            Self::Solo => Pace::Solo,
            Self::Both if case.solo_of.is_some() => Pace::Solo,
            Self::Together | Self::Both => Pace::Together,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Together => "together",
            Self::Staggered => "staggered",
            Self::Solo => "solo",
            Self::Both => "both",
        }
    }
}

impl fmt::Display for StartMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for StartMode {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|mode| mode.name() == text);
        found.ok_or_else(|| "expected together, staggered, solo or both".to_owned())
    }
}
