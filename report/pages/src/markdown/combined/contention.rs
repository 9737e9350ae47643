//! Each host solo against together.

use itertools::Itertools as _;
use regatta_figures::compare::{Contention, SoloAndTogether, Verdict};
use regatta_types::margin::percent;
use regatta_types::metric::Metric;
use regatta_types::suite::StartMode;

use crate::markdown::layout::{Inline, Page, Table, known, level};
use crate::report::Report;
use crate::words::numbers::{signed_interval, signed_percent};
use crate::words::verdict::{needed, verdict_words};
use crate::words::{excluded, some_names};

/// The end of section 6.
pub(super) fn contention(page: &mut Page, report: &Report<'_>) {
    if report.hosts.len() < 2 {
        return;
    }
    page.subsection("Contention");
    let measured = match report.record.header.start {
        StartMode::Together => "only together",
        StartMode::Staggered => "only staggered",
        StartMode::Solo => "only solo",
        StartMode::Both => return both(page, report),
    };
    page.paragraph(Inline::own(format!(
        "What the hosts take from each other was not measured: every case was measured {measured}. A run with `--start both` measures each case solo and together."
    )));
}

fn both(page: &mut Page, report: &Report<'_>) {
    if report.contention.is_empty() {
        page.paragraph("Nothing to compare: fewer than two hosts have usable attempts, or none has one of a case both solo and together.");
        return;
    }
    table(page, &report.contention);
    page.sentences(report.contention.iter().flat_map(left_out));
    let margins = report.contention.iter().map(|Contention { margin, metric, .. }| {
        format!("{} % in {}", percent(*margin), metric.label())
    });
    page.paragraph(Inline::own(format!(
        "Each host against itself: the logarithm together minus that of the same case and repetition solo, right before it; one number per repetition, the mean over the cases; Student's t over the repetitions, Holm over the hosts. Differences up to {} are of no account. All other sections are of what was measured together. A difference points to something that the hosts share; it does not say what.",
        margins.format(", ")
    )));
}

fn table(page: &mut Page, contention: &[Contention]) {
    let few = "too few repetitions have every case both ways";
    let hosts =
        contention.iter().flat_map(|found| found.hosts.iter().map(|host| (found.metric, host)));
    Table::of(hosts)
        .text("Metric", |(metric, _)| {
            Inline::own(format!("{} ({})", metric.heading(), metric.unit()))
        })
        .text("Host", |(_, host)| Inline::text(&host.host))
        .number_or("Solo", few, |(metric, host)| level(*metric, host.solo_log))
        .number_or("Together", few, |(metric, host)| level(*metric, host.together_log))
        .number_or("Together against solo (%)", few, |(_, host)| {
            known(host.effect.map(|effect| signed_percent(effect.mean)))
        })
        .number_or("95 % CI (%)", few, |(_, host)| known(host.effect.map(signed_interval)))
        .number("Cases", |(_, host)| known(Some(host.cases.len())))
        .number_or("Repetitions", few, |(_, host)| known(host.effect.map(|effect| effect.n)))
        .text("Verdict", |(metric, host)| verdict(*metric, host))
        .add_to(page);
}

fn verdict(metric: Metric, host: &SoloAndTogether) -> Inline {
    let addition = match host.verdict {
        Verdict::Slower | Verdict::Faster => " together".to_owned(),
        Verdict::Equivalent => String::new(),
        Verdict::Inconclusive { .. } => {
            needed(host.verdict, "").map_or_else(String::new, |needed| format!(" ({needed})"))
        }
        Verdict::NotJudged(_) => return "no verdict: too few repetitions both ways".into(),
    };
    let n = host.effect.map_or(usize::MAX, |effect| effect.n);
    let words = verdict_words(metric, host.verdict, &addition, n, 0);
    Inline::own(words).bold_if(host.verdict.is_difference())
}

/// Cases that stayed out, a sentence for each reason and not for each host and case.
fn left_out(found: &Contention) -> Vec<String> {
    let by = found.hosts.iter().map(|host| (&host.host, &host.cases_left_out));
    let said = excluded(by).into_iter().map(|((why, cases), hosts)| {
        let (metric, hosts, cases) = (found.metric.label(), some_names(&hosts), some_names(&cases));
        format!("{hosts}: {metric} without {cases} ({why}).")
    });
    said.collect()
}
