//! What the engine says of itself: queue, KV cache, prefix cache, preemptions, drafts.

use std::collections::BTreeSet;

use crate::markdown::format::{count, fixed, millis};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::words::absent::why;
use regatta_figures::hosts::HostAnalysis;

/// One row per case, or why there is none.
pub(super) fn engine(page: &mut Page, host: &HostAnalysis<'_>) {
    page.subsection(&"The engine's own metrics".into());
    let figures: Vec<_> = host.cases.iter().map(|case| (case, &case.engine)).collect();
    let known =
        || figures.iter().filter_map(|(case, figures)| Some((case, figures.as_ref().ok()?)));
    if known().next().is_none() {
        let why: BTreeSet<String> =
            figures.iter().filter_map(|(_, f)| f.as_ref().err().map(why)).collect();
        let why: Vec<Inline> = why.iter().map(|why| Inline::text(why)).collect();
        let why = why.iter().map(Inline::as_str).collect::<Vec<_>>().join("; ");
        page.paragraph(&Inline::own(format!("Not available: {why}.")));
        return;
    }
    let mut table = Table::new([
        "Case",
        "Running, max>",
        "Waiting, max>",
        "Queue time, mean (ms)>",
        "KV cache in use, max (%)>",
        "Prefix cache hits (%)>",
        "Preemptions>",
        "Drafts accepted (%)>",
        "Samples>",
        "No answer>",
    ]);
    let percent = |share: Option<f64>| fixed(share.map(|share| share * 100.0), 1);
    for (case, f) in known() {
        table.row([
            Inline::text(&case.case.title),
            fixed(f.running_max, 0),
            fixed(f.waiting_max, 0),
            millis(f.queue_mean_s),
            percent(f.kv_peak),
            percent(f.prefix_hit_share),
            fixed(f.preemptions, 0),
            percent(f.acceptance),
            count(f.samples),
            count(f.failed),
        ]);
    }
    table.dash(&[], "the engine does not tell, or nothing of it happened".into());
    page.table(table);
    let restarts: u32 = known().map(|(_, f)| f.restarts).sum();
    if restarts > 0 {
        page.paragraph(&Inline::own(format!(
            "Counters ran backwards over {restarts} of the attempts, as they do when an engine is restarted; these attempts are in no figure of a counter."
        )));
    }
    page.paragraph(&"As the engine tells at /metrics, asked before, once a second during and after each usable attempt, over a connection of its own. Peaks between two samples are not seen. Other users of the engine are in it.".into());
}
