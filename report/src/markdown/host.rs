//! `hosts/<host>.md`: everything about one host.

mod attempts;
mod cases;
mod facts;
mod gpu;
mod notes;
mod warmup;

use regatta_types::validity::Validity;

use super::combined::{definitions, reproduce};
use super::format::{count_of, signed_interval, signed_percent};
use super::page::Page;
use super::text::Inline;
use crate::analysis::{Analysis, CaseAnalysis, Counted, HostAnalysis};
use crate::compare::Metric;
use crate::metrics::Percentile;
use crate::summary::verdict_words;

/// The page of one host.
pub(crate) fn host(analysis: &Analysis<'_>, host: &HostAnalysis<'_>) -> String {
    let mut page = Page::default();
    page.title(&Inline::own(format!("Regatta report: host {}", Inline::text(host.host.as_str()))));
    if host.record.is_some_and(|r| r.simulated) {
        page.notice(&"**Simulated host.** No machine, no GPU and no model was measured. The figures show how a report looks, nothing else.".into());
    }
    if let Some(why) = host.record.and_then(|r| r.refused.as_deref()) {
        page.notice(&Inline::own(format!("**Took no part:** {}.", Inline::text(why))));
    }
    verdict(&mut page, analysis, host);
    facts::measured(&mut page, analysis, host);
    warmup::warmup(&mut page, host);
    cases::cases(&mut page, analysis, host);
    gpu::gpu(&mut page, host);
    attempts::attempts(&mut page, host);
    notes::notes(&mut page, host);
    page.section(&"9. Definitions".into());
    page.table(&definitions());
    reproduce(&mut page, analysis.record);
    page.finish()
}

/// Section 1: valid or not, how fast, and against the others.
fn verdict(page: &mut Page, analysis: &Analysis<'_>, host: &HostAnalysis<'_>) {
    page.section(&"1. Verdict".into());
    let mut lines = vec![validity(host)];
    let figures = &host.figures;
    if let Some(speed) = figures.decode.per_second() {
        lines.push(Inline::own(format!(
            "**Decode speed: {speed:.2} tok/s** (all decode tokens / all decode seconds of {}); median of the requests {}.",
            count_of(u64::try_from(figures.decode_tps.n()).unwrap_or(0), "request"),
            super::format::tps(figures.decode_tps.median()),
        )));
    }
    if let Some(speed) = figures.e2e.per_second() {
        lines.push(Inline::own(format!(
            "End-to-end speed: {speed:.2} tok/s (all completion tokens / all end-to-end seconds; contains prefill and queueing)."
        )));
    }
    if let Some(median) = figures.ttft_s.median() {
        let p95 = match figures.ttft_s.percentile(0.95) {
            Percentile::Value { value, .. } => format!("p95 {:.1} ms", value * 1e3),
            Percentile::TooFew { n, .. } => format!(
                "p95: n = {n} too small, largest {} ms",
                super::format::millis(figures.ttft_s.max())
            ),
        };
        lines.push(Inline::own(format!(
            "Time to first token, over all cases: median {:.1} ms, {p95}.",
            median * 1e3
        )));
    }
    lines.extend(spread_of_cases(host));
    if let Some((case, speed)) = host.peak_output() {
        lines.push(Inline::own(format!(
            "Highest system output: {speed:.2} tok/s with {} streams (case {}).",
            case.concurrency,
            Inline::text(&case.title)
        )));
    }
    lines.extend(against_others(analysis, host));
    lines.extend(warmup::cold_start(host));
    let requests = &host.requests;
    lines.push(Inline::own(format!(
        "{} ok, {} failed; {} of {} answers truncated.",
        count_of(u64::from(requests.ok), "measured request"),
        requests.failures(),
        requests.truncated,
        requests.ok
    )));
    let tokens = |n: Option<u64>| super::format::known_count(n);
    lines.push(Inline::own(format!(
        "{} prompt tokens and {} completion tokens in {:.2} s of counted attempts.",
        tokens(figures.tokens.prompt),
        tokens(figures.tokens.completion),
        host.measured_seconds()
    )));
    page.list(lines);
}

/// The slowest and the fastest case, by decode speed.
fn spread_of_cases(host: &HostAnalysis<'_>) -> Option<Inline> {
    let speed = |c: &CaseAnalysis<'_>| c.figures.decode.per_second();
    let mut cases: Vec<&CaseAnalysis<'_>> =
        host.cases.iter().filter(|c| speed(c).is_some()).collect();
    cases.sort_by(|a, b| f64::total_cmp(&speed(a).unwrap_or(0.0), &speed(b).unwrap_or(0.0)));
    let [slowest, .., fastest] = cases.as_slice() else { return None };
    let named = |c: &CaseAnalysis<'_>| {
        format!("{} ({} tok/s)", Inline::text(&c.case.title), super::format::tps(speed(c)))
    };
    Some(Inline::own(format!(
        "Slowest case {}, fastest case {}, by decode speed.",
        named(slowest),
        named(fastest)
    )))
}

fn validity(host: &HostAnalysis<'_>) -> Inline {
    let planned = host.cells().count();
    let counted: Vec<&Counted<'_>> = host.cells().filter_map(|(_, c)| c.counted()).collect();
    let n = |validity| counted.iter().filter(|c| c.validity() == validity).count();
    let (degraded, invalid) = (n(Validity::Degraded), n(Validity::Invalid));
    let word = if counted.len() == invalid {
        "nothing usable"
    } else if counted.len() < planned {
        "partial"
    } else if invalid > 0 {
        "partly invalid"
    } else if degraded > 0 {
        "degraded"
    } else {
        "valid"
    };
    Inline::own(format!(
        "**Result: {word}.** {} of {} counted, {degraded} degraded, {invalid} invalid.",
        counted.len(),
        count_of(u64::try_from(planned).unwrap_or(0), "cell"),
    ))
}

fn against_others(analysis: &Analysis<'_>, host: &HostAnalysis<'_>) -> Vec<Inline> {
    let Some(class) = analysis.class_of(host.host) else {
        return vec!["Not compared: nothing usable was measured on this host.".into()];
    };
    if class.class.hosts.len() < 2 {
        return vec!["Not compared: no other host of this class.".into()];
    }
    let mut out = Vec::new();
    for metric in [Metric::DecodeTps, Metric::Ttft, Metric::E2e, Metric::OutputTps] {
        let report = class.metric(metric).filter(|m| !m.series.cases.is_empty());
        let Some(judged) = report.and_then(|m| m.judged(host.host)) else { continue };
        let estimate = judged.effect.map_or_else(String::new, |e| {
            format!(" ({} %, 95 % CI {})", signed_percent(e.mean), signed_interval(e))
        });
        out.push(Inline::own(format!(
            "Against the other hosts in {}: **{}**{estimate}.",
            metric.label(),
            verdict_words(judged)
        )));
    }
    out
}
