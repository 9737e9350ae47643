//! Where the sweeps of a run ended: one sentence per sweep, not per host.

use std::collections::BTreeMap;

use itertools::Itertools as _;
use regatta_types::ids::{CaseId, HostId};

use super::names::{some_names, together};
use super::numbers::{if_any, quantity};
use crate::report::Report;
use regatta_figures::hosts::{HostAnalysis, SaturatedLevel, SweepEnd};
use regatta_figures::sweep::Unjudged;
use regatta_types::suite::{Case, Load};

/// A host, the result of a sweep on it, and its saturated level.
type End<'a> = (&'a HostAnalysis<'a>, &'a SweepEnd<'a>, &'a SaturatedLevel<'a>);

pub(crate) fn saturated(analysis: &Report<'_>) -> Vec<String> {
    let mut sweeps: BTreeMap<&CaseId, Vec<End<'_>>> = BTreeMap::new();
    for host in &analysis.hosts {
        for sweep in &host.sweeps {
            let Some(saturated) = &sweep.saturated else { continue };
            sweeps.entry(sweep.of).or_default().push((host, sweep, saturated));
        }
    }
    sweeps.into_iter().map(sentence).collect()
}

fn sentence((of, ends): (&CaseId, Vec<End<'_>>)) -> String {
    if let [(host, sweep, saturated)] = ends.as_slice() {
        let (at, evidence, skipped) = (offered(saturated.at), &saturated.evidence, skipped(sweep));
        let (name, slots) = (host.host, slots(host, saturated.at));
        return format!("{name}: {of} saturated at {at}: {evidence}{slots}{skipped}.");
    }
    let mut levels: BTreeMap<u32, (String, Vec<&HostId>)> = BTreeMap::new();
    for (host, _, SaturatedLevel { at, .. }) in ends {
        let level = at.sweep.as_ref().map_or(0, |sweep| sweep.level);
        levels.entry(level).or_insert_with(|| (offered(at), Vec::new())).1.push(host.host);
    }
    let mut levels = levels.values().map(|(at, hosts)| format!("at {at} on {}", some_names(hosts)));
    format!("{of} saturated {} (see Per case).", levels.join("; "))
}

/// Where a sweep of a host could not be judged: `load: saturation not judged at 40 requests/s (less
/// than 30 s after ramp-up)`.
pub(crate) fn unjudged(sweep: &SweepEnd<'_>) -> Option<String> {
    let levels = sweep.unjudged.iter().map(|level| {
        let why = match level.why {
            Unjudged::Missing => "no attempt",
            Unjudged::Invalid => "invalid",
            Unjudged::Short => "less than 30 s after ramp-up",
            Unjudged::NoOutput => "streams never all busy",
            Unjudged::NothingBelow => "no lower level with fewer busy streams",
        };
        (offered(level.at), why.to_owned())
    });
    let levels = together(levels).into_iter().map(|(levels, why)| format!("{levels} ({why})"));
    let levels = levels.collect::<Vec<_>>().join("; ");
    (!levels.is_empty()).then(|| format!("{}: saturation not judged at {levels}", sweep.of))
}

/// `; the engine works on at most 4 requests at once`, if that is fewer than a level offers.
pub(crate) fn slots(host: &HostAnalysis<'_>, at: &Case) -> String {
    let slots = host.engine.as_ref().and_then(|engine| engine.settings.slots.known());
    let few = slots.filter(|&&slots| slots < at.in_flight_max());
    few.map_or_else(String::new, |slots| {
        format!("; the engine works on at most {} at once", quantity(*slots, "request"))
    })
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
