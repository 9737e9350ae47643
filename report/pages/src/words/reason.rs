//! Why something is not compared, in words; and values of facts for display.

use std::collections::BTreeSet;

use itertools::Itertools as _;
use regatta_figures::compare::{MIN_REPETITIONS, Reason};
use regatta_figures::facts::{FactChange, MEMORY_CLOCK};
use regatta_figures::metrics::SharedBy;
use regatta_types::clean;
use regatta_types::comparability::{ClassFact, Code};
use regatta_types::units::grouped;
use regatta_types::validity::FindingCode;

/// Longest value in a reason, in grapheme clusters.
const VALUE_MAX: usize = 60;

/// In place of a verdict or a difference: `not comparable: ... (C9)`. Reasons without a code do not
/// concern comparability.
pub(crate) fn not_comparable(why: &Reason) -> String {
    let what = if why.code().is_some() { "not comparable" } else { "not compared" };
    clean::line(&format!("{what}: {}", reason(why)))
}

/// With its code, if it concerns comparability: `... (C9)`.
pub(crate) fn reason(why: &Reason) -> String {
    let text = match why {
        // The facts or the single reasons have the codes.
        Reason::OtherClass { facts, label } => {
            return format!("differs from class {label} in {}", by_code(facts, versus));
        }
        Reason::FactsDiffer(facts) => return changes(facts),
        Reason::EveryCase(reasons) => return all(reasons),
        Reason::ChunksCounted => {
            "no plausible token counts from the engine, so chunks were counted".to_owned()
        }
        Reason::TokenSource { own, usual } => {
            format!("token counts from `{own}`, most hosts: `{usual}`")
        }
        Reason::TokenSourceBefore { is, was } => {
            format!("token counts from `{is}`, before: `{was}`")
        }
        Reason::Coalesced => {
            "chunks arrive joined on only some hosts, which delays their first token".to_owned()
        }
        Reason::Hidden => "only some hosts stream their reasoning".to_owned(),
        Reason::SameMachine { first, by } => format!("same machine as {first}: {}", shared_by(*by)),
        Reason::CachedUntold => {
            "cached prompt tokens are not reported, unlike on other hosts".to_owned()
        }
        Reason::CachedTold => "cached prompt tokens are reported, unlike on most hosts".to_owned(),
        Reason::CachedToldForSome => {
            "cached prompt tokens are reported for only some requests".to_owned()
        }
        Reason::CachedDiffer => {
            "cached prompt tokens differ by more than 1 % of the prompt".to_owned()
        }
        Reason::LengthsDiffer => "answers differ in length or in how they end".to_owned(),
        Reason::CutUnequally => {
            "answers of natural length were truncated and differ in length".to_owned()
        }
        Reason::PlannedFewer { own, planned } => {
            format!("{own} repetitions planned, other cases: {planned}")
        }
        Reason::Skipped { on_all } => {
            let on = if *on_all { "all" } else { "some" };
            format!("skipped on {on} hosts after saturation")
        }
        Reason::Invalid(codes) => {
            format!("no usable attempt: {}", codes.iter().map(FindingCode::as_str).format(", "))
        }
        Reason::NoAttempt => "no attempt was counted".to_owned(),
        Reason::NotStamped => "no chunk has a timestamp".to_owned(),
        Reason::TooShort => "answers too short for a decode speed".to_owned(),
        Reason::Buffered => "streams were buffered in transit".to_owned(),
        Reason::NoText => "no text in most attempts".to_owned(),
        Reason::NoSteadyWindow => "no steady window in most attempts".to_owned(),
        Reason::NoEnergy => "no energy figure for most attempts".to_owned(),
        Reason::FewBothWays => {
            format!("fewer than {MIN_REPETITIONS} repetitions measured both ways")
        }
        Reason::StartModes { is, was } => format!("start mode {is}, before: {was}"),
        Reason::NoneEqual { nearest, facts } => {
            format!("no equal host; {nearest} differs in {}", changes(facts))
        }
        Reason::NoHost => "the earlier run has no host".to_owned(),
        Reason::Refused(why) => format!("the host was refused: {why}"),
        Reason::Missing(why) => why.to_string(),
        Reason::NothingUsable(why) => format!("no usable results, {}", reason(why)),
        Reason::NotInLaterSuite => "not in the suite of the later run".to_owned(),
        Reason::NotInEarlierSuite => "not in the suite of the earlier run".to_owned(),
        Reason::OtherWork => "different work in the two runs".to_owned(),
        Reason::NoValue(None) => "no value in the later run".to_owned(),
        Reason::NoValue(Some(why)) => format!("no value in the later run, {}", reason(why)),
        Reason::NoValueBefore => "no value in the earlier run".to_owned(),
        Reason::NoCase(reasons) => format!("no comparable case, {}", all(reasons)),
        Reason::TooFewRepetitions => format!("fewer than {MIN_REPETITIONS} complete repetitions"),
        Reason::SweepSaturated => "skipped after saturation".to_owned(),
        Reason::NoneHasOne => "no usable attempt has a value".to_owned(),
        Reason::OnlySome { have, of } => {
            format!("{have} of {of} repetitions have a value, at least {MIN_REPETITIONS} needed")
        }
        Reason::NeverAll => "no repetition has all cases".to_owned(),
        Reason::SameAsFirstToken => "same as the time to first token".to_owned(),
        Reason::TooFewShared => {
            format!("fewer than {MIN_REPETITIONS} shared repetitions")
        }
        Reason::Alone => "no other host to compare with".to_owned(),
        Reason::TwoGroups => "the hosts fall into two groups".to_owned(),
    };
    coded(why.code(), text)
}

/// What shows that hosts are one machine.
pub(crate) fn shared_by(by: SharedBy) -> &'static str {
    match by {
        SharedBy::Gpus => "equal GPU UUIDs",
        SharedBy::Endpoint => "one endpoint",
    }
}

/// `text (C3)`, or only the text.
fn coded(code: Option<Code>, text: String) -> String {
    match code {
        Some(code) => format!("{text} ({code})"),
        None => text,
    }
}

/// Each once.
fn all(reasons: &[Reason]) -> String {
    reasons.iter().map(reason).collect::<BTreeSet<_>>().iter().join("; ")
}

/// `GPU driver 580.95, before: 580.126`, facts of the classes with their codes.
pub(crate) fn changes(facts: &[FactChange]) -> String {
    facts.iter().map(change).join("; ")
}

pub(crate) fn change(fact: &FactChange) -> String {
    since(fact, "before")
}

/// `engine version 0.2.0, at first: 0.1.0 (C3)`.
pub(crate) fn at_first(facts: &[FactChange]) -> String {
    facts.iter().map(|fact| since(fact, "at first")).join("; ")
}

/// The value of a fact, and its value at that time.
fn since(fact: &FactChange, when: &str) -> String {
    let [is, was] = [&fact.is, &fact.was].map(|value| value.as_deref().unwrap_or("unknown"));
    coded(fact.code, format!("{} {is}, {when}: {was}", fact.name))
}

/// `engine version 0.15.0 vs 0.15.1`.
fn versus(fact: &FactChange) -> String {
    let value = |value: &Option<String>| {
        let known = value.as_deref().map(|value| shown(&fact.name, value));
        clean::excerpt(&known.unwrap_or_else(|| "not available".to_owned()), VALUE_MAX)
    };
    format!("{} {} vs {}", fact.name, value(&fact.is), value(&fact.was))
}

/// `this, that (C3); the other (C4)`.
fn by_code(facts: &[FactChange], words: fn(&FactChange) -> String) -> String {
    let codes = facts.chunk_by(|a, b| a.code == b.code);
    codes.map(|facts| coded(facts[0].code, facts.iter().map(words).join(", "))).join("; ")
}

/// A value for display, with thousands separators.
pub(crate) fn shown(name: &str, value: &str) -> String {
    let is_context = name == ClassFact::ContextLength.name();
    if !is_context && name != MEMORY_CLOCK {
        return value.to_owned();
    }
    let number = |word: &str| word.parse().map_or_else(|_| word.to_owned(), grouped);
    value.split(' ').map(number).join(" ") + if is_context { " tokens" } else { "" }
}
