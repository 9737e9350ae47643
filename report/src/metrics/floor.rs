//! What the agent itself adds to the figures: measured at an endpoint in its own process.

use std::time::Duration;

use regatta_types::attempt::AttemptReport;
use regatta_types::trace::{Phase, RequestTrace};
use serde::Serialize;

use super::{Distribution, Weighted};

/// The null endpoint answers at once and then sends a token each 20 ms.
const GAP_S: f64 = 0.02;

/// More than this share of a host's own figure deserves a remark.
const NOTABLE: f64 = 0.01;

/// The client floor of a host, at the highest load of the suite. Nothing is subtracted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Floor {
    /// Streams that were measured with.
    pub(crate) streams: u32,
    /// How many requests succeeded.
    pub(crate) requests: usize,
    /// Time to first token, seconds; the endpoint's own is zero.
    pub(crate) ttft_s: Distribution,
    /// How far the gaps between chunks are from 20 ms, seconds.
    pub(crate) gap_error_s: Weighted,
    /// CPU of the measuring thread for each 1,000 tokens, seconds.
    pub(crate) cpu_s_per_1000_tokens: Option<f64>,
}

/// A figure of the floor that is large beside the host's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Notable {
    /// What it is.
    pub(crate) what: &'static str,
    /// The floor's median, seconds.
    pub(crate) floor_s: f64,
    /// The host's median, seconds.
    pub(crate) own_s: f64,
}

impl Floor {
    /// From the attempt at the null endpoint; `None` if no request of it succeeded.
    pub(crate) fn of(report: &AttemptReport) -> Option<Self> {
        let warm = report.traces.iter().any(|trace| trace.phase == Phase::Measured);
        let counts = |t: &&RequestTrace| t.is_ok() && (!warm || t.phase == Phase::Measured);
        let ok = || report.traces.iter().filter(counts);
        let streams = report.traces.iter().map(|trace| trace.stream).max()? + 1;
        let error = |gap: Duration| ((gap.as_secs_f64() - GAP_S).abs(), 1.0);
        let tokens: f64 = report.traces.iter().filter_map(RequestTrace::completion_tokens).sum();
        let cpu = report.client_cpu.filter(|_| tokens > 0.0);
        (ok().count() > 0).then(|| Self {
            streams,
            requests: ok().count(),
            ttft_s: Distribution::new(ok().filter_map(RequestTrace::ttft)),
            gap_error_s: Weighted::of(ok().flat_map(RequestTrace::chunk_gaps).map(error).collect()),
            cpu_s_per_1000_tokens: cpu.map(|cpu| cpu.as_secs_f64() / tokens * 1e3),
        })
    }

    /// What exceeds 1 % of the host's own medians: of the time to first token and of the time
    /// between tokens.
    pub(crate) fn notable(
        &self,
        ttft_s: Option<f64>,
        inter_token_s: Option<f64>,
    ) -> impl Iterator<Item = Notable> {
        let pairs = [
            ("time to first token", self.ttft_s.median(), ttft_s),
            ("time between tokens", self.gap_error_s.p50, inter_token_s),
        ];
        pairs.into_iter().filter_map(|(what, floor, own)| {
            let (floor_s, own_s) = floor.zip(own)?;
            (floor_s > NOTABLE * own_s).then_some(Notable { what, floor_s, own_s })
        })
    }
}
