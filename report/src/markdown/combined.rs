//! `report.md`: the hosts side by side.

mod completeness;
mod facts;
mod method;
mod side_by_side;

use regatta_types::units::grouped;

pub(super) use self::method::{definitions, reproduce};

use super::format::{count_of, fixed, millis};
use super::grid::{is_shown_by_case, metric_grid, reference_of};
use super::page::Page;
use super::table::Table;
use super::text::Inline;
use crate::analysis::{Analysis, HostAnalysis};
use crate::compare::Metric;
use crate::summary::{causes, found, not_judged};
use crate::utc::utc;

/// The combined report.
pub(crate) fn combined(analysis: &Analysis<'_>) -> String {
    let mut page = Page::default();
    let header = &analysis.record.header;
    page.title(&Inline::own(format!("Regatta report: {}", Inline::text(header.run.as_str()))));
    notices(&mut page, analysis);
    page.paragraph(&headline(analysis));
    answer(&mut page, analysis);
    facts::classes(&mut page, analysis);
    side_by_side::side_by_side(&mut page, analysis);
    by_case(&mut page, analysis);
    facts::differing(&mut page, analysis);
    start(&mut page, analysis);
    completeness::completeness(&mut page, analysis);
    totals(&mut page, analysis);
    method::method(&mut page, analysis);
    method::reproduce(&mut page, analysis.record);
    page.finish()
}

/// What must not be overlooked.
fn notices(page: &mut Page, analysis: &Analysis<'_>) {
    let simulated: Vec<Inline> = analysis
        .hosts
        .iter()
        .filter(|h| h.record.is_some_and(|r| r.simulated))
        .map(|h| Inline::text(h.host.as_str()))
        .collect();
    if !simulated.is_empty() {
        let all = simulated.len() == analysis.hosts.len();
        let who = if all { "All hosts".to_owned() } else { join(&simulated) };
        page.notice(&Inline::own(format!(
            "**Simulated.** {who} in this run {} simulated: no machine, no GPU and no model was measured. The figures show how a report looks, nothing else.",
            if all || simulated.len() > 1 { "are" } else { "is" }
        )));
    }
    if analysis.record.sealed.is_none() {
        page.notice(
            &"**Not finished.** The run was still open when this was written, or was abandoned."
                .into(),
        );
    }
    if analysis.record.header.insecure {
        page.notice(
            &"**Plain text.** Agents were allowed to connect over the network without encryption."
                .into(),
        );
    }
}

pub(super) fn join(items: &[Inline]) -> String {
    items.iter().map(Inline::as_str).collect::<Vec<_>>().join(", ")
}

fn headline(analysis: &Analysis<'_>) -> Inline {
    let header = &analysis.record.header;
    let hosts = analysis.hosts.len() + usize::try_from(analysis.record.absent).unwrap_or(0);
    let cases = header.suite.cases.len();
    let end = analysis.record.sealed.map_or_else(String::new, |at| format!(" to {}", utc(at)));
    Inline::own(format!(
        "Suite `{}` ({}), {}, start mode `{}`, {}{end}.",
        header.suite.name,
        count_of(u64::try_from(cases).unwrap_or(0), "case"),
        count_of(u64::try_from(hosts).unwrap_or(0), "host"),
        header.start,
        utc(header.created),
    ))
}

fn answer(page: &mut Page, analysis: &Analysis<'_>) {
    page.section(&"1. Answer first".into());
    let line = |text: String| Inline::sentence(&text);
    page.list(found(analysis).into_iter().chain(causes(analysis)).map(line));
    let limits = not_judged(analysis);
    if !limits.is_empty() {
        page.paragraph(&"What could not be judged, and what to keep in mind:".into());
        page.list(limits.into_iter().map(line));
    }
}

fn by_case(page: &mut Page, analysis: &Analysis<'_>) {
    page.section(&"4. Host by case".into());
    let several = analysis.classes.len() > 1;
    for class in &analysis.classes {
        let shown = class.metrics.iter().filter(|m| is_shown_by_case(m.metric));
        for report in shown.filter(|m| !m.series.cases.is_empty()) {
            let unit = match report.metric {
                Metric::DecodeTps => "Decode speed, tok/s",
                Metric::Ttft => "Time to first token, ms",
                Metric::E2e => "End-to-end time, s",
                Metric::OutputTps => "System output of all streams, tok/s",
            };
            let class_name =
                if several { format!(", class {}", class.class.label) } else { String::new() };
            page.subsection(&Inline::own(format!("{unit}{class_name}")));
            page.paragraph(&Inline::own(format!(
                "Geometric mean over the repetitions ({}; **bold**: settled).",
                reference_of(report)
            )));
            page.table(&metric_grid(analysis, class, report));
        }
    }
    if analysis.classes.is_empty() {
        page.paragraph(&"Nothing usable was measured.".into());
    }
}

fn start(page: &mut Page, analysis: &Analysis<'_>) {
    page.section(&"6. Start and clocks".into());
    let start = &analysis.start;
    if start.hosts.is_empty() {
        page.paragraph(&"No attempt had a planned start.".into());
        return;
    }
    if let (Some(median), Some(max), Some(bound), Some(synchronised)) =
        (start.spread_ms.median(), start.spread_ms.max(), start.bound_ms, start.is_synchronised())
    {
        let badge = if synchronised {
            "**synchronised**".to_owned()
        } else {
            format!(
                "**not synchronised**: spread and clock bound exceed {:.0} ms",
                crate::start::SYNCHRONISED_MS
            )
        };
        page.paragraph(&Inline::own(format!(
            "Spread between the first and the last host of a block (case and repetition): median {median:.2} ms, largest {max:.2} ms over {}, each ±{bound:.2} ms by the clock bounds; {badge}.",
            count_of(u64::try_from(start.spread_ms.n()).unwrap_or(0), "block"),
        )));
    }
    let mut table = Table::new([
        "Host",
        "Blocks>",
        "Late, median (ms)>",
        "Late, largest (ms)>",
        "Clock against the coordinator (before the run; after)",
    ]);
    for host in &start.hosts {
        let clocks: Vec<String> = host
            .clocks
            .iter()
            .map(|c| {
                format!(
                    "offset {:+.2} ms ±{:.2} ms",
                    c.wall_offset_ns as f64 / 1e6,
                    c.bound_ns as f64 / 1e6
                )
            })
            .collect();
        let clocks = if clocks.is_empty() { "not measured".to_owned() } else { clocks.join("; ") };
        table.row([
            Inline::text(host.host.as_str()),
            Inline::own(host.lateness_ms.n().to_string()),
            fixed(host.lateness_ms.median(), 2),
            fixed(host.lateness_ms.max(), 2),
            Inline::own(clocks),
        ]);
    }
    page.table(&table);
    let wrong_clocks = start.hosts.iter().filter_map(|host| {
        let off = host.clocks.iter().map(|c| c.wall_offset_ns.unsigned_abs()).max()?;
        (off > 1_000_000_000).then(|| {
            Inline::own(format!(
                "{}: its wall clock differs from the coordinator's by more than 1 s; set up time synchronisation.",
                Inline::text(host.host.as_str())
            ))
        })
    });
    page.list(wrong_clocks);
    page.paragraph(&"Lateness is taken on each host's own clock. Offsets are of the wall clocks and are for display: no figure depends on them.".into());
}

/// Sums that mean something; never a mean of percentiles.
fn totals(page: &mut Page, analysis: &Analysis<'_>) {
    page.section(&"8. Fleet totals".into());
    let mut table = Table::new(["Sum over all hosts", "Value>"]);
    let sum =
        |f: fn(&HostAnalysis<'_>) -> u64| Inline::own(grouped(analysis.hosts.iter().map(f).sum()));
    table.row(["Measured requests that succeeded".into(), sum(|h| u64::from(h.requests.ok))]);
    table.row(["Measured requests that failed".into(), sum(|h| u64::from(h.requests.failures()))]);
    table.row(["Prompt tokens".into(), sum(|h| h.figures.tokens.prompt.unwrap_or(0))]);
    table.row(["Completion tokens".into(), sum(|h| h.figures.tokens.completion.unwrap_or(0))]);
    let one_stream = analysis.record.header.suite.cases.iter().all(|c| c.concurrency == 1);
    let all_there = analysis.record.absent == 0;
    let speeds: Option<Vec<f64>> =
        analysis.hosts.iter().map(|h| h.figures.decode.per_second()).collect();
    if let Some(speeds) = speeds.filter(|s| s.len() > 1 && one_stream && all_there) {
        table.row([
            "Decode speed of one stream on every host at once (tok/s)".into(),
            fixed(Some(speeds.iter().sum()), 2),
        ]);
    }
    let peaks: Option<Vec<f64>> =
        analysis.hosts.iter().map(|h| h.peak_output().map(|(_, tps)| tps)).collect();
    if let Some(peaks) = peaks.filter(|p| p.len() > 1 && all_there) {
        table.row([
            "Highest system output of every host (tok/s)".into(),
            fixed(Some(peaks.iter().sum()), 2),
        ]);
    }
    let power: Option<Vec<f64>> = analysis
        .hosts
        .iter()
        .map(|h| {
            let gpus = h.gpus.known()?;
            gpus.iter().map(|g| g.power_mean_w).sum::<Option<f64>>()
        })
        .collect();
    if let Some(power) = power.filter(|p| !p.is_empty() && all_there) {
        table.row([
            "Mean GPU board power of all hosts (W)".into(),
            fixed(Some(power.iter().sum()), 1),
        ]);
    }
    page.table(&table);
    let slowest = analysis.hosts.iter().filter_map(|h| h.figures.ttft_s.max()).reduce(f64::max);
    if slowest.is_some() {
        page.paragraph(&Inline::own(format!(
            "Longest time to first token on any host: {} ms.",
            millis(slowest)
        )));
    }
}
