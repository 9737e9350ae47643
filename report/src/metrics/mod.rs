//! Figures over several requests: distributions, ratio-of-sums speeds, counts, GPU summaries.
//!
//! Per-request formulas are methods of [`regatta_types::trace::RequestTrace`]; no other number is
//! derived outside this module and `compare`. The main type is [`Figures`].

mod distribution;
mod figures;
mod findings;
mod gpu;
#[cfg(test)]
mod tests;
mod tokens;
mod trend;
mod window;

pub(crate) use distribution::{Distribution, Percentile, Weighted};
pub(crate) use figures::{Figures, Rate, Requests, is_streamed};
pub(crate) use findings::derived_findings;
pub(crate) use gpu::{GpuFigures, GpuSum, gpu_figures};
pub(crate) use tokens::{Tokens, Told, completion_tokens};
pub(crate) use trend::{least_squares, t_quantile};
pub(crate) use window::{Span, all_busy, arrived, ended, steady_output};

/// Version of the definitions behind every figure (docs/reports.md).
pub const METRICS_SCHEMA: u32 = 1;

/// A count as a number to calculate with.
pub(crate) fn real(n: usize) -> f64 {
    // Counts of requests and samples stay far below 2^53.
    n as f64
}
