//! Which hosts may be compared at all: equal in model, engine and GPU.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use regatta_types::clean;
use regatta_types::comparability::ClassFact;
use regatta_types::facts::{EndpointLocation, EngineFacts};
use regatta_types::gpu::{GpuBoard, GpuFacts};
use regatta_types::ids::HostId;
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

/// One fact of a host; `None`: not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Fact {
    pub(crate) code: Code,
    pub(crate) name: &'static str,
    pub(crate) value: Option<String>,
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
    let gpus = record.filter(|_| is_here).and_then(|record| {
        each_gpu(record, |gpu| {
            let memory = gpu.memory_total.known()?;
            Some(format!("{}, {memory}", gpu.name.known()?))
        })
    });
    let mut facts = engine_facts(engine);
    facts.push(Fact { code: Code::C4, name: ClassFact::Gpu.name(), value: gpus });
    facts
}

/// Those of C1 to C3.
pub(super) fn engine_facts(engine: Option<&EngineFacts>) -> Vec<Fact> {
    let settings = engine.map(|e| &e.settings);
    let fact = |code, name: ClassFact, value| Fact { code, name: name.name(), value };
    vec![
        fact(Code::C1, ClassFact::Model, engine.map(|e| e.model.clone())),
        fact(
            Code::C2,
            ClassFact::Quantisation,
            engine.and_then(|e| e.quantization.known().cloned()),
        ),
        fact(Code::C2, ClassFact::KvCacheType, settings.and_then(|s| s.kv_dtype.known().cloned())),
        fact(Code::C3, ClassFact::Engine, engine.and_then(|e| e.engine.known().cloned())),
        fact(Code::C3, ClassFact::EngineVersion, engine.and_then(|e| e.version.known().cloned())),
        fact(
            Code::C3,
            ClassFact::ContextLength,
            engine.and_then(|e| e.context_length.known().map(ToString::to_string)),
        ),
        fact(
            Code::C3,
            ClassFact::PrefixCache,
            settings.and_then(|s| s.prefix_cache.known()).map(|&on| on_off(on)),
        ),
        fact(
            Code::C3,
            ClassFact::SpeculativeDecoding,
            settings.and_then(|s| s.speculative.known().cloned()),
        ),
        fact(
            Code::C3,
            ClassFact::EngineFlags,
            settings.and_then(|s| s.flags.known()).map(|flags| match flags.as_slice() {
                [] => "none".to_owned(),
                flags => flags.join(", "),
            }),
        ),
    ]
}

/// A value of every GPU, counted; `None` if one does not have it or nothing is known of them.
fn each_gpu(record: &HostRecord, value: impl Fn(&GpuFacts) -> Option<String>) -> Option<String> {
    let values: Option<Vec<String>> = record.gpus.known()?.gpus.iter().map(value).collect();
    values.map(counted)
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
    let inventory = record.and_then(|r| r.gpus.known());
    let fact = |name, value| Fact { code: Code::C5, name, value };
    let gpus = |value: fn(&GpuFacts) -> Option<String>| record.and_then(|r| each_gpu(r, value));
    let watts = |gpu: &GpuFacts| gpu.power_limit_w.known().map(|w| format!("{w:.0} W"));
    let board = |value: fn(&GpuBoard) -> Option<String>| {
        record.and_then(|r| each_gpu(r, |gpu| value(gpu.board.as_ref()?)))
    };
    let lanes = |board: &GpuBoard| board.pcie_width_max.known().map(ToString::to_string);
    let generation = |board: &GpuBoard| board.pcie_gen_max.known().map(ToString::to_string);
    let memory_clock =
        |board: &GpuBoard| board.memory_clock_max_mhz.known().map(|mhz| format!("{mhz} MHz"));
    let ecc = |board: &GpuBoard| board.ecc.known().map(|&on| on_off(on));
    let persistence = |board: &GpuBoard| board.persistence.known().map(|&on| on_off(on));
    let compute_mode = |board: &GpuBoard| board.compute_mode.known().cloned();
    vec![
        fact("GPU power limit", gpus(watts)),
        fact("PCIe lanes", board(lanes)),
        fact("PCIe generation", board(generation)),
        fact(MEMORY_CLOCK, board(memory_clock)),
        fact("GPU memory ECC", board(ecc)),
        fact("GPU driver", inventory.and_then(|i| i.driver.known().cloned())),
        fact("CUDA (driver)", inventory.and_then(|i| i.cuda_driver.known().cloned())),
        fact("GPU persistence mode", board(persistence)),
        fact("GPU compute mode", board(compute_mode)),
        fact("CPU clock governor", details.and_then(|d| d.governor.known().cloned())),
        fact("CPU", machine.and_then(|m| m.cpu_model.known().cloned())),
        fact("CPU cores", details.and_then(|d| d.cores.known().map(ToString::to_string))),
        fact("logical CPUs", machine.and_then(|m| m.cpus.known().map(ToString::to_string))),
        fact(
            "memory",
            machine.and_then(|m| m.memory_total.known().map(|b| format!("{:.0} GiB", b.gib()))),
        ),
        fact("NUMA nodes", details.and_then(|d| d.numa_nodes.known().map(ToString::to_string))),
        fact("container", details.and_then(|d| d.container.known().cloned())),
        fact("kernel", machine.and_then(|m| m.kernel.known().cloned())),
        fact("distribution", machine.and_then(|m| m.distribution.known().cloned())),
        fact("clock source", details.and_then(|d| d.clock_source.known().cloned())),
        fact(
            "wall clock synchronised",
            details.and_then(|d| d.clock_synchronised.known().map(|&is| yes_no(is))),
        ),
        fact("agent version", machine.map(|m| m.agent_version.clone())),
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
