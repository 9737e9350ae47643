//! Sums over the hosts, as far as a sum means something; never a mean of percentiles.

use crate::analysis::{Analysis, HostAnalysis};
use crate::compare::{ClassReport, Metric};
use crate::markdown::format::{count, fixed, told};
use crate::markdown::page::Page;
use crate::markdown::table::{Align, Table};
use crate::markdown::text::Inline;
use crate::metrics::{GpuSum, Requests, Tokens, Told};

/// Section 8.
pub(super) fn totals(page: &mut Page, analysis: &Analysis<'_>) {
    page.section(&"8. Totals of all hosts".into());
    page.table(counts(&analysis.hosts));
    page.table(capacity(analysis));
}

/// What was done, over one population: the counted attempts.
fn counts(hosts: &[HostAnalysis<'_>]) -> Table {
    let mut table = Table::new(["In all counted attempts", "Sum>"]);
    let some_invalid = hosts.iter().any(|h| h.requests != h.figures.requests);
    if some_invalid {
        table.column("Of which in usable attempts".into(), Align::Right);
    }
    let mut row = |name: &'static str, all: Inline, usable: Inline| {
        let cells = [name.into(), all, usable];
        table.row(cells.into_iter().take(if some_invalid { 3 } else { 2 }));
    };
    let requests = |f: fn(&Requests) -> u32| {
        let sum = |of: fn(&HostAnalysis<'_>) -> Requests| {
            count(hosts.iter().map(|h| u64::from(f(&of(h)))).sum::<u64>())
        };
        (sum(|h| h.requests.clone()), sum(|h| h.figures.requests.clone()))
    };
    let tokens = |f: fn(&Tokens) -> Told| {
        let sum = |of: fn(&HostAnalysis<'_>) -> Tokens| {
            told(hosts.iter().map(|h| f(&of(h))).fold(Told::default(), Told::and))
        };
        (sum(|h| h.tokens.clone()), sum(|h| h.figures.tokens.clone()))
    };
    for (name, (all, usable)) in [
        ("Measured requests that succeeded", requests(|r| r.ok)),
        ("Measured requests that failed", requests(Requests::failures)),
        ("Prompt tokens of the successes", tokens(|t| t.prompt)),
        ("Completion tokens of the successes", tokens(|t| t.completion)),
    ] {
        row(name, all, usable);
    }
    table.dash(&[], "the engines give no such count".into());
    table
}

/// What the hosts give or take together: only where every host has the figure.
fn capacity(analysis: &Analysis<'_>) -> Table {
    let mut table = Table::new(["All hosts together, sum of", "Value>"]);
    let hosts = &analysis.hosts;
    let [class] = analysis.classes.as_slice() else { return table };
    if class.class.hosts.len() != hosts.len() || hosts.len() < 2 || analysis.record.absent > 0 {
        return table;
    }
    if let Some(sum) = decode_levels(analysis, class) {
        table.row([
            "decode speeds of section 3, one stream on each host (tok/s)".into(),
            fixed(Some(sum), 2),
        ]);
    }
    let peaks: Option<f64> = hosts.iter().map(|h| h.peak_output().map(|(_, tps)| tps)).sum();
    if let Some(sum) = peaks {
        table.row([
            "highest system outputs, each host in its own best case (tok/s)".into(),
            fixed(Some(sum), 2),
        ]);
    }
    let gpus: Option<Vec<GpuSum>> =
        hosts.iter().map(|h| h.gpus.known().map(|gpus| GpuSum::of(gpus))).collect();
    let gpus = gpus.unwrap_or_default();
    let power: Option<f64> = gpus.iter().map(|g| g.power_mean_w).sum();
    if let Some(sum) = power.filter(|_| !gpus.is_empty()) {
        let several = gpus.iter().any(GpuSum::is_unattributed);
        let whose = if several { ", all GPUs of a host, unattributed" } else { "" };
        table.row([
            Inline::own(format!("mean GPU board power in usable attempts{whose} (W)")),
            fixed(Some(sum), 1),
        ]);
    }
    table
}

/// The sum of the column in section 3, if it is of one stream on every host.
fn decode_levels(analysis: &Analysis<'_>, class: &ClassReport) -> Option<f64> {
    let report = class.metric(Metric::DecodeTps)?;
    let streams = analysis.streams_of(&report.series.cases)?;
    let level = |h: &HostAnalysis<'_>| Some(report.judged(h.host)?.mean?.exp());
    if streams == (1, 1) { analysis.hosts.iter().map(level).sum() } else { None }
}
