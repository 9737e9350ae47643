//! Energy of each host with what it cannot be read without: the power limit, what is drawn at rest,
//! and how much of the work was prompt.

use super::machines::power_limit;
use super::side_by_side::{difference, of_planned, verdict};
use crate::markdown::format::{NONE, fixed, level};
use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use crate::report::Report;
use crate::words::absent::why;
use crate::words::numbers::level_range;
use regatta_figures::compare::MetricReport;
use regatta_figures::hosts::HostAnalysis;
use regatta_figures::metrics::EnergyFigures;
use regatta_types::metric::Metric;

/// How the table is to be read.
pub(super) const READING: &str = "Energy of the GPU boards alone: host, fans and losses of the supply are not in it. It follows the power limit and the share of prompts in the work. Above idle: less the idle power over the same time, geometric mean over the compared cases, of all their attempts that have energy.";

pub(super) fn energy(
    analysis: &Report<'_>,
    report: &MetricReport,
    members: &[&HostAnalysis<'_>],
) -> Table {
    let mut table = Table::new([
        "Host",
        "Repetitions>",
        "GPU power limit>",
        "Idle (W)>",
        "Energy (J/token)>",
        "95 % CI (J/token)>",
        "Above idle (J/token)>",
        "Prompt tokens per output token>",
        "vs. others (%, 95 % CI)>",
        "Verdict",
    ]);
    for host in members {
        let judged = report.judged(host.host);
        let cases = host.cases.iter().filter(|c| report.series.cases.contains(&c.case.id));
        let cases: Option<Vec<&EnergyFigures>> = cases.map(|c| c.energy.as_ref().ok()).collect();
        let beside = cases.map(|cases| EnergyFigures::beside(&cases)).unwrap_or_default();
        let idle = match &host.idle {
            Ok(idle) => fixed(Some(idle.watts), 1),
            Err(absent) => Inline::text(&format!("not available: {}", why(absent))),
        };
        let spread = judged.and_then(|j| j.level);
        table.row([
            Inline::text(host.host.as_str()),
            judged.map_or(NONE.into(), |j| Inline::own(of_planned(j.repetitions, report))),
            power_limit(host),
            idle,
            level(Metric::Energy, judged.and_then(|j| j.mean)),
            Inline::own(spread.map_or(NONE.to_owned(), |s| level_range(Metric::Energy, s))),
            fixed(beside.above_idle, 3),
            fixed(beside.prompt_per_out_tok, 2),
            difference(judged.and_then(|j| j.effect)),
            verdict(analysis, Metric::Energy, host.host),
        ]);
    }
    table.dash(&["Repetitions", "Energy (J/token)"], "left out, or no complete repetition".into());
    table.dash(&["95 % CI (J/token)"], "fewer than two complete repetitions".into());
    table.dash(
        &["Above idle (J/token)"],
        "no energy in some case, no idle power, or it is above the power of a case".into(),
    );
    table.dash(
        &["Prompt tokens per output token"],
        "no energy in some case, or some requests do not tell their tokens".into(),
    );
    table.dash(&["vs. others (%, 95 % CI)"], "no verdict".into());
    table
}
