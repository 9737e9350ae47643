//! Sections that the combined report and a per-host report share.

use regatta_figures::hosts::{CaseAnalysis, HostAnalysis, SweepEnd, is_load};
use regatta_figures::metrics::Steady;
use regatta_types::ids::HostId;
use regatta_types::metric::Metric;
use regatta_types::record::RunRecord;

use super::layout::{Inline, Page, Table, count, fenced, fixed, good, millis, percentile_ms, tps};
use crate::words::absent::why;
use crate::words::{offered, skipped, slots, unjudged};

/// Short definitions of figures that hosts are not compared in.
const OTHERS: [(&str, &str); 4] = [
    ("Open loop (rate)", "TTFT and end to end count from the scheduled instant, not from the send"),
    ("End-to-end speed", "all completion tokens / end-to-end time; contains prefill and queueing"),
    ("ITL", "gap before a chunk divided by its tokens, weighted by tokens"),
    (
        "Truncated",
        "success with finish reason `length`: stopped by `max_tokens` or the context length",
    ),
];

/// The short definitions of all figures.
pub(super) fn definitions(page: &mut Page) {
    let of = |metric: Metric| metric.info().definition;
    let first = [Metric::Ttft, Metric::FirstAnswer, Metric::DecodeTps, Metric::E2e];
    let [others @ .., truncated] = OTHERS;
    let rows = first.into_iter().filter_map(of).chain(others);
    let rows = rows.chain(of(Metric::OutputTps)).chain([truncated]);
    let rows = rows.map(|(name, definition)| (name, definition.into()));
    Table::pairs(["Figure", "Definition"], rows).add_to(page);
}

/// The last section of a page.
pub(super) fn reproduce(page: &mut Page, record: &RunRecord) {
    let header = &record.header;
    page.section("How to reproduce");
    page.block(&fenced(&header.command));
    let rows = [
        ("Suite", Inline::text(&header.suite.name)),
        ("Suite hash (SHA-256)", Inline::own(header.suite.hash())),
        ("Seed", Inline::own(header.seed.to_string())),
        ("Coordinator", Inline::text(&header.coordinator_version)),
    ];
    Table::pairs(["Item", "Value"], rows).add_to(page);
}

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
    page.list(hosts.iter().flat_map(|host| {
        let name = format!("{}, ", Inline::text(host.host));
        let name = if hosts.len() > 1 { name } else { String::new() };
        saturation(host).into_iter().map(move |said| Inline::own(format!("{name}{said}")))
    }));
    page.paragraph("Output: tokens of all requests in the steady window, from the first send plus one mean service time to the last send. Open loop: TTFT from the scheduled instant.");
}

fn table<'a>(levels: Vec<Level<'a>>, by_host: bool) -> Table<Level<'a>> {
    let is_open = levels.iter().any(|(_, level)| level.case.concurrency().is_none());
    let has_slo = levels.iter().any(|(_, level)| level.case.slo.is_set());
    let no_window = "no steady window";
    let few = "no usable attempt, or answers of fewer than 17 tokens";
    let no_limits = "the case has no SLO";
    let steady = |level: &CaseAnalysis<'_>, figure: fn(&Steady) -> Option<f64>, digits| {
        fixed(level.steady.as_ref().ok().and_then(figure), digits)
    };
    Table::of(levels)
        .text("Host", |(host, _)| Inline::text(host))
        .only_if(by_host)
        .text("Case", |(_, l)| Inline::text(&l.case.title))
        .number("Offered", |(_, l)| Inline::own(offered(l.case)))
        .number("OK", |(_, l)| count(l.requests.ok))
        .number("Failed", |(_, l)| count(l.requests.failures()))
        .number_or("Requests/s", no_window, |(_, l)| steady(l, Steady::request_rate, 2))
        .number("Output (tok/s)", |(_, l)| match &l.steady {
            Ok(steady) => tps(steady.output.per_second()),
            Err(_) if l.skipped().is_some() => "skipped".into(),
            Err(absent) => Inline::text(why(absent)),
        })
        .number("TTFT p50 (ms)", |(_, l)| millis(l.figures.first_token(&l.case.load).median()))
        .absent(few)
        .number_or("TTFT p95 (ms)", "a p95 needs 72 requests", |(_, l)| {
            percentile_ms(l.figures.first_token(&l.case.load).percentile(0.95))
        })
        .number_or("TPOT p50 (ms)", few, |(_, l)| millis(l.figures.tpot_s.median()))
        .number_or("Streams in decode", no_window, |(_, l)| steady(l, Steady::decoding, 1))
        .number_or("Steady windows (s)", no_window, |(_, l)| {
            steady(l, |steady| Some(steady.output.seconds), 1)
        })
        .number_or("Sent/s", no_window, |(_, l)| steady(l, Steady::send_rate, 2))
        .only_if(is_open)
        .number("Dropped", |(_, l)| count(l.requests.not_sent))
        .only_if(is_open)
        .number("Lateness p99 (ms)", |(_, l)| {
            percentile_ms(l.figures.send_lateness_s.percentile(0.99))
        })
        .absent("no schedule, or fewer than the 368 requests that a p99 needs")
        .only_if(is_open)
        .number("Lateness max (ms)", |(_, l)| millis(l.figures.send_lateness_s.max()))
        .absent("no schedule, or nothing was sent")
        .only_if(is_open)
        .number_or("Goodput (requests/s)", no_limits, |(_, l)| steady(l, Steady::goodput, 2))
        .only_if(has_slo)
        .number_or("SLO met (%)", no_limits, |(_, l)| good(l.goodput))
        .only_if(has_slo)
}

/// The saturated level of each sweep, if any.
pub(crate) fn saturation(host: &HostAnalysis<'_>) -> Vec<Inline> {
    let sentence = |sweep: &SweepEnd<'_>| {
        let name = Inline::text(sweep.of.as_str());
        let found = match &sweep.saturated {
            Some(saturated) => Some(format!(
                "{name}: **saturated at {}**: {}{}{}.",
                offered(saturated.at),
                Inline::text(&saturated.evidence),
                slots(host, saturated.at),
                skipped(sweep)
            )),
            None if sweep.unjudged.is_empty() => {
                Some(format!("{name}: not saturated at any measured level."))
            }
            None if sweep.served > 0 => {
                Some(format!("{name}: not saturated at any level that could be judged."))
            }
            None => None,
        };
        let unjudged = unjudged(sweep).map(|said| format!("{}.", Inline::text(&said)));
        found.into_iter().chain(unjudged).map(Inline::own).collect::<Vec<_>>()
    };
    host.sweeps.iter().flat_map(sentence).collect()
}
