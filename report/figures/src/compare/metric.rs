//! What of a cell enters a comparison.

use regatta_types::metric::Metric;
use regatta_types::suite::{Case, Load};

use crate::hosts::Counted;

/// The cell's one number: speeds as a ratio of sums over its requests, times as their median; `None` when it has
/// none above zero.
pub fn cell_value(metric: Metric, case: &Case, cell: &Counted) -> Option<f64> {
    let figures = &cell.figures;
    let value = match metric {
        Metric::DecodeTps => figures.decode.per_second(),
        Metric::Ttft => figures.first_token(&case.load).median(),
        Metric::FirstAnswer if matches!(case.load, Load::Closed { .. }) => figures.ttfa_s.median(),
        Metric::FirstAnswer => None,
        Metric::E2e => figures.end_to_end(&case.load).median(),
        Metric::OutputTps if case.in_flight_max() > 1 => {
            cell.steady.as_ref().ok().and_then(|steady| steady.output.per_second())
        }
        Metric::OutputTps => None,
        Metric::Energy => cell.j_per_out_tok,
    };
    value.filter(|&v| v > 0.0)
}
