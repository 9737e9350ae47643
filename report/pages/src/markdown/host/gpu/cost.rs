//! What reading the GPUs cost, and when nothing was read.

use std::collections::BTreeMap;

use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::GpuFigures;
use regatta_types::gpu::CallCost;

use crate::markdown::layout::{Inline, Page, Table, count, fixed};
use crate::words::numbers::count_of;

pub(super) fn cost(page: &mut Page, host: &HostAnalysis<'_>, gpus: &[GpuFigures]) {
    let mut calls: BTreeMap<&str, CallCost> = BTreeMap::new();
    for (name, cost) in gpus.iter().flat_map(|gpu| &gpu.costs) {
        let sum = calls.entry(name).or_default();
        sum.calls += cost.calls;
        sum.total_ns = sum.total_ns.saturating_add(cost.total_ns);
        sum.max_ns = sum.max_ns.max(cost.max_ns);
    }
    // Times of calls are far below 2^53 ns.
    let nanos = |ns: u64| ns as f64;
    Table::of(calls)
        .text("Reading of the GPUs", |(name, _)| Inline::text(name))
        .number("Calls", |(_, cost)| count(cost.calls))
        .number("Mean (us)", |(_, cost)| {
            fixed(Some(nanos(cost.total_ns) / nanos(cost.calls.max(1)) / 1e3), 1)
        })
        .number("Longest (us)", |(_, cost)| fixed(Some(nanos(cost.max_ns) / 1e3), 1))
        .number("In all (ms)", |(_, cost)| fixed(Some(nanos(cost.total_ns) / 1e6), 1))
        .add_to(page);
    let telemetry = &host.telemetry;
    let mut lines = Vec::new();
    if telemetry.rounds_left_out > 0 {
        lines.push(Inline::own(format!(
            "{} left out, because those before took over 5 % of the time.",
            count_of(telemetry.rounds_left_out, "GPU round")
        )));
    }
    for gap in &telemetry.gaps {
        lines.push(Inline::own(format!(
            "No readings for {:.1} s: {}.",
            gap.until.since(gap.from).as_secs_f64(),
            Inline::text(&gap.reason)
        )));
    }
    if telemetry.more_gaps > 0 {
        lines.push(Inline::own(format!("{} more times without readings.", telemetry.more_gaps)));
    }
    page.list(lines);
}
