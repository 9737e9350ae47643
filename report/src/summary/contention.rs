//! What is said of hosts that are slower together than solo.

use regatta_types::margin::percent;

use crate::analysis::Analysis;
use crate::compare::{Contention, Effect, FULL_REPETITIONS, Metric, SoloAndTogether, Verdict};
use crate::markdown::count_of;

/// A sentence for each metric in which hosts are settled slower together, and one where nobody is in
/// decode speed.
pub(crate) fn contended(analysis: &Analysis<'_>) -> Vec<String> {
    analysis.contention.iter().filter_map(|found| slower(found).or_else(|| nobody(found))).collect()
}

/// `gpu-02 and gpu-05 lose 4.1 % and 3.8 % of their decode speed when all hosts run at once`.
fn slower(found: &Contention) -> Option<String> {
    let hosts: Vec<(&SoloAndTogether, Effect)> = found
        .hosts
        .iter()
        .filter(|host| host.verdict == Verdict::Slower)
        .filter_map(|host| Some((host, host.effect?)))
        .collect();
    let names = list(hosts.iter().map(|(host, _)| host.host.to_string()).collect());
    let sizes = list(hosts.iter().map(|(_, effect)| size(*effect)).collect());
    let one = hosts.len() == 1;
    let what = match (found.metric, one) {
        (Metric::DecodeTps, true) => format!("loses {sizes} of its decode speed"),
        (Metric::DecodeTps, false) => format!("lose {sizes} of their decode speed"),
        (Metric::OutputTps, true) => format!("loses {sizes} of its system output"),
        (Metric::OutputTps, false) => format!("lose {sizes} of their system output"),
        (Metric::Ttft | Metric::FirstAnswer | Metric::E2e | Metric::Energy, _) => {
            let takes = if one { "takes" } else { "take" };
            format!("{takes} {sizes} longer to the first token")
        }
    };
    let (_, first) = hosts.first()?;
    let basis = if one { format!(" ({})", basis(*first)) } else { String::new() };
    let indicative = indicative(hosts.iter().map(|(_, effect)| *effect));
    Some(format!(
        "{names} {what} when all hosts run at once{basis}: that points to something they share, such as power, cooling, network or storage{indicative}."
    ))
}

/// Where every host is as fast together as solo.
fn nobody(found: &Contention) -> Option<String> {
    let same = |host: &SoloAndTogether| host.verdict == Verdict::Equivalent;
    let is_told = found.metric == Metric::DecodeTps && found.hosts.iter().all(same);
    let hosts = match found.hosts.len() {
        0 | 1 => return None,
        2 => "both hosts".to_owned(),
        n => format!("all {}", count_of(u64::try_from(n).unwrap_or(u64::MAX), "host")),
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
    let n = count_of(u64::try_from(effect.n).unwrap_or(u64::MAX), "repetition");
    format!("95 % CI {:.1}–{:.1}, {n}", ends[0], ends[1])
}

fn list(mut items: Vec<String>) -> String {
    match items.pop() {
        Some(last) if !items.is_empty() => format!("{} and {last}", items.join(", ")),
        last => last.unwrap_or_default(),
    }
}
