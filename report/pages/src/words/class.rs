//! Comparability classes in words: how two of them differ, and values of facts as they are read.

use regatta_figures::compare::Class;
use regatta_figures::facts::{Code, Fact, MEMORY_CLOCK};
use regatta_types::clean;
use regatta_types::comparability::ClassFact;
use regatta_types::ids::HostId;
use regatta_types::units::grouped;

use crate::report::Report;

/// Longest value that stands in a reason, in grapheme clusters.
const VALUE_MAX: usize = 60;

/// Why a host that is alone in its class is not compared with those of another; `None` where it
/// is not alone, or there is no other class.
pub(crate) fn why_alone(analysis: &Report<'_>, host: &HostId) -> Option<String> {
    analysis.alone_beside(host).map(|(class, other)| unlike(class, other))
}

/// Why its hosts cannot be compared with those of another: `C3: engine version 0.15.0 vs 0.15.1
/// of class A`.
fn unlike(class: &Class, other: &Class) -> String {
    let value = |fact: &Fact| {
        let known = fact.value.as_deref().map(|value| shown(fact.name, value));
        clean::excerpt(&known.unwrap_or_else(|| "not available".to_owned()), VALUE_MAX)
    };
    let mut codes: Vec<(Code, Vec<String>)> = Vec::new();
    for (own, theirs) in class.facts.iter().zip(&other.facts) {
        if own.value == theirs.value {
            continue;
        }
        let said = format!("{} {} vs {}", own.name, value(own), value(theirs));
        match codes.last_mut() {
            Some((code, facts)) if *code == own.code => facts.push(said),
            _ => codes.push((own.code, vec![said])),
        }
    }
    let codes = codes.iter().map(|(code, facts)| format!("{code}: {}", facts.join(", ")));
    format!("{} of class {}", codes.collect::<Vec<_>>().join("; "), other.label)
}

/// A value as it is read, with its thousands apart; what makes a class is the value as it is.
pub(crate) fn shown(name: &str, value: &str) -> String {
    let is_context = name == ClassFact::ContextLength.name();
    if !is_context && name != MEMORY_CLOCK {
        return value.to_owned();
    }
    let number = |word: &str| word.parse().map_or_else(|_| word.to_owned(), grouped);
    let words: Vec<String> = value.split(' ').map(number).collect();
    let unit = if is_context { " tokens" } else { "" };
    format!("{}{unit}", words.join(" "))
}
