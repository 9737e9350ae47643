//! One row per host.

use std::collections::BTreeSet;

use itertools::Itertools as _;
use regatta_figures::compare::{ClassReport, MetricReport, OUTLIER_Z};
use regatta_figures::hosts::HostAnalysis;
use regatta_types::metric::Metric;

use super::facts::class_name;
use super::machines::{machines, requests};
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

/// Section 3.
pub(super) fn side_by_side(page: &mut Page, analysis: &Report<'_>, plots: &Plots) {
    page.section("3. Side by side");
    if analysis.classes.is_empty() {
        page.paragraph("Nothing usable was measured.");
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
        distributions(page, compared, plots);
        reading(page, class);
        let name = class_name(analysis, class);
        page.subsection(Inline::own(format!("Machines and requests{name}")));
        machines(page, &members);
        requests(page, analysis, &members);
    }
    let links = analysis.hosts.iter().map(|HostAnalysis { host, .. }| {
        Inline::own(format!("[{}](hosts/{host}.md)", Inline::text(host)))
    });
    page.paragraph(Inline::own(format!("Each host by itself: {}.", Inline::join(links, ", "))));
}

/// How the requests and the gaps of each host are spread.
fn distributions(page: &mut Page, Compared { class, members, .. }: Compared<'_>, plots: &Plots) {
    let mut cases = members.iter().flat_map(|host| &host.cases);
    let from = match cases.any(|case| case.case.concurrency().is_none()) {
        true => " (at a rate, times count from the instant a request was scheduled for)",
        false => "",
    };
    page.paragraph(Inline::own(format!(
        "All requests of all cases together{from}, and the gaps between the chunks of each:"
    )));
    let few = "too few requests for its interval";
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

/// How the tables above are to be read: the rule that was used, pairs, what could have been found.
fn reading(page: &mut Page, class: &ClassReport) {
    page.paragraph("Speeds and times are geometric means over the compared cases, equally weighted, and over the repetitions that have all of them.");
    let rules: BTreeSet<usize> = class.metrics.iter().map(|m| m.outcome.compared()).collect();
    rules.into_iter().filter_map(rule).for_each(|words| page.paragraph(words));
    pairs(page, class);
    for report in &class.metrics {
        let aside = &report.outcome.set_aside;
        if !aside.is_empty() && report.outcome.pairs.is_empty() {
            page.paragraph(Inline::own(format!(
                "Set aside in {}, so that they do not shift the reference of the others: {}.",
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
            "With the scatter seen, these repetitions would have found a difference of this size in 8 of 10 such runs: {detectable}. (Never less than the margin.)"
        )));
    }
}

/// How the ranks are to be read, and who stands far from the rest.
fn outliers(page: &mut Page, class: &ClassReport) {
    if class.metrics.iter().any(|m| !m.ranks.is_empty()) {
        page.paragraph("*Place*: hosts that are equivalent share one (\"=\"); a host that is not settled has none. In brackets: where its rank lies by all pairs of hosts (Holm over the pairs).");
    }
    for report in class.metrics.iter().filter(|m| !m.outliers.is_empty()) {
        let named = report.outliers.iter().map(|outlier| {
            let (host, z) = (Inline::text(&outlier.host), signed(outlier.robust_z, 1));
            Inline::own(format!("{host} ({z})"))
        });
        page.paragraph(Inline::own(format!(
            "Outliers in {}, by robust z (0.6745 times the distance from the median / median absolute deviation, over {OUTLIER_Z}): {}.",
            report.metric.label(),
            Inline::join(named, ", ")
        )));
    }
}

/// With three hosts no mean of others decides, but every pair.
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
            Inline::own(format!("{} against {}", Inline::text(first), Inline::text(second)))
        })
        .number("Repetitions", |(.., effects)| {
            either(effects.iter().flatten().map(|effect| effect.n.to_string()))
        });
    let table = with_pairs.iter().enumerate().fold(table, |table, (index, report)| {
        let name = Inline::own(format!("{} (%, 95 % CI)", report.metric.heading()));
        table.number(name, |(.., effects)| difference(effects[index]))
    });
    table.all_absent("the two share too few repetitions").add_to(page);
}
