//! Which hosts may be compared at all: equal in model, engine and GPU. Engines that changed during
//! the run: what they were at first, and when that changed.

use std::collections::{BTreeMap, BTreeSet};

use regatta_types::comparability::{ClassFact, stored_name};
use regatta_types::ids::{CellKey, HostId};
use regatta_types::suite::Case;
use sha2::{Digest, Sha256};

use super::reason::Reason;
use crate::facts::{Fact, FactChange, facts_of, values};
use crate::hosts::{Cell, HostAnalysis};

/// Hosts that are equal in every fact of C1 to C4.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// `A`, `B`, ...: the largest first.
    pub label: String,
    /// First 12 digits of the SHA-256 of the facts.
    pub fingerprint: String,
    /// Sorted.
    pub hosts: Vec<HostId>,
    pub facts: Vec<Fact>,
    /// Names of the facts that are not known on some of them and were taken as equal.
    pub assumed: Vec<&'static str>,
}

impl Class {
    /// In which facts its hosts differ from those of another.
    pub fn unlike(&self, other: &Self) -> Reason {
        let differ =
            self.facts.iter().zip(&other.facts).filter(|(own, its)| own.value != its.value);
        let change = |(own, its): (&Fact, &Fact)| FactChange {
            code: Some(own.code),
            name: own.name.to_owned(),
            is: own.value.clone(),
            was: its.value.clone(),
        };
        Reason::OtherClass { facts: differ.map(change).collect(), label: other.label.clone() }
    }

    /// Names of the facts that are unknown on all hosts.
    pub fn unverified(&self) -> Vec<&'static str> {
        self.facts.iter().filter(|f| f.value.is_none()).map(|f| f.name).collect()
    }
}

/// Sorts hosts with anything usable into classes. `assumed` facts are taken as equal on hosts where
/// they are not known, if those that know agree.
pub(super) fn classes(hosts: &[HostAnalysis<'_>], assumed: &[ClassFact]) -> Vec<Class> {
    let mut all: Vec<(Vec<Fact>, HostId)> = hosts
        .iter()
        .filter(|h| h.has_usable())
        .map(|host| (facts_of(host.record, host.engine.as_ref()), host.host.clone()))
        .collect();
    let mut taken: BTreeSet<(&'static str, String)> = BTreeSet::new();
    for (index, name) in ClassFact::ALL.into_iter().enumerate() {
        let known: BTreeSet<String> =
            all.iter().filter_map(|(facts, _)| facts[index].value.clone()).collect();
        let mut known = known.into_iter();
        let (true, Some(only), None) = (assumed.contains(&name), known.next(), known.next()) else {
            continue;
        };
        for (facts, _) in all.iter_mut().filter(|(facts, _)| facts[index].value.is_none()) {
            facts[index].value = Some(only.clone());
            facts[index].not_available = None;
            taken.insert((name.name(), only.clone()));
        }
    }
    let mut equal: BTreeMap<_, (Vec<Fact>, Vec<HostId>)> = BTreeMap::new();
    for (facts, host) in all {
        equal.entry(values(&facts)).or_insert_with(|| (facts, Vec::new())).1.push(host);
    }
    let mut sorted: Vec<(Vec<Fact>, Vec<HostId>)> = equal.into_values().collect();
    sorted.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.1.cmp(&b.1)));
    let is_assumed = |fact: &&Fact| {
        fact.value.as_ref().is_some_and(|value| taken.contains(&(fact.name, value.clone())))
    };
    sorted
        .into_iter()
        .enumerate()
        .map(|(index, (facts, hosts))| Class {
            label: label(index),
            fingerprint: fingerprint(&facts),
            hosts,
            assumed: facts.iter().filter(is_assumed).map(|fact| fact.name).collect(),
            facts,
        })
        .collect()
}

/// `A` to `Z`, then `A1`, `B1`, ...
fn label(index: usize) -> String {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let letter = letters.chars().nth(index % letters.len()).unwrap_or('?');
    match index / letters.len() {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

fn fingerprint(facts: &[Fact]) -> String {
    let mut hash = Sha256::new();
    for fact in facts {
        hash.update(stored_name(fact.name));
        hash.update([0, u8::from(fact.value.is_some())]);
        hash.update(fact.value.as_deref().unwrap_or_default());
        hash.update([0]);
    }
    hex::encode(hash.finalize())[..12].to_owned()
}

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
    /// The facts in which the engine differs from the first one.
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
            let found = known.iter().find(|(same, _)| *same == values(&facts));
            let label = found.map_or_else(|| label(known.len()), |(_, label)| label.clone());
            if found.is_none() {
                known.push((values(&facts), label.clone()));
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
