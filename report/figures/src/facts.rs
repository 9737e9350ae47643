//! What a host, its GPUs and its engine are: the facts that decide which hosts may be compared, those that may explain a difference, and
//! whether an engine changed during a run.

use itertools::Itertools as _;
use regatta_types::attempt::AttemptReport;
use regatta_types::comparability::{ClassFact, Code, stored_name};
use regatta_types::facts::{EndpointLocation, EngineFacts, HostFacts};
use regatta_types::gpu::{GpuBoard, GpuFacts, GpuInventory};
use regatta_types::reading::Reading;
use regatta_types::record::{AttemptRecord, HostRecord};
use serde::{Serialize, Serializer};

use crate::absent::{Absent, Figure, told};

/// One fact of a host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fact {
    pub code: Code,
    #[serde(serialize_with = "as_stored")]
    pub name: &'static str,
    /// As baselines keep it; `None`: not known.
    pub value: Option<String>,
    /// Why it is unknown; the pages write the text.
    #[serde(skip)]
    pub not_available: Option<Absent>,
}

impl Fact {
    fn new(code: Code, name: &'static str, value: Figure<String>) -> Self {
        let not_available = value.as_ref().err().cloned();
        Self { code, name, value: value.ok(), not_available }
    }
}

/// Writes the name of a fact as `run.json` spells it.
pub(crate) fn as_stored<S: Serializer>(
    name: &impl AsRef<str>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(stored_name(name.as_ref()))
}

/// The values of facts, which make hosts equal or different, without the reasons for unknown ones.
pub fn values(facts: &[Fact]) -> Vec<Option<String>> {
    facts.iter().map(|fact| fact.value.clone()).collect()
}

/// The facts that make a class, in the order of [`ClassFact::ALL`].
pub fn facts_of(record: Option<&HostRecord>, engine: Option<&EngineFacts>) -> Vec<Fact> {
    // The GPUs of this machine say nothing about an endpoint on another.
    let is_here = engine.is_some_and(|e| e.location != EndpointLocation::Remote);
    let here = record.filter(|_| is_here).ok_or(Absent::NotOfThisHost);
    let gpus =
        each_gpu(here, |gpu| Ok(format!("{}, {}", told(&gpu.name)?, told(&gpu.memory_total)?)));
    let mut facts = engine_facts(engine);
    facts.push(Fact::new(Code::C4, ClassFact::Gpu.name(), gpus));
    facts
}

/// A reading as text.
fn text(reading: &Reading<impl ToString>) -> Figure<String> {
    told(reading).map(ToString::to_string)
}

/// A reading of something that is so or not.
fn either(reading: &Reading<bool>, [so, not]: [&str; 2]) -> Figure<String> {
    told(reading).map(|&is| if is { so } else { not }.to_owned())
}

const ON_OFF: [&str; 2] = ["on", "off"];

/// Those of C1 to C3.
fn engine_facts(engine: Option<&EngineFacts>) -> Vec<Fact> {
    let fact = |code, name: ClassFact, value: fn(&EngineFacts) -> Figure<String>| {
        let value = engine.ok_or(Absent::NothingKnown).and_then(value);
        Fact::new(code, name.name(), value)
    };
    let model = engine.map(|engine| engine.model.clone()).ok_or(Absent::NoEngineAnswer);
    vec![
        Fact::new(Code::C1, ClassFact::Model.name(), model),
        fact(Code::C2, ClassFact::Quantization, |e| text(&e.quantization)),
        fact(Code::C2, ClassFact::KvCacheType, |e| text(&e.settings.kv_dtype)),
        fact(Code::C3, ClassFact::Engine, |e| text(&e.engine)),
        fact(Code::C3, ClassFact::EngineVersion, |e| text(&e.version)),
        fact(Code::C3, ClassFact::ContextLength, |e| text(&e.context_length)),
        fact(Code::C3, ClassFact::PrefixCache, |e| either(&e.settings.prefix_cache, ON_OFF)),
        fact(Code::C3, ClassFact::SpeculativeDecoding, |e| text(&e.settings.speculative)),
        fact(Code::C3, ClassFact::EngineFlags, |e| {
            told(&e.settings.flags).map(|flags| match flags.as_slice() {
                [] => "none".to_owned(),
                flags => flags.join(", "),
            })
        }),
    ]
}

/// A value of every GPU, counted; the reason of the first that does not have it.
fn each_gpu(
    record: Figure<&HostRecord>,
    value: impl Fn(&GpuFacts) -> Figure<String>,
) -> Figure<String> {
    told(&record?.gpus)?.gpus.iter().map(value).collect::<Figure<_>>().map(counted)
}

/// The name of the fact that holds a clock.
pub const MEMORY_CLOCK: &str = "GPU memory clock, highest";

/// How many of [`other_facts_of`], the first ones, limit a GPU by themselves.
pub const TELLING_FACTS: usize = 5;

/// Facts that leave the class as it is but explain differences, the most telling first.
pub fn other_facts_of(record: Option<&HostRecord>) -> Vec<Fact> {
    let fact = |name, value| Fact::new(Code::C5, name, value);
    let host = || record.ok_or(Absent::UnknownHost);
    let gpu = |name, value: fn(&GpuFacts) -> Figure<String>| fact(name, each_gpu(host(), value));
    let board = |name, value: fn(&GpuBoard) -> Figure<String>| {
        let of = |gpu: &GpuFacts| gpu.board.as_ref().ok_or(Absent::OldAgent).and_then(value);
        fact(name, each_gpu(host(), of))
    };
    let driver = |name, value: fn(&GpuInventory) -> &Reading<String>| {
        fact(name, host().and_then(|record| text(value(told(&record.gpus)?))))
    };
    let machine = record.and_then(|record| record.facts.as_ref());
    let of_machine = |name, value: fn(&HostFacts) -> Figure<String>| {
        fact(name, machine.ok_or(Absent::NothingKnown).and_then(value))
    };
    let agent = machine.map(|machine| machine.agent_version.clone()).ok_or(Absent::UnknownHost);
    vec![
        gpu("GPU power limit", |g| told(&g.power_limit_w).map(|w| format!("{w:.0} W"))),
        board("PCIe lanes", |b| text(&b.pcie_width_max)),
        board("PCIe generation", |b| text(&b.pcie_gen_max)),
        board(MEMORY_CLOCK, |b| told(&b.memory_clock_max_mhz).map(|m| format!("{m} MHz"))),
        board("GPU memory ECC", |b| either(&b.ecc, ON_OFF)),
        driver("GPU driver", |i| &i.driver),
        driver("CUDA (driver)", |i| &i.cuda_driver),
        board("GPU persistence mode", |b| either(&b.persistence, ON_OFF)),
        board("GPU compute mode", |b| text(&b.compute_mode)),
        of_machine("CPU clock governor", |m| text(&m.details.governor)),
        of_machine("CPU", |m| text(&m.cpu_model)),
        of_machine("CPU cores", |m| text(&m.details.cores)),
        of_machine("logical CPUs", |m| text(&m.cpus)),
        of_machine("memory", |m| told(&m.memory_total).map(|b| format!("{:.0} GiB", b.gib()))),
        of_machine("NUMA nodes", |m| text(&m.details.numa_nodes)),
        of_machine("container", |m| text(&m.details.container)),
        of_machine("kernel", |m| text(&m.kernel)),
        of_machine("distribution", |m| text(&m.distribution)),
        of_machine("clock source", |m| text(&m.details.clock_source)),
        of_machine("wall clock synchronized", |m| {
            either(&m.details.clock_synchronised, ["yes", "no"])
        }),
        fact("agent version", agent),
    ]
}

/// `4 x this; that`, sorted.
fn counted(items: Vec<String>) -> String {
    let groups = items.into_iter().sorted().dedup_with_count();
    groups.map(|(n, item)| if n == 1 { item } else { format!("{n} x {item}") }).join("; ")
}

/// What the engine of a host was at the beginning of the run: as its first attempt saw it, else as
/// the host said when it was ready.
pub fn first_engine<'a>(
    record: Option<&'a HostRecord>,
    attempts: &'a [AttemptRecord],
) -> Option<&'a EngineFacts> {
    let seen = attempts
        .iter()
        .filter_map(|a| Some((a.report.began, a.report.engine.before.known()?)))
        .min_by_key(|(began, _)| *began);
    let told = record.and_then(|r| r.engine.known());
    match (seen, told) {
        // The same, and asked with more patience.
        (Some((_, first)), Some(told)) if changes(first, told).is_empty() => Some(told),
        (Some((_, first)), _) => Some(first),
        (None, told) => told,
    }
}

/// A fact that has changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FactChange {
    /// `None` of a fact that only may explain a difference.
    pub code: Option<Code>,
    #[serde(serialize_with = "as_stored")]
    pub name: String,
    /// `None`: not known.
    pub is: Option<String>,
    pub was: Option<String>,
}

/// Facts that both know and that are not equal.
fn changes(first: &EngineFacts, now: &EngineFacts) -> Vec<FactChange> {
    let (first, now) = (engine_facts(Some(first)), engine_facts(Some(now)));
    let differ = |(was, is): (Fact, Fact)| {
        let is_other = was.value.is_some() && is.value.is_some() && was.value != is.value;
        let (code, name) = (Some(is.code), is.name.to_owned());
        is_other.then_some(FactChange { code, name, is: is.value, was: was.value })
    };
    first.into_iter().zip(now).filter_map(differ).collect()
}

/// What the engine was in an attempt, where it was not what it was at first, with the difference.
pub fn engine_seen<'a>(
    first: Option<&EngineFacts>,
    report: &'a AttemptReport,
) -> Option<(&'a EngineFacts, Vec<FactChange>)> {
    let first = first?;
    let watch = &report.engine;
    let seen = [&watch.before, &watch.after].into_iter().filter_map(|seen| seen.known());
    seen.map(|now| (now, changes(first, now))).find(|(_, changes)| !changes.is_empty())
}
