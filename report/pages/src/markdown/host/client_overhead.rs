//! What the agent itself adds, and how busy it was.

use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::{Distribution, Stamps};

use crate::markdown::layout::{Inline, Page, Table, count, fixed, percentile_ms};

/// The client overhead and the CPU share of the measured attempts.
pub(super) fn client_overhead(page: &mut Page, host: &HostAnalysis<'_>) {
    page.subsection("What the client adds");
    if let Some(overhead) = &host.client_overhead {
        Table::of([overhead])
            .number("Streams", |o| count(o.streams))
            .number("Requests", |o| count(o.requests))
            .number("TTFT p50 (ms)", |o| ms(o.ttft_s.median()))
            .number("TTFT p99 (ms)", |o| percentile_ms(o.ttft_s.percentile(0.99)))
            .absent("a p99 needs 368 requests")
            .number("TTFT max (ms)", |o| ms(o.ttft_s.max()))
            .number("Gap error p50 (ms)", |o| ms(o.gap_error_s.p50))
            .number("Gap error p99 (ms)", |o| ms(o.gap_error_s.p99))
            .number("CPU per 1,000 tokens (ms)", |o| ms(o.cpu_s_per_1000_tokens))
            .absent("the agent's CPU time was not measured")
            .add_to(page);
        page.paragraph("Before the run the agent measured an endpoint in its own process, which answers at once and then sends a token each 20 ms, with as many streams as the suite has at most. What it shows is the client (and that endpoint) on this machine; nothing of it is subtracted from any figure.");
    } else {
        page.paragraph("The client floor was not measured.");
    }
    page.list(remarks(host));
}

/// What of the overhead weighs beside the host's own figures, and the CPU of the measured attempts.
fn remarks(host: &HostAnalysis<'_>) -> Vec<Inline> {
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

/// Seconds as milliseconds, to the microsecond.
fn ms(seconds: Option<f64>) -> Inline {
    fixed(seconds.map(|s| s * 1e3), 3)
}

/// How well the stamps are known.
fn stamps(stamps: &Stamps) -> Vec<Inline> {
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
