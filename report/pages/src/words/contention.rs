//! Contention: hosts that are slower together than solo, in words.

use itertools::Itertools as _;
use regatta_types::margin::percent;
use regatta_types::metric::Metric;

use super::names::some_names;
use super::numbers::quantity;
use super::verdict::{Difference, if_indicative};
use crate::report::Report;
use regatta_figures::compare::{Contention, SoloAndTogether, Verdict};

/// One sentence per metric in which hosts are significantly slower together, and one if no host is
/// in decode speed.
pub(crate) fn contended(analysis: &Report<'_>) -> Vec<String> {
    let hosts = analysis.hosts.len();
    let said = |found| slower(found).or_else(|| nobody(found, hosts));
    analysis.contention.iter().filter_map(said).collect()
}

/// `gpu-02 (4.1 %), gpu-05 (3.8 %) lose decode speed when all hosts run at the same time`, most first.
fn slower(found: &Contention) -> Option<String> {
    let slower = found.hosts.iter().filter(|host| host.verdict == Verdict::Slower);
    let slower = slower.filter_map(|host| Some((&host.host, host.effect?)));
    let hosts = slower.sorted_by(|(_, a), (_, b)| b.mean.abs().total_cmp(&a.mean.abs()));
    let hosts = hosts.collect_vec();
    let fewest = hosts.iter().map(|(_, effect)| effect.n).min()?;
    let indicative = if_indicative(Some(fewest), ", indicative");
    let one = hosts.len() == 1;
    let who = hosts.iter().map(|(host, effect)| {
        let difference = Difference::of(*effect);
        let basis = if one { difference.unsigned() } else { String::new() };
        let (size, mark) = (difference.size(), if one { ", " } else { indicative });
        format!("{host} ({size}{mark}{basis})")
    });
    let who = some_names(&who.collect_vec());
    let (verb, what) = match found.metric {
        Metric::DecodeTps => ("lose", "decode speed"),
        Metric::OutputTps => ("lose", "system output"),
        Metric::Ttft | Metric::FirstAnswer | Metric::E2e | Metric::Energy => {
            ("take", "longer to the first token")
        }
    };
    let s = if one { "s" } else { "" };
    Some(format!(
        "{who} {verb}{s} {what} when all hosts run at the same time. Check shared power, cooling, network and storage."
    ))
}

/// If every host is as fast together as solo.
fn nobody(found: &Contention, of: usize) -> Option<String> {
    let same = |host: &SoloAndTogether| host.verdict == Verdict::Equivalent;
    let is_told = found.metric == Metric::DecodeTps && found.hosts.iter().all(same);
    let hosts = match found.hosts.len() {
        0 | 1 => return None,
        n if n < of => format!("{n} compared hosts (of {of})"),
        2 => "both hosts".to_owned(),
        n => format!("all {}", quantity(n, "host")),
    };
    let fewest = found.hosts.iter().filter_map(|host| host.effect).map(|effect| effect.n).min();
    let indicative = if_indicative(fewest, " (indicative)");
    is_told.then(|| {
        format!(
            "Contention: {hosts} decode as fast together as solo, within {} %{indicative}.",
            percent(found.margin)
        )
    })
}
