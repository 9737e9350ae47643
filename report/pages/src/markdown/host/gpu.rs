//! GPU telemetry: memory, power, clocks, limits, energy, processes, and what reading it cost.

mod cost;
mod energy;

use regatta_types::gpu::{Attribution, GpuBoard, ProcessOwner};
use regatta_types::reading::Reading;
use regatta_types::units::grouped_real;

use crate::markdown::format::{NONE, count, fixed, known_count, mib};
use crate::markdown::page::Page;
use crate::markdown::table::{Align, Table};
use crate::markdown::text::Inline;
use crate::words::absent::why;
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::GpuFigures;

/// Section 5.
pub(super) fn gpu(page: &mut Page, host: &HostAnalysis<'_>) {
    page.section(&"5. GPU".into());
    let gpus = match &host.gpus {
        Ok(gpus) => gpus,
        Err(absent) => {
            let why = Inline::text(&why(absent));
            page.paragraph(&Inline::own(format!("Not available: {why}.")));
            return;
        }
    };
    page.table(per_gpu(host, gpus));
    let rate = host
        .telemetry
        .period_ms
        .map_or("samples".to_owned(), |p| format!("{:.0} Hz samples", 1e3 / f64::from(p)));
    page.paragraph(&Inline::own(format!(
        "Memory in use is without the driver's own reserve; the peak is the maximum of {rate} over the usable attempts. Engines reserve memory ahead, so the peak follows their settings more than the load. Power is that of the GPU board; host, fans and supply are not in it. It is that of the moment where the driver tells it, else its mean of the last second."
    )));
    page.list(attribution(host, gpus));
    page.table(clocks(host, gpus));
    page.table(reasons(host, gpus));
    page.table(processes(host, gpus));
    page.table(per_case(host));
    energy::energy(page, host);
    energy::efficiency(page, host);
    cost::cost(page, host, gpus);
    let missing = gpus.iter().flat_map(|gpu| {
        let ended = gpu.ended.iter().map(|end| {
            Inline::own(format!(
                "{}: telemetry ended: {}",
                name(host, &gpu.uuid),
                Inline::text(&end.reason)
            ))
        });
        ended.chain(gpu.unavailable.iter().map(|(what, why)| {
            Inline::own(format!(
                "{}: {} not available: {}",
                name(host, &gpu.uuid),
                Inline::text(what),
                Inline::text(why)
            ))
        }))
    });
    page.list(missing);
}

/// `GPU 0`, or its UUID where the inventory does not have it.
fn name(host: &HostAnalysis<'_>, uuid: &str) -> Inline {
    let inventory = host.record.and_then(|r| r.gpus.known());
    let known = inventory.and_then(|i| i.gpus.iter().find(|g| g.uuid == uuid));
    known.map_or(Inline::text(uuid), |gpu| Inline::own(format!("GPU {}", gpu.index)))
}

/// A value or its reason.
fn told<T>(reading: &Reading<T>, say: impl Fn(&T) -> String) -> Inline {
    match reading {
        Reading::Known(value) => Inline::text(&say(value)),
        Reading::NotAvailable { not_available } => {
            Inline::text(&format!("not available: {not_available}"))
        }
    }
}

/// The rows of a GPU's further constants.
pub(super) fn board(table: &mut Table, index: u32, board: &GpuBoard) {
    let on = |on: &bool| if *on { "on" } else { "off" }.to_owned();
    let name = |what: &str| Inline::own(format!("GPU {index}: {what}"));
    if board.unified {
        table.row([name("memory"), "the machine's main memory (unified)".into()]);
    }
    table
        .row([name("memory, driver's reserve"), told(&board.memory_reserved, ToString::to_string)]);
    let bandwidth = board.memory_bandwidth_gb_s();
    table.row([
        name("memory bandwidth, theoretical"),
        told(&bandwidth, |v| format!("{} GB/s", grouped_real(*v, 0))),
    ]);
    let link = match (&board.pcie_gen_max, &board.pcie_width_max) {
        (Reading::Known(generation), width) => {
            told(width, |width| format!("generation {generation}, {width} lanes"))
        }
        (missing @ Reading::NotAvailable { .. }, _) => told(missing, ToString::to_string),
    };
    table.row([name("PCIe, at most"), link]);
    table.row([name("ECC"), told(&board.ecc, on)]);
    table.row([name("persistence mode"), told(&board.persistence, on)]);
    table.row([name("compute mode"), told(&board.compute_mode, Clone::clone)]);
}

fn per_gpu(host: &HostAnalysis<'_>, gpus: &[GpuFigures]) -> Table {
    let mut table = Table::new([
        "GPU",
        "Memory in use before the run (MiB)>",
        "Peak (MiB)>",
        "Peak (GiB)>",
        "Total (MiB)>",
        "Total (GiB)>",
        "Power, mean (W)>",
        "Power, max (W)>",
        "Temperature, max (°C)>",
        "Utilisation, mean (%)>",
        "Samples>",
    ]);
    let inventory = host.record.and_then(|r| r.gpus.known());
    for gpu in gpus {
        let facts = inventory.and_then(|i| i.gpus.iter().find(|g| g.uuid == gpu.uuid));
        let total = facts.and_then(|f| f.memory_total.known().copied());
        table.row([
            name(host, &gpu.uuid),
            mib(gpu.memory_baseline),
            mib(gpu.memory_peak),
            fixed(gpu.memory_peak.map(|b| b.gib()), 1),
            mib(total),
            fixed(total.map(|b| b.gib()), 1),
            fixed(gpu.power_mean_w, 1),
            fixed(gpu.power_max_w, 1),
            gpu.temperature_max_c.map_or(NONE.into(), count),
            fixed(gpu.utilization_mean_pct, 1),
            count(gpu.samples),
        ]);
    }
    table.dash(&[], "the driver does not tell, or no sample was taken".into());
    table
}

/// Which GPUs are the endpoint's, each way of knowing once.
fn attribution(host: &HostAnalysis<'_>, gpus: &[GpuFigures]) -> Vec<Inline> {
    let others: Vec<String> = gpus
        .iter()
        .filter(|gpu| !gpu.serves)
        .map(|gpu| name(host, &gpu.uuid).to_string())
        .collect();
    let mut lines: Vec<String> = Vec::new();
    for attribution in &host.telemetry.attributions {
        let line = match attribution {
            Some(Attribution::Named) => {
                "The endpoint's GPUs are those named with --gpu.".to_owned()
            }
            Some(Attribution::PortOwner) => {
                "The endpoint's GPUs are those of the processes that own its port.".to_owned()
            }
            Some(Attribution::OnlyProcess) => {
                "The endpoint's GPUs are those of the only process on any GPU.".to_owned()
            }
            Some(Attribution::Unattributed { reason }) => {
                format!("All GPUs of the host, unattributed: {}.", Inline::text(reason))
            }
            None if gpus.len() > 1 => {
                "All GPUs of the host, unattributed: nothing says which of them serve the endpoint."
                    .to_owned()
            }
            None => continue,
        };
        lines.push(line);
    }
    if !others.is_empty() {
        lines.push(format!("Not the endpoint's, and in no sum: {}.", others.join(", ")));
    }
    lines.into_iter().map(Inline::own).collect()
}

fn percent(share: Option<f64>) -> Inline {
    fixed(share.map(|share| share * 100.0), 1)
}

fn clocks(host: &HostAnalysis<'_>, gpus: &[GpuFigures]) -> Table {
    let mut table = Table::new([
        "GPU",
        "SM clock, mean (MHz)>",
        "SM clock, min (MHz)>",
        "Memory clock, mean (MHz)>",
        "Slowest P-state",
        "PCIe generation, highest>",
        "PCIe lanes, most>",
        "Time under the power limit (%)>",
        "Time under a heat limit (%)>",
        "ECC corrected>",
        "ECC uncorrected>",
    ]);
    let is_unified = gpus.iter().any(|gpu| gpu.host_memory_available_min.is_some());
    if is_unified {
        table.column("Main memory available, least (MiB)".into(), Align::Right);
    }
    let has_any = |gpu: &&GpuFigures| {
        gpu.clock_sm_mean_mhz.or(gpu.clock_memory_mean_mhz).or(gpu.power_limited).is_some()
            || gpu.pcie_gen.or(gpu.pcie_width).or(gpu.performance_state_max).is_some()
            || gpu.ecc_corrected.or(gpu.ecc_uncorrected).is_some()
    };
    for gpu in gpus.iter().filter(has_any) {
        let row = [
            name(host, &gpu.uuid),
            fixed(gpu.clock_sm_mean_mhz, 0),
            gpu.clock_sm_min_mhz.map_or(NONE.into(), count),
            fixed(gpu.clock_memory_mean_mhz, 0),
            gpu.performance_state_max.map_or(NONE.into(), |p| Inline::own(format!("P{p}"))),
            gpu.pcie_gen.map_or(NONE.into(), count),
            gpu.pcie_width.map_or(NONE.into(), count),
            percent(gpu.power_limited),
            percent(gpu.heat_limited),
            known_count(gpu.ecc_corrected),
            known_count(gpu.ecc_uncorrected),
        ];
        let available = is_unified.then(|| mib(gpu.host_memory_available_min));
        table.row(row.into_iter().chain(available));
    }
    table.dash(&[], "the driver does not tell, or no attempt was long enough".into());
    table
}

/// Why the clocks were what they were.
fn reasons(host: &HostAnalysis<'_>, gpus: &[GpuFigures]) -> Table {
    let mut table = Table::new(["GPU", "Clocks held by", "Share of the samples (%)>"]);
    for gpu in gpus {
        let Some(reasons) = &gpu.reasons else { continue };
        for (reason, share) in reasons {
            table.row([name(host, &gpu.uuid), (*reason).into(), percent(Some(*share))]);
        }
        if reasons.is_empty() {
            table.row([name(host, &gpu.uuid), "nothing".into(), percent(Some(1.0))]);
        }
    }
    table
}

fn processes(host: &HostAnalysis<'_>, gpus: &[GpuFigures]) -> Table {
    let mut table = Table::new([
        "GPU",
        "Process",
        "Name",
        "Whose",
        "Memory, first seen (MiB)>",
        "Memory, most (MiB)>",
    ]);
    for gpu in gpus {
        for process in &gpu.processes {
            table.row([
                name(host, &gpu.uuid),
                Inline::own(process.pid.to_string()),
                Inline::text(&process.name),
                match process.owner {
                    ProcessOwner::Engine => "the engine's".into(),
                    ProcessOwner::Foreign => "**another's**".into(),
                    ProcessOwner::Unknown => "not known".into(),
                },
                mib(process.memory_first),
                mib(process.memory_peak),
            ]);
        }
    }
    table.dash(&[], "the driver does not tell".into());
    table
}

fn per_case(host: &HostAnalysis<'_>) -> Table {
    let mut table = Table::new([
        "Case",
        "GPU",
        "Memory in use before (MiB)>",
        "Peak (MiB)>",
        "Power, mean (W)>",
        "Power, max (W)>",
        "Temperature, max (°C)>",
        "Utilisation, mean (%)>",
        "SM clock, mean (MHz)>",
    ]);
    for case in &host.cases {
        for gpu in case.gpus.iter().flatten() {
            table.row([
                Inline::text(&case.case.title),
                name(host, &gpu.uuid),
                mib(gpu.memory_baseline),
                mib(gpu.memory_peak),
                fixed(gpu.power_mean_w, 1),
                fixed(gpu.power_max_w, 1),
                gpu.temperature_max_c.map_or(NONE.into(), count),
                fixed(gpu.utilization_mean_pct, 1),
                fixed(gpu.clock_sm_mean_mhz, 0),
            ]);
        }
    }
    table.dash(&[], "the driver does not tell, or no sample was taken".into());
    table
}
