//! One row per host.

use std::collections::BTreeSet;

use regatta_types::ids::HostId;

use super::energy;
use super::machines::{machines, requests};
use super::method::rule;
use crate::markdown::format::{
    NONE, level, millis, percentile_ms, signed, signed_interval, signed_percent,
};
use crate::markdown::page::Page;
use crate::markdown::table::{Align, Table};
use crate::markdown::text::Inline;
use crate::plot::{PlotKind, Plots};
use crate::report::Report;
use crate::words::numbers::level_range;
use crate::words::{not_comparable, verdict_on};
use regatta_figures::compare::{
    ClassReport, Effect, FULL_REPETITIONS, Metric, MetricReport, OUTLIER_Z, Rank,
};
use regatta_figures::hosts::HostAnalysis;

/// From so many compared hosts on a difference from their median is shown, too.
const MEDIAN_FROM: usize = 4;

/// Section 3.
pub(super) fn side_by_side(page: &mut Page, analysis: &Report<'_>, plots: &Plots) {
    page.section(&"3. Side by side".into());
    if analysis.classes.is_empty() {
        page.paragraph(&"Nothing usable was measured.".into());
        return;
    }
    for class in &analysis.classes {
        let members: Vec<&HostAnalysis<'_>> =
            analysis.hosts.iter().filter(|h| class.class.hosts.contains(h.host)).collect();
        let name = class_name(analysis, class);
        let alone = |page: &mut Page, metric: Metric| {
            let Some(report) = class.metric(metric) else { return };
            page.subsection(&title(metric.heading(), &name, &[report]));
            if let Some(why) = report.why_nothing() {
                page.paragraph(&left_out(&why));
                return;
            }
            if metric == Metric::Energy {
                page.table(energy::energy(analysis, report, &members));
                page.paragraph(&energy::READING.into());
            } else {
                page.table(figures(analysis, report, &members));
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
        page.subsection(&Inline::own(format!("Machines and requests{name}")));
        machines(page, &members);
        page.table(requests(analysis, &members));
    }
    let links: Vec<Inline> = analysis.hosts.iter().map(|h| link(h.host)).collect();
    page.paragraph(&Inline::own(format!("Each host by itself: {}.", super::join(&links))));
}

/// A host's name, linked to its page.
fn link(host: &HostId) -> Inline {
    Inline::own(format!("[{}](hosts/{host}.md)", Inline::text(host.as_str())))
}

/// The title of a table of verdicts; few repetitions establish no order.
fn title(what: &str, class: &str, reports: &[&MetricReport]) -> Inline {
    let fewest = reports.iter().filter_map(|r| r.outcome.fewest()).min();
    let fewest = fewest.filter(|&n| n < FULL_REPETITIONS);
    let order =
        fewest.map_or_else(String::new, |n| format!(": order not established ({n} repetitions)"));
    Inline::own(format!("{what}{class}{order}"))
}

/// A difference with its interval, both in per cent.
pub(super) fn difference(effect: Option<Effect>) -> Inline {
    Inline::own(effect.map_or(NONE.to_owned(), |e| {
        format!("{} ({})", signed_percent(e.mean), signed_interval(e))
    }))
}

pub(super) fn verdict(analysis: &Report<'_>, metric: Metric, host: &HostId) -> Inline {
    let report = analysis.class_of(host).and_then(|class| class.metric(metric));
    let judged = report.and_then(|report| report.judged(host));
    let words = verdict_on(analysis, metric, host);
    let words = words.map_or(NONE.into(), |words| Inline::sentence(&words));
    let settled = judged.is_some_and(|j| j.verdict.is_settled_difference());
    if settled { words.bold() } else { words }
}

fn figures(analysis: &Report<'_>, report: &MetricReport, members: &[&HostAnalysis<'_>]) -> Table {
    let metric = report.metric;
    let (value, interval) = match metric {
        Metric::DecodeTps | Metric::OutputTps => ("Speed (tok/s)", "95 % CI (tok/s)"),
        Metric::Ttft | Metric::FirstAnswer => ("Time (ms)", "95 % CI (ms)"),
        Metric::E2e => ("Time (s)", "95 % CI (s)"),
        Metric::Energy => ("Energy (J/token)", "95 % CI (J/token)"),
    };
    let mut table = Table::new(["Host", "Repetitions>"]);
    table.column(value.into(), Align::Right);
    table.column(interval.into(), Align::Right);
    let median = report.outcome.compared() >= MEDIAN_FROM;
    if median {
        table.column("vs. median (%)".into(), Align::Right);
    }
    table.column("vs. others (%, 95 % CI)".into(), Align::Right);
    table.column("Verdict".into(), Align::Left);
    let ranked = !report.ranks.is_empty();
    if ranked {
        table.column("Place (rank)".into(), Align::Right);
    }
    for host in members {
        let judged = report.judged(host.host);
        let from_median = judged.and_then(|j| j.from_median);
        let from_median = Inline::own(from_median.map_or(NONE.to_owned(), signed_percent));
        let spread = judged.and_then(|j| j.level);
        let own = [
            Inline::text(host.host.as_str()),
            judged.map_or(NONE.into(), |j| Inline::own(of_planned(j.repetitions, report))),
            level(metric, judged.and_then(|j| j.mean)),
            Inline::own(spread.map_or(NONE.to_owned(), |s| level_range(metric, s))),
        ];
        let against =
            [difference(judged.and_then(|j| j.effect)), verdict(analysis, metric, host.host)];
        let place = report.rank(host.host).map_or(NONE.into(), place);
        let row = own.into_iter().chain(median.then_some(from_median)).chain(against);
        table.row(row.chain(ranked.then_some(place)));
    }
    table.dash(&["Repetitions", value], "left out, or no complete repetition".into());
    table.dash(&[interval], "fewer than two complete repetitions".into());
    let of_verdict = ["vs. median (%)", "vs. others (%, 95 % CI)", "Place (rank)"];
    table.dash(&of_verdict, "no verdict".into());
    table
}

/// `1= (1–2)`, `3`; without a place only what the rank lies between.
fn place(rank: &Rank) -> Inline {
    let (low, high) = (rank.low, rank.high);
    let between = if low == high { format!("({low})") } else { format!("({low}–{high})") };
    Inline::own(match (rank.place, rank.is_shared) {
        (Some(place), false) if low == place && high == place => place.to_string(),
        (Some(place), false) => format!("{place} {between}"),
        (Some(place), true) => format!("{place}= {between}"),
        (None, _) => between,
    })
}

/// What stands in place of a table where every case had to stay out.
fn left_out(why: &str) -> Inline {
    let said = not_comparable(why);
    let (first, rest) = said.split_at(1);
    Inline::sentence(&format!("{}{rest}: no case is left.", first.to_uppercase()))
}

/// `, class B` where there are several.
fn class_name(analysis: &Report<'_>, class: &ClassReport) -> String {
    match analysis.classes.len() {
        1 => String::new(),
        _ => format!(", class {}", class.class.label),
    }
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
    page.subsection(&title("Latency", &class_name(analysis, class), &reports));
    if reports.iter().all(|report| report.series.cases.is_empty()) {
        let reasons: BTreeSet<String> = reports.iter().filter_map(|r| r.why_nothing()).collect();
        let reasons: Vec<String> = reasons.into_iter().collect();
        page.paragraph(&left_out(&reasons.join("; ")));
        return;
    }
    let mut table = Table::new([
        "Host",
        "Repetitions>",
        "TTFT (ms)>",
        "TTFT vs. others (%, 95 % CI)>",
        "TTFT verdict",
        "End to end (s)>",
        "End to end vs. others (%, 95 % CI)>",
        "End to end verdict",
    ]);
    for host in members {
        let [ttft, e2e] = both.map(|report| report.and_then(|m| m.judged(host.host)));
        let repetitions = [both[0].zip(ttft), both[1].zip(e2e)].into_iter().flatten();
        let repetitions: Vec<String> =
            repetitions.map(|(report, j)| of_planned(j.repetitions, report)).collect();
        table.row([
            Inline::text(host.host.as_str()),
            either(&repetitions),
            level(Metric::Ttft, ttft.and_then(|j| j.mean)),
            difference(ttft.and_then(|j| j.effect)),
            verdict(analysis, Metric::Ttft, host.host),
            level(Metric::E2e, e2e.and_then(|j| j.mean)),
            difference(e2e.and_then(|j| j.effect)),
            verdict(analysis, Metric::E2e, host.host),
        ]);
    }
    table.dash(&["TTFT (ms)", "End to end (s)"], "left out, or no complete repetition".into());
    table.dash(
        &["TTFT vs. others (%, 95 % CI)", "End to end vs. others (%, 95 % CI)"],
        "no verdict".into(),
    );
    page.table(table);
}

/// Numbers of repetitions of several figures: one number where they are equal.
fn either(repetitions: &[String]) -> Inline {
    let mut shown = repetitions.to_vec();
    shown.dedup();
    Inline::own(shown.join("; "))
}

/// `5`; where some are missing `4 of 5`.
pub(super) fn of_planned(repetitions: usize, report: &MetricReport) -> String {
    let planned = report.series.planned_repetitions;
    let all = usize::try_from(planned).is_ok_and(|planned| repetitions >= planned);
    if all { repetitions.to_string() } else { format!("{repetitions} of {planned}") }
}

/// How the requests and the gaps of each host are spread.
fn distributions(
    page: &mut Page,
    class: &ClassReport,
    members: &[&HostAnalysis<'_>],
    plots: &Plots,
) {
    let mut table = Table::new([
        "Host",
        "TTFT p50 (ms)>",
        "TTFT p95 (ms)>",
        "TTFT max (ms)>",
        "Gap p50 (ms)>",
        "Gap p99 (ms)>",
        "Gap max (ms)>",
    ]);
    for host in members {
        let (ttft, gap) = (&host.first_token, &host.figures.chunk_gap_s);
        table.row([
            Inline::text(host.host.as_str()),
            percentile_ms(ttft.percentile(0.5)),
            percentile_ms(ttft.percentile(0.95)),
            millis(ttft.max()),
            millis(gap.p50),
            millis(gap.p99),
            millis(gap.max),
        ]);
    }
    table.dash(&["TTFT p50 (ms)", "TTFT p95 (ms)"], "too few requests for its interval".into());
    table.dash(
        &["TTFT max (ms)", "Gap p50 (ms)", "Gap p99 (ms)", "Gap max (ms)"],
        "no usable stream".into(),
    );
    let is_open =
        |host: &&HostAnalysis<'_>| host.cases.iter().any(|case| case.case.concurrency().is_none());
    let from = match members.iter().any(is_open) {
        true => " (at a rate, times count from the instant a request was scheduled for)",
        false => "",
    };
    page.paragraph(&Inline::own(format!(
        "All requests of all cases together{from}, and the gaps between the chunks of each:"
    )));
    page.table(table);
    page.picture(plots.find(PlotKind::FirstToken(&class.class)), "");
    page.picture(plots.find(PlotKind::Gaps(&class.class)), "");
}

/// How the tables above are to be read: the rule that was used, pairs, what could have been found.
fn reading(page: &mut Page, class: &ClassReport) {
    page.paragraph(&"Speeds and times are geometric means over the compared cases, equally weighted, and over the repetitions that have all of them.".into());
    let mut rules: Vec<usize> = class.metrics.iter().map(|m| m.outcome.compared()).collect();
    rules.sort_unstable();
    rules.dedup();
    for compared in rules {
        if let Some(words) = rule(compared) {
            page.paragraph(&words.into());
        }
    }
    page.table(pairs(class));
    for report in &class.metrics {
        let aside = &report.outcome.set_aside;
        if !aside.is_empty() && report.outcome.pairs.is_empty() {
            let names: Vec<Inline> = aside.iter().map(|h| Inline::text(h.as_str())).collect();
            page.paragraph(&Inline::own(format!(
                "Set aside in {}, so that they do not shift the reference of the others: {}.",
                report.metric.label(),
                super::join(&names)
            )));
        }
    }
    outliers(page, class);
    let shown: Vec<String> = class
        .metrics
        .iter()
        .filter_map(|m| {
            let percent = m.detectable_log?.exp_m1() * 100.0;
            Some(format!("{} {percent:.1} %", m.metric.label()))
        })
        .collect();
    if !shown.is_empty() {
        page.paragraph(&Inline::own(format!(
            "With the scatter seen, these repetitions would have found a difference of this size in 8 of 10 such runs: {}. (Never less than the margin.)",
            shown.join(", ")
        )));
    }
}

/// How the places are to be read, and who stands far from the rest.
fn outliers(page: &mut Page, class: &ClassReport) {
    if class.metrics.iter().any(|m| !m.ranks.is_empty()) {
        page.paragraph(&"*Place*: hosts that are equivalent share one (\"=\"); a host that is not settled has none. In brackets: where its rank lies by all pairs of hosts (Holm over the pairs).".into());
    }
    for report in class.metrics.iter().filter(|m| !m.outliers.is_empty()) {
        let named: Vec<String> = report
            .outliers
            .iter()
            .map(|o| format!("{} ({})", Inline::text(o.host.as_str()), signed(o.robust_z, 1)))
            .collect();
        page.paragraph(&Inline::own(format!(
            "Outliers in {}, by robust z (0.6745 times the distance from the median / median absolute deviation, over {OUTLIER_Z}): {}.",
            report.metric.label(),
            named.join(", ")
        )));
    }
}

/// With three hosts no mean of others decides, but every pair.
fn pairs(class: &ClassReport) -> Table {
    let with_pairs: Vec<&MetricReport> =
        class.metrics.iter().filter(|m| !m.outcome.pairs.is_empty()).collect();
    let mut table = Table::new(["Pair", "Repetitions>"]);
    for report in &with_pairs {
        let name = format!("{} (%, 95 % CI)", report.metric.heading());
        table.column(Inline::own(name), Align::Right);
    }
    let hosts = &class.class.hosts;
    for (index, first) in hosts.iter().enumerate() {
        for second in &hosts[index + 1..] {
            let found: Vec<Option<Effect>> = with_pairs
                .iter()
                .map(|m| {
                    let mut pairs = m.outcome.pairs.iter();
                    pairs.find(|p| p.first == *first && p.second == *second).map(|p| p.effect)
                })
                .collect();
            let repetitions: Vec<String> =
                found.iter().flatten().map(|e| e.n.to_string()).collect();
            if repetitions.is_empty() {
                continue;
            }
            let (first, second) = (Inline::text(first.as_str()), Inline::text(second.as_str()));
            let head = [Inline::own(format!("{first} against {second}")), either(&repetitions)];
            table.row(head.into_iter().chain(found.into_iter().map(difference)));
        }
    }
    table.dash(&[], "the two share too few repetitions".into());
    table
}
