//! What is said of hosts that are slower together than solo.

use regatta_types::margin::percent;
use regatta_types::metric::Metric;

use super::names::some_names;
use super::numbers::count_of;
use crate::report::Report;
use regatta_figures::compare::{Contention, Effect, FULL_REPETITIONS, SoloAndTogether, Verdict};

/// A sentence for each metric in which hosts are settled slower together, and one where nobody is in
/// decode speed.
pub(crate) fn contended(analysis: &Report<'_>) -> Vec<String> {
    let hosts = analysis.hosts.len();
    let said = |found| slower(found).or_else(|| nobody(found, hosts));
    analysis.contention.iter().filter_map(said).collect()
}

/// `gpu-02 (4.1 %) and gpu-05 (3.8 %) lose decode speed when all hosts run at once`, the most first.
fn slower(found: &Contention) -> Option<String> {
    let mut hosts: Vec<(&SoloAndTogether, Effect)> = found
        .hosts
        .iter()
        .filter(|host| host.verdict == Verdict::Slower)
        .filter_map(|host| Some((host, host.effect?)))
        .collect();
    hosts.sort_by(|(_, a), (_, b)| b.mean.abs().total_cmp(&a.mean.abs()));
    let (_, first) = *hosts.first()?;
    let indicative = if hosts.iter().any(|(_, effect)| effect.n < FULL_REPETITIONS) {
        ", indicative"
    } else {
        ""
    };
    let one = hosts.len() == 1;
    let who: Vec<String> = hosts
        .iter()
        .map(|(host, effect)| match one {
            true => format!("{} ({}, {}{indicative})", host.host, size(first), basis(first)),
            false => format!("{} ({}{indicative})", host.host, size(*effect)),
        })
        .collect();
    let what = match (found.metric, one) {
        (Metric::DecodeTps, true) => "loses decode speed",
        (Metric::DecodeTps, false) => "lose decode speed",
        (Metric::OutputTps, true) => "loses system output",
        (Metric::OutputTps, false) => "lose system output",
        (Metric::Ttft | Metric::FirstAnswer | Metric::E2e | Metric::Energy, true) => {
            "takes longer to the first token"
        }
        (Metric::Ttft | Metric::FirstAnswer | Metric::E2e | Metric::Energy, false) => {
            "take longer to the first token"
        }
    };
    Some(format!(
        "{} {what} when all hosts run at once: that points to something they share, such as power, cooling, network or storage.",
        some_names(who.iter().map(String::as_str))
    ))
}

/// Where every host of this many is as fast together as solo.
fn nobody(found: &Contention, of: usize) -> Option<String> {
    let same = |host: &SoloAndTogether| host.verdict == Verdict::Equivalent;
    let is_told = found.metric == Metric::DecodeTps && found.hosts.iter().all(same);
    let hosts = match found.hosts.len() {
        0 | 1 => return None,
        n if n < of => format!("the {n} hosts that were judged, of {of},"),
        2 => "both hosts".to_owned(),
        n => format!("all {}", count_of(n, "host")),
    };
    let indicative = indicative(found.hosts.iter().filter_map(|host| host.effect));
    is_told.then(|| {
        format!(
            "Contention: {hosts} decode as fast together as alone, within {} %{indicative}.",
            percent(found.margin)
        )
    })
}

fn indicative(mut effects: impl Iterator<Item = Effect>) -> &'static str {
    if effects.any(|effect| effect.n < FULL_REPETITIONS) { " (indicative)" } else { "" }
}

/// A difference without its sign.
fn size(effect: Effect) -> String {
    format!("{:.1} %", effect.mean.exp_m1().abs() * 100.0)
}

/// `95 % CI 4.5–5.1, 5 repetitions`.
fn basis(effect: Effect) -> String {
    let (low, high) = effect.interval(0.95);
    let mut ends = [low, high].map(|log| log.exp_m1() * 100.0);
    if effect.mean < 0.0 {
        ends = [-ends[1], -ends[0]];
    }
    let n = count_of(effect.n, "repetition");
    format!("95 % CI {:.1}–{:.1}, {n}", ends[0], ends[1])
}
