//! What the agent itself adds, and how busy it was.

use crate::markdown::format::{NONE, count, fixed, percentile_ms};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::{Distribution, Stamps};

/// The client floor and the CPU share of the measured attempts.
pub(super) fn floor(page: &mut Page, host: &HostAnalysis<'_>) {
    page.subsection(&"What the client adds".into());
    match &host.client_overhead {
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
                count(floor.requests),
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
    out.extend(host.notable_overhead().map(|notable| {
        Inline::own(format!(
            "**client_floor**: of the {} of {} ms the client may add {} ms, over 1 %.",
            notable.what,
            fixed(Some(notable.own_s * 1e3), 2),
            fixed(Some(notable.overhead_s * 1e3), 2)
        ))
    }));
    let counted = host.cells().filter_map(|(_, cell)| cell.counted());
    let shares = Distribution::new(counted.filter_map(|c| c.cpu_share));
    if let (Some(median), Some(max)) = (shares.median(), shares.max()) {
        out.push(Inline::own(format!(
            "The measuring thread used {:.1} % of a core in the median attempt, {:.1} % at most.",
            median * 100.0,
            max * 100.0
        )));
    }
    if host.has_usable() {
        out.extend(stamps(&host.stamps));
    }
    out
}

/// How well the stamps are known.
fn stamps(stamps: &Stamps) -> Vec<Inline> {
    let ms = |seconds: Option<f64>| match seconds {
        Some(seconds) => format!("{:.3}", seconds * 1e3),
        None => NONE.to_owned(),
    };
    let mut out = vec![match &stamps.read_late {
        Some(late) => Inline::own(format!(
            "Chunks have the kernel's stamps of their arrival. They were read {} ms later at the median, {} ms at p99, {} ms at most; stamped when read, TTFT would be {} ms longer at the median, {} ms at most.",
            ms(Some(late.median_s)),
            ms(Some(late.p99_s)),
            ms(Some(late.max_s)),
            ms(stamps.ttft_by_read_s.median()),
            ms(stamps.ttft_by_read_s.max()),
        )),
        None => "The kernel gave no stamps of arrival: chunks are stamped when they were read, and the client's lateness is in the figures.".into(),
    }];
    if stamps.coalesced > 0 {
        out.push(Inline::own(format!(
            "{} of {} chunks came in one read with others; the time between those is unknown and in no figure.",
            stamps.coalesced, stamps.chunks
        )));
    }
    let widest = ms(stamps.send_uncertainty_s.max());
    out.push(match stamps.unsure_sends {
        0 => Inline::own(format!(
            "Each send instant is known to within {widest} ms and 1 % of its TTFT."
        )),
        unsure => Inline::own(format!(
            "**unsure_sends**: the send instants of {unsure} of {} requests are known only to within more than 1 ms or 1 % of their TTFT ({widest} ms at most).",
            stamps.send_uncertainty_s.n()
        )),
    });
    out
}
