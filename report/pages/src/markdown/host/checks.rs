//! What was looked at before the run and is not well.

use std::cmp::Reverse;

use regatta_figures::hosts::HostAnalysis;
use regatta_types::check::{CheckOutcome, Mark};

use crate::markdown::layout::{Inline, Page, Table};

/// The checks that did not end well, the worst first.
pub(super) fn checks(page: &mut Page, host: &HostAnalysis<'_>) {
    let checks = host.record.iter().flat_map(|record| &record.checks);
    let mut remarked: Vec<&CheckOutcome> = checks.filter(|check| check.mark != Mark::Ok).collect();
    remarked.sort_by_key(|check| Reverse(check.mark));
    Table::of(remarked)
        .text("Check before the run", |check| check.check.name().into())
        .text("Result", |check| check.mark.name().into())
        .text("What was seen", |check| Inline::text(&check.text))
        .add_to(page);
}
