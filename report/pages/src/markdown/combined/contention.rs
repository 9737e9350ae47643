//! Each host solo against together.

use std::collections::BTreeMap;

use regatta_types::margin::percent;
use regatta_types::suite::StartMode;

use crate::markdown::format::{NONE, count_of, level, signed_percent};
use crate::markdown::page::Page;
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::report::Report;
use crate::words::reason::reason;
use crate::words::some_names;
use regatta_figures::compare::{Contention, FULL_REPETITIONS, SoloAndTogether, Unjudged, Verdict};

/// The end of section 6.
pub(super) fn contention(page: &mut Page, analysis: &Report<'_>) {
    if analysis.hosts.len() < 2 {
        return;
    }
    page.subsection(&"Contention".into());
    let measured = match analysis.record.header.start {
        StartMode::Together => "only together",
        StartMode::Staggered => "only staggered",
        StartMode::Solo => "only solo",
        StartMode::Both => return both(page, analysis),
    };
    page.paragraph(&Inline::own(format!(
        "What the hosts take from each other was not measured: every case was measured {measured}. A run with `--start both` measures each case solo and together."
    )));
}

fn both(page: &mut Page, analysis: &Report<'_>) {
    if analysis.contention.is_empty() {
        page.paragraph(&"Nothing to compare: fewer than two hosts have usable attempts, or none has one of a case both solo and together.".into());
        return;
    }
    page.table(table(&analysis.contention));
    page.list(analysis.contention.iter().flat_map(left_out));
    let margins: Vec<String> = analysis
        .contention
        .iter()
        .map(|found| format!("{} % in {}", percent(found.margin), found.metric.label()))
        .collect();
    page.paragraph(&Inline::own(format!(
        "Each host against itself: the logarithm together minus that of the same case and repetition solo, right before it; one number per repetition, the mean over the cases; Student's t over the repetitions, Holm over the hosts. Differences up to {} are of no account. All other sections are of what was measured together. A difference points to something that the hosts share; it does not say what.",
        margins.join(", ")
    )));
}

fn table(contention: &[Contention]) -> Table {
    let mut table = Table::new([
        "Metric",
        "Host",
        "Solo>",
        "Together>",
        "Together against solo (%)>",
        "95 % CI (%)>",
        "Cases>",
        "Repetitions>",
        "Verdict",
    ]);
    for found in contention {
        for host in &found.hosts {
            let interval = host.effect.map_or(NONE.to_owned(), |effect| {
                let (low, high) = effect.interval(0.95);
                format!("{} to {}", signed_percent(low), signed_percent(high))
            });
            table.row([
                Inline::own(format!("{} ({})", found.metric.heading(), found.metric.unit())),
                Inline::text(host.host.as_str()),
                level(found.metric, host.solo_log),
                level(found.metric, host.together_log),
                Inline::own(
                    host.effect.map_or(NONE.to_owned(), |effect| signed_percent(effect.mean)),
                ),
                Inline::own(interval),
                Inline::own(host.cases.len().to_string()),
                Inline::own(host.effect.map_or(NONE.to_owned(), |effect| effect.n.to_string())),
                verdict(host),
            ]);
        }
    }
    table.dash(
        &["Solo", "Together", "Together against solo (%)", "95 % CI (%)", "Repetitions"],
        "too few repetitions have every case both ways".into(),
    );
    table
}

fn verdict(host: &SoloAndTogether) -> Inline {
    let words = match host.verdict {
        Verdict::Slower => "slower together".to_owned(),
        Verdict::Faster => "faster together".to_owned(),
        Verdict::Equivalent => "equivalent".to_owned(),
        Verdict::NotSettled { more: Some(n) } => {
            let more = count_of(n, "more repetition");
            format!("not settled (about {more} needed)")
        }
        Verdict::NotSettled { more: None } => "not settled".to_owned(),
        Verdict::NotJudged(
            Unjudged::TooFewRepetitions
            | Unjudged::TooFewShared
            | Unjudged::Alone
            | Unjudged::TwoGroups,
        ) => "no verdict: too few repetitions both ways".to_owned(),
    };
    let few = host.effect.is_some_and(|effect| effect.n < FULL_REPETITIONS);
    let is_verdict = !matches!(host.verdict, Verdict::NotJudged(_));
    let words = if few && is_verdict { format!("{words} (indicative)") } else { words };
    let words = Inline::own(words);
    if host.verdict.is_settled_difference() { words.bold() } else { words }
}

/// Cases that stayed out, a sentence for each reason and not for each host and case.
fn left_out(found: &Contention) -> Vec<Inline> {
    let mut hosts: BTreeMap<(String, Vec<&str>), Vec<&str>> = BTreeMap::new();
    for host in &found.hosts {
        let mut reasons: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (case, why) in &host.cases_left_out {
            reasons.entry(reason(why)).or_default().push(case.as_str());
        }
        for (why, cases) in reasons {
            hosts.entry((why, cases)).or_default().push(host.host.as_str());
        }
    }
    let line = |((why, cases), hosts): ((String, Vec<&str>), Vec<&str>)| {
        let metric = found.metric.label();
        let (hosts, cases) = (some_names(hosts.into_iter()), some_names(cases.into_iter()));
        Inline::sentence(&format!("{hosts}: {metric} without {cases} ({why})."))
    };
    hosts.into_iter().map(line).collect()
}
