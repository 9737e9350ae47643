//! `hosts/<host>.md`: the report of one host.

mod attempts;
mod before;
mod cases;
mod facts;
mod gpu;
mod notes;
mod stability;

use itertools::Itertools as _;
use regatta_figures::capacity::HostUsers;
use regatta_figures::hosts::{CaseAnalysis, Cell, Counted, HostAnalysis};
use regatta_figures::metrics::Percentile;
use regatta_types::metric::Metric;
use regatta_types::units::grouped;
use regatta_types::validity::Validity;

use super::layout::{Inline, Page, fixed, millis, token_sum, tps};
use super::sections::{definitions, reproduce, saturation};
use crate::plot::{PlotKind, Plots};
use crate::report::Report;
use crate::words::bandwidth::{DIM_MEANS, evidence, share};
use crate::words::numbers::{if_any, quantity, signed_estimate, with_unit};
use crate::words::{
    capacity, cause, causes_of, changes, finding_counts, headline, is_mirrored, not_comparable,
    offered, unmeasured, verdict_on,
};

/// The page of one host.
pub(crate) fn host(report: &Report<'_>, host: &HostAnalysis<'_>, plots: &Plots) -> String {
    let mut page = Page::default();
    page.title(Inline::own(format!("Regatta report: host {}", Inline::text(host.host))));
    if host.record.is_some_and(|r| r.simulated) {
        page.notice("**Simulated host.** No machine, GPU or model was measured. The figures only show what a report looks like.");
    }
    if let Some(why) = host.record.and_then(|r| r.refused.as_deref()) {
        page.notice(Inline::own(format!("**Refused:** {}.", Inline::text(why))));
    }
    summary(&mut page, report, host);
    cases::cases(&mut page, report, host);
    page.picture(plots.find(PlotKind::Cases(host.host)), "../");
    cases::engine(&mut page, host);
    gpu::gpu(&mut page, host);
    page.picture(plots.find(PlotKind::Timeline(host.host)), "../");
    notes::notes(&mut page, report, host);
    facts::configuration(&mut page, report, host);
    before::warmup(&mut page, host);
    before::client_overhead(&mut page, host);
    attempts::attempts(&mut page, report, host);
    page.section("Definitions");
    definitions(&mut page);
    page.codes();
    reproduce(&mut page, report.record);
    page.finish()
}

/// Validity, results and verdicts against the other hosts.
fn summary(page: &mut Page, report: &Report<'_>, host: &HostAnalysis<'_>) {
    page.section("Summary");
    let mut lines = vec![validity(host)];
    lines.extend(headlines(report, host));
    lines.extend(first_tokens(host));
    let keep = unmeasured(host).into_iter().map(|said| format!("Caveat: {said}."));
    lines.extend(keep.map(|line| Inline::sentence(&line)));
    lines.extend(against_others(report, host));
    let since = report.since.iter().flat_map(|since| changes::of_host(since, host.host));
    lines.extend(since.map(|line| Inline::sentence(&line)));
    let causes = causes_of(report, host.host);
    let differs = (!causes.is_empty() && !is_mirrored(report, host.host)).then(|| {
        let causes = causes.join("; ");
        format!("Differences from the other hosts of its class: {causes}. Evidence, not proof.")
    });
    let why = differs.or_else(|| cause(report, host.host));
    lines.extend(why.map(|said| Inline::sentence(&said)));
    lines.extend(bandwidth(report, host));
    lines.extend(spread_of_cases(report, host));
    if let Some((case, speed)) = host.peak_output() {
        lines.push(Inline::own(format!(
            "Highest system output: {} tok/s at {} (case {}).",
            tps(Some(speed)),
            offered(case),
            Inline::text(&case.title)
        )));
    }
    if let Some(users) = HostUsers::of(host) {
        lines.push(Inline::own(format!("Within the SLO: {}.", capacity::users(&users))));
    }
    lines.extend(saturation(host));
    lines.extend(before::cold_start(host));
    lines.extend(before::findings(host));
    lines.push(done(host));
    lines.extend(sums(host));
    page.list(lines);
}

/// The compared figures of the host, as in the combined report.
fn headlines(report: &Report<'_>, host: &HostAnalysis<'_>) -> Vec<Inline> {
    let said = |metric: Metric| {
        let said = headline(report, metric, host.host)?;
        let heading = metric.heading();
        Some(Inline::own(match metric {
            Metric::DecodeTps => format!("**{heading}: {said}.**"),
            Metric::Ttft => format!("{heading}: {said}. Percentiles: see Latency."),
            Metric::Energy => format!(
                "{heading}: {said}. Power limit, idle power and prompt tokens per output token: see GPU."
            ),
            Metric::FirstAnswer | Metric::E2e | Metric::OutputTps => format!("{heading}: {said}."),
        }))
    };
    let lines: Vec<Inline> = Metric::ALL.into_iter().filter_map(said).collect();
    if lines.is_empty() && host.has_usable() && host.figures.ttft_s.n() > 0 {
        return vec![
            "No repetition has all compared cases, so there is no overall figure. See Per case."
                .into(),
        ];
    }
    lines
}

/// Decode speed relative to the memory bandwidth, if known.
fn bandwidth(report: &Report<'_>, host: &HostAnalysis<'_>) -> Option<Inline> {
    let bandwidth = report.bandwidth(host).ok()?;
    let means = if bandwidth.is_dim() { format!(" {DIM_MEANS}.") } else { String::new() };
    let (share, evidence) = (share(&bandwidth), evidence(&bandwidth));
    Some(Inline::own(format!("Decoding uses **{share}** ({evidence}).{means}")))
}

/// Requests and tokens of the counted attempts.
fn done(host: &HostAnalysis<'_>) -> Inline {
    let attempts = || host.cases.iter().flat_map(|case| &case.cells).filter_map(Cell::counted);
    let invalid = attempts().filter(|c| !c.is_usable()).count();
    let usable = if_any(invalid, |n| {
        format!(" {} invalid, excluded from all figures (C10).", quantity(n, "attempt"))
    });
    let solo = host.solo.iter().flat_map(|case| &case.cells).filter_map(Cell::counted).count();
    let beside = if_any(solo, |n| format!(" Not included: {}.", quantity(n, "solo attempt")));
    let requests = &host.requests;
    Inline::own(format!(
        "{} ({} s): {} OK, {} failed, {} truncated; {} prompt tokens, {} completion tokens.{usable}{beside}",
        quantity(attempts().count(), "counted attempt"),
        fixed(Some(host.measured_seconds()), 2),
        quantity(u64::from(requests.ok), "measured request"),
        grouped(u64::from(requests.failures())),
        grouped(u64::from(requests.truncated)),
        token_sum(host.tokens.prompt),
        token_sum(host.tokens.completion),
    ))
}

/// The ratios of sums over all cases, which are not compared.
fn sums(host: &HostAnalysis<'_>) -> Option<Inline> {
    let (decode, e2e) = (host.figures.decode.per_second(), host.figures.e2e.per_second());
    let decode = decode
        .map(|v| format!("{} tok/s decode (all decode tokens / all decode seconds)", tps(Some(v))));
    let e2e = e2e.map(|v| {
        format!("{} tok/s end to end (all completion tokens / all end-to-end seconds, including prefill and queueing)", tps(Some(v)))
    });
    let parts = decode.into_iter().chain(e2e).join(", ");
    (!parts.is_empty()).then(|| {
        Inline::own(format!(
            "Not compared: ratio of sums over all usable requests, in which long answers weigh more: {parts}."
        ))
    })
}

/// The slowest and the fastest case, by decode speed.
fn spread_of_cases(report: &Report<'_>, host: &HostAnalysis<'_>) -> Option<Inline> {
    let class = report.class_of(host.host)?;
    let level = |c| Some((c, class.of_case(Metric::DecodeTps, host.host, c).mean?));
    let cases = host.cases.iter().filter_map(level).sorted_by(|a, b| a.1.total_cmp(&b.1));
    let named = |(case, level): (&CaseAnalysis<'_>, f64)| {
        format!("{} ({})", Inline::text(&case.case.title), with_unit(Metric::DecodeTps, level))
    };
    let mut cases = cases.map(named);
    let (slowest, fastest) = (cases.next()?, cases.next_back()?);
    Some(Inline::own(format!("Decode speed by case: slowest {slowest}, fastest {fastest}.")))
}

fn validity(host: &HostAnalysis<'_>) -> Inline {
    let planned = host.due();
    let counted: Vec<&Counted> = host.cells().filter_map(|(_, c)| c.counted()).collect();
    let n = |validity| counted.iter().filter(|c| c.validity() == validity).count();
    let (degraded, invalid) = (n(Validity::Degraded), n(Validity::Invalid));
    let word = if counted.len() == invalid {
        "no usable results"
    } else if host.missing() > 0 {
        "partial"
    } else if invalid > 0 {
        "partly invalid"
    } else if degraded > 0 || host.warmup_findings().next().is_some() {
        "degraded"
    } else {
        "valid"
    };
    let skipped =
        if_any(host.cells().count() - planned, |n| format!(" {n} more skipped after saturation."));
    let codes = finding_counts(std::iter::once(host))
        .map_or_else(String::new, |codes| format!(" ({})", Inline::sentence(&codes)));
    Inline::own(format!(
        "**Result: {word}.** {} of {} counted, {degraded} degraded, {invalid} invalid{codes}.{skipped}",
        counted.len(),
        quantity(planned, "cell"),
    ))
}

/// TTFT of all usable requests of all cases.
fn first_tokens(host: &HostAnalysis<'_>) -> Option<Inline> {
    let ttft = &host.first_token;
    let largest = ttft.max()?;
    let p95 = match ttft.percentile(0.95) {
        Some(Percentile { value, .. }) => format!("p95 {} ms", millis(Some(value))),
        None => format!("p95 not available ({} of 72 required requests)", ttft.n()),
    };
    Some(Inline::own(format!(
        "TTFT over {} of all cases: p50 {} ms, {p95}, max {} ms.",
        quantity(ttft.n(), "request"),
        millis(ttft.median()),
        millis(Some(largest))
    )))
}

fn against_others(report: &Report<'_>, host: &HostAnalysis<'_>) -> Vec<Inline> {
    let Some(class) = report.class_of(host.host) else {
        return vec!["Not compared: no usable results on this host.".into()];
    };
    if class.class.hosts.len() < 2 {
        return vec![match report.why_alone(host.host) {
            Some(why) => Inline::sentence(&format!("This host is {}.", not_comparable(&why))),
            None => "Not compared: no other host in this class.".into(),
        }];
    }
    let mut out = Vec::new();
    for metric in Metric::ALL {
        let Some(words) = verdict_on(report, metric, host.host) else { continue };
        let judged = class.metric(metric).and_then(|m| m.judged(host.host));
        let estimate = judged.and_then(|j| j.effect).map_or_else(String::new, |e| {
            format!(" ({}, n = {})", signed_estimate(e.mean, e.interval(0.95)), e.n)
        });
        let others = if class.class.hosts.len() == 2 { "other host" } else { "other hosts" };
        out.push(Inline::own(format!(
            "Compared with the {others}, {}: **{}**{estimate}.",
            metric.label(),
            Inline::sentence(&words)
        )));
    }
    out
}
