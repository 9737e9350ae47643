//! GPU checks: readings, the engine's GPUs, and other processes on them.

use regatta_types::check::{Check, CheckOutcome};
use regatta_types::facts::EndpointLocation;
use regatta_types::gpu::{
    Attribution, FOREIGN_HELD, GpuFacts, GpuInventory, GpuProcess, GpuSeries, GpuWindow,
    ProcessOwner,
};
use regatta_types::reading::Reading;

use super::PreflightInput;
use crate::gpu::GpuSelector;

/// Used where the first GPU check has the reason.
const UNREADABLE: &str = "GPUs not readable";
/// Maximum number of processes named in a message.
const NAMED: usize = 3;

pub(super) fn checks(seen: &PreflightInput<'_>) -> [CheckOutcome; 4] {
    let window = match &seen.engine {
        Ok(engine) if engine.facts.location == EndpointLocation::Remote => {
            let why = "not checked: the endpoint runs on another machine";
            return [
                Check::GpuReadings.unknown(why),
                Check::GpuChoice.unknown(why),
                Check::GpuProcesses.unknown(why),
                Check::Persistence.unknown(why),
            ];
        }
        Ok(engine) => Some(&engine.warmup.gpu),
        Err(_) => None,
    };
    [
        readings(seen.gpus),
        choice(seen.chosen, seen.gpus),
        processes(seen.gpus, window),
        persistence(seen.gpus, window),
    ]
}

fn readings(gpus: &Reading<GpuInventory>) -> CheckOutcome {
    match gpus {
        Reading::Known(inventory) if inventory.gpus.is_empty() => Check::GpuReadings
            .warning("the driver lists no GPU, so the reports lack memory, power and clocks"),
        Reading::Known(inventory) => {
            let driver = match &inventory.driver {
                Reading::Known(driver) => format!(", driver {driver}"),
                Reading::NotAvailable { .. } => String::new(),
            };
            let names: Vec<String> = inventory.gpus.iter().map(name).collect();
            Check::GpuReadings.ok(format!("{}{driver}", names.join(", ")))
        }
        Reading::NotAvailable { not_available } => Check::GpuReadings.warning(format!(
            "GPUs not readable ({not_available}), so the reports lack memory, power and clocks"
        )),
    }
}

fn name(gpu: &GpuFacts) -> String {
    match &gpu.name {
        Reading::Known(name) => format!("GPU {}: {name}", gpu.index),
        Reading::NotAvailable { .. } => format!("GPU {}", gpu.index),
    }
}

fn choice(chosen: &[GpuSelector], gpus: &Reading<GpuInventory>) -> CheckOutcome {
    let named = |list: Vec<&GpuSelector>| {
        list.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    if chosen.is_empty() {
        return Check::GpuChoice.ok("no --gpu: taken from the engine's processes");
    }
    let inventory = match gpus {
        Reading::Known(inventory) => inventory,
        Reading::NotAvailable { .. } => {
            let chosen = named(chosen.iter().collect());
            return Check::GpuChoice.unknown(format!(
                "not checked: --gpu {chosen}, but GPUs are not \
                readable"
            ));
        }
    };
    let is_there = |one: &&GpuSelector| inventory.gpus.iter().any(|gpu| one.names(gpu));
    let stray: Vec<&GpuSelector> = chosen.iter().filter(|one| !is_there(one)).collect();
    if stray.is_empty() {
        return Check::GpuChoice.ok(format!("--gpu {}", named(chosen.iter().collect())));
    }
    let has: Vec<String> =
        inventory.gpus.iter().map(|gpu| format!("{} ({})", gpu.index, gpu.uuid)).collect();
    let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
    Check::GpuChoice
        .failed(format!("--gpu {} matches no GPU of this host. Available: {has}", named(stray)))
}

fn serving(window: &GpuWindow) -> impl Iterator<Item = &GpuSeries> {
    window.series.known().into_iter().flatten().filter(|series| series.serves)
}

fn processes(gpus: &Reading<GpuInventory>, window: Option<&GpuWindow>) -> CheckOutcome {
    let check = Check::GpuProcesses;
    if gpus.known().is_none() {
        return check.unknown(UNREADABLE);
    }
    let Some(window) = window else {
        return check.unknown("not checked: no engine");
    };
    if let Some(reason) = window.series.reason() {
        return check.unknown(reason);
    }
    let foreign: Vec<&GpuProcess> = serving(window)
        .flat_map(|series| &series.processes)
        .filter(|process| process.owner == ProcessOwner::Foreign && is_large(process))
        .collect();
    if !foreign.is_empty() {
        let named: Vec<String> = foreign.iter().take(NAMED).map(|one| described(one)).collect();
        let more = foreign.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        return check.warning(format!(
            "other processes use the engine's GPUs: {}{more}. Stop them, or select the endpoint's \
             GPUs with --gpu",
            named.join(", ")
        ));
    }
    match &window.attribution {
        Some(Attribution::Unattributed { reason }) => check.unknown(reason.clone()),
        None => check.unknown("not checked: the engine's GPUs are unknown"),
        Some(Attribution::Named | Attribution::PortOwner | Attribution::OnlyProcess) => {
            check.ok("no other process holds significant memory on the engine's GPUs")
        }
    }
}

/// Ignores small processes such as a desktop.
fn is_large(process: &GpuProcess) -> bool {
    let held = process.memory.iter().filter_map(|step| step.used).max();
    held.is_none_or(|held| held >= FOREIGN_HELD)
}

fn described(process: &GpuProcess) -> String {
    let held = process.memory.iter().filter_map(|step| step.used).max();
    let held = held.map_or_else(|| "memory unknown".to_owned(), |held| held.to_string());
    format!("process {} ({}, {held})", process.pid, process.name)
}

fn persistence(gpus: &Reading<GpuInventory>, window: Option<&GpuWindow>) -> CheckOutcome {
    let check = Check::Persistence;
    let inventory = match gpus {
        Reading::Known(inventory) => inventory,
        Reading::NotAvailable { .. } => return check.unknown(UNREADABLE),
    };
    let serves: Vec<&str> =
        window.into_iter().flat_map(serving).map(|series| series.uuid.as_str()).collect();
    let is_meant = |gpu: &&GpuFacts| serves.is_empty() || serves.contains(&gpu.uuid.as_str());
    let mut off = Vec::new();
    let mut why = None;
    let mut on = 0;
    for gpu in inventory.gpus.iter().filter(is_meant) {
        match gpu.board.as_ref().map(|board| &board.persistence) {
            Some(Reading::Known(true)) => on += 1,
            Some(Reading::Known(false)) => off.push(gpu.index.to_string()),
            Some(Reading::NotAvailable { not_available }) => why = Some(not_available.as_str()),
            None => why = Some("not reported by the driver"),
        }
    }
    match (off.is_empty(), why) {
        (false, _) => check.warning(format!(
            "off on GPU {}, so the driver may unload between requests. Enable it (nvidia-smi -pm \
             1) and restart the agent",
            off.join(", ")
        )),
        (true, Some(why)) => check.unknown(why),
        (true, None) if on == 0 => check.unknown("no GPU"),
        (true, None) => check.ok("on"),
    }
}
