//! Which hosts may be compared, and in what they differ.

use std::collections::BTreeMap;

use regatta_types::ids::HostId;

use super::join;
use crate::analysis::Analysis;
use crate::compare::{Code, Fact, facts_of, other_facts_of};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;

/// Most hosts that are named beside one value.
const NAMED_HOSTS: usize = 12;

fn value_of(fact: &Fact) -> Inline {
    fact.value.as_deref().map_or("not known".into(), Inline::text)
}

fn names(hosts: &[&HostId]) -> Inline {
    let mut named: Vec<Inline> =
        hosts.iter().take(NAMED_HOSTS).map(|h| Inline::text(h.as_str())).collect();
    if hosts.len() > NAMED_HOSTS {
        named.push(Inline::own(format!("and {} more", hosts.len() - NAMED_HOSTS)));
    }
    Inline::own(join(&named))
}

/// Section 2.
pub(super) fn classes(page: &mut Page, analysis: &Analysis<'_>) {
    page.section(&"2. Comparability classes".into());
    if analysis.classes.is_empty() {
        page.paragraph(&"No host measured anything usable, so there is no class.".into());
        return;
    }
    let mut table = Table::new(["Class", "Fingerprint", "Hosts", "Badge"]);
    for class in &analysis.classes {
        let class = &class.class;
        let unverified = class.unverified();
        let badge = if unverified.is_empty() {
            Inline::own("verified")
        } else {
            Inline::own(format!("unverified: {} unknown", unverified.join(", ")))
        };
        let hosts: Vec<&HostId> = class.hosts.iter().collect();
        table.row([
            Inline::own(class.label.clone()),
            Inline::own(class.fingerprint.clone()),
            names(&hosts),
            badge,
        ]);
    }
    page.table(table);
    let [first, rest @ ..] = analysis.classes.as_slice() else { return };
    if rest.is_empty() {
        let mut table = Table::new(["Fact", "On all compared hosts"]);
        for fact in &first.class.facts {
            table.row([fact.name.into(), value_of(fact)]);
        }
        page.table(table);
        return;
    }
    page.paragraph(&"Hosts of different classes are not compared, because they differ in:".into());
    let mut table = Table::new(["Code", "Fact", "Class", "Value"]);
    for (index, fact) in first.class.facts.iter().enumerate() {
        if rest.iter().all(|c| c.class.facts[index].value == fact.value) {
            continue;
        }
        for class in &analysis.classes {
            let fact = &class.class.facts[index];
            table.row([
                Inline::own(fact.code.to_string()),
                fact.name.into(),
                Inline::own(class.class.label.clone()),
                value_of(fact),
            ]);
        }
    }
    page.table(table);
}

/// Section 5.
pub(super) fn differing(page: &mut Page, analysis: &Analysis<'_>) {
    page.section(&"5. Facts that differ".into());
    let mut by_fact: BTreeMap<(Code, usize), BTreeMap<Fact, Vec<&HostId>>> = BTreeMap::new();
    for host in analysis.hosts.iter().filter(|h| h.record.is_some()) {
        let facts = facts_of(host.record).into_iter().chain(other_facts_of(host.record));
        for (index, fact) in facts.enumerate() {
            by_fact.entry((fact.code, index)).or_default().entry(fact).or_default().push(host.host);
        }
    }
    let mut table = Table::new(["Code", "Fact", "Value", "Hosts"]);
    for values in by_fact.into_values().filter(|values| values.len() > 1) {
        for (fact, hosts) in values {
            table.row([
                Inline::own(fact.code.to_string()),
                fact.name.into(),
                value_of(&fact),
                names(&hosts),
            ]);
        }
    }
    if table.is_empty() {
        page.paragraph(&"None of the recorded facts.".into());
    } else {
        page.table(table);
        page.paragraph(&"C1 model, C2 quantisation, C3 engine, version and context length, C4 GPU: separate classes. C5: same class, and the first causes to look at.".into());
    }
}
