//! Whether hosts that were asked the same gave the same answers: by their hashes, in the first
//! repetition. It is information on the work, and no part of any comparison.

use std::collections::{BTreeMap, BTreeSet};

use itertools::Itertools as _;
use regatta_types::ids::{AttemptNo, Repetition};
use regatta_types::suite::Case;
use regatta_types::trace::RequestTrace;

use super::case::Reported;
use crate::metrics::measured;

/// Digits of a hash that are kept.
const DIGITS: usize = 16;

/// The beginning of the hash of each measured answer, by request; of the first attempt, as another
/// one has other salts.
#[derive(Debug, Default)]
pub struct Answers(BTreeMap<u32, u64>);

/// What hosts have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// Hosts of the largest group with the same answers.
    pub hosts: usize,
    /// Hosts with answers.
    pub of: usize,
    /// Requests that all of them answered.
    pub requests: usize,
}

/// Whether equal answers can be expected at all: text is drawn alike or not drawn.
pub fn is_repeatable(case: &Case) -> bool {
    case.seed.is_some() || case.temperature == 0.0
}

impl Answers {
    pub(super) fn of(cells: &[Reported<'_, '_>]) -> Self {
        let first = cells.iter().find(|(cell, _)| cell.repetition == Repetition(1));
        let report = first.and_then(|(_, report)| *report);
        let Some(report) = report.filter(|report| report.key.attempt == AttemptNo(1)) else {
            return Self::default();
        };
        let hash = |trace: &RequestTrace| {
            let digits = trace.answer.sha256.get(..DIGITS)?;
            Some((trace.seq, u64::from_str_radix(digits, 16).ok()?))
        };
        Self(measured(&report.traces).filter(|trace| trace.is_ok()).filter_map(hash).collect())
    }
}

/// In how many hosts the answers are the same, over the requests that all answered; `None` with
/// fewer than two hosts or without such a request.
pub fn same_answers(hosts: &[&Answers]) -> Option<Agreement> {
    let told: Vec<&BTreeMap<u32, u64>> =
        hosts.iter().map(|answers| &answers.0).filter(|answers| !answers.is_empty()).collect();
    let (first, rest) = told.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let shared: BTreeSet<u32> =
        first.keys().copied().filter(|seq| rest.iter().all(|h| h.contains_key(seq))).collect();
    if shared.is_empty() {
        return None;
    }
    let own = |host: &&BTreeMap<u32, u64>| shared.iter().map(|seq| host[seq]).collect::<Vec<u64>>();
    let hosts = told.iter().map(own).counts().into_values().max()?;
    Some(Agreement { hosts, of: told.len(), requests: shared.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(hashes: &[(u32, u64)]) -> Answers {
        Answers(hashes.iter().copied().collect())
    }

    #[test]
    fn the_largest_group_counts_over_the_requests_that_all_hosts_answered() {
        let (a, b) = (answers(&[(0, 7), (1, 8), (2, 9)]), answers(&[(0, 7), (1, 8)]));
        let other = answers(&[(0, 7), (1, 5)]);
        let same = |hosts, of, requests| Some(Agreement { hosts, of, requests });
        assert_eq!(same_answers(&[&a, &b, &other]), same(2, 3, 2));
        assert_eq!(same_answers(&[&a, &b, &Answers::default()]), same(2, 2, 2), "one told nothing");
        assert_eq!(same_answers(&[&a]), None);
        assert_eq!(same_answers(&[&answers(&[(0, 7)]), &answers(&[(1, 7)])]), None);
    }
}
