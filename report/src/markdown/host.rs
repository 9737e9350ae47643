//! `hosts/<host>.md`: everything about one host.

mod attempts;
mod cases;
mod checks;
mod engine;
mod facts;
mod floor;
mod gpu;
mod notes;
mod stability;
mod warmup;

use regatta_types::validity::Validity;

use super::combined::{definitions, reproduce};
use super::format::{count_of, signed_interval, signed_percent, with_unit};
use super::load;
use super::page::Page;
use super::text::Inline;
use crate::analysis::{Analysis, CaseAnalysis, Counted, HostAnalysis};
use crate::bandwidth::Bandwidth;
use crate::compare::Metric;
use crate::plot::{Plots, Which};
use crate::summary::{causes_of, headline, unmeasured, verdict_words};

/// The page of one host.
pub(crate) fn host(analysis: &Analysis<'_>, host: &HostAnalysis<'_>, plots: &Plots) -> String {
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
    floor::floor(&mut page, host);
    cases::cases(&mut page, analysis, host);
    page.picture(plots.find(Which::Cases(host.host)), "../");
    engine::engine(&mut page, host);
    gpu::gpu(&mut page, host);
    page.picture(plots.find(Which::Timeline(host.host)), "../");
    attempts::attempts(&mut page, host);
    notes::notes(&mut page, analysis, host);
    page.section(&"9. Definitions".into());
    page.table(definitions());
    reproduce(&mut page, analysis.record);
    page.finish()
}

/// Section 1: valid or not, how fast, and against the others.
fn verdict(page: &mut Page, analysis: &Analysis<'_>, host: &HostAnalysis<'_>) {
    page.section(&"1. Verdict".into());
    let mut lines = vec![validity(host)];
    lines.extend(headlines(analysis, host));
    lines.extend(
        unmeasured(host)
            .into_iter()
            .map(|said| Inline::sentence(&format!("Keep in mind: {said}."))),
    );
    lines.extend(against_others(analysis, host));
    let causes = causes_of(analysis, host.host);
    if !causes.is_empty() {
        let what =
            format!("What differs on it from the others of its class: {}.", causes.join("; "));
        lines.push(Inline::sentence(&what));
    }
    lines.extend(bandwidth(analysis, host));
    lines.extend(spread_of_cases(analysis, host));
    if let Some((case, speed)) = host.peak_output() {
        lines.push(Inline::own(format!(
            "Highest system output: {speed:.2} tok/s at {} (case {}).",
            load::offered(case),
            Inline::text(&case.title)
        )));
    }
    lines.extend(load::saturation(host));
    lines.extend(warmup::cold_start(host));
    lines.extend(warmup::unsettled(host));
    lines.push(done(host));
    lines.extend(sums(host));
    page.list(lines);
}

/// The figures of the host as they are compared, the same as in the combined report.
fn headlines(analysis: &Analysis<'_>, host: &HostAnalysis<'_>) -> Vec<Inline> {
    let said = |metric: Metric| {
        let said = headline(analysis, metric, host.host)?;
        let heading = metric.heading();
        Some(Inline::own(match metric {
            Metric::DecodeTps => format!("**{heading}: {said}.**"),
            Metric::Ttft => format!("{heading}: {said}; p50 and p95 of each case in section 4."),
            Metric::FirstAnswer | Metric::E2e | Metric::OutputTps | Metric::Energy => {
                format!("{heading}: {said}.")
            }
        }))
    };
    let lines: Vec<Inline> = Metric::ALL.into_iter().filter_map(said).collect();
    if lines.is_empty() && host.has_usable() && host.figures.ttft_s.n() > 0 {
        return vec![
            "No repetition has all compared cases, so there is no figure over them; section 4 has each case.".into(),
        ];
    }
    lines
}

/// How near decoding comes to what the memory could feed, if that can be said.
fn bandwidth(analysis: &Analysis<'_>, host: &HostAnalysis<'_>) -> Option<Inline> {
    let bandwidth = *Bandwidth::of(analysis, host).known()?;
    let means =
        if bandwidth.is_dim() { format!(" {}.", Bandwidth::DIM_MEANS) } else { String::new() };
    let (words, evidence) = (bandwidth.words(), bandwidth.evidence());
    Some(Inline::own(format!("Decoding runs at **{words}** ({evidence}).{means}")))
}

/// What was done, over one population: the counted attempts.
fn done(host: &HostAnalysis<'_>) -> Inline {
    let cells = || host.cases.iter().flat_map(|case| &case.cells);
    let attempts = || cells().filter_map(|cell| cell.counted());
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let invalid = attempts().filter(|c| !c.is_usable()).count();
    let usable = match invalid {
        0 => String::new(),
        1 => " One of these attempts is invalid and in no figure.".to_owned(),
        n => format!(" {n} of these attempts are invalid and in no figure."),
    };
    let solo = host.solo.iter().flat_map(|case| &case.cells).filter_map(|c| c.counted()).count();
    let beside = match solo {
        0 => String::new(),
        n => format!(
            " Beside them, in no figure of the host: {}.",
            count_of(count(n), "solo attempt")
        ),
    };
    let requests = &host.requests;
    Inline::own(format!(
        "In {} ({:.2} s): {} ok, {} failed, {} answers truncated; {} prompt and {} completion tokens.{usable}{beside}",
        count_of(count(attempts().count()), "counted attempt"),
        host.measured_seconds(),
        count_of(u64::from(requests.ok), "measured request"),
        requests.failures(),
        requests.truncated,
        super::format::told(host.tokens.prompt),
        super::format::told(host.tokens.completion),
    ))
}

/// The only place of the ratios of sums over all cases: they are not what is compared.
fn sums(host: &HostAnalysis<'_>) -> Option<Inline> {
    let (decode, e2e) = (host.figures.decode.per_second(), host.figures.e2e.per_second());
    let decode =
        decode.map(|v| format!("{v:.2} tok/s decode (all decode tokens / all decode seconds)"));
    let e2e = e2e.map(|v| {
        format!("{v:.2} tok/s end to end (all completion tokens / all end-to-end seconds; contains prefill and queueing)")
    });
    let parts: Vec<String> = decode.into_iter().chain(e2e).collect();
    (!parts.is_empty()).then(|| {
        Inline::own(format!(
            "Ratio of sums over all usable requests, in which long answers weigh more: {}. It is not what is compared.",
            parts.join(", ")
        ))
    })
}

/// The slowest and the fastest case, by decode speed.
fn spread_of_cases(analysis: &Analysis<'_>, host: &HostAnalysis<'_>) -> Option<Inline> {
    let class = analysis.class_of(host.host)?;
    let level = |c| Some((c, class.of_case(Metric::DecodeTps, host.host, c).mean?));
    let mut cases: Vec<(&CaseAnalysis<'_>, f64)> = host.cases.iter().filter_map(level).collect();
    cases.sort_by(|a, b| a.1.total_cmp(&b.1));
    let [slowest, .., fastest] = cases.as_slice() else { return None };
    let named = |(case, level): &(&CaseAnalysis<'_>, f64)| {
        format!("{} ({})", Inline::text(&case.case.title), with_unit(Metric::DecodeTps, *level))
    };
    Some(Inline::own(format!(
        "Slowest case {}, fastest case {}, by decode speed.",
        named(slowest),
        named(fastest)
    )))
}

fn validity(host: &HostAnalysis<'_>) -> Inline {
    let planned = host.cells().count();
    let counted: Vec<&Counted> = host.cells().filter_map(|(_, c)| c.counted()).collect();
    let n = |validity| counted.iter().filter(|c| c.validity() == validity).count();
    let (degraded, invalid) = (n(Validity::Degraded), n(Validity::Invalid));
    let word = if counted.len() == invalid {
        "nothing usable"
    } else if counted.len() < planned {
        "partial"
    } else if invalid > 0 {
        "partly invalid"
    } else if degraded > 0 || host.settling_findings().next().is_some() {
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
    for metric in Metric::ALL {
        let report = class.metric(metric).filter(|m| !m.series.cases.is_empty());
        let Some(judged) = report.and_then(|m| m.judged(host.host)) else { continue };
        let estimate = judged.effect.map_or_else(String::new, |e| {
            let n = count_of(u64::try_from(e.n).unwrap_or(u64::MAX), "repetition");
            format!(" ({} %, 95 % CI {}, {n})", signed_percent(e.mean), signed_interval(e))
        });
        let others = if class.class.hosts.len() == 2 { "other host" } else { "other hosts" };
        out.push(Inline::own(format!(
            "Against the {others} in {}: **{}**{estimate}.",
            metric.label(),
            verdict_words(metric, judged)
        )));
    }
    out
}
