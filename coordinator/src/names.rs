//! Readable run ids, e.g. `2026-11-24-complex-7f3a`.

use std::collections::BTreeSet;

use regatta_types::ids::{RunId, SuiteName};
use regatta_types::time::UnixNs;

use crate::command_error::CommandError;

/// Maximum length of the suite name in a run id.
const SUITE_MAX: usize = 40;
/// Attempts to find a free id; four hex digits give 65,536 ids per suite and day.
const DRAWS: usize = 1_000;

/// A new id for a run created at `created`.
///
/// # Errors
/// If no free id is found.
pub fn run_id(
    created: UnixNs,
    suite: &SuiteName,
    taken: &BTreeSet<RunId>,
) -> Result<RunId, CommandError> {
    let date = jiff::Timestamp::from_nanosecond(created.0.into())
        .map_err(|e| CommandError::unexpected(format!("the system clock is unusable: {e}")))?
        .to_string();
    // RFC 3339 starts with the date. UTC, so that control nodes agree.
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
    Err(CommandError::unexpected("no free run id. Set a different --state DIR".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_contain_the_date_and_the_suite() {
        let suite = SuiteName::new("complex").unwrap();
        let at = UnixNs(1_795_487_663_000_000_000);
        let id = run_id(at, &suite, &BTreeSet::new()).unwrap();
        assert!(id.as_str().starts_with("2026-11-24-complex-"), "{id}");
        assert_eq!(id.as_str().len(), "2026-11-24-complex-7f3a".len());
    }

    #[test]
    fn long_suite_names_are_truncated_in_ids() {
        let suite = SuiteName::new("s".repeat(63)).unwrap();
        assert!(run_id(UnixNs(0), &suite, &BTreeSet::new()).is_ok());
    }
}
