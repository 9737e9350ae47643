//! Figures over several requests: distributions, ratio-of-sums speeds, counts, GPU summaries.
//!
//! Per-request formulas are methods of [`regatta_types::trace::RequestTrace`]; no other number is
//! derived outside this module and `compare`. The main type is [`Figures`].

mod client_overhead;
mod cold;
mod distribution;
mod drift;
mod engine;
mod figures;
mod findings;
mod gaps;
mod gpu;
mod slo;
mod slowest;
mod stamps;
mod stats;
#[cfg(test)]
mod tests;
mod timeline;
mod tokens;
mod trend;
mod weighted;
mod window;

pub use client_overhead::{ClientOverhead, NotableOverhead};
pub use cold::{ColdStart, cold_attempts};
pub use distribution::{Distribution, Percentile};
pub use drift::Drift;
pub use engine::{EngineFigures, engine_figures, restarts};
pub use figures::{Figures, Rate, Requests, is_streamed};
pub use findings::{
    AttemptFinding, AttemptInput, FindingEvidence, Fit, Share, SharedBy, cpu_share,
    derived_findings,
};
pub use gaps::GapHistogram;
pub use gpu::{
    EnergyFigures, GpuFigures, GpuSum, Idle, Mean, RESIDUAL_FLAG, Thermals, gpu_figures, serving,
};
pub use slo::Goodput;
pub use slowest::{SlowRequest, Throttle, slowest};
pub use stamps::Stamps;
pub use stats::{Change, Effect, Estimate, Repeated, holm};
pub use timeline::{
    BINS as TIMELINE_BINS, Curve, SHORTEST as TIMELINE_SHORTEST, Timeline, stalls_of,
};
pub use tokens::{TokenSum, Tokens, completion_tokens};
pub use trend::{least_squares, t_quantile, theil_sen};
pub use weighted::Weighted;
pub use window::{Span, Steady, all_busy, arrived, ended, in_flight, steady_span};

use regatta_types::trace::{Phase, RequestTrace};

/// Version of the definitions behind every figure (docs/reports.md).
pub const METRICS_SCHEMA: u32 = 1;

/// The measured requests of an attempt, in order.
pub fn measured(traces: &[RequestTrace]) -> impl Iterator<Item = &RequestTrace> {
    traces.iter().filter(|trace| trace.phase == Phase::Measured)
}

/// A count of requests, which are far fewer.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The whole part of a position in a list.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a position is between 0 and the length of a list in memory"
)]
fn index(position: f64) -> usize {
    position as usize
}

/// A count as a number to calculate with.
pub fn real(n: usize) -> f64 {
    // Counts of requests and samples stay far below 2^53.
    n as f64
}
