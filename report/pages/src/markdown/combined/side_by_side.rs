//! Side by side: one row per host.

use std::collections::BTreeSet;

use itertools::Itertools as _;
use regatta_figures::compare::{ClassReport, MetricReport, OUTLIER_Z};
use regatta_types::metric::Metric;

use super::facts::class_name;
use super::method::rule;
use super::verdicts::{Compared, alone, difference, either, latency};
use crate::markdown::layout::{Inline, Page, Table, millis, percentile_ms};
use crate::plot::{PlotKind, Plots};
use crate::report::Report;
use crate::words::numbers::signed;

/// The order of the tables of single metrics.
const ORDER: [Metric; 6] = [
    Metric::DecodeTps,
    Metric::OutputTps,
    Metric::Ttft,
    Metric::E2e,
    Metric::FirstAnswer,
    Metric::Energy,
];

/// The section of verdicts.
pub(super) fn side_by_side(page: &mut Page, analysis: &Report<'_>, plots: &Plots) {
    page.section("Side by side");
    if analysis.classes.is_empty() {
        page.paragraph("No usable results.");
        return;
    }
    for class in &analysis.classes {
        let members = analysis.members(class);
        let compared = Compared { analysis, class, members: &members };
        for metric in ORDER {
            match metric {
                Metric::Ttft => latency(page, compared),
                // In the table of both latencies.
                Metric::E2e => {}
                Metric::DecodeTps | Metric::OutputTps | Metric::FirstAnswer | Metric::Energy => {
                    alone(page, compared, metric);
                }
            }
            page.picture(plots.find(PlotKind::Difference(&class.class, metric)), "");
        }
        reading(page, class);
        distributions(page, compared, plots);
    }
}

/// Distributions of TTFT and chunk gaps of each host.
fn distributions(page: &mut Page, compared: Compared<'_>, plots: &Plots) {
    let Compared { analysis, class, members } = compared;
    page.subsection(Inline::own(format!("Distributions{}", class_name(analysis, class))));
    let mut cases = members.iter().flat_map(|host| &host.cases);
    let from = match cases.any(|case| case.case.concurrency().is_none()) {
        true => " (open loop: times from the scheduled instant)",
        false => "",
    };
    page.paragraph(Inline::own(format!(
        "TTFT of all requests of all cases{from}, and gaps between chunks:"
    )));
    let few = "too few requests for a confidence interval";
    let none = "no usable stream";
    Table::of(members)
        .text("Host", |h| Inline::text(h.host))
        .number_or("TTFT p50 (ms)", few, |h| percentile_ms(h.first_token.percentile(0.5)))
        .number_or("TTFT p95 (ms)", few, |h| percentile_ms(h.first_token.percentile(0.95)))
        .number_or("TTFT max (ms)", none, |h| millis(h.first_token.max()))
        .number_or("Gap p50 (ms)", none, |h| millis(h.figures.chunk_gap_s.p50))
        .number_or("Gap p99 (ms)", none, |h| millis(h.figures.chunk_gap_s.p99))
        .number_or("Gap max (ms)", none, |h| millis(h.figures.chunk_gap_s.max))
        .add_to(page);
    page.picture(plots.find(PlotKind::FirstToken(&class.class)), "");
    page.picture(plots.find(PlotKind::Gaps(&class.class)), "");
}

/// How to read the tables: the rule, the pairs, the minimum detectable difference.
fn reading(page: &mut Page, class: &ClassReport) {
    page.paragraph("Speeds and times are geometric means over the compared cases, equally weighted, and over the repetitions that have all of them. n is the number of repetitions.");
    let rules: BTreeSet<usize> = class.metrics.iter().map(|m| m.outcome.compared()).collect();
    rules.into_iter().filter_map(rule).for_each(|words| page.paragraph(words));
    pairs(page, class);
    for report in &class.metrics {
        let aside = &report.outcome.set_aside;
        if !aside.is_empty() && report.outcome.pairs.is_empty() {
            page.paragraph(Inline::own(format!(
                "Excluded from the reference of the other hosts in {}: {}.",
                report.metric.label(),
                Inline::join(aside.iter().map(Inline::text), ", ")
            )));
        }
    }
    outliers(page, class);
    let mut detectable = class.metrics.iter().filter_map(|m| {
        let percent = m.detectable_log?.exp_m1() * 100.0;
        Some(format!("{} {percent:.1} %", m.metric.label()))
    });
    let detectable = detectable.join(", ");
    if !detectable.is_empty() {
        page.paragraph(Inline::own(format!(
            "Minimum detectable difference (80 % power, at least the margin): {detectable}."
        )));
    }
}

/// How to read the ranks, and outliers.
fn outliers(page: &mut Page, class: &ClassReport) {
    if class.metrics.iter().any(|m| !m.ranks.is_empty()) {
        page.paragraph("*Rank*: equivalent hosts share a rank (\"=\"); an inconclusive host has none. In parentheses: the range of ranks by all pairs of hosts (Holm over the pairs).");
    }
    for report in class.metrics.iter().filter(|m| !m.outliers.is_empty()) {
        let named = report.outliers.iter().map(|outlier| {
            let (host, z) = (Inline::text(&outlier.host), signed(outlier.robust_z, 1));
            Inline::own(format!("{host} ({z})"))
        });
        page.paragraph(Inline::own(format!(
            "Outliers in {} (robust z = 0.6745 x distance from the median / median absolute deviation, over {OUTLIER_Z}): {}.",
            report.metric.label(),
            Inline::join(named, ", ")
        )));
    }
}

/// With three hosts every pair decides, not the mean of the others.
fn pairs(page: &mut Page, class: &ClassReport) {
    let with_pairs: Vec<&MetricReport> =
        class.metrics.iter().filter(|m| !m.outcome.pairs.is_empty()).collect();
    let found = class.class.hosts.iter().array_combinations().map(|[first, second]| {
        let effects = with_pairs.iter().map(|m| {
            let mut pairs = m.outcome.pairs.iter();
            pairs.find(|p| p.first == *first && p.second == *second).map(|p| p.effect)
        });
        (first, second, effects.collect_vec())
    });
    let table = Table::of(found.filter(|(.., effects)| effects.iter().any(Option::is_some)))
        .text("Pair", |(first, second, _)| {
            Inline::own(format!("{} vs. {}", Inline::text(first), Inline::text(second)))
        })
        .number("Repetitions", |(.., effects)| {
            either(effects.iter().flatten().map(|effect| effect.n.to_string()))
        });
    let table = with_pairs.iter().enumerate().fold(table, |table, (index, report)| {
        let name = Inline::own(format!("{} (%, 95 % CI)", report.metric.heading()));
        table.number(name, |(.., effects)| difference(effects[index]))
    });
    table.all_absent("too few shared repetitions").add_to(page);
}
