//! Durations: `500ms`, `30s`, `1m 30s`, `2h`.

use std::time::Duration;

use regatta_types::clean;

/// Shortest duration a suite or flag may set.
pub const SHORTEST: Duration = Duration::from_millis(1);
/// Longest duration a suite or flag may set.
pub const LONGEST: Duration = Duration::from_hours(24);

/// Not a valid duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration from 1ms to 24h, e.g. \"500ms\", \"30s\" or \"1m 30s\"")]
pub struct DurationError {
    /// The text, cleaned and truncated to 80 characters.
    pub text: String,
}

/// Parses a duration from 1 ms to 24 h. Usable as a clap value parser.
///
/// # Errors
/// If `text` is not a duration, has no unit or is out of range.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    text.trim()
        .parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|signed| Duration::try_from(signed).ok())
        .filter(|good| (SHORTEST..=LONGEST).contains(good))
        .ok_or_else(|| DurationError { text: clean::excerpt(text, 80) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_notations_are_accepted() {
        for (text, ms) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("1m 30s", 90_000),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn durations_need_a_unit_and_a_range() {
        for text in ["", "30", "-5s", "0s", "25h", "soon", "1us", "30 parsecs"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
