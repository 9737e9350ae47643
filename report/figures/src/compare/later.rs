//! Engines that were another one later in the run: what they were at first, and where that ended.

use regatta_types::ids::{CellKey, HostId};
use regatta_types::suite::Case;

use super::class::{Class, fingerprint, label};
use crate::facts::{FactChange, facts_of, values};
use crate::hosts::{Cell, HostAnalysis};

/// Cells of a host that are of another class than the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Later {
    pub host: HostId,
    /// The class these cells would be compared in.
    pub label: String,
    pub fingerprint: String,
    /// The first of them.
    pub from: CellKey,
    pub cells: u32,
    /// In which facts the engine is another one than at first.
    pub change: Vec<FactChange>,
}

/// The later cells of all hosts, one entry for each host and engine. `classes` are those of the
/// hosts; their labels go on.
pub fn later(hosts: &[HostAnalysis<'_>], classes: &[&Class]) -> Vec<Later> {
    let mut known: Vec<(Vec<Option<String>>, String)> =
        classes.iter().map(|c| (values(&c.facts), c.label.clone())).collect();
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
            let found = known.iter().find(|(same, _)| *same == values(&facts));
            let label = found.map_or_else(|| next.clone(), |(_, label)| label.clone());
            if found.is_none() {
                known.push((values(&facts), next));
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
