//! GPU telemetry: memory, power, clocks, throttling, energy, processes, and its overhead.

mod energy;

use std::collections::BTreeMap;

use itertools::Itertools as _;
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::GpuFigures;
use regatta_types::gpu::{Attribution, CallCost, GpuFacts, ProcessOwner};

use crate::markdown::layout::{Inline, Page, Table, count, fixed, known, known_count, mib, share};
use crate::words::absent::why;
use crate::words::numbers::quantity;

/// Why a reading is missing.
const UNTOLD: &str = "not reported by the driver, or no samples";

/// The section on GPUs.
pub(super) fn gpu(page: &mut Page, host: &HostAnalysis<'_>) {
    page.section("GPU");
    let gpus = match &host.gpus {
        Ok(gpus) => gpus,
        Err(absent) => {
            page.paragraph(Inline::own(format!("Not available: {}.", Inline::text(why(absent)))));
            return;
        }
    };
    per_gpu(page, host, gpus);
    let hertz = |period_ms| format!("{:.0} Hz samples", 1e3 / f64::from(period_ms));
    let rate = host.telemetry.period_ms.map_or("samples".to_owned(), hertz);
    page.paragraph(Inline::own(format!(
        "Memory excludes the driver's reserve; the peak is the maximum of {rate} over the usable attempts. Engines preallocate memory, so the peak depends on their settings more than on the load. Power: GPU board only, without host, fans and power supply; instantaneous if the driver reports it, else averaged over 1 s."
    )));
    page.list(attribution(host, gpus));
    clocks(page, host, gpus);
    reasons(page, host, gpus);
    processes(page, host, gpus);
    per_case(page, host);
    energy::energy(page, host);
    energy::efficiency(page, host);
    cost(page, host, gpus);
    page.list(gpus.iter().flat_map(|gpu| {
        let ended = gpu.ended.iter().map(|end| ("telemetry ended".into(), &end.reason));
        let unavailable = gpu
            .unavailable
            .iter()
            .map(|(what, why)| (Inline::own(format!("{} not available", Inline::text(what))), why));
        let line = |(what, why): (Inline, &String)| {
            Inline::own(format!("{}: {what}: {}", name(host, &gpu.uuid), Inline::text(why)))
        };
        ended.chain(unavailable).map(line).collect::<Vec<_>>()
    }));
}

/// The facts of a GPU.
fn facts<'a>(host: &HostAnalysis<'a>, uuid: &str) -> Option<&'a GpuFacts> {
    host.record?.gpus.known()?.gpus.iter().find(|gpu| gpu.uuid == uuid)
}

/// `GPU 0`, or its UUID where the inventory does not have it.
fn name(host: &HostAnalysis<'_>, uuid: &str) -> Inline {
    let index = facts(host, uuid).map(|gpu| Inline::own(format!("GPU {}", gpu.index)));
    index.unwrap_or_else(|| Inline::text(uuid))
}

fn per_gpu(page: &mut Page, host: &HostAnalysis<'_>, gpus: &[GpuFigures]) {
    let total = |gpu: &GpuFigures| facts(host, &gpu.uuid)?.memory_total.known().copied();
    Table::of(gpus.iter().map(|gpu| (gpu, total(gpu))))
        .text("GPU", |(gpu, _)| name(host, &gpu.uuid))
        .number("Memory before the run (MiB)", |(gpu, _)| mib(gpu.memory_baseline))
        .number("Peak (MiB)", |(gpu, _)| mib(gpu.memory_peak))
        .number("Peak (GiB)", |(gpu, _)| fixed(gpu.memory_peak.map(|b| b.gib()), 1))
        .number("Total (MiB)", |(_, total)| mib(*total))
        .number("Total (GiB)", |(_, total)| fixed(total.map(|b| b.gib()), 1))
        .number("Power, mean (W)", |(gpu, _)| fixed(gpu.power_mean_w, 1))
        .number("Power, max (W)", |(gpu, _)| fixed(gpu.power_max_w, 1))
        .number("Temperature, max (°C)", |(gpu, _)| known_count(gpu.temperature_max_c))
        .number("Utilization, mean (%)", |(gpu, _)| fixed(gpu.utilization_mean_pct, 1))
        .number("Samples", |(gpu, _)| count(gpu.samples))
        .all_absent(UNTOLD)
        .add_to(page);
}

/// Which GPUs are the endpoint's, and how that is known.
fn attribution(host: &HostAnalysis<'_>, gpus: &[GpuFigures]) -> Vec<Inline> {
    let ways = host.telemetry.attributions.iter().filter_map(|attribution| {
        Some(match attribution {
            Some(Attribution::Named) => "GPUs of the endpoint: named with --gpu.".into(),
            Some(Attribution::PortOwner) => {
                "GPUs of the endpoint: used by the processes that own its port.".into()
            }
            Some(Attribution::OnlyProcess) => {
                "GPUs of the endpoint: used by the only process on any GPU.".into()
            }
            Some(Attribution::Unattributed { reason }) => {
                let reason = Inline::text(reason);
                Inline::own(format!("All GPUs of the host, unattributed: {reason}."))
            }
            None if gpus.len() > 1 => {
                "All GPUs of the host, unattributed: it is not known which of them serve the endpoint."
                    .into()
            }
            None => return None,
        })
    });
    let others = gpus.iter().filter(|gpu| !gpu.serves).map(|gpu| name(host, &gpu.uuid)).join(", ");
    let others = (!others.is_empty())
        .then(|| Inline::own(format!("Not used by the endpoint, excluded from sums: {others}.")));
    ways.chain(others).collect()
}

fn clocks(page: &mut Page, host: &HostAnalysis<'_>, gpus: &[GpuFigures]) {
    let has_any = |gpu: &&GpuFigures| {
        gpu.clock_sm_mean_mhz.or(gpu.clock_memory_mean_mhz).or(gpu.power_limited).is_some()
            || gpu.pcie_gen.or(gpu.pcie_width).or(gpu.performance_state_max).is_some()
            || gpu.ecc_corrected.or(gpu.ecc_uncorrected).is_some()
    };
    Table::of(gpus.iter().filter(has_any))
        .text("GPU", |gpu| name(host, &gpu.uuid))
        .number("SM clock, mean (MHz)", |gpu| fixed(gpu.clock_sm_mean_mhz, 0))
        .number("SM clock, min (MHz)", |gpu| known_count(gpu.clock_sm_min_mhz))
        .number("Memory clock, mean (MHz)", |gpu| fixed(gpu.clock_memory_mean_mhz, 0))
        .text("Slowest P-state", |gpu| {
            known(gpu.performance_state_max.map(|state| format!("P{state}")))
        })
        .number("PCIe generation, max", |gpu| known_count(gpu.pcie_gen))
        .number("PCIe lanes, max", |gpu| known_count(gpu.pcie_width))
        .number("Power-capped (% of time)", |gpu| share(gpu.power_limited, 1))
        .number("Thermally throttled (% of time)", |gpu| share(gpu.heat_limited, 1))
        .number("ECC corrected", |gpu| known_count(gpu.ecc_corrected))
        .number("ECC uncorrected", |gpu| known_count(gpu.ecc_uncorrected))
        .number("Main memory available, min (MiB)", |gpu| mib(gpu.host_memory_available_min))
        .only_if(gpus.iter().any(|gpu| gpu.host_memory_available_min.is_some()))
        .all_absent("not reported by the driver, or no attempt was long enough")
        .add_to(page);
}

/// Throttle reasons.
fn reasons(page: &mut Page, host: &HostAnalysis<'_>, gpus: &[GpuFigures]) {
    let mut rows = Vec::new();
    for gpu in gpus {
        let Some(reasons) = &gpu.reasons else { continue };
        rows.extend(reasons.iter().map(|(reason, share)| (gpu, *reason, *share)));
        if reasons.is_empty() {
            rows.push((gpu, "none", 1.0));
        }
    }
    Table::of(rows)
        .text("GPU", |(gpu, ..)| name(host, &gpu.uuid))
        .text("Throttle reason", |(_, reason, _)| (*reason).into())
        .number("Share of the samples (%)", |(.., held)| share(Some(*held), 1))
        .add_to(page);
}

fn processes(page: &mut Page, host: &HostAnalysis<'_>, gpus: &[GpuFigures]) {
    let all = gpus.iter().flat_map(|gpu| gpu.processes.iter().map(move |process| (gpu, process)));
    Table::of(all)
        .text("GPU", |(gpu, _)| name(host, &gpu.uuid))
        .text("Process", |(_, process)| known(Some(process.pid)))
        .text("Name", |(_, process)| Inline::text(&process.name))
        .text("Owner", |(_, process)| match process.owner {
            ProcessOwner::Engine => "engine".into(),
            ProcessOwner::Foreign => "**other**".into(),
            ProcessOwner::Unknown => "unknown".into(),
        })
        .number("Memory, first seen (MiB)", |(_, process)| mib(process.memory_first))
        .number("Memory, max (MiB)", |(_, process)| mib(process.memory_peak))
        .all_absent("not reported by the driver")
        .add_to(page);
}

fn per_case(page: &mut Page, host: &HostAnalysis<'_>) {
    let gpus = host.cases.iter().flat_map(|case| {
        case.gpus.as_ref().ok().into_iter().flatten().map(move |gpu| (case.case, gpu))
    });
    Table::of(gpus)
        .text("Case", |(case, _)| Inline::text(&case.title))
        .text("GPU", |(_, gpu)| name(host, &gpu.uuid))
        .number("Memory before (MiB)", |(_, gpu)| mib(gpu.memory_baseline))
        .number("Peak (MiB)", |(_, gpu)| mib(gpu.memory_peak))
        .number("Power, mean (W)", |(_, gpu)| fixed(gpu.power_mean_w, 1))
        .number("Power, max (W)", |(_, gpu)| fixed(gpu.power_max_w, 1))
        .number("Temperature, max (°C)", |(_, gpu)| known_count(gpu.temperature_max_c))
        .number("Utilization, mean (%)", |(_, gpu)| fixed(gpu.utilization_mean_pct, 1))
        .number("SM clock, mean (MHz)", |(_, gpu)| fixed(gpu.clock_sm_mean_mhz, 0))
        .all_absent(UNTOLD)
        .add_to(page);
}

/// Telemetry overhead and gaps.
fn cost(page: &mut Page, host: &HostAnalysis<'_>, gpus: &[GpuFigures]) {
    let mut calls: BTreeMap<&str, CallCost> = BTreeMap::new();
    for (name, cost) in gpus.iter().flat_map(|gpu| &gpu.costs) {
        *calls.entry(name).or_default() += *cost;
    }
    // Times of calls are far below 2^53 ns.
    let nanos = |ns: u64| ns as f64;
    Table::of(calls)
        .text("GPU telemetry call", |(name, _)| Inline::text(name))
        .number("Calls", |(_, cost)| count(cost.calls))
        .number("Mean (us)", |(_, cost)| {
            fixed(Some(nanos(cost.total_ns) / nanos(cost.calls.max(1)) / 1e3), 1)
        })
        .number("Max (us)", |(_, cost)| fixed(Some(nanos(cost.max_ns) / 1e3), 1))
        .number("Total (ms)", |(_, cost)| fixed(Some(nanos(cost.total_ns) / 1e6), 1))
        .add_to(page);
    let telemetry = &host.telemetry;
    let left_out = (telemetry.rounds_left_out > 0).then(|| {
        let rounds = quantity(telemetry.rounds_left_out, "telemetry round");
        format!("{rounds} skipped to keep the telemetry below 5 % of the time.")
    });
    let gaps = telemetry.gaps.iter().map(|gap| {
        let seconds = gap.until.since(gap.from).as_secs_f64();
        format!("No readings for {seconds:.1} s: {}.", Inline::text(&gap.reason))
    });
    let more = (telemetry.more_gaps > 0)
        .then(|| format!("{} more gaps without readings.", telemetry.more_gaps));
    page.list(left_out.into_iter().chain(gaps).chain(more).map(Inline::own));
}
