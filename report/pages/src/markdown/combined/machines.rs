//! What the machine of each host did, beside its figures, and how its requests ended.

use regatta_types::validity::Validity;

use crate::markdown::format::{NONE, count, fixed, good, mib};
use crate::markdown::page::Page;
use crate::markdown::table::{Align, Table};
use crate::markdown::text::Inline;
use crate::report::Report;
use crate::words::absent::why;
use regatta_figures::analysis::Endings;
use regatta_figures::hosts::{Cell, CellState, HostAnalysis};
use regatta_figures::metrics::GpuSum;

/// The columns that hold readings.
const READINGS: [&str; 7] = [
    "GPU memory in use, peak (MiB)",
    "GPU power, mean (W)",
    "GPU temperature, max (°C)",
    "SM clock, mean (MHz)",
    "Held by the power limit (%)",
    "Held by heat (%)",
    "PCIe lanes",
];

/// The power limits of a host's GPUs, or why they are not known.
pub(super) fn power_limit(host: &HostAnalysis<'_>) -> Inline {
    let Some(record) = host.record else { return "not available: the host never joined".into() };
    let inventory = match (record.gpus.known(), record.gpus.reason()) {
        (Some(inventory), _) => inventory,
        (None, why) => return Inline::text(&format!("not available: {}", why.unwrap_or(NONE))),
    };
    let serving: Vec<&str> = host
        .gpus
        .as_ref()
        .ok()
        .into_iter()
        .flatten()
        .filter(|g| g.serves)
        .map(|g| g.uuid.as_str())
        .collect();
    let own =
        inventory.gpus.iter().filter(|g| serving.is_empty() || serving.contains(&g.uuid.as_str()));
    let mut limits: Vec<(String, usize)> = Vec::new();
    for gpu in own {
        let limit =
            gpu.power_limit_w.as_ref().map(|w| format!("{} W", fixed(Some(*w), 0))).to_string();
        match limits.iter_mut().find(|(same, _)| *same == limit) {
            Some((_, n)) => *n += 1,
            None => limits.push((limit, 1)),
        }
    }
    let shown =
        limits.into_iter().map(|(limit, n)| if n == 1 { limit } else { format!("{n} x {limit}") });
    Inline::text(&shown.collect::<Vec<_>>().join("; "))
}

/// What a reader needs beside a difference: no figure is scaled by any of it.
pub(super) fn machines(page: &mut Page, members: &[&HostAnalysis<'_>]) {
    let mut table = Table::new(["Host"]);
    for (index, name) in READINGS.into_iter().enumerate() {
        if index == 2 {
            table.column("GPU power limit".into(), Align::Right);
        }
        table.column(name.into(), Align::Right);
    }
    table.column("Notes".into(), Align::Left);
    let mut several = false;
    let percent = |share: Option<f64>| fixed(share.map(|share| share * 100.0), 0);
    for host in members {
        let gpus = GpuSum::of(host.gpus.as_ref().map_or(&[][..], Vec::as_slice));
        several |= gpus.is_unattributed();
        table.row([
            Inline::text(host.host.as_str()),
            mib(gpus.memory_peak),
            fixed(gpus.power_mean_w, 1),
            power_limit(host),
            gpus.temperature_max_c.map_or(NONE.into(), count),
            fixed(gpus.clock_sm_mean_mhz, 0),
            percent(gpus.power_capped),
            percent(gpus.thermally_throttled),
            gpus.pcie_width.map_or(NONE.into(), count),
            notes(host, gpus.gpus),
        ]);
    }
    table.dash(&READINGS, "no such reading, see the notes and the host's page".into());
    page.table(table);
    if members.iter().any(|h| h.gpus.is_ok()) {
        let whose = if several {
            " Of a host with more than one GPU, memory and power are sums over all GPUs of the host, unattributed: nothing says which of them serve the endpoint."
        } else {
            ""
        };
        page.paragraph(&Inline::own(format!(
            "Over usable attempts. Power is that of the GPU board: of the moment where the driver tells it, else its mean of the last second. Clocks held: share of the samples, by the power limit, and by the temperature target or a hardware thermal slowdown, whichever held more. Of several GPUs the slowest, the most held and the fewest lanes are shown. Nothing is scaled by any of it.{whose}"
        )));
    }
}

/// How requests ended, over all counted attempts, those solo apart.
pub(super) fn requests(analysis: &Report<'_>, members: &[&HostAnalysis<'_>]) -> Table {
    let mut table = Table::new(["Host", "Cells counted>", "Requests ok>", "Failed>", "Truncated>"]);
    let some_invalid = analysis.cells.invalid > 0;
    if some_invalid {
        table.column("Invalid cells".into(), Align::Right);
        table.column("Requests ok in them".into(), Align::Right);
    }
    let has_limits = members.iter().any(|host| host.goodput().is_some());
    if has_limits {
        table.column("Good (%)".into(), Align::Right);
    }
    let is_mixed = matches!(analysis.endings(), Endings::SomeCut { .. });
    for host in members {
        let requests = &host.requests;
        let truncated = count(requests.truncated);
        let counted = || host.compared().filter_map(Cell::counted);
        let skipped = |cell: &&Cell<'_>| matches!(cell.state, CellState::Skipped(_));
        let due = host.compared().filter(|cell| !skipped(cell)).count();
        let row = [
            Inline::text(host.host.as_str()),
            Inline::own(format!("{} of {due}", counted().count())),
            count(requests.ok),
            count(requests.failures()),
            if is_mixed && requests.truncated > 0 { truncated.bold() } else { truncated },
        ];
        let invalid = [
            Inline::own(counted().filter(|c| !c.is_usable()).count().to_string()),
            count(requests.ok - host.figures.requests.ok),
        ];
        let invalid = invalid.into_iter().filter(|_| some_invalid);
        let within = has_limits.then(|| good(host.goodput()));
        table.row(row.into_iter().chain(invalid).chain(within));
    }
    table
}

/// In a few words what a reader of the row has to know.
fn notes(host: &HostAnalysis<'_>, gpus: usize) -> Inline {
    let mut notes: Vec<String> = Vec::new();
    if host.record.is_some_and(|r| r.simulated) {
        notes.push("simulated".to_owned());
    }
    let of = |validity| {
        host.cells()
            .filter_map(|(_, cell)| cell.counted())
            .filter(|counted| counted.validity() == validity)
            .count()
    };
    for (validity, n) in [Validity::Invalid, Validity::Degraded].map(|v| (v, of(v))) {
        if n > 0 {
            notes.push(format!("{n} {validity}"));
        }
    }
    let lost = host.missing();
    if lost > 0 {
        notes.push(format!("{lost} missing"));
    }
    for finding in host.warmup_findings() {
        notes.push(Inline::text(&finding.code).to_string());
    }
    if gpus > 1 {
        notes.push(format!("{gpus} GPUs"));
    }
    if let Err(absent) = &host.gpus {
        notes.push(format!("GPU not available: {}", Inline::text(&why(absent))));
    }
    Inline::own(notes.join("; "))
}
