//! What attempts were remarked on for, by code.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use regatta_types::validity::Validity;

use super::numbers::count_of;
use crate::report::Report;
use regatta_figures::hosts::HostAnalysis;

/// `invalid: gpu_shared 1 attempt; degraded: client_cpu 4 attempts, truncated 2 attempts`, of the
/// counted attempts of these hosts and what was remarked while settling; `None` without any.
pub(crate) fn remarked<'a>(
    hosts: impl Iterator<Item = &'a HostAnalysis<'a>> + Clone,
) -> Option<String> {
    let mut codes: BTreeMap<Reverse<Validity>, BTreeMap<(&str, &'static str), u64>> =
        BTreeMap::new();
    let attempts = hosts.clone().flat_map(HostAnalysis::cells);
    let attempts = attempts.filter_map(|(_, cell)| cell.counted()).flat_map(|c| &c.findings);
    let settling = hosts.flat_map(HostAnalysis::warmup_findings);
    let all = attempts.map(|f| (f, "attempt")).chain(settling.map(|f| (f, "settling")));
    for (finding, what) in all.filter(|(finding, _)| finding.validity > Validity::Valid) {
        let of_validity = codes.entry(Reverse(finding.validity)).or_default();
        *of_validity.entry((finding.code.as_str(), what)).or_default() += 1;
    }
    let parts = codes.into_iter().map(|(Reverse(validity), codes)| {
        let codes =
            codes.into_iter().map(|((code, what), n)| format!("{code} {}", count_of(n, what)));
        format!("{validity}: {}", codes.collect::<Vec<_>>().join(", "))
    });
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The same of the whole run, as a sentence.
pub(super) fn of_run(analysis: &Report<'_>) -> Option<String> {
    Some(format!("Run: {}.", remarked(analysis.hosts.iter())?))
}
