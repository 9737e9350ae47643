//! Where the sweeps of a run ended: one sentence per sweep, not per host.

use std::collections::BTreeMap;

use itertools::Itertools as _;
use regatta_types::ids::{CaseId, HostId};

use super::names::some_names;
use super::numbers::{if_any, quantity};
use crate::report::Report;
use regatta_figures::hosts::{SaturatedLevel, SweepEnd};
use regatta_types::suite::{Case, Load};

/// A host, the result of a sweep on it, and its saturated level.
type End<'a> = (&'a HostId, &'a SweepEnd<'a>, &'a SaturatedLevel<'a>);

pub(crate) fn saturated(analysis: &Report<'_>) -> Vec<String> {
    let mut sweeps: BTreeMap<&CaseId, Vec<End<'_>>> = BTreeMap::new();
    for host in &analysis.hosts {
        for sweep in &host.sweeps {
            let Some(saturated) = &sweep.saturated else { continue };
            sweeps.entry(sweep.of).or_default().push((host.host, sweep, saturated));
        }
    }
    sweeps.into_iter().map(sentence).collect()
}

fn sentence((of, ends): (&CaseId, Vec<End<'_>>)) -> String {
    if let [(host, sweep, saturated)] = ends.as_slice() {
        let (at, evidence, skipped) = (offered(saturated.at), &saturated.evidence, skipped(sweep));
        return format!("{host}: {of} saturated at {at}: {evidence}{skipped}.");
    }
    let mut levels: BTreeMap<u32, (String, Vec<&HostId>)> = BTreeMap::new();
    for (host, _, SaturatedLevel { at, .. }) in ends {
        let level = at.sweep.as_ref().map_or(0, |sweep| sweep.level);
        levels.entry(level).or_insert_with(|| (offered(at), Vec::new())).1.push(host);
    }
    let mut levels = levels.values().map(|(at, hosts)| format!("at {at} on {}", some_names(hosts)));
    format!("{of} saturated {} (see Per case).", levels.join("; "))
}

/// `; 2 more levels skipped`, or nothing.
pub(crate) fn skipped(sweep: &SweepEnd<'_>) -> String {
    if_any(sweep.skipped, |n| format!("; {} skipped", quantity(n, "more level")))
}

/// The offered load of a level: streams, or requests per second.
pub(crate) fn offered(case: &Case) -> String {
    match case.load {
        Load::Closed { streams: 1, .. } => "1 stream".to_owned(),
        Load::Closed { streams, .. } => format!("{streams} streams"),
        Load::Open { rate, .. } => format!("{rate} requests/s"),
    }
}
