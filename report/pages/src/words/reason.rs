//! Why something is not compared, in words; and values of facts as they are read.

use std::collections::BTreeSet;

use itertools::Itertools as _;
use regatta_figures::compare::{MIN_REPETITIONS, Reason};
use regatta_figures::facts::{FactChange, MEMORY_CLOCK};
use regatta_types::clean;
use regatta_types::comparability::{ClassFact, Code};
use regatta_types::units::grouped;
use regatta_types::validity::FindingCode;

/// Longest value that stands in a reason, in grapheme clusters.
const VALUE_MAX: usize = 60;

/// What stands where a verdict or a difference would: `not comparable (C9: ...)`. Reasons without a
/// code are not about comparability.
pub(crate) fn not_comparable(why: &Reason) -> String {
    let what = if why.code().is_some() { "not comparable" } else { "not compared" };
    clean::line(&format!("{what} ({})", reason(why)))
}

/// With its code where it is about comparability.
pub(crate) fn reason(why: &Reason) -> String {
    let text = match why {
        // Codes stand with the facts or the single reasons.
        Reason::OtherClass { facts, label } => {
            return format!("{} of class {label}", by_code(facts, versus));
        }
        Reason::FactsDiffer(facts) => return changes(facts),
        Reason::EveryCase(reasons) => return all(reasons),
        Reason::ChunksCounted => "the engine gives no token counts; chunks were counted".to_owned(),
        Reason::TokenSource { own, usual } => {
            format!("token counts from `{own}`, on most hosts from `{usual}`")
        }
        Reason::TokenSourceBefore { is, was } => {
            format!("token counts from `{is}`, before from `{was}`")
        }
        Reason::CachedUntold => "no cached prompt tokens told, on other hosts they are".to_owned(),
        Reason::CachedTold => "cached prompt tokens told, on most hosts they are not".to_owned(),
        Reason::CachedToldForSome => {
            "cached prompt tokens are told for some requests and not for others".to_owned()
        }
        Reason::CachedDiffer => {
            "cached prompt tokens differ by more than 1 % of the prompt".to_owned()
        }
        Reason::LengthsDiffer => "the answers differ in length or in how they end".to_owned(),
        Reason::CutUnequally => {
            "answers of natural length were cut, and not all are equally long".to_owned()
        }
        Reason::PlannedFewer { own, planned } => {
            format!("{own} repetitions planned, other cases have {planned}")
        }
        Reason::Skipped { on_all } => {
            let on = if *on_all { "all" } else { "some" };
            format!("skipped on {on} hosts, their sweep was saturated before")
        }
        Reason::Invalid(codes) => {
            format!("no usable attempt: {}", codes.iter().map(FindingCode::as_str).format(", "))
        }
        Reason::NoAttempt => "no attempt was counted".to_owned(),
        Reason::NotStamped => "not measured, no chunk of the answers was stamped".to_owned(),
        Reason::TooShort => "answers too short for a decode speed".to_owned(),
        Reason::Buffered => "streams were buffered on their way".to_owned(),
        Reason::NoText => "no text in most attempts".to_owned(),
        Reason::NoSteadyWindow => "no steady window in most attempts".to_owned(),
        Reason::NoEnergy => "no energy of most attempts".to_owned(),
        Reason::FewBothWays => {
            format!("fewer than {MIN_REPETITIONS} repetitions have it both ways")
        }
        Reason::StartModes { is, was } => format!("start mode {is}, before {was}"),
        Reason::NoneEqual { nearest, facts } => {
            format!("no host was equal to it; {nearest} was not in {}", changes(facts))
        }
        Reason::NoHost => "the earlier run has no host".to_owned(),
        Reason::Refused(why) => format!("the host took no part: {why}"),
        Reason::Missing(why) => why.to_string(),
        Reason::NothingUsable(why) => format!("nothing usable was measured: {}", reason(why)),
        Reason::NotInLaterSuite => "not in the suite of the later run".to_owned(),
        Reason::NotInEarlierSuite => "not in the suite of the earlier run".to_owned(),
        Reason::OtherWork => "not the same work in both runs".to_owned(),
        Reason::NoValue(None) => "no value in the later run".to_owned(),
        Reason::NoValue(Some(why)) => format!("no value in the later run: {}", reason(why)),
        Reason::NoValueBefore => "no value in the earlier run".to_owned(),
        Reason::NoCase(reasons) => format!("no case can be compared: {}", all(reasons)),
        Reason::TooFewRepetitions => format!("fewer than {MIN_REPETITIONS} complete repetitions"),
        Reason::SweepSaturated => "skipped, its sweep was saturated before".to_owned(),
        Reason::NoneHasOne => "no usable attempt has one".to_owned(),
        Reason::OnlySome { have, of } => {
            format!("only {have} of {of} repetitions have one, a verdict needs {MIN_REPETITIONS}")
        }
        Reason::NeverAll => "no repetition has all cases".to_owned(),
        Reason::SameAsFirstToken => "answers begin with their first token".to_owned(),
    };
    coded(why.code(), text)
}

/// `C3: text`, or only the text.
fn coded(code: Option<Code>, text: String) -> String {
    match code {
        Some(code) => format!("{code}: {text}"),
        None => text,
    }
}

/// Each once.
fn all(reasons: &[Reason]) -> String {
    reasons.iter().map(reason).collect::<BTreeSet<_>>().iter().join("; ")
}

/// `GPU driver 580.95, before 580.126`, those of the classes with their codes.
pub(crate) fn changes(facts: &[FactChange]) -> String {
    facts.iter().map(change).join("; ")
}

pub(crate) fn change(fact: &FactChange) -> String {
    since(fact, "before")
}

/// `C3: engine version 0.2.0, at first 0.1.0`.
pub(crate) fn at_first(facts: &[FactChange]) -> String {
    facts.iter().map(|fact| since(fact, "at first")).join("; ")
}

/// What a fact is, and what it was at that time.
fn since(fact: &FactChange, when: &str) -> String {
    let [is, was] = [&fact.is, &fact.was].map(|value| value.as_deref().unwrap_or("not known"));
    coded(fact.code, format!("{} {is}, {when} {was}", fact.name))
}

/// `engine version 0.15.0 vs 0.15.1`.
fn versus(fact: &FactChange) -> String {
    let value = |value: &Option<String>| {
        let known = value.as_deref().map(|value| shown(&fact.name, value));
        clean::excerpt(&known.unwrap_or_else(|| "not available".to_owned()), VALUE_MAX)
    };
    format!("{} {} vs {}", fact.name, value(&fact.is), value(&fact.was))
}

/// `C3: this, that; C4: the other`.
fn by_code(facts: &[FactChange], words: fn(&FactChange) -> String) -> String {
    let codes = facts.chunk_by(|a, b| a.code == b.code);
    codes.map(|facts| coded(facts[0].code, facts.iter().map(words).join(", "))).join("; ")
}

/// A value as it is read, with its thousands apart; what makes a class is the value as it is.
pub(crate) fn shown(name: &str, value: &str) -> String {
    let is_context = name == ClassFact::ContextLength.name();
    if !is_context && name != MEMORY_CLOCK {
        return value.to_owned();
    }
    let number = |word: &str| word.parse().map_or_else(|_| word.to_owned(), grouped);
    value.split(' ').map(number).join(" ") + if is_context { " tokens" } else { "" }
}
