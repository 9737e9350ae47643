//! The load table of both kinds of page: one row per level, and where the endpoint gave no more.

use crate::words::absent::why;
use regatta_figures::hosts::{CaseAnalysis, HostAnalysis, SweepEnd, is_load};
use regatta_types::ids::HostId;

use super::layout::{Inline, Page, Table, count, fixed, good, millis, percentile_ms, tps};
use crate::words::numbers::NONE;
use crate::words::{offered, skipped};

/// A host and one of its levels.
type Level<'a> = (&'a HostId, &'a CaseAnalysis<'a>);

/// The load levels of one host or of several, case by case, if there are any.
pub(super) fn load(page: &mut Page, hosts: &[HostAnalysis<'_>]) {
    let Some(first) = hosts.first() else { return };
    let levels: Vec<Level<'_>> = (0..first.cases.len())
        .flat_map(|index| hosts.iter().filter_map(move |h| Some((h.host, h.cases.get(index)?))))
        .filter(|(_, level)| is_load(level.case))
        .collect();
    if levels.is_empty() {
        return;
    }
    page.subsection("Load");
    table(levels, hosts.len() > 1).add_to(page);
    let of_hosts = hosts.iter().flat_map(|host| {
        let several = (hosts.len() > 1).then(|| format!("{}, ", Inline::text(host.host)));
        let name = several.unwrap_or_default();
        saturation(host).into_iter().map(move |said| Inline::own(format!("{name}{said}")))
    });
    page.list(of_hosts);
    page.paragraph("Output of all requests together in the steady window: from the first send plus one mean service time to the last send; what comes before and after is outside. At a rate, times to first token count from the scheduled instant.");
}

fn table<'a>(levels: Vec<Level<'a>>, by_host: bool) -> Table<Level<'a>> {
    let is_open = levels.iter().any(|(_, level)| level.case.concurrency().is_none());
    let has_slo = levels.iter().any(|(_, level)| level.case.slo.is_set());
    let no_window = "there is no steady window";
    let few = "no usable attempt, or answers of fewer than 17 tokens";
    let no_limits = "the case has no limits";
    Table::of(levels)
        .text("Host", |(host, _)| Inline::text(host))
        .only_if(by_host)
        .text("Case", |(_, l)| Inline::text(&l.case.title))
        .number("Offered", |(_, l)| Inline::own(offered(l.case)))
        .number("Ok", |(_, l)| count(l.requests.ok))
        .number("Failed", |(_, l)| count(l.requests.failures()))
        .number("Requests/s", |(_, l)| {
            fixed(l.steady.as_ref().ok().and_then(|s| s.request_rate()), 2)
        })
        .absent(no_window)
        .number("Output (tok/s)", |(_, l)| match (l.skipped(), l.steady.as_ref().ok()) {
            (_, Some(steady)) => tps(steady.output.per_second()),
            (Some(_), None) => "skipped".into(),
            (None, None) => {
                l.steady.as_ref().err().map_or(NONE.into(), |absent| Inline::text(why(absent)))
            }
        })
        .number("TTFT p50 (ms)", |(_, l)| millis(l.figures.first_token(&l.case.load).median()))
        .absent(few)
        .number("TTFT p95 (ms)", |(_, l)| {
            percentile_ms(l.figures.first_token(&l.case.load).percentile(0.95))
        })
        .absent("a p95 needs 72 requests")
        .number_or("TPOT p50 (ms)", few, |(_, l)| millis(l.figures.tpot_s.median()))
        .number("Steady windows (s)", |(_, l)| {
            fixed(l.steady.as_ref().ok().map(|s| s.output.seconds), 1)
        })
        .absent(no_window)
        .number("Sent/s", |(_, l)| fixed(l.steady.as_ref().ok().and_then(|s| s.send_rate()), 2))
        .absent(no_window)
        .only_if(is_open)
        .number("Not sent", |(_, l)| count(l.requests.not_sent))
        .only_if(is_open)
        .number("Lateness p99 (ms)", |(_, l)| {
            percentile_ms(l.figures.send_lateness_s.percentile(0.99))
        })
        .absent("no schedule, or fewer than the 368 requests that a p99 needs")
        .only_if(is_open)
        .number("Lateness max (ms)", |(_, l)| millis(l.figures.send_lateness_s.max()))
        .absent("no schedule, or nothing was sent")
        .only_if(is_open)
        .number("Good/s", |(_, l)| fixed(l.steady.as_ref().ok().and_then(|s| s.goodput()), 2))
        .absent(no_limits)
        .only_if(has_slo)
        .number_or("Good (%)", no_limits, |(_, l)| good(l.goodput))
        .only_if(has_slo)
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
