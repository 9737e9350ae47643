//! Where a record holds text. Every field is named, so that a new one can't be forgotten.

use regatta_types::attempt::{AttemptOutcome, AttemptReport};
use regatta_types::engine::{EngineWatch, EngineWindow};
use regatta_types::event::{EventKind, MissingReason, RunEvent, SkipReason};
use regatta_types::facts::{EngineFacts, EngineSettings, HostDetails, HostFacts};
use regatta_types::failure::Failure;
use regatta_types::gpu::{
    Attribution, GpuBoard, GpuFacts, GpuInventory, GpuSeries, GpuWindow, TelemetryGap, UNNAMED_GPU,
};
use regatta_types::ids::{CaseId, CellKey, HostId};
use regatta_types::reading::Reading;
use regatta_types::record::{AttemptRecord, ExpectedHosts, HostRecord, RunHeader, RunRecord};
use regatta_types::suite::{Case, Message, Prompt, Suite};
use regatta_types::trace::{Answer, FinishReason, Outcome, RequestTrace};
use regatta_types::validity::{Finding, FindingCode};

use self::Part::{Host, Name, Text};
use super::scan::Kind;

/// A place that holds text.
pub(super) enum Part<'a> {
    /// A host's name in its own place.
    Host(&'a mut HostId),
    /// A case's id.
    Case(&'a mut CaseId),
    /// A name of another kind, alone.
    Name(Kind, &'a mut String),
    /// Any text.
    Text(&'a mut String),
}

/// What is done with each.
type Visitor<'a> = &'a mut dyn FnMut(Part<'_>);

/// Shows every text of a record to `v`.
pub(super) fn visit(record: &mut RunRecord, v: Visitor<'_>) {
    let RunRecord { header, sealed: _, hosts, absent: _, skipped, missing, events, redacted: _ } =
        record;
    let RunHeader {
        run: _,
        suite: Suite { name: _, description, cases, active_weights: _ },
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
    texts(v, [description, coordinator_version, command]);
    cases.iter_mut().for_each(|case| visit_case(case, v));
    if let ExpectedHosts::Named(hosts) = expected {
        hosts.iter_mut().for_each(|host| v(Host(host)));
    }
    hosts.iter_mut().for_each(|host| visit_host(host, v));
    for (cell, SkipReason::Saturated { at, evidence }) in skipped {
        visit_cell(cell, v);
        all(v, [Part::Case(at), Text(evidence)]);
    }
    for (cell, reason) in missing {
        visit_cell(cell, v);
        visit_missing(reason, v);
    }
    events.iter_mut().for_each(|event| visit_event(event, v));
}

/// Shows every text of an attempt to `v`.
pub(super) fn visit_attempt(attempt: &mut AttemptRecord, v: Visitor<'_>) {
    let AttemptRecord { disposition: _, report } = attempt;
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
        engine: EngineWatch { before, after, metrics },
        findings,
        client_cpu: _,
    } = report;
    visit_cell(&mut key.cell, v);
    v(Name(Kind::Boot, &mut boot.0));
    if let AttemptOutcome::Failed(why) = outcome {
        v(Text(why));
    }
    traces.iter_mut().for_each(|trace| visit_trace(trace, v));
    visit_window(gpu, v);
    visit_engine(before, v);
    visit_engine(after, v);
    let EngineWindow { samples, period_ms: _, failed: _ } = metrics;
    known(samples, v);
    for Finding { code, validity: _, evidence, advice } in findings {
        if let FindingCode::Other(code) = code {
            texts(v, [code]);
        }
        texts(v, [evidence, advice]);
    }
}

fn visit_case(case: &mut Case, v: Visitor<'_>) {
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
    all(v, [Part::Case(id), Text(title)]);
    solo_of.iter_mut().for_each(|of| v(Part::Case(of)));
    sweep.iter_mut().for_each(|sweep| v(Part::Case(&mut sweep.of)));
    let (messages, turns): (&mut [Message], &mut [String]) = match prompt {
        Prompt::Messages(messages) => (messages, &mut []),
        Prompt::Text(_) => (&mut [], &mut []),
        Prompt::Conversation { opening, turns } => (opening, turns),
    };
    texts(v, messages.iter_mut().map(|message| &mut message.content).chain(turns));
}

fn all<'a, const N: usize>(v: Visitor<'_>, parts: [Part<'a>; N]) {
    parts.into_iter().for_each(v);
}

fn texts<'a>(v: Visitor<'_>, texts: impl IntoIterator<Item = &'a mut String>) {
    texts.into_iter().for_each(|text| v(Text(text)));
}

/// The text, or the reason why there is none.
fn reading(reading: &mut Reading<String>) -> &mut String {
    match reading {
        Reading::Known(text) | Reading::NotAvailable { not_available: text } => text,
    }
}

/// Shows the reason where there is one.
fn known<'a, T>(reading: &'a mut Reading<T>, v: Visitor<'_>) -> Option<&'a mut T> {
    match reading {
        Reading::Known(known) => return Some(known),
        Reading::NotAvailable { not_available } => v(Text(not_available)),
    }
    None
}

/// Shows the reasons of readings that hold no text when they are known.
fn reasons<T, const N: usize>(readings: [&mut Reading<T>; N], v: Visitor<'_>) {
    readings.into_iter().for_each(|reading| _ = known(reading, v));
}

fn visit_host(host: &mut HostRecord, v: Visitor<'_>) {
    let HostRecord { host, facts, gpus, engine, clocks: _, refused, simulated: _, checks } = host;
    v(Host(host));
    facts.iter_mut().for_each(|facts| visit_facts(facts, v));
    known(gpus, v).into_iter().for_each(|inventory| visit_inventory(inventory, v));
    visit_engine(engine, v);
    texts(v, refused.iter_mut().chain(checks.iter_mut().map(|outcome| &mut outcome.text)));
}

fn visit_facts(facts: &mut HostFacts, v: Visitor<'_>) {
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
    texts(v, [hostname, agent_version]);
    texts(v, [kernel, distribution, cpu_model, governor, container, clock_source].map(reading));
    known(machine_id, v).into_iter().for_each(|id| v(Name(Kind::Machine, id)));
    reasons([cpus, cores, numa_nodes], v);
    reasons([memory_total, disk_free], v);
    reasons([clock_synchronised], v);
}

fn visit_inventory(inventory: &mut GpuInventory, v: Visitor<'_>) {
    let GpuInventory { driver, cuda_driver, gpus } = inventory;
    texts(v, [driver, cuda_driver].map(reading));
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
        visit_gpu(uuid, v);
        texts(v, [name, pci_bus_id].map(reading));
        reasons([memory_total], v);
        reasons([power_limit_w, power_limit_default_w], v);
        board.iter_mut().for_each(|board| visit_board(board, v));
    }
}

/// A GPU's UUID. One without keeps its index, so that those of two hosts don't look like one GPU.
fn visit_gpu(uuid: &mut String, v: Visitor<'_>) {
    if !uuid.starts_with(UNNAMED_GPU) {
        v(Name(Kind::Gpu, uuid));
    }
}

fn visit_board(board: &mut GpuBoard, v: Visitor<'_>) {
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
    v(Text(reading(compute_mode)));
    reasons([memory_reserved], v);
    reasons([persistence, ecc], v);
    reasons([pcie_gen_max, pcie_width_max, memory_bus_bits, memory_clock_max_mhz], v);
}

fn visit_engine(engine: &mut Reading<EngineFacts>, v: Visitor<'_>) {
    let Some(facts) = known(engine, v) else { return };
    let EngineFacts {
        engine,
        version,
        model,
        context_length,
        quantization,
        fixed_length: _,
        location: _,
        socket: _,
        settings: EngineSettings { kv_dtype, prefix_cache, speculative, flags, slots },
        process: _,
    } = facts;
    v(Text(model));
    texts(v, [engine, version, quantization, kv_dtype, speculative].map(reading));
    reasons([context_length, slots], v);
    reasons([prefix_cache], v);
    known(flags, v).into_iter().for_each(|flags| texts(v, flags));
}

fn visit_cell(cell: &mut CellKey, v: Visitor<'_>) {
    let CellKey { host, case, repetition: _ } = cell;
    all(v, [Host(host), Part::Case(case)]);
}

/// Of a trace only these hold text from outside; the hash of an answer stays.
fn visit_trace(trace: &mut RequestTrace, v: Visitor<'_>) {
    if let Outcome::Failed(Failure { kind: _, message, http_status: _ }) = &mut trace.outcome {
        v(Text(message));
    }
    if let Some(FinishReason::Other(word)) = &mut trace.finish_reason {
        v(Text(word));
    }
    let Answer { sha256: _, chars: _, text } = &mut trace.answer;
    text.iter_mut().for_each(|text| v(Text(text)));
}

fn visit_window(window: &mut GpuWindow, v: Visitor<'_>) {
    let GpuWindow { series, period_ms: _, attribution, gaps, rounds_left_out: _ } = window;
    known(series, v).into_iter().flatten().for_each(|one| visit_series(one, v));
    if let Some(Attribution::Unattributed { reason }) = attribution {
        v(Text(reason));
    }
    texts(v, gaps.iter_mut().map(|TelemetryGap { from: _, until: _, reason }| reason));
}

fn visit_series(series: &mut GpuSeries, v: Visitor<'_>) {
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
    visit_gpu(uuid, v);
    texts(v, processes.iter_mut().map(|process| &mut process.name));
    texts(v, ended.iter_mut().map(|ended| &mut ended.reason));
    for (mut reading, mut why) in std::mem::take(unavailable) {
        texts(v, [&mut reading, &mut why]);
        unavailable.insert(reading, why);
    }
}

fn visit_missing(reason: &mut MissingReason, v: Visitor<'_>) {
    match reason {
        MissingReason::NeverJoined | MissingReason::Cancelled => {}
        MissingReason::Refused { why: text }
        | MissingReason::AgentLost { progress: text }
        | MissingReason::AgentLeft { why: text }
        | MissingReason::AttemptFailed { why: text } => v(Text(text)),
    }
}

fn visit_event(event: &mut RunEvent, v: Visitor<'_>) {
    match &mut event.kind {
        EventKind::AgentJoined { host, again: _ } => v(Host(host)),
        EventKind::AgentDisconnected { host, reason }
        | EventKind::AgentLost { host, reason }
        | EventKind::HostLeftOut { host, why: reason } => {
            all(v, [Host(host), Text(reason)]);
        }
        EventKind::HostPrepared { host, refused } => {
            v(Host(host));
            refused.iter_mut().for_each(|why| v(Text(why)));
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
            all(v, [Part::Case(at), Text(evidence)]);
        }
        EventKind::Warning { text } => v(Text(text)),
        EventKind::RunStarted { .. } | EventKind::RunCancelled | EventKind::RunFinished { .. } => {}
    }
}
