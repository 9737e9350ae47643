//! What the engine says of itself: queue, KV cache, prefix cache, preemptions, drafts.

use crate::words::absent::why;
use std::collections::BTreeSet;

use regatta_figures::hosts::HostAnalysis;

use crate::markdown::layout::{Inline, Page, Table, count, fixed, millis, share};

/// One row per case, or why there is none.
pub(super) fn engine(page: &mut Page, host: &HostAnalysis<'_>) {
    page.subsection("The engine's own metrics");
    let known = || host.cases.iter().filter_map(|case| Some((case, case.engine.as_ref().ok()?)));
    if known().next().is_none() {
        let absent = host.cases.iter().filter_map(|c| c.engine.as_ref().err());
        let why: BTreeSet<String> = absent.map(why).collect();
        let why = Inline::join(why.into_iter().map(Inline::text), "; ");
        page.paragraph(Inline::own(format!("Not available: {why}.")));
        return;
    }
    Table::of(known())
        .text("Case", |(case, _)| Inline::text(&case.case.title))
        .number("Running, max", |(_, engine)| fixed(engine.running_max, 0))
        .number("Waiting, max", |(_, engine)| fixed(engine.waiting_max, 0))
        .number("Queue time, mean (ms)", |(_, engine)| millis(engine.queue_mean_s))
        .number("KV cache in use, max (%)", |(_, engine)| share(engine.kv_peak, 1))
        .number("Prefix cache hits (%)", |(_, engine)| share(engine.prefix_hit_share, 1))
        .number("Preemptions", |(_, engine)| fixed(engine.preemptions, 0))
        .number("Drafts accepted (%)", |(_, engine)| share(engine.acceptance, 1))
        .number("Samples", |(_, engine)| count(engine.samples))
        .number("No answer", |(_, engine)| count(engine.failed))
        .all_absent("the engine does not tell, or nothing of it happened")
        .add_to(page);
    let restarts: u32 = known().map(|(_, engine)| engine.restarts).sum();
    if restarts > 0 {
        page.paragraph(Inline::own(format!(
            "Counters ran backwards over {restarts} of the attempts, as they do when an engine is restarted; these attempts are in no figure of a counter."
        )));
    }
    page.paragraph("As the engine tells at /metrics, asked before, once a second during and after each usable attempt, over a connection of its own. Peaks between two samples are not seen. Other users of the engine are in it.");
}
