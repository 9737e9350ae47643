//! Energy of each host with what it cannot be read without: the power limit, what is drawn at rest,
//! and how much of the work was prompt.

use crate::words::absent::why;
use regatta_figures::compare::MetricReport;
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::EnergyFigures;
use regatta_types::metric::Metric;

use super::machines::power_limit;
use super::verdict::{LEFT_OUT, NO_INTERVAL, NO_VERDICT, difference, of_planned, verdict};
use crate::markdown::layout::{Inline, Page, Table, fixed, known, level};
use crate::report::Report;
use crate::words::numbers::level_range;

pub(super) fn energy(
    page: &mut Page,
    analysis: &Report<'_>,
    report: &MetricReport,
    members: &[&HostAnalysis<'_>],
) {
    let rows = members.iter().map(|host| {
        let cases = host.cases.iter().filter(|c| report.series.cases.contains(&c.case.id));
        let cases: Option<Vec<&EnergyFigures>> = cases.map(|c| c.energy.as_ref().ok()).collect();
        let beside = cases.map(|cases| EnergyFigures::beside(&cases)).unwrap_or_default();
        (host, report.judged(host.host), beside)
    });
    Table::of(rows)
        .text("Host", |(host, ..)| Inline::text(host.host))
        .number_or("Repetitions", LEFT_OUT, |(_, judged, _)| {
            known(judged.map(|j| of_planned(j.repetitions, report)))
        })
        .number("GPU power limit", |(host, ..)| power_limit(host))
        .number("Idle (W)", |(host, ..)| match &host.idle {
            Ok(idle) => fixed(Some(idle.watts), 1),
            Err(absent) => Inline::text(format!("not available: {}", why(absent))),
        })
        .number_or("Energy (J/token)", LEFT_OUT, |(_, judged, _)| {
            level(Metric::Energy, judged.and_then(|j| j.mean))
        })
        .number_or("95 % CI (J/token)", NO_INTERVAL, |(_, judged, _)| {
            let spread = judged.and_then(|j| j.level);
            known(spread.map(|spread| level_range(Metric::Energy, spread)))
        })
        .number("Above idle (J/token)", |(.., beside)| fixed(beside.above_idle, 3))
        .absent("no energy in some case, no idle power, or it is above the power of a case")
        .number("Prompt tokens per output token", |(.., beside)| {
            fixed(beside.prompt_per_out_tok, 2)
        })
        .absent("no energy in some case, or some requests do not tell their tokens")
        .number_or("vs. others (%, 95 % CI)", NO_VERDICT, |(_, judged, _)| {
            difference(judged.and_then(|j| j.effect))
        })
        .text("Verdict", |(host, ..)| verdict(analysis, Metric::Energy, host.host))
        .add_to(page);
    page.paragraph("Energy of the GPU boards alone: host, fans and losses of the supply are not in it. It follows the power limit and the share of prompts in the work. Above idle: less the idle power over the same time, geometric mean over the compared cases, of all their attempts that have energy.");
}
