//! One row per host.

use std::collections::BTreeSet;

use regatta_figures::compare::{
    ClassReport, Effect, FULL_REPETITIONS, MetricReport, OUTLIER_Z, Rank, Reason,
};
use regatta_figures::hosts::HostAnalysis;
use regatta_types::metric::Metric;

use super::energy::energy;
use super::facts::class_name;
use super::machines::{machines, requests};
use super::method::rule;
use super::verdict::{LEFT_OUT, NO_INTERVAL, NO_VERDICT, difference, of_planned, verdict};
use crate::markdown::layout::{Inline, Page, Table, known, level, millis, percentile_ms};
use crate::plot::{PlotKind, Plots};
use crate::report::Report;
use crate::words::not_comparable;
use crate::words::numbers::{level_range, signed, signed_percent};

/// From so many compared hosts on a difference from their median is shown, too.
const MEDIAN_FROM: usize = 4;

/// Section 3.
pub(super) fn side_by_side(page: &mut Page, analysis: &Report<'_>, plots: &Plots) {
    page.section("3. Side by side");
    if analysis.classes.is_empty() {
        page.paragraph("Nothing usable was measured.");
        return;
    }
    for class in &analysis.classes {
        let members: Vec<&HostAnalysis<'_>> =
            analysis.hosts.iter().filter(|h| class.class.hosts.contains(h.host)).collect();
        let name = class_name(analysis, class);
        let alone = |page: &mut Page, metric: Metric| {
            let Some(report) = class.metric(metric) else { return };
            page.subsection(title(metric.heading(), &name, &[report]));
            if let Some(why) = report.why_nothing() {
                page.paragraph(left_out(&why));
                return;
            }
            if metric == Metric::Energy {
                energy(page, analysis, report, &members);
            } else {
                figures(page, analysis, report, &members);
            }
            page.picture(plots.find(PlotKind::Difference(&class.class, metric)), "");
        };
        [Metric::DecodeTps, Metric::OutputTps].into_iter().for_each(|m| alone(page, m));
        latency(page, analysis, class, &members);
        for metric in [Metric::Ttft, Metric::E2e] {
            page.picture(plots.find(PlotKind::Difference(&class.class, metric)), "");
        }
        alone(page, Metric::FirstAnswer);
        alone(page, Metric::Energy);
        distributions(page, class, &members, plots);
        reading(page, class);
        page.subsection(Inline::own(format!("Machines and requests{name}")));
        machines(page, &members);
        requests(page, analysis, &members);
    }
    let links = analysis.hosts.iter().map(|HostAnalysis { host, .. }| {
        Inline::own(format!("[{}](hosts/{host}.md)", Inline::text(host)))
    });
    page.paragraph(Inline::own(format!("Each host by itself: {}.", Inline::join(links, ", "))));
}

/// The title of a table of verdicts; few repetitions establish no order.
fn title(what: &str, class: &str, reports: &[&MetricReport]) -> Inline {
    let fewest = reports.iter().filter_map(|r| r.outcome.fewest()).min();
    let fewest = fewest.filter(|&n| n < FULL_REPETITIONS);
    let order =
        fewest.map_or_else(String::new, |n| format!(": order not established ({n} repetitions)"));
    Inline::own(format!("{what}{class}{order}"))
}

fn figures(
    page: &mut Page,
    analysis: &Report<'_>,
    report: &MetricReport,
    members: &[&HostAnalysis<'_>],
) {
    let metric = report.metric;
    let (value, interval) = match metric {
        Metric::DecodeTps | Metric::OutputTps => ("Speed (tok/s)", "95 % CI (tok/s)"),
        Metric::Ttft | Metric::FirstAnswer => ("Time (ms)", "95 % CI (ms)"),
        Metric::E2e => ("Time (s)", "95 % CI (s)"),
        Metric::Energy => ("Energy (J/token)", "95 % CI (J/token)"),
    };
    Table::of(members.iter().map(|host| (host.host, report.judged(host.host))))
        .text("Host", |(host, _)| Inline::text(host))
        .number_or("Repetitions", LEFT_OUT, |(_, judged)| {
            known(judged.map(|j| of_planned(j.repetitions, report)))
        })
        .number_or(value, LEFT_OUT, |(_, judged)| level(metric, judged.and_then(|j| j.mean)))
        .number_or(interval, NO_INTERVAL, |(_, judged)| {
            known(judged.and_then(|j| j.level).map(|spread| level_range(metric, spread)))
        })
        .number_or("vs. median (%)", NO_VERDICT, |(_, judged)| {
            known(judged.and_then(|j| j.from_median).map(signed_percent))
        })
        .only_if(report.outcome.compared() >= MEDIAN_FROM)
        .number("vs. others (%, 95 % CI)", |(_, judged)| difference(judged.and_then(|j| j.effect)))
        .absent(NO_VERDICT)
        .text("Verdict", |(host, _)| verdict(analysis, metric, host))
        .number_or("Place (rank)", NO_VERDICT, |(host, _)| known(report.rank(host).map(rank)))
        .only_if(!report.ranks.is_empty())
        .add_to(page);
}

/// `1= (1–2)`, `3`; without a rank of its own only what the rank lies between.
fn rank(rank: &Rank) -> String {
    let (low, high) = (rank.low, rank.high);
    let between = if low == high { format!("({low})") } else { format!("({low}–{high})") };
    match (rank.rank, rank.is_shared) {
        (Some(rank), false) if low == rank && high == rank => rank.to_string(),
        (Some(rank), false) => format!("{rank} {between}"),
        (Some(rank), true) => format!("{rank}= {between}"),
        (None, _) => between,
    }
}

/// What stands in place of a table where every case had to stay out.
fn left_out(why: &Reason) -> Inline {
    let said = not_comparable(why);
    let (first, rest) = said.split_at(1);
    Inline::sentence(&format!("{}{rest}: no case is left.", first.to_uppercase()))
}

/// Both latencies, for as far as they are compared.
fn latency(
    page: &mut Page,
    analysis: &Report<'_>,
    class: &ClassReport,
    members: &[&HostAnalysis<'_>],
) {
    let both = [Metric::Ttft, Metric::E2e].map(|metric| class.metric(metric));
    let reports: Vec<&MetricReport> = both.into_iter().flatten().collect();
    if reports.is_empty() {
        return;
    }
    page.subsection(title("Latency", &class_name(analysis, class), &reports));
    if reports.iter().all(|report| report.series.cases.is_empty()) {
        let reasons = reports.iter().filter_map(|r| r.why_nothing()).collect();
        page.paragraph(left_out(&Reason::EveryCase(reasons)));
        return;
    }
    let rows = members.iter().map(|host| {
        (host.host, both.map(|report| report.and_then(|report| report.judged(host.host))))
    });
    Table::of(rows)
        .text("Host", |(host, _)| Inline::text(host))
        .number("Repetitions", |(_, judged)| {
            either(both.iter().zip(judged).filter_map(|(report, judged)| {
                Some(of_planned(judged.as_ref()?.repetitions, report.as_ref()?))
            }))
        })
        .number("TTFT (ms)", |(_, [ttft, _])| level(Metric::Ttft, ttft.and_then(|j| j.mean)))
        .absent(LEFT_OUT)
        .number_or("TTFT vs. others (%, 95 % CI)", NO_VERDICT, |(_, [ttft, _])| {
            difference(ttft.and_then(|j| j.effect))
        })
        .text("TTFT verdict", |(host, _)| verdict(analysis, Metric::Ttft, host))
        .number("End to end (s)", |(_, [_, e2e])| level(Metric::E2e, e2e.and_then(|j| j.mean)))
        .absent(LEFT_OUT)
        .number_or("End to end vs. others (%, 95 % CI)", NO_VERDICT, |(_, [_, e2e])| {
            difference(e2e.and_then(|j| j.effect))
        })
        .text("End to end verdict", |(host, _)| verdict(analysis, Metric::E2e, host))
        .add_to(page);
}

/// Numbers of repetitions of several figures: one number where they are equal.
fn either(repetitions: impl Iterator<Item = String>) -> Inline {
    let mut shown: Vec<String> = repetitions.collect();
    shown.dedup();
    Inline::own(shown.join("; "))
}

/// How the requests and the gaps of each host are spread.
fn distributions(
    page: &mut Page,
    class: &ClassReport,
    members: &[&HostAnalysis<'_>],
    plots: &Plots,
) {
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
    let detectable = class.metrics.iter().filter_map(|m| {
        let percent = m.detectable_log?.exp_m1() * 100.0;
        Some(format!("{} {percent:.1} %", m.metric.label()))
    });
    let detectable: Vec<String> = detectable.collect();
    if !detectable.is_empty() {
        page.paragraph(Inline::own(format!(
            "With the scatter seen, these repetitions would have found a difference of this size in 8 of 10 such runs: {}. (Never less than the margin.)",
            detectable.join(", ")
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
    let hosts = class.class.hosts.iter().enumerate();
    let pairs = hosts.flat_map(|(n, first)| {
        class.class.hosts[n + 1..].iter().map(move |second| (first, second))
    });
    let found = pairs.map(|(first, second)| {
        let effects = with_pairs.iter().map(|m| {
            let mut pairs = m.outcome.pairs.iter();
            pairs.find(|p| p.first == *first && p.second == *second).map(|p| p.effect)
        });
        (first, second, effects.collect::<Vec<Option<Effect>>>())
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
