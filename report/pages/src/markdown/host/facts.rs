//! Configuration: run, engine, machine and GPUs, each missing fact with its reason.

use std::fmt::Display;

use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::METRICS_SCHEMA;
use regatta_figures::utc::utc;
use regatta_types::gpu::GpuFacts;
use regatta_types::reading::Reading;
use regatta_types::units::{grouped, grouped_real};

use crate::markdown::layout::{Inline, Page, Table};
use crate::report::Report;
use crate::words::numbers::quantity;

/// A fact's name and its value.
type Row = (&'static str, Inline);

/// Why a host has no facts.
const NEVER_JOINED: &str = "the host never joined";

fn not_available(reason: Option<&str>) -> Inline {
    Inline::text(format!("not available: {}", reason.unwrap_or(NEVER_JOINED)))
}

/// A reading in a cell: the value, or why it is not available.
fn reading<T, D: Display>(value: &Reading<T>, say: impl Fn(&T) -> D) -> Inline {
    Inline::text(value.as_ref().map(say))
}

/// A setting that is on or off.
fn switch(value: &Reading<bool>, [on, off]: [&'static str; 2]) -> Inline {
    reading(value, |&is_on| if is_on { on } else { off })
}

/// The section on the configuration.
pub(super) fn configuration(page: &mut Page, report: &Report<'_>, host: &HostAnalysis<'_>) {
    page.section("Configuration");
    let facts = run(report, host).into_iter().chain(engine(host)).chain(machine(host));
    Table::pairs(["Fact", "Value"], facts).add_to(page);
    Table::pairs(["GPU fact", "Value"], gpus(host)).add_to(page);
}

fn run(report: &Report<'_>, host: &HostAnalysis<'_>) -> Vec<Row> {
    let header = &report.record.header;
    let cases = quantity(header.suite.compared_cases().count(), "case");
    let at = |at| Inline::own(utc(at));
    let first = host.attempts.iter().map(|a| a.began).min();
    let last = host.attempts.iter().map(|a| a.finished).max();
    let class = report.class_of(host.host).map_or("none".into(), |c| {
        Inline::own(format!("{} ({})", c.class.label, c.class.fingerprint))
    });
    vec![
        ("Run", Inline::text(&header.run)),
        ("Suite", Inline::own(format!("{}, {cases}", Inline::text(&header.suite.name)))),
        ("Suite hash (SHA-256)", Inline::own(header.suite.hash())),
        ("Run created", at(header.created)),
        ("First attempt (host's clock)", first.map_or("no attempt".into(), at)),
        ("Last attempt ended (host's clock)", last.map_or("no attempt".into(), at)),
        ("Comparability class", class),
    ]
}

fn engine(host: &HostAnalysis<'_>) -> Vec<Row> {
    let engine = host.record.map(|r| &r.engine);
    let Some(facts) = engine.and_then(|e| e.known()) else {
        return vec![("Engine", not_available(engine.and_then(|e| e.reason())))];
    };
    let settings = &facts.settings;
    let (since, resident) = (facts.process.started.map(utc), facts.process.resident);
    let tokens = |&n: &u32| format!("{} tokens", grouped(u64::from(n)));
    let flags = |flags: &Vec<String>| match flags.as_slice() {
        [] => "none".to_owned(),
        flags => flags.join(", "),
    };
    vec![
        ("Model", Inline::text(&facts.model)),
        ("Engine", Inline::text(&facts.engine)),
        ("Engine version", Inline::text(&facts.version)),
        ("Quantization", Inline::text(&facts.quantization)),
        ("Context length", reading(&facts.context_length, tokens)),
        ("KV cache type", Inline::text(&settings.kv_dtype)),
        ("Prefix cache", switch(&settings.prefix_cache, ["on", "off"])),
        ("Speculative decoding", Inline::text(&settings.speculative)),
        ("Engine flags", reading(&settings.flags, flags)),
        ("Slots (requests at once)", Inline::text(&settings.slots)),
        ("Endpoint", Inline::text(facts.location)),
        ("Engine began (host's clock)", since.map_or("not known".into(), Inline::own)),
        ("Engine memory, resident", resident.map_or("not known".into(), Inline::text)),
    ]
}

fn machine(host: &HostAnalysis<'_>) -> Vec<Row> {
    let Some(facts) = host.record.and_then(|r| r.facts.as_ref()) else {
        return vec![("Machine", not_available(None))];
    };
    let details = &facts.details;
    let agent = Inline::text(&facts.agent_version);
    let client = format!("regatta-agent {agent}, metrics schema {METRICS_SCHEMA}");
    vec![
        ("Hostname", Inline::text(&facts.hostname)),
        ("CPU", Inline::text(&facts.cpu_model)),
        ("Logical CPUs", Inline::text(&facts.cpus)),
        ("Cores", Inline::text(&details.cores)),
        ("CPU clock governor", Inline::text(&details.governor)),
        ("NUMA nodes", Inline::text(&details.numa_nodes)),
        ("Memory", Inline::text(&facts.memory_total)),
        ("Distribution", Inline::text(&facts.distribution)),
        ("Kernel", Inline::text(&facts.kernel)),
        ("Container", Inline::text(&details.container)),
        ("Clock source", Inline::text(&details.clock_source)),
        ("Wall clock", switch(&details.clock_synchronised, ["synchronized", "not synchronized"])),
        ("Disk left for the agent", Inline::text(&details.disk_free)),
        ("Machine (hash of its id)", Inline::text(&details.machine_id)),
        ("Client", Inline::own(client)),
    ]
}

fn gpus(host: &HostAnalysis<'_>) -> Vec<(Inline, Inline)> {
    let inventory = host.record.map(|r| &r.gpus);
    let Some(known) = inventory.and_then(|i| i.known()) else {
        return vec![("GPUs".into(), not_available(inventory.and_then(|i| i.reason())))];
    };
    let mut rows = vec![
        ("Driver".into(), Inline::text(&known.driver)),
        ("CUDA (highest the driver supports)".into(), Inline::text(&known.cuda_driver)),
    ];
    for gpu in &known.gpus {
        let name = |what| Inline::own(format!("GPU {}: {what}", gpu.index));
        rows.extend(constants(gpu).into_iter().map(|(what, value)| (name(what), value)));
    }
    rows
}

/// Facts of a GPU that do not change during a run.
fn constants(gpu: &GpuFacts) -> Vec<Row> {
    let watts = |limit: &f64| format!("{limit:.0} W");
    let mut rows = vec![
        ("model", Inline::text(&gpu.name)),
        ("UUID", Inline::text(&gpu.uuid)),
        ("PCI address", Inline::text(&gpu.pci_bus_id)),
        ("memory, total", Inline::text(&gpu.memory_total)),
        ("power limit", reading(&gpu.power_limit_w, watts)),
        ("power limit, default", reading(&gpu.power_limit_default_w, watts)),
    ];
    let Some(board) = &gpu.board else { return rows };
    if board.unified {
        rows.push(("memory", "unified with main memory".into()));
    }
    let link = match (&board.pcie_gen_max, &board.pcie_width_max) {
        (Reading::Known(generation), width) => {
            reading(width, |width| format!("generation {generation}, {width} lanes"))
        }
        (missing @ Reading::NotAvailable { .. }, _) => Inline::text(missing),
    };
    let bandwidth = board.memory_bandwidth_gb_s();
    let bandwidth = reading(&bandwidth, |v| format!("{} GB/s", grouped_real(*v, 0)));
    rows.extend([
        ("memory reserved by the driver", Inline::text(&board.memory_reserved)),
        ("memory bandwidth, theoretical", bandwidth),
        ("PCIe, max", link),
        ("ECC", switch(&board.ecc, ["on", "off"])),
        ("persistence mode", switch(&board.persistence, ["on", "off"])),
        ("compute mode", Inline::text(&board.compute_mode)),
    ]);
    rows
}
