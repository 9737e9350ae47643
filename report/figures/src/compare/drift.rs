//! The facts in which the hosts of a run differ, and the majority value.

use std::collections::{BTreeMap, BTreeSet};

use regatta_types::comparability::Code;
use regatta_types::ids::HostId;
use serde::Serialize;

use super::class::Class;
use crate::absent::Absent;
use crate::facts::{as_stored, facts_of, other_facts_of};
use crate::hosts::HostAnalysis;

/// One fact over all hosts that joined.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftRow {
    pub code: Code,
    #[serde(serialize_with = "as_stored")]
    pub name: &'static str,
    /// The value of more than half of the hosts; `None`: there is no such value, or it is unknown.
    pub majority: Option<String>,
    /// By host; `None`: unknown.
    pub values: BTreeMap<HostId, Option<String>>,
    /// Why it is unknown on a host; the pages write the text.
    #[serde(skip)]
    pub not_available: BTreeMap<HostId, Absent>,
}

impl DriftRow {
    pub fn differs(&self) -> bool {
        let first = self.values.values().next();
        self.values.values().any(|value| Some(value) != first)
    }

    /// The values that are not the majority's, with their hosts.
    pub fn others(&self) -> BTreeMap<Option<&str>, Vec<&HostId>> {
        let mut out: BTreeMap<Option<&str>, Vec<&HostId>> = BTreeMap::new();
        for (host, value) in &self.values {
            if self.majority.is_none() || *value != self.majority {
                out.entry(value.as_deref()).or_default().push(host);
            }
        }
        out
    }
}

/// Every fact: those that differ first, the rest after them, each in the order of the codes.
pub fn drift<'a>(hosts: impl IntoIterator<Item = &'a HostAnalysis<'a>>) -> Vec<DriftRow> {
    let mut rows: Vec<DriftRow> = Vec::new();
    for host in hosts.into_iter().filter(|h| h.record.is_some()) {
        let facts = facts_of(host.record, host.engine.as_ref()).into_iter();
        for (index, fact) in facts.chain(other_facts_of(host.record)).enumerate() {
            if rows.len() == index {
                let (values, not_available) = (BTreeMap::new(), BTreeMap::new());
                let (code, name) = (fact.code, fact.name);
                rows.push(DriftRow { code, name, majority: None, values, not_available });
            }
            let why = fact.not_available.map(|why| (host.host.clone(), why));
            rows[index].not_available.extend(why);
            rows[index].values.insert(host.host.clone(), fact.value);
        }
    }
    for row in &mut rows {
        row.majority = majority(row.values.values()).cloned();
    }
    rows.sort_by_key(|row| !row.differs());
    rows
}

/// The names of the facts of C5 in which the hosts of a class that know them differ.
pub fn differing_facts(hosts: &[HostAnalysis<'_>], class: &Class) -> Vec<&'static str> {
    let members = hosts.iter().filter(|h| class.hosts.contains(h.host));
    let known = |row: &DriftRow| row.values.values().flatten().collect::<BTreeSet<_>>().len();
    let rows = drift(members).into_iter().filter(|row| row.code == Code::C5 && known(row) > 1);
    rows.map(|row| row.name).collect()
}

fn majority<'a>(values: impl Iterator<Item = &'a Option<String>> + Clone) -> Option<&'a String> {
    let all = values.clone().count();
    let mut known = values.clone().flatten();
    known.find(|value| 2 * values.clone().flatten().filter(|other| other == value).count() > all)
}
