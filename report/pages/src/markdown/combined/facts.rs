//! Which hosts may be compared, and in what they differ.

use regatta_types::ids::HostId;

use super::join;
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::report::Report;
use crate::words::changed_engine;
use crate::words::shown;
use regatta_figures::compare::{DriftRow, differing_facts, drift};
use regatta_figures::facts::Fact;

/// Most hosts that are named beside one value.
const NAMED_HOSTS: usize = 12;

/// A value in a cell, or why there is none.
fn value(name: &str, value: Option<&str>, why: Option<&String>) -> Inline {
    let lacks =
        || why.map_or("not available".into(), |why| Inline::text(&format!("not available: {why}")));
    value.map_or_else(lacks, |value| Inline::text(&shown(name, value)))
}

fn value_of(fact: &Fact) -> Inline {
    value(fact.name, fact.value.as_deref(), fact.not_available.as_ref())
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
pub(super) fn classes(page: &mut Page, analysis: &Report<'_>) {
    page.section(&"2. Comparability classes".into());
    if analysis.classes.is_empty() {
        page.paragraph(&"No host measured anything usable, so there is no class.".into());
        return;
    }
    let mut table = Table::new(["Class", "Fingerprint", "Hosts", "Badge"]);
    for class in &analysis.classes {
        let class = &class.class;
        let unverified = class.unverified();
        let mut badges = Vec::new();
        if !unverified.is_empty() {
            badges.push(format!("unverified: {} unknown", unverified.join(", ")));
        }
        if !class.assumed.is_empty() {
            badges.push(format!("assumed equal: {}", class.assumed.join(", ")));
        }
        if badges.is_empty() {
            badges.push("verified".to_owned());
        }
        let differ = differing_facts(&analysis.hosts, class);
        if !differ.is_empty() {
            let verb = if differ.len() == 1 { "differs" } else { "differ" };
            badges.push(format!("C5: {} {verb}", differ.join(", ")));
        }
        let hosts: Vec<&HostId> = class.hosts.iter().collect();
        table.row([
            Inline::own(class.label.clone()),
            Inline::own(class.fingerprint.clone()),
            names(&hosts),
            Inline::own(badges.join("; ")),
        ]);
    }
    page.table(table);
    page.list(analysis.later.iter().map(|later| {
        Inline::sentence(&format!(
            "Class {} ({}): {}",
            later.label,
            later.fingerprint,
            changed_engine(later)
        ))
    }));
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

/// Section 5: the drift matrix.
pub(super) fn differing(page: &mut Page, analysis: &Report<'_>) {
    page.section(&"5. Facts that differ".into());
    let rows = drift(&analysis.hosts);
    let (differ, same): (Vec<&DriftRow>, Vec<&DriftRow>) =
        rows.iter().partition(|row| row.differs());
    if differ.is_empty() {
        page.paragraph(&"None of the recorded facts.".into());
    } else {
        let mut table = Table::new(["Code", "Fact", "Most hosts", "Other hosts"]);
        for row in differ {
            let others = row.others().into_iter().map(|(own, hosts)| {
                let why = hosts.first().and_then(|host| row.not_available.get(host));
                let own = value(row.name, own, why);
                // A reason has a colon of its own.
                let own = if why.is_some() { format!("({own})") } else { own.to_string() };
                Inline::own(format!("{own}: {}", names(&hosts)))
            });
            let others: Vec<Inline> = others.collect();
            let others = others.iter().map(Inline::as_str).collect::<Vec<_>>().join("; ");
            table.row([
                Inline::own(row.code.to_string()),
                row.name.into(),
                row.majority
                    .as_deref()
                    .map_or("no majority".into(), |m| value(row.name, Some(m), None)),
                Inline::own(others),
            ]);
        }
        page.table(table);
        page.paragraph(&"C1 model, C2 quantisation and KV cache, C3 engine, version and settings, C4 GPU: separate classes. C5: same class, and the first causes to look at.".into());
    }
    if analysis.hosts.len() > 1 && !same.is_empty() {
        page.paragraph(&"The same on all hosts:".into());
        let mut table = Table::new(["Fact", "Value"]);
        for row in same {
            let same = row.values.values().next().and_then(Option::as_deref);
            let why = row.not_available.values().next();
            table.row([row.name.into(), value(row.name, same, why)]);
        }
        page.table(table);
    }
}
