//! What was measured: run, engine, GPUs, machine, each missing fact with its reason.

use std::fmt::Display;

use regatta_types::reading::Reading;
use regatta_types::units::grouped;

use crate::markdown::format::count_of;
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::report::Report;
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::METRICS_SCHEMA;
use regatta_figures::utc::utc;

/// A reading in a cell: the value, or why there is none.
fn reading<T: Display>(reading: Option<&Reading<T>>) -> Inline {
    reading.map_or("not available: the host never joined".into(), |r| Inline::text(&r.to_string()))
}

fn watts(value: &Reading<f64>) -> Inline {
    reading(Some(&value.as_ref().map(|w| format!("{w:.0} W"))))
}

/// Section 2.
pub(super) fn measured(page: &mut Page, analysis: &Report<'_>, host: &HostAnalysis<'_>) {
    page.section(&"2. What was measured".into());
    let mut table = Table::new(["Fact", "Value"]);
    run(&mut table, analysis, host);
    engine(&mut table, host);
    machine(&mut table, host);
    page.table(table);
    gpus(page, host);
}

fn run(table: &mut Table, analysis: &Report<'_>, host: &HostAnalysis<'_>) {
    let header = &analysis.record.header;
    let suite = &header.suite;
    table.row(["Run".into(), Inline::text(header.run.as_str())]);
    table.row([
        "Suite".into(),
        Inline::own(format!(
            "{}, {}",
            Inline::text(suite.name.as_str()),
            count_of(suite.compared_cases().count(), "case")
        )),
    ]);
    table.row(["Suite hash (SHA-256)".into(), Inline::own(suite.hash())]);
    table.row(["Run created".into(), Inline::own(utc(header.created))]);
    let first = host.attempts.iter().map(|a| a.began).min();
    let last = host.attempts.iter().map(|a| a.finished).max();
    for (name, at) in
        [("First attempt, host's clock", first), ("Last attempt ended, host's clock", last)]
    {
        table.row([name.into(), at.map_or("no attempt".into(), |at| Inline::own(utc(at)))]);
    }
    let class = analysis.class_of(host.host).map_or("none".into(), |c| {
        Inline::own(format!("{} ({})", c.class.label, c.class.fingerprint))
    });
    table.row(["Comparability class".into(), class]);
}

fn engine(table: &mut Table, host: &HostAnalysis<'_>) {
    let engine = host.record.map(|r| &r.engine);
    let Some(facts) = engine.and_then(|e| e.known()) else {
        let reason = engine.and_then(|e| e.reason()).unwrap_or("the host never joined");
        table.row(["Engine".into(), Inline::text(&format!("not available: {reason}"))]);
        return;
    };
    table.row(["Model".into(), Inline::text(&facts.model)]);
    table.row(["Engine".into(), reading(Some(&facts.engine))]);
    table.row(["Engine version".into(), reading(Some(&facts.version))]);
    table.row(["Quantisation".into(), reading(Some(&facts.quantization))]);
    let context =
        facts.context_length.as_ref().map(|&n| format!("{} tokens", grouped(u64::from(n))));
    table.row(["Context length".into(), reading(Some(&context))]);
    let settings = &facts.settings;
    table.row(["KV cache type".into(), reading(Some(&settings.kv_dtype))]);
    table.row(["Prefix cache".into(), switch(&settings.prefix_cache, ["on", "off"])]);
    table.row(["Speculative decoding".into(), reading(Some(&settings.speculative))]);
    let flags = settings.flags.as_ref().map(|flags| match flags.as_slice() {
        [] => "none".to_owned(),
        flags => flags.join(", "),
    });
    table.row(["Engine flags".into(), reading(Some(&flags))]);
    table.row(["Endpoint".into(), Inline::text(&facts.location.to_string())]);
}

/// Something that is so or not.
fn switch(value: &Reading<bool>, words: [&str; 2]) -> Inline {
    reading(Some(&value.as_ref().map(|&on| if on { words[0] } else { words[1] })))
}

fn machine(table: &mut Table, host: &HostAnalysis<'_>) {
    let Some(facts) = host.record.and_then(|r| r.facts.as_ref()) else {
        table.row(["Machine".into(), "not available: the host never joined".into()]);
        return;
    };
    table.row(["Hostname".into(), Inline::text(&facts.hostname)]);
    table.row(["CPU".into(), reading(Some(&facts.cpu_model))]);
    table.row(["Logical CPUs".into(), reading(Some(&facts.cpus))]);
    let details = &facts.details;
    table.row(["Cores".into(), reading(Some(&details.cores))]);
    table.row(["CPU clock governor".into(), reading(Some(&details.governor))]);
    table.row(["NUMA nodes".into(), reading(Some(&details.numa_nodes))]);
    table.row(["Memory".into(), reading(Some(&facts.memory_total))]);
    table.row(["Distribution".into(), reading(Some(&facts.distribution))]);
    table.row(["Kernel".into(), reading(Some(&facts.kernel))]);
    table.row(["Container".into(), reading(Some(&details.container))]);
    table.row(["Clock source".into(), reading(Some(&details.clock_source))]);
    table.row([
        "Wall clock".into(),
        switch(&details.clock_synchronised, ["synchronised", "not synchronised"]),
    ]);
    table.row(["Disk left for the agent".into(), reading(Some(&details.disk_free))]);
    table.row(["Machine (hash of its id)".into(), reading(Some(&details.machine_id))]);
    table.row([
        "Client".into(),
        Inline::own(format!(
            "regatta-agent {}, metrics schema {METRICS_SCHEMA}",
            Inline::text(&facts.agent_version)
        )),
    ]);
}

fn gpus(page: &mut Page, host: &HostAnalysis<'_>) {
    let mut table = Table::new(["GPU fact", "Value"]);
    let inventory = host.record.map(|r| &r.gpus);
    let Some(known) = inventory.and_then(|i| i.known()) else {
        let reason = inventory.and_then(|i| i.reason()).unwrap_or("the host never joined");
        table.row(["GPUs".into(), Inline::text(&format!("not available: {reason}"))]);
        page.table(table);
        return;
    };
    table.row(["Driver".into(), reading(Some(&known.driver))]);
    table.row(["CUDA (highest the driver supports)".into(), reading(Some(&known.cuda_driver))]);
    for gpu in &known.gpus {
        let name = |what: &str| Inline::own(format!("GPU {}: {what}", gpu.index));
        table.row([name("model"), reading(Some(&gpu.name))]);
        table.row([name("UUID"), Inline::text(&gpu.uuid)]);
        table.row([name("PCI address"), reading(Some(&gpu.pci_bus_id))]);
        table.row([name("memory, total"), reading(Some(&gpu.memory_total))]);
        table.row([name("power limit"), watts(&gpu.power_limit_w)]);
        table.row([name("power limit, default"), watts(&gpu.power_limit_default_w)]);
        if let Some(board) = &gpu.board {
            super::gpu::board(&mut table, gpu.index, board);
        }
    }
    page.table(table);
}
