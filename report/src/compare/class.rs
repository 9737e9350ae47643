//! Which hosts may be compared at all: equal in model, engine and GPU.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use regatta_types::clean;
use regatta_types::comparability::ClassFact;
use regatta_types::facts::{EndpointLocation, EngineFacts};
use regatta_types::gpu::{GpuBoard, GpuFacts, GpuInventory};
use regatta_types::ids::HostId;
use regatta_types::reading::Reading;
use regatta_types::record::HostRecord;
use regatta_types::units::grouped;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::analysis::HostAnalysis;

/// Why a fact matters to a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Code {
    /// Model.
    C1,
    /// Quantisation.
    C2,
    /// Engine, version, settings.
    C3,
    /// GPU model and memory.
    C4,
    /// Power limit, driver and the like: same class, first causes to look at.
    C5,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::C1 => "C1",
            Self::C2 => "C2",
            Self::C3 => "C3",
            Self::C4 => "C4",
            Self::C5 => "C5",
        })
    }
}

/// One fact of a host; `None`: not known. Two are equal in what they say, whatever the reason why one
/// is not known.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fact {
    pub(crate) code: Code,
    pub(crate) name: &'static str,
    pub(crate) value: Option<String>,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) not_available: Option<String>,
}

impl Fact {
    fn new(code: Code, name: &'static str, value: Reading<String>) -> Self {
        let (value, not_available) = match value {
            Reading::Known(value) => (Some(value), None),
            Reading::NotAvailable { not_available } => (None, Some(not_available)),
        };
        Self { code, name, value, not_available }
    }

    fn said(&self) -> (Code, &'static str, Option<&str>) {
        (self.code, self.name, self.value.as_deref())
    }
}

impl PartialEq for Fact {
    fn eq(&self, other: &Self) -> bool {
        self.said() == other.said()
    }
}

impl Eq for Fact {}

impl PartialOrd for Fact {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fact {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.said().cmp(&other.said())
    }
}

/// Hosts that are equal in every fact of C1 to C4.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Class {
    /// `A`, `B`, ...: the largest first.
    pub(crate) label: String,
    /// First 12 digits of the SHA-256 of the facts.
    pub(crate) fingerprint: String,
    /// Sorted.
    pub(crate) hosts: Vec<HostId>,
    pub(crate) facts: Vec<Fact>,
    /// Names of the facts that are not known on some of them and were taken as equal.
    pub(crate) assumed: Vec<&'static str>,
}

/// Longest value that stands in a reason, in grapheme clusters.
const VALUE_MAX: usize = 60;

impl Class {
    /// Why its hosts cannot be compared with those of another: `C3: engine version 0.15.0 vs 0.15.1
    /// of class A`.
    pub(crate) fn unlike(&self, other: &Self) -> String {
        let value = |fact: &Fact| {
            let known = fact.value.as_deref().map(|value| shown(fact.name, value));
            clean::excerpt(&known.unwrap_or_else(|| "not available".to_owned()), VALUE_MAX)
        };
        let mut codes: Vec<(Code, Vec<String>)> = Vec::new();
        for (own, theirs) in self.facts.iter().zip(&other.facts) {
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

    /// Names of the facts nobody knows.
    pub(crate) fn unverified(&self) -> Vec<&'static str> {
        self.facts.iter().filter(|f| f.value.is_none()).map(|f| f.name).collect()
    }
}

/// Sorts hosts with anything usable into classes. `assumed` facts are taken as equal on hosts where
/// they are not known, if those that know agree.
pub(crate) fn classes(hosts: &[HostAnalysis<'_>], assumed: &[ClassFact]) -> Vec<Class> {
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
    let mut by_facts: BTreeMap<Vec<Fact>, Vec<HostId>> = BTreeMap::new();
    for (facts, host) in all {
        by_facts.entry(facts).or_default().push(host);
    }
    let mut sorted: Vec<(Vec<Fact>, Vec<HostId>)> = by_facts.into_iter().collect();
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
pub(super) fn label(index: usize) -> String {
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let letter = letters.chars().nth(index % letters.len()).unwrap_or('?');
    match index / letters.len() {
        0 => letter.to_string(),
        round => format!("{letter}{round}"),
    }
}

pub(super) fn fingerprint(facts: &[Fact]) -> String {
    let mut hash = Sha256::new();
    for fact in facts {
        hash.update(fact.name);
        hash.update([0, u8::from(fact.value.is_some())]);
        hash.update(fact.value.as_deref().unwrap_or_default());
        hash.update([0]);
    }
    hex::encode(hash.finalize())[..12].to_owned()
}

/// The facts that make a class, in the order of [`ClassFact::ALL`].
pub(crate) fn facts_of(record: Option<&HostRecord>, engine: Option<&EngineFacts>) -> Vec<Fact> {
    // The GPUs of this machine say nothing of an endpoint on another.
    let is_here = engine.is_some_and(|e| e.location != EndpointLocation::Remote);
    let gpus = match record.filter(|_| is_here) {
        None => Reading::missing("not told of this host"),
        Some(record) => {
            each_gpu(Some(record), |gpu| match (gpu.name.as_ref(), gpu.memory_total.as_ref()) {
                (Reading::Known(name), Reading::Known(memory)) => {
                    Reading::Known(format!("{name}, {memory}"))
                }
                (Reading::NotAvailable { not_available }, _)
                | (Reading::Known(_), Reading::NotAvailable { not_available }) => {
                    Reading::NotAvailable { not_available }
                }
            })
        }
    };
    let mut facts = engine_facts(engine);
    facts.push(Fact::new(Code::C4, ClassFact::Gpu.name(), gpus));
    facts
}

/// A reading in words; without the thing it is of, that.
fn told<T>(reading: Option<&Reading<T>>, words: impl Fn(&T) -> String) -> Reading<String> {
    reading.map_or_else(
        || Reading::missing("nothing is known of it"),
        |reading| reading.as_ref().map(words),
    )
}

/// Those of C1 to C3.
pub(super) fn engine_facts(engine: Option<&EngineFacts>) -> Vec<Fact> {
    let settings = engine.map(|e| &e.settings);
    let fact = |code, name: ClassFact, value| Fact::new(code, name.name(), value);
    let model = engine.map_or_else(
        || Reading::missing("the engine did not answer"),
        |engine| Reading::Known(engine.model.clone()),
    );
    let flags = |flags: &Vec<String>| match flags.as_slice() {
        [] => "none".to_owned(),
        flags => flags.join(", "),
    };
    vec![
        fact(Code::C1, ClassFact::Model, model),
        fact(
            Code::C2,
            ClassFact::Quantisation,
            told(engine.map(|e| &e.quantization), String::clone),
        ),
        fact(Code::C2, ClassFact::KvCacheType, told(settings.map(|s| &s.kv_dtype), String::clone)),
        fact(Code::C3, ClassFact::Engine, told(engine.map(|e| &e.engine), String::clone)),
        fact(Code::C3, ClassFact::EngineVersion, told(engine.map(|e| &e.version), String::clone)),
        fact(
            Code::C3,
            ClassFact::ContextLength,
            told(engine.map(|e| &e.context_length), ToString::to_string),
        ),
        fact(
            Code::C3,
            ClassFact::PrefixCache,
            told(settings.map(|s| &s.prefix_cache), |&on| on_off(on)),
        ),
        fact(
            Code::C3,
            ClassFact::SpeculativeDecoding,
            told(settings.map(|s| &s.speculative), String::clone),
        ),
        fact(Code::C3, ClassFact::EngineFlags, told(settings.map(|s| &s.flags), flags)),
    ]
}

/// A value of every GPU, counted; the reason of the first that does not have it.
fn each_gpu(
    record: Option<&HostRecord>,
    value: impl Fn(&GpuFacts) -> Reading<String>,
) -> Reading<String> {
    let Some(record) = record else { return Reading::missing("nothing is known of the host") };
    let mut values = Vec::new();
    for gpu in record.gpus.known().map_or(&[][..], |inventory| &inventory.gpus) {
        match value(gpu) {
            Reading::Known(value) => values.push(value),
            Reading::NotAvailable { not_available } => {
                return Reading::NotAvailable { not_available };
            }
        }
    }
    match record.gpus.reason() {
        Some(reason) => Reading::missing(reason),
        None => Reading::Known(counted(values)),
    }
}

/// The name of the fact that holds a clock.
const MEMORY_CLOCK: &str = "GPU memory clock, highest";

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

/// How many of [`other_facts_of`], the first ones, limit a GPU by themselves.
pub(crate) const TELLING_FACTS: usize = 5;

/// Facts that leave the class as it is but explain differences, the most telling first.
pub(crate) fn other_facts_of(record: Option<&HostRecord>) -> Vec<Fact> {
    let machine = record.and_then(|r| r.facts.as_ref());
    let details = machine.map(|m| &m.details);
    let fact = |name, value| Fact::new(Code::C5, name, value);
    let driver = |value: fn(&GpuInventory) -> &Reading<String>| match record.map(|r| &r.gpus) {
        Some(Reading::Known(inventory)) => told(Some(value(inventory)), String::clone),
        Some(Reading::NotAvailable { not_available }) => Reading::missing(not_available.as_str()),
        None => Reading::missing("nothing is known of the host"),
    };
    let watts = |gpu: &GpuFacts| told(Some(&gpu.power_limit_w), |w| format!("{w:.0} W"));
    let board = |value: fn(&GpuBoard) -> Reading<String>| {
        each_gpu(record, |gpu| {
            gpu.board.as_ref().map_or_else(|| Reading::missing("its agent does not tell"), value)
        })
    };
    let agent = machine.map_or_else(
        || Reading::missing("nothing is known of the host"),
        |machine| Reading::Known(machine.agent_version.clone()),
    );
    vec![
        fact("GPU power limit", each_gpu(record, watts)),
        fact("PCIe lanes", board(|b| told(Some(&b.pcie_width_max), ToString::to_string))),
        fact("PCIe generation", board(|b| told(Some(&b.pcie_gen_max), ToString::to_string))),
        fact(MEMORY_CLOCK, board(|b| told(Some(&b.memory_clock_max_mhz), |m| format!("{m} MHz")))),
        fact("GPU memory ECC", board(|b| told(Some(&b.ecc), |&on| on_off(on)))),
        fact("GPU driver", driver(|i| &i.driver)),
        fact("CUDA (driver)", driver(|i| &i.cuda_driver)),
        fact("GPU persistence mode", board(|b| told(Some(&b.persistence), |&on| on_off(on)))),
        fact("GPU compute mode", board(|b| told(Some(&b.compute_mode), String::clone))),
        fact("CPU clock governor", told(details.map(|d| &d.governor), String::clone)),
        fact("CPU", told(machine.map(|m| &m.cpu_model), String::clone)),
        fact("CPU cores", told(details.map(|d| &d.cores), ToString::to_string)),
        fact("logical CPUs", told(machine.map(|m| &m.cpus), ToString::to_string)),
        fact("memory", told(machine.map(|m| &m.memory_total), |b| format!("{:.0} GiB", b.gib()))),
        fact("NUMA nodes", told(details.map(|d| &d.numa_nodes), ToString::to_string)),
        fact("container", told(details.map(|d| &d.container), String::clone)),
        fact("kernel", told(machine.map(|m| &m.kernel), String::clone)),
        fact("distribution", told(machine.map(|m| &m.distribution), String::clone)),
        fact("clock source", told(details.map(|d| &d.clock_source), String::clone)),
        fact(
            "wall clock synchronised",
            told(details.map(|d| &d.clock_synchronised), |&is| yes_no(is)),
        ),
        fact("agent version", agent),
    ]
}

fn yes_no(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn on_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

/// `4 x this; that`, sorted.
fn counted(mut items: Vec<String>) -> String {
    items.sort();
    let mut groups: Vec<(String, u32)> = Vec::new();
    for item in items {
        match groups.last_mut() {
            Some((same, n)) if *same == item => *n += 1,
            _ => groups.push((item, 1)),
        }
    }
    let named = groups.into_iter().map(|(item, n)| match n {
        1 => item,
        _ => format!("{n} x {item}"),
    });
    named.collect::<Vec<_>>().join("; ")
}
