//! Whether a result may be trusted, and why not.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One vocabulary for attempt, cell, host and run. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Validity {
    /// Nothing to remark.
    Valid,
    /// Counted, with a badge.
    Degraded,
    /// Kept and shown, not compared.
    Invalid,
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Valid => "valid",
            Self::Degraded => "degraded",
            Self::Invalid => "invalid",
        })
    }
}

/// One remark on a result: what was seen and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable, e.g. `client_stall`, `buffered_stream`.
    pub code: String,
    /// What it does to the result; never [`Validity::Valid`].
    pub validity: Validity,
    /// The figure behind it.
    pub evidence: String,
    /// What to do next.
    pub advice: String,
}
