//! Figures over several requests: distributions, ratio-of-sums speeds, counts, GPU summaries.
//!
//! Per-request formulas are methods of [`regatta_types::trace::RequestTrace`]; no other number is
//! derived outside this module and `compare`. The main type is [`Figures`].

mod distribution;
mod drift;
mod engine;
mod figures;
mod findings;
mod first;
mod floor;
mod gaps;
mod gpu;
mod slo;
mod slowest;
mod stamps;
#[cfg(test)]
mod tests;
mod timeline;
mod tokens;
mod trend;
mod warmup;
mod weighted;
mod window;

pub(crate) use distribution::{Distribution, Percentile};
pub(crate) use drift::Drift;
pub(crate) use engine::{EngineFigures, engine_figures, restarts};
pub(crate) use figures::{Figures, Rate, Requests, is_streamed};
pub(crate) use findings::{Judged, cpu_share, derived_findings};
pub(crate) use first::{FIRST_ATTEMPT, cold_first_attempt};
pub(crate) use floor::{Floor, Notable};
pub(crate) use gaps::Gaps;
pub(crate) use gpu::{
    EnergyFigures, GpuFigures, GpuSum, Idle, RESIDUAL_FLAG, Warmth, gpu_figures, serving,
};
pub(crate) use slo::Goodput;
pub(crate) use slowest::{Held, Slow, slowest};
pub(crate) use stamps::Stamps;
pub(crate) use timeline::{
    BINS as TIMELINE_BINS, Course, SHORTEST as TIMELINE_SHORTEST, Timeline, stalls_of,
};
pub(crate) use tokens::{Tokens, Told, completion_tokens};
pub(crate) use trend::{least_squares, t_quantile, theil_sen};
pub(crate) use warmup::ColdStart;
pub(crate) use weighted::Weighted;
pub(crate) use window::{Span, Steady, all_busy, arrived, in_flight, steady_span};

/// Version of the definitions behind every figure (docs/reports.md).
pub const METRICS_SCHEMA: u32 = 1;

/// A count as a number to calculate with.
pub(crate) fn real(n: usize) -> f64 {
    // Counts of requests and samples stay far below 2^53.
    n as f64
}
