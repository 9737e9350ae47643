//! Possible causes of a slow host: differences in GPU telemetry, engine metrics, agent findings and
//! facts, strongest first. Evidence, not proof.

mod gpu;

use regatta_types::clean;
use regatta_types::ids::HostId;
use regatta_types::units::grouped_real;
use regatta_types::validity::FindingCode;

use super::numbers::quantity;
use super::reason::shown;
use crate::report::Report;
use regatta_figures::compare::{ClassReport, MetricReport, Quarters, Verdict};
use regatta_figures::facts::{Fact, TELLING_FACTS, other_facts_of};
use regatta_figures::hosts::{Cell, Counted, Happened, HostAnalysis};
use regatta_figures::metrics::{Distribution, EngineFigures, FindingEvidence, Mean, Thermals};

use super::names::{first_few, some_names};
use gpu::Gpus;

/// By which factor, and at least how many seconds, the queue time must exceed that of the others.
const QUEUE_FACTOR: f64 = 2.0;
const QUEUE_S: f64 = 0.001;
/// By how much a share must differ from the median of the others.
const SHARE: f64 = 0.05;
/// By which factor the memory of an engine must differ.
const MEMORY_FACTOR: f64 = 2.0;
/// Share of the KV cache in use that counts as full.
const KV_FULL: f64 = 0.95;

/// How a figure is written: factor, digits, unit.
type Scale = (f64, usize, &'static str);
const COUNT: Scale = (1.0, 0, "");
const MILLIS: Scale = (1e3, 1, " ms");
const PERCENT: Scale = (100.0, 0, " %");

/// A figure of this host, inserted in a sentence at `{}`, with the median of the others; `None` if
/// the two do not differ in this way.
fn unusual(
    figures: Option<(f64, f64)>,
    (factor, digits, unit): Scale,
    differ: impl Fn(f64, f64) -> bool,
    sentence: &str,
) -> Option<String> {
    let (own, usual) = figures.filter(|&(own, usual)| differ(own, usual))?;
    let [own, usual] = [own, usual].map(|v| grouped_real(v * factor, digits) + unit);
    Some(format!("{} (median of the others {usual})", sentence.replace("{}", &own)))
}

/// The next step if no recorded fact differs.
const CHECK: &str = "Check CPU contention, engine flags and other processes.";

/// A sentence for each host that differs significantly; for a slower one also if nothing was found.
/// Of two hosts only the slower one has one: the differences of the other are the same.
pub(crate) fn causes(analysis: &Report<'_>) -> Vec<String> {
    let hosts = analysis.classes.iter().flat_map(|class| &class.class.hosts);
    let explained = |host: &&HostId| !causes_of(analysis, host).is_empty();
    let (explained, bare): (Vec<&HostId>, Vec<&HostId>) = hosts.partition(explained);
    let said = explained.iter().filter_map(|host| cause(analysis, host)).collect();
    let mut out = first_few(said, |more| {
        format!("Possible causes for {}: see the per-host reports.", quantity(more, "more host"))
    });
    let (bare, said): (Vec<&HostId>, Vec<String>) =
        bare.into_iter().filter_map(|host| Some((host, cause(analysis, host)?))).unzip();
    if bare.len() > 1 {
        let hosts = some_names(&bare);
        out.push(format!("No recorded fact explains why {hosts} are worse. {CHECK}"));
    } else {
        out.extend(said);
    }
    out
}

/// The sentence of one host, if it has one.
pub(crate) fn cause(analysis: &Report<'_>, host: &HostId) -> Option<String> {
    let class = analysis.class_of(host)?;
    let metrics_with = |wanted: Verdict| -> Vec<&'static str> {
        let compared = |m: &&MetricReport| wanted == Verdict::Slower || m.outcome.compared() > 2;
        let reports = class.metrics.iter().filter(compared);
        let with = reports.filter(|m| m.judged(host).is_some_and(|j| j.verdict == wanted));
        with.map(|m| m.metric.label()).collect()
    };
    let (slower, faster) = (metrics_with(Verdict::Slower), metrics_with(Verdict::Faster));
    let causes = causes_in(analysis, class, host);
    let (metrics, word) = match (slower.as_slice(), faster.as_slice(), causes.as_slice()) {
        ([], [], [_, ..]) if fades(class, host).is_some() => {
            (&["decode speed at the end of the run"][..], "worse")
        }
        ([], [], _) | ([], _, []) => return None,
        ([], faster, _) => (faster, "better"),
        (slower, _, []) => return Some(nothing_found(analysis, host, slower)),
        (slower, _, _) => (slower, "worse"),
    };
    Some(format!(
        "Possible causes on {host} ({word} in {}), not seen on {}: {}. Evidence, not proof.",
        metrics.join(", "),
        others_of(class),
        causes.join("; ")
    ))
}

/// The first and last quarter of a host that becomes slower than the others during the run.
fn fades<'a>(class: &'a ClassReport, host: &HostId) -> Option<&'a Quarters> {
    class.quarters(host).filter(|quarters| quarters.is_fading && quarters.against_others)
}

/// Whether a host differs only because the one other host is slower.
pub(crate) fn is_mirrored(analysis: &Report<'_>, host: &HostId) -> bool {
    let Some(class) = analysis.class_of(host) else { return false };
    let has = |verdict: Verdict| {
        class.metrics.iter().any(|m| m.judged(host).is_some_and(|j| j.verdict == verdict))
    };
    class.class.hosts.len() == 2 && has(Verdict::Faster) && !has(Verdict::Slower)
}

/// The next step for a slow host without any recorded difference.
fn nothing_found(analysis: &Report<'_>, host: &HostId, metrics: &[&str]) -> String {
    let unread = analysis.hosts.iter().any(|h| h.host == host && h.gpus.is_err());
    let unread = if unread { " Its GPUs were not read." } else { "" };
    format!(
        "No recorded fact explains why {host} is worse in {}.{unread} {CHECK}",
        metrics.join(", ")
    )
}

/// How a host differs from most others of its class, regardless of its verdict.
pub(crate) fn causes_of(analysis: &Report<'_>, host: &HostId) -> Vec<String> {
    analysis.class_of(host).map(|class| causes_in(analysis, class, host)).unwrap_or_default()
}

fn causes_in(analysis: &Report<'_>, class: &ClassReport, host: &HostId) -> Vec<String> {
    let (own, others): (Vec<&HostAnalysis<'_>>, Vec<&HostAnalysis<'_>>) =
        analysis.members(class).into_iter().partition(|h| h.host == host);
    let Some(own) = own.first() else { return Vec::new() };
    let gpus = Gpus::new(own, &others);
    let [telling, minor] = unusual_facts(own, &others, others_of(class));
    let mut causes: Vec<String> = busy(own, &others).into_iter().collect();
    causes.extend(gpus.faults());
    causes.extend(fades(class, host).map(fading));
    causes.extend(telling);
    causes.extend(gpus.limits());
    causes.extend(gpus.shared.clone());
    causes.extend(engine_evidence(own, &others));
    causes.extend(restarted(own, &others));
    causes.extend(resident(own, &others));
    let late = [FindingCode::ClientLimited, FindingCode::ClientStall];
    causes.extend(attempts_with(own, &others, "its agent lacked CPU time", &late));
    causes.extend(gpus.signs());
    causes.extend(minor);
    causes.iter().map(|cause| clean::line(cause)).collect()
}

/// The hosts that a host is compared with.
fn others_of(class: &ClassReport) -> &'static str {
    if class.class.hosts.len() == 2 { "the other host" } else { "most others" }
}

/// `GPU power limit 450 W (most others 600 W)`: facts that limit the GPU directly, and the rest.
fn unusual_facts(
    own: &HostAnalysis<'_>,
    others: &[&HostAnalysis<'_>],
    whose: &str,
) -> [Vec<String>; 2] {
    let others: Vec<Vec<Fact>> = others.iter().map(|m| other_facts_of(m.record)).collect();
    let differing = |(index, fact): (usize, &Fact)| {
        let own = fact.value.as_ref()?;
        let usual: Vec<&String> =
            others.iter().filter_map(|facts| facts[index].value.as_ref()).collect();
        let most = usual
            .iter()
            .find(|value| 2 * usual.iter().filter(|other| other == value).count() > others.len())?;
        let (name, [own, most]) = (fact.name, [own, *most].map(|value| shown(fact.name, value)));
        (own != most).then(|| clean::line(&format!("{name} {own} ({whose} {most})")))
    };
    let facts = other_facts_of(own.record);
    let (telling, minor): (Vec<_>, Vec<_>) =
        facts.iter().enumerate().partition(|(index, _)| *index < TELLING_FACTS);
    [telling, minor].map(|facts| facts.into_iter().filter_map(differing).collect())
}

/// Slower only at the end of the run, with its GPU telemetry at both ends.
fn fading(quarters: &Quarters) -> String {
    let (first, last) = (quarters.first.gpus, quarters.last.gpus);
    let both = |of: fn(Thermals) -> Mean| of(first).value().zip(of(last).value());
    let clock = both(|gpus| gpus.clock_sm_mhz).map_or_else(String::new, |(first, last)| {
        format!(", SM clock from {} MHz to {} MHz", grouped_real(first, 0), grouped_real(last, 0))
    });
    let heat = both(|gpus| gpus.temperature_c).map_or_else(String::new, |(first, last)| {
        format!(", GPU temperature from {first:.0} °C to {last:.0} °C")
    });
    format!(
        "decode speed {:.1} % lower in the last quarter of the run but not in the first{clock}{heat}; check its cooling",
        -quarters.last.mean_log.exp_m1() * 100.0
    )
}

/// Attempts with one of these findings, if most others have none.
fn attempts_with(
    own: &HostAnalysis<'_>,
    others: &[&HostAnalysis<'_>],
    what: &str,
    codes: &[FindingCode],
) -> Option<String> {
    let found = |host: &HostAnalysis<'_>| {
        let counted = || host.compared().filter_map(Cell::counted);
        let is_such = |c: &&Counted| c.findings.iter().any(|f| codes.contains(&f.code));
        (counted().filter(is_such).count(), counted().count())
    };
    let (n, of) = found(own);
    let with = others.iter().filter(|host| found(host).0 > 0).count();
    let whose = if with == 0 { "others" } else { "most others" };
    (n > 0 && 2 * with < others.len().max(1))
        .then(|| format!("{what} in {n} of {of} attempts ({whose}: none)"))
}

/// Other clients of the engine, with the requests that they had.
fn busy(own: &HostAnalysis<'_>, others: &[&HostAnalysis<'_>]) -> Option<String> {
    let findings = own.compared().filter_map(Cell::counted).flat_map(|c| &c.findings);
    let beyond = findings.filter_map(|finding| {
        let FindingEvidence::EngineBusy { beyond, .. } = finding.evidence else { return None };
        Some(beyond)
    });
    let beyond = grouped_real(Distribution::new(beyond).median()?, 0);
    let what = format!("other clients had {beyond} requests (median) in its engine");
    attempts_with(own, others, &what, &[FindingCode::EngineBusy])
}

/// A restart of the engine, if the engines of most others went on.
fn restarted(own: &HostAnalysis<'_>, others: &[&HostAnalysis<'_>]) -> Option<String> {
    let has = |host: &&HostAnalysis<'_>| {
        host.events.events.iter().any(|event| matches!(event.what, Happened::EngineRestarted(_)))
    };
    (has(&own) && 2 * others.iter().filter(|host| has(host)).count() < others.len())
        .then(|| "its engine restarted during the run".to_owned())
}

/// Much more or much less memory of the engine's process than on the others.
fn resident(own: &HostAnalysis<'_>, others: &[&HostAnalysis<'_>]) -> Option<String> {
    let held = |host: &HostAnalysis<'_>| {
        Some(host.record?.engine.known()?.process.resident?.gib()).filter(|gib| *gib > 0.0)
    };
    let usual = Distribution::new(others.iter().filter_map(|host| held(host))).median();
    let is_far = |own: f64, usual: f64| (own / usual).max(usual / own) > MEMORY_FACTOR;
    unusual(held(own).zip(usual), (1.0, 1, " GiB"), is_far, "resident memory of the engine {}")
}

/// Engine metrics in which a host differs from the others.
fn engine_evidence(own: &HostAnalysis<'_>, others: &[&HostAnalysis<'_>]) -> Vec<String> {
    let Some(own) = own.engine_metrics.as_ref().ok().copied() else { return Vec::new() };
    let others: Vec<EngineFigures> =
        others.iter().filter_map(|h| h.engine_metrics.as_ref().ok().copied()).collect();
    let both = |value: fn(&EngineFigures) -> Option<f64>| {
        value(&own).zip(Distribution::new(others.iter().filter_map(value)).median())
    };
    let queues = |own, usual| own > QUEUE_S && own > usual * QUEUE_FACTOR;
    let fills = |own, usual| own >= KV_FULL && usual < KV_FULL;
    let differs = |own: f64, usual: f64| (own - usual).abs() > SHARE;
    let told = [
        unusual(both(|f| f.preemptions), COUNT, |own, usual| own > usual, "preemptions {}"),
        unusual(both(|f| f.queue_mean_s), MILLIS, queues, "mean queue time {}"),
        unusual(both(|f| f.kv_peak), PERCENT, fills, "KV cache {} full"),
        unusual(both(|f| f.acceptance), PERCENT, differs, "draft tokens accepted {}"),
        unusual(both(|f| f.prefix_hit_share), PERCENT, differs, "prefix cache hits {}"),
    ];
    told.into_iter().flatten().collect()
}
