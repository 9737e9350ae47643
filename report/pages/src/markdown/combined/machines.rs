//! Machines: memory, power, throttling and links of each host, and how its requests ended.

use itertools::Itertools as _;
use regatta_figures::analysis::Endings;
use regatta_figures::hosts::{Cell, CellState, HostAnalysis};
use regatta_figures::metrics::GpuSum;
use regatta_types::validity::Validity;

use crate::markdown::layout::{
    Inline, Page, Table, count, fixed, good, known, known_count, mib, share,
};
use crate::report::Report;
use crate::words::absent::why;
use crate::words::numbers::NONE;

/// The section on machines.
pub(super) fn machines(page: &mut Page, report: &Report<'_>) {
    page.section("Machines");
    telemetry(page, &report.hosts.iter().collect_vec());
    let links = report.hosts.iter().map(|HostAnalysis { host, .. }| {
        Inline::own(format!("[{}](hosts/{host}.md)", Inline::text(host)))
    });
    page.paragraph(Inline::own(format!("Per-host reports: {}.", Inline::join(links, ", "))));
}

/// The power limits of a host's GPUs, or why they are unknown.
pub(super) fn power_limit(host: &HostAnalysis<'_>) -> Inline {
    let Some(record) = host.record else { return "not available: the host never joined".into() };
    let inventory = match (record.gpus.known(), record.gpus.reason()) {
        (Some(inventory), _) => inventory,
        (None, why) => return Inline::text(format!("not available: {}", why.unwrap_or(NONE))),
    };
    let serving = host.gpus.iter().flatten().filter(|gpu| gpu.serves);
    let serving = serving.map(|gpu| &gpu.uuid).collect_vec();
    let gpus = inventory.gpus.iter();
    let gpus = gpus.filter(|gpu| serving.is_empty() || serving.contains(&&gpu.uuid));
    let watts = |w: &f64| format!("{} W", fixed(Some(*w), 0));
    let limits = gpus.map(|gpu| gpu.power_limit_w.as_ref().map(watts).to_string()).collect_vec();
    let shown = limits.iter().unique().map(|limit| {
        match limits.iter().filter(|other| *other == limit).count() {
            1 => limit.clone(),
            n => format!("{n} x {limit}"),
        }
    });
    Inline::text(shown.format("; "))
}

/// GPU telemetry beside the results. No result is scaled by it.
fn telemetry(page: &mut Page, members: &[&HostAnalysis<'_>]) {
    let none = "no reading, see the notes and the per-host report";
    let gpus = |host: &HostAnalysis<'_>| GpuSum::of(host.gpus.as_deref().unwrap_or_default());
    let rows = members.iter().map(|host| (host, gpus(host))).collect_vec();
    let several = rows.iter().any(|(_, gpus)| gpus.is_unattributed());
    Table::of(rows)
        .text("Host", |(host, _)| Inline::text(host.host))
        .number_or("GPU memory, peak (MiB)", none, |(_, gpus)| mib(gpus.memory_peak))
        .number_or("GPU power, mean (W)", none, |(_, gpus)| fixed(gpus.power_mean_w, 1))
        .number("GPU power limit", |(host, _)| power_limit(host))
        .number("GPU temperature, max (°C)", |(_, gpus)| known_count(gpus.temperature_max_c))
        .absent(none)
        .number_or("SM clock, mean (MHz)", none, |(_, gpus)| fixed(gpus.clock_sm_mean_mhz, 0))
        .number_or("Power-capped (%)", none, |(_, gpus)| share(gpus.power_capped, 0))
        .number_or("Thermally throttled (%)", none, |(_, gpus)| share(gpus.thermally_throttled, 0))
        .number_or("PCIe lanes", none, |(_, gpus)| known_count(gpus.pcie_width))
        .text("Notes", |(host, gpus)| notes(host, gpus.gpus))
        .add_to(page);
    if members.iter().any(|h| h.gpus.is_ok()) {
        let whose = if several {
            " With more than one GPU per host, memory and power are sums over all GPUs of the host, unattributed: it is not known which of them serve the endpoint."
        } else {
            ""
        };
        page.paragraph(Inline::own(format!(
            "Over usable attempts. GPU board power, instantaneous if the driver reports it, else averaged over 1 s. Power-capped, thermally throttled: share of the samples with that throttle reason. With several GPUs: the lowest clock, the most throttling, the fewest lanes. No result is adjusted for these readings.{whose}"
        )));
    }
}

/// How requests ended, over all counted attempts except solo ones.
pub(super) fn requests(page: &mut Page, report: &Report<'_>) {
    let members = &report.hosts;
    let some_invalid = report.cells.invalid > 0;
    let has_limits = members.iter().any(|host| host.goodput().is_some());
    let is_mixed = matches!(report.endings(), Endings::SomeCut { .. });
    let skipped = |cell: &&Cell<'_>| matches!(cell.state, CellState::Skipped(_));
    Table::of(members)
        .text("Host", |host| Inline::text(host.host))
        .number("Cells counted", |host| {
            let due = host.compared().filter(|cell| !skipped(cell)).count();
            let counted = host.compared().filter_map(Cell::counted).count();
            Inline::own(format!("{counted} of {due}"))
        })
        .number("Requests OK", |host| count(host.requests.ok))
        .number("Failed", |host| count(host.requests.failures()))
        .number("Truncated", |host| {
            let truncated = host.requests.truncated;
            count(truncated).bold_if(is_mixed && truncated > 0)
        })
        .number("Invalid cells", |host| {
            let counted = host.compared().filter_map(Cell::counted);
            known(Some(counted.filter(|c| !c.is_usable()).count()))
        })
        .only_if(some_invalid)
        .number("OK requests in invalid cells", |host| {
            count(host.requests.ok - host.figures.requests.ok)
        })
        .only_if(some_invalid)
        .number("SLO met (%)", |host| good(host.goodput()))
        .only_if(has_limits)
        .add_to(page);
}

/// Notes for a row.
fn notes(host: &HostAnalysis<'_>, gpus: usize) -> Inline {
    let mut notes: Vec<String> = Vec::new();
    if host.record.is_some_and(|r| r.simulated) {
        notes.push("simulated".to_owned());
    }
    for validity in [Validity::Invalid, Validity::Degraded] {
        let counted = host.cells().filter_map(|(_, cell)| cell.counted());
        let n = counted.filter(|counted| counted.validity() == validity).count();
        notes.extend((n > 0).then(|| format!("{n} {validity}")));
    }
    let lost = host.missing();
    notes.extend((lost > 0).then(|| format!("{lost} missing")));
    notes.extend(host.warmup_findings().map(|found| Inline::text(&found.code).to_string()));
    if gpus > 1 {
        notes.push(format!("{gpus} GPUs"));
    }
    if let Err(absent) = &host.gpus {
        notes.push(format!("GPU not available: {}", Inline::text(why(absent))));
    }
    Inline::own(notes.join("; "))
}
