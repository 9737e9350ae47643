//! What can explain that a host differs: facts that are not those of most others, and what its GPUs
//! did, its engine said and its agent saw, the most telling first. Evidence, not proof.

mod gpu;

use regatta_types::clean;
use regatta_types::ids::HostId;
use regatta_types::units::grouped_real;

use crate::analysis::{Analysis, HostAnalysis};
use crate::compare::{ClassReport, Fact, Judged, Metric, Quarters, other_facts_of};
use crate::metrics::{Distribution, EngineFigures, Warmth};

use gpu::Gpus;

/// How much longer than on the others requests must wait for their turn to be told of, and from how
/// many seconds on.
const QUEUE_FACTOR: f64 = 2.0;
const QUEUE_S: f64 = 0.001;
/// Points by which a share must differ from the median of the others to be told of.
const SHARE: f64 = 0.05;
/// Share of the KV cache from which on it is full.
const KV_FULL: f64 = 0.95;

/// The evidence of hosts with a settled difference in decode speed, a sentence each.
pub(crate) fn causes(analysis: &Analysis<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for class in &analysis.classes {
        let Some(report) = class.metric(Metric::DecodeTps) else { continue };
        let is_told = |judged: &&Judged| {
            let fading = class.quarters(&judged.host).is_some_and(|quarters| quarters.is_fading);
            judged.verdict.is_settled_difference() || fading
        };
        for judged in report.outcome.hosts.iter().filter(is_told) {
            let causes = causes_in(analysis, class, &judged.host);
            if !causes.is_empty() {
                let others = others_of(class);
                out.push(format!(
                    "{} differs from {others} in: {}.",
                    judged.host,
                    causes.join("; ")
                ));
            }
        }
    }
    out
}

/// What differs on a host from most others of its class, whatever its verdict.
pub(crate) fn causes_of(analysis: &Analysis<'_>, host: &HostId) -> Vec<String> {
    analysis.class_of(host).map(|class| causes_in(analysis, class, host)).unwrap_or_default()
}

fn causes_in(analysis: &Analysis<'_>, class: &ClassReport, host: &HostId) -> Vec<String> {
    let (own, others): (Vec<&HostAnalysis<'_>>, Vec<&HostAnalysis<'_>>) = analysis
        .hosts
        .iter()
        .filter(|h| class.class.hosts.contains(h.host))
        .partition(|h| h.host == host);
    let Some(own) = own.first() else { return Vec::new() };
    let whose = others_of(class);
    let gpus = Gpus::new(own, &others);
    let mut causes = gpus.faults();
    causes.extend(class.quarters(host).and_then(fading));
    causes.extend(unusual_facts(own, &others, whose));
    causes.extend(gpus.limits());
    causes.extend(engine_evidence(own, &others));
    causes.extend(short_of_cpu(own, &others));
    causes.extend(gpus.signs());
    causes.iter().map(|cause| clean::line(cause)).collect()
}

/// Who a host is unlike, if it is.
fn others_of(class: &ClassReport) -> &'static str {
    if class.class.hosts.len() == 2 { "the other host" } else { "most others" }
}

/// `GPU power limit 450 W (most others 600 W)`.
fn unusual_facts(own: &HostAnalysis<'_>, others: &[&HostAnalysis<'_>], whose: &str) -> Vec<String> {
    let others: Vec<Vec<Fact>> = others.iter().map(|m| other_facts_of(m.record)).collect();
    let unusual = |(index, fact): (usize, &Fact)| {
        let own = fact.value.as_ref()?;
        let usual: Vec<&String> =
            others.iter().filter_map(|facts| facts[index].value.as_ref()).collect();
        let most = usual
            .iter()
            .find(|value| 2 * usual.iter().filter(|other| other == value).count() > others.len())?;
        (own != *most).then(|| clean::line(&format!("{} {own} ({whose} {most})", fact.name)))
    };
    other_facts_of(own.record).iter().enumerate().filter_map(unusual).collect()
}

/// Slower only at the end of the run, with what its GPUs did at both ends.
fn fading(quarters: &Quarters) -> Option<String> {
    if !quarters.is_fading || !quarters.against_others {
        return None;
    }
    let (first, last) = (quarters.first.gpus, quarters.last.gpus);
    let both = |value: fn(Warmth) -> Option<f64>| value(first).zip(value(last));
    let clock = both(Warmth::clock_sm_mhz).map(|(first, last)| {
        format!(", SM clock {} MHz then {} MHz", grouped_real(first, 0), grouped_real(last, 0))
    });
    let heat = both(Warmth::temperature_c)
        .map(|(first, last)| format!(", GPU at {first:.0} °C then {last:.0} °C"));
    Some(format!(
        "decode {:.1} % slower in the last quarter of its repetitions and not in the first{}{}: look at its cooling",
        -quarters.last.mean_log.exp_m1() * 100.0,
        clock.unwrap_or_default(),
        heat.unwrap_or_default()
    ))
}

/// Attempts in which the agent itself was late, where that is no matter on the others.
fn short_of_cpu(own: &HostAnalysis<'_>, others: &[&HostAnalysis<'_>]) -> Option<String> {
    let late = |host: &HostAnalysis<'_>| {
        let counted = || host.cells().filter_map(|(_, cell)| cell.counted());
        let is_late = |code: &str| matches!(code, "client_limited" | "client_stall");
        let n = counted().filter(|c| c.findings.iter().any(|f| is_late(&f.code))).count();
        (n, counted().count())
    };
    let (n, of) = late(own);
    (n > 0 && others.iter().all(|host| late(host).0 == 0))
        .then(|| format!("its agent was short of CPU in {n} of {of} attempts (the others' never)"))
}

/// What the engine of a host said that those of the others did not.
fn engine_evidence(own: &HostAnalysis<'_>, others: &[&HostAnalysis<'_>]) -> Vec<String> {
    let Some(own) = own.engine_metrics.known().copied() else { return Vec::new() };
    let others: Vec<EngineFigures> =
        others.iter().filter_map(|h| h.engine_metrics.known().copied()).collect();
    let median = |value: fn(&EngineFigures) -> Option<f64>| {
        Distribution::new(others.iter().filter_map(value)).median()
    };
    let mut out = Vec::new();
    if let (Some(n), Some(usual)) = (own.preemptions, median(|f| f.preemptions))
        && n > usual
    {
        out.push(format!("preemptions {n:.0} (median of the others {usual:.0})"));
    }
    if let (Some(s), Some(usual)) = (own.queue_mean_s, median(|f| f.queue_mean_s))
        && s > QUEUE_S
        && s > usual * QUEUE_FACTOR
    {
        let (ms, usual) = (s * 1e3, usual * 1e3);
        out.push(format!("mean queue time {ms:.1} ms (median of the others {usual:.1} ms)"));
    }
    if let (Some(share), Some(usual)) = (own.kv_peak, median(|f| f.kv_peak))
        && share >= KV_FULL
        && usual < KV_FULL
    {
        let (own, usual) = (share * 100.0, usual * 100.0);
        out.push(format!("KV cache {own:.0} % full (median of the others {usual:.0} %)"));
    }
    for (what, value) in [
        ("accepted drafts", (|f| f.acceptance) as fn(&EngineFigures) -> Option<f64>),
        ("prefix cache hits", |f| f.prefix_hit_share),
    ] {
        if let (Some(share), Some(usual)) = (value(&own), median(value))
            && (share - usual).abs() > SHARE
        {
            let (own, usual) = (share * 100.0, usual * 100.0);
            out.push(format!("{what} {own:.0} % (median of the others {usual:.0} %)"));
        }
    }
    out
}
