//! Where the sweeps of a run ended, a sentence for each sweep and not for each host.

use std::collections::BTreeMap;

use regatta_types::ids::{CaseId, HostId};

use super::names::some_names;
use crate::report::Report;
use regatta_figures::hosts::SweepEnd;
use regatta_types::suite::{Case, Load};

/// The hosts on which a sweep is saturated.
type Ends<'a> = Vec<(&'a HostId, &'a SweepEnd<'a>)>;

pub(crate) fn saturated(analysis: &Report<'_>) -> Vec<String> {
    let mut sweeps: BTreeMap<&CaseId, Ends<'_>> = BTreeMap::new();
    for host in &analysis.hosts {
        for sweep in host.sweeps.iter().filter(|sweep| sweep.saturated.is_some()) {
            sweeps.entry(sweep.of).or_default().push((host.host, sweep));
        }
    }
    sweeps.into_iter().filter_map(|(of, ends)| sentence(of, &ends)).collect()
}

fn sentence(of: &CaseId, ends: &[(&HostId, &SweepEnd<'_>)]) -> Option<String> {
    if let [(host, sweep)] = ends {
        let saturated = sweep.saturated.as_ref()?;
        return Some(format!(
            "{host}: {of} saturated at {}: {}{}.",
            offered(saturated.at),
            saturated.evidence,
            skipped(sweep)
        ));
    }
    let mut levels: BTreeMap<u32, (String, Vec<&HostId>)> = BTreeMap::new();
    for (host, sweep) in ends {
        let at = sweep.saturated.as_ref()?.at;
        let level = at.sweep.as_ref().map_or(0, |sweep| sweep.level);
        let hosts = &mut levels.entry(level).or_insert_with(|| (offered(at), Vec::new())).1;
        hosts.push(host);
    }
    let levels =
        levels.into_values().map(|(at, hosts)| format!("at {at} on {}", some_names(&hosts)));
    Some(format!("{of} saturated {} (section 4).", levels.collect::<Vec<_>>().join("; ")))
}

/// `; the 2 levels above are skipped`, or nothing.
pub(crate) fn skipped(sweep: &SweepEnd<'_>) -> String {
    match sweep.skipped {
        0 => String::new(),
        1 => "; the level above is skipped".to_owned(),
        n => format!("; the {n} levels above are skipped"),
    }
}

/// What a level offers: streams, or requests a second.
pub(crate) fn offered(case: &Case) -> String {
    match case.load {
        Load::Closed { streams: 1, .. } => "1 stream".to_owned(),
        Load::Closed { streams, .. } => format!("{streams} streams"),
        Load::Open { rate, .. } => format!("{rate}/s"),
    }
}
