//! How closely the hosts started, and what their clocks say.

use regatta_types::record::RunHeader;
use regatta_types::suite::StartMode;

use crate::markdown::format::{count_of, fixed};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::report::Report;
use regatta_figures::start::{HostStart, SYNCHRONISED_MS, StartReport};

/// Section 6.
pub(super) fn start(page: &mut Page, analysis: &Report<'_>) {
    page.section(&"6. Start and clocks".into());
    let start = &analysis.start;
    if start.hosts.is_empty() {
        page.paragraph(&"No attempt had a planned start.".into());
        return;
    }
    if let Some(planned) = planned(&analysis.record.header) {
        page.paragraph(&planned);
    }
    if let Some(spread) = spread(start) {
        page.paragraph(&spread);
    }
    page.table(table(start));
    let wrong_clocks = start.hosts.iter().filter_map(|host| {
        let off = host.clocks.iter().map(|c| c.wall_offset_ns.unsigned_abs()).max()?;
        (off > 1_000_000_000).then(|| {
            Inline::own(format!(
                "{}: its wall clock differs from the coordinator's by more than 1 s; set up time synchronisation.",
                Inline::text(host.host.as_str())
            ))
        })
    });
    page.list(wrong_clocks);
    page.paragraph(&"Lateness is taken on each host's own clock. The spread uses the monotonic clocks; their drift from the estimate before the run to the one after it is drawn as a straight line, and its part is in the error. Offsets are of the wall clocks, for display. No figure depends on any of it.".into());
}

/// What was planned, where it was not that all hosts begin together.
fn planned(header: &RunHeader) -> Option<Inline> {
    let rotates = "in an order that rotates from block to block";
    Some(match header.start {
        StartMode::Together => return None,
        StartMode::Staggered => Inline::own(format!(
            "Planned: in each block (case and repetition) every host begins {} s after the one before it, {rotates}. No two begin together, so there is no spread; lateness is against each host's own planned start.",
            header.stagger.unwrap_or_default().as_secs_f64()
        )),
        StartMode::Solo => Inline::own(format!(
            "Planned: one host measures at a time, {rotates}. No two begin together, so there is no spread; lateness is against each host's own planned start."
        )),
        StartMode::Both => Inline::own(format!(
            "Planned: each block (case and repetition) solo, one host at a time {rotates}, and then together. The spread is that of the blocks together; lateness is of all."
        )),
    })
}

fn spread(start: &StartReport) -> Option<Inline> {
    let (median, largest) = (start.spread_ms.median()?, start.spread_ms.max()?);
    let bound = start.bound_ms?;
    let badge = if start.is_synchronised()? {
        "**synchronised**".to_owned()
    } else {
        format!("**not synchronised**: spread and clock error exceed {SYNCHRONISED_MS:.0} ms")
    };
    Some(Inline::own(format!(
        "Spread between the first and the last host of a block (case and repetition): median {median:.2} ms, largest {largest:.2} ms over {}, each ±{bound:.2} ms or less by the clocks; {badge}.",
        count_of(start.spread_ms.n(), "block"),
    )))
}

fn table(start: &StartReport) -> Table {
    let mut table = Table::new([
        "Host",
        "Blocks>",
        "Late, median (ms)>",
        "Late, largest (ms)>",
        "Clock drift over the run (ms)>",
        "Clock against the coordinator (before the run; after)",
    ]);
    for host in &start.hosts {
        table.row([
            Inline::text(host.host.as_str()),
            Inline::own(host.lateness_ms.n().to_string()),
            fixed(host.lateness_ms.median(), 2),
            fixed(host.lateness_ms.max(), 2),
            fixed(host.drift_ms, 3),
            clocks(host),
        ]);
    }
    table.dash(
        &["Clock drift over the run (ms)"],
        "there is no second clock estimate; a drift is then not in the error of the spread".into(),
    );
    table
}

fn clocks(host: &HostStart) -> Inline {
    let estimate = |c: &regatta_types::time::ClockOffset| {
        // No `-0.00`.
        let offset = (c.wall_offset_ns as f64 / 1e4).round() / 100.0 + 0.0;
        format!("offset {offset:+.2} ms ±{:.2} ms", c.bound_ns as f64 / 1e6)
    };
    let clocks: Vec<String> = host.clocks.iter().map(estimate).collect();
    Inline::own(if clocks.is_empty() { "not measured".to_owned() } else { clocks.join("; ") })
}
