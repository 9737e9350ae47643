//! GPU telemetry: memory, power, temperature, utilisation.

use crate::analysis::HostAnalysis;
use crate::markdown::format::{NONE, count, fixed, mib};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::metrics::GpuFigures;

/// Section 5.
pub(super) fn gpu(page: &mut Page, host: &HostAnalysis<'_>) {
    page.section(&"5. GPU".into());
    let Some(gpus) = host.gpus.known() else {
        let reason = host.gpus.reason().unwrap_or_default();
        page.paragraph(&Inline::own(format!("Not available: {}.", Inline::text(reason))));
        return;
    };
    page.table(per_gpu(host, gpus));
    let period = host.attempts.iter().map(|a| a.report.gpu.period_ms).find(|&p| p > 0);
    let rate =
        period.map_or("samples".to_owned(), |p| format!("{:.0} Hz samples", 1e3 / f64::from(p)));
    page.paragraph(&Inline::own(format!(
        "Memory in use is without the driver's own reserve; the peak is the maximum of {rate} over the usable attempts. Engines reserve memory ahead, so the peak follows their settings more than the load. Power is that of the GPU board; host, fans and supply are not in it. It is that of the moment where the driver tells it, else its mean of the last second."
    )));
    if gpus.len() > 1 {
        page.paragraph(
            &"All GPUs of the host, unattributed: nothing says which of them serve the endpoint."
                .into(),
        );
    }
    page.table(per_case(host));
    let missing = gpus.iter().flat_map(|gpu| {
        gpu.unavailable.iter().map(|(what, why)| {
            Inline::own(format!(
                "{}: {} not available: {}",
                name(host, &gpu.uuid),
                Inline::text(what),
                Inline::text(why)
            ))
        })
    });
    page.list(missing);
}

/// `GPU 0`, or its UUID where the inventory does not have it.
fn name(host: &HostAnalysis<'_>, uuid: &str) -> Inline {
    let inventory = host.record.and_then(|r| r.gpus.known());
    let known = inventory.and_then(|i| i.gpus.iter().find(|g| g.uuid == uuid));
    known.map_or(Inline::text(uuid), |gpu| Inline::own(format!("GPU {}", gpu.index)))
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
            count(u64::try_from(gpu.samples).unwrap_or(u64::MAX)),
        ]);
    }
    table.dash(&[], "the driver does not tell, or no sample was taken".into());
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
    ]);
    for case in &host.cases {
        for gpu in case.gpus.known().into_iter().flatten() {
            table.row([
                Inline::text(&case.case.title),
                name(host, &gpu.uuid),
                mib(gpu.memory_baseline),
                mib(gpu.memory_peak),
                fixed(gpu.power_mean_w, 1),
                fixed(gpu.power_max_w, 1),
                gpu.temperature_max_c.map_or(NONE.into(), count),
                fixed(gpu.utilization_mean_pct, 1),
            ]);
        }
    }
    table.dash(&[], "the driver does not tell, or no sample was taken".into());
    table
}
