//! What the agent itself adds, and how busy it was.

use crate::analysis::HostAnalysis;
use crate::markdown::format::{count, fixed, percentile_ms};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::metrics::{Distribution, cpu_share};

/// The client floor and the CPU share of the measured attempts.
pub(super) fn floor(page: &mut Page, host: &HostAnalysis<'_>) {
    page.subsection(&"What the client adds".into());
    match &host.floor {
        None => page.paragraph(&"The client floor was not measured.".into()),
        Some(floor) => {
            let mut table = Table::new([
                "Streams>",
                "Requests>",
                "TTFT p50 (ms)>",
                "TTFT p99 (ms)>",
                "TTFT max (ms)>",
                "Gap error p50 (ms)>",
                "Gap error p99 (ms)>",
                "CPU per 1,000 tokens (ms)>",
            ]);
            let ms = |seconds: Option<f64>| fixed(seconds.map(|s| s * 1e3), 3);
            table.row([
                count(floor.streams),
                count(u64::try_from(floor.requests).unwrap_or(u64::MAX)),
                ms(floor.ttft_s.median()),
                percentile_ms(floor.ttft_s.percentile(0.99)),
                ms(floor.ttft_s.max()),
                ms(floor.gap_error_s.p50),
                ms(floor.gap_error_s.p99),
                ms(floor.cpu_s_per_1000_tokens),
            ]);
            table.dash(
                &["CPU per 1,000 tokens (ms)"],
                "the agent's CPU time was not measured".into(),
            );
            table.dash(&["TTFT p99 (ms)"], "a p99 needs 368 requests".into());
            page.table(table);
            page.paragraph(&"Before the run the agent measured an endpoint in its own process, which answers at once and then sends a token each 20 ms, with as many streams as the suite has at most. What it shows is the client (and that endpoint) on this machine; nothing of it is subtracted from any figure.".into());
        }
    }
    page.list(remarks(host));
}

/// What of the floor weighs beside the host's own figures, and the CPU of the measured attempts.
pub(super) fn remarks(host: &HostAnalysis<'_>) -> Vec<Inline> {
    let mut out: Vec<Inline> = Vec::new();
    out.extend(host.notable_floor().map(|notable| {
        Inline::own(format!(
            "**client_floor**: of the {} of {:.2} ms the client may add {:.2} ms, over 1 %.",
            notable.what,
            notable.own_s * 1e3,
            notable.floor_s * 1e3
        ))
    }));
    let counted = host.cells().filter_map(|(_, cell)| cell.counted());
    let shares = Distribution::new(counted.filter_map(|c| cpu_share(c.report)));
    if let (Some(median), Some(max)) = (shares.median(), shares.max()) {
        out.push(Inline::own(format!(
            "The measuring thread used {:.1} % of a core in the median attempt, {:.1} % at most.",
            median * 100.0,
            max * 100.0
        )));
    }
    out
}
