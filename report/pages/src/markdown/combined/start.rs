//! Start synchronization and clocks.

use itertools::Itertools as _;
use regatta_figures::start::{HostStart, SYNCHRONISED_MS, StartReport};
use regatta_types::record::RunHeader;
use regatta_types::suite::StartMode;
use regatta_types::time::ClockOffset;

use crate::markdown::layout::{Inline, Page, Table, fixed, known};
use crate::report::Report;
use crate::words::numbers::quantity;

/// The section on start times and clocks.
pub(super) fn start(page: &mut Page, report: &Report<'_>) {
    page.section("Start synchronization and clocks");
    let start = &report.start;
    if start.hosts.is_empty() {
        page.paragraph("No attempt had a planned start.");
        return;
    }
    let above = [planned(&report.record.header), spread(start)];
    above.into_iter().flatten().for_each(|said| page.paragraph(said));
    table(start).add_to(page);
    let wrong_clocks = start.hosts.iter().filter_map(|host| {
        let off = host.clocks.iter().map(|c| c.wall_offset_ns.unsigned_abs()).max()?;
        (off > 1_000_000_000).then(|| {
            Inline::own(format!(
                "{}: its wall clock differs from the coordinator's by more than 1 s. Set up time synchronization.",
                Inline::text(&host.host)
            ))
        })
    });
    page.list(wrong_clocks);
    page.paragraph("Lateness is measured on each host's own clock. The spread compares monotonic clocks; their drift between the estimates before and after the run is interpolated linearly and included in the error. Wall-clock offsets are for information only. No other figure depends on them.");
}

/// The planned start, unless all hosts start together.
fn planned(header: &RunHeader) -> Option<Inline> {
    let rotates = "in an order that rotates from block to block";
    Some(match header.start {
        StartMode::Together => return None,
        StartMode::Staggered => Inline::own(format!(
            "Planned: in each block (case and repetition) hosts start {} s apart, {rotates}. There is no spread; lateness is relative to each host's own planned start.",
            header.stagger.unwrap_or_default().as_secs_f64()
        )),
        StartMode::Solo => Inline::own(format!(
            "Planned: one host measures at a time, {rotates}. There is no spread; lateness is relative to each host's own planned start."
        )),
        StartMode::Both => Inline::own(format!(
            "Planned: each block (case and repetition) first solo, one host at a time {rotates}, then together. The spread covers the blocks that run together, lateness covers all."
        )),
    })
}

fn spread(start: &StartReport) -> Option<Inline> {
    let (median, largest) = (start.spread_ms.median()?, start.spread_ms.max()?);
    let bound = start.bound_ms?;
    let badge = if start.is_synchronised()? {
        "**synchronized**".to_owned()
    } else {
        format!("**not synchronized**: spread plus clock error exceeds {SYNCHRONISED_MS:.0} ms")
    };
    Some(Inline::own(format!(
        "Spread from the first to the last host of a block (case and repetition): median {median:.2} ms, max {largest:.2} ms over {}, clock error up to ±{bound:.2} ms: {badge}.",
        quantity(start.spread_ms.n(), "block"),
    )))
}

fn table(start: &StartReport) -> Table<&HostStart> {
    Table::of(&start.hosts)
        .text("Host", |h| Inline::text(&h.host))
        .number("Blocks", |h| known(Some(h.lateness_ms.n())))
        .number("Lateness, median (ms)", |h| fixed(h.lateness_ms.median(), 2))
        .number("Lateness, max (ms)", |h| fixed(h.lateness_ms.max(), 2))
        .number("Clock drift (ms)", |h| fixed(h.drift_ms, 3))
        .absent("there is no second clock estimate, so the error of the spread excludes drift")
        .text("Wall clock minus coordinator's (before; after the run)", |h| clocks(h))
}

fn clocks(host: &HostStart) -> Inline {
    let estimate = |c: &ClockOffset| {
        // No `-0.00`.
        let offset = (c.wall_offset_ns as f64 / 1e4).round() / 100.0 + 0.0;
        format!("{offset:+.2} ms ±{:.2} ms", c.bound_ns as f64 / 1e6)
    };
    let clocks = host.clocks.iter().map(estimate).join("; ");
    if clocks.is_empty() { "not measured".into() } else { Inline::own(clocks) }
}
