//! The load table of both kinds of page: one row per level, and where the endpoint gave no more.

use crate::words::{offered, skipped};
use regatta_types::ids::HostId;

use crate::markdown::format::{count, fixed, good, millis, percentile_ms, tps};
use crate::markdown::page::Page;
use crate::markdown::table::{Align, Table};
use crate::markdown::text::Inline;
use crate::words::absent::why;
use regatta_figures::hosts::SweepEnd;
use regatta_figures::hosts::{CaseAnalysis, HostAnalysis, is_load};

/// A host and one of its levels.
type Level<'a> = (&'a HostId, &'a CaseAnalysis<'a>);

/// The load levels of one host or of several, case by case, if there are any.
pub(super) fn load(page: &mut Page, hosts: &[HostAnalysis<'_>], heading: impl Fn(&mut Page)) {
    let Some(first) = hosts.first() else { return };
    let levels: Vec<Level<'_>> = (0..first.cases.len())
        .flat_map(|index| hosts.iter().filter_map(move |h| Some((h.host, h.cases.get(index)?))))
        .filter(|(_, level)| is_load(level.case))
        .collect();
    if levels.is_empty() {
        return;
    }
    heading(page);
    page.table(table(&levels, hosts.len() > 1));
    let of_hosts = hosts.iter().flat_map(|host| {
        let name = (hosts.len() > 1).then(|| format!("{}, ", Inline::text(host.host.as_str())));
        let name = name.unwrap_or_default();
        saturation(host).into_iter().map(move |said| Inline::own(format!("{name}{said}")))
    });
    page.list(of_hosts);
    page.paragraph(&"Output of all requests together in the steady window: from the first send plus one mean service time to the last send; what comes before and after is outside. At a rate, times to first token count from the scheduled instant.".into());
}

fn table(levels: &[Level<'_>], by_host: bool) -> Table {
    let mut table = if by_host { Table::new(["Host", "Case"]) } else { Table::new(["Case"]) };
    for name in [
        "Offered",
        "Ok",
        "Failed",
        "Requests/s",
        "Output (tok/s)",
        "TTFT p50 (ms)",
        "TTFT p95 (ms)",
        "TPOT p50 (ms)",
        "Steady windows (s)",
    ] {
        table.column(name.into(), Align::Right);
    }
    let is_open = levels.iter().any(|(_, level)| level.case.concurrency().is_none());
    let has_slo = levels.iter().any(|(_, level)| level.case.slo.is_set());
    if is_open {
        for name in ["Sent/s", "Not sent", "Lateness p99 (ms)", "Lateness max (ms)"] {
            table.column(name.into(), Align::Right);
        }
    }
    if has_slo {
        table.column("Good/s".into(), Align::Right);
        table.column("Good (%)".into(), Align::Right);
    }
    for (host, level) in levels {
        let figures = &level.figures;
        let steady = level.steady.as_ref().ok();
        let ttft = figures.first_token(&level.case.load);
        let output = match (level.skipped(), &level.steady) {
            (_, Ok(steady)) => tps(steady.output.per_second()),
            (Some(_), Err(_)) => "skipped".into(),
            (None, Err(absent)) => Inline::text(&why(absent)),
        };
        let row = [
            Inline::text(&level.case.title),
            Inline::own(offered(level.case)),
            count(level.requests.ok),
            count(level.requests.failures()),
            fixed(steady.and_then(|s| s.request_rate()), 2),
            output,
            millis(ttft.median()),
            percentile_ms(ttft.percentile(0.95)),
            millis(figures.tpot_s.median()),
            fixed(steady.map(|s| s.output.seconds), 1),
        ];
        let late = is_open.then(|| {
            [
                fixed(steady.and_then(|s| s.send_rate()), 2),
                count(level.requests.not_sent),
                percentile_ms(figures.send_lateness_s.percentile(0.99)),
                millis(figures.send_lateness_s.max()),
            ]
        });
        let within =
            has_slo.then(|| [fixed(steady.and_then(|s| s.goodput()), 2), good(level.goodput)]);
        let name = by_host.then(|| Inline::text(host.as_str()));
        table.row(
            name.into_iter()
                .chain(row)
                .chain(late.into_iter().flatten())
                .chain(within.into_iter().flatten()),
        );
    }
    table.dash(&["TTFT p95 (ms)"], "a p95 needs 72 requests".into());
    table.dash(
        &["Lateness p99 (ms)"],
        "no schedule, or fewer than the 368 requests that a p99 needs".into(),
    );
    table.dash(&["Lateness max (ms)"], "no schedule, or nothing was sent".into());
    table.dash(&["Requests/s", "Sent/s", "Steady windows (s)"], "there is no steady window".into());
    table.dash(&["Good/s", "Good (%)"], "the case has no limits".into());
    let few = "no usable attempt, or answers of fewer than 17 tokens";
    table.dash(&["TTFT p50 (ms)", "TPOT p50 (ms)"], few.into());
    table
}

/// Of every sweep, the level that brought no more than the one before it, or that none did.
pub(crate) fn saturation(host: &HostAnalysis<'_>) -> Vec<Inline> {
    let sentence = |sweep: &SweepEnd<'_>| {
        let name = Inline::text(sweep.of.as_str());
        Inline::own(match &sweep.saturated {
            Some(saturated) => format!(
                "{name}: **saturated at {}**: {}{}.",
                offered(saturated.at),
                Inline::text(&saturated.evidence),
                skipped(sweep)
            ),
            None => format!("{name}: not saturated at any level that was measured."),
        })
    };
    host.sweeps.iter().map(sentence).collect()
}
