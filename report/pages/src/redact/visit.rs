//! Where a record holds text. Every field is named, so that a new one can't be forgotten.

use std::collections::BTreeMap;

use regatta_types::attempt::{AttemptOutcome, AttemptReport};
use regatta_types::engine::{EngineWatch, EngineWindow};
use regatta_types::event::{EventKind, MissingReason, RunEvent, SkipReason};
use regatta_types::facts::{EngineFacts, EngineSettings, HostDetails, HostFacts};
use regatta_types::failure::Failure;
use regatta_types::gpu::{
    Attribution, GpuBoard, GpuFacts, GpuInventory, GpuSeries, GpuWindow, TelemetryGap,
};
use regatta_types::ids::{CaseId, CellKey, HostId};
use regatta_types::reading::Reading;
use regatta_types::record::{AttemptRecord, ExpectedHosts, HostRecord, RunHeader, RunRecord};
use regatta_types::suite::{Case, Message, Prompt, Suite};
use regatta_types::trace::{Answer, FinishReason, Outcome, RequestTrace};
use regatta_types::validity::{Finding, FindingCode};

/// What is done with each.
pub(super) trait Visitor {
    /// A host's name in its own place.
    fn host(&mut self, host: &mut HostId);
    /// A case's id.
    fn case(&mut self, case: &mut CaseId);
    /// A name of another kind, alone: `gpu`, `machine`, `boot`.
    fn name(&mut self, kind: &'static str, name: &mut String);
    /// Any text.
    fn text(&mut self, text: &mut String);
}

/// Shows every text of a record to `v`.
pub(super) fn visit(record: &mut RunRecord, v: &mut impl Visitor) {
    let RunRecord { header, sealed: _, hosts, absent: _, skipped, missing, events, redacted: _ } =
        record;
    visit_header(header, v);
    hosts.iter_mut().for_each(|host| visit_host(host, v));
    for (cell, SkipReason::Saturated { at, evidence }) in skipped {
        visit_cell(cell, v);
        v.case(at);
        v.text(evidence);
    }
    for (cell, reason) in missing {
        visit_cell(cell, v);
        visit_missing(reason, v);
    }
    events.iter_mut().for_each(|event| visit_event(event, v));
}

/// Shows every text of an attempt to `v`.
pub(super) fn visit_attempt(attempt: &mut AttemptRecord, v: &mut impl Visitor) {
    let AttemptRecord { disposition: _, report } = attempt;
    visit_report(report, v);
}

fn visit_header(header: &mut RunHeader, v: &mut impl Visitor) {
    let RunHeader {
        run: _,
        suite,
        seed: _,
        created: _,
        start: _,
        expected,
        coordinator_version,
        insecure: _,
        keep_text: _,
        command,
        assume_equal: _,
        tariff: _,
        margins: _,
        stagger: _,
    } = header;
    let Suite { name: _, description, cases, active_weights: _ } = suite;
    v.text(description);
    v.text(coordinator_version);
    v.text(command);
    cases.iter_mut().for_each(|case| visit_case(case, v));
    if let ExpectedHosts::Named(hosts) = expected {
        hosts.iter_mut().for_each(|host| v.host(host));
    }
}

fn visit_case(case: &mut Case, v: &mut impl Visitor) {
    let Case {
        id,
        title,
        prompt,
        max_tokens: _,
        min_max_tokens: _,
        length: _,
        temperature: _,
        seed: _,
        stop: _,
        repetitions: _,
        warmup: _,
        load: _,
        sweep,
        solo_of,
        slo: _,
        timeouts: _,
    } = case;
    v.case(id);
    solo_of.iter_mut().for_each(|of| v.case(of));
    sweep.iter_mut().for_each(|sweep| v.case(&mut sweep.of));
    v.text(title);
    let messages = |messages: &mut Vec<Message>, v: &mut dyn FnMut(&mut String)| {
        messages.iter_mut().for_each(|message| v(&mut message.content));
    };
    match prompt {
        Prompt::Messages(list) => messages(list, &mut |text| v.text(text)),
        Prompt::Text(_) => {}
        Prompt::Conversation { opening, turns } => {
            messages(opening, &mut |text| v.text(text));
            turns.iter_mut().for_each(|turn| v.text(turn));
        }
    }
}

fn reading(reading: &mut Reading<String>, v: &mut impl Visitor) {
    match reading {
        Reading::Known(text) | Reading::NotAvailable { not_available: text } => v.text(text),
    }
}

/// The reason, if there is one.
fn reason<T>(reading: &mut Reading<T>, v: &mut impl Visitor) {
    if let Reading::NotAvailable { not_available } = reading {
        v.text(not_available);
    }
}

fn visit_host(host: &mut HostRecord, v: &mut impl Visitor) {
    let HostRecord { host, facts, gpus, engine, clocks: _, refused, simulated: _, checks } = host;
    v.host(host);
    if let Some(facts) = facts {
        visit_facts(facts, v);
    }
    match gpus {
        Reading::Known(inventory) => visit_inventory(inventory, v),
        Reading::NotAvailable { not_available } => v.text(not_available),
    }
    visit_engine(engine, v);
    if let Some(refused) = refused {
        v.text(refused);
    }
    checks.iter_mut().for_each(|outcome| v.text(&mut outcome.text));
}

fn visit_facts(facts: &mut HostFacts, v: &mut impl Visitor) {
    let HostFacts {
        hostname,
        kernel,
        distribution,
        cpu_model,
        cpus,
        memory_total,
        agent_version,
        details,
    } = facts;
    v.text(hostname);
    v.text(agent_version);
    [kernel, distribution, cpu_model].into_iter().for_each(|one| reading(one, v));
    reason(cpus, v);
    reason(memory_total, v);
    let HostDetails {
        machine_id,
        cores,
        governor,
        numa_nodes,
        container,
        clock_source,
        clock_synchronised,
        disk_free,
    } = details;
    match machine_id {
        Reading::Known(id) => v.name("machine", id),
        Reading::NotAvailable { not_available } => v.text(not_available),
    }
    [governor, container, clock_source].into_iter().for_each(|one| reading(one, v));
    reason(cores, v);
    reason(numa_nodes, v);
    reason(clock_synchronised, v);
    reason(disk_free, v);
}

fn visit_inventory(inventory: &mut GpuInventory, v: &mut impl Visitor) {
    let GpuInventory { driver, cuda_driver, gpus } = inventory;
    reading(driver, v);
    reading(cuda_driver, v);
    for gpu in gpus {
        let GpuFacts {
            index: _,
            uuid,
            name,
            pci_bus_id,
            memory_total,
            power_limit_w,
            power_limit_default_w,
            board,
        } = gpu;
        v.name("gpu", uuid);
        reading(name, v);
        reading(pci_bus_id, v);
        reason(memory_total, v);
        reason(power_limit_w, v);
        reason(power_limit_default_w, v);
        if let Some(board) = board {
            visit_board(board, v);
        }
    }
}

fn visit_board(board: &mut GpuBoard, v: &mut impl Visitor) {
    let GpuBoard {
        unified: _,
        memory_reserved,
        persistence,
        compute_mode,
        ecc,
        pcie_gen_max,
        pcie_width_max,
        memory_bus_bits,
        memory_clock_max_mhz,
    } = board;
    reading(compute_mode, v);
    reason(memory_reserved, v);
    reason(persistence, v);
    reason(ecc, v);
    let counts = [pcie_gen_max, pcie_width_max, memory_bus_bits, memory_clock_max_mhz];
    counts.into_iter().for_each(|one| reason(one, v));
}

fn visit_engine(engine: &mut Reading<EngineFacts>, v: &mut impl Visitor) {
    let facts = match engine {
        Reading::Known(facts) => facts,
        Reading::NotAvailable { not_available } => return v.text(not_available),
    };
    let EngineFacts {
        engine,
        version,
        model,
        context_length,
        quantization,
        fixed_length: _,
        location: _,
        settings,
    } = facts;
    v.text(model);
    reason(context_length, v);
    let EngineSettings { kv_dtype, prefix_cache, speculative, flags } = settings;
    let texts = [engine, version, quantization, kv_dtype, speculative];
    texts.into_iter().for_each(|one| reading(one, v));
    reason(prefix_cache, v);
    match flags {
        Reading::Known(flags) => flags.iter_mut().for_each(|flag| v.text(flag)),
        Reading::NotAvailable { not_available } => v.text(not_available),
    }
}

fn visit_cell(cell: &mut CellKey, v: &mut impl Visitor) {
    let CellKey { host, case, repetition: _ } = cell;
    v.host(host);
    v.case(case);
}

fn visit_report(report: &mut AttemptReport, v: &mut impl Visitor) {
    let AttemptReport {
        key,
        epoch: _,
        instance: _,
        boot,
        outcome,
        anchor: _,
        planned_start: _,
        began: _,
        finished: _,
        traces,
        gpu,
        engine,
        findings,
        client_cpu: _,
    } = report;
    visit_cell(&mut key.cell, v);
    v.name("boot", &mut boot.0);
    if let AttemptOutcome::Failed(why) = outcome {
        v.text(why);
    }
    traces.iter_mut().for_each(|trace| visit_trace(trace, v));
    visit_window(gpu, v);
    let EngineWatch { before, after, metrics } = engine;
    visit_engine(before, v);
    visit_engine(after, v);
    let EngineWindow { samples, period_ms: _, failed: _ } = metrics;
    reason(samples, v);
    for Finding { code, validity: _, evidence, advice } in findings {
        if let FindingCode::Other(code) = code {
            v.text(code);
        }
        [evidence, advice].into_iter().for_each(|text| v.text(text));
    }
}

/// Of a trace only these hold text from outside; the hash of an answer stays.
fn visit_trace(trace: &mut RequestTrace, v: &mut impl Visitor) {
    if let Outcome::Failed(Failure { kind: _, message, http_status: _ }) = &mut trace.outcome {
        v.text(message);
    }
    if let Some(FinishReason::Other(word)) = &mut trace.finish_reason {
        v.text(word);
    }
    let Answer { sha256: _, chars: _, text } = &mut trace.answer;
    if let Some(text) = text {
        v.text(text);
    }
}

fn visit_window(window: &mut GpuWindow, v: &mut impl Visitor) {
    let GpuWindow { series, period_ms: _, attribution, gaps, rounds_left_out: _ } = window;
    match series {
        Reading::Known(series) => series.iter_mut().for_each(|one| visit_series(one, v)),
        Reading::NotAvailable { not_available } => v.text(not_available),
    }
    if let Some(Attribution::Unattributed { reason }) = attribution {
        v.text(reason);
    }
    for TelemetryGap { from: _, until: _, reason } in gaps {
        v.text(reason);
    }
}

fn visit_series(series: &mut GpuSeries, v: &mut impl Visitor) {
    let GpuSeries {
        uuid,
        serves: _,
        baseline: _,
        samples: _,
        quiet: _,
        energy: _,
        processes,
        costs: _,
        ended,
        unavailable,
    } = series;
    v.name("gpu", uuid);
    processes.iter_mut().for_each(|process| v.text(&mut process.name));
    if let Some(ended) = ended {
        v.text(&mut ended.reason);
    }
    *unavailable = std::mem::take(unavailable)
        .into_iter()
        .map(|(mut reading, mut why)| {
            v.text(&mut reading);
            v.text(&mut why);
            (reading, why)
        })
        .collect::<BTreeMap<_, _>>();
}

fn visit_missing(reason: &mut MissingReason, v: &mut impl Visitor) {
    match reason {
        MissingReason::NeverJoined | MissingReason::Cancelled => {}
        MissingReason::Refused { why: text }
        | MissingReason::AgentLost { progress: text }
        | MissingReason::AgentLeft { why: text }
        | MissingReason::AttemptFailed { why: text } => v.text(text),
    }
}

fn visit_event(event: &mut RunEvent, v: &mut impl Visitor) {
    match &mut event.kind {
        EventKind::AgentJoined { host, again: _ } => v.host(host),
        EventKind::AgentDisconnected { host, reason }
        | EventKind::AgentLost { host, reason }
        | EventKind::HostLeftOut { host, why: reason } => {
            v.host(host);
            v.text(reason);
        }
        EventKind::HostPrepared { host, refused } => {
            v.host(host);
            if let Some(refused) = refused {
                v.text(refused);
            }
        }
        EventKind::AssignmentLeased { attempt, .. }
        | EventKind::AttemptStarted { attempt }
        | EventKind::AttemptFinished { attempt, .. } => visit_cell(&mut attempt.cell, v),
        EventKind::CellMissing { cell, reason } => {
            visit_cell(cell, v);
            visit_missing(reason, v);
        }
        EventKind::CellSkipped { cell, reason: SkipReason::Saturated { at, evidence } } => {
            visit_cell(cell, v);
            v.case(at);
            v.text(evidence);
        }
        EventKind::Warning { text } => v.text(text),
        EventKind::RunStarted { .. } | EventKind::RunCancelled | EventKind::RunFinished { .. } => {}
    }
}
