//! Engines that were another one later in the run: what they were at first, and where that ended.

use regatta_types::attempt::AttemptReport;
use regatta_types::facts::EngineFacts;
use regatta_types::ids::{CellKey, HostId};
use regatta_types::record::{AttemptRecord, HostRecord};
use regatta_types::suite::Case;
use regatta_types::validity::{Finding, Validity};
use serde::Serialize;

use super::class::{Class, Fact, engine_facts, facts_of, fingerprint, label};
use crate::analysis::{Cell, HostAnalysis};

/// Code of the remark on attempts with another engine than at first.
const CODE: &str = "engine_changed";

/// Cells of a host that are of another class than the host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Later {
    pub(crate) host: HostId,
    /// The class these cells would be compared in.
    pub(crate) label: String,
    pub(crate) fingerprint: String,
    /// The first of them.
    pub(crate) from: CellKey,
    pub(crate) cells: u32,
    /// `C3: engine version 0.2.0, at first 0.1.0`.
    pub(crate) change: String,
}

/// What the engine of a host was at the beginning of the run: as its first attempt saw it, else as
/// the host said when it was ready.
pub(crate) fn first_engine<'a>(
    record: Option<&'a HostRecord>,
    attempts: &'a [AttemptRecord],
) -> Option<&'a EngineFacts> {
    let mut seen: Vec<(_, &EngineFacts)> = attempts
        .iter()
        .filter_map(|a| Some((a.report.began, a.report.engine.before.known()?)))
        .collect();
    seen.sort_by_key(|(began, _)| *began);
    let told = record.and_then(|r| r.engine.known());
    match (seen.first(), told) {
        // The same, and asked with more patience.
        (Some((_, first)), Some(told)) if change(first, told).is_none() => Some(told),
        (Some((_, first)), _) => Some(first),
        (None, told) => told,
    }
}

/// Facts that both know and that are not equal: `C3: engine version 0.2.0, at first 0.1.0`.
fn change(first: &EngineFacts, now: &EngineFacts) -> Option<String> {
    let (first, now) = (engine_facts(Some(first)), engine_facts(Some(now)));
    let differ = |(was, is): (&Fact, &Fact)| {
        let (old, new) = (was.value.as_ref()?, is.value.as_ref()?);
        (old != new).then(|| format!("{}: {} {new}, at first {old}", is.code, is.name))
    };
    let changes: Vec<String> = first.iter().zip(&now).filter_map(differ).collect();
    (!changes.is_empty()).then(|| changes.join("; "))
}

/// What the engine was in an attempt, where it was not what it was at first, with the difference.
pub(crate) fn engine_seen<'a>(
    first: Option<&EngineFacts>,
    report: &'a AttemptReport,
) -> Option<(&'a EngineFacts, String)> {
    let first = first?;
    let watch = &report.engine;
    let seen = [&watch.before, &watch.after].into_iter().filter_map(|seen| seen.known());
    seen.filter_map(|now| Some((now, change(first, now)?))).next()
}

/// The remark on an attempt whose engine was not, or no longer, the one of the run's beginning.
pub(crate) fn engine_changed(evidence: String) -> Finding {
    Finding {
        code: CODE.to_owned(),
        validity: Validity::Invalid,
        evidence,
        advice: "it belongs to another comparability class: run again with one engine throughout"
            .to_owned(),
    }
}

/// The later cells of all hosts, one entry for each host and engine. `classes` are those of the
/// hosts; their labels go on.
pub(crate) fn later(hosts: &[HostAnalysis<'_>], classes: &[&Class]) -> Vec<Later> {
    let mut known: Vec<(Vec<Fact>, String)> =
        classes.iter().map(|c| (c.facts.clone(), c.label.clone())).collect();
    let mut out: Vec<Later> = Vec::new();
    for host in hosts {
        let other = |(case, cell): (&Case, &Cell<'_>)| {
            let counted = cell.counted()?;
            let (engine, change) = counted.other_engine.as_deref()?;
            let key = CellKey {
                host: host.host.clone(),
                case: case.id.clone(),
                repetition: cell.repetition,
            };
            Some((counted.began, key, engine.clone(), change.clone()))
        };
        let mut cells: Vec<_> = host.cells().filter_map(other).collect();
        cells.sort_by_key(|(began, ..)| *began);
        for (_, from, engine, change) in cells {
            let facts = facts_of(host.record, Some(&engine));
            let next = label(known.len());
            let found = known.iter().find(|(same, _)| *same == facts);
            let label = found.map_or_else(|| next.clone(), |(_, label)| label.clone());
            if found.is_none() {
                known.push((facts.clone(), next));
            }
            match out.iter_mut().find(|l| l.host == *host.host && l.label == label) {
                Some(same) => same.cells += 1,
                None => out.push(Later {
                    host: host.host.clone(),
                    fingerprint: fingerprint(&facts),
                    from,
                    cells: 1,
                    label,
                    change,
                }),
            }
        }
    }
    out
}
