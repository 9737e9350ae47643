//! Tables of verdicts of a class, one row per host: single metrics, both latencies, energy.

use itertools::Itertools as _;
use regatta_figures::compare::{
    ClassReport, Effect, FULL_REPETITIONS, Judged, MetricReport, Rank, Reason,
};
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::EnergyFigures;
use regatta_types::metric::Metric;

use super::facts::class_name;
use super::machines::power_limit;
use crate::markdown::layout::{Inline, Page, Table, fixed, interval, known, mean};
use crate::report::Report;
use crate::words::absent::why;
use crate::words::numbers::{NONE, signed_interval, signed_percent};
use crate::words::{not_comparable, verdict_on};

/// With at least this many compared hosts, the difference from their median is shown too.
const MEDIAN_FROM: usize = 4;

/// Why there is no mean of a host.
const LEFT_OUT: &str = "excluded, or no complete repetition";
/// Why it has no interval.
const NO_INTERVAL: &str = "fewer than two complete repetitions";
/// Why there is no difference.
const NO_VERDICT: &str = "no verdict";

/// The hosts of a class.
#[derive(Clone, Copy)]
pub(super) struct Compared<'a> {
    pub(super) analysis: &'a Report<'a>,
    pub(super) class: &'a ClassReport,
    pub(super) members: &'a [&'a HostAnalysis<'a>],
}

/// Table cells of a host and a metric.
struct Cells<'a> {
    of: Compared<'a>,
    metric: Metric,
    /// `None` where the metric is not compared in this class.
    report: Option<&'a MetricReport>,
}

impl<'a> Cells<'a> {
    fn new(of: Compared<'a>, metric: Metric) -> Self {
        Self { of, metric, report: of.class.metric(metric) }
    }

    fn judged(&self, host: &HostAnalysis<'_>) -> Option<&'a Judged> {
        self.report?.judged(host.host)
    }

    /// `5`; where some are missing `4 of 5`.
    fn repetitions(&self, host: &HostAnalysis<'_>) -> Option<String> {
        let (judged, planned) = (self.judged(host)?, self.report?.series.planned_repetitions);
        let done = judged.repetitions;
        let all = usize::try_from(planned).is_ok_and(|planned| done >= planned);
        Some(if all { done.to_string() } else { format!("{done} of {planned}") })
    }

    fn mean(&self, host: &HostAnalysis<'_>) -> Inline {
        mean(self.metric, self.judged(host))
    }

    fn interval(&self, host: &HostAnalysis<'_>) -> Inline {
        interval(self.metric, self.judged(host))
    }

    fn difference(&self, host: &HostAnalysis<'_>) -> Inline {
        difference(self.judged(host).and_then(|judged| judged.effect))
    }

    fn verdict(&self, host: &HostAnalysis<'_>) -> Inline {
        let words = verdict_on(self.of.analysis, self.metric, host.host);
        let words = words.map_or(NONE.into(), |words| Inline::sentence(&words));
        words.bold_if(self.judged(host).is_some_and(|judged| judged.verdict.is_difference()))
    }
}

/// A difference with its interval, both in per cent.
pub(super) fn difference(effect: Option<Effect>) -> Inline {
    known(effect.map(|e| format!("{} ({})", signed_percent(e.mean), signed_interval(e))))
}

/// Numbers of repetitions of several figures: one number where they are equal.
pub(super) fn either(repetitions: impl Iterator<Item = String>) -> Inline {
    Inline::own(repetitions.dedup().join("; "))
}

/// The title of a table of verdicts; few repetitions establish no order.
fn title(what: &str, of: Compared<'_>, reports: &[&MetricReport]) -> Inline {
    let fewest = reports.iter().filter_map(|r| r.outcome.fewest()).min();
    let fewest = fewest.filter(|&n| n < FULL_REPETITIONS);
    let order =
        fewest.map_or_else(String::new, |n| format!(": order not established ({n} repetitions)"));
    Inline::own(format!("{what}{}{order}", class_name(of.analysis, of.class)))
}

/// In place of a table if every case is excluded.
fn left_out(why: &Reason) -> Inline {
    let said = not_comparable(why);
    let (first, rest) = said.split_at(1);
    Inline::sentence(&format!("{}{rest}. No case remains.", first.to_uppercase()))
}

/// A metric in its own table, if it is compared.
pub(super) fn alone(page: &mut Page, of: Compared<'_>, metric: Metric) {
    let cells = Cells::new(of, metric);
    let Some(report) = cells.report else { return };
    page.subsection(title(metric.heading(), of, &[report]));
    match report.why_nothing() {
        Some(why) => page.paragraph(left_out(&why)),
        None if metric == Metric::Energy => energy(page, report, &cells),
        None => figures(page, report, &cells),
    }
}

fn figures(page: &mut Page, report: &MetricReport, cells: &Cells<'_>) {
    let (value, interval) = match report.metric {
        Metric::DecodeTps | Metric::OutputTps => ("Speed (tok/s)", "95 % CI (tok/s)"),
        Metric::Ttft | Metric::FirstAnswer => ("Time (ms)", "95 % CI (ms)"),
        Metric::E2e => ("Time (s)", "95 % CI (s)"),
        Metric::Energy => ("Energy (J/token)", "95 % CI (J/token)"),
    };
    Table::of(cells.of.members)
        .text("Host", |host| Inline::text(host.host))
        .number_or("Repetitions", LEFT_OUT, |host| known(cells.repetitions(host)))
        .number_or(value, LEFT_OUT, |host| cells.mean(host))
        .number_or(interval, NO_INTERVAL, |host| cells.interval(host))
        .number_or("vs. median (%)", NO_VERDICT, |host| {
            known(cells.judged(host).and_then(|j| j.from_median).map(signed_percent))
        })
        .only_if(report.outcome.compared() >= MEDIAN_FROM)
        .number_or("vs. others (%, 95 % CI)", NO_VERDICT, |host| cells.difference(host))
        .text("Verdict", |host| cells.verdict(host))
        .number_or("Rank", NO_VERDICT, |host| known(report.rank(host.host).map(rank)))
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

/// Both latencies, if they are compared.
pub(super) fn latency(page: &mut Page, of: Compared<'_>) {
    let both = [Metric::Ttft, Metric::E2e].map(|metric| Cells::new(of, metric));
    let reports = both.iter().filter_map(|cells| cells.report).collect_vec();
    if reports.is_empty() {
        return;
    }
    page.subsection(title("Latency", of, &reports));
    if reports.iter().all(|report| report.series.cases.is_empty()) {
        let reasons = reports.iter().filter_map(|r| r.why_nothing()).collect();
        page.paragraph(left_out(&Reason::EveryCase(reasons)));
        return;
    }
    let [ttft, e2e] = &both;
    Table::of(of.members)
        .text("Host", |host| Inline::text(host.host))
        .number("Repetitions", |host| either(both.iter().filter_map(|of| of.repetitions(host))))
        .number_or("TTFT (ms)", LEFT_OUT, |host| ttft.mean(host))
        .number_or("TTFT vs. others (%, 95 % CI)", NO_VERDICT, |host| ttft.difference(host))
        .text("TTFT verdict", |host| ttft.verdict(host))
        .number_or("End to end (s)", LEFT_OUT, |host| e2e.mean(host))
        .number_or("End to end vs. others (%, 95 % CI)", NO_VERDICT, |host| e2e.difference(host))
        .text("End to end verdict", |host| e2e.verdict(host))
        .add_to(page);
}

/// Energy of each host with its context: power limit, idle power and share of prompt tokens.
fn energy(page: &mut Page, report: &MetricReport, cells: &Cells<'_>) {
    let beside = |host: &HostAnalysis<'_>| {
        let cases = host.cases.iter().filter(|c| report.series.cases.contains(&c.case.id));
        let cases: Option<Vec<&EnergyFigures>> = cases.map(|c| c.energy.as_ref().ok()).collect();
        cases.map(|cases| EnergyFigures::beside(&cases)).unwrap_or_default()
    };
    Table::of(cells.of.members.iter().map(|host| (*host, beside(host))))
        .text("Host", |(host, _)| Inline::text(host.host))
        .number_or("Repetitions", LEFT_OUT, |(host, _)| known(cells.repetitions(host)))
        .number("GPU power limit", |(host, _)| power_limit(host))
        .number("Idle (W)", |(host, _)| match &host.idle {
            Ok(idle) => fixed(Some(idle.watts), 1),
            Err(absent) => Inline::text(format!("not available: {}", why(absent))),
        })
        .number_or("Energy (J/token)", LEFT_OUT, |(host, _)| cells.mean(host))
        .number_or("95 % CI (J/token)", NO_INTERVAL, |(host, _)| cells.interval(host))
        .number("Above idle (J/token)", |(_, beside)| fixed(beside.above_idle, 3))
        .absent("no energy in some case, no idle power, or idle power above that of a case")
        .number("Prompt tokens per output token", |(_, beside)| fixed(beside.prompt_per_out_tok, 2))
        .absent("no energy in some case, or requests without token counts")
        .number_or("vs. others (%, 95 % CI)", NO_VERDICT, |(host, _)| cells.difference(host))
        .text("Verdict", |(host, _)| cells.verdict(host))
        .add_to(page);
    page.paragraph("Energy of the GPU boards only: without host, fans and power-supply losses. It depends on the power limit and the share of prompt tokens. Above idle: minus the idle power over the same time, geometric mean over the compared cases, over attempts with an energy figure.");
}
