//! A value that may be missing, always with the reason.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A fact or measurement that either is known or says why it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reading<T> {
    /// The value.
    Known(T),
    /// Printed as `not available: <reason>`.
    NotAvailable {
        /// Why, in a few words.
        not_available: String,
    },
}

impl<T> Reading<T> {
    /// A missing value with its reason.
    pub fn missing(reason: impl Into<String>) -> Self {
        Self::NotAvailable { not_available: reason.into() }
    }

    /// A value that an agent of an earlier version does not report.
    #[must_use]
    pub fn untold() -> Self {
        Self::missing("not reported by this agent version")
    }

    /// The value, if known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::NotAvailable { .. } => None,
        }
    }

    /// The reason, if missing.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::NotAvailable { not_available } => Some(not_available),
        }
    }

    /// The same reading with another value type.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Known(value) => Reading::Known(f(value)),
            Self::NotAvailable { not_available } => Reading::NotAvailable { not_available },
        }
    }

    /// A reading by reference.
    pub fn as_ref(&self) -> Reading<&T> {
        match self {
            Self::Known(value) => Reading::Known(value),
            Self::NotAvailable { not_available } => Reading::missing(not_available.clone()),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Reading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => value.fmt(f),
            Self::NotAvailable { not_available } => write!(f, "not available: {not_available}"),
        }
    }
}

impl<T, E: fmt::Display> From<Result<T, E>> for Reading<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(error) => Self::missing(error.to_string()),
        }
    }
}
