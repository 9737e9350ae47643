//! What a host, its GPUs and its engine are: the facts that decide which hosts may be compared, those that may explain a difference, and
//! whether an engine was another one later in a run.

use regatta_types::attempt::AttemptReport;
use regatta_types::comparability::{ClassFact, Code};
use regatta_types::facts::{EndpointLocation, EngineFacts};
use regatta_types::gpu::{GpuBoard, GpuFacts, GpuInventory};
use regatta_types::reading::Reading;
use regatta_types::record::{AttemptRecord, HostRecord};
use serde::Serialize;

/// One fact of a host; `None`: not known. Two are equal in what they say, whatever the reason why one
/// is not known.
#[derive(Debug, Clone, Serialize)]
pub struct Fact {
    pub code: Code,
    pub name: &'static str,
    pub value: Option<String>,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_available: Option<String>,
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

/// The facts that make a class, in the order of [`ClassFact::ALL`].
pub fn facts_of(record: Option<&HostRecord>, engine: Option<&EngineFacts>) -> Vec<Fact> {
    // The GPUs of this machine say nothing of an endpoint on another.
    let is_here = engine.is_some_and(|e| e.location != EndpointLocation::Remote);
    let gpus = match record.filter(|_| is_here) {
        None => Reading::missing("not told of this host"),
        Some(record) => each_gpu(Some(record), |gpu| match &gpu.name {
            Reading::Known(name) => gpu.memory_total.as_ref().map(|of| format!("{name}, {of}")),
            Reading::NotAvailable { not_available } => Reading::missing(not_available.as_str()),
        }),
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
fn engine_facts(engine: Option<&EngineFacts>) -> Vec<Fact> {
    let settings = engine.map(|e| &e.settings);
    let fact = |code, name: ClassFact, value| Fact::new(code, name.name(), value);
    let text = |code, name, value| fact(code, name, told(value, String::clone));
    let model = engine.map_or_else(
        || Reading::missing("the engine did not answer"),
        |engine| Reading::Known(engine.model.clone()),
    );
    let context = told(engine.map(|e| &e.context_length), ToString::to_string);
    let prefix_cache = told(settings.map(|s| &s.prefix_cache), |&on| on_off(on));
    let flags = told(settings.map(|s| &s.flags), |flags| match flags.as_slice() {
        [] => "none".to_owned(),
        flags => flags.join(", "),
    });
    vec![
        fact(Code::C1, ClassFact::Model, model),
        text(Code::C2, ClassFact::Quantisation, engine.map(|e| &e.quantization)),
        text(Code::C2, ClassFact::KvCacheType, settings.map(|s| &s.kv_dtype)),
        text(Code::C3, ClassFact::Engine, engine.map(|e| &e.engine)),
        text(Code::C3, ClassFact::EngineVersion, engine.map(|e| &e.version)),
        fact(Code::C3, ClassFact::ContextLength, context),
        fact(Code::C3, ClassFact::PrefixCache, prefix_cache),
        text(Code::C3, ClassFact::SpeculativeDecoding, settings.map(|s| &s.speculative)),
        fact(Code::C3, ClassFact::EngineFlags, flags),
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
pub const MEMORY_CLOCK: &str = "GPU memory clock, highest";

/// How many of [`other_facts_of`], the first ones, limit a GPU by themselves.
pub const TELLING_FACTS: usize = 5;

/// Facts that leave the class as it is but explain differences, the most telling first.
pub fn other_facts_of(record: Option<&HostRecord>) -> Vec<Fact> {
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

/// What the engine of a host was at the beginning of the run: as its first attempt saw it, else as
/// the host said when it was ready.
pub fn first_engine<'a>(
    record: Option<&'a HostRecord>,
    attempts: &'a [AttemptRecord],
) -> Option<&'a EngineFacts> {
    let mut seen: Vec<(_, &EngineFacts)> = attempts
        .iter()
        .filter_map(|a| Some((a.report.began, a.report.engine.before.known()?)))
        .collect();
    seen.sort_by_key(|(began, _)| *began);
    let told = record.and_then(|r| r.engine.known());
    match (seen.first(), told) {
        // The same, and asked with more patience.
        (Some((_, first)), Some(told)) if changes(first, told).is_empty() => Some(told),
        (Some((_, first)), _) => Some(first),
        (None, told) => told,
    }
}

/// A fact that is another one now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FactChange {
    /// `None` of a fact that only may explain a difference.
    pub code: Option<Code>,
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
