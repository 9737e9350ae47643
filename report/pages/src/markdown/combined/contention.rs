//! Contention: each host solo against together.

use itertools::Itertools as _;
use regatta_figures::compare::{Contention, SoloAndTogether};
use regatta_types::margin::percent;
use regatta_types::metric::Metric;
use regatta_types::suite::StartMode;

use crate::markdown::layout::{Inline, Page, Table, known, level};
use crate::report::Report;
use crate::words::numbers::{signed_interval, signed_percent};
use crate::words::verdict::{Sides, judgement_words};
use crate::words::{excluded, some_names};

/// Do the hosts slow each other down?
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
        "Not measured: every case ran {measured}. With `--start both` each case runs solo and together, which shows whether the hosts slow each other down."
    )));
}

fn both(page: &mut Page, report: &Report<'_>) {
    if report.contention.is_empty() {
        page.paragraph("Not available: fewer than two hosts have usable attempts, or no case has both solo and together.");
        return;
    }
    table(page, &report.contention);
    page.sentences(report.contention.iter().flat_map(left_out));
    let margins = report.contention.iter().map(|Contention { margin, metric, .. }| {
        format!("{} {} %", metric.label(), percent(*margin))
    });
    page.paragraph(Inline::own(format!(
        "Each host against itself: log difference between together and solo for the same case and repetition, averaged over the cases; Student's t over repetitions, Holm over hosts. Margin: {}. All other sections use the attempts that ran together. A difference indicates a shared resource, but not which one.",
        margins.format(", ")
    )));
}

fn table(page: &mut Page, contention: &[Contention]) {
    let few = "too few repetitions have every case both solo and together";
    let hosts =
        contention.iter().flat_map(|found| found.hosts.iter().map(|host| (found.metric, host)));
    Table::of(hosts)
        .text("Metric", |(metric, _)| {
            Inline::own(format!("{} ({})", metric.heading(), metric.unit()))
        })
        .text("Host", |(_, host)| Inline::text(&host.host))
        .number_or("Solo", few, |(metric, host)| level(*metric, host.solo_log))
        .number_or("Together", few, |(metric, host)| level(*metric, host.together_log))
        .number_or("Together vs. solo (%)", few, |(_, host)| {
            known(host.effect.map(|effect| signed_percent(effect.mean)))
        })
        .number_or("95 % CI (%)", few, |(_, host)| known(host.effect.map(signed_interval)))
        .number("Cases", |(_, host)| known(Some(host.cases.len())))
        .number_or("Repetitions", few, |(_, host)| known(host.effect.map(|effect| effect.n)))
        .text("Verdict", |(metric, host)| verdict(*metric, host))
        .add_to(page);
}

fn verdict(metric: Metric, host: &SoloAndTogether) -> Inline {
    let n = host.effect.map_or(usize::MAX, |effect| effect.n);
    let words = judgement_words(metric, &host.verdict, n, Sides::SoloAndTogether);
    Inline::own(words).bold_if(host.verdict.is_difference())
}

/// Excluded cases: one sentence per reason, not per host and case.
fn left_out(found: &Contention) -> Vec<String> {
    let by = found.hosts.iter().map(|host| (&host.host, &host.cases_left_out));
    let said = excluded(by).into_iter().map(|((why, cases), hosts)| {
        let (metric, hosts, cases) = (found.metric.label(), some_names(&hosts), some_names(&cases));
        format!("{hosts}: {metric} excludes {cases}: {why}.")
    });
    said.collect()
}
