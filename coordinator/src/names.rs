//! Readable run ids: `2026-11-24-complex-7f3a`, and what users may type instead of one.

use std::collections::BTreeSet;

use regatta_types::ids::{RunId, SuiteName};
use regatta_types::time::UnixNs;

use crate::command_error::CommandError;

/// Longest part of a suite's name that goes into a run id.
const SUITE_MAX: usize = 40;
/// Draws before giving up: with four hex digits a day's suite has 65,536 names.
const DRAWS: usize = 1_000;

/// A fresh id for a run created at `created`.
///
/// # Errors
/// When no free one is found.
pub fn run_id(
    created: UnixNs,
    suite: &SuiteName,
    taken: &BTreeSet<RunId>,
) -> Result<RunId, CommandError> {
    let date = jiff::Timestamp::from_nanosecond(created.0.into())
        .map_err(|e| CommandError::unexpected(format!("the system clock is unusable: {e}")))?
        .to_string();
    // RFC 3339 begins with the date; UTC, so that two control nodes agree.
    let date = date.get(..10).unwrap_or("0000-00-00");
    let suite: String = suite.as_str().chars().take(SUITE_MAX).collect();
    let suite = suite.trim_end_matches(['.', '-', '_']);
    for _ in 0..DRAWS {
        let tail: u16 = rand::random();
        let id = RunId::new(format!("{date}-{suite}-{tail:04x}"))
            .map_err(|e| CommandError::unexpected(e.to_string()))?;
        if !taken.contains(&id) {
            return Ok(id);
        }
    }
    Err(CommandError::unexpected("no free run id was found: give another --state".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_the_day_and_the_suite() {
        let suite = SuiteName::new("complex").unwrap();
        let at = UnixNs(1_795_487_663_000_000_000);
        let id = run_id(at, &suite, &BTreeSet::new()).unwrap();
        assert!(id.as_str().starts_with("2026-11-24-complex-"), "{id}");
        assert_eq!(id.as_str().len(), "2026-11-24-complex-7f3a".len());
    }

    #[test]
    fn long_suite_names_still_make_an_id() {
        let suite = SuiteName::new("s".repeat(63)).unwrap();
        assert!(run_id(UnixNs(0), &suite, &BTreeSet::new()).is_ok());
    }
}
