//! Configuration differences: comparison groups, differing facts, identical answers.

use regatta_figures::absent::Absent;
use regatta_figures::compare::{Class, ClassReport, DriftRow, differing_facts, drift};
use regatta_figures::facts::Fact;
use regatta_figures::hosts::{is_repeatable, same_answers};
use regatta_types::ids::HostId;

use crate::markdown::layout::{Inline, Page, Table, known_count};
use crate::report::Report;
use crate::words::absent::why;
use crate::words::numbers::NONE;
use crate::words::{changed_engine, shown};

/// Most hosts named beside one value.
const NAMED_HOSTS: usize = 12;

/// A value in a cell, or why it is not available.
fn value(name: &str, value: Option<&str>, absent: Option<&Absent>) -> Inline {
    let lacks = || {
        absent.map_or("not available".into(), |absent| {
            Inline::text(format!("not available: {}", why(absent)))
        })
    };
    value.map_or_else(lacks, |value| Inline::text(shown(name, value)))
}

fn value_of(fact: &Fact) -> Inline {
    value(fact.name, fact.value.as_deref(), fact.not_available.as_ref())
}

fn names(hosts: &[&HostId]) -> Inline {
    let named = hosts.iter().take(NAMED_HOSTS).map(Inline::text);
    let more = hosts.len().checked_sub(NAMED_HOSTS).filter(|&more| more > 0);
    let more = more.map(|more| Inline::own(format!("and {more} more")));
    Inline::join(named.chain(more), ", ")
}

/// `, class B` if there are several.
pub(super) fn class_name(report: &Report<'_>, class: &ClassReport) -> String {
    match report.classes.len() {
        1 => String::new(),
        _ => format!(", class {}", class.class.label),
    }
}

/// The section on configurations: differing facts, groups, equal facts, equal answers.
pub(super) fn configuration(page: &mut Page, report: &Report<'_>) {
    let several = report.hosts.len() > 1;
    page.section(if several { "Configuration differences" } else { "Configuration" });
    let (differ, same): (Vec<DriftRow>, Vec<DriftRow>) =
        drift(&report.hosts).into_iter().partition(DriftRow::differs);
    if several {
        differing(page, &differ);
    }
    groups(page, report);
    if !same.is_empty() {
        page.subsection(if several { "Same on all hosts" } else { "Facts" });
        let rows = same.iter().map(|row| {
            let same = row.values.values().next().and_then(Option::as_deref);
            (row.name, value(row.name, same, row.not_available.values().next()))
        });
        Table::pairs(["Fact", "Value"], rows).add_to(page);
    }
    answers(page, report);
}

/// The comparability classes, and the facts that distinguish them.
fn groups(page: &mut Page, report: &Report<'_>) {
    let [first, rest @ ..] = report.classes.as_slice() else { return };
    page.subsection("Comparison groups");
    Table::of(report.classes.iter().map(|class| &class.class))
        .text("Class", |class| Inline::own(&class.label))
        .text("Fingerprint", |class| Inline::own(&class.fingerprint))
        .text("Hosts", |class| names(&class.hosts.iter().collect::<Vec<_>>()))
        .text("Status", |class| Inline::own(badges(report, class).join("; ")))
        .add_to(page);
    page.sentences(report.later.iter().map(|later| {
        format!("Class {} ({}): {}", later.label, later.fingerprint, changed_engine(later))
    }));
    if rest.is_empty() {
        return;
    }
    page.paragraph("Hosts of different classes are not compared. The classes differ in:");
    let differ = |&index: &usize| {
        rest.iter().any(|c| c.class.facts[index].value != first.class.facts[index].value)
    };
    let of_classes = |index: usize| {
        report.classes.iter().map(move |class| (&class.class, &class.class.facts[index]))
    };
    Table::of((0..first.class.facts.len()).filter(differ).flat_map(of_classes))
        .text("Code", |(_, fact)| Inline::own(fact.code.to_string()))
        .text("Fact", |(_, fact)| fact.name.into())
        .text("Class", |(class, _)| Inline::own(&class.label))
        .text("Value", |(_, fact)| value_of(fact))
        .add_to(page);
}

/// How certain it is that the hosts of a class are equal.
fn badges(report: &Report<'_>, class: &Class) -> Vec<String> {
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
    let differ = differing_facts(&report.hosts, class);
    if !differ.is_empty() {
        let verb = if differ.len() == 1 { "differs" } else { "differ" };
        badges.push(format!("{} {verb} (C5)", differ.join(", ")));
    }
    badges
}

fn differing(page: &mut Page, differ: &[DriftRow]) {
    if differ.is_empty() {
        page.paragraph("None in the recorded facts.");
    } else {
        Table::of(differ)
            .text("Code", |row| Inline::own(row.code.to_string()))
            .text("Fact", |row| row.name.into())
            .text("Most hosts", |row| match row.majority.as_deref() {
                Some(majority) => value(row.name, Some(majority), None),
                None => "no majority".into(),
            })
            .text("Other hosts", |row| {
                let others = row.others().into_iter().map(|(own, hosts)| {
                    let why = hosts.first().and_then(|host| row.not_available.get(host));
                    let own = value(row.name, own, why);
                    // A reason contains a colon.
                    let own = if why.is_some() { format!("({own})") } else { own.to_string() };
                    Inline::own(format!("{own}: {}", names(&hosts)))
                });
                Inline::join(others, "; ")
            })
            .add_to(page);
    }
}

/// Whether the hosts gave the same answers to the same requests; nothing without two hosts of a class.
fn answers(page: &mut Page, report: &Report<'_>) {
    for class in report.classes.iter().filter(|c| c.class.hosts.len() > 1) {
        let compared = report.record.header.suite.compared_cases().map(|case| {
            let hosts = report.members(class).into_iter();
            let own = hosts.filter_map(|h| h.cases.iter().find(|c| c.case.id == case.id));
            let answers: Vec<_> = own.map(|case| &case.answers).collect();
            (case, same_answers(&answers).filter(|_| is_repeatable(case)))
        });
        let none = "no request answered by two or more hosts in the first attempt";
        page.subsection(Inline::own(format!("Same answers{}", class_name(report, class))));
        Table::of(compared)
            .text("Case", |(case, _)| Inline::text(&case.title))
            .number_or("Hosts with the same answers", none, |(case, found)| match found {
                Some(same) if same.hosts == 1 => Inline::own(format!("none of {}", same.of)),
                Some(same) => Inline::own(format!("{} of {}", same.hosts, same.of)),
                None if is_repeatable(case) => NONE.into(),
                None => "not compared: sampled without a seed".into(),
            })
            .number_or("Requests compared", none, |(_, found)| {
                known_count(found.as_ref().map(|same| same.requests))
            })
            .add_to(page);
        page.paragraph("By SHA-256 of each answer including reasoning, first repetition. Different answers are not an error: batching changes the arithmetic even at temperature 0.");
    }
}
