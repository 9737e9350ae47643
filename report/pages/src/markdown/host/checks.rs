//! What was looked at before the run and is not well.

use regatta_types::check::{CheckOutcome, Mark};

use crate::markdown::table::Table;
use crate::markdown::text::Inline;
use regatta_figures::hosts::HostAnalysis;

/// The checks that did not end well, the worst first.
pub(super) fn checks(host: &HostAnalysis<'_>) -> Table {
    let mut table = Table::new(["Check before the run", "Result", "What was seen"]);
    let checks = host.record.iter().flat_map(|record| &record.checks);
    let mut remarked: Vec<&CheckOutcome> =
        checks.filter(|outcome| outcome.mark != Mark::Ok).collect();
    remarked.sort_by_key(|outcome| std::cmp::Reverse(outcome.mark));
    for outcome in remarked {
        table.row([
            outcome.check.name().into(),
            outcome.mark.name().into(),
            Inline::text(&outcome.text),
        ]);
    }
    table
}
